"""A bundle's ONNX graph as a ``.tflite`` file, which ai-edge-litert and the older tflite-runtime run.

Node by node, without tensorflow: linear models, networks, trees, forests and boosted trees, behind scalers, imputers
and selections of numbers. The file computes in float32, where the graph computes in double: whoever writes one lets it
answer the golden rows before it goes anywhere.

The file has an input ``X`` of shape (rows, columns), float32, with NaN for what is missing, and where that counts a
second one, ``X_rest``, for what float32 leaves of each value. Its outputs are ``label``, the place of the class or the
value, shape (rows,), and ``probabilities``, shape (rows, classes), where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from modelyard.errors import MissingExtraError, ModelyardError

Array = np.ndarray[Any, Any]

#: The most bytes of a file, unless another cap is given.
DEFAULT_CAP = 8_000_000

_GOES = "linear models, MLPs, trees, forests and boosted trees, behind steps on numbers"
_ELSE = "type: --runtime onnx, which takes it"


class TfliteError(ModelyardError, ValueError):
    """A model that cannot go as a ``.tflite`` file, or not within the cap."""


@dataclass(frozen=True)
class Written:
    """A ``.tflite`` file.

    Attributes
    ----------
    content : bytes
        The same graph gives the same bytes.
    described : dict
        What a manifest's ``model`` entry says of it otherwise than of the graph, for
        `modelyard_device.flatbuffer.FlatbufferModel`: ``kind``; ``inputs``, the columns of ``X`` in their order;
        ``has_rest``, whether there is ``X_rest``; ``outputs``, what each output is; ``is_quantized``.
    """

    content: bytes
    described: dict[str, Any]


def size_of(
    source: bytes,
    described: Mapping[str, Any],
    *,
    name: str = "the model",
    quantized: bool = False,
    is_exact: bool = True,
) -> int:
    """Return how many bytes the file will take, to within a few percent; nothing is written.

    Parameters
    ----------
    source : bytes
        A bundle's ``model.onnx``.
    described : mapping
        Its manifest's ``model`` entry.
    name : str
        What messages call the model, such as its manifest's ``estimator``.
    quantized, is_exact : bool
        As of `written`.

    Raises
    ------
    TfliteError
        It cannot go as such a file, whatever its size.
    """
    draft, _ = _translated(source, described, name, is_exact)
    return _size(draft, quantized, name)


def written(
    source: bytes,
    described: Mapping[str, Any],
    *,
    name: str = "the model",
    quantized: bool = False,
    sample: Array | None = None,
    cap: int = DEFAULT_CAP,
    is_exact: bool = True,
) -> Written:
    """Write the file.

    Parameters
    ----------
    source, described, name
        As of `size_of`.
    quantized : bool
        Write the layers of a linear model or a network in int8. That is another model: compare its answers.
    sample : ndarray of shape (rows, columns), optional
        Rows of the training table, the columns in the order of the graph's inputs; the layers' ranges are read from
        them. Needed with `quantized`.
    cap : int
        The most bytes that the file may take.
    is_exact : bool
        Whether the file may have ``X_rest``. It has it only where that counts: for trees behind a scaler or with
        thresholds in double, and for columns many times their spread away from 0. Fed with zeros, the file answers as
        one without it.

    Raises
    ------
    TfliteError
        Something in the graph cannot go, the file would be larger than `cap`, or `quantized` makes no sense for it.
    MissingExtraError
        ai-edge-litert, whose schema is written, is not installed.
    """
    draft, outputs = _translated(source, described, name, is_exact)
    expected = _size(draft, quantized, name)
    if expected > cap:
        raise TfliteError(
            f"{name} as .tflite takes {_megabytes(expected)}, {_megabytes(expected - cap)} more than the cap of "
            f"{_megabytes(cap)}; give fewer or smaller trees or layers (%compress finds them), "
            f"a higher cap, or {_ELSE}"
        )
    if find_spec("ai_edge_litert") is None:
        raise MissingExtraError(
            "a .tflite file needs 'ai_edge_litert', which is not installed; type: pip install 'modelyard[raspberry-pi]'"
        )
    if quantized:
        draft = _quantized(draft, sample, name)
    found = {
        "kind": "tflite",
        "inputs": _columns(described),
        "has_rest": len(draft.inputs) > 1,
        "outputs": outputs,
        "is_quantized": quantized,
    }
    return Written(draft.content(), found)


def _quantized(draft: Any, sample: Array | None, name: str) -> Any:
    from modelyard.conversion import _tflite_quantizing

    width = draft.fed.shape[1]
    if sample is None or sample.ndim != 2 or len(sample) == 0 or sample.shape[1] != width:
        found = "none" if sample is None else f"an array of shape {sample.shape}"
        raise TfliteError(
            f"{name} in int8 needs a sample of rows of {width} numbers, found {found}; give sample=X"
        )
    return _tflite_quantizing.quantized(draft, np.asarray(sample, dtype=np.float64))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _columns(described: Mapping[str, Any]) -> list[str]:
    return [column for entry in described["inputs"] for column in entry["columns"]]


def _size(draft: Any, quantized: bool, name: str) -> int:
    if not quantized:
        return int(draft.size)
    from modelyard.conversion import _tflite_quantizing

    if not _tflite_quantizing.layers_of(draft):
        raise TfliteError(
            f"{name} has no layers that int8 makes smaller, as linear models and MLPs have; leave --quantized out"
        )
    return int(draft.size + _tflite_quantizing.growth(draft))


def _translated(
    source: bytes, described: Mapping[str, Any], name: str, is_exact: bool
) -> tuple[Any, dict[str, Any]]:
    """Return the draft of the file, and what its outputs are."""
    if described["kind"] != "onnx":
        part = "its first steps run" if described["kind"] == "hybrid" else "it runs"
        raise TfliteError(f"{name} cannot go as .tflite: {part} in Python; what can go: {_GOES}; {_ELSE}")
    texts = [
        column for each in described["inputs"] if each["dtype"] == "string" for column in each["columns"]
    ]
    if texts:
        raise TfliteError(
            f"{name} cannot go as .tflite: it reads text from {_listed(texts, 'column')}; "
            f"encode it as numbers before the model, or {_ELSE}"
        )
    from modelyard.conversion import _tflite_graph

    draft, outputs, refused = _tflite_graph.translated(source, described, is_exact=is_exact)
    if refused:
        raise TfliteError(
            f"{name} cannot go as .tflite: nothing there does what its graph has in {', '.join(refused)}; "
            f"{_hint(refused)}what can go: {_GOES}; {_ELSE}"
        )
    return draft, outputs


def _hint(refused: Sequence[str]) -> str:
    if "MatMulInteger" not in refused:
        return ""
    return "it is in int8 already, in ONNX's way: package what it was made of, and give --quantized; "


def _listed(names: Sequence[str], noun: str) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(repr(each) for each in names)}"
