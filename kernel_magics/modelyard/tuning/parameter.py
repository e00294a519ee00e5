"""One parameter of a search space: a range of numbers, or a list of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from modelyard.errors import UsageError

Label = None | bool | int | float | str

_GRID_NUMBERS = 10
_GRID_CONTINUOUS = 5


@dataclass(frozen=True)
class Condition:
    """The values of another parameter with which a parameter exists.

    Attributes
    ----------
    parent : str
        The other parameter.
    labels : tuple
        Its values, as they stand in the storage.
    """

    parent: str
    labels: tuple[Label, ...]

    def holds(self, labels: Mapping[str, Label]) -> bool:
        """Whether it holds where the parameters that exist have these labels."""
        return self.parent in labels and repr(labels[self.parent]) in map(repr, self.labels)

    def spec(self) -> str:
        """Return it in the language of spaces."""
        if len(self.labels) == 1:
            return f"if {self.parent} == {self.labels[0]!r}"
        return f"if {self.parent} in ({', '.join(map(repr, self.labels))})"


@dataclass(frozen=True)
class Parameter:
    """A range or a list of choices, checked when it was made.

    Attributes
    ----------
    kind : {'int', 'float', 'choice'}
    low, high : int or float
        Both ends are included; 0 for choices.
    log : bool
        Whether small numbers are as likely as large ones.
    step : int, float or None
        The distance between values; ``None`` is 1 for ``int`` and continuous for ``float``.
    choices : tuple
        Python values of any type.
    condition : Condition or None
        On which values of another parameter this one exists; ``None`` is always.
    """

    kind: Literal["int", "float", "choice"]
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    condition: Condition | None = None

    @property
    def size(self) -> float:
        """How many values there are, ``inf`` if continuous."""
        if self.kind == "choice":
            return len(self.choices)
        if self.kind == "float" and self.step is None:
            return math.inf
        step = 1 if self.step is None else self.step
        return int((Decimal(str(self.high)) - Decimal(str(self.low))) / Decimal(str(step))) + 1

    @property
    def labels(self) -> tuple[Label, ...]:
        """What stands for the choices in an Optuna storage, which holds None, bool, int, float and str."""
        return tuple(_label(choice) for choice in self.choices)

    def value(self, label: Any) -> Any:
        """Return the Python value that a stored label stands for; numbers stand for themselves."""
        return self.choices[self.labels.index(label)] if self.kind == "choice" else label

    def distribution(self) -> BaseDistribution:
        """Return the Optuna distribution over numbers or labels."""
        if self.kind == "choice":
            return CategoricalDistribution(self.labels)
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggested(self, trial: Trial, name: str) -> Label:
        """Ask an Optuna trial for a label of this parameter."""
        if self.kind == "choice":
            return trial.suggest_categorical(name, self.labels)
        if self.kind == "int":
            return trial.suggest_int(
                name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log
            )
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def spec(self) -> str:
        """Return the parameter in the language of spaces; choices that are no literals show their repr."""
        tail = "" if self.condition is None else f" {self.condition.spec()}"
        if self.kind == "choice":
            return " | ".join(repr(choice) for choice in self.choices) + tail
        step = "" if self.step is None else f" step {self.step!r}"
        return f"{self.kind} {self.low!r}..{self.high!r}{' log' if self.log else ''}{step}{tail}"

    def means(self, value: Any, label: Label) -> bool:
        """Whether a written value means a label; an estimator is named by its class, too."""
        if repr(value) == repr(label):
            return True
        choice = self.value(label) if self.kind == "choice" else None
        return hasattr(choice, "get_params") and value in (
            type(choice).__name__,
            f"{type(choice).__name__}()",
        )

    def label_of(self, value: Any) -> Label:
        """Return the label of a Python value, a number brought into the range.

        Raises
        ------
        ValueError
            It is no such value.
        """
        if self.kind == "choice":
            wanted = _label(value.item() if isinstance(value, np.generic) else value)
            for label in self.labels:
                if repr(label) == repr(wanted):
                    return label
            raise ValueError(f"{value!r} is none of the choices")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.integer | np.floating)
            or value != value
        ):
            raise ValueError(f"{value!r} is no number")
        inside = min(max(float(value), self.low), self.high)
        if self.step is None and self.kind == "float":
            return inside
        step = Decimal(str(self.step or 1))
        place = (Decimal(str(inside)) - Decimal(str(self.low))) / step
        return self._at(int(place.to_integral_value()))

    def to_unit(self, label: Any) -> float:
        """Return where a number lies between the ends, 0 to 1, on the logarithm where the range is logarithmic."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, float(label)))
        return (value - low) / (high - low)

    def from_unit(self, share: float) -> int | float:
        """Return the number that lies there, on the nearest step."""
        low, high = (math.log(v) if self.log else v for v in (self.low, self.high))
        value = low + share * (high - low)
        value = min(max(math.exp(value) if self.log else value, self.low), self.high)
        if self.kind == "float" and self.step is None:
            return value
        return self._at(round((value - self.low) / float(self.step or 1)))

    def every(self) -> list[Label]:
        """Return all values of a finite parameter, as labels."""
        if self.kind == "choice":
            return list(self.labels)
        return [self._at(place) for place in range(int(self.size))]

    def grid(self) -> list[Label]:
        """Return the points of a grid: all choices; up to 10 of a stepped range; 5 of a continuous one.

        Points are evenly spaced, on the logarithm where the range is logarithmic; both ends are points.
        """
        if self.kind == "choice":
            return list(self.labels)
        if math.isinf(self.size):
            spaced = (np.geomspace if self.log else np.linspace)(self.low, self.high, _GRID_CONTINUOUS)
            return [float(min(max(v, self.low), self.high)) for v in spaced]
        if self.size <= _GRID_NUMBERS:
            return self.every()
        if self.log:
            values = np.geomspace(self.low, self.high, _GRID_NUMBERS)
            return list(sorted({round(float(v)) for v in values}))
        places = np.linspace(0, int(self.size) - 1, _GRID_NUMBERS).round().astype(int)
        return [self._at(int(place)) for place in places]

    def _at(self, place: int) -> int | float:
        if self.kind == "int":
            return int(self.low) + place * int(self.step or 1)
        return float(Decimal(str(self.low)) + place * Decimal(str(self.step)))


