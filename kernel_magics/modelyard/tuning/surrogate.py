"""A small Gaussian process over a search space: where the next trial is expected to improve most.

Optuna's own needs torch, takes a tenth of a second for a trial, and is the method ``gp``. This one is made for the
dozens of trials of one search: numpy alone, a few milliseconds each.

Sources: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.2 (prediction), 4.2 (Matérn
kernel, nu = 5/2) and 5.4 (marginal likelihood); Jones, Schonlau & Welch, Journal of Global Optimization 13, 1998,
equation 15 (expected improvement).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from modelyard.tuning.parameter import Label, Parameter

_GUESSES = 9
_SETTLED = 40  # trials after which the scales move less, and cost more to move
_ANYWHERE = 384
_NEARBY = 48
_NEAREST = 3
_LONGEST = 150  # trials that are looked at: the best, and of the others the newest
_CLIP = 4.0
_FEW = 200  # values of a range that are told apart before the choice, not only after it

Floats = NDArray[np.float64]


class Surrogate:
    """Learns values of points and proposes the next one.

    Parameters
    ----------
    space : dict
        Without conditions.
    greater_is_better : bool
    seed : int
    """

    def __init__(self, space: Mapping[str, Parameter], greater_is_better: bool, seed: int) -> None:
        self._space = space
        self._sign = 1.0 if greater_is_better else -1.0
        self._rng = np.random.default_rng(seed)
        self._width = sum(len(part.choices) if part.kind == "choice" else 1 for part in space.values())
        self._scales = np.full(self._width, math.log(0.5))
        self._noise = math.log(1e-2)
        self._threads = ThreadpoolController()

    def propose(
        self,
        points: Sequence[Mapping[str, Label]],
        values: Sequence[float],
        running: Sequence[Mapping[str, Label]] = (),
    ) -> dict[str, Label]:
        """Return the candidate with the greatest expected improvement over the best point.

        Parameters
        ----------
        points, values
            What is known; the values in units of the metric.
        running
            Points whose values are awaited; until then they count as middling, so that the next one lies elsewhere.
        """
        with self._threads.limit(
            limits=1, user_api="blas"
        ):  # two threads wait for each other on such small tables
            middling = [float(np.median(values))] * len(running)
            return self._proposed(*self._learnable([*points, *running], [*values, *middling]))

    def _proposed(self, X: Floats, y: Floats) -> dict[str, Label]:
        root = self._fitted(X, y)
        encoded = self._candidates(X[np.argsort(-y)[:_NEAREST]])
        across = _matern(encoded, X, np.exp(self._scales))
        mean = across @ cho_solve(root, y)
        explained = solve_triangular(root[0], across.T, lower=True)
        spread = np.sqrt(np.maximum(1.0 - (explained**2).sum(axis=0), 1e-12))
        best = float((_matern(X, X, np.exp(self._scales)) @ cho_solve(root, y)).max())
        ahead = (mean - best) / spread
        gain = spread * (ahead * ndtr(ahead) + np.exp(-(ahead**2) / 2) / math.sqrt(2 * math.pi))
        return self._decoded(encoded[int(np.argmax(gain))])

    def _learnable(
        self, points: Sequence[Mapping[str, Label]], values: Sequence[float]
    ) -> tuple[Floats, Floats]:
        """Return encoded points, and values of mean 0 and deviation 1; hopeless ones are cut off.

        How bad a hopeless point is says nothing of where the best one lies, and would flatten all else.
        """
        y = self._sign * np.asarray(values, dtype=float)
        kept = np.arange(len(y))
        if len(y) > _LONGEST:
            best = np.argsort(-y)[: _LONGEST // 2]
            newest = [place for place in range(len(y) - 1, -1, -1) if place not in set(best.tolist())]
            kept = np.sort(np.r_[best, newest[: _LONGEST - len(best)]]).astype(int)
        y = y[kept]
        top, middle = y.max(), float(np.median(y))
        y = np.maximum(y, top - _CLIP * max(top - middle, 1e-12))
        deviation = y.std()
        y = (y - y.mean()) / deviation if deviation > 0 else y - y.mean()
        return np.array([self._encoded(points[int(place)]) for place in kept]), y

    def _fitted(self, X: Floats, y: Floats) -> tuple[Floats, bool]:
        """Move the scales and the noise to the likeliest of some guesses; return the Cholesky factor."""
        best, root = self._likelihood(X, y, self._scales, self._noise)
        for guess in range(_GUESSES if len(y) < _SETTLED else _GUESSES // 3):
            step = 0.3 if guess % 2 else 0.9
            scales = np.clip(
                self._scales + self._rng.normal(0, step, self._width), math.log(0.05), math.log(5.0)
            )
            noise = float(np.clip(self._noise + self._rng.normal(0, 2 * step), math.log(1e-5), math.log(0.5)))
            found, other = self._likelihood(X, y, scales, noise)
            if found > best:
                best, root, self._scales, self._noise = found, other, scales, noise
        return root

    def _likelihood(
        self, X: Floats, y: Floats, scales: Floats, noise: float
    ) -> tuple[float, tuple[Floats, bool]]:
        """Return the log marginal likelihood with a weak prior that features matter little, and the factor."""
        covariance = _matern(X, X, np.exp(scales))
        covariance[np.diag_indices_from(covariance)] += math.exp(noise) + 1e-8
        root = cho_factor(covariance, lower=True)
        fit = -0.5 * float(y @ cho_solve(root, y)) - float(np.log(np.diag(root[0])).sum())
        prior = -0.5 * float((((scales - math.log(0.7)) / 1.0) ** 2).sum()) - 0.5 * ((noise + 5.0) / 2.0) ** 2
        return fit + prior, (np.tril(root[0]), True)

    def _candidates(self, best: Floats) -> Floats:
        """Return encoded points: anywhere, and near the best ones, moved to values that exist."""
        nearby = [
            point + self._rng.normal(0, width, (_NEARBY, self._width))
            for point in best
            for width in (0.02, 0.1)
        ]
        rows: Floats = np.clip(np.concatenate([self._rng.random((_ANYWHERE, self._width)), *nearby]), 0, 1)
        place = 0
        for part in self._space.values():
            width = len(part.choices) if part.kind == "choice" else 1
            cells = rows[:, place : place + width]
            if part.kind == "choice":
                rows[:, place : place + width] = np.eye(width)[cells.argmax(axis=1)]
            elif part.size <= _FEW:
                steps = np.array([part.to_unit(label) for label in part.every()])
                rows[:, place] = steps[np.abs(cells - steps).argmin(axis=1)]
            place += width
        return rows

    def _encoded(self, point: Mapping[str, Label]) -> list[float]:
        row: list[float] = []
        for name, part in self._space.items():
            if part.kind == "choice":
                row += [float(repr(label) == repr(point[name])) for label in part.labels]
            else:
                row.append(part.to_unit(point[name]))
        return row

    def _decoded(self, row: Floats) -> dict[str, Label]:
        point: dict[str, Label] = {}
        place = 0
        for name, part in self._space.items():
            width = len(part.choices) if part.kind == "choice" else 1
            cells = row[place : place + width]
            numeric = part.kind != "choice"
            point[name] = part.from_unit(float(cells[0])) if numeric else part.labels[int(np.argmax(cells))]
            place += width
        return point


def _matern(A: Floats, B: Floats, scales: Floats) -> Floats:
    a, b = A / scales, B / scales
    squared = np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T, 0.0)
    distance = np.sqrt(5.0 * squared)
    covariance: Floats = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return covariance
