"""Several bundles behind one endpoint: real deployments with two workers, and what befalls them under load."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
import msgspec
import numpy as np
import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from prometheus_client.parser import text_string_to_metric_families
from scipy.stats import binom
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from callers import Caller, Load, Reply, callers_of_every_worker
from disks import fill, small_disk
from endpoints import eventually, server_processes
from modelyard.catalog import open_yard
from modelyard.errors import ContractError, DeploymentError, ModelyardError, UnknownNameError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.testing import TrafficContract
from modelyard_router import workers
from modelyard_router.logbook import Logbook
from modelyard_router.policy import Policy, PolicyFile
from people import a_place_of_its_own

pytestmark = [pytest.mark.alone, pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")]

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
OTHER_COLUMNS, X = X.iloc[:, 1:6], X.iloc[:, :4]
ROWS = X.to_dict("records")
ROW = ROWS[0]

#: What `Moody` does to a request whose first row has this mean radius; a graph answers such rows like any other.
RAISES, SLEEPS, ENDS = -1.0, -2.0, -3.0
CELL = """
import os
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

class Moody(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X = np.asarray(X, dtype=float)
        if X[0, 0] == -1:
            raise ValueError("not this row")
        if X[0, 0] == -2:
            time.sleep(0.1)
        if X[0, 0] == -3:
            os._exit(3)
        return np.log1p(np.abs(X))

class Fragile(TransformerMixin, BaseEstimator):
    def __init__(self, away=None):
        self.away = away

    def __setstate__(self, state):
        super().__setstate__(state)
        if Path(self.away).exists():
            raise RuntimeError("what it needs is away")

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.sqrt(np.abs(np.asarray(X, dtype=float)))

moody = make_pipeline(Moody(), DecisionTreeClassifier(max_depth=3, random_state=0)).fit(X, y)
fragile = make_pipeline(Fragile(away), DecisionTreeClassifier(max_depth=3, random_state=0)).fit(X, y)
"""

GRAPHS = {
    "v1": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y),
    "v2": make_pipeline(StandardScaler(), LogisticRegression(C=0.001)).fit(X.iloc[:60], y[:60]),
}
ANSWERS = {name: model.predict(X).tolist() for name, model in GRAPHS.items()}
ELSEWHERE = [a != b for a, b in zip(ANSWERS["v1"], ANSWERS["v2"], strict=True)]  # where v2 differs from v1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the module's place, where its bundles and its deployment are."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))


@pytest.fixture(scope="module")
def bundles(place: Path) -> dict[str, Bundle]:
    """Two graphs, one with the moods of `Moody`, one that does not load while ``away`` exists, one of other columns."""
    found = [modelyard.package(model, X, y, name="cancer") for model in GRAPHS.values()]
    main = sys.modules["__main__"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(place / "ipython"))
        shell = InteractiveShell()
        shell.run_line_magic("load_ext", "modelyard")
        shell.user_ns.update(X=X, y=y, away=str(place / "away"))
        shell.run_cell(CELL).raise_error()
        for name in ("moody", "fragile"):
            found.append(modelyard.package(shell.user_ns[name], X, y, name="cancer"))
            ANSWERS[f"v{found[-1].version}"] = shell.user_ns[name].predict(X).tolist()
        shell.run_line_magic("unload_ext", "modelyard")
        shell.history_manager.end_session()
        sys.modules["__main__"] = main
    other = make_pipeline(StandardScaler(), LogisticRegression()).fit(OTHER_COLUMNS, y)
    found.append(modelyard.package(other, OTHER_COLUMNS, y, name="cancer"))
    (place / "away").touch()
    assert [bundle.version for bundle in found] == [1, 2, 3, 4, 5]
    return {f"v{bundle.version}": bundle for bundle in found}


@pytest.fixture(scope="module")
def deployed(bundles: dict[str, Bundle]) -> Iterator[Deployment]:
    made = modelyard.deploy(bundles["v1"], to="local", name="cancer", workers=2)
    assert isinstance(made, Deployment)
    yield made
    made.remove()


@pytest.fixture
def served(deployed: Deployment) -> Deployment:
    """The module's deployment as it was first: v1 answers everything, on both workers."""
    file = PolicyFile(folder_of(deployed))
    assert eventually(lambda: len(workers.living(folder_of(deployed))) == 2, 30)
    found = file.read()
    calm = msgspec.structs.replace(
        found, number=found.number + 1, control="v1", weights={"v1": 1.0}, before=None, shadow=(), sticky=None,
        rollout=None, held=(), why="the next test begins", variants={"v1": found.variants["v1"]},
    )  # fmt: skip
    in_force(deployed, file.write(calm))
    return deployed


def folder_of(deployment: Deployment) -> Path:
    return open_yard().deployment_folder(deployment.name)


def policy_of(deployment: Deployment) -> Policy:
    return PolicyFile(folder_of(deployment)).read()


def in_force(deployment: Deployment, policy: Policy) -> None:
    folder = folder_of(deployment)
    assert eventually(lambda: all(w.policy >= policy.number for w in workers.living(folder)))


def metrics_of(deployment: Deployment) -> str:
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return httpx.get(f"{deployment.url}/metrics", headers=headers, trust_env=False).text


def counted(deployment: Deployment, variant: str, *statuses: int) -> float:
    """Return how many requests to predict a variant has answered with one of these statuses."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics_of(deployment))
        for sample in family.samples
        if sample.name == "modelyard_requests_total"
        and sample.labels["variant"] == variant
        and sample.labels["path"] == "/predict"
        and int(sample.labels["status"]) in statuses
    )


def rightly_answered(reply: Reply, *rows: int) -> bool:
    """Whether the answer to these rows of the table is that of the variant that it names."""
    answers = ANSWERS[reply.variant]
    return reply.status == 200 and reply.body["predictions"] == [answers[row] for row in rows]


class TestLocalTraffic(TrafficContract):
    name = "local"
    options: ClassVar[dict[str, Any]] = {"workers": 2}

    @pytest.fixture
    def bundle(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v1"]

    @pytest.fixture
    def second(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v2"]

    @pytest.fixture
    def broken(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v4"]

    def processes(self, deployment: Deployment) -> set[Any]:
        return {(process.pid, process.create_time()) for process in server_processes(deployment)}


# -- who answers --------------------------------------------------------------------------------------------------


def test_a_canary_gets_its_share_of_many_requests_and_each_variant_gives_its_own_answers(
    served: Deployment,
) -> None:
    asked, share = 20_000, 0.1
    callers = callers_of_every_worker(served, ROW, 2, each=3)
    served.traffic(canary={"v2": share})
    for last in (False, True):  # a share beyond the bound is drawn once in a thousand times, not twice
        before = served.traffic().routed.seen
        found = asked_of_all(callers, asked)
        assert len(found) == asked
        assert [reply for _, row, reply in found if not rightly_answered(reply, row)] == []
        assert len({reply.body["id"] for _, _, reply in found}) == asked
        seen = served.traffic().routed.seen
        answers = Counter(reply.variant for _, _, reply in found)
        for name in ("v1", "v2"):
            assert seen[name].requests - before[name].requests == answers[name]
            assert seen[name].errors == before[name].errors
        beyond = []
        for worker in (range(6), range(3), range(3, 6)):  # together, and each by itself
            answers = Counter(reply.variant for number, _, reply in found if number in worker)
            low, high = binom.ppf([0.0005, 0.9995], answers.total(), share)
            if not low <= answers["v2"] <= high:
                beyond.append(answers)
        if not beyond:
            return
        assert not last, beyond


def asked_of_all(callers: list[Caller], asked: int) -> list[tuple[int, int, Reply]]:
    """Ask as many requests, on all connections at once; return for each the connection, the row and the reply."""
    found: list[tuple[int, int, Reply]] = []

    def ask(number: int) -> None:
        for turn in range(number, asked, len(callers)):
            row = turn % len(ROWS)
            found.append((number, row, callers[number].ask(ROWS[row])))

    at_once(*[partial(ask, number) for number in range(len(callers))])
    return found


def at_once(*work: Callable[[], object]) -> None:
    """Do all of it, each on a thread of its own; raise what one of them raised."""
    errors: list[BaseException] = []

    def tried(each: Callable[[], object]) -> None:
        try:
            each()
        except BaseException as error:  # noqa: BLE001  # it is raised below
            errors.append(error)

    threads = [threading.Thread(target=tried, args=[each]) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_policy_that_is_written_is_followed_by_every_worker_within_100_milliseconds(
    served: Deployment,
) -> None:
    callers = callers_of_every_worker(served, ROW, 2, each=2)
    folder = folder_of(served)
    late: list[float] = []
    for _ in range(5):
        served.traffic(split={"v1": 0.5, "v2": 0.5})
        replies: list[list[Reply]] = [[] for _ in callers]
        over = threading.Event()

        def ask(caller: Caller, said: list[Reply], over: threading.Event = over) -> None:
            while not over.is_set():
                said.append(caller.ask(ROW))
                time.sleep(0.001)

        threads = [threading.Thread(target=ask, args=pair) for pair in zip(callers, replies, strict=True)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        found = policy_of(served)
        back = msgspec.structs.replace(found, number=found.number + 1, weights={"v1": 1.0}, why="back")
        PolicyFile(folder).write(back)
        written = time.monotonic()
        time.sleep(0.3)
        over.set()
        for thread in threads:
            thread.join()
        for said in replies:
            assert {reply.variant for reply in said if reply.asked < written} == {"v1", "v2"}
            late.append(max(reply.asked for reply in said if reply.variant == "v2") - written)
    assert max(late) < 0.1, late


def test_two_notebooks_that_change_the_same_endpoint_at_once_do_not_undo_one_another(
    served: Deployment,
) -> None:
    told: list[str] = []

    def change(share: float) -> None:
        try:
            served.traffic(canary={"v2": share})
        except UsageError as error:
            told.append(str(error))

    at_once(lambda: change(0.2), lambda: change(0.3))
    assert len(told) == 1  # v2 takes a while to load, so that both have read the same policy
    assert re.fullmatch(
        r"the policy was changed meanwhile: number \d+ by \S+@\S+ \(.+\); look at it, .*", told[0]
    )
    assert policy_of(served).answering["v2"] in (0.2, 0.3)
    in_force(served, policy_of(served))


def test_requests_that_come_together_are_answered_in_their_order_whoever_answers_them(
    served: Deployment,
) -> None:
    served.traffic(split={"v1": 0.4, "v2": 0.4, "v3": 0.2})
    caller = Caller(served)
    for start in range(0, 300, 50):
        rows = range(start, start + 50)
        replies = caller.ask_together([ROWS[row] for row in rows])
        assert all(rightly_answered(reply, row) for reply, row in zip(replies, rows, strict=True))
        assert {reply.variant for reply in replies} == {"v1", "v2", "v3"}


def test_a_request_that_names_a_version_is_answered_by_that_one_whatever_its_share(
    served: Deployment,
) -> None:
    served.traffic(canary={"v2": 0.5})
    caller = Caller(served)
    for number in (1, 2):
        for _ in range(10):
            reply = caller.send(as_tensors(ROW), path=f"/v2/models/cancer/versions/{number}/infer")
            assert (reply.status, reply.body["model_version"]) == (200, str(number))
            path = f"/v1/models/cancer/versions/{number}:predict"
            assert caller.send({"instances": [ROW]}, path).status == 200
    for path in ("/v2/models/cancer/versions/77/infer", "/v2/models/another/versions/2/infer"):
        headers = {"Authorization": f"Bearer {served.token}"}
        said = httpx.post(f"{served.url}{path}", json=as_tensors(ROW), headers=headers, trust_env=False)
        assert said.status_code == 404


def as_tensors(row: dict[str, float]) -> dict[str, Any]:
    return {"inputs": [{"name": n, "shape": [1], "datatype": "FP64", "data": [v]} for n, v in row.items()]}


# -- who asks -----------------------------------------------------------------------------------------------------

WAYS = {
    "a header": ("user_id", lambda caller, row, key: caller.ask(ROWS[row], X_User_Id=key)),
    "a header by its own name": ("X-User-Id", lambda caller, row, key: caller.ask(ROWS[row], X_User_Id=key)),
    "a column beside the contract": (
        "user_id", lambda caller, row, key: caller.ask({**ROWS[row], "user_id": key}),
    ),
    "such a column of rows as a table": (
        "user_id",
        lambda caller, row, key: caller.send(
            {"columns": [*X.columns, "user_id"], "data": [[*ROWS[row].values(), key]]}
        ),
    ),
    "a column of the contract": ("mean texture", lambda caller, row, key: caller.ask(ROWS[row])),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_caller_stays_on_one_variant_on_every_worker_and_comes_to_the_one_that_grows(
    served: Deployment, way: str
) -> None:
    sticky, ask = WAYS[way]
    rows = X.drop_duplicates("mean texture").index.tolist()[:250]
    callers = callers_of_every_worker(served, ROW, 2, each=1)
    chosen: dict[float, dict[int, str]] = {}
    for share in (0.1, 0.4):
        served.traffic(canary={"v2": share}, sticky=sticky)
        chosen[share] = {}
        for row in rows:
            replies = [ask(caller, row, f"user {row}") for caller in callers]
            assert all(rightly_answered(reply, row) for reply in replies)
            (chosen[share][row],) = {reply.variant for reply in replies}
        low, high = binom.ppf([1e-5, 1 - 1e-5], len(rows), share)  # the digests of the bundles decide
        assert low <= Counter(chosen[share].values())["v2"] <= high
    assert [row for row in rows if chosen[0.1][row] == "v2" and chosen[0.4][row] != "v2"] == []


def test_header_and_column_of_one_caller_come_to_the_same_variant_and_nobodys_requests_to_any(
    served: Deployment,
) -> None:
    served.traffic(split={"v1": 0.5, "v2": 0.5}, sticky="user_id")
    caller = Caller(served)
    for number in range(40):
        by_header = caller.ask(ROW, user_id=f"u{number}")
        assert caller.ask({**ROW, "user_id": f"u{number}"}).variant == by_header.variant
        said = caller.send(as_tensors(ROW), path="/v2/models/cancer/infer", user_id=f"u{number}")
        assert (said.status, said.body["model_version"]) == (200, by_header.variant.removeprefix("v"))
    assert {caller.ask(ROW).variant for _ in range(40)} == {"v1", "v2"}
    assert {caller.ask({**ROW, "user_id": None}).variant for _ in range(40)} == {"v1", "v2"}
    logged = [entry for entry in entries(served, "predictions") if b"user_id" in entry.request]
    assert logged == []  # what the model does not know is not in the log either


def entries(deployment: Deployment, log: str) -> list[Any]:
    time.sleep(0.2)  # what waits in memory is written by then
    return list(Logbook(folder_of(deployment) / "state" / log).entries())


@pytest.mark.parametrize("canary", [0.5, None])
def test_rows_of_two_callers_in_one_request_are_refused_in_one_line(
    served: Deployment, canary: float | None
) -> None:
    served.traffic(sticky="user_id", **({"canary": {"v2": canary}} if canary else {}))
    first, second = {**ROW, "user_id": "Ada"}, {**ROW, "user_id": "Bob"}
    for caller in callers_of_every_worker(served, ROW, 2) if canary is None else [Caller(served)]:
        for body in (
            {"rows": [first, first, second]},
            {"columns": [*X.columns, "user_id"], "data": [[*first.values()], [*second.values()]]},
        ):
            reply = caller.send(body)
            assert reply.status == 400
            assert reply.body["error"] == (
                "rows of several 'user_id' in one request, such as 'Ada' and 'Bob'; "
                "send the rows of each one by themselves"
            )
        assert rightly_answered(caller.ask(first, first), 0, 0)


def test_what_is_wrong_with_a_request_is_told_also_where_its_caller_is_looked_for(served: Deployment) -> None:
    served.traffic(canary={"v2": 0.5}, sticky="user_id")
    caller = Caller(served)
    for body, status, told in (
        (b"{]}", 400, "not a request"),
        (b"[]", 400, "not a request"),
        ({"rows": []}, 400, "no rows"),
        ({"rows": [1]}, 400, "not a request"),
        ({"rows": [{"user_id": "Ada"}]}, 422, "'mean radius': the column is missing"),
        (
            {"rows": [{**ROW, "user_id": "Ada", "mean radius": "big"}]},
            422,
            "text 'big' where a number belongs",
        ),
        ({"rows": [{**ROW, "user_id": "Ada", "mean radius": 10**40}]}, 200, ""),
        ({"columns": ["user_id"], "data": [["Ada"], ["Ada", 1]]}, 400, "row 1 has"),
    ):
        reply = caller.send(body)
        assert reply.status == status, reply
        assert told in reply.body.get("error", "")
    assert Caller(served, token="wrong").ask({**ROW, "user_id": "Ada"}).status == 401


# -- who comes and goes -------------------------------------------------------------------------------------------


def test_variants_come_and_go_without_a_restart_and_without_a_failed_request(served: Deployment) -> None:
    before = [process.pid for process in server_processes(served)]
    with Load(served, ROWS) as load:
        served.traffic(canary={"v2": 0.3})
        served.traffic(split={"v1": 0.4, "v2": 0.3, "v3": 0.3})
        time.sleep(0.5)
        assert {"v1", "v2", "v3"} <= set(load.shares())
        shown = served.traffic(promote="v2", shadow="v1")
        promoted = time.monotonic()
        assert [process.pid for process in server_processes(served)] == before
        assert served.status().health == modelyard.yard().health["cancer"].health == "ready"
        assert str(shown) == "traffic of 'cancer': v2 100%, shadow v1"
        # v3 has nothing to do any more, and is let go
        folder = folder_of(served)
        assert eventually(lambda: all("v3" not in w.loaded for w in workers.living(folder)))
        assert eventually(lambda: not children_of(served))
    assert (load.refused, load.lost) == ([], [])
    assert set(load.shares(since=promoted)) == {"v2"}
    assert [process.pid for process in server_processes(served)] == before


def children_of(deployment: Deployment) -> list[psutil.Process]:
    """Return the processes in which the workers' models run."""
    found = []
    for process in server_processes(deployment):
        for child in process.children():
            try:
                if "modelyard_runtime.child" in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
    return found


@pytest.mark.thorough
def test_a_variant_that_did_not_load_is_taken_once_what_it_lacked_is_there(
    served: Deployment, place: Path
) -> None:
    with pytest.raises(DeploymentError, match=r"v4 does not load: .*RuntimeError: what it needs is away"):
        served.traffic(canary={"v4": 0.5})
    assert eventually(lambda: served.traffic().routed.failed == {})
    (place / "away").unlink()
    try:
        assert served.traffic(canary={"v4": 0.5}).policy.answering == {"v1": 0.5, "v4": 0.5}
    finally:
        (place / "away").touch()
    caller = Caller(served)
    assert {caller.ask(ROW).variant for _ in range(40)} == {"v1", "v4"}


# -- shadows ------------------------------------------------------------------------------------------------------


def test_a_shadow_changes_no_answer_and_where_it_differs_is_counted_and_kept(served: Deployment) -> None:
    caller = Caller(served)
    for row in range(50):  # before there was a shadow: not compared
        caller.ask(ROWS[row])
    time.sleep(0.2)
    before = served.traffic(shadow="v2").routed.seen["v2"]
    kept = len(entries(served, "shadow"))
    time.sleep(0.5)
    for row in range(300):
        assert rightly_answered(reply := caller.ask(ROWS[row]), row)
        assert reply.variant == "v1"

    def seen() -> tuple[float, float]:
        now = served.traffic().routed.seen["v2"]
        return now.compared - before.compared, now.differing - before.differing

    assert eventually(lambda: seen()[0] >= 300)
    assert seen() == (300, sum(ELSEWHERE[:300]))
    differing = entries(served, "shadow")[kept:]
    assert len(differing) == sum(ELSEWHERE[:300])
    for entry in differing:
        both = json.loads(entry.answer)
        assert (both["answer"]["variant"], both["shadow"]["variant"]) == ("v1", "v2")
        assert both["answer"]["predictions"] != both["shadow"]["predictions"]
        (asked,) = json.loads(entry.request)["rows"]
        assert both["shadow"]["predictions"] == [ANSWERS["v2"][ROWS.index(asked)]]
    assert {reply["variant"] for reply in served.answers(X.head(3))} == {"v1"}


@pytest.mark.thorough
def test_what_was_answered_while_there_was_no_shadow_is_not_compared_later(served: Deployment) -> None:
    caller = Caller(served)
    before = served.traffic(shadow="v2").routed.seen["v2"].compared
    time.sleep(0.5)
    caller.ask(ROW)
    assert eventually(lambda: served.traffic().routed.seen["v2"].compared == before + 1)
    served.traffic(shadow=())
    time.sleep(0.5)
    for _ in range(100):
        caller.ask(ROW)
    time.sleep(0.2)
    served.traffic(shadow="v2")
    time.sleep(0.5)
    for _ in range(10):
        caller.ask(ROW)
    assert eventually(lambda: served.traffic().routed.seen["v2"].compared >= before + 11)
    time.sleep(0.5)
    assert served.traffic().routed.seen["v2"].compared == before + 11


def test_a_shadow_that_fails_is_slow_or_dies_holds_nobody_up(served: Deployment) -> None:
    before = served.traffic(shadow="v3").routed.seen["v3"]
    time.sleep(0.5)
    moods = [{**ROW, "mean radius": mood} for mood in (RAISES, SLEEPS, ENDS)]
    with Load(served, [*ROWS[:3], *moods], callers=2) as load:
        time.sleep(3)
    assert (load.refused, load.lost) == ([], [])
    assert set(load.shares()) == {"v1"}
    took = np.array([reply.answered - reply.asked for reply in load.replies])
    assert np.quantile(took, 0.99) < 0.05  # of which a single sleep would be twice as much

    def seen() -> tuple[float, float]:
        now = served.traffic().routed.seen["v3"]
        return now.compared - before.compared, now.differing - before.differing

    assert eventually(lambda: seen()[1] >= 3, 30)
    assert seen()[0] > seen()[1] > 0
    assert counted(served, "v1", 500, 503) == 0


@pytest.mark.thorough
def test_a_shadow_that_does_not_load_is_told_and_the_other_one_is_compared(served: Deployment) -> None:
    before = served.traffic(shadow=["v4", "v2"]).routed.seen["v2"].compared
    time.sleep(0.5)
    caller = Caller(served)
    for row in range(20):
        assert rightly_answered(caller.ask(ROWS[row]), row)
    assert eventually(lambda: served.traffic().routed.seen["v2"].compared == before + 20, 20)
    shown = served.traffic()
    assert "what it needs is away" in (shown.routed.failed or {})["v4"]
    assert any(note.startswith("v4 could not be loaded: ") for note in shown.notes())
    assert served.traffic(shadow="v2").routed.failed == {} or eventually(
        lambda: served.traffic().routed.failed == {}
    )


@pytest.mark.thorough
def test_a_process_that_compares_and_is_killed_is_replaced_and_goes_on_where_it_was(
    served: Deployment,
) -> None:
    caller = Caller(served)
    before = served.traffic(shadow="v2").routed.seen["v2"].compared

    def compared() -> float:
        return float(served.traffic().routed.seen["v2"].compared - before)

    time.sleep(0.3)
    for row in range(100):
        caller.ask(ROWS[row])
    assert eventually(lambda: compared() == 100)
    (comparer,) = comparers_of(served)
    comparer.kill()
    for row in range(100):
        assert rightly_answered(caller.ask(ROWS[row]), row)
    assert eventually(lambda: compared() == 200)
    served.traffic(shadow=())
    assert eventually(lambda: not comparers_of(served))


def comparers_of(deployment: Deployment) -> list[psutil.Process]:
    found = []
    for process in server_processes(deployment):
        for child in process.children():
            try:
                if "modelyard_router.comparing" in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
    return found


# -- labels that come later ---------------------------------------------------------------------------------------


def test_a_label_counts_for_the_variant_that_had_answered_and_the_later_word_counts(
    served: Deployment,
) -> None:
    served.traffic(split={"v1": 0.5, "v2": 0.5})
    caller = Caller(served)
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    def say(reply: Reply, *labels: int | None) -> None:
        assert caller.send({"id": reply.body["id"], "labels": labels}, path="/feedback").status == 202

    for row in range(0, 200, 2):
        reply = caller.ask(ROWS[row], ROWS[row + 1])
        truth = int(y[row])
        if row % 20 == 0:
            say(reply, 1 - truth, 1 - truth)  # a mistake, taken back below
        say(reply, truth, None)  # of the second row nobody knows yet
        right[reply.variant] += reply.body["predictions"][0] == truth
        seen[reply.variant] += 1
    caller.send({"id": "of nobody", "labels": [1]}, path="/feedback")
    caller.ask(ROW)  # of this one nobody ever says anything
    time.sleep(0.2)
    found = served.traffic().verdict
    assert found is not None
    assert {name: (arm.successes, arm.trials) for name, arm in found.arms.items()} == {
        name: (right[name], seen[name]) for name in ("v1", "v2")
    }
    by_label = served.traffic(outcome="label").verdict
    assert by_label is not None
    truths = sum(int(y[row]) for row in range(0, 200, 2))
    assert sum(arm.successes for arm in by_label.arms.values()) == truths
    served.traffic(rollback=True)
    assert served.traffic().verdict == found  # it is over, and still to be seen


# -- rollouts -----------------------------------------------------------------------------------------------------


def test_a_rollout_advances_and_promotes_by_itself(served: Deployment) -> None:
    with Load(served, ROWS) as load:
        first = served.traffic(canary="v2", steps=[0.1, 0.5, 1], every=1, least=20)
        assert first.policy.answering == {"v1": 0.9, "v2": 0.1}
        assert "v2 is rolled out, step 1 of 3, which waits for" in str(first)
        assert eventually(
            lambda: any(n.startswith("guards: errors 0% (<1%)") for n in served.traffic().notes()), 1
        )
        last = served.traffic(watch=30)
    assert (load.refused, load.lost) == ([], [])
    assert str(last) == f"traffic of 'cancer': v2 100%; {last.policy.why}"
    steps = [
        policy for policy in last.history if policy.by == "rollout" and policy.number > first.policy.number
    ]
    assert [policy.answering for policy in steps] == [{"v1": 0.5, "v2": 0.5}, {"v2": 1.0}, {"v2": 1.0}]
    assert [policy.why for policy in steps] == [
        "v2 from 10% to 50%: errors 0%, crashes 0",
        "v2 from 50% to 100%: errors 0%, crashes 0",
        "v2 is promoted: errors 0%, crashes 0",
    ]
    assert (last.policy.control, last.policy.before) == ("v2", "v1")
    assert last.policy.rollout is not None
    assert last.policy.rollout.state == "finished"
    assert served.traffic(rollback=True).policy.answering == {"v1": 1.0}
    assert {Caller(served).ask(ROW).variant for _ in range(20)} == {"v1"}


def with_moods(mood: float, share: float) -> Callable[[Any], dict[str, float]]:
    """Return what draws rows of the table, of which a share has a mood."""
    return lambda chance: {
        **chance.choice(ROWS),
        **({"mean radius": mood} if chance.random() < share else {}),
    }


@pytest.mark.parametrize(
    ("candidate", "guard", "rows", "told"),
    [
        ("v3", "errors<1%", with_moods(RAISES, 0.1), r"errors \d+(\.\d+)?% is not <1%"),
        ("v2", "disagreement<1%", ROWS, r"disagreement \d+(\.\d+)?% is not <1%"),
        ("v3", "p99<20ms", with_moods(SLEEPS, 0.1), r"p99 \d+(\.\d+)?ms is not <20ms"),
    ],
)
def test_a_broken_guard_rolls_back_at_once_and_says_why(
    served: Deployment, candidate: str, guard: str, rows: Any, told: str
) -> None:
    failed = counted(served, "v1", 500, 503)
    with Load(served, rows) as load:
        served.traffic(canary=candidate, steps=[0.5, 1], every=120, guard=guard)
        last = served.traffic(watch=30)
        over = time.monotonic()
        time.sleep(0.5)
    assert last.policy.answering == {"v1": 1.0}
    said = re.fullmatch(
        rf"{candidate} is rolled back: {told}, at 50% \(step 1 of 2, (?P<seen>\d+) requests\)",
        last.policy.why,
    )
    assert said is not None, last.policy.why
    assert int(said["seen"]) < 1000
    assert last.policy.by == "rollout"
    assert last.policy.rollout is not None
    assert last.policy.rollout.state == "rolled back"
    assert [r.status for r in load.replies if r.asked > over and r.status != 200] == []
    assert set(load.shares(since=over)) == {"v1"}
    assert counted(served, "v1", 500, 503) == failed
    assert load.lost == []


@pytest.mark.thorough
def test_a_candidate_whose_process_is_killed_again_and_again_is_rolled_back_and_the_control_goes_on(
    served: Deployment,
) -> None:
    failed, answered = counted(served, "v1", 500, 503), counted(served, "v1", 200)
    with Load(served, ROWS, callers=6) as load:
        served.traffic(canary="v3", steps=[0.3, 1], every=120)
        deadline = time.monotonic() + 30
        while policy_of(served).is_rolling and time.monotonic() < deadline:
            for child in children_of(served):
                child.kill()
            time.sleep(0.5)
        over = time.monotonic()
        time.sleep(0.5)
    policy = policy_of(served)
    assert policy.answering == {"v1": 1.0}
    assert re.match(r"v3 is rolled back: errors \d+(\.\d+)?% is not <1%, at 30%", policy.why), policy.why
    assert {reply.status for reply in load.replies} == {200, 503}
    assert counted(served, "v1", 500, 503) == failed
    assert counted(served, "v1", 200) > answered + 100
    assert {reply.status for reply in load.replies if reply.asked > over + 0.2} == {200}
    assert load.lost == []
    took = [r.answered - r.asked for r in load.replies if r.status == 200 and r.variant == "v1"]
    assert np.quantile(took, 0.99) < 0.1


def leader_of(deployment: Deployment) -> psutil.Process:
    """Return the worker that holds the lock, which others open for a moment only."""

    def holds(process: psutil.Process) -> bool:
        return all(
            any(file.path.endswith("leader.lock") for file in process.open_files()) or time.sleep(0.01)
            for _ in range(5)
        )

    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [process for process in server_processes(deployment) if holds(process)]
        return len(found) == 1

    assert eventually(is_there)
    return found[0]


@pytest.mark.parametrize("victim", ["the leader", "another worker"])
def test_a_worker_that_is_killed_costs_what_it_had_in_hand_and_rolls_back_and_the_other_one_leads_on(
    served: Deployment, victim: str
) -> None:
    leader = leader_of(served)
    others = [process for process in server_processes(served) if process.pid != leader.pid]
    with Load(served, ROWS) as load:
        first = served.traffic(canary="v2", steps=[0.5, 1], every=120)
        time.sleep(0.5)
        (leader if victim == "the leader" else others[0]).kill()
        killed = time.time()
        last = served.traffic(watch=10)
        assert last.policy.answering == {"v1": 1.0}
        assert re.match(r"v2 is rolled back: crashes 1 is not <1, at 50%", last.policy.why), last.policy.why
        assert datetime.fromisoformat(last.policy.at).timestamp() < killed + 3
        # it goes on with one worker, and with both when the supervisor has started another one
        served.traffic(canary="v2", steps=[0.5, 1], every=0.5, least=20)
        again = served.traffic(watch=20)
        assert again.policy.why == "v2 is promoted: errors 0%, crashes 0"
        assert leader_of(served).pid == (others[0].pid if victim == "the leader" else leader.pid)
        assert eventually(lambda: len(workers.living(folder_of(served))) == 2, 30)
        time.sleep(0.5)
        assert policy_of(served) == again.policy
    assert first.policy.is_rolling
    assert load.refused == []
    assert len(load.lost) <= load.callers, load.lost


def test_a_rollout_goes_on_where_it_was_after_a_stop_and_after_everything_was_killed(
    served: Deployment,
) -> None:
    first = served.traffic(canary="v2", steps=[0.4, 0.5, 1], every=1, least=100).policy
    time.sleep(0.5)
    caller = Caller(served)
    asked = Counter(caller.ask(row).variant for row in ROWS[:150])
    assert 20 < asked["v2"] < 100
    time.sleep(1.5)
    waits = served.traffic().routed
    assert waits.waits_for == f"{100 - asked['v2']} more requests to v2"

    served.stop()
    assert served.traffic().policy == first
    served.start()
    assert served.traffic().policy == first
    assert served.traffic().routed.waits_for == waits.waits_for  # what was counted is not lost either

    state = open_yard().get("deployment", "cancer").payload["state"]
    everything = [psutil.Process(state["pid"]), *psutil.Process(state["pid"]).children(recursive=True)]
    for process in everything:
        process.kill()
    psutil.wait_procs(everything, timeout=10)
    assert served.traffic().policy == first
    assert served.status().health == "down"
    served.start()
    assert served.traffic().policy == first
    assert served.traffic().routed.waits_for == waits.waits_for
    with Load(served, ROWS) as load:
        last = served.traffic(watch=30)
    assert last.policy.why == "v2 is promoted: errors 0%, crashes 0"
    assert (load.refused, load.lost) == ([], [])


# -- what cannot be -----------------------------------------------------------------------------------------------

CANNOT_BE: tuple[tuple[dict[str, Any], type[ModelyardError], str], ...] = (
    ({"split": {"v1": 0.5, "v2": 0.4}}, UsageError, r"the shares add up to 90%, not to 100%: v1=50%, v2=40%"),
    ({"split": {"v1": 1.5, "v2": -0.5}}, UsageError, r"a share is between 0% and 100%, found v1=150%"),
    ({"split": {}}, UsageError, r"split .*v1=50%"),
    ({"canary": {"v2": 0.8, "v3": 0.5}}, UsageError, r"shares add up to 130%; together .* at most 100%"),
    ({"canary": {"v2": -0.1}}, UsageError, r"shares add up to -10%"),
    ({"canary": {"v2": float("nan")}}, UsageError, r"share"),
    ({"canary": {"v1": 0.1}}, UsageError, r"v1 is the control, which gets the rest"),
    ({"canary": "v2"}, UsageError, r"how much for v2\? type --canary v2=10%"),
    ({"canary": {"v99": 0.1}}, UnknownNameError, r"no variant 'v99': .*cancer"),
    ({"canary": {"banana": 0.1}}, UnknownNameError, r"no variant 'banana': a variant is named vN"),
    ({"promote": "v99"}, UnknownNameError, r"no variant 'v99'"),
    ({"shadow": "v99"}, UnknownNameError, r"no variant 'v99'"),
    (
        {"canary": {"v5": 0.1}}, ContractError,
        r"cancer:5 takes other rows than cancer:1: it has no column 'mean radius'; it wants a column 'mean smoothness'",
    ),
    ({"shadow": "v1"}, UsageError, r"v1 answers requests; a shadow does not"),
    ({"canary": {"v2": 0.1}, "shadow": "v2"}, UsageError, r"v2 answers requests; a shadow does not"),
    ({"promote": "v1"}, UsageError, r"v1 answers everything already"),
    ({"rollback": True}, UsageError, r"nothing to roll back to: v1 answers everything"),
    ({"canary": {"v2": 0.1}, "promote": "v2"}, UsageError, r"canary and promote exclude one another"),
    ({"steps": [0.1, 1]}, UsageError, r"steps belong to a canary: --canary v2 --steps"),
    ({"guard": "errors<1%"}, UsageError, r"a guard watches a rollout; give its --steps too"),
    ({"canary": "v1", "steps": [0.1, 1]}, UsageError, r"v1 is the control already"),
    ({"canary": {"v2": 0.1}, "steps": [0.1, 1]}, UsageError, r"the steps say how much v2 gets"),
    ({"canary": {"v2": None, "v3": None}, "steps": [1]}, UsageError, r"a rollout has one candidate, found 2"),
    ({"canary": "v2", "steps": []}, UsageError, r"steps rise from above 0% to at most 100%, found none"),
    ({"canary": "v2", "steps": [0.5, 0.1]}, UsageError, r"steps rise .*, found 50%,10%"),
    ({"canary": "v2", "steps": [0.5, 0.5]}, UsageError, r"steps rise .*, found 50%,50%"),
    ({"canary": "v2", "steps": [0.5, 1.5]}, UsageError, r"steps rise .*, found 50%,150%"),
    ({"canary": "v2", "steps": [1], "every": 0}, UsageError, r"a step lasts longer than 0 s"),
    ({"canary": "v2", "steps": [1], "least": 0}, UsageError, r"a step needs at least 1 request, found 0"),
    ({"canary": "v2", "steps": [1], "guard": "speed<1%"}, UsageError, r"no metric 'speed' to guard; there: errors"),
    ({"canary": "v2", "steps": [1], "guard": "errors<1"}, UsageError, r"'errors<1' has the wrong unit; type errors<1%"),
    ({"canary": "v2", "steps": [1], "guard": "p99<5%"}, UsageError, r"'p99<5%' has the wrong unit; type p99<20ms"),
    ({"canary": "v2", "steps": [1], "guard": "errors"}, UsageError, r"a guard is METRIC<LIMIT, .*; found 'errors'"),
    ({"canary": "v2", "steps": [1], "guard": "errors<0%"}, UsageError, r"nothing is below 0"),
    ({"outcome": "corect"}, UsageError, r"an outcome is correct or label, found 'corect' \(did you mean 'correct'"),
)  # fmt: skip


def test_what_cannot_be_is_one_line_and_changes_nothing(served: Deployment) -> None:
    before = policy_of(served)
    for changes, kind, told in CANNOT_BE:
        with pytest.raises(kind, match=told) as raised:
            served.traffic(**changes)
        assert "\n" not in str(raised.value)
        assert policy_of(served) == before, changes
    with pytest.raises(UnknownNameError, match=r"no deployment named 'nothing'"):
        modelyard.traffic("nothing")
    assert {reply["variant"] for reply in served.answers(X)} == {"v1"}


def test_a_running_rollout_is_not_changed_but_ended(served: Deployment) -> None:
    before = served.traffic(canary="v2", steps=[0.2, 1], every=600).policy
    for changes in (
        {"canary": {"v2": 0.5}},
        {"canary": "v2", "steps": [1]},
        {"split": {"v2": 1}},
        {"sticky": "id"},
    ):
        with pytest.raises(
            UsageError, match=r"a rollout of v2 is running \(step 1 of 2\); wait for its end, or"
        ):
            served.traffic(**changes)
        assert policy_of(served) == before
    assert served.traffic(shadow="v3").policy.is_rolling
    assert served.traffic(shadow="off").policy.rollout == before.rollout
    back = served.traffic(rollback=True).policy
    assert (back.answering, back.why) == ({"v1": 1.0}, "v2 is rolled back by hand")
    assert back.rollout is not None
    assert back.rollout.state == "rolled back"


INTERRUPTED = """
import modelyard
modelyard.traffic("cancer", canary={"v3": 0.5})
"""


def test_ctrl_c_while_a_variant_is_loaded_changes_nothing(served: Deployment) -> None:
    served.traffic(canary={"v2": 0.5})
    before = policy_of(served)
    notebook = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stderr=subprocess.DEVNULL)
    assert eventually(lambda: policy_of(served).held == ("v3",), 30)
    notebook.send_signal(signal.SIGINT)
    notebook.wait(timeout=20)
    after = policy_of(served)
    assert after.why == "v3 was not taken: KeyboardInterrupt"
    assert (after.answering, after.held, after.variants) == (before.answering, (), before.variants)
    caller = Caller(served)
    assert {caller.ask(ROW).variant for _ in range(30)} == {"v1", "v2"}
    # what had been begun is loaded, finds nothing to do, and goes
    assert eventually(lambda: not children_of(served), 20)


