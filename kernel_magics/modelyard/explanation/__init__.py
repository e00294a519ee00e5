"""Why a model says what it says, in the words of the columns that it was given."""

from modelyard.explanation.protocol import Method, explanations
from modelyard.explanation.question import Explained, Question
from modelyard.explanation.verb import explain

__all__ = ["Explained", "Method", "Question", "explain", "explanations"]
