"""Which portable form a bundle gets: ONNX where it is faithful and not slow by far, else the estimator itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from modelyard.conversion import FAILURES
from modelyard.errors import ConversionError, InvalidInputError, ParityError
from modelyard.golden import Outputs, Tolerance, compare, expected
from modelyard.packaging import parity
from modelyard.packaging.forms import Form, as_onnx, as_python
from modelyard.packaging.learning import PolicyChoice, learn_contract
from modelyard.packaging.training_table import TrainingTable
from modelyard_runtime.contract import Contract

TOLERANCE = Tolerance()
COMPARED_ROWS = 20_000

_RIVAL_ERRORS = (*FAILURES, ValueError, TypeError)


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
    reason = "its ONNX form differs on a golden row"
    try:
        yield _faithful_onnx(asked)
    except (ConversionError, ParityError) as error:
        reason = str(error)
    form = as_python(asked.model, asked.table.array_dtype, asked.allow_stale)
    contract = learn_contract(asked.table.frame, asked.policy, asked.nulls, asked.refused)
    stale = () if form.captured is None else form.captured.stale
    yield Candidate(form, contract, (_why_python(form, reason), *stale))


def _faithful_onnx(asked: Asked) -> Candidate:
    """Return the ONNX form and the contract under which it answers as the estimator does.

    Raises
    ------
    ConversionError, ParityError
        There is no ONNX form, it differs on a training row, or the estimator itself is faster by far.
    """
    table, frame = asked.table, asked.table.frame
    form = as_onnx(asked.model, frame)
    contract = learn_contract(frame, asked.policy, asked.nulls, asked.refused)
    try:
        rival = parity.Rival(form, contract)
        found = compare(asked.whole, rival.outputs(frame.head(COMPARED_ROWS)), tolerance=TOLERANCE)
    except _RIVAL_ERRORS as error:
        raise ConversionError(f"its ONNX form does not run ({str(error).splitlines()[0]})") from error
    if not found.ok:
        raise ParityError(f"its ONNX form differs on the training rows ({found.first})")
    if parity.is_slower(asked.model, rival, table):
        raise ConversionError("its ONNX form is more than twice as slow as the estimator itself")

    def differs(row: pd.DataFrame) -> bool:
        try:
            return not parity.measured(asked.model, rival, table, row, TOLERANCE).ok
        except _RIVAL_ERRORS:
            return True

    seen = {name for name in frame.columns if frame[name].isna().any()}
    whole_numbers = [i for i in form.described["inputs"] if i["dtype"] in ("int64", "bool")]
    never = seen | {name for i in whole_numbers for name in i["columns"]}
    null_able = {name for name in asked.nulls - never if not differs(parity.with_null(frame, name))}
    texts = {column.name for column in contract.columns if column.type == "string"}
    odd = {name for name in texts - asked.refused if differs(parity.with_unknown(frame, name))}
    return Candidate(form, learn_contract(frame, asked.policy, null_able, asked.refused | odd), form.notes)


def _why_python(form: Form, reason: str) -> str:
    with_code = f", with {', '.join(form.captured.names)} as a module of its own" if form.captured else ""
    return f"no ONNX: {reason}; the bundle holds the estimator as skops{with_code}"
