"""Which variant answers: by chance, in the policy's proportions, or always the same one for a caller."""

from __future__ import annotations

import hashlib
import math
import random
from bisect import bisect
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def by_chance(weights: Mapping[T, float]) -> Callable[[], T]:
    """Return a function that draws one of `weights`, each draw on its own."""
    names = list(weights)
    bounds = list(accumulate(weights.values()))[:-1]
    draw = random.SystemRandom().random()  # so that workers that were forked do not draw alike
    generator = random.Random(draw).random
    return lambda: names[bisect(bounds, generator())]


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
