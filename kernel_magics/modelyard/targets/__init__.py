"""Places where a bundle can go, and the endpoints that are there."""

from modelyard.registry import targets
from modelyard.targets.deployment import Deployment, deployment, deployments
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import Endpoint, Status, Target
from modelyard.targets.verbs import deploy, plan

__all__ = [
    "Deployment",
    "Endpoint",
    "Plan",
    "Status",
    "Target",
    "deploy",
    "deployment",
    "deployments",
    "plan",
    "targets",
]
