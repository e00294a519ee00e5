"""How a notebook asks an endpoint: rows out, predictions back, errors in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd

from modelyard.errors import ContractError, DeploymentError, InvalidInputError
from modelyard.golden import as_values
from modelyard.targets.connection import connect

_ROWS_A_REQUEST, _ROWS_TO_EXPLAIN = 5_000, 10
_TIMEOUT_S = 60.0


def as_frame(X: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Return rows given as a frame, a list of mappings, one mapping, or a matrix, as a frame."""
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, pd.Series):
        return X.to_frame().T
    if isinstance(X, Mapping):
        return pd.DataFrame([X], dtype=object)
    if isinstance(X, Sequence) and X and isinstance(X[0], Mapping):
        return pd.DataFrame(list(X), dtype=object)
    array = np.asarray(X)
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise InvalidInputError(
            f"X has the shape {array.shape}, the model takes rows of {len(columns)} columns: "
            f"{', '.join(columns[:6])}{', …' if len(columns) > 6 else ''}"
        )
    return pd.DataFrame(array, columns=list(columns))


def _bodies(frame: pd.DataFrame, size: int) -> Iterator[bytes]:
    names = [str(name) for name in frame.columns]
    for name, series in frame.items():
        if series.dtype.kind == "f" and np.isinf(series.to_numpy()).any():
            row = int(np.argmax(np.isinf(series.to_numpy())))
            raise ContractError(f"row {row}, column {str(name)!r}: {series.iloc[row]} where a number belongs")
    for start in range(0, len(frame), size):
        part = frame.iloc[start : start + size]
        columns = [as_values(series) for _, series in part.items()]  # a name that is there twice stays twice
        request = {"columns": names, "data": list(zip(*columns, strict=True))}
        try:
            yield msgspec.json.encode(request, enc_hook=_plain)
        except TypeError as error:
            raise InvalidInputError(f"X cannot be sent as JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a value of type {type(value).__name__}; send numbers, booleans, text or nulls")


def ask(url: str, token: str, frame: pd.DataFrame, what: str) -> list[dict[str, Any]]:
    """POST the rows of `frame` to ``/predict``; return the answers, one for each request of 5,000 rows.

    Raises
    ------
    ContractError
        Rows that break the contract: row, column, what was found and what was learned.
    DeploymentError
        The endpoint cannot be reached, refuses the token, or fails.
    """
    return list(_asked("/predict", url, token, frame, what, _ROWS_A_REQUEST))


def ask_why(url: str, token: str, frame: pd.DataFrame, what: str) -> Iterator[dict[str, Any]]:
    """POST the rows of `frame` to ``/explain``; yield the answers, one for each request of 10 rows.

    Raises
    ------
    ContractError, DeploymentError
        As `ask`.
    """
    return _asked("/explain", url, token, frame, what, _ROWS_TO_EXPLAIN)


def explains(url: str, token: str) -> bool:
    """Whether the endpoint says that it answers ``/explain``; ``False`` also where it says nothing."""
    try:
        with connect(url, _TIMEOUT_S, {"Authorization": f"Bearer {token}"}) as client:
            return "/explain" in client.get(f"{url}/openapi.json").json()["paths"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return False


def _asked(
    path: str, url: str, token: str, frame: pd.DataFrame, what: str, size: int
) -> Iterator[dict[str, Any]]:
    if not len(frame):
        raise InvalidInputError("X has no rows; send at least one")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with connect(url, _TIMEOUT_S) as client:
        for number, body in enumerate(_bodies(frame, size)):
            try:
                response = client.post(f"{url}{path}", content=body, headers=headers)
            except httpx.HTTPError as error:
                raise DeploymentError(
                    f"{what} does not answer at {url} ({type(error).__name__}); look at %yard, then start() it"
                ) from None
            yield _answer(response, what, number * size)


def _answer(response: httpx.Response, what: str, offset: int) -> dict[str, Any]:
    if response.status_code == 200:
        answer: dict[str, Any] = msgspec.json.decode(response.content)
        return answer
    try:
        said = str(msgspec.json.decode(response.content)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said = response.text[:200]
    if response.status_code in (400, 422):
        raise ContractError(f"{said}{f' (rows counted from {offset})' if offset else ''}")
    raise DeploymentError(f"{what} answered {response.status_code}: {said}")
