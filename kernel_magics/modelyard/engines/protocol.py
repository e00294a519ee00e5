"""What an engine promises: to run a function on some worker, and to say when that worker died."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from modelyard.registry import Registry

#: An engine by the first word of its address: ``dask`` of ``dask://10.0.0.7:8786``.
engines = Registry("modelyard.engines", "engine")

#: Runs on the worker: what `Engine.place` gave back, the name of that content, and the job as bytes.
Answer = Callable[[Any, str, bytes], bytes]


class Engine(Protocol):
    """Workers of one kind. A class with this protocol is made with the rest of its address.

    Parameters of the class
    -----------------------
    address : str or None
        ``host:port`` of a running cluster, or ``None`` to start workers on this machine.
    count : int or None
        How many workers to start on this machine; ``None`` is one for each core.

    Making one raises `EngineError`, in one line and within 10 seconds, where the address cannot be reached.
    """

    def __init__(self, address: str | None, count: int | None) -> None: ...

    @property
    def label(self) -> str:
        """What it is, in words, such as ``dask at 10.0.0.7:8786``."""

    @property
    def slots(self) -> int:
        """How many jobs run at a time now; 0 while all workers are gone."""

    def place(self, content: bytes) -> Any:
        """Bring `content` near the workers; what is returned goes to the worker with every job."""

    def submit(self, answer: Answer, placed: Any, name: str, job: bytes) -> Future[bytes]:
        """Run ``answer(placed, name, job)`` once, on any worker.

        The future raises `WorkerLostError` if the worker died: the engine itself tries nothing again.

        Raises
        ------
        EngineError
            The cluster itself is gone.
        """

    def close(self) -> None:
        """Drop what runs, and stop what was started here."""
