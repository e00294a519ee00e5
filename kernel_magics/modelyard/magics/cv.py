"""``%cv``: cross-validate a model."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def cv_parser() -> LineParser:
    parser = verb_parser("%cv", "Cross-validate a model: %cv model X y --cv stratified:5 --score roc_auc")
    parser.expression("model", "the estimator; it is cloned, never changed")
    parser.expression("X", "the table")
    parser.expression("y", "the target")
    parser.add_argument("--cv", metavar="HOW", help="kfold:5, stratified:5 (the default) or loo")
    parser.add_argument(
        "--score", action="append", metavar="METRIC",
        help="accuracy, precision, recall, f1, roc_auc, mae, mse, r2, or any scorer of scikit-learn; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--groups", metavar="EXPRESSION", help="one group a row, for splitters that want groups"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="repeat with other seeds")
    parser.add_argument("--seed", type=int, metavar="N", help="decides the folds (0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="folds at a time; -1 for all cores")
    return parser


def cv_call(arguments: argparse.Namespace) -> Call:
    return Call(
        "cross_validate",
        (arguments.model, arguments.X, arguments.y),
        {
            "cv": arguments.cv,
            "scoring": arguments.score,
            "repeats": arguments.repeats,
            "seed": arguments.seed,
            "n_jobs": arguments.jobs,
        },
        {"groups": arguments.groups} if arguments.groups else {},
    )


@magics_class
class CvMagics(VerbMagics):
    """Holds ``%cv``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def cv(self, line: str) -> Any:
        """Cross-validate a model: ``%cv model X y --cv stratified:5``; ``%cv -h`` says more."""
        return self.answer(cv_parser(), line, "cv", cv_call)
