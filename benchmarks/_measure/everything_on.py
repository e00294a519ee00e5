"""Proof that nothing was switched off for the sake of a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from _measure.peers import Peer, client


def everything_on(peer: Peer, folder: Path, rows: int) -> dict[str, bool]:
    """Say what `peer` does besides predicting; `rows` is how many it has predicted at least."""
    (body, *_) = peer.requests[1]
    broken = json.loads(body)
    broken["rows"][0].popitem()
    headers = {"content-type": "application/json", **peer.headers}
    with client(peer.port) as asking:
        return {
            "token": asking.post(peer.path, content=body).status_code == 401,
            "contract": asking.post(peer.path, json=broken, headers=headers).status_code == 422,
            "metrics": _rows(asking.get("/metrics", headers=headers).text) >= rows,
            "prediction_log": _logged(folder) > 0,
        }


def _rows(text: str) -> float:
    found: list[Any] = [line for line in text.splitlines() if line.startswith("modelyard_rows_total")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _logged(folder: Path) -> int:
    """Return how many bytes of answers the deployment has logged."""
    return sum(path.stat().st_size for path in folder.rglob("predictions/*.jsonl"))