@pytest.mark.thorough
def test_a_worker_that_ends_while_a_variant_is_loaded_ends_that_too(served: Deployment) -> None:
    before, victim = policy_of(served), server_processes(served)[0]

    def kill() -> None:
        assert eventually(lambda: policy_of(served).held == ("v3",), 30)
        victim.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    started = time.monotonic()
    with pytest.raises(DeploymentError, match=r"v3 does not load: a worker ended meanwhile"):
        served.traffic(canary={"v3": 0.5})
    killing.join()
    assert time.monotonic() - started < 60  # and not the two minutes that a variant may take
    after = policy_of(served)
    assert (after.answering, after.held, after.variants) == (before.answering, (), before.variants)
    assert eventually(lambda: len(workers.living(folder_of(served))) == 2, 30)
    assert served.traffic(canary={"v3": 0.5}).policy.answering == {"v1": 0.5, "v3": 0.5}


@pytest.mark.thorough
def test_an_endpoint_of_an_earlier_version_says_what_to_type(served: Deployment) -> None:
    policy = folder_of(served) / "policy.json"
    policy.rename(policy.with_suffix(".away"))
    try:
        for changes in ({}, {"canary": {"v2": 0.1}}):
            with pytest.raises(DeploymentError, match=r"by an earlier version; type %deploy NAME --replace"):
                served.traffic(**changes)
        assert served.status().health == "ready"
        assert rightly_answered(Caller(served).ask(ROW), 0)
    finally:
        policy.with_suffix(".away").rename(policy)


