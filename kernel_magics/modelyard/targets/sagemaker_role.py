"""What a model's role may do: fetch its image, write its log and numbers, and reach what was named in S3 and KMS."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import UsageError
from modelyard.targets.aws_role import Allowed

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[^\s]*)?)")


@dataclass(frozen=True)
class Reach:
    """What a model must reach.

    Attributes
    ----------
    name : str
        Of the endpoint, of its repository, and of what begins the names of its jobs.
    log_group : str
    shares_log : bool
        Whether that group is the account's, and only those streams are its own that begin with `name`.
    reads, writes : tuple of str
        Places in S3: ``s3://bucket/prefix``.
    key : str or None
        The ARN of a KMS key.
    """

    name: str
    log_group: str
    shares_log: bool = False
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    key: str | None = None

    def policy(self) -> dict[str, Any]:
        """Return the policy of its role."""
        return {"Version": "2012-10-17", "Statement": list(self._statements())}

    def allowed(self) -> Allowed:
        """Return it under a name by which another one has another."""
        policy = self.policy()
        digest = hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()
        files = "" if not self.reads + self.writes else f", reach {', '.join((*self.reads, *self.writes))}"
        return Allowed(
            f"serve-{digest[:8]}", f"fetch its image, write its log{files}, and nothing else", policy
        )

    def _statements(self) -> Iterator[Mapping[str, Any]]:
        yield _allow(["ecr:GetAuthorizationToken"], "*")  # AWS knows no narrower one
        yield _allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            f"arn:aws:ecr:*:*:repository/{self.name}",
        )
        group = f"arn:aws:logs:*:*:log-group:{self.log_group}"
        if self.shares_log:
            yield _allow(["logs:CreateLogGroup", "logs:DescribeLogStreams"], f"{group}:*")
        yield _allow(
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            f"{group}:log-stream:{self.name}*" if self.shares_log else f"{group}:*",
        )
        yield {
            **_allow(["cloudwatch:PutMetricData"], "*"),
            "Condition": {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker"]}},
        }
        for place in self.reads:
            bucket, prefix = _parts(place)
            yield {
                **_allow(["s3:ListBucket"], f"arn:aws:s3:::{bucket}"),
                "Condition": {"StringLike": {"s3:prefix": f"{prefix}*"}},
            }
            yield _allow(["s3:GetObject"], f"arn:aws:s3:::{bucket}/{prefix}*")
        if self.writes:
            yield _allow(
                ["s3:AbortMultipartUpload", "s3:PutObject"],
                [f"arn:aws:s3:::{bucket}/{prefix}*" for bucket, prefix in map(_parts, self.writes)],
            )
        if self.key is not None:
            yield _allow(["kms:Decrypt", "kms:GenerateDataKey"], self.key)


def _allow(actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _parts(place: str) -> tuple[str, str]:
    """Return bucket and prefix; a prefix is that of a folder, so that its neighbours are not reached."""
    found = _PLACE.fullmatch(place)
    assert found is not None, place  # it was checked
    prefix = found[2].strip("/")
    return found[1], f"{prefix}/" if prefix else ""


def check_role(role: str | None) -> None:
    """Refuse what is no ARN of a role.

    Raises
    ------
    UsageError
    """
    _check(role, _ROLE, "role", "the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")


def check_key(key: str | None) -> None:
    """Refuse what is no ARN of a key, which a role's policy must name.

    Raises
    ------
    UsageError
    """
    _check(key, _KEY, "key", "the ARN of a KMS key, such as arn:aws:kms:eu-central-1:123456789012:key/ID")


def check_place(option: str, place: str | None) -> None:
    """Refuse what is no place in S3.

    Raises
    ------
    UsageError
    """
    _check(place, _PLACE, option, "a place in S3, such as s3://BUCKET/PREFIX")


def _check(value: str | None, pattern: re.Pattern[str], option: str, what: str) -> None:
    if value is not None and not pattern.fullmatch(value):
        raise UsageError(f"{option} {value!r} is not {what}")
