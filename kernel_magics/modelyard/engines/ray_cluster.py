"""Ray: a cluster at an address, or workers on this machine."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import: nothing is reported to anybody
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a notice about future versions

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from modelyard.engines.protocol import Answer
from modelyard.engines.reaching import check_reachable
from modelyard.errors import EngineError, WorkerLostError

_LOST = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)
#: A busy cluster loses the server it starts for a client now and then; the next one that it starts is another.
_TRIES = 3


class RayCluster:
    """``ray://host:port`` (Ray's client port, 10001 unless changed), or ``ray`` and ``ray:N`` on this machine.

    A Ray that this process already uses is used, and left running.
    """

    def __init__(self, address: str | None, count: int | None) -> None:
        self._ours = not ray.is_initialized()
        self.label = "ray on this machine" if address is None else f"ray at {address}"
        if address is None:
            if self._ours:
                ray.init(
                    num_cpus=count or os.cpu_count(),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
        else:
            check_reachable(address, "Ray cluster")
            if self._ours:
                self._connect(address)
        self._answer: Any = None

    def _connect(self, address: str) -> None:
        for left in reversed(range(_TRIES)):
            try:
                ray.init(f"ray://{address}", log_to_driver=False, logging_level="ERROR")
                return
            except ConnectionAbortedError as error:  # it answers, and this client's own server did not start
                if left:
                    continue
                raise EngineError(
                    f"the Ray cluster at {address} has started no server for this client, asked {_TRIES} times; see "
                    "ray_client_server.err in its logs"
                ) from error
            except (ConnectionError, TimeoutError, RuntimeError, OSError) as error:
                raise EngineError(
                    f"what answers at {address} is no Ray cluster; type ray://HOST:PORT with the port of Ray's client "
                    "server, 10001 by default"
                ) from error

    @property
    def slots(self) -> int:
        return int(ray.cluster_resources().get("CPU", 0))

    def place(self, content: bytes) -> Any:
        return ray.put(content)

    def submit(self, answer: Answer, placed: Any, name: str, job: bytes) -> Future[bytes]:
        if self._answer is None:
            self._answer = ray.remote(max_retries=0)(answer)
        told: Future[bytes] = Future()
        told.set_running_or_notify_cancel()

        def tell(done: Any) -> None:
            error = done.exception()
            if error is None:
                told.set_result(done.result())
            elif isinstance(error, _LOST) or (
                isinstance(error, RayTaskError) and isinstance(error.cause, _LOST)
            ):
                told.set_exception(WorkerLostError("a Ray worker died"))
            else:
                told.set_exception(error)

        try:
            self._answer.remote(placed, name, job).future().add_done_callback(tell)
        except (ConnectionError, RuntimeError) as error:
            raise EngineError(
                f"{self.label} is gone: it does not answer; start it again, then go on"
            ) from error
        return told

    def close(self) -> None:
        if self._ours:
            ray.shutdown()
