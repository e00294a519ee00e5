"""Several bundles behind one endpoint: each is a production variant, or a shadow that listens."""

from __future__ import annotations

import math
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from modelyard.errors import DeploymentError, UsageError
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets import policies
from modelyard.targets.artifact import Artifact
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.carrying_out import carry_out
from modelyard.targets.fitting import fit_of
from modelyard.targets.protocol import STATE_KEPT, State
from modelyard.targets.sagemaker_calls import Wanted, another_model, bundle_of
from modelyard.targets.sagemaker_hosting import Hosting, configured, created, left_at
from modelyard.targets.sagemaker_live import (
    EXTRA,
    LiveEndpoint,
    asked,
    delete,
    lift,
    scaling_of,
    shadows_of,
    shares_of,
)
from modelyard.targets.sagemaker_modes import Mode
from modelyard.targets.sagemaker_send import GONE, IN_SERVICE, described, reason, settled
from modelyard.targets.traffic import Routed, Seen
from modelyard_router.policy import Policy, PolicyChangedError, PolicyFile, Variant, now

#: How an endpoint is looked at: at once, or when it changes no longer.
Look = Callable[[Send, str], Mapping[str, Any]]

_LOCK = "traffic.lock"
_DIGITS = 5  # AWS keeps weights in single precision
_NOT_COUNTED = Seen(math.nan, math.nan)  # CloudWatch counts, a minute later and by the minute
# Of an endpoint whose instances follow its requests: variants that stay have as many as they had.
_KEEPING_COUNTS = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [
        {"VariantPropertyType": each} for each in ("DesiredWeight", "DataCaptureConfig")
    ],
}
_CHANGED = "the endpoint was changed outside of %traffic"


