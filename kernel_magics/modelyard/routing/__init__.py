"""Several bundles behind one endpoint: who answers how much, whether the candidate is better, and what would differ."""

from modelyard.routing.replay import Replay, replay
from modelyard.routing.verbs import traffic
from modelyard.routing.view import Traffic

__all__ = ["Replay", "Traffic", "replay", "traffic"]
