"""Several bundles behind one function: each is a version, and the alias says who answers how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
from filelock import FileLock

from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import policies
from modelyard.targets.aws_lambda_calls import ALIAS, described, pointing, shares_of
from modelyard.targets.aws_lambda_versions import PublishingFunction, asked, published_bundle
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.protocol import State
from modelyard.targets.traffic import Routed, Seen
from modelyard_lambda import HASHES
from modelyard_router.policy import Policy, PolicyChangedError, PolicyFile, Variant, me, now
from modelyard_runtime.access import token_hash

_CHANGED = "PreconditionFailedException"  # the alias has another revision by now
_LOCK = "traffic.lock"
_DIGITS = 9
_NOT_COUNTED = Seen(math.nan, math.nan)  # no instance of a function knows what the others have answered


class RoutedFunction(PublishingFunction):
    """What makes a function that is there serve several bundles.

    A variant's `path` is the number of the version that holds its bundle. The alias is what is in force; the policy in
    the deployment's folder says who wanted it so, and when. Where the two differ, somebody has changed the alias.
    """

    def check_policy(self, policy: Policy) -> None:
        beyond = _beyond(policy)
        if beyond is not None:
            raise UsageError(
                f"AWS Lambda splits requests between two versions by their weights, and no more: {beyond}"
            )

    def routed(self, state: State, token: str) -> Routed:
        policy, _ = self._in_force(self.sender(state), state)
        history = PolicyFile(_folder(state)).history(policy)
        return Routed(policy, history, dict.fromkeys(policy.variants, _NOT_COUNTED))

    def as_variant(self, state: State, bundle: Bundle) -> Variant:
        send = self.sender(state)
        known = asked(send, state, "GetFunctionConfiguration", Qualifier=ALIAS)
        return self.version_of(send, state, bundle, known["Environment"]["Variables"][HASHES])

    def route(self, state: State, policy: Policy) -> None:
        self.check_policy(policy)
        with FileLock(_folder(state) / _LOCK):
            self._put_in_force(self.sender(state), state, policy)

    def change_token(self, state: State, token: str) -> State:
        """Publish every bundle that may have to answer again, with the hash of `token`: a version cannot be changed."""
        with FileLock(_folder(state) / _LOCK):
            send, hashed = self.sender(state), token_hash(token)
            before, _ = self._in_force(send, state)
            fresh = {
                name: self.version_of(send, state, published_bundle(before.variants[name]), hashed)
                for name in before.needed
            }
            policy = msgspec.structs.replace(
                before, number=before.number + 1, at=now(), by=me(), why="another token", variants=fresh,
                weights=before.answering,
            )  # fmt: skip
            self._put_in_force(send, state, policy)
        own = next((v for v in fresh.values() if v.digest == state["digest"]), fresh[policy.control])
        return {**state, "version": own.path}

    def _in_force(self, send: Send, state: State) -> tuple[Policy, str]:
        """Return the policy that the alias follows, and the alias' revision."""
        if "function" not in state:
            raise DeploymentError("its deploy was interrupted; type it again to go on, or undo() it")
        alias = asked(send, state, "GetAlias", Name=ALIAS)
        shares, known = shares_of(alias), policies.last(PolicyFile(_folder(state)))
        if known is None or _rounded(_shares(known)) != _rounded(shares):
            known = _found(send, state, known, shares)
        return known, alias["RevisionId"]

    def _put_in_force(self, send: Send, state: State, policy: Policy) -> None:
        file = PolicyFile(_folder(state))
        before, revision = self._in_force(send, state)
        if before.number != policy.number - 1:
            raise PolicyChangedError(before)
        _point(send, state, policy, before, RevisionId=revision)
        try:
            if (last := policies.last(file)) is None or last.number < before.number:
                policies.note(file, before)  # what somebody else wanted is part of the history
            policies.note(file, policy)
        except DeploymentError:
            _point(send, state, before, policy)
            raise


def _beyond(policy: Policy) -> str | None:
    """Return what of a policy an alias cannot do, and what can be typed instead."""
    if policy.shadow:
        return (
            f"nobody hears a shadow there ({', '.join(policy.shadow)}); type --shadow off, or --canary v2=1%"
        )
    if policy.sticky is not None:
        return f"each request is drawn by itself, not by {policy.sticky!r}; type --sticky off"
    if policy.is_rolling:
        return "a rollout does not go on by itself; type --canary v2=10%, look, then --canary v2=50% or --promote v2"
    if len(policy.answering) > 2:
        return f"found {', '.join(policy.answering)}; type --split v1=90% v2=10%, or deploy one under another --name"
    return None


def _found(send: Send, state: State, known: Policy | None, shares: Mapping[str, float]) -> Policy:
    """Return a policy by which the alias does what it does; it is written when the next one is."""
    variants = {} if known is None else dict(known.variants)
    weights: dict[str, float] = {}
    for version, share in shares.items():
        name = next((name for name, each in variants.items() if each.path == version), None)
        if name is None:
            known_of = asked(send, state, "GetFunctionConfiguration", Qualifier=version)
            tag, digest = described(known_of["Description"]) or (f"version-{version}", "")
            name = f"v{tag.partition(':')[2]}" if digest else tag
            if name in weights:
                name = f"version-{version}"
            variants[name] = Variant(tag, digest, version)
        weights[name] = share
    control = known.control if known is not None and known.control in weights else next(iter(weights))
    number = PolicyFile(_folder(state)).first_number() if known is None else known.number + 1
    why = f"the alias {ALIAS!r} was changed outside of %traffic"
    return Policy(number, now(), "AWS", why, variants, control, weights)


def _point(send: Send, state: State, policy: Policy, before: Policy, **more: str) -> None:
    """Let the alias follow a policy.

    Raises
    ------
    PolicyChangedError
        The alias has another revision.
    """
    try:
        send(
            "lambda", "UpdateAlias",
            {"FunctionName": state["function"], "Name": ALIAS, **pointing(_shares(policy)), **more},
        )  # fmt: skip
    except CallFailed as failed:
        if failed.code == _CHANGED:
            why = f"the alias {ALIAS!r} was changed outside of %traffic"
            raise PolicyChangedError(msgspec.structs.replace(before, by="AWS", why=why)) from None
        raise DeploymentError(f"lambda.UpdateAlias failed: {failed.code}: {failed}") from None


def _shares(policy: Policy) -> dict[str, float]:
    """Return the share of each version, the control's first where it answers."""
    names = sorted(policy.answering, key=lambda name: (name != policy.control, -policy.answering[name]))
    return {policy.variants[name].path: policy.answering[name] for name in names}


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {version: round(share, _DIGITS) for version, share in shares.items() if share > 0}


def _folder(state: State) -> Path:
    return Path(state["folder"])
