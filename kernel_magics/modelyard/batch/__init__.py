"""Whole files of rows, scored in constant memory; pyarrow is imported when `predict` is first called."""

from modelyard.batch.scoring import Scoring
from modelyard.batch.verbs import predict

__all__ = ["Scoring", "predict"]
