"""Parsing of sign-in requests, and their cookies."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dashtrade.ui.shell.middleware import MAX_FORM_BYTES
from dashtrade.ui.shell.runtime import DEVICE_COOKIE, PREFIX, cookie_of


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a sign-in form. A longer body than any form's is refused unread."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_FORM_BYTES:
        raise ClientDisconnect
    try:
        return dict(
            parse_qsl(
                (await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20
            )
        )
    except ValueError:  # too many fields
        raise ClientDisconnect from None


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def device_of(request: Request) -> str:
    return cookie_of(request.cookies, DEVICE_COOKIE) or ""


def set_cookie(request: Request, answer: Response, name: str, value: str, age: int | None) -> None:
    secure = request.scope["scheme"] == "https"
    answer.set_cookie(
        PREFIX * secure + name, value, max_age=age, httponly=True, samesite="lax", secure=secure, path="/"
    )
