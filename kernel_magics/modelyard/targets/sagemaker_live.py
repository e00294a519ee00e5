"""An endpoint of SageMaker while it is there: looked at, stopped, started, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.targets.aws_calls import sender
from modelyard.targets.aws_region import Regional, noted_region
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.carrying_out import take_back
from modelyard.targets.protocol import STATE_KEPT, State, Status
from modelyard.targets.sagemaker_scaling import Scaling
from modelyard.targets.sagemaker_send import BROKEN, GONE, IN_SERVICE, careful, described, reason

EXTRA = "sagemaker"


class LiveEndpoint(Regional):
    """What can be done with an endpoint that is there; a state says which one."""

    def sender(self, state: State) -> Send:
        """Return what makes calls where that endpoint is."""
        return careful(sender(state.get("region") or noted_region(state) or self.region, EXTRA))

    def status(self, state: State) -> Status:
        if "endpoint" not in state:
            return Status("down", "it was never made")
        try:
            found = described(self.sender(state), state["endpoint"])
        except (CallFailed, ImportError) as error:
            return Status("down", str(error))
        now = found["EndpointStatus"]
        if now in BROKEN:
            return Status("down", f"the endpoint is {now}: {reason(found)}")
        if now == "Creating":
            return Status("starting", "its instances start")
        shares = shares_of(found)
        told = ", ".join(f"{name} {100 * share:.4g}%" for name, share in shares.items())
        heard = "".join(f", {name} listens" for name in shadows_of(found))
        changing = "" if now == IN_SERVICE else f"; it is {now}, and answers as before meanwhile"
        return Status("ready", f"{told}{heard} at {state['endpoint']}{changing}")

    def change_token(self, state: State, token: str) -> State:
        """Change nothing: the endpoint asks for no token, since AWS checks with each request who the caller is."""
        return state

    def remove(self, state: State) -> None:
        if "folder" not in state:
            return
        send = self.sender(state)
        if (
            "endpoint" in state
        ):  # the first thing to go: what follows need not be put back in force before it goes
            delete(send, state)
        take_back(send, Path(state["folder"], STATE_KEPT), everything=True)


def delete(send: Send, state: State) -> None:
    """Delete an endpoint, and nothing of what it is made from; one that is gone stays so.

    Raises
    ------
    DeploymentError
        AWS refuses.
    """
    scaling = scaling_of(state)
    try:
        found = described(send, state["endpoint"])
        if scaling is not None:
            for variant in shares_of(found):
                lift(send, state["endpoint"], variant, scaling)
        asked(send, "DeleteEndpoint", EndpointName=state["endpoint"])
    except CallFailed as failed:
        if failed.code != GONE:
            raise DeploymentError(f"sagemaker.DescribeEndpoint failed: {failed.code}: {failed}") from None


def lift(send: Send, endpoint: str, variant: str, scaling: Scaling) -> None:
    """Leave a variant its instances: AWS takes none away that it scales."""
    *_, call = scaling.lifted(endpoint, variant)
    try:
        send(call.service, call.operation, call.parameters)
    except CallFailed as failed:
        if failed.code != call.exists:
            raise DeploymentError(f"{call.title} failed: {failed.code}: {failed}") from None


def scaling_of(state: State) -> Scaling | None:
    """Return how the instances of each variant follow its requests."""
    known = state.get("scaling")
    return None if known is None else Scaling(**known)


def shares_of(found: Mapping[str, Any]) -> dict[str, float]:
    """Return which variants answer which share of the requests, as AWS describes an endpoint."""
    weights = {
        each["VariantName"]: float(each.get("CurrentWeight", each.get("DesiredWeight", 0.0)))
        for each in found.get("ProductionVariants") or ()
    }
    whole = sum(weights.values())
    return {name: weight / whole if whole else 0.0 for name, weight in weights.items()}


def shadows_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which variants listen."""
    return tuple(each["VariantName"] for each in found.get("ShadowProductionVariants") or ())


def asked(send: Send, operation: str, **parameters: Any) -> Any:
    """Return what SageMaker answers.

    Raises
    ------
    DeploymentError
        It refuses.
    """
    try:
        return send("sagemaker", operation, parameters)
    except CallFailed as failed:
        raise DeploymentError(f"sagemaker.{operation} failed: {failed.code}: {failed}") from None
