"""Contract suites for plug-ins: a stranger's target runs the same tests as ours (needs pytest)."""

from modelyard.testing.engine_contract import EngineContract
from modelyard.testing.method_contract import MethodContract
from modelyard.testing.target_contract import TargetContract
from modelyard.testing.technique_contract import TechniqueContract
from modelyard.testing.traffic_contract import TrafficContract

__all__ = ["EngineContract", "MethodContract", "TargetContract", "TechniqueContract", "TrafficContract"]
