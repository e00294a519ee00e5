"""Partial dependence: what a model answers on average, and of single rows, as one or two columns change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.inspection import partial_dependence

from modelyard.errors import InvalidInputError, UsageError, did_you_mean, listing
from modelyard.explanation.question import Question
from modelyard.explanation.standing_in import Answering
from modelyard.explanation.used_rows import moving_columns, table_places
from modelyard.presentation import Result, Table, number
from modelyard.progress import track

_MOST_ROWS = 500
_GRID = 20  # values of one column
_SURFACE = 10  # of each of two
_ICE = 30
_COLUMNS = 6
_PAIR = "*"


@dataclass(frozen=True, eq=False)
class Dependence:
    """How the answers depend on one column, or on two.

    Attributes
    ----------
    columns : tuple of str
        One or two.
    grid : tuple of ndarray
        The values tried of each column, in its own type.
    numeric : tuple of bool
        Whether each column's values are numbers.
    average : ndarray of shape (outputs, values[, values])
        The mean answers of all rows with the column set to the value.
    individual : ndarray of shape (outputs, rows, values), or None
        The answers of single rows (ICE); ``None`` of two columns.
    """

    columns: tuple[str, ...]
    grid: tuple[NDArray[Any], ...]
    numeric: tuple[bool, ...]
    average: NDArray[np.float64]
    individual: NDArray[np.float64] | None = None

    @property
    def name(self) -> str:
        return f" {_PAIR} ".join(self.columns)

    def span(self, output: int) -> float:
        """Return by how much the mean answer differs between the values."""
        return float(np.ptp(self.average[output]))


@dataclass(frozen=True, repr=False, eq=False)
class PartialDependence(Result):
    """How a model's answers depend on its columns, each by itself or two together.

    Attributes
    ----------
    model : str
        What was explained, in words.
    dependences : dict of str to Dependence
        By column; of two by ``age * income``.
    outputs : tuple of str
        The classes, or ``prediction``.
    scale : str
        What is answered: ``probability``, ``decision score`` or ``prediction``.
    rows : int
        How many rows the averages are of.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "partial_dependence"

    model: str
    dependences: Mapping[str, Dependence]
    outputs: tuple[str, ...]
    scale: str
    rows: int
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        most = max(self.dependences.values(), key=lambda each: each.span(self._shown))
        low, high = float(most.average[self._shown].min()), float(most.average[self._shown].max())
        return (
            f"{most.name} moves the mean {self._what()} of {self.model} most of {len(self.dependences)} looked at: "
            f"from {number(low)} to {number(high)} over {self.rows} rows"
        )

    def notes(self) -> Sequence[str]:
        return self.remarks

    def table(self) -> Table:
        rows = []
        for each in self.dependences.values():
            average = each.average[self._shown]
            ends = (int(np.argmin(average)), int(np.argmax(average)))
            where = [_place(each, np.unravel_index(end, average.shape)) for end in ends]
            rows.append(
                (each.name, number(float(average.min())), where[0], number(float(average.max())), where[1])
            )
        return Table(("column", f"lowest mean {self._what()}", "at", "highest", "at "), rows)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "outputs": list(self.outputs),
            "shown": self._shown,
            "scale": self.scale,
            "rows": self.rows,
            "dependences": [
                {
                    "columns": list(each.columns),
                    "grid": [[_plain(value) for value in axis] for axis in each.grid],
                    "numeric": list(each.numeric),
                    "average": each.average.tolist(),
                    "individual": None if each.individual is None else each.individual[self._shown].tolist(),
                }
                for each in self.dependences.values()
            ],
        }

    @property
    def _shown(self) -> int:
        """The output that is told of: the second of two classes, else the first."""
        return 1 if len(self.outputs) == 2 else 0

    def _what(self) -> str:
        return self.scale if len(self.outputs) == 1 else f"{self.scale} of {self.outputs[self._shown]}"


