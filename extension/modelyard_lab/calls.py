"""What to type to have something that the page shows in a cell: as a Python call, and as a magic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelyard.catalog import Kind


def calls(kind: Kind, name: str, payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the call and the magic, under ``python`` and ``magic``."""
    quoted = json.dumps(name)
    if kind == "evaluation":
        cv = str(payload.get("cv", "stratified:5"))
        return {
            "python": f"modelyard.cross_validate(model, X, y, cv={json.dumps(cv)})",
            "magic": f"%cv model X y --cv {cv}",
        }
    if kind == "study":
        return {
            "python": f"modelyard.tune(model, X, y, name={quoted}, resume=True)",
            "magic": f"%tune model X y --name {name} --resume",
        }
    if kind == "compression":
        return {
            "python": f"modelyard.compress(model, X, y, name={quoted}, resume=True)",
            "magic": f"%compress model X y --name {name} --resume",
        }
    if kind == "bundle":
        return {"python": f"modelyard.bundle({quoted})", "magic": f"%deploy {name} --to local"}
    return {"python": f"modelyard.deployment({quoted})", "magic": f"%traffic {name}"}
