"""The least that ``bentoml serve`` can serve."""

from __future__ import annotations

import bentoml


@bentoml.service(workers=1)
class Empty:
    @bentoml.api
    def ping(self) -> str:
        return "pong"
