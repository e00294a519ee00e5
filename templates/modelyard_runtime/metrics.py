"""What is counted of one variant, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters of one process in a registry of their own (BentoML's are not among them)."""

    def __init__(self, bundle: str, variant: str) -> None:
        self._registry = CollectorRegistry()
        labels = ("bundle", "variant")
        self._requests = Counter(
            "modelyard_requests",
            "Requests by path and HTTP status",
            (*labels, "path", "status"),
            registry=self._registry,
        )
        self._rows = Counter("modelyard_rows", "Rows predicted", labels, registry=self._registry)
        self._flags = Counter(
            "modelyard_flags",
            "Values outside what training saw",
            (*labels, "column"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "modelyard_predict_seconds",
            "Time to check and predict",
            labels,
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._of = (bundle, variant)

    def answered(self, rows: int, flagged: list[str], seconds: float) -> None:
        self._rows.labels(*self._of).inc(rows)
        self._seconds.labels(*self._of).observe(seconds)
        for column in flagged:
            self._flags.labels(*self._of, column).inc()

    def responded(self, path: str, status: int) -> None:
        self._requests.labels(*self._of, path, str(status)).inc()

    def text(self) -> bytes:
        return bytes(generate_latest(self._registry))
