"""A batch transform: a model answers every line of the files at one place in S3, and is gone again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import DeploymentError
from modelyard.targets.calls import Call, CallFailed, Send
from modelyard.targets.journal import Journal
from modelyard.targets.protocol import State, Status
from modelyard.targets.sagemaker_hosting import as_tags, named
from modelyard.targets.sagemaker_instances import encrypts_itself
from modelyard.targets.sagemaker_send import GONE
from modelyard_sagemaker.lines import CSV, JSON_LINES

#: By the name that people type, what the lines are.
CONTENTS = {"jsonlines": JSON_LINES, "csv": CSV}
#: What a plan calls the moment at which a job is started; no two of an account may have one name.
STAMP = "started"
#: AWS's own, which all jobs of an account share.
LOG_GROUP = "/aws/sagemaker/TransformJobs"

_FILE = "started"
_PAYLOAD_MB = 6
_HEALTH = {"Completed": "ready", "InProgress": "starting", "Stopping": "starting", "Stopped": "stopped"}
_THERE = "ResourceInUse"


@dataclass(frozen=True)
class Job:
    """One batch transform.

    Attributes
    ----------
    name, model : str
        Of what its own name begins with, and of the model.
    input, output : str
        Places in S3.
    content : str
        ``jsonlines`` or ``csv``.
    instance, instances : str, int
    key : str or None
        The ARN of the KMS key that encrypts the answers and the disks.
    tags : mapping of str to str
    """

    name: str
    model: str
    input: str
    output: str
    content: str
    instance: str
    instances: int
    key: str | None
    tags: Mapping[str, str]

    def started(self) -> Call:
        """Return the call that starts it; it names the job ``job``."""
        job = named(self.name, f"${{{STAMP}}}")
        which = {"TransformJobName": job}
        kind = CONTENTS[self.content]
        key = {} if self.key is None else {"KmsKeyId": self.key}
        disk = {} if self.key is None or encrypts_itself(self.instance) else {"VolumeKmsKeyId": self.key}
        return Call(
            f"answer every line of {self.input}, and write the answers to {self.output}", "sagemaker",
            "CreateTransformJob",
            {
                **which, "ModelName": self.model, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": _PAYLOAD_MB,
                "TransformInput": {
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.input}},
                    "ContentType": kind, "SplitType": "Line",
                },
                "TransformOutput": {
                    "S3OutputPath": self.output, "Accept": kind, "AssembleWith": "Line", **key
                },
                "TransformResources": {
                    "InstanceType": self.instance, "InstanceCount": self.instances, **disk
                },
                "Tags": as_tags(self.tags),
            },
            {"job": "TransformJobArn"}, exists=_THERE,
            found=Call("look", "sagemaker", "DescribeTransformJob", which, {"job": "TransformJobArn"}),
            undo=Call(
                "stop it, if it still runs; answers that are written stay", "sagemaker", "StopTransformJob", which,
                exists=GONE,
            ),
        )  # fmt: skip


def stamp(kept: Path) -> str:
    """Return when a job is started: now, or when the interrupted deploy that is gone on with was begun."""
    file = kept / _FILE
    if Journal(kept).is_open and file.exists():
        return file.read_text(encoding="utf-8")
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    file.write_text(now, encoding="utf-8")
    return now


def job_name(arn: str) -> str:
    """Return a job's name, by its ARN."""
    return arn.rpartition("/")[2]


def status(send: Send, state: State) -> Status:
    """Say how far a job is; never raises."""
    try:
        found = send("sagemaker", "DescribeTransformJob", {"TransformJobName": state["job"]})
    except CallFailed as failed:
        return Status("down", str(failed))
    now = found["TransformJobStatus"]
    why = " ".join(str(found.get("FailureReason") or "").split())
    return Status(_HEALTH.get(now, "down"), f"{state['job']} is {now}{f': {why}' if why else ''}")  # type: ignore[arg-type]


def stop(send: Send, state: State) -> None:
    """Stop a job, if it still runs."""
    try:
        send("sagemaker", "StopTransformJob", {"TransformJobName": state["job"]})
    except CallFailed as failed:
        if failed.code != GONE:
            raise DeploymentError(f"sagemaker.StopTransformJob failed: {failed.code}: {failed}") from None


def start(send: Send, state: State) -> State:
    """Return the state of a job that runs or has ended well.

    Raises
    ------
    DeploymentError
        It was stopped, or failed: AWS goes on with none.
    """
    found = status(send, state)
    if found.health in ("ready", "starting"):
        return state
    raise DeploymentError(f"{found.detail}, and AWS goes on with no job; deploy it again with --replace")
