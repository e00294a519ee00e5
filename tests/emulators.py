"""Clouds' own programs that run here what is made for them; `make env-targets` brings them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from modelyard.targets.aws_lambda_code import HANDLER
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


def _emulator(folder: Path) -> Path:
    """Return AWS's runtime interface emulator, as a program that may be run."""
    found = folder / "emulator"
    origin = site_packages() / f"samcli/local/rapid/aws-lambda-rie-{machine()}"
    found.write_bytes(origin.read_bytes())  # installed without the right to run it
    found.chmod(0o755)
    return found


class Emulator:
    """AWS's runtime interface emulator, which starts a function and hands it events.

    Attributes
    ----------
    port : int
        Where it listens, on loopback.
    pid : int
        Its process.
    """

    def __init__(self) -> None:
        self.port, self._runtime = free_port(), free_port()
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT_S)

    @property
    def _words(self) -> list[str]:
        return [
            "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
            "--runtime-api-address", f"127.0.0.1:{self._runtime}",
        ]  # fmt: skip

    def _begin(self, argv: list[str], folder: Path, cwd: Path, env: Mapping[str, str]) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                argv, cwd=cwd, env=dict(env), stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
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


def _told(env: Mapping[str, str]) -> dict[str, str]:
    return {"AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_LAMBDA_FUNCTION_TIMEOUT": "30", **env}


class LambdaEmulator(Emulator):
    """It, and AWS's runtime client, with the content of one zip file.

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
    """

    def __init__(self, packed: Path, python: str, folder: Path, env: Mapping[str, str]) -> None:
        super().__init__()
        self.content, client = folder / "task", folder / "client"
        with zipfile.ZipFile(packed) as file:
            file.extractall(self.content)
        client.mkdir()
        for pattern in _CLIENT:
            for found in site_packages().glob(pattern):
                (client / found.name).symlink_to(found)
        argv = [str(_emulator(folder)), *self._words, python, "-m", "awslambdaric", HANDLER]
        told = {
            "PATH": os.defpath, "LANG": "en_US.UTF-8", "TZ": ":UTC", "PYTHONPATH": str(client),
            "PYTHONDONTWRITEBYTECODE": "1", "LAMBDA_TASK_ROOT": str(self.content), **_told(env),
        }  # fmt: skip
        self._begin(argv, folder, self.content, told)


class ImageEmulator(Emulator):
    """It, in a container of an image, whose disk is read-only but for ``/tmp``; it runs the image's own program.

    Parameters
    ----------
    image : str
        Podman gets it from where its name says.
    folder : Path
        Empty and there.
    env : mapping of str to str
        The function's environment variables.
    passwords : Path
        With what podman may get it.
    """

    def __init__(self, image: str, folder: Path, env: Mapping[str, str], passwords: Path) -> None:
        super().__init__()
        self._name = f"modelyard-function-{self.port}"
        podman = shutil.which("podman")
        assert podman is not None, "type: make containers"
        self._podman = podman
        subprocess.run(
            [podman, "pull", "--quiet", "--authfile", str(passwords), image],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        asked = [podman, "image", "inspect", "--format", "{{json .Config}}", image]
        known = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
        variables = [f"--env={name}={value}" for name, value in _told(env).items()]
        argv = [
            podman, "run", "--rm", "--name", self._name, "--network", "host", "--read-only", "--tmpfs", "/tmp",
            "--volume", f"{_emulator(folder)}:/emulator:ro", *variables, "--entrypoint", "/emulator", image,
            *self._words, *known["Entrypoint"], *known["Cmd"],
        ]  # fmt: skip
        self._begin(argv, folder, folder, os.environ)

    def __exit__(self, *_: object) -> None:
        subprocess.run([self._podman, "rm", "--force", self._name], check=False, capture_output=True)
        super().__exit__()
