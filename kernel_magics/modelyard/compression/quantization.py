"""Quantization: smaller numbers. Layers in int8, int4 or float16, trees in float32 that share leaves and subtrees."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from modelyard.compression import boosters, dense_layers, forests
from modelyard.compression.dense_layers import Layer, narrowed, rewritten
from modelyard.compression.graphs import as_model, graph_of
from modelyard.compression.last_step import last_step
from modelyard.compression.protocol import Asked, Recipe
from modelyard.compression.tree_tables import smaller_tables
from modelyard.conversion import convert
from modelyard.conversion.torch_module import TorchModule
from modelyard.errors import ConversionError
from modelyard.evaluation.inputs import Samples
from modelyard.tuning.serving import Rows

_LEVELS = (256, 64)
_OF_LAYERS: tuple[tuple[str, Layer], ...] = (
    ("int8 layers, dynamic", dense_layers.eight_bits),
    ("float16 weights", dense_layers.half),
    ("int4 weights", dense_layers.four_bits),
    ("float32 layers", dense_layers.plain),
)


class Quantization:
    """Keeps the shape of a model, and writes its numbers with fewer bits."""

    order = 0
    combines = True
    options = ()

    def fits(self, model: Any) -> bool:
        last = last_step(model)
        return isinstance(last, TorchModule) or _has_trees(last) or _layers(last) > 0

    def candidates(self, asked: Asked) -> Iterator[Recipe]:
        last = last_step(asked.model)
        if _has_trees(last):
            yield Recipe("quantization", "float32 trees, shared leaves", partial(_trees, levels=None))
            for levels in _LEVELS:
                yield Recipe(
                    "quantization", f"float32 trees, {levels} leaf values", partial(_trees, levels=levels)
                )
        if isinstance(last, TorchModule) or _layers(last):
            yield Recipe("quantization", "int8 layers, static", _static)
            for words, write in _OF_LAYERS:
                if write is dense_layers.plain and getattr(last, "dtype", "") == "float32":
                    continue  # a torch module is in float32 already
                yield Recipe("quantization", words, partial(_dense, write=write))


def _has_trees(last: Any) -> bool:
    return forests.fits(last) or boosters.is_booster(last)


def _layers(last: Any) -> int:
    """Return how many products with a matrix of weights a model is made of."""
    if hasattr(last, "coefs_"):
        return len(last.coefs_)
    linear = isinstance(getattr(last, "coef_", None), np.ndarray) and hasattr(last, "intercept_")
    return int(linear and not hasattr(last, "support_vectors_"))


def _trees(model: Any, samples: Samples, levels: int | None) -> Any:
    return as_model(smaller_tables(graph_of(model, samples), levels), model, samples)


def _dense(model: Any, samples: Samples, write: Layer) -> Any:
    return as_model(_with_layers(model, samples, write), model, samples)


def _with_layers(model: Any, samples: Samples, write: Layer) -> Any:
    graph, last = graph_of(model, samples), last_step(model)
    return rewritten(graph, write) if isinstance(last, TorchModule) else narrowed(graph, _layers(last), write)


def _static(model: Any, samples: Samples) -> Any:
    from modelyard.compression.calibration import quantized  # it brings a second of imports

    table = Rows.of(samples).table
    if table is None:
        raise ConversionError("X is no table, so that there is no ONNX form")
    graph = _with_layers(model, samples, dense_layers.plain)
    return as_model(quantized(graph, convert(model, table), table), model, samples)
