"""Where two bundles answer otherwise, and which columns make them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from modelyard.errors import (
    BundleError,
    ContractError,
    InterruptedRunError,
    InvalidInputError,
    MissingExtraError,
    UsageError,
    listing,
)
from modelyard.golden import as_table
from modelyard.packaging import Bundle
from modelyard.progress import track
from modelyard.routing.predictors import opened
from modelyard_runtime.child import ModelError
from modelyard_runtime.contract import Column, Contract, ContractBroken
from modelyard_runtime.predictor import Predictor, class_key

_CHANCE = 0.05  # of naming any segment when rows disagree alike everywhere
_LEAST = 5  # disagreeing rows: of fewer, nothing is clear
_MOST_VALUES = 50
_FEW_VALUES = 8  # a column of no more numbers is looked at value by value
_BACKGROUND = 24
_PERMUTATIONS = 6


def segments(frame: pd.DataFrame, differs: Any, contract: Contract) -> pd.DataFrame:
    """Return the parts of the requests in which two bundles disagree clearly more often than over all.

    A part is a category, the quarter of a column's numbers between two of their quartiles, or a missing value. It is
    clear where the lower end of its rate's score interval (Wilson 1927) is above the overall rate, at a level that is
    shared among all parts that are looked at (Bonferroni), and at least 5 of its rows disagree.

    Parameters
    ----------
    frame : DataFrame of shape (n, columns)
        What was asked.
    differs : array-like of bool, shape (n,)
        Whether the two disagree on a row.
    contract : Contract
        What the columns are.

    Returns
    -------
    DataFrame
        ``column``, ``segment``, ``rows``, ``disagreeing``, ``rate`` and ``lower`` (the lower end), the highest first.
    """
    wrong = np.asarray(differs, dtype=bool)
    if wrong.shape != (len(frame),):
        raise InvalidInputError(f"{len(frame)} rows, but differs has the shape {wrong.shape}")
    found = [
        (column.name, name, int(part.sum()), int(wrong[part].sum()))
        for column in contract.columns
        if column.name in frame
        for name, part in _parts(frame[column.name], column)
    ]
    overall = float(wrong.mean()) if len(wrong) else 0.0
    z = NormalDist().inv_cdf(1 - _CHANCE / max(len(found), 1))
    rows = [
        (column, name, rows, count, count / rows, lower)
        for column, name, rows, count in found
        if count >= _LEAST and (lower := _lower(count, rows, z)) > overall
    ]
    table = pd.DataFrame(rows, columns=["column", "segment", "rows", "disagreeing", "rate", "lower"])
    return table.sort_values(["lower", "rows"], ascending=False, kind="stable", ignore_index=True)


def _lower(count: int, rows: int, z: float) -> float:
    """Return the lower end of the score interval of a rate (Wilson 1927)."""
    rate, square = count / rows, z * z
    middle = rate + square / (2 * rows)
    spread = z * math.sqrt(rate * (1 - rate) / rows + square / (4 * rows * rows))
    return (middle - spread) / (1 + square / rows)


def _parts(series: pd.Series, column: Column) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the parts of a column that have a row: a name, and which rows are in it."""
    missing = series.isna().to_numpy()
    if missing.any():
        yield "null", missing
    present = series[~missing]
    if column.type in ("number", "integer") and present.nunique() > _FEW_VALUES:
        edges = np.quantile(present.to_numpy(dtype=float), (0, 0.25, 0.5, 0.75, 1))
        edges = np.ceil(edges) if column.type == "integer" else edges
        yield from _quarters(series.to_numpy(dtype=float), np.unique(edges))
        return
    values = list(present.value_counts().index[:_MOST_VALUES])
    for value in values:
        yield _told(value), (series == value).fillna(False).to_numpy(dtype=bool)
    others = ~missing & ~series.isin(values).to_numpy()
    if others.any():
        yield "others", others


