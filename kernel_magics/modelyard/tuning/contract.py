"""What a study was made with, so that resuming it with something else is noticed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
import pandas as pd

from modelyard.errors import UsageError
from modelyard.evaluation.inputs import Samples
from modelyard.tuning.parameter import Parameter

Contract = dict[str, Any]


def contract_of(
    model: Any,
    samples: Samples,
    space: Mapping[str, Parameter],
    cv: str,
    scoring: str,
    method: str,
) -> Contract:
    """Return what must stay the same for the scores of a study to be comparable, as JSON."""
    return {
        "method": method,
        "cv": cv,
        "scoring": scoring,
        "space": {name: _without_addresses(parameter.spec()) for name, parameter in space.items()},
        "model": fixed_parameters(model, space),
        **data_facts(samples),
    }


def data_facts(samples: Samples) -> Contract:
    """Return the shapes and digests of rows and targets."""
    return {
        "X": {"rows": samples.rows, "features": samples.features, "digest": digest_of(samples.X)},
        "y": {"rows": samples.rows, "digest": digest_of(pd.Series(samples.y))},
    }


def check_same(name: str, kept: Contract, found: Contract, what: str = "study") -> None:
    """Raise UsageError that says what differs, unless two contracts of a study, or of `what`, are the same."""
    for key in found:
        if not isinstance(found[key], dict) and kept.get(key) != found[key]:
            raise UsageError(
                f"{what} {name!r} was made with {key}={kept.get(key)!r}, found {found[key]!r}; "
                f"put {key} back to resume it, or type another name (--name)"
            )
    for key, noun in (("space", "the space"), ("model", "the model")):
        differing = _first_difference(kept.get(key, {}), found.get(key, {}))
        if differing is not None:
            before, now = (part[key].get(differing, "nothing") for part in (kept, found))
            raise UsageError(
                f"{what} {name!r} was made with {differing} = {before} in {noun}, found {now}; "
                f"put it back to resume it, or type another name (--name)"
            )
    for key in ("X", "y"):
        if kept[key] != found[key]:
            raise UsageError(
                f"{what} {name!r} was made with other data: {key} had {_shape(kept[key])}, "
                f"found {_shape(found[key])}; give the same data to resume it, or type another name (--name)"
            )


def _first_difference(kept: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    return next((key for key in sorted({*kept, *found}) if kept.get(key) != found.get(key)), None)


def _shape(part: Mapping[str, Any]) -> str:
    columns = f" x {part['features']} columns" if "features" in part else ""
    return f"{part['rows']} rows{columns} (digest {part['digest'][:8]})"


def fixed_parameters(model: Any, space: Mapping[str, Parameter]) -> dict[str, str]:
    """Return the class of a model, and its parameters outside of `space`, in words."""
    parameters = {"class": type(model).__qualname__}
    swapped = [
        f"{name}__" for name, part in space.items() if any(hasattr(c, "get_params") for c in part.choices)
    ]
    for name, value in model.get_params(deep=True).items():
        if name not in space and not name.startswith(tuple(swapped)):
            parameters[name] = _described(value)
    return parameters


def _described(value: Any) -> str:
    """Return a value in words that are the same in every process: no addresses, arrays by digest.

    Nor modules: a class from a script (``__main__``) may be imported from a file when the study is resumed.
    """
    if isinstance(value, np.ndarray | pd.DataFrame | pd.Series):
        return f"{type(value).__name__} {digest_of(value)[:16]}"
    if hasattr(value, "get_params"):  # its parameters are listed by themselves
        return type(value).__qualname__
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(_described(part) for part in value)})"
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    return _without_addresses(repr(value))


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def digest_of(data: Any) -> str:
    """Return SHA-256 over the values and column names; equal data give it in every process."""
    frame = data.to_frame() if isinstance(data, pd.Series) else data
    if isinstance(frame, np.ndarray):
        frame = pd.DataFrame(frame)
    if not isinstance(frame, pd.DataFrame):
        return str(joblib.hash(data))
    try:
        values = pd.util.hash_pandas_object(frame, index=False)
    except TypeError:  # cells that hold lists and the like
        values = pd.util.hash_pandas_object(frame.astype(str), index=False)
    digest = hashlib.sha256(repr(list(map(str, frame.columns))).encode())
    digest.update(values.to_numpy().tobytes())
    return digest.hexdigest()
