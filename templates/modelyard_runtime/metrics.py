"""What is counted of one variant, for Prometheus: the same on every worker of an endpoint."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from modelyard_runtime.bundle_format import canonical, digest
from modelyard_runtime.cells import Cells

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATE_FOLDER = "MODELYARD_STATE"

#: Upper bounds of the latency histogram, in seconds.
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
_SECONDS_SUM, _ROWS_SUM = len(SECONDS) + 1, len(_ROWS) + 1  # where a histogram's last cell is
#: Statuses that are counted by themselves.
STATUSES = (200, 400, 401, 404, 405, 408, 413, 415, 422, 429, 500, 503)
_OTHER = "other"
#: Paths that are counted by name; those of a protocol count as its first part, and a stranger's as ``other``.
_PATHS = (
    "/predict",
    "/feedback",
    "/explain",
    "/schema",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1",
    "/v2",
    _OTHER,
)
_PREDICTING = tuple(_PATHS.index(path) for path in ("/predict", "/v1", "/v2"))


def state_folder() -> Path | None:
    """Return the folder that the workers of this endpoint share, if the environment names one."""
    named = os.environ.get(STATE_FOLDER)
    return Path(named) if named else None


class Metrics:
    """The counters of one variant.

    Parameters
    ----------
    bundle, variant : str
        The labels that every sample bears.
    digest_of_bundle : str
        Other digests have other classes and columns: their files are not added up with these.
    classes : sequence of (object, str)
        The label and the name of each class; empty for regression.
    columns : sequence of str
        The columns whose flags are counted.
    bins : sequence of (str, str)
        Column and bin of each drift counter; see `modelyard_runtime.profile`.
    folder : Path, optional
        Where the workers of this endpoint meet.
    """

    def __init__(
        self,
        bundle: str,
        variant: str,
        digest_of_bundle: str,
        *,
        classes: Sequence[tuple[Any, str]] = (),
        columns: Sequence[str] = (),
        bins: Sequence[tuple[str, str]] = (),
        folder: Path | None = None,
    ) -> None:
        self._labels = {"bundle": bundle, "variant": variant}
        statuses = [str(status) for status in (*STATUSES, 0)]
        self._requests = _Counters("modelyard_requests", "Requests by path and HTTP status", ("path", "status"),
                                   [(path, status) for path in _PATHS for status in statuses])  # fmt: skip
        self._rows = _Counters("modelyard_rows", "Rows predicted", (), [()])
        self._predictions = _Counters("modelyard_predictions", "Predictions by class", ("class",),
                                      [(name,) for _, name in classes])  # fmt: skip
        self._flags = _Counters("modelyard_flags", "Values outside what training saw", ("column",),
                                [(name,) for name in columns])  # fmt: skip
        self._values = _Counters("modelyard_values", "Values by column and bin of the reference profile",
                                 ("column", "bin"), bins)  # fmt: skip
        self._seconds = _Histogram(
            "modelyard_predict_seconds", "Time to check and predict a request", SECONDS
        )
        self._sizes = _Histogram("modelyard_request_rows", "Rows in a request", _ROWS)
        self._families = (
            self._requests, self._rows, self._predictions, self._flags, self._values, self._seconds, self._sizes,
        )  # fmt: skip
        start = 0
        for family in self._families:
            family.start = start
            start += family.size
        layout = digest(canonical([self._labels, digest_of_bundle, start]))[:16]
        self._lock = threading.Lock()  # large bodies are answered on threads
        self._cells = Cells(start, None if folder is None else folder / "metrics", layout)
        self._own = self._cells.own
        self._bins = np.asarray(self._own)
        self._row_cell, self._second_cell, self._size_cell = (
            self._rows.start, self._seconds.start, self._sizes.start,
        )  # fmt: skip
        self._class_cells = {label: self._predictions.slot[(name,)] for label, name in classes}
        self._path_cells = {path: self._requests.slot[(path, statuses[0])] for path in _PATHS}
        self._status_steps = {status: step for step, status in enumerate(STATUSES)}

    def answered(self, rows: int, seconds: float, labels: Iterable[Any], flagged: Iterable[str]) -> None:
        """Count one request that was answered: its predictions by class, and the columns that were flagged."""
        own, cells = self._own, self._class_cells
        with self._lock:
            own[self._row_cell] += rows
            own[self._second_cell + bisect_left(SECONDS, seconds)] += 1
            own[self._second_cell + _SECONDS_SUM] += seconds
            own[self._size_cell + bisect_left(_ROWS, rows)] += 1
            own[self._size_cell + _ROWS_SUM] += rows
            if cells:
                for label in labels:
                    own[cells[label]] += 1
            for column in flagged:
                own[self._flags.slot[(column,)]] += 1

    def binned(self, counts: np.ndarray) -> None:
        """Add to the drift counters, shape (bins,)."""
        start = self._values.start
        with self._lock:
            self._bins[start : start + len(counts)] += counts

    def responded(self, path: str, status: int) -> None:
        """Count one HTTP answer."""
        cell = self._path_cells.get(path)
        if cell is None:
            cell = self._path_cells[path[:3] if path[:4] in ("/v1/", "/v2/") else _OTHER]
        self._own[cell + self._status_steps.get(status, len(STATUSES))] += 1

    def tally(self) -> dict[str, list[float]]:
        """Return sums over all workers: ``requests`` by `STATUSES`, others last, and ``seconds`` by `SECONDS`."""
        total = self._cells.total()
        by_path = total[self._requests.start : self._requests.start + self._requests.size]
        by_status = by_path.reshape(len(_PATHS), len(STATUSES) + 1)[list(_PREDICTING)].sum(axis=0)
        start = self._seconds.start
        return {
            "requests": by_status.tolist(),
            "seconds": total[start : start + len(SECONDS) + 1].tolist(),
        }

    def text(self) -> bytes:
        """Return the sums over all workers in Prometheus's text format."""
        return as_text([self])

    def samples(self) -> Iterator[Metric]:
        """Return the sums over all workers, family by family."""
        total = self._cells.total()
        for family in self._families:
            yield family.rendered(self._labels, total[family.start : family.start + family.size])


