"""A magic's line: expressions from the namespace first, then GNU flags."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from modelyard.errors import ModelyardError, UnknownNameError, UsageError, did_you_mean

_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "\"'"
_BUDGET = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>trials?|s|min|m|h)")
_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<percent>%)?")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class HelpShown(Exception):  # noqa: N818  # not a fault: the text that -h asks for
    """Raised by ``-h``; its text is the answer."""


def split_line(line: str) -> list[str]:
    """Split a line at spaces outside of brackets and quotes; a word that is one quoted text loses its quotes.

    >>> split_line('model df.drop(columns="y z") df["y z"] --name "a b"')
    ['model', 'df.drop(columns="y z")', 'df["y z"]', '--name', 'a b']
    """
    words: list[str] = []
    word, depth, quote = "", 0, ""
    for character in line.strip().removesuffix(";"):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        if character.isspace() and depth <= 0 and not quote:
            words += [word] if word else []
            word = ""
        else:
            word += character
    if quote or depth > 0:
        raise UsageError(f"the line ends inside {'a quoted text' if quote else 'brackets'}: {line.strip()!r}")
    return [_unquoted(w) for w in [*words, *([word] if word else [])]]


def _unquoted(word: str) -> str:
    head, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0] and value[0] not in value[1:-1]:
        return f"{head}{equals}{value[1:-1]}"
    return word


class LineParser(argparse.ArgumentParser):
    """A parser whose mistakes are one line of ours, and which prints and exits never."""

    def __init__(self, magic: str, summary: str, **options: Any) -> None:
        super().__init__(prog=magic, description=summary, add_help=False, allow_abbrev=False, **options)
        self.add_argument("-h", "--help", action="store_true", help="show this help")

    def expression(self, name: str, help: str, *, optional: bool = False, several: bool = False) -> None:
        """Add a positional that is a Python expression of the namespace; `several` takes one or more, as a list."""
        self.add_argument(name, metavar=name, nargs="+" if several else "?" if optional else None, help=help)

    @property
    def flags(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]

    def asks_for_form(self, line: str) -> bool:
        """Whether the line has ``--interact``, and does not ask for help."""
        words = split_line(line)
        return "--interact" in words and not {"-h", "--help"} & set(words)

    def usage_line(self) -> str:
        """Return the shortest line that is complete."""
        needed = [
            action.dest for action in self._actions if not action.option_strings and action.nargs != "?"
        ]
        flags = [
            f"{max(a.option_strings, key=len)} {a.metavar}"
            for a in self._actions
            if a.option_strings and a.required
        ]
        return " ".join([self.prog, *needed, *flags])

    def filled(self, line: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an unfinished line and the defaults say, by the names of the arguments.

        Raises
        ------
        UsageError
            An unknown flag, a missing value, or a word too many.
        """
        kept = [(action, action.required, action.nargs) for action in self._actions]
        try:
            for action, _, _ in kept:
                action.required = action.required and not action.option_strings
            with contextlib.suppress(UsageError):
                return vars(self.parse_line(line, defaults))
            for action, _, _ in kept:
                action.required = False
                if not action.option_strings:
                    action.nargs = "?"
            return vars(self.parse_line(line, defaults))
        finally:
            for action, required, nargs in kept:
                action.required, action.nargs = required, nargs

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; type {self.prog} -h")

    def parse_line(self, line: str, defaults: Mapping[str, Any]) -> argparse.Namespace:
        """Parse a whole line.

        Raises
        ------
        HelpShown
            The line asks for help.
        UsageError
            An unknown flag, a missing value, or a word too many.
        """
        words = split_line(line)
        if "-h" in words or "--help" in words:
            raise HelpShown(self.format_help())
        known = {action.dest for action in self._actions if action.option_strings}
        for name in defaults:
            if name not in known:
                raise UsageError(
                    f"{self.prog} has no flag for the default {name!r}{did_you_mean(name, known)}"
                )
        self.set_defaults(**defaults)
        found, left = self.parse_known_intermixed_args(words)
        if left:
            word = left[0].partition("=")[0]
            if word.startswith("-"):
                self.error(f"unknown flag {word!r}{did_you_mean(word, self.flags)}")
            self.error(f"one word too many: {word!r}")
        return found


@dataclass(frozen=True)
class Budget:
    """How long to go on: trials, seconds, or both."""

    trials: int | None
    seconds: float | None


def parse_budget(text: str) -> Budget:
    """Read ``60trials``, ``90s``, ``5min``, ``1h``, or two of them with a comma between.

    >>> parse_budget("60trials,5min")
    Budget(trials=60, seconds=300.0)
    """
    trials, seconds = None, None
    for part in text.split(","):
        found = _BUDGET.fullmatch(part.strip())
        if found is None:
            raise UsageError(
                f"a budget has a unit, found {part.strip()!r}; type 60trials, 90s, 5min, or 60trials,5min"
            )
        if found["unit"].startswith("trial"):
            trials = int(float(found["number"]))
        else:
            seconds = float(found["number"]) * _SECONDS[found["unit"]]
    return Budget(trials, seconds)


def parse_seconds(text: str | float) -> float:
    """Read a time with its unit, as ``90s``, ``5min``, ``1h``.

    >>> parse_seconds("5min"), parse_seconds("1.5s")
    (300.0, 1.5)
    """
    found = _BUDGET.fullmatch(str(text).strip())
    if found is None or found["unit"] not in _SECONDS:
        raise UsageError(f"a time has a unit, found {text!r}; type 90s, 5min or 1h")
    return float(found["number"]) * _SECONDS[found["unit"]]


def parse_share(text: str | float) -> float:
    """Read a share, as ``10%`` or ``0.1``.

    >>> parse_share("12.5%"), parse_share("0.1")
    (0.125, 0.1)
    """
    found = _SHARE.fullmatch(str(text).strip())
    if found is None:
        raise UsageError(f"a share is a percentage, found {text!r}; type 10%")
    number = float(found["number"])
    if not found["percent"] and number > 1:
        raise UsageError(f"a share without % is between 0 and 1, found {text!r}; type {number:g}%")
    return number / 100 if found["percent"] else number


def evaluate(expression: str, namespace: Mapping[str, Any]) -> Any:
    """Return the value of a positional in the user's namespace.

    Raises
    ------
    UnknownNameError
        It names something that is not there.
    UsageError
        It is no expression, or fails.
    """
    try:
        return eval(compile(expression, "<magic>", "eval"), dict(namespace))
    except NameError as error:
        visible = [name for name in namespace if not name.startswith("_")]
        missing = error.name or expression
        raise UnknownNameError(
            f"no variable {missing!r} here{did_you_mean(missing, visible)}; run the cell that makes it first"
        ) from None
    except SyntaxError:
        raise UsageError(f"{expression!r} is not a Python expression") from None
    except ModelyardError:
        raise
    except Exception as error:  # the user's own expression: its words, in one line
        raise UsageError(f"{expression!r} fails: {type(error).__name__}: {error}") from error


def as_call(verb: str, positionals: Sequence[str], keywords: Mapping[str, Any]) -> str:
    """Return the Python call that a magic stands for (``--show-code``).

    >>> as_call("package", ["model", "X", "y"], {"name": "churn", "policy": None})
    "modelyard.package(model, X, y, name='churn')"
    """
    named = [f"{key}={value!r}" for key, value in keywords.items() if value is not None]
    return f"modelyard.{verb}({', '.join([*positionals, *named])})"
