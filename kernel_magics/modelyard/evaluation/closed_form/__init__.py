"""Leave-one-out without fitting once per row, for the estimators whose answers follow from one fit of all rows.

Whatever is not exact for the given parameters and data is no closed form: those rows, or all of them, are really
fitted.
"""

from modelyard.evaluation.closed_form.leave_one_out import Exact, exact_leave_one_out

__all__ = ["Exact", "exact_leave_one_out"]
