"""From a fitted estimator and its training table to a bundle in the store."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from modelyard.catalog import checked_name, find_root, open_yard
from modelyard.conversion import adopt
from modelyard.errors import PackagingWarning, UsageError, did_you_mean, listing
from modelyard.evaluation import Evaluation
from modelyard.explanation import explanations
from modelyard.golden import choose_rows, compare, expected, synthetic_rows
from modelyard.packaging import building, locking, parity, storing
from modelyard.packaging.bundle import Bundle
from modelyard.packaging.choosing import COMPARED_ROWS, TOLERANCE, Asked, Candidate, ask, candidates
from modelyard.packaging.continuous import write_ci
from modelyard.packaging.figures import figures
from modelyard.packaging.gates import check_embedded, check_secrets, kept_rows, known_secrets
from modelyard.packaging.learning import PolicyChoice, learn_profile
from modelyard.packaging.proof import explanations_replayed, replayed, traced
from modelyard.packaging.signing import renew_signature
from modelyard.packaging.sites import child_lock
from modelyard.packaging.tracked import bundle_entry
from modelyard.packaging.training_table import TrainingTable, checked_table
from modelyard.packaging.travelling import Travelling, Wish
from modelyard.packaging.writing import GOLDEN_SOURCES, Draft, captured_by, drafted_files, write_source
from modelyard.progress import Tracker
from modelyard.progress import track as following
from modelyard.tracking import log_or_remark, open_tracking
from modelyard_runtime.bundle_format import MODEL_FOLDER, bundle_digest
from modelyard_runtime.contract import Contract

_GOLDEN_ROWS = 40
_DRAWN = 20  # synthetic rows drawn for each that is chosen
_STEPS = 5


def package(
    model: Any,
    X: Any,
    y: Any,
    name: str,
    policy: PolicyChoice = None,
    golden_rows: int = _GOLDEN_ROWS,
    seed: int = 0,
    allow_stale: bool = False,
    golden: str = "training",
    evaluation: Evaluation | None = None,
    ci: bool = False,
    track: str | None = None,
    explain: bool | Mapping[str, Any] = False,
    card_groups: Any = None,
) -> Bundle:
    """Package a fitted estimator as a bundle in BentoML's store.

    The model goes as ONNX if its ONNX form gives the estimator's labels on every training row (the first
    20,000 of them) and its numbers within 1e-5; else as skops, with the definitions of the notebook that it
    reaches as a module of its own. Either way the golden rows are replayed in a clean process before
    anything enters the store.

    Parameters
    ----------
    model : estimator, ONNX model or torch module
        A fitted scikit-learn classifier, regressor or pipeline, one of LightGBM, XGBoost or CatBoost; an ONNX
        model as a path, bytes or ``ModelProto``; a ``torch.nn.Module``.
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
    allow_stale : bool
        Package definitions whose cells were changed or deleted after they ran; the manifest records it.
    golden : {"training", "synthetic"}
        Where golden rows come from. ``synthetic`` ones are drawn column by column, where no row of the training
        table may travel.
    evaluation : Evaluation, optional
        What `cross_validate` found, for the model card.
    ci : bool
        Also write a pytest file (golden rows and contract) and a GitHub Actions workflow that runs it into the
        project.
    explain : bool or mapping, optional
        Whether the SHAP explainer travels, so that the endpoint answers ``POST /explain`` with the values of
        `modelyard.explain`. As a mapping, its options: ``background`` (rows, or how many of `X`), ``explainer``,
        ``shuffles``. The rows of background are drawn by `seed` as `modelyard.explain` draws them, and travel.
    card_groups : str, list of str, Series or DataFrame, optional
        Columns whose groups the card compares, as ``"sex"`` or ``["sex", "region"]``, or values for each row: on the
        rows that `evaluation` kept out, or without one on the training rows, which the card says.
    track : str, optional
        Also give the bundle's files to a tracking server: ``mlflow:URI``, or ``mlflow`` for ``MLFLOW_TRACKING_URI``.

    Raises
    ------
    NotFittedError, InvalidInputError, InvalidNameError, UsageError
        The model, the table, the name or the policy cannot be used; nothing was written.
    SecretFoundError, EmbeddedDataError
        A key, a token or a password, or rows of a table, would travel; nothing was written.
    CaptureError, StaleCodeError, ConversionError
        Something in it cannot travel, or its cells say something else by now; nothing was written.
    BundleError
        The bundle does not load, or does not reproduce its golden rows, outside the notebook.
    TrackingError
        The tracking server does not answer; nothing was written.

    Warns
    -----
    PackagingWarning
        There is no faithful ONNX form: what that costs.
    """
    checked_name(name, "bundle")
    if golden not in GOLDEN_SOURCES:
        raise UsageError(
            f"golden rows are training or synthetic, found {golden!r}{did_you_mean(golden, GOLDEN_SOURCES)}"
        )
    wish = Wish.of(explain, golden, seed)
    model = adopt(model, X, y)
    table = checked_table(model, X, y)
    tracking = open_tracking(track, find_root().name)
    building.get_ready()
    with following("packaging", _STEPS, "step") as steps:
        steps.advance(note="learning the contract")
        asked = ask(model, table, policy, allow_stale)
        draft = _drafted(
            asked,
            name,
            _Golden(golden, golden_rows, seed),
            _Judged(evaluation, card_groups, seed),
            wish,
            steps,
        )
        _check_gates(draft, table)
        with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch, storing.locked(name):
            draft = replace(draft, lock=_lock(draft, Path(scratch) / "traced"))
            source = Path(scratch) / "source"
            manifest = write_source(draft, source)
            digest = bundle_digest(manifest)
            stored, row_ms, explain_ms = storing.with_digest(name, digest), None, None
            if stored is not None:
                renew_signature(stored.model_folder, source / MODEL_FOLDER)
            else:
                steps.advance(note="replaying the golden rows in a clean process")
                row_ms = replayed(source, f"bundle {name!r}", draft.lock)["row_ms"]
                explain_ms = _explained(draft, source)
                steps.advance(note="building the Bento")
                labels = {"modelyard.digest": digest[:63], "modelyard.format": str(manifest["format"])}
                pins = locking.pins(child_lock(source / MODEL_FOLDER))
                stored = storing.build(name, source, labels, pins)
    remarks = _cost(draft, row_ms)
    for remark in remarks:
        warnings.warn(f"{draft.notes[0]}. {remark}", PackagingWarning, stacklevel=2)
    if explain_ms is not None:
        remarks = (*remarks, f"its explainer travels; one row takes it {explain_ms:.2g} ms")
    bundle = Bundle(stored.name, stored.version, stored.path, remarks)
    if ci:
        written = write_ci(bundle, find_root())
        bundle = replace(bundle, remarks=(*remarks, f"wrote {listing(_within(path) for path in written)}"))
    open_yard().record("bundle", bundle.tag, bundle.payload() | {"path": str(bundle.path)})
    if tracking is not None:
        bundle = replace(bundle, remarks=(*bundle.remarks, log_or_remark(tracking, bundle_entry(bundle))))
    return bundle


@dataclass(frozen=True)
class _Golden:
    """Where golden rows come from, how many, and which."""

    source: str
    limit: int
    seed: int


@dataclass(frozen=True)
class _Judged:
    """By what the card says how good the model is."""

    evaluation: Evaluation | None
    groups: Any
    seed: int


def _within(path: Path) -> str:
    return path.relative_to(find_root()).as_posix()


def _check_gates(draft: Draft, table: TrainingTable) -> None:
    """Refuse what must not travel, before any of it is written.

    Raises
    ------
    SecretFoundError, EmbeddedDataError
    """
    for captured in captured_by(draft):
        check_embedded(captured.source, table.frame)
    check_secrets(drafted_files(draft), known_secrets({find_root(), Path.cwd()}, os.environ))


def _lock(draft: Draft, scratch: Path) -> tuple[str, ...]:
    """Return the lock: fixed for ONNX; for Python, what one replay of the golden rows imports."""
    if draft.form.described["kind"] == "onnx":
        return tuple(locking.runtime_lock())
    write_source(draft, scratch)
    return tuple(locking.traced_lock(traced(scratch, f"bundle {draft.name!r}")))


def _drafted(
    asked: Asked,
    name: str,
    wanted: _Golden,
    judged: _Judged,
    wish: Wish | None,
    steps: Tracker,
) -> Draft:
    model, table = asked.model, asked.table
    steps.advance(note="converting")
    for chosen in candidates(asked):
        steps.advance(note="comparing")
        golden = _golden_rows(asked, chosen.contract, wanted)
        answers = expected(model, table.as_fed(golden))
        found = parity.Rival(chosen.form, chosen.contract).outputs(golden)
        compared = compare(answers, found, tolerance=TOLERANCE)
        if compared.ok:
            break
    return Draft(
        name=name,
        estimator=_described(model),
        parameters=_parameters(model),
        rows=len(table.frame),
        form=chosen.form,
        contract=chosen.contract,
        profile=learn_profile(table.frame, chosen.contract, asked.whole.predictions),
        metrics=_metrics(asked, chosen.form.described["classes"], judged),
        golden=golden,
        golden_source=wanted.source,
        expected=answers,
        parity=compared,
        compared=min(len(table.frame), COMPARED_ROWS),
        tolerance=TOLERANCE,
        notes=chosen.notes,
        keeps=kept_rows(model, len(table.frame)),
        explainer=None if wish is None else _explainer(asked, chosen, golden, wish, steps),
    )


def _metrics(asked: Asked, classes: list[Any] | None, judged: _Judged) -> dict[str, Any]:
    said = figures(asked.whole, asked.table.target, classes, judged.evaluation)
    if judged.groups is None:
        return said
    explanations["fairness"]  # says what to install where fairlearn is missing
    from modelyard.packaging.groups import by_group

    found = by_group(
        judged.groups,
        asked.table,
        asked.whole,
        judged.evaluation,
        judged.seed,
        classifies=classes is not None,
    )
    return said | {"groups": found}


def _explainer(
    asked: Asked, chosen: Candidate, golden: pd.DataFrame, wish: Wish, steps: Tracker
) -> Travelling:
    from modelyard.packaging.explaining import travelling  # shap comes with it

    steps.advance(0, note="explaining the golden rows")
    return travelling(asked, chosen.form, chosen.contract, golden, wish)


def _explained(draft: Draft, source: Path) -> float | None:
    """Return how long the explainer takes for a row, in milliseconds, once its golden rows were explained again."""
    if draft.explainer is None:
        return None
    lock = child_lock(source / MODEL_FOLDER)
    return float(explanations_replayed(source, f"bundle {draft.name!r}", lock)["row_ms"])


def _golden_rows(asked: Asked, contract: Contract, wanted: _Golden) -> pd.DataFrame:
    """Return rows of each class, edge values, and a row for each null and unknown text that the contract lets in."""
    frame, target = asked.table.frame, asked.table.target
    if wanted.source == "synthetic":
        texts = {c.name for c in contract.columns if c.type == "string" and c.categories is None}
        frame = synthetic_rows(frame, texts, rows=_DRAWN * wanted.limit, seed=wanted.seed)
        target = expected(asked.model, asked.table.as_fed(frame)).predictions
    nullable = [c.name for c in contract.columns if c.nullable and not frame[c.name].isna().any()]
    rows = [choose_rows(frame, target, limit=wanted.limit, seed=wanted.seed, nullable=nullable)]
    rows += [
        parity.with_unknown(frame, column.name)
        for column in contract.columns
        if column.categories and column.policy != "reject" and column.dtype != "category"
    ]
    return pd.concat(rows, ignore_index=True) if len(rows) > 1 else rows[0]


def _cost(draft: Draft, row_ms: float | None) -> tuple[str, ...]:
    """Return what it costs that a bundle holds Python; `row_ms` is known where the golden rows were replayed."""
    if draft.form.described["kind"] == "onnx":
        return ()
    versions = locking.pinned(draft.lock)
    pins = [f"{name}=={versions[name]}" for name in ("scikit-learn", "pandas") if name in versions]
    needs = (
        f"That costs: the server needs {' and '.join(pins)} exactly ({len(draft.lock)} distributions in all)"
    )
    alone = "" if draft.form.described["kind"] == "hybrid" else " in Python"
    told = needs if row_ms is None else f"{needs}, and one row takes {row_ms:.2g} ms{alone}"
    return ("; ".join((*draft.form.remarks, told)),)


def _described(model: Any) -> str:
    steps = getattr(model, "steps", None)
    if getattr(model, "portable_only", False):
        return str(model.name)
    if steps is None:
        return type(model).__name__
    return f"{type(model).__name__}({', '.join(type(step).__name__ for _, step in steps)})"


def _parameters(model: Any) -> dict[str, Any]:
    def plain() -> Iterator[tuple[str, Any]]:
        for name, value in sorted(model.get_params(deep=True).items()):
            if value is None or (isinstance(value, bool | int | float | str) and value == value):
                yield name, value

    return dict(plain()) if hasattr(model, "get_params") else {}
