"""Which rows a model learns from and which it is judged on: ``kfold:5``, ``stratified:5``, ``loo``."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, LeaveOneOut, StratifiedKFold

from modelyard.errors import InvalidInputError, UsageError, did_you_mean
from modelyard.evaluation.inputs import Samples

Split = tuple[NDArray[np.intp], NDArray[np.intp]]

_FORMS = "'stratified:5', 'kfold:5', 'loo', a number of folds, or a scikit-learn splitter"
_DEFAULT_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Folds:
    """The rows of every fold, train before test, and what the splitting is called.

    Attributes
    ----------
    splits : tuple of (train, test)
        Row positions; repeats follow each other.
    label : str
        What was really used: ``kfold:5`` where stratifying has no meaning.
    """

    splits: Sequence[Split]
    label: str

    @cached_property
    def one_row_each(self) -> bool:
        """Whether every test part is a single row, as in leave-one-out."""
        return all(len(test) == 1 for _, test in self.splits)


class _EachRow(Sequence[Split]):
    """Leave-one-out, made when asked for: written out, the folds of 10,000 rows take 800 MB."""

    def __init__(self, rows: int) -> None:
        self._rows = np.arange(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Split: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Split]: ...
    def __getitem__(self, place: int | slice) -> Split | Sequence[Split]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        row = self._rows[place]  # raises IndexError past the end, which ends an iteration
        return np.delete(self._rows, row), self._rows[row : row + 1]


def plan_folds(cv: Any, samples: Samples, groups: Any = None, repeats: int = 1, seed: int = 0) -> Folds:
    """Cut samples into folds; repeat *r* shuffles with ``seed + r``.

    Raises
    ------
    UsageError
        `cv` cannot be read, asks for more folds than the rows or the smallest class allow, or cannot use
        the groups or the repeats that were given.
    InvalidInputError
        `groups` has another length than the rows.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise UsageError(f"repeats must be a whole number from 1 up, found {repeats!r}; type repeats=1")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be a whole number from 0 up, found {seed!r}; type seed=0")
    if groups is not None and len(groups) != samples.rows:
        raise InvalidInputError(
            f"groups and X differ in length: {len(groups)} and {samples.rows}; give one group per row"
        )
    if isinstance(cv, str) or (isinstance(cv, int) and not isinstance(cv, bool)):
        return _from_spec(cv, samples, groups, repeats, seed)
    if hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        return _from_splitter(cv, samples, groups, repeats, seed)
    if isinstance(cv, Iterable):
        return _from_pairs(cv, samples, repeats)
    raise UsageError(f"cv cannot be read, found {cv!r}; type {_FORMS}")


def _from_spec(cv: str | int, samples: Samples, groups: Any, repeats: int, seed: int) -> Folds:
    kind, count = ("stratified", cv) if isinstance(cv, int) else _parsed(cv)
    if groups is not None:
        raise UsageError(f"groups need a group splitter, found cv={cv!r}; type cv=GroupKFold({count or 5})")
    if kind == "loo":
        if repeats > 1:
            raise UsageError(f"leave-one-out is the same every time, found repeats={repeats}; type repeats=1")
        _check_count(samples.rows, samples, "loo")
        return Folds(_EachRow(samples.rows), "loo")
    if samples.regression:
        kind = "kfold"
    _check_count(count, samples, kind)
    made = StratifiedKFold if kind == "stratified" else KFold
    splits: list[Split] = []
    for repeat in range(repeats):
        splits += _drawn(made(count, shuffle=True, random_state=seed + repeat), samples, None)
    return Folds(tuple(splits), f"{kind}:{count}")


def _parsed(spec: str) -> tuple[str, int]:
    if re.fullmatch(r"\s*\d+\s*", spec):  # a number of folds, as a magic's line gives it
        return "stratified", int(spec)
    match = re.fullmatch(r"([a-z-]+)(?::(-?\d+))?", spec.strip().lower())
    kinds = ("stratified", "kfold", "loo")
    if match is None or match[1] not in kinds:
        word = spec.partition(":")[0].strip().lower()
        raise UsageError(f"cv cannot be read, found {spec!r}; type {_FORMS}{did_you_mean(word, kinds)}")
    if match[1] == "loo" and match[2] is not None:
        raise UsageError(f"leave-one-out has no number of folds, found {spec!r}; type 'loo'")
    return match[1], int(match[2] or _DEFAULT_FOLDS) if match[1] != "loo" else 0


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


def _from_splitter(cv: Any, samples: Samples, groups: Any, repeats: int, seed: int) -> Folds:
    label = " ".join(str(cv).split())
    if isinstance(cv, LeaveOneOut):
        return _from_spec("loo", samples, None, repeats, seed)
    if repeats == 1:
        return Folds(_drawn(cv, samples, groups), label)
    if not hasattr(cv, "random_state") or getattr(cv, "shuffle", True) is False:
        raise UsageError(f"{label} is the same every time, found repeats={repeats}; type repeats=1")
    splits: list[Split] = []
    for repeat in range(repeats):
        again = copy.copy(cv)
        again.random_state = seed + repeat
        splits += _drawn(again, samples, groups)
    return Folds(tuple(splits), label)


def _drawn(splitter: Any, samples: Samples, groups: Any) -> tuple[Split, ...]:
    places = np.zeros((samples.rows, 1))  # splitters look at the length only, and copy nothing this way
    try:
        drawn = tuple((np.asarray(a), np.asarray(b)) for a, b in splitter.split(places, samples.y, groups))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{' '.join(str(splitter).split())} cannot split these rows: {first_line(error)}"
        ) from error
    if not drawn:
        raise UsageError(f"{' '.join(str(splitter).split())} made no folds; type {_FORMS}")
    return drawn


def _from_pairs(cv: Iterable[Any], samples: Samples, repeats: int) -> Folds:
    try:
        splits = tuple((np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in cv)
    except (ValueError, TypeError) as error:
        raise UsageError(f"cv cannot be read, found a {type(cv).__name__}; type {_FORMS}") from error
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
