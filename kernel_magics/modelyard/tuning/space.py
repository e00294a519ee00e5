"""Search spaces: parameters under the names of a model, which of them exist together, and how many points there are.

The language that `parse_space` reads is in ``language.py``.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from modelyard.errors import UnknownNameError, UsageError, did_you_mean, listing
from modelyard.tuning.condition import Stated, parents_first, settle
from modelyard.tuning.language import EXAMPLE, NAME, NO_NAMES, parse_space, parse_spec, without_comment
from modelyard.tuning.parameter import Label, Parameter, choice_of, range_of

__all__ = ["active", "as_space", "is_point", "parse_space", "points", "resolve_names", "size_of"]


def as_space(given: Any, names: Mapping[str, Any] = NO_NAMES) -> dict[str, Parameter]:
    """Return a space from text, or from a dict whose values are specs, distributions, ranges or lists.

    Parameters
    ----------
    given : str or dict
        A dict maps names to a spec such as ``"int 2..20"``, an Optuna distribution, a `Parameter`, a
        ``(low, high)`` tuple of numbers (``int`` if both are whole), or a list of choices.
    names : dict
        What the names of classes in specs stand for; otherwise they are scikit-learn's.

    Raises
    ------
    UsageError
        The space is empty or one of its values cannot be read.
    """
    if isinstance(given, str):
        space = parse_space(given, names)
    elif isinstance(given, Mapping):
        read, stated = {}, {}
        for name, value in given.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise UsageError(f"a parameter has a name, found {name!r}; type {{'max_depth': 'int 2..20'}}")
            read[name], condition = _converted(name, value, names)
            if condition is not None:
                stated[name] = condition
        space = settle(read, stated)
    else:
        raise UsageError(f"a space is text or a dict, found {type(given).__name__}; type {EXAMPLE}")
    if not space:
        raise UsageError(f"the space is empty; type {EXAMPLE}, or give no space for the model's default")
    return space


def resolve_names(space: Mapping[str, Parameter], model: Any) -> dict[str, Parameter]:
    """Return the space under the model's full parameter names, such as ``clf__max_depth``.

    A bare name is the model's own parameter, or the only nested one that ends in it. Where the space swaps a
    step, the parameters of every estimator that may stand there are known.

    Raises
    ------
    UnknownNameError
        No parameter has that name.
    UsageError
        Several nested parameters end in that name, two names mean the same parameter, or a parameter exists
        where the step that has it may not stand.
    """
    own = sorted(_parameter_names(model))
    full = {name: _full_name(name, own, model) for name in space if _ends(name, own)}
    swapped = {
        full[name]: _estimators(part) for name, part in space.items() if name in full and _estimators(part)
    }
    known = sorted(
        {*own, *(f"{step}__{inner}" for step, each in swapped.items() for inner in _inner_names(each))}
    )
    full |= {name: _full_name(name, known, model) for name in space if name not in full}
    resolved: dict[str, Parameter] = {}
    for name, part in space.items():
        if full[name] in resolved:
            raise UsageError(f"two names in the space mean {full[name]!r}; keep one of them")
        condition = part.condition
        if condition is not None:
            part = dataclasses.replace(
                part, condition=dataclasses.replace(condition, parent=full[condition.parent])
            )
        resolved[full[name]] = part
    for name, part in resolved.items():
        _check_step_has_it(name, part, resolved)
    return parents_first(resolved)


def active(space: Mapping[str, Parameter], labels: Mapping[str, Label]) -> dict[str, Label]:
    """Return those labels whose parameters exist with the others; the space has parents first."""
    kept: dict[str, Label] = {}
    for name, part in space.items():
        if name in labels and (part.condition is None or part.condition.holds(kept)):
            kept[name] = labels[name]
    return kept


def is_point(space: Mapping[str, Parameter], labels: Mapping[str, Label]) -> bool:
    """Whether there is a label for each parameter that exists, and for no other."""
    kept = active(space, labels)
    return len(kept) == len(labels) and all(
        name in kept or (part.condition is not None and not part.condition.holds(kept))
        for name, part in space.items()
    )


def size_of(
    space: Mapping[str, Parameter], values: Callable[[Parameter], Sequence[Label]] | None = None
) -> float:
    """Return how many points a space holds, ``inf`` where a parameter is continuous.

    Parameters
    ----------
    space : dict
    values : callable, optional
        The values of a parameter that count; by default all.
    """

    def size(name: str) -> float:
        part = space[name]
        children = [
            other for other, each in space.items() if each.condition and each.condition.parent == name
        ]
        if not children:
            return part.size if values is None else len(values(part))
        total: float = 0
        for label in part.every() if values is None else values(part):
            with_label = [child for child in children if _exists(space[child], name, label)]
            total += math.prod(size(child) for child in with_label)
        return total

    return math.prod(size(name) for name, part in space.items() if part.condition is None)


def points(
    space: Mapping[str, Parameter], values: Callable[[Parameter], Sequence[Label]]
) -> Iterator[dict[str, Label]]:
    """Yield every combination of the parameters' values, one dict at a time; the last parameter moves fastest."""
    names = list(space)

    def further(place: int, chosen: dict[str, Label]) -> Iterator[dict[str, Label]]:
        if place == len(names):
            yield dict(chosen)
            return
        part = space[names[place]]
        if part.condition is not None and not part.condition.holds(chosen):
            yield from further(place + 1, chosen)
            return
        for label in values(part):
            yield from further(place + 1, {**chosen, names[place]: label})

    return further(0, {})


