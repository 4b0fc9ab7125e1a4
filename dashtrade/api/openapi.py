"""The OpenAPI description, generated from the endpoints."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response

from dashtrade import __version__
from dashtrade.api.answers import reply
from dashtrade.api.http import ENDPOINTS, Endpoint
from dashtrade.domain.access import TokenScope

bp = Blueprint("openapi", __name__, url_prefix="/api/v1")
_ERROR = {
    "description": "What happened, and what to do.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_CODES = ("400", "401", "403", "404", "409", "429", "503")


@bp.get("/openapi.json")
def describe() -> Response:
    paths: dict[str, dict[str, Any]] = {}
    for declared in ENDPOINTS.values():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", declared.path)
        paths.setdefault(path, {})[declared.method.lower()] = _operation(declared)
    return reply(
        {
            "openapi": "3.1.0",
            "info": {"title": "DashTrade", "version": __version__},
            "paths": dict(sorted(paths.items())),
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
                "schemas": {
                    "Error": {
                        "type": "object",
                        "required": ["error", "message", "hint"],
                        "properties": {name: {"type": "string"} for name in ("error", "message", "hint")},
                    }
                },
            },
        }
    )


def _operation(declared: Endpoint) -> dict[str, Any]:
    kind = "text/csv" if declared.path.endswith(".csv") else "application/json"
    operation: dict[str, Any] = {
        "summary": declared.summary,
        "operationId": f"{declared.method.lower()}{re.sub(r'[^a-z0-9]+', '_', declared.path.lower())}".strip(
            "_"
        ),
        "responses": {
            str(declared.status): {
                "description": "Done.",
                "content": {kind: {"schema": {} if kind == "text/csv" else {"type": "object"}}},
            }
        }
        | dict.fromkeys(_CODES, _ERROR),
        "parameters": _path_parameters(declared.path) + _query_parameters(declared),
    }
    if declared.body is not None:
        operation["requestBody"] = {
            "content": {"application/json": {"schema": declared.body.model_json_schema()}}
        }
    if not declared.open:
        operation["security"] = [{"token": []}]
        operation["x-token-scopes"] = [
            scope for scope in TokenScope if scope in declared.scopes
        ]  # any of them
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 1} if kind == "int:" else {"type": "string"},
        }
        for kind, name in re.findall(r"<(int:)?(\w+)>", path)
    ]


def _query_parameters(declared: Endpoint) -> list[dict[str, Any]]:
    if declared.query is None:
        return []
    schema = declared.query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(shape)}
        | ({"description": shape["description"]} if "description" in shape else {})
        for name, shape in schema["properties"].items()
    ]


def _without_null(shape: dict[str, Any]) -> dict[str, Any]:
    """A query value is text and cannot be null."""
    choices = [choice for choice in shape.get("anyOf", []) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else shape
