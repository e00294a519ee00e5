"""``%explain``: why a model answers as it does."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser

#: Every way to explain that comes with modelyard; written out, because asking them would import their libraries.
METHODS = ("shap", "lime", "counterfactual", "permutation", "pdp", "interactions", "fairness")

#: What they take besides, by keyword: the flag, what stands for its value, what is read, and help.
OPTIONS: dict[str, tuple[str, str, type, str]] = {
    "explainer": ("--explainer", "WHICH", str, "shap: tree, linear or permutation, instead of the one chosen"),
    "shuffles": ("--shuffles", "N", int, "shap: how often the permutation explainer shuffles each row (up to 10)"),
    "fix": ("--fix", "COLUMNS", str, "counterfactual: columns that may not change, as age,sex"),
    "want": ("--want", "WHAT", str, "counterfactual: the class to reach, or the range of predictions, as 100..200"),
    "ranges": ("--ranges", "DICT", str, "counterfactual: what columns may become, {'age': (18, 80), 'town': ['Bern']}"),
    "number": ("--number", "N", int, "counterfactual: how many for each row (1)"),
    "scoring": ("--score", "METRIC", str, "permutation, fairness: the metric (roc_auc, accuracy, r2 or mae)"),
    "repeats": ("--repeats", "N", int, "permutation: how often each column is shuffled (10)"),
    "columns": ("--columns", "COLUMNS", str, "pdp, interactions: which, as age,income; two together as age*town"),
    "ice": ("--ice", "N", int, "pdp: how many single rows are kept (30)"),
    "grid": ("--grid", "N", int, "pdp: how many values of a column are tried (20)"),
    "samples": ("--samples", "N", int, "lime: how many neighbours of each row are asked about (2000)"),
    "width": ("--width", "NUMBER", float, "lime: the width of the kernel that weighs them"),
    "by": ("--by", "COLUMNS", str, "fairness: the columns whose groups are compared, as sex,region"),
    "positive": ("--positive", "CLASS", str, "fairness: the class that counts as being selected (the second of two)"),
}  # fmt: skip
#: Options whose values are expressions of the namespace.
EXPRESSIONS: tuple[str, ...] = ("ranges",)


def explain_parser() -> LineParser:
    parser = verb_parser("%explain", "Say why a model answers as it does: %explain model X --rows 0,3,17")
    parser.expression("model", "the fitted estimator, a bundle or a deployment; it is never changed")
    parser.expression("X", "the table, as the model takes it")
    parser.expression("y", "the target, for methods that measure", optional=True)
    parser.add_argument("--method", metavar="HOW", help=f"{', '.join(METHODS)}; shap is the default")
    parser.add_argument(
        "--rows", metavar="WHICH",
        help="positions of the rows to explain: 0,3,17 or 0:100 (up to 200 drawn by the seed)",
    )  # fmt: skip
    parser.add_argument(
        "--background", metavar="ROWS",
        help="how many rows of X stand for what is not known, or a table of them (100 drawn by the seed)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="decides everything that is drawn (0)")
    parser.add_argument(
        "--report", metavar="FILE", help="also write one HTML file that needs no network, as out.html"
    )
    for keyword, (flag, metavar, kind, help) in OPTIONS.items():
        parser.add_argument(flag, dest=keyword, metavar=metavar, type=kind, help=help.replace("%", "%%"))
    return parser


def explain_call(arguments: argparse.Namespace) -> Call:
    background = arguments.background
    table = {"background": background} if background and not background.isdigit() else {}
    named = {each: getattr(arguments, each) for each in EXPRESSIONS if getattr(arguments, each)}
    return Call(
        "explain",
        (arguments.model, arguments.X, *([arguments.y] if arguments.y else [])),
        {
            "method": arguments.method,
            "rows": arguments.rows,
            "background": int(background) if background and not table else None,
            "seed": arguments.seed,
            "report": arguments.report,
            **{each: getattr(arguments, each) for each in OPTIONS if each not in EXPRESSIONS},
        },
        {**table, **named},
    )


@magics_class
class ExplainMagics(VerbMagics):
    """Holds ``%explain``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def explain(self, line: str) -> Any:
        """Say why a model answers as it does: ``%explain model X --rows 0,3,17``; ``%explain -h`` says more."""
        return self.answer(explain_parser(), line, "explain", explain_call)
