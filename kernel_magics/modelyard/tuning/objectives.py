"""What a search improves: metrics, and what the model costs once it is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelyard.errors import UsageError, listing
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric, chosen_metrics, objective_metric

#: Objectives that are measured on the converted model, and the figure of `Cost` that each is.
OF_SERVING = {"latency": "latency_us", "size": "size_bytes"}


@dataclass(frozen=True)
class Objective:
    """One thing to improve.

    Attributes
    ----------
    name : str
        As it was asked for: ``roc_auc``, ``latency``.
    figure : str
        Its column, with the unit in its name: ``roc_auc``, ``latency_us``, ``size_bytes``.
    greater_is_better : bool
    metric : Metric or None
        ``None`` for what is measured on the converted model, and in a `Study`, which only shows it.
    """

    name: str
    figure: str
    greater_is_better: bool
    metric: Metric | None

    @property
    def of_serving(self) -> bool:
        """Whether it is measured on the converted model, and no metric."""
        return self.figure in OF_SERVING.values()

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.greater_is_better else "minimize"


def chosen_objectives(objectives: Any, scoring: Any, model: Any, samples: Samples) -> tuple[Objective, ...]:
    """Return what to improve, metrics first; without `objectives` the first metric of `scoring` alone.

    Raises
    ------
    UsageError
        A name is unknown or there twice, none of them is a metric, or both arguments were given.
    """
    if objectives is None:
        return (_of_metric(objective_metric(scoring, model, samples)),)
    asked = [objectives] if isinstance(objectives, str) or callable(objectives) else objectives
    if not isinstance(asked, Sequence) or not asked:
        raise UsageError(f"objectives are names, found {objectives!r}; type ['roc_auc', 'latency', 'size']")
    if scoring is not None:
        raise UsageError("give objectives or scoring, not both; the metrics are objectives themselves")
    wanted = [item for item in asked if not (isinstance(item, str) and item in OF_SERVING)]
    if not wanted:
        raise UsageError(
            f"{listing(map(str, asked))} alone is best with a model that always answers the same; "
            "name a metric too, such as roc_auc or r2"
        )
    try:
        metrics = chosen_metrics(wanted, model, samples)[0]
    except UsageError as error:
        raise UsageError(f"{error} (objectives beside the metrics: {listing(OF_SERVING)})") from error
    serving = [item for item in asked if isinstance(item, str) and item in OF_SERVING]
    if len(set(serving)) < len(serving):
        raise UsageError(f"objectives name {serving[0]!r} twice; name each once")
    beside = tuple(Objective(name, OF_SERVING[name], False, None) for name in serving)
    return (*(_of_metric(metric) for metric in metrics), *beside)


def _of_metric(metric: Metric) -> Objective:
    return Objective(metric.name, metric.name, metric.greater_is_better, metric)
