"""Responses of the API, and the base of request bodies."""

from __future__ import annotations

import json
from typing import Any

import pydantic
from flask import Response

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Body(pydantic.BaseModel):
    """A request body or query. Unknown fields are refused, so that a misspelt one is not ignored."""

    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=4000)


class ApiError(Exception):
    """An error as the client sees it."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"error": error, "message": message, "hint": hint} | more


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_ENCODE(body), status=status, mimetype="application/json", headers=headers)
