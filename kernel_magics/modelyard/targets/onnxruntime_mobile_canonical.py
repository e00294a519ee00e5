"""ONNX Runtime's format in one order: its own writer puts the table of operators' types in another one each time.

The graph itself is written in the order of its nodes, at the end of the file. Before it come the types that the kernels
of its operators want, in the order of a hash table that is seeded anew. That part is written again, sorted.
"""

from __future__ import annotations

import flatbuffers
from flatbuffers.number_types import Int8Flags, SOffsetTFlags, Uint32Flags
from flatbuffers.table import Table

# Slots of the tables, as onnxruntime/core/flatbuffers/schema/ort.fbs has them.
_VERSION, _MODEL, _RESOLVER = 0, 1, 3
_IDENTIFIER = b"ORTM"
_ALIGNED = 16  # no value in the format is aligned to more

_Argument = tuple[int, int]
_Operators = list[tuple[bytes, list[tuple[bytes, list[_Argument]]]]]


def canonical_ort(content: bytes) -> bytes:
    """Return an ``.ort`` file in its one order: the same for files that say the same."""
    root = Table(content, int.from_bytes(content[:4], "little"))
    model = _inner(root, _MODEL)
    begins = min(model.Pos, model.Pos - model.Get(SOffsetTFlags, model.Pos))
    resolver = _inner(root, _RESOLVER)
    if max(root.Pos, resolver.Pos) > begins:
        return content  # written in another order by some later version: as good, though not always the same
    return _written(content[begins:], model.Pos - begins, _text(root, _VERSION), _operators(resolver))


def _written(graph: bytes, at: int, version: bytes, operators: _Operators) -> bytes:
    builder = flatbuffers.Builder(len(graph) + 1024)
    builder.minalign = _ALIGNED
    builder.head -= len(graph)  # at the end as before: what is aligned there is so from the end of the file
    builder.Bytes[builder.head : builder.head + len(graph)] = graph
    where = builder.Offset() - at
    resolver = _table(builder, {0: _tables(builder, [_operator(builder, *each) for each in operators])})
    told = builder.CreateString(version)
    builder.Finish(_table(builder, {_VERSION: told, _MODEL: where, _RESOLVER: resolver}), _IDENTIFIER)
    return bytes(builder.Output())


def _operator(builder: flatbuffers.Builder, name: bytes, types: list[tuple[bytes, list[_Argument]]]) -> int:
    made = []
    for kind, arguments in types:
        indexed = [_argument(builder, *argument) for argument in arguments]
        made.append(_table(builder, {0: builder.CreateString(kind), 1: _tables(builder, indexed)}))
    return _table(builder, {0: builder.CreateString(name), 1: _tables(builder, made)})


def _argument(builder: flatbuffers.Builder, kind: int, index: int) -> int:
    builder.StartObject(2)
    builder.PrependUint32Slot(1, index, 0)
    builder.PrependInt8Slot(0, kind, 0)
    return int(builder.EndObject())


def _table(builder: flatbuffers.Builder, slots: dict[int, int]) -> int:
    builder.StartObject(max(slots) + 1)
    for slot, offset in slots.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return int(builder.EndObject())


def _tables(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _operators(resolver: Table) -> _Operators:
    return sorted(
        (
            _text(operator, 0),
            sorted(
                (_text(kind, 0), [_indexed(argument) for argument in _all(kind, 1)])
                for kind in _all(operator, 1)
            ),
        )
        for operator in _all(resolver, 0)
    )


def _indexed(argument: Table) -> _Argument:
    kind, index = argument.Offset(4), argument.Offset(6)
    return (
        int(argument.Get(Int8Flags, kind + argument.Pos)) if kind else 0,
        int(argument.Get(Uint32Flags, index + argument.Pos)) if index else 0,
    )


def _offset(table: Table, slot: int) -> int:
    return int(table.Offset(4 + 2 * slot))


def _inner(table: Table, slot: int) -> Table:
    return Table(table.Bytes, table.Indirect(table.Pos + _offset(table, slot)))


def _text(table: Table, slot: int) -> bytes:
    return bytes(table.String(table.Pos + _offset(table, slot)))


def _all(table: Table, slot: int) -> list[Table]:
    found = _offset(table, slot)
    if not found:
        return []
    begins = table.Vector(found)
    return [Table(table.Bytes, table.Indirect(begins + 4 * place)) for place in range(table.VectorLen(found))]
