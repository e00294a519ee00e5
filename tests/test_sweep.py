"""Every estimator of scikit-learn converts, at least from a step of its pipeline on, or is refused in one line.

``python tests/test_sweep.py --write`` writes the table of `docs/estimators.md`.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from modelyard.conversion import Session, convert
from modelyard.errors import ConversionError
from modelyard.golden import Outputs, Tolerance, compare, expected
from modelyard.packaging.forms import as_hybrid
from modelyard.packaging.learning import learn_contract
from modelyard.packaging.parity import Rival
from modelyard.packaging.splitting import splits

DOCUMENT = Path(__file__).parents[1] / "docs" / "estimators.md"
AT_LEAST = 0.909

# ------------------------------------------------------------------------------------------------ the tables


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=300)


ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    # without these they cannot be made
    "ClassifierChain": lambda: {"estimator": logistic()},
    "ColumnTransformer": lambda: {"transformers": [("scaled", StandardScaler(), ["a", "c"])]},
    "FeatureUnion": lambda: {"transformer_list": [("scaled", StandardScaler())]},
    "FixedThresholdClassifier": lambda: {"estimator": logistic()},
    "FrozenEstimator": lambda: {"estimator": fitted(logistic(), "numbers")},
    "GridSearchCV": lambda: {"estimator": logistic(), "param_grid": {"C": [0.1, 1.0]}},
    "MultiOutputClassifier": lambda: {"estimator": logistic()},
    "MultiOutputRegressor": lambda: {"estimator": Ridge()},
    "OneVsOneClassifier": lambda: {"estimator": logistic()},
    "OneVsRestClassifier": lambda: {"estimator": logistic()},
    "OutputCodeClassifier": lambda: {"estimator": logistic(), "code_size": 3, "random_state": 0},
    "Pipeline": lambda: {"steps": [("scaled", StandardScaler()), ("model", logistic())]},
    "RFE": lambda: {"estimator": logistic()},
    "RFECV": lambda: {"estimator": logistic()},
    "RandomizedSearchCV": lambda: {
        "estimator": logistic(),
        "param_distributions": {"C": [0.1, 1.0]},
        "n_iter": 2,
    },
    "RegressorChain": lambda: {"estimator": Ridge()},
    "SelectFromModel": lambda: {"estimator": logistic()},
    "SelfTrainingClassifier": lambda: {"estimator": logistic()},
    "SequentialFeatureSelector": lambda: {"estimator": logistic(), "cv": 2},
    "SparseCoder": lambda: {"dictionary": np.eye(5)[:3]},
    "StackingClassifier": lambda: {"estimators": [("a", logistic()), ("b", logistic())], "cv": 2},
    "StackingRegressor": lambda: {"estimators": [("a", Ridge()), ("b", Ridge())]},
    "TunedThresholdClassifierCV": lambda: {"estimator": logistic(), "cv": 2},
    "VotingClassifier": lambda: {"estimators": [("a", logistic()), ("b", logistic())]},
    "VotingRegressor": lambda: {"estimators": [("a", Ridge()), ("b", Ridge())]},
    # without these they cannot be fitted to the table, or take long
    "CCA": lambda: {"n_components": 1},
    "DictionaryLearning": lambda: {"max_iter": 10},
    "GaussianRandomProjection": lambda: {"n_components": 3},
    "HashingVectorizer": lambda: {"n_features": 16},
    "PLSCanonical": lambda: {"n_components": 1},
    "PLSSVD": lambda: {"n_components": 1},
    "QuantileTransformer": lambda: {"n_quantiles": 30},
    "RadiusNeighborsClassifier": lambda: {"radius": 4.0},
    "RadiusNeighborsRegressor": lambda: {"radius": 4.0},
    "RadiusNeighborsTransformer": lambda: {"radius": 4.0},
    "SparseRandomProjection": lambda: {"n_components": 3},
    "TSNE": lambda: {"max_iter": 250},
}

DATA: dict[str, str] = {
    "AdditiveChi2Sampler": "counts",
    "CategoricalNB": "counts",
    "ClassifierChain": "two flags",
    "ComplementNB": "counts",
    "FixedThresholdClassifier": "two classes",
    "HashingVectorizer": "text",
    "CountVectorizer": "text",
    "TfidfVectorizer": "text",
    "IsotonicRegression": "one column",
    "LatentDirichletAllocation": "counts",
    "MiniBatchNMF": "counts",
    "MissingIndicator": "gaps",
    "MultiOutputClassifier": "two flags",
    "MultiOutputRegressor": "two values",
    "MultiTaskElasticNet": "two values",
    "MultiTaskElasticNetCV": "two values",
    "MultiTaskLasso": "two values",
    "MultiTaskLassoCV": "two values",
    "MultinomialNB": "counts",
    "NMF": "counts",
    "KNNImputer": "gaps",
    "OneHotEncoder": "words",
    "OrdinalEncoder": "words",
    "RegressorChain": "two values",
    "SelfTrainingClassifier": "two classes",  # it refuses strings
    "SimpleImputer": "gaps",
    "SkewedChi2Sampler": "counts",
    "TargetEncoder": "words of two",
    "TunedThresholdClassifierCV": "two classes",
}
"""What an estimator is fitted on, where that is not a table of numbers."""

NO_STEP = {
    "DictVectorizer": "dictionaries",
    "FeatureHasher": "dictionaries",
    "KernelCenterer": "kernel",
    "LabelBinarizer": "labels",
    "LabelEncoder": "labels",
    "MultiLabelBinarizer": "label sets",
    "PLSSVD": "two values",  # as a step it hands a pair of tables on
    "PatchExtractor": "images",
}
"""Transformers of something else than a table: they are handed to `convert` alone."""


NO_TRANSFORM = {
    "CCA",  # like the other two of its module, it hands a pair of tables on
    "FrozenEstimator",
    "GridSearchCV",
    "IsotonicRegression",
    "PLSCanonical",
    "PLSRegression",
    "Pipeline",
    "RandomizedSearchCV",
    "StackingClassifier",
    "StackingRegressor",
    "VotingClassifier",
    "VotingRegressor",
}
"""What has a `transform`, and is swept as the predictor that it is or holds."""


# ------------------------------------------------------------------------------------------------ the data


def numbers() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(random.normal(size=(150, 5)).round(3) + np.arange(5), columns=list("abcde"))


def target(X: pd.DataFrame) -> Any:
    noise = np.random.default_rng(1).normal(size=len(X)) * 0.3
    return X.to_numpy() @ [1, -0.5, 0.7, 0, 0.3] + noise


def table(kind: str, *, classes: bool) -> tuple[Any, Any]:
    """Return what to fit on: strings for three classes, or numbers."""
    X = numbers()
    score = target(X)
    y: Any = np.array(["low", "middle", "top"])[np.digitize(score, np.quantile(score, [0.33, 0.66]))]
    y = y if classes else score * 3 + 20
    words = pd.DataFrame(
        {
            "f": np.where(X["a"] > 0, "up", "down"),
            "g": np.array(["s", "m", "l"])[np.digitize(X["b"], [0.5, 1.5])],
        }
    ).astype(object)
    return {
        "numbers": (X, y),
        "counts": ((X.abs() * 2).round(), y),
        "gaps": (X.mask(np.random.default_rng(2).random(X.shape) < 0.1), y),
        "one column": (X[["a"]], y),
        "two classes": (X, score > np.median(score)),
        "two flags": (X, np.column_stack([score > 2, X["a"] > 0]).astype(int)),
        "two values": (X, np.column_stack([score, X["a"] * 2])),
        "words": (words, y),
        "words of two": (words, score > 2),
        "text": (pd.DataFrame({"text": words["f"] + " " + words["g"]}), y),
        "dictionaries": ([{"a": 1.0, "b": 2.0}, {"a": 3.0}], None),
        "kernel": (np.eye(5), None),
        "labels": (["low", "top", "low"], None),
        "label sets": ([("a", "b"), ("a",)], None),
        "images": (np.zeros((3, 8, 8)), None),
    }[kind]


def fitted(estimator: Any, kind: str) -> Any:
    return estimator.fit(*table(kind, classes=not is_regressor(estimator)))


def rows(X: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the rows of the table, and as many between them, where that makes sense."""
    if kind in ("counts", "words", "words of two", "text", "one column"):
        return X
    return pd.concat([X, 0.8 * X + 0.2 * X[::-1].reset_index(drop=True)], ignore_index=True)


