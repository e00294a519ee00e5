"""The three policies for values of the right type that training never saw, and the promises of docs/contract.md."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard_runtime.contract import Column, Contract, ContractBroken, Policy


def contract(policy: Policy) -> Contract:
    return Contract(
        (
            Column("age", "integer", "int64", False, policy, 18, 80),
            Column("pay", "number", "float64", True, policy, 0.0, 10.0),
            Column("town", "string", "str", True, policy, categories=("Bern", "Basel")),
            Column("note", "string", "str", False, policy),
        )
    )


def checked(policy: Policy, **values: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    row = {"age": 30, "pay": 5.0, "town": "Bern", "note": "any"} | values
    table, flags = contract(policy).check({name: [value] for name, value in row.items()}, 1)
    return {name: column[0] for name, column in table.items()}, [(flag.column, flag.flag) for flag in flags]


def test_flag_answers_and_says_so() -> None:
    row, flags = checked("flag", age=90, town="Zug")
    assert (row["age"], row["town"]) == (90, "Zug")
    assert flags == [("age", "outside 18 to 80"), ("town", "unknown category")]


def test_clip_moves_numbers_to_the_nearest_end_and_says_so() -> None:
    row, flags = checked("clip", age=90, pay=-3.5, town="Zug")
    assert (row["age"], row["pay"], row["town"]) == (80, 0.0, "Zug")
    assert isinstance(row["age"], int)
    assert flags == [("age", "clipped to 80"), ("pay", "clipped to 0"), ("town", "unknown category")]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", 90, "out of the learned range"),
        ("pay", 10.5, "out of the learned range"),
        ("town", "Zug", "unknown category"),
    ],
)
def test_reject_refuses_with_what_was_learned(column: str, value: Any, words: str) -> None:
    with pytest.raises(ContractBroken, match=words) as broken:
        checked("reject", **{column: value})
    (violation,) = broken.value.violations
    assert (violation.row, violation.column, violation.value) == (0, column, value)


@pytest.mark.parametrize("policy", ["flag", "clip", "reject"])
def test_what_training_saw_is_never_flagged(policy: Policy) -> None:
    values: list[dict[str, Any]] = [
        {"age": 18}, {"age": 80.0}, {"pay": None}, {"pay": 10}, {"town": None}, {"note": "free text of any kind"},
    ]  # fmt: skip
    for row in values:
        assert checked(policy, **row)[1] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age", 30.5), ("age", True), ("age", "30"), ("age", None), ("age", 2**53 + 1), ("age", 2.0**63),
        ("age", float("nan")),
        ("pay", "5"), ("pay", False), ("pay", [5]), ("pay", {}), ("pay", float("inf")), ("pay", 10**400),
        ("town", 3), ("town", True), ("note", None), ("note", 1.5),
    ],
)  # fmt: skip
@pytest.mark.parametrize("policy", ["flag", "clip", "reject"])
def test_a_wrong_type_is_refused_under_every_policy(policy: Policy, column: str, value: Any) -> None:
    with pytest.raises(ContractBroken, match=rf"row 0, column '{column}'"):
        checked(policy, **{column: value})


def test_a_large_integer_in_a_column_of_numbers_is_taken_as_a_double() -> None:
    row, flags = checked("flag", pay=2**60)
    assert float(row["pay"]) == float(2**60)
    assert flags


def test_twenty_violations_are_named_and_all_are_counted() -> None:
    table: dict[str, list[Any]] = {
        "age": ["x"] * 50,
        "pay": [1.0] * 50,
        "town": ["Bern"] * 50,
        "note": [""] * 50,
    }
    with pytest.raises(ContractBroken, match=r"\(and 49 more\)") as broken:
        contract("flag").check(table, 50)
    assert len(broken.value.violations) == 20


def test_a_contract_survives_its_json() -> None:
    assert Contract.from_json(contract("clip").to_json()) == contract("clip")
