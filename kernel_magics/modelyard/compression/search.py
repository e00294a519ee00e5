"""The candidates of one call, made and measured one after another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.compression.candidates import Candidate
from modelyard.compression.choosing import Tolerance
from modelyard.compression.clock import OutOfTimeError, until
from modelyard.compression.fitting import quiet_fits
from modelyard.compression.judging import Judge, Judged, Parted
from modelyard.compression.protocol import FAULTS, Asked, Recipe, Technique
from modelyard.compression.records import CompressionRecord
from modelyard.compression.refitting import fitted_again
from modelyard.compression.serving import footprints
from modelyard.errors import InvalidInputError, ModelyardError, UsageError, listing
from modelyard.evaluation.splitters import first_line
from modelyard.progress import track
from modelyard.tuning.serving import Rows, warm_up
from modelyard.units import size_text

_COMBINED = 3  # of the smallest candidates are made smaller once more
_TOLD = 4
_SAME_SCORE = 1e-6


@dataclass(frozen=True, eq=False)
class _Planned:
    """A candidate to be made: by the last step of its recipe, of what the steps before made already."""

    recipe: Recipe
    step: Recipe
    model: Any


@dataclass
class Search:
    """The candidates of one call, as they are made, or taken from the record of an earlier run."""

    wanted: Sequence[tuple[str, str, Technique]]
    parts: Parted
    judge: Judge
    seed: int
    deadline: float
    tolerance: Tolerance
    record: CompressionRecord
    found: list[Candidate] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: int = 0
    why_left: str = ""
    cut: str = ""
    recalled: int = 0
    unfit: list[str] = field(default_factory=list)

    def measure_original(self, model: Any) -> None:
        """Fit the model on the training part, and measure it.

        Raises
        ------
        InvalidInputError
            It cannot be fitted and judged on parts of the rows.
        UsageError
            It is not the model that the earlier run measured.
        """
        warm_up()
        with quiet_fits():  # its first fit has shown its warnings
            try:
                fitted = fitted_again(model, self.parts.training)
                known = self.record.recall(None)
                if known is None:
                    self._keep(self._candidate(None, fitted))
                else:
                    judged = self.judge.judged(fitted)
                    self._check_same_score(known.verdict.score, judged.score)
                    self.found.append(replace(known, model=fitted, judged=judged))
            except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                if isinstance(error, ModelyardError):
                    raise
                raise InvalidInputError(
                    f"{type(model).__name__} cannot be fitted and judged on parts of these rows ({first_line(error)}); "
                    "give more rows, or a model that can"
                ) from error

    def _check_same_score(self, before: float, now: float) -> None:
        if abs(before - now) > _SAME_SCORE:
            raise UsageError(
                f"compression {self.record.name!r} cannot be resumed: its model scored {before:.6g}, and fitted again "
                f"on the same rows {now:.6g}; give the model a random_state, and type another name (--name)"
            )

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
        except OutOfTimeError:
            self.why_left = "the time was over"

    def _try(self, planned: Sequence[_Planned], title: str) -> None:
        with track(title, len(planned), "candidate") as tracker:
            for place, each in enumerate(planned):
                self.left = len(planned) - place
                if not self._recalled(each.recipe):
                    self._one(each)
                tracker.advance(note=f"smallest {size_text(min(one.cost.size_bytes for one in self.found))}")
        self.left = 0

    def _recalled(self, recipe: Recipe) -> bool:
        """Take a candidate, or why it cannot be made, from the record."""
        candidate, reason = self.record.recall(recipe), self.record.failure(recipe)
        if candidate is not None:
            self.found.append(candidate)
            self.recalled += 1
        elif reason is not None:
            self.failed.append(f"{recipe.name}: {reason}")
        return candidate is not None or reason is not None

    def _one(self, planned: _Planned) -> None:
        if time.perf_counter() >= self.deadline:
            raise OutOfTimeError("the time was over")
        try:
            with quiet_fits():  # students that have not converged, and names of columns
                with until(self.deadline):
                    made = planned.step.make(planned.model, self.parts.training)
                self._keep(self._candidate(planned.recipe, made))
        except OutOfTimeError:
            self.cut = planned.recipe.name
            raise
        except FAULTS as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.failed.append(f"{planned.recipe.name}: {first_line(error)}")
            self.record.keep_failure(planned.recipe, first_line(error))

    def _keep(self, candidate: Candidate) -> None:
        self.found.append(candidate)
        self.record.keep(candidate)

    def _candidate(self, recipe: Recipe | None, model: Any) -> Candidate:
        [taken] = footprints([model], Rows.of(self.parts.training))
        judged = self.judge.judged(model)
        return Candidate(
            recipe,
            model,
            taken.cost,
            taken.latency_1k_us,
            judged,
            self.judge.verdict(self._original(judged), judged),
        )

    def _original(self, otherwise: Judged) -> Judged:
        return (self.found[0].judged if self.found else None) or otherwise

    def _combined(self) -> Iterator[_Planned]:
        """Yield what makes the smallest candidates of other techniques smaller once more."""
        combining = [(option, technique) for _, option, technique in self.wanted if technique.combines]
        names = {name for name, _, technique in self.wanted if technique.combines}
        others = [each for each in self.found[1:] if each.technique not in names]
        by_size = sorted(others, key=lambda each: each.cost.size_bytes)
        allowed = [each for each in by_size if self.tolerance.allows(each.verdict)]
        for each in allowed[:_COMBINED] if combining else ():
            with until(self.deadline):
                try:
                    model = self.model_of(each)
                except OutOfTimeError:
                    raise
                except FAULTS:  # it could be made in an earlier run
                    continue
            for option, technique in combining:
                if each.recipe is not None and technique.fits(model):
                    asked = Asked(model, self.parts.training, self.seed, option)
                    for step in technique.candidates(asked):
                        yield _Planned(each.recipe.then(step), step, model)

    def model_of(self, candidate: Candidate) -> Any:
        """Return a candidate's model, which is made again where an earlier run measured it."""
        if candidate.model is not None or candidate.recipe is None:
            return candidate.model
        with quiet_fits():
            return candidate.recipe.make(self.found[0].model, self.parts.training)

    def judged_of(self, candidate: Candidate) -> Judged:
        """Return what a candidate says of the held-out rows, whoever measured it."""
        return candidate.judged or self.judge.judged(self.model_of(candidate))

    def remarks(self) -> Iterator[str]:
        if self.recalled:
            yield f"{self.recalled} candidates are as an earlier run of {self.record.name} measured them"
        if self.why_left:
            tried = len(self.found) - 1
            amid = f", in the middle of {self.cut}" if self.cut else ""
            yield f"stopped ({self.why_left}) after {tried} candidates{amid}, {self.left} or more were not tried"
            yield f"to go on with them, {self.record.advice()}"
        if self.unfit:
            yield f"nothing to do for this model: {listing(self.unfit)}"
        if self.failed:
            more = f"; and {len(self.failed) - _TOLD} more" if len(self.failed) > _TOLD else ""
            yield f"left out, since they could not be made: {'; '.join(self.failed[:_TOLD])}{more}"
