"""What an image runs: SageMaker starts it with the one word ``serve``."""

from __future__ import annotations

import argparse
import os

import uvicorn

#: Where SageMaker wants it to listen, if it wants it elsewhere than usual.
PORT = "SAGEMAKER_BIND_TO_PORT"

_USUAL_PORT = 8080


def main() -> None:
    """Serve, until somebody ends it."""
    parser = argparse.ArgumentParser(
        prog="modelyard_sagemaker", description="Serve a bundle to Amazon SageMaker."
    )
    parser.add_argument("command", choices=("serve", "train"))
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen at")
    parser.add_argument("--port", type=int, default=int(os.environ.get(PORT, _USUAL_PORT)))
    asked = parser.parse_args()
    if asked.command == "train":
        parser.exit(2, "this image serves a model that was trained before; start it with: serve\n")
    uvicorn.run(
        "modelyard_sagemaker.door:application",
        factory=True,
        host=asked.host,
        port=asked.port,
        access_log=False,
    )


if __name__ == "__main__":
    main()