def _exists(child: Parameter, parent: str, label: Label) -> bool:
    return child.condition is not None and child.condition.holds({parent: label})


def _ends(name: str, known: Sequence[str]) -> list[str]:
    return [name] if name in known else [full for full in known if full.endswith(f"__{name}")]


def _full_name(name: str, known: Sequence[str], model: Any) -> str:
    ends = _ends(name, known)
    if not ends:
        proposal = did_you_mean(name, [*known, *(full.split("__")[-1] for full in known)])
        shown = listing(known[:12]) + (", …" if len(known) > 12 else "")
        raise UnknownNameError(f"{type(model).__name__} has no parameter {name!r}{proposal}; there: {shown}")
    if len(ends) > 1:
        raise UsageError(f"{name!r} means several parameters: {listing(ends)}; type one of them in full")
    return ends[0]


def _estimators(part: Parameter) -> list[Any]:
    return [
        choice for choice in part.choices if hasattr(choice, "get_params") and not isinstance(choice, type)
    ]


def _inner_names(estimators: Sequence[Any]) -> set[str]:
    return {name for estimator in estimators for name in _parameter_names(estimator)}


def _parameter_names(estimator: Any) -> set[str]:
    """Return all parameters, nested ones too; CatBoost's ``get_params`` keeps them to itself until they are set."""
    own = estimator.get_params(deep=True)
    parts = {"": estimator} | {
        f"{name}__": value
        for name, value in own.items()
        if hasattr(value, "get_params") and not isinstance(value, type)
    }
    return set(own) | {
        prefix + name
        for prefix, part in parts.items()
        for name, each in inspect.signature(type(part)).parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }


def _check_step_has_it(name: str, part: Parameter, space: Mapping[str, Parameter]) -> None:
    """Raise UsageError where a step that may stand there does not have the parameter."""
    parents = [step for step in space if name.startswith(f"{step}__") and _estimators(space[step])]
    for step in parents:
        inner = name.removeprefix(f"{step}__")
        having = [
            label
            for label, choice in zip(space[step].labels, space[step].choices, strict=True)
            if hasattr(choice, "get_params") and inner in _parameter_names(choice)
        ]
        lacking = [label for label in space[step].labels if label not in having]
        condition = part.condition
        exists = [
            label
            for label in lacking
            if condition is None or condition.parent != step or condition.holds({step: label})
        ]
        if exists:
            kinds = list(dict.fromkeys(type(space[step].value(label)).__name__ for label in having))
            test = f"== {kinds[0]}" if len(kinds) == 1 else f"in ({', '.join(kinds)})"
            raise UsageError(
                f"{name!r} is no parameter of {exists[0]}, which may be {step!r}; type '{name}: … if {step} {test}'"
            )


def _converted(name: str, value: Any, names: Mapping[str, Any]) -> tuple[Parameter, Stated | None]:
    where = f"space[{name!r}]"
    if isinstance(value, str):
        return parse_spec(name, without_comment(value), where, names)
    return _without_condition(value, where), None


def _without_condition(value: Any, where: str) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, IntDistribution | FloatDistribution):
        step = None if value.step in (None, 1) and isinstance(value, IntDistribution) else value.step
        kind = "int" if isinstance(value, IntDistribution) else "float"
        return range_of(kind, value.low, value.high, value.log, step, where)
    if isinstance(value, CategoricalDistribution):
        return choice_of(value.choices, where)
    if isinstance(value, BaseDistribution):
        raise UsageError(f"{where}: {type(value).__name__} is not supported; type {EXAMPLE}")
    if isinstance(value, tuple) and len(value) == 2 and all(_is_number(v) for v in value):
        whole = all(isinstance(v, int | np.integer) for v in value)
        return range_of("int" if whole else "float", value[0], value[1], False, None, where)
    if isinstance(value, list | np.ndarray):
        return choice_of(tuple(value), where)
    raise UsageError(
        f"{where}: cannot read {value!r}; give 'int 2..20', a (low, high) tuple of numbers, or a list of choices"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