class PartialDependenceMethod:
    """Sets one or two original columns to each of some values in all rows, with scikit-learn's ``partial_dependence``.

    Source: J. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29, 2001,
    section 8.2; single rows as in A. Goldstein and others, "Peeking inside the black box: visualizing statistical
    learning with plots of individual conditional expectation", J. of Computational and Graphical Statistics 24, 2015.
    """

    options: ClassVar[Mapping[str, str]] = {
        "columns": "which: age,income; two together as age*income (the six that move the answers most)",
        "ice": "how many single rows are kept, 0 for none (30)",
        "grid": "how many values of a column are tried (20, of two columns 10 each)",
    }

    def explain(self, question: Question) -> PartialDependence:
        """Follow each column over its values.

        Raises
        ------
        UsageError
            No such column, or an option that is no number.
        InvalidInputError
            A column holds nothing but nulls.
        """
        explained, options = question.explained, question.options
        places, notes = table_places(question, _MOST_ROWS)
        rng = np.random.default_rng(question.seed)
        some = question.frame.iloc[places].reset_index(drop=True)
        groups = _groups(options.get("columns"), explained.columns)
        if not groups:
            groups = [(name,) for name in moving_columns(explained, some, _COLUMNS, rng, _known(some))]
            if len(groups) < len(explained.columns):
                notes.append(
                    f"the {len(groups)} columns that move the answers most; type columns= for others"
                )
        ice = _whole(options.get("ice"), "ice", _ICE, 0)
        size = _whole(options.get("grid"), "grid", None, 2)
        kept = np.sort(rng.permutation(len(some))[:ice])
        found = {}
        with track("partial dependence", len(groups), "column") as tracker:
            for columns in groups:
                each = _followed(question, some, columns, size, kept)
                found[each.name] = each
                tracker.advance()
        return PartialDependence(
            model=explained.name,
            dependences=found,
            outputs=explained.outputs,
            scale=explained.scale,
            rows=len(some),
            remarks=tuple(notes),
        )


def _followed(
    question: Question, some: pd.DataFrame, columns: tuple[str, ...], size: int | None, kept: NDArray[np.intp]
) -> Dependence:
    numeric = tuple(_is_number(question.frame[name]) for name in columns)
    usual = _GRID if len(columns) == 1 else _SURFACE
    grid = tuple(values_of(question.frame[name], size or usual) for name in columns)
    alone = len(columns) == 1 and len(kept) > 0
    found = partial_dependence(
        Answering(question.explained),
        some,
        list(columns),
        # scikit-learn makes no grid for whole numbers and for texts beside nulls, but it takes one
        categorical_features=list(columns),
        custom_values=dict(zip(columns, grid, strict=True)),
        method="brute",
        kind="both" if alone else "average",
    )
    return Dependence(
        columns, grid, numeric, found["average"], found["individual"][:, kept] if alone else None
    )


def values_of(column: pd.Series[Any], size: int) -> NDArray[Any]:
    """Return up to `size` values of a column: quantiles of its numbers, or what is most frequent.

    Quantiles are values that the column holds, so that whole numbers stay whole.

    Raises
    ------
    InvalidInputError
        It holds nothing but nulls.
    """
    known = column.dropna()
    if known.empty:
        raise InvalidInputError(
            f"column {str(column.name)!r} holds nothing but nulls; leave it out of columns="
        )
    if not _is_number(column):
        frequent = known.value_counts()
        kept = frequent.index[frequent.to_numpy() > 0][:size]
        return np.array(sorted(kept.tolist(), key=str), dtype=object)
    values = np.unique(known.to_numpy())
    if len(values) > size:
        values = np.unique(np.quantile(known.to_numpy(), np.linspace(0.01, 0.99, size), method="nearest"))
    return values


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def _known(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if frame[name].notna().any()]


def _groups(given: Any, known: Sequence[str]) -> list[tuple[str, ...]]:
    if given is None:
        return []
    asked = given.split(",") if isinstance(given, str) and given not in known else given
    if isinstance(asked, str):
        asked = [asked]
    if not isinstance(asked, Sequence) or not asked:
        raise UsageError(f"columns is a list of columns, found {given!r}; type columns=['age', 'income']")
    groups = []
    for each in asked:
        named = each if isinstance(each, tuple) else (each,)
        if isinstance(each, str) and each not in known:
            named = tuple(part.strip() for part in each.split(_PAIR))
        for name in named:
            if name not in known:
                raise UsageError(
                    f"no column {name!r}; there are {listing(known)}{did_you_mean(str(name), known)}"
                )
        if len(named) not in (1, 2) or len(set(named)) < len(named):
            raise UsageError(
                f"columns are followed one by one or two together, found {each!r}; type 'age*income'"
            )
        groups.append(tuple(named))
    return groups


def _whole(given: Any, name: str, usual: int | None, least: int) -> Any:
    if given is None:
        return usual
    try:
        count = int(given)
    except (TypeError, ValueError):
        count = least - 1
    if count < least:
        raise UsageError(f"{name} is a number from {least} up, found {given!r}; type {name}={usual or _GRID}")
    return count


def _place(each: Dependence, where: Sequence[Any]) -> str:
    values = [axis[int(place)] for axis, place in zip(each.grid, where, strict=True)]
    return ", ".join(number(float(v)) if n else str(v) for v, n in zip(values, each.numeric, strict=True))


def _plain(value: Any) -> Any:
    found = value.item() if hasattr(value, "item") else value
    return found if isinstance(found, str | bool | int | float) else str(found)
