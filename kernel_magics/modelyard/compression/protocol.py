"""What a compression technique is: something that knows recipes for a smaller model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from modelyard.conversion import FAILURES
from modelyard.errors import ModelyardError
from modelyard.evaluation.inputs import Samples
from modelyard.registry import Registry

Make = Callable[[Any, Samples], Any]

#: What a recipe, or a model that it made, may raise; such a candidate is left out, and the others go on.
FAULTS = (
    ModelyardError, *FAILURES, ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError,
    RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make one smaller model, of any model of the same kind.

    Attributes
    ----------
    technique : str
        The name of the technique, or several with ``+`` between them.
    settings : str
        What is special to this one, in words: ``100 trees``.
    make : callable
        Takes a fitted model and the rows that it was fitted on, and returns something with ``predict`` that
        ``%package`` takes; neither is changed, also where the clock stops it. It is called at least twice: on the
        training part, and on all rows. A long loop calls `look_at_clock` between its rounds. Where a model or its rows
        do not allow it, it raises one of `FAULTS`.
    """

    technique: str
    settings: str
    make: Make

    @property
    def name(self) -> str:
        return f"{self.technique} ({self.settings})"

    def then(self, other: Recipe) -> Recipe:
        """Return the recipe that applies `other` to what this one makes."""
        return Recipe(
            f"{self.technique} + {other.technique}",
            f"{self.settings}, {other.settings}",
            lambda model, samples: other.make(self.make(model, samples), samples),
        )


@dataclass(frozen=True, eq=False)
class Asked:
    """What a technique is asked to make smaller.

    Attributes
    ----------
    model : estimator
        Fitted on `samples`.
    samples : Samples
        The training part: never the rows that candidates are judged on.
    seed : int
    option : str
        What follows the technique's name: ``mlp`` of ``distillation:mlp``; else empty.
    """

    model: Any
    samples: Samples
    seed: int
    option: str = ""


class Technique(Protocol):
    """One way to make models smaller: a class that is made without arguments, under ``modelyard.compressions``.

    `modelyard.testing.TechniqueContract` tests these promises:

    - `fits` is an answer for whatever has ``predict``, and imports no library that the model does not use.
    - `candidates` reads the model, and no rows: the work is left to the recipes, which the clock stops.
    - A recipe's `technique` is the name under which the class is registered. No two recipes have the same name; asked
      the same, it yields the same ones, since an interrupted run is taken up by these names.
    - What recipes make answers as the model does: the same classes, or numbers. Something of it is smaller.
    - Nothing that is given is changed.
    - What is drawn is drawn by the seed.

    Attributes
    ----------
    order : int
        Techniques with a lower one are tried first.
    combines : bool
        Whether it may also be applied to what another technique made.
    options : tuple of str
        What may follow its name after a colon; each leaves some of the recipes.
    """

    order: ClassVar[int]
    combines: ClassVar[bool]
    options: ClassVar[tuple[str, ...]]

    def fits(self, model: Any) -> bool:
        """Whether it knows anything to do with this fitted model."""

    def candidates(self, asked: Asked) -> Iterator[Recipe]:
        """Yield recipes, the most promising first."""


#: Every installed technique's class by name.
techniques = Registry("modelyard.compressions", "compression technique")
