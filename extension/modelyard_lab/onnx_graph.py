"""What an ONNX file says of itself: its message is parsed, its weights beside it are not read, and nothing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

_MOST_INPUTS = 200
_MOST_WORDS = 2_000


def described(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return facts by key, and tables of inputs, outputs, operators and metadata.

    Raises
    ------
    ValueError
        It cannot be parsed.
    """
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, OSError) as error:
        raise ValueError(str(error)) from None
    graph = model.graph
    if not graph.node and not graph.output:
        raise ValueError("it has neither nodes nor outputs")
    weights = {initializer.name for initializer in graph.initializer}
    operators = Counter(f"{node.domain or 'ai.onnx'}::{node.op_type}" for node in graph.node)
    facts = {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "ir_version": int(model.ir_version),
        "opset": ", ".join(f"{each.domain or 'ai.onnx'} {each.version}" for each in model.opset_import),
        "nodes": len(graph.node),
        "weights": len(graph.initializer),
        "external": any(each.data_location == onnx.TensorProto.EXTERNAL for each in graph.initializer),
    }
    tables = [
        _table("inputs", ("name", "type", "shape"), _values(v for v in graph.input if v.name not in weights)),
        _table("outputs", ("name", "type", "shape"), _values(graph.output)),
        _table("operators", ("operator", "count"), operators.most_common()),
        _table("metadata", ("key", "value"), [(p.key, p.value[:_MOST_WORDS]) for p in model.metadata_props]),
    ]
    return {key: value for key, value in facts.items() if value != ""}, [
        each for each in tables if each["rows"]
    ]


def _table(key: str, columns: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> dict[str, Any]:
    every = [list(row) for row in rows]
    return {
        "key": key, "columns": list(columns), "rows": every[:_MOST_INPUTS], "more": max(0, len(every) - _MOST_INPUTS),
    }  # fmt: skip


def _values(values: Iterable[onnx.ValueInfoProto]) -> list[tuple[str, str, str]]:
    return [(value.name, _type(value.type), _shape(value.type)) for value in values]


def _type(type_: onnx.TypeProto) -> str:
    which = type_.WhichOneof("value")
    if which == "tensor_type":
        return str(onnx.TensorProto.DataType.Name(type_.tensor_type.elem_type)).lower()
    return (which or "unknown").removesuffix("_type")


def _shape(type_: onnx.TypeProto) -> str:
    if type_.WhichOneof("value") != "tensor_type" or not type_.tensor_type.HasField("shape"):
        return ""
    sizes = [each.dim_param or (str(each.dim_value) if each.HasField("dim_value") else "?")
             for each in type_.tensor_type.shape.dim]  # fmt: skip
    return " × ".join(sizes) or "scalar"
