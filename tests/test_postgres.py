"""Studies in a real PostgreSQL: two kernels at once, killed ones taken over, and no password anywhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from clusters import free_port, postgres, postgres_programs, until
from modelyard.catalog import open_yard
from modelyard.errors import UsageError
from modelyard.tuning.storage import AdvisoryLock, open_storage, quiet_optuna, without_secrets
from modelyard.tuning.takeover import OWNER, owning, take_over

pytestmark = pytest.mark.skipif(
    postgres_programs() is None and "CI" not in os.environ,
    reason="PostgreSQL is not installed; type: make postgresql",
)

SCRIPT = """
import os, sys, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Quick(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=0):
        self.depth = depth
    def fit(self, X, y):
        time.sleep(0.05)
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return np.full(len(X), self.classes_[0])

def run(**more):
    from modelyard.tuning import tune
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    space = {"depth": list(range(1, 31))}
    return tune(Quick(), X, y, space, method="random", cv="kfold:2", scoring="accuracy", trials=30, **more)

if __name__ == "__main__":
    if "wait" in sys.argv:
        import modelyard.tuning
        open("ready", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    run(storage=os.environ["STUDIES"], name=sys.argv[1], resume="resume" in sys.argv)
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
def quick(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (project / "quick_far.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(str(project))
    sys.modules.pop("quick_far", None)
    import quick_far

    yield quick_far
    sys.modules.pop("quick_far", None)


def _driven(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:")


def _trials(url: str, name: str) -> list[Any]:
    try:
        with quiet_optuna():
            return list(optuna.load_study(study_name=name, storage=_driven(url)).get_trials(deepcopy=False))
    except KeyError:
        return []


def _started(url: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "quick_far.py", *arguments],
        env={**os.environ, "STUDIES": url},
        stderr=subprocess.PIPE,
    )


def test_a_study_is_kept_there_without_its_password_being_kept_or_shown(
    quick: Any, url: str, capfd: Any
) -> None:
    found = quick.run(storage=url, name="far")
    password = make_url(url).password
    assert password
    assert len(found.trials) == 30
    assert found.storage == make_url(_driven(url)).render_as_string(hide_password=True)
    shown = [
        json.dumps(found._repr_mimebundle_()),
        json.dumps(open_yard().get("study", "far").payload),
        repr(found),
    ]
    shown += list(capfd.readouterr())
    shown += [path.read_text(errors="replace") for path in open_yard().folder.rglob("*") if path.is_file()]
    assert not [text for text in shown if password in text]
    with pytest.raises(
        UsageError, match=r"is kept in postgresql.*:\*\*\*@.*give storage= again, with its password"
    ):
        quick.run(name="far", resume=True)
    again = quick.run(storage=url, name="far", resume=True)
    assert (again.resumed_from, len(again.trials)) == (30, 30)


def test_the_url_may_come_from_the_environment_and_is_remembered_by_its_name(
    quick: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIES", url)
    found = quick.run(storage="env:STUDIES", name="referred")
    assert found.storage == "env:STUDIES"
    assert quick.run(name="referred", resume=True).resumed_from == 30
    monkeypatch.delenv("STUDIES")
    with pytest.raises(UsageError, match="names a variable of the environment that is not set; set STUDIES"):
        quick.run(name="referred", resume=True)


@pytest.mark.thorough
def test_kernels_of_two_projects_share_a_study_without_repeating_a_point(
    quick: Any, url: str, tmp_path: Path
) -> None:
    """Each has a yard of its own, as on two machines: only the database can keep them apart."""
    other = tmp_path / "elsewhere"
    (other / ".modelyard").mkdir(parents=True)
    (other / "quick_far.py").write_text(SCRIPT)
    second = subprocess.Popen(
        [sys.executable, "quick_far.py", "shared", "resume", "wait"],
        cwd=other,
        env={**os.environ, "STUDIES": url},
        stderr=subprocess.PIPE,
    )
    until((other / "ready").exists, what="the second kernel")
    first = _started(url, "shared")
    until(lambda: len(_trials(url, "shared")) >= 1, what="the first trial")
    (other / "go").touch()
    for process in (first, second):
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    trials = _trials(url, "shared")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 30
    assert len({trial.params["depth"] for trial in trials}) == 30
    assert len({trial.user_attrs[OWNER]["pid"] for trial in trials}) == 2


@pytest.mark.thorough
def test_a_killed_kernel_is_resumed_without_loss_or_repeats(quick: Any, url: str) -> None:
    process = _started(url, "killed")
    until(
        lambda: sum(trial.state == TrialState.COMPLETE for trial in _trials(url, "killed")) >= 3,
        what="three trials",
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {
        trial.number: trial.params for trial in _trials(url, "killed") if trial.state == TrialState.COMPLETE
    }
    found = quick.run(storage=url, name="killed", resume=True)
    assert found.resumed_from == len(before)
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    assert len(complete) == complete["params_depth"].nunique() == 30
    after = {trial.number: trial.params for trial in _trials(url, "killed")}
    assert before.items() <= after.items()


def test_the_lock_keeps_out_another_connection_and_is_let_go_when_its_holder_is_cut_off(url: str) -> None:
    with open_storage(open_yard(), url).lock:
        pass
    storage, other = open_storage(open_yard(), url), open_storage(open_yard(), url)
    order: list[str] = []

    def wait() -> None:
        with other.lock:
            order.append("second")

    assert isinstance(storage.lock, AdvisoryLock)
    waiting = threading.Thread(target=wait)
    with storage.lock:
        waiting.start()
        time.sleep(0.5)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]

    waiting = threading.Thread(target=wait)
    storage.lock.__enter__()
    waiting.start()
    with other.backend.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        )
    waiting.join(10)
    assert order == ["first", "second", "second"]
    storage.lock.__exit__()
    with storage.lock:  # a new connection takes the place of the one that was cut off
        pass
    for each in (storage, other):
        each.close()


def test_a_trial_of_another_machine_is_left_alone_while_it_gives_signs_of_life(
    quick: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_storage(open_yard(), url)
    study = optuna.create_study(study_name="signs", storage=place.backend)
    with owning(study) as owner:
        trial = study.ask()
        trial.set_user_attr(OWNER, {**owner.attribute(), "host": "another-machine"})
    assert take_over(study, {}, shared=True) == 0
    assert study.trials[0].state == TrialState.RUNNING
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 400)
    take_over(study, {}, shared=True)
    assert study.trials[0].state == TrialState.FAIL
    place.close()


@pytest.mark.parametrize("address", ["closed", "silent"])
def test_a_database_that_does_not_answer_is_one_line_within_ten_seconds(quick: Any, address: str) -> None:
    with socket.socket() as silent:  # accepts, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1] if address == "silent" else free_port()
        began = time.perf_counter()
        with pytest.raises(
            UsageError, match=r"storage 'postgresql.*cannot be opened: .*; check the URL"
        ) as caught:
            quick.run(storage=f"postgresql://ann:pa55-word@127.0.0.1:{port}/postgres")
    assert time.perf_counter() - began < 10
    assert "\n" not in str(caught.value)
    assert "pa55-word" not in str(caught.value)
    assert open_yard().records("study") == ()


def test_a_wrong_password_is_one_line_that_does_not_repeat_it(quick: Any, url: str) -> None:
    wrong = make_url(url).set(password="wr0ng-one").render_as_string(hide_password=False)
    with pytest.raises(UsageError, match="password authentication failed") as caught:
        quick.run(storage=wrong)
    assert "\n" not in str(caught.value)
    assert "wr0ng-one" not in str(caught.value)


def test_secrets_among_the_options_of_a_url_are_hidden_too() -> None:
    shown = without_secrets(make_url("postgresql://db/studies?user=ann&password=pa55-word&sslpassword=other"))
    assert "pa55-word" not in shown
    assert "other" not in shown
    assert shown.count("***") == 2


@pytest.mark.thorough
def test_a_study_in_the_background_works_there(quick: Any, url: str) -> None:
    run = quick.run(storage=url, name="beside", bg=True)
    found = run.result(timeout=60)
    assert len(found.trials) == 30
    assert np.isfinite(found.best_score)
