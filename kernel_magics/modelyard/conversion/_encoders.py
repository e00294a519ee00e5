"""Imputing and encoding table columns: strings, numbers, nulls and categories that were never seen.

skl2onnx fills gaps in float32 only, refuses strings with nulls, and ignores rare-category columns. What
each category becomes is asked of the fitted encoder itself, one row per category, so that ``drop``,
``min_frequency``, ``encoded_missing_value`` and the rest need no code of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

from modelyard.conversion._graph import ML, Graph, tensor
from modelyard.conversion._protocol import NONE_STRING, NULL_STRING

Array = np.ndarray[Any, Any]


def _kept(imputer: Any) -> Array:
    """Return the features that come out: all but those that were empty when the imputer was fitted."""
    if imputer.keep_empty_features:
        return np.arange(len(imputer.statistics_))
    return np.flatnonzero(~pd.isna(imputer.statistics_))


def _marks(imputer: Any) -> Array:
    return imputer.indicator_.features_ if imputer.add_indicator else np.array([], dtype=int)


def imputer_shapes(operator: Any) -> None:
    imputer = operator.raw_operator
    text = isinstance(operator.inputs[0].type, StringTensorType)
    width = len(_kept(imputer)) + len(_marks(imputer))
    operator.outputs[0].type = (StringTensorType if text else DoubleTensorType)([None, width])


def impute(scope: Any, operator: Any, container: Any) -> None:
    """Write ``SimpleImputer``: each missing value becomes its column's statistic."""
    graph, imputer = Graph(scope, container), operator.raw_operator
    texts = {isinstance(variable.type, StringTensorType) for variable in operator.inputs}
    if len(texts) > 1:
        raise NotImplementedError("one SimpleImputer over strings and numbers is not supported")
    text = texts.pop()
    if text and imputer.add_indicator:
        raise NotImplementedError("add_indicator over strings is not supported")
    if text:
        names = [variable.full_name for variable in operator.inputs]
        matrix = names[0] if len(names) == 1 else graph.node("Concat", names, axis=1)
    else:
        matrix = graph.matrix(operator.inputs)

    missing = imputer.missing_values
    if text:
        gaps = graph.node("Equal", [matrix, graph.constant(np.asarray(_text(missing)))])
    elif missing is pd.NA or missing != missing:
        gaps = graph.node("IsNaN", [matrix])
    else:
        gaps = graph.node("Equal", [matrix, graph.constant(np.asarray(float(missing)))])
    statistics = imputer.statistics_.reshape(1, -1)
    fill: Any = [[_text(value) for value in statistics[0]]] if text else statistics.astype(np.float64)
    full = graph.node("Where", [gaps, graph.constant(fill), matrix])
    parts = [_picked(graph, full, _kept(imputer), statistics.size)]
    if len(_marks(imputer)):
        marks = _picked(graph, graph.double(gaps), _marks(imputer), statistics.size)
        parts.append(marks)
    if len(parts) == 1:
        graph.node("Identity", parts, operator.outputs[0].full_name)
    else:
        graph.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def _text(value: Any) -> str:
    """Return a string or null as strings and nulls are written in the graph."""
    if value is None:
        return NONE_STRING
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return NULL_STRING
    raise NotImplementedError(f"{value!r} in a column of strings is not supported")


def _picked(graph: Graph, matrix: str, features: Array, width: int) -> str:
    if len(features) == width:
        return matrix
    return graph.node("Gather", [matrix, graph.constant(np.asarray(features, dtype=np.int64))], axis=1)


