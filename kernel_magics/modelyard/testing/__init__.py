"""Contract suites for plug-ins: a stranger's target runs the same tests as ours (needs pytest)."""

from modelyard.testing.engine_contract import EngineContract
from modelyard.testing.target_contract import TargetContract
from modelyard.testing.traffic_contract import TrafficContract

__all__ = ["EngineContract", "TargetContract", "TrafficContract"]
