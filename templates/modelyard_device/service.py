"""What keeps a version answering: a unit of systemd, or nobody but the one who types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Protocol

from modelyard_device.errors import InstallError

#: The environment variable that names the Python that runs everything; the one that installs by default.
PYTHON = "PYTHON"
UNIT = "modelyard.service"  # within a folder; its placeholders are filled when it is installed

_POLL_S = 0.2


def is_systemd() -> bool:
    """Whether systemd runs this device."""
    return Path("/run/systemd/system").is_dir()


class Service(Protocol):
    """What is told when another version is to answer."""

    def restart(self, root: Path, version: Path) -> None:
        """Let `version`, to which ``ROOT/current`` links by now, answer; return when it does.

        Raises
        ------
        InstallError
            It does not come up.
        """
        ...

    def remove(self) -> None:
        """Let nobody answer."""
        ...


class NoService:
    """Nothing runs by itself: whoever wants an answer asks the version that is current."""

    def restart(self, root: Path, version: Path) -> None:
        """Change nothing: the next one who asks gets the version that is current."""

    def remove(self) -> None:
        """There is nothing."""


class SystemdService:
    """A unit of systemd, which starts at boot and after a crash.

    Parameters
    ----------
    name : str
        Of the deployment.
    host, port
        Where it listens.
    within_s : float
        How long it may take to answer.
    units : Path
        Where units are kept.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        within_s: float = 60.0,
        units: Path = Path("/etc/systemd/system"),
    ) -> None:
        self._unit = f"modelyard-{name}.service"
        self._host, self._port, self._within_s, self._units = host, port, within_s, units

    def restart(self, root: Path, version: Path) -> None:
        python = os.environ.get(PYTHON) or shutil.which("python3") or "/usr/bin/python3"
        text = (version / UNIT).read_text(encoding="utf-8")
        for mark, value in (
            ("@ROOT@", str(root)), ("@PYTHON@", python), ("@HOST@", self._host), ("@PORT@", str(self._port)),
        ):  # fmt: skip
            text = text.replace(mark, value)
        _write_root_file(self._units / self._unit, text)
        _systemctl("daemon-reload")
        _systemctl("enable", "--quiet", self._unit)
        _systemctl("restart", self._unit)
        wanted = json.loads((version / "about.json").read_text(encoding="utf-8"))["variant"]
        deadline = time.monotonic() + self._within_s
        while self._answers() != wanted:
            if time.monotonic() > deadline:
                raise InstallError(
                    f"{self._unit} does not answer on port {self._port} after {self._within_s:g} s; see: "
                    f"journalctl -u {self._unit}"
                )
            time.sleep(_POLL_S)

    def remove(self) -> None:
        for verb in ("stop", "disable"):
            subprocess.run(["systemctl", verb, "--quiet", self._unit], check=False, capture_output=True)
        (self._units / self._unit).unlink(missing_ok=True)

    def _answers(self) -> str | None:
        """Return the variant that is ready, if one is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                return str(json.load(answer).get("variant"))
        except (OSError, ValueError, urllib.error.URLError):
            return None


def _write_root_file(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"systemctl {' '.join(words)} failed: {' '.join(done.stderr.split())[-300:]}")
