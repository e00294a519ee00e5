"""Another contract for a packaged model: the next version of its bundle, with the same model in it.

The proof of a bundle is its golden rows, and they were answered by the estimator, which is not at hand any more. So a
change keeps those golden rows that mean the same under the new contract, lets the model see nothing that packaging
did not prove it to take, save for numbers past the range of training, and replays what is left in a clean process.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.catalog import open_yard
from modelyard.errors import BundleError, UsageError
from modelyard.packaging import locking, storing
from modelyard.packaging.bundle import Bundle
from modelyard.packaging.bundle import bundle as find_bundle
from modelyard.packaging.card import CARD, card
from modelyard.packaging.contract_change import Change, told
from modelyard.packaging.contract_view import CHANGED, ContractView, view
from modelyard.packaging.proof import explanations_replayed, replayed
from modelyard.packaging.sites import child_lock
from modelyard.packaging.writing import contract_text
from modelyard.progress import track
from modelyard_runtime import bundle_format
from modelyard_runtime.bundle_format import CONTRACT, GOLDEN, MANIFEST, MODEL_FOLDER, PROFILE, bundle_digest
from modelyard_runtime.contract import Column, Contract, ContractBroken
from modelyard_runtime.models import load_model

_COLUMNS_OF_CARD = re.compile(r"^## Columns$.*?(?=\n## |\Z)", re.MULTILINE | re.DOTALL)
_CHANGEABLE = ("nullable", "policy", "minimum", "maximum", "categories")
_UNKNOWN = "modelyard-unknown-category"
_MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)
_ITSELF = ("skops", "pickle")  # the estimator, and no conversion of it
_STEPS = 2


def contract(
    bundle: Bundle | str,
    policy: str | Mapping[str, str] | None = None,
    allow: Mapping[str, Sequence[Any]] | None = None,
    nullable: Mapping[str, bool] | None = None,
) -> ContractView:
    """Show the contract of a bundle; or change it, which makes the bundle's next version.

    Model, code, lock, profile and parity report of the new version are those of the old one, byte for byte. The golden
    rows that mean something else under the new contract are left out of it. What runs with the old version goes
    on as it is.

    Parameters
    ----------
    bundle : Bundle or str
        The bundle, or its tag: ``churn`` (newest) or ``churn:3``.
    policy : {"flag", "clip", "reject"} or mapping of column to policy, optional
        For all columns, or for some. One for all leaves those at ``reject`` whose unknown texts the model is not
        proven to take; for a column that is named, this is an error.
    allow : mapping, optional
        By column: ``(low, high)`` in the place of the learned range, or all its categories in the place of the
        learned ones.
    nullable : mapping of column to bool, optional
        ``False`` refuses a null; ``True`` takes it again where the packaged bundle did.

    Returns
    -------
    ContractView
        Its `bundle` is the version that holds this contract: the same one where nothing changes, an existing one
        where the same change was made before.

    Raises
    ------
    UnknownNameError
        There is no such bundle, or no such column.
    UsageError
        The change makes no sense for a column, the model is not proven to take what it would let in, or no golden
        row would be left.
    BundleError
        The bundle is damaged, or does not reproduce its golden rows here. Nothing was written.
    """
    chosen = find_bundle(bundle) if isinstance(bundle, str) else bundle
    if not isinstance(chosen, Bundle):
        raise BundleError(
            f"contract takes a bundle or its name, found {type(bundle).__name__}; "
            "package the model first: %package MODEL X y --name NAME"
        )
    chosen.check()
    change = Change(policy, allow or {}, nullable or {})
    return _changed(chosen, change) if change else view(chosen)


def _changed(bundle: Bundle, change: Change) -> ContractView:
    first = _first(bundle)
    learned = first.contract
    wished = change.applied(bundle.contract, learned, bundle.tag)
    wished, remarks = _proven(bundle, wished, learned, change)
    if wished == bundle.contract:
        return view(bundle, (*remarks, f"nothing changes: {bundle.tag} says so already"))
    rows, kept = _golden_rows(first, wished)
    if not kept:
        raise UsageError(
            f"none of the {len(rows)} golden rows of {bundle.tag} fits this contract, so nothing would prove it; "
            "allow more"
        )
    note = f"{CHANGED}{bundle.tag}: {told(bundle.contract, wished, learned)}"
    if len(kept) < len(rows):
        note += f"; {len(kept)} of {len(rows)} golden rows fit that and are kept"
    stored = _stored(bundle, wished, kept, note)
    amended = Bundle(stored.name, stored.version, stored.path)
    open_yard().record("bundle", amended.tag, amended.payload() | {"path": str(amended.path)})
    return view(amended, (*remarks, *_still_serving(amended)))


def _first(bundle: Bundle) -> Bundle:
    """Return the bundle that was packaged, of which this one is a change, or the oldest of that line still in store.

    It has the most golden rows, and its contract is the one that packaging proved.
    """
    found = bundle
    while (digest := found.manifest.get("amends")) is not None:
        stored = storing.with_digest(found.name, digest)
        if stored is None:
            break
        earlier = Bundle(stored.name, stored.version, stored.path)
        try:
            earlier.check()
        except BundleError:
            break
        if _unchanged(earlier) != _unchanged(bundle):
            break
        found = earlier
    return found


def _unchanged(bundle: Bundle) -> dict[str, str]:
    """Return the digests of the files that a change leaves as they are."""
    files = bundle.manifest["files"].items()
    return {name: entry["sha256"] for name, entry in files if name not in (CONTRACT, GOLDEN, CARD)}


# --- what the model may see


def _proven(
    bundle: Bundle, wished: Contract, learned: Contract, change: Change
) -> tuple[Contract, tuple[str, ...]]:
    """Return the contract with ``reject`` left where nothing proves that the model takes more, and why it is."""
    pairs = zip(wished.columns, learned.columns, strict=True)
    strange = {column.name: texts for column, old in pairs if (texts := _strange_texts(column, old))}
    if not strange:
        return wished, ()
    failing = _failing(bundle, wished, strange)
    reasons: dict[str, str] = {}
    for name, texts in strange.items():
        what = f"an unknown {name!r}" if _UNKNOWN in texts else f"{texts[0]!r} in {name!r}"
        if name in failing:
            reasons[name] = f"the model itself fails on {what}; it stays reject"
        elif bundle.manifest["model"]["kind"] not in _ITSELF:
            reasons[name] = (
                f"that the model in ONNX answers {what} as the estimator does was not proven, because {name!r} was "
                "packaged with the policy reject; package the model again with --policy flag"
            )
        if name in reasons and name in change.named:
            raise UsageError(reasons[name])
    columns = zip(wished.columns, bundle.contract.columns, strict=True)
    kept = (replace(c, policy=before.policy) if c.name in reasons else c for c, before in columns)
    return Contract(tuple(kept)), tuple(reasons.values())


def _strange_texts(column: Column, learned: Column) -> tuple[str, ...]:
    """Return texts that a column would let through, and the one that was proven did not."""
    if column.type != "string" or learned.categories is None or learned.policy != "reject":
        return ()
    added = [text for text in column.categories or () if text not in set(learned.categories)]
    return (*added, *(() if column.policy == "reject" else (_UNKNOWN,)))


def _failing(bundle: Bundle, wished: Contract, strange: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the columns in which the model fails on one of these texts, its other values being a golden row's."""
    from modelyard.conversion import FAILURES

    try:
        model = load_model(bundle.model_folder, bundle.manifest, wished)
    except (bundle_format.BundleError, ImportError) as error:
        raise BundleError(f"bundle {bundle.tag} cannot be loaded here: {error}") from None
    (row, *_), _ = bundle.golden()

    def fails(name: str, text: str) -> bool:
        try:
            labels, _ = model({column: [value] for column, value in (row | {name: text}).items()}, 1)
        except (*FAILURES, *_MODEL_ERRORS):
            return True
        return labels.dtype.kind in "fc" and not math.isfinite(abs(labels[0]))

    return frozenset(name for name, texts in strange.items() if any(fails(name, text) for text in texts))


