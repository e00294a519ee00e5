"""A deployment asked over HTTP, a few requests at a time; rows that it refuses are found and left out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa

from modelyard.batch.chunks import Answers, Chunk, Layout
from modelyard.batch.columnar import told
from modelyard.catalog import Yard
from modelyard.errors import DeploymentError, UnknownNameError
from modelyard.packaging import Bundle, bundle
from modelyard.targets import Deployment
from modelyard.targets.connection import connect
from modelyard_runtime.contract import Contract, ContractBroken, Violation
from modelyard_runtime.predictor import class_key

_WORKERS = 3
_TIMEOUT_S = 120.0
_TRIES = 6
_LONGEST_WAIT_S = 30.0
_TOLD = 20  # a refusal names so many violations at most

_BUSY = (429, 502, 503, 504)
_TOO_LARGE = 413


class EndpointScorer:
    """Answers chunks by ``POST /predict`` of a deployment.

    It checks every row itself: a row that it refuses with 422 gets the violation as its error, and the rest of the
    request is sent again. Where it is busy (503), it is asked again after what ``Retry-After`` says.

    Raises
    ------
    DeploymentError
        The bundle that it serves is not in the store any more: its contract and the type of its answers are
        read there.
    """

    def __init__(self, deployment: Deployment, rows: int) -> None:
        self.what = f"deployment {deployment.name!r}"
        served = _served(deployment)
        self.identity: dict[str, Any] = {"deployment": deployment.name, "digest": served.digest}
        self.contract = served.contract
        self.rows = rows
        self.workers = _WORKERS
        _, sample = served.golden()
        self._url = f"{deployment.url}/predict"
        headers = {"Authorization": f"Bearer {deployment.token}", "Content-Type": "application/json"}
        self._client = connect(deployment.url, _TIMEOUT_S, headers)
        self._names = list(served.contract.names)
        example = {name: [value] for name, value in served.golden()[0][0].items()}
        status, body = self._post([example[name] for name in self._names])
        if status != 200:
            self.close()
            raise DeploymentError(f"{self.what} answered {status} to its own golden row: {_said(body)}")
        gives = msgspec.json.decode(body)["probabilities"] is not None
        classes = served.manifest["model"]["classes"]
        self.layout = Layout(sample, tuple(class_key(label) for label in classes) if gives else None)

    def __call__(self, chunk: Chunk) -> Answers:
        columns = [_as_json(chunk, name) for name in self._names]
        errors = _not_json(self.contract, columns)
        found = _Found(self.layout.classes)
        self._settle(columns, [row for row in range(chunk.rows) if row not in errors], found, errors)
        return self.layout.answers(chunk.rows, *found.arrays(), found.flags, errors)

    def _settle(
        self, columns: list[list[Any]], rows: list[int], found: _Found, errors: dict[int, str]
    ) -> None:
        """Have all `rows` answered or refused, sending as often as it takes."""
        while rows:
            status, body = self._post([[values[row] for row in rows] for values in columns])
            if status == 200:
                found.add(rows, msgspec.json.decode(body))
                return
            if status == _TOO_LARGE and len(rows) > 1:
                break
            if status != 422:
                raise DeploymentError(f"{self.what} answered {status}: {_said(body)}")
            refused, is_all = _refused(body)
            if not refused:
                raise DeploymentError(f"{self.what} refused rows and named none: {_said(body)}")
            errors.update({rows[place]: text for place, text in refused.items()})
            rows = [row for place, row in enumerate(rows) if place not in refused]
            if not is_all:
                break
        half = len(rows) // 2
        for part in (rows[:half], rows[half:]):
            if part:
                self._settle(columns, part, found, errors)

    def _post(self, columns: list[list[Any]]) -> tuple[int, bytes]:
        """Send rows; return the status and the body once the endpoint is not busy.

        Raises
        ------
        DeploymentError
            It cannot be reached, or is busy all the time.
        """
        content = msgspec.json.encode({"columns": self._names, "data": list(zip(*columns, strict=True))})
        problem = ""
        for attempt in range(_TRIES):
            wait = 0.2 * 2**attempt
            try:
                response = self._client.post(self._url, content=content)
            except httpx.HTTPError as error:
                problem = f"does not answer at {self._url} ({type(error).__name__})"
            else:
                if response.status_code not in _BUSY:
                    return response.status_code, response.content
                problem = f"is busy: it answered {response.status_code} {_TRIES} times"
                stated = response.headers.get("retry-after", "")
                wait = min(float(stated), _LONGEST_WAIT_S) if stated.isdigit() else wait
            if attempt < _TRIES - 1:
                time.sleep(wait)
        raise DeploymentError(f"{self.what} {problem}; look at %yard, then start() it")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _Refusal(msgspec.Struct):
    """The body of a 422."""

    violations: list[Violation]


class _Found:
    """What was answered so far of one chunk, in any order."""

    def __init__(self, classes: tuple[str, ...] | None) -> None:
        self._classes = classes
        self._rows: list[int] = []
        self._labels: list[Any] = []
        self._probabilities: list[list[float]] = []
        self.flags: list[tuple[int, str, str]] = []

    def add(self, rows: list[int], answer: dict[str, Any]) -> None:
        self._rows += rows
        self._labels += answer["predictions"]
        if self._classes is not None:
            self._probabilities += [[given[c] for c in self._classes] for given in answer["probabilities"]]
        self.flags += [(rows[flag["row"]], flag["column"], flag["flag"]) for flag in answer["flags"]]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the rows that were answered, the labels, and the probabilities, all in one order."""
        labels = np.empty(len(self._labels), dtype=object)
        labels[:] = self._labels
        probabilities = None if self._classes is None or not self._rows else np.array(self._probabilities)
        return np.array(self._rows, dtype=np.int64), labels, probabilities


