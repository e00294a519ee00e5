"""Torch modules with fewer neurons in their linear layers, trained on a little afterwards.

torch itself is imported only where a module is met, so that this file needs none.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from modelyard.compression.clock import look_at_clock
from modelyard.compression.protocol import Make
from modelyard.conversion.torch_module import TorchModule
from modelyard.evaluation.inputs import Samples

_SHARES = (0.5, 0.25, 0.12)
_EPOCHS = 30
_BATCH = 128
_RATE = 1e-3
_JUDGED_ROWS = 2000
_LEAST_CHANCE = 1e-7

# What works on each number alone, so that a neuron can be left out before it and after it.
_MODULES = (
    "AlphaDropout", "CELU", "Dropout", "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU",
    "Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Tanh",
)  # fmt: skip
_FUNCTIONS = frozenset(
    (
        "alpha_dropout", "celu", "dropout", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish",
        "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "tanh",
    )
)  # fmt: skip
# What tracing raises on code that looks at the values of its tensors; there is no base class.
_UNTRACED = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, NameError,
    NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True)
class _Chain:
    """Two linear layers by name, and the batch normalisations between them; all else there works on each neuron."""

    before: str
    norms: tuple[str, ...]
    after: str


def fits(last: Any) -> bool:
    return isinstance(last, TorchModule) and last.exported is None and bool(_chains(last.module))


def pruned(last: Any, seed: int) -> Iterator[tuple[str, Make]]:
    """Yield what is said of each smaller module, and how it is made."""
    widths = [last.module.get_submodule(chain.before).out_features for chain in _chains(last.module)]
    for share in _SHARES:
        kept = [_count(share, width) for width in widths]
        if kept != widths:
            yield f"{', '.join(map(str, kept))} neurons", partial(_narrower, share=share, seed=seed)


def _count(share: float, width: int) -> int:
    return max(1, round(share * width))


def _chains(module: Any) -> list[_Chain]:
    """Return the pairs of layers between which neurons can be left out, in the order in which they run."""
    fx, nn = import_module("torch.fx"), import_module("torch.nn")
    try:
        graph = fx.symbolic_trace(module).graph
    except _UNTRACED:
        return []
    own: dict[str, Any] = dict(module.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    holders = Counter(id(value) for part in own.values() for value in part.parameters(recurse=False))
    elementwise = tuple(getattr(nn, name) for name in _MODULES)

    def alone(node: Any, kind: type[Any]) -> bool:
        """Whether a node is a layer of exactly this kind that runs once and shares no weights."""
        part = own.get(node.target) if node.op == "call_module" else None
        if part is None or type(part) is not kind or calls[node.target] != 1:
            return False
        return all(holders[id(value)] == 1 for value in part.parameters(recurse=False))

    def passes(node: Any) -> bool:
        if node.op == "call_module":
            return isinstance(own[node.target], elementwise)
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        return node.op in ("call_method", "call_function") and name in _FUNCTIONS

    found: list[_Chain] = []
    for first in graph.nodes:
        node, norms = first, list[str]()
        while alone(first, nn.Linear) and len(node.users) == 1:
            node = next(iter(node.users))
            if alone(node, nn.Linear):
                found.append(_Chain(first.target, tuple(norms), node.target))
                break
            if alone(node, nn.BatchNorm1d):
                norms.append(node.target)
            elif not passes(node):
                break
    return found


def _narrower(model: Any, samples: Samples, share: float, seed: int) -> Any:
    torch = import_module("torch")
    module = copy.deepcopy(model.module).eval()
    rows = torch.from_numpy(model.fed(samples.take(np.arange(min(samples.rows, _JUDGED_ROWS)))))
    for chain in _chains(module):
        before, after = module.get_submodule(chain.before), module.get_submodule(chain.after)
        weighed = _saliency(torch, module, after, rows)
        kept = torch.argsort(weighed, descending=True, stable=True)[: _count(share, before.out_features)]
        kept = kept.sort().values
        _keep(torch, before, kept, "weight", "bias")
        before.out_features = len(kept)
        for name in chain.norms:
            norm = module.get_submodule(name)
            _keep(torch, norm, kept, "weight", "bias", "running_mean", "running_var")
            norm.num_features = len(kept)
        _keep(torch, after, kept, "weight", axis=1)
        after.in_features = len(kept)
    return replace(model, module=_trained_on(torch, module, model, samples, seed), size_bytes=None)


def _saliency(torch: Any, module: Any, after: Any, rows: Any) -> Any:
    """Return how much each neuron before a layer says: the mean size of its output times that of its weights."""
    seen: list[Any] = []
    hook = after.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        with torch.no_grad():
            module(rows)
    finally:
        hook.remove()
    size = seen[0].abs().reshape(-1, after.in_features).mean(dim=0)
    return size * after.weight.detach().norm(dim=0)


def _keep(torch: Any, layer: Any, kept: Any, *names: str, axis: int = 0) -> None:
    for name in names:
        value = getattr(layer, name)
        if value is None:
            continue
        smaller = value.detach().index_select(axis, kept).clone()
        is_parameter = isinstance(value, torch.nn.Parameter)
        setattr(layer, name, torch.nn.Parameter(smaller) if is_parameter else smaller)


def _trained_on(torch: Any, module: Any, model: TorchModule, samples: Samples, seed: int) -> Any:
    """Train a module on for some epochs with Adam, on the loss that fits what its output means."""
    rows, wanted = torch.from_numpy(model.fed(samples.X)), _targets(torch, model, samples)
    parameters = [value.requires_grad_(True) for value in module.parameters() if value.is_floating_point()]
    optimizer = torch.optim.Adam(parameters, lr=_RATE)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        module.train()
        for _ in range(_EPOCHS):
            look_at_clock()
            for batch in torch.randperm(len(rows)).split(_BATCH):
                if len(batch) > 1:  # of one row, a batch normalisation learns nothing
                    optimizer.zero_grad()
                    _loss(torch, model.reading.kind, module(rows[batch]), wanted[batch]).backward()
                    optimizer.step()
    return module.requires_grad_(False).eval()


def _targets(torch: Any, model: TorchModule, samples: Samples) -> Any:
    classes = model.reading.classes
    if classes is None:
        return torch.from_numpy(np.asarray(samples.y, dtype=model.dtype))
    place = {label: number for number, label in enumerate(classes)}
    return torch.tensor([place[label] for label in samples.y.tolist()])


def _loss(torch: Any, kind: str, found: Any, wanted: Any) -> Any:
    losses = torch.nn.functional
    if kind in ("scores", "chances"):
        found = found.reshape(len(wanted), -1)
        logs = found.clamp_min(_LEAST_CHANCE).log() if kind == "chances" else losses.log_softmax(found, dim=1)
        return losses.nll_loss(logs, wanted)
    found, wanted = found.reshape(-1), wanted.to(found.dtype)
    if kind == "value":
        return losses.mse_loss(found, wanted)
    if kind == "log-odds":
        return losses.binary_cross_entropy_with_logits(found, wanted)
    return losses.binary_cross_entropy(found.clamp(0, 1), wanted)
