"""An explainer that goes into a bundle: what is asked of it, and what it is once it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.capture import Captured
from modelyard.errors import UsageError, did_you_mean
from modelyard.explanation import explanations

FOLDER = "explainer"
#: The file with the rows of background.
BACKGROUND = f"{FOLDER}/background.jsonl"
_OPTIONS = ("background", "explainer", "shuffles")


@dataclass(frozen=True)
class Travelling:
    """An explainer, ready to be written.

    Attributes
    ----------
    described : dict
        What the manifest says of it.
    files : mapping of str to bytes
        By name, below the bundle's ``model/``.
    named_rows : bytes
        The background with the names of its columns, as the gates read it.
    trusted : sequence of str
        The types in the estimator that a reader must trust.
    lock : sequence of str
        What it needs, closed; also what the model needs already.
    parity : dict
        How its values compare with the notebook's.
    """

    described: dict[str, Any]
    files: Mapping[str, bytes]
    named_rows: bytes
    trusted: Sequence[str]
    captured: Captured | None
    lock: Sequence[str]
    parity: dict[str, Any]
    keeps: tuple[str, ...]


@dataclass(frozen=True)
class Wish:
    """What is asked of an explainer, looked at before any work is done."""

    seed: int
    background: Any = None
    explainer: str | None = None
    shuffles: int | None = None

    @classmethod
    def of(cls, asked: Any, golden: str, seed: int) -> Wish | None:
        """Return what `package` was asked for; ``None`` for no explainer.

        Raises
        ------
        MissingExtraError
            shap is not installed.
        UsageError
            It is neither a truth value nor a mapping of known options, or training rows would travel that may not.
        """
        if asked is None or asked is False:
            return None
        if asked is not True and not isinstance(asked, Mapping):
            raise UsageError(
                f"explain is True or a mapping of its options, found {asked!r}; type explain=True"
            )
        options = {} if asked is True else dict(asked)
        for name in options:
            if name not in _OPTIONS:
                raise UsageError(
                    f"explain has no option {name!r}; it has: {', '.join(_OPTIONS)}{did_you_mean(str(name), _OPTIONS)}"
                )
        explanations["shap"]  # says what to install where shap is missing
        from modelyard.explanation.shapley import check_explainer
        from modelyard.explanation.shuffling import check_shuffles

        check_explainer(options.get("explainer"))
        check_shuffles(options.get("shuffles"))
        if golden == "synthetic" and not hasattr(options.get("background"), "shape"):
            raise UsageError(
                "an explainer carries rows of the training table as its background, and with golden='synthetic' none "
                "may travel; give rows that may, as explain={'background': table}"
            )
        return cls(seed, **options)
