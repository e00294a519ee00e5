"""Local deployments that are meant to run are kept running by the Lab server: real endpoints, really killed."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from endpoints import eventually
from modelyard.catalog import Record, open_yard
from modelyard.errors import UsageError
from modelyard.targets import Deployment
from modelyard.targets.processes import MARK
from modelyard_lab.acts import roll_back, start, stop
from modelyard_lab.health import Health
from modelyard_lab.metrics import Meter, parsed, sampled
from modelyard_lab.rounds import Rounds
from modelyard_lab.supervision import Supervisor, delay_s, revived
from modelyard_lab.workspace import Workspace
from modelyard_router.policy import PolicyFile
from people import a_place_of_its_own

pytestmark = pytest.mark.alone

X, y = load_breast_cancer(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the module's place, where its deployment is."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))


@pytest.fixture(scope="module")
def endpoint(place: Path) -> Iterator[Deployment]:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
    made = modelyard.deploy(modelyard.package(model, X, y, name="cancer"), to="local")
    assert isinstance(made, Deployment)
    yield made
    made.remove()


class HeardBus:
    """Keeps what the page would be told."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.is_closed = False

    def tell(self, event: Mapping[str, Any]) -> None:
        self.heard.append(event)

    def of(self, what: str) -> list[Mapping[str, Any]]:
        return [event for event in self.heard if event["what"] == what]


@contextmanager
def lab_server(place: Path) -> Iterator[tuple[Rounds, HeardBus]]:
    """What a Lab server does in the background, until the block ends."""
    bus = HeardBus()
    rounds = Rounds(Workspace(place), bus, logging.getLogger("test"))  # type: ignore[arg-type]
    rounds.start()
    try:
        yield rounds, bus
    finally:
        rounds.stop()


def processes_of(endpoint: Deployment) -> list[psutil.Process]:
    folder = str(open_yard().deployment_folder(endpoint.name))
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == folder:
                found.append(process)
    return found


def kill(endpoint: Deployment) -> list[int]:
    """Kill every process of an endpoint, as a machine without memory does."""
    killed = processes_of(endpoint)
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(killed, timeout=10)
    return [process.pid for process in killed]


def is_ready(endpoint: Deployment) -> bool:
    return endpoint.status().health == "ready"


def test_what_was_killed_answers_again_once_though_two_servers_saw_it_and_both_say_how_it_does(
    endpoint: Deployment, place: Path
) -> None:
    with lab_server(place) as (first, heard_first), lab_server(place) as (second, heard_second):
        assert eventually(lambda: first.board.of("cancer").health == "ready", 20)
        assert eventually(lambda: second.board.of("cancer").health == "ready", 20)

        killed = kill(endpoint)

        assert killed
        assert eventually(lambda: heard_first.of("restarted") + heard_second.of("restarted") != [], 40)
        assert is_ready(endpoint)
        assert (endpoint.predict(X.head(3)) == y.head(3)).all()
        assert eventually(lambda: first.board.of("cancer").health == "ready", 20)
        assert eventually(lambda: second.board.of("cancer").health == "ready", 20)
        assert len(heard_first.of("restarted") + heard_second.of("restarted")) == 1
        assert first.supervisor.told("cancer")["restarts"] + second.supervisor.told("cancer")["restarts"] == 1
        state = open_yard().get("deployment", "cancer").payload["state"]
        assert state["pid"] not in killed
        assert psutil.pid_exists(state["pid"])


def test_what_was_stopped_on_purpose_stays_stopped_and_the_second_stop_says_so(
    endpoint: Deployment, place: Path
) -> None:
    with lab_server(place) as (rounds, bus):
        assert eventually(lambda: rounds.board.of("cancer").health == "ready", 20)
        said: list[str] = []
        tabs = [
            threading.Thread(target=lambda: said.append(stop(open_yard(), "cancer").message))
            for _ in range(2)
        ]
        for tab in tabs:
            tab.start()
        for tab in tabs:
            tab.join()

        assert sorted(said) == ["cancer is already stopped", "cancer is stopped"]
        rounds.board.hurry("cancer")
        assert eventually(lambda: rounds.board.of("cancer").health == "stopped", 20)
        assert not revived(open_yard(), "cancer")
        assert bus.of("restarted") == []
        assert start(open_yard(), "cancer").message == f"cancer answers at {endpoint.url}"
        assert start(open_yard(), "cancer").message == "cancer already answers"
        assert eventually(lambda: rounds.board.of("cancer").health == "ready", 20)


def test_figures_are_read_with_the_users_token_and_are_rates_of_the_last_minute(
    endpoint: Deployment, place: Path
) -> None:
    yard = open_yard()
    record = yard.get("deployment", "cancer")
    meter = Meter()
    before = sampled(yard, record)
    meter.take(before)
    for _ in range(5):
        endpoint.predict(X.head(2))
    refused = httpx.post(
        f"{endpoint.url}/predict", json={"rows": [{}]}, headers={"Authorization": f"Bearer {endpoint.token}"}
    )
    assert refused.status_code == 422
    after = sampled(yard, record)
    meter.take(msgspec_later(after, before, 10.0))

    told = meter.told()

    assert told["variants"].keys() == {"v1"}
    assert told["total"]["requests_per_s"] == pytest.approx(0.6)
    assert told["total"]["errors_per_s"] == 0
    assert told["total"]["refused"] >= 1
    assert told["total"]["p50_ms"] <= told["total"]["p95_ms"]
    assert endpoint.token not in str(told)


