"""Results told to a server that keeps experiments, MLflow first."""

from modelyard.tracking.entry import Entry
from modelyard.tracking.protocol import Tracking, log_or_remark, open_tracking, trackings

__all__ = ["Entry", "Tracking", "log_or_remark", "open_tracking", "trackings"]
