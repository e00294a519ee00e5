"""What a target that can serve several bundles behind one endpoint promises; ours and a cloud's keep the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from modelyard.packaging import Bundle
from modelyard.targets.protocol import State
from modelyard_router.policy import Policy, Variant


@dataclass(frozen=True)
class Seen:
    """What was counted of one variant since it was first there.

    Attributes
    ----------
    requests, errors : float
        Requests to predict, and those among them that failed (5xx).
    p50_s, p99_s : float
        Quantiles of how long predictions took, in seconds; nan without any.
    compared, differing : float
        Rows that it answered after another variant had, as a shadow or for a guard, and those it answered otherwise.
    """

    requests: float = 0.0
    errors: float = 0.0
    p50_s: float = float("nan")
    p99_s: float = float("nan")
    compared: float = 0.0
    differing: float = 0.0


@dataclass(frozen=True)
class Routed:
    """How an endpoint routes now.

    Attributes
    ----------
    policy : Policy
    history : tuple of Policy
        All policies so far, oldest first; the last one is `policy`.
    seen : dict of str to Seen
        By variant.
    reached : tuple of int
        The number of the policy that each server process answers by.
    failed : dict of str to str
        Variants that could not be loaded, and why.
    guards : tuple of str
        How the guards of a running rollout stand.
    waits_for : str
        What its step waits for.
    """

    policy: Policy
    history: tuple[Policy, ...]
    seen: dict[str, Seen]
    reached: tuple[int, ...] = ()
    failed: dict[str, str] | None = None
    guards: tuple[str, ...] = ()
    waits_for: str = ""


@runtime_checkable
class RoutingTarget(Protocol):
    """A target whose endpoints can serve several bundles as variants.

    `modelyard.testing.TrafficContract` tests these promises:

    - A bundle becomes a variant without a restart of those that run; one that does not load changes nothing.
    - What `check_policy` refuses changes nothing.
    - `route` puts a policy in force everywhere within a second and at one stroke, or raises and leaves the one before.
    - Of two who read the same policy, only one can write the next.
    - Weights, shadows and the history survive `stop` and `start`.
    """

    def check_policy(self, policy: Policy) -> None:
        """Refuse what the place cannot do; asked before a bundle is brought there.

        Raises
        ------
        UsageError
            What it cannot do, what it can, and what to type.
        """
        ...

    def routed(self, state: State, token: str) -> Routed:
        """Look at how the endpoint, which asks for `token`, routes.

        Raises
        ------
        DeploymentError
            It cannot route at all, and why.
        """
        ...

    def as_variant(self, state: State, bundle: Bundle) -> Variant:
        """Bring a bundle to the endpoint, where it gets no request yet; doing so twice is no error."""
        ...

    def route(self, state: State, policy: Policy) -> None:
        """Put `policy`, which follows on the one that was read, in force; return when every server process has it.

        Raises
        ------
        PolicyChangedError
            Somebody else was faster.
        DeploymentError
            It could not be put in force, and the one before is; or a server process is late to take it up.
        """
        ...


def can_route(target: Any) -> bool:
    """Whether endpoints of a target can serve several bundles."""
    return isinstance(target, RoutingTarget)
