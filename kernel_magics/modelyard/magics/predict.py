"""``%predict``: a bundle or an endpoint answers every row of a file."""

from __future__ import annotations

import argparse
import re
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser

_NAME = re.compile(r"[A-Za-z_]\w*")
_ROWS = re.compile(r"(\d+)\s*(?:rows?)?")


def predict_parser() -> LineParser:
    parser = verb_parser(
        "%predict",
        "Let a bundle or an endpoint answer every row of a file: "
        "%predict churn --in rows.parquet --out scored.parquet. "
        "After an interruption the same line goes on where it stopped",
        assigns=("-o",),
    )
    parser.add_argument(
        "model",
        help="the bundle (churn, churn:3) or deployment, or a variable that holds one; a bundle goes first",
    )
    parser.add_argument(
        "--in", dest="rows", required=True, metavar="ROWS",
        help="a Parquet or CSV file, a folder of Parquet files, or a variable that holds a table",
    )  # fmt: skip
    parser.add_argument(
        "--out",
        dest="file",
        metavar="FILE",
        help="the Parquet file to write; without it the result holds the rows",
    )
    parser.add_argument(
        "--keep",
        metavar="COLUMNS",
        help="columns of the input in the output: id,age; all (the default); none",
    )
    parser.add_argument(
        "--endpoint", action="store_true", help="ask the deployment of that name, not the bundle"
    )
    parser.add_argument(
        "--batch", metavar="ROWS", help="rows at a time: 8192rows (2000rows in a request to an endpoint)"
    )
    parser.add_argument(
        "--restart", action="store_true", help="throw away what an unfinished run left, and replace FILE"
    )
    return parser


def predict_call(arguments: argparse.Namespace, namespace: dict[str, Any]) -> Call:
    from modelyard.packaging import Bundle
    from modelyard.targets import Deployment

    def is_variable(word: str, *kinds: type) -> bool:
        return (
            bool(_NAME.fullmatch(word)) and word in namespace and isinstance(namespace[word], kinds or object)
        )

    model, rows = arguments.model, arguments.rows
    keywords: dict[str, Any] = {
        "out": arguments.file,
        "keep": arguments.keep,
        "endpoint": arguments.endpoint or None,
        "batch": _rows(arguments.batch),
        "restart": arguments.restart or None,
    }
    return Call(
        "predict",
        (
            model if is_variable(model, Bundle, Deployment) else repr(model),
            rows if is_variable(rows) else repr(rows),
        ),
        keywords,
    )


def _rows(text: str | None) -> int | None:
    if text is None:
        return None
    found = _ROWS.fullmatch(str(text).strip())
    if found is None:
        raise UsageError(f"%predict: --batch wants a number of rows, such as 8192rows, found {text!r}")
    return int(found[1])


@magics_class
class PredictMagics(VerbMagics):
    """Holds ``%predict``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def predict(self, line: str) -> Any:
        """Score a file: ``%predict churn --in rows.parquet --out scored.parquet``; ``%predict -h`` says more."""
        return self.answer(
            predict_parser(), line, "predict", lambda found: predict_call(found, self.namespace)
        )
