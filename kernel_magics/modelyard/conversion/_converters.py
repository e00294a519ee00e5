"""Which of our converters stands in for skl2onnx's."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.calibration import CalibratedClassifierCV
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
from sklearn.impute import SimpleImputer
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
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from modelyard.conversion import (
    _calibration,
    _encoders,
    _functions,
    _graph,
    _linear,
    _meta,
    _outliers,
    _support_vectors,
    _transformers,
    _tree_ensembles,
)

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
_BY_VALUE = (_encoders.encode_by_value, _encoders.encode_shapes, "")

CONVERTERS: dict[type, tuple[Callable[..., None], Callable[..., None], str]] = {
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
}
"""Class: our converter in place of skl2onnx's, its shape calculator, and what is noted."""
