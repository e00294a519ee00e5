"""Ways to serve the predictor, each a thin door; what a door needs beside the core stands in its lock."""
