"""Leave-one-out of the digits: ours in closed form, over scikit-learn's one fit per row."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from modelyard import cross_validate


def leave_one_out(quick: bool = False) -> dict[str, Any]:
    """Return how many times as fast neighbours and ridge are, and the greatest difference of a score.

    What is timed is the whole verb as a user calls it: checks of the data, predictions, pictures and the record in the
    yard among it. Scikit-learn is timed once, ours as the median of a few calls, after one to import what it needs.
    """
    X, y = load_digits(return_X_y=True)
    found: dict[str, Any] = {"rows": len(y), "difference": 0.0}
    for name, model in (("knn", KNeighborsClassifier()), ("ridge", RidgeClassifier())):
        began = time.perf_counter()
        theirs = cross_val_score(model, X, y, cv=LeaveOneOut(), scoring="accuracy")
        theirs_s = time.perf_counter() - began
        spans = []
        for _ in range(3 if quick else 8):
            began = time.perf_counter()
            ours = cross_validate(model, X, y, cv="loo", scoring="accuracy")
            spans.append(time.perf_counter() - began)
        ours_s = float(np.median(spans[1:]))
        found[f"{name}_seconds"] = {"sklearn": theirs_s, "modelyard": ours_s, "how": ours.method}
        found[f"loo_{name}_over_sklearn"] = theirs_s / ours_s
        apart = float(np.abs(ours.scores["accuracy"].to_numpy() - theirs).max())
        found["difference"] = max(found["difference"], apart)
    return found
