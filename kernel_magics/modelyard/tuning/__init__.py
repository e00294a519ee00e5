"""Search for the parameters of a model: spaces, grid, random and Bayesian search, resuming."""

from modelyard.tuning.background import StudyRun
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.search import tune
from modelyard.tuning.space import as_space, parse_space
from modelyard.tuning.study import Study

__all__ = ["Parameter", "Study", "StudyRun", "as_space", "parse_space", "tune"]