def _served(deployment: Deployment) -> Bundle:
    record = Yard(deployment.root).get("deployment", deployment.name)
    try:
        found = bundle(deployment.bundle)
    except UnknownNameError:
        found = None
    if found is None or found.digest != record.payload["digest"]:
        raise DeploymentError(
            f"deployment {deployment.name!r} serves {deployment.bundle}, which is not in BentoML's store any more; "
            "deploy a bundle that is there with --replace"
        )
    return found


def _as_json(chunk: Chunk, name: str) -> list[Any]:
    array = chunk.batch.column(name)
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    values: list[Any] = array.to_pylist()
    if pa.types.is_floating(array.type):
        values = [None if value != value else value for value in values]
    for row, value in chunk.strays.get(name, {}).items():
        values[row] = value
    return values


def _not_json(contract: Contract, columns: Sequence[list[Any]]) -> dict[int, str]:
    """Return the rows with an infinity, of which JSON knows nothing, and what the contract says of them."""
    strange = {
        row
        for values in columns
        for row, value in enumerate(values)
        if type(value) is float and math.isinf(value)
    }
    errors = {}
    for row in strange:
        try:
            contract.check({n: [v[row]] for n, v in zip(contract.names, columns, strict=True)}, 1)
        except ContractBroken as broken:
            errors[row] = told(broken.violations)
    return errors


def _refused(body: bytes) -> tuple[dict[int, str], bool]:
    """Return the rows that a 422 names with what is wrong, and whether it names all that are."""
    by_row: dict[int, list[Violation]] = {}
    violations = msgspec.json.decode(body, type=_Refusal).violations
    for violation in violations:
        by_row.setdefault(violation.row, []).append(violation)
    is_all = len(violations) < _TOLD
    if not is_all and len(by_row) > 1:
        del by_row[max(by_row)]  # more of it may be wrong than was said
    return {row: told(found) for row, found in by_row.items()}, is_all


def _said(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
