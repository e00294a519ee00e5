"""A draft made smaller: what is added behind a layer joins it, and what no output needs is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from modelyard.conversion._tflite_file import Draft, Output, Step, Tensor

_RELU = 1  # of ActivationFunctionType


def trimmed(draft: Draft) -> Draft:
    """Return a smaller draft that does the same; `draft` is not used afterwards."""
    _join_layers(draft)
    needed = {each.tensor for each in draft.outputs}
    kept: list[Step] = []
    for step in reversed(draft.steps):
        if step.output in needed:
            kept.append(step)
            needed |= set(step.inputs)
    draft.steps = kept[::-1]
    read = {number for step in draft.steps for number in step.inputs}
    draft.inputs = [each for each in draft.inputs if each is draft.fed or each.number in read]
    _renumber(draft, needed | {each.number for each in draft.inputs})
    return draft


def _join_layers(draft: Draft) -> None:
    """Give a layer the row that is added to what it makes, and the rectifier that follows."""
    made = {step.output: place for place, step in enumerate(draft.steps)}
    readers = Counter(number for step in draft.steps for number in step.inputs)
    readers.update(each.tensor for each in draft.outputs)
    for place, step in enumerate(draft.steps):
        if step.operator not in ("ADD", "RELU"):
            continue
        source = made.get(step.inputs[0])
        layer = draft.steps[source] if source is not None else None
        if layer is None or layer.operator != "FULLY_CONNECTED" or readers[layer.output] != 1:
            continue
        if layer.options.get("fusedActivationFunction"):
            continue
        if step.operator == "RELU":
            options = {**layer.options, "fusedActivationFunction": _RELU}
            joined = replace(layer, output=step.output, options=options)
        else:
            bias = _bias(draft, layer, step)
            if bias is None:
                continue
            joined = replace(layer, inputs=(*layer.inputs[:2], bias.number), output=step.output)
        assert source is not None
        draft.steps[source] = joined
        draft.steps[place] = replace(step, output=-1)  # needed by nobody
        made[step.output] = source


def _bias(draft: Draft, layer: Step, added: Step) -> Tensor | None:
    row, width = draft.tensors[added.inputs[1]].constant, draft.tensors[layer.output].shape[1]
    if row is None or row.size not in (1, width) or row.ndim > 2:
        return None
    total = np.broadcast_to(row.reshape(-1).astype(np.float64), (width,))
    if len(layer.inputs) == 3:
        before = draft.tensors[layer.inputs[2]].constant
        assert before is not None
        total = total + before
    return draft.constant(total)


def _renumber(draft: Draft, needed: set[int]) -> None:
    numbers: dict[int, int] = {}
    held: dict[tuple[str, tuple[int, ...], bytes, object], int] = {}
    tensors: list[Tensor] = []
    for tensor in draft.tensors:
        if tensor.number not in needed:
            continue
        if tensor.constant is not None:
            key = (tensor.kind, tensor.shape, tensor.constant.tobytes(), tensor.scale)
            if key in held:
                numbers[tensor.number] = held[key]
                continue
            held[key] = len(tensors)
        numbers[tensor.number] = len(tensors)
        tensors.append(replace(tensor, number=len(tensors)))
    draft.tensors = tensors
    draft.inputs = [tensors[numbers[each.number]] for each in draft.inputs]
    draft.fed = draft.inputs[0]
    draft.steps = [
        replace(step, inputs=tuple(numbers[each] for each in step.inputs), output=numbers[step.output])
        for step in draft.steps
    ]
    draft.outputs = [Output(each.name, numbers[each.tensor]) for each in draft.outputs]
