"""What can stop a capture, each in one line."""

from __future__ import annotations

from modelyard.errors import ModelyardError


class CaptureError(ModelyardError, ValueError):
    """Code of the notebook that cannot be written as an importable module."""


class StaleCodeError(ModelyardError, ValueError):
    """A definition that ran and is no longer what the notebook or its file says."""
