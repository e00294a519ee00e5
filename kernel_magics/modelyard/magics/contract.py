"""``%contract``: show what a bundle takes, and change it."""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser

_NAME = re.compile(r"[A-Za-z_]\w*")


def contract_parser() -> LineParser:
    parser = verb_parser(
        "%contract",
        "Show the contract of a bundle: %contract churn. Change it, which makes the bundle's next version: "
        "%contract churn --policy age=clip --range age=18..110",
    )
    parser.add_argument("bundle", help="the bundle: churn, churn:3, or a variable that holds one")
    parser.add_argument(
        "--policy", action="append", metavar="WHAT",
        help="what becomes of values past the contract: flag, clip or reject for all columns, or COLUMN=POLICY; "
        "may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--range", action="append", metavar="COLUMN=LOW..HIGH",
        help="the range of a column of numbers; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--categories", action="append", metavar="COLUMN=A,B,C",
        help="all categories of a column of texts, those with a comma in double quotes; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--no-null", action="append", metavar="COLUMN", help="refuse a null in this column; may be repeated"
    )
    return parser


def _each(flag: str, given: list[str] | str | None, read: Callable[[str, str], Any]) -> dict[str, Any]:
    """Read ``COLUMN=VALUE`` of a flag that may be repeated; a default of the project may be one text."""
    found: dict[str, Any] = {}
    for text in [given] if isinstance(given, str) else given or ():
        name, equals, value = text.partition("=") if flag == "--categories" else text.rpartition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"%contract: {flag} wants COLUMN=VALUE, found {text!r}; type %contract -h")
        if name.strip() in found:
            raise UsageError(f"%contract: {flag} names {name.strip()!r} twice")
        found[name.strip()] = read(text, value.strip())
    return found


def _range(text: str, value: str) -> tuple[float, float]:
    low, _, high = value.partition("..")
    try:
        return _number(low), _number(high)
    except ValueError:
        raise UsageError(
            f"%contract: --range wants COLUMN=LOW..HIGH, such as age=18..110, found {text!r}"
        ) from None


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"\s*[+-]?\d+\s*", text) else float(text)


def _categories(_text: str, value: str) -> list[str]:
    (found,) = csv.reader([value], skipinitialspace=True)
    return [category.strip() for category in found if category.strip()]


def _policy(given: list[str] | str | None) -> str | dict[str, str] | None:
    words = [given] if isinstance(given, str) else given or []
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    if words and not all("=" in word for word in words):
        raise UsageError("%contract: give one --policy for all columns, or COLUMN=POLICY for each of some")
    return _each("--policy", words, lambda _, value: value) or None


def contract_call(arguments: argparse.Namespace, namespace: dict[str, Any]) -> Call:
    from modelyard.packaging import Bundle

    named = arguments.bundle
    holds_one = _NAME.fullmatch(named) and isinstance(namespace.get(named), Bundle)
    ranges = _each("--range", arguments.range, _range)
    allow = ranges | _each("--categories", arguments.categories, _categories)
    refused = [arguments.no_null] if isinstance(arguments.no_null, str) else arguments.no_null or ()
    return Call(
        "contract",
        (named if holds_one else repr(named),),
        {
            "policy": _policy(arguments.policy),
            "allow": allow or None,
            "nullable": {name: False for name in refused} or None,
        },
    )


@magics_class
class ContractMagics(VerbMagics):
    """Holds ``%contract``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def contract(self, line: str) -> Any:
        """Show or change the contract of a bundle: ``%contract churn --policy reject``; ``%contract -h`` says more."""
        return self.answer(
            contract_parser(), line, "contract", lambda found: contract_call(found, self.namespace)
        )
