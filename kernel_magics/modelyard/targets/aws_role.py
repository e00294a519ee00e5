"""The calls that make an execution role, which one service may take on, and which may do what one policy says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.targets.calls import Call

_GONE = "NoSuchEntity"


@dataclass(frozen=True)
class Allowed:
    """What a role may do.

    Attributes
    ----------
    name : str
        Of the policy, within the role.
    says : str
        In words, after "let ROLE": ``write its log, and nothing else``.
    policy : mapping
        As AWS writes it.
    """

    name: str
    says: str
    policy: Mapping[str, Any]


def execution_role(name: str, tags: Mapping[str, str], service: str, called: str) -> Call:
    """Return the call that makes the role `name`, which may do nothing yet; it names the ARN ``role``.

    Parameters
    ----------
    service, called : str
        Who may take it on, ``lambda.amazonaws.com``, and its name in words.
    """
    role = {"RoleName": name}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    return Call(
        f"create the role {name}, which only {called} may take on", "iam", "CreateRole",
        {
            **role,
            "AssumeRolePolicyDocument": json.dumps(trust),
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        },
        {"role": "Role.Arn"}, exists="EntityAlreadyExists",
        found=Call("look", "iam", "GetRole", role, {"role": "Role.Arn"}),
        undo=Call(f"delete the role {name}", "iam", "DeleteRole", role, exists=_GONE),
    )  # fmt: skip


def allowing(name: str, allowed: Allowed) -> Call:
    """Return the call that lets the role `name` do something."""
    policy = {"RoleName": name, "PolicyName": allowed.name}
    return Call(
        f"let {name} {allowed.says}", "iam", "PutRolePolicy",
        {**policy, "PolicyDocument": json.dumps(allowed.policy)},
        undo=Call(f"delete the policy of {name}", "iam", "DeleteRolePolicy", policy, exists=_GONE),
    )  # fmt: skip
