"""The policy of an endpoint whose place routes by itself: what was wanted of it last, and all that was before."""

from __future__ import annotations

from pathlib import Path

from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard_router.policy import Policy, PolicyError, PolicyFile, Variant, me, now


def note_first(folder: Path, bundle: Bundle, path: str) -> None:
    """Write the policy of a deployment that has one bundle; its number follows on what was before.

    Parameters
    ----------
    folder : Path
        The deployment's own.
    bundle : Bundle
    path : str
        What holds the bundle there: its variant's `path`.
    """
    name, file = f"v{bundle.version}", PolicyFile(folder)
    first = Policy(
        file.first_number(), now(), me(), f"{bundle.tag} is deployed",
        {name: Variant(bundle.tag, bundle.digest, path)}, name, {name: 1.0},
    )  # fmt: skip
    note(file, first)


def last(file: PolicyFile) -> Policy | None:
    """Return the policy that was written last.

    Raises
    ------
    DeploymentError
        It cannot be read.
    """
    try:
        return file.read() if file.path.exists() else None
    except PolicyError as error:
        raise DeploymentError(str(error)) from None


def newest(folder: Path) -> Policy | None:
    """Return the policy that was written last, also where a deployment is replaced and only its history is there.

    Raises
    ------
    DeploymentError
        It cannot be read.
    """
    file = PolicyFile(folder)
    if (found := last(file)) is not None:
        return found
    *past, _ = file.history(Policy(file.first_number(), "", "", "", {}, "", {}))
    return past[-1] if past else None


def note(file: PolicyFile, policy: Policy) -> None:
    """Write a policy.

    Raises
    ------
    PolicyChangedError
        Somebody else was faster.
    DeploymentError
        It cannot be written.
    """
    try:
        file.write(policy)
    except OSError as error:
        raise DeploymentError(f"the policy cannot be written, the one before is in force: {error}") from None
