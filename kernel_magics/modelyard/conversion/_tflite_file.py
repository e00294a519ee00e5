"""A ``.tflite`` file as it is written: tensors, operators, and the flatbuffer that holds them.

The schema is the one that ``ai_edge_litert`` carries:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Kind = Literal["float32", "int32", "int8", "bool"]

ROWS = -1
"""The size of the first axis, which a caller chooses."""

FED, REST = "X", "X_rest"
"""The names of the inputs."""

#: What a file takes beside its constants: the head, an operator with its tensor, a constant's tensor.
_HEAD, _PER_STEP, _PER_CONSTANT = 700, 112, 66

#: Operator: the table of its options, and the version that a converter would write.
_OPERATORS: dict[str, tuple[str, int]] = {
    "ABS": ("AbsOptions", 1),
    "ADD": ("AddOptions", 1),
    "ARG_MAX": ("ArgMaxOptions", 1),
    "ARG_MIN": ("ArgMinOptions", 1),
    "CAST": ("CastOptions", 1),
    "CONCATENATION": ("ConcatenationOptions", 1),
    "DEQUANTIZE": ("DequantizeOptions", 2),
    "DIV": ("DivOptions", 1),
    "EQUAL": ("EqualOptions", 1),
    "EXP": ("ExpOptions", 1),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 1),
    "GATHER": ("GatherOptions", 1),
    "GREATER": ("GreaterOptions", 1),
    "GREATER_EQUAL": ("GreaterEqualOptions", 1),
    "LESS": ("LessOptions", 1),
    "LESS_EQUAL": ("LessEqualOptions", 1),
    "LOG": ("", 1),
    "LOGICAL_AND": ("LogicalAndOptions", 1),
    "LOGICAL_NOT": ("LogicalNotOptions", 1),
    "LOGICAL_OR": ("LogicalOrOptions", 1),
    "LOGISTIC": ("", 1),
    "MAXIMUM": ("MaximumMinimumOptions", 1),
    "MEAN": ("ReducerOptions", 1),
    "MINIMUM": ("MaximumMinimumOptions", 1),
    "MUL": ("MulOptions", 1),
    "NEG": ("NegOptions", 1),
    "NOT_EQUAL": ("NotEqualOptions", 1),
    "POW": ("PowOptions", 1),
    "QUANTIZE": ("QuantizeOptions", 1),
    "REDUCE_MAX": ("ReducerOptions", 1),
    "REDUCE_MIN": ("ReducerOptions", 1),
    "RELU": ("", 1),
    "RESHAPE": ("ReshapeOptions", 1),
    "SELECT_V2": ("SelectV2Options", 1),
    "SOFTMAX": ("SoftmaxOptions", 1),
    "SQRT": ("", 1),
    "SUB": ("SubOptions", 1),
    "SUM": ("ReducerOptions", 1),
    "TANH": ("", 1),
}

_TYPES = {"float32": "FLOAT32", "int32": "INT32", "int8": "INT8", "bool": "BOOL"}


@dataclass(frozen=True)
class Scale:
    """How whole numbers stand for others: ``value = step * (number - zero)``; of weights, a step for each neuron."""

    steps: tuple[float, ...]
    zero: int = 0


@dataclass(frozen=True)
class Tensor:
    """A tensor, by its number in the file; its first axis is `ROWS` unless it is a constant.

    Attributes
    ----------
    is_single : bool
        Whether a float32 rounding is meant here, and is not only how the file computes.
    """

    number: int
    shape: tuple[int, ...]
    kind: Kind
    name: str = ""
    constant: Array | None = field(default=None, compare=False, repr=False)
    scale: Scale | None = None
    is_single: bool = False

    def rounded(self) -> Tensor:
        """Return it as one whose rounding to float32 is meant."""
        return replace(self, is_single=True)


@dataclass(frozen=True)
class Step:
    """An operator with what it reads and the one tensor that it makes."""

    operator: str
    inputs: tuple[int, ...]
    output: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Output:
    """An output: its name in the file's signature, and the number of its tensor."""

    name: str
    tensor: int


