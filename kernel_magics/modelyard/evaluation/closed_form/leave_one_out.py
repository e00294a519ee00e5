"""Leave-one-out in closed form: find the formula, check it against real fits, and put its answers into folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.closed_form.centres import gaussian_bayes, nearest_centroid
from modelyard.evaluation.closed_form.discriminants import linear_discriminants, quadratic_discriminants
from modelyard.evaluation.closed_form.dummies import dummy_classifier, dummy_regressor
from modelyard.evaluation.closed_form.held_out import Floats, HeldOut
from modelyard.evaluation.closed_form.linear import kernel_ridge, linear_regression, ridge, ridge_classifier
from modelyard.evaluation.closed_form.neighbors import neighbors
from modelyard.evaluation.closed_form.stateless import last_step
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.measuring import Outcome, fold_outcomes
from modelyard.evaluation.metrics import Metric, Response
from modelyard.evaluation.responses import answers
from modelyard.evaluation.splitters import Folds

_CHECKED = 2  # rows drawn to be fitted and compared, besides the most delicate one
_TOLERANCE = 1e-9
_FEWEST = 6  # rows below which real fits are as cheap

_FORMS: dict[str, Callable[..., HeldOut | None]] = {
    "DummyClassifier": dummy_classifier,
    "DummyRegressor": dummy_regressor,
    "GaussianNB": gaussian_bayes,
    "KNeighborsClassifier": neighbors,
    "KNeighborsRegressor": neighbors,
    "KernelRidge": kernel_ridge,
    "LinearDiscriminantAnalysis": linear_discriminants,
    "LinearRegression": linear_regression,
    "NearestCentroid": nearest_centroid,
    "QuadraticDiscriminantAnalysis": quadratic_discriminants,
    "Ridge": ridge,
    "RidgeClassifier": ridge_classifier,
}
_OF_TARGETS_ONLY = ("DummyClassifier", "DummyRegressor")


@dataclass(frozen=True, eq=False)
class Exact:
    """Leave-one-out that was not fitted row by row.

    Attributes
    ----------
    outcomes : list of Outcome
        One per row, in the order of the rows, as `fold_outcomes` gives them.
    fitted : int
        Rows that were really fitted: those that were checked, and those that the formula does not decide.
    """

    outcomes: list[Outcome]
    fitted: int

    def remark(self) -> str:
        return (
            f"leave-one-out in closed form; {self.fitted} of {len(self.outcomes)} rows were fitted, to check it "
            "or because a tie or a single row decides there"
        )


def exact_leave_one_out(
    model: Any,
    samples: Samples,
    folds: Folds,
    metrics: tuple[Metric, ...],
    n_jobs: int | None = None,
    keep: tuple[Response, ...] = (),
    seed: int = 0,
) -> Exact | None:
    """Return what fits of all rows but one would give, or ``None`` where no closed form is exact.

    A few rows, drawn by `seed`, are fitted for each call; where one differs by more than 1e-9, relative to the answers,
    the closed form is not used. Rows that the form does not decide (a tie among neighbours, the only row of a class, a
    row on which a rank depends) are fitted too.
    """
    found = _held_out(model, samples, folds, metrics)
    if found is None:
        return None
    unsure = found.unsure | _only_of_its_class(samples)
    if 2 * int(unsure.sum()) > samples.rows:
        return None
    ours = _outcomes(found, samples, metrics, keep)
    checked = _drawn(unsure, found.delicate, seed)
    fitted = [*checked, *np.flatnonzero(unsure).tolist()]
    part = Folds(tuple(folds.splits[row] for row in fitted), folds.label)
    for place, real in enumerate(fold_outcomes(model, samples, part, metrics, n_jobs, keep)):
        row = fitted[place]
        if place < len(checked) and (real.failure is not None or not _same(ours[row], real, samples)):
            return None
        ours[row] = real
    return Exact(ours, len(fitted))


def _held_out(model: Any, samples: Samples, folds: Folds, metrics: tuple[Metric, ...]) -> HeldOut | None:
    several = samples.y.ndim > 1
    if (
        folds.label != "loo"
        or several
        or samples.rows < _FEWEST
        or any(m.response == "model" for m in metrics)
    ):
        return None
    unpacked = last_step(model, samples)
    if unpacked is None:
        return None
    last, rows = unpacked
    name = type(last).__name__
    if name not in _FORMS or not type(last).__module__.startswith("sklearn."):
        return None
    X = rows if name in _OF_TARGETS_ONLY else _numbers(rows)
    if X is None:
        return None
    try:
        return _FORMS[name](last, X, samples.y, samples.classes)
    except (
        TypeError,
        ValueError,
        np.linalg.LinAlgError,
    ):  # parameters that the fit itself will refuse by name
        return None


def _numbers(X: Any) -> Floats | None:
    """Return rows as 64-bit floats; ``None`` for other data, and for 32-bit ones, in which models would be fitted."""
    if isinstance(X, pd.DataFrame):
        if not all(isinstance(kind, np.dtype) and _is_exact(kind) for kind in X.dtypes):
            return None
        X = X.to_numpy(dtype=float)
    if not isinstance(X, np.ndarray) or X.ndim != 2 or not _is_exact(X.dtype):
        return None
    table = X.astype(float, copy=False)
    return table if bool(np.isfinite(table).all()) else None


def _is_exact(kind: np.dtype[Any]) -> bool:
    return kind.kind in "iu" or kind == np.float64


def _only_of_its_class(samples: Samples) -> NDArray[np.bool_]:
    if samples.classes is None:
        return np.zeros(samples.rows, dtype=bool)
    codes = np.searchsorted(samples.classes, samples.y)
    return np.asarray(np.bincount(codes, minlength=len(samples.classes))[codes] == 1)


def _drawn(unsure: NDArray[np.bool_], delicate: Floats | None, seed: int) -> list[int]:
    """Return a few rows that the form decides, and the most delicate of those."""
    sure = np.flatnonzero(~unsure)
    rows = np.random.default_rng(seed).choice(sure, size=min(_CHECKED, len(sure)), replace=False)
    worst = [] if delicate is None else [int(sure[np.argmax(delicate[sure])])]
    return list(dict.fromkeys([*rows.tolist(), *worst]))


def _outcomes(
    found: HeldOut, samples: Samples, metrics: tuple[Metric, ...], keep: tuple[Response, ...]
) -> list[Outcome]:
    wanted = {*keep, *(metric.response for metric in metrics)}
    given = answers(_stand_in(found, samples), None, samples, wanted, samples.rows)
    columns = {metric.name: _figures(metric, given, samples) for metric in metrics}
    lines = zip(*columns.values(), strict=True) if columns else repeat(())
    labels, scores, probabilities = (
        _by_row(given.get(name)) for name in ("labels", "scores", "probabilities")
    )
    return [
        Outcome(dict(zip(columns, line, strict=True)), label, score, chances)
        for _, line, label, score, chances in zip(
            range(samples.rows), lines, labels, scores, probabilities, strict=False
        )
    ]


def _by_row(given: NDArray[Any] | None) -> Iterable[NDArray[Any] | None]:
    return repeat(None) if given is None else (given[row : row + 1] for row in range(len(given)))


def _stand_in(found: HeldOut, samples: Samples) -> SimpleNamespace:
    """Return what answers as a fitted model would, so that answers are put into order in one place."""
    model = SimpleNamespace(predict=lambda X: found.labels)
    if samples.classes is not None:
        model.classes_ = samples.classes
    if found.decision is not None:
        model.decision_function = lambda X: found.decision
    if found.probabilities is not None:
        model.predict_proba = lambda X: found.probabilities
    return model


def _figures(metric: Metric, given: dict[str, NDArray[Any]], samples: Samples) -> list[float]:
    if not metric.on_one_row:
        return [float("nan")] * samples.rows
    y, response, classes = samples.y, given[metric.response], samples.classes
    if metric.per_row is not None:
        return [float(value) for value in metric.per_row(y, response, classes).tolist()]
    return [
        float(metric.measure(y[row : row + 1], response[row : row + 1], classes))
        for row in range(samples.rows)
    ]


def _same(ours: Outcome, real: Outcome, samples: Samples) -> bool:
    figures = (list(ours.figures.values()), list(real.figures.values()))
    pairs = [
        figures,
        *((getattr(ours, name), getattr(real, name)) for name in ("labels", "scores", "probabilities")),
    ]
    size = float(np.abs(samples.y).max()) if samples.classes is None else 1.0
    return all(_close(mine, theirs, max(size, 1e-300)) for mine, theirs in pairs)


def _close(ours: Any, real: Any, size: float) -> bool:
    if ours is None or real is None:
        return ours is real
    mine, theirs = np.asarray(ours), np.asarray(real)
    if mine.dtype.kind not in "iufb":
        return bool(np.array_equal(mine, theirs))
    return bool(
        np.allclose(
            mine.astype(float), theirs.astype(float), rtol=_TOLERANCE, atol=_TOLERANCE * size, equal_nan=True
        )
    )
