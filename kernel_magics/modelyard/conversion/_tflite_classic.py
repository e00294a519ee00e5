"""The older operators of ``ai.onnx.ml``, which other exporters write: scalers, linear models, trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelyard.conversion._tflite_columns import Columns
from modelyard.conversion._tflite_file import ROWS, Array, Tensor
from modelyard.conversion._tflite_layers import layer, over
from modelyard.conversion._tflite_reading import ML, Given, Handler, Labels, NodeError, Reading, Value
from modelyard.conversion._tflite_trees import Ensemble, TreesError, rows_summed, walked


def _scaler(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.value(node.input[0])
    offset, scale = np.array(given.get("offset", [0.0])), np.array(given.get("scale", [1.0]))
    if not isinstance(value, Columns):
        raise NodeError("of something that is computed")
    return value.then("sub", offset).then("mul", scale)


def _imputer(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.value(node.input[0])
    fills = np.array(given.get("imputed_value_floats", ()))
    if (
        not isinstance(value, Columns)
        or not fills.size
        or not np.isnan(given.get("replaced_value_float", np.nan))
    ):
        raise NodeError("of something else than NaN")
    return value.then("fill", fills)


def _normalizer(reading: Reading, node: Any, given: Given) -> Value:
    tensor, norm = reading.tensor(node.input[0]), given.get("norm", b"MAX").decode()
    if len(tensor.shape) != 2:
        raise NodeError("over rows")
    draft = reading.draft
    if norm == "L2":
        squares = draft.step("MUL", [tensor, tensor], tensor.shape)
        size = over(reading, "SUM", squares, [1], True)
        size = draft.step("SQRT", [size], size.shape)
    else:
        size = draft.step("ABS", [tensor], tensor.shape)
        size = over(reading, "SUM" if norm == "L1" else "REDUCE_MAX", size, [1], True)
    return draft.step("DIV", [tensor, size], tensor.shape)


def _linear_regressor(reading: Reading, node: Any, given: Given) -> Value:
    _check_plain(given)
    width = int(given.get("targets", 1))
    weights = np.array(given["coefficients"]).reshape(width, -1).T
    return layer(reading, node.input[0], weights, np.array(given.get("intercepts", np.zeros(width))))


def _linear_classifier(reading: Reading, node: Any, given: Given) -> Value:
    labels = _classes(given, "classlabels_ints")
    weights = np.array(given["coefficients"]).reshape(len(labels), -1).T
    scores = layer(reading, node.input[0], weights, np.array(given.get("intercepts", np.zeros(len(labels)))))
    return _classified(reading, node, labels, scores, given)


def _classes(given: Given, numbers: str) -> tuple[Any, ...]:
    texts = given.get("classlabels_strings", ())
    return tuple(each.decode() for each in texts) or tuple(given.get(numbers, ()))


def _classified(reading: Reading, node: Any, labels: tuple[Any, ...], scores: Tensor, given: Given) -> Labels:
    """Return the labels, and write the scores, which are the node's second output."""
    draft, after = reading.draft, given.get("post_transform", b"NONE").decode()
    axis = draft.constant(np.array([1]), "int32")
    place = draft.step("ARG_MAX", [scores, axis], (ROWS,), "int32", outputType=2)
    if after == "SOFTMAX":
        scores = draft.step("SOFTMAX", [scores], scores.shape, beta=1.0)
    elif after == "LOGISTIC":
        scores = draft.step("LOGISTIC", [scores], scores.shape)
    elif after != "NONE":
        raise NodeError(f"with {after}")
    if len(node.output) > 1:
        reading.values[node.output[1]] = scores
    return Labels(place, labels)


def _check_plain(given: Given) -> None:
    if given.get("post_transform", b"NONE") != b"NONE":
        raise NodeError(f"with {given['post_transform'].decode()}")


def _tree_classifier(reading: Reading, node: Any, given: Given) -> Value:
    labels = _classes(given, "classlabels_int64s")
    if len(labels) == 2 and len(set(given["class_ids"])) == 1:
        return _tree_of_two(reading, node, given, labels)
    if set(given["class_ids"]) != set(range(len(labels))):
        raise TreesError("with a class that no leaf names")
    scores = _added(reading, node, given, "class", len(labels))
    return _classified(reading, node, labels, scores, given)


