"""A deployment, as the user holds it: a live handle on an endpoint that outlives the kernel."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from modelyard.catalog import Record, Yard, open_yard
from modelyard.errors import DeploymentError, InvalidInputError, listing
from modelyard.presentation import Result, Table
from modelyard.targets import client
from modelyard.targets.connection import usage
from modelyard.targets.protocol import Status, recorded_target
from modelyard.targets.tokens import STALE, forget_token, header_file, read_token, renewed_token

if TYPE_CHECKING:
    from modelyard_explainer.found import Found


def replaced_folder(folder: Path) -> Path:
    """Return where the folder of a deployment waits while another one takes its place."""
    return folder.with_name(f"{folder.name}.replaced")


@contextmanager
def deployment_lock(yard: Yard, name: str) -> Iterator[None]:
    """Hold the one lock under which a deployment is started, stopped, replaced or removed."""
    folder = yard.folder / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield


@dataclass(frozen=True, repr=False)
class Deployment(Result):
    """One endpoint. Reading it costs nothing; `status` and `predict` ask it.

    Attributes
    ----------
    name, target, bundle : str
        Its own name, where it is, and the tag of what it serves.
    url : str
        Where it answers.
    root : Path
        The project that it belongs to.
    columns, classes : tuple of str
        The columns that it takes, and the names of the classes in its answers.
    header_file : Path
        The file with the token's header line, for ``curl -H @FILE``.
    """

    kind = "deployment"

    name: str
    target: str
    bundle: str
    url: str
    root: Path
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None
    header_file: Path

    @classmethod
    def from_record(cls, root: Path, record: Record) -> Deployment:
        known = record.payload
        classes = known["classes"]
        return cls(
            record.name, known["target"], known["bundle"], known["url"], root,
            tuple(known["columns"]), None if classes is None else tuple(classes), header_file(root, record.name),
        )  # fmt: skip

    @property
    def token(self) -> str:
        """The bearer token that the endpoint wants; kept for this user only (0600)."""
        return read_token(self.root, self.name)

    def status(self) -> Status:
        """Look at the endpoint now; never raises, also when the deployment has been removed."""
        record = Yard(self.root).find("deployment", self.name)
        if record is None:
            return Status("down", "removed")
        if record.payload["desired"] == "starting":
            return Status("down", "its deploy was interrupted; type it again to go on, or undo() it")
        status: Status = recorded_target(record.payload).status(record.payload["state"])
        if status.health == "down" and record.payload["desired"] == "stopped":
            return Status("stopped", "start() makes it answer again")
        return status

    def predict(self, X: Any) -> np.ndarray:
        """Return the endpoint's labels or values, shape (n,), for `X` (frame, matrix, mapping or list of them).

        Raises
        ------
        ContractError
            Rows that break the contract; the message names row, column, value, and what was learned.
        DeploymentError
            It does not answer.
        """
        return np.array([label for answer in self.answers(X) for label in answer["predictions"]])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the endpoint's probabilities, shape (n, classes), in the order of the model's ``classes_``.

        Raises
        ------
        InvalidInputError
            The model gives none.
        """
        answers = self.answers(X)
        if self.classes is None or answers[0]["probabilities"] is None:
            raise InvalidInputError(f"the model behind {self.name!r} gives no probabilities; call predict(X)")
        return np.array(
            [[row[c] for c in self.classes] for answer in answers for row in answer["probabilities"]]
        )

    def answers(self, X: Any) -> list[dict[str, Any]]:
        """Return the endpoint's whole answers: id, variant, predictions, probabilities and flags."""
        return client.ask(self.url, self.token, client.as_frame(X, self.columns), f"deployment {self.name!r}")

    @property
    def explains(self) -> bool:
        """Whether it answers ``/explain``: its bundle was packaged with an explainer."""
        return client.explains(self.url, self.token)

    def explanations(self, X: Any, advance: Callable[[int], None] = lambda rows: None) -> Found:
        """Return the SHAP values of rows that its own explainer finds; `modelyard.explain` shows them.

        Parameters
        ----------
        X : frame, matrix, mapping or list of them
        advance : callable, optional
            Is told how many more rows are done.

        Raises
        ------
        ContractError
            Rows that break the contract.
        DeploymentError
            It does not answer, or no explainer travels with what it serves.
        """
        from modelyard_explainer.found import Found

        frame = client.as_frame(X, self.columns)
        answers = []
        for answer in client.ask_why(self.url, self.token, frame, f"deployment {self.name!r}"):
            answers.append(answer)
            advance(len(answer["values"]))
        if len(ways := {answer["explainer"] for answer in answers}) > 1:
            raise DeploymentError(
                f"{self.name!r} explains some of these rows otherwise than the others ({listing(ways)}), so that "
                "their values are not of one scale; ask for fewer rows"
            )
        return Found.of_answers(answers, self.columns)

    def traffic(self, **changes: Any) -> Any:
        """Show how its requests are spread over variants, or change it: `modelyard.traffic` of its name."""
        verb = import_module("modelyard").traffic  # a later stage: named, not imported
        return verb(self.name, **changes)

    def start(self) -> Status:
        """Make a stopped or fallen endpoint answer again, at the same URL.

        Raises
        ------
        DeploymentError
            It does not come up; the log's last words follow.
        """
        yard = Yard(self.root)
        with deployment_lock(yard, self.name):
            record = yard.get("deployment", self.name)
            state = recorded_target(record.payload).start(record.payload["state"])
            yard.record(
                "deployment", self.name, record.payload | {"state": dict(state), "desired": "running"}
            )
        return self.status()

    def stop(self) -> Status:
        """Stop it; everything that it needs to start again stays."""
        yard = Yard(self.root)
        with deployment_lock(yard, self.name):
            record = yard.get("deployment", self.name)
            yard.record("deployment", self.name, record.payload | {"desired": "stopped"})
            recorded_target(record.payload).stop(record.payload["state"])
        return self.status()

    def undo(self) -> Deployment | None:
        """Take back what the newest deploy of this name did: `modelyard.undo` of its name."""
        back: Deployment | None = import_module("modelyard").undo(self.name)
        return back

    def rotate_token(self) -> Deployment:
        """Make a new token and return this deployment; the token before is refused within two seconds.

        The endpoint goes on answering. `token` and `header_file` have the new one at once.

        Raises
        ------
        DeploymentError
            It could not be changed; this user's token is the one before.
        """
        yard = Yard(self.root)
        with deployment_lock(yard, self.name):
            record = yard.get("deployment", self.name)
            with renewed_token(self.root, self.name) as token:
                state = recorded_target(record.payload).change_token(record.payload["state"], token)
            before = record.payload.get("before")
            changed = {"before": None if before is None else before | {"token": STALE}}
            yard.record("deployment", self.name, record.payload | {"state": dict(state)} | changed)
        return self

    def remove(self) -> None:
        """Stop it and take everything of it away; doing so twice is no error."""
        yard = Yard(self.root)
        with deployment_lock(yard, self.name):
            record = yard.find("deployment", self.name)
            if record is not None:
                recorded_target(record.payload).remove(record.payload["state"])
                folder = yard.deployment_folder(self.name)
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(replaced_folder(folder), ignore_errors=True)
                yard.delete("deployment", self.name)
            forget_token(self.root, self.name)

    def sentence(self) -> str:
        return f"deployment {self.name!r}: {self.bundle} on {self.target} at {self.url}"

    def table(self) -> Table:
        return Table(
            ("deployment", "bundle", "target", "url"), ((self.name, self.bundle, self.target, self.url),)
        )

    def notes(self) -> tuple[str, ...]:
        return (
            usage(self.url, self.header_file),
            "from Python: .predict(X), .status(), .traffic(), .stop(), .start(), .undo(), .rotate_token(), .remove()",
        )

    def payload(self) -> dict[str, Any]:
        return {"name": self.name, "target": self.target, "bundle": self.bundle, "url": self.url}


def deployment(name: str) -> Deployment:
    """Return the deployment `name` of this project.

    Raises
    ------
    UnknownNameError
        There is none.
    """
    yard = open_yard()
    return Deployment.from_record(yard.root, yard.get("deployment", name))


def deployments() -> tuple[Deployment, ...]:
    """Return all deployments of this project, oldest first."""
    yard = open_yard()
    return tuple(Deployment.from_record(yard.root, record) for record in yard.records("deployment"))
