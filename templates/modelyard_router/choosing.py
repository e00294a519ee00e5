"""Which variant answers: by chance, in the policy's proportions, or always the same one for a caller."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

_AHEAD = 256

T = TypeVar("T")


def by_chance(weights: Mapping[T, float]) -> Callable[[], T]:
    """Return a function that draws one of `weights`, each draw on its own.

    It draws some ahead. Alone, a draw takes no less so; the whole was measured with it (benchmarks/RESULTS.md).
    """
    names, shares = list(weights), list(weights.values())
    seed = random.SystemRandom().random()  # so that workers that were forked do not draw alike
    generator = random.Random(seed)

    def drawn() -> Iterator[T]:
        while True:
            yield from generator.choices(names, shares, k=_AHEAD)

    return drawn().__next__


def by_key(weights: Mapping[str, float], key: str, salts: Mapping[str, str]) -> str:
    """Return the variant of a caller: the same one as long as the weights are, and on every worker.

    Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights after Schindelhauer and Schomaker 2005): when
    a variant's share grows, callers come to it, and nobody moves between two others that keep their proportion.

    Parameters
    ----------
    salts : mapping of str to str
        What tells the variants apart, such as their digests.

    >>> by_key({"v1": 0.5, "v2": 0.5}, "Ada", {"v1": "a", "v2": "b"})
    'v2'
    """

    def score(name: str) -> float:
        digest = hashlib.blake2b(f"{salts[name]}\0{key}".encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest, "big") + 0.5) / 2**64
        return weights[name] / -math.log(uniform)

    return max(sorted(weights), key=score)
