"""The parts of the router: what a guard concludes, where a rollout goes, who comes to whom, and who writes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import binom

from modelyard_router import counters, rollout, workers
from modelyard_router.choosing import by_chance, by_key
from modelyard_router.guards import Guard, Window, parse
from modelyard_router.keys import header_names, in_body, in_headers
from modelyard_router.policy import (
    Policy,
    PolicyChangedError,
    PolicyError,
    PolicyFile,
    Rollout,
    Variant,
    checked,
)
from modelyard_runtime.doors.exchange import Refused
from modelyard_runtime.metrics import SECONDS, STATUSES

NONE_YET = np.zeros(len(SECONDS) + 1)


def window(
    requests: float = 0.0, errors: float = 0.0, *, seconds: np.ndarray = NONE_YET, **more: Any
) -> Window:
    return Window(requests, errors, more.pop("refused", 0.0), seconds, SECONDS, **more)


def took(*seconds: float) -> np.ndarray:
    """Return durations as the histogram has them: at most each bound, and above all."""
    found = NONE_YET.copy()
    np.add.at(found, np.searchsorted(SECONDS, seconds), 1)
    return found


# -- guards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("errors<1%", "errors", 0.01),
        (" errors < .5 % ", "errors", 0.005),
        ("refused<10%", "refused", 0.1),
        ("disagreement<2.5%", "disagreement", 0.025),
        ("p50<250us", "p50", 0.00025),
        ("p99<20ms", "p99", 0.02),
        ("p95<1.5s", "p95", 1.5),
        ("crashes<3", "crashes", 3),
    ],
)
def test_reads_a_guard(text: str, metric: str, limit: float) -> None:
    found = parse(text)
    assert (found.metric, found.limit) == (metric, pytest.approx(limit))
    assert parse(found.text) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("errors", r"a guard is METRIC<LIMIT, as errors<1% or p99<20ms; found 'errors'"),
        ("errors>1%", r"found 'errors>1%'"),
        ("errors<=1%", r"found 'errors<=1%'"),
        ("errors<-1%", r"found 'errors<-1%'"),
        ("errors<1%, p99<2ms", r"a guard is METRIC<LIMIT"),
        ("", r"found ''"),
        ("latency<1ms", r"no metric 'latency' to guard; there: errors, refused, disagreement, crashes, p50"),
        ("p42<1ms", r"no metric 'p42'"),
        ("errors<1", r"'errors<1' has the wrong unit; type errors<1%"),
        ("errors<1ms", r"type errors<1%"),
        ("p99<20", r"'p99<20' has the wrong unit; type p99<20ms"),
        ("p99<20%", r"type p99<20ms"),
        ("crashes<1%", r"type crashes<1"),
        ("errors<0%", r"'errors<0%' never holds: nothing is below 0"),
        ("crashes<0", r"never holds"),
    ],
)
def test_a_guard_that_cannot_be_is_one_line(text: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told) as raised:
        parse(text)
    assert "\n" not in str(raised.value)


def first_break(guard: Guard, bad: np.ndarray, as_window: Callable[[int, int], Window]) -> int | None:
    """Return after how many requests a guard is broken that is looked at every 10 of them; ``None`` if it is not."""
    for seen, found in enumerate(np.cumsum(bad), start=1):
        if seen % 10 == 0 and guard.is_broken(as_window(seen, int(found))):
            return seen
    return None


WATCHED: tuple[tuple[str, Callable[[int, int], Window]], ...] = (
    ("errors<1%", lambda seen, bad: window(seen, bad)),
    ("refused<1%", lambda seen, bad: window(seen, refused=bad)),
    ("disagreement<1%", lambda seen, bad: window(compared=seen, differing=bad)),
    # more than 1 % of the durations above the limit are what makes the quantile 0.99 larger than it
    ("p99<25ms", lambda seen, bad: window(seen, seconds=took(0.01) * (seen - bad) + took(0.1) * bad)),
)


@pytest.mark.parametrize(("text", "as_window"), WATCHED)
def test_a_guard_that_is_looked_at_all_the_time_hardly_ever_breaks_while_the_rate_keeps_it(
    text: str, as_window: Callable[[int, int], Window]
) -> None:
    runs, guard, random = 600, parse(text), np.random.default_rng(0)
    broken = looked_bad = 0
    for _ in range(runs):
        bad = random.random(1500) < 0.01
        broken += first_break(guard, bad, as_window) is not None
        sums = np.cumsum(bad)[9::10]
        looked_bad += any(
            not guard.holds(as_window(10 * n, int(b))) for n, b in enumerate(sums[:30], start=1)
        )
    assert broken <= binom.ppf(0.999, runs, 0.001)  # what is allowed: one rollout in a thousand
    assert looked_bad > runs / 2  # as would most, if the rate itself were looked at all the time


@pytest.mark.parametrize(("text", "as_window"), WATCHED)
def test_a_rate_that_is_five_times_too_high_is_found_soon(
    text: str, as_window: Callable[[int, int], Window]
) -> None:
    guard, random = parse(text), np.random.default_rng(1)
    found = [first_break(guard, random.random(3000) < 0.05, as_window) for _ in range(60)]
    assert None not in found
    assert np.median([f for f in found if f is not None]) < 400
    worst = [first_break(guard, np.ones(100, dtype=bool), as_window)]
    assert worst == [10]  # a candidate that always fails, at the first look


def test_what_was_not_seen_breaks_nothing_and_says_so() -> None:
    for text in ("errors<1%", "refused<1%", "disagreement<1%", "p99<20ms", "p50<1us"):
        guard = parse(text)
        assert (guard.is_broken(window()), guard.holds(window())) == (False, True)
        assert guard.shown(window()) == f"{guard.metric} –"
    crashes = parse("crashes<2")
    assert [crashes.is_broken(window(crashes=n)) for n in (0, 1, 2, 3)] == [False, False, True, True]
    assert [crashes.holds(window(crashes=n)) for n in (0, 1, 2, 3)] == [True, True, False, False]
    assert crashes.shown(window(crashes=1)) == "crashes 1"


def test_at_the_end_of_a_step_the_rate_itself_must_keep_its_limit() -> None:
    errors = parse("errors<1%")
    assert not errors.is_broken(window(300, 4))
    assert not errors.holds(window(300, 4))
    assert not errors.holds(window(300, 3))
    assert errors.holds(window(300, 2))
    assert errors.shown(window(300, 4)) == "errors 1.33%"


def test_a_quantile_is_within_the_bucket_that_the_true_one_is_in() -> None:
    seconds = np.random.default_rng(0).lognormal(-5, 1.2, 5000)
    found = window(seconds=took(*seconds))
    bounds = np.array([0.0, *SECONDS, math.inf])
    for q in (0.5, 0.9, 0.95, 0.99):
        true = np.quantile(seconds, q)
        place = int(np.searchsorted(bounds, true))
        assert bounds[place - 1] <= found.quantile(q) <= bounds[place]
    assert window(seconds=took(*[9.0] * 10)).quantile(0.5) == math.inf
    assert parse("p99<20ms").shown(window(seconds=took(*[0.0175] * 10))) == "p99 24.9ms"


def test_who_is_not_let_in_proves_nothing_and_every_5xx_is_an_error() -> None:
    statuses = [*STATUSES, 0]  # the last one stands for all others
    asked = {200: 90, 401: 1000, 422: 5, 500: 2, 503: 1, 0: 2}
    now = {
        "requests": [float(asked.get(s, 0)) for s in statuses],
        "seconds": NONE_YET.tolist(),
        "compared": [8, 3],
    }
    found = counters.as_window(now, {}, crashes=1)
    assert (found.requests, found.errors, found.refused) == (100, 5, 5)
    assert (found.compared, found.differing, found.crashes) == (8, 3, 1)
    since = counters.as_window(now, now)
    assert (since.requests, since.errors, since.compared) == (0, 0, 0)


# -- rollouts -----------------------------------------------------------------------------------------------------

VARIANTS = {f"v{n}": Variant(f"churn:{n}", f"{n}" * 64, f"home/bentos/churn/{n}") for n in (1, 2, 3)}


def policy(**changes: Any) -> Policy:
    first = Policy(7, "2026-11-24T12:00:00.000+00:00", "ada@here", "a test", VARIANTS, "v1", {"v1": 1.0})
    return msgspec.structs.replace(first, **changes)


def rolling(
    *guards: str, step: int = 0, steps: tuple[float, ...] = (0.1, 0.5, 1.0), **changes: Any
) -> Policy:
    """Return a policy with a running rollout of v2: each step lasts 60 s from second 1000, and wants 50 requests."""
    running = Rollout("v2", steps, 60.0, guards or ("errors<1%",), 50, step, 1000.0, 1000.0)
    share = steps[step]
    weights = {"v2": 1.0} if share == 1 else {"v1": 1 - share, "v2": share}
    return policy(rollout=running, weights=weights, **changes)


@pytest.mark.parametrize(
    ("at", "seen"),
    [(1059.9, window(10_000)), (1060.0, window(49)), (5000.0, window()), (1001.0, window(100, 3))],
)
def test_a_step_goes_on_until_its_time_is_over_and_it_has_seen_enough(at: float, seen: Window) -> None:
    assert rollout.advanced(rolling(), seen, at) is None


def test_a_rollout_goes_step_by_step_and_promotes_at_the_end() -> None:
    now, at, whys = rolling(sticky="user_id", shadow=("v3",)), 1000.0, []
    for _ in range(3):
        at += 61
        following = rollout.advanced(now, window(50), at)
        assert following is not None
        assert checked(following) is following
        assert following.number == now.number + 1
        assert (following.by, following.sticky, following.shadow) == ("rollout", "user_id", ("v3",))
        assert following.rollout is not None
        if following.is_rolling:
            assert following.rollout.since == at
            assert rollout.advanced(following, window(50), at + 59) is None
        whys.append(following.why)
        now = following
    assert whys == [
        "v2 from 10% to 50%: errors 0%, crashes 0",
        "v2 from 50% to 100%: errors 0%, crashes 0",
        "v2 is promoted: errors 0%, crashes 0",
    ]
    assert (now.weights, now.control, now.before) == ({"v2": 1.0}, "v2", "v1")
    assert now.rollout is not None
    assert now.rollout.state == "finished"
    with pytest.raises(ValueError, match="no rollout is running"):
        rollout.advanced(now, window(50), at + 100)


def test_a_rollout_whose_last_step_is_no_promotion_stays_there() -> None:
    now = rollout.advanced(rolling(steps=(0.1, 0.5), step=1), window(50), 1060.0)
    assert now is not None
    assert now.why == "v2 stays at 50%: errors 0%, crashes 0"
    assert (now.weights, now.control, now.before) == ({"v1": 0.5, "v2": 0.5}, "v1", None)
    assert not now.is_rolling


@pytest.mark.parametrize(
    ("guards", "at", "seen", "why"),
    [
        (
            (), 1001.0, window(100, 20),
            "v2 is rolled back: errors 20% is not <1%, at 50% (step 2 of 3, 100 requests)",
        ),
        (
            (), 1061.4, window(100, 2),
            "v2 is rolled back: errors 2% is not <1%, at 50% (step 2 of 3, 100 requests) after 61 s",
        ),
        (
            (), 1001.0, window(3, crashes=1),
            "v2 is rolled back: crashes 1 is not <1, at 50% (step 2 of 3, 3 requests)",
        ),
        (
            ("p99<20ms",), 1001.0, window(200, seconds=took(*[0.2] * 200)),
            "v2 is rolled back: p99 248ms is not <20ms, at 50% (step 2 of 3, 200 requests)",
        ),
        (
            ("errors<1%", "disagreement<5%"), 1001.0, window(200, compared=400, differing=100),
            "v2 is rolled back: disagreement 25% is not <5%, at 50% (step 2 of 3, 200 requests)",
        ),
    ],
)  # fmt: skip
def test_a_broken_guard_rolls_back_and_says_which_by_how_much_and_when(
    guards: tuple[str, ...], at: float, seen: Window, why: str
) -> None:
    now = rollout.advanced(rolling(*guards, step=1, sticky="id", shadow=("v3",)), seen, at)
    assert now is not None
    assert now.why == why
    assert (now.weights, now.control, now.before) == ({"v1": 1.0}, "v1", None)
    assert (now.sticky, now.shadow, now.number) == ("id", ("v3",), 8)
    assert now.rollout is not None
    assert now.rollout.state == "rolled back"
    assert checked(now).answering == {"v1": 1.0}


def test_more_crashes_may_be_allowed_and_none_is_the_rule() -> None:
    assert rollout.advanced(rolling("crashes<3"), window(10, crashes=2), 1001.0) is None
    assert rollout.advanced(rolling("crashes<3"), window(10, crashes=3), 1001.0) is not None


def test_a_step_with_a_guard_of_disagreement_waits_for_compared_rows_too() -> None:
    guarded = rolling("disagreement<5%")
    assert rollout.advanced(guarded, window(500, compared=49), 2000.0) is None
    assert rollout.read(guarded, window(500, compared=40), 2000.0).waits_for == "10 more requests to v2"
    assert rollout.advanced(guarded, window(500, compared=50), 2000.0) is not None
    assert rollout.read(guarded, window(500, compared=50, differing=1), 1020.0) == rollout.Reading(
        ("disagreement 2% (<5%)", "crashes 0 (<1)"), "40 s more"
    )


# -- who answers --------------------------------------------------------------------------------------------------

SALTS = {name: variant.digest for name, variant in VARIANTS.items()}
KEYS = [f"user {number}" for number in range(20_000)]


def chosen(weights: dict[str, float]) -> list[str]:
    return [by_key(weights, key, SALTS) for key in KEYS]


def test_callers_are_spread_as_the_weights_say() -> None:
    weights = {"v1": 0.5, "v2": 0.3, "v3": 0.2}
    found = Counter(chosen(weights))
    for name, share in weights.items():
        low, high = binom.ppf([0.0005, 0.9995], len(KEYS), share)
        assert low <= found[name] <= high


def test_callers_come_to_a_variant_that_grows_and_nobody_else_moves() -> None:
    before = chosen({"v1": 0.99, "v2": 0.01})
    for share in (0.1, 0.4, 0.9, 1.0):
        after = chosen({"v1": 1 - share, "v2": share} if share < 1 else {"v2": 1.0})
        assert {(a, b) for a, b in zip(before, after, strict=True) if a != b} == {("v1", "v2")}
        before = after
    # also among three, where the two others keep their proportion
    before, after = chosen({"v1": 0.6, "v2": 0.1, "v3": 0.3}), chosen({"v1": 0.4, "v2": 0.4, "v3": 0.2})
    moved = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)
    assert set(moved) == {("v1", "v2"), ("v3", "v2")}
    low, high = binom.ppf([0.0005, 0.9995], len(KEYS), 0.3)
    assert low <= moved.total() <= high  # and no more of them than must


def test_a_caller_is_chosen_for_by_digests_so_that_another_experiment_takes_others() -> None:
    first = [by_key({"v1": 0.5, "v2": 0.5}, key, {"v1": "a", "v2": "b"}) for key in KEYS[:4000]]
    other = [by_key({"v1": 0.5, "v2": 0.5}, key, {"v1": "a", "v2": "c"}) for key in KEYS[:4000]]
    same = sum(a == b for a, b in zip(first, other, strict=True))
    assert (
        4000 * 0.55 < same < 4000 * 0.8
    )  # two thirds: what v1 has of the one, it has of the other more often
    assert by_key({"v2": 0.5, "v1": 0.5}, "Ada", SALTS) == by_key({"v1": 0.5, "v2": 0.5}, "Ada", SALTS)


def test_chance_keeps_the_shares_and_two_workers_do_not_draw_alike() -> None:
    weights = {"v1": 0.7, "v2": 0.2, "v3": 0.1}
    draws = [by_chance(weights) for _ in range(2)]
    found = [[draw() for _ in range(20_000)] for draw in draws]
    for drawn in found:
        for name, share in weights.items():
            low, high = binom.ppf([1e-6, 1 - 1e-6], len(drawn), share)
            assert low <= drawn.count(name) <= high
    assert found[0] != found[1]
    only = by_chance({"v2": 1.0})
    assert {only() for _ in range(100)} == {"v2"}


# -- the key of a caller ------------------------------------------------------------------------------------------

BY_ROWS = {"rows": [{"user_id": "Ada", "age": 30}, {"user_id": "Ada", "age": 31}]}
BY_COLUMNS = {"columns": ["age", "user_id"], "data": [[30, "Ada"], [31, "Ada"]]}


def key_of(body: Any, *, strip: bool = True) -> tuple[str | None, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    key, inner = in_body(content, "user_id", strip=strip)
    return key, inner if inner is content else json.loads(inner)


def test_a_column_that_the_model_does_not_know_is_taken_out_and_one_that_it_knows_stays() -> None:
    assert key_of(BY_ROWS) == ("Ada", {"rows": [{"age": 30}, {"age": 31}]})
    assert key_of(BY_COLUMNS) == ("Ada", {"columns": ["age"], "data": [[30], [31]]})
    for body in (BY_ROWS, BY_COLUMNS):
        assert key_of(body, strip=False) == ("Ada", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("Ada", "Ada"),
        ("Ä ", "Ä "),
        (17, "17"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "True"),
        (None, None),
        (10**30, str(10**30)),
    ],
)
def test_a_key_may_be_a_text_or_a_number_and_null_is_nobodys(value: Any, key: str | None) -> None:
    assert key_of({"rows": [{"user_id": value, "age": 1}]}) == (key, {"rows": [{"age": 1}]})
    assert key_of({"columns": ["user_id"], "data": [[value]]}) == (key, {"columns": [], "data": [[]]})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{]}", b"[]", b"3", b"\xff", b"[" * 5000, {"rows": []}, {"rows": [1]}, {"rows": {"user_id": 1}},
        {"rows": [{"age": 1}]}, {"columns": "user_id", "data": []}, {"columns": ["age"], "data": [[1]]},
        {"columns": ["user_id"], "data": []}, {"columns": ["user_id"], "data": [1]},
        {"columns": ["user_id"], "data": [["Ada", 1]]}, {"inputs": [{"name": "user_id", "data": ["Ada"]}]},
    ],
)  # fmt: skip
def test_a_body_that_holds_no_key_is_left_to_whoever_answers(body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert in_body(content, "user_id", strip=True) == (None, content)


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [{"user_id": "Ada"}, {"user_id": "Bob"}]},
        {"rows": [{"user_id": "Ada"}, {"user_id": None}]},
        {"rows": [{"user_id": 1}, {"user_id": "1"}]},
        {"columns": ["user_id"], "data": [["Ada"], ["Bob"]]},
    ],
)
@pytest.mark.parametrize("strip", [True, False])
def test_rows_of_several_callers_are_refused(body: Any, strip: bool) -> None:
    with pytest.raises(Refused, match=r"rows of several 'user_id' in one request, such as .* and ") as raised:
        key_of(body, strip=strip)
    assert raised.value.status == 400
    assert "\n" not in str(raised.value)


def test_a_header_may_be_named_as_headers_are() -> None:
    for sticky in ("user_id", "User-Id", "USER_ID"):
        for name in (b"user-id", b"x-user-id"):
            assert in_headers([(b"host", b"here"), (name, b"Ada")], header_names(sticky)) == "Ada"
    assert in_headers([(b"x-user-id", b"Ada")], header_names("X-User-Id")) == "Ada"
    assert in_headers([(b"user_id", b"Ada")], header_names("user_id")) == "Ada"
    assert in_headers([(b"x-user", b"Ada")], header_names("user_id")) is None
    assert in_headers([(b"x-user-id", b"")], header_names("user_id")) is None  # nobody says who it is


# -- the policy and its file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": {"v1": 0.5, "v2": 0.4}}, r"the shares add up to 90%, not to 100%: v1=50%, v2=40%"),
        ({"weights": {}}, r"the shares add up to 0%"),
        ({"weights": {"v1": 1.2, "v2": -0.2}}, r"a share is between 0% and 100%, found v1=120%"),
        ({"weights": {"v1": math.nan}}, r"a share is between 0% and 100%, found v1=nan%"),
        ({"weights": {"v9": 1.0}}, r"no variant 'v9' here; there: v1, v2, v3"),
        ({"control": "v9"}, r"no variant 'v9'"),
        ({"shadow": ("v9",)}, r"no variant 'v9'"),
        ({"shadow": ("v1",)}, r"v1 answers requests; a shadow does not, so it cannot be both"),
        ({"variants": {}}, r"no variant 'v1' here; there: none"),
    ],
)
def test_a_policy_that_makes_no_sense_is_not_written(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    file = PolicyFile(tmp_path)
    first = file.write(policy(number=1))
    with pytest.raises(PolicyError, match=told) as raised:
        file.write(policy(number=2, **changes))
    assert "\n" not in str(raised.value)
    assert (file.read(), file.history(first)) == (first, (first,))


def test_shares_in_tenths_add_up_and_a_shadow_may_have_none(tmp_path: Path) -> None:
    tenths = policy(weights={"v1": 0.7, "v2": 0.1, "v3": 0.2})
    assert checked(tenths) is tenths
    assert checked(policy(weights={"v1": 1.0, "v2": 0.0}, shadow=("v2",))).answering == {"v1": 1.0}


def test_who_must_be_held_ready() -> None:
    assert policy(shadow=("v3",)).needed == ("v1",)
    assert rolling().needed == ("v1", "v2")
    assert policy(control="v2", before="v1", weights={"v2": 1.0}).needed == ("v2", "v1")
    assert policy(held=("v3", "v9")).needed == ("v1", "v3")


def test_a_policy_without_a_number_that_follows_is_told_who_was_faster(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path)
    assert file.stamp() is None
    with pytest.raises(PolicyError, match=r"policy\.json cannot be read"):
        file.read()
    file.write(policy(number=1))
    file.write(policy(number=2, by="bob@there", why="canary v2=10%"))
    with pytest.raises(PolicyChangedError, match=r"number 2 by bob@there \(canary v2=10%\); look at it"):
        file.write(policy(number=2))
    assert file.read().by == "bob@there"
    assert file.first_number() == 3


WRITER = """
import sys
from pathlib import Path
import msgspec
from modelyard_router.policy import PolicyChangedError, PolicyFile
file, name, wanted, beaten = PolicyFile(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), 0
print("ready", flush=True)
sys.stdin.readline()
while wanted:
    found = file.read()
    share = found.weights.get("v2", 0.0)
    weights = {"v1": share, "v2": 1 - share}
    try:
        file.write(msgspec.structs.replace(found, number=found.number + 1, by=name, weights=weights))
        wanted -= 1
    except PolicyChangedError:
        beaten += 1
