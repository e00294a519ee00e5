"""Interactions: how much of what two columns do together is not the sum of what each does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.explanation.question import Explained, Question
from modelyard.explanation.used_rows import moving_columns, table_places
from modelyard.presentation import Result, Table, number
from modelyard.progress import track

_MOST_ROWS = 60  # every pair of columns is asked about at the square of it
_COLUMNS = 6
_MOST_COLUMNS = 30
_AT_ONCE = 20_000
_FLAT = 0.05  # of the spread of the answers; H of a pair that does less than this is noise over noise

Means = NDArray[np.float64]  # of shape (rows, outputs)


@dataclass(frozen=True, repr=False, eq=False)
class Interactions(Result):
    """How strongly pairs of columns interact in a model.

    Attributes
    ----------
    model : str
        What was explained, in words.
    pairs : DataFrame
        One line per pair, the strongest first: ``a``, ``b``; ``h``, Friedman's statistic, from 0 (the two add up) to
        1 (nothing but interaction); and ``strength``, the root mean square of the interaction, in units of the answers.
    scale : str
        What an answer is.
    rows : int
        How many rows were used.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "interactions"

    model: str
    pairs: pd.DataFrame
    scale: str
    rows: int
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        first = self.pairs.iloc[0]
        if not first["strength"] > 0:
            return f"no two of the columns looked at interact in {self.model}, over {self.rows} rows"
        return (
            f"{first['a']} and {first['b']} interact most in {self.model}: {number(first['strength'])} of "
            f"{self.scale}, H {number(first['h'])}, the first of {len(self.pairs)} pairs over {self.rows} rows"
        )

    def notes(self) -> Sequence[str]:
        return self.remarks

    def table(self) -> Table:
        rows = [
            (line["a"], line["b"], number(line["strength"]), number(line["h"]))
            for line in self.pairs.to_dict("records")
        ]
        return Table(("column", "and", f"strength ({self.scale})", "H"), rows)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "scale": self.scale,
            "rows": self.rows,
            "pairs": [
                {str(name): value for name, value in line.items()} for line in self.pairs.to_dict("records")
            ],
        }


class InteractionsMethod:
    """Friedman's H statistic of pairs of original columns, for anything that answers rows.

    Source: J. Friedman and B. Popescu, "Predictive learning via rule ensembles", Annals of Applied Statistics 2, 2008,
    equation 44: the squared part of the centred two-column partial dependence that is not the sum of the two
    single ones, over the square of the whole; summed over the outputs.
    """

    options: ClassVar[Mapping[str, str]] = {
        "columns": "which are paired: age,income,town (the six that move the answers most)",
    }

    def explain(self, question: Question) -> Interactions:
        """Measure every pair of the columns.

        Raises
        ------
        UsageError
            Fewer than two columns, or one that is not there.
        """
        explained = question.explained
        places, notes = table_places(question, _MOST_ROWS)
        if len(places) > _MOST_ROWS:
            notes.append(
                f"the first {_MOST_ROWS} of {len(places)} rows asked for; more take their square in answers"
            )
            places = places[:_MOST_ROWS]
        rng = np.random.default_rng(question.seed)
        some = question.frame.iloc[places].reset_index(drop=True)
        names = _named(question.options.get("columns"), explained.columns)
        if not names:
            names = moving_columns(explained, question.frame, _COLUMNS, rng)
            if len(names) < len(explained.columns):
                notes.append(f"the {len(names)} columns that move the answers most; type columns= for others")
        pairs = list(combinations(names, 2))
        lines = []
        with track("interactions", len(names) + len(pairs), "pair") as tracker:
            single = {}
            for name in names:
                single[name] = _centred(_means(explained, some, (name,)))
                tracker.advance()
            spread = float(np.std(explained.answer(some), axis=0).max())
            for one, other in pairs:
                together = _centred(_means(explained, some, (one, other)))
                beyond = float(((together - single[one] - single[other]) ** 2).sum())
                whole = float((together**2).sum())
                strength = np.sqrt(beyond / together.size)
                h = min(1.0, np.sqrt(beyond / whole)) if whole > 0 else 0.0
                lines.append((one, other, h, strength, np.sqrt(whole / together.size) < _FLAT * spread))
                tracker.advance()
        table = pd.DataFrame(lines, columns=["a", "b", "h", "strength", "flat"])
        table = table.sort_values("strength", ascending=False, kind="stable").reset_index(drop=True)
        return Interactions(
            model=explained.name,
            pairs=table[["a", "b", "h", "strength"]],
            scale=explained.scale,
            rows=len(some),
            remarks=(*notes, *_flat(table)),
        )


def _means(explained: Explained, some: pd.DataFrame, names: tuple[str, ...]) -> Means:
    """Return the partial dependence at each row's own values of the columns, averaged over all rows."""
    rows = len(some)
    at_once = max(1, _AT_ONCE // rows)
    parts = []
    for first in range(0, rows, at_once):
        own = np.arange(first, min(rows, first + at_once))
        grid = some.iloc[np.tile(np.arange(rows), len(own))].reset_index(drop=True)
        for name in names:
            grid[name] = some[name].iloc[np.repeat(own, rows)].array
        parts.append(explained.answer(grid).reshape(len(own), rows, -1).mean(axis=1))
    return np.concatenate(parts)


def _centred(means: Means) -> Means:
    return np.asarray(means - means.mean(axis=0))


def _flat(table: pd.DataFrame) -> list[str]:
    flat = table[table["flat"]]
    if flat.empty:
        return []
    named = ", ".join(f"{one} and {other}" for one, other in zip(flat["a"][:3], flat["b"][:3], strict=True))
    return [f"H says little where both columns do little: {named}{' and others' if len(flat) > 3 else ''}"]


def _named(given: Any, known: Sequence[str]) -> list[str]:
    if given is None:
        if len(known) < 2:
            raise UsageError("interactions are of two columns, and the model has one")
        return []
    asked = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
    if not isinstance(asked, Sequence):
        raise UsageError(f"columns is a list of columns, found {given!r}; type columns=['age', 'income']")
    for name in asked:
        if name not in known:
            raise UsageError(
                f"no column {name!r}; there are {listing(known)}{did_you_mean(str(name), known)}"
            )
    asked = list(dict.fromkeys(asked))
    if not 2 <= len(asked) <= _MOST_COLUMNS:
        raise UsageError(
            f"interactions take 2 to {_MOST_COLUMNS} columns, found {len(asked)}; type columns=['age', 'income']"
        )
    return asked
