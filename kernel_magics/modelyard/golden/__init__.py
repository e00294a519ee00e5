"""Golden rows: a few rows with the answers of the estimator itself, which every conversion must reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.golden.parity import Mismatch, Outputs, Parity, Tolerance, compare, expected
    from modelyard.golden.rows import as_table, as_values, choose_rows
    from modelyard.golden.synthetic import synthetic_rows

__all__ = [
    "Mismatch", "Outputs", "Parity", "Tolerance", "as_table", "as_values", "choose_rows", "compare", "expected",
    "synthetic_rows",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modelyard.golden import parity, rows, synthetic

    return next(getattr(module, name) for module in (rows, synthetic, parity) if hasattr(module, name))
