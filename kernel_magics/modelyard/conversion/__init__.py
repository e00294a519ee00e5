"""A model as an ONNX model that answers as the model itself does, in the notebook.

One module per library writes its models; which one is told from the names of a model's classes, so that
none of them is imported before one of its models is met. The names here are found on first use, since
skl2onnx and ONNX Runtime take seconds to import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from modelyard.conversion._protocol import NULL_STRING, Conversion, ModelInput
    from modelyard.conversion._session import FAILURES, Session

__all__ = ["FAILURES", "NULL_STRING", "Conversion", "ModelInput", "Session", "adopt", "convert", "is_torch"]

_MODULES = {
    "FAILURES": "_session",
    "NULL_STRING": "_protocol",
    "Conversion": "_protocol",
    "ModelInput": "_protocol",
    "Session": "_session",
}


@dataclass(frozen=True)
class _Plugin:
    """A module beside this one, with ``convert(model, columns)``, and with ``adopt(model, X, y)`` if it adopts.

    Attributes
    ----------
    module : str
    claims : callable
        Whether it writes this model; imports nothing.
    adopts : bool
        Whether its models are no estimators, so that `adopt` makes something with ``predict`` of them.
    """

    module: str
    claims: Callable[[Any], bool]
    adopts: bool

    def load(self) -> Any:
        return import_module(f"{__name__}.{self.module}")


def _roots(model: Any) -> set[str]:
    return {kind.__module__.partition(".")[0] for kind in type(model).__mro__}


def _is_onnx(model: Any) -> bool:
    return isinstance(model, (str, bytes, PurePath)) or "onnx" in _roots(model)


def is_torch(model: Any) -> bool:
    """Whether a model is torch's, or was adopted as such; imports nothing."""
    if _made_by("torch_module")(model):
        return True
    roots = _roots(model)
    return "torch" in roots and "sklearn" not in roots


def _made_by(module: str) -> Callable[[Any], bool]:
    return lambda model: type(model).__module__ == f"{__name__}.{module}"


_PLUGINS = (
    _Plugin("onnx_file", lambda model: _is_onnx(model) or _made_by("onnx_file")(model), adopts=True),
    _Plugin("torch_module", is_torch, adopts=True),
    _Plugin("scikit_learn", lambda model: True, adopts=False),
)


def _plugin(model: Any) -> _Plugin:
    return next(plugin for plugin in _PLUGINS if plugin.claims(model))


def adopt(model: Any, X: Any, y: Any) -> Any:
    """Return something with ``predict``: the model itself, if it is an estimator, else a wrapper around it.

    Parameters
    ----------
    model : estimator, path, bytes, onnx.ModelProto, torch.nn.Module or torch.export.ExportedProgram
        A path or bytes are those of an ONNX model. It is not changed.
    X : DataFrame or array of shape (n, columns)
        The training table: its columns feed the model, and what the model answers to it tells what its
        outputs are.
    y : array-like of shape (n,)
        The target: its classes, in sorted order, are those of a model that does not name its own.

    Raises
    ------
    InvalidInputError
        The model cannot be read, or takes another table than `X`.
    ConversionError
        What it answers is not one label or one value a row.
    """
    plugin = _plugin(model)
    return plugin.load().adopt(model, X, y) if plugin.adopts else model


def convert(model: Any, columns: pd.DataFrame) -> Conversion:
    """Write a fitted estimator, or what `adopt` returned, as an ONNX model.

    Parameters
    ----------
    model : estimator
        Fitted, with ``predict``; it is not changed.
    columns : pandas.DataFrame
        The table it was fitted on, or rows of it: names, types and nulls are read from it, and its first
        rows are run through the model. For an estimator fitted on an array, the array as a table.

    Raises
    ------
    ConversionError
        Something in the model has no faithful ONNX form.
    NotFittedError
        The estimator is not fitted.
    InvalidInputError
        The table has other columns than the estimator was fitted on.
    """
    found: Conversion = _plugin(model).load().convert(model, columns)
    return found


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
