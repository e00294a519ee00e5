"""One predictor, many doors: rows in, one answer out."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime.bundle_format import CONTRACT, PROFILE, bundle_digest, read_manifest
from modelyard_runtime.child import ChildModel, load
from modelyard_runtime.contract import Contract, Flag
from modelyard_runtime.decoding import Decoder, Feed
from modelyard_runtime.metrics import Metrics, state_folder
from modelyard_runtime.models import Model, OnnxModel, Outputs
from modelyard_runtime.profile import ProfileBins
from modelyard_runtime.recording import Recorder
from modelyard_runtime.schema import example_row

_LOGGED_ROWS = 10_000


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
    state : Path, optional
        Where the workers of one endpoint keep counters and the prediction log; by default ``$MODELYARD_STATE``.
        Without one, nothing is logged and counters are this process's own.
    site : Path, optional
        From where the child process of a model that holds Python imports its lock; by default ``$MODELYARD_SITE``.
        Without one, the model runs in this process.
    load : callable, optional
        What loads the model of a checked manifest, as `modelyard_runtime.child.load` does.
    """

    def __init__(
        self,
        folder: Path,
        variant: str = "v1",
        *,
        state: Path | None = None,
        site: Path | None = None,
        load: Callable[..., Model] = load,
    ) -> None:
        self.folder, self.site = folder, site
        self.manifest = read_manifest(folder)
        self.manifest["digest"] = bundle_digest(self.manifest)
        self.variant = variant
        self.contract = Contract.from_json(msgspec.json.decode((folder / CONTRACT).read_bytes()))
        self._model = load(folder, self.manifest, self.contract, site)
        described = self.manifest["model"]
        classes = described["classes"]
        self._classes: list[str] | None = None if classes is None else [class_key(label) for label in classes]
        self._boolean = bool(classes) and all(isinstance(label, bool) for label in classes)
        profile = msgspec.json.decode((folder / PROFILE).read_bytes()) if (folder / PROFILE).is_file() else {}
        bins = ProfileBins(profile)
        state = state or state_folder()
        labels = [] if classes is None else list(zip(classes, self._classes or (), strict=True))
        self.metrics = Metrics(
            self.manifest["name"], variant, self.manifest["digest"],
            classes=labels, columns=self.contract.names, bins=bins.names, folder=state,
        )  # fmt: skip
        fed = isinstance(self._model, OnnxModel)
        self.recorder = Recorder(
            self.metrics, bins, described["inputs"] if fed else (), described.get("null_string", ""), state
        )
        self._decode = msgspec.json.Decoder(PredictRequest).decode
        self._new_id = _ids()
        #: The short cut for rows that keep the contract; only a model that is one graph has it.
        self.fast = Fast(self, self._model) if isinstance(self._model, OnnxModel) else None

    def close(self) -> None:
        """Write what waits, and end the model's process if it has one."""
        self.recorder.stop()
        if isinstance(self._model, ChildModel):
            self._model.close()

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
        return self.plain(labels), probabilities, flags

    def answer(self, body: bytes) -> Answer:
        """Answer a JSON body of ``POST /predict``.

        Raises
        ------
        RequestError, ContractBroken, msgspec.DecodeError
            The request has no shape that is known, or its rows break the contract.
        """
        started = time.perf_counter()
        decoded = None if self.fast is None else self.fast.decode(body)
        if self.fast is None or decoded is None:
            table, rows = self._decode(body).table()
            return self._answered(table, rows, started)
        feed, rows = decoded
        return self.fast.answer(self.fast.run(feed, rows), feed, rows, started)

    def answer_table(self, table: dict[str, list[Any]], rows: int) -> Answer:
        """Answer rows that a door has decoded into lists by column.

        Raises
        ------
        ContractBroken
            The rows break the contract.
        """
        answer = self._answered(table, rows, time.perf_counter())
        if self.recorder.log is not None:
            self.recorder.log.add(_as_json(table, rows), msgspec.json.encode(answer))
        return answer

    def _answered(self, table: dict[str, list[Any]], rows: int, started: float) -> Answer:
        predictions, probabilities, flags = self.outputs(table, rows)
        answer = self.put(predictions, probabilities, flags)
        self.recorder.looked_at(table, answer, rows, time.perf_counter() - started)
        return answer

    def plain(self, labels: np.ndarray) -> list[Any]:
        """Return labels or values as JSON has them."""
        predictions: list[Any] = labels.tolist()
        return [bool(p) for p in predictions] if self._boolean else predictions

    def put(self, predictions: list[Any], probabilities: np.ndarray | None, flags: list[Flag]) -> Answer:
        """Return what is answered, under an id of its own."""
        named = None
        if probabilities is not None and self._classes is not None:
            classes = self._classes
            named = [dict(zip(classes, row, strict=True)) for row in probabilities.tolist()]
        return Answer(self._new_id(), self.variant, predictions, named, flags)


class Fast:
    """The short cut through a predictor, in three steps so that a door may run several requests at once.

    Attributes
    ----------
    decode : callable
        A body to a feed and its number of rows, or ``None`` where the thorough way must look at it.
    run : callable
        A feed and its number of rows to labels and probabilities.
    sample : mapping or None
        A feed of one row, to measure with.
    """

    def __init__(self, predictor: Predictor, model: OnnxModel) -> None:
        described = predictor.manifest["model"]
        self.decode = Decoder(predictor.contract, described["inputs"], described["null_string"])
        self.run = model.run
        self._predictor = predictor
        self._note = predictor.recorder.fed
        example = msgspec.json.encode({"rows": [example_row(predictor.contract)]})
        decoded = self.decode(example)
        self.sample = None if decoded is None else decoded[0]

    def answer(self, found: Outputs, feed: Feed, rows: int, started: float) -> Answer:
        """Return what is answered to a feed, and note it; `started` is when its body had arrived."""
        labels, probabilities = found
        answer = self._predictor.put(self._predictor.plain(labels), probabilities, [])
        self._note(feed, answer, rows, time.perf_counter() - started)
        return answer


def _as_json(table: dict[str, list[Any]], rows: int) -> bytes:
    """Return rows as the prediction log has them; of very many, the first ones and how many there were."""
    names = list(table)
    data = list(zip(*(table[name][:_LOGGED_ROWS] for name in names), strict=True))
    more = {} if rows <= _LOGGED_ROWS else {"of_rows": rows}
    return msgspec.json.encode({"columns": names, "data": data, **more})


def _ids() -> Callable[[], str]:
    """Return a function that gives ids that no other process gives: random, then counted up."""
    prefix = os.urandom(8).hex()
    following = itertools.count(1).__next__
    return lambda: f"{prefix}{following():012x}"
