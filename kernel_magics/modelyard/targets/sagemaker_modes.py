"""The four ways in which SageMaker lets a model answer, what each is told, and what excludes what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import UsageError, did_you_mean, listing

_MIB = 2**20


@dataclass(frozen=True)
class Mode:
    """One of them.

    Attributes
    ----------
    says : str
        What is made, in the words of a plan.
    takes, needs : tuple of str
        The options that belong to it alone or with others, and those among them without which it cannot be.
    payload_bytes : int
        The most of a request, and of its answer.
    timeout_s : float
        How long an answer may take.
    most_variants : int
        How many bundles may answer at once; 0 where there is no endpoint.
    shadows : bool
        Whether a variant may listen.
    isolated : bool
        Whether the container can have no network.
    answers : str
        Where the answers are, where nobody can wait for them; else empty.
    """

    says: str
    takes: tuple[str, ...]
    payload_bytes: int
    timeout_s: float
    needs: tuple[str, ...] = ()
    most_variants: int = 10
    shadows: bool = False
    isolated: bool = True
    answers: str = ""

    @property
    def has_endpoint(self) -> bool:
        return self.most_variants > 0

    @property
    def has_instances(self) -> bool:
        return "instance" in self.takes


_INSTANCES = ("instance", "instances", "key")
_SCALING = ("most_instances", "per_instance")

#: By the name that people type.
MODES: dict[str, Mode] = {
    "endpoint": Mode(
        "an endpoint on instances that always run",
        (*_INSTANCES, *_SCALING, "capture", "capture_share"), 6 * _MIB, 60.0, shadows=True,
    ),
    "serverless": Mode(
        "a serverless endpoint, which starts when somebody asks", ("memory", "concurrency"), 4 * _MIB, 60.0,
        most_variants=1, isolated=False,
    ),
    "async": Mode(
        "an asynchronous endpoint, which reads requests from S3 and writes the answers there",
        (*_INSTANCES, *_SCALING, "concurrency", "input", "output"), 1024 * _MIB, 900.0, needs=("input", "output"),
        answers="the answers of an asynchronous endpoint come in S3; put rows there, and type: aws sagemaker-runtime "
        "invoke-endpoint-async",
    ),
    "batch": Mode(
        "a batch transform, which answers every line of the files in S3 once",
        (*_INSTANCES, "input", "output", "content"), 6 * _MIB, 600.0, needs=("input", "output"), most_variants=0,
        answers="a batch transform has no endpoint to ask; its answers come in S3",
    ),
}  # fmt: skip


def chosen_mode(name: str, given: Mapping[str, Any]) -> Mode:
    """Return the mode `name`, whose options are `given`, ``None`` where one is left out.

    Raises
    ------
    UsageError
        There is no such mode, an option belongs to another one, or one is missing.
    """
    if name not in MODES:
        raise UsageError(f"mode {name!r} cannot be; choose {listing(MODES)}{did_you_mean(name, MODES)}")
    mode = MODES[name]
    foreign = [option for option, value in given.items() if value is not None and option not in mode.takes]
    if foreign:
        others = [other for other, each in MODES.items() if foreign[0] in each.takes]
        raise UsageError(
            f"mode {name!r} has no {listing(foreign)}; it has: {listing(mode.takes)}; leave it out, or add --mode "
            f"{' or '.join(others)}"
        )
    missing = [option for option in mode.needs if given[option] is None]
    if missing:
        raise UsageError(f"mode {name!r} needs --{missing[0]} s3://BUCKET/PREFIX")
    return mode
