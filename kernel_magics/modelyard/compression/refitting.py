"""The model on the training part alone: a clone fitted anew, or a torch module as it is, which cannot be."""

from __future__ import annotations

import hashlib
from typing import Any

from sklearn.base import clone

from modelyard.conversion import adopt, is_torch
from modelyard.conversion.torch_module import TorchModule
from modelyard.evaluation.inputs import Samples, check_estimator, describe_model
from modelyard.tuning.contract import Contract, fixed_parameters

AS_IT_IS = (
    "a torch module cannot be fitted again: the original is the module as it was given. Where it was trained on these "
    "rows, its own score is too good, and so the drops of what was trained on 70 % of them too large"
)


def taken(model: Any, X: Any, y: Any) -> Any:
    """Return an estimator, or a torch module as something with ``predict``.

    Raises
    ------
    InvalidInputError, ConversionError
        It is neither, or a module that takes another table or answers something else than labels or values.
    """
    if is_torch(model):
        return adopt(model, X, y)
    check_estimator(model)
    return model


def words_of(model: Any) -> str:
    """Return what people call a model."""
    return model.name if isinstance(model, TorchModule) else describe_model(model)


def fitted_again(model: Any, training: Samples) -> Any:
    """Return a clone fitted on the training part; of a torch module, itself."""
    return model if isinstance(model, TorchModule) else clone(model).fit(training.X, training.y)


def model_facts(model: Any) -> Contract:
    """Return what tells a model from another one, as JSON: its parameters, or a torch module's weights by digest."""
    if not isinstance(model, TorchModule):
        return (
            fixed_parameters(model, {}) if hasattr(model, "get_params") else {"class": type(model).__name__}
        )
    digest = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return {"class": model.name, "weights": digest.hexdigest()[:16]}