print(beaten)
"""


def test_of_many_writers_none_undoes_another_and_a_reader_sees_whole_policies_only(tmp_path: Path) -> None:
    folder, each = tmp_path / "deployment", 150
    folder.mkdir()
    file = PolicyFile(folder)
    file.write(policy(number=1))
    over = threading.Event()
    read: list[int] = []
    failed: list[str] = []

    def follow() -> None:
        while not over.is_set():
            try:
                read.append(checked(file.read()).number)
            except PolicyError as error:
                failed.append(str(error))

    reader = threading.Thread(target=follow)
    reader.start()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), name, str(each)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("Ada", "Bob")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    beaten = [int(writer.communicate(timeout=60)[0]) for writer in writers]
    over.set()
    reader.join()
    history = file.history(file.read())
    assert [past.number for past in history] == list(range(1, 2 * each + 2))
    assert Counter(past.by for past in history[1:]) == {"Ada": each, "Bob": each}
    assert sum(beaten) > 0  # they did meet
    assert failed == []
    assert read == sorted(read)
    assert sorted(path.name for path in folder.iterdir()) == ["policy.json", "policy.lock", "state"]


FULL = """
import resource, sys
from pathlib import Path
import msgspec
from modelyard_router.policy import PolicyFile
file = PolicyFile(Path(sys.argv[1]))
found = file.read()
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))  # as a full disk, to this process
try:
    file.write(msgspec.structs.replace(found, number=found.number + 1))
