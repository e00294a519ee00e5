"""What the name of an instance type says: ``ml.c7g.large`` is of Arm, ``ml.m5d.large`` has a disk of its own."""

from __future__ import annotations

import re

from modelyard.errors import UsageError

#: What answers where nothing else is asked for, by architecture.
USUAL = {"x86_64": "ml.m5.large", "arm64": "ml.m6g.large"}

_NAME = re.compile(r"ml\.([a-z]+)(\d+)([a-z-]*)\.([a-z0-9]+)")
_WITH_DISKS = re.compile(r"(?:g[5-9]|p[4-9]|trn\d)")  # those whose names do not say so


def check_instance(instance: str) -> None:
    """Refuse what names no type; which there are, AWS alone knows.

    Raises
    ------
    UsageError
    """
    if not _NAME.fullmatch(instance):
        raise UsageError(f"instance {instance!r} is no type of SageMaker; it is written as {USUAL['x86_64']}")


def architecture(instance: str) -> str:
    """Return whose code it runs.

    >>> [architecture(each) for each in ("ml.c7g.large", "ml.m6gd.xlarge", "ml.g5.xlarge", "ml.m5.large")]
    ['arm64', 'arm64', 'x86_64', 'x86_64']
    """
    return "arm64" if _parts(instance)[2].startswith("g") else "x86_64"


def encrypts_itself(instance: str) -> bool:
    """Whether it has disks of its own, which its hardware encrypts; AWS then takes no key for them.

    >>> [encrypts_itself(each) for each in ("ml.m5d.large", "ml.g4dn.xlarge", "ml.g5.xlarge", "ml.m5.large")]
    [True, True, True, False]
    """
    family, number, more = _parts(instance)
    return "d" in more or _WITH_DISKS.fullmatch(f"{family}{number}") is not None


def _parts(instance: str) -> tuple[str, str, str]:
    found = _NAME.fullmatch(instance)
    assert found is not None, instance  # it was checked
    return found[1], found[2], found[3]