def msgspec_later(sample: Any, first: Any, seconds: float) -> Any:
    """The same counts, as if they had been read so long after the first ones."""
    return type(sample)(first.at + seconds, sample.variants)


def test_a_canary_is_rolled_back_from_the_page_and_the_second_time_there_is_nothing_to_do(
    endpoint: Deployment, place: Path
) -> None:
    other = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(X, y)
    modelyard.package(other, X, y, name="cancer")
    endpoint.traffic(canary={"v2": 0.5})

    done = roll_back(open_yard(), "cancer")

    assert done.message == "cancer: v2 is rolled back by hand"
    assert PolicyFile(open_yard().deployment_folder("cancer")).read().answering == {"v1": 1.0}
    with pytest.raises(UsageError, match="nothing to roll back to: v1 answers everything"):
        roll_back(open_yard(), "cancer")


def test_a_rollout_that_rolls_back_by_itself_is_told(endpoint: Deployment, place: Path) -> None:
    with lab_server(place) as (rounds, bus):
        assert eventually(lambda: rounds.board.of("cancer").health == "ready", 20)
        endpoint.traffic(canary={"v2": None}, steps=(0.5, 1.0), every=60, guard=["p50<5ms"])
        file = PolicyFile(open_yard().deployment_folder("cancer"))
        policy = file.read()
        assert policy.rollout is not None
        # what the endpoint's own worker writes when a guard breaks
        file.write(
            msgspec.structs.replace(
                policy, number=policy.number + 1, by="rollout", why="v2 is rolled back: p50<5ms is broken",
                weights={"v1": 1.0}, rollout=msgspec.structs.replace(policy.rollout, state="rolled back"),
            )
        )  # fmt: skip
        assert eventually(lambda: bus.of("rolled-back") != [])

    assert bus.of("rolled-back") == [
        {"what": "rolled-back", "name": "cancer", "detail": "v2 is rolled back: p50<5ms is broken"}
    ]


def test_attempts_become_rarer_and_are_forgotten_once_it_is_well(
    endpoint: Deployment, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [delay_s(attempts) for attempts in range(5)] == [0, 1, 2, 4, 8]
    assert delay_s(1000) == 300
    yard = open_yard()
    record = yard.get("deployment", "cancer")
    # another deployment's record, whose port this one has by now
    state = record.payload["state"] | {"folder": str(yard.deployment_folder("stuck")), "digest": "x"}
    stranger = yard.record("deployment", "stuck", record.payload | {"state": state})
    told: list[tuple[str, bool, str]] = []
    clock = [0.0]
    supervisor = Supervisor(lambda *words: told.append(words), lambda: clock[0])

    def look(times: int) -> int:
        for _ in range(times):
            supervisor.look(yard, stranger, Health("down", ""))
            _quiet()
        return len(told)

    try:
        assert look(3) == 1
        assert told[0][:2] == ("stuck", False)
        assert "is taken by something else" in told[0][2]
        clock[0] = 1.5
        assert look(2) == 2
        clock[0] = 3.0
        assert look(2) == 2  # two seconds have not gone by
        clock[0] = 3.6
        assert look(1) == 3
        assert supervisor.told("stuck") == {
            "restarts": 0, "failure": told[-1][2], "next_try_s": 4
        }  # fmt: skip
        supervisor.look(yard, Record("deployment", "stuck", "", {"desired": "stopped"}), Health("down", ""))
        assert supervisor.told("stuck")["failure"] is None
    finally:
        yard.delete("deployment", "stuck")
    assert is_ready(endpoint)  # the one that has the port


def test_a_record_of_another_version_is_tried_as_rarely_as_any_other(
    endpoint: Deployment, place: Path
) -> None:
    yard = open_yard()
    old = yard.record(
        "deployment", "old", {"target": "local", "desired": "running", "state": {"folder": "x"}}
    )
    told: list[tuple[str, bool, str]] = []
    supervisor = Supervisor(lambda *words: told.append(words), lambda: 0.0)
    try:
        for _ in range(3):
            supervisor.look(yard, old, Health("down", ""))
            _quiet()
    finally:
        yard.delete("deployment", "old")

    assert [(name, well) for name, well, _ in told] == [("old", False)]
    assert "another version" in told[0][2]


def _quiet() -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any("_revive" in thread.name for thread in threading.enumerate()):
        time.sleep(0.005)


def test_counters_that_began_anew_and_counters_of_another_kind_are_no_negative_rates() -> None:
    text = (
        "# TYPE modelyard_requests_total counter\n"
        'modelyard_requests_total{{path="/predict",status="200",variant="v1"}} {0}\n'
        '# TYPE modelyard_rows_total counter\nmodelyard_rows_total{{variant="v1"}} {0}\n'
        '# TYPE modelyard_flags_total counter\nmodelyard_flags_total{{column="age",variant="v1"}} {1}\n'
        '# TYPE python_info gauge\npython_info{{version="3"}} 1\n'
    )
    meter = Meter()
    meter.take(parsed(text.format(200, 24), 0.0))
    meter.take(parsed(text.format(260, 30), 30.0))
    assert meter.told()["total"]["requests_per_s"] == 2
    assert meter.told()["total"]["p50_ms"] is None
    assert meter.drift() == "age: 12%"

    meter.take(parsed(text.format(3, 0), 40.0))

    assert meter.told()["total"]["requests_per_s"] is None
    assert meter.told()["total"]["requests"] == 3
    assert meter.drift() is None
    assert Meter().told()["variants"] == {}
