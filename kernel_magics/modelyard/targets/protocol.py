"""What every target promises; ours and a stranger's keep the same, and the same suite tests both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.registry import targets
from modelyard.targets.artifact import Artifact
from modelyard.targets.plan import Plan

Health = Literal["ready", "starting", "stopped", "down"]
State = Mapping[str, Any]

#: The folder within a deployment's own that stays when the deployment is replaced: counters, the prediction log.
STATE_KEPT = "state"


@dataclass(frozen=True)
class Status:
    """How an endpoint does now: ``ready``, ``starting``, ``stopped`` (on purpose) or ``down`` (not)."""

    health: Health
    detail: str

    def __str__(self) -> str:
        return f"{self.health}: {self.detail}"


@dataclass(frozen=True)
class Endpoint:
    """What `Target.apply` made: where it answers, and what the target must know of it later (plain JSON)."""

    url: str
    state: State


@dataclass(frozen=True)
class Live:
    """What a deployment of that name is now.

    Attributes
    ----------
    bundle, digest : str
        The tag and the identity of what it serves.
    state : mapping
        What its target knows of it.
    """

    bundle: str
    digest: str
    state: State


class Target(Protocol):
    """A place that a bundle can go to.

    A target is a frozen dataclass: its fields are its options, and the flags of ``%deploy``; each has a
    default, and ``metadata={"help": ...}`` says what it means; one that changes the plan's words and nothing else has
    ``"plan_only": True`` there. It is registered by one line in the
    entry-point group ``modelyard.targets``. `modelyard.testing.TargetContract` tests these promises:

    - `plan` writes nothing and calls nobody; `make` writes into its folder only.
    - What `make` makes answers the golden rows as the bundle does, within `limits`.
    - `apply` returns when the endpoint answers, or raises and leaves nothing behind.
    - `status` never raises, whatever became of the endpoint.
    - `stop`, `start` and `remove` may be called twice; the second call changes nothing.

    A target whose plan has calls makes them with `modelyard.targets.carrying_out.carry_out`, in its folder's
    ``state/``; then an `apply` that fails in the middle is gone on with, and can be undone. It has one method more,
    `sender`, which is given a state.
    """

    #: What the place takes; an option, such as the memory that is asked for, may narrow it.
    @property
    def limits(self) -> Limits: ...

    #: Costs nothing and stays on this machine: ``deploy`` acts at once.
    acts_at_once: ClassVar[bool]

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        """Say what `apply` will do.

        `artifact` is what `make` has made, where the target has limits; `live` is the deployment of that name.
        """
        ...

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        """Make what goes to the place, in `folder`, which is empty; the same files from the same bundle.

        Raises
        ------
        DeploymentError
            It cannot be made here.
        """
        ...

    def apply(
        self,
        bundle: Bundle,
        name: str,
        folder: Path,
        token: str,
        previous: State | None,
        artifact: Artifact | None,
    ) -> Endpoint:
        """Make the endpoint; it asks for `token`.

        `folder` is the target's own and there; it holds nothing but, where a deployment is replaced, that one's
        ``state/``. `previous` is the state of the endpoint that this one replaces, which has been stopped. `artifact`
        is what `make` has made, where the target has limits; its files are gone when this returns.
        """
        ...

    def status(self, state: State) -> Status:
        """Look at the endpoint now."""
        ...

    def start(self, state: State) -> State:
        """Make a stopped endpoint answer again; return its new state."""
        ...

    def change_token(self, state: State, token: str) -> State:
        """From now on ask for `token`, and within two seconds no longer for the one before; return its state.

        Raises
        ------
        DeploymentError
            It cannot be done; the endpoint may ask for either.
        """
        ...

    def stop(self, state: State) -> None:
        """Stop it; it can be started again."""
        ...

    def remove(self, state: State) -> None:
        """Take away what `apply` made outside of its folder."""
        ...


def option_fields(target: type[Any]) -> tuple[Field[Any], ...]:
    """Return the options of a target class, as dataclass fields."""
    return tuple(field for field in fields(target) if field.init)


def recorded_target(payload: Mapping[str, Any]) -> Any:
    """Return the target of a deployment with the options that its record has.

    Raises as `make_target` does.
    """
    return make_target(payload["target"], recorded_options(payload))


def recorded_options(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a deployment that its target still has."""
    known = {field.name for field in option_fields(targets[payload["target"]])}
    return {name: value for name, value in payload.get("options", {}).items() if name in known}


def make_target(name: str, options: Mapping[str, Any]) -> Any:
    """Return the target `name` with these options.

    Raises
    ------
    UnknownNameError, MissingExtraError
        There is no such target, or its libraries are not installed.
    UsageError
        It has no such option, or an option cannot have that value.
    """
    found = targets[name]
    known = {field.name: field for field in option_fields(found)}
    for option in options:
        if option not in known:
            raise UsageError(
                f"target {name!r} has no option {option!r}; it has: {listing(known)}{did_you_mean(option, known)}"
            )
    return found(**options)
