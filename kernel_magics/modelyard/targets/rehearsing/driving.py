"""What asks a handler in its box: it starts the function or the server, and answers line by line.

Run by its path, by the artifact's interpreter, with the standard library alone. ``argv[1]`` is a JSON object that says
what to start. Each line of standard input is an event; each line of what was standard output is a JSON object:
``ready`` first, then an answer or an error, its seconds, and what the handler tried that a place may forbid.
"""

import contextlib
import http.client
import importlib
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

_POLL_S = 0.01
_MOST_SEEN = 200
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
_HERE = ("localhost", "0.0.0.0", "::1", "::", "", None)


def watch(tell: Callable[[list[str]], object]) -> None:
    """From now on call `tell` with ``[kind, what]`` for each attempt to write a file, or to reach elsewhere."""
    told = 0

    def seen(event: str, found: Any) -> None:
        nonlocal told
        attempt = None
        if event == "open" and isinstance(found[0], str | bytes | os.PathLike):
            mode, flags = found[1], found[2] or 0
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & _WRITES
            path = os.path.abspath(os.fsdecode(found[0]))
            attempt = ["writes", path] if writes and not path.startswith(("/dev/", "/proc/")) else None
        elif event in _CHANGES and isinstance(found[0], str | bytes | os.PathLike):
            attempt = ["writes", os.path.abspath(os.fsdecode(found[0]))]
        elif event in ("socket.connect", "socket.sendto") and isinstance(found[1], tuple):
            where = found[1][0]
            far = where not in _HERE and not str(where).startswith("127.")
            attempt = ["connects", f"{where}:{found[1][1]}"] if far else None
        elif event == "socket.getaddrinfo":
            where = found[0].decode() if isinstance(found[0], bytes) else found[0]
            far = where not in _HERE and not str(where).startswith("127.")
            attempt = ["connects", f"{where}:{found[1]}"] if far else None
        if attempt and told < _MOST_SEEN:
            told += 1
            tell(attempt)

    sys.addaudithook(seen)


class _Function:
    """Calls a function."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._seen: list[list[str]] = []
        watch(self._seen.append)
        module, _, name = told["entry"].partition(":")
        self._call = getattr(importlib.import_module(module), name)

    def ask(self, event: Any) -> Any:
        return self._call(event, Context())

    def seen(self) -> list[list[str]]:
        found, self._seen[:] = list(self._seen), []
        return found


class Context:
    """What a function may ask of the place."""

    aws_request_id = "rehearsal"
    function_name = "rehearsal"
    function_version = "$LATEST"
    invoked_function_arn = "rehearsal"
    memory_limit_in_mb = "0"

    def get_remaining_time_in_millis(self) -> int:
        return 1000


class _Server:
    """Starts a server and sends it requests."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        argv = [
            sys.executable,
            __file__,
            json.dumps({**told, "kind": "module", "write": write}),
        ]
        self._process = subprocess.Popen(argv, pass_fds=[write], stdin=subprocess.DEVNULL)
        os.close(write)
        while self._status(told["ready"]) != 200:
            if self._process.poll() is not None:
                sys.exit(f"the server ended with {self._process.returncode} before it answered")
            time.sleep(_POLL_S)

    def _status(self, path: str) -> int | None:
        try:
            return int(self._request("GET", path, None)["status"])
        except OSError:
            return None

    def _request(self, method: str, path: str, body: str | None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._told["port"])
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return {"status": response.status, "body": response.read().decode()}

    def ask(self, event: str) -> dict[str, Any]:
        return self._request("POST", self._told["predict"], event)

    def seen(self) -> list[list[str]]:
        try:
            lines = os.read(self._read, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []
        return [json.loads(line) for line in lines if line.endswith("]")]


def _run_module(told: dict[str, Any]) -> None:
    watch(lambda attempt: os.write(told["write"], (json.dumps(attempt) + "\n").encode()))
    sys.argv = [told["module"], *told["arguments"]]
    runpy.run_module(told["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    """Do it."""
    told = json.loads(sys.argv[1])
    sys.path[0:1] = told["paths"]  # not the folder that this file lies in
    if told["kind"] == "module":
        _run_module(told)
        return
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a handler prints is none of the answers

    def say(line: dict[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")

    started = time.perf_counter()
    handler = _Function(told) if told["kind"] == "function" else _Server(told)
    say({"ready": time.perf_counter() - started})
    for line in sys.stdin:
        event = json.loads(line)
        started = time.perf_counter()
        try:
            said = {"answer": handler.ask(event)}
        except Exception as error:  # noqa: BLE001  # what a handler raises is what is asked here
            said = {"error": f"{type(error).__name__}: {error}"[:500]}
        said["seconds"] = time.perf_counter() - started
        try:
            say({**said, "seen": handler.seen()})
        except (TypeError, ValueError) as error:  # an answer that is no JSON
            say(
                {
                    "error": f"{type(error).__name__}: {error}",
                    "seconds": said["seconds"],
                    "seen": handler.seen(),
                }
            )


if __name__ == "__main__":
    main()
