"""Which portable form a bundle gets: ONNX where it is faithful and not slow by far, else as much of it as pays.

Where a step has no converter, the steps up to it run in Python and the rest in ONNX, if that is clearly faster than
Python alone; and else the bundle holds the estimator itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from modelyard.conversion import FAILURES
from modelyard.errors import ConversionError, InvalidInputError, ParityError
from modelyard.golden import Mismatch, Outputs, Tolerance, compare, expected
from modelyard.packaging import parity
from modelyard.packaging.causes import explained
from modelyard.packaging.forms import Form, as_hybrid, as_onnx, as_python
from modelyard.packaging.learning import PolicyChoice, learn_contract
from modelyard.packaging.splitting import Split, splits
from modelyard.packaging.training_table import TrainingTable
from modelyard_runtime.contract import Contract

TOLERANCE = Tolerance()
COMPARED_ROWS = 20_000

_RIVAL_ERRORS = (*FAILURES, *parity.MODEL_ERRORS)


class _SlowError(ConversionError):
    """A faithful form that does not pay."""


@dataclass(frozen=True)
class Asked:
    """An estimator, and what it itself answered when it was asked.

    Attributes
    ----------
    nulls : frozenset of str
        The columns in which it takes a missing value.
    refused : frozenset of str
        The text columns in which it fails on a text that it never saw.
    whole : Outputs
        Its answers on the first `COMPARED_ROWS` training rows.
    allow_stale : bool
        Whether its definitions may differ from what their cells say now.
    """

    model: Any
    table: TrainingTable
    policy: PolicyChoice
    nulls: frozenset[str]
    refused: frozenset[str]
    whole: Outputs
    allow_stale: bool


@dataclass(frozen=True)
class Candidate:
    """A form, and the contract under which it answers as the estimator does."""

    form: Form
    contract: Contract
    notes: tuple[str, ...]


def ask(model: Any, table: TrainingTable, policy: PolicyChoice, allow_stale: bool) -> Asked:
    """Ask the estimator what any form of it must answer.

    Raises
    ------
    InvalidInputError
        It cannot predict this table, it has several outputs, or a column cannot be learned.
    UsageError, UnknownNameError
        The policy is none, or names a column that is not there.
    """
    learn_contract(table.frame, policy, (), ())  # what cannot be learned is said before long work
    try:
        nulls = parity.accepted_nulls(model, table)
        refused = parity.refused_categories(model, table)
        whole = expected(model, table.as_fed(table.frame.head(COMPARED_ROWS)))
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(
            f"{type(model).__name__} cannot predict this X ({str(error).splitlines()[0]}); "
            "give the table that it was trained on"
        ) from error
    if whole.predictions.ndim != 1:
        raise InvalidInputError(
            f"{type(model).__name__} predicts {whole.predictions.shape[1]} outputs a row; "
            "a bundle holds one output: package one estimator for each"
        )
    return Asked(model, table, policy, nulls, refused, whole, allow_stale)


def candidates(asked: Asked) -> Iterator[Candidate]:
    """Yield the forms to try, the best first; the last one, Python, is the estimator itself.

    Raises
    ------
    CaptureError, StaleCodeError, ConversionError
        Python is what is left, and something in the estimator cannot travel as such.
    """
    reason, but = "its ONNX form differs on a golden row", ""
    try:
        yield _whole(asked)
    except (ConversionError, ParityError) as error:
        if _is_portable_only(asked.model):
            raise
        reason = str(error)
        slow = isinstance(error, _SlowError)
    else:
        slow = False
    if _is_portable_only(asked.model):
        raise ConversionError(f"{asked.model.name} has no form but ONNX, and {reason}")
    if not slow:
        try:
            yield from _in_two(asked, reason)
        except _SlowError as error:
            but = f" ({error})"
    form = as_python(asked.model, asked.table.array_dtype, asked.allow_stale)
    why = f"no ONNX: {reason}; the bundle holds the estimator as skops{_with_code(form)}{but}"
    yield Candidate(form, _lenient(asked), (why, *_stale(form)))


def _whole(asked: Asked) -> Candidate:
    """Return the ONNX form and the contract under which it answers as the estimator does.

    Raises
    ------
    ConversionError, ParityError
        There is no ONNX form, it differs on a training row, or the estimator itself is faster by far.
    """
    form = as_onnx(asked.model, asked.table.frame)
    rival = _faithful(asked, form)
    if not _is_portable_only(asked.model) and parity.is_slower(asked.model, rival, asked.table):
        raise _SlowError("its ONNX form is more than twice as slow as the estimator itself")
    whole_numbers = [i for i in form.described["inputs"] if i["dtype"] in ("int64", "bool")]
    never = {name for i in whole_numbers for name in i["columns"]}
    return Candidate(form, _contract(asked, rival, never), form.notes)


def _in_two(asked: Asked, reason: str) -> Iterator[Candidate]:
    """Yield the form with the fewest steps in Python, unless no rest of the pipeline has a faithful ONNX form.

    Raises
    ------
    _SlowError
        It is not clearly faster than the estimator itself.
    CaptureError, StaleCodeError
        One of the steps cannot travel.
    """
    for split in splits(asked.model, asked.table.as_fed(asked.table.frame.head(COMPARED_ROWS))):
        try:
            form = as_hybrid(split, asked.table.array_dtype, asked.allow_stale)
            rival = _faithful(asked, form)
        except (ConversionError, ParityError, InvalidInputError):
            continue
        gain = parity.gain(asked.model, rival, asked.table, _lenient(asked))
        if not gain.is_clear:
            raise _SlowError(f"with only {_named(split.before)} in Python it is not clearly faster")
        form = replace(form, remarks=(f"One row is {gain.one_row:.2g} × as fast as in Python alone",))
        notes = (f"no ONNX: {reason}; {_told(split, form)}", *form.notes, *_stale(form))
        yield Candidate(form, _contract(asked, rival, set()), notes)
        return


def _faithful(asked: Asked, form: Form) -> parity.Rival:
    """Return the form, loaded, after it has answered the training rows as the estimator does.

    Raises
    ------
    ConversionError, ParityError
        It does not run, or differs on a training row.
    """
    try:
        rival = parity.Rival(form, _lenient(asked))
        frame = asked.table.frame.head(COMPARED_ROWS)
        found = compare(asked.whole, rival.outputs(frame), tolerance=TOLERANCE)
    except _RIVAL_ERRORS as error:
        raise ConversionError(f"its ONNX form does not run ({str(error).splitlines()[0]})") from error
    if found.first is not None:
        where = _explained(asked, rival, found.first, frame)
        raise ParityError(f"its ONNX form differs on the training rows ({where})")
    return rival


def _explained(asked: Asked, rival: parity.Rival, first: Mismatch, frame: pd.DataFrame) -> str:
    def answers(row: pd.DataFrame) -> Any:
        return expected(asked.model, asked.table.as_fed(row)).predictions.tolist()

    def differs(row: pd.DataFrame) -> bool:
        return _differs(asked, rival, row)

    return explained(first, frame, asked.table.frame, asked.model, differs, answers)


def _differs(asked: Asked, rival: parity.Rival, rows: pd.DataFrame) -> bool:
    try:
        return not parity.measured(asked.model, rival, asked.table, rows, TOLERANCE).ok
    except _RIVAL_ERRORS:
        return True


def _is_portable_only(model: Any) -> bool:
    """Whether a model is ONNX itself, or nothing else that can travel."""
    return bool(getattr(model, "portable_only", False))


def _lenient(asked: Asked) -> Contract:
    """Return the contract under which the estimator itself answers."""
    return learn_contract(asked.table.frame, asked.policy, asked.nulls, asked.refused)


def _contract(asked: Asked, rival: parity.Rival, never: Collection[str]) -> Contract:
    """Return the contract under which the form answers as the estimator does; no null gets into `never`."""
    frame = asked.table.frame

    def agree(rows: pd.DataFrame) -> bool:
        return not _differs(asked, rival, rows)

    closed = {name for name in frame.columns if frame[name].isna().any()} | set(never)
    open_to_null = sorted(asked.nulls - closed)
    null_able = set(open_to_null) - parity.failing(
        {name: parity.with_null(frame, name) for name in open_to_null}, agree
    )
    texts = {column.name for column in _lenient(asked).columns if column.type == "string"}
    odd = parity.failing({name: parity.with_unknown(frame, name) for name in texts - asked.refused}, agree)
    return learn_contract(frame, asked.policy, null_able, asked.refused | odd)


def _told(split: Split, form: Form) -> str:
    run = "runs" if len(split.before) == 1 else "run"
    return (
        f"{_named(split.before)} {run} in Python{_with_code(form)}, the rest ({_named(split.after)}) in ONNX"
    )


def _named(steps: tuple[Any, ...]) -> str:
    return ", ".join(type(step).__name__ for step in steps)


def _with_code(form: Form) -> str:
    return f", with {', '.join(form.captured.names)} as a module of its own" if form.captured else ""


def _stale(form: Form) -> tuple[str, ...]:
    return () if form.captured is None else form.captured.stale
