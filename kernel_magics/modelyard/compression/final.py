"""The chosen recipe, applied to the model that was given and to all rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelyard.compression.candidates import Candidate
from modelyard.compression.choosing import Wish, nothing_keeps, ranked
from modelyard.compression.fitting import quiet_fits
from modelyard.compression.protocol import FAULTS, Recipe
from modelyard.compression.serving import Footprint, footprints
from modelyard.conversion.torch_module import TorchModule
from modelyard.errors import BudgetError
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.splitters import first_line
from modelyard.tuning.finalists import distance
from modelyard.tuning.serving import Rows, peak_bytes

_SECONDS = 0.3


@dataclass(frozen=True, eq=False)
class Final:
    """The chosen model of all rows, and the given one, measured against each other."""

    best: Any
    footprint: Footprint
    original: Footprint
    remarks: tuple[str, ...]


def made_of_all(
    found: Sequence[Candidate], model: Any, samples: Samples, wish: Wish
) -> tuple[Candidate, Final]:
    """Apply the best recipes to the given model and all rows until one still keeps to the budget.

    Raises
    ------
    BudgetError
        None does.
    """
    budget, rows = wish.budget, Rows.of(samples)
    before = replace(wish, budget=budget.without_memory())  # which is measured in the end alone
    order = ranked(found, before)
    tried: list[tuple[Candidate, Footprint]] = []
    remarks: list[str] = []
    for candidate in order:
        try:
            made = copy.copy(model) if candidate.recipe is None else _made(candidate.recipe, model, samples)
        except FAULTS as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            remarks.append(f"of all rows, {candidate.name} could not be made: {first_line(error)}")
            continue
        original, taken = footprints([model, made], rows, _SECONDS)
        if budget.asks_memory:
            taken = replace(taken, cost=replace(taken.cost, peak_bytes=peak_bytes(taken.served)))
        if budget.is_met(taken.cost):
            return candidate, Final(_sized(made, taken), taken, original, tuple(remarks))
        tried.append((candidate, taken))
        remarks.append(f"of all rows, {candidate.name} no longer keeps to the budget")
    if tried:
        candidate, taken = min(tried, key=lambda pair: distance(budget, pair[1].cost))
        raise BudgetError(
            f"no candidate made of all rows keeps to {budget.text()} with {wish.tolerance.text(wish.metric)}; the "
            f"nearest is {candidate.name}: {budget.broken(taken.cost)}; {wish.tolerance.advice()}"
        )
    raise nothing_keeps(found, before)


def _made(recipe: Recipe, model: Any, samples: Samples) -> Any:
    with quiet_fits():
        return recipe.make(model, samples)


def _sized(model: Any, taken: Footprint) -> Any:
    """Give an estimator the size of its file as ``size_bytes``; an ONNX file has it already."""
    if isinstance(getattr(model, "size_bytes", None), int):
        return model
    size = taken.cost.size_bytes
    known = int(size) if size == size else None
    if isinstance(model, TorchModule):
        return replace(model, size_bytes=known)
    model.size_bytes = known
    return model
