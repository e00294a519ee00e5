"""Where the next trial is drawn: first what is known to be good, then a grid's next point or Optuna's samplers.

No point is drawn twice. Optuna's own ``GridSampler`` is not used: it hands out points by trial number and takes
every failed trial's point for done, so that a study whose process was killed would miss points or draw some twice.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from modelyard.errors import MissingExtraError, UsageError
from modelyard.tuning.beliefs import Beliefs
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.space import active, points, size_of
from modelyard.tuning.surrogate import Surrogate
from modelyard.tuning.takeover import is_void

METHODS = ("bayes", "gp", "grid", "random", "sobol")

_LARGEST_GRID = 200_000
_DRAWS = 20
_STARTUP = 6
_TPE_EVERY = 4

Point = tuple[tuple[str, str], ...]
Labels = dict[str, Label]


def checked_method(method: Any) -> str:
    """Return `method`.

    Raises
    ------
    UsageError
        There is no such method.
    MissingExtraError
        ``gp`` without torch.
    """
    if method not in METHODS:
        raise UsageError(f"no search method {method!r}; type one of {', '.join(METHODS)}")
    if method == "gp" and importlib.util.find_spec("torch") is None:
        raise MissingExtraError(
            "method 'gp' needs torch, which is not installed; type: pip install 'modelyard[gp]', or method='bayes'"
        )
    return str(method)


def points_of(method: str, space: Mapping[str, Parameter]) -> float:
    """Return how many different trials a method can make in a space, ``inf`` if there is no end.

    Raises
    ------
    UsageError
        A grid has more points than can be listed.
    """
    if method != "grid":
        return size_of(space)
    size = int(size_of(space, Parameter.grid))
    if size > _LARGEST_GRID:
        raise UsageError(
            f"the grid has {size} points, the limit is {_LARGEST_GRID}; list fewer values, or type method='random'"
        )
    return size


def point_of(params: Mapping[str, Any]) -> Point:
    """Return parameters as a key that tells 1, 1.0 and True apart."""
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


class Source(Protocol):
    """Proposes points."""

    def propose(self, trials: Sequence[FrozenTrial]) -> Labels:
        """Return a point; one that was tried is asked for again."""


class Drawer:
    """Draws the points of one run.

    Parameters
    ----------
    method : str
    space : dict
        Parents first.
    seed : int
    beliefs : Beliefs
        What is known of the space; ``bayes`` and ``gp`` draw from it.
    trials_so_far : int
        Where the seed goes on, so that resuming draws anew.
    first : sequence of points
        Tried before any other, if they were not tried yet.
    """

    def __init__(
        self,
        method: str,
        space: Mapping[str, Parameter],
        seed: int,
        beliefs: Beliefs,
        trials_so_far: int = 0,
        first: Sequence[Labels] = (),
    ) -> None:
        derived = int(np.random.SeedSequence([seed, trials_so_far]).generate_state(1)[0])
        self._space = space
        self._rng = np.random.default_rng(derived)
        self._tried = _Tried()
        self._draws = _DRAWS
        self._first = list(first)
        self._source: Source
        if method == "grid":
            grid = _Grid(space, seed)
            self._source = grid
            self._first = [point for point in self._first if grid.holds(point)]
        elif method == "random":
            self._source = _Sampled(space, sampler_of("random", space, derived))
        elif method == "sobol":
            self._source = _Sampled(space, sampler_of("sobol", space, seed))
            self._draws += trials_so_far  # the sequence begins again when the study is resumed
        else:
            beliefs.use(sampler_of(method, space, derived))
            self._source = _Learned(method, space, beliefs, derived)

    def draw(self, trials: Sequence[FrozenTrial]) -> Labels:
        """Return the next point; a space that is used up gives one of its points again."""
        tried = self._tried(trials)
        for known in self._first:
            if point_of(known) not in tried:
                return dict(known)
        point: Labels = {}
        for _ in range(self._draws):
            point = self._source.propose(trials)
            if point_of(point) not in tried:
                return point
        if size_of(self._space) <= _LARGEST_GRID and not isinstance(self._source, _Grid):
            untried = [each for each in points(self._space, Parameter.every) if point_of(each) not in tried]
            if untried:
                return untried[int(self._rng.integers(len(untried)))]
        return point


def sampler_of(method: str, space: Mapping[str, Parameter], seed: int) -> BaseSampler:
    """Return Optuna's sampler of a method, set for budgets of some dozens of trials."""
    conditional = any(part.condition is not None for part in space.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # our own choice, and pinned to Optuna 5
        if method == "random":
            return RandomSampler(seed=seed)
        if method == "sobol":
            return QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        if method == "gp":
            return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        return TPESampler(
            seed=seed, n_startup_trials=1, multivariate=True, group=conditional, constant_liar=True
        )


class _Tried:
    """The points that finished, run, or wait; finished trials are read once."""

    def __init__(self) -> None:
        self._finished: dict[int, Point | None] = {}
        self._points: set[Point] = set()

    def __call__(self, trials: Sequence[FrozenTrial]) -> set[Point]:
        open_now = set()
        for trial in trials:
            if trial.number in self._finished:
                continue
            params = trial.params or trial.system_attrs.get("fixed_params", {})
            point = None if is_void(trial) else point_of(params)
            if trial.state.is_finished():
                self._finished[trial.number] = point
                if point is not None:
                    self._points.add(point)
            elif point is not None:
                open_now.add(point)
        return self._points | open_now


class _Grid:
    """The points of a grid that no trial has tried, in an order shuffled with the seed."""

    def __init__(self, space: Mapping[str, Parameter], seed: int) -> None:
        self._points = list(points(space, Parameter.grid))
        self._order = np.random.default_rng(seed).permutation(len(self._points))
        self._tried = _Tried()

    def holds(self, point: Labels) -> bool:
        return point_of(point) in set(map(point_of, self._points))

    def propose(self, trials: Sequence[FrozenTrial]) -> Labels:
        tried = self._tried(trials)
        untried = (self._points[i] for i in self._order if point_of(self._points[i]) not in tried)
        return dict(next(untried, self._points[self._order[0]]))


class _Sampled:
    """Points of an Optuna sampler that does not learn."""

    def __init__(self, space: Mapping[str, Parameter], sampler: BaseSampler) -> None:
        self._space = space
        self._beliefs = Beliefs(space, ("maximize",))
        self._beliefs.use(sampler)
        self._whole = isinstance(sampler, QMCSampler)

    def propose(self, trials: Sequence[FrozenTrial]) -> Labels:
        return active(self._space, self._beliefs.whole_point() if self._whole else self._beliefs.proposed())


class _Learned:
    """Points of a Sobol sequence to begin with, then those of samplers that learn.

    ``bayes`` asks Optuna's TPE sampler and a small Gaussian process in turn: one finds its way among choices and
    conditions, the other needs fewer trials where a score changes smoothly.
    """

    def __init__(self, method: str, space: Mapping[str, Parameter], beliefs: Beliefs, seed: int) -> None:
        self._beliefs = beliefs
        self._start = _Sampled(space, sampler_of("sobol", space, seed))
        smooth = method == "bayes" and beliefs.single and not any(part.condition for part in space.values())
        self._surrogate = Surrogate(space, beliefs.greater_is_better, seed) if smooth else None
        self._turn = 0

    def propose(self, trials: Sequence[FrozenTrial]) -> Labels:
        self._beliefs.learn(trials)
        if self._beliefs.known < _STARTUP:
            return self._start.propose(trials)
        running = [trial.params for trial in trials if trial.state == TrialState.RUNNING and trial.params]
        self._turn += 1
        if self._surrogate is not None and self._turn % _TPE_EVERY:
            return self._surrogate.propose(self._beliefs.points, self._beliefs.values, running)
        return self._beliefs.proposed(running)
