"""``%traffic``: several bundles behind one endpoint."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser, parse_seconds, parse_share
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def traffic_parser() -> LineParser:
    parser = verb_parser(
        "%traffic",
        "Show how an endpoint's requests are spread over its variants, and change it: "
        "%traffic churn --canary v2=10%. vN is version N of the bundle",
    )
    parser.add_argument("name", help="the deployment's name")
    parser.add_argument(
        "--canary",
        nargs="+",
        metavar="V=SHARE",
        help="candidates and their shares (v2=10%%); with --steps, v2",
    )
    parser.add_argument("--split", nargs="+", metavar="V=SHARE", help="all variants' shares: v1=50%% v2=50%%")
    parser.add_argument(
        "--shadow", nargs="+", metavar="V", help="variants that get copies and are heard by nobody; off"
    )
    parser.add_argument("--promote", metavar="V", help="let this variant answer everything")
    parser.add_argument(
        "--rollback", action="store_true", help="back to the control, or to the one before a promotion"
    )
    parser.add_argument(
        "--sticky", metavar="KEY", help="a header or column that keeps a caller on one variant; off"
    )
    parser.add_argument(
        "--steps",
        metavar="SHARES",
        help="a rollout that advances and rolls back by itself: 1%%,10%%,50%%,100%%",
    )
    parser.add_argument("--every", metavar="TIME", help="how long a step lasts at least (60s)")
    parser.add_argument(
        "--guard", action="append", metavar="GUARD",
        help='what must hold, as often as you like: "errors<1%%" (the default), "refused<1%%", "p99<20ms", '
        '"disagreement<5%%", "crashes<1" (always)',
    )  # fmt: skip
    parser.add_argument(
        "--least", type=int, metavar="N", help="requests to the candidate that each step wants (50)"
    )
    parser.add_argument(
        "--outcome", metavar="WHAT", help="a success is correct (the default): as predicted; or label: itself"
    )
    parser.add_argument("--effect", metavar="SHARE", help="the difference that is worth finding (2%%)")
    parser.add_argument(
        "--watch", metavar="TIME", nargs="?", const="1h",
        help="show a rollout live until it ends; Ctrl-C ends only the watching",
    )  # fmt: skip
    return parser


def _shares(words: Sequence[str] | None, *, bare: bool = False) -> dict[str, float | None] | None:
    if words is None:
        return None
    found: dict[str, float | None] = {}
    for word in (part for each in words for part in each.split(",") if part):
        name, equals, share = word.partition("=")
        if not equals and not bare:
            raise UsageError(f"%traffic: how much for {name}? type {name}=50%")
        if name in found:
            raise UsageError(f"%traffic: {name} is named twice")
        found[name] = parse_share(share) if equals else None
    return found


def traffic_call(arguments: argparse.Namespace) -> Call:
    canary = _shares(arguments.canary, bare=True)
    alone = None if canary is None or len(canary) != 1 else next(iter(canary))
    is_alone = alone is not None and canary is not None and canary[alone] is None
    steps = arguments.steps
    return Call(
        "traffic",
        (repr(arguments.name),),
        {
            "canary": alone if is_alone else canary,
            "split": _shares(arguments.split),
            "shadow": [part for each in arguments.shadow for part in each.split(",") if part]
            if arguments.shadow
            else None,
            "promote": arguments.promote,
            "rollback": arguments.rollback or None,
            "sticky": arguments.sticky,
            "steps": None if steps is None else [parse_share(part) for part in steps.split(",") if part],
            "every": None if arguments.every is None else parse_seconds(arguments.every),
            "guard": arguments.guard,
            "least": arguments.least,
            "outcome": arguments.outcome,
            "effect": None if arguments.effect is None else parse_share(arguments.effect),
            "watch": None if arguments.watch is None else parse_seconds(arguments.watch),
        },
    )


@magics_class
class TrafficMagics(VerbMagics):
    """Holds ``%traffic``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def traffic(self, line: str) -> Any:
        """Spread requests over variants: ``%traffic churn --canary v2=10%``; ``%traffic -h`` says more."""
        return self.answer(traffic_parser(), line, "traffic", traffic_call)
