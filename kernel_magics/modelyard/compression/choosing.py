"""Which candidate is taken: the smallest that loses little enough, and keeps to the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.compression.candidates import Candidate
from modelyard.compression.judging import Verdict
from modelyard.errors import BudgetError
from modelyard.presentation import number
from modelyard.tuning.budget import ServingBudget
from modelyard.tuning.finalists import distance

_ROUNDING = 1e-9  # 0.965 - 0.960 is a little more than 0.005


@dataclass(frozen=True)
class Tolerance:
    """How much a candidate may lose, and how surely.

    The smallest of many candidates is chosen by the rows that all of them are judged on: of those that seem to lose
    little, the ones with good luck on these rows are taken. So the drop is held against `max_drop` with `caution` of
    its standard errors added. A candidate that changes no answer has none, and one that changes many must be better
    than the original to make up for it.

    Source of the measure: L. Breiman, J. Friedman, R. Olshen & C. Stone, "Classification and Regression Trees", 1984,
    section 3.4.3. Their rule takes the smallest tree within one standard error of the best; here the error is that of
    the paired difference, and counts against the smaller model instead of for it, since it is promised that
    little is lost.

    Attributes
    ----------
    max_drop : float
    caution : float
        0: the drop that was measured counts, whatever its error.
    """

    max_drop: float
    caution: float = 1.0

    def cautious(self, verdict: Verdict) -> float:
        """Return the drop with its standard errors; the drop itself where its error is not known."""
        known = verdict.drop_se == verdict.drop_se
        return verdict.drop + (self.caution * verdict.drop_se if known else 0.0)

    def allows(self, verdict: Verdict) -> bool:
        return self.cautious(verdict) <= self.max_drop + _ROUNDING

    def text(self, metric: str) -> str:
        added = {0.0: "", 1.0: " and its standard error"}.get(
            self.caution, f" and {self.caution:g} standard errors"
        )
        return f"a drop of {metric}{added} of at most {self.max_drop:g}"

    def advice(self) -> str:
        return "allow more (--max-drop, --target-size, --target-latency)" + (
            ", or let the drop alone count (--caution 0)" if self.caution else ""
        )


@dataclass(frozen=True)
class Wish:
    """What is asked of the model that is chosen.

    Attributes
    ----------
    budget : ServingBudget
    tolerance : Tolerance
    metric : str
        What the drop is of.
    fastest : bool
        Whether the fastest is taken, else the smallest.
    """

    budget: ServingBudget
    tolerance: Tolerance
    metric: str
    fastest: bool


def ranked(found: Sequence[Candidate], wish: Wish) -> list[Candidate]:
    """Return the candidates that keep to everything, the smallest (or the fastest) first, of equals the better one."""

    def key(each: Candidate) -> tuple[float, float, float]:
        size, latency = each.cost.size_bytes, each.cost.latency_us
        first, second = (latency, size) if wish.fastest else (size, latency)
        return (first if first == first else float("inf"), each.verdict.drop, second)

    return sorted(
        (each for each in found if wish.tolerance.allows(each.verdict) and wish.budget.is_met(each.cost)),
        key=key,
    )


def nothing_keeps(found: Sequence[Candidate], wish: Wish) -> BudgetError:
    """Return the error that says how close the nearest candidates came."""
    budget, tolerance = wish.budget, wish.tolerance
    good = [each for each in found if tolerance.allows(each.verdict)]
    small = [each for each in found if budget.is_met(each.cost)]
    told = [f"no candidate of {len(found)} keeps to {budget.text()} with {tolerance.text(wish.metric)}"]
    if good:
        nearest = min(good, key=lambda each: distance(budget, each.cost))
        told.append(f"the nearest with so small a drop is {nearest.name}: {budget.broken(nearest.cost)}")
    if small:
        best = min(small, key=lambda each: tolerance.cautious(each.verdict))
        told.append(f"the best within the budget is {best.name}, with {_drop(best)}")
    else:
        nearest = min(found, key=lambda each: distance(budget, each.cost))
        if not good or nearest is not min(good, key=lambda each: distance(budget, each.cost)):
            told.append(
                f"the nearest to the budget is {nearest.name}, with {_drop(nearest)}: {budget.broken(nearest.cost)}"
            )
    told.append(tolerance.advice())
    return BudgetError("; ".join(told))


def _drop(each: Candidate) -> str:
    error = each.verdict.drop_se
    return f"a drop of {number(each.verdict.drop)}" + (f" ± {number(error)}" if error == error else "")
