"""The distributions of a lock, in a folder, as a place has them: for its platform and its Python."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from modelyard.errors import DeploymentError
from modelyard.packaging.locking import pins
from modelyard.targets.slimming import BALLAST, Ballast, slim

_REPRODUCIBLE = {"PYTHONHASHSEED": "0"}
_MOST_S = 900
_FRAME = " ×╰─▶│├╴"  # of the installer's messages
_MACHINES = {"aarch64": "arm64", "AMD64": "x86_64"}


@dataclass(frozen=True)
class Platform:
    """Where distributions are to run.

    Attributes
    ----------
    python, architecture : str
        ``3.13``; ``x86_64`` or ``arm64``.
    libc : str
        The oldest C library that wheels may want, as their names have it.
    """

    python: str
    architecture: str
    libc: str = "manylinux_2_28"

    @property
    def tag(self) -> str:
        """The platform as the installer names it."""
        return f"{'aarch64' if self.architecture == 'arm64' else self.architecture}-{self.libc}"


def machine() -> str:
    """Return this machine's architecture: ``x86_64``, ``arm64``, …"""
    return named(platform.machine())


def named(architecture: str) -> str:
    """Return the name under which we know an architecture that systems call otherwise.

    >>> named("aarch64"), named("x86_64")
    ('arm64', 'x86_64')
    """
    return _MACHINES.get(architecture, architecture)


def install(
    lock: Iterable[str],
    site: Path,
    where: Platform,
    interpreter: str,
    seen_as: str,
    leaving_out: Sequence[Ballast] = BALLAST,
) -> None:
    """Install the pins of a lock into the folder `site`, slim and compiled; the same files from the same lock.

    Asks the package index that this machine is set up for; nothing is resolved and nothing built.

    Parameters
    ----------
    lock : iterable of str
    site : Path
    where : Platform
    interpreter : str
        A Python of that minor version, which compiles; see `find_python`.
    seen_as : str
        The name of the folder in the place.
    leaving_out : sequence of Ballast

    Raises
    ------
    DeploymentError
        A distribution has no wheel for the platform, or the index cannot be reached.
    """
    from uv import find_uv_bin

    _run(
        [
            find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--no-deps",
            "--target", str(site), "--python", sys.executable, "--python-version", where.python,
            "--python-platform", where.tag, "--only-binary", ":all:", "--link-mode", "copy", *pins(lock),
        ],
        f"the lock cannot be installed for Python {where.python} on {where.architecture}",
    )  # fmt: skip
    slim(site, leaving_out)
    compile_all([site], interpreter, site, seen_as)
    for record in site.glob("*.dist-info/RECORD"):
        _write_record(record, site)


def _write_record(record: Path, site: Path) -> None:
    """Make a RECORD say what is there of the files that it names, and of what they were compiled to."""
    own = record.relative_to(site).as_posix()
    with record.open(encoding="utf-8", newline="") as lines:
        named = {line[0] for line in csv.reader(lines) if line}
    sources = [Path(name) for name in named if name.endswith(".py")]
    compiled = {
        path.relative_to(site).as_posix()
        for source in sources
        for path in (site / source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
    }
    there = sorted(name for name in named | compiled if name != own and not name.startswith(".."))
    with record.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file, lineterminator="\n")
        for name in there:
            if (site / name).is_file():
                content = (site / name).read_bytes()
                found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                written.writerow((name, f"sha256={found}", len(content)))
        written.writerow((own, "", ""))


def compile_all(paths: Iterable[Path], interpreter: str, folder: Path, seen_as: str) -> None:
    """Compile every module in `paths`, since a place whose disk is read-only compiles them at every start.

    Parameters
    ----------
    paths : iterable of Path
        Folders and files beneath `folder`.
    interpreter : str
    folder : Path
    seen_as : str
        The name of `folder` in the place.

    Raises
    ------
    DeploymentError
        The interpreter failed.
    """
    _run(
        [
            interpreter, "-sP", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash",
            "-s", str(folder), "-p", seen_as, *map(str, paths),
        ],
        "the modules cannot be compiled", codes=(0, 1),  # 1: a module is of another Python's syntax, and stays as it is
    )  # fmt: skip


def own_python(pythons: Sequence[str]) -> str:
    """Return the kernel's Python where a place has it, since the model was made with that; else the newest it has.

    >>> own_python(["2.6", "2.7"])
    '2.7'
    """
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return own if own in pythons else pythons[-1]


def own_machine(architectures: Sequence[str]) -> str:
    """Return this machine's architecture where a place has it; else the first that it has."""
    found = machine()
    return found if found in architectures else architectures[0]


@cache
def find_python(minor: str) -> str | None:
    """Return an interpreter of a minor version such as ``3.13``: this one, or one that is installed; else ``None``."""
    from uv import find_uv_bin

    if minor == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return str(getattr(sys, "_base_executable", sys.executable))
    asked = [find_uv_bin(), "python", "find", "--system", "--no-project", "--no-python-downloads", minor]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(root.glob(f"versions/{minor}.*/bin/python"), key=_numbers)
    return str(installed[-1]) if installed else None


def compiling_python(minor: str, what: str) -> str:
    """Return the interpreter of a minor version by which `what` is compiled; see `find_python`.

    Raises
    ------
    DeploymentError
        There is none.
    """
    found = find_python(minor)
    if found is None:
        raise DeploymentError(
            f"{what} is compiled by Python {minor}, which is not on this machine; type: uv python install {minor} "
            "(or choose another --python)"
        )
    return found


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parents[1].name)]


def _run(argv: Sequence[str], failing: str, codes: tuple[int, ...] = (0,)) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=_MOST_S, env=kept | _REPRODUCIBLE
    )
    if done.returncode not in codes:
        said = [line.strip(_FRAME) for line in done.stderr.splitlines() if line.strip(_FRAME)]
        raise DeploymentError(f"{failing}: {' '.join(said)[:600] or 'it said nothing'}")


def environment(lock: Iterable[str], folder: Path, interpreter: str) -> str:
    """Make an environment of the pins of a lock, and of nothing else, in `folder`; return its interpreter.

    Raises
    ------
    DeploymentError
        A distribution has no wheel for this machine, or the index cannot be reached.
    """
    from uv import find_uv_bin

    python = bare_python(interpreter, folder)
    _run(
        [
            find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--no-deps", "--only-binary", ":all:",
            "--python", python, *pins(lock),
        ],
        "the lock cannot be installed",
    )  # fmt: skip
    return python


def bare_python(interpreter: str, folder: Path) -> str:
    """Make an environment with nothing installed in `folder`; return its interpreter.

    What a place does not have cannot be imported there either.
    """
    _run([interpreter, "-m", "venv", "--without-pip", str(folder)], "no environment can be made")
    return str(folder / "bin" / "python")
