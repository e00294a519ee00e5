"""One policy, ready to answer by: the variants that are loaded, and who of them is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard_router.choosing import by_chance, by_key
from modelyard_router.keys import header_names
from modelyard_router.policy import Policy
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.doors.hot_path import HotPath

#: A header that nobody can send: which variant the hot path had chosen before the general way took the request.
CHOSEN = b"\0variant"


@dataclass(frozen=True, eq=False)
class Chosen:
    """A variant that may be drawn, with what a request needs of it then.

    Attributes
    ----------
    name : str
    hot : HotPath or None
        Its short way to an answer.
    mark : tuple of bytes
        The header that says that it was chosen.
    """

    name: str
    hot: HotPath | None
    mark: tuple[bytes, bytes]


@dataclass(frozen=True)
class Sticky:
    """How a caller is known."""

    name: str
    headers: frozenset[bytes]
    strip: bool


class Choice:
    """Who answers; never changed, only replaced.

    Parameters
    ----------
    apps : mapping of str to PredictorApp
        The variants that are loaded, of which `host` is always one. Those that are not yet get no requests; if none
        of the policy's is there, the host answers.
    """

    def __init__(self, policy: Policy | None, apps: Mapping[str, PredictorApp], host: str) -> None:
        weights = {} if policy is None else {n: w for n, w in policy.answering.items() if n in apps}
        total = sum(weights.values())
        weights = {name: weight / total for name, weight in weights.items()} if total else {host: 1.0}
        self._weights = weights
        self.number = 0 if policy is None else policy.number
        self.apps = {name: apps[name] for name in weights}
        self._chosen = {
            name: Chosen(name, app.hot, (CHOSEN, name.encode())) for name, app in self.apps.items()
        }
        #: Draws a variant, by chance.
        self.draw = by_chance({self._chosen[name]: weight for name, weight in weights.items()})
        #: The one that answers everything, if there is one.
        self.only = next(iter(self.apps.values())) if len(self.apps) == 1 else None
        self.sticky: Sticky | None = None
        if policy is not None and policy.sticky is not None:
            known = policy.sticky in apps[host].predictor.contract.names
            self.sticky = Sticky(policy.sticky, header_names(policy.sticky), strip=not known)
            self._salts = {name: policy.variants[name].digest for name in weights if name in policy.variants}

    def of(self, key: str | None) -> Chosen:
        """Return the variant of a caller; by chance where nobody says who it is."""
        return self.draw() if key is None else self._chosen[by_key(self._weights, key, self._salts)]
