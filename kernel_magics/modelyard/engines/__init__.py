"""Where work runs that is more than one process can do: other processes here, Dask, Ray.

A stage hands over one large object that all jobs share, and small jobs; what comes back is what the job
returned, what it raised, or `WorkerLostError`.
"""

from modelyard.engines.opening import checked_engine, open_engine, processes_here
from modelyard.engines.protocol import Engine, engines
from modelyard.engines.workers import Workers

__all__ = ["Engine", "Workers", "checked_engine", "engines", "open_engine", "processes_here"]
