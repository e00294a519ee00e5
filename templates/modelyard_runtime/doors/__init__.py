"""Ways to serve the predictor, each a thin door; what a door needs beside the core stands in its lock."""

#: The environment's name for the folder of a deployment that may serve several bundles; their router is in it.
ROUTER = "MODELYARD_ROUTER"
ROUTER_FOLDER = "router"
