"""Counterfactuals: the smallest changes of a row with which the model would have said what is wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from modelyard.errors import UsageError
from modelyard.explanation.alterations import Alterations, Matrix
from modelyard.explanation.counterfactual_search import Search
from modelyard.explanation.question import Question
from modelyard.explanation.used_rows import notes_of
from modelyard.explanation.wishes import Wish
from modelyard.presentation import Result, Table, number
from modelyard.progress import track

_POOL = 2_000  # rows of X that a search may start from
_MOST_AT_ONCE = 100  # rows that are searched for together, where they are not wide
_CELLS_AT_ONCE = 20_000  # of those rows; a search holds some hundred times as many
_MOST_SHOWN = 30
_MOST_NAMED = 5
_CHANGES = ["row", "number", "column", "from", "to", "before", "after"]
_FOUND = ["row", "number", "wanted", "changed", "distance", "before", "after"]


@dataclass(frozen=True, repr=False, eq=False)
class Counterfactuals(Result):
    """Changed rows that the model answers as wanted; each was checked on the model itself.

    Attributes
    ----------
    model : str
        What was explained, in words.
    wanted : str
        What the rows were to be answered.
    changes : DataFrame
        One line per changed column: ``row`` (place in X), ``number`` (1 is the smallest change of that row),
        ``column``, ``from``, ``to``, and the answer for what is reached ``before`` and ``after``.
    frame : DataFrame
        The changed rows with all columns of X and their types, indexed by ``row`` and ``number``.
    found : DataFrame
        One line per changed row: ``row, number, wanted, changed, distance, before, after``. The distance is the sum of
        the changes, each over the median absolute deviation of its column, plus the number of changed columns.
    missing : DataFrame
        Rows for which none was found: ``row``, the answer that came ``near``, and the ``columns`` changed in it.
    scale : str
        What ``before`` and ``after`` are: ``probability``, ``decision score`` or ``prediction``.
    fixed : tuple of str
        Columns that were to stay as they are.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "counterfactuals"

    model: str
    wanted: str
    changes: pd.DataFrame
    frame: pd.DataFrame
    found: pd.DataFrame
    missing: pd.DataFrame
    scale: str
    fixed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        rows = self.found["row"].nunique()
        asked = rows + len(self.missing)
        if not rows:
            return f"no change of {_count(asked, 'row')} makes {self.model} say {self.wanted}"
        columns = self.changes["column"].value_counts()
        first = self.found[self.found["number"] == 1]
        most = f"{columns.index[0]} most often"
        alone = (
            "one column" if (first["changed"] == 1).all() else f"{number(first['changed'].mean())} columns"
        )
        return (
            f"{self.model} says {self.wanted} of {rows} of {_count(asked, 'row')} after changes of {alone} on average, "
            f"{most}; each is checked on the model"
        )

    def notes(self) -> Sequence[str]:
        return (*self._missed(), *self.remarks)

    def table(self) -> Table:
        shown = [
            (str(row), column, _text(before), _text(after), number(was), number(now))
            for row, _, column, before, after, was, now in self.changes.head(_MOST_SHOWN).itertuples(
                index=False
            )
        ]
        return Table(("row", "column", "from", "to", f"{self.scale} before", "after"), shown)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "wanted": self.wanted,
            "scale": self.scale,
            "fixed": list(self.fixed),
            "changes": _records(self.changes),
            "found": _records(self.found),
            "missing": _records(self.missing),
        }

    def _missed(self) -> list[str]:
        found = [
            f"row {row}: nothing found; the nearest, with {columns or 'nothing'} changed, came to {self.scale} "
            f"{number(near)}"
            for row, near, columns in self.missing.head(_MOST_NAMED).itertuples(index=False)
        ]
        if len(self.missing) > _MOST_NAMED:
            found.append(f"nothing found for {len(self.missing) - _MOST_NAMED} more rows, see .missing")
        if len(self.changes) > _MOST_SHOWN:
            found.append(f"the first {_MOST_SHOWN} of {len(self.changes)} changes are shown, see .changes")
        return found


