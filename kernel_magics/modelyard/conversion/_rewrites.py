"""What is rewritten in a fitted copy before skl2onnx sees it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingRegressor
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, NuSVC

from modelyard.conversion._boosters import is_booster
from modelyard.conversion._parts import parts, rebuild


def rewrite(estimator: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a fitted copy that skl2onnx converts faithfully, and a note for each mend that it needed.

    The estimator itself is not touched.
    """
    notes: dict[str, None] = {}

    def change(part: Any) -> Any:
        if is_booster(part):
            return part
        _plain_classes(part)
        if isinstance(part, BaseSearchCV):
            return part.best_estimator_
        if type(part) not in TABLE:
            return part
        rewriter, note = TABLE[type(part)]
        if note:
            notes[note] = None
        return rewriter(part)

    # not copied: nothing in them is rewritten, and LightGBM's copy forgets which iteration was best
    boosters = {id(part): part for part in parts(estimator) if is_booster(part)}
    return rebuild(copy.deepcopy(estimator, boosters), change), tuple(notes)


def _plain_classes(part: Any) -> None:
    """Turn bool, unsigned and float class labels into int64; the finished graph turns them back."""
    classes = vars(part).get("classes_")
    if isinstance(classes, np.ndarray) and classes.dtype.kind in "buf":
        part.classes_ = classes.astype(np.int64)


def _positions(transformer: ColumnTransformer) -> ColumnTransformer:
    """Select columns by position: names go through skl2onnx changed (``/`` becomes ``_``)."""
    positions = transformer._transformer_to_input_indices
    transformer.transformers_ = [
        (name, step, [int(i) for i in positions[name]]) for name, step, _ in transformer.transformers_
    ]
    return transformer


def _without_passthrough(pipeline: Pipeline) -> Pipeline:
    pipeline.steps = [(name, step) for name, step in pipeline.steps if step not in (None, "passthrough")]
    return pipeline


def _logistic(model: LinearDiscriminantAnalysis) -> LogisticRegression:
    """Move the coefficients: both are the logistic function (or softmax) of ``X @ coef_.T + intercept_``."""
    logistic = LogisticRegression()
    logistic.coef_, logistic.intercept_, logistic.classes_ = model.coef_, model.intercept_, model.classes_
    logistic.n_features_in_ = model.n_features_in_
    return logistic


def _voting_regressor(model: VotingRegressor) -> VotingRegressor:
    """Leave out the weights of estimators that were dropped, as skl2onnx does not."""
    if model.weights is not None:
        model.weights = np.asarray(model._weights_not_none, dtype=np.float64)
    return model


def _network(model: MLPRegressor) -> MLPRegressor:
    if model.out_activation_ != "identity":
        raise NotImplementedError(f"the output activation {model.out_activation_!r} goes wrong")
    return model


def _neighbours(model: Any) -> Any:
    if model.weights != "uniform":
        raise NotImplementedError("neighbours weighted by distance go wrong at distance 0")
    return model


def _one_vs_rest(model: OneVsRestClassifier) -> OneVsRestClassifier:
    # its labels come from decision functions, which Platt's probabilities of SVC do not follow
    if any(isinstance(part, (SVC, NuSVC)) for part in parts(model)) or not all(
        hasattr(member, "predict_proba") for member in model.estimators_
    ):
        raise NotImplementedError("OneVsRestClassifier over an estimator without probabilities goes wrong")
    return model


def _stacking(model: StackingClassifier) -> StackingClassifier:
    if "decision_function" in model.stack_method_:
        raise NotImplementedError("StackingClassifier over an estimator without probabilities goes wrong")
    return model


def _bagging(model: BaggingClassifier) -> BaggingClassifier:
    if not all(hasattr(member, "predict_proba") for member in model.estimators_):
        raise NotImplementedError("BaggingClassifier over an estimator without probabilities goes wrong")
    return model


def _gaussian_process(model: GaussianProcessClassifier) -> GaussianProcessClassifier:
    raise NotImplementedError("what skl2onnx makes of it does not run")


def _inverted(model: TransformedTargetRegressor) -> Any:
    """Predict, then apply the inverse of what was done to the target."""
    transformer = model.transformer_
    if type(transformer) is not FunctionTransformer:
        return model
    return Pipeline(
        [("regressor", model.regressor_), ("inverse", FunctionTransformer(transformer.inverse_func))]
    )


TABLE: dict[type, tuple[Callable[[Any], Any], str]] = {
    ColumnTransformer: (_positions, ""),
    LinearDiscriminantAnalysis: (
        _logistic,
        "Linear discriminant analysis is written as the logistic regression with its coefficients.",
    ),
    Pipeline: (_without_passthrough, ""),
    SelfTrainingClassifier: (lambda model: model.estimator_, ""),
    TransformedTargetRegressor: (_inverted, ""),
    VotingRegressor: (_voting_regressor, ""),
    # Refused, since skl2onnx writes them without a word and wrongly.
    BaggingClassifier: (_bagging, ""),
    GaussianProcessClassifier: (_gaussian_process, ""),
    KNeighborsClassifier: (_neighbours, ""),
    KNeighborsRegressor: (_neighbours, ""),
    MLPRegressor: (_network, ""),
    OneVsRestClassifier: (_one_vs_rest, ""),
    StackingClassifier: (_stacking, ""),
}
"""Class: how its fitted copy is rewritten, and what is noted. A subclass may do anything, so it is not here."""
