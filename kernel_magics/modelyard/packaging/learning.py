"""What a training table teaches: the contract of a request, and the reference profile."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, cast, get_args

import numpy as np
import pandas as pd

from modelyard.errors import InvalidInputError, UnknownNameError, UsageError, did_you_mean
from modelyard_runtime.contract import POLICIES, Column, ColumnType, Contract, Policy

_MOST_CATEGORIES = 1000
_ALWAYS_CATEGORIES = 20
_REPEATED = 0.5  # a text column with more distinct values than this share of its rows is free text
_BINS = 10

PolicyChoice = str | Mapping[str, str] | None


def learn_contract(
    frame: pd.DataFrame, policy: PolicyChoice, nullable: Collection[str], rejecting: Collection[str]
) -> Contract:
    """Learn type, nullability, range or categories of every column.

    Parameters
    ----------
    frame : DataFrame of shape (n, columns)
    policy : str or mapping, optional
        ``flag`` (the default), ``clip`` or ``reject`` for values of the right type that training never
        saw, for all columns or by column name.
    nullable : collection of str
        Columns in which the model takes a missing value, beside those that have one.
    rejecting : collection of str
        Columns whose unknown categories the model cannot take, whatever the policy.

    Raises
    ------
    InvalidInputError
        A column holds something else than numbers, booleans or text.
    UsageError, UnknownNameError
        `policy` is none of the three, or names a column that is not there.
    """
    policies = _policies(frame, policy)
    return Contract(
        tuple(
            _column(frame[name], name in nullable, "reject" if name in rejecting else policies[name])
            for name in frame.columns
        )
    )


def _policies(frame: pd.DataFrame, policy: PolicyChoice) -> dict[str, Policy]:
    chosen = policy if isinstance(policy, Mapping) else {}
    for name in chosen:
        if name not in frame.columns:
            raise UnknownNameError(
                f"policy names the column {name!r}, which X lacks{did_you_mean(name, frame.columns)}"
            )
    general = "flag" if policy is None or isinstance(policy, Mapping) else policy
    for value in (general, *chosen.values()):
        if value not in POLICIES:
            raise UsageError(
                f"no policy {value!r}; choose reject, clip or flag{did_you_mean(value, POLICIES)}"
            )
    return {name: cast(Policy, chosen.get(name, general)) for name in frame.columns}


def _column(series: pd.Series, nullable: bool, policy: Policy) -> Column:
    present = series.dropna()
    kind = _type(series, present)
    low = high = None
    if kind in ("number", "integer") and len(present):
        finite = present.astype(float).to_numpy()
        finite = finite[np.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    absent = series[series.isna()]
    return Column(
        name=str(series.name),
        type=kind,
        dtype=str(series.dtype),
        nullable=nullable or len(absent) > 0,
        policy=policy,
        minimum=low,
        maximum=high,
        categories=_categories(series, present, kind),
        null="none" if series.dtype == object and len(absent) and absent.iloc[0] is None else "nan",
    )


def _type(series: pd.Series, present: pd.Series) -> ColumnType:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _type_of_objects(series, series.dtype.categories.tolist())
    if pd.api.types.is_bool_dtype(series.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(series.dtype):
        return "integer"
    if pd.api.types.is_float_dtype(series.dtype):
        return "number"
    if pd.api.types.is_object_dtype(series.dtype) or pd.api.types.is_string_dtype(series.dtype):
        return _type_of_objects(series, present.tolist())
    raise InvalidInputError(
        f"column {series.name!r} holds {series.dtype}; a contract knows numbers, booleans and text: "
        "turn it into one of them before fit, or drop it"
    )


def _type_of_objects(series: pd.Series, values: list[Any]) -> ColumnType:
    kinds = {_kind(value) for value in values}
    if kinds <= {"string"}:
        return "string"
    if kinds == {"integer", "number"}:
        return "number"
    if len(kinds) == 1 and (kind := kinds.pop()) in get_args(ColumnType):
        return cast(ColumnType, kind)
    shown = ", ".join(sorted({type(value).__name__ for value in values}))
    raise InvalidInputError(
        f"column {series.name!r} mixes {shown}; a column has one type: turn it into numbers or text before fit"
    )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "integer"
    return "number" if isinstance(value, float | np.floating) else type(value).__name__


def _categories(series: pd.Series, present: pd.Series, kind: ColumnType) -> tuple[Any, ...] | None:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return tuple(series.dtype.categories.tolist())
    if kind != "string" or not len(present):
        return None
    distinct = sorted(present.unique().tolist())
    few = len(distinct) <= _ALWAYS_CATEGORIES or len(distinct) <= _REPEATED * len(present)
    return tuple(distinct) if few and len(distinct) <= _MOST_CATEGORIES else None


def learn_profile(frame: pd.DataFrame, contract: Contract, predictions: np.ndarray) -> dict[str, Any]:
    """Return the reference distribution of every column and of the output, for drift.

    Numbers are described by the edges of ten bins of equal frequency and the count in each (quantiles
    after Hyndman and Fan 1996, type 7, numpy's default); categories and labels by their counts; free texts
    by their lengths, since no text of the training table travels.
    """
    columns = {column.name: _profile(frame[column.name], column) for column in contract.columns}
    output = pd.Series(predictions)
    found = _counted(output) if output.dtype.kind != "f" else _binned(output)
    return {"rows": len(frame), "columns": columns, "output": {"nulls": int(output.isna().sum())} | found}


def _profile(series: pd.Series, column: Column) -> dict[str, Any]:
    present = series.dropna()
    described: dict[str, Any] = {"nulls": len(series) - len(present)}
    if not len(present):
        return described
    if column.type in ("number", "integer"):
        return described | _binned(present)
    if column.type == "string" and column.categories is None:
        return described | {"lengths": _binned(present.str.len())}
    return described | _counted(present)


def _counted(series: pd.Series) -> dict[str, Any]:
    counts = series.dropna().astype(str).value_counts()
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:100]
    return {"counts": dict(top), "other": int(counts.sum() - sum(n for _, n in top))}


def _binned(series: pd.Series) -> dict[str, Any]:
    values = series.dropna().astype(float).to_numpy()
    edges = _short(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
    filled, _ = np.histogram(values, edges if len(edges) > 1 else 1)
    return {"edges": edges.tolist(), "counts": filled.tolist()}


def _short(edges: np.ndarray) -> np.ndarray:
    """Return the different edges; those within move by less than 1/100 of the narrower bin beside them, to be short."""
    edges = np.unique(edges)
    gaps = np.diff(edges)
    for place in range(1, len(edges) - 1):
        gap = float(min(gaps[place - 1 : place + 1]))
        if math.isfinite(gap):
            edges[place] = round(float(edges[place]), 2 - math.floor(math.log10(gap)))
    return edges
