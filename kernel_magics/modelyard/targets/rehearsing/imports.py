"""Of what a start consists: the waterfall of ``python -X importtime``, by package."""

from __future__ import annotations

import re
import sys
from collections import Counter

from modelyard.targets.rehearsing.result import Import

#: Makes every Python process say how long each import took.
TIMED = {"PYTHONPROFILEIMPORTTIME": "1"}

_PYTHON = "Python itself"
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def by_package(said: str) -> tuple[Import, ...]:
    r"""Return how long each package's own modules took, in all processes together, slowest first.

    >>> by_package("import time:       100 |        100 |   numpy.core\nimport time:       900 |  1000 | numpy")
    (Import(package='numpy', seconds=0.001),)
    """
    own: Counter[str] = Counter()
    for microseconds, module in _LINE.findall(said):
        package = module.partition(".")[0]
        own[_PYTHON if package in sys.stdlib_module_names else package] += int(microseconds)
    return tuple(Import(package, us / 1e6) for package, us in own.most_common())
