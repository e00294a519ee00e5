"""Names of bundles, studies and deployments: what BentoML, file systems and URLs all take."""

from __future__ import annotations

import re

from modelyard.errors import InvalidNameError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?")


def checked_name(name: str, what: str) -> str:
    """Return `name` if it can name a `what` (``bundle``, ``study``, ``deployment``).

    Raises
    ------
    InvalidNameError
        It holds something else than lower-case letters, digits, ``-``, ``_`` and ``.``.
    """
    if _NAME.fullmatch(name):
        return name
    proposal = re.sub(r"[^a-z0-9_.-]+", "-", name.strip().lower()).strip("-_.")[:63]
    hint = f"; type {proposal!r}" if _NAME.fullmatch(proposal) else ""
    raise InvalidNameError(
        f"{name!r} cannot name a {what}: use up to 63 lower-case letters, digits, '-', '_' and '.'{hint}"
    )
