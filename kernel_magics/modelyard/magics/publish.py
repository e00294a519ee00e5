"""``%publish``: an app for those who only look."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def publish_parser() -> LineParser:
    parser = verb_parser(
        "%publish",
        "Write an app for those who only look, and say how to serve it: %publish churn --as what-if",
    )
    parser.add_argument("source", help="a bundle or a deployment, by name or as a variable that holds one")
    parser.add_argument(
        "--as", dest="as_", metavar="APP",
        help="what-if (the default): sliders and the answer to them; report: what the bundle knows of its quality; "
        "monitor: the endpoint, live",
    )  # fmt: skip
    parser.add_argument("--to", metavar="FOLDER", help="the folder to write; NAME-APP by default")
    parser.add_argument(
        "--token", metavar="env:NAME",
        help="the environment variable with the token that viewers need (env:MODELYARD_APP_TOKEN)",
    )  # fmt: skip
    return parser


def publish_call(arguments: argparse.Namespace, namespace: dict[str, Any]) -> Call:
    from modelyard.packaging import Bundle
    from modelyard.targets import Deployment

    named = arguments.source
    holds_one = isinstance(namespace.get(named), Bundle | Deployment)
    return Call(
        "publish",
        (named if holds_one else repr(named),),
        {"as_": arguments.as_, "to": arguments.to, "token": arguments.token},
    )


@magics_class
class PublishMagics(VerbMagics):
    """Holds ``%publish``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def publish(self, line: str) -> Any:
        """Write an app for those who only look: ``%publish churn --as what-if``; ``%publish -h`` says more."""
        return self.answer(
            publish_parser(), line, "publish", lambda found: publish_call(found, self.namespace)
        )
