"""What a call of `compress` asks for, looked at before anything is fitted."""

from __future__ import annotations

import math
from typing import Any

from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

from modelyard.compression.protocol import Technique, techniques
from modelyard.conversion import is_torch
from modelyard.errors import NotFittedError, UsageError, did_you_mean, listing


def check_numbers(max_drop: Any, timeout: Any, caution: Any) -> None:
    for name, value, least, typed in (
        ("max_drop", max_drop, "0 or more", "max_drop=0.005"),
        ("caution", caution, "0 or more", "caution=1"),
        ("timeout", timeout, "in seconds and above 0", "timeout=60"),
    ):
        if value is None and name == "timeout":
            continue
        given = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not given or value < 0 or (name == "timeout" and value == 0):
            raise UsageError(f"{name} is {least}, found {value!r}; type {typed}")


def wanted_techniques(asked: Any) -> list[tuple[str, str, Technique]]:
    """Return the techniques that are asked for, or all: name, what follows the colon, and an instance."""
    if asked is None:
        found = [(name, "", techniques[name]()) for name in techniques]
    else:
        words = [asked] if isinstance(asked, str) else list(asked)
        if not words or not all(isinstance(word, str) for word in words):
            raise UsageError(
                f"techniques are names, found {asked!r}; type techniques='pruning', or leave it away for all"
            )
        found = []
        for word in dict.fromkeys(words):
            name, _, option = word.partition(":")
            technique = techniques[name]()
            if option and option not in technique.options:
                raise UsageError(
                    f"{name} knows no {option!r}; there: {listing(technique.options)}"
                    f"{did_you_mean(option, technique.options)}"
                )
            found.append((name, option, technique))
    return sorted(found, key=lambda each: each[2].order)


def check_fitted(model: Any) -> None:
    if is_torch(model):
        return
    try:
        check_is_fitted(model)
    except SklearnNotFittedError as error:
        raise NotFittedError(
            f"this {type(model).__name__} is not fitted; call its fit(X, y) first"
        ) from error
    except TypeError:  # an estimator that scikit-learn cannot ask
        pass