class RoutedEndpoint(LiveEndpoint, ABC):
    """What makes an endpoint that is there serve several bundles.

    A variant's `path` is the name of the model that holds its bundle. The endpoint is what is in force; the policy in
    the deployment's folder says who wanted it so, and when. Where the two differ, somebody has changed the endpoint.
    AWS knows no revisions of one: of two machines that change it within the same second, the later one wins.

    Variants have instances of their own, so those that a policy names are there and no others: weights change within
    seconds, and a variant comes, goes, or begins to listen within minutes, during which the endpoint answers as before.
    """

    @property
    @abstractmethod
    def way(self) -> Mode:
        """What the endpoint can do."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What it takes."""

    @abstractmethod
    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        """Make of a bundle what is sent."""

    @abstractmethod
    def wanted(self, bundle: Bundle, endpoint: str) -> Wanted:
        """Return a bundle as it is to be there."""

    @abstractmethod
    def hosting(self, endpoint: str, digest: str) -> Hosting:
        """Return what every configuration of an endpoint says."""

    @abstractmethod
    def reach(self, send: Send, artifact: Artifact) -> Send:
        """Return what makes all calls that bring an artifact there."""

    def check_policy(self, policy: Policy) -> None:
        beyond = _beyond(policy, self.way)
        if beyond is not None:
            raise UsageError(f"SageMaker splits requests between variants by their weights: {beyond}")

    def routed(self, state: State, token: str) -> Routed:
        policy = self._in_force(self.sender(state), state, described)
        history = PolicyFile(_folder(state)).history(policy)
        return Routed(policy, history, dict.fromkeys(policy.variants, _NOT_COUNTED))

    def as_variant(self, state: State, bundle: Bundle) -> Variant:
        """Make a model of a bundle; it loads when the first policy that names it is put in force."""
        send, wanted = self.sender(state), self.wanted(bundle, state["endpoint"])
        if not _is_there(send, wanted.model):
            with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
                artifact = self.make(bundle, Path(folder))
                fit = fit_of(bundle.tag, EXTRA, self.limits, artifact)
                if not fit.ok:
                    raise DeploymentError(fit.sentence())
                calls = another_model(wanted, first=False)
                carry_out(calls, self.reach(send, artifact), _kept(state), lambda _: b"", joins=True)
            self._end_with_what_was(send, state)
        return Variant(bundle.tag, bundle.digest, wanted.model)

    def route(self, state: State, policy: Policy) -> None:
        self.check_policy(policy)
        with FileLock(_folder(state) / _LOCK):
            send, file = self.sender(state), PolicyFile(_folder(state))
            before = self._in_force(send, state)
            if before.number != policy.number - 1:
                raise PolicyChangedError(before)
            self._follow(send, state, policy, before)
            try:
                _note_also(file, before)  # what somebody else wanted is part of the history
                policies.note(file, policy)
            except DeploymentError:
                self._follow(send, state, before, policy)
                raise

    def stop(self, state: State) -> None:
        """Delete the endpoint, since AWS stops none; models, configurations and the policy stay."""
        if "endpoint" not in state:
            return
        with FileLock(_folder(state) / _LOCK):
            send = self.sender(state)
            if _status(send, state) is not None:
                _note_also(PolicyFile(_folder(state)), self._in_force(send, state))
                delete(send, state)

    def start(self, state: State) -> State:
        """Create the endpoint again, as the last policy has it; its instances need some minutes."""
        with FileLock(_folder(state) / _LOCK):
            send = self.sender(state)
            if _status(send, state) is None:
                policy = policies.last(PolicyFile(_folder(state)))
                usable = policy is not None and all(
                    _is_there(send, model) for model in _hosted(policy).values()
                )
                configuration = self._configure(send, state, policy) if policy and usable else state["config"]
                call = created(
                    state["endpoint"], configuration, self.hosting(state["endpoint"], state["digest"]).tags
                )
                asked(send, call.operation, **call.parameters)
                _wait(send, state)
                self._scale(send, state, list(shares_of(described(send, state["endpoint"]))))
        return state

    def _in_force(self, send: Send, state: State, look: Look = settled) -> Policy:
        """Return the policy that the endpoint follows; where it is stopped, the one that it will follow.

        While it changes, it follows the one before; by default that is waited for.
        """
        if "endpoint" not in state:
            raise DeploymentError("its deploy was interrupted; type it again to go on, or undo() it")
        if not self.way.has_endpoint:
            raise DeploymentError("a batch transform has no endpoint, and so no traffic")
        known, found = policies.last(PolicyFile(_folder(state))), _status(send, state, look)
        if found is None:
            if known is None:
                raise DeploymentError(
                    f"the endpoint {state['endpoint']} is gone; deploy it again with --replace"
                )
            return known
        models, shares, shadows = _models(send, found), shares_of(found), shadows_of(found)
        if (
            known is None
            or _hosted(known) != models
            or _rounded(known.answering) != _rounded(shares)
            or set(known.shadow) != set(shadows)
        ):
            known = _found(send, state, known, models, shares, shadows)
        return known

    def _follow(self, send: Send, state: State, policy: Policy, before: Policy) -> None:
        """Let the endpoint do what a policy says; raise, and leave it as it was, where that cannot be."""
        endpoint = state["endpoint"]
        if _status(send, state) is None:
            raise DeploymentError(f"the endpoint {endpoint} is stopped; start() it first")
        if _hosted(policy) == _hosted(before) and set(policy.shadow) == set(before.shadow):
            weights = [
                {"VariantName": name, "DesiredWeight": share} for name, share in policy.weights.items()
            ]
            asked(
                send, "UpdateEndpointWeightsAndCapacities", EndpointName=endpoint,
                DesiredWeightsAndCapacities=weights,
            )  # fmt: skip
            _wait(send, state)
            return
        configuration = self._configure(send, state, policy)
        scaling = scaling_of(state)
        coming = [name for name in _hosted(policy) if name not in _hosted(before)]
        leaving = [name for name in before.weights if name not in policy.weights]
        if scaling is not None:
            for variant in leaving:
                lift(send, endpoint, variant, scaling)
        try:
            asked(
                send, "UpdateEndpoint", EndpointName=endpoint, EndpointConfigName=configuration,
                **({} if scaling is None else _KEEPING_COUNTS),
            )  # fmt: skip
            _wait(send, state, configuration, coming)
        except DeploymentError:
            self._scale(send, state, leaving)
            raise
        self._scale(send, state, [name for name in policy.weights if name not in before.weights])

    def _configure(self, send: Send, state: State, policy: Policy) -> str:
        """Make the configuration that a policy wants, unless it is there; return its name."""
        hosting = self.hosting(state["endpoint"], state["digest"])
        parameters = hosting.configuration(_hosted(policy), policy.weights, policy.shadow)
        carry_out([configured(parameters)], send, _kept(state), lambda _: b"", joins=True)
        self._end_with_what_was(send, state)
        return str(parameters["EndpointConfigName"])

    def _scale(self, send: Send, state: State, variants: Sequence[str]) -> None:
        scaling = scaling_of(state)
        if scaling is not None and variants:
            calls = [call for name in variants for call in scaling.registered(state["endpoint"], name)]
            carry_out(calls, send, _kept(state), lambda _: b"", joins=True)

    def _end_with_what_was(self, send: Send, state: State) -> None:
        """Let an undo begin with the configuration of the deploy, before what joined it goes."""
        last = left_at(state["endpoint"], state["config"])
        carry_out([last], send, _kept(state), lambda _: b"", joins=True)


def _beyond(policy: Policy, mode: Mode) -> str | None:
    """Return what of a policy an endpoint cannot do, and what can be typed instead."""
    if policy.sticky is not None:
        return f"each request is drawn by itself, not by {policy.sticky!r}; type --sticky off"
    if policy.is_rolling:
        return "a rollout does not go on by itself; type --canary v2=10%, look, then --canary v2=50% or --promote v2"
    answering = tuple(policy.weights)
    if len(answering) > mode.most_variants:
        most = "one variant" if mode.most_variants == 1 else f"{mode.most_variants} variants"
        return f"{mode.says} has {most} at most, found {', '.join(answering)}; type --promote {answering[-1]}"
    if policy.shadow and not mode.shadows:
        return f"{mode.says} has no shadows ({', '.join(policy.shadow)}); type --shadow off"
    if len(policy.shadow) > 1 or (policy.shadow and len(answering) > 1):
        return (
            f"one shadow can listen to one variant that answers everything, found {', '.join(answering)} and the "
            f"shadows {', '.join(policy.shadow)}; type --shadow off, or --promote {policy.control} first"
        )
    return None


