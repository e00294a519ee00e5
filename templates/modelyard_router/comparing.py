"""A process of its own that lets variants answer again what others have answered, and counts where they differ.

It reads the prediction log a moment after the answers were given: no request waits for it, and what befalls it befalls
nobody else. Falling far behind, it skips, and counts what it skipped.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from modelyard_router import counters, workers
from modelyard_router.files import replace
from modelyard_router.loading import load, model_folder
from modelyard_router.logbook import PREDICTIONS, Entry, Follower
from modelyard_router.policy import Policy, PolicyError, PolicyFile
from modelyard_runtime.bundle_format import PROFILE
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.prediction_log import PredictionLog
from modelyard_runtime.predictor import Answer, RequestError

SHADOW_LOG = "shadow"

_POLL_S = 0.05
_READ_BYTES = 256 * 1024
_BEHIND_BYTES = 64 * 1024 * 1024
_KEPT_BYTES = 64 * 1024 * 1024
_SEGMENT_BYTES = 4 * 1024 * 1024
_NICE = 10
#: Values differ when they are further apart than this share of the range that 80 % of the training answers were in.
SHARE_OF_RANGE = 0.05
_OFFSETS = "compared.json"

_log = logging.getLogger("modelyard_runtime")


class _Logged(msgspec.Struct):
    """The part of an answer that is compared."""

    id: str
    variant: str
    predictions: list[Any]


class Other:
    """A variant that answers again."""

    def __init__(self, folder: Path, name: str, policy: Policy) -> None:
        variant = policy.variants[name]
        self.digest = variant.digest
        self._predictor = load(folder, name, variant)
        self._apart = _apart(model_folder(folder, variant) / PROFILE)

    def answer(self, request: bytes) -> Answer | None:
        """Return its answer; ``None`` where it refuses or fails."""
        try:
            return self._predictor.answer(request)
        except (ContractBroken, RequestError, msgspec.DecodeError):
            return None
        except Exception:  # noqa: BLE001  # a shadow's own mistakes are what a shadow is for
            _log.exception("a shadow failed")
            return None

    def differing(self, first: Sequence[Any], second: Sequence[Any]) -> int:
        """Return how many rows were answered otherwise."""
        return sum(self._differs(a, b) for a, b in zip(first, second, strict=True))

    def _differs(self, a: Any, b: Any) -> bool:
        if self._apart is not None and isinstance(a, int | float) and isinstance(b, int | float):
            return abs(a - b) > self._apart
        return bool(a != b)

    def flush(self) -> None:
        self._predictor.recorder.flush()

    def close(self) -> None:
        self._predictor.close()


def _apart(profile: Path) -> float | None:
    """Return how far apart two values must be to differ; ``None`` for labels."""
    output = msgspec.json.decode(profile.read_bytes())["output"] if profile.is_file() else {}
    edges = output.get("edges")
    if not edges or len(edges) < 2:
        return None
    inner = edges[1:-1] if len(edges) > 3 else edges
    return SHARE_OF_RANGE * (float(inner[-1]) - float(inner[0]) or abs(float(inner[0])) or 1.0)


def begin(folder: Path) -> None:
    """Note where the log ends, unless that stands there: what was answered before is not compared."""
    path = folder / _OFFSETS
    if not path.exists():
        follower = Follower(folder / "state" / PREDICTIONS)
        follower.skip_to_end()
        _note(path, follower)


def forget(folder: Path) -> None:
    """Note that nobody answers again any more."""
    (folder / _OFFSETS).unlink(missing_ok=True)
    workers.say_failed_shadows(folder, {})


def _note(path: Path, follower: Follower) -> None:
    replace(path, msgspec.json.encode(follower.offsets))


class Comparer:
    """Follows the log of one deployment, from where `begin` was called or an earlier one stopped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._file = PolicyFile(folder)
        self._others: dict[str, Other] = {}
        self._failed: dict[str, str] = {}
        self._number = 0  # of the policy under which those failed
        self._kept = PredictionLog(
            self._state / SHADOW_LOG, segment_bytes=_SEGMENT_BYTES, limit_bytes=_KEPT_BYTES
        )
        begin(folder)
        offsets = msgspec.json.decode((folder / _OFFSETS).read_bytes(), type=dict[str, int])
        self._follower = Follower(self._state / PREDICTIONS, offsets)
        self._skipped = 0

    def turn(self) -> bool:
        """Compare what has come; return whether there was anything."""
        policy = self._file.read()
        pairs = counters.compared_pairs(policy)
        self._load(policy, {name for others in pairs.values() for name in others})
        if self._follower.behind() > _BEHIND_BYTES:
            self._skipped += self._follower.skip_to_end()
        entries = self._follower.read(_READ_BYTES)
        for entry in entries:
            if entry.answer:
                self._compare(policy, pairs, entry)
        for other in self._others.values():
            other.flush()
        self._kept.flush()
        if entries:
            _note(self._folder / _OFFSETS, self._follower)
        return bool(entries)

    def _compare(self, policy: Policy, pairs: dict[str, tuple[str, ...]], entry: Entry) -> None:
        logged = msgspec.json.decode(entry.answer, type=_Logged)
        for name in pairs.get(logged.variant, ()):
            other = self._others.get(name)
            if other is None:  # it does not load
                continue
            started = time.perf_counter()
            answer = other.answer(entry.request)
            seconds = time.perf_counter() - started
            rows = len(logged.predictions)
            wrong = rows if answer is None else 0
            if answer is not None and len(answer.predictions) == rows:
                wrong = other.differing(logged.predictions, answer.predictions)
            own = counters.pair_cells(self._state, policy, logged.variant, name).own
            counted = (1, rows, wrong, answer is None, seconds, self._skipped)
            self._skipped = 0
            for position, value in enumerate(counted):
                own[position] += value
            if wrong:
                self._kept.add(
                    entry.request,
                    msgspec.json.encode({"answer": msgspec.Raw(entry.answer), "shadow": answer}),
                )

    def _load(self, policy: Policy, wanted: set[str]) -> None:
        """Hold ready who is wanted, and nobody else; who does not load is tried again under the next policy."""
        for name, known in list(self._others.items()):
            if name not in wanted or known.digest != policy.variants[name].digest:
                self._others.pop(name).close()
        failed = self._failed if policy.number == self._number else {}
        for name in sorted(wanted - self._others.keys() - failed.keys()):
            try:
                self._others[name] = Other(self._folder, name, policy)
            except Exception as error:  # noqa: BLE001  # whatever stops one from loading must not stop the others
                _log.exception("variant %s cannot be loaded to answer again", name)
                failed = {**failed, name: f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        if failed != self._failed:
            workers.say_failed_shadows(self._folder, failed)
        self._failed, self._number = failed, policy.number


def main(folder: str) -> None:
    """Compare until the one who started this ends: then its end of standard input closes."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    comparer = Comparer(Path(folder))
    while True:
        try:
            busy = comparer.turn()
        except (PolicyError, OSError) as error:
            _log.error("nothing is compared: %s", error)
            busy = False
        if select.select([sys.stdin], [], [], 0 if busy else _POLL_S)[0]:
            return
