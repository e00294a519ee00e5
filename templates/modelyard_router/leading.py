"""One worker leads: it runs the rollout, counts the lost, and has the shadows compared."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import modelyard_runtime
from modelyard_router import comparing, counters, rollout, workers
from modelyard_router.policy import Policy, PolicyChangedError, PolicyError, PolicyFile
from modelyard_runtime.metrics import STATE_FOLDER

if TYPE_CHECKING:
    from modelyard_router.crew import Crew

_LOCK = "leader.lock"
_EVERY_S, _QUIET_S = 0.2, 1.0  # while a rollout goes on; else
_AGAIN_S = 2.0
_END_S = 3.0
_PROGRAM = (
    "import sys; sys.path[:0] = sys.argv[2:]; from modelyard_router.comparing import main; main(sys.argv[1])"
)
_log = logging.getLogger("modelyard_runtime")


class Leader:
    """Does, in the one worker that holds the lock, what must be done once.

    The lock goes with the process: when a leader dies, the next worker that looks is one.
    """

    def __init__(self, folder: Path, crew: Crew) -> None:
        self._folder = folder
        self._crew = crew
        self._file = PolicyFile(folder)
        self._lock: IO[bytes] | None = None
        self._comparer: subprocess.Popen[bytes] | None = None
        self._next = 0.0
        self._number = 0
        self._compare_after = 0.0
        self._forgot = False  # what a leader before may have left

    def tick(self, policy: Policy) -> None:
        """Do what is due."""
        now = time.monotonic()
        if (now < self._next and policy.number == self._number) or not self._leads():
            return
        self._next = now + (_EVERY_S if policy.is_rolling else _QUIET_S)
        self._number = policy.number
        workers.note_lost(self._folder, time.time())
        if policy.is_rolling:
            self._roll(policy)
        self._compare(policy, now)

    def leave(self) -> None:
        """Let another one lead."""
        self._end_comparer()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _leads(self) -> bool:
        if self._lock is not None:
            return True
        file = (self._folder / _LOCK).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._lock = file
        return True

    def _roll(self, policy: Policy) -> None:
        window = counters.window(self._folder, policy, self._crew)
        if window is None:  # the candidate is still being loaded
            return
        following = rollout.advanced(policy, window, time.time())
        if following is None:
            return
        try:
            self._file.write(following)
        except PolicyChangedError:  # somebody else was faster; theirs is looked at next
            return
        except (OSError, PolicyError) as error:
            _log.error("the rollout cannot go on, and is tried again: %s", error)
            return
        _log.warning("policy %d: %s", following.number, following.why)

    def _compare(self, policy: Policy, now: float) -> None:
        wanted = counters.compared_pairs(policy)
        if not wanted:
            self._end_comparer()
            if not self._forgot:
                comparing.forget(self._folder)
                self._forgot = True
            return
        self._forgot = False
        if self._comparer is not None and self._comparer.poll() is None:
            return
        comparing.begin(self._folder)
        if now < self._compare_after:
            return
        self._compare_after = now + _AGAIN_S
        paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        own = Path(__file__).resolve().parents[1]
        runtime = Path(modelyard_runtime.__file__).resolve().parents[1]
        env = {name: value for name, value in os.environ.items() if name != STATE_FOLDER}  # it logs nothing
        self._comparer = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(self._folder), str(runtime), str(own), *paths],
            stdin=subprocess.PIPE, env=env, cwd=self._folder,
        )  # fmt: skip

    def _end_comparer(self) -> None:
        if self._comparer is not None:
            threading.Thread(target=_end, args=[self._comparer], name="modelyard-end", daemon=True).start()
            self._comparer = None


def _end(comparer: subprocess.Popen[bytes]) -> None:
    """End it; the next policy does not wait for that."""
    if comparer.stdin is not None:
        comparer.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        comparer.wait(_END_S)
    if comparer.poll() is None:
        comparer.kill()
        comparer.wait()
