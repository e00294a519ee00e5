"""The wheels of a lock for another machine, as files that lie beside what needs them, each with its digest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from modelyard.errors import DeploymentError
from modelyard.packaging.locking import pins
from modelyard.targets.installing import Platform

_OLDEST_LIBC, _MOST_S = 17, 900


def download(lock: Iterable[str], to: Path, where: Platform, *beside: str) -> None:
    """Put the wheels of a lock, and of distributions `beside` it, into the folder `to`.

    Asks the package index that pip is set up for; nothing is resolved and nothing built.

    Raises
    ------
    DeploymentError
        A distribution has no wheel for the platform, or the index cannot be reached.
    """
    from uv import find_uv_bin

    machine = where.tag.partition("-")[0]
    newest = int(where.libc.rpartition("_")[2])
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, _OLDEST_LIBC - 1, -1)]
    platforms = [word for tag in (*tags, f"manylinux2014_{machine}") for word in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [find_uv_bin(), "tool", "run", "pip"]
    done = subprocess.run(
        [
            *pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
            "--dest", str(to), "--python-version", where.python, "--implementation", "cp", *platforms,
            *pins(lock), *beside,
        ],
        capture_output=True, text=True, check=False, timeout=_MOST_S, env=dict(os.environ),
    )  # fmt: skip
    if done.returncode:
        said = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR")) or done.stderr
        raise DeploymentError(
            f"wheels for Python {where.python} on {where.architecture} cannot be had: {' '.join(said.split())[:400]}"
        )


def requirements(lock: Iterable[str], wheels: Path | None = None) -> str:
    r"""Return the pins of a lock as pip reads them; with the digests of their wheels, where those are there.

    >>> requirements(["numpy==2.4.6  # record:0123"])
    'numpy==2.4.6\n'
    """
    known = {} if wheels is None else {name: digest for name, digest in map(_named, wheels.glob("*.whl"))}
    lines = []
    for pin in pins(lock):
        digest = known.get(canonicalize_name(pin.partition("==")[0]))
        lines.append(f"{pin} --hash=sha256:{digest}\n" if digest else f"{pin}\n")
    return "".join(lines)


def _named(wheel: Path) -> tuple[str, str]:
    return parse_wheel_filename(wheel.name)[0], hashlib.sha256(wheel.read_bytes()).hexdigest()