def _golden_rows(first: Bundle, wished: Contract) -> tuple[list[str], list[str]]:
    """Return the lines of the golden rows, and those which the new contract neither refuses nor moves."""
    lines = (first.model_folder / GOLDEN).read_text(encoding="utf-8").splitlines()

    def fitting() -> Iterator[str]:
        for line in lines:
            row = bundle_format.golden_row(json.loads(line), first.contract.names)
            table = {name: [value] for name, value in row.items()}
            try:
                checked, _ = wished.check(table, 1)
            except ContractBroken:
                continue
            if checked == table:
                yield line

    return lines, list(fitting())


# --- the next version


def _stored(bundle: Bundle, wished: Contract, golden: Sequence[str], note: str) -> storing.Stored:
    from modelyard.packaging.signing import renew_signature

    with (
        track("changing the contract", _STEPS, "step") as steps,
        tempfile.TemporaryDirectory(prefix="modelyard-") as scratch,
        storing.locked(bundle.name),
    ):
        source = Path(scratch) / "source"
        manifest = _write_source(bundle, wished, golden, note, source)
        digest = bundle_digest(manifest)
        if (stored := storing.with_digest(bundle.name, digest)) is not None:
            renew_signature(stored.model_folder, source / MODEL_FOLDER)
            return stored
        steps.advance(note="replaying the golden rows in a clean process")
        replayed(source, f"the changed {bundle.tag}", bundle.lock)
        if "explainer" in manifest:
            explanations_replayed(source, f"the changed {bundle.tag}", child_lock(source / MODEL_FOLDER))
        steps.advance(note="building the Bento")
        labels = {"modelyard.digest": digest[:63], "modelyard.format": str(manifest["format"])}
        return storing.build(bundle.name, source, labels, locking.pins(child_lock(source / MODEL_FOLDER)))


