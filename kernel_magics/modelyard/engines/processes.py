"""Processes on this machine, one pool for each, so that one that dies takes no other with it."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from joblib.externals.loky.process_executor import ProcessPoolExecutor

from modelyard.engines.protocol import Answer
from modelyard.errors import WorkerLostError

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_LOOK_EVERY_S = 0.5


class Processes:
    """``local:N``: N processes of loky, each with its share of the cores for threads of its own."""

    def __init__(self, address: str | None, count: int | None) -> None:
        self._count = count or os.cpu_count() or 1
        threads = str(max(1, (os.cpu_count() or 1) // self._count))
        self._environment = {name: os.environ.get(name, threads) for name in _THREADS}
        self._folder = tempfile.TemporaryDirectory(prefix="modelyard-")
        self._idle: list[Any] = []
        self._busy: set[Any] = set()

    @property
    def label(self) -> str:
        return f"{self._count} processes of this machine"

    @property
    def slots(self) -> int:
        return self._count

    def place(self, content: bytes) -> str:
        path = Path(self._folder.name) / f"{len(list(Path(self._folder.name).iterdir()))}.pickle"
        path.write_bytes(content)
        return str(path)

    def submit(self, answer: Answer, placed: Any, name: str, job: bytes) -> Future[bytes]:
        pool = self._idle.pop() if self._idle else self._pool()
        self._busy.add(pool)
        told: Future[bytes] = Future()
        told.set_running_or_notify_cancel()

        def tell(done: Any) -> None:
            self._busy.discard(pool)
            error = done.exception()
            if isinstance(error, BrokenProcessPool):
                told.set_exception(WorkerLostError(f"a process of this machine died: {type(error).__name__}"))
                return
            self._idle.append(pool)
            if error is None:
                told.set_result(done.result())
            else:
                told.set_exception(error)

        pool.submit(answer, placed, name, job).add_done_callback(tell)
        return told

    def _pool(self) -> Any:
        return ProcessPoolExecutor(
            max_workers=1, env=self._environment, initializer=_end_with, initargs=(os.getpid(),)
        )

    def close(self) -> None:
        for pool in (*self._idle, *self._busy):
            pool.shutdown(wait=False, kill_workers=True)
        self._idle.clear()
        self._folder.cleanup()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone, killed perhaps: nobody wants what it does any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name="modelyard-parent", daemon=True).start()
