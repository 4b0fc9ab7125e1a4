"""Every error as a response: what happened, where, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bot_database import DatabaseUnavailable
from dashtrade.api.answers import ApiError, reply
from dashtrade.api.http import note_refusal
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import Malformed, as_sentence
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Denied

log = logging.getLogger("dashtrade.api")


def handle_errors(flask: Flask) -> None:
    """Every error becomes JSON that says what happened and what to do."""
    for kind, handler in HANDLERS.items():
        flask.register_error_handler(kind, handler)


def _api_error(error: ApiError) -> Response:
    if error.status == 429:
        note_refusal(g.get("user"), AuditAction.THROTTLED)
    return reply(error.body, error.status, error.headers)


def _malformed(error: Malformed) -> Response:
    return reply(
        {
            "error": "bad_request",
            "message": as_sentence(error.message),
            "hint": error.hint,
            "field": error.where,
        },
        400,
    )


def _not_found(error: NotFound) -> Response:
    return reply({"error": "not_found", "message": as_sentence(error.message), "hint": error.hint}, 404)


def _refusal(error: Refusal) -> Response:
    return reply({"error": "conflict", "message": as_sentence(error.message), "hint": error.hint}, 409)


def _forbidden(error: Forbidden) -> Response:
    note_refusal(g.get("user"))
    return reply({"error": "forbidden", "message": as_sentence(error.message), "hint": error.hint}, 403)


def _sign_in_denied(error: Denied) -> Response:
    body = {
        "error": "too_many_attempts" if error.retry_after else error.error,
        "message": as_sentence(error.message),
        "hint": error.hint,
    }
    return reply(
        body,
        429 if error.retry_after else 401,
        {"Retry-After": str(error.retry_after)} if error.retry_after else None,
    )


def _database_unavailable(error: DatabaseUnavailable) -> Response:
    log.warning("%s", error)
    body = {
        "error": "unavailable",
        "message": "The database cannot be used right now; nothing was changed.",
        "hint": "Try again in a moment.",
    }
    return reply(body, 503, {"Retry-After": "2"})


def _http(error: HTTPException) -> Response:
    status = error.code or 400
    name = (error.name or "error").lower().replace(" ", "_")
    headers = (
        {"Allow": ", ".join(error.valid_methods)}
        if isinstance(error, MethodNotAllowed) and error.valid_methods
        else None
    )
    return reply(
        {
            "error": name,
            "message": _HTTP_WORDS.get(status, f"{error.name}."),
            "hint": _HTTP_HINTS.get(status, "See /api/v1/openapi.json."),
        },
        status,
        headers,
    )


def _unexpected(error: Exception) -> Response:
    log.exception("a request failed with an unexpected error: %s %s", request.method, request.path)
    body = {
        "error": "internal",
        "message": "Unexpected error in DashTrade; details are in the log.",
        "hint": "Try again; if the error stays, check the log.",
    }
    return reply(body, 500)


HANDLERS: dict[type[Exception], Callable[[Any], Response]] = {
    ApiError: _api_error,
    Malformed: _malformed,
    NotFound: _not_found,
    Refusal: _refusal,
    Forbidden: _forbidden,
    Denied: _sign_in_denied,
    DatabaseUnavailable: _database_unavailable,
    HTTPException: _http,
    Exception: _unexpected,
}

_HTTP_WORDS = {
    404: "No such address.",
    405: "This address does not support this method.",
    413: "The body is larger than 64 KiB.",
}

_HTTP_HINTS = {
    404: "Check the address; all of them are listed in /api/v1/openapi.json.",
    405: "Use another method; all of them are listed in /api/v1/openapi.json.",
    413: "Send less than 64 KiB.",
}
