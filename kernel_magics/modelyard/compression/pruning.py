"""Pruning: fewer trees, smaller trees, fewer boosting stages, fewer neurons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelyard.compression import boosters, forests, networks, torch_networks
from modelyard.compression.last_step import last_step
from modelyard.compression.protocol import Asked, Recipe

_FAMILIES = (forests, boosters, networks, torch_networks)


class Pruning:
    """Leaves out what a model can do without."""

    order = 1
    combines = False
    options = ()

    def fits(self, model: Any) -> bool:
        return any(family.fits(last_step(model)) for family in _FAMILIES)

    def candidates(self, asked: Asked) -> Iterator[Recipe]:
        last = last_step(asked.model)
        for family in _FAMILIES:
            if family.fits(last):
                yield from (Recipe("pruning", words, make) for words, make in family.pruned(last, asked.seed))
