"""The contract in the words of others: JSON Schema and OpenAPI."""

from __future__ import annotations

from typing import Any

from modelyard_runtime.contract import Column, Contract


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"type": [column.type, "null"] if column.nullable else column.type}
    rejects = column.policy == "reject"
    if column.minimum is not None and rejects:
        described |= {"minimum": column.minimum, "maximum": column.maximum}
    if column.categories is not None:
        if rejects:
            described["enum"] = [*column.categories, *([None] if column.nullable else [])]
        else:
            described["examples"] = list(column.categories[:10])
    return described | {"description": f"learned: {column.learned}; policy: {column.policy}"}


def row_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one row."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {column.name: _column(column) for column in contract.columns},
        "required": list(contract.names),
        "additionalProperties": False,
    }


def request_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of a body of ``POST /predict``: rows, or columns with their data."""
    row = row_schema(contract)
    by_rows = {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "minItems": 1,
                "items": {k: v for k, v in row.items() if k != "$schema"},
            }
        },
        "required": ["rows"],
        "additionalProperties": False,
    }
    by_columns = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"enum": list(contract.names)}},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }
    return {"$schema": row["$schema"], "title": "PredictRequest", "oneOf": [by_rows, by_columns]}


_FEEDBACK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "labels": {
            "type": "array",
            "minItems": 1,
            "items": {"type": ["string", "number", "boolean", "null"]},
        },
    },
    "required": ["id", "labels"],
    "additionalProperties": False,
}


def openapi(contract: Contract, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every path that the runtime answers."""
    request = {k: v for k, v in request_schema(contract).items() if k != "$schema"}
    problem = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    answer = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "variant": {"type": "string"},
            "predictions": {"type": "array"},
            "probabilities": {"type": ["array", "null"], "items": {"type": "object"}},
            "flags": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["id", "variant", "predictions", "flags"],
    }

    def json_body(schema: dict[str, Any], says: str) -> dict[str, Any]:
        return {"description": says, "content": {"application/json": {"schema": schema}}}

    anything: dict[str, Any] = {"type": "object"}
    locked = {"401": json_body(problem, "No token, or a wrong one")}
    json_content = {"application/json": {"schema": anything}}

    def get(summary: str, content: dict[str, Any] = json_content, is_open: bool = False) -> dict[str, Any]:
        answers = {"200": {"description": summary, "content": content}}
        free = {"responses": answers, "security": []}
        return {"get": {"summary": summary, **(free if is_open else {"responses": answers | locked})}}

    def post(
        summary: str, body: dict[str, Any], answers: dict[str, Any], refusals: dict[str, str]
    ) -> dict[str, Any]:
        refused = {status: json_body(problem, says) for status, says in refusals.items()}
        asked = {"required": True, "content": {"application/json": body}}
        return {"post": {"summary": summary, "requestBody": asked, "responses": answers | refused | locked}}

    rows = {"schema": request, "example": {"rows": [example_row(contract)]}}
    wrong_rows = {
        "400": "Not JSON, or not of the shape asked for",
        "408": "The body did not arrive in time",
        "413": "More bytes than the server takes",
        "415": "A content type that is not taken",
        "422": "Rows that break the contract: row, column, value, learned",
        "503": "Too much to do; Retry-After says when to come back",
    }
    predicted = {"200": json_body(answer, "One prediction a row, in the order of the rows")}
    explained = {"200": json_body(anything, "What each column adds to the answer of each row")}
    explain = {"/explain": post("SHAP values of rows", rows, explained, wrong_rows)}
    wrong_labels = {
        "400": "Not of the shape asked for",
        "409": "This endpoint keeps no prediction log",
        "413": "More bytes than the server takes",
    }
    noted = {"202": json_body(anything, "Noted in the prediction log")}
    return {
        "openapi": "3.1.0",
        "info": {"title": manifest["name"], "version": manifest["digest"][:12]},
        "security": [{"bearer": []}],
        "paths": {
            "/predict": post("Predict rows", rows, predicted, wrong_rows),
            **(explain if "explainer" in manifest else {}),
            "/feedback": post(
                "Labels that came later, for the rows of an answer",
                {"schema": _FEEDBACK},
                noted,
                wrong_labels,
            ),
            "/schema": get("JSON Schema of a request"),
            "/openapi.json": get("This document"),
            "/metrics": get("Prometheus metrics", {"text/plain": {"schema": {"type": "string"}}}),
            "/healthz": get("The process lives", is_open=True),
            "/readyz": get("The model is loaded", is_open=True),
        },
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def example_row(contract: Contract) -> dict[str, Any]:
    """Return a row that keeps the contract."""
    return {column.name: _example(column) for column in contract.columns}


def _example(column: Column) -> Any:
    if column.categories:
        return column.categories[0]
    if column.minimum is not None:
        return int(column.minimum) if column.type == "integer" else column.minimum
    return {"number": 0.0, "integer": 0, "boolean": False, "string": ""}[column.type]
