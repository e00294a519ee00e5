"""Programs for another machine, run here: qemu's user mode, and a folder that holds that machine's system."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelyard.errors import DeploymentError, UsageError

_EMULATORS = {"arm64": "qemu-aarch64-static", "x86_64": "qemu-x86_64-static"}
#: A Raspberry Pi 4's: what that lacks is not used here either, and of newer ones qemu gets some sums wrong.
_PROCESSORS = {"arm64": "cortex-a72", "x86_64": "max"}


def emulated_python(sysroot: Path, architecture: str, python: str, folder: Path) -> str:
    """Return a program that runs the Python of a system which was made for another machine.

    Parameters
    ----------
    sysroot : Path
        A folder with that system, such as one that debootstrap makes.
    architecture, python : str
        ``arm64``, ``3.11``.
    folder : Path
        Where the program is put.

    Raises
    ------
    UsageError
        The folder has no such Python.
    DeploymentError
        qemu is not installed.
    """
    if not sysroot.is_dir():
        raise UsageError(
            f"sysroot {str(sysroot)!r} is no folder; give one with an {architecture} system, or leave it out"
        )
    emulator = shutil.which(_EMULATORS[architecture])
    if emulator is None:
        raise DeploymentError(
            f"{_EMULATORS[architecture]} is not installed; type: sudo apt install qemu-user-static, or leave "
            "--sysroot out"
        )
    inner = sysroot.resolve() / "usr" / "bin" / f"python{python}"
    if not inner.exists():
        there = ", ".join(sorted(path.name for path in inner.parent.glob("python3.*[0-9]"))) or "no Python"
        raise UsageError(
            f"{sysroot} has no python{python}, it has {there}; choose another --python or --sysroot"
        )
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(
        f'#!/bin/sh\nexec "{emulator}" -cpu {_PROCESSORS[architecture]} -L "{sysroot.resolve()}" "{inner}" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return str(program)
