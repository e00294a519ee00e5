"""The calls that make a function with a URL on AWS Lambda, and those that put another version in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.targets.aws_lambda_code import Code
from modelyard.targets.aws_log_group import log_group
from modelyard.targets.aws_role import Allowed, allowing, execution_role
from modelyard.targets.calls import Call, Settled

ALIAS = "live"

_GONE = "ResourceNotFoundException"
_STATEMENT = "modelyard-url"


@dataclass(frozen=True)
class Wanted:
    """A function as it is to be.

    Attributes
    ----------
    name : str
        Of the function, and of the role that is made for it.
    architecture : str
        ``arm64``.
    memory_mb, timeout_s : int
    code : Code
        What it runs.
    tag, digest : str
        Of the bundle; they become the version's description, and the digest a tag of the function.
    environment : mapping of str to str
    role : str, optional
        The ARN of an execution role that is there; one is made by default, which may write this function's log and
        nothing else.
    concurrency : int, optional
        The most instances that answer at once; the account's limit by default.
    """

    name: str
    architecture: str
    memory_mb: int
    timeout_s: int
    code: Code
    tag: str
    digest: str
    environment: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None
    concurrency: int | None = None

    @property
    def tags(self) -> dict[str, str]:
        """By what it is found again from another machine."""
        return {"modelyard:name": self.name, "modelyard:digest": self.digest}


def log_policy(name: str) -> dict[str, Any]:
    """Return the policy of the role: to write the log of this function, and nothing else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"arn:aws:logs:*:*:log-group:/aws/lambda/{name}:*",
            }
        ],
    }


def create(wanted: Wanted) -> tuple[Call, ...]:
    """Return the calls that make it where nothing is."""
    return (
        *log_group(f"/aws/lambda/{wanted.name}", wanted.tags),
        *(_role(wanted) if wanted.role is None else ()),
        *wanted.code.brought(wanted.name, wanted.tags, first=True),
        _function(wanted),
        _publish(wanted),
        Call(
            f"let the alias {ALIAS!r} point to that version", "lambda", "CreateAlias",
            {"FunctionName": wanted.name, "Name": ALIAS, "FunctionVersion": "${version}"}, {"alias": "AliasArn"},
            exists="ResourceConflictException",
            found=Call("look", "lambda", "GetAlias", _alias(wanted.name), {"alias": "AliasArn"}),
            undo=Call(f"delete the alias {ALIAS!r}", "lambda", "DeleteAlias", _alias(wanted.name), exists=_GONE),
        ),
        *_url(wanted),
        *_concurrency(wanted),
    )  # fmt: skip


def update(wanted: Wanted) -> tuple[Call, ...]:
    """Return the calls that let it answer by other code; the version that answers now does again after an undo."""
    return (
        Call(
            f"look where the alias {ALIAS!r} points", "lambda", "GetAlias", _alias(wanted.name),
            {"before": "FunctionVersion"},
        ),
        *another_version(wanted),
        Call(
            f"let the alias {ALIAS!r} point to that version", "lambda", "UpdateAlias",
            {**_alias(wanted.name), **pointing({"${version}": 1.0})}, {"alias": "AliasArn"},
            undo=back_to(wanted.name, "${before}"),
        ),
        *_concurrency(wanted),
    )  # fmt: skip


def another_version(wanted: Wanted) -> tuple[Call, ...]:
    """Return the calls that publish another version of what is there; nobody is sent to it."""
    settled = _settled(wanted.name, "LastUpdateStatus", "Successful")
    return (
        *wanted.code.brought(wanted.name, wanted.tags, first=False),
        Call(
            f"give {wanted.name} the new code", "lambda", "UpdateFunctionCode",
            {"FunctionName": wanted.name, **wanted.code.parameters(), "Architectures": [wanted.architecture]},
            settled=settled,
        ),
        Call(
            f"set memory, timeout and environment of {wanted.name}", "lambda", "UpdateFunctionConfiguration",
            {"FunctionName": wanted.name, **_settings(wanted)}, settled=settled,
        ),
        _publish(wanted),
    )  # fmt: skip


def back_to(function: str, version: str) -> Call:
    """Return the call that lets one version answer everything again."""
    return Call(
        f"let the alias {ALIAS!r} point to version {version} again", "lambda", "UpdateAlias",
        {**_alias(function), **pointing({version: 1.0})}, exists=_GONE,
    )  # fmt: skip


def left_at(function: str, version: str) -> Call:
    """Return the call that changes nothing and is taken back by letting `version` answer everything.

    It stands behind those that publish another version: one that an alias points to cannot be deleted.
    """
    return Call(
        f"look where the alias {ALIAS!r} points", "lambda", "GetAlias", _alias(function),
        undo=back_to(function, version),
    )  # fmt: skip