def _status(send: Send, state: State, look: Look = settled) -> Mapping[str, Any] | None:
    """Return what an endpoint is; ``None`` where it is not there."""
    try:
        return look(send, state["endpoint"])
    except CallFailed as failed:
        if failed.code == GONE:
            return None
        raise DeploymentError(f"sagemaker.DescribeEndpoint failed: {failed.code}: {failed}") from None


def _wait(send: Send, state: State, configuration: str | None = None, coming: Sequence[str] = ()) -> None:
    """Wait until an endpoint answers, by a configuration.

    Raises
    ------
    DeploymentError
        It does not, in AWS's words; those variants that were `coming` do not load.
    """
    found = _status(send, state)
    if found is None:
        raise DeploymentError(f"the endpoint {state['endpoint']} is gone")
    is_other = configuration is not None and found["EndpointConfigName"] != configuration
    if found["EndpointStatus"] != IN_SERVICE or is_other:
        raise DeploymentError(_not_loaded(reason(found), coming))


def _not_loaded(why: str, coming: Sequence[str]) -> str:
    """Return what to say of variants that were to come, by AWS's words, which name the one that does not answer."""
    named = [name for name in coming if re.search(rf"\b{re.escape(name)}\b", why)]
    return f"{', '.join(named or coming) or 'the endpoint'} does not load: {why}"


def _is_there(send: Send, model: str) -> bool:
    try:
        send("sagemaker", "DescribeModel", {"ModelName": model})
    except CallFailed as failed:
        if failed.code == GONE:
            return False
        raise DeploymentError(f"sagemaker.DescribeModel failed: {failed.code}: {failed}") from None
    return True


def _models(send: Send, found: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the model of each variant that an endpoint has."""
    known = asked(send, "DescribeEndpointConfig", EndpointConfigName=found["EndpointConfigName"])
    every = (*(known.get("ProductionVariants") or ()), *(known.get("ShadowProductionVariants") or ()))
    return {each["VariantName"]: each.get("ModelName", "") for each in every}


def check_untouched(send: Send, state: State, policy: Policy | None) -> None:
    """Refuse to replace what is not as it was deployed, nor as the last policy says.

    Raises
    ------
    DeploymentError
        It is stopped, or somebody has changed it.
    """
    found = _status(send, state)
    if found is None:
        raise DeploymentError(
            f"the endpoint {state['endpoint']} is stopped; start() it first, or remove() it"
        )
    is_ours = found["EndpointConfigName"] == state["config"] or (
        policy is not None and _models(send, found) == _hosted(policy)
    )
    if not is_ours:
        raise DeploymentError(
            f"{_CHANGED}: it answers by {shown(found)} of {found['EndpointConfigName']}; look with %traffic, and let "
            "one variant of yours answer everything: %traffic NAME --promote v1"
        )


def shown(found: Mapping[str, Any]) -> str:
    """Return which variants answer how much, in words."""
    return ", ".join(f"{name} {100 * share:.4g}%" for name, share in shares_of(found).items())


def _found(
    send: Send, state: State, known: Policy | None, models: Mapping[str, str], shares: Mapping[str, float],
    shadows: tuple[str, ...],
) -> Policy:  # fmt: skip
    """Return a policy by which the endpoint does what it does; it is written when the next one is."""
    variants = {} if known is None else dict(known.variants)
    for name, model in models.items():
        if name not in variants or variants[name].path != model:
            variants[name] = _variant(send, model)
    control = (
        known.control
        if known is not None and shares.get(known.control)
        else max(shares, key=lambda n: shares[n])
    )
    number = PolicyFile(_folder(state)).first_number() if known is None else known.number + 1
    return Policy(number, now(), "AWS", _CHANGED, variants, control, dict(shares), shadow=shadows)


def _variant(send: Send, model: str) -> Variant:
    """Return the variant that a model is, by its tags."""
    try:
        arn = send("sagemaker", "DescribeModel", {"ModelName": model})["ModelArn"]
        tags = send("sagemaker", "ListTags", {"ResourceArn": arn})["Tags"]
    except CallFailed:
        tags = []
    bundle = bundle_of({tag["Key"]: tag["Value"] for tag in tags})
    return Variant(*bundle, model) if bundle else Variant(model, "", model)


def _hosted(policy: Policy) -> dict[str, str]:
    """Return the models of all variants that an endpoint has by a policy."""
    return {name: policy.variants[name].path for name in (*policy.weights, *policy.shadow)}


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, _DIGITS) for name, share in shares.items() if share > 0}


def _note_also(file: PolicyFile, found: Policy) -> None:
    if (last := policies.last(file)) is None or last.number < found.number:
        policies.note(file, found)


def _folder(state: State) -> Path:
    return Path(state["folder"])


def _kept(state: State) -> Path:
    return _folder(state) / STATE_KEPT