def _answers(encoder: Any) -> tuple[list[Array], Array]:
    """Ask what each category becomes.

    Returns
    -------
    list of ndarray
        Per feature, the categories that it was fitted on.
    ndarray of shape (most categories of a feature + 1, outputs)
        Row ``i`` is what the ``i``-th category of every feature becomes (features with fewer categories
        repeat their last); the last row is what a category that was never seen becomes.
    """
    categories = [np.asarray(known) for known in encoder.categories_]
    longest = max(len(known) for known in categories)
    table = {}
    for i, known in enumerate(categories):
        rows = known[np.minimum(np.arange(longest), len(known) - 1)]
        table[i] = pd.Series(rows, dtype=object if known.dtype.kind in "OUS" else known.dtype)
    frame = pd.DataFrame(table)
    if hasattr(encoder, "feature_names_in_"):
        frame.columns = pd.Index(encoder.feature_names_in_)
    seen = _dense(encoder.transform(frame))
    if getattr(encoder, "handle_unknown", "ignore") == "error":
        # scikit-learn raises here; the contract of a bundle does so before the model is reached
        return categories, np.vstack([seen, np.zeros((1, seen.shape[1]))])
    strange = frame.iloc[:1].copy()
    for i, known in enumerate(categories):
        strange.isetitem(i, [_never_seen(known)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an unknown category is what is asked for
        unknown = _dense(encoder.transform(strange))
    return categories, np.vstack([seen, unknown])


def _dense(values: Any) -> Array:
    dense = values.toarray() if hasattr(values, "toarray") else values
    return np.asarray(dense, dtype=np.float64)


def _never_seen(known: Array) -> Any:
    if known.dtype.kind in "OUS":
        return "\x00never seen"
    finite = known[~pd.isna(known)].astype(np.float64)
    return float(finite.max()) + 1.5 if len(finite) else 0.5


def _index(graph: Graph, column: str, text: bool, known: Array) -> str:
    """Return the place of each row's category in `known`, int64 ``(n, 1)``; ``len(known)`` if never seen."""
    keys: Any
    if text:
        keys = np.array([_text(value) for value in known], dtype=object)
        reserved = {NULL_STRING, NONE_STRING}.intersection(value for value in known if isinstance(value, str))
        if reserved:
            raise NotImplementedError(f"the category {reserved.pop()!r} stands for a null")
    elif any(isinstance(value, str) for value in known):
        raise NotImplementedError("the encoder was fitted on strings, the table holds numbers")
    else:
        keys = known.astype(np.float64)
    values = tensor(np.arange(len(known), dtype=np.int64 if text else np.float64))
    unknown = tensor(np.array([len(known)], dtype=np.int64 if text else np.float64))
    found = graph.node(
        "LabelEncoder",
        [column],
        domain=ML,
        keys_tensor=tensor(keys),
        values_tensor=values,
        default_tensor=unknown,
    )
    return found if text else graph.node("Cast", [found], to=TensorProto.INT64)


def encode_shapes(operator: Any) -> None:
    encoder = operator.raw_operator
    operator.outputs[0].type = DoubleTensorType([None, len(encoder.get_feature_names_out())])


def encode_one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Write ``OneHotEncoder``: the category's place, then a one at the column that place belongs to."""
    graph, encoder = Graph(scope, container), operator.raw_operator
    categories, answers = _answers(encoder)
    parts = []
    for (column, text), known, block in zip(
        graph.columns(operator.inputs), categories, _one_hot_blocks(encoder), strict=True
    ):
        answer = answers[[*range(len(known)), -1], block]
        width = answer.shape[1]
        if width == 0:
            continue
        # a place beyond the last column is what ONNX's OneHot writes as zeros only
        places = np.where(answer.any(axis=1), answer.argmax(axis=1), width)
        index = graph.node("Gather", [graph.constant(places), _index(graph, column, text, known)])
        flat = graph.node("Squeeze", [index, graph.constant(np.array([1]))])
        off_on = graph.constant(np.array([0, 1]))
        ones = graph.node("OneHot", [flat, graph.constant(np.array([width])), off_on], axis=1)
        parts.append(graph.double(ones))
    graph.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def _one_hot_blocks(encoder: Any) -> list[slice]:
    sizes = encoder._n_features_outs
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


def encode_by_value(scope: Any, operator: Any, container: Any) -> None:
    """Write an encoder with one number per category: ``OrdinalEncoder``, ``TargetEncoder``."""
    graph, encoder = Graph(scope, container), operator.raw_operator
    categories, answers = _answers(encoder)
    if answers.shape[1] != len(categories):
        raise NotImplementedError("several columns per feature are not supported")
    parts: list[str] = []
    columns: Sequence[tuple[str, bool]] = graph.columns(operator.inputs)
    for i, ((column, text), known) in enumerate(zip(columns, categories, strict=True)):
        values = answers[[*range(len(known)), -1], i]
        parts.append(graph.node("Gather", [graph.constant(values), _index(graph, column, text, known)]))
    graph.node("Concat", parts, operator.outputs[0].full_name, axis=1)
