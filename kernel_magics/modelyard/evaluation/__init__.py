"""How good a model is on rows it has not seen: folds, metrics, cross-validation, comparisons and leakage checks."""

from modelyard.evaluation.comparison import Comparison
from modelyard.evaluation.cross_validation import cross_validate
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.result import Evaluation

__all__ = ["Comparison", "Evaluation", "Metric", "cross_validate"]
