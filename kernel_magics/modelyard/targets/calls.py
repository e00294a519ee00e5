"""The calls of a plan, as data: what is asked of whom, what the answer names, and what takes it back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

_PLACEHOLDER = re.compile(r"\$\{([\w.]+)\}")


class CallFailed(Exception):  # noqa: N818  # it says what became of a call
    """A service refused: `code` is its own word for why, such as ``ResourceConflictException``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Send(Protocol):
    """Makes one call; returns the service's answer, or raises `CallFailed`."""

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes
    ----------
    says : str
        What it does, in words: ``create the role churn-exec``.
    service, operation : str
        In the service's own names: ``lambda``, ``CreateFunction``.
    parameters : mapping
        JSON; ``${role}`` stands for what an earlier call named ``role``, and `Content` for a file of the artifact.
    names : mapping of str to str
        What of the answer is named, by a path: ``{"role": "Role.Arn"}``.
    exists : str, optional
        The code of the failure that says that it is there already; then `found` is asked instead.
    found : Call, optional
        What reads what is there; its `names` are those of this call.
    undo : Call, optional
        What takes it back.
    settled : Settled, optional
        What must be so before the next call.
    not_yet : str, optional
        The code of the failure that says that an earlier call has not reached everywhere yet: it is tried again.
    """

    says: str
    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    exists: str | None = None
    found: Call | None = None
    undo: Call | None = None
    settled: Settled | None = None
    not_yet: str | None = None

    @property
    def title(self) -> str:
        return f"{self.service}.{self.operation}"

    def payload(self) -> dict[str, Any]:
        """Return it as JSON, as the plan shows it."""
        return {
            "says": self.says,
            "service": self.service,
            "operation": self.operation,
            "parameters": _shown(self.parameters),
            "names": dict(self.names),
            "undo": None if self.undo is None else self.undo.payload(),
        }

    @property
    def digest(self) -> str:
        """What it is told from others by, whatever earlier calls will have named."""
        told = [self.service, self.operation, _shown(self.parameters)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Settled:
    """Ask `call` until what stands at `path` of its answer is `wanted`; polling is none of the plan's calls.

    Attributes
    ----------
    failed : tuple of str
        What stands there when it will never be so.
    within_s : float
        Seconds after which nobody waits any longer.
    """

    call: Call
    path: str
    wanted: str
    failed: tuple[str, ...] = ()
    within_s: float = 120.0


@dataclass(frozen=True)
class Content:
    """The bytes of a file of the artifact, in place of a parameter.

    Attributes
    ----------
    path : str
        Within the artifact's folder.
    sha256 : str
        Of its content.
    """

    path: str
    sha256: str


def _shown(value: Any) -> Any:
    if isinstance(value, Content):
        return f"content of {value.path} (SHA-256 {value.sha256})"
    if isinstance(value, Mapping):
        return {key: _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list | tuple) else value


def filled(value: Any, named: Mapping[str, Any], content: Callable[[Content], bytes]) -> Any:
    """Return parameters with everything in its place.

    A placeholder that is all of a text stands for the value itself, whatever it is.

    >>> filled({"Role": "${role}", "Id": "x-${n}"}, {"role": "arn:1", "n": 7}, lambda _: b"")
    {'Role': 'arn:1', 'Id': 'x-7'}

    Raises
    ------
    KeyError
        No earlier call has named it.
    """
    if isinstance(value, Content):
        return content(value)
    if isinstance(value, Mapping):
        return {key: filled(each, named, content) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, named, content) for each in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACEHOLDER.fullmatch(value):
        return named[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(named[found[1]]), value)


def at(answer: Any, path: str) -> Any:
    """Return what stands at a path of an answer: ``Role.Arn``.

    >>> at({"Role": {"Arn": "arn:1"}, "Keys": [{"Id": 3}]}, "Keys.0.Id")
    3

    Raises
    ------
    LookupError
        Nothing does.
    """
    for word in path.split("."):
        answer = answer[int(word)] if isinstance(answer, list | tuple) else answer[word]
    return answer
