"""The paths of TensorFlow Serving's REST API, so that its clients need no change.

``:predict`` takes ``instances`` (objects by column, lists in the contract's order, or bare values of an only column)
and ``inputs`` (lists by column). A classifier has two outputs, ``label`` and ``probabilities``; a regression has one,
whose name is left out, as the API wants it. NaN stands for a missing value. The answer's id, which
``POST /feedback`` wants, is in the header ``modelyard-id``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from modelyard_runtime.contract import ColumnType
from modelyard_runtime.doors.exchange import Answered, Asked, Route, Routes, page
from modelyard_runtime.doors.signature import Signature, signature
from modelyard_runtime.predictor import Answer, Predictor, PredictRequest, RequestError

_Body = TypeVar("_Body", bound=msgspec.Struct)
_Table = tuple[dict[str, list[Any]], int]

_DEFAULT = "serving_default"
_DTYPES: dict[ColumnType, str] = {
    "number": "DT_DOUBLE", "integer": "DT_INT64", "boolean": "DT_BOOL", "string": "DT_STRING",
}  # fmt: skip


class _Predict(msgspec.Struct):
    signature_name: str = ""
    instances: Any = msgspec.UNSET
    inputs: Any = msgspec.UNSET


class _Examples(msgspec.Struct):
    examples: list[dict[str, Any]]
    context: dict[str, Any] = {}
    signature_name: str = ""


def routes(predictor: Predictor) -> Routes:
    """Return the paths of status, metadata, ``:predict``, ``:classify`` and ``:regress``."""
    model = signature(predictor)
    available = {"version": model.version, "state": "AVAILABLE"}
    fine = {"error_code": "OK", "error_message": ""}
    status = msgspec.json.encode({"model_version_status": [{**available, "status": fine}]})
    metadata = msgspec.json.encode(_metadata(model))
    names = list(model.columns)

    def predict(asked: Asked) -> Answered:
        request = _parsed(asked.body, _Predict)
        _check_signature(request.signature_name)
        by_rows = request.inputs is msgspec.UNSET
        if by_rows == (request.instances is msgspec.UNSET):
            raise RequestError('send {"instances": […]} or {"inputs": {column: […]}}, one of the two')
        table, rows = (
            _from_instances(request.instances, names) if by_rows else _from_inputs(request.inputs, names)
        )
        answer = predictor.answer_table(table, rows)
        return _answered(answer, "predictions" if by_rows else "outputs", _outputs(model, answer, by_rows))

    def examples(body: bytes) -> Answer:
        request = _parsed(body, _Examples)
        if any(request.context.keys() & example.keys() for example in request.examples):
            raise RequestError("a feature is in the context and in an example")
        return predictor.answer_table(
            *_from_rows([{**request.context, **example} for example in request.examples])
        )

    def classify(asked: Asked) -> Answered:
        if model.classes is None:
            raise RequestError(f"{model.name} has no probabilities to classify with; use :predict")
        answer = examples(asked.body)
        return _answered(
            answer, "results", [list(map(list, row.items())) for row in answer.probabilities or ()]
        )

    def regress(asked: Asked) -> Answered:
        if predictor.manifest["model"]["task"] != "regression":
            raise RequestError(f"{model.name} is a classifier; use :predict or :classify")
        answer = examples(asked.body)
        return _answered(answer, "results", model.predictions(answer))

    def works(rest: str, answer: Callable[[Asked], Answered]) -> Routes:
        return dict.fromkeys(model.paths(stem, rest), Route(("POST",), answer, is_work=True))

    stem = "/v1/models"
    return {
        **dict.fromkeys(model.paths(stem), page(lambda: Answered(status))),
        **dict.fromkeys(model.paths(stem, "/metadata"), page(lambda: Answered(metadata))),
        **works(":predict", predict),
        **works(":classify", classify),
        **works(":regress", regress),
    }


def _metadata(model: Signature) -> dict[str, Any]:
    def tensor(name: str, kind: ColumnType, *more: int) -> dict[str, Any]:
        sizes = [{"size": str(size), "name": ""} for size in (-1, *more)]
        return {
            "dtype": _DTYPES[kind],
            "tensor_shape": {"dim": sizes, "unknown_rank": False},
            "name": f"{name}:0",
        }

    outputs = {"label" if model.classes else "prediction": tensor("prediction", model.label)}
    if model.classes:
        outputs["probabilities"] = tensor("probabilities", "number", len(model.classes))
    described = {
        "inputs": {name: tensor(name, kind) for name, kind in model.columns.items()},
        "outputs": outputs,
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": model.version},
        "metadata": {"signature_def": {"signature_def": {_DEFAULT: described}}},
    }


def _parsed(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        try:
            value = json.loads(body, parse_int=_int)  # NaN and Infinity are no JSON, and yet this API's
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (ValueError, RecursionError):
            raise error from None
        return msgspec.convert(value, kind)


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


def _check_signature(name: str) -> None:
    if name not in ("", _DEFAULT):
        raise RequestError(f"no signature {name[:80]!r}; there is {_DEFAULT!r}")


def _from_instances(instances: Any, names: list[str]) -> _Table:
    if not isinstance(instances, list):
        raise RequestError("instances is a list: of objects by column, or of lists in the contract's order")
    if len(names) == 1:  # bare values, too
        return _from_rows(
            [
                row if isinstance(row, dict) and row.keys() == {*names} else {names[0]: row}
                for row in instances
            ]
        )
    if all(isinstance(row, list) for row in instances):
        return _plain(PredictRequest(columns=names, data=instances).table())
    if not all(isinstance(row, dict) for row in instances):
        raise RequestError("instances are all objects by column, or all lists in the contract's order")
    return _from_rows(instances)


def _from_inputs(inputs: Any, names: list[str]) -> _Table:
    if not isinstance(inputs, dict):
        return _from_instances(inputs, names)
    lengths = {len(values) if isinstance(values, list) else -1 for values in inputs.values()}
    if len(lengths) != 1 or min(lengths) < 1:
        raise RequestError("inputs is an object of lists by column, all of one length and none empty")
    return _plain((inputs, lengths.pop()))


def _from_rows(rows: list[dict[str, Any]]) -> _Table:
    return _plain(PredictRequest(rows=rows).table())


def _plain(table: _Table) -> _Table:
    columns, rows = table
    return {name: list(map(_scalar, values)) for name, values in columns.items()}, rows


def _scalar(value: Any) -> Any:
    """Return what one row of a tensor holds: NaN is a missing value, ``[x]`` is x, ``{"b64": …}`` a text."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and value.keys() == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True).decode()
        except (binascii.Error, TypeError, ValueError):
            raise RequestError("a b64 value is not a text in UTF-8, written in Base64") from None
    return None if isinstance(value, float) and value != value else value


def _outputs(model: Signature, answer: Answer, by_rows: bool) -> Any:
    labels = model.predictions(answer)
    if model.classes is None:
        return labels
    columns = {"label": labels, "probabilities": model.probabilities(answer)}
    if not by_rows:
        return columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _answered(answer: Answer, key: str, value: Any) -> Answered:
    return Answered(msgspec.json.encode({key: value}), headers=((b"modelyard-id", answer.id.encode()),))