# ------------------------------------------------------------------------------------------------ the sweep

KINDS = dict(all_estimators())
PREDICTORS = [name for name, _ in all_estimators(type_filter=["classifier", "regressor"])]
STEPS = [name for name, kind in KINDS.items() if hasattr(kind, "transform") and name not in NO_TRANSFORM]
OTHERS = [
    name
    for name, kind in KINDS.items()
    if name not in PREDICTORS and (name not in STEPS or hasattr(kind, "predict"))
]
SECTIONS = {
    "Classifiers and regressors": PREDICTORS,
    "Transformers, before a final model": STEPS,
    "Everything else": OTHERS,
}
CASES = [(section, name) for section, names in SECTIONS.items() for name in names]


@dataclass(frozen=True)
class Outcome:
    """What came of an estimator: faithful or hybrid with the largest difference, refused with a reason, or wrong."""

    verdict: str
    detail: str


def make(name: str) -> Any:
    estimator = KINDS[name](**ARGUMENTS.get(name, dict)())
    if "random_state" in estimator.get_params(deep=False):
        estimator.set_params(random_state=0)
    return estimator


def built(section: str, name: str) -> tuple[Any, str]:
    """Return an estimator to fit, and on what."""
    estimator, kind = make(name), DATA.get(name, "numbers")
    if not section.startswith("Transformers"):
        return estimator, kind
    if name in NO_STEP:
        return estimator, NO_STEP[name]
    if kind == "text":
        estimator = ColumnTransformer([("text", estimator, "text")])
    return make_pipeline(estimator, logistic()), kind


