"""One predictor, many doors: rows in, one answer out."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime.bundle_format import CONTRACT, bundle_digest, read_manifest
from modelyard_runtime.contract import Contract, Flag
from modelyard_runtime.metrics import Metrics
from modelyard_runtime.models import load_model


class RequestError(ValueError):
    """A request that is not of the shape asked for; answered with 400."""


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A body of ``POST /predict``: `rows`, or `columns` with `data`."""

    rows: list[dict[str, Any]] | None = None
    columns: list[str] | None = None
    data: list[list[Any]] | None = None

    def table(self) -> tuple[dict[str, list[Any]], int]:
        """Return the values by column, and the number of rows.

        Raises
        ------
        RequestError
            Neither form, both, no row, or rows that do not all have the same columns.
        """
        if self.rows is not None and self.columns is None and self.data is None:
            return _from_rows(self.rows)
        if self.rows is None and self.columns is not None and self.data is not None:
            return _from_columns(self.columns, self.data)
        raise RequestError('send {"rows": [{column: value}, …]} or {"columns": […], "data": [[…], …]}')


def _from_rows(rows: list[dict[str, Any]]) -> tuple[dict[str, list[Any]], int]:
    if not rows:
        raise RequestError("no rows; send at least one")
    names = rows[0].keys()
    for number, row in enumerate(rows):
        if row.keys() != names:
            odd = sorted(row.keys() ^ names)
            raise RequestError(
                f"row {number} differs from row 0 in the columns {', '.join(map(repr, odd[:8]))}"
            )
    return {name: [row[name] for row in rows] for name in names}, len(rows)


def _from_columns(columns: list[str], data: list[list[Any]]) -> tuple[dict[str, list[Any]], int]:
    if not data:
        raise RequestError("no rows; send at least one")
    if len(set(columns)) != len(columns):
        raise RequestError("a column is named twice")
    for number, row in enumerate(data):
        if len(row) != len(columns):
            raise RequestError(f"row {number} has {len(row)} values for {len(columns)} columns")
    return dict(zip(columns, map(list, zip(*data, strict=True)), strict=True)), len(data)


class Answer(msgspec.Struct):
    """An answer in the shape of every HTTP door."""

    id: str
    variant: str
    predictions: list[Any]
    probabilities: list[dict[str, float]] | None
    flags: list[Flag]


def class_key(label: Any) -> str:
    """Return the name of a class in JSON: ``true``, not ``True``; else its text."""
    return str(label).lower() if isinstance(label, bool) else str(label)


class Predictor:
    """A bundle that is checked, loaded and ready to answer.

    Parameters
    ----------
    folder : Path
        The bundle's ``model/`` folder; every file's digest is checked before anything is loaded.
    variant : str
        The name under which answers and metrics go, such as ``v3``.
    """

    def __init__(self, folder: Path, variant: str = "v1") -> None:
        self.manifest = read_manifest(folder)
        self.manifest["digest"] = bundle_digest(self.manifest)
        self.variant = variant
        self.contract = Contract.from_json(msgspec.json.decode((folder / CONTRACT).read_bytes()))
        self.metrics = Metrics(self.manifest["name"], variant)
        self._model = load_model(folder, self.manifest, self.contract)
        classes = self.manifest["model"]["classes"]
        self._classes = None if classes is None else [class_key(label) for label in classes]
        self._boolean = bool(classes) and all(isinstance(label, bool) for label in classes)

    def outputs(
        self, table: dict[str, list[Any]], rows: int
    ) -> tuple[list[Any], np.ndarray | None, list[Flag]]:
        """Check and predict; return the labels or values, probabilities (rows, classes), and flags.

        Raises
        ------
        ContractBroken
            The rows break the contract.
        """
        checked, flags = self.contract.check(table, rows)
        labels, probabilities = self._model(checked, rows)
        predictions = labels.tolist()
        return ([bool(p) for p in predictions] if self._boolean else predictions), probabilities, flags

    def answer(self, request: PredictRequest) -> Answer:
        """Answer one request.

        Raises
        ------
        RequestError, ContractBroken
            The request has no shape that is known, or its rows break the contract.
        """
        started = time.perf_counter()
        table, rows = request.table()
        predictions, probabilities, flags = self.outputs(table, rows)
        named = None
        if probabilities is not None and self._classes is not None:
            named = [dict(zip(self._classes, row, strict=True)) for row in probabilities.tolist()]
        self.metrics.answered(rows, [flag.column for flag in flags], time.perf_counter() - started)
        return Answer(uuid.uuid4().hex, self.variant, predictions, named, flags)
