"""Columns scaled, normalised or turned on all rows, those to be judged among them.

A scaler leaves its mark exactly: a mean of 0 and a deviation of 1, a least value of 0 and a greatest of 1, quantiles at
equal steps. Columns that nobody scaled have none of these to six digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from modelyard.evaluation.checks.columns import Columns, Floats, named

_EXACT = 1e-6
_FEWEST_ROWS = 10
_MOST_TURNED = 500  # columns of which all pairs are looked at
_TO_NORMAL = "QuantileTransformer(output_distribution='normal')"
_END_OF_NORMAL = 5.19933758  # where QuantileTransformer cuts a normal distribution off: the quantile of 1e-7


def scaled_outside(columns: Columns) -> Iterator[str]:
    """Report the first mark that all columns of numbers with enough different values bear."""
    if columns.looked_at < _FEWEST_ROWS:
        return
    places = [(place, number) for number, place in enumerate(columns.numeric)]
    varied = [(place, number) for place, number in places if _is_varied(columns.glance[:, number])]
    if len(varied) < 2:
        return
    marks: list[tuple[Callable[[Floats], bool], str, str]] = [
        (
            _is_standardised,
            "have a mean of 0 and a standard deviation of 1 over all rows",
            "StandardScaler()",
        ),
        (
            _is_uniform,
            "have their quantiles at equal steps from 0 to 1 over all rows",
            "QuantileTransformer()",
        ),
        (
            _is_cut_normal,
            "end where a normal distribution is cut off",
            "QuantileTransformer(output_distribution='normal')",
        ),
        (_is_between_0_and_1, "go from exactly 0 to exactly 1 over all rows", "MinMaxScaler()"),
        (_is_within_1, "have a greatest absolute value of exactly 1 over all rows", "MaxAbsScaler()"),
        (_is_robustly_scaled, "have a median of 0 and quartiles 1 apart over all rows", "RobustScaler()"),
    ]
    if _is_turned(columns, [number for _, number in varied]):
        yield _sentence(
            columns, [place for place, _ in varied],
            "have a mean of 0, no correlation at all and falling variances over all rows", "PCA()",
        )  # fmt: skip
        return
    for bears, words, step in marks:
        if all(_bears_at_a_glance(bears, columns, number) for _, number in varied[:3]) and all(
            bears(columns.numbers[:, number] if columns.picked is None else columns.whole(place))
            for place, number in varied
        ):
            yield _sentence(columns, [place for place, _ in varied], words, step)
            return


def _sentence(columns: Columns, places: list[int], words: str, step: str) -> str:
    names = [columns.names[place] for place in places]
    return (
        f"{named(names)} {words}, so that the rows to be judged helped to scale them; give the columns as they were "
        f"and let the folds do it, type make_pipeline({step}, model)"
    )


def _bears_at_a_glance(bears: Callable[[Floats], bool], columns: Columns, number: int) -> bool:
    """Whether it is worth reading all rows: of a sample, a mean near 0, or no value beyond 1."""
    if columns.picked is None:
        return bears(columns.numbers[:, number])
    values = columns.numbers[:, number]
    if bears in (_is_standardised, _is_cut_normal):
        return abs(float(np.nanmean(values))) < 0.05 * float(np.nanstd(values))
    if bears is _is_robustly_scaled:
        return abs(float(np.nanmedian(values))) < 0.05
    return float(np.nanmax(np.abs(values))) <= 1.0


def _is_varied(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 2 and len(np.unique(known[:200])) > min(20, len(known[:200]) // 2)


def _is_standardised(values: Floats) -> bool:
    mean = float(np.nanmean(values))
    if not abs(mean) <= _EXACT:
        return False
    count, squares = int(np.isfinite(values).sum()), float(np.nansum((values - mean) ** 2))
    return any(abs(np.sqrt(squares / (count - ddof)) - 1) <= _EXACT for ddof in (0, 1))


def _is_between_0_and_1(values: Floats) -> bool:
    return float(np.nanmin(values)) == 0.0 and abs(float(np.nanmax(values)) - 1.0) <= 1e-12


def _is_within_1(values: Floats) -> bool:
    return abs(max(-float(np.nanmin(values)), float(np.nanmax(values))) - 1.0) <= 1e-12


def _is_uniform(values: Floats) -> bool:
    """Whether the quantiles that a QuantileTransformer looks at, a thousand or one per row, stand at equal steps."""
    if not _is_between_0_and_1(values):
        return False
    known = values[np.isfinite(values)]
    levels = np.linspace(0, 1, min(1000, len(known)))
    return bool(np.abs(np.quantile(known, levels) - levels).max() <= 3 / len(known))


def _is_cut_normal(values: Floats) -> bool:
    ends = (-float(np.nanmin(values)), float(np.nanmax(values)))
    return all(abs(end - _END_OF_NORMAL) <= _EXACT for end in ends)


def _is_robustly_scaled(values: Floats) -> bool:
    below, above = int((values < 0).sum()), int((values > 0).sum())
    if abs(below - above) > 1 + int((values == 0).sum()):
        return False
    low, middle, high = np.nanquantile(values, (0.25, 0.5, 0.75))
    return abs(float(middle)) <= 1e-9 and abs(float(high - low) - 1) <= 1e-9


def _is_turned(columns: Columns, numbers: list[int]) -> bool:
    """Whether columns are principal components: no correlation to eight digits, variances that do not rise."""
    if (
        columns.picked is not None
        or not 2 <= len(numbers) <= _MOST_TURNED
        or len(numbers) >= columns.looked_at
    ):
        return False
    first = columns.numbers[:, numbers[0]]
    if not abs(float(first.mean())) <= 1e-8 * float(first.std()):
        return False
    table = columns.numbers[:, numbers]
    if not np.isfinite(table).all():
        return False
    products = table.T @ table / len(table)
    spread = np.sqrt(products.diagonal())
    if not (spread > 0).all() or not (np.abs(table.mean(axis=0)) <= 1e-8 * spread).all():
        return False
    correlations = products / np.outer(spread, spread) - np.eye(len(spread))
    falling = (np.diff(spread) <= 1e-8 * spread[0]).all()
    return bool(np.abs(correlations).max() <= 1e-8 and falling)
