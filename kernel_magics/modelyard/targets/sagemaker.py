"""Amazon SageMaker: an endpoint on instances, a serverless or an asynchronous one, or a batch transform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from modelyard.errors import DeploymentError, UsageError, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets import policies, sagemaker_batch
from modelyard.targets.artifact import Artifact
from modelyard.targets.calls import Call, CallFailed, Send
from modelyard.targets.carrying_out import carry_out
from modelyard.targets.container_engine import BASE, BUILDERS, builder
from modelyard.targets.cost import Cost
from modelyard.targets.image_push import pushing
from modelyard.targets.installing import own_machine, own_python
from modelyard.targets.journal import Journal
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, Endpoint, Live, State, Status
from modelyard.targets.sagemaker_batch import CONTENTS, LOG_GROUP, STAMP, Job, job_name
from modelyard.targets.sagemaker_calls import Before, Wanted, create, model_only, update
from modelyard.targets.sagemaker_cost import of_instances, of_requests, prices
from modelyard.targets.sagemaker_hosting import Hosting
from modelyard.targets.sagemaker_image import CONTEXT, PYTHONS, Recipe
from modelyard.targets.sagemaker_instances import USUAL, architecture, check_instance
from modelyard.targets.sagemaker_live import scaling_of
from modelyard.targets.sagemaker_modes import MODES, Mode, chosen_mode
from modelyard.targets.sagemaker_role import Reach, check_key, check_place, check_role
from modelyard.targets.sagemaker_scaling import Scaling
from modelyard.targets.sagemaker_send import GONE, described, saying_why
from modelyard.targets.sagemaker_traffic import RoutedEndpoint, check_untouched, shown
from modelyard.targets.sagemaker_transport import url_of

_MIB = 2**20
_PREFIX = "modelyard-"  # of an endpoint's name

_LIMITS = Limits(
    source="https://docs.aws.amazon.com/general/latest/gr/sagemaker.html",
    as_of="2026-11-30",
    startup_s=480.0,
    architectures=tuple(USUAL),
    pythons=PYTHONS,
    read_only_disk=True,  # no more is promised to a container of every kind than that it may write there:
    writable=("/tmp",),
    name_length=63 - len(_PREFIX),
)
_MEMORIES = range(1024, 6145, 1024)
_USUAL_MEMORY, _USUAL_AT_ONCE, _USUAL_INSTANCES = 2048, 20, 1
_MOST_AT_ONCE = {"serverless": 200, "async": 1000}
_PER_INSTANCE, _WAITING = 1000.0, 5.0
_SERVERLESS_BYTES = 10 * 1024 * _MIB  # of an image


def _option(says: str, **more: Any) -> Any:
    return field(default=None, metadata={"help": says, **more})


@dataclass(frozen=True)
class SageMakerTarget(RoutedEndpoint):
    """A model of Amazon SageMaker, from an image, behind an endpoint or for one batch transform."""

    acts_at_once: ClassVar[bool] = False

    mode: str = field(default="endpoint", metadata={"help": f"{listing(MODES)}: how it answers"})
    instance: str | None = _option(f"the type of instance; {' or '.join(USUAL.values())} by default")
    instances: int | None = _option(f"how many of them; {_USUAL_INSTANCES} by default")
    most_instances: int | None = _option("how many of them at most; then they follow the requests")
    per_instance: float | None = _option(
        f"requests a minute that one shall answer, {_PER_INSTANCE:g} by default; for async, those that wait for it, "
        f"{_WAITING:g} by default"
    )
    memory: int | None = _option(
        f"MB of a serverless endpoint: {listing(map(str, _MEMORIES))}; {_USUAL_MEMORY} by default"
    )
    concurrency: int | None = _option(
        f"the most requests at once: of a serverless endpoint, {_USUAL_AT_ONCE} by default; for async, of one instance"
    )
    capture: str | None = _option("s3://BUCKET/PREFIX, where AWS keeps requests and answers")
    capture_share: float | None = _option("percent of the requests that are kept, 1 to 100; 100 by default")
    input: str | None = _option("s3://BUCKET/PREFIX: what batch answers, and async may read")
    output: str | None = _option("s3://BUCKET/PREFIX: where the answers of batch and async go")
    content: str | None = _option(f"{listing(CONTENTS)}: what batch reads and writes; jsonlines by default")
    key: str | None = _option(
        "the ARN of a KMS key, which encrypts what is kept in S3 and the instances' disks"
    )
    region: str | None = _option("such as eu-central-1; the profile's by default")
    role: str | None = _option(
        "the ARN of an execution role; one is made by default, which may do what this needs and nothing else"
    )
    python: str = field(
        default_factory=lambda: own_python(PYTHONS),
        metadata={"help": f"the Python of the base, {listing(PYTHONS)}; the kernel's by default"},
    )
    base: str | None = _option(f"the image to build on, with python3; {BASE} by default")
    engine: str | None = _option(f"what builds the image: {listing(BUILDERS)}; the first that is there")
    load: int = field(
        default=1_000_000,
        metadata={"help": "requests a month, for the cost of serverless", "plan_only": True},
    )
    price_table: str | None = _option("a file with newer prices (JSON)", plan_only=True)

    def __post_init__(self) -> None:
        chosen_mode(self.mode, {option: getattr(self, option) for option in _of_modes()})
        check_instance(self._instance)
        check_role(self.role)
        check_key(self.key)
        for option in ("capture", "input", "output"):
            check_place(option, getattr(self, option))
        self._check_numbers()
        for option, value, known in (
            ("python", self.python, PYTHONS), ("engine", self.engine, (None, *BUILDERS)),
            ("content", self.content, (None, *CONTENTS)),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(f"{option} {value!r} cannot be; choose {listing(filter(None, known))}")

    def _check_numbers(self) -> None:
        if self.memory is not None and self.memory not in _MEMORIES:
            raise UsageError(f"memory {self.memory} cannot be; choose {listing(map(str, _MEMORIES))} (MB)")
        most = _MOST_AT_ONCE.get(self.mode, 0)
        if self.concurrency is not None and not 1 <= self.concurrency <= most:
            raise UsageError(f"concurrency {self.concurrency} cannot be; choose 1 to {most}, or leave it out")
        if self._count < 1:
            raise UsageError(f"instances {self.instances} cannot be; choose 1 or more, or leave it out")
        if self.most_instances is not None and self.most_instances < self._count:
            raise UsageError(f"at most {self.most_instances} instances cannot be at least {self._count}")
        if self.per_instance is not None and (self.most_instances is None or self.per_instance <= 0):
            raise UsageError(
                "per_instance is above 0, and belongs to --most-instances, which says how many there may be"
            )
        if self.capture_share is not None and (self.capture is None or not 1 <= self.capture_share <= 100):
            raise UsageError(
                "capture_share is 1 to 100 percent, and belongs to --capture, which says where to"
            )

    @property
    def way(self) -> Mode:
        return MODES[self.mode]

    @property
    def _instance(self) -> str:
        return self.instance or USUAL[own_machine(tuple(USUAL))]

    @property
    def _count(self) -> int:
        return _USUAL_INSTANCES if self.instances is None else self.instances

    @property
    def _memory(self) -> int:
        return self.memory or _USUAL_MEMORY

    @property
    def _recipe(self) -> Recipe:
        on = architecture(self._instance) if self.way.has_instances else "x86_64"
        return Recipe.of(self.python, on, self.base)

    @property
    def _scaling(self) -> Scaling | None:
        if self.most_instances is None:
            return None
        waiting = self.mode == "async"
        usual = _WAITING if waiting else _PER_INSTANCE
        return Scaling(self._count, self.most_instances, self.per_instance or usual, waiting)

    @property
    def limits(self) -> Limits:
        mode = self.way
        return replace(
            _LIMITS, request_bytes=mode.payload_bytes, response_bytes=mode.payload_bytes, timeout_s=mode.timeout_s,
            network=not mode.isolated, architectures=(self._recipe.architecture,),
            memory_bytes=None if mode.has_instances else self._memory * _MIB,
            unpacked_bytes=None if mode.has_instances else _SERVERLESS_BYTES,
        )  # fmt: skip

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        state = None if live is None else live.state
        if state is not None:
            self._check_replacing(state)
        recipe, endpoint = self._recipe, _called(name)
        reach = self._reach(endpoint)
        calls = () if artifact is None else self._calls(bundle, endpoint, state)
        return Plan(
            target="sagemaker",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                f"install its lock for Python {recipe.python} on {recipe.architecture}",
                f"build an image of them on {recipe.base}, and push it to a repository of its own",
                f"make a model of it, and of that {self.way.says}",
                *self._where(),
            ),
            cost=self._cost(),
            scaling=self._scales(),
            security=tuple(self._secured(reach, recipe)),
            files={
                f"{CONTEXT}/Containerfile": recipe.containerfile(bundle),
                f"{CONTEXT}/bento/{bundle.version}/": str(bundle.path),
                "role-policy.json": json.dumps(reach.policy(), indent=1),
            },
            calls=tuple(calls),
            changes=() if live is None else (f"what answers: {live.bundle}, then {bundle.tag}",),
            undo=tuple(call.undo.says for call in reversed(calls) if call.undo is not None),
        )

    def _where(self) -> tuple[str, ...]:
        if self.mode == "batch":
            return (f"answer every line of {self.input} once, and write the answers to {self.output}",)
        return (f"keep {self._share:g}% of requests and answers at {self.capture}",) if self.capture else ()

    @property
    def _share(self) -> float:
        return 100.0 if self.capture_share is None else self.capture_share

    def _secured(self, reach: Reach, recipe: Recipe) -> Sequence[str]:
        kept = [place for place in (self.capture, self.output) if place]
        keys = f"by the key {self.key}" if self.key else "by keys of AWS's own; name yours with --key"
        return (
            "reached by who may call InvokeEndpoint of it in this account; AWS checks that, so it asks for no token"
            if self.way.has_endpoint
            else "nothing can be asked: who may read the place of the answers has them",
            f"its container has {'no network' if self.way.isolated else 'a network, which AWS takes from none here'}",
            *((f"what is kept at {', '.join(kept)} is encrypted {keys}",) if kept else ()),
            *((f"whoever may read {self.capture} reads requests and answers",) if self.capture else ()),
            *(() if "@sha256:" in recipe.base else ("the base image is named, not pinned by its digest",)),
            *(
                ()
                if self.role
                else (f"role: {json.dumps(reach.policy())}: it may {reach.allowed().says}",)
            ),
        )  # fmt: skip

    def _scales(self) -> str:
        if self.mode == "serverless":
            return f"from no instance to {self.concurrency or _USUAL_AT_ONCE} at once, by AWS itself"
        if (scaling := self._scaling) is not None:
            what = "waiting requests each" if scaling.waiting else "requests a minute each"
            return (
                f"{scaling.least} to {scaling.most} × {self._instance}, for {scaling.per_instance:g} {what}"
            )
        runs = "while the job runs" if self.mode == "batch" else "for each variant, whoever asks"
        return f"{self._count} × {self._instance} {runs}"

    def _cost(self) -> Cost:
        table = prices(self.price_table)
        if self.mode == "serverless":
            return of_requests(table, self._memory, float(self.load))
        if self.mode == "batch":
            return of_instances(table, self._instance, self._count, hours=1.0)
        return of_instances(table, self._instance, self._count)

    def _reach(self, endpoint: str) -> Reach:
        reads = (self.input,) if self.input else ()
        writes = tuple(place for place in (self.capture, self.output) if place)
        if self.way.has_endpoint:
            return Reach(endpoint, f"/aws/sagemaker/Endpoints/{endpoint}", False, reads, writes, self.key)
        return Reach(endpoint, LOG_GROUP, True, reads, writes, self.key)

    def wanted(self, bundle: Bundle, endpoint: str) -> Wanted:
        recipe = self._recipe
        return Wanted(
            endpoint, f"v{bundle.version}", bundle.tag, bundle.digest, recipe.identity(bundle), recipe,
            self.way.isolated, self._reach(endpoint), self.role,
        )  # fmt: skip

    def hosting(self, endpoint: str, digest: str) -> Hosting:
        is_serverless = self.mode == "serverless"
        at_once = _USUAL_AT_ONCE if is_serverless and self.concurrency is None else self.concurrency
        return Hosting(
            endpoint, {"modelyard:name": endpoint, "modelyard:digest": digest},
            "" if is_serverless else self._instance, self._count, self._memory if is_serverless else None, at_once,
            self.capture, self._share, self.output if self.mode == "async" else None, self.key,
        )  # fmt: skip

    def _job(self, wanted: Wanted) -> Job:
        assert self.input is not None  # the mode needs both
        assert self.output is not None
        return Job(
            wanted.name, wanted.model, self.input, self.output, self.content or "jsonlines", self._instance,
            self._count, self.key, wanted.tags,
        )  # fmt: skip

    def _calls(self, bundle: Bundle, endpoint: str, previous: State | None) -> Sequence[Call]:
        wanted = self.wanted(bundle, endpoint)
        if not self.way.has_endpoint:
            before = None if previous is None or "job" not in previous else _before(previous)
            return (*model_only(wanted, before), self._job(wanted).started())
        hosting = self.hosting(endpoint, bundle.digest)
        if previous is None or "config" not in previous:
            return create(wanted, hosting, self._scaling)
        return update(wanted, hosting, self._scaling, _before(previous))

    def _check_replacing(self, state: State) -> None:
        self.in_region_of(state.get("region"))
        there = state.get("mode", self.mode)
        if there != self.mode:
            raise UsageError(
                f"it was made as {there} and stays that; for {self.mode} choose another --name, or --undo it first"
            )

    def reach(self, send: Send, artifact: Artifact) -> Send:
        return pushing(saying_why(send), builder(self.engine), artifact.folder / CONTEXT)

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        return self._recipe.fill(bundle, folder)

    def apply(
        self,
        bundle: Bundle,
        name: str,
        folder: Path,
        token: str,
        previous: State | None,
        artifact: Artifact | None,
    ) -> Endpoint:
        assert artifact is not None  # it has limits
        if previous is not None:
            self._check_replacing(previous)
        kept = folder / STATE_KEPT
        kept.mkdir(mode=0o700, exist_ok=True)
        endpoint, region = _called(name), self.settle_region(kept)
        state: dict[str, Any] = {
            "folder": str(folder), "endpoint": endpoint, "region": region, "digest": bundle.digest, "mode": self.mode,
        }  # fmt: skip
        calls, send = self._calls(bundle, endpoint, previous), self.sender(state)
        if self.way.has_endpoint:
            _check_ours(send, endpoint, kept, calls, previous)
        given = {} if self.way.has_endpoint else {STAMP: sagemaker_batch.stamp(kept)}
        named = carry_out(calls, self.reach(send, artifact), kept, lambda _: b"", given)
        wanted = self.wanted(bundle, endpoint)
        state |= {
            "policy": wanted.policy,
            "scaling": None if self._scaling is None else self._scaling.as_json(),
        }
        if self.way.has_endpoint:
            policies.note_first(folder, bundle, wanted.model)
            hosting = self.hosting(endpoint, bundle.digest)
            made = hosting.configuration({wanted.variant: wanted.model}, {wanted.variant: 1.0})
            state["config"] = made["EndpointConfigName"]
        else:
            state["job"] = job_name(named["job"])
        return Endpoint(url_of(region or "", state.get("job", endpoint), self.mode), state)

    def status(self, state: State) -> Status:
        if "job" not in state:
            return super().status(state)
        try:
            send = self.sender(state)
        except ImportError as error:
            return Status("down", str(error))
        return sagemaker_batch.status(send, state)

    def stop(self, state: State) -> None:
        if "job" in state:
            sagemaker_batch.stop(self.sender(state), state)
        else:
            super().stop(state)

    def start(self, state: State) -> State:
        if "job" in state:
            return sagemaker_batch.start(self.sender(state), state)
        return super().start(state)


def _called(name: str) -> str:
    """Return the endpoint's name, which holds neither dots nor underscores."""
    return f"{_PREFIX}{name.replace('.', '-').replace('_', '-')}"


