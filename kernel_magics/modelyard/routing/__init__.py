"""Several bundles behind one endpoint: who answers how much, whether the candidate is better, and what would differ."""

from modelyard.routing.verbs import traffic
from modelyard.routing.view import Traffic

__all__ = ["Traffic", "traffic"]  # `routing.replay` brings pandas: who rolls back should not wait for that
