"""A fitted estimator as an ONNX model that answers as the estimator does.

The names are found on first use, since skl2onnx and ONNX Runtime take seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.conversion._protocol import NULL_STRING, Conversion, ModelInput
    from modelyard.conversion._session import FAILURES, Session
    from modelyard.conversion.scikit_learn import convert

__all__ = ["FAILURES", "NULL_STRING", "Conversion", "ModelInput", "Session", "convert"]

_MODULES = {
    "FAILURES": "_session",
    "NULL_STRING": "_protocol",
    "Conversion": "_protocol",
    "ModelInput": "_protocol",
    "Session": "_session",
    "convert": "scikit_learn",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
