"""What a way to explain promises, and the registry of those that are installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from modelyard.explanation.question import Question
from modelyard.presentation import Result
from modelyard.registry import Registry

#: Every installed way to explain by name.
explanations = Registry("modelyard.explanations", "way to explain")


class Method(Protocol):
    """One way to explain: a class that is made without arguments, registered under ``modelyard.explanations``.

    `modelyard.testing.MethodContract` tests these promises:

    - It leaves the model and the frames of the question unchanged.
    - It draws at random only from the question's seed.
    - It explains something that only answers, such as an endpoint, as well as an estimator.
    - Its memory is bounded whatever the number of rows, where it is left to it which of them are explained.
    - It tells of its progress through `modelyard.progress`, and lets Ctrl-C through.
    - It raises `InvalidInputError` for a model or data that it cannot explain, and `UsageError` for an option whose
      value makes no sense, each in one line.
    - Showing the result asks the model nothing.
    """

    #: Each further keyword of `modelyard.explain` that it takes, and one line of help. Its flag is the same word.
    options: ClassVar[Mapping[str, str]]

    def explain(self, question: Question) -> Result:
        """Answer the question; the result's notes hold the question's."""
        ...
