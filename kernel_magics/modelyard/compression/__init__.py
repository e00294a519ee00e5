"""A model made smaller and faster: pruned, quantized or distilled, measured on rows that it has not seen."""

from modelyard.compression.clock import look_at_clock
from modelyard.compression.compressing import compress
from modelyard.compression.protocol import Asked, Recipe, Technique, techniques
from modelyard.compression.records import kept_candidates
from modelyard.compression.result import Compression

__all__ = [
    "Asked", "Compression", "Recipe", "Technique", "compress", "kept_candidates", "look_at_clock", "techniques",
]  # fmt: skip