def _tree_of_two(reading: Reading, node: Any, given: Given, labels: tuple[Any, ...]) -> Labels:
    """Write two classes whose leaves speak of one: its share, or where some are negative, its log-odds.

    That is how ONNX Runtime reads them: ``TreeAggregatorClassifier`` in ``tree_ensemble_aggregator.h``.
    """
    draft, after = reading.draft, given.get("post_transform", b"NONE").decode()
    is_share = min(given["class_weights"]) >= 0
    if after != ("NONE" if is_share else "LOGISTIC"):
        raise NodeError(f"with {after}")
    second = _added(reading, node, {**given, "class_ids": [0] * len(given["class_ids"])}, "class", 1)
    limit = draft.constant(np.array([0.5 if is_share else 0.0]))
    above = draft.step("GREATER", [second, limit], second.shape, "bool")
    place = draft.step("CAST", [above], second.shape, "int32")
    flat = draft.step("RESHAPE", [place, draft.constant([ROWS], "int32")], (ROWS,), "int32", newShape=[ROWS])
    if not is_share:
        second = draft.step("LOGISTIC", [second], second.shape)
    first = draft.step("SUB", [draft.constant(np.ones(1)), second], second.shape)
    reading.values[node.output[1]] = draft.step("CONCATENATION", [first, second], (ROWS, 2), axis=1)
    return Labels(flat, labels)


def _tree_regressor(reading: Reading, node: Any, given: Given) -> Value:
    _check_plain(given)
    if given.get("aggregate_function", b"SUM") != b"SUM":
        raise TreesError("whose leaves are not summed")
    return _added(reading, node, given, "target", int(given.get("n_targets", 1)))


def _added(reading: Reading, node: Any, given: Given, said: str, width: int) -> Tensor:
    ensemble, rows = _ensemble(given, said, width)
    value = reading.value(node.input[0])
    fed = value if isinstance(value, Columns) and value.is_rising else reading.tensor(node.input[0])
    total = rows_summed(reading.draft, walked(reading.draft, ensemble, fed), rows)
    base = np.array(given.get("base_values", ()))
    return (
        reading.draft.step("ADD", [total, reading.draft.constant(base)], total.shape) if base.any() else total
    )


def _ensemble(given: Given, said: str, width: int) -> tuple[Ensemble, Array]:
    """Return the trees, and what each leaf says, shape (leaves, width)."""
    modes = np.array([each.decode() for each in given["nodes_modes"]])
    leaf = modes == "LEAF"
    if set(modes) - {"LEAF", "BRANCH_LEQ"}:
        raise TreesError("splits other than <=")
    trees, ids = np.array(given["nodes_treeids"]), np.array(given["nodes_nodeids"])
    where = {key: place for place, key in enumerate(zip(trees.tolist(), ids.tolist(), strict=True))}
    number = np.where(leaf, np.cumsum(leaf), np.cumsum(~leaf)) - 1
    roots = [place for place in range(len(trees)) if place == 0 or trees[place] != trees[place - 1]]
    if leaf[roots].any():
        raise TreesError("without a split")
    ways = [
        [where[key] for key in zip(trees[~leaf].tolist(), np.array(given[name])[~leaf].tolist(), strict=True)]
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
    ]
    rows = np.zeros((int(leaf.sum()), width))
    told = zip(given[f"{said}_treeids"], given[f"{said}_nodeids"], strict=True)
    places = [number[where[key]] for key in told]
    np.add.at(rows, (places, np.array(given[f"{said}_ids"])), np.array(given[f"{said}_weights"]))
    missing = np.array(given.get("nodes_missing_value_tracks_true") or np.zeros(len(trees)), dtype=bool)
    children = np.array(ways)
    found = Ensemble(
        np.array(given["nodes_featureids"])[~leaf], np.array(given["nodes_values"], dtype=np.float64)[~leaf],
        missing[~leaf], number[children], leaf[children], number[roots], np.zeros(len(rows), dtype=np.int64),
        np.zeros(len(rows)), width,
    )  # fmt: skip
    return found, rows


HANDLERS: dict[tuple[str, str], Handler] = {
    (ML, "Imputer"): _imputer,
    (ML, "LinearClassifier"): _linear_classifier,
    (ML, "LinearRegressor"): _linear_regressor,
    (ML, "Normalizer"): _normalizer,
    (ML, "Scaler"): _scaler,
    (ML, "TreeEnsembleClassifier"): _tree_classifier,
    (ML, "TreeEnsembleRegressor"): _tree_regressor,
}
