"""``%compress``: a smaller and faster model that says nearly the same."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser, parse_budget
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def compress_parser() -> LineParser:
    parser = verb_parser(
        "%compress", "Make a fitted model smaller and faster: %compress model X y --max-drop 0.005 -o small"
    )
    parser.expression("model", "the fitted estimator; it is not changed")
    parser.expression("X", "the table that it was fitted on; 30 %% of its rows judge the candidates")
    parser.expression("y", "the target")
    parser.add_argument(
        "--max-drop", metavar="X",
        help="how much of the score may be lost, in its own unit: 0.005 or 0.5%% (0.005)",
    )  # fmt: skip
    parser.add_argument(
        "--technique", action="append", metavar="WHAT",
        help="what to try: pruning, quantization, distillation (or one student: distillation:mlp); may be repeated",
    )  # fmt: skip
    parser.add_argument("--score", metavar="METRIC", help="what may drop: a metric, as of %%cv")
    parser.add_argument(
        "--target-size", metavar="SIZE", help="what the served model's file may take: 200kB, 2MB"
    )
    parser.add_argument(
        "--target-latency", metavar="TIME",
        help="what one row may take: 50us, 1ms; with it the fastest candidate wins, else the smallest",
    )  # fmt: skip
    parser.add_argument(
        "--for",
        dest="target",
        metavar="TARGET",
        help="a deployment target whose limits the model must keep to",
    )
    parser.add_argument(
        "--caution", type=float, metavar="N",
        help="how many standard errors of its drop a candidate keeps away from --max-drop (1); 0: the drop counts",
    )  # fmt: skip
    parser.add_argument("--budget", metavar="TIME", help="make no candidates after this time: 90s, 5min")
    parser.add_argument("--name", metavar="NAME", help="of its record, in which the candidates are kept")
    parser.add_argument(
        "--resume", action="store_true", help="go on where a compression was stopped; measure nothing twice"
    )
    parser.add_argument(
        "--by", action="append", metavar="COLUMN",
        help="also tell what became of each value of this column of X, or quarters of its numbers; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="decides which rows judge (0)")
    return parser


def compress_call(arguments: argparse.Namespace) -> Call:
    return Call(
        "compress",
        (arguments.model, arguments.X, arguments.y),
        {
            "max_drop": _drop(arguments.max_drop),
            "techniques": arguments.technique,
            "scoring": arguments.score,
            "seed": arguments.seed,
            "target_size": arguments.target_size,
            "target_latency": arguments.target_latency,
            "for_": arguments.target,
            "timeout": _seconds(arguments.budget),
            "by": arguments.by,
            "caution": arguments.caution,
            "name": arguments.name,
            "resume": arguments.resume or None,
        },
    )


def _drop(text: str | float | None) -> float | None:
    if text is None:
        return None
    number, percent = str(text).removesuffix("%"), str(text).endswith("%")
    try:
        return float(number) / 100 if percent else float(number)
    except ValueError:
        raise UsageError(f"--max-drop is a number, found {text!r}; type 0.005 or 0.5%") from None


def _seconds(budget: str | None) -> float | None:
    if budget is None:
        return None
    found = parse_budget(budget)
    if found.trials is not None or found.seconds is None:
        raise UsageError(f"%compress takes a budget of time, found {budget!r}; type 90s, 5min or 1h")
    return found.seconds


@magics_class
class CompressMagics(VerbMagics):
    """Holds ``%compress``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def compress(self, line: str) -> Any:
        """Make a model smaller: ``%compress model X y --max-drop 0.005``; ``%compress -h`` says more."""
        return self.answer(compress_parser(), line, "compress", compress_call)
