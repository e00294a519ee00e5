"""Which worker has which policy, and which workers were lost: one small file each, in the deployment's folder."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard_router.files import replace

_FOLDER = "workers"
_LOST = "lost.jsonl"
_SHADOWS = "shadows.json"


@dataclass(frozen=True)
class Worker:
    """What one worker says of itself.

    Attributes
    ----------
    pid : int
    policy : int
        The number of the policy that it answers by.
    loaded : tuple of str
        The variants that it holds ready.
    failed : dict of str to str
        Variants that it could not load, and why.
    """

    pid: int
    policy: int
    loaded: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


def say(folder: Path, worker: Worker) -> None:
    """Write what a worker says of itself."""
    path = folder / _FOLDER / f"{worker.pid}.json"
    path.parent.mkdir(exist_ok=True)
    replace(path, json.dumps(asdict(worker)).encode())


def leave(folder: Path, pid: int) -> None:
    """Note that a worker ends as it should."""
    (folder / _FOLDER / f"{pid}.json").unlink(missing_ok=True)


def living(folder: Path) -> tuple[Worker, ...]:
    """Return what the workers that are alive say."""
    return tuple(worker for worker in _said(folder) if _is_alive(worker.pid))


def note_lost(folder: Path, at: float) -> None:
    """Write down, once, the workers that ended without a word."""
    for worker in _said(folder):
        if not _is_alive(worker.pid):
            path = folder / _FOLDER / f"{worker.pid}.json"
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                with (folder / _LOST).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"at": at, "pid": worker.pid}) + "\n")


def lost_since(folder: Path, began: float) -> int:
    """Return how many workers were lost since a moment, in seconds of the epoch."""
    try:
        lines = (folder / _LOST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(json.loads(line)["at"] >= began for line in lines)


def forget(folder: Path) -> None:
    """Forget everybody; called when the endpoint is started by hand."""
    for path in (folder / _FOLDER).glob("*.json"):
        path.unlink(missing_ok=True)


def say_failed_shadows(folder: Path, failed: dict[str, str]) -> None:
    """Write which variants could not be loaded to answer again what others have answered, and why."""
    path = folder / _SHADOWS
    if not failed:
        path.unlink(missing_ok=True)
        return
    replace(path, json.dumps(failed).encode())


def failed_shadows(folder: Path) -> dict[str, str]:
    """Return what `say_failed_shadows` was told last."""
    try:
        return dict(json.loads((folder / _SHADOWS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _said(folder: Path) -> list[Worker]:
    found = []
    for path in sorted((folder / _FOLDER).glob("*.json")):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found.append(Worker(said["pid"], said["policy"], tuple(said["loaded"]), said["failed"]))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:  # a dead child that nobody has waited for still has its number
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()
