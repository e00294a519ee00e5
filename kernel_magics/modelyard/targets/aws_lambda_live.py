"""A function on AWS Lambda while it is there: looked at, stopped, started, given another token, taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.targets.aws_calls import sender
from modelyard.targets.aws_lambda_calls import ALIAS, shares_of
from modelyard.targets.aws_region import Regional, noted_region
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.carrying_out import take_back
from modelyard.targets.protocol import STATE_KEPT, State, Status

EXTRA = "aws-lambda"


class LiveFunction(Regional):
    """What can be done with a function that is there; a state says which one."""

    concurrency: int | None

    def sender(self, state: State) -> Send:
        """Return what makes calls where that function is."""
        return sender(state.get("region") or noted_region(state) or self.region, EXTRA)

    def status(self, state: State) -> Status:
        if "function" not in state:
            return Status("down", "it was never made")
        try:
            send = self.sender(state)
            found = send("lambda", "GetFunctionConfiguration", _of(state))
            shares = shares_of(send("lambda", "GetAlias", {**_of(state), "Name": ALIAS}))
            limit = send("lambda", "GetFunctionConcurrency", _of(state)).get("ReservedConcurrentExecutions")
        except (CallFailed, ImportError) as error:
            return Status("down", str(error))
        if limit == 0:
            return Status("stopped", "start() makes it answer again")
        if found["State"] == "Active":
            told = ", ".join(f"version {version} {100 * share:g}%" for version, share in shares.items())
            return Status("ready", f"{told} at {state['url']}")
        return Status("starting", f"the function is {found['State']}")

    def start(self, state: State) -> State:
        if self.concurrency is None:
            self._send(state, "DeleteFunctionConcurrency", {})
        else:
            self._send(state, "PutFunctionConcurrency", {"ReservedConcurrentExecutions": self.concurrency})
        return state

    def stop(self, state: State) -> None:
        if "function" in state:
            self._send(
                state, "PutFunctionConcurrency", {"ReservedConcurrentExecutions": 0}, gone_is_fine=True
            )

    def remove(self, state: State) -> None:
        if "folder" in state:
            take_back(self.sender(state), Path(state["folder"], STATE_KEPT), everything=True)

    def _send(
        self, state: State, operation: str, parameters: dict[str, Any], *, gone_is_fine: bool = False
    ) -> Any:
        try:
            return self.sender(state)("lambda", operation, {**_of(state), **parameters})
        except CallFailed as failed:
            if gone_is_fine and failed.code == "ResourceNotFoundException":
                return {}
            raise DeploymentError(f"lambda.{operation} failed: {failed.code}: {failed}") from None


def _of(state: State) -> dict[str, Any]:
    return {"FunctionName": state["function"]}
