"""The language of search spaces, one parameter to a line, as in the body of ``%%tune``.

::

    max_depth: int 2..20                # every whole number from 2 to 20
    n_estimators: int 10..500 log       # small numbers as often as large ones
    subsample: float 0.5..1.0 step 0.1
    learning_rate: float 1e-3..0.3 log
    criterion: gini | entropy           # bare words are strings; 1, 0.5, None, true, (50, 50) are Python's
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from modelyard.errors import UnknownNameError, UsageError, did_you_mean, listing
from modelyard.tuning.parameter import Parameter, choice_of, range_of

_NAME = re.compile(r"[A-Za-z_]\w*")
_RANGE = re.compile(r"(?P<kind>[A-Za-z]\w*)?\s*(?P<low>\S+?)\s*\.\.\s*(?P<high>\S+)(?P<tail>.*)")
_WORD = re.compile(r"[A-Za-z_][\w.-]*")
_CONSTANTS = {"none": None, "true": True, "false": False}
_EXAMPLE = "'max_depth: int 2..20', 'C: float 1e-3..1e3 log' or 'criterion: gini | entropy'"


def parse_space(text: str) -> dict[str, Parameter]:
    r"""Read a search space, one ``name: spec`` to a line; blank lines and ``#`` comments are skipped.

    Raises
    ------
    UsageError
        A line cannot be read, or names a parameter again; the message begins with ``line N``.

    Examples
    --------
    >>> space = parse_space("C: float 1e-3..10 log\nkernel: rbf | linear  # two of them")
    >>> space["C"].spec(), space["kernel"].choices
    ('float 0.001..10.0 log', ('rbf', 'linear'))
    """
    space: dict[str, Parameter] = {}
    for place, line in enumerate(text.splitlines(), start=1):
        where = f"line {place}"
        statement = _without_comment(line, where)
        if not statement:
            continue
        name, colon, spec = statement.partition(":")
        name = name.strip()
        if not colon or not _NAME.fullmatch(name):
            raise UsageError(f"{where}: no 'name: values' in {statement!r}; type {_EXAMPLE}")
        if name in space:
            raise UsageError(f"{where}: {name!r} is named again; keep one line for each parameter")
        space[name] = _parsed(name, spec.strip(), where)
    return space


def as_space(given: Any) -> dict[str, Parameter]:
    """Return a space from text, or from a dict whose values are specs, distributions, ranges or lists.

    Parameters
    ----------
    given : str or dict
        A dict maps names to a spec such as ``"int 2..20"``, an Optuna distribution, a `Parameter`, a
        ``(low, high)`` tuple of numbers (``int`` if both are whole), or a list of choices.

    Raises
    ------
    UsageError
        The space is empty or one of its values cannot be read.
    """
    if isinstance(given, str):
        space = parse_space(given)
    elif isinstance(given, Mapping):
        space = {}
        for name, value in given.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise UsageError(f"a parameter has a name, found {name!r}; type {{'max_depth': 'int 2..20'}}")
            space[name] = _converted(name, value)
    else:
        raise UsageError(f"a space is text or a dict, found {type(given).__name__}; type {_EXAMPLE}")
    if not space:
        raise UsageError(f"the space is empty; type {_EXAMPLE}, or give no space for the model's default")
    return space


def resolve_names(space: Mapping[str, Parameter], model: Any) -> dict[str, Parameter]:
    """Return the space under the model's full parameter names, such as ``clf__max_depth``.

    A bare name is the model's own parameter, or the only nested one that ends in it.

    Raises
    ------
    UnknownNameError
        No parameter has that name.
    UsageError
        Several nested parameters end in that name, or two names mean the same parameter.
    """
    known = sorted(model.get_params(deep=True))
    resolved: dict[str, Parameter] = {}
    for name, parameter in space.items():
        ends = [name] if name in known else [full for full in known if full.endswith(f"__{name}")]
        if not ends:
            proposal = did_you_mean(name, [*known, *(full.split("__")[-1] for full in known)])
            shown = listing(known[:12]) + (", …" if len(known) > 12 else "")
            raise UnknownNameError(
                f"{type(model).__name__} has no parameter {name!r}{proposal}; there: {shown}"
            )
        if len(ends) > 1:
            raise UsageError(f"{name!r} means several parameters: {listing(ends)}; type one of them in full")
        if ends[0] in resolved:
            raise UsageError(f"two names in the space mean {ends[0]!r}; keep one of them")
        resolved[ends[0]] = parameter
    return resolved


def size_of(space: Mapping[str, Parameter]) -> float:
    """Return how many points a space holds, ``inf`` where a parameter is continuous."""
    size: float = 1
    for parameter in space.values():
        size *= parameter.size
    return size


def points(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Yield every combination of listed values, one dict at a time."""
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _converted(name: str, value: Any) -> Parameter:
    where = f"space[{name!r}]"
    if isinstance(value, Parameter):
        return value
    if isinstance(value, str):
        return _parsed(name, _without_comment(value, where), where)
    if isinstance(value, IntDistribution | FloatDistribution):
        step = None if value.step in (None, 1) and isinstance(value, IntDistribution) else value.step
        kind = "int" if isinstance(value, IntDistribution) else "float"
        return range_of(kind, value.low, value.high, value.log, step, where)
    if isinstance(value, CategoricalDistribution):
        return choice_of(value.choices, where)
    if isinstance(value, BaseDistribution):
        raise UsageError(f"{where}: {type(value).__name__} is not supported; type {_EXAMPLE}")
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


