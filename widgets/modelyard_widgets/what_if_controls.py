"""Controls for a row, made from the contract: each column as what it may be, and the values that it begins with."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.errors import UsageError
from modelyard.packaging import Bundle
from modelyard_runtime import bundle_format
from modelyard_runtime.contract import Column, Contract
from modelyard_runtime.schema import example_row
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block, Control

Row = dict[str, Any]

_MISSING = "missing"
_STEPS = 100  # of a slider, at least
_MOST_OPTIONS = 200  # more categories are typed, with suggestions


def usual_row(bundle: Bundle) -> Row:
    """Return a row of medians and most frequent categories, of the profile: no row of the training table."""
    path = bundle.model_folder / bundle_format.PROFILE
    profile = json.loads(path.read_bytes())["columns"] if path.is_file() else {}
    row = example_row(bundle.contract)
    return {
        column.name: _usual(column, profile.get(column.name, {}), row[column.name])
        for column in bundle.contract.columns
    }


def _usual(column: Column, described: Mapping[str, Any], otherwise: Any) -> Any:
    if column.type in ("number", "integer"):
        edges = described.get("edges", ())
        middle = float(edges[len(edges) // 2]) if edges else otherwise
        return round(middle) if column.type == "integer" else middle
    counts = described.get("counts")
    if not isinstance(counts, dict) or not counts:
        return otherwise
    most = max(counts, key=lambda name: counts[name])
    if column.type == "boolean":
        return most == "True"
    return most if column.categories is None or most in column.categories else otherwise


def telling_first(bundle: Bundle) -> list[Column]:
    """Return the columns, the most telling ones first where an explainer travels with the bundle."""
    columns = list(bundle.contract.columns)
    weights = importance(bundle)
    return sorted(columns, key=lambda column: -weights.get(column.name, 0.0)) if weights else columns


def importance(bundle: Bundle) -> Counter[str]:
    """Return the sums of the absolute SHAP values of the golden rows that the explainer was proven with, by column.

    Empty where no explainer travels with the bundle.
    """
    weights: Counter[str] = Counter()
    described = bundle.manifest.get("explainer")
    if described is None:
        return weights
    lines = (bundle.model_folder / described["golden"]["file"]).read_bytes().splitlines()
    for line in lines:
        for name, value in zip(bundle.contract.names, json.loads(line)["values"], strict=True):
            weights[name] += sum(abs(each) for each in value)
    return weights


def column_block(column: Column, place: int, value: Any) -> Block:
    """Return the controls of one column, whose keys are made of its place: names are anything."""
    shown = [_control(column, f"column-{place}", value)]
    if column.nullable and shown[0]["type"] in ("range", "number", "text"):
        shown.append(blocks.check(f"missing-{place}", f"{column.name} is missing", value is None))
    return blocks.controls(f"column-{place}-controls", *shown)


def _control(column: Column, key: str, value: Any) -> Control:
    more: dict[str, Any] = {"disabled": True} if value is None and column.nullable else {}
    if column.type == "boolean" and not column.nullable:
        return blocks.check(key, column.name, bool(value))
    if (options := _options(column)) is not None:
        place = _MISSING if value is None else str(next((n for n, v in enumerate(options) if v == value), 0))
        offered = [(str(n), _told(option)) for n, option in enumerate(options)]
        return blocks.choice(
            key, column.name, [*offered, *([(_MISSING, "(missing)")] if column.nullable else [])], place
        )
    if column.type == "string":
        known = [str(each) for each in (column.categories or ())]
        return blocks.text_field(key, column.name, "" if value is None else str(value), known, **more)
    step = 1 if column.type == "integer" else "any"
    if column.minimum is None or column.maximum is None or not column.minimum < column.maximum:
        return blocks.number_field(key, column.name, value, **more | {"step": step})
    return _slider(column, key, value, column.minimum, column.maximum, more)


def _slider(column: Column, key: str, value: Any, low: float, high: float, more: dict[str, Any]) -> Control:
    if column.type == "integer":
        whole = int(low if value is None else value)
        return blocks.slider(key, column.name, whole, int(low), int(high), 1, **more)
    power = math.floor(math.log10((high - low) / _STEPS))
    digits = 1 - power  # the ends are within a tenth of a step, and within the range
    low, high = _rounded(low, digits, math.ceil), _rounded(high, digits, math.floor)
    shown = low if value is None else round(float(value), max(digits, 0))
    return blocks.slider(key, column.name, shown, low, high, 10.0**power, **more)


def _rounded(value: float, digits: int, towards: Any) -> float:
    near = round(value, digits)
    if near == value:
        return value
    unit = 10.0**-digits
    return float(round(towards(value / unit) * unit, max(digits, 0)))


def _options(column: Column) -> Sequence[Any] | None:
    if column.type == "boolean":
        return (True, False)
    if column.categories is not None and len(column.categories) <= _MOST_OPTIONS:
        return column.categories
    return None


def _told(option: Any) -> str:
    if isinstance(option, bool):
        return "yes" if option else "no"
    return str(option)


def meant(column: Column, said: Any) -> Any:
    """Return the value of the column that a control's own value stands for.

    Raises
    ------
    UsageError
        No control says that.
    """
    options = _options(column)
    if options is None or (column.type == "boolean" and not column.nullable):
        return _as_typed(column, said)
    if said == _MISSING and column.nullable:
        return None
    if isinstance(said, str) and said.isdecimal() and int(said) < len(options):
        return options[int(said)]
    raise UsageError(f"{column.name!r} has no option {str(said)[:40]!r}; choose one of those that are there")


def _as_typed(column: Column, said: Any) -> Any:
    """Whole numbers come as 3 or as 3.0; what may be said beyond that, the contract looks at."""
    kinds = {"boolean": bool, "string": str}.get(column.type, (int, float))
    if said is not None and (
        not isinstance(said, kinds) or (isinstance(said, bool) and column.type != "boolean")
    ):
        raise UsageError(f"{column.name!r} takes another kind of value than {str(said)[:40]!r}")
    if column.type == "integer" and isinstance(said, float) and said.is_integer():
        return int(said)
    return said


def first_value(column: Column, usual: Any, contract: Contract) -> Any:
    """Return what a column begins with again that is no longer missing."""
    return example_row(contract)[column.name] if usual is None else usual
