"""Which parts of a fitted model keep the rows they were trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

#: Attributes that are training rows by their estimator's method, whatever their number.
_KEPT = ("_fit_X", "support_vectors_", "X_train_", "X_fit_", "X_")
_KEPT_BY = {"Nystroem": "components_", "AffinityPropagation": "cluster_centers_", "DBSCAN": "components_"}
_FEWEST = 10


def kept_rows(model: Any, rows: int) -> tuple[str, ...]:
    """Return one sentence for each kind of estimator in a fitted model that keeps rows it was trained on.

    Parameters
    ----------
    model : object
        A fitted estimator or pipeline; estimators inside it are found through their attributes.
    rows : int
        How many rows it was trained on. Any table of that many rows counts, from ten.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> kept_rows(KNeighborsClassifier().fit([[float(n), 1.0] for n in range(12)], [0, 1] * 6), 12)
    ('KNeighborsClassifier keeps the 12 rows it was trained on: whoever has the bundle has them',)
    """
    found: dict[tuple[str, str], list[int]] = {}
    inside = {}
    for part in _parts(model):
        name = type(part).__name__
        for attribute, value in vars(part).items():
            size = _size(value)
            known = attribute in _KEPT or _KEPT_BY.get(name) == attribute
            if size is None or not size or (not known and (size != rows or rows < _FEWEST)):
                continue
            if not known and _shape(value) == (rows, rows) == (getattr(part, "n_features_in_", 0),) * 2:
                continue  # features by features, such as a covariance
            key = (name, "" if known or attribute == "_tree" else attribute)
            found.setdefault(key, []).append(size)
            inside[key] = part is not model
    told = []
    for (name, attribute), sizes in found.items():
        if (name, "") in found and attribute:
            continue  # the rows once more, in another form
        told.append(_sentence(name, attribute, sizes, rows, inside[(name, attribute)]))
    return tuple(told)


def _sentence(name: str, attribute: str, sizes: list[int], rows: int, inside: bool) -> str:
    after = " (after the steps before it)" if inside else ""
    most = max(sizes)
    if attribute:
        return (
            f"{name} keeps a table with a line for each of the {rows} rows it was trained on ({attribute}): "
            "whoever has the bundle has it"
        )
    who = name if len(set(sizes)) == 1 else f"each {name} in it"
    how_many = f"up to {most}" if len(set(sizes)) > 1 else f"{most}"
    kept = f"the {rows} rows" if set(sizes) == {rows} else f"{how_many} of the rows"
    return f"{who} keeps {kept} it was trained on{after}: whoever has the bundle has them"


def _parts(model: Any) -> Iterator[Any]:
    """Yield every object with attributes that a model is made of, once, outside first."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple) and len(part) <= 10_000:
            waiting.extend(part)
        elif isinstance(part, np.ndarray) and part.dtype == object and part.size <= 10_000:
            waiting.extend(part.ravel())
        elif hasattr(part, "get_params") or hasattr(part, "fit"):
            yield part
            waiting.extend(vars(part).values() if hasattr(part, "__dict__") else ())


def _shape(value: Any) -> tuple[int, ...] | None:
    if type(value).__name__.startswith(("KDTree", "BallTree")):
        value = np.asarray(value.data)
    is_table = isinstance(value, np.ndarray | pd.DataFrame) or hasattr(value, "tocsr")
    shape = value.shape if is_table else ()
    return tuple(shape) if len(shape) == 2 else None


def _size(value: Any) -> int | None:
    shape = _shape(value)
    return None if shape is None else int(shape[0])