except OSError as error:
    print(error)
"""


def test_a_policy_that_cannot_be_written_leaves_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path)
    first = file.write(policy(number=1))
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "File too large" in ran.stdout
    assert (file.read(), file.history(first)) == (first, (first,))
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["policy.json", "policy.lock", "state/policies/000001.json"]
    assert file.write(policy(number=2)).number == 2


def test_a_policy_in_the_history_that_never_came_into_force_is_not_told(tmp_path: Path) -> None:
    file = PolicyFile(tmp_path)
    first = file.write(policy(number=1))
    never = tmp_path / "state" / "policies" / "000002.json"
    never.write_bytes(msgspec.json.encode(policy(number=2, why="written by who was killed then")))
    (tmp_path / "state" / "policies" / "000000.json").write_text("{ half a file")
    assert file.history(first) == (first,)
    second = file.write(policy(number=2, why="in its place"))
    assert file.history(second) == (first, second)
    file.withdraw(second)
    assert not never.exists()


# -- workers ------------------------------------------------------------------------------------------------------


def test_a_worker_that_ended_without_a_word_is_noted_once_and_one_that_took_its_leave_is_not(
    tmp_path: Path,
) -> None:
    gone = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(2)]
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    for process in gone:
        process.wait()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has waited for it
    own = workers.Worker(os.getpid(), 3, ("v1", "v2"), {"v3": "RuntimeError: no"})
    for worker in (own, *(workers.Worker(p.pid, 2) for p in (*gone, zombie))):
        workers.say(tmp_path, worker)
    workers.leave(tmp_path, gone[0].pid)
    assert workers.living(tmp_path) == (own,)
    for _ in range(3):
        workers.note_lost(tmp_path, 1000.0)
    zombie.wait()
    assert workers.lost_since(tmp_path, 999.0) == 2
    assert workers.lost_since(tmp_path, 1001.0) == 0
    assert workers.lost_since(tmp_path / "nowhere", 0.0) == 0
    assert workers.living(tmp_path) == (own,)
    workers.forget(tmp_path)
    assert workers.living(tmp_path) == ()


def test_a_shadow_that_failed_is_told_until_it_has_not(tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    folder.mkdir()
    assert workers.failed_shadows(folder) == {}
    workers.say_failed_shadows(folder, {"v3": "RuntimeError: no"})
    assert workers.failed_shadows(folder) == {"v3": "RuntimeError: no"}
    workers.say_failed_shadows(folder, {})
    assert workers.failed_shadows(folder) == {}
    assert list(folder.iterdir()) == []