def in_two(estimator: Any, X: Any, kind: str, refusal: str) -> Outcome:
    """Return what comes of a refused estimator if the first steps of its pipeline, if it is one, run in Python."""
    for split in splits(estimator, X):
        try:
            form = as_hybrid(split, None)
        except ConversionError:
            continue
        sample = rows(X, kind)
        found = Rival(form, learn_contract(X, None, (), ())).outputs(sample)
        parity = compare(expected(estimator, sample), found, tolerance=Tolerance())
        if parity.ok:
            return Outcome("hybrid", f"{parity.max_absolute:.0e}; {refusal}")
    return Outcome("refused", refusal)


@cache
def outcome(section: str, name: str) -> Outcome:
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        estimator, kind = built(section, name)
        X, y = table(kind, classes=not is_regressor(estimator))
        estimator.fit(*(part for part in (X, y) if part is not None))
        try:
            conversion = convert(estimator, X if isinstance(X, pd.DataFrame) else numbers())
        except ConversionError as refusal:
            return in_two(estimator, X, kind, str(refusal))
        sample = rows(X, kind)
        parity = compare(
            expected(estimator, sample), Outputs(*Session(conversion)(sample)), tolerance=Tolerance()
        )
    if not parity.ok:
        return Outcome("wrong", str(parity.first))
    return Outcome("faithful", f"{parity.max_absolute:.0e}")


# ------------------------------------------------------------------------------------------------ the document


MARKS = {"faithful": "yes", "hybrid": "hybrid", "refused": "no", "wrong": "no"}


