"""The search for the smallest change of a row that is answered as wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.explanation.alterations import Alterations, Matrix
from modelyard.explanation.wishes import Wish

_NEAREST = (16, 64)  # rows of the pool that are tried at first, and where none of them will do
_DRAWS = 300  # where no row of the pool will do
_ROUNDS = 8
_HALVINGS = 10
_MOST_SINGLE = 128  # changes of one row that are taken back one by one
_MOST_HALVED = 12

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found for one row.

    Attributes
    ----------
    changed : ndarray of shape (found, columns)
        Coded rows that are answered as wanted, the smallest change first.
    nearest : ndarray or None
        Where there is none: the row tried that came nearest.
    """

    changed: Matrix
    nearest: Matrix | None = None


class Search:
    """Looks for changes of a few rows at a time.

    It starts from the nearest rows that are already answered as wanted, which makes a valid answer certain where no
    column is fixed: the nearest unlike neighbour of D. Brughmans, P. Leyman and D. Martens, "NICE: an algorithm for
    nearest instance counterfactual explanations", Data Mining and Knowledge Discovery 38, 2024. Then changes are taken
    back as long as the answer stays, those first that cost the most for what they do, and what is left of the numbers
    is halved towards the row. The model is asked about many rows in one call, and a bounded number of times.
    """

    def __init__(
        self, wish: Wish, alterations: Alterations, pool: Matrix, number: int, rng: np.random.Generator
    ) -> None:
        self._wish, self._alterations, self._pool = wish, alterations, pool
        self._number, self._rng = number, rng
        self._kept = max(4, 3 * number)

    def found(self, origins: Matrix, rows: Rows) -> list[Found]:
        """Return what was found for each of the `origins`, which are the explained `rows`."""
        starts, nearest = self._starts(origins, rows)
        owners = np.array([place for place, tables in enumerate(starts) for _ in tables], dtype=np.intp)
        if len(owners) == 0:
            return [Found(origins[:0], near) for near in nearest]
        table = np.concatenate([tables for tables in starts if len(tables)])
        base, asked = origins[owners], rows[owners]
        table = self._taken_back(table, base, asked)
        table = self._halved(table, base, asked)
        table = self._taken_back(table, base, asked)
        return [
            Found(self._smallest(origin, table[owners == place]), nearest[place])
            for place, origin in enumerate(origins)
        ]

    def _starts(self, origins: Matrix, rows: Rows) -> tuple[list[Matrix], list[Matrix | None]]:
        """Return rows to start from that are answered as wanted, and where there are none what came nearest."""
        ranked = [self._ranked(origin, int(row)) for origin, row in zip(origins, rows, strict=True)]
        starts: list[Matrix] = [origins[:0]] * len(origins)
        nearest: list[Matrix | None] = [None] * len(origins)
        best = np.full(len(origins), -np.inf)
        first, further = _NEAREST
        for step in range(3):
            tried: dict[int, Matrix] = {}
            for place, origin in enumerate(origins):
                if len(starts[place]):
                    continue
                if step == 0:
                    tried[place] = ranked[place][:first]
                elif step == 1:
                    left = ranked[place][first:]
                    tried[place] = left[:: max(1, len(left) // further)][:further]
                else:
                    tried[place] = self._alterations.drawn(origin, self._pool, _DRAWS, self._rng)
            tried = {place: table for place, table in tried.items() if len(table)}
            if not tried:
                continue
            owners = np.repeat(list(tried), [len(table) for table in tried.values()])
            whole = np.concatenate(list(tried.values()))
            holds, near = self._wish.judged(whole, rows[owners])
            for place in tried:
                mine = owners == place
                table, good = whole[mine], holds[mine]
                cost = self._alterations.distance(table, origins[place])
                order = np.argsort(np.where(good, cost, np.inf), kind="stable")
                starts[place] = table[order[: min(int(good.sum()), self._kept)]]
                if near[mine].max() > best[place]:
                    best[place] = near[mine].max()
                    nearest[place] = table[int(near[mine].argmax())]
        return starts, nearest

    def _ranked(self, origin: Matrix, row: int) -> Matrix:
        table = self._alterations.toward(origin, self._pool[self._wish.suits(row)])
        table = np.unique(table, axis=0) if len(table) else table
        cost = self._alterations.distance(table, origin)
        order = np.argsort(cost, kind="stable")
        return np.asarray(table[order[cost[order] > 0]])

    def _taken_back(self, table: Matrix, origin: Matrix, rows: Rows) -> Matrix:
        """Return rows with every change taken back that the answer does not need."""
        table = table.copy()
        live = np.arange(len(table))
        for _ in range(_ROUNDS):
            costs = self._alterations.costs(table, origin)
            live = live[(costs[live] > 0).sum(axis=1) > 1]
            if len(live) == 0:
                break
            orders = self._harmless(table, origin, rows, live, costs)
            live = np.array([state for state, order in orders.items() if len(order)], dtype=np.intp)
            trials, owners, sizes = [], [], []
            for state in live:
                order = orders[int(state)]
                for size in _sizes(len(order)):
                    trial = table[state].copy()
                    trial[order[:size]] = origin[state, order[:size]]
                    trials.append(trial)
                    owners.append(state)
                    sizes.append(size)
            if not trials:
                break
            holds, _ = self._wish.judged(np.array(trials), rows[owners])
            for state, size, hold in zip(owners, sizes, holds, strict=True):  # the longest is the last
                if hold:
                    back = orders[int(state)][:size]
                    table[state, back] = origin[state, back]
        return table

    def _harmless(
        self, table: Matrix, origin: Matrix, rows: Rows, live: Rows, costs: Matrix
    ) -> dict[int, Rows]:
        """Return for each row the changes of which any one can be taken back, the best first."""
        trials, owners, places = [], [], []
        for state in live:
            dearest = np.argsort(-costs[state], kind="stable")[:_MOST_SINGLE]
            for place in dearest[costs[state, dearest] > 0]:
                trial = table[state].copy()
                trial[place] = origin[state, place]
                trials.append(trial)
                owners.append(state)
                places.append(place)
        holds, near = self._wish.judged(np.array(trials), rows[owners])
        _, now = self._wish.judged(table[live], rows[live])
        was = dict(zip(live.tolist(), now, strict=True))
        harm = [
            (was[int(state)] - after) / costs[state, place]
            for state, place, after in zip(owners, places, near, strict=True)
        ]
        found: dict[int, list[tuple[float, int]]] = {int(state): [] for state in live}
        for state, place, hold, each in zip(owners, places, holds, harm, strict=True):
            if hold:
                found[int(state)].append((float(each), int(place)))
        return {
            state: np.array([place for _, place in sorted(pairs)], dtype=np.intp)
            for state, pairs in found.items()
        }

    def _halved(self, table: Matrix, origin: Matrix, rows: Rows) -> Matrix:
        """Return rows whose changed numbers are as near to the row as the answer allows, one after the other."""
        table = table.copy()
        columns = self._alterations.columns
        costs = np.where(
            self._alterations.numeric & ~np.isnan(origin), self._alterations.costs(table, origin), 0.0
        )
        orders = np.argsort(-costs, axis=1, kind="stable")
        for turn in range(min(_MOST_HALVED, table.shape[1])):
            places = orders[:, turn]
            live = np.flatnonzero(costs[np.arange(len(table)), places] > 0)
            if len(live) == 0:
                break
            ends = [(columns[place].low, columns[place].high) for place in places[live]]
            lows, highs = np.array(ends).T
            kept = np.clip(origin[live, places[live]], lows, highs)
            for _ in range(_HALVINGS):
                trials = table[live].copy()
                reached = trials[np.arange(len(live)), places[live]]
                middle = (kept + reached) / 2
                for spot, place in enumerate(places[live]):
                    middle[spot] = columns[place].rounded(middle[spot])
                open_ = (middle != reached) & (middle != kept)
                if not open_.any():
                    break
                trials[np.arange(len(live)), places[live]] = middle
                holds, _ = self._wish.judged(trials[open_], rows[live[open_]])
                better = np.flatnonzero(open_)[holds]
                table[live[better], places[live[better]]] = middle[better]
                worse = np.flatnonzero(open_)[~holds]
                kept[worse] = middle[worse]
        return table

    def _smallest(self, origin: Matrix, table: Matrix) -> Matrix:
        """Return up to as many rows as are asked for, those first that change other columns than those before."""
        order = np.argsort(self._alterations.distance(table, origin), kind="stable")
        seen: set[bytes] = set()
        first: list[int] = []
        again: list[int] = []
        for place in order:
            changed = self._alterations.changed(table[place], origin).tobytes()
            (again if changed in seen else first).append(place)
            seen.add(changed)
        chosen = sorted(
            [*first, *again][: self._number], key=lambda place: int(np.flatnonzero(order == place)[0])
        )
        picked = table[np.array(chosen, dtype=np.intp)]
        if len(picked) < 2:
            return picked
        distinct = np.unique(picked, axis=0, return_index=True)[1]
        return np.asarray(picked[np.sort(distinct)])


def _sizes(count: int) -> list[int]:
    """Return from 1 to `count`, at most 32 of them."""
    return sorted({int(size) for size in np.linspace(1, count, min(count, 32)).round()})
