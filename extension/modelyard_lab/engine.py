"""What reaches endpoints: it brings pandas with it, which a server without deployments is spared."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

_LOCK = threading.RLock()


def importing() -> AbstractContextManager[bool]:
    """Return the lock under which the engine is imported.

    Its packages import one another in circles, where two threads that begin at once see half a module.
    """
    return _LOCK
