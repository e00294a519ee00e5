"""What runs on a worker: take the shared object and a job out of their bytes, and answer in bytes.

Everything is pickled by value here and not by the engine, so that a class from a notebook's cell, and an
exception of such a class, travels in the same way with every engine.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cloudpickle

_HELD = 2
_held: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def answer(placed: Any, name: str, job: bytes) -> bytes:
    """Do one job on a worker.

    Parameters
    ----------
    placed : bytes or str
        The shared object pickled, or the path of a file that holds it.
    name : str
        Of that content, so that a worker reads it once.
    job : bytes
        A function and its arguments after the shared object, pickled.
    """
    shared = _shared(placed, name)
    task, arguments = pickle.loads(job)
    try:
        found = (True, task(shared, *arguments))
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to who asked, as it was raised
        found = (False, error)
    return bytes(cloudpickle.dumps(found))


def opened(answered: bytes) -> Any:
    """Return what a job returned, or raise what it raised."""
    fine, found = pickle.loads(answered)
    if fine:
        return found
    raise found


def _shared(placed: Any, name: str) -> Any:
    with _lock:  # a worker may have several threads; one reads, the others wait
        if name not in _held:
            content = Path(placed).read_bytes() if isinstance(placed, str) else placed
            _held[name] = pickle.loads(content)
            while len(_held) > _HELD:
                _held.popitem(last=False)
        _held.move_to_end(name)
        return _held[name]
