"""Columns that were computed with one number each, such as scaled or filled: they stay known as functions.

A tree behind them then splits on the column itself, at the very value where the function passes the tree's
threshold, so that no float32 scaler stands before it. What else reads them gets one difference and one product a
column, centred in double.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modelyard.conversion._tflite_file import ROWS, Array, Draft, Tensor

_FAR = 50
"""From which shift on, in units of what a scaler makes, float32 is too coarse for a column."""

#: What is done with a value: ``add``, ``sub``, ``mul`` and ``div`` by a number, ``single`` (rounded to float32),
#: ``fill`` (for NaN).
Chain = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Columns:
    """Functions of one column each.

    Attributes
    ----------
    places : tuple of int
        The column that each reads, of the table or beside it, as `Draft.beside` counts them.
    chains : tuple of Chain
        What is done with it, in double.
    """

    places: tuple[int, ...]
    chains: tuple[Chain, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (ROWS, len(self.places))

    def then(self, operation: str, numbers: Array) -> Columns:
        """Return what one more operation makes, with a number for each of the columns or one for all."""
        spread = np.broadcast_to(np.asarray(numbers, dtype=np.float64).reshape(-1), (len(self.places),))
        chains = zip(self.chains, spread.tolist(), strict=True)
        return replace(self, chains=tuple((*chain, (operation, number)) for chain, number in chains))

    def picked(self, places: Array) -> Columns:
        """Return some of the columns, in the order that is given."""
        kept = [int(each) for each in places.reshape(-1)]
        return Columns(tuple(self.places[i] for i in kept), tuple(self.chains[i] for i in kept))

    @property
    def is_rising(self) -> bool:
        """Whether none of them falls anywhere."""
        return all(number > 0 for chain in self.chains for name, number in chain if name in ("mul", "div"))

    def splits_in_single(self, features: Array) -> bool:
        """Whether rows, once rounded to float32, go the same way at all splits on some of the functions."""
        used = [self.chains[place] for place in np.unique(features)]
        return all({name for name, _ in chain} in ({"single"}, {"single", "fill"}) for chain in used)

    def split_limits(self, features: Array, thresholds: Array, nan_left: Array) -> tuple[Array, Array, Array]:
        """Return the columns that nodes split on, where, and which way a missing value goes.

        Parameters
        ----------
        features, thresholds, nan_left : ndarray of shape (nodes,)
            A node goes left where feature <= threshold, or where the feature is NaN and `nan_left` is set.

        Returns
        -------
        columns, limits, nan_left : ndarray of shape (nodes,)
            The same decision for a column of the table; the limits are the largest doubles that go left.
        """
        columns = np.asarray(self.places, dtype=np.int64)[features]
        limits = np.empty(len(features))
        goes_left = np.empty(len(features), dtype=bool)
        groups: dict[tuple[str, ...], list[int]] = {}
        for place, chain in enumerate(self.chains):
            groups.setdefault(tuple(name for name, _ in chain), []).append(place)
        for names, members in groups.items():
            own = np.flatnonzero(np.isin(features, members))
            if not len(own):
                continue
            table = np.zeros((len(self.places), len(names)))
            for member in members:
                table[member] = [number for _, number in self.chains[member]]
            numbers = table[features[own]].T
            limits[own] = _largest(names, numbers, thresholds[own])
            missing = _applied(names, numbers, np.full(len(own), np.nan))
            goes_left[own] = np.where(np.isnan(missing), nan_left[own], missing <= thresholds[own])
        return columns, limits, goes_left


def rounded_down(values: Array) -> Array:
    """Return the largest float32 that is not above each value."""
    near = nearest(values)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def nearest(values: Array) -> Array:
    """Return the nearest float32 of each value; infinite beyond the largest."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _applied(names: tuple[str, ...], numbers: Array, values: Array) -> Array:
    with np.errstate(all="ignore"):
        for name, number in zip(names, numbers, strict=True):
            if name == "add":
                values = values + number
            elif name == "sub":
                values = values - number
            elif name == "mul":
                values = values * number
            elif name == "div":
                values = values / number
            elif name == "single":
                values = values.astype(np.float32).astype(np.float64)
            else:
                values = np.where(np.isnan(values), number, values)
    return values


