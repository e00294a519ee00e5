"""What is measured: a scaler and a forest of 200 trees on the breast cancer table, deployed to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import modelyard
from _measure.peers import Peer
from modelyard.catalog import open_yard
from modelyard.targets.protocol import make_target
from modelyard_router.policy import POLICY

CONNECTIONS = 8
DIFFERENT = 64  # bodies per size, so that nothing is measured on one lucky row


def packaged(seed: int = 0) -> tuple[Any, Any, Any]:
    """Return the fitted pipeline, its table and its bundle, the next version of ``forest``.

    Another seed makes another model that is as expensive.
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(200, random_state=seed)).fit(X, y)
    return model, X, modelyard.package(model, X, y, name="forest")


@contextmanager
def endpoint(
    bundle: Any, name: str, workers: int, requests: dict[int, list[bytes]], called: str = "modelyard"
) -> Iterator[Peer]:
    """Deploy to this machine, with everything on, until the block ends."""
    deployment = modelyard.deploy(bundle, to="local", name=name, workers=workers)
    try:
        port = int(deployment.url.rpartition(":")[2])
        bearer = {"authorization": f"Bearer {deployment.token}"}
        yield Peer(called, port, "/predict", requests, lambda a: a["predictions"], bearer)
    finally:
        deployment.remove()


@contextmanager
def unrouted(bundle: Any, name: str, requests: dict[int, list[bytes]]) -> Iterator[Peer]:
    """Deploy likewise, take the policy away, and start the same command again: then nothing is routed.

    Token, counters and prediction log stay as they are.
    """
    with endpoint(bundle, name, 1, requests, name) as peer:
        record = open_yard().get("deployment", name).payload
        target, state = make_target(record["target"], {}), record["state"]
        target.stop(state)
        Path(state["folder"], POLICY).unlink()
        target.start(state)
        yield peer


def folder_of(name: str) -> Path:
    """Return the folder of a deployment, whose name all its processes bear in their environment."""
    return open_yard().deployment_folder(name)
