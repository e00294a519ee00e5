"""What every HTTP door deals in: a request that was read, an answer to send, and a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

JSON = "application/json"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Asked:
    """A request whose body was read.

    Attributes
    ----------
    kind : str
        The content type, in lower case and without parameters; ``""`` where there is none.
    headers : mapping of bytes to bytes
        By name in lower case.
    """

    method: str
    path: str
    kind: str
    body: bytes
    headers: Mapping[bytes, bytes]


@dataclass(slots=True)
class Answered:
    """What is sent back."""

    body: bytes
    kind: str = JSON
    status: int = 200
    headers: Headers = ()


class Refused(Exception):  # noqa: N818  # an answer, not an error of ours
    """A request that is answered with a status and one line."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **more}


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a path, and to which methods.

    The handler may raise `Refused`, and what `Predictor` and msgspec raise on bad requests.

    Attributes
    ----------
    is_work : bool
        Whether it predicts: a large body then leaves the event loop, and too many of them are refused.
    is_slow : bool
        Whether every body does.
    """

    methods: tuple[str, ...]
    answer: Callable[[Asked], Answered]
    is_work: bool = False
    is_slow: bool = False


#: Exact paths and who answers them; what a door's ``routes(predictor)`` returns.
Routes = dict[str, Route]

READ = ("GET", "HEAD")


def page(answer: Callable[[], Answered]) -> Route:
    """Return the route of something to read."""
    return Route(READ, lambda asked: answer())
