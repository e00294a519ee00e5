"""The HTTP door of a device's folder."""

from __future__ import annotations

from pathlib import Path

from modelyard_device.opening import HASHES, opened
from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import PredictorApp


def application(folder: Path) -> PredictorApp:
    """Return the ASGI application of a device's folder; it lets in whose token's hash the folder has."""
    return PredictorApp(opened(folder), Gate(file=folder / HASHES))
