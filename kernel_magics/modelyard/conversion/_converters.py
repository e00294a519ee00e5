"""Which of our converters stands in for skl2onnx's."""

from __future__ import annotations

from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_classifier_list, sklearn_operator_name_map
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import GenericUnivariateSelect, SelectPercentile, SequentialFeatureSelector
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OutputCodeClassifier
from sklearn.neighbors import NearestCentroid, RadiusNeighborsClassifier, RadiusNeighborsRegressor
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    TargetEncoder,
)
from sklearn.semi_supervised import LabelPropagation, LabelSpreading
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from modelyard.conversion import (
    _boosters,
    _calibration,
    _distances,
    _encoders,
    _functions,
    _graph,
    _linear,
    _meta,
    _multiclass,
    _outliers,
    _support_vectors,
    _transformers,
    _tree_ensembles,
)
from modelyard.conversion._boosters import Converter
from modelyard.conversion._parts import parts

TREES = "Trees are written in double, with float32 features and their own direction for missing values."
HISTOGRAM = "Histogram-based trees are written in double, with their own direction for missing values."
IMPUTED = "SimpleImputer is written in double, and for strings with nulls."

_FOREST_CLASSIFIER = (_tree_ensembles.forest_classifier, _graph.classifier_shapes, TREES)
_FOREST_REGRESSOR = (_tree_ensembles.forest_regressor, _graph.regressor_shapes, TREES)
_LOGISTIC = (_linear.logistic_regression, _graph.classifier_shapes, "")
_LINEAR = (_linear.linear_labels, _graph.classifier_shapes, "")
_SUPPORT_CLASSIFIER = (
    _support_vectors.support_vector_classifier,
    _support_vectors.classifier_shapes,
    "",
)
_SUPPORT_VECTORS = (_support_vectors.support_vector_regressor, _graph.regressor_shapes, "")
RADIUS = "A row without neighbours, which scikit-learn refuses, gets NaN for probabilities."

_PROPAGATION = (_distances.label_propagation, _graph.classifier_shapes, "")
_LATENT = (_linear.latent_regressor, _graph.regressor_shapes, "")
_SELECTOR = (_transformers.select, _transformers.selected_shapes, "")
_BY_VALUE = (_encoders.encode_by_value, _encoders.encode_shapes, "")

