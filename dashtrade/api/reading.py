"""Validation of input: bodies, queries, cursors and times. Errors name the invalid field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pydantic
from flask import request

from dashtrade.api.answers import ApiError, Body

MAX_ID = 2**62

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

PAGE, MOST = 50, 500


def may_name(value: str | int) -> bool:
    """Whether the database can look this value up. Others would raise an error there."""
    return value < MAX_ID if isinstance(value, int) else not _UNSTORABLE.search(value)


def read_body(model: type[Body]) -> Any:
    raw = request.get_data(cache=True)
    return read_model(model, read_json(raw) if raw.strip() else {}, "body")


def read_json(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(
            400, "bad_request", f"The body is not valid JSON ({str(error)[:100]}).", "Send one JSON object."
        ) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refuse_unstorable(given: Any) -> None:
    """NUL and lone surrogates: PostgreSQL or SQLite rejects them."""
    left = [given]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and _UNSTORABLE.search(value):
            raise ApiError(
                400,
                "bad_request",
                "The request contains a character that cannot be stored.",
                "Send plain text.",
            )


def read_model(model: type[Body], given: Any, where: str) -> Any:
    if not isinstance(given, dict):
        raise ApiError(
            400,
            "bad_request",
            f"The {where} is not a JSON object.",
            'Send an object such as {"name": "value"}.',
        )
    _refuse_unstorable(given)
    try:
        return model(**given)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        known = ", ".join(about.alias or name for name, about in model.model_fields.items())
        raise ApiError(
            400,
            "bad_request",
            f"{field}: {first['msg']}".strip(": "),
            f"The {where} may contain: {known}.",
            field=field,
        ) from None
    except TypeError:
        raise ApiError(
            400, "bad_request", f"The {where} has a field name that cannot be used.", "Use plain names."
        ) from None


# --- lists --------------------------------------------------------------------------------------------------


class PageQuery(Body):
    cursor: str | None = pydantic.Field(None, max_length=200)
    limit: int = pydantic.Field(PAGE, ge=1, le=MOST)


def page(
    items: list[Any], limit: int, cursor_of: Callable[[Any], str], view: Callable[[Any], Any]
) -> dict[str, Any]:
    """`items` has one more than `limit` if there is a next page."""
    shown = items[:limit]
    return {
        "items": [view(item) for item in shown],
        "next_cursor": cursor_of(shown[-1]) if len(items) > limit else None,
    }


def number_cursor(cursor: str | None) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise ApiError(
            400,
            "bad_request",
            "The cursor is invalid.",
            "Use next_cursor from the previous page.",
            field="cursor",
        )
    return int(cursor)


def read_moment(text: str | None, where: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ApiError(
            400,
            "bad_request",
            f"{where} is not a time: {text[:40]!r}.",
            "Write it as 2026-01-31 or 2026-01-31T09:30:00Z.",
            field=where,
        ) from None


def read_end(text: str | None, where: str) -> datetime | None:
    """A time; a date alone means the end of that day."""
    moment = read_moment(text, where)
    return (
        moment + timedelta(days=1)
        if text and moment and moment.year < 9999 and re.fullmatch(r"\d{4}-?\d\d-?\d\d", text)
        else moment
    )


def read_day(text: str | None, where: str) -> date | None:
    moment = read_moment(text, where)
    return moment.date() if moment else None
