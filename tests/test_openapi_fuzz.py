"""schemathesis sends what the endpoint's own OpenAPI document allows, and what it does not: never a 5xx."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from test_protection import TOKEN, Endpoint, endpoint  # noqa: F401  # a fixture

OPERATIONS = (
    ("/predict", "POST"),
    ("/feedback", "POST"),
    ("/schema", "GET"),
    ("/openapi.json", "GET"),
    ("/metrics", "GET"),
    ("/healthz", "GET"),
    ("/readyz", "GET"),
)


#: Nothing in a request for a health check can be wrong: it takes neither a body nor a token.
ASKED = [
    (path, method, mode)
    for path, method in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or path not in ("/healthz", "/readyz")
]


@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_no_request_that_is_made_from_the_document_is_a_fault_of_the_server(
    endpoint: Endpoint,  # noqa: F811
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    document = schemathesis.openapi.from_url(f"{endpoint.url}/openapi.json", headers=TOKEN)
    assert {(p, m.upper()) for p in document for m in document[p]} == set(OPERATIONS)
    cases = document[path][method].as_strategy(generation_mode=mode)
    statuses = set()

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def sent(case: Any) -> None:
        found = case.call(headers=TOKEN)
        statuses.add(found.status_code)
        assert found.status_code < 500, found.text

    sent()
    assert statuses
    assert endpoint.answers()