class CounterfactualMethod:
    """Finds them by search, for anything that answers rows."""

    options: ClassVar[Mapping[str, str]] = {
        "fix": "columns that may not change: age,sex",
        "want": "the class to reach, or the range of predictions as 100..200 (any other class)",
        "ranges": "what columns may become, {column: (low, high)} or {column: [values]} (what X holds)",
        "number": "how many for each row (1)",
    }

    def explain(self, question: Question) -> Counterfactuals:
        """Search for each row of the question.

        Raises
        ------
        UsageError
            A regression without `want`, an option that names no column or class, or fixes all.
        """
        options, explained = question.options, question.explained
        fix, ranges, count = (
            _fix(options.get("fix")),
            _ranges(options.get("ranges")),
            _number(options.get("number")),
        )
        want = options.get("want")
        if want is None and not explained.is_classifier:
            raise UsageError(f"{explained.name} predicts numbers; say which to reach, type want=(100, 200)")
        rng = np.random.default_rng(question.seed)
        alterations = Alterations(question.frame, fix, ranges)
        some = rng.permutation(len(question.frame))[:_POOL]
        pool = alterations.coded(question.frame.iloc[np.sort(some)])
        origins = alterations.coded(question.chosen)
        wish = Wish(explained, alterations, origins, pool, want)
        places = np.arange(len(origins))
        already = wish.confirmed(origins, places)
        search = Search(wish, alterations, pool, count, rng)
        tables: dict[int, Matrix] = {}
        nearest: dict[int, Matrix | None] = {}
        open_ = places[~already]
        with track("counterfactuals", len(open_), "row") as tracker:
            size = max(1, min(_MOST_AT_ONCE, _CELLS_AT_ONCE // origins.shape[1]))
            for first in range(0, len(open_), size):
                part = open_[first : first + size]
                for row, found in zip(part.tolist(), search.found(origins[part], part), strict=True):
                    asked = np.full(len(found.changed), row)
                    good = (
                        found.changed[wish.confirmed(found.changed, asked)] if len(asked) else found.changed
                    )
                    if len(good):
                        tables[row] = good
                    else:
                        nearest[row] = found.nearest
                tracker.advance(len(part))
        remarks = [
            *notes_of(question, rows=True, background=False),
            *_already(question.places[already], wish.text()),
        ]
        return _result(question, alterations, wish, origins, tables, nearest, fix, tuple(remarks))


def _result(
    question: Question,
    alterations: Alterations,
    wish: Wish,
    origins: Matrix,
    tables: dict[int, Matrix],
    nearest: dict[int, Matrix | None],
    fix: tuple[str, ...],
    remarks: tuple[str, ...],
) -> Counterfactuals:
    explained = question.explained
    owners = np.array([row for row, table in tables.items() for _ in table], dtype=np.intp)
    numbers = [place + 1 for table in tables.values() for place in range(len(table))]
    whole = np.concatenate(list(tables.values())) if tables else origins[:0]
    frame, base = alterations.frame(whole), question.chosen
    rows = question.places[owners]
    frame.index = pd.MultiIndex.from_arrays([rows, numbers], names=["row", "number"])
    reached = wish.reached(whole)
    before, after = wish.figures(origins[owners], reached), wish.figures(whole, reached)
    changed = alterations.changed(whole, origins[owners])
    distance = alterations.distance(whole, origins[owners])
    changes = [
        (rows[i], numbers[i], name, base[name].iloc[owners[i]], frame[name].iloc[i], before[i], after[i])
        for i in range(len(whole))
        for name, moved in zip(frame.columns, changed[i], strict=True)
        if moved
    ]
    wanted = [explained.outputs[place] if explained.is_classifier else wish.text() for place in reached]
    found = list(zip(rows, numbers, wanted, changed.sum(axis=1), distance, before, after, strict=True))
    missing = []
    for row, near in nearest.items():
        moved = [] if near is None else list(frame.columns[alterations.changed(near, origins[row])])
        figure = np.nan if near is None else _near(wish, near, row)
        missing.append((question.places[row], figure, ", ".join(map(str, moved))))
    return Counterfactuals(
        model=explained.name,
        wanted=wish.text(),
        changes=pd.DataFrame(changes, columns=_CHANGES),
        frame=frame,
        found=pd.DataFrame(found, columns=_FOUND),
        missing=pd.DataFrame(missing, columns=["row", "near", "columns"]),
        scale=explained.scale,
        fixed=fix,
        remarks=remarks,
    )


def _near(wish: Wish, table: Matrix, row: int) -> float:
    """Return the answer that came nearest: for what is wanted, or the predicted number."""
    if wish.ends is not None:
        return float(wish.figures(table[None], np.zeros(1, dtype=np.intp))[0])
    return float(wish.judged(table[None], np.array([row]))[1][0])


def _already(rows: Collection[int], wanted: str) -> list[str]:
    if not len(rows):
        return []
    named = ", ".join(str(row) for row in list(rows)[:_MOST_NAMED])
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    are = "rows are" if len(rows) > 1 else "row is"
    return [f"{_count(len(rows), '')}{are} answered {wanted} already: {named}{more}"]


def _fix(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(",") if name.strip())
    if isinstance(given, Collection):
        return tuple(given)
    raise UsageError(f"fix is a list of columns, found {given!r}; type fix=['age', 'sex']")


def _ranges(given: Any) -> Mapping[str, Any]:
    if given is None or isinstance(given, Mapping):
        return given or {}
    raise UsageError(f"ranges is a dict, found {given!r}; type ranges={{'age': (18, 80)}}")


def _number(given: Any) -> int:
    if given is None:
        return 1
    try:
        count = int(given)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        raise UsageError(f"number is how many for each row, at least 1, found {given!r}; type number=3")
    return count


def _count(rows: int, noun: str) -> str:
    return f"{rows} {noun}{'s' if rows != 1 and noun else ''}"


def _text(value: Any) -> str:
    if pd.isna(value):
        return "null"
    return number(float(value)) if isinstance(value, float) else str(value)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _plain(value) for name, value in zip(frame.columns, line, strict=True)}
        for line in frame.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it."""
    if pd.isna(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | bool | int | float) else str(value)
