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

    It promises to leave the model and the frames of the question unchanged, to draw at random only from the
    question's seed, to bound its memory whatever the number of rows, and to tell of its progress through
    `modelyard.progress`. It raises `InvalidInputError` for a model or data that it cannot explain, and `UsageError` for
    an option whose value makes no sense.
    """

    #: Each further keyword of `modelyard.explain` that it takes, and one line of help. Its flag is the same word.
    options: ClassVar[Mapping[str, str]]

    def explain(self, question: Question) -> Result:
        """Answer the question; the result's notes hold the question's."""
        ...
