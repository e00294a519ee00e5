"""Two variants of an endpoint compared by a rate of success, with answers that stay valid however often one looks.

An ordinary test is valid at one look that was planned beforehand; who looks every minute and stops at the
first "significant" figure is wrong far more often than ``alpha``. The tests here are bounds on a whole path:
a mixture of likelihood ratios is a martingale that starts at 1, and by Ville's inequality (Ville 1939) it ever
reaches ``1 / alpha`` with a probability of at most ``alpha`` (Robbins 1970).

References
----------
Ville, J. (1939). Étude critique de la notion de collectif. Gauthier-Villars.
Robbins, H. (1970). Statistical methods related to the law of the iterated logarithm.
    Annals of Mathematical Statistics 41(5), 1397-1409.
Howard, S. R., Ramdas, A., McAuliffe, J., Sekhon, J. (2021). Time-uniform, nonparametric, nonasymptotic
    confidence sequences. Annals of Statistics 49(2), 1055-1080.
Johari, R., Koomen, P., Pekelis, L., Walsh, D. (2022). Always valid inference: continuous monitoring of A/B
    tests. Operations Research 70(3), 1806-1821.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln, expit, ndtri

from modelyard.errors import InvalidInputError

SMALLEST_EFFECT = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """What one variant has answered so far.

    Parameters
    ----------
    successes
        How many trials succeeded, or the sum of their scores where a trial scores between 0 and 1. The
        intervals stay valid then: of all such scores with one mean, a coin's spread most (Hoeffding 1963).
    trials
        How many requests the variant got.

    Raises
    ------
    InvalidInputError
        When ``successes`` is not between 0 and ``trials``.
    """

    successes: float
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials:
            raise InvalidInputError(
                f"an arm cannot have {self.successes} successes in {self.trials} trials; "
                "give successes between 0 and the number of trials"
            )

    @property
    def rate(self) -> float:
        """Successes per trial, between 0 and 1; nan before the first trial."""
        return self.successes / self.trials if self.trials else math.nan


@dataclass(frozen=True)
class Comparison:
    """What is known at one look.

    Parameters
    ----------
    difference
        The candidate's rate minus the control's; nan while one arm is empty.
    low, high
        The anytime-valid confidence sequence of the difference: over all looks together it misses the truth
        with a probability of at most ``alpha``. (-1, 1) before there is enough data.
    p_value
        The always-valid p-value of "no difference" at this look. Over several looks the smallest one holds;
        the caller keeps that running minimum.
    better
        The posterior probability that the candidate's rate is the higher one, each rate having a uniform
        prior. A figure to read: unlike the interval it is not protected against peeking.
    alpha
        The probability of a false alarm that ``low`` and ``high`` stand for.
    decided
        The arm with the higher rate once the interval excludes 0.
    """

    difference: float
    low: float
    high: float
    p_value: float
    better: float
    alpha: float
    decided: Literal["candidate", "control"] | None


def rate_interval(arm: Arm, alpha: float = 0.05) -> tuple[float, float]:
    """Return the anytime-valid ``1 - alpha`` confidence sequence of one rate.

    The rates whose likelihood is more than ``alpha`` times the mixture of all rates by a Beta(1/2, 1/2) prior
    (Robbins 1970; Howard et al. 2021). No approximation: it holds from the first trial on.

    Parameters
    ----------
    arm
        Successes and trials so far.
    alpha
        The probability that the interval misses the rate at any of all looks.

    Returns
    -------
    tuple of float
        Lowest and highest rate, between 0 and 1; (0, 1) before the first trial.

    Raises
    ------
    InvalidInputError
        When ``alpha`` is not between 0 and 1.

    Examples
    --------
    >>> low, high = rate_interval(Arm(successes=90, trials=100))
    >>> round(low, 3), round(high, 3)
    (0.772, 0.971)
    """
    _check_share("alpha", alpha, 0.05)
    successes, failures = float(arm.successes), float(arm.trials - arm.successes)
    if not arm.trials:
        return 0.0, 1.0
    # The logarithm of the smallest likelihood a rate of the interval has; pi is B(1/2, 1/2).
    floor = float(betaln(successes + 0.5, failures + 0.5)) - math.log(math.pi) + math.log(alpha)
    if not successes:
        return 0.0, -math.expm1(floor / failures)
    if not failures:
        return math.exp(floor / successes), 1.0
    low, high = _log_odds_at_depth(successes, failures, _top(successes, failures) - floor)
    return float(expit(low)), float(expit(high))


def compare(control: Arm, candidate: Arm, *, alpha: float = 0.05, effect: float = 0.02) -> Comparison:
    """Compare two arms; may be called after every request, and the first verdict may be acted on.

    Parameters
    ----------
    control, candidate
        Successes and trials of each arm so far; the arms need not share the traffic equally, nor in a
        constant proportion, as long as the split does not follow the outcomes.
    alpha
        The probability that two equal arms are ever told apart.
    effect
        The absolute difference of rates that is worth finding (0.02 is two points): there the test is quickest.
        It takes nothing from the guarantee, but it has to be chosen before the data is seen.

    Raises
    ------
    InvalidInputError
        When ``alpha`` is not between 0 and 1, or ``effect`` is 0 or not between -1 and 1.

    Examples
    --------
    >>> compare(Arm(900, 1000), Arm(830, 1000)).decided
    'control'
    >>> compare(Arm(90, 100), Arm(83, 100)).decided is None
    True
    """
    _check_share("alpha", alpha, 0.05)
    _check_effect(effect)
    low, high, p_value = (
        float(value)
        for value in difference_intervals(
            control.successes,
            control.trials,
            candidate.successes,
            candidate.trials,
            alpha=alpha,
            effect=effect,
        )
    )
    return Comparison(
        difference=candidate.rate - control.rate,
        low=low,
        high=high,
        p_value=p_value,
        better=_probability_of_better(control, candidate),
        alpha=alpha,
        decided="candidate" if low > 0 else "control" if high < 0 else None,
    )


def difference_intervals(
    control_successes: ArrayLike,
    control_trials: ArrayLike,
    candidate_successes: ArrayLike,
    candidate_trials: ArrayLike,
    *,
    alpha: float,
    effect: float,
) -> tuple[Floats, Floats, Floats]:
    """Return ``low``, ``high`` and ``p_value`` of `compare` for many looks at once.

    The mixture sequential probability ratio test (mSPRT) with a normal mixture of standard deviation ``effect``
    (Johari et al. 2022). The variance of the difference is the sum of each arm's own, which allows unequal
    arms: whatever the split, the covariance of two looks is the variance of the later one.

    Parameters
    ----------
    control_successes, control_trials, candidate_successes, candidate_trials
        Counts so far; arrays of one shape, or of shapes that broadcast.
    alpha, effect
        As for `compare`; not checked here.

    Returns
    -------
    tuple of ndarray
        Three arrays of the common shape; -1, 1 and 1.0 where there is not enough data yet.
    """
    x0, n0, x1, n1 = (
        np.asarray(counts, dtype=np.float64)
        for counts in (control_successes, control_trials, candidate_successes, candidate_trials)
    )
    enough = _enough(x0, n0, x1, n1, _outcomes_to_wait_for(alpha))
    difference = x1 / np.maximum(n1, 1.0) - x0 / np.maximum(n0, 1.0)
    variance = _variance(x0, n0, alpha) + _variance(x1, n1, alpha)
    width = _half_width(variance, alpha, effect)
    spread = variance + effect**2
    log_ratio = 0.5 * np.log(variance / spread) + difference**2 * effect**2 / (2.0 * variance * spread)
    low = np.where(enough, np.maximum(difference - width, -1.0), -1.0)
    high = np.where(enough, np.minimum(difference + width, 1.0), 1.0)
    return low, high, np.where(enough, np.exp(-np.maximum(log_ratio, 0.0)), 1.0)


def sample_size(
    baseline: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, share: float = 0.5
) -> int:
    """Return the number of trials, of both arms together, that `compare` needs to find an effect.

    The power is that of the last look alone, by the normal approximation. Earlier looks can only add to it, so
    the true one is higher and most comparisons end well before.

    Parameters
    ----------
    baseline
        The control's rate.
    effect
        The absolute difference to find: the candidate's rate is ``baseline + effect``. `compare` has to be
        given the same one.
    alpha
        The probability of a false alarm.
    power
        The probability that the effect has been found by then.
    share
        The candidate's share of the traffic.

    Raises
    ------
    InvalidInputError
        When a share or rate is not between 0 and 1, or ``effect`` is 0.

    Examples
    --------
    >>> sample_size(0.1, 0.02) < sample_size(0.1, 0.02, share=0.1)
    True
    """
    for name, value, usual in (
        ("baseline", baseline, 0.9),
        ("alpha", alpha, 0.05),
        ("power", power, 0.8),
        ("share", share, 0.5),
    ):
        _check_share(name, value, usual)
    _check_effect(effect)
    if not 0 < baseline + effect < 1:
        raise InvalidInputError(
            f"baseline {baseline:g} with effect {effect:g} is a rate of {baseline + effect:g}; "
            "give an effect that leaves the candidate's rate between 0 and 1"
        )
    margin = float(ndtri(power))

    def found(total: int) -> bool:
        n0, n1 = np.asarray((1.0 - share) * total), np.asarray(share * total)
        x0, x1 = baseline * n0, (baseline + effect) * n1
        variance = _variance(x0, n0, alpha) + _variance(x1, n1, alpha)
        reach = abs(effect) - _half_width(variance, alpha, effect)
        # Twice the counts that a verdict waits for, so that chance does not leave a planned test waiting.
        enough = _enough(x0, n0, x1, n1, 2.0 * _outcomes_to_wait_for(alpha))
        return bool(enough & (reach >= margin * np.sqrt(variance)))

    most = 1
    while not found(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if found(middle) else (middle, most)
    return most


def _variance(successes: Floats, trials: Floats, alpha: float) -> Floats:
    """Return the estimated variance of each rate; never 0.

    Imagined trials are added, half of them successes, so that an arm that has only succeeded so far does not
    pass for one without variance: the square of the normal quantile (Agresti and Coull 1998), at least four.
    """
    imagined = max(4.0, float(ndtri(alpha / 2.0)) ** 2)
    smooth = (successes + imagined / 2.0) / (trials + imagined)
    return np.asarray(smooth * (1.0 - smooth) / np.maximum(trials, 1.0))


def _half_width(variance: Floats, alpha: float, effect: float) -> Floats:
    """Return how far from the difference its interval reaches, from the variance of the difference."""
    ratio = variance / effect**2
    return np.asarray(
        np.sqrt(variance * (1.0 + ratio) * (np.log1p(1.0 / ratio) + 2.0 * math.log(1.0 / alpha)))
    )


def _outcomes_to_wait_for(alpha: float) -> float:
    """Return how many successes, and how many failures, have to be expected of an arm before a verdict.

    The bound is one for normal increments. With a handful of outcomes a rate is not normal, and a few unlucky
    requests of a small arm carry it over; the more so, the further out in the tail the bound is. Ten at an
    ``alpha`` of 0.05 kept the alarms of simulated equal arms below it, and 23 at 0.001 within the error of the
    simulations, for shares from 2 % to 90 %, rates from 0.01 to 0.999 and effects from 0.02 to 0.5. A rule of
    when to start looking takes nothing from the guarantee, which is about all looks at once.
    """
    return 10.0 * math.log(1.0 / alpha) / math.log(20.0)


def _enough(x0: Floats, n0: Floats, x1: Floats, n1: Floats, expected: float) -> NDArray[np.bool_]:
    """Return where so many successes and as many failures are expected of each arm, were the arms equal.

    The common rate is the plain mean of both: in the pooled one a candidate with a share of 2 % has no say, and
    it could fail at every request for a long time before a verdict was allowed.
    """
    rate = 0.5 * (x0 / np.maximum(n0, 1.0) + x1 / np.maximum(n1, 1.0))
    return np.asarray(np.minimum(n0, n1) * np.minimum(rate, 1.0 - rate) >= expected)


def _probability_of_better(control: Arm, candidate: Arm) -> float:
    """Return the probability that a draw of the candidate's posterior rate is above one of the control's.

    The integral of one arm's density times the other's distribution function, over log odds: both are analytic
    there and the density falls off exponentially, for which the trapezoidal rule converges exponentially
    (Trefethen and Weideman 2014). Only ratios of the density are used: no gamma function can overflow.
    """
    a0, b0 = control.successes + 1.0, control.trials - control.successes + 1.0
    a1, b1 = candidate.successes + 1.0, candidate.trials - candidate.successes + 1.0
    # The density is that of the narrower posterior, so that the other's steps are never between two nodes.
    control_is_narrower = 1 / a0 + 1 / b0 < 1 / a1 + 1 / b1
    a, b = (a0, b0) if control_is_narrower else (a1, b1)
    nodes = np.linspace(*_log_odds_at_depth(a, b, 40.0), 513)
    density = np.exp(-a * np.logaddexp(0.0, -nodes) - b * np.logaddexp(0.0, nodes) - _top(a, b))
    below = betainc(b1, a1, expit(-nodes)) if control_is_narrower else betainc(a0, b0, expit(nodes))
    return min(1.0, float(np.sum(density * below) / np.sum(density)))


def _top(successes: float, failures: float) -> float:
    """Return the largest log-likelihood that any rate gives to these outcomes."""
    trials = successes + failures
    return successes * math.log(successes / trials) + failures * math.log(failures / trials)


def _log_odds_at_depth(successes: float, failures: float, depth: float) -> tuple[float, float]:
    """Return the log odds on either side of the likeliest ones, with a log-likelihood ``depth`` below theirs."""
    likeliest = math.log(successes) - math.log(failures)
    floor = _top(successes, failures) - depth

    def missing(log_odds: float) -> float:
        return float(
            -successes * np.logaddexp(0.0, -log_odds) - failures * np.logaddexp(0.0, log_odds) - floor
        )

    def crossing(side: float) -> float:
        width = min(1.0, math.sqrt(1.0 / successes + 1.0 / failures))
        while missing(likeliest + side * width) > 0:
            width *= 2.0
            if width > 2000.0:  # a rate that no float tells from 0 or 1
                return likeliest + side * width
        return float(brentq(missing, likeliest, likeliest + side * width))

    return crossing(-1.0), crossing(1.0)


def _check_share(name: str, value: float, usual: float) -> None:
    if not 0 < value < 1:
        raise InvalidInputError(f"{name} is {value:g}; give a number between 0 and 1, such as {usual:g}")


def _check_effect(effect: float) -> None:
    if not SMALLEST_EFFECT <= abs(effect) < 1:
        raise InvalidInputError(
            f"effect is {effect:g}; give the absolute difference of rates to find, such as 0.02 for two points"
        )
