"""A plan's calls are made once each, whatever comes between, and can be taken back; what it costs is said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DeploymentError, UsageError
from modelyard.targets.calls import Call, CallFailed, Content, Settled
from modelyard.targets.carrying_out import carry_out, take_back
from modelyard.targets.cost import always_on, nothing, per_request, price_table


class Cloud:
    """A small cloud: roles and functions, which it keeps, and of which it knows who asked what."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.looks = 0
        self.fails: dict[str, Exception] = {}
        self.fails_after: dict[str, BaseException] = {}

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(operation)
        if error := self.fails.pop(operation, None):
            raise error
        answer = getattr(self, f"_{operation}")(**parameters)
        if broken := self.fails_after.pop(operation, None):
            raise broken
        return dict(answer)

    def _Create(self, Name: str, **more: Any) -> dict[str, Any]:  # noqa: N802
        if Name in self.things:
            raise CallFailed("Conflict", f"{Name} exists")
        self.things[Name] = {"Id": f"id-of-{Name}", **more}
        return {"Made": self.things[Name]}

    def _Get(self, Name: str) -> dict[str, Any]:  # noqa: N802
        self.looks += 1
        return {"It": self.things[Name], "State": "ready" if self.looks > 1 else "pending"}

    def _Delete(self, Name: str) -> dict[str, Any]:  # noqa: N802
        if Name not in self.things:
            raise CallFailed("NotFound", f"{Name} is not there")
        del self.things[Name]
        return {}


def create(name: str, **parameters: Any) -> Call:
    return Call(
        f"create {name}", "cloud", "Create", {"Name": name, **parameters}, names={name: "Made.Id"}, exists="Conflict",
        found=Call("look", "cloud", "Get", {"Name": name}, names={name: "It.Id"}),
        undo=Call(f"delete {name}", "cloud", "Delete", {"Name": name}, exists="NotFound"),
    )  # fmt: skip


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr("modelyard.targets.carrying_out._POLL_S", 0.01)
    return Cloud()


CODE = Content("function.zip", "0" * 64)
PLAN = (create("role"), create("function", Role="${role}", Code=CODE), create("url", Of="for-${function}"))


def content(_: Content) -> bytes:
    return b"the zip"


def test_the_calls_of_the_plan_are_made_in_order_with_what_earlier_ones_named(
    cloud: Cloud, tmp_path: Path
) -> None:
    named = carry_out(PLAN, cloud, tmp_path, content)
    assert named == {"role": "id-of-role", "function": "id-of-function", "url": "id-of-url"}
    assert cloud.asked == ["Create"] * 3
    assert cloud.things["function"] == {"Id": "id-of-function", "Role": "id-of-role", "Code": b"the zip"}
    assert cloud.things["url"]["Of"] == "for-id-of-function"


def test_a_call_that_fails_in_the_middle_is_named_with_what_exists_and_the_same_again_goes_on(
    cloud: Cloud, tmp_path: Path
) -> None:
    plan = (PLAN[0], Call("set a quota", "cloud", "Quota", {}), *PLAN[1:])
    cloud.fails["Quota"] = CallFailed("LimitExceeded", "too many of them")
    with pytest.raises(DeploymentError) as caught:
        carry_out(plan, cloud, tmp_path, content)
    assert str(caught.value) == (
        "call 2 of 4, cloud.Quota, failed: LimitExceeded: too many of them; made so far: create role; "
        "type the same again to go on, or --undo"
    )
    cloud._Quota = lambda: {}  # type: ignore[attr-defined]
    carry_out(plan, cloud, tmp_path, content)
    assert cloud.asked == ["Create", "Quota", "Quota", "Create", "Create"]


