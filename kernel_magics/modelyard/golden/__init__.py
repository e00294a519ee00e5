"""Golden rows: a few rows with the answers of the estimator itself, which every conversion must reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.golden.parity import Outputs, Parity, Tolerance, compare, expected
    from modelyard.golden.rows import as_table, as_values, choose_rows

__all__ = ["Outputs", "Parity", "Tolerance", "as_table", "as_values", "choose_rows", "compare", "expected"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modelyard.golden import parity, rows

    return getattr(rows if hasattr(rows, name) else parity, name)