def range_of(kind: str, low: float, high: float, log: bool, step: float | None, where: str) -> Parameter:
    """Return a range, its upper end pulled down to the last step.

    Raises
    ------
    UsageError
        The ends, the step and ``log`` do not go together; the message begins with `where`.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"{where}: a range ends in {low}..{high}; type finite numbers")
    if low >= high:
        raise UsageError(f"{where}: the range {low}..{high} is empty; type the lower number first")
    if log and low <= 0:
        raise UsageError(f"{where}: a log range starts above 0, found {low}..{high}; raise {low} or drop log")
    if log and step is not None:
        raise UsageError(f"{where}: log and step {step} do not go together; drop one of them")
    if step is not None:
        if not 0 < step <= high - low:
            raise UsageError(
                f"{where}: step {step} does not fit {low}..{high}; type 0 < step <= {high - low}"
            )
        steps = int((Decimal(str(high)) - Decimal(str(low))) / Decimal(str(step)))
        top = Decimal(str(low)) + steps * Decimal(str(step))
        high = int(top) if kind == "int" else float(top)
    if kind == "int":
        return Parameter("int", int(low), int(high), log, None if step in (None, 1) else int(step or 1))
    return Parameter("float", float(low), float(high), log, None if step is None else float(step))


def choice_of(choices: Sequence[Any], where: str) -> Parameter:
    """Return a list of choices.

    Raises
    ------
    UsageError
        There are none, or two that Python or the storage cannot tell apart (``1``, ``1.0`` and ``True``).
    """
    values = tuple(c.item() if isinstance(c, np.generic) else c for c in choices)
    if not values:
        raise UsageError(f"{where}: there are no choices; type at least one value")
    labels = [_label(value) for value in values]
    for place, label in enumerate(labels):
        if label in labels[:place]:
            first = values[labels.index(label)]
            raise UsageError(f"{where}: {first!r} and {values[place]!r} are the same choice; keep one")
        if isinstance(label, float) and not math.isfinite(label):
            raise UsageError(f"{where}: {label!r} cannot be stored as a choice; leave it out")
    return Parameter("choice", choices=values)


def _label(choice: Any) -> Label:
    return choice if choice is None or isinstance(choice, bool | int | float | str) else repr(choice)
