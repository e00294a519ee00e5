"""Class imbalance under plain k-fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples


def rare_classes(samples: Samples, folds: Folds) -> Iterator[str]:
    """Under plain k-fold: a class below half its even share, or missing from a test fold."""
    if samples.classes is None or not folds.label.lower().startswith("kfold"):
        return
    codes = np.searchsorted(samples.classes, samples.y)
    size = len(samples.classes)
    counts = np.bincount(codes, minlength=size)
    missing = np.zeros(size, dtype=np.intp)
    for _, test in folds.splits:
        missing += np.bincount(codes[test], minlength=size) == 0
    rare = [i for i in np.argsort(counts) if counts[i] < samples.rows / size / 2 or missing[i]]
    if rare:
        names = ", ".join(
            f"{samples.classes.tolist()[i]!r} ({counts[i]} of {samples.rows} rows)" for i in rare[:3]
        )
        more = f" and {len(rare) - 3} more" if len(rare) > 3 else ""
        gone = int(max(missing[i] for i in rare))
        where = f", and {gone} of {len(folds.splits)} test folds lack one" if gone else ""
        plural = "classes are" if len(rare) > 1 else "class is"
        share = max(2, min(5, int(counts.min())))
        yield f"{plural} rare under {folds.label}: {names}{more}{where}; type cv='stratified:{share}'"
