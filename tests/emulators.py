"""Clouds' own programs that run here what is made for them; `make env-targets` brings them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.targets.aws_lambda import HANDLER
from modelyard.targets.installing import machine
from modelyard.targets.processes import free_port

ENVIRONMENT = Path(__file__).resolve().parents[1] / ".env-targets"
#: Of AWS's runtime client: what Lambda has beside a function.
_CLIENT = ("awslambdaric", "runtime_client.*", "simplejson", "snapshot_restore_py*")
_INVOKE = "/2015-03-31/functions/function/invocations"
_WAIT_S = 20.0


def site_packages() -> Path:
    """Return where the programs are installed."""
    return next(ENVIRONMENT.glob("lib/python3*/site-packages"))


def python_of_environment() -> str:
    """Return the minor version of Python that they run under, such as ``3.13``."""
    return site_packages().parent.name.removeprefix("python")


class LambdaEmulator:
    """AWS's runtime interface emulator and runtime client, with the content of one zip file.

    Parameters
    ----------
    packed : Path
        The zip file.
    python : str
        An interpreter with nothing installed, of the Python that the file is for.
    folder : Path
        Empty and there.
    env : mapping of str to str
        The function's environment variables.

    Attributes
    ----------
    content : Path
        What was in the zip file.
    pid : int
        The emulator's process.
    """

    def __init__(self, packed: Path, python: str, folder: Path, env: Mapping[str, str]) -> None:
        self.content, client = folder / "task", folder / "client"
        with zipfile.ZipFile(packed) as file:
            file.extractall(self.content)
        client.mkdir()
        for pattern in _CLIENT:
            for found in site_packages().glob(pattern):
                (client / found.name).symlink_to(found)
        self.port, runtime = free_port(), free_port()
        machines = {"arm64": "arm64", "x86_64": "x86_64"}
        emulator = folder / "emulator"
        origin = site_packages() / f"samcli/local/rapid/aws-lambda-rie-{machines[machine()]}"
        emulator.write_bytes(origin.read_bytes())  # installed without the right to run it
        emulator.chmod(0o700)
        argv = [
            str(emulator), "--log-level", "error",
            "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
            "--runtime-api-address", f"127.0.0.1:{runtime}",
            python, "-m", "awslambdaric", HANDLER,
        ]  # fmt: skip
        told = {
            "PATH": os.defpath, "LANG": "en_US.UTF-8", "TZ": ":UTC", "PYTHONPATH": str(client),
            "PYTHONDONTWRITEBYTECODE": "1", "LAMBDA_TASK_ROOT": str(self.content),
            "AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_LAMBDA_FUNCTION_TIMEOUT": "30", **env,
        }  # fmt: skip
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                argv, cwd=self.content, env=told, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT_S)

    def __enter__(self) -> LambdaEmulator:
        deadline = time.monotonic() + _WAIT_S
        while True:
            try:
                self._connection.connect()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError(f"the emulator does not listen: {self.said()}") from None
                time.sleep(0.01)
            else:
                return self

    def ask(self, event: Any) -> tuple[Any, float]:
        """Return what the function answers to an event, and the seconds that it took; the first one starts it."""
        body = json.dumps(event).encode()
        started = time.perf_counter()
        self._connection.request("POST", _INVOKE, body)
        content = self._connection.getresponse().read()
        seconds = time.perf_counter() - started
        return json.loads(content), seconds

    def said(self) -> str:
        """Return what it printed."""
        return self._log.read_text(errors="replace")[-2000:]

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait(_WAIT_S)
