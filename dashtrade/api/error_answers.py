"""Every error as an answer: what happened, where, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bot_database import DatabaseUnavailable
from dashtrade.api.answers import Answer, ApiError, response_of
from dashtrade.api.http import note_refusal
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import Malformed, as_sentence
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Denied

log = logging.getLogger("dashtrade.api")


def handle_errors(flask: Flask) -> None:
    """Every error becomes JSON that says what happened and what to do."""
    flask.register_error_handler(Exception, _response)


def _response(error: Exception) -> Response:
    action = audit_action(error)
    if action is not None:
        note_refusal(g.get("user"), action)
    return response_of(answer_to(error, f"{request.method} {request.path}"))


def audit_action(error: Exception) -> AuditAction | None:
    """What of it is noted in the audit log."""
    if isinstance(error, ApiError) and error.status == 429:
        return AuditAction.THROTTLED
    return AuditAction.REFUSED if isinstance(error, Forbidden) else None


def answer_to(error: Exception, place: str) -> Answer:
    for kind in type(error).__mro__:
        if kind in _ANSWERS:
            return _ANSWERS[kind](error)
    log.error("a request failed with an unexpected error: %s", place, exc_info=error)
    return _error(
        500,
        "internal",
        "Unexpected error in DashTrade; details are in the log.",
        "Try again; if the error stays, check the log.",
    )


def _error(
    status: int, error: str, message: str, hint: str, headers: dict[str, str] | None = None, **more: Any
) -> Answer:
    body = {"error": error, "message": message, "hint": hint} | more
    return Answer(status=status, body=body, headers=headers or {})


def _api_error(error: ApiError) -> Answer:
    return Answer(status=error.status, body=error.body, headers=error.headers)


def _malformed(error: Malformed) -> Answer:
    return _error(400, "bad_request", as_sentence(error.message), error.hint, field=error.where)


def _not_found(error: NotFound) -> Answer:
    return _error(404, "not_found", as_sentence(error.message), error.hint)


def _refusal(error: Refusal) -> Answer:
    return _error(409, "conflict", as_sentence(error.message), error.hint)


def _forbidden(error: Forbidden) -> Answer:
    return _error(403, "forbidden", as_sentence(error.message), error.hint)


def _sign_in_denied(error: Denied) -> Answer:
    message = as_sentence(error.message)
    if not error.retry_after:
        return _error(401, error.error, message, error.hint)
    return _error(429, "too_many_attempts", message, error.hint, {"Retry-After": str(error.retry_after)})


def _database_unavailable(error: DatabaseUnavailable) -> Answer:
    log.warning("%s", error)
    message = "The database cannot be used right now; nothing was changed."
    return _error(503, "unavailable", message, "Try again in a moment.", {"Retry-After": "2"})


def _http(error: HTTPException) -> Answer:
    status = error.code or 400
    name = (error.name or "error").lower().replace(" ", "_")
    headers = (
        {"Allow": ", ".join(error.valid_methods)}
        if isinstance(error, MethodNotAllowed) and error.valid_methods
        else None
    )
    message = _HTTP_WORDS.get(status, f"{error.name}.")
    return _error(status, name, message, _HTTP_HINTS.get(status, "See /api/v1/openapi.json."), headers)


_ANSWERS: dict[type, Callable[[Any], Answer]] = {
    ApiError: _api_error,
    Malformed: _malformed,
    NotFound: _not_found,
    Refusal: _refusal,
    Forbidden: _forbidden,
    Denied: _sign_in_denied,
    DatabaseUnavailable: _database_unavailable,
    HTTPException: _http,
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