def pointing(shares: Mapping[str, float]) -> dict[str, Any]:
    """Return the parameters by which an alias gives versions these shares of the requests, the first one the rest."""
    first, *others = shares
    return {
        "FunctionVersion": first,
        "RoutingConfig": {"AdditionalVersionWeights": {version: shares[version] for version in others}},
    }


def shares_of(alias: Mapping[str, Any]) -> dict[str, float]:
    """Return which versions an alias gives which share of the requests, as AWS describes it."""
    more = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {alias["FunctionVersion"]: 1 - sum(more.values()), **more}


def described(description: str) -> tuple[str, str] | None:
    """Return tag and digest of the bundle that a version holds, by its description; ``None`` for one not of ours."""
    tag, _, digest = description.partition(" ")
    return (tag, digest) if ":" in tag and len(digest) == 64 else None


def _alias(function: str) -> dict[str, str]:
    return {"FunctionName": function, "Name": ALIAS}


def _role(wanted: Wanted) -> tuple[Call, ...]:
    may = Allowed("write-log", f"write the log of {wanted.name}, and nothing else", log_policy(wanted.name))
    return (
        execution_role(wanted.name, wanted.tags, "lambda.amazonaws.com", "Lambda"),
        allowing(wanted.name, may),
    )


def _settings(wanted: Wanted) -> dict[str, Any]:
    return {
        **wanted.code.settings(),
        "Role": wanted.role or "${role}",
        "Timeout": wanted.timeout_s,
        "MemorySize": wanted.memory_mb,
        "Environment": {"Variables": dict(wanted.environment)},
    }


def _function(wanted: Wanted) -> Call:
    name = {"FunctionName": wanted.name}
    return Call(
        f"create the function {wanted.name}", "lambda", "CreateFunction",
        {
            **name, **_settings(wanted), "Code": wanted.code.parameters(),
            "Architectures": [wanted.architecture], "PackageType": wanted.code.package, "Publish": False,
            "Tags": wanted.tags,
        },
        {"function": "FunctionArn"}, exists="ResourceConflictException",
        found=Call("look", "lambda", "GetFunction", name, {"function": "Configuration.FunctionArn"}),
        undo=Call(f"delete the function {wanted.name}", "lambda", "DeleteFunction", name, exists=_GONE),
        settled=_settled(wanted.name, "State", "Active"),
        not_yet="InvalidParameterValueException",
    )  # fmt: skip


def _settled(function: str, path: str, state: str, **version: str) -> Settled:
    look = Call("look", "lambda", "GetFunctionConfiguration", {"FunctionName": function, **version})
    return Settled(look, path, state, ("Failed",))


def _publish(wanted: Wanted) -> Call:
    name = {"FunctionName": wanted.name}
    return Call(
        "publish that as a version", "lambda", "PublishVersion",
        {**name, "Description": f"{wanted.tag} {wanted.digest}"}, {"version": "Version"},
        undo=Call(
            "delete that version", "lambda", "DeleteFunction", {**name, "Qualifier": "${version}"}, exists=_GONE
        ),
        settled=_settled(wanted.name, "State", "Active", Qualifier="${version}"),
    )  # fmt: skip


def _url(wanted: Wanted) -> tuple[Call, ...]:
    there = {"FunctionName": wanted.name, "Qualifier": ALIAS}
    made = Call(
        "give it a URL", "lambda", "CreateFunctionUrlConfig",
        {**there, "AuthType": "NONE"}, {"url": "FunctionUrl"},
        exists="ResourceConflictException",
        found=Call("look", "lambda", "GetFunctionUrlConfig", there, {"url": "FunctionUrl"}),
        undo=Call("delete the URL", "lambda", "DeleteFunctionUrlConfig", there, exists=_GONE),
    )  # fmt: skip
    return (
        made,
        _permission(there, "", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        _permission(there, "-invoke", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    )


def _concurrency(wanted: Wanted) -> tuple[Call, ...]:
    if wanted.concurrency is None:
        return ()
    return (
        Call(
            f"keep {wanted.concurrency} instances for {wanted.name}, and never have more", "lambda",
            "PutFunctionConcurrency",
            {"FunctionName": wanted.name, "ReservedConcurrentExecutions": wanted.concurrency},
        ),
    )  # fmt: skip


def _permission(there: Mapping[str, str], suffix: str, action: str, more: Mapping[str, Any]) -> Call:
    statement = {**there, "StatementId": f"{_STATEMENT}{suffix}"}
    return Call(
        f"let everybody call {action} (the token is asked for by the function)", "lambda", "AddPermission",
        {**statement, "Action": action, "Principal": "*", **more},
        exists="ResourceConflictException", found=Call("look", "lambda", "GetPolicy", dict(there)),
        undo=Call(f"take {action} from everybody", "lambda", "RemovePermission", statement, exists=_GONE),
    )  # fmt: skip
