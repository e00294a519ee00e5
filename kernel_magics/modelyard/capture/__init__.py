"""Capture: the notebook's definitions that a fitted object reaches, as one importable module."""

from __future__ import annotations

from modelyard.capture.captured import Captured, capture
from modelyard.capture.cells import notebook_cells
from modelyard.capture.errors import CaptureError, StaleCodeError

__all__ = ["CaptureError", "Captured", "StaleCodeError", "capture", "notebook_cells"]
