"""From a fitted estimator and its training table to a bundle in the store."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from modelyard.catalog import checked_name, open_yard
from modelyard.errors import ConversionError, InvalidInputError, PackagingWarning, ParityError
from modelyard.golden import Outputs, Tolerance, choose_rows, compare, expected
from modelyard.packaging import locking, parity, storing
from modelyard.packaging.bundle import Bundle
from modelyard.packaging.forms import Form, as_onnx, as_python
from modelyard.packaging.learning import PolicyChoice, learn_contract, learn_profile
from modelyard.packaging.proof import replayed, traced
from modelyard.packaging.signing import renew_signature
from modelyard.packaging.training_table import TrainingTable, checked_table
from modelyard.packaging.writing import Draft, write_source
from modelyard.progress import Tracker, track
from modelyard_runtime.bundle_format import MODEL_FOLDER, bundle_digest
from modelyard_runtime.contract import Contract

_TOLERANCE = Tolerance()
_COMPARED_ROWS = 20_000
_GOLDEN_ROWS = 64
_STEPS = 5

_RIVAL_ERRORS = (
    onnx_errors.Fail, onnx_errors.InvalidArgument, onnx_errors.InvalidGraph, onnx_errors.NotImplemented,
    onnx_errors.RuntimeException, ValueError, TypeError,
)  # fmt: skip


def package(
    model: Any,
    X: Any,
    y: Any,
    name: str,
    policy: PolicyChoice = None,
    golden_rows: int = _GOLDEN_ROWS,
    seed: int = 0,
) -> Bundle:
    """Package a fitted estimator as a bundle in BentoML's store.

    The model goes as ONNX if its ONNX form gives the estimator's labels on every training row (the first
    20,000 of them) and its numbers within 1e-5; else as skops; else, where code of the notebook is in it,
    pickled by value with a trust decision in the manifest. Either way the golden rows are replayed in a
    clean process before anything enters the store.

    Parameters
    ----------
    model : estimator
        A fitted scikit-learn classifier, regressor or pipeline.
    X : DataFrame or array of shape (n, columns)
        The table it was trained on; the contract is learned from it.
    y : array-like of shape (n,)
        The target, by which the golden rows are stratified.
    name : str
        The bundle's name; versions count up from 1, and the same model packaged again is the same version.
    policy : {"flag", "clip", "reject"} or mapping of column to policy, optional
        What the endpoint does with a value of the right type that training never saw; ``flag`` by default.
    golden_rows : int
        How many training rows to keep as golden rows, before edge values and nulls are added.
    seed : int
        Decides which rows these are.

    Raises
    ------
    NotFittedError, InvalidInputError, InvalidNameError, UsageError
        The model, the table, the name or the policy cannot be used; nothing was written.
    BundleError
        The bundle does not load, or does not reproduce its golden rows, outside the notebook.

    Warns
    -----
    PackagingWarning
        There is no faithful ONNX form: what that costs.
    """
    checked_name(name, "bundle")
    table = checked_table(model, X, y)
    with track("packaging", _STEPS, "step") as steps:
        draft = _drafted(name, model, table, policy, golden_rows, seed, steps)
        with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch, storing.locked(name):
            draft = replace(draft, lock=_lock(draft, Path(scratch) / "traced"))
            source = Path(scratch) / "source"
            manifest = write_source(draft, source)
            digest = bundle_digest(manifest)
            stored, row_ms = storing.with_digest(name, digest), None
            if stored is not None:
                renew_signature(stored.model_folder, source / MODEL_FOLDER)
            else:
                steps.advance(note="replaying the golden rows in a clean process")
                row_ms = replayed(source, f"bundle {name!r}", draft.lock)["row_ms"]
                steps.advance(note="building the Bento")
                labels = {"modelyard.digest": digest[:63], "modelyard.format": str(manifest["format"])}
                stored = storing.build(name, source, labels, locking.pins(draft.lock))
    remarks = _cost(draft, row_ms)
    for remark in remarks:
        warnings.warn(f"{draft.notes[0]}. {remark}", PackagingWarning, stacklevel=2)
    bundle = Bundle(stored.name, stored.version, stored.path, remarks)
    open_yard().record("bundle", bundle.tag, bundle.payload() | {"path": str(bundle.path)})
    return bundle


@dataclass(frozen=True)
class _Chosen:
    """A form that may be served, with the contract under which it is faithful."""

    form: Form
    contract: Contract
    notes: tuple[str, ...] = ()


def _lock(draft: Draft, scratch: Path) -> tuple[str, ...]:
    """Return the lock: fixed for ONNX; for Python, what one replay of the golden rows imports."""
    if draft.form.described["kind"] == "onnx":
        return tuple(locking.runtime_lock())
    write_source(draft, scratch)
    return tuple(locking.traced_lock(traced(scratch, f"bundle {draft.name!r}")))


def _drafted(
    name: str,
    model: Any,
    table: TrainingTable,
    policy: PolicyChoice,
    golden_rows: int,
    seed: int,
    steps: Tracker,
) -> Draft:
    steps.advance(note="learning the contract")
    learned = learn_contract(table.frame, policy, (), ())  # what cannot be learned is said before long work
    try:
        nulls = parity.accepted_nulls(model, table)
        refused = parity.refused_categories(model, table)
        whole = expected(model, table.as_fed(table.frame.head(_COMPARED_ROWS)))
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
    steps.advance(note="converting")
    chosen = _chosen(model, table, policy, nulls, refused, whole)
    steps.advance(note="comparing")
    golden = _golden_rows(table, chosen.contract, learned, golden_rows, seed)
    wanted = expected(model, table.as_fed(golden))
    found = parity.Rival(chosen.form, chosen.contract).outputs(golden)
    compared = compare(wanted, found, tolerance=_TOLERANCE)
    return Draft(
        name=name,
        estimator=_described(model),
        parameters=_parameters(model),
        rows=len(table.frame),
        form=chosen.form,
        contract=chosen.contract,
        profile=learn_profile(table.frame, chosen.contract, whole.predictions),
        golden=golden,
        expected=wanted,
        parity=compared,
        compared=min(len(table.frame), _COMPARED_ROWS),
        tolerance=_TOLERANCE,
        notes=chosen.notes,
    )


def _chosen(
    model: Any,
    table: TrainingTable,
    policy: PolicyChoice,
    nulls: frozenset[str],
    refused: frozenset[str],
    whole: Outputs,
) -> _Chosen:
    try:
        return _faithful_onnx(model, table, policy, nulls, refused, whole)
    except (ConversionError, ParityError) as error:
        form = as_python(model, table.array_dtype)
        contract = learn_contract(table.frame, policy, nulls, refused)
        return _Chosen(form, contract, (_why_python(form, str(error)),))


def _faithful_onnx(
    model: Any,
    table: TrainingTable,
    policy: PolicyChoice,
    nulls: frozenset[str],
    refused: frozenset[str],
    whole: Outputs,
) -> _Chosen:
    """Return the ONNX form and the contract under which it answers as the estimator does.

    Raises
    ------
    ConversionError, ParityError
        There is no ONNX form, it differs on a training row, or the estimator itself is faster by far.
    """
    form = as_onnx(model, table.frame)
    contract = learn_contract(table.frame, policy, nulls, refused)
    try:
        rival = parity.Rival(form, contract)
        found = compare(whole, rival.outputs(table.frame.head(_COMPARED_ROWS)), tolerance=_TOLERANCE)
    except _RIVAL_ERRORS as error:
        raise ConversionError(f"its ONNX form does not run ({str(error).splitlines()[0]})") from error
    if not found.ok:
        raise ParityError(f"its ONNX form differs on the training rows ({found.first})")
    if parity.is_slower(model, rival, table):
        raise ConversionError("its ONNX form is more than twice as slow as the estimator itself")

    def differs(row: pd.DataFrame) -> bool:
        try:
            return not parity.measured(model, rival, table, row, _TOLERANCE).ok
        except _RIVAL_ERRORS:
            return True

    seen = {name for name in table.frame.columns if table.frame[name].isna().any()}
    exact = {
        entry for i in form.described["inputs"] if i["dtype"] in ("int64", "bool") for entry in i["columns"]
    }
    null_able = {name for name in nulls - seen - exact if not differs(parity.with_null(table.frame, name))}
    texts = {column.name for column in contract.columns if column.type == "string"}
    odd = {name for name in texts - refused if differs(parity.with_unknown(table.frame, name))}
    return _Chosen(form, learn_contract(table.frame, policy, null_able, refused | odd), form.notes)


def _golden_rows(
    table: TrainingTable, contract: Contract, seen: Contract, limit: int, seed: int
) -> pd.DataFrame:
    """Return training rows, edge values, and a row for each null and unknown text that the contract lets in."""
    before = {column.name: column.nullable for column in seen.columns}
    nullable = [c.name for c in contract.columns if c.nullable and not before[c.name]]
    rows = [choose_rows(table.frame, table.target, limit=limit, seed=seed, nullable=nullable)]
    rows += [
        parity.with_unknown(table.frame, column.name)
        for column in contract.columns
        if column.categories and column.policy != "reject" and column.dtype != "category"
    ]
    return pd.concat(rows, ignore_index=True) if len(rows) > 1 else rows[0]


def _why_python(form: Form, reason: str) -> str:
    if form.described["kind"] == "skops":
        return f"no ONNX: {reason}; the bundle holds the estimator as skops"
    code = ", ".join((form.trust or {})["code"]) or "the estimator"
    return f"no ONNX: {reason}; the bundle holds a pickle, with {code} by value, which its manifest says is trusted"


def _cost(draft: Draft, row_ms: float | None) -> tuple[str, ...]:
    """Return what it costs that a bundle holds Python; `row_ms` is known where the golden rows were replayed."""
    if draft.form.described["kind"] == "onnx":
        return ()
    versions = locking.pinned(draft.lock)
    pins = [f"{name}=={versions[name]}" for name in ("scikit-learn", "pandas") if name in versions]
    needs = (
        f"That costs: the server needs {' and '.join(pins)} exactly ({len(draft.lock)} distributions in all)"
    )
    return (needs if row_ms is None else f"{needs}, and one row takes {row_ms:.2g} ms in Python",)


def _described(model: Any) -> str:
    steps = getattr(model, "steps", None)
    if steps is None:
        return type(model).__name__
    return f"{type(model).__name__}({', '.join(type(step).__name__ for _, step in steps)})"


def _parameters(model: Any) -> dict[str, Any]:
    def plain() -> Iterator[tuple[str, Any]]:
        for name, value in sorted(model.get_params(deep=True).items()):
            if value is None or (isinstance(value, bool | int | float | str) and value == value):
                yield name, value

    return dict(plain()) if hasattr(model, "get_params") else {}
