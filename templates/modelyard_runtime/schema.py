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
    example = {"rows": [example_row(contract)]}
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

    def get(summary: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
        responses = {"200": {"description": summary, "content": content}}
        return {"get": {"summary": summary, "responses": responses | more.pop("responses", {}), **more}}

    json_content = {"application/json": {"schema": anything}}
    return {
        "openapi": "3.1.0",
        "info": {"title": manifest["name"], "version": manifest["digest"][:12]},
        "security": [{"bearer": []}],
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Predict rows",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": request, "example": example}},
                    },
                    "responses": {
                        "200": json_body(answer, "One prediction a row, in the order of the rows"),
                        "400": json_body(problem, "Not JSON, or not of the shape asked for"),
                        "408": json_body(problem, "The body did not arrive in time"),
                        "413": json_body(problem, "More bytes than the server takes"),
                        "415": json_body(problem, "A content type that is not taken"),
                        "422": json_body(
                            problem, "Rows that break the contract: row, column, value, learned"
                        ),
                        "503": json_body(problem, "Too much to do; Retry-After says when to come back"),
                        **locked,
                    },
                }
            },
            "/feedback": {
                "post": {
                    "summary": "Labels that came later, for the rows of an answer",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _FEEDBACK}},
                    },
                    "responses": {
                        "202": json_body(anything, "Noted in the prediction log"),
                        "400": json_body(problem, "Not of the shape asked for"),
                        "409": json_body(problem, "This endpoint keeps no prediction log"),
                        "413": json_body(problem, "More bytes than the server takes"),
                        **locked,
                    },
                }
            },
            "/schema": get("JSON Schema of a request", json_content, responses=locked),
            "/openapi.json": get("This document", json_content, responses=locked),
            "/metrics": get(
                "Prometheus metrics", {"text/plain": {"schema": {"type": "string"}}}, responses=locked
            ),
            "/healthz": get("The process lives", json_content, security=[]),
            "/readyz": get("The model is loaded", json_content, security=[]),
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