def _of_modes() -> tuple[str, ...]:
    """Return the options that some mode takes, and others do not."""
    return tuple(dict.fromkeys(option for mode in MODES.values() for option in mode.takes))


def _before(previous: State) -> Before:
    """Return what a replaced endpoint is, by its state and the newest policy in its history."""
    policy = policies.newest(Path(previous["folder"]))
    return Before(previous.get("policy"), tuple(policy.weights) if policy else (), scaling_of(previous))


def _check_ours(send: Send, endpoint: str, kept: Path, calls: Sequence[Call], previous: State | None) -> None:
    """Refuse an endpoint that was there before this deployment was, or that somebody has changed since.

    Raises
    ------
    DeploymentError
    """
    known = Journal(kept)
    changes = ("CreateEndpoint", "UpdateEndpoint")
    begun = any(call.operation in changes and call.digest in known.begun | known.done for call in calls)
    made = any(each.back is not None and each.back["operation"] == "DeleteEndpoint" for each in known.made)
    if begun or (made and previous is None):
        return  # of this very deploy, which was interrupted
    if previous is not None and "config" in previous:
        check_untouched(send, previous, policies.newest(Path(previous["folder"])))
        return
    try:
        found = described(send, endpoint)
    except CallFailed as failed:
        if failed.code == GONE:
            return
        raise DeploymentError(f"sagemaker.DescribeEndpoint failed: {failed.code}: {failed}") from None
    raise DeploymentError(
        f"an endpoint {endpoint} is there already and is not this deployment's: it answers by {shown(found)} of "
        f"{found['EndpointConfigName']}; choose another --name, or delete that one: aws sagemaker delete-endpoint "
        f"--endpoint-name {endpoint}"
    )