def _quarters(values: np.ndarray, edges: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for low, high in pairwise(edges):
        last = high == edges[-1]
        part = (values >= low) & ((values <= high) if last else (values < high))
        if part.any():
            yield f"{low:.6g} to {'' if last else 'below '}{high:.6g}", part


def _told(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else class_key(value)


def drivers(
    frame: pd.DataFrame,
    first: Bundle,
    second: Bundle,
    background: pd.DataFrame | None = None,
    rows: int = 50,
    seed: int = 0,
) -> pd.Series:
    """Return how much each column contributes to the difference of two bundles' scores.

    The score is the value of a regression, the probability of the second of two classes, or those of all classes; of
    a model without probabilities, 1 for the label that it gives. SHAP values (Lundberg and Lee 2017) are linear in the
    model: those of the difference of two models are the difference of theirs, on the same background. They are
    estimated here by permutations of the columns, each forwards and backwards, with the bundles as their endpoints
    would answer.

    Parameters
    ----------
    frame : DataFrame of shape (n, columns)
        Rows to explain, such as those on which the two disagree.
    first, second : Bundle
        What is explained is the score of `second` minus that of `first`.
    background : DataFrame, optional
        Rows whose values stand for an unknown column; golden rows of `first` by default. At most 24 are drawn.
    rows : int
        How many rows of `frame` are drawn.
    seed : int
        The same seed draws the same.

    Returns
    -------
    Series
        By column, largest first: the mean over rows of the absolute SHAP value, summed over classes where there are
        more than two.

    Raises
    ------
    MissingExtraError
        shap is not installed.
    ContractError
        A column is missing, or both bundles take none of the rows.
    InvalidInputError
        There is no row, or only one of the two is a regression.
    BundleError
        One of the two is damaged or cannot be loaded here.
    InterruptedRunError
        Stopped with Ctrl-C; nothing is left behind.
    """
    explainer = _explainer()
    if type(rows) is not int or rows < 1:
        raise UsageError(f"rows is a number of rows such as 50, found {rows!r}")
    if not len(frame):
        raise InvalidInputError("no rows to explain")
    random = np.random.default_rng(seed)
    names = list(dict.fromkeys((*first.contract.names, *second.contract.names)))
    known = pd.DataFrame(first.golden()[0]) if background is None else background
    with ExitStack() as stack:
        try:
            models = [stack.enter_context(opened(bundle)) for bundle in (first, second)]
            chosen = _drawn(frame, names, models, rows, random, "the rows to explain")
            behind = _drawn(known, names, models, _BACKGROUND, random, "the background's rows")
            return _explained(explainer, chosen, behind, models, seed)
        except KeyboardInterrupt as stop:
            raise InterruptedRunError(
                "the explanation stopped; nothing of it is kept, run it again"
            ) from stop


def _explainer() -> Any:
    try:
        import shap  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MissingExtraError(
            "what makes two bundles disagree is found with shap, which is not installed; "
            "type: pip install 'modelyard[shap]'"
        ) from None
    return shap


def _drawn(
    frame: pd.DataFrame,
    names: list[str],
    models: list[Predictor],
    limit: int,
    random: np.random.Generator,
    what: str,
) -> dict[str, list[Any]]:
    """Return at most `limit` rows that both bundles take, drawn at random, as lists by column."""
    if missing := [name for name in names if name not in frame]:
        raise ContractError(f"{what} lack the columns {listing(map(repr, missing))}")
    for model in models:
        if unknown := set(names) - set(model.contract.names):
            raise ContractError(
                f"{model.manifest['name']} {model.variant} does not take the columns {listing(map(repr, unknown))}; "
                "bundles of the same columns are compared"
            )
    order = random.permutation(len(frame))
    table = as_table(frame[names].iloc[order])
    taken: list[int] = []
    for row in range(len(order)):
        if len(taken) == limit:
            break
        if all(_takes(model.contract, {name: [table[name][row]] for name in names}) for model in models):
            taken.append(row)
    if not taken:
        raise ContractError(f"none of {what} keeps the contracts of both bundles")
    return {name: [values[row] for row in taken] for name, values in table.items()}


def _takes(contract: Contract, row: dict[str, list[Any]]) -> bool:
    try:
        contract.check(row, 1)
    except ContractBroken:
        return False
    return True


def _explained(
    shap: Any,
    chosen: dict[str, list[Any]],
    behind: dict[str, list[Any]],
    models: list[Predictor],
    seed: int,
) -> pd.Series:
    """Return the mean absolute SHAP values of the difference of two models' scores, by column."""
    names = list(chosen)
    scores = _Scores(models)
    # A value is known by its position among those of its column: to a masker that only moves values between rows,
    # texts, numbers and nulls are then alike.
    values = {name: _Values([*behind[name], *chosen[name]]) for name in names}

    def difference(positions: np.ndarray) -> np.ndarray:
        table = {name: values[name].at(positions[:, place]) for place, name in enumerate(names)}
        return scores.difference(table, len(positions))

    known, asked = (
        np.column_stack([values[name].positions(rows[name]) for name in names]) for rows in (behind, chosen)
    )
    masker = shap.maskers.Independent(known, max_samples=len(known))
    found = []
    with _spared_generator(), track("explaining what differs", len(asked), "row") as tracker:
        explainer = shap.PermutationExplainer(difference, masker, seed=seed)
        for row in asked:
            most = _PERMUTATIONS * (2 * len(names) + 1)
            explanation = explainer(row[None, :], max_evals=most, silent=True)
            found.append(np.abs(np.asarray(explanation.values)[0]).reshape(len(names), -1).sum(axis=1))
            tracker.advance()
    mean = pd.Series(np.mean(found, axis=0), index=pd.Index(names, name="column"), name="mean |SHAP|")
    return mean.sort_values(ascending=False, kind="stable")


@contextmanager
def _spared_generator() -> Iterator[None]:
    """Put numpy's global generator back as it was: shap seeds and uses it, and it is the notebook's."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


class _Values:
    """The values of a column, each known by its position."""

    def __init__(self, values: list[Any]) -> None:
        self._values = list(dict.fromkeys(values))
        self._place = {value: place for place, value in enumerate(self._values)}

    def positions(self, values: list[Any]) -> np.ndarray:
        return np.array([self._place[value] for value in values], dtype=float)

    def at(self, positions: np.ndarray) -> list[Any]:
        return [self._values[place] for place in positions.astype(int).tolist()]


class _Scores:
    """The scores of two models, class by class where they have classes."""

    def __init__(self, models: list[Predictor]) -> None:
        self._models = models
        described = [model.manifest["model"] for model in models]
        values = [d["task"] == "regression" for d in described]
        if values[0] != values[1]:
            raise InvalidInputError(
                "one bundle is a regression and the other is not: their scores have no difference"
            )
        self._is_value = values[0]
        self._classes = [[class_key(label) for label in d["classes"] or ()] for d in described]
        self._names = list(dict.fromkeys(name for known in self._classes for name in known))

    def difference(self, table: dict[str, list[Any]], rows: int) -> np.ndarray:
        """Return the second model's scores minus the first's: shape (rows,), or (rows, classes) of more than two."""
        before, after = (self._scores(which, table, rows) for which in (0, 1))
        found: np.ndarray = after - before
        return found[:, -1] if found.shape[1] <= 2 else found

    def _scores(self, which: int, table: dict[str, list[Any]], rows: int) -> np.ndarray:
        model = self._models[which]
        try:
            labels, probabilities, _ = model.outputs(table, rows)
        except ModelError as error:
            raise BundleError(f"{model.manifest['name']} {model.variant}: {error}") from None
        if self._is_value or not self._names:
            return np.array(labels, dtype=float).reshape(rows, 1)
        scores = np.zeros((rows, len(self._names)))
        if probabilities is not None:
            scores[:, [self._names.index(name) for name in self._classes[which]]] = probabilities
        else:
            places = [self._names.index(class_key(label)) for label in labels]
            scores[np.arange(rows), places] = 1.0
        return scores