@pytest.fixture
def own_disk(place: Path) -> Iterator[Path]:
    """Give the deployments of this test a disk of their own with room for a few."""
    with small_disk(place / "small" / ".modelyard" / "deployments", "32m") as folder:
        yield folder


def test_on_a_full_disk_the_policy_of_before_stays_in_force_and_nothing_is_left_of_the_other(
    own_disk: Path, bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_disk.parents[1])
    made = modelyard.deploy(bundles["v1"], to="local", name="full")
    assert isinstance(made, Deployment)
    try:
        before = made.traffic(canary={"v2": 0.5})
        filler = fill(own_disk)
        page = filler.stat().st_size - 4096
        for changes, told in (
            (
                {"split": {"v1": 1.0}},
                r"the policy cannot be written, the one before is in force: .*No space left",
            ),
            ({"canary": {"v3": 0.1}}, r"cancer:3 cannot be copied into the deployment: .*No space left"),
            (
                {"rollback": True},
                r"the policy cannot be written",
            ),  # there is room for its copy in the history alone
        ):
            if "rollback" in changes:
                os.truncate(filler, page)
            with pytest.raises(DeploymentError, match=told) as raised:
                made.traffic(**changes)
            assert "\n" not in str(raised.value)
            shown = made.traffic()
            assert (shown.policy, shown.history) == (before.policy, before.history)
            assert len(list((own_disk / "full" / "state" / "policies").iterdir())) == before.policy.number
            assert [path for path in own_disk.rglob("*.new")] == []
        caller = Caller(made)
        assert {caller.ask(ROW).variant for _ in range(30)} == {"v1", "v2"}
        filler.unlink()
        assert made.traffic(rollback=True).policy.number == before.policy.number + 1
        assert {caller.ask(ROW).variant for _ in range(30)} == {"v1"}
    finally:
        made.remove()


