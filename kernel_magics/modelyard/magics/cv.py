"""``%cv``: cross-validate a model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.errors import UsageError
from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, add_engine_flags, verb_parser

#: Every metric with a name of its own; written out, because the engine that knows them takes a second to import.
METRICS = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "balanced_accuracy", "log_loss", "brier", "hamming",
    "mae", "mse", "r2", "mape", "median_ae", "quantile:0.9",
)  # fmt: skip


def cv_parser() -> LineParser:
    parser = verb_parser("%cv", "Cross-validate a model: %cv model X y --cv stratified:5 --score roc_auc")
    parser.expression(
        "model", "the estimator; it is cloned, never changed; of several, which is better", several=True
    )
    parser.expression("X", "the table")
    parser.expression("y", "the target")
    parser.add_argument(
        "--cv", metavar="HOW",
        help="stratified:5 (the default), kfold:5, loo, group:COLUMN, stratified-group:COLUMN, time:GAP (rows left out "
        "before each fold), repeated:5 (ten times, or --repeats) or nested (around a search such as GridSearchCV)",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=int, metavar="N", help="the number of folds, whatever --cv says of rows (5)"
    )
    parser.add_argument(
        "--score", action="append", metavar="METRIC",
        help=f"{', '.join(METRICS)}, or any scorer of scikit-learn; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--groups",
        metavar="EXPRESSION",
        help="one group a row, for --cv group and splitters that want groups",
    )
    parser.add_argument(
        "--by", action="append", metavar="COLUMN",
        help="measure each value of this column of X too, or quarters of its numbers; may be repeated",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, metavar="N", help="repeat with other seeds")
    parser.add_argument("--seed", type=int, metavar="N", help="decides the folds (0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="folds at a time; -1 for all cores")
    add_engine_flags(parser, "folds run")
    return parser


def cv_call(arguments: argparse.Namespace, namespace: Mapping[str, Any]) -> Call:
    fitted = _fitted_before(namespace, arguments.X)
    return Call(
        "cross_validate",
        (_models(arguments.model), arguments.X, arguments.y),
        {
            "cv": arguments.cv,
            "folds": arguments.folds,
            "scoring": arguments.score,
            "repeats": arguments.repeats,
            "seed": arguments.seed,
            "n_jobs": arguments.jobs,
            "by": arguments.by,
            "engine": arguments.engine,
            "track": arguments.track,
        },
        {
            **({"groups": arguments.groups} if arguments.groups else {}),
            **({"fitted": fitted} if fitted else {}),
        },
    )


def _models(expressions: list[str]) -> str:
    """Return one model, or several by the words that they are called by here."""
    if len(expressions) == 1:
        return expressions[0]
    if twice := sorted({each for each in expressions if expressions.count(each) > 1}):
        raise UsageError(f"%cv compares {twice[0]} with itself; name each model once")
    return "{" + ", ".join(f"{each!r}: {each}" for each in expressions) + "}"


def _fitted_before(namespace: Mapping[str, Any], X: str) -> str:
    """Return fitted transformers and the tables that they may have made `X` of, as a dict in the namespace's names."""
    visible = {name: value for name, value in namespace.items() if not name.startswith("_")}
    able = {name: value for name, value in visible.items() if _transforms(value)}
    if not able:
        return ""
    from modelyard.evaluation.checks.fitted_outside import is_fitted_transformer, is_table

    rows = next(iter(getattr(namespace.get(X), "shape", ())), None)
    names = [name for name, value in able.items() if is_fitted_transformer(value)]
    tables = [name for name, value in visible.items() if name != X and is_table(value, rows)]
    return (
        "{" + ", ".join(f"{name!r}: {name}" for name in [*names, *tables]) + "}" if names and tables else ""
    )


def _transforms(value: Any) -> bool:
    return (
        not isinstance(value, type)
        and hasattr(type(value), "transform")
        and hasattr(type(value), "get_params")
    )


@magics_class
class CvMagics(VerbMagics):
    """Holds ``%cv``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def cv(self, line: str) -> Any:
        """Cross-validate a model: ``%cv model X y --cv stratified:5``; ``%cv -h`` says more."""
        return self.answer(cv_parser(), line, "cv", lambda arguments: cv_call(arguments, self.namespace))
