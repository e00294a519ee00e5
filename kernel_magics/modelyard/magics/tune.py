"""``%tune`` and ``%%tune``: search for better hyper-parameters."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import Budget, LineParser, parse_budget
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def tune_parser() -> LineParser:
    parser = verb_parser(
        "%tune",
        "Search hyper-parameters: %%tune model X y --method bayes --budget 60trials, and in the cell body "
        "one parameter a line, such as 'max_depth: int 2..20', 'learning_rate: float 1e-3..0.3 log', "
        "'criterion: gini | entropy'. Without a body, the estimator's usual space is searched.",
    )
    parser.expression("model", "the estimator; it is cloned, never changed")
    parser.expression("X", "the table")
    parser.expression("y", "the target")
    parser.add_argument("--method", metavar="HOW", help="bayes (the default), random or grid")
    parser.add_argument("--budget", metavar="AMOUNT", help="60trials, 90s, 5min, or 60trials,5min (50trials)")
    parser.add_argument("--cv", metavar="HOW", help="kfold:5, stratified:5 (the default) or loo")
    parser.add_argument(
        "--score", action="append", metavar="METRIC", help="what to improve; the first one decides"
    )
    parser.add_argument("--name", metavar="NAME", help="the study's name")
    parser.add_argument("--resume", action="store_true", help="go on where a study was stopped")
    parser.add_argument("--storage", metavar="URL", help="Optuna storage; SQLite in .modelyard/ by default")
    parser.add_argument("--seed", type=int, metavar="N", help="decides the folds and the search (0)")
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
            "storage": arguments.storage,
            "name": arguments.name,
            "resume": arguments.resume or None,
            "seed": arguments.seed,
        },
    )


@magics_class
class TuneMagics(VerbMagics):
    """Holds ``%tune``."""

    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def tune(self, line: str, cell: str | None = None) -> Any:
        """Search hyper-parameters: ``%%tune model X y --budget 60trials``; ``%tune -h`` says more."""
        return self.answer(tune_parser(), line, "tune", partial(tune_call, space=cell))
