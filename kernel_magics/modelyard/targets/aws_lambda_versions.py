"""The versions of a function: each holds one bundle for good, and has answered once before anybody is sent to it."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError, ModelyardError
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.aws_lambda_calls import Wanted, another_version, described, left_at
from modelyard.targets.aws_lambda_events import url_event
from modelyard.targets.aws_lambda_live import EXTRA, LiveFunction
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.carrying_out import carry_out, take_back
from modelyard.targets.fitting import fit_of
from modelyard.targets.protocol import STATE_KEPT, State
from modelyard_lambda import HASHES
from modelyard_router.policy import Variant

#: What the calls name the hash of the token, which is known when they are made.
TOKEN_HASH = "token_hash"


class PublishingFunction(LiveFunction, ABC):
    """What makes a function that is there hold several bundles, as versions."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """What a function takes."""

    @abstractmethod
    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        """Make of a bundle what is sent."""

    @abstractmethod
    def wanted(self, bundle: Bundle, function: str, artifact: Artifact) -> Wanted:
        """Return a function as it is to be with that bundle."""

    @abstractmethod
    def reach(self, send: Send, artifact: Artifact) -> Send:
        """Return what makes all calls that bring an artifact to a function."""

    def version_of(self, send: Send, state: State, bundle: Bundle, hashed: str) -> Variant:
        """Return the version that holds a bundle and asks for that token; it is published where there is none.

        Raises
        ------
        DeploymentError
            It does not fit, or does not answer; then it is gone again.
        """
        kept, there = Path(state["folder"], STATE_KEPT), _published(send, state, bundle, hashed)
        version = there or self._publish(send, state, bundle, kept, hashed)
        try:
            _try_out(send, state, version)
        except DeploymentError as error:
            if there is None:
                take_back(send, kept, only_joined=True)
            raise DeploymentError(f"v{bundle.version} does not load: {error}") from None
        last = left_at(state["function"], str(state["version"]))
        carry_out([last], send, kept, lambda _: b"", joins=True)
        return Variant(bundle.tag, bundle.digest, version)

    def _publish(self, send: Send, state: State, bundle: Bundle, kept: Path, hashed: str) -> str:
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            artifact = self.make(bundle, Path(folder))
            fit = fit_of(bundle.tag, EXTRA, self.limits, artifact)
            if not fit.ok:
                raise DeploymentError(fit.sentence())
            calls = another_version(self.wanted(bundle, state["function"], artifact))
            named = carry_out(
                calls, self.reach(send, artifact), kept,
                lambda content: (artifact.folder / content.path).read_bytes(), {TOKEN_HASH: hashed}, joins=True,
            )  # fmt: skip
        return str(named["version"])


def _try_out(send: Send, state: State, version: str) -> None:
    """Let a version answer, to which nobody is sent yet.

    Raises
    ------
    DeploymentError
        It does not start; in one line, why.
    """
    event = json.dumps(url_event(b"", "GET", "/readyz")).encode()
    said = asked(send, state, "Invoke", Qualifier=version, Payload=event)
    answer = json.loads(said["Payload"].read())
    if "FunctionError" in said or answer.get("statusCode") != 200:
        told = answer.get("errorMessage") or answer.get("body") or said.get("FunctionError", "")
        raise DeploymentError(" ".join(str(told).split()) or "it said nothing")


def _published(send: Send, state: State, bundle: Bundle, hashed: str) -> str | None:
    """Return the newest version that holds a bundle and asks for that token."""
    found, more = None, dict[str, str]()
    while True:
        page = asked(send, state, "ListVersionsByFunction", **more)
        for each in page["Versions"]:
            variables = each.get("Environment", {}).get("Variables", {})
            if described(each["Description"]) == (bundle.tag, bundle.digest) and each["Version"].isdigit():
                found = each["Version"] if variables.get(HASHES) == hashed else found
        if not page.get("NextMarker"):
            return found
        more = {"Marker": page["NextMarker"]}


def published_bundle(variant: Variant) -> Bundle:
    """Return the bundle of a variant, from which what is sent is made again.

    Raises
    ------
    DeploymentError
        It is gone.
    """
    try:
        found = find_bundle(variant.tag)
        found.check()
    except ModelyardError as error:
        raise DeploymentError(f"{variant.tag} cannot be published again: {error}") from None
    return found


def asked(send: Send, state: State, operation: str, **parameters: Any) -> Any:
    try:
        return send("lambda", operation, {"FunctionName": state["function"], **parameters})
    except CallFailed as failed:
        raise DeploymentError(f"lambda.{operation} failed: {failed.code}: {failed}") from None