def as_text(all_: Iterable[Metrics], more: Iterable[Metric] = ()) -> bytes:
    """Return the counters of several variants, and what else there is to say, in Prometheus's text format."""
    families: dict[str, Metric] = {}
    for metrics in all_:
        for family in metrics.samples():
            if family.name in families:
                families[family.name].samples += family.samples
            else:
                families[family.name] = family
    registry = CollectorRegistry()
    registry.register(_Snapshot([*families.values(), *more]))
    return bytes(generate_latest(registry))


class _Snapshot:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


class _Counters:
    """Counters of one name, one for each combination of labels."""

    def __init__(
        self, name: str, help: str, labels: tuple[str, ...], values: Sequence[tuple[Any, ...]]
    ) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._values = [tuple(map(str, value)) for value in values]
        self.size = len(self._values)
        self.bounds: tuple[float, ...] = ()
        self._start = 0
        self.slot: dict[tuple[str, ...], int] = {}

    @property
    def start(self) -> int:
        return self._start

    @start.setter
    def start(self, value: int) -> None:
        self._start = value
        self.slot = {labels: value + position for position, labels in enumerate(self._values)}

    def rendered(self, labels: dict[str, str], total: np.ndarray) -> Metric:
        family = CounterMetricFamily(self._name, self._help, labels=[*labels, *self._labels])
        for values, count in zip(self._values, total.tolist(), strict=True):
            if count or len(self._labels) < 2:  # of paths and bins, those that occurred
                family.add_metric([*labels.values(), *values], count)
        return family


class _Histogram(_Counters):
    """Counts of observations at most each bound, with their sum in the last cell."""

    def __init__(self, name: str, help: str, bounds: Sequence[float]) -> None:
        super().__init__(name, help, (), [(bound,) for bound in (*bounds, "+Inf", "sum")])
        self.bounds = tuple(bounds)

    def rendered(self, labels: dict[str, str], total: np.ndarray) -> Metric:
        *counts, whole = total.tolist()
        bounds = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        family = HistogramMetricFamily(self._name, self._help, labels=list(labels))
        family.add_metric(
            list(labels.values()), list(zip(bounds, np.cumsum(counts).tolist(), strict=True)), whole
        )
        return family
