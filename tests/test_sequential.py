"""Two arms compared under continuous peeking: false alarms, power, coverage, and what bad input is told."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import beta, binom, norm

from modelyard.errors import InvalidInputError
from modelyard.routing.sequential import Arm, compare, difference_intervals, rate_interval, sample_size

RUNS = 1000
STEP = 50  # requests between two looks
MOST_ALARMS = int(binom.ppf(0.99, RUNS, 0.05))


def peek(control: float, candidate: float, share: float, total: int, seed: int) -> Any:
    """Yield the counts of many experiments at all their looks, a hundred experiments at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(RUNS // 100):
        n1 = rng.binomial(STEP, share, (100, total // STEP))
        x0, x1 = rng.binomial(STEP - n1, control), rng.binomial(n1, candidate)
        yield tuple(np.cumsum(counts, axis=1) for counts in (x0, STEP - n1, x1, n1))


def verdicts(counts: Any, alpha: float = 0.05, effect: float = 0.02) -> tuple[Any, Any]:
    """Return which experiments ever prefer the control, and which ever the candidate."""
    low, high, _ = difference_intervals(*counts, alpha=alpha, effect=effect)
    return (high < 0).any(axis=1), (low > 0).any(axis=1)


@pytest.mark.parametrize(("rate", "share"), [(0.1, 0.5), (0.3, 0.1), (0.98, 0.05)])
def test_equal_arms_are_told_apart_no_more_often_than_alpha_at_all_looks_together(
    rate: float, share: float
) -> None:
    total = sample_size(rate, -0.02, share=share)
    alarms = sum(np.logical_or(*verdicts(c)).sum() for c in peek(rate, rate, share, total, seed=1))
    assert alarms <= MOST_ALARMS


def test_equal_arms_are_not_told_apart_early_by_a_test_that_looks_for_large_effects() -> None:
    for rate, share in ((0.5, 0.5), (0.3, 0.1), (0.95, 0.02)):
        looks = peek(rate, rate, share, 5_000, seed=2)
        assert sum(np.logical_or(*verdicts(c, effect=0.5)).sum() for c in looks) <= MOST_ALARMS


def test_the_same_looks_fool_an_ordinary_test() -> None:
    alarms = 0
    for x0, n0, x1, n1 in peek(0.1, 0.1, 0.5, sample_size(0.1, 0.02), seed=1):
        pooled = np.clip((x0 + x1) / (n0 + n1), 1e-9, 1 - 1e-9)
        z = (x1 / n1 - x0 / n0) / np.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
        alarms += (np.abs(z) > 1.96).any(axis=1).sum()
    assert alarms > 5 * MOST_ALARMS


@pytest.mark.parametrize(
    ("baseline", "effect", "share"),
    [(0.1, 0.02, 0.5), (0.5, 0.02, 0.5), (0.98, -0.02, 0.1), (0.5, 0.4, 0.5)],
)
def test_a_planted_effect_is_found_by_the_planned_size(baseline: float, effect: float, share: float) -> None:
    total = sample_size(baseline, effect, share=share)
    right = wrong = 0
    for counts in peek(baseline, baseline + effect, share, total, seed=3):
        control, candidate = verdicts(counts, effect=effect)
        right += (candidate if effect > 0 else control).sum()
        wrong += (control if effect > 0 else candidate).sum()
    assert right >= 0.8 * RUNS
    assert wrong <= 0.01 * RUNS


def test_the_interval_of_the_difference_holds_the_truth_at_all_looks() -> None:
    for control, candidate, share in ((0.1, 0.5, 0.5), (0.95, 0.999, 0.1), (0.3, 0.35, 0.9)):
        missed = 0
        for counts in peek(control, candidate, share, 10_000, seed=4):
            low, high, _ = difference_intervals(*counts, alpha=0.05, effect=0.1)
            difference = candidate - control
            missed += ((low > difference) | (high < difference)).any(axis=1).sum()
        assert missed <= MOST_ALARMS


@pytest.mark.parametrize("rate", [0.02, 0.5, 0.9])
def test_the_interval_of_a_rate_holds_it_at_all_looks(rate: float) -> None:
    rng, looks = np.random.default_rng(5), np.unique(np.geomspace(1, 2_000, 60).astype(int))
    missed = 0
    for outcomes in rng.random((200, 2_000)) < rate:
        successes = np.cumsum(outcomes)
        intervals = (rate_interval(Arm(int(successes[n - 1]), int(n))) for n in looks)
        missed += any(not low <= rate <= high for low, high in intervals)
    assert missed <= binom.ppf(0.99, 200, 0.05)


def test_the_interval_of_a_rate_holds_the_mean_of_scores_too() -> None:
    rng, missed = np.random.default_rng(6), 0
    for scores in rng.beta(0.3, 0.7, (200, 500)):
        sums = np.cumsum(scores)
        intervals = (rate_interval(Arm(float(sums[n - 1]), n)) for n in range(1, 501, 10))
        missed += any(not low <= 0.3 <= high for low, high in intervals)
    assert missed <= binom.ppf(0.99, 200, 0.05)


def test_the_interval_of_a_rate_ends_where_the_mixture_is_one_over_alpha() -> None:
    for successes, trials in ((1, 2), (3, 40), (970, 1_000), (0, 25), (25, 25), (0.25, 7)):
        for alpha in (0.05, 0.001):
            for end in rate_interval(Arm(successes, trials), alpha):
                if 0 < end < 1:
                    mixture = betaln(successes + 0.5, trials - successes + 0.5) - math.log(math.pi)
                    likelihood = successes * math.log(end) + (trials - successes) * math.log1p(-end)
                    assert mixture - likelihood == pytest.approx(-math.log(alpha))


def test_the_interval_of_a_rate_narrows_around_it_and_stays_within_0_and_1() -> None:
    widths = []
    for trials in (1, 10, 1_000, 100_000, 10_000_000):
        low, high = rate_interval(Arm(0.9 * trials, trials))
        assert 0 <= low < 0.9 < high <= 1
        widths.append(high - low)
        assert rate_interval(Arm(0, trials))[0] == 0
        assert rate_interval(Arm(trials, trials))[1] == 1
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.001
    assert rate_interval(Arm(1e-320, 3))[0] == 0


def exact(a0: int, b0: int, a1: int, b1: int) -> float:
    """Return P(Beta(a1, b1) > Beta(a0, b0)) by the finite sum for whole parameters."""
    i = np.arange(a1)
    return float(np.exp(betaln(a0 + i, b0 + b1) - np.log(b1 + i) - betaln(1 + i, b1) - betaln(a0, b0)).sum())


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        ((0, 0), (0, 0)),
        ((0, 0), (1, 1)),
        ((0, 1), (1, 1)),
        ((3, 10), (7, 10)),
        ((90, 100), (83, 100)),
        ((0, 5_000), (3, 20)),
        ((5_000, 5_000), (4, 4)),
        ((4, 4), (5_000, 5_000)),
        ((120, 1_000), (150, 1_000)),
        ((980, 1_000), (48_900, 50_000)),
    ],
)
def test_the_probability_of_being_better_is_the_exact_one(control: Any, candidate: Any) -> None:
    (x0, n0), (x1, n1) = control, candidate
    found = compare(Arm(x0, n0), Arm(x1, n1)).better
    assert found == pytest.approx(exact(x0 + 1, n0 - x0 + 1, x1 + 1, n1 - x1 + 1), abs=1e-9)
    assert compare(Arm(x1, n1), Arm(x0, n0)).better == pytest.approx(1 - found, abs=1e-9)


def test_the_probability_of_being_better_is_the_integral_for_sums_of_scores_too() -> None:
    grid = (np.arange(200_000) + 0.5) / 200_000
    wanted = np.mean(beta.pdf(grid, 1.4, 9.6) * beta.cdf(grid, 3.5, 8.5))
    assert compare(Arm(2.5, 10), Arm(0.4, 9)).better == pytest.approx(wanted, abs=1e-6)


def test_the_probability_of_being_better_rises_with_every_success() -> None:
    few = [compare(Arm(20, 40), Arm(x, 40)).better for x in range(41)]
    assert all(earlier < later for earlier, later in pairwise(few))
    many = [
        compare(Arm(5_000_000, 10_000_000), Arm(x, 10_000_000)).better
        for x in range(4_995_000, 5_005_001, 500)
    ]
    assert all(earlier < later for earlier, later in pairwise(many))


def test_ten_million_trials_overflow_nothing() -> None:
    n = 10_000_000
    with np.errstate(all="raise", under="ignore"):
        found = compare(Arm(5_000_000, n), Arm(5_002_000, n))
        assert found.better == pytest.approx(norm.cdf(0.0002 / math.sqrt(0.5 / n)), abs=1e-5)
        assert compare(Arm(0, n), Arm(1, n)).better == pytest.approx(0.75, abs=1e-6)
        assert compare(Arm(n, n), Arm(n, n)).better == pytest.approx(0.5)
        apart = compare(Arm(0, n), Arm(n, n))
    assert (apart.decided, apart.better, apart.p_value) == ("candidate", 1.0, 0.0)
    assert 0.99 < apart.low < apart.high == 1


def test_an_arm_without_trials_leaves_all_open() -> None:
    for control, candidate in (
        (Arm(0, 0), Arm(0, 0)),
        (Arm(0, 0), Arm(500, 1_000)),
        (Arm(1_000, 1_000), Arm(0, 0)),
    ):
        found = compare(control, candidate)
        assert math.isnan(found.difference)
        assert (found.low, found.high, found.p_value, found.decided) == (-1, 1, 1.0, None)
        assert 0 <= found.better <= 1
    assert math.isnan(Arm(0, 0).rate)
    assert rate_interval(Arm(0, 0)) == (0.0, 1.0)


def test_a_few_trials_decide_nothing_however_different_they_look() -> None:
    for effect in (0.02, 0.5):
        found = compare(Arm(9, 9), Arm(0, 9), effect=effect)
        assert (found.low, found.high, found.p_value, found.decided) == (-1, 1, 1.0, None)


def test_a_candidate_that_always_fails_is_found_out_after_a_few_dozen_requests_at_a_small_share() -> None:
    found = compare(Arm(2_448, 2_450), Arm(0, 50))
    assert found.decided == "control"
    assert found.difference == pytest.approx(-2_448 / 2_450)


def test_the_verdict_the_interval_and_the_p_value_agree_and_do_not_depend_on_which_arm_is_which() -> None:
    for successes in range(400, 601, 10):
        control, candidate = Arm(500, 1_000), Arm(successes, 1_000)
        found, swapped = compare(control, candidate, effect=0.1), compare(candidate, control, effect=0.1)
        assert (found.decided is not None) == (found.p_value < found.alpha)
        assert (found.decided is not None) == (found.low > 0 or found.high < 0)
        assert found.low <= found.difference <= found.high
        assert (swapped.low, swapped.high) == (-found.high, -found.low)
        assert swapped.p_value == found.p_value
    assert compare(Arm(500, 1_000), Arm(600, 1_000)).decided == "candidate"
    assert compare(Arm(500, 1_000), Arm(400, 1_000)).decided == "control"


def test_a_stricter_alpha_decides_later() -> None:
    control, candidate = Arm(500, 1_000), Arm(590, 1_000)
    loose, strict = compare(control, candidate), compare(control, candidate, alpha=0.0001)
    assert strict.low < loose.low < loose.high < strict.high
    assert (loose.decided, strict.decided) == ("candidate", None)


def test_a_smaller_effect_a_smaller_share_a_higher_power_and_a_stricter_alpha_need_more_trials() -> None:
    usual = sample_size(0.1, 0.02)
    assert usual < sample_size(0.1, 0.01)
    assert usual < sample_size(0.1, 0.02, share=0.1)
    assert usual < sample_size(0.1, 0.02, power=0.95)
    assert usual < sample_size(0.1, 0.02, alpha=0.001)
    assert usual == sample_size(0.9, -0.02)
    assert sample_size(0.5, 1e-6) > 10**12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Arm(12, 10), "an arm cannot have 12 successes in 10 trials; give successes between 0 and"),
        (lambda: Arm(-1, 10), "an arm cannot have -1 successes in 10 trials"),
        (lambda: Arm(0, -3), "an arm cannot have 0 successes in -3 trials"),
        (lambda: Arm(math.nan, 3), "an arm cannot have nan successes in 3 trials"),
        (lambda: rate_interval(Arm(1, 2), 5), "alpha is 5; give a number between 0 and 1, such as 0.05"),
        (lambda: compare(Arm(1, 2), Arm(1, 2), alpha=0), "alpha is 0; give a number between 0 and 1"),
        (
            lambda: compare(Arm(1, 2), Arm(1, 2), effect=2),
            "effect is 2; give the absolute difference of rates",
        ),
        (lambda: sample_size(0.1, 0), "effect is 0; give the absolute difference of rates to find"),
        (lambda: sample_size(1.0, -0.1), "baseline is 1; give a number between 0 and 1, such as 0.9"),
        (
            lambda: sample_size(0.99, 0.02),
            "baseline 0.99 with effect 0.02 is a rate of 1.01; give an effect that leaves the candidate's rate",
        ),
        (lambda: sample_size(0.1, -0.1), "baseline 0.1 with effect -0.1 is a rate of 0; give an effect"),
        (lambda: sample_size(0.1, 0.02, share=1), "share is 1; give a number between 0 and 1, such as 0.5"),
        (lambda: sample_size(0.1, 0.02, power=80), "power is 80; give a number between 0 and 1, such as 0.8"),
        (lambda: sample_size(0.1, math.nan), "effect is nan; give the absolute difference"),
    ],
)
def test_bad_input_is_told_in_one_line_what_was_found_and_what_to_give(call: Any, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
