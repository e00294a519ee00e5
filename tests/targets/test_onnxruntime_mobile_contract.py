"""The contract in JavaScript: the answers of the runtime's own, to the letter, over rows of every kind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from modelyard.targets.onnxruntime_mobile_page import contract_json
from modelyard_runtime.contract import POLICIES, Column, Contract, ContractBroken
from modelyard_runtime.predictor import PredictRequest, RequestError

RUNNER = Path(__file__).parents[1] / "js" / "mobile_contract.mjs"
CASES = 800

Case = tuple[Contract, list[dict[str, Any]]]

_texts = st.text(st.characters(exclude_categories=("Cs", "Cn", "Co")), max_size=6) | st.sampled_from(
    [
        "",
        "'",
        '"',
        "'\"",
        "\\",
        "a\nb\t",
        "é",
        "\u200b",
        "\u2400",
        "x" * 80,
        "x" * 81,
        "🎈" * 81,
        " ",
        "\xa0",
        "\x7f",
    ]
)
_numbers = st.one_of(
    st.integers(-20, 20),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-2e6, 2e6),
    st.sampled_from(
        [0.1, 1e-5, 1e16, 1e21, 1e22, 123456.5, 123457.5, 999999.5, 2.0**53, 2.0**53 + 2, -0.0, 1e-7]
    ),
)
_values = st.one_of(
    st.none(), st.booleans(), _numbers, _texts, st.lists(st.integers(), max_size=2), st.just({"a": 1})
)


@st.composite
def _columns(draw: st.DrawFn) -> Column:
    kind = draw(st.sampled_from(["number", "integer", "boolean", "string"]))
    low = high = categories = None
    if kind in ("number", "integer") and draw(st.booleans()):
        bound = st.integers(-9, 9).map(float) if kind == "integer" else st.floats(-1e7, 1e7)
        low, high = sorted((draw(bound), draw(bound)))
    if kind == "string" and draw(st.booleans()):
        categories = tuple(draw(st.lists(_texts, min_size=1, max_size=8, unique=True)))
    return Column(
        name=draw(_texts), type=kind, dtype="object", nullable=draw(st.booleans()), categories=categories,
        policy=draw(st.sampled_from(POLICIES)), minimum=low, maximum=high,
    )  # fmt: skip


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    columns = draw(st.lists(_columns(), min_size=1, max_size=4, unique_by=lambda column: column.name))
    names = [column.name for column in columns]
    if draw(st.integers(0, 9)) == 0:  # a column too many, one too few
        names = draw(st.lists(st.sampled_from(names) | _texts, max_size=5, unique=True))
    fitting = {
        "number": _numbers,
        "integer": st.integers(-12, 12),
        "boolean": st.booleans(),
        "string": _texts,
    }
    by_name = {column.name: column for column in columns}

    def value(name: str) -> st.SearchStrategy[Any]:
        column = by_name.get(name)
        if column is None or draw(st.integers(0, 6)) == 0:
            return _values
        kept: st.SearchStrategy[Any] = fitting[column.type]
        return kept | st.sampled_from(column.categories) if column.categories else kept

    rows = [{name: draw(value(name)) for name in names} for _ in range(draw(st.integers(1, 3)))]
    if len(rows) > 1 and draw(st.integers(0, 9)) == 0:
        rows[-1].pop(names[0], None) if names else None
    return Contract(tuple(columns)), rows


def _drawn(cases: int) -> list[Case]:
    found: list[Case] = []

    @settings(
        max_examples=cases, database=None, derandomize=True, phases=(Phase.generate,), deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(_cases())
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


def _in_javascript(cases: Sequence[Case]) -> list[dict[str, Any]]:
    lines = [
        json.dumps({"columns": contract_json(contract)["columns"], "rows": rows}) for contract, rows in cases
    ]
    done = subprocess.run(
        ["node", str(RUNNER)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]


def _in_python(contract: Contract, sent: str) -> dict[str, Any]:
    try:
        table, rows = msgspec.json.decode(sent.encode(), type=PredictRequest).table()
        checked, flags = contract.check(table, rows)
    except RequestError as error:
        return {"request": str(error)}
    except ContractBroken as broken:
        return {"error": str(broken), "violations": [asdict(each) for each in broken.violations]}
    return {"table": checked, "flags": [asdict(flag) for flag in flags]}


def test_javascript_refuses_flags_and_clips_as_the_runtime_does_in_the_same_words() -> None:
    cases = _drawn(CASES)
    kinds = {"error": 0, "request": 0, "flags": 0}
    for (contract, _), found in zip(cases, _in_javascript(cases), strict=True):
        sent = found.pop("sent")
        assert found == _in_python(contract, sent), (contract, sent)
        for kind in kinds:
            kinds[kind] += bool(found.get(kind))
    print(kinds, len(cases))
    assert min(kinds.values()) > 5, kinds


def test_a_flood_of_violations_is_counted_as_the_runtime_counts_it() -> None:
    contract = Contract(
        (Column("n", "number", "float64", False, "flag"), Column("t", "string", "object", False, "flag"))
    )
    cases: list[Case] = [(contract, [{"n": "x", "t": 1}] * count) for count in (1, 19, 25, 10_000, 10_050)]
    for found in _in_javascript(cases):
        assert found == {"sent": found["sent"], **_in_python(contract, found["sent"])}
