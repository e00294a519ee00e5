"""The language of search spaces, one parameter to a line, as in the body of ``%%tune``.

::

    max_depth: int 2..20                # every whole number from 2 to 20
    n_estimators: int 10..500 log       # small numbers as often as large ones
    subsample: float 0.5..1.0 step 0.1
    learning_rate: float 1e-3..0.3 log
    criterion: gini | entropy           # bare words are strings; 1, 0.5, None, true, (50, 50) are Python's
    degree: int 2..5 if kernel == poly  # only with that kernel; also !=, in (rbf, poly), not in (linear)
    scaler: StandardScaler() | MinMaxScaler() | passthrough      # steps of a pipeline to swap
    clf: LogisticRegression() | RandomForestClassifier()
    clf__C: float 1e-3..1e3 log if clf == LogisticRegression     # a step is named by its class
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelyard.errors import UsageError, did_you_mean
from modelyard.tuning.condition import Stated, settle
from modelyard.tuning.instances import instance_of
from modelyard.tuning.parameter import Parameter, choice_of, range_of

NAME = re.compile(r"[A-Za-z_]\w*")
EXAMPLE = "'max_depth: int 2..20', 'C: float 1e-3..1e3 log' or 'criterion: gini | entropy'"
NO_NAMES: Mapping[str, Any] = MappingProxyType({})

_RANGE = re.compile(r"(?P<kind>[A-Za-z]\w*)?\s*(?P<low>\S+?)\s*\.\.\s*(?P<high>\S+)(?P<tail>.*)")
_WORD = re.compile(r"[A-Za-z_][\w.-]*")
_CALL = re.compile(r"[A-Za-z_][\w.]*\s*\(.*\)", re.DOTALL)
_CONDITION = re.compile(r"(?P<parent>[A-Za-z_]\w*)\s*(?P<sign>==|!=|\bnot\s+in\b|\bin\b)\s*(?P<values>.+)")
_CONSTANTS = {"none": None, "true": True, "false": False}


def parse_space(text: str, names: Mapping[str, Any] = NO_NAMES) -> dict[str, Parameter]:
    r"""Read a search space, one ``name: spec`` to a line; blank lines and ``#`` comments are skipped.

    Parameters
    ----------
    text : str
    names : dict
        What the names of classes in it stand for; otherwise they are scikit-learn's.

    Raises
    ------
    UsageError
        A line cannot be read, or names a parameter again; the message begins with ``line N``.

    Examples
    --------
    >>> space = parse_space("C: float 1e-3..10 log\nkernel: rbf | linear  # two of them")
    >>> space["C"].spec(), space["kernel"].choices
    ('float 0.001..10.0 log', ('rbf', 'linear'))
    >>> parse_space("kernel: rbf | poly\ndegree: int 2..5 if kernel == poly")["degree"].spec()
    "int 2..5 if kernel == 'poly'"
    """
    space: dict[str, Parameter] = {}
    stated: dict[str, Stated] = {}
    for place, line in enumerate(text.splitlines(), start=1):
        where = f"line {place}"
        statement = without_comment(line)
        if not statement:
            continue
        name, colon, spec = statement.partition(":")
        name = name.strip()
        if not colon or not NAME.fullmatch(name):
            raise UsageError(f"{where}: no 'name: values' in {statement!r}; type {EXAMPLE}")
        if name in space:
            raise UsageError(f"{where}: {name!r} is named again; keep one line for each parameter")
        space[name], condition = parse_spec(name, spec.strip(), where, names)
        if condition is not None:
            stated[name] = condition
    return settle(space, stated)


def parse_spec(
    name: str, spec: str, where: str, names: Mapping[str, Any] = NO_NAMES
) -> tuple[Parameter, Stated | None]:
    """Read what stands behind the colon: values, and the condition if there is one.

    Raises
    ------
    UsageError
        It cannot be read; the message begins with `where`.
    """
    values, condition = _cut(name, spec, where)
    return _values(name, values, where, names), condition


def without_comment(line: str) -> str:
    """Return a line up to the first ``#`` that stands in no quotes or brackets."""
    if "#" not in line:
        return line.strip()
    masked, _ = _masked(line)
    return line[: masked.index("#")].strip() if "#" in masked else line.strip()


def _cut(name: str, spec: str, where: str) -> tuple[str, Stated | None]:
    masked, _ = _masked(spec)
    found = re.search(r"\sif(\s|$)", masked)
    if found is None:
        return spec, None
    values, text = spec[: found.start()].strip(), spec[found.end() :].strip()
    read = _CONDITION.fullmatch(text)
    if read is None:
        raise UsageError(
            f"{where}: cannot read the condition {text!r}; type 'if kernel == poly' or 'if kernel in (rbf, poly)'"
        )
    written = read["values"].strip()
    several = read["sign"] not in ("==", "!=")
    if several:
        if not (written.startswith("(") and written.endswith(")")):
            raise UsageError(f"{where}: {written!r} is no list; type 'if {read['parent']} in (a, b)'")
        parts = [part.strip() for part in _split(written[1:-1], ",", where) if part.strip()]
    else:
        parts = [written]
    return values, Stated(
        read["parent"],
        tuple(_condition_value(name, part, where) for part in parts),
        read["sign"] == "!=" or read["sign"].startswith("not"),
        where,
    )


def _condition_value(name: str, part: str, where: str) -> Any:
    return part if _CALL.fullmatch(part) else _value(name, part, where, NO_NAMES)


def _values(name: str, spec: str, where: str, names: Mapping[str, Any]) -> Parameter:
    if not spec:
        raise UsageError(f"{where}: {name!r} has no values; type '{name}: int 1..10' or '{name}: a | b'")
    parts = _split(spec, "|", where)
    if len(parts) == 1 and (".." in _masked(spec)[0] and spec[0] not in "'\"([{"):
        return _range(name, spec, where)
    if len(parts) == 1 and re.match(r"(int|float)\b", spec):
        raise UsageError(f"{where}: {spec!r} has no range; type '{name}: {spec.split()[0]} 1..10'")
    return choice_of(tuple(_value(name, part.strip(), where, names) for part in parts), where)


def _range(name: str, spec: str, where: str) -> Parameter:
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


def _value(name: str, part: str, where: str, names: Mapping[str, Any]) -> Any:
    if part.lower() in _CONSTANTS:
        return _CONSTANTS[part.lower()]
    try:
        return ast.literal_eval(part)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if _WORD.fullmatch(part):
            return part
    if _CALL.fullmatch(part):
        return instance_of(part, names, where)
    shown = repr(part) if part else "nothing between two '|'"
    raise UsageError(f"{where}: {name!r} has a choice that cannot be read, {shown}; put strings in quotes")


def _split(text: str, at: str, where: str) -> list[str]:
    """Cut text at a character, but not inside quotes or brackets."""
    masked, quote = _masked(text)
    if quote:
        raise UsageError(f"{where}: a quote {quote} is not closed in {text.strip()!r}; close it")
    parts, start = [], 0
    for place, sign in enumerate(masked):
        if sign == at:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _masked(text: str) -> tuple[str, str]:
    """Return text of the same length with blanks (NUL) in quotes and brackets, and the quote left open."""
    masked, depth, quote, escaped = "", 0, "", False
    for sign in text:
        inside = bool(quote) or depth > 0
        if quote:
            escaped, quote = (False, quote) if escaped else (sign == "\\", "" if sign == quote else quote)
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
        masked += "\0" if inside or quote else sign
    return masked, quote
