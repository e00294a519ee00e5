"""Trees and forests with fewer trees, fewer leaves or less depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelyard.compression.fitting import FORESTS, fitted
from modelyard.compression.last_step import fed_to_last, last_step, with_last
from modelyard.compression.protocol import Make
from modelyard.evaluation.inputs import Samples

_TREES = (DecisionTreeClassifier, DecisionTreeRegressor)  # ExtraTree* are such

_SHARES = (0.5, 0.3, 0.2, 0.12, 0.06)
_FEW = 0.2  # of the trees, in forests whose trees are grown anew and smaller
_LEAVES = (0.5, 0.25)
_DEPTHS = (0.75, 0.5)
_FAINTEST = 2000  # rows that trees are ordered on


def fits(last: Any) -> bool:
    return isinstance(last, FORESTS) or (isinstance(last, _TREES) and hasattr(last, "tree_"))


def pruned(last: Any, seed: int) -> Iterator[tuple[str, Make]]:
    """Yield what is said of each smaller forest, and how it is made."""
    if isinstance(last, FORESTS):
        count = len(last.estimators_)
        for trees in _counts(count, _SHARES):
            yield f"{trees} trees", partial(_fewer, trees=trees)
        trees = max(1, round(_FEW * count)) if count > 10 else count
        members = last.estimators_
    else:
        trees, members = 0, [last]
    words = f"{trees} trees of " if trees else ""
    for leaves in _counts(int(np.mean([tree.get_n_leaves() for tree in members])), _LEAVES, least=2):
        yield f"{words}{leaves} leaves", partial(_grown_anew, trees=trees, max_leaf_nodes=leaves)
    for depth in _counts(int(np.mean([tree.get_depth() for tree in members])), _DEPTHS, least=2):
        yield f"{words}depth {depth}", partial(_grown_anew, trees=trees, max_depth=depth)
    for alpha in _alphas(members[0]):
        yield f"{words}ccp_alpha {alpha:.2g}", partial(_grown_anew, trees=trees, ccp_alpha=alpha)


def _counts(whole: int, shares: tuple[float, ...], least: int = 1) -> list[int]:
    counts = [max(least, round(share * whole)) for share in shares]
    return [count for count in dict.fromkeys(counts) if count < whole]


def _alphas(tree: Any) -> list[float]:
    """Return two strengths of cost-complexity pruning, as the impurities of a grown tree suggest.

    Source: Breiman, Friedman, Olshen & Stone, "Classification and Regression Trees", 1984, chapter 3: a split whose
    impurity falls by less than alpha a leaf is cut.
    """
    nodes = tree.tree_
    inner = nodes.children_left >= 0
    if not inner.any():
        return []
    weight = nodes.weighted_n_node_samples / nodes.weighted_n_node_samples[0]
    held = weight * nodes.impurity
    fall = held[inner] - held[nodes.children_left[inner]] - held[nodes.children_right[inner]]
    return [float(f"{alpha:.2g}") for alpha in np.quantile(fall, (0.5, 0.8)) if alpha > 0]


def _fewer(model: Any, samples: Samples, trees: int) -> Any:
    """Return a forest of some of its trees: of a classifier those that mend each other's mistakes."""
    last = last_step(model)
    chosen = np.arange(trees)
    if samples.classes is not None:
        chosen = _ordered(last, model, samples)[:trees]
    smaller = copy.copy(last)
    smaller.estimators_ = [last.estimators_[place] for place in chosen]
    smaller.n_estimators = len(smaller.estimators_)
    return with_last(model, smaller)


def _ordered(forest: Any, model: Any, samples: Samples) -> NDArray[np.intp]:
    """Return the places of the trees of a classifier in the order in which they should be kept.

    Orientation ordering: each tree has a signature, 1 for a row that it tells rightly and -1 for another. The mean of
    all is where the forest points to; trees come in the order of their angle to the direction that is missing
    from there to all rows being right. Source: G. Martínez-Muñoz & A. Suárez, "Pruning in ordered bagging
    ensembles", ICML 2006.
    """
    rows = samples.take(np.arange(min(samples.rows, _FAINTEST)))
    X = np.asarray(fed_to_last(model, rows), dtype=np.float32)
    truth = np.searchsorted(forest.classes_, samples.y[: len(X)])
    right = np.array(
        [tree.predict(X) == truth for tree in forest.estimators_]
    )  # a tree tells the places of classes
    signatures = np.where(right, 1.0, -1.0)
    mean = signatures.mean(axis=0)
    missing = 1 - mean * mean.sum() / max(float(mean @ mean), 1e-12)
    lengths = np.linalg.norm(signatures, axis=1)
    return np.argsort(-(signatures @ missing) / lengths, kind="stable")


def _grown_anew(model: Any, samples: Samples, trees: int, **limits: Any) -> Any:
    last = last_step(model)
    smaller = clone(last).set_params(**limits)
    if trees:
        smaller.set_params(n_estimators=trees, warm_start=False)
    return with_last(model, fitted(smaller, fed_to_last(model, samples.X), samples.y))
