"""What stands behind an endpoint of this machine: its server processes, and what comes about in a while."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from modelyard.catalog import open_yard
from modelyard.targets import Deployment


def eventually(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def server_processes(deployment: Deployment) -> list[psutil.Process]:
    state = open_yard().get("deployment", deployment.name).payload["state"]
    found = []
    for process in psutil.Process(state["pid"]).children():
        try:
            if "_bentoml_impl.worker.service" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found