CONVERTERS: dict[type, Converter] = {
    DecisionTreeClassifier: _FOREST_CLASSIFIER,
    ExtraTreeClassifier: _FOREST_CLASSIFIER,
    RandomForestClassifier: _FOREST_CLASSIFIER,
    ExtraTreesClassifier: _FOREST_CLASSIFIER,
    DecisionTreeRegressor: _FOREST_REGRESSOR,
    ExtraTreeRegressor: _FOREST_REGRESSOR,
    RandomForestRegressor: _FOREST_REGRESSOR,
    ExtraTreesRegressor: _FOREST_REGRESSOR,
    GradientBoostingClassifier: (_tree_ensembles.boosting_classifier, _graph.classifier_shapes, TREES),
    GradientBoostingRegressor: (_tree_ensembles.boosting_regressor, _graph.regressor_shapes, TREES),
    HistGradientBoostingClassifier: (
        _tree_ensembles.boosting_classifier,
        _graph.classifier_shapes,
        HISTOGRAM,
    ),
    HistGradientBoostingRegressor: (_tree_ensembles.boosting_regressor, _graph.regressor_shapes, HISTOGRAM),
    SimpleImputer: (_encoders.impute, _encoders.imputer_shapes, IMPUTED),
    OneHotEncoder: (_encoders.encode_one_hot, _encoders.encode_shapes, ""),
    OrdinalEncoder: _BY_VALUE,
    RidgeClassifier: _LINEAR,
    RidgeClassifierCV: _LINEAR,
    LinearSVC: _LINEAR,
    Perceptron: _LINEAR,
    PassiveAggressiveClassifier: _LINEAR,
    LogisticRegression: _LOGISTIC,
    LogisticRegressionCV: _LOGISTIC,
    SGDClassifier: (_linear.stochastic_gradient_descent, _graph.classifier_shapes, ""),
    SVC: _SUPPORT_CLASSIFIER,
    NuSVC: _SUPPORT_CLASSIFIER,
    SVR: _SUPPORT_VECTORS,
    NuSVR: _SUPPORT_VECTORS,
    OneClassSVM: (_outliers.one_class, _outliers.outlier_shapes, ""),
    IsolationForest: (_outliers.isolation_forest, _outliers.outlier_shapes, ""),
    AdaBoostClassifier: (_meta.ada_boost_classifier, _graph.classifier_shapes, ""),
    FixedThresholdClassifier: (_meta.threshold_classifier, _graph.classifier_shapes, ""),
    CalibratedClassifierCV: (_calibration.calibrated_classifier, _graph.classifier_shapes, ""),
    TunedThresholdClassifierCV: (_meta.threshold_classifier, _graph.classifier_shapes, ""),
    VotingClassifier: (_meta.voting_classifier, _graph.classifier_shapes, ""),
    Binarizer: (_transformers.binarize, _transformers.named_shapes, ""),
    KBinsDiscretizer: (_transformers.discretize, _transformers.named_shapes, ""),
    PolynomialFeatures: (_transformers.polynomial, _transformers.named_shapes, ""),
    PowerTransformer: (_transformers.power, _transformers.named_shapes, ""),
    FunctionTransformer: (_functions.transform, _functions.function_shapes, ""),
    TargetEncoder: _BY_VALUE,
    DummyClassifier: (_distances.dummy_classifier, _graph.classifier_shapes, ""),
    DummyRegressor: (_distances.dummy_regressor, _graph.regressor_shapes, ""),
    IsotonicRegression: (_calibration.isotonic_regressor, _graph.regressor_shapes, ""),
    KernelRidge: (_distances.kernel_ridge, _graph.regressor_shapes, ""),
    LabelPropagation: _PROPAGATION,
    LabelSpreading: _PROPAGATION,
    NearestCentroid: (_distances.nearest_centroid, _graph.classifier_shapes, ""),
    CCA: _LATENT,
    PLSCanonical: _LATENT,
    GenericUnivariateSelect: _SELECTOR,
    SelectPercentile: _SELECTOR,
    SequentialFeatureSelector: _SELECTOR,
    OneVsOneClassifier: (_multiclass.one_vs_one_classifier, _graph.classifier_shapes, ""),
    OutputCodeClassifier: (_multiclass.output_code_classifier, _graph.classifier_shapes, ""),
    RadiusNeighborsClassifier: (_distances.radius_classifier, _graph.classifier_shapes, RADIUS),
    RadiusNeighborsRegressor: (_distances.radius_regressor, _graph.regressor_shapes, ""),
}
"""Class: our converter in place of skl2onnx's, its shape calculator, and what is noted."""


def converters_for(estimator: Any) -> dict[type, Converter]:
    """Return `CONVERTERS` and those of the boosting libraries that `estimator` has parts of.

    The classes that skl2onnx has never heard of are registered with it, so that its own converters of
    estimators around others find them.
    """
    found = list(parts(estimator))
    table = CONVERTERS | _boosters.converters(found)
    for part in found:
        kind = type(part)
        if kind in table and kind not in sklearn_operator_name_map:
            write, shapes, _ = table[kind]
            options: dict[str, Any] = {"sparse": [True, False]}
            if is_classifier(part):
                options |= {"zipmap": [True, False, "columns"], "raw_scores": [True, False]}
            if is_classifier(part) and kind not in sklearn_classifier_list:
                sklearn_classifier_list.append(kind)  # else CatBoost's would have one output
            alias = f"Modelyard{kind.__name__}"
            update_registered_converter(kind, alias, shapes, write, options=options)
    return table
