"""``%tune`` and ``%%tune``: search for better hyper-parameters."""

from __future__ import annotations

import argparse
import re
from functools import partial
from typing import Any

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import Budget, LineParser, parse_budget
from modelyard.magics._verb import Call, VerbMagics, add_engine_flags, verb_parser

#: A class in a space, whose name stands for something in the namespace.
_CALL = re.compile(r"[A-Za-z_]\w*\s*\(")


def tune_parser() -> LineParser:
    parser = verb_parser(
        "%tune",
        "Search hyper-parameters: %%tune model X y --method bayes --budget 60trials, and in the cell body "
        "one parameter a line, such as 'max_depth: int 2..20', 'learning_rate: float 1e-3..0.3 log', "
        "'criterion: gini | entropy', 'degree: int 2..5 if kernel == poly', "
        "'scaler: StandardScaler() | MinMaxScaler()'. Without a body, the estimator's usual space is searched.",
    )
    parser.expression("model", "the estimator; it is cloned, never changed")
    parser.expression("X", "the table")
    parser.expression("y", "the target")
    parser.add_argument("--method", metavar="HOW", help="bayes (the default), gp, random, sobol or grid")
    parser.add_argument("--budget", metavar="AMOUNT", help="60trials, 90s, 5min, or 60trials,5min (50trials)")
    parser.add_argument(
        "--cv",
        metavar="HOW",
        help="as of %%cv (stratified:5), or nested:5x3: the search itself judged in outer folds",
    )
    parser.add_argument(
        "--score", action="append", metavar="METRIC", help="what to improve; the first one decides"
    )
    parser.add_argument(
        "--objective", action="append", metavar="WHAT",
        help="improve several things at once: a metric, latency (of one row) or size; give one flag for each",
    )  # fmt: skip
    parser.add_argument(
        "--budget-latency", metavar="TIME", help="what one row may take in the served model: 1ms, 250us"
    )
    parser.add_argument(
        "--budget-size", metavar="SIZE", help="what the served model's file may take: 200kB, 2MB"
    )
    parser.add_argument(
        "--for",
        dest="target",
        metavar="TARGET",
        help="a deployment target whose limits the model must keep to",
    )
    parser.add_argument("--name", metavar="NAME", help="the study's name")
    parser.add_argument("--resume", action="store_true", help="go on where a study was stopped")
    parser.add_argument("--storage", metavar="URL", help="Optuna storage; SQLite in .modelyard/ by default")
    parser.add_argument("--seed", type=int, metavar="N", help="decides the folds and the search (0)")
    parser.add_argument(
        "--no-prune",
        action="store_true",
        help="do all folds of each trial, also of one that cannot win any more",
    )
    parser.add_argument(
        "--warm-start", metavar="NAME", help="an older study, whose best points are tried first"
    )
    parser.add_argument(
        "--min-gain",
        type=float,
        metavar="X",
        help="end when ten more trials are expected to gain less than this",
    )
    add_engine_flags(parser, "trials run")
    parser.add_argument(
        "--bg", action="store_true", help="search beside the cells; the result can be paused and stopped"
    )
    return parser


def tune_call(arguments: argparse.Namespace, space: str | None) -> Call:
    budget = parse_budget(arguments.budget) if arguments.budget else Budget(None, None)
    return Call(
        "tune",
        (arguments.model, arguments.X, arguments.y),
        {
            "space": space,
            "method": arguments.method,
            "trials": budget.trials,
            "timeout": budget.seconds,
            "cv": arguments.cv,
            "scoring": arguments.score,
            "objectives": arguments.objective,
            "budget_latency": arguments.budget_latency,
            "budget_size": arguments.budget_size,
            "target": arguments.target,
            "storage": arguments.storage,
            "name": arguments.name,
            "resume": arguments.resume or None,
            "seed": arguments.seed,
            "prune": False if arguments.no_prune else None,
            "warm_start": arguments.warm_start,
            "min_gain": arguments.min_gain,
            "engine": arguments.engine,
            "track": arguments.track,
            "bg": arguments.bg or None,
        },
        {"names": "globals()"} if space is not None and _CALL.search(space) else {},
    )


@magics_class
class TuneMagics(VerbMagics):
    """Holds ``%tune``."""

    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def tune(self, line: str, cell: str | None = None) -> Any:
        """Search hyper-parameters: ``%%tune model X y --budget 60trials``; ``%tune -h`` says more."""
        return self.answer(tune_parser(), line, "tune", partial(tune_call, space=cell), body=cell or "")
