"""What one request costs once a model is served, as figures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from optuna.trial import FrozenTrial

from modelyard.units import size_text, time_text


@dataclass(frozen=True)
class Cost:
    """The measured cost of a fitted model in the form that a bundle would hold.

    Attributes
    ----------
    form : {'onnx', 'python'}
        A graph in ONNX Runtime, or the estimator itself where there is no faithful, fast graph of it.
    latency_us : float
        Microseconds to answer one row, in this process: the median of many calls, on one thread, warm. Decoding a
        request and checking it against the contract come on top.
    noise_us : float
        Half the distance between the 10th and the 90th percentile of the rounds' medians.
    size_bytes : float
        Of the file that a bundle holds; NaN where no bundle could hold the model.
    peak_bytes : float
        The largest resident memory of a new process that loads the model and answers one row; NaN where it was
        not asked for.
    why : str
        Why the form is not ONNX; empty where it is.
    """

    form: Literal["onnx", "python"]
    latency_us: float
    noise_us: float
    size_bytes: float
    peak_bytes: float = float("nan")
    why: str = ""

    def text(self) -> str:
        served = "in ONNX Runtime" if self.form == "onnx" else "in Python"
        noise = f" ± {time_text(self.noise_us)}" if self.noise_us > 0 else ""
        return f"{time_text(self.latency_us)}{noise} a row {served}, {size_text(self.size_bytes)}"


COST = "modelyard:cost"


def kept(cost: Cost, excess: float) -> dict[str, Any]:
    """Return a cost as JSON, for a trial's attribute `COST`.

    Parameters
    ----------
    cost : Cost
    excess : float
        The largest share of a limit that it uses: above 1 the trial breaks its budget. 0 without a budget.
    """
    facts = {**asdict(cost), "excess": excess}
    return {name: None if value != value else value for name, value in facts.items()}


def cost_of(trial: FrozenTrial) -> Cost | None:
    """Return what was measured of a trial during the search, if it was."""
    found = trial.user_attrs.get(COST)
    if found is None:
        return None
    names = [field.name for field in fields(Cost)]
    figures: dict[str, Any] = {name: math.nan if found[name] is None else found[name] for name in names}
    return Cost(**figures)


def excess_of(trial: FrozenTrial) -> float | None:
    """Return how far a trial breaks its budget, as Optuna's constraints say it: kept where at most 0.

    ``None`` where it was not measured. A figure that is not known counts as broken.
    """
    found = trial.user_attrs.get(COST)
    if found is None:
        return None
    return 1.0 if found["excess"] is None else float(found["excess"]) - 1.0
