"""Rows checked by the column are answered and refused as rows checked one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.batch.columnar import Screen, fits, told
from modelyard_runtime.contract import POLICIES, Column, Contract, ContractBroken, as_array

INPUTS = [
    {"name": "wide", "dtype": "float64", "columns": ["age", "income"]},
    {"name": "narrow", "dtype": "float32", "columns": ["income", "member", "age"]},
    {"name": "texts", "dtype": "string", "columns": ["town", "word"]},
]
NULL = "missing!"

INTEGERS = st.one_of(
    st.integers(0, 100), st.integers(-(2**63), 2**63 - 1), st.just(2**53), st.just(2**53 + 1)
)
FLOATS = st.one_of(
    st.floats(0, 100), st.floats(), st.integers(0, 100).map(float), st.just(2.0**53), st.just(-0.0)
)
TEXTS = st.one_of(st.sampled_from(["Bern", "Basel", "Zug", ""]), st.text(max_size=3))


def arrays(rows: int, *kinds: tuple[pa.DataType, st.SearchStrategy[Any]]) -> st.SearchStrategy[pa.Array]:
    """Return arrays of one of some types, with nulls in some places."""
    return st.one_of(
        st.lists(st.one_of(st.none(), values), min_size=rows, max_size=rows).map(
            lambda found, kind=kind: pa.array(found, kind)
        )
        for kind, values in kinds
    )


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    rows = draw(st.integers(1, 12))
    numbers = ((pa.float64(), FLOATS), (pa.float32(), st.floats(width=32)), (pa.int64(), INTEGERS))
    whole = (*numbers, (pa.uint64(), st.integers(0, 2**64 - 1)), (pa.int8(), st.integers(-128, 127)))
    town = ((pa.string(), TEXTS), (pa.large_string(), TEXTS), (pa.dictionary(pa.int32(), pa.string()), TEXTS))
    made = {
        "age": draw(arrays(rows, *whole)),
        "income": draw(arrays(rows, *numbers)),
        "member": draw(arrays(rows, (pa.bool_(), st.booleans()), (pa.null(), st.none()))),
        "town": draw(arrays(rows, *town)),
        "word": draw(arrays(rows, (pa.string(), TEXTS))),
        "other": draw(arrays(rows, (pa.int32(), st.integers(0, 5)))),
    }
    return pa.RecordBatch.from_pydict(made)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    def learned(name: str, kind: Any, **more: Any) -> Column:
        nullable, policy = draw(st.booleans()), draw(st.sampled_from(POLICIES))
        return Column(name, kind, "object", nullable, policy, **(more if draw(st.booleans()) else {}))

    return Contract(
        (
            learned("age", "integer", minimum=draw(st.sampled_from([0, -1e300, 18])), maximum=80),
            learned("income", "number", minimum=0.5, maximum=draw(st.sampled_from([99.5, 1e308]))),
            learned("member", "boolean"),
            learned("town", "string", categories=("Bern", "Basel")),
            learned("word", "string"),
        )
    )


def one_by_one(
    contract: Contract, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Any], dict[int, str]]:
    """Return the rows as the model sees them, the flags, and what is wrong, as single requests get them."""
    seen, flags, wrong = [], [], {}
    for number, row in enumerate(rows):
        try:
            table, flagged = contract.check({name: [row[name]] for name in contract.names}, 1)
        except ContractBroken as broken:
            wrong[number] = told(broken.violations)
        else:
            seen.append({name: table[name][0] for name in contract.names})
            flags += [(number, flag.column, repr(flag.value), flag.flag) for flag in flagged]
    return seen, flags, wrong


@settings(max_examples=150, deadline=None)
@given(
    contracts(),
    batches(),
    st.dictionaries(st.integers(0, 11), st.one_of(st.text(max_size=4), FLOATS), max_size=3),
)
def test_a_batch_is_seen_flagged_and_refused_as_its_rows_one_by_one(
    contract: Contract, batch: pa.RecordBatch, odd: dict[int, Any]
) -> None:
    strays = {
        "age": {row: None if value != value else value for row, value in odd.items() if row < batch.num_rows}
    }
    rows = [
        {name: None if value != value else value for name, value in row.items()} for row in batch.to_pylist()
    ]
    for row, value in strays["age"].items():
        rows[row]["age"] = value
    seen, flags, wrong = one_by_one(contract, rows)
    screened = Screen(contract)(batch, strays)
    assert {row: told(found) for row, found in screened.problems.items()} == wrong
    assert sorted((f.row, f.column, repr(f.value), f.flag) for f in screened.flags) == sorted(flags)
    assert screened.answered().tolist() == [row for row in range(batch.num_rows) if row not in wrong]
    table = {name: [row[name] for row in seen] for name in contract.names}
    assert screened.table() == table
    fed = screened.feed(INPUTS, NULL)
    for entry in INPUTS:
        for position, name in enumerate(entry["columns"]):
            with np.errstate(over="ignore"):
                expected = as_array(table[name], entry["dtype"], NULL)
            np.testing.assert_array_equal(fed[entry["name"]][:, position], expected)


@pytest.mark.parametrize(
    ("kind", "takes"),
    [
        (pa.int16(), {"number", "integer"}), (pa.float32(), {"number", "integer"}), (pa.decimal128(9, 2), {"number"}),
        (pa.bool_(), {"boolean"}), (pa.string(), {"string"}), (pa.dictionary(pa.int8(), pa.string()), {"string"}),
        (pa.null(), {"number", "integer", "boolean", "string"}), (pa.timestamp("us"), set()), (pa.binary(), set()),
        (pa.list_(pa.float64()), set()),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_known_before_a_row_is_read(kind: pa.DataType, takes: set[str]) -> None:
    types: tuple[Any, ...] = ("number", "integer", "boolean", "string")
    assert {name for name in types if fits(Column("c", name, "object", True, "flag"), kind)} == takes


def test_decimals_are_the_nearest_doubles_and_infinities_are_refused() -> None:
    contract = Contract((Column("price", "number", "float64", True, "flag"),))
    batch = pa.RecordBatch.from_pydict({"price": pa.array([1, None, 3], pa.decimal128(9, 2))})
    assert Screen(contract)(batch).table() == {"price": [1.0, None, 3.0]}
    batch = pa.RecordBatch.from_pydict({"price": [math.inf, 1.0, math.nan]})
    screened = Screen(contract)(batch)
    assert list(screened.problems) == [0]
    assert screened.table() == {"price": [1.0, None]}
