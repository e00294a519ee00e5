"""Who answers: the policy of an endpoint, its file, and the history of all that it has been.

The file is replaced at one stroke and numbered, so that a reader sees one policy or the next and never a mixture, and
two writers who read the same one cannot both write.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from modelyard_router.files import replace

POLICY = "policy.json"
HISTORY = "policies"
_LOCK = "policy.lock"
_EXACT = 1e-9


class PolicyError(ValueError):
    """A policy that cannot be; one line."""


class PolicyChangedError(PolicyError):
    """Somebody else has changed the policy since it was read."""

    def __init__(self, found: Policy) -> None:
        super().__init__(
            f"the policy was changed meanwhile: number {found.number} by {found.by} ({found.why}); "
            "look at it, and type yours again if it is still right"
        )


class Variant(msgspec.Struct, frozen=True):
    """A bundle of an endpoint.

    Attributes
    ----------
    path : str
        The Bento, from the deployment's folder.
    site : str or None
        The folder with the distributions of its lock, where it holds Python.
    """

    tag: str
    digest: str
    path: str
    site: str | None = None


class Rollout(msgspec.Struct, frozen=True):
    """A candidate that gets more and more of the requests, as long as its guards hold.

    Attributes
    ----------
    steps : tuple of float
        The candidate's share in each step, rising, each in (0, 1].
    every_s : float
        How long a step lasts at least, in seconds.
    guards : tuple of str
        What must hold, as ``errors<1%``; see `guards`.
    least : int
        Requests to the candidate without which no step is over.
    step : int
        Which one it is, from 0.
    since : float
        When that began, in seconds of the epoch.
    began : float
        When the rollout did.
    state : {"running", "finished", "rolled back"}
    """

    candidate: str
    steps: tuple[float, ...]
    every_s: float
    guards: tuple[str, ...]
    least: int
    step: int
    since: float
    began: float
    state: Literal["running", "finished", "rolled back"] = "running"


class Policy(msgspec.Struct, frozen=True):
    """Who answers how much, who only listens, and since when.

    Attributes
    ----------
    number : int
        Rises by one with each policy of an endpoint.
    at, by, why : str
        When (ISO 8601, UTC), who, and the words for it.
    variants : dict of str to Variant
        All that may be named; ``v3`` is the bundle's version 3.
    control : str
        The one that the others are compared with, and that is left after a rollback.
    weights : dict of str to float
        Shares of the requests; they add up to 1.
    before : str or None
        The control of before the last promotion.
    shadow : tuple of str
        Who gets a copy of each request and is heard by nobody.
    sticky : str or None
        The header or column whose value keeps a caller on one variant.
    held : tuple of str
        Variants that are held ready although they have nothing to do yet.
    """

    number: int
    at: str
    by: str
    why: str
    variants: dict[str, Variant]
    control: str
    weights: dict[str, float]
    before: str | None = None
    shadow: tuple[str, ...] = ()
    sticky: str | None = None
    rollout: Rollout | None = None
    held: tuple[str, ...] = ()
    schema: int = 1

    @property
    def answering(self) -> dict[str, float]:
        """The weights that are not 0."""
        return {name: weight for name, weight in self.weights.items() if weight > 0}

    @property
    def needed(self) -> tuple[str, ...]:
        """The variants that every worker holds ready."""
        wanted = [self.control, *self.answering, *self.held]
        if self.before is not None:
            wanted.append(self.before)
        if self.rollout is not None and self.rollout.state == "running":
            wanted.append(self.rollout.candidate)
        return tuple(dict.fromkeys(name for name in wanted if name in self.variants))

    @property
    def is_rolling(self) -> bool:
        return self.rollout is not None and self.rollout.state == "running"


def checked(policy: Policy) -> Policy:
    """Return a policy that makes sense.

    Raises
    ------
    PolicyError
        It names variants that are not there, or its weights do not add up to 1.
    """
    named = [policy.control, *policy.weights, *policy.shadow]
    if policy.rollout is not None:
        named.append(policy.rollout.candidate)
    unknown = sorted({name for name in named if name not in policy.variants})
    if unknown:
        raise PolicyError(
            f"no variant {unknown[0]!r} here; there: {', '.join(sorted(policy.variants)) or 'none'}"
        )
    wrong = [f"{name}={100 * weight:.6g}%" for name, weight in policy.weights.items() if not 0 <= weight <= 1]
    if wrong:
        raise PolicyError(f"a share is between 0% and 100%, found {wrong[0]}")
    total = sum(policy.weights.values())
    if abs(total - 1) > _EXACT:
        raise PolicyError(
            f"the shares add up to {100 * total:.6g}%, not to 100%: "
            + ", ".join(f"{name}={100 * weight:.6g}%" for name, weight in policy.weights.items())
        )
    both = sorted(set(policy.shadow) & set(policy.answering))
    if both:
        raise PolicyError(f"{both[0]} answers requests; a shadow does not, so it cannot be both")
    return policy


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def me() -> str:
    """Return who changes a policy: the user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class PolicyFile:
    """The policy of one deployment, in its folder; the history is in ``state/``, which a replacement keeps.

    Parameters
    ----------
    folder : Path
        The deployment's own.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / POLICY
        self._history = folder / "state" / HISTORY
        self._lock = folder / _LOCK

    def stamp(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the file does; ``None`` where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def read(self) -> Policy:
        """Return the policy.

        Raises
        ------
        PolicyError
            There is none, or it cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Policy)
        except (OSError, msgspec.DecodeError) as error:
            raise PolicyError(f"{self.path.name} cannot be read: {error}") from None

    def history(self, last: Policy) -> tuple[Policy, ...]:
        """Return all policies that this deployment had up to `last`, oldest first.

        A later one may have been written there by who was then killed, or could not write the file itself.
        """
        found = []
        for path in sorted(self._history.glob("*.json")):
            try:
                past = msgspec.json.decode(path.read_bytes(), type=Policy)
            except (OSError, msgspec.DecodeError):
                continue
            if past.number < last.number:
                found.append(past)
        return (*found, last)

    def first_number(self) -> int:
        """Return the number of the next policy where the file itself is not there yet."""
        numbers = [int(path.stem) for path in self._history.glob("*.json") if path.stem.isdigit()]
        return max(numbers, default=0) + 1

    def write(self, policy: Policy) -> Policy:
        """Put a policy in the place of the one whose number it has, less one.

        Raises
        ------
        PolicyChangedError
            Another one stands there by now.
        PolicyError
            It makes no sense.
        OSError
            It cannot be written; the one before is still in force.
        """
        checked(policy)
        with self._locked():
            if self.path.exists() and (found := self.read()).number != policy.number - 1:
                raise PolicyChangedError(found)
            content = msgspec.json.format(msgspec.json.encode(policy), indent=1) + b"\n"
            self._history.mkdir(mode=0o700, parents=True, exist_ok=True)
            entry = self._entry(policy)
            replace(entry, content, durable=True)
            try:
                replace(self.path, content, durable=True)
            except BaseException:
                entry.unlink(missing_ok=True)
                raise
        return policy

    def withdraw(self, policy: Policy) -> None:
        """Take a policy out of the history again: it was written for an endpoint that never answered."""
        self._entry(policy).unlink(missing_ok=True)

    def _entry(self, policy: Policy) -> Path:
        return self._history / f"{policy.number:06d}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
