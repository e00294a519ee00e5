"""The gates before anything is written: no secret and no row of the training table leaves unnoticed."""

from __future__ import annotations

from modelyard.packaging.gates.embedded import check_embedded
from modelyard.packaging.gates.kept import kept_rows
from modelyard.packaging.gates.known import known_secrets
from modelyard.packaging.gates.secrets import check_secrets

__all__ = ["check_embedded", "check_secrets", "kept_rows", "known_secrets"]
