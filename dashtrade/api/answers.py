"""Responses of the API, and the base of request bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, whichever server sends it."""

    status: int = 200
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def encoded(self) -> bytes:
        return _ENCODE(self.body).encode()


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return response_of(Answer(body=body, status=status, headers=headers or {}))


def response_of(answer: Answer) -> Response:
    """As Flask sends it."""
    return Response(
        answer.encoded, status=answer.status, mimetype="application/json", headers=dict(answer.headers)
    )
