"""Which candidate is taken: the smallest that loses little enough, and keeps to the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.compression.candidates import Candidate
from modelyard.errors import BudgetError
from modelyard.presentation import number
from modelyard.tuning.budget import ServingBudget
from modelyard.tuning.finalists import distance

_ROUNDING = 1e-9  # 0.965 - 0.960 is a little more than 0.005


@dataclass(frozen=True)
class Wish:
    """What is asked of the model that is chosen.

    Attributes
    ----------
    budget : ServingBudget
    max_drop : float
    metric : str
        What the drop is of.
    fastest : bool
        Whether the fastest is taken, else the smallest.
    """

    budget: ServingBudget
    max_drop: float
    metric: str
    fastest: bool


def loses_little(candidate: Candidate, max_drop: float) -> bool:
    """Whether the drop that was measured, whatever its interval, is at most `max_drop`."""
    return candidate.verdict.drop <= max_drop + _ROUNDING


def ranked(found: Sequence[Candidate], wish: Wish) -> list[Candidate]:
    """Return the candidates that keep to everything, the smallest (or the fastest) first, of equals the better one."""

    def key(each: Candidate) -> tuple[float, float, float]:
        size, latency = each.cost.size_bytes, each.cost.latency_us
        first, second = (latency, size) if wish.fastest else (size, latency)
        return (first if first == first else float("inf"), each.verdict.drop, second)

    return sorted(
        (each for each in found if loses_little(each, wish.max_drop) and wish.budget.is_met(each.cost)),
        key=key,
    )


def nothing_keeps(found: Sequence[Candidate], wish: Wish) -> BudgetError:
    """Return the error that says how close the nearest candidates came."""
    budget, max_drop, metric = wish.budget, wish.max_drop, wish.metric
    good = [each for each in found if loses_little(each, max_drop)]
    small = [each for each in found if budget.is_met(each.cost)]
    told = [
        f"no candidate of {len(found)} keeps to {budget.text()} with a drop of {metric} of at most {max_drop:g}"
    ]
    if good:
        nearest = min(good, key=lambda each: distance(budget, each.cost))
        told.append(f"the nearest with so small a drop is {nearest.name}: {budget.broken(nearest.cost)}")
    if small:
        best = min(small, key=lambda each: each.verdict.drop)
        told.append(f"the best within the budget is {best.name}, with a drop of {number(best.verdict.drop)}")
    else:
        nearest = min(found, key=lambda each: distance(budget, each.cost))
        if not good or nearest is not min(good, key=lambda each: distance(budget, each.cost)):
            told.append(
                f"the nearest to the budget is {nearest.name}, with a drop of {number(nearest.verdict.drop)}: "
                f"{budget.broken(nearest.cost)}"
            )
    told.append("allow more (--max-drop, --target-size, --target-latency)")
    return BudgetError("; ".join(told))
