"""The explainer of a bundle is made: the estimator, its rows of background, and what the notebook said with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelyard.capture import Captured, CaptureError
from modelyard.errors import ConversionError, InvalidInputError
from modelyard.explanation import explain
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.rows import Rows
from modelyard.explanation.sampling import chosen_background
from modelyard.golden import as_table
from modelyard.packaging import locking
from modelyard.packaging.choosing import Asked
from modelyard.packaging.forms import Form, as_skops, captured_file
from modelyard.packaging.proof import EXPLAINED_WITHIN, refuse_other_explanations
from modelyard.packaging.travelling import BACKGROUND, FOLDER, Travelling, Wish
from modelyard_explainer.__main__ import compared
from modelyard_explainer.carried import load
from modelyard_explainer.responses import response_of
from modelyard_explainer.shuffling import MOST_ASKED, fewer_shuffles
from modelyard_runtime.bundle_format import canonical
from modelyard_runtime.contract import Contract, ContractBroken

_GOLDEN, _ESTIMATOR = f"{FOLDER}/golden.jsonl", f"{FOLDER}/estimator.skops"
_MOST_ROWS, _FEWEST_ROWS = 5_000, 10  # of one request
_ASKED_TO_PROVE, _FEWEST_PROVEN = 500_000, 3
_DIGITS = 12  # the last ones depend on the order of a sum
_ROUNDING = 1e-12


def travelling(asked: Asked, form: Form, contract: Contract, golden: pd.DataFrame, wish: Wish) -> Travelling:
    """Make the explainer of a model, and compare it with what the notebook says of golden rows.

    Raises
    ------
    InvalidInputError
        The model cannot be explained, or the background cannot be.
    ConversionError, CaptureError
        The estimator cannot travel, so that its explanations cannot.
    BundleError
        What travels explains a golden row otherwise than the notebook.
    """
    background, named_rows = _background(asked, contract, wish)
    walk = len(background) * (2 * len(contract.names) + 1)
    shuffles = wish.shuffles or fewer_shuffles(walk)
    model = _Answering(asked.model) if _only_answers(asked.model) else asked.model

    def said(rows: slice) -> Attribution:
        options = {} if wish.explainer is None else {"explainer": wish.explainer}
        found = explain(
            model, asked.table.as_fed(golden), rows=rows, background=asked.table.as_fed(background), seed=wish.seed,
            shuffles=shuffles, **options,
        )  # fmt: skip
        assert isinstance(found, Attribution)
        return found

    first = said(slice(1))
    asks = walk * shuffles if "permutation" in first.explainer.partition(",")[0] else 1
    proven = golden.iloc[: max(_FEWEST_PROVEN, _ASKED_TO_PROVE // asks)]
    whole = said(slice(len(proven)))
    travels = _estimator(asked, form)
    described = {
        "estimator": travels.described,
        "array_dtype": asked.table.array_dtype,
        "background": {"file": BACKGROUND, "rows": len(background)},
        "golden": {"file": _GOLDEN, "rows": len(proven)},
        "seed": wish.seed,
        "shuffles": shuffles,
        "explainer": wish.explainer,
        "response": response_of(model, classifies=whole.is_classifier),
        "outputs": list(whole.outputs),
        "classes": len(whole.outputs) if whole.is_classifier else 0,
        "base_values": [_rounded(value) for value in whole.base_values.tolist()],
        "most_rows": _MOST_ROWS if asks == 1 else max(_FEWEST_ROWS, MOST_ASKED // asks),
    }
    files = {
        **travels.files,
        BACKGROUND: _lines(_rows(background)),
        _GOLDEN: _lines(_explained(proven, whole)),
    }
    usual, parity = _compared(described, {**form.files, **files}, form, travels.captured, contract)
    trusted = sorted(travels.described["trusted_types"]) if travels.described else []
    return Travelling(
        described=described | usual,
        files=files,
        named_rows=named_rows,
        trusted=trusted,
        captured=travels.captured,
        lock=locking.explain_lock(trusted),
        parity=parity,
        keeps=_keeps(background, wish),
    )


def _background(asked: Asked, contract: Contract, wish: Wish) -> tuple[pd.DataFrame, bytes]:
    frame = asked.table.frame
    found, _ = chosen_background(
        wish.background,
        Rows(frame, asked.table.as_fed),
        np.random.default_rng(wish.seed),
        list(frame.columns),
    )
    try:
        found = found.astype(frame.dtypes.to_dict()).reset_index(drop=True)
        table = as_table(found)
        contract.check(table, len(found))
    except (ValueError, TypeError, ContractBroken) as error:
        raise InvalidInputError(
            f"the background is not of the rows that the model takes: {str(error).splitlines()[0]}"
        ) from None
    named = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    return found, _lines(named)


@dataclass(frozen=True)
class _Estimator:
    described: dict[str, Any] | None
    files: Mapping[str, bytes] = field(default_factory=dict)
    captured: Captured | None = None


def _estimator(asked: Asked, form: Form) -> _Estimator:
    """Return the estimator as skops: that of the bundle where it is one, else one of its own."""
    if _only_answers(asked.model):
        return _Estimator(None)
    if form.described["kind"] == "skops":
        module = None if form.captured is None else form.captured.module
        kept = {
            "file": form.described["file"],
            "trusted_types": form.described["trusted_types"],
            "captured": module,
        }
        return _Estimator(kept)
    try:
        content, trusted, captured = as_skops(asked.model, asked.allow_stale)
    except (ConversionError, CaptureError) as error:
        raise type(error)(f"the explainer cannot travel, leave --explain out: {error}") from error
    module = None if captured is None else captured.module
    described = {"file": _ESTIMATOR, "trusted_types": trusted, "captured": module}
    return _Estimator(described, {_ESTIMATOR: content}, captured)


def _only_answers(model: Any) -> bool:
    return bool(getattr(model, "portable_only", False))


class _Answering:
    """A model without an estimator behind it, as `modelyard.explain` asks an endpoint."""

    def __init__(self, model: Any) -> None:
        self.name: str = model.name
        self.columns = [str(name) for name in model.feature_names_in_]
        self.predict = model.predict
        self.classes = None
        if hasattr(model, "classes_") and not hasattr(model, "predict_proba"):
            raise InvalidInputError(
                f"{model.name} gives classes only, and no figure to explain; leave --explain out"
            )
        if hasattr(model, "predict_proba"):
            self.classes = [str(each) for each in model.classes_]
            self.predict_proba = model.predict_proba


def _compared(
    described: dict[str, Any],
    files: Mapping[str, bytes],
    form: Form,
    captured: Captured | None,
    contract: Contract,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what the door's own code, reading what will be written, is, and how it compares with the notebook."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        folder = Path(scratch)
        written = dict(files)
        for each in (form.captured, captured):
            if each is not None:
                written[captured_file(each)] = each.source.encode()
        for name, content in written.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        captured_said = None if form.captured is None else {"module": form.captured.module}
        manifest = {"model": form.described, "explainer": described, "captured": captured_said, "format": 1}
        explainer = load(folder, manifest, contract)
        differences, _ = compared(explainer, folder, described, contract)
    largest = max(differences)
    refuse_other_explanations(largest, "the explainer that would travel")
    words, scale = explainer.usual
    return {"words": words, "scale": scale}, {
        "rows": len(differences),
        "max_absolute": float(f"{largest:.1g}") if largest > _ROUNDING else 0.0,
        "tolerance": EXPLAINED_WITHIN,
    }


def _rows(frame: pd.DataFrame) -> list[list[Any]]:
    return [list(row) for row in zip(*as_table(frame).values(), strict=True)]


def _explained(golden: pd.DataFrame, found: Attribution) -> Iterator[dict[str, Any]]:
    values = found.values.reshape(len(golden), len(found.columns), -1)
    for row, of_row in zip(_rows(golden), values.tolist(), strict=True):
        yield {"row": row, "values": [[_rounded(value) for value in column] for column in of_row]}


def _lines(values: Iterable[Any]) -> bytes:
    return b"".join(canonical(value) + b"\n" for value in values)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _keeps(background: pd.DataFrame, wish: Wish) -> tuple[str, ...]:
    whose = "rows that were given" if hasattr(wish.background, "shape") else "rows of the training table"
    return (f"its explainer carries {len(background)} {whose} as its background",)
