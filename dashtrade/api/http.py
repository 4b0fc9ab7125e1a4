"""What every endpoint shares: reading what was sent, saying what is wrong, and describing itself for OpenAPI.

An endpoint is a function with a decorator; the decorator's arguments are its documentation and its
validation."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any

import pydantic
from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bot_database import DatabaseAway
from dashtrade.context import App
from dashtrade.domain.access import Permission, TokenScope, may
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.http_headers import DATA, strict_transport
from dashtrade.limits import Rate, ReceiverLimits, network_of
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.people import users
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Access, Denied

log = logging.getLogger("dashtrade.api")
MAX_ID = 2**62
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
PAGE, MOST = 50, 500
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Body(pydantic.BaseModel):
    """What a request may hold. Unknown fields are refused: a misspelt one must not be passed over."""

    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=4000)


class Answer(Exception):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """For the OpenAPI description."""

    method: str
    path: str
    summary: str
    open: bool
    body: type[Body] | None
    query: type[Body] | None
    status: int
    scopes: frozenset[TokenScope]


ENDPOINTS: dict[tuple[str, str], Endpoint] = {}


def the_app() -> App:
    return current_app.config["DASHTRADE"]


def the_limits() -> ReceiverLimits:
    return current_app.config["LIMITS"]


def busy(what: str, wait: float) -> Answer:
    """Too many at once, or too many of one address."""
    seconds = max(round(wait), 1)
    return Answer(
        429,
        "too_many_requests",
        f"Too many {what} are asked for at once.",
        f"Wait {seconds} s, then try again.",
        {"Retry-After": str(seconds)},
    )


@contextmanager
def password_turn() -> Iterator[None]:
    """Checking a password takes a third of a second of a processor: not too many at once, and not too many of
    one address."""
    limits = the_limits()
    wait = limits.passwords_of.take(network_of(client_address()))
    with limits.passwords.turn() as on:
        if wait or not on:
            raise busy("sign-ins", wait)
        yield


def csv_file(user: User, pieces: Generator[str, None, None], name: str) -> Response:
    """Sent while it is read, and one at a time: whoever reads slowly keeps a thread for as long as it
    takes."""
    held = ExitStack()
    if not held.enter_context(the_limits().exports.place(user.id)):
        raise busy("exports", 5)

    def sent() -> Iterator[str]:
        with held, closing(pieces):
            yield from pieces

    answer = Response(
        sent(), mimetype="text/csv", headers={"Content-Disposition": f"attachment; filename={name}"}
    )
    answer.call_on_close(held.close)  # one that never began to be sent has nothing that ends
    return answer


def endpoint(
    bp: Blueprint,
    method: str,
    path: str,
    *,
    body: type[Body] | None = None,
    query: type[Body] | None = None,
    needs: Permission | None = Permission.TRADE,
    open: bool = False,
    status: int = 200,
    scopes: Collection[TokenScope] = (),
) -> Callable[[Callable[..., Any]], Any]:
    """`open`: no sign-in. Else the user of the access token is the first argument; then path values, body and
    query. `scopes`: the token needs one of them; left out, what the method and the permission come to."""
    allowed = frozenset(scopes) or _usual_scopes(method, needs)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(**values: Any) -> Response:
            arguments: list[Any] = [] if open else [signed_in(needs, allowed)]
            if not open and method != "GET":
                _not_without_end(
                    arguments[0], the_limits().stops if TokenScope.STOP in allowed else the_limits().changes
                )
            if body is not None:
                arguments.append(read_body(body))
            if query is not None:
                arguments.append(_read(query, request.args.to_dict(), "query"))
            if not all(map(_may_name, values.values())):
                raise NotFound("thing")
            result = function(*arguments, **values)
            return result if isinstance(result, Response) else reply(result, status)

        full = (bp.url_prefix or "") + path
        ENDPOINTS[(method, full)] = Endpoint(
            method=method,
            path=full,
            summary=(function.__doc__ or "").strip().splitlines()[0],
            open=open,
            body=body,
            query=query,
            status=status,
            scopes=frozenset() if open else allowed,
        )
        bp.add_url_rule(path, endpoint=f"{method} {path}".replace(".", "_"), view_func=run, methods=[method])
        return run

    return decorate


def _not_without_end(user: User, rate: Rate) -> None:
    wait = rate.take(user.id)
    if wait:
        raise busy("changes", wait)


def _usual_scopes(method: str, needs: Permission | None) -> frozenset[TokenScope]:
    if needs not in (None, Permission.TRADE):
        return frozenset({TokenScope.ADMIN})
    if method == "GET":
        return frozenset({TokenScope.READ, TokenScope.TRADE})
    return frozenset({TokenScope.TRADE if needs is Permission.TRADE else TokenScope.ADMIN})


STOPPING = (TokenScope.TRADE, TokenScope.STOP)  # of what closes or pauses: it opens nothing


# --- who, and what they sent --------------------------------------------------------------------------------


def bearer() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def known_user() -> Access | None:
    """Whose access token came with the request, and what it may be used for."""
    token = bearer()
    return users.by_scoped_token(the_app(), token) if token else None


def signed_in(needs: Permission | None, scopes: Collection[TokenScope]) -> User:
    found = known_user()
    if found is None:
        raise Answer(
            401,
            "unauthorized",
            "The access token is missing, wrong or no longer valid.",
            'Sign in with POST /api/v1/auth/login and send "Authorization: Bearer TOKEN".',
            {"WWW-Authenticate": "Bearer"},
        )
    user, g.access = found.user, found
    require_scope(user, scopes)
    if needs is not None and not may(user.role, needs):
        _note_refusal(user)
        raise Answer(403, "forbidden", "Your role does not allow this.", "Ask an admin.")
    g.user = user
    return user


def require_scope(user: User, scopes: Collection[TokenScope]) -> None:
    """The token of this request has one of them, or 403."""
    if not g.access.scopes & frozenset(scopes):
        _note_refusal(user)
        if g.access.second_factor_due:
            raise Answer(
                403,
                "second_factor_required",
                "This installation requires a second factor, and you have none: until you set it up, you "
                "can close positions and stop your bots.",
                "Set it up in the dashboard, then sign in again with a code.",
            )
        has, wanted = (
            ", ".join(one for one in TokenScope if one in some) for some in (g.access.scopes, scopes)
        )
        raise Answer(
            403,
            "insufficient_scope",
            f"This access token has the scope {has}; this needs {wanted.replace(', ', ' or ')}.",
            "Make a token with that scope on the Account page, or sign in with POST /api/v1/auth/login.",
        )


def _note_refusal(user: User | None, action: str = "refused") -> None:
    app = the_app()
    about: dict[str, Any] = {"actor": user.id, "who": user.email} if user else {}
    place = f"{request.method} {request.url_rule or 'an unknown address'}"
    app.notes.note(action, reason=place, address=client_address(), **about)


def client_address() -> str:
    return request.remote_addr or ""


def _may_name(value: str | int) -> bool:
    """Can it be asked for at all? Beyond this a database would refuse the question, not answer it."""
    return value < MAX_ID if isinstance(value, int) else not _UNSTORABLE.search(value)


def read_body(model: type[Body]) -> Any:
    raw = request.get_data(cache=True)
    return _read(model, read_json(raw) if raw.strip() else {}, "body")


def read_json(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Answer(
            400, "bad_request", f"The body is not valid JSON ({str(error)[:100]}).", "Send one JSON object."
        ) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refuse_unstorable(given: Any) -> None:
    """NUL and half characters: one of the two databases takes neither."""
    left = [given]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and _UNSTORABLE.search(value):
            raise Answer(
                400, "bad_request", "There is a character in it that cannot be stored.", "Send plain text."
            )


def _read(model: type[Body], given: Any, where: str) -> Any:
    if not isinstance(given, dict):
        raise Answer(
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
        raise Answer(
            400,
            "bad_request",
            f"{field}: {first['msg']}".strip(": "),
            f"The {where} may hold: {known}.",
            field=field,
        ) from None
    except TypeError:
        raise Answer(
            400, "bad_request", f"The {where} has a field name that cannot be used.", "Use plain names."
        ) from None


SCOPE = pydantic.Field(
    None,
    max_length=40,
    description="live, paper, or the id of one account. Left out, totals are of live money where there is "
    "a live account, else of paper; lists hold everything. Live and paper are never added up.",
)


# --- lists --------------------------------------------------------------------------------------------------


class Page(Body):
    cursor: str | None = pydantic.Field(None, max_length=200)
    limit: int = pydantic.Field(PAGE, ge=1, le=MOST)


def page(
    items: list[Any], limit: int, cursor_of: Callable[[Any], str], view: Callable[[Any], Any]
) -> dict[str, Any]:
    """One was asked for more than is shown: that tells whether there is a next page."""
    shown = items[:limit]
    return {
        "items": [view(item) for item in shown],
        "next_cursor": cursor_of(shown[-1]) if len(items) > limit else None,
    }


def number_cursor(cursor: str | None) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise Answer(
            400,
            "bad_request",
            "The cursor is not one of ours.",
            "Take next_cursor from the page before.",
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
        raise Answer(
            400,
            "bad_request",
            f"{where} is not a time: {text[:40]!r}.",
            "Write it as 2026-01-31 or 2026-01-31T09:30:00Z.",
            field=where,
        ) from None


def read_end(text: str | None, where: str) -> datetime | None:
    """A moment; a day alone is meant to its end."""
    moment = read_moment(text, where)
    return (
        moment + timedelta(days=1)
        if text and moment and moment.year < 9999 and re.fullmatch(r"\d{4}-?\d\d-?\d\d", text)
        else moment
    )


def read_day(text: str | None, where: str) -> date | None:
    moment = read_moment(text, where)
    return moment.date() if moment else None


# --- headers ------------------------------------------------------------------------------------------------


def tell_browsers(answer: Response) -> Response:
    """With every answer: tokens stand in some of them, and what an API sends is no page."""
    for name, value in DATA:
        answer.headers.setdefault(name, value)
    transport = strict_transport(request.scheme, request.host, the_app().settings.public_url)
    if transport:
        answer.headers["Strict-Transport-Security"] = transport
    return answer


# --- errors -------------------------------------------------------------------------------------------------


def handle_errors(flask: Flask) -> None:
    """Whatever goes wrong, the answer is JSON that says what happened and what to do."""

    @flask.errorhandler(Answer)
    def _answer(error: Answer) -> Response:
        if error.status == 429:
            _note_refusal(g.get("user"), "throttled")
        return reply(error.body, error.status, error.headers)

    @flask.errorhandler(Malformed)
    def _malformed(error: Malformed) -> Response:
        return reply(
            {
                "error": "bad_request",
                "message": _sentence(error.message),
                "hint": error.hint,
                "field": error.where,
            },
            400,
        )

    @flask.errorhandler(NotFound)
    def _not_found(error: NotFound) -> Response:
        return reply({"error": "not_found", "message": _sentence(error.message), "hint": error.hint}, 404)

    @flask.errorhandler(Refusal)
    def _refusal(error: Refusal) -> Response:
        return reply({"error": "conflict", "message": _sentence(error.message), "hint": error.hint}, 409)

    @flask.errorhandler(Forbidden)
    def _forbidden(error: Forbidden) -> Response:
        _note_refusal(g.get("user"))
        return reply({"error": "forbidden", "message": _sentence(error.message), "hint": error.hint}, 403)

    @flask.errorhandler(Denied)
    def _denied(error: Denied) -> Response:
        body = {
            "error": "too_many_attempts" if error.retry_after else error.error,
            "message": _sentence(error.message),
            "hint": error.hint,
        }
        return reply(
            body,
            429 if error.retry_after else 401,
            {"Retry-After": str(error.retry_after)} if error.retry_after else None,
        )

    @flask.errorhandler(DatabaseAway)
    def _away(error: DatabaseAway) -> Response:
        log.warning("%s", error)
        body = {
            "error": "unavailable",
            "message": "The database cannot be used right now; nothing was changed.",
            "hint": "Try again in a moment.",
        }
        return reply(body, 503, {"Retry-After": "2"})

    @flask.errorhandler(HTTPException)
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

    @flask.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        log.exception("a request failed in an unforeseen way: %s %s", request.method, request.path)
        body = {
            "error": "internal",
            "message": "Something went wrong on our side; it was logged.",
            "hint": "Try again; if it stays, look into the log.",
        }
        return reply(body, 500)


_HTTP_WORDS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is larger than 64 KiB.",
}
_HTTP_HINTS = {
    404: "Check the address; all of them are listed in /api/v1/openapi.json.",
    405: "Use another method; all of them are listed in /api/v1/openapi.json.",
    413: "Send less than 64 KiB.",
}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
