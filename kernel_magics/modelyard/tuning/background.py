"""A study that runs beside the cells: ``bg=True``.

It runs in a process of its own and not in a thread: cells keep the whole interpreter, what models print lands in no
cell, and a fit that takes the process down takes no notebook with it. The process ends with the kernel, however
that ends, and the study stays resumable as after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import cloudpickle

from modelyard.catalog import Yard
from modelyard.errors import EngineError, InvalidInputError, UsageError
from modelyard.presentation import Result, Table, number
from modelyard.progress import Tracker, track
from modelyard.tuning.background_process import LENGTH
from modelyard.tuning.study import Study

State = Literal["running", "paused", "stopping", "finished", "failed"]

_MOST_TRIALS = 1_000_000


class StudyRun(Result):
    """A study that runs in the background; alive, unlike other results.

    Attributes
    ----------
    name : str
        The study in the yard and in the storage.
    state : {'running', 'paused', 'stopping', 'finished', 'failed'}
        ``stopping``: the trials that run still end. ``failed``: `result` raises what went wrong.
    done : int
        Trials that are done.
    wanted : int or None
        Trials in all; ``None`` where only time ends the run.
    best : float or None
        The best score so far.
    best_params : dict
        The parameters that have it.
    metric : str
        What is improved.
    direction : {'maximize', 'minimize'}
    history : list of dict
        The trials that ended in this run, in that order: ``number``, ``state`` (``complete``, ``pruned`` or ``failed``)
        and ``value``, which only complete ones have.
    """

    kind: ClassVar[str] = "study-run"

    def __init__(
        self,
        name: str,
        metric: str,
        wanted: int | None,
        request: Mapping[str, Any],
        yard: Yard,
        direction: Literal["maximize", "minimize"] = "maximize",
    ) -> None:
        self.name = name
        self.done = 0
        self.wanted = wanted
        self.best: float | None = None
        self.best_params: dict[str, Any] = {}
        self.metric, self.direction = metric, direction
        self.history: list[dict[str, Any]] = []
        self._yard = yard
        self._state: State = "running"
        self._found: tuple[bool, Any] | None = None
        self._over = threading.Event()
        self._words: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="modelyard-")
        self._place = Path(self._folder.name) / "result"
        self._log = Path(self._folder.name) / "log"
        self._open_track = contextlib.ExitStack()
        content = _pickled((str(self._place), _pickled(dict(request))))
        self._words.put(LENGTH.pack(len(content)) + content)
        self._process = self._started()
        tracker = self._open_track.enter_context(track(f"tuning {name}", wanted, "trial"))
        threading.Thread(target=self._write, daemon=True).start()
        threading.Thread(target=self._listen, args=(tracker,), daemon=True).start()

    @property
    def state(self) -> State:
        return self._state

    def pause(self) -> None:
        """Begin no trial after those that run, until `resume`."""
        self._say("pause")
        if self._state == "running":
            self._state = "paused"

    def resume(self) -> None:
        """Go on after `pause`."""
        self._say("resume")
        if self._state == "paused":
            self._state = "running"

    def stop(self, now: bool = False) -> None:
        """End the run after the trials that run; `result` is what there is by then.

        Parameters
        ----------
        now : bool
            Interrupt those trials as Ctrl-C does: `result` raises InterruptedRunError, and ``resume=True`` tries
            their points again.
        """
        self._say("interrupt" if now else "stop")
        if not self._over.is_set():
            self._state = "stopping"

    def add_trials(self, n: int) -> None:
        """Raise the number of trials of a run that has not ended.

        Raises
        ------
        UsageError
            `n` is no number of trials, or the run has ended.
        """
        if isinstance(n, bool) or not isinstance(n, int) or not 0 < n <= _MOST_TRIALS:
            raise UsageError(f"add_trials wants a whole number from 1 up, found {n!r}; type add_trials(20)")
        self._say(f"add {n}")
        self.wanted = None if self.wanted is None else self.wanted + n

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run has ended, at most `timeout` seconds; whether it has."""
        return self._over.wait(timeout)

    def result(self, timeout: float | None = None) -> Study:
        """Wait for the end, and return the study.

        Raises
        ------
        TimeoutError
            It has not ended after `timeout` seconds.
        InterruptedRunError
            It was stopped at once.
        EngineError
            Its process died; what was finished is kept.
        Exception
            Whatever else `tune` raised.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"study {self.name!r} has not ended after {timeout:g} s")
        assert self._found is not None
        fine, found = self._found
        if fine:
            study: Study = found
            return study
        raise found

    def sentence(self) -> str:
        count = f"{self.done}" if self.wanted is None else f"{self.done} of {self.wanted}"
        best = "" if self.best is None else f", best {self.metric} {number(self.best)}"
        return f"study {self.name} in the background: {self._state}, {count} trials done{best}"

    def table(self) -> Table | None:
        if not self.best_params:
            return None
        return Table(
            ("parameter", "best so far"),
            tuple((name, str(value)) for name, value in self.best_params.items()),
        )

    def payload(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self._state,
            "metric": self.metric,
            "direction": self.direction,
            "done": self.done,
            "wanted": self.wanted,
            "best": self.best,
            "best_params": self.best_params,
        }

    def _started(self) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own: interrupting a cell does not reach it."""
        code = f"import sys; sys.path[:] = {sys.path!r}; from modelyard.tuning.background_process import main; main()"
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def _say(self, word: str) -> None:
        if self._over.is_set():
            raise UsageError(
                f"study {self.name!r} has ended ({self._state}); type modelyard.tune(…, name={self.name!r}, "
                "resume=True, bg=True) to go on with it"
            )
        self._words.put(f"{word}\n".encode())

    def _write(self) -> None:
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(BrokenPipeError):  # the process is gone: its result, or its end, says more
            while (words := self._words.get()) is not None:
                stream.write(words)
                stream.flush()
        with contextlib.suppress(BrokenPipeError):
            stream.close()

    def _listen(self, tracker: Tracker) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            for line in stream:
                self._hear(json.loads(line), tracker)
            self._process.wait()
            self._found = self._read()
        finally:
            self._words.put(None)
            self._state = "finished" if self._found is not None and self._found[0] else "failed"
            if self._found is None:
                self._found = (False, EngineError(f"study {self.name!r} was lost sight of; type resume=True"))
            self._over.set()
            self._open_track.close()
            self._folder.cleanup()

    def _hear(self, facts: Mapping[str, Any], tracker: Tracker) -> None:
        steps = int(facts["done"]) - self.done
        self.done, self.best, self.best_params = facts["done"], facts["best"], facts["params"]
        if facts.get("trial"):
            self.history.append(facts["trial"])
        tracker.advance(max(0, steps), "" if self.best is None else f"best {self.metric} {number(self.best)}")

    def _read(self) -> tuple[bool, Any]:
        if self._place.exists():
            fine, found = pickle.loads(self._place.read_bytes())
            return bool(fine), found
        self._note_death()
        return False, EngineError(
            f"the process of study {self.name!r} {self._death()}; its finished trials are kept: to go on, type "
            f"resume=True (--resume) and name={self.name!r} (--name {self.name})"
        )

    def _death(self) -> str:
        code = self._process.returncode
        if code < 0:
            return f"was killed by signal {-code} ({signal.Signals(-code).name})"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"ended with {code}" + (f" ({lines[-1][:200]})" if lines else "")

    def _note_death(self) -> None:
        record = self._yard.find("study", self.name)
        if record is not None and record.payload.get("state") == "running":
            self._yard.record("study", self.name, {**record.payload, "state": "interrupted"})


def _pickled(request: Any) -> bytes:
    try:
        return bytes(cloudpickle.dumps(request))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise InvalidInputError(
            f"the model or the data cannot be sent to another process ({error}); leave bg=True (--bg) away"
        ) from error