class Draft:
    """A file that is not written yet, so that its size is known before.

    Parameters
    ----------
    width : int
        The columns of its input.
    is_exact : bool
        Whether it may have a second input, for what float32 leaves of the values.
    """

    def __init__(self, width: int, *, is_exact: bool) -> None:
        self.tensors: list[Tensor] = []
        self.steps: list[Step] = []
        self.outputs: list[Output] = []
        self.is_exact = is_exact
        self.fed = self._add((ROWS, width), "float32", FED)
        self.inputs = [self.fed]
        self._beside: list[Tensor] = []

    def beside(self, tensor: Tensor) -> tuple[int, ...]:
        """Give the columns of a tensor places after those of the table, and return them."""
        start = self.fed.shape[1] + sum(each.shape[1] for each in self._beside)
        self._beside.append(tensor)
        return tuple(range(start, start + tensor.shape[1]))

    def joined(self, places: Array, *, is_rest: bool = False) -> tuple[Tensor, Array]:
        """Return a tensor with all columns that are wanted, and their places in it.

        Parameters
        ----------
        places : ndarray of int
            Of columns of the table, and of those beside it.
        is_rest : bool
            Return the second input instead, of which columns beside the table have nothing.
        """
        parts, found = [self.rest() if is_rest else self.fed], places.copy()
        start = at = self.fed.shape[1]
        for tensor in self._beside:
            width = tensor.shape[1]
            own = (places >= start) & (places < start + width)
            if own.any():
                found[own] += at - start
                parts.append(self.step("SUB", [tensor, tensor], tensor.shape) if is_rest else tensor)
                at += width
            start += width
        if len(parts) == 1:
            return parts[0], found
        return self.step("CONCATENATION", parts, (ROWS, at), axis=1), found

    def rest(self) -> Tensor:
        """Return the second input: of each value what is left when its float32 is taken away."""
        if len(self.inputs) == 1:
            self.inputs.append(self._add(self.fed.shape, "float32", REST))
        return self.inputs[1]

    def _add(self, shape: tuple[int, ...], kind: Kind, name: str = "", **known: Any) -> Tensor:
        tensor = Tensor(len(self.tensors), shape, kind, name, **known)
        self.tensors.append(tensor)
        return tensor

    def constant(self, values: Any, kind: Kind = "float32", scale: Scale | None = None) -> Tensor:
        """Store an array; what leaves the range of `kind` becomes infinite, as where a tree never splits."""
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(np.asarray(values).astype(kind))
        return self._add(array.shape, kind, constant=array, scale=scale)

    def step(
        self,
        operator: str,
        inputs: Sequence[Tensor],
        shape: tuple[int, ...],
        kind: Kind = "float32",
        scale: Scale | None = None,
        **options: Any,
    ) -> Tensor:
        """Add an operator, and return what it makes."""
        made = self._add(shape, kind, scale=scale)
        self.steps.append(Step(operator, tuple(each.number for each in inputs), made.number, options))
        return made

    def output(self, name: str, tensor: Tensor) -> None:
        """Make a tensor an output; one that is not made by an operator, or is one already, is copied."""
        taken = {each.tensor for each in self.outputs} | {each.number for each in self.inputs}
        if tensor.number in taken or tensor.constant is not None:
            shape = self.constant(np.array(tensor.shape), "int32")
            tensor = self.step(
                "RESHAPE", [tensor, shape], tensor.shape, tensor.kind, newShape=list(tensor.shape)
            )
        self.tensors[tensor.number] = replace(tensor, name=name)
        self.outputs.append(Output(name, tensor.number))

    @property
    def size(self) -> int:
        """How many bytes the file will have, to within a few percent."""
        constants = [each.constant for each in self.tensors if each.constant is not None]
        held = sum(each.nbytes for each in constants)
        return _HEAD + held + _PER_CONSTANT * len(constants) + _PER_STEP * len(self.steps)

    def content(self, also: Iterable[int] = ()) -> bytes:
        """Return the file; the same draft gives the same bytes.

        Parameters
        ----------
        also : iterable of int
            Tensors that are outputs, too, after the others.
        """
        return _written(self, list(also))


def _written(draft: Draft, also: list[int]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder(draft.size)
    held = [each.constant for each in draft.tensors if each.constant is not None]
    buffers = _vector(builder, [_buffer(builder, schema, content) for content in [b"", *_bytes_of(held)]])
    graph = schema.SubGraphT()
    places = iter(range(1, len(held) + 1))
    graph.tensors = [
        _tensor(schema, each, 0 if each.constant is None else next(places)) for each in draft.tensors
    ]
    graph.inputs = [each.number for each in draft.inputs]
    graph.outputs = [*(each.tensor for each in draft.outputs), *also]
    names = list(dict.fromkeys((each.operator, _version(draft, each)) for each in draft.steps))
    graph.operators = [
        _operator(schema, each, names.index((each.operator, _version(draft, each)))) for each in draft.steps
    ]
    graph.name = "main"
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = [_named(schema, each.name, each.number) for each in draft.inputs]
    signature.outputs = [_named(schema, each.name, each.tensor) for each in draft.outputs]
    codes = _vector(builder, [_code(schema, *each).Pack(builder) for each in names])
    graphs = _vector(builder, [graph.Pack(builder)])
    signatures = _vector(builder, [signature.Pack(builder)])
    described = builder.CreateString("modelyard")
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddOperatorCodes(builder, codes)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddDescription(builder, described)
    schema.ModelAddBuffers(builder, buffers)
    schema.ModelAddSignatureDefs(builder, signatures)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _bytes_of(held: list[Array]) -> Iterator[bytes]:
    return (each.tobytes() for each in held)


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: Any, schema: Any, content: bytes) -> int:
    """Write a constant's bytes at a multiple of 16, as the schema asks; its Python writer does not."""
    data = 0
    if content:
        builder.StartVector(1, len(content), 16)
        builder.head = builder.head - len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
    schema.BufferStart(builder)
    if content:
        schema.BufferAddData(builder, data)
    return int(schema.BufferEnd(builder))


def _tensor(schema: Any, tensor: Tensor, place: int) -> Any:
    made = schema.TensorT()
    made.type = getattr(schema.TensorType, _TYPES[tensor.kind])
    made.buffer = place
    made.name = tensor.name
    made.hasRank = True
    made.shape = [1 if size == ROWS else size for size in tensor.shape]
    if ROWS in tensor.shape:
        made.shapeSignature = list(tensor.shape)
    if tensor.scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array(tensor.scale.steps, dtype=np.float32)
        made.quantization.zeroPoint = np.full(len(tensor.scale.steps), tensor.scale.zero, dtype=np.int64)
    return made


def _version(draft: Draft, step: Step) -> int:
    if step.operator == "FULLY_CONNECTED" and draft.tensors[step.inputs[0]].kind == "int8":
        return 4  # the first that computes in int8
    return _OPERATORS[step.operator][1]


def _code(schema: Any, operator: str, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    return code


def _operator(schema: Any, step: Step, code: int) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = code
    made.inputs = list(step.inputs)
    made.outputs = [step.output]
    table = _OPERATORS[step.operator][0]
    if table:
        made.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        made.builtinOptions = getattr(schema, f"{table}T")()
        for name, value in step.options.items():
            setattr(made.builtinOptions, name, value)
    return made


def _named(schema: Any, name: str, number: int) -> Any:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = number
    return entry
