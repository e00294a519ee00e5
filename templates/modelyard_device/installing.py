"""Install a folder on this device, or update what is there: checked first, switched at one stroke, else put back."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard_device.errors import InstallError
from modelyard_device.service import PYTHON, Service
from modelyard_device.versions import Versions
from modelyard_device.whole import SUMS, check_sums

#: Of what a folder is told to need.
NEEDS = "needs.json"
REQUIREMENTS, EITHER = "requirements.txt", "requirements-tflite.txt"
SITE, WHEELS, RUNTIME = "site", "wheels", "runtime"

_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}
_LAST_WORDS = 400


@dataclass(frozen=True)
class Needs:
    """What a folder needs of a device.

    Attributes
    ----------
    architecture : str
        ``arm64``.
    python : str
        ``3.11``.
    """

    architecture: str
    python: str

    @classmethod
    def of(cls, folder: Path) -> Needs:
        return cls(**json.loads((folder / NEEDS).read_text(encoding="utf-8")))

    def check(self, architecture: str, python: str) -> None:
        """Compare with what a device has.

        Raises
        ------
        InstallError
            It has something else.
        """
        found = _ARCHITECTURES.get(architecture, architecture)
        if found != self.architecture:
            other = (
                f"type: %deploy … --to raspberry-pi --architecture {found}"
                if found in _ARCHITECTURES.values()
                else "install a 64-bit system on it"
            )
            raise InstallError(
                f"this folder is for {self.architecture}, and this device is {architecture}; {other}"
            )
        if python != self.python:
            raise InstallError(
                f"this folder is for Python {self.python}, and this is Python {python}; type: "
                f"%deploy … --to raspberry-pi --python {python}, or PYTHON=python{self.python} ./install.sh"
            )


def install(folder: Path, root: Path, service: Service, say: Callable[[str], Any]) -> Path:
    """Install a device's folder below `root`; return the version that answers.

    Parameters
    ----------
    folder : Path
    root : Path
        Where versions are kept; the one that is there answers until the new one has answered its golden rows.
    service : Service
        What is restarted; it must come up with the new version.
    say : callable
        Is told each step.

    Raises
    ------
    InstallError, NotWholeError
        It was not installed; what answered before still does.
    """
    say(f"reading every file of {folder}")
    check_sums(folder)
    Needs.of(folder).check(platform.machine(), f"{sys.version_info[0]}.{sys.version_info[1]}")
    versions = Versions(root)
    fresh = versions.begun(_named(folder))
    shutil.copytree(folder, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns(WHEELS, "__pycache__"))
    try:
        say("installing what it imports")
        install_site(folder, fresh / SITE)
        say("answering its golden rows")
        check_answers(fresh)
    except InstallError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    before = versions.current
    version = versions.finished(fresh)
    versions.switch(version)
    say(f"{version.name} answers from now on")
    try:
        service.restart(root, version)
    except InstallError as error:
        if before is None or not before.exists():
            versions.forget(version)
            service.remove()
            raise
        versions.switch(before)
        versions.forget(version)
        service.restart(root, before)
        raise InstallError(f"{error}; {before.name} answers again") from None
    versions.tidy()
    return version


def roll_back(root: Path, service: Service) -> Path:
    """Let the version before answer again; return it.

    Raises
    ------
    InstallError
        There is none, or it does not come up.
    """
    version = Versions(root).back()
    if version is None:
        raise InstallError(f"no version before is in {root}; nothing was changed")
    service.restart(root, version)
    return version


def install_site(folder: Path, site: Path) -> None:
    """Install what a folder imports into `site`: from its wheels, or from the index that this device uses.

    Raises
    ------
    InstallError
        It cannot be installed.
    """
    wheels = folder / WHEELS
    own = ["--no-index", "--find-links", str(wheels), "--require-hashes"] if wheels.is_dir() else []
    lists = [REQUIREMENTS]
    if (folder / EITHER).is_file() and not _has_tflite():
        lists.append(EITHER)
    words = [word for name in lists for word in ("-r", str(folder / name))]
    env, pip = _pip(wheels)
    _run(
        [
            *pip,
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
            str(site),
            *own,
            *words,
        ],
        env,
        "what it imports cannot be installed",
    )


def check_answers(version: Path) -> None:
    """Let a version answer its golden rows.

    Raises
    ------
    InstallError
        It answers one otherwise, or not at all.
    """
    env = {**os.environ, "PYTHONPATH": import_path(version)}
    _run([_python(), "-m", "modelyard_device", "check", str(version)], env, "it does not answer as it must")


def import_path(version: Path) -> str:
    """Return what stands in ``PYTHONPATH`` for a version."""
    return os.pathsep.join((str(version / RUNTIME), str(version / SITE)))


def _python() -> str:
    return os.environ.get(PYTHON) or sys.executable


def _named(folder: Path) -> str:
    """Return the name of a version: what other files have another one of."""
    import hashlib

    digest = hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()[:12]
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return f"{about['variant']}-{digest}"


def _has_tflite() -> bool:
    names = ("tflite_runtime", "ai_edge_litert")
    asked = f"from importlib.util import find_spec as f; raise SystemExit(not any(map(f, {names!r})))"
    return subprocess.run([_python(), "-c", asked], check=False).returncode == 0


def _pip(wheels: Path) -> tuple[dict[str, str], Sequence[str]]:
    """Return the environment and the words that run pip: the device's own, or the one among the wheels."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    brought = sorted(wheels.glob("pip-*.whl"))
    if brought:
        return {**env, "PYTHONPATH": str(brought[-1])}, [_python(), "-m", "pip"]
    if subprocess.run([_python(), "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise InstallError(
            "this Python has no pip; type: sudo apt install python3-pip, or deploy with --wheels"
        )
    return env, [_python(), "-m", "pip"]


def _run(argv: Sequence[str], env: dict[str, str], failing: str) -> None:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-_LAST_WORDS:]
        raise InstallError(f"{failing}: {said or 'it said nothing'}")
