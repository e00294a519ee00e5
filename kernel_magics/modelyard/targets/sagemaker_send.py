"""Calls of SageMaker, which has one code for every failure and lets nobody change an endpoint that is changing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from modelyard.targets.calls import CallFailed, Send

#: What a failure is told to be, beside AWS's own codes.
THERE, GONE, ROLE_NOT_YET = "AlreadyExists", "NotFound", "RoleNotUsable"

IN_SERVICE = "InService"
#: An endpoint that has one of these answers nobody, and is deleted or nothing.
BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")
#: The statuses of an endpoint that takes no other change.
CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")

_RUNNING = ("InProgress", "Stopping")  # of a job
_SERVICE = "sagemaker"
_CHANGES = ("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint")
# By what the messages of ValidationException are told apart.
_MEANINGS = {
    "already exist": THERE, "could not find": GONE, "does not exist": GONE, "is in status": GONE,
    "assume role": ROLE_NOT_YET, "assume the role": ROLE_NOT_YET,
}  # fmt: skip
_POLL_S = 1.0
#: How long a change of an endpoint may take: instances start, pull the image, and have 8 minutes to answer.
PATIENCE_S = 3600.0


def careful(send: Send) -> Send:
    """Return what makes calls one after the other, and tells what a failure is.

    A change of an endpoint waits for the one before it, and is over when the endpoint changes no longer, or is gone; an
    update to the configuration that it has is none. Stopping a job is over when it has stopped.
    """

    def sent(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if service != _SERVICE:
            return send(service, operation, parameters)
        if operation in _CHANGES:
            found = settled(told_apart, parameters["EndpointName"])
            if (
                operation == "UpdateEndpoint"
                and found["EndpointConfigName"] == parameters["EndpointConfigName"]
            ):
                return {"EndpointArn": found["EndpointArn"]}
        answer = told_apart(service, operation, parameters)
        if operation == "StopTransformJob":
            _wait_until_stopped(told_apart, parameters)
        if operation in _CHANGES:
            _wait_until_done(told_apart, parameters["EndpointName"])
        return answer

    def told_apart(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return send(service, operation, parameters)
        except CallFailed as failed:
            raise CallFailed(_meaning(failed), str(failed)) from None

    return sent


def _meaning(failed: CallFailed) -> str:
    if failed.code not in ("ValidationException", "ResourceNotFound"):
        return failed.code
    told = str(failed).lower()
    return next((code for words, code in _MEANINGS.items() if words in told), failed.code)


def settled(send: Send, endpoint: str) -> Mapping[str, Any]:
    """Return an endpoint's description, once it changes no longer.

    Raises
    ------
    CallFailed
        It is not there, or goes on changing for an hour.
    """
    deadline = time.monotonic() + PATIENCE_S
    while (found := described(send, endpoint))["EndpointStatus"] in CHANGING:
        if time.monotonic() > deadline:
            raise CallFailed(
                "timeout", f"{endpoint} is still {found['EndpointStatus']} after {PATIENCE_S:g} s"
            )
        time.sleep(_POLL_S)
    return found


def described(send: Send, endpoint: str) -> Mapping[str, Any]:
    """Return an endpoint's description."""
    return send(_SERVICE, "DescribeEndpoint", {"EndpointName": endpoint})


def _wait_until_done(send: Send, endpoint: str) -> None:
    try:
        settled(send, endpoint)
    except CallFailed as failed:
        if failed.code != GONE:
            raise


def _wait_until_stopped(send: Send, which: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while send(_SERVICE, "DescribeTransformJob", which)["TransformJobStatus"] in _RUNNING:
        if time.monotonic() > deadline:
            raise CallFailed("timeout", f"{which['TransformJobName']} still runs after {PATIENCE_S:g} s")
        time.sleep(_POLL_S)


def saying_why(send: Send) -> Send:
    """Return what makes calls, and raises AWS's own reason where an endpoint that is looked at has failed."""

    def sent(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = send(service, operation, parameters)
        if (service, operation) == (_SERVICE, "DescribeEndpoint") and answer["EndpointStatus"] in BROKEN:
            raise CallFailed(answer["EndpointStatus"], reason(answer))
        return answer

    return sent


def reason(found: Mapping[str, Any]) -> str:
    """Return why an endpoint is as it is, in one line."""
    return " ".join(str(found.get("FailureReason") or "AWS does not say why").split()).rstrip(".")
