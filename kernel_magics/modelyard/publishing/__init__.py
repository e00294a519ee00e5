"""Apps for those who only look: a notebook with one panel, and what is needed to serve it with Voila."""

from modelyard.publishing.app import App
from modelyard.publishing.writing import publish

__all__ = ["App", "publish"]
