"""Dask: a scheduler at an address, or workers on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

from distributed import Client, LocalCluster, get_client
from distributed.scheduler import KilledWorker

from modelyard.engines.protocol import Answer
from modelyard.engines.reaching import check_reachable
from modelyard.errors import EngineError, WorkerLostError

_PATIENCE_S = 5
_RETURNS_S = 60
_BEGAN_BEFORE = b""


class DaskCluster:
    """``dask://host:port``, or ``dask`` and ``dask:N`` for workers of one thread on this machine.

    Dask starts a job again, several times, when its worker died. Here a job that was begun once is not begun
    again: it says so, and whoever asked decides.
    """

    def __init__(self, address: str | None, count: int | None) -> None:
        self._run, self._jobs = f"modelyard-{uuid.uuid4().hex}", 0
        self._cluster = None
        wanted, patience = (1, _PATIENCE_S) if address else (count or os.cpu_count() or 1, _RETURNS_S)
        if address is None:
            self._cluster = LocalCluster(
                n_workers=wanted, threads_per_worker=1, processes=True, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
            self.label = "dask on this machine"
            self._client = Client(self._cluster, set_as_default=False)
        else:
            self.label = f"dask at {address}"
            check_reachable(address, "Dask scheduler")
            self._client = _client_of(address)
        self._wait_for_workers(wanted, patience)

    @property
    def slots(self) -> int:
        return sum(self._client.nthreads().values()) if self._client.status == "running" else 0

    def place(self, content: bytes) -> Any:
        return _Placed(self._client, content)

    def submit(self, answer: Answer, placed: Any, name: str, job: bytes) -> Future[bytes]:
        if self._client.status != "running":
            raise EngineError(
                f"{self.label} is gone: its scheduler does not answer; start it again, then go on"
            )
        self._jobs += 1
        place = [self._run, str(self._jobs)]
        work = self._client.submit(
            _answer_once,
            answer,
            place,
            placed.there(),
            name,
            job,
            pure=False,
            key=f"{self._run}-{self._jobs}",
        )
        told: Future[bytes] = Future()
        told.set_running_or_notify_cancel()
        work.add_done_callback(partial(_tell, told))
        return told

    def close(self) -> None:
        with contextlib.suppress(OSError, TimeoutError, CancelledError):
            if self._client.status == "running":
                self._client.set_metadata([self._run], None)
            self._client.close(timeout=_PATIENCE_S)
            if self._cluster is not None:
                self._cluster.close(timeout=_PATIENCE_S)

    def _wait_for_workers(self, wanted: int, patience: float) -> None:
        try:
            self._client.wait_for_workers(wanted, timeout=patience)
        except TimeoutError as error:
            self.close()
            raise EngineError(
                f"{self.label} has no workers; start some, as `dask worker HOST:PORT` does"
            ) from error


def _client_of(address: str) -> Client:
    """Return a client, within some seconds: what accepts and never says a word keeps Dask waiting for good."""
    made: Future[Client] = Future()

    def make() -> None:
        try:
            made.set_result(Client(f"tcp://{address}", timeout=_PATIENCE_S, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as error:
            made.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    try:
        return made.result(timeout=_PATIENCE_S + 2)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"what answers at {address} is no Dask scheduler; type dask://HOST:PORT as `dask scheduler` prints it"
        ) from error


class _Placed:
    """Content that was brought to the workers, and is brought there again when all that held it are gone."""

    def __init__(self, client: Client, content: bytes) -> None:
        self._client, self._content = client, content
        self._future = self._scattered()

    def there(self) -> Any:
        if self._future.status in ("cancelled", "lost", "error"):
            self._future = self._scattered()
        return self._future

    def _scattered(self) -> Any:
        """Bring it there; a worker that has died is started again by its nanny, and waited for."""
        try:
            return self._client.scatter(self._content, broadcast=True, hash=False, timeout=_RETURNS_S)
        except TimeoutError as error:
            raise EngineError(
                f"Dask has had no worker for {_RETURNS_S} s; start some, as `dask worker HOST:PORT` does, then go on"
            ) from error


def _answer_once(answer: Answer, place: list[str], content: bytes, name: str, job: bytes) -> bytes:
    """Answer on a worker, unless another worker began with this job and died."""
    client = get_client()  # the worker's own, which stays open
    if client.get_metadata(place, default=None) is not None:
        return _BEGAN_BEFORE
    client.set_metadata(place, 1)
    return answer(content, name, job)


def _tell(told: Future[bytes], work: Any) -> None:
    """Pass on what became of a job; runs in a thread of Dask's."""
    lost = WorkerLostError("a Dask worker died")
    if work.status == "finished":
        try:
            found = work.result()
        except (CancelledError, OSError, TimeoutError):  # its worker died with the answer
            told.set_exception(lost)
            return
        told.set_exception(lost) if found == _BEGAN_BEFORE else told.set_result(found)
    elif work.status == "error" and not isinstance(error := work.exception(), KilledWorker):
        told.set_exception(error)
    else:
        told.set_exception(lost)
