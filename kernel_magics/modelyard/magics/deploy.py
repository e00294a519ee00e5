"""``%deploy``: a bundle becomes an endpoint."""

from __future__ import annotations

import argparse
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError, listing
from modelyard.magics._arguments import LineParser, parse_budget, split_line
from modelyard.magics._verb import Call, Text, VerbMagics, verb_parser

_NAME = re.compile(r"[A-Za-z_]\w*")


def deploy_parser(target: str | None) -> LineParser:
    """Return the parser for one target, whose options are flags; importing it is the only way to know them."""
    from modelyard.targets import targets

    parser = verb_parser("%deploy", "Deploy a bundle: %deploy churn --to local")
    parser.add_argument("bundle", help="the bundle: churn, churn:3, or a variable that holds one")
    parser.add_argument("--to", metavar="TARGET", help=f"where to: {listing(targets)} (local)")
    parser.add_argument("--name", metavar="NAME", help="the deployment's name; the bundle's by default")
    parser.add_argument(
        "--replace", action="store_true", help="put this bundle in the place of a running one"
    )
    parser.add_argument(
        "--apply", action="store_true", help="do it, also where it costs money or leaves this machine"
    )
    parser.add_argument("--plan", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument(
        "--fit", action="store_true", help="show whether it fits, and what would help; do nothing else"
    )
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="run the target's handler here, under its limits, on the golden rows; do nothing else",
    )
    parser.add_argument(
        "--undo",
        action="store_true",
        help="take back what the newest deploy of that name did, and do nothing else",
    )
    parser.add_argument(
        "--rotate-token",
        action="store_true",
        help="give the deployment of that name a new token, and do nothing else",
    )
    if target is not None:
        _add_options(parser, targets[target])
    return parser


def _add_options(parser: LineParser, target: type[Any]) -> None:
    from modelyard.targets.protocol import option_fields

    types = typing.get_type_hints(target)
    for option in option_fields(target):
        flag = f"--{option.name.replace('_', '-')}"
        wanted = next(
            t for t in (*typing.get_args(types[option.name]), types[option.name]) if t is not type(None)
        )
        says = option.metadata.get("help", "")
        if wanted is bool:
            parser.add_argument(flag, action="store_true", default=None, help=says)
        else:
            reader: Callable[[str], Any] = _seconds if option.metadata.get("unit") == "s" else wanted
            parser.add_argument(flag, type=reader, metavar=str(wanted.__name__).upper(), help=says)


def _seconds(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else parse_budget(text).seconds or 0.0


def _target_of(line: str, fallback: str) -> str:
    words = split_line(line)
    for position, word in enumerate(words):
        if word.startswith("--to="):
            return word.removeprefix("--to=")
        if word == "--to" and position + 1 < len(words):
            return words[position + 1]
    return fallback


@dataclass(frozen=True)
class _Rotation(Call):
    """What ``--rotate-token`` stands for."""

    def run(self, namespace: Mapping[str, Any]) -> Any:
        return super().run(namespace).rotate_token()

    def code(self) -> Text:
        return Text(f"{super().code()}.rotate_token()")


@dataclass(frozen=True)
class _Undoing(Call):
    """What ``--undo`` stands for."""

    def nothing(self) -> str:
        return f"nothing is left of deployment {self.expressions[0]}; its bundles are there"


@magics_class
class DeployMagics(VerbMagics):
    """Holds ``%deploy``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def deploy(self, line: str) -> Any:
        """Deploy a bundle: ``%deploy churn --to local``; ``%deploy -h`` says more."""
        target = _target_of(line, str(self.defaults.get("to", "local")))
        return self.answer(deploy_parser(target), line, "deploy", lambda found: self._call(found, target))

    def _call(self, arguments: argparse.Namespace, target: str) -> Call:
        from modelyard.packaging import Bundle
        from modelyard.targets import targets
        from modelyard.targets.protocol import option_fields

        named = arguments.bundle
        holds_one = _NAME.fullmatch(named) and isinstance(self.namespace.get(named), Bundle)
        options = {field.name: getattr(arguments, field.name) for field in option_fields(targets[target])}
        positional = (named if holds_one else repr(named),)
        asked = _instead(arguments)
        if len(asked) > 1 or (asked and (arguments.replace or arguments.apply)):
            flags = [
                f"--{flag}" for flag in (*asked, *(f for f in ("replace", "apply") if getattr(arguments, f)))
            ]
            raise UsageError(f"%deploy: {flags[0]} and {flags[1]} are two things; type them one by one")
        if asked in (["undo"], ["rotate-token"]):
            name = self.namespace[named].name if holds_one else named.partition(":")[0]
            chosen = (repr(arguments.name or name),)
            return _Undoing("undo", chosen) if asked == ["undo"] else _Rotation("deployment", chosen)
        if asked in (["fit"], ["rehearse"]):
            return Call(asked[0], positional, {"to": target, **options})
        keywords = {"to": target, "name": arguments.name, **options}
        if asked:
            return Call("plan", positional, keywords)
        keywords |= {"apply": arguments.apply or None, "replace": arguments.replace or None}
        return Call("deploy", positional, keywords)


def _instead(arguments: argparse.Namespace) -> list[str]:
    """Return which of the flags were given that do something else than deploy."""
    flags = ("plan", "fit", "rehearse", "undo", "rotate-token")
    return [flag for flag in flags if getattr(arguments, flag.replace("-", "_"))]