def _write_source(
    bundle: Bundle, wished: Contract, golden: Sequence[str], note: str, source: Path
) -> dict[str, Any]:
    """Write the Bento's source: what the manifest of `bundle` names, and nothing else of it; return the manifest."""
    from modelyard.packaging.signing import sign

    manifest: dict[str, Any] = json.loads((bundle.model_folder / MANIFEST).read_bytes())
    manifest["amends"] = bundle.digest
    manifest["notes"] = [*manifest.get("notes", ()), note]
    old, runtime, target = bundle.path / "src", Path(bundle_format.RUNTIME_FOLDER), source / MODEL_FOLDER
    for package in ("modelyard_runtime", *(["modelyard_explainer"] if "explainer" in manifest else [])):
        shutil.copytree(
            old / runtime / package,
            source / runtime / package,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        )
    shutil.copyfile(old / bundle_format.SERVICE, source / bundle_format.SERVICE)
    for name in manifest["files"]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.model_folder / name, target / name)
    if "golden" in manifest:
        manifest["golden"]["rows"] = len(golden)
    written = {
        CONTRACT: _contract_json(bundle, wished),
        GOLDEN: "".join(f"{line}\n" for line in golden),
        CARD: _card(bundle, wished, manifest),
    }
    for name, text in written.items():
        (target / name).write_bytes(text.encode())
        manifest["files"][name]["sha256"] = bundle_format.digest(text.encode())
    manifest["files"][CONTRACT]["source"] = "learned from the training table, then changed: see notes"
    (target / MANIFEST).write_bytes(bundle_format.canonical(manifest))
    (target / bundle_format.SIGNATURE).write_bytes(sign(manifest))
    return manifest


def _contract_json(bundle: Bundle, wished: Contract) -> str:
    """Return the file as it was but for what may change: an older runtime must know every key in it."""
    written = json.loads((bundle.model_folder / CONTRACT).read_bytes())
    for entry, column in zip(written["columns"], wished.columns, strict=True):
        facts = {name: getattr(column, name) for name in _CHANGEABLE}
        entry.update({name: fact for name, fact in facts.items() if fact is not None})
    return contract_text(written)


def _card(bundle: Bundle, wished: Contract, manifest: dict[str, Any]) -> str:
    if "metrics" in manifest:
        profile = json.loads((bundle.model_folder / PROFILE).read_bytes())
        return card(manifest, wished, profile)
    from modelyard_templates import render

    # packaged before cards had metrics: what cannot be written anew stays as it is
    changes = [note for note in manifest["notes"] if note.startswith(CHANGED)]
    section = render("bundle/columns.md.j2", columns=wished.columns, changes=changes)
    text = (bundle.model_folder / CARD).read_text(encoding="utf-8")
    return _COLUMNS_OF_CARD.sub(lambda _: section, text, count=1)


def _still_serving(amended: Bundle) -> Iterator[str]:
    """Yield, for each deployment of another version, what to type."""
    for record in open_yard().records("deployment"):
        served = str(record.payload.get("bundle"))
        if served.partition(":")[0] == amended.name and served != amended.tag:
            named = "" if record.name == amended.name else f" --name {record.name}"
            yield (
                f"deployment {record.name!r} still holds {served}; type: "
                f"%deploy {amended.tag} --to {record.payload['target']}{named} --replace"
            )
