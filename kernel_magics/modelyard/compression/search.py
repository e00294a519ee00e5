"""The candidates of one call, made and measured one after another."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone

from modelyard.compression.candidates import Candidate
from modelyard.compression.choosing import loses_little
from modelyard.compression.judging import Judge, Parted
from modelyard.compression.protocol import FAULTS, Asked, Recipe, Technique
from modelyard.compression.serving import footprints
from modelyard.errors import InvalidInputError, ModelyardError, listing
from modelyard.evaluation.splitters import first_line
from modelyard.progress import track
from modelyard.tuning.serving import Rows, warm_up
from modelyard.units import size_text

_COMBINED = 3  # of the smallest candidates are made smaller once more
_TOLD = 4


@dataclass(frozen=True, eq=False)
class _Planned:
    """A candidate to be made: by the last step of its recipe, of what the steps before made already."""

    recipe: Recipe
    step: Recipe
    model: Any


@dataclass
class Search:
    """The candidates of one call, as they are made."""

    wanted: Sequence[tuple[str, str, Technique]]
    parts: Parted
    judge: Judge
    seed: int
    deadline: float
    max_drop: float
    found: list[Candidate] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: int = 0
    why_left: str = ""
    unfit: list[str] = field(default_factory=list)

    def measure_original(self, model: Any) -> None:
        warm_up()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its first fit has shown them
            try:
                fitted = clone(model).fit(self.parts.training.X, self.parts.training.y)
                self.found.append(self._candidate(None, fitted))
            except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                if isinstance(error, ModelyardError):
                    raise
                raise InvalidInputError(
                    f"{type(model).__name__} cannot be fitted and judged on parts of these rows ({first_line(error)}); "
                    "give more rows, or a model that can"
                ) from error

    def run(self) -> None:
        """Make and measure candidates until there are no more, the time is over, or Ctrl-C is pressed."""
        original = self.found[0].model
        planned: list[_Planned] = []
        for name, option, technique in self.wanted:
            if technique.fits(original):
                asked = Asked(original, self.parts.training, self.seed, option)
                planned += [_Planned(recipe, recipe, original) for recipe in technique.candidates(asked)]
            else:
                self.unfit.append(name)
        try:
            self._try(planned, "compressing")
            if not self.why_left:
                self._try(list(self._combined()), "combining")
        except KeyboardInterrupt:
            self.why_left = "Ctrl-C"

    def _try(self, planned: Sequence[_Planned], title: str) -> None:
        with track(title, len(planned), "candidate") as tracker:
            for place, each in enumerate(planned):
                self.left = len(planned) - place
                if time.perf_counter() >= self.deadline:
                    self.why_left = "the time was over"
                    return
                self._one(each)
                tracker.advance(note=f"smallest {size_text(min(one.cost.size_bytes for one in self.found))}")
        self.left = 0

    def _one(self, planned: _Planned) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of students that have not converged, and of names
                made = planned.step.make(planned.model, self.parts.training)
                self.found.append(self._candidate(planned.recipe, made))
        except FAULTS as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.failed.append(f"{planned.recipe.name}: {first_line(error)}")

    def _candidate(self, recipe: Recipe | None, model: Any) -> Candidate:
        [taken] = footprints([model], Rows.of(self.parts.training))
        judged = self.judge.judged(model)
        verdict = self.judge.verdict(self.found[0].judged if self.found else judged, judged)
        return Candidate(recipe, model, taken.cost, taken.latency_1k_us, judged, verdict)

    def _combined(self) -> Iterator[_Planned]:
        """Yield what makes the smallest candidates of other techniques smaller once more."""
        combining = [(option, technique) for _, option, technique in self.wanted if technique.combines]
        names = {name for name, _, technique in self.wanted if technique.combines}
        others = [each for each in self.found[1:] if each.technique not in names]
        by_size = sorted(others, key=lambda each: each.cost.size_bytes)
        allowed = [each for each in by_size if loses_little(each, self.max_drop)]
        for each in allowed[:_COMBINED]:
            for option, technique in combining:
                if each.recipe is not None and technique.fits(each.model):
                    asked = Asked(each.model, self.parts.training, self.seed, option)
                    for step in technique.candidates(asked):
                        yield _Planned(each.recipe.then(step), step, each.model)

    def remarks(self) -> Iterator[str]:
        if self.why_left:
            tried = len(self.found) - 1
            yield f"stopped ({self.why_left}) after {tried} candidates, {self.left} or more were not tried"
        if self.unfit:
            yield f"nothing to do for this model: {listing(self.unfit)}"
        if self.failed:
            more = f"; and {len(self.failed) - _TOLD} more" if len(self.failed) > _TOLD else ""
            yield f"left out, since they could not be made: {'; '.join(self.failed[:_TOLD])}{more}"