# -- what is told -------------------------------------------------------------------------------------------------


def test_metrics_of_several_variants_are_prometheus_text_and_the_yard_says_ready(served: Deployment) -> None:
    before = served.traffic(split={"v1": 0.5, "v2": 0.5}, shadow="v3").routed.seen["v3"].compared
    time.sleep(0.5)
    caller = Caller(served)
    for row in range(60):
        caller.ask(ROWS[row])
    assert eventually(lambda: served.traffic().routed.seen["v3"].compared >= before + 60)
    text = metrics_of(served)
    types = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(types) == len(set(types))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    weights = {s.labels["variant"]: s.value for s in families["modelyard_weight"].samples}
    assert weights == {"v1": 0.5, "v2": 0.5, "v3": 0.0}
    assert families["modelyard_policy"].samples[0].value == policy_of(served).number
    for name in ("modelyard_requests", "modelyard_rows", "modelyard_predict_seconds"):
        assert {"v1", "v2"} <= {sample.labels["variant"] for sample in families[name].samples}
    assert {s.labels["variant"] for s in families["modelyard_compared_rows"].samples} == {"v3"}
    for name, family in families.items():
        labelled = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(labelled) == len(set(labelled)), name
    assert served.status().health == modelyard.yard().health["cancer"].health == "ready"
    page = httpx.get(f"{served.url}/readyz", trust_env=False).json()
    assert (page["policy"], page["variants"]) == (policy_of(served).number, ["v1", "v2"])


