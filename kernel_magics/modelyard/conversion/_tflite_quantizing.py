"""The layers of a draft in int8: whole numbers between a QUANTIZE and a DEQUANTIZE, everything else stays in float32.

Scales are static, read from rows of the training table: layers that scale each request by itself go wrong in
tflite-runtime 2.14. A scaler stays outside, since folded into the first layer it would give weights that eight bits
cannot hold.
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

from __future__ import annotations

import numpy as np

from modelyard.conversion._tflite_file import Array, Draft, Scale, Step, Tensor

_LOW, _HIGH = -128, 127
_ROWS_AT_MOST = 2000

#: What scales take: two of eight and four bytes for each neuron, and those of what a layer reads and makes.
_PER_NEURON, _PER_LAYER = 24, 300


def layers_of(draft: Draft) -> list[Step]:
    """Return the layers with constant weights that int8 makes smaller."""
    return [step for step in draft.steps if step.operator == "FULLY_CONNECTED"]


def growth(draft: Draft) -> int:
    """Return by how many bytes, to within a few percent, a draft grows; less than 0 where it shrinks."""
    layers = layers_of(draft)
    weights = sum(int(np.prod(draft.tensors[step.inputs[1]].shape)) for step in layers)
    neurons = sum(draft.tensors[step.inputs[1]].shape[0] for step in layers)
    return -3 * weights + _PER_NEURON * neurons + _PER_LAYER * len(layers)


def quantized(draft: Draft, sample: Array) -> Draft:
    """Return a draft whose layers are in int8; `draft` itself is not changed.

    Parameters
    ----------
    draft : Draft
        Trimmed.
    sample : ndarray of shape (rows, columns), float64
    """
    scales = _scales(draft, sample)
    made = Draft(draft.fed.shape[1], is_exact=draft.is_exact)
    numbers: dict[int, Tensor] = {draft.fed.number: made.fed}
    if len(draft.inputs) > 1:
        numbers[draft.inputs[1].number] = made.rest()
    whole: dict[int, Tensor] = {}  # the tensors that are there in int8

    def plain(number: int) -> Tensor:
        if number not in numbers:
            tensor = draft.tensors[number]
            if tensor.constant is not None:
                numbers[number] = made.constant(tensor.constant, tensor.kind)
            else:
                numbers[number] = made.step("DEQUANTIZE", [whole[number]], tensor.shape)
        return numbers[number]

    for step in draft.steps:
        output = draft.tensors[step.output]
        if step.operator != "FULLY_CONNECTED":
            inputs = [plain(number) for number in step.inputs]
            numbers[step.output] = made.step(step.operator, inputs, output.shape, output.kind, **step.options)
            continue
        fed = step.inputs[0]
        if fed not in whole:
            shape = draft.tensors[fed].shape
            whole[fed] = made.step("QUANTIZE", [plain(fed)], shape, "int8", scales[fed])
        constants = [draft.tensors[number].constant for number in step.inputs[1:]]
        inputs = [whole[fed], *_layer(made, constants, scales[fed])]
        whole[step.output] = made.step(
            step.operator, inputs, output.shape, "int8", scales[step.output], **step.options
        )
    for each in draft.outputs:
        made.output(each.name, plain(each.tensor))
    return made


def _scales(draft: Draft, sample: Array) -> dict[int, Scale]:
    """Run rows through the float32 file, and return the scale of what each layer reads and makes."""
    from ai_edge_litert.interpreter import Interpreter

    wanted = sorted({number for step in layers_of(draft) for number in (step.inputs[0], step.output)})
    also = [number for number in wanted if number != draft.fed.number]
    runner = Interpreter(model_content=draft.content(also), num_threads=1)
    rows = sample[:: max(1, len(sample) // _ROWS_AT_MOST)]
    single = rows.astype(np.float32)
    fed = [single, (rows - single).astype(np.float32)][: len(draft.inputs)]
    for place in runner.get_input_details():
        runner.resize_tensor_input(place["index"], rows.shape)
    runner.allocate_tensors()
    for place, values in zip(runner.get_input_details(), fed, strict=True):
        runner.set_tensor(place["index"], values)
    runner.invoke()
    places = runner.get_output_details()[len(draft.outputs) :]
    found = {number: runner.get_tensor(place["index"]) for number, place in zip(also, places, strict=True)}
    found[draft.fed.number] = single
    return {number: _scale(found[number]) for number in wanted}


def _scale(values: Array) -> Scale:
    known = values[np.isfinite(values)]
    low, high = min(0.0, float(known.min(initial=0))), max(0.0, float(known.max(initial=0)))
    step = float(np.float32((high - low) / (_HIGH - _LOW))) or 1.0
    return Scale((step,), int(np.clip(round(_LOW - low / step), _LOW, _HIGH)))


def _layer(made: Draft, constants: list[Array | None], fed: Scale) -> list[Tensor]:
    """Return the weights and the bias of a layer as whole numbers, a scale for each neuron."""
    weights = constants[0]
    assert weights is not None
    largest = np.abs(weights).max(axis=1)
    steps = np.where(largest > 0, largest / _HIGH, 1).astype(np.float32)
    numbers = np.clip(np.round(weights / steps[:, None]), -_HIGH, _HIGH)
    bias = np.zeros(len(weights)) if len(constants) == 1 or constants[1] is None else constants[1]
    products = steps.astype(np.float64) * fed.steps[0]
    limit = 2**31 - 1
    whole = np.clip(np.round(bias.astype(np.float64) / products), -limit, limit)
    return [
        made.constant(numbers, "int8", Scale(tuple(steps.tolist()))),
        made.constant(whole, "int32", Scale(tuple(products.tolist()))),
    ]
