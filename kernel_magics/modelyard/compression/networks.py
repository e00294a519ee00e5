"""Networks of scikit-learn with fewer neurons, trained on a little afterwards."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from modelyard.compression.fitting import fitted
from modelyard.compression.last_step import fed_to_last, last_step, with_last
from modelyard.compression.protocol import Make
from modelyard.evaluation.inputs import Samples

_SHARES = (0.5, 0.25, 0.12)
_EPOCHS = 40
_JUDGED_ROWS = 2000

_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "identity": lambda values: values,
    "logistic": lambda values: 1 / (1 + np.exp(-values)),
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
}


def fits(last: Any) -> bool:
    return isinstance(last, MLPClassifier | MLPRegressor) and len(getattr(last, "coefs_", ())) > 1


def pruned(last: Any, seed: int) -> Iterator[tuple[str, Make]]:
    """Yield what is said of each smaller network, and how it is made."""
    widths = [len(each) for each in last.intercepts_[:-1]]
    for share in _SHARES:
        kept = [max(1, round(share * width)) for width in widths]
        if kept != widths:
            yield f"{', '.join(map(str, kept))} neurons", partial(_narrower, share=share, seed=seed)


def _narrower(model: Any, samples: Samples, share: float, seed: int) -> Any:
    last = last_step(model)
    X = fed_to_last(model, samples.X)
    smaller = copy.deepcopy(last)
    for layer in range(len(last.coefs_) - 1):
        width = smaller.coefs_[layer].shape[1]
        weighed = _saliency(smaller, np.asarray(X[:_JUDGED_ROWS], dtype=np.float64), layer)
        kept = np.sort(np.argsort(-weighed, kind="stable")[: max(1, round(share * width))])
        smaller.coefs_[layer] = smaller.coefs_[layer][:, kept]
        smaller.intercepts_[layer] = smaller.intercepts_[layer][kept]
        smaller.coefs_[layer + 1] = smaller.coefs_[layer + 1][kept]
    smaller.hidden_layer_sizes = tuple(len(each) for each in smaller.intercepts_[:-1])
    return with_last(model, _trained_on(smaller, X, samples, seed))


def _saliency(network: Any, X: NDArray[Any], layer: int) -> NDArray[Any]:
    """Return how much each neuron of a hidden layer says: the mean size of its output times that of its weights."""
    apply = _ACTIVATIONS[network.activation]
    for place in range(layer + 1):
        X = apply(X @ network.coefs_[place] + network.intercepts_[place])
    return np.asarray(np.abs(X).mean(axis=0) * np.linalg.norm(network.coefs_[layer + 1], axis=1))


def _trained_on(network: Any, X: Any, samples: Samples, seed: int) -> Any:
    """Train a network on from the weights that it has; its parameters stay as they were."""
    changed = {"warm_start": True, "early_stopping": False, "max_iter": min(_EPOCHS, network.max_iter)}
    if network.random_state is None:
        changed["random_state"] = seed
    before = {name: getattr(network, name) for name in changed}
    network.set_params(**changed)
    network.best_loss_, network.loss_curve_, network._no_improvement_count = np.inf, [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is meant to be short
        fitted(network, X, samples.y)
    return network.set_params(**before)
