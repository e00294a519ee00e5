"""What travels in every bundle: load, check, predict, answer. It needs neither modelyard nor Jupyter."""
