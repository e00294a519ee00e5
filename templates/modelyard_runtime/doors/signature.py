"""What a model takes and gives, by name and kind: what the doors of other protocols describe in their own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelyard_runtime.contract import ColumnType
from modelyard_runtime.predictor import Answer, Predictor, class_key

_PLAIN: dict[ColumnType, Callable[[Any], Any]] = {
    "number": float, "integer": int, "boolean": bool, "string": str,
}  # fmt: skip


@dataclass(frozen=True)
class Signature:
    """A model as a client of another protocol sees it.

    Attributes
    ----------
    version : str
        The digits of the variant: ``3`` of ``v3``.
    columns : dict of str to str
        The kind of each column, in the contract's order.
    label : str
        The kind of a prediction.
    classes : tuple of str, or None
        Whose probabilities an answer has, in their order; ``None`` where it has none.
    """

    name: str
    version: str
    columns: dict[str, ColumnType]
    label: ColumnType
    classes: tuple[str, ...] | None

    def paths(self, stem: str, rest: str = "") -> tuple[str, str]:
        """Return a path of this model below `stem`, without and with its version."""
        return f"{stem}/{self.name}{rest}", f"{stem}/{self.name}/versions/{self.version}{rest}"

    def predictions(self, answer: Answer) -> list[Any]:
        """Return the predictions, all of the kind that `label` says."""
        return [_PLAIN[self.label](value) for value in answer.predictions]

    def probabilities(self, answer: Answer) -> list[list[float]]:
        """Return the probabilities, row by row in the order of the classes."""
        return [list(row.values()) for row in answer.probabilities or ()]


def signature(predictor: Predictor) -> Signature:
    """Return the signature of the model behind a predictor."""
    described = predictor.manifest["model"]
    classes: list[Any] | None = described["classes"]
    has_probabilities = classes is not None and described.get("probability_output", True)
    return Signature(
        predictor.manifest["name"],
        predictor.variant.removeprefix("v"),
        {column.name: column.type for column in predictor.contract.columns},
        "number" if classes is None else _kind(classes),
        tuple(map(class_key, classes or ())) if has_probabilities else None,
    )


def _kind(classes: list[Any]) -> ColumnType:
    found = {type(label) for label in classes}
    if found == {bool}:
        return "boolean"
    if found == {int}:
        return "integer"
    return "number" if found <= {int, float} else "string"
