"""What must be reached, and what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bound:
    """A limit on one figure: `least` or `most`."""

    what: str
    least: float | None = None
    most: float | None = None

    def judged(self, value: float | None) -> dict[str, Any]:
        kept = (
            value is not None
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )
        words = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return {"what": self.what, "value": value, "bound": words, "kept": kept}


#: Of ``serving.py`` (issue 4).
SERVING = {
    "one_row_over_bare": Bound("1 row per request, over a bare uvicorn loop", least=0.8),
    "one_row_over_bentoml_onnx": Bound("1 row per request, over BentoML's own ONNX service", least=15),
    "one_row_over_bentoml_tutorial": Bound(
        "1 row per request, over BentoML's tutorial with scikit-learn", least=200
    ),
    "many_rows_over_bare": Bound("64 rows per request, over a bare uvicorn loop", least=0.9),
    "p99_over_p50_even": Bound("p99 over p50 at half load, requests evenly spaced", most=5),
    "p99_over_p50_random": Bound("p99 over p50 at half load, requests at random moments", most=5),
    "deploy_over_empty_serve": Bound("deploy to ready, over bentoml serve of an empty service", most=1.3),
    "asgi_door_s": Bound("plain ASGI door to ready, seconds", most=2),
    "killed_workers": Bound("workers that shared the load before one was killed", least=2),
    "killed_failures_beyond_in_flight": Bound(
        "requests that fail when a worker is killed, beyond its own", most=0
    ),
    "killed_miscounted_beyond_in_flight": Bound("requests that the counters then miss or invent", most=0),
    "all_on": Bound("contract, token, metrics and prediction log were on (1 is yes)", least=1),
    "batch_over_loop": Bound("batch, over calling the session in a loop over the same Parquet", least=0.9),
    "batch_kept": Bound("benchmarks/batch.py kept all of its own bounds (1 is yes)", least=1),
}

#: Of ``routing.py`` (issue 5).
ROUTING = {
    # What two variants share of the traffic is also answered in two batches instead of one. That is no cost of
    # choosing, and is shown beside these two without a bound: routed_over_plain, canary_over_plain.
    "choosing_over_plain": Bound("every request drawn, the same bundle answers, over no router", least=0.97),
    "single_over_plain": Bound("a policy of one variant, over the same without a router", least=0.97),
    "shadow_p50_over_without": Bound("p50 with a shadow on a free core, over p50 without", most=1.1),
    "rollback_s": Bound(
        "seconds from a rollback's policy until no worker answers by the candidate", most=0.1
    ),
    "rollback_workers": Bound("workers that shared the load in each rollback", least=2),
    "rollback_failures": Bound("requests that failed in all rollbacks", most=0),
    "all_on": Bound(
        "shares, token, contract, metrics, log and shadow were as they should be (1 is yes)", least=1
    ),
}