def test_a_call_whose_end_was_not_seen_is_found_and_is_still_ours_to_take_back(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.fails_after["Create"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        carry_out(PLAN, cloud, tmp_path, content)
    assert list(cloud.things) == ["role"]
    carry_out(PLAN, cloud, tmp_path, content)
    assert cloud.asked == ["Create", "Create", "Get", "Create", "Create"]
    take_back(cloud, tmp_path, everything=True)
    assert cloud.things == {}


def test_what_was_there_before_is_used_and_stays(cloud: Cloud, tmp_path: Path) -> None:
    cloud.things["role"] = {"Id": "somebody's"}
    assert carry_out(PLAN, cloud, tmp_path, content)["role"] == "somebody's"
    assert take_back(cloud, tmp_path, everything=True) == ("delete url", "delete function")
    assert cloud.things == {"role": {"Id": "somebody's"}}


def test_what_is_waited_for_is_waited_for_again_after_a_failure(cloud: Cloud, tmp_path: Path) -> None:
    look = Call("look", "cloud", "Get", {"Name": "role"})
    slow = Call(**{**vars(PLAN[0]), "settled": Settled(look, "State", "ready")})
    cloud.fails["Get"] = CallFailed("Throttled", "slowly")
    with pytest.raises(DeploymentError, match=r"call 1 of 1, cloud.Create, failed: Throttled: slowly"):
        carry_out([slow], cloud, tmp_path, content)
    carry_out([slow], cloud, tmp_path, content)
    assert cloud.asked == ["Create", "Get", "Get", "Get"]
    never = Call(**{**vars(PLAN[1]), "settled": Settled(look, "State", "blue", failed=("ready",))})
    with pytest.raises(DeploymentError, match=r"State is ready, blue was wanted"):
        carry_out([slow, never], cloud, tmp_path, content)


def test_undo_takes_back_the_newest_plan_only_and_may_be_typed_again(cloud: Cloud, tmp_path: Path) -> None:
    carry_out(PLAN[:1], cloud, tmp_path, content)
    carry_out((create("extra"), create("other")), cloud, tmp_path, content)
    cloud.fails["Delete"] = CallFailed("Throttled", "slowly")
    with pytest.raises(DeploymentError, match=r"Throttled|slowly") as caught:
        take_back(cloud, tmp_path, everything=False)
    assert "still there: create role; create extra; create other" in str(caught.value)
    del cloud.things["other"]  # somebody took it away by hand
    assert take_back(cloud, tmp_path, everything=False) == ("delete other", "delete extra")
    assert list(cloud.things) == ["role"]
    assert take_back(cloud, tmp_path, everything=True) == ("delete role",)
    assert take_back(cloud, tmp_path, everything=True) == ()


def test_calls_that_join_a_plan_are_taken_back_with_it_or_by_themselves(cloud: Cloud, tmp_path: Path) -> None:
    carry_out(PLAN[:1], cloud, tmp_path, content)
    carry_out([create("of the plan")], cloud, tmp_path, content)
    for number in (1, 2):
        carry_out([create(f"joined {number}")], cloud, tmp_path, content, joins=True)
    assert take_back(cloud, tmp_path, only_joined=True) == ("delete joined 2",)
    carry_out(
        [create("joined 2")], cloud, tmp_path, content, joins=True
    )  # made again, though it was made before
    assert take_back(cloud, tmp_path) == ("delete joined 2", "delete joined 1", "delete of the plan")
    assert list(cloud.things) == ["role"]


def test_calls_that_were_to_join_a_plan_and_failed_do_not_stand_in_the_way_of_more(
    cloud: Cloud, tmp_path: Path
) -> None:
    carry_out(PLAN[:1], cloud, tmp_path, content)
    cloud.fails["Create"] = CallFailed("Throttled", "slowly")
    with pytest.raises(DeploymentError, match=r"Throttled: slowly"):
        carry_out([create("joined")], cloud, tmp_path, content, joins=True)
    carry_out([create("joined")], cloud, tmp_path, content, joins=True)
    assert take_back(cloud, tmp_path) == ("delete joined", "delete role")


def test_the_same_plan_can_be_carried_out_after_it_was_taken_back(cloud: Cloud, tmp_path: Path) -> None:
    for _ in range(2):
        carry_out(PLAN, cloud, tmp_path, content)
        take_back(cloud, tmp_path, everything=True)
    assert cloud.asked == (["Create"] * 3 + ["Delete"] * 3) * 2


def test_a_plan_that_begins_as_the_one_before_makes_that_call_again(cloud: Cloud, tmp_path: Path) -> None:
    look = Call("look", "cloud", "Get", {"Name": "role"}, {"seen": "It.Id"})
    carry_out(PLAN[:1], cloud, tmp_path, content)
    assert carry_out((look, create("a")), cloud, tmp_path, content)["seen"] == "id-of-role"
    cloud.things["role"]["Id"] = "another"
    assert carry_out((look, create("b")), cloud, tmp_path, content)["seen"] == "another"


def test_a_journal_whose_last_line_was_cut_off_is_read(cloud: Cloud, tmp_path: Path) -> None:
    carry_out(PLAN[:2], cloud, tmp_path, content)
    path = tmp_path / "calls.jsonl"
    path.write_text(path.read_text() + '{"made": {"dig')
    assert take_back(cloud, tmp_path, everything=True) == ("delete function", "delete role")
    assert take_back(cloud, tmp_path, everything=True) == ()


def test_a_plan_shows_its_calls_as_json_without_the_bytes() -> None:
    shown = json.dumps(PLAN[1].payload())
    assert "content of function.zip (SHA-256 000" in shown
    assert "${role}" in shown


# What it costs


def test_a_month_of_a_function_is_what_its_prices_say() -> None:
    table = price_table()
    found = per_request(
        table, "aws-lambda", architecture="arm64", memory_gb=0.5, requests=1e6, seconds=0.01, always_on=9.0
    )
    assert found.parts["requests"] == pytest.approx(0.2)
    assert found.parts["compute"] == pytest.approx(1e6 * 0.5 * 0.01 * 1.33334e-05)
    assert found.monthly == pytest.approx(sum(found.parts.values()))
    assert re.search(r"below 33,7\d\d,\d\d\d requests a month", str(found)), str(found)
    assert f"prices of {table.as_of}" in str(found)
    least = per_request(table, "aws-lambda", architecture="arm64", memory_gb=1, requests=1e6, seconds=1e-6)
    assert least.parts["compute"] == pytest.approx(1e6 * 0.001 * 1.33334e-05)


def test_a_month_of_a_container_that_always_runs() -> None:
    found = always_on(price_table(), "aws-fargate", architecture="x86_64", vcpus=0.25, memory_gb=0.5)
    assert found.monthly == pytest.approx(730 * (0.25 * 0.04048 + 0.5 * 0.004445))
    assert str(nothing("it runs here")) == "nothing: it runs here"


def test_an_old_price_table_warns_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    table = price_table()
    assert table.age_days(date.fromisoformat(table.as_of)) == 0
    old = tmp_path / "old.json"
    old.write_text(
        json.dumps(
            {
                "as_of": "2020-01-01",
                "source": "mine",
                "currency": "EUR",
                "prices": {"a": {"vcpu_hour_x": 1, "gb_hour_x": 1}},
            }
        )
    )
    cost = always_on(price_table(str(old)), "a", architecture="x", vcpus=1, memory_gb=1)
    assert re.search(
        r"EUR a month.*the prices are \d+ days old: give newer ones with --price-table", str(cost)
    )
    with pytest.raises(
        UsageError, match=r"has no 'vcpu_hour_y' of 'a'; it has: .*did you mean 'vcpu_hour_x'"
    ):
        always_on(price_table(str(old)), "a", architecture="y", vcpus=1, memory_gb=1)
    old.write_text("{}")
    with pytest.raises(UsageError, match=r"is no price table"):
        price_table(str(old))
    with pytest.raises(UsageError, match=r"cannot be read"):
        price_table(str(tmp_path / "none.json"))
