"""The calls that make a place for a log, which keeps it for a month."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.targets.calls import Call

RETENTION_DAYS = 30


def log_group(name: str, tags: Mapping[str, str]) -> tuple[Call, ...]:
    """Return the calls that make the log group `name`."""
    group = {"logGroupName": name}
    return (
        Call(
            f"create the log group {name}", "logs", "CreateLogGroup", {**group, "tags": dict(tags)},
            exists="ResourceAlreadyExistsException",
            found=Call("look", "logs", "DescribeLogGroups", {"logGroupNamePrefix": name}),
            undo=Call(
                f"delete the log group {name}", "logs", "DeleteLogGroup", group, exists="ResourceNotFoundException"
            ),
        ),
        Call(
            f"keep the log for {RETENTION_DAYS} days", "logs", "PutRetentionPolicy",
            {**group, "retentionInDays": RETENTION_DAYS},
        ),
    )  # fmt: skip
