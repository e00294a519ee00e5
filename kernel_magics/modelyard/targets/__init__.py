"""Places where a bundle can go, and the endpoints that are there."""

from modelyard.registry import targets
from modelyard.targets.asking import fit, plan, rehearse
from modelyard.targets.deploying import deploy, undo
from modelyard.targets.deployment import Deployment, deployment, deployments
from modelyard.targets.fitting import Fit
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import Endpoint, Status, Target
from modelyard.targets.rehearsing.result import Rehearsal

__all__ = [
    "Deployment",
    "Endpoint",
    "Fit",
    "Plan",
    "Rehearsal",
    "Status",
    "Target",
    "deploy",
    "deployment",
    "deployments",
    "fit",
    "plan",
    "rehearse",
    "targets",
    "undo",
]