def _parsed(name: str, spec: str, where: str) -> Parameter:
    if not spec:
        raise UsageError(f"{where}: {name!r} has no values; type '{name}: int 1..10' or '{name}: a | b'")
    parts = _split(spec, "|", where)
    if len(parts) == 1 and (".." in spec and spec[0] not in "'\"([{"):
        return _parsed_range(name, spec, where)
    if len(parts) == 1 and re.match(r"(int|float)\b", spec):
        raise UsageError(f"{where}: {spec!r} has no range; type '{name}: {spec.split()[0]} 1..10'")
    return choice_of(tuple(_value(name, part.strip(), where) for part in parts), where)


def _parsed_range(name: str, spec: str, where: str) -> Parameter:
    match = _RANGE.fullmatch(spec)
    if match is None:
        raise UsageError(f"{where}: cannot read the range {spec!r}; type '{name}: int 2..20'")
    kind = match["kind"]
    if kind not in ("int", "float"):
        found = f"unknown kind {kind!r}" if kind else "no kind"
        ends = f"{match['low']}..{match['high']}"
        raise UsageError(
            f"{where}: {found} in {spec!r}; type '{name}: int {ends}' or '{name}: float {ends}'"
            f"{did_you_mean(kind or '', ('int', 'float'))}"
        )
    options = re.fullmatch(r"(?:\s+(log))?(?:\s+step\s+(\S+))?(?:\s+(log))?\s*", match["tail"])
    if options is None:
        raise UsageError(f"{where}: cannot read {match['tail'].strip()!r} in {spec!r}; type log or step 10")
    low, high = _number(match["low"], kind, where), _number(match["high"], kind, where)
    step = _number(options[2], kind, where) if options[2] else None
    return range_of(kind, low, high, bool(options[1] or options[3]), step, where)


def _number(text: str, kind: str, where: str) -> float | int:
    try:
        if kind == "float":
            return float(text)
        value = float(text)
        whole = int(text) if re.fullmatch(r"[+-]?\d[\d_]*", text) else int(value)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: {text!r} is no {kind}; type a number such as 10 or 1e-3") from error
    if whole != value:
        raise UsageError(f"{where}: {text!r} is no whole number; type {whole} or use float")
    return whole


def _value(name: str, part: str, where: str) -> Any:
    if part.lower() in _CONSTANTS:
        return _CONSTANTS[part.lower()]
    try:
        return ast.literal_eval(part)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if _WORD.fullmatch(part):
            return part
    shown = repr(part) if part else "nothing between two '|'"
    raise UsageError(f"{where}: {name!r} has a choice that cannot be read, {shown}; put strings in quotes")


def _split(text: str, at: str, where: str) -> list[str]:
    """Cut text at a character, but not inside quotes or brackets."""
    parts, start, depth, quote, escaped = [], 0, 0, "", False
    for place, sign in enumerate(text):
        if quote:
            escaped, quote = (False, quote) if escaped else (sign == "\\", "" if sign == quote else quote)
        elif sign in "'\"":
            quote = sign
        elif sign == at and depth == 0:
            parts.append(text[start:place])
            start = place + 1
        else:
            depth += (sign in "([{") - (sign in ")]}")
    if quote:
        raise UsageError(f"{where}: a quote {quote} is not closed in {text.strip()!r}; close it")
    return [*parts, text[start:]]


def _without_comment(line: str, where: str) -> str:
    return _split(line, "#", where)[0].strip() if "#" in line else line.strip()