@pytest.mark.thorough
def test_a_replacement_keeps_the_history_and_one_that_fails_adds_nothing_to_it(
    bundles: dict[str, Bundle],
) -> None:
    made = modelyard.deploy(bundles["v1"], to="local", name="again")
    assert isinstance(made, Deployment)
    try:
        made.traffic(canary={"v2": 0.5})
        before = made.traffic()
        with pytest.raises(DeploymentError, match=r"no answer after"):
            modelyard.deploy(bundles["v2"], to="local", name="again", replace=True, timeout=0.1)
        after = made.traffic()
        assert (after.policy, after.history) == (before.policy, before.history)
        assert {answer["variant"] for _ in range(30) for answer in made.answers(X.head(1))} == {"v1", "v2"}

        replaced = modelyard.deploy(bundles["v2"], to="local", name="again", replace=True)
        assert isinstance(replaced, Deployment)
        shown = replaced.traffic()
        assert shown.policy.answering == {"v2": 1.0}
        assert shown.policy.why == "cancer:2 is deployed"
        assert shown.history[: len(before.history)] == before.history
        assert shown.history[-1] == shown.policy
        assert shown.policy.number > before.policy.number
        following = replaced.traffic(canary={"v1": 0.5})
        assert following.policy.number > shown.policy.number
        assert {answer["variant"] for _ in range(30) for answer in made.answers(X.head(1))} == {"v1", "v2"}
    finally:
        made.remove()
