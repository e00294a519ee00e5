"""The variants that one worker holds ready, and the thread that follows the policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from pathlib import Path

import msgspec

from modelyard_router import workers
from modelyard_router.choice import Choice
from modelyard_router.leading import Leader
from modelyard_router.loading import load
from modelyard_router.policy import Policy, PolicyError, PolicyFile, Variant
from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import PredictorApp

#: How often the policy is looked at; a change is in force after that, and what a file takes to read.
POLL_S = 0.04
_ROUND_S = 0.2  # of the thread, which does what is due, and takes up what is new
_FAREWELL_S = 5.0  # a variant that no policy names is let go when its last requests are long answered
_log = logging.getLogger("modelyard_runtime")


class Crew:
    """Holds the variants of a policy ready, and takes up each new one.

    Attributes
    ----------
    choice : Choice
        By which requests are answered now; replaced at one stroke.
    """

    def __init__(self, folder: Path, host: PredictorApp, gate: Gate) -> None:
        self._folder = folder
        self._file = PolicyFile(folder)
        self._gate = gate
        self._host = host.predictor.variant
        self._apps = {self._host: host}
        self._failed: dict[str, str] = {}
        self._loading: set[str] = set()
        self._going: dict[str, float] = {}
        self._lock = threading.RLock()
        self._said: workers.Worker | None = None
        self._seen: tuple[int, int, int] | None = None
        self.policy: Policy | None = None
        self.choice = Choice(None, self._apps, self._host)
        self._take_up()
        for thread in [t for t in threading.enumerate() if t.name.startswith("modelyard-load-")]:
            thread.join()  # an endpoint that starts again answers by its whole policy or not at all
        self._leader = Leader(folder, self)
        self._over, self._due = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="modelyard-router", daemon=True)
        self._thread.start()

    @property
    def apps(self) -> tuple[PredictorApp, ...]:
        """All variants that are loaded."""
        return tuple(self._apps.values())

    def app(self, variant: str) -> PredictorApp | None:
        return self._apps.get(variant)

    def ready(self) -> bytes:
        """Return the body of ``/readyz``."""
        manifest = self._apps[self._host].predictor.manifest
        state = {
            "status": "ready",
            "bundle": manifest["name"],
            "variant": self._host,
            "digest": manifest["digest"],
            "policy": self.choice.number,
            "variants": list(self.choice.apps),
        }
        return msgspec.json.encode(state)

    def leave(self) -> None:
        """End: the worker stops on purpose."""
        self._over.set()
        self._due.set()
        self._thread.join(timeout=2)
        self._leader.leave()
        workers.leave(self._folder, os.getpid())

    def look_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the policy from the event loop, where a look costs a thirtieth of what waking the thread does."""

        def look() -> None:
            if self._file.stamp() != self._seen:
                self._due.set()
            if not self._over.is_set():
                loop.call_later(POLL_S, look)

        loop.call_later(POLL_S, look)

    def _watch(self) -> None:
        while not self._over.is_set():
            self._due.wait(_ROUND_S)
            self._due.clear()
            try:
                if self._file.stamp() != self._seen:
                    self._take_up()
                self._let_go()
                self._say()
                if self.policy is not None:
                    self._leader.tick(self.policy)
            except Exception:  # noqa: BLE001  # whatever it is, requests are answered as before
                _log.exception("the policy could not be followed")

    def _take_up(self) -> None:
        """Read the policy, load what it needs, and answer by it."""
        seen = self._file.stamp()
        try:
            policy = self._file.read()
        except PolicyError as error:
            if seen is not None:
                _log.error("the policy is left as it is: %s", error)
            self._seen = seen
            return
        with self._lock:
            self._seen, self.policy = seen, policy
            self._failed = {name: why for name, why in self._failed.items() if name in policy.needed}
            for name in policy.needed:
                self._going.pop(name, None)
                known = name in self._apps or name in self._loading
                if not known:
                    self._begin_to_load(name, policy)
            self._answer()

    def _begin_to_load(self, name: str, policy: Policy) -> None:
        self._failed.pop(name, None)
        self._loading.add(name)
        arguments = (name, policy.variants[name], policy.number)
        threading.Thread(target=self._load, args=arguments, name=f"modelyard-load-{name}").start()

    def _load(self, name: str, variant: Variant, number: int) -> None:
        """Load a variant that the policy of that number needs."""
        try:
            app = self._loaded(name, variant)
        except Exception as error:  # noqa: BLE001  # a candidate that does not load must not harm the endpoint
            _log.exception("variant %s cannot be loaded", name)
            with self._lock:
                self._loading.discard(name)
                self._not_loaded(name, number, f"{type(error).__name__}: {error}".splitlines()[0][:300])
                self._answer()
        else:
            with self._lock:
                self._loading.discard(name)
                self._apps = {**self._apps, name: app}
                self._answer()

    def _not_loaded(self, name: str, number: int, why: str) -> None:
        """Say why, unless nobody needs it by now; try again where it was asked for anew meanwhile."""
        policy = self.policy
        if policy is None or name not in policy.needed:
            return
        if policy.number == number:
            self._failed[name] = why
        else:
            self._begin_to_load(name, policy)

    def _loaded(self, name: str, variant: Variant) -> PredictorApp:
        return PredictorApp(load(self._folder, name, variant), self._gate)

    def _answer(self) -> None:
        """Answer by what is loaded of the policy, and say so; what is not of it goes in a while."""
        self.choice = Choice(self.policy, self._apps, self._host)
        if self.policy is not None:
            for name in self._apps:
                if name not in self.policy.needed and name != self._host:
                    self._going.setdefault(name, time.monotonic() + _FAREWELL_S)
        self._say()

    def _say(self) -> None:
        with self._lock:
            said = workers.Worker(os.getpid(), self.choice.number, tuple(self._apps), dict(self._failed))
            if said != self._said:
                with contextlib.suppress(OSError):  # a full disk: it answers all the same, and says so later
                    workers.say(self._folder, said)
                    self._said = said

    def _let_go(self) -> None:
        now = time.monotonic()
        for name in [name for name, when in self._going.items() if when < now]:
            with self._lock:
                del self._going[name]
                app = self._apps.get(name)
                if app is None or (self.policy is not None and name in self.policy.needed):
                    continue
                self._apps = {other: each for other, each in self._apps.items() if other != name}
                self._answer()
            closing = threading.Thread(
                target=app.predictor.close, name=f"modelyard-close-{name}", daemon=True
            )
            closing.start()  # it waits for what its model still does; the policy does not