def document() -> str:
    found = {case: outcome(*case) for case in CASES}
    release = ".".join(sklearn.__version__.split(".")[:2])
    lines = [
        "# What converts to ONNX",
        "",
        f"Every estimator of scikit-learn {release}, fitted on 150 rows: it answers the same on every row (labels",
        "identical, numbers within 1e-5), or it is refused with the reason given. Of a pipeline with a refused step",
        "those up to it run in Python and the rest in ONNX (hybrid), where that is clearly faster than Python alone;",
        "everything else that is refused is packaged as it is, as skops.",
        "The boosters of LightGBM, XGBoost and CatBoost convert too, alone and in pipelines.",
        "",
        "Written by `python tests/test_sweep.py --write`.",
    ]
    for section, names in SECTIONS.items():
        verdicts = Counter(found[section, name].verdict for name in names)
        more = f", {verdicts['hybrid']} more as hybrids" if verdicts["hybrid"] else ""
        lines += ["", f"## {section}", "", f"{verdicts['faithful']} of {len(names)} convert{more}.", ""]
        lines += ["| estimator | converts | largest difference, or reason |", "|---|---|---|"]
        for name in names:
            one = found[section, name]
            mark = MARKS[one.verdict]
            lines.append(f"| {name} | {mark} | {one.detail.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def committed() -> list[tuple[str, str, str]]:
    """Return section, estimator, and yes, hybrid or no of each line of the document."""
    found, section = [], ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif row := re.match(r"\| (\w+) \| (yes|hybrid|no) \|", line):
            found.append((section, row[1], row[2]))
    return found


# ------------------------------------------------------------------------------------------------ the tests


@pytest.mark.parametrize(("section", "name"), CASES, ids=[f"{s.split()[0]}-{name}" for s, name in CASES])
def test_an_estimator_is_faithful_alone_or_in_two_or_refused_in_one_line(section: str, name: str) -> None:
    found = outcome(section, name)
    assert found.verdict in ("faithful", "hybrid", "refused"), found.detail
    assert found.detail
    assert "\n" not in found.detail


def test_nine_in_ten_classifiers_and_regressors_convert() -> None:
    verdicts = Counter(outcome("Classifiers and regressors", name).verdict for name in PREDICTORS)
    assert verdicts["faithful"] / len(PREDICTORS) >= AT_LEAST, verdicts


@pytest.mark.parametrize("name", KINDS)
def test_every_estimator_can_be_made(name: str) -> None:
    make(name)  # a new one that needs arguments belongs in ARGUMENTS


@pytest.mark.parametrize(
    "name", ["OneVsOneClassifier", "NearestCentroid", "LabelSpreading", "DummyClassifier"]
)
def test_two_classes_are_answered_as_several_are(name: str) -> None:
    X, y = table("two classes", classes=True)
    for labels in (y, y.astype(int) * 10):
        estimator = make(name).fit(X, labels)
        got = Outputs(*Session(convert(estimator, X))(X))
        assert compare(expected(estimator, X), got).ok


def test_a_row_without_neighbours_has_no_probabilities() -> None:
    X, y = table("numbers", classes=True)
    estimator = make("RadiusNeighborsClassifier").fit(X, y)
    conversion = convert(estimator, X)
    _, probabilities = Session(conversion)(X.head(1) + 1e6)
    assert np.isnan(probabilities).all()
    assert any("without neighbours" in note for note in conversion.notes)


def test_centroids_are_weighed_by_their_priors() -> None:
    X, y = table("numbers", classes=True)
    estimator = KINDS["NearestCentroid"](priors=[0.6, 0.3, 0.1]).fit(X, y)
    assert compare(expected(estimator, X), Outputs(*Session(convert(estimator, X))(X))).ok


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "polynomial", "sigmoid", "laplacian"])
def test_kernel_ridge_has_other_kernels(kernel: str) -> None:
    X, y = table("numbers", classes=False)
    estimator = KINDS["KernelRidge"](kernel=kernel, degree=2, coef0=0.5).fit(X, y)
    if kernel == "laplacian":
        with pytest.raises(ConversionError, match="kernel 'laplacian'"):
            convert(estimator, X)
    else:
        assert compare(expected(estimator, X), Outputs(*Session(convert(estimator, X))(X))).ok


def test_isotonic_regression_has_no_value_out_of_its_range() -> None:
    X, y = table("one column", classes=False)
    for beyond in ("nan", "clip"):
        estimator = KINDS["IsotonicRegression"](out_of_bounds=beyond).fit(X, y)
        wide = X * 2
        assert compare(expected(estimator, wide), Outputs(*Session(convert(estimator, X))(wide))).ok


def test_a_dummy_that_draws_is_refused() -> None:
    X, y = table("numbers", classes=True)
    with pytest.raises(ConversionError, match="draws its labels"):
        convert(KINDS["DummyClassifier"](strategy="uniform").fit(X, y), X)


def test_the_tables_name_estimators_that_exist() -> None:
    assert {*ARGUMENTS, *DATA, *NO_STEP, *NO_TRANSFORM} <= set(KINDS)


def test_the_document_lists_what_converts() -> None:
    now = [(section, name, MARKS[outcome(section, name).verdict]) for section, name in CASES]
    assert committed() == now, "run: python tests/test_sweep.py --write"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_sweep.py --write")
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
