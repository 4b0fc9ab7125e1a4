"""What all endpoints share: validation, errors, and the OpenAPI description.

An endpoint is a function with a decorator; the decorator's arguments are its documentation and its
validation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pydantic
from flask import Blueprint, Response, current_app, g, request

from dashtrade.api.answers import ApiError, Body, reply
from dashtrade.api.reading import may_name, read_body, read_model
from dashtrade.context import App
from dashtrade.domain.access import Permission, TokenScope, may
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.http_headers import DATA, strict_transport
from dashtrade.limits import Rate, ReceiverLimits, network_of
from dashtrade.services.bots.bots import NotFound
from dashtrade.services.people import tokens
from dashtrade.services.people.tokens import Access


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


def get_app() -> App:
    return current_app.config["DASHTRADE"]


def get_limits() -> ReceiverLimits:
    return current_app.config["LIMITS"]


def busy(what: str, wait: float) -> ApiError:
    """Too many requests at once, or from one address."""
    seconds = max(round(wait), 1)
    return ApiError(
        429,
        "too_many_requests",
        f"Too many {what} at once.",
        f"Wait {seconds} s, then try again.",
        {"Retry-After": str(seconds)},
    )


@contextmanager
def password_turn() -> Iterator[None]:
    """Limits password checks, in parallel and per address: each takes a third of a second of CPU."""
    limits = get_limits()
    wait = limits.passwords_of.take(network_of(client_address()))
    with limits.passwords.turn() as admitted:
        if wait or not admitted:
            raise busy("sign-ins", wait)
        yield


def csv_file(user: User, pieces: Generator[str, None, None], name: str) -> Response:
    """Streamed, with a limit on concurrent exports: a slow reader occupies a thread for as long as it
    takes."""
    place = ExitStack()
    if not place.enter_context(get_limits().exports.place(user.id)):
        raise busy("exports", 5)

    def stream() -> Iterator[str]:
        with place, closing(pieces):
            yield from pieces

    answer = Response(
        stream(), mimetype="text/csv", headers={"Content-Disposition": f"attachment; filename={name}"}
    )
    answer.call_on_close(place.close)  # if the response is never iterated, `sent` does not close
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
    """`open`: no sign-in. Otherwise the user of the access token is the first argument, followed by path
    values, body and query. `scopes`: the token needs one of them; by default derived from the method and
    the permission."""
    allowed = frozenset(scopes) or _default_scopes(method, needs)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(**values: Any) -> Response:
            arguments: list[Any] = [] if open else [signed_in(needs, allowed)]
            if not open and method != "GET":
                _check_rate(
                    arguments[0], get_limits().stops if TokenScope.STOP in allowed else get_limits().changes
                )
            if body is not None:
                arguments.append(read_body(body))
            if query is not None:
                arguments.append(read_model(query, request.args.to_dict(), "query"))
            if not all(map(may_name, values.values())):
                raise NotFound("thing")
            result = function(*arguments, **values)
            return result if isinstance(result, Response) else reply(result, status)

        full_path = (bp.url_prefix or "") + path
        ENDPOINTS[(method, full_path)] = Endpoint(
            method=method,
            path=full_path,
            summary=" ".join((function.__doc__ or "").partition("\n\n")[0].split()),
            open=open,
            body=body,
            query=query,
            status=status,
            scopes=frozenset() if open else allowed,
        )
        bp.add_url_rule(path, endpoint=f"{method} {path}".replace(".", "_"), view_func=run, methods=[method])
        return run

    return decorate


def _check_rate(user: User, rate: Rate) -> None:
    wait = rate.take(user.id)
    if wait:
        raise busy("changes", wait)


def _default_scopes(method: str, needs: Permission | None) -> frozenset[TokenScope]:
    if needs not in (None, Permission.TRADE):
        return frozenset({TokenScope.ADMIN})
    if method == "GET":
        return frozenset({TokenScope.READ, TokenScope.TRADE})
    return frozenset({TokenScope.TRADE if needs is Permission.TRADE else TokenScope.ADMIN})


WEBHOOK_HINT = "Take the webhook address from your dashboard; it ends in ?token=usr_…"

STOP_SCOPES = (TokenScope.TRADE, TokenScope.STOP)  # for closing and pausing, which open nothing

# --- user and input -----------------------------------------------------------------------------------------


def bearer() -> str | None:
    return bearer_of(request.headers.get("Authorization", ""))


def bearer_of(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def token_access() -> Access | None:
    """The user of the request's access token; the token's scopes go to `g.access`."""
    token = bearer()
    return tokens.by_scoped_token(get_app(), token) if token else None


def signed_in(needs: Permission | None, scopes: Collection[TokenScope]) -> User:
    found = token_access()
    if found is None:
        raise ApiError(
            401,
            "unauthorized",
            "The access token is missing, wrong or no longer valid.",
            'Sign in with POST /api/v1/auth/login and send "Authorization: Bearer TOKEN".',
            {"WWW-Authenticate": "Bearer"},
        )
    user, g.access = found.user, found
    require_scope(user, scopes)
    if needs is not None and not may(user.role, needs):
        note_refusal(user)
        raise ApiError(403, "forbidden", "Your role does not allow this.", "Ask an admin.")
    g.user = user
    return user


def require_scope(user: User, scopes: Collection[TokenScope]) -> None:
    """Raises 403 unless the request's token has one of the scopes."""
    if not g.access.scopes & frozenset(scopes):
        note_refusal(user)
        if g.access.second_factor_due:
            raise ApiError(
                403,
                "second_factor_required",
                "This installation requires two-factor authentication. Until you set it up, you can only "
                "close positions and stop your bots.",
                "Set up two-factor authentication in the dashboard, then sign in again with a code.",
            )
        token_scopes, needed = (
            ", ".join(one for one in TokenScope if one in scope_set)
            for scope_set in (g.access.scopes, scopes)
        )
        raise ApiError(
            403,
            "insufficient_scope",
            f"This access token has the scope {token_scopes}; this needs {needed.replace(', ', ' or ')}.",
            "Create a token with that scope on the Account page, or sign in with POST /api/v1/auth/login.",
        )


def note_refusal(user: User | None, action: AuditAction = AuditAction.REFUSED) -> None:
    app = get_app()
    about: dict[str, Any] = {"actor": user.id, "who": user.email} if user else {}
    place = f"{request.method} {request.url_rule or 'an unknown address'}"
    app.notes.note(action, reason=place, address=client_address(), **about)


def client_address() -> str:
    return request.remote_addr or ""


SCOPE = pydantic.Field(
    None,
    max_length=40,
    description="live, paper, or the id of one account. If omitted, totals are of live money where there "
    "is a "
    "live account, else of paper; lists contain everything. Live and paper are never added up.",
)

# --- headers ------------------------------------------------------------------------------------------------


def add_security_headers(answer: Response) -> Response:
    """Security headers on every response: some contain tokens, and no response is a page."""
    for name, value in DATA:
        answer.headers.setdefault(name, value)
    transport = strict_transport(request.scheme, request.host, get_app().settings.public_url)
    if transport:
        answer.headers["Strict-Transport-Security"] = transport
    return answer
