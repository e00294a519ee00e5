"""What an explainer says of rows, and how a child process says it: light, since a server reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard_explainer.responses import SCALES
from modelyard_runtime.models import Outputs


@dataclass(frozen=True, eq=False)
class Found:
    """What an explainer says of some rows.

    Attributes
    ----------
    values : ndarray of shape (rows, columns, outputs)
    base : ndarray of shape (outputs,)
    additivity : float
        The largest difference between both together and what the model says.
    explainer : str
        Which it was.
    scale : str
        What the values add up to.
    """

    values: NDArray[np.float64]
    base: NDArray[np.float64]
    additivity: float
    explainer: str
    scale: str

    def packed(self, described: dict[str, Any]) -> Outputs:
        """Return it as two arrays, which is what a model in a child process answers with."""
        usual = float(self.explainer == described["words"])
        return self.values, np.array([*self.base, self.additivity, usual])

    @classmethod
    def of_answers(cls, answers: Sequence[dict[str, Any]], columns: Sequence[str]) -> Found:
        """Return what answers of ``POST /explain`` say together, in the order of these columns."""
        first = answers[0]
        values = np.concatenate([np.asarray(answer["values"], dtype=float) for answer in answers])
        values = values[..., None] if values.ndim == 2 else values
        places = [first["columns"].index(name) for name in columns]
        apart = max(answer["additivity"] for answer in answers)
        base = np.array(first["base_values"])
        return cls(values[:, places], base, apart, first["explainer"], first["scale"])

    @classmethod
    def unpacked(cls, outputs: Outputs, described: dict[str, Any]) -> Found:
        """Return what `packed` made two arrays of."""
        values, rest = outputs
        assert rest is not None
        usual = described["words"], described["scale"]
        return cls(values, rest[:-2], float(rest[-2]), *(usual if rest[-1] else otherwise(described)))


def otherwise(described: dict[str, Any]) -> tuple[str, str]:
    """Return which explainer takes the rows that the usual one reads otherwise than the model answers them."""
    return words(described["shuffles"], described["background"]["rows"]), SCALES[described["response"]]


def words(shuffles: int, background: int) -> str:
    """Return what it takes, as people read it."""
    times = "once" if shuffles == 1 else f"{shuffles} times"
    return f"permutation (each row {times}, {background} rows of background)"
