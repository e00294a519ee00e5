"""The fields of a form, made from a parser's own arguments, and the words of the line that they type."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard_widgets.blocks import Control, check, choice, number_field, text_field

Split = Callable[[str], list[str]]

#: Of the list of variables: none is meant; and something else than a variable, which has a field of its own.
NOTHING, OTHER = "", "…"
#: The positionals that are nearly always a variable.
EXPRESSIONS = ("model", "X", "y")
_QUOTES = "\"'"


@dataclass
class Field:
    """One argument of a parser, and what its field holds.

    Attributes
    ----------
    action : argparse.Action
    value : object
        A text; of a flag without a value, whether it is set.
    other : str
        The expression that is typed where none of the variables is meant.
    """

    action: argparse.Action
    value: Any = ""
    other: str = ""

    @property
    def key(self) -> str:
        return self.action.dest

    @property
    def is_positional(self) -> bool:
        return not self.action.option_strings

    @property
    def flag(self) -> str:
        """The long form of an option."""
        return max(self.action.option_strings, key=len)

    @property
    def help(self) -> str:
        said = (self.action.help or "").replace("%%", "%")
        repeated = isinstance(self.action.default, list) or type(self.action).__name__ == "_AppendAction"
        return said.replace("may be repeated", "several with spaces between") if repeated else said

    def controls(self, variables: Collection[str]) -> Iterator[Control]:
        """Yield what the page shows for it; `variables` are those of the namespace that suit a positional."""
        if self.key in EXPRESSIONS:
            yield from self._variables(variables)
        elif self.is_positional:
            yield text_field(self.key, self.key, str(self.value), list(variables), help=self.help)
        elif isinstance(self.action, argparse._StoreTrueAction):
            yield check(self.key, self.flag, bool(self.value), help=self.help)
        elif self.action.choices:
            options = [(NOTHING, "–"), *((str(each), str(each)) for each in self.action.choices)]
            yield choice(self.key, self.flag, options, str(self.value), help=self.help)
        elif self.action.type in (int, float):
            step = {"step": 1} if self.action.type is int else {}
            yield number_field(
                self.key, self.flag, None if self.value == "" else self.value, help=self.help, **step
            )
        else:
            yield text_field(self.key, self.flag, str(self.value), help=self.help)

    def words(self, split: Split) -> Iterator[str]:
        """Yield the words that it adds to the line; none where it says what is so anyway."""
        if self.is_positional:
            word = self.other if self.value == OTHER else self.value
            if str(word).strip():
                yield str(word).strip()
        elif isinstance(self.action, argparse._StoreTrueAction):
            if self.value and not self.action.default:
                yield self.flag
        elif self.value not in ("", None) and str(self.value) != _said(self.action.default):
            repeated = type(self.action).__name__ == "_AppendAction"
            for each in split(str(self.value)) if repeated else [str(self.value)]:
                yield f"{self.flag} {_quoted(each, split)}"

    def _variables(self, variables: Collection[str]) -> Iterator[Control]:
        needless = self.action.nargs == "?"
        options = [*([(NOTHING, "–")] if needless else []), *((name, name) for name in variables)]
        options.append((OTHER, "another expression…"))
        yield choice(self.key, self.key, options, str(self.value), help=self.help)
        if self.value == OTHER:
            yield text_field(f"{self.key}{OTHER}", f"{self.key}: expression", self.other)


def fields_of(
    parser: argparse.ArgumentParser, filled: Mapping[str, Any], left_out: Collection[str]
) -> list[Field]:
    """Return the fields of a parser's arguments but those `left_out`, with what is `filled` in already."""
    found = []
    for action in parser._actions:
        if action.dest in left_out:
            continue
        value = filled.get(action.dest)
        found.append(
            Field(action, bool(value) if isinstance(action, argparse._StoreTrueAction) else _said(value))
        )
    return found


def _said(value: Any) -> str:
    if value is None or value is False:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _quoted(value: str, split: Split) -> str:
    """Return a value as one word of a line."""
    if split(value) == [value]:
        return value
    quote = next((each for each in _QUOTES if each not in value), _QUOTES[0])
    return f"{quote}{value}{quote}"
