"""What ONNX operators become that compute with one number at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.conversion._tflite_codes import Codes
from modelyard.conversion._tflite_columns import Columns
from modelyard.conversion._tflite_file import Kind, Tensor
from modelyard.conversion._tflite_reading import (
    Given,
    Handler,
    Labels,
    LeafNumbers,
    Missing,
    NodeError,
    Reading,
    Value,
    spread,
    width_of,
)

_CHAINED = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
_COMMUTING = ("Add", "Mul")


def _arithmetic(reading: Reading, node: Any, given: Given) -> Value:
    first, second = node.input
    if first in reading.constants and node.op_type in _COMMUTING:
        first, second = second, first
    value = reading.values.get(first)
    if isinstance(value, Columns) and second in reading.constants:
        numbers = reading.constants[second]
        fits = numbers.size == 1 or numbers.shape in ((width_of(value),), (1, width_of(value)))
        if fits and np.isfinite(numbers).all() and (numbers.all() or node.op_type in ("Add", "Sub")):
            return value.then(_CHAINED[node.op_type], numbers)
    operator = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV"}[node.op_type]
    return _pair(reading, operator, [first, second], "float32")


def _pair(reading: Reading, operator: str, names: list[str], kind: Kind) -> Tensor:
    one, other = (reading.tensor(name) for name in names)
    return reading.draft.step(operator, [one, other], spread(one.shape, other.shape), kind)


def _of_two(operator: str, kind: Kind = "float32") -> Handler:
    def write(reading: Reading, node: Any, given: Given) -> Value:
        if len(node.input) == 1:
            return reading.value(node.input[0])
        made = _pair(reading, operator, list(node.input[:2]), kind)
        for name in node.input[2:]:
            more = reading.tensor(name)
            made = reading.draft.step(operator, [made, more], spread(made.shape, more.shape), kind)
        return made

    return write


def _of_one(operator: str, kind: Kind = "float32") -> Handler:
    def write(reading: Reading, node: Any, given: Given) -> Value:
        value = reading.tensor(node.input[0])
        return reading.draft.step(operator, [value], value.shape, kind)

    return write


def _power(reading: Reading, node: Any, given: Given) -> Value:
    exponent = reading.constants.get(node.input[1])
    value = reading.tensor(node.input[0])
    if exponent is not None and (exponent == 2).all():
        return reading.draft.step("MUL", [value, value], value.shape)
    if exponent is not None and (exponent == 0.5).all():
        return reading.draft.step("SQRT", [value], value.shape)
    return _pair(reading, "POW", list(node.input), "float32")


def _clip(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.tensor(node.input[0])
    for operator, name in zip(("MAXIMUM", "MINIMUM"), node.input[1:], strict=False):
        if name:
            value = reading.draft.step(operator, [value, reading.tensor(name)], value.shape)
    return value


def _missing(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.value(node.input[0])
    if isinstance(value, Columns):
        return Missing(value)
    tensor = reading.tensor(node.input[0])
    return reading.draft.step("NOT_EQUAL", [tensor, tensor], tensor.shape, "bool")


def _where(reading: Reading, node: Any, given: Given) -> Value:
    asked, yes, no = node.input
    condition, fill = reading.values.get(asked), reading.constants.get(yes)
    if (
        isinstance(condition, Missing)
        and fill is not None
        and condition.columns == reading.values.get(no)
        and fill.size in (1, width_of(condition.columns))
        and np.isfinite(fill).all()
    ):
        return condition.columns.then("fill", fill)
    chosen = [reading.tensor(name) for name in (asked, yes, no)]
    shape = spread(chosen[0].shape, spread(chosen[1].shape, chosen[2].shape))
    if chosen[1].kind != chosen[2].kind:
        raise NodeError("between two types")
    return reading.draft.step("SELECT_V2", chosen, shape, chosen[1].kind)


_NUMBERS = {"FLOAT", "DOUBLE", "FLOAT16"}


def _cast(reading: Reading, node: Any, given: Given) -> Value:
    from onnx import TensorProto

    to = TensorProto.DataType.Name(given["to"])
    value = reading.value(node.input[0])
    if isinstance(value, Columns):
        if to in _NUMBERS:
            return value.then("single", np.zeros(1)) if to == "FLOAT" else value
        value = reading.tensor(node.input[0])
    if isinstance(value, Labels):
        return replace(value, values=tuple(_label(each, to) for each in value.values))
    if isinstance(value, LeafNumbers):
        return value
    if isinstance(value, Codes):
        return value if to in _NUMBERS else value.whole()
    tensor = reading.tensor(node.input[0])
    kind: Kind = "float32" if to in _NUMBERS else "bool" if to == "BOOL" else "int32"
    if to not in (*_NUMBERS, "BOOL", "INT32", "INT64"):
        raise NodeError(f"to {to}")
    if tensor.kind == kind:
        return tensor.rounded() if to == "FLOAT" else tensor
    return reading.draft.step("CAST", [tensor], tensor.shape, kind)


def _label(value: Any, to: str) -> Any:
    if to in _NUMBERS:
        return float(value)
    if to == "BOOL":
        return bool(value)
    return str(value) if to == "STRING" else int(value)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Abs"): _of_one("ABS"),
    ("", "Add"): _arithmetic,
    ("", "And"): _of_two("LOGICAL_AND", "bool"),
    ("", "Cast"): _cast,
    ("", "Clip"): _clip,
    ("", "Div"): _arithmetic,
    ("", "Equal"): _of_two("EQUAL", "bool"),
    ("", "Exp"): _of_one("EXP"),
    ("", "Greater"): _of_two("GREATER", "bool"),
    ("", "GreaterOrEqual"): _of_two("GREATER_EQUAL", "bool"),
    ("", "IsNaN"): _missing,
    ("", "Less"): _of_two("LESS", "bool"),
    ("", "LessOrEqual"): _of_two("LESS_EQUAL", "bool"),
    ("", "Log"): _of_one("LOG"),
    ("", "Max"): _of_two("MAXIMUM"),
    ("", "Min"): _of_two("MINIMUM"),
    ("", "Mul"): _arithmetic,
    ("", "Neg"): _of_one("NEG"),
    ("", "Not"): _of_one("LOGICAL_NOT", "bool"),
    ("", "Or"): _of_two("LOGICAL_OR", "bool"),
    ("", "Pow"): _power,
    ("", "Relu"): _of_one("RELU"),
    ("", "Sigmoid"): _of_one("LOGISTIC"),
    ("", "Sqrt"): _of_one("SQRT"),
    ("", "Sub"): _arithmetic,
    ("", "Sum"): _of_two("ADD"),
    ("", "Tanh"): _of_one("TANH"),
    ("", "Where"): _where,
}
