"""A call of a plan that an engine of this machine makes: build an image, and push it to a cloud's repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.container_engine import Engine

#: The service and the operation, as a plan names them.
ENGINE, PUSH = "engine", "Push"

_TOKEN = ("ecr", "GetAuthorizationToken")


def pushing(send: Send, engine: Engine, context: Path) -> Send:
    """Return what makes the calls of `send`, and lets `engine` build and push what lies in `context`.

    The password that the cloud gives for some hours is kept in memory: neither the plan nor its journal has it.
    """
    given: list[Mapping[str, Any]] = []

    def sent(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if (service, operation) == (ENGINE, PUSH):
            known = given or [send(*_TOKEN, {})]  # this call is made again by another kernel, or much later
            return _pushed(engine, context, parameters, known[-1])
        answer = send(service, operation, parameters)
        if (service, operation) == _TOKEN:
            given.append(answer)
        return answer

    return sent


def _pushed(
    engine: Engine, context: Path, parameters: Mapping[str, Any], right: Mapping[str, Any]
) -> Mapping[str, Any]:
    image = parameters["image"]
    try:
        engine.build(context, image, parameters["base"], parameters["platform"])
        engine.push(image, right["authorizationData"][0]["authorizationToken"])
    except DeploymentError as error:
        raise CallFailed(engine.name, str(error)) from None
    finally:
        engine.remove_image(image)
    return {"image": image}
