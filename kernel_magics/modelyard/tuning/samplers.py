"""Where the next trial is drawn: a grid's next point, or Optuna's samplers without repeats.

Optuna's own ``GridSampler`` is not used: it hands out points by trial number and takes every failed trial's
point for done, so that a study whose process was killed would miss points or draw some twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from modelyard.errors import UsageError
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.space import points, size_of
from modelyard.tuning.takeover import is_void

METHODS = ("bayes", "grid", "random")

_LARGEST_GRID = 200_000
_DRAWS = 20

Point = tuple[tuple[str, str], ...]


def checked_method(method: Any) -> str:
    """Return `method`, or raise UsageError that lists what there is."""
    if method in METHODS:
        return str(method)
    raise UsageError(f"no search method {method!r}; type one of {', '.join(METHODS)}")


def points_of(method: str, space: Mapping[str, Parameter]) -> float:
    """Return how many different trials a method can make in a space, ``inf`` if there is no end.

    Raises
    ------
    UsageError
        A grid has more points than can be listed.
    """
    if method != "grid":
        return size_of(space)
    size = math.prod(len(parameter.grid()) for parameter in space.values())
    if size > _LARGEST_GRID:
        raise UsageError(
            f"the grid has {size} points, the limit is {_LARGEST_GRID}; list fewer values, or type method='random'"
        )
    return size


def sampler_for(method: str, space: Mapping[str, Parameter], seed: int, trials_so_far: int) -> BaseSampler:
    """Return the sampler of a method; its seed depends on the trials so far, so that resuming draws anew."""
    derived = int(np.random.SeedSequence([seed, trials_so_far]).generate_state(1)[0])
    if method == "grid":
        return NextOfGrid(space, seed)
    inner = RandomSampler(seed=derived) if method == "random" else TPESampler(seed=derived)
    return WithoutRepeats(inner, space, derived)


def point_of(params: Mapping[str, Any]) -> Point:
    """Return parameters as a key that tells 1, 1.0 and True apart."""
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


class _Tried:
    """The points that finished, run, or wait; finished trials are read once."""

    def __init__(self) -> None:
        self._finished: dict[int, Point | None] = {}

    def __call__(self, study: Study, but: int) -> set[Point]:
        found = set()
        for trial in study.get_trials(deepcopy=False):
            if trial.number == but:
                continue
            if trial.number not in self._finished:
                params = trial.params or trial.system_attrs.get("fixed_params", {})
                point = None if is_void(trial) else point_of(params)
                if trial.state.is_finished():
                    self._finished[trial.number] = point
            else:
                point = self._finished[trial.number]
            if point is not None:
                found.add(point)
        return found


class _WholePoints(BaseSampler):
    """A sampler that draws all parameters of a trial at once."""

    def __init__(self, space: Mapping[str, Parameter]) -> None:
        self._space = space
        self._distributions = {name: parameter.distribution() for name, parameter in space.items()}
        self._tried = _Tried()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._distributions)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise NotImplementedError("a study of modelyard asks for whole points")


class NextOfGrid(_WholePoints):
    """Hands out the points of a grid that no trial has tried, in an order shuffled with the seed."""

    def __init__(self, space: Mapping[str, Parameter], seed: int) -> None:
        super().__init__(space)
        self._points = list(points({name: parameter.grid() for name, parameter in space.items()}))
        self._order = np.random.default_rng(seed).permutation(len(self._points))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        tried = self._tried(study, trial.number)
        untried = (self._points[i] for i in self._order if point_of(self._points[i]) not in tried)
        return dict(next(untried, self._points[self._order[0]]))


class WithoutRepeats(_WholePoints):
    """Another sampler, asked again while it proposes what has been tried.

    In a finite space, when it keeps doing so, an untried point is taken at random.
    """

    def __init__(self, inner: BaseSampler, space: Mapping[str, Parameter], seed: int) -> None:
        super().__init__(space)
        self._inner = inner
        self._rng = np.random.default_rng(seed)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        tried = self._tried(study, trial.number)
        point: dict[str, Label] = {}
        for _ in range(_DRAWS):
            point = self._draw(study, trial)
            if point_of(point) not in tried:
                return point
        if size_of(self._space) <= _LARGEST_GRID:
            every = points({name: parameter.every() for name, parameter in self._space.items()})
            untried = [candidate for candidate in every if point_of(candidate) not in tried]
            if untried:
                return untried[int(self._rng.integers(len(untried)))]
        return point

    def _draw(self, study: Study, trial: FrozenTrial) -> dict[str, Label]:
        known = self._inner.infer_relative_search_space(study, trial)
        drawn = dict(self._inner.sample_relative(study, trial, known))
        for name, distribution in self._distributions.items():
            if name not in drawn:
                drawn[name] = (
                    self._space[name].every()[0]
                    if distribution.single()
                    else self._inner.sample_independent(study, trial, name, distribution)
                )
        return drawn

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._inner.reseed_rng()
