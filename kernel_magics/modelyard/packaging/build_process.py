"""A process that has BentoML imported, which takes two seconds, and builds each Bento in a fork of itself.

It reads a request a line, as JSON (``spec`` for ``bentoml.build``, ``env``, ``folder``, ``log``), and answers each with
a line that holds the exit code. It ends with the process that asks, or when nobody has asked for a while.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from typing import Any, NoReturn

_IDLE_S = 120.0


def _build(request: dict[str, Any]) -> NoReturn:
    import bentoml

    ended = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream, now in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(now, stream)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["folder"])
        bentoml.build(**request["spec"])
        ended = 0
    except BaseException:  # noqa: BLE001 -- the last line of its traceback is what the notebook says
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended)  # what the process that forked has open is not this one's to close


def main() -> None:
    # what building needs, and all of it: importing `bentoml` alone imports next to nothing
    import _bentoml_sdk  # noqa: F401
    import bentoml.bentos  # noqa: F401

    while select.select([sys.stdin], [], [], _IDLE_S)[0] and (line := sys.stdin.readline()):
        child = os.fork()
        if child == 0:
            _build(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
