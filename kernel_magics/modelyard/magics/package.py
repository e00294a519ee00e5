"""``%package``: a fitted estimator becomes a bundle."""

from __future__ import annotations

import argparse
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand, output_can_be_silenced

from modelyard.magics._arguments import LineParser
from modelyard.magics._verb import Call, VerbMagics, verb_parser


def package_parser() -> LineParser:
    parser = verb_parser("%package", "Package a fitted estimator: %package model X y --name churn")
    parser.expression("model", "the fitted estimator")
    parser.expression("X", "the table that it was trained on; the contract is learned from it")
    parser.expression("y", "the target")
    parser.add_argument(
        "--name", required=True, metavar="NAME", help="the bundle's name; its versions count up"
    )
    parser.add_argument(
        "--policy", metavar="WHAT",
        help="what becomes of values that training never saw: flag (the default), clip or reject",
    )  # fmt: skip
    parser.add_argument("--golden-rows", type=int, metavar="N", help="training rows kept as golden rows (40)")
    parser.add_argument("--seed", type=int, metavar="N", help="decides which rows these are (0)")
    parser.add_argument(
        "--golden",
        metavar="WHERE",
        help="training (the default), or synthetic: rows drawn column by column, where no real row may travel",
    )
    parser.add_argument("--evaluation", metavar="ev", help="what %%cv found, for the model card")
    parser.add_argument(
        "--explain", action="store_true", help="its SHAP explainer travels, and the endpoint answers /explain"
    )
    parser.add_argument(
        "--groups", metavar="COLUMNS", help="columns whose groups the model card compares, as sex,region"
    )
    parser.add_argument(
        "--ci", action="store_true", help="also write a pytest file and a GitHub Actions workflow"
    )
    parser.add_argument(
        "--track",
        metavar="WHERE",
        help="also give it to a server: mlflow:URI, or mlflow for MLFLOW_TRACKING_URI",
    )
    parser.add_argument(
        "--allow-stale",
        action="store_true",
        help="also where a cell was changed after it ran; it is recorded",
    )
    return parser


def package_call(arguments: argparse.Namespace) -> Call:
    return Call(
        "package",
        (arguments.model, arguments.X, arguments.y),
        {
            "name": arguments.name,
            "policy": arguments.policy,
            "golden_rows": arguments.golden_rows,
            "seed": arguments.seed,
            "golden": arguments.golden,
            "explain": arguments.explain or None,
            "card_groups": arguments.groups,
            "ci": arguments.ci or None,
            "track": arguments.track,
            "allow_stale": arguments.allow_stale or None,
        },
        {"evaluation": arguments.evaluation} if arguments.evaluation else {},
    )


@magics_class
class PackageMagics(VerbMagics):
    """Holds ``%package``."""

    @no_var_expand
    @output_can_be_silenced
    @line_magic
    def package(self, line: str) -> Any:
        """Package a fitted estimator: ``%package model X y --name churn``; ``%package -h`` says more."""
        return self.answer(package_parser(), line, "package", package_call)
