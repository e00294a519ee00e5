"""A container while it is there: looked at, stopped, started, given another token, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.targets.answering import at, lets_in, ready_digest, wait_until_ready
from modelyard.targets.container_engine import runner
from modelyard.targets.protocol import State, Status
from modelyard.targets.tokens import write_hash

#: Within the deployment's folder: what the container reads, and does not have in its image.
SECRETS, HASHES = "secrets", "token_hashes"

_TOKEN_S = 3.0


class LiveContainer:
    """What can be done with a container that is there; a state says which one, and how it is made anew."""

    def status(self, state: State) -> Status:
        if "port" not in state:
            return Status("down", "it was never started")
        ready = ready_digest(state["port"])
        if ready == state["digest"]:
            return Status("ready", f"answers at {at(state['port'])}, container {state['container']}")
        if ready is not None:
            return Status("down", f"something else answers on port {state['port']}")
        try:
            runs = runner(state["engine"]).is_running(state["container"])
        except DeploymentError as error:
            return Status("down", str(error))
        if runs:
            return Status("starting", f"container {state['container']} runs and does not answer yet")
        return Status("down", f"container {state['container']} does not run; start() makes it answer again")

    def start(self, state: State) -> State:
        return state if ready_digest(state["port"]) == state["digest"] else started(state)

    def change_token(self, state: State, token: str) -> State:
        hashes = Path(state["folder"], SECRETS, HASHES)
        if not hashes.parent.is_dir():
            raise DeploymentError(f"nothing is deployed in {state['folder']}; deploy it again with --replace")
        write_hash(hashes, token)
        if ready_digest(state["port"]) == state["digest"] and not lets_in(state["port"], token, _TOKEN_S):
            raise DeploymentError(f"container {state['container']} does not take the new token")
        return state

    def stop(self, state: State) -> None:
        if "container" in state:
            runner(state["engine"]).stop(state["container"])

    def remove(self, state: State) -> None:
        if "container" in state:
            engine = runner(state["engine"])
            engine.remove(state["container"])
            engine.remove_image(state["image"])


def started(state: Mapping[str, Any]) -> State:
    """Make the container that a state describes, in the place of one of its name; return when it answers.

    Raises
    ------
    DeploymentError
        It does not answer; no container is left of it.
    """
    engine, name = runner(state["engine"]), state["container"]
    engine.remove(name)
    try:
        engine.run(name, state["image"], state["options"], state["arguments"])
        wait_until_ready(
            f"container {name}", state["port"], state["digest"], state["timeout"],
            lambda: engine.is_running(name), lambda: engine.last_words(name),
        )  # fmt: skip
    except BaseException:  # also Ctrl-C: no container without a record
        engine.remove(name)
        raise
    return state