def _largest(names: tuple[str, ...], numbers: Array, thresholds: Array) -> Array:
    """Return the largest double of each node whose function is not above the threshold.

    Doubles are in the order of their bits, read as whole numbers, so that 64 halvings find one among all of them.
    """
    low = _ordered(np.full(len(thresholds), -np.inf))
    high = _ordered(np.full(len(thresholds), np.inf))
    for _ in range(65):
        middle = (low & high) + ((low ^ high) >> 1)  # of two int64 that may be far apart
        middle = np.where(middle == low, high, middle)
        under = _applied(names, numbers, _double(middle)) <= thresholds
        low = np.where(under, middle, low)
        high = np.where(under, high, np.maximum(middle - 1, low))
    return _double(low)


def _ordered(values: Array) -> Array:
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits - 1, bits).astype(np.int64)


def _double(ordered: Array) -> Array:
    bits = np.where(ordered < 0, np.int64(-(2**63)) - ordered - 1, ordered).astype(np.int64)
    return bits.view(np.float64)


# ------------------------------------------------------------------------------------------------ as a tensor


@dataclass(frozen=True)
class _Line:
    """A straight line in double for each column: ``factor * value + shift``."""

    factor: Array
    shift: Array

    @classmethod
    def of(cls, chains: list[list[tuple[str, float]]]) -> _Line:
        factor, shift = np.ones(len(chains)), np.zeros(len(chains))
        for place, chain in enumerate(chains):
            for name, number in chain:
                if name in ("mul", "div"):
                    number = number if name == "mul" else 1 / number
                    factor[place] *= number
                    shift[place] *= number
                elif name != "single":
                    shift[place] += number if name == "add" else -number
        return cls(factor, shift)


def drawn(draft: Draft, columns: Columns) -> tuple[Tensor, Array]:
    """Return columns as a tensor, and what is to be added to it yet, in double, shape (columns,)."""
    value, width = _chosen(draft, columns), len(columns.places)
    lines, fills = _segments(columns.chains)
    rest = np.zeros(width)
    # what float32 leaves of a column counts where the column is many times its spread away from 0
    is_far = draft.is_exact and (np.abs(lines[0].shift) > _FAR).any()
    beyond = _chosen(draft, columns, is_rest=True) if is_far else None
    for line, fill in zip(lines, [*fills, None], strict=True):
        value, rest = _straight(draft, value, line, beyond)
        beyond = None
        if fill is not None:
            value = plus(draft, value, rest)
            missing = draft.step("NOT_EQUAL", [value, value], value.shape, "bool")
            value = draft.step("SELECT_V2", [missing, draft.constant(fill), value], value.shape)
            rest = np.zeros(width)
    return value, rest


def _chosen(draft: Draft, columns: Columns, *, is_rest: bool = False) -> Tensor:
    value, found = draft.joined(np.asarray(columns.places), is_rest=is_rest)
    if found.tolist() == list(range(value.shape[1])):
        return value
    return draft.step("GATHER", [value, draft.constant(found, "int32")], columns.shape, axis=1)


def plus(draft: Draft, value: Tensor, rest: Array) -> Tensor:
    """Add what `drawn` left over, if there is any."""
    if not rest.any():
        return value
    return draft.step("ADD", [value, draft.constant(rest)], value.shape)


def _segments(chains: tuple[Chain, ...]) -> tuple[list[_Line], list[Array]]:
    """Return the lines between which missing values are filled, and the fills; where a column has none, NaN fills."""
    count = max(sum(name == "fill" for name, _ in chain) for chain in chains)
    parts: list[list[list[tuple[str, float]]]] = [[[] for _ in chains] for _ in range(count + 1)]
    fills = [np.full(len(chains), np.nan) for _ in range(count)]
    for place, chain in enumerate(chains):
        part = 0
        for name, number in chain:
            if name == "fill":
                fills[part][place] = number
                part += 1
            else:
                parts[part][place].append((name, number))
    return [_Line.of(each) for each in parts], fills


def _straight(draft: Draft, value: Tensor, line: _Line, rest: Tensor | None) -> tuple[Tensor, Array]:
    """Subtract each column's zero, then multiply: no digits are lost where a column is far from 0 and narrow."""
    factor, shift = line.factor, line.shift
    zero = np.zeros(len(factor))
    steep = (factor != 0) & (shift != 0)
    zero[steep] = nearest(-shift[steep] / factor[steep])
    zero[~np.isfinite(zero)] = 0
    if zero.any():
        value = draft.step("SUB", [value, draft.constant(zero)], value.shape)
    if rest is not None:
        value = draft.step("ADD", [value, rest], value.shape)
    if (factor != 1).any():
        value = draft.step("MUL", [value, draft.constant(factor)], value.shape)
    return value, shift + factor * zero
