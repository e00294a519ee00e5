"""How folds are written: ``stratified:5``, ``group:region:4``, ``time:24``, ``loo``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelyard.errors import UsageError, did_you_mean

#: What a spec can begin with.
SPECS = ("stratified", "kfold", "loo", "group", "stratified-group", "time", "repeated", "nested")
FORMS = (
    "'stratified:5', 'kfold:5', 'loo', 'group:COLUMN', 'stratified-group:COLUMN', 'time:GAP', 'repeated:5', "
    "a number of folds, or a scikit-learn splitter"
)


@dataclass(frozen=True)
class Spec:
    """A spec that was read: its kind, and the number, column or gap behind the colon."""

    typed: Any
    kind: str
    count: int | None = None
    column: str = ""
    gap: int = 0


def read_spec(cv: str | int, folds: int | None, grouped: bool) -> Spec:
    """Read a spec, or a number of folds; `grouped` says that ``groups=`` was given.

    Raises
    ------
    UsageError
        It cannot be read, or `folds` asks for another number.
    """
    spec = Spec(cv, "stratified", cv) if isinstance(cv, int) else _parsed(cv, grouped)
    if folds is None:
        return spec
    if spec.kind == "loo":
        raise UsageError(f"leave-one-out has no number of folds, found folds={folds}; type cv='loo' alone")
    if spec.count is not None and spec.count != folds:
        raise UsageError(
            f"cv={cv!r} has {spec.count} folds, and folds={folds} asks for others; give one of the two"
        )
    return Spec(cv, spec.kind, folds, spec.column, spec.gap)


def _parsed(typed: str, grouped: bool) -> Spec:
    text = typed.strip()
    if re.fullmatch(r"\d+", text):  # a number of folds, as a magic's line gives it
        return Spec(typed, "stratified", int(text))
    word, colon, rest = text.partition(":")
    kind = word.strip().lower()
    if kind not in SPECS:
        raise UsageError(f"cv cannot be read, found {typed!r}; type {FORMS}{did_you_mean(kind, SPECS)}")
    if kind in ("group", "stratified-group"):
        return _grouped(typed, kind, rest.strip(), grouped)
    if kind == "loo" and colon:
        raise UsageError(f"leave-one-out has no number of folds, found {typed!r}; type 'loo'")
    if kind == "nested" and re.fullmatch(r"\d+x\d+", rest):
        outer = rest.partition("x")[0]
        raise UsageError(
            f"{typed!r} names inner folds too; in %cv a search brings its own: type cv='nested:{outer}', "
            f"or %tune model X y --cv {text}"
        )
    if colon and not re.fullmatch(r"-?\d+", rest.strip()):
        raise UsageError(f"cv cannot be read, found {typed!r}; type {FORMS}")
    number = int(rest) if colon else None
    if kind == "time":
        if number is not None and number < 0:
            raise UsageError(f"a gap is a number of rows from 0 up, found {typed!r}; type cv='time:24'")
        return Spec(typed, kind, None, gap=number or 0)
    return Spec(typed, kind, number)


def _grouped(typed: str, kind: str, rest: str, given: bool) -> Spec:
    """Read ``COLUMN[:n]``; where ``groups=`` gives the groups, a number alone is the number of folds."""
    if given and re.fullmatch(r"\d+", rest):
        return Spec(typed, kind, int(rest))
    match = re.fullmatch(r"(.*\S)\s*:\s*(-?\d+)", rest)
    return Spec(typed, kind, int(match[2]), match[1]) if match else Spec(typed, kind, None, rest)
