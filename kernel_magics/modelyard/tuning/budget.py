"""What serving may cost: limits of latency and size that a user sets, and those that a target declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from modelyard.errors import UsageError
from modelyard.limits import Limits
from modelyard.registry import targets
from modelyard.tuning.cost import Cost
from modelyard.units import as_bytes, as_microseconds, size_text, time_text

_PLAINLY_SLOW = 2.0  # a short measurement during the search may be off by as much
_PLAINLY_LARGE = 1.25  # the model of one fold has seen fewer rows than the one that is served


@dataclass(frozen=True)
class Bound:
    """One limit: `figure` of a `Cost` must be at most `most`."""

    what: str
    figure: str
    most: float
    source: str

    def excess(self, cost: Cost) -> float:
        """Return how many times the limit it is; NaN where the figure is not known."""
        return float(getattr(cost, self.figure)) / self.most

    def text(self) -> str:
        return f"{self.what} <= {self.amount(self.most)}"

    def amount(self, value: float) -> str:
        return time_text(value) if self.figure == "latency_us" else size_text(value)


@dataclass(frozen=True)
class ServingBudget:
    """Everything that a served model must keep to.

    Attributes
    ----------
    bounds : tuple of Bound
    remarks : tuple of str
        What a target leaves open.
    """

    bounds: tuple[Bound, ...] = ()
    remarks: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.bounds)

    @property
    def asks_memory(self) -> bool:
        return any(bound.figure == "peak_bytes" for bound in self.bounds)

    def without_memory(self) -> ServingBudget:
        """Return what can be looked at while the search runs: memory is measured in a process of its own."""
        return ServingBudget(tuple(bound for bound in self.bounds if bound.figure != "peak_bytes"))

    def excess(self, cost: Cost) -> float:
        """Return the largest share of a limit that is used; above 1, or NaN, the budget is broken."""
        shares = [bound.excess(cost) for bound in self.bounds]
        return float("nan") if any(share != share for share in shares) else max(shares, default=0.0)

    def is_met(self, cost: Cost) -> bool:
        return self.excess(cost) <= 1

    def is_plainly_broken(self, cost: Cost) -> bool:
        """Whether the model of one fold, measured shortly, is so far off that its trial is not worth going on."""
        lenient = replace(cost, latency_us=max(0.0, cost.latency_us - cost.noise_us))
        return any(
            bound.excess(lenient) > (_PLAINLY_SLOW if bound.figure == "latency_us" else _PLAINLY_LARGE)
            for bound in self.bounds
        )

    def broken(self, cost: Cost) -> str:
        """Return what is over its limit, and by how much."""
        return ", ".join(self._broken(cost)) or "nothing"

    def _broken(self, cost: Cost) -> Iterator[str]:
        for bound in self.bounds:
            value, share = getattr(cost, bound.figure), bound.excess(cost)
            if share != share:
                yield (
                    f"its {bound.what} is not known ({cost.why})"
                    if cost.why
                    else f"its {bound.what} is not known"
                )
            elif share > 1:
                limit = f"{bound.amount(bound.most)} of {bound.source}"
                yield f"its {bound.what} is {bound.amount(value)}, {share:.3g} x the {limit}"

    def remarks_on(self, cost: Cost) -> Iterator[str]:
        """Yield what a reader should know of a model that keeps to the budget."""
        if cost.form == "python":
            yield f"the model is served, and was measured, in Python: {cost.why}"
        for bound in self.bounds:
            if bound.figure == "latency_us" and cost.latency_us + cost.noise_us > bound.most:
                noise = time_text(cost.noise_us)
                yield f"its latency keeps to {bound.amount(bound.most)} only within the noise of ± {noise}"

    def text(self) -> str:
        return ", ".join(bound.text() for bound in self.bounds)


def serving_budget(
    latency: str | float | None = None,
    size: str | float | None = None,
    target: str | None = None,
    prefix: str = "budget_",
) -> ServingBudget:
    """Return the budget that the arguments of `tune` ask for.

    Parameters
    ----------
    latency : str or float, optional
        Of one row: ``1ms``, or microseconds.
    size : str or float, optional
        Of the model's file: ``200kB``, or bytes.
    target : str, optional
        An installed deployment target: its `Limits` hold too, for the model alone. What the libraries beside
        it take is the business of ``%deploy``'s plan.

    Raises
    ------
    UsageError
        An amount cannot be read, or the target declares no limits.
    UnknownNameError, MissingExtraError
        There is no such target, or it is not installed.
    """
    bounds = []
    if latency is not None:
        bounds.append(
            Bound("latency", "latency_us", as_microseconds(latency, f"{prefix}latency"), "the budget")
        )
    if size is not None:
        bounds.append(Bound("size", "size_bytes", as_bytes(size, f"{prefix}size"), "the budget"))
    if target is None:
        return ServingBudget(tuple(bounds))
    if not isinstance(target, str):
        raise UsageError(
            f"target is the name of a deployment target, found {type(target).__name__}; type target='local'"
        )
    limits = getattr(targets[target], "limits", None)
    if not isinstance(limits, Limits):
        raise UsageError(
            f"target {target!r} declares no limits to tune for; type --budget-latency and --budget-size instead"
        )
    of_target = _bounds_of(target, limits)
    remarks = () if of_target else (f"target {target!r} sets no limits ({limits.source})",)
    return ServingBudget((*bounds, *of_target), remarks)


def _bounds_of(target: str, limits: Limits) -> tuple[Bound, ...]:
    asked = (
        ("size", "size_bytes", limits.unpacked_bytes),
        ("memory", "peak_bytes", limits.memory_bytes),
        ("latency", "latency_us", None if limits.timeout_s is None else limits.timeout_s * 1e6),
    )
    return tuple(Bound(what, figure, float(most), target) for what, figure, most in asked if most is not None)
