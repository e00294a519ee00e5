"""What another bundle would have answered: the prediction log of a deployment, played against it."""

from __future__ import annotations

import heapq
import math
import re
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from modelyard.catalog import Yard
from modelyard.errors import (
    BundleError,
    ContractError,
    InterruptedRunError,
    InvalidInputError,
    UsageError,
    listing,
)
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.presentation import Result, Table, number
from modelyard.progress import track
from modelyard.routing.predictors import MODEL_ERRORS, opened
from modelyard.targets import Deployment
from modelyard.targets import deployment as find_deployment
from modelyard.targets.protocol import STATE_KEPT
from modelyard_router.logbook import PREDICTIONS, Entry, Logbook
from modelyard_runtime.child import ChildLostError
from modelyard_runtime.contract import Contract, ContractBroken, Violation
from modelyard_runtime.predictor import Predictor, PredictRequest, RequestError, class_key

_KEPT = 100
_SHOWN = 20
_VARIANT = re.compile(r"v(\d+)")
_UNREADABLE = (RequestError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Moved:
    """A row that is answered otherwise: the id of the logged answer, its number in the request, and both answers."""

    request: str
    row: int
    logged: Any
    replayed: Any


@dataclass(frozen=True)
class Refusal:
    """A row that the bundle does not answer, and why."""

    request: str
    row: int
    reason: str


@dataclass(frozen=True)
class Crossing:
    """How many rows were logged with one label and replayed with another, or the same."""

    logged: str
    replayed: str
    rows: int


@dataclass(frozen=True, repr=False)
class Replay(Result):
    """What a bundle answers to logged requests, beside what was answered then.

    Attributes
    ----------
    deployment, bundle : str
        Whose log it is, and the tag of the bundle that it was played against.
    task : str
        The bundle's, as its manifest has it: ``binary``, ``regression``, …
    requests, rows : int
        How many were played; `rows` are those that have two answers.
    differing : int
        Rows with another label; of numbers, with one beyond the bundle's tolerance.
    max_absolute : float or None
        The largest difference of a probability, or of a regression's value; ``None`` where there are only labels.
    by_class : tuple of Crossing
        Rows by logged and replayed label, those that differ first; empty for a regression.
    moved : tuple of Moved
        The first 100 rows that differ.
    refused, refused_requests : int
        Rows that break the bundle's contract or on which the model fails, and the requests that they are in: an
        endpoint would refuse those altogether. Their other rows were played.
    refusals : tuple of Refusal
        The first 100 of them.
    unreadable : int
        Requests in the log that cannot be read.
    stem : str
        The name of the bundle whose versions answered then.
    frame : pandas.DataFrame of shape (rows, columns of the contract)
        What was asked, a missing value as NaN or ``None``.
    answers : pandas.DataFrame of shape (rows, 7)
        Beside it: ``request``, ``row``, ``variant``, ``logged``, ``replayed``, ``differs``, ``difference``.
    """

    kind = "replay"

    deployment: str
    bundle: str
    task: str
    requests: int
    rows: int
    differing: int
    max_absolute: float | None
    by_class: tuple[Crossing, ...]
    moved: tuple[Moved, ...]
    refused: int
    refused_requests: int
    refusals: tuple[Refusal, ...]
    unreadable: int
    stem: str
    frame: pd.DataFrame = field(compare=False)
    answers: pd.DataFrame = field(compare=False)

    @property
    def disagreement(self) -> float:
        """The share of `rows` that differ; 0 where there are none."""
        return self.differing / self.rows if self.rows else 0.0

    def segments(self, beyond: float | None = None) -> pd.DataFrame:
        """Say where the two disagree: see `routing.disagreement.segments`.

        Parameters
        ----------
        beyond : float, optional
            Count the rows whose probabilities, or values, differ by more than this. By default those that differ; where
            that is more than half of the rows of a regression, the quarter that differs most.
        """
        from modelyard.routing.disagreement import segments

        return segments(self.frame, self._counted(beyond), find_bundle(self.bundle).contract)

    def drivers(
        self,
        variant: str | None = None,
        *,
        beyond: float | None = None,
        background: pd.DataFrame | None = None,
        rows: int = 50,
        seed: int = 0,
    ) -> pd.Series:
        """Say which columns make the two disagree: see `routing.disagreement.drivers`.

        Parameters
        ----------
        variant : str, optional
            Who answered then, such as ``v1``; by default who answered most of the rows that differ.
        beyond : float, optional
            Which rows to explain, as in `segments`.
        background, rows, seed
            As for `routing.disagreement.drivers`.

        Raises
        ------
        InvalidInputError
            No row differs.
        """
        from modelyard.routing.disagreement import drivers

        counted = self._counted(beyond)
        if variant is not None:
            counted = counted & (self.answers["variant"] == variant).to_numpy()
        if not counted.any():
            of_whom = "" if variant is None else f" of {variant}"
            raise InvalidInputError(
                f"no row{of_whom} differs on {self.bundle}, so there is nothing to explain"
            )
        answered = variant or str(self.answers["variant"][counted].mode().iloc[0])
        counted = counted & (self.answers["variant"] == answered).to_numpy()
        first = _bundle_of(answered, self.stem)
        return drivers(self.frame[counted], first, find_bundle(self.bundle), background, rows=rows, seed=seed)

    def _counted(self, beyond: float | None) -> np.ndarray:
        """Return which rows count as different, shape (rows,)."""
        differs, difference = (self.answers[name].to_numpy() for name in ("differs", "difference"))
        if beyond is None and self.task == "regression" and self.disagreement > 0.5:
            beyond = float(np.nanquantile(difference, 0.75))
        return differs if beyond is None else (difference > beyond) | (differs & np.isnan(difference))

    def sentence(self) -> str:
        words = [f"replay of {self.deployment!r} on {self.bundle}: {self._compared()}"]
        if self.max_absolute is not None and self.rows:
            what = "value" if self.task == "regression" else "probability"
            words.append(f"largest difference of a {what} {self.max_absolute:.2g}")
        if self.refused:
            words.append(f"{_count(self.refused, 'row')} refused")
        return ", ".join(words)

    def _compared(self) -> str:
        where = f"{_count(self.rows, 'row')} in {_count(self.requests, 'request')}"
        if not self.differing:
            return f"{where} answered as before"
        return f"{self.differing:,} of {where} answered otherwise ({self.disagreement:.2%})"

    def table(self) -> Table:
        if self.by_class:
            shown = self.by_class[:_SHOWN]
            return Table(
                ("logged", self.bundle, "rows"), [(c.logged, c.replayed, f"{c.rows:,}") for c in shown]
            )
        return Table(
            ("request", "row", "logged", self.bundle),
            [(m.request, str(m.row), _told(m.logged), _told(m.replayed)) for m in self.moved[:_SHOWN]],
        )

    def notes(self) -> Sequence[str]:
        found = []
        if self.refusals:
            first = self.refusals[0]
            found.append(
                f"{_count(self.refused_requests, 'request')} would be refused, first request {first.request}, "
                f"row {first.row}: {first.reason}"
            )
        if self.unreadable:
            found.append(f"{_count(self.unreadable, 'request')} of the log cannot be read")
        if self.differing:
            found.append(".segments() says where they disagree, .drivers() which columns make them")
        return found

    def payload(self) -> dict[str, Any]:
        return {
            "deployment": self.deployment,
            "bundle": self.bundle,
            "task": self.task,
            "requests": self.requests,
            "rows": self.rows,
            "differing": self.differing,
            "disagreement": self.disagreement,
            "max_absolute": self.max_absolute,
            "by_class": [asdict(crossing) for crossing in self.by_class],
            "moved": [asdict(row) for row in self.moved],
            "refused": self.refused,
            "refused_requests": self.refused_requests,
            "refusals": [asdict(row) for row in self.refusals],
            "unreadable": self.unreadable,
        }


def replay(
    deployment: Deployment | str,
    on: str | Bundle,
    *,
    since: float | None = None,
    rows: int | None = None,
    variant: str | None = None,
) -> Replay:
    """Play the logged requests of a deployment against a bundle, each with the rows that it had.

    Nothing is sent to the endpoint, and nothing is written.

    Parameters
    ----------
    deployment : Deployment or str
        Whose prediction log.
    on : str or Bundle
        A bundle, its tag (``churn:2``), or ``v2`` for that version of the bundle that is deployed.
    since : float, optional
        Only what was noted in the last so many seconds.
    rows : int, optional
        At most so many rows, the newest. A request is played whole or not at all, and the newest one in any case. By
        default all of them; where the bundle holds Python, each request takes some milliseconds.
    variant : str, optional
        Only requests that this variant answered, such as ``v1``.

    Raises
    ------
    UnknownNameError
        No such deployment or bundle.
    UsageError
        There is no such request in the log, or an option makes no sense.
    ContractError
        Logged requests have columns that the bundle does not take, or lack one.
    BundleError
        The bundle is damaged, not trusted, or cannot be loaded here.
    InterruptedRunError
        Stopped with Ctrl-C; nothing is left behind.
    """
    _check_options(since, rows)
    known = find_deployment(deployment) if isinstance(deployment, str) else deployment
    if not isinstance(known, Deployment):
        raise UsageError(f"replay takes a deployment or its name, found {type(deployment).__name__}")
    stem = known.bundle.partition(":")[0]
    bundle = _bundle_of(on, stem)
    try:
        chosen = _chosen(known, since, rows, variant)
        _check_columns(chosen, bundle, known.name)
        findings = _Findings(bundle)
        with opened(bundle) as predictor:
            _play(chosen, predictor, findings, bundle.tag)
        return findings.replay(known.name, stem)
    except ChildLostError as error:
        raise BundleError(f"bundle {bundle.tag}: {error}") from None
    except KeyboardInterrupt as stop:
        raise InterruptedRunError("the replay stopped; nothing of it is kept, run it again") from stop


def _check_options(since: float | None, rows: int | None) -> None:
    if since is not None and not since > 0:
        raise UsageError(f"since is a number of seconds such as 3600, found {since!r}")
    if rows is not None and (type(rows) is not int or rows < 1):
        raise UsageError(f"rows is a number of rows such as 1000, found {rows!r}")


def _bundle_of(on: Any, stem: str) -> Bundle:
    """Return a bundle given as itself, as its tag, or as the variant that it is of the bundle `stem`."""
    if isinstance(on, Bundle):
        return on
    if not isinstance(on, str):
        raise UsageError(f"replay takes a bundle, its tag or a variant, found {type(on).__name__}")
    version = _VARIANT.fullmatch(on)
    return find_bundle(on if version is None else f"{stem}:{version[1]}")


# -- which requests


class _Head(msgspec.Struct, gc=False):
    """What is looked at of an answer to choose it."""

    variant: str
    predictions: list[msgspec.Raw]


class _Shape(msgspec.Struct, gc=False):
    """What is looked at of a request to know its columns."""

    rows: list[dict[str, msgspec.Raw]] | None = None
    columns: list[str] | None = None

    def names(self) -> tuple[str, ...]:
        return tuple(self.rows[0]) if self.rows else tuple(self.columns or ())


@dataclass(frozen=True, order=True, slots=True)
class _Chosen:
    """A request that is played; in order of time."""

    at: float
    rows: int = field(compare=False)
    variant: str = field(compare=False)
    entry: Entry = field(compare=False)


def _chosen(
    deployment: Deployment, since: float | None, rows: int | None, variant: str | None
) -> deque[_Chosen]:
    """Return the requests to play, oldest first."""
    folder = Yard(deployment.root).deployment_folder(deployment.name) / STATE_KEPT / PREDICTIONS
    after = 0.0 if since is None else time.time() - since
    newest: list[_Chosen] = []
    total, others = 0, set()
    decode = msgspec.json.Decoder(_Head).decode
    for entry in Logbook(folder).entries(after):
        if not entry.answer:
            continue
        try:
            head = decode(entry.answer)
        except _UNREADABLE:
            continue
        if variant is not None and head.variant != variant:
            others.add(head.variant)
            continue
        heapq.heappush(newest, _Chosen(entry.at, len(head.predictions), head.variant, entry))
        total += len(head.predictions)
        while rows is not None and total > rows and len(newest) > 1:
            total -= heapq.heappop(newest).rows
    if not newest:
        raise UsageError(_nothing(deployment.name, since, variant, others))
    return deque(sorted(newest))


def _nothing(name: str, since: float | None, variant: str | None, others: set[str]) -> str:
    """Say why there is nothing to play, and what to do."""
    recently = "" if since is None else f" in the last {since:g} s"
    if others:
        return f"{variant} answered nothing of {name!r}{recently}; who did: {listing(others)}"
    if since is not None:
        return f"the prediction log of {name!r} has no request{recently}; choose a longer time, or leave since out"
    return (
        f"the prediction log of {name!r} is empty: there is nothing to replay until its endpoint has answered; "
        f"type: modelyard.deployment({name!r}).predict(X)"
    )


def _check_columns(chosen: deque[_Chosen], bundle: Bundle, name: str) -> None:
    """Refuse requests of other columns now, before any work."""
    wanted = set(bundle.contract.names)
    decode = msgspec.json.Decoder(_Shape).decode
    seen: set[tuple[str, ...]] = set()
    for request in chosen:
        try:
            names = decode(request.entry.request).names()
        except _UNREADABLE:
            continue
        if names in seen:
            continue
        seen.add(names)
        unknown, missing = set(names) - wanted, wanted - set(names)
        if names and (unknown or missing):
            told = [f"have {_columns(unknown)}, which {bundle.tag} does not take"] if unknown else []
            told += [f"lack {_columns(missing)}, which {bundle.tag} needs"] if missing else []
            raise ContractError(
                f"requests that {request.variant} of {name!r} answered {' and '.join(told)}; replay them on a bundle "
                "of the same columns, or choose others with variant or since"
            )


def _columns(names: set[str]) -> str:
    shown = ", ".join(map(repr, sorted(names)[:8]))
    return f"the column{'s' if len(names) > 1 else ''} {shown}{', …' if len(names) > 8 else ''}"


# -- the replay itself


class _Asked(PredictRequest, forbid_unknown_fields=True):
    """A request as the log has it; a huge one says how many rows there were."""

    of_rows: int | None = None


class _Answered(msgspec.Struct):
    id: str
    predictions: list[Any]
    probabilities: list[dict[str, float | None]] | None = None


def _play(chosen: deque[_Chosen], predictor: Predictor, findings: _Findings, tag: str) -> None:
    asked, answered = msgspec.json.Decoder(_Asked).decode, msgspec.json.Decoder(_Answered).decode
    with track(f"replaying on {tag}", sum(request.rows for request in chosen), "row") as tracker:
        while chosen:
            request = chosen.popleft()  # what was played needs no memory any more
            try:
                table, rows = asked(request.entry.request).table()
                logged = answered(request.entry.answer)
                if rows > len(logged.predictions if logged.probabilities is None else logged.probabilities):
                    raise RequestError("fewer answers than rows")
            except _UNREADABLE:
                findings.unreadable += 1
            else:
                _compare(table, rows, logged, request.variant, predictor, findings)
            tracker.advance(request.rows)


def _compare(
    table: dict[str, list[Any]],
    rows: int,
    logged: _Answered,
    variant: str,
    predictor: Predictor,
    findings: _Findings,
) -> None:
    """Let the predictor answer one request, and note what it says."""
    findings.requests += 1
    kept: Sequence[int] = range(rows)
    refused: list[tuple[int, str]] = []
    try:
        try:
            predictions, probabilities, _ = predictor.outputs(table, rows)
        except ContractBroken:
            refused = list(_refused(predictor.contract, table, rows))
            broken = {row for row, _ in refused}
            kept = [row for row in range(rows) if row not in broken]
            table = {name: [values[row] for row in kept] for name, values in table.items()}
            predictions, probabilities = [], None
            if kept:
                predictions, probabilities, _ = predictor.outputs(table, len(kept))
    except ChildLostError:
        raise
    except MODEL_ERRORS as error:
        said = f"the model fails: {str(error).partition(chr(10))[0]}"
        findings.refuse(logged.id, refused + [(row, said) for row in kept])
        return
    findings.refuse(logged.id, refused)
    if kept:
        findings.note(logged, variant, kept, table, predictions, probabilities)


def _refused(contract: Contract, table: Mapping[str, list[Any]], rows: int) -> Iterator[tuple[int, str]]:
    """Yield each row that breaks the contract by itself, and why."""
    for row in range(rows):
        try:
            contract.check({name: [values[row]] for name, values in table.items()}, 1)
        except ContractBroken as error:
            first: Violation = error.violations[0]
            yield row, f"column {first.column!r}: {first.problem}; learned: {first.learned}"


class _Findings:
    """What a replay has found so far."""

    def __init__(self, bundle: Bundle) -> None:
        model, tolerance = bundle.manifest["model"], bundle.manifest["parity"]["tolerance"]
        self._tag, self._task = bundle.tag, str(model["task"])
        self._classes = [class_key(label) for label in model["classes"] or ()]
        self._relative, self._absolute = tolerance["relative"], tolerance["absolute"]
        self._columns: dict[str, Any] = {
            column.name: array("d") if column.type in ("number", "integer") else []
            for column in bundle.contract.columns
        }
        self._answers: dict[str, list[Any]] = {
            name: [] for name in ("request", "row", "variant", "logged", "replayed", "differs", "difference")
        }
        self._crossings: Counter[tuple[str, str]] = Counter()
        self._refusals: list[Refusal] = []
        self._refused = self._refused_requests = 0
        self.requests = self.unreadable = 0

    def refuse(self, request: str, rows: Sequence[tuple[int, str]]) -> None:
        """Note rows of a request that were not answered, and why."""
        self._refused += len(rows)
        self._refused_requests += bool(rows)
        room = _KEPT - len(self._refusals)
        self._refusals += [Refusal(request, row, reason) for row, reason in rows[:room]]

    def note(
        self,
        logged: _Answered,
        variant: str,
        kept: Sequence[int],
        table: Mapping[str, list[Any]],
        predictions: Sequence[Any],
        probabilities: np.ndarray | None,
    ) -> None:
        """Note the rows `kept` of a request, answered twice."""
        for name, values in self._columns.items():
            found = table[name]
            if isinstance(values, array):
                values.extend([math.nan if value is None else value for value in found])
            else:
                values.extend([sys.intern(v) if type(v) is str else v for v in found])
        before = [logged.predictions[row] for row in kept]
        after = [_plain(value) for value in predictions]
        if self._task == "regression":
            same = [self._close(a, b) for a, b in zip(before, after, strict=True)]
            differences = [_distance(a, b) for a, b in zip(before, after, strict=True)]
        else:
            same = [_same(a, b) for a, b in zip(before, after, strict=True)]
            differences = self._distances(logged, kept, probabilities)
            self._crossings.update(zip(map(class_key, before), map(class_key, after), strict=True))
        count = len(before)
        for name, values in (
            ("request", [logged.id] * count), ("row", kept), ("variant", [variant] * count), ("logged", before),
            ("replayed", after), ("differs", [not s for s in same]), ("difference", differences),
        ):  # fmt: skip
            self._answers[name].extend(values)

    def _close(self, a: Any, b: Any) -> bool:
        if not (_is_number(a) and _is_number(b)):
            return _same(a, b)
        return math.isclose(a, b, rel_tol=self._relative, abs_tol=self._absolute)

    def _distances(
        self, logged: _Answered, kept: Sequence[int], probabilities: np.ndarray | None
    ) -> list[float]:
        """Return the largest difference of a probability in each row; NaN where one of the two gives none.

        A class that only one of the two knows has no probability in the other one.
        """
        if logged.probabilities is None or probabilities is None:
            return [math.nan] * len(kept)
        before = [logged.probabilities[row] for row in kept]
        more = sorted({name for row in before for name in row}.difference(self._classes))
        known = [[_or_nan(row.get(name, 0.0)) for name in (*self._classes, *more)] for row in before]
        found = np.zeros((len(kept), len(self._classes) + len(more)))
        found[:, : len(self._classes)] = probabilities
        largest: list[float] = np.abs(np.array(known) - found).max(axis=1).tolist()
        return largest

    def replay(self, deployment: str, stem: str) -> Replay:
        """Return what was found."""
        answers = pd.DataFrame(
            {
                name: pd.Series(values, dtype=_DTYPES.get(name, object))
                for name, values in self._answers.items()
            }
        )
        frame = pd.DataFrame(
            {
                name: np.array(values) if isinstance(values, array) else pd.Series(values, dtype=object)
                for name, values in self._columns.items()
            }
        )
        moved = answers[answers["differs"]]
        finite = answers["difference"][np.isfinite(answers["difference"])]
        crossings = [Crossing(a, b, count) for (a, b), count in self._crossings.items()]
        return Replay(
            deployment=deployment,
            bundle=self._tag,
            task=self._task,
            requests=self.requests,
            rows=len(answers),
            differing=len(moved),
            max_absolute=float(finite.max()) if len(finite) else None,
            by_class=tuple(
                sorted(crossings, key=lambda c: (c.logged == c.replayed, -c.rows, c.logged, c.replayed))
            ),
            moved=tuple(
                Moved(*row)
                for row in moved[["request", "row", "logged", "replayed"]]
                .head(_KEPT)
                .astype(object)
                .itertuples(index=False, name=None)
            ),
            refused=self._refused,
            refused_requests=self._refused_requests,
            refusals=tuple(self._refusals),
            unreadable=self.unreadable,
            stem=stem,
            frame=frame,
            answers=answers,
        )


_DTYPES: dict[str, Any] = {"row": "int64", "differs": "bool", "difference": "float64"}


def _plain(value: Any) -> Any:
    """Return an answer as JSON has it, where what is no number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    """Whether two answers are one in JSON: 1 is 1.0, and is not true."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _distance(a: Any, b: Any) -> float:
    return abs(a - b) if _is_number(a) and _is_number(b) else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def _told(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)
