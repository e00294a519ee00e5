"""The process of a run in the background: reads what to do, obeys words in between, and leaves its result in a file.

Standard input brings a length and the pickled request, then one word a line; its end means that the kernel is
gone. Standard output takes one JSON object a line. What the model prints goes to standard error, a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import struct
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle

from modelyard.errors import ModelyardError
from modelyard.tuning.control import Control, controlled

LENGTH = struct.Struct(">Q")
_LAST_WORDS_S = 15.0  # after which a fit that cannot be interrupted is left


def main() -> None:
    """Run `tune` as asked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a kernel started in the background ignores it
    with _events() as events:
        # without a buffer, whose lock, held by a thread, would end Python badly
        asked = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
        (length,) = LENGTH.unpack(_exactly(asked, LENGTH.size))
        place, request = pickle.loads(_exactly(asked, length))
        lock = threading.Lock()

        def told(facts: Mapping[str, Any]) -> None:
            with lock, contextlib.suppress(BrokenPipeError):  # the end of what is asked for tells it better
                events.write(json.dumps(facts).encode() + b"\n")
                events.flush()

        control = Control(told)
        gone = threading.Event()
        threading.Thread(target=_obey, args=(control, asked, gone), daemon=True).start()
        try:
            from modelyard.tuning.search import tune

            with controlled(control):
                found: tuple[bool, Any] = (True, tune(**pickle.loads(request)))
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            if not isinstance(error, ModelyardError):
                error.add_note("".join(traceback.format_exception(error)))
            found = (False, error)
        if gone.is_set():
            shutil.rmtree(Path(place).parent, ignore_errors=True)  # nobody is left to do it
        else:
            _leave(found, Path(place))


def _obey(control: Control, asked: RawIOBase, gone: threading.Event) -> None:
    for line in asked:
        word, _, amount = line.decode().strip().partition(" ")
        if word == "pause":
            control.pause()
        elif word == "resume":
            control.resume()
        elif word == "add":
            control.add(int(amount))
        elif word == "stop":
            control.stop()
        elif word == "interrupt":
            control.stop()
            _interrupt()
    gone.set()
    control.stop()
    _interrupt()
    time.sleep(_LAST_WORDS_S)
    os._exit(1)


def _interrupt() -> None:
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGINT)  # wakes it, where it sleeps too


def _exactly(stream: RawIOBase, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        part = stream.read(length - len(found))
        if not part:
            raise EOFError("the kernel ended before it had said what to do")
        found += part
    return bytes(found)


def _leave(found: tuple[bool, Any], place: Path) -> None:
    try:
        content = cloudpickle.dumps(found)
    except Exception as error:  # noqa: BLE001  # whatever a model's own __reduce__ raises
        content = cloudpickle.dumps((False, TypeError(f"the result cannot be sent to the kernel: {error}")))
    part = place.with_suffix(".part")
    part.write_bytes(content)
    part.replace(place)


@contextmanager
def _events() -> Iterator[BinaryIO]:
    """Keep standard output for events, and send what anybody prints to standard error."""
    with os.fdopen(os.dup(1), "wb") as events:
        os.dup2(2, 1)
        yield events
