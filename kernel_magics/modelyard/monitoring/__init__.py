"""How what exists does now."""

from modelyard.monitoring.overview import Overview, yard

__all__ = ["Overview", "yard"]
