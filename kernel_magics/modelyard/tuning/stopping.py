"""When a search ends before its budget: no more gain is to be expected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from modelyard.tuning.beliefs import FOLDS
from modelyard.tuning.pruning import rival_of

LOOKED_AT = 20
AHEAD = 10


def expects_less(trials: Sequence[FrozenTrial], min_gain: float, greater_is_better: bool) -> bool:
    """Whether the next 10 trials, if they are like the last 20, are expected to gain less than `min_gain`.

    The gain of one trial is the expected improvement over the best, ``s * (u * Phi(u) + phi(u))`` with
    ``u = (m - best) / s``, where ``m`` and ``s`` are mean and standard deviation of the last 20 values (Jones,
    Schonlau & Welch, "Efficient global optimization", Journal of Global Optimization 13, 1998, equation 15). Ten
    trials gain at most ten times that. A trial that was stopped early counts with what its folds let expect.
    Optuna's terminator has the same purpose; its regret bounds need a Gaussian process, and so torch.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        Fewer than 20 with a value never stop.
    min_gain : float
        In units of the metric, over 10 trials.
    greater_is_better : bool
    """
    values = _values(trials, greater_is_better)
    if len(values) < LOOKED_AT:
        return False
    signed = np.asarray(values) if greater_is_better else -np.asarray(values)
    last = signed[-LOOKED_AT:]
    spread = float(last.std(ddof=1))
    if spread == 0:
        return True
    under = float((last.mean() - signed.max()) / spread)
    density = math.exp(-(under**2) / 2) / math.sqrt(2 * math.pi)
    return bool(AHEAD * spread * (under * float(ndtr(under)) + density) < min_gain)


def _values(trials: Sequence[FrozenTrial], greater_is_better: bool) -> list[float]:
    complete = [t.user_attrs.get(FOLDS, ()) for t in trials if t.state == TrialState.COMPLETE]
    rival = rival_of([folds for folds in complete if folds], greater_is_better)
    values = []
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.values:
            values.append(float(trial.values[0]))
        elif trial.state == TrialState.PRUNED and rival is not None:
            value = rival.value_of(trial.user_attrs.get(FOLDS, ()))
            if math.isfinite(value):
                values.append(value)
    return values
