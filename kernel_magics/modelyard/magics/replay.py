"""``%replay``: what would another bundle have answered?"""

from __future__ import annotations

import argparse
import re
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser, parse_seconds
from modelyard.magics._verb import Call, VerbMagics, verb_parser

_ROWS = re.compile(r"(\d+)\s*(?:rows?)?")


def replay_parser() -> LineParser:
    parser = verb_parser(
        "%replay", "Play an endpoint's prediction log against another bundle: %replay churn --on v2"
    )
    parser.add_argument("name", help="the deployment whose log it is")
    parser.add_argument(
        "--on",
        required=True,
        metavar="BUNDLE",
        help="v2, or a tag (churn:2), or a variable that holds a bundle",
    )
    parser.add_argument("--since", metavar="TIME", help="only what was asked in the last 1h, 90s, …")
    parser.add_argument("--rows", metavar="ROWS", help="at most so many rows, the newest: 1000rows")
    parser.add_argument("--variant", metavar="V", help="only what this variant answered")
    return parser


def replay_call(arguments: argparse.Namespace, namespace: dict[str, Any]) -> Call:
    from modelyard.packaging import Bundle

    on = arguments.on
    rows = None
    if arguments.rows is not None:
        found = _ROWS.fullmatch(str(arguments.rows).strip())
        if found is None:
            raise UsageError(
                f"%replay: --rows wants a number of rows, such as 1000rows, found {arguments.rows!r}"
            )
        rows = int(found[1])
    return Call(
        "replay",
        (repr(arguments.name), on if isinstance(namespace.get(on), Bundle) else repr(on)),
        {
            "since": None if arguments.since is None else parse_seconds(arguments.since),
            "rows": rows,
            "variant": arguments.variant,
        },
    )


@magics_class
class ReplayMagics(VerbMagics):
    """Holds ``%replay``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def replay(self, line: str) -> Any:
        """Play the log against a bundle: ``%replay churn --on v2``; ``%replay -h`` says more."""
        return self.answer(replay_parser(), line, "replay", lambda found: replay_call(found, self.namespace))
