"""Which rows a model learns from and which it is judged on: ``kfold:5``, ``group:region``, ``time:24``, ``loo``."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation.folds import EachRow, Folds, Parts, Split, fold_numbers
from modelyard.evaluation.grouping import Groups, found_groups
from modelyard.evaluation.inputs import Samples, final_estimator
from modelyard.evaluation.specs import FORMS, SPECS, Spec, read_spec

__all__ = ["SPECS", "Folds", "Split", "first_line", "plan_folds"]

_DEFAULT_FOLDS = 5
_DEFAULT_REPEATS = 10  # of 'repeated', as RepeatedKFold has it


def plan_folds(
    cv: Any,
    samples: Samples,
    groups: Any = None,
    repeats: int | None = None,
    seed: int = 0,
    folds: int | None = None,
    model: Any = None,
) -> Folds:
    """Cut samples into folds; repeat *r* shuffles with ``seed + r``.

    Parameters
    ----------
    folds : int, optional
        The number of folds of every spec that has one.
    model : estimator, optional
        What is judged; ``nested`` wants a search.

    Raises
    ------
    UsageError
        `cv` cannot be read, asks for more folds than the rows or the smallest class allow, or cannot use
        the groups, the repeats or the number of folds that were given.
    InvalidInputError
        `groups` has another length than the rows, a row has no group, or there is one group only.
    """
    if repeats is not None:
        _whole("repeats", repeats, 1)
    _whole("seed", seed, 0)
    if folds is not None:
        _whole("folds", folds, 2, 5)
    if groups is not None and not isinstance(groups, str) and len(groups) != samples.rows:
        raise InvalidInputError(
            f"groups and X differ in length: {len(groups)} and {samples.rows}; give one group per row"
        )
    if isinstance(cv, Folds):  # drawn before, for several models
        return cv
    if isinstance(cv, str) or (isinstance(cv, int) and not isinstance(cv, bool)):
        return _from_spec(read_spec(cv, folds, groups is not None), samples, groups, repeats, seed, model)
    if folds is not None:
        raise UsageError(f"folds={folds} is for a spec such as cv='kfold'; {_shown(cv)} has its own number")
    if hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        return _from_splitter(cv, samples, groups, repeats or 1, seed)
    if isinstance(cv, Iterable):
        return _from_pairs(cv, samples, repeats or 1)
    raise UsageError(f"cv cannot be read, found {cv!r}; type {FORMS}")


def _whole(name: str, value: Any, least: int, such: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(
            f"{name} must be a whole number from {least} up, found {value!r}; type {name}={such or least}"
        )


def _from_spec(
    spec: Spec, samples: Samples, groups: Any, repeats: int | None, seed: int, model: Any
) -> Folds:
    kind, again = spec.kind, repeats or (_DEFAULT_REPEATS if spec.kind == "repeated" else 1)
    if kind in ("group", "stratified-group"):
        return _group_folds(spec, samples, groups, again, seed)
    count = _DEFAULT_FOLDS if spec.count is None else spec.count
    if groups is not None:
        raise UsageError(f"groups need a group splitter, found cv={spec.typed!r}; type cv='group:{count}'")
    if kind == "loo":
        if again > 1:
            raise UsageError(f"leave-one-out is the same every time, found repeats={again}; type repeats=1")
        _check_count(samples.rows, samples, "loo")
        return Folds(EachRow(samples.rows), "loo")
    if kind == "time":
        return _time_folds(spec, count, samples, again)
    if kind == "nested":
        _check_search(model, spec)
    stratified = samples.classes is not None and kind != "kfold"
    plain = "stratified" if stratified else "kfold"
    _check_count(count, samples, plain)
    made = StratifiedKFold if stratified else KFold
    drawn = [
        _numbers(made(count, shuffle=True, random_state=seed + r), count, samples, None) for r in range(again)
    ]
    name = "nested" if kind == "nested" else plain
    return Folds(Parts(drawn, count), f"{name}:{count}{_times(again)}")


def _times(repeats: int) -> str:
    return f" x {repeats}" if repeats > 1 else ""


def _numbers(splitter: Any, count: int, samples: Samples, groups: Groups | None) -> Any:
    places = np.zeros((samples.rows, 1))  # splitters look at the length only, and copy nothing this way
    return fold_numbers(
        splitter.split(places, samples.y, None if groups is None else groups.values), samples.rows, count
    )


def _group_folds(spec: Spec, samples: Samples, groups: Any, repeats: int, seed: int) -> Folds:
    """Cut between groups: into parts of even sizes, which repeats draw by chance; or with the classes in each part."""
    found = found_groups(samples, spec.column, groups, str(spec.typed))
    stratified = spec.kind == "stratified-group" and samples.classes is not None
    kind = "stratified-group" if stratified else "group"
    head = f"{kind}:{found.name}" if found.name else kind
    count = min(_DEFAULT_FOLDS, found.count) if spec.count is None else spec.count
    if count < 2:
        raise UsageError(f"cross-validation needs two folds or more, found {count}; type cv='{head}:2'")
    if count > found.count:
        of = f" of {found.name!r}" if found.name else ""
        raise UsageError(
            f"{count} folds are more than the {found.count} groups{of}; type cv='{head}:{found.count}' or fewer"
        )
    drawn = []
    for repeat in range(repeats):
        state = {"shuffle": True, "random_state": seed + repeat}
        if stratified:
            splitter: Any = StratifiedGroupKFold(count, **state)
        else:
            splitter = GroupKFold(count, **(state if repeats > 1 else {}))
        try:
            drawn.append(_numbers(splitter, count, samples, found))
        except ValueError as error:
            raise UsageError(f"cv='{head}:{count}' cannot split these rows: {first_line(error)}") from error
        if len(np.unique(drawn[-1])) < count:
            raise UsageError(f"cv='{head}:{count}' leaves a fold empty; type fewer folds")
    return Folds(Parts(drawn, count), f"{head}:{count}{_times(repeats)}", found.values, found.remarks)


def _time_folds(spec: Spec, count: int, samples: Samples, repeats: int) -> Folds:
    if repeats > 1:
        raise UsageError(f"folds in time are the same every time, found repeats={repeats}; type repeats=1")
    if count < 2:
        raise UsageError(f"cross-validation needs two folds or more, found {count}; type folds=5")
    judged = samples.rows // (count + 1)
    first = samples.rows - count * judged - spec.gap
    if judged < 1 or first < 1:
        raise UsageError(
            f"{samples.rows} rows are too few for {count} folds in time with a gap of {spec.gap} rows; "
            "type fewer folds, folds=2, or a smaller gap"
        )
    label = f"time:{spec.gap}" if spec.gap else "time"
    return Folds(_drawn(TimeSeriesSplit(count, gap=spec.gap), samples, None), label)


def _check_search(model: Any, spec: Spec) -> None:
    last = final_estimator(model)
    if not all(hasattr(last, name) for name in ("estimator", "refit", "cv")):
        found = f"found {type(model).__name__}" if model is not None else f"found {spec.typed!r} alone"
        inner = spec.count or _DEFAULT_FOLDS
        raise UsageError(
            f"nested folds are around a search such as GridSearchCV, {found}; "
            f"type %tune model X y --cv nested:{inner}x3, or tune(…, cv='nested:{inner}x3')"
        )


def _check_count(count: int, samples: Samples, kind: str) -> None:
    if count < 2:
        raise UsageError(f"cross-validation needs two folds or more, found {count}; type cv='{kind}:5'")
    if count > samples.rows:
        raise UsageError(
            f"{count} folds are more than the {samples.rows} rows; "
            f"type cv='{kind}:{max(2, samples.rows)}' or fewer"
        )
    if kind == "stratified" and samples.classes is not None:
        names, counts = np.unique(samples.y, return_counts=True)
        least = int(counts.min())
        if count > least:
            fewer = f"cv='stratified:{least}' or fewer" if least > 1 else f"cv='kfold:{count}'"
            raise UsageError(
                f"{count} stratified folds are more than the {least} row{'s' if least > 1 else ''} of class "
                f"{names.tolist()[counts.argmin()]!r}; type {fewer}"
            )


def _shown(cv: Any) -> str:
    return " ".join(str(cv).split())[:80]


def _from_splitter(cv: Any, samples: Samples, groups: Any, repeats: int, seed: int) -> Folds:
    label = " ".join(str(cv).split())
    if isinstance(cv, LeaveOneOut):
        return _from_spec(Spec("loo", "loo"), samples, None, repeats, seed, None)
    kept = found_groups(samples, "", groups, label).values if isinstance(groups, str) else groups
    known = None if kept is None else np.asarray(kept)
    if repeats == 1:
        return Folds(_drawn(cv, samples, kept), label, known)
    if not hasattr(cv, "random_state") or getattr(cv, "shuffle", True) is False:
        raise UsageError(f"{label} is the same every time, found repeats={repeats}; type repeats=1")
    splits: list[Split] = []
    for repeat in range(repeats):
        again = copy.copy(cv)
        again.random_state = seed + repeat
        splits += _drawn(again, samples, kept)
    return Folds(tuple(splits), label, known)


def _drawn(splitter: Any, samples: Samples, groups: Any) -> tuple[Split, ...]:
    places = np.zeros((samples.rows, 1))  # splitters look at the length only, and copy nothing this way
    try:
        drawn = tuple((np.asarray(a), np.asarray(b)) for a, b in splitter.split(places, samples.y, groups))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{_shown(splitter)} cannot split these rows: {first_line(error)}") from error
    if not drawn:
        raise UsageError(f"{_shown(splitter)} made no folds; type {FORMS}")
    return drawn


def _from_pairs(cv: Iterable[Any], samples: Samples, repeats: int) -> Folds:
    try:
        splits = tuple((np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in cv)
    except (ValueError, TypeError) as error:
        raise UsageError(f"cv cannot be read, found a {type(cv).__name__}; type {FORMS}") from error
    if repeats > 1 or not splits:
        raise UsageError(f"cv lists {len(splits)} splits, found repeats={repeats}; give splits and repeats=1")
    outside = [
        n for n, pair in enumerate(splits, 1) if any(len(r) == 0 or r.max() >= samples.rows for r in pair)
    ]
    if outside:
        raise UsageError(f"split {outside[0]} in cv is empty or points past the {samples.rows} rows; mend it")
    digest = hashlib.sha256(b"".join(part.tobytes() for pair in splits for part in pair)).hexdigest()
    return Folds(splits, f"{len(splits)} given splits ({digest[:8]})")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, without a full stop at its end."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text.rstrip(".")
