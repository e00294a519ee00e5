"""BentoML at work in a process beside this one, which the next build finds ready."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("build_process.py")
_LOG = "build.log"

_turn = threading.Lock()
_running: subprocess.Popen[str] | None = None
_owner = 0  # a fork of this process has the pipes too, and must not use them


def get_ready() -> None:
    """Start the process that builds, and do not wait for it: what is drafted meanwhile costs no time."""
    with _turn:
        _ready()


def build(spec: dict[str, Any], home: Path) -> str:
    """Let BentoML build in `home`, which is its own and the working directory; return why it did not, or nothing."""
    log = home / _LOG
    env = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    request = {"spec": spec, "env": env, "folder": str(home), "log": str(log)}
    with _turn:
        # one that was idle may end just now, and another starts
        ended = _asked(request) or _asked(request)
    if ended == "0":
        return ""
    words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return words[-1] if words else "no word of why"


def _asked(request: dict[str, Any]) -> str:
    process = _ready()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        if answer := process.stdout.readline().strip():
            return answer
    except BrokenPipeError:
        pass
    except BaseException:
        # an interrupt: what is being built is of no use to anybody
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    process.wait()  # it is ending, and must not be taken for ready
    return ""


def _ready() -> subprocess.Popen[str]:
    global _running, _owner
    if _running is None or _owner != os.getpid() or _running.poll() is not None:
        _owner = os.getpid()
        _running = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            env={**os.environ, "BENTOML_DO_NOT_TRACK": "True"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    return _running
