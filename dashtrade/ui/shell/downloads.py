"""Large files, streamed by routes of their own behind the gate.

One per user at a time, and few in total; the database query ends when the browser disconnects."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bot_database import DatabaseUnavailable
from dashtrade import limits
from dashtrade.context import App
from dashtrade.domain.access import Permission, may
from dashtrade.domain.alerts.fields import read_moment
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, as_sentence
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.operations import export
from dashtrade.services.people import sessions
from dashtrade.services.trading import scope, trade_files
from dashtrade.ui.kit.format import EXITS
from dashtrade.ui.shell.middleware import database_unavailable, token_of

MY_DATA, ALL_TRADES = "/files/my-data.zip", "/files/all-trades.csv"
MY_TRADES, MY_TRIPS = "/files/trades.csv", "/files/round-trips"  # the address continues with closed or open


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    pieces: Generator[Any, None, None]
    kind: str
    name: str


def routes(app: App) -> list[Route]:
    places = limits.exports()
    return [
        Route(MY_DATA, DownloadRoute(app, Permission.TRADE, _my_data, places), methods=["GET"]),
        Route(MY_TRADES, DownloadRoute(app, Permission.TRADE, _my_trades, places), methods=["GET"]),
        Route(
            f"{MY_TRIPS}/{{which}}", DownloadRoute(app, Permission.TRADE, _my_trips, places), methods=["GET"]
        ),
        Route(
            ALL_TRADES, DownloadRoute(app, Permission.SEE_ALL_TRADES, _all_trades, places), methods=["GET"]
        ),
    ]


class DownloadRoute:
    """The route of one file."""

    def __init__(
        self,
        app: App,
        needs: Permission,
        make: Callable[[App, User, Request], File],
        places: limits.ConcurrencyLimit,
    ) -> None:
        self.app, self.needs, self.make, self.places = app, needs, make, places

    def _note(self, action: AuditAction, user: User | None, request: Request) -> None:
        about: dict[str, Any] = {"actor": user.id, "who": user.email} if user else {}
        place, address = f"GET {request.url.path}", request.client.host if request.client else ""
        self.app.notes.note(action, reason=place, address=address, **about)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            user = await run_in_threadpool(sessions.find, self.app, token_of(request))
        except DatabaseUnavailable:
            return await database_unavailable()(scope, receive, send)
        if user is None or not may(user.role, self.needs):
            self._note(AuditAction.REFUSED, user, request)
            return await _words("Your role does not allow this.", 403)(scope, receive, send)
        if user.second_factor_due:
            return await _words(
                "This installation requires two-factor authentication: set it up in the dashboard first.", 403
            )(scope, receive, send)
        with self.places.place(user.id) as free:
            if not free:
                self._note(AuditAction.THROTTLED, user, request)
                return await _words(BUSY, 429, {"retry-after": "10"})(scope, receive, send)
            try:
                file = await run_in_threadpool(self.make, self.app, user, request)
            except (Refusal, Malformed) as error:
                return await _words(f"{as_sentence(error.message)} {error.hint}", 409)(scope, receive, send)
            # an error before the first piece; a later one truncates the file
            except DatabaseUnavailable:
                return await database_unavailable()(scope, receive, send)
            headers = {
                "content-disposition": f"attachment; filename={file.name}",
                "cache-control": "no-store",
            }
            try:
                await StreamingResponse(file.pieces, media_type=file.kind, headers=headers)(
                    scope, receive, send
                )
            finally:
                with anyio.CancelScope(shield=True):
                    await run_in_threadpool(file.pieces.close)


BUSY = (
    "Another export is running. Wait until it is complete, then try again: each user can run one, and "
    "four run at a time."
)


def _words(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"cache-control": "no-store", **(headers or {})})


def _my_data(app: App, user: User, request: Request) -> File:
    address = request.client.host if request.client else ""
    return File(pieces=export.own_data(app, user, address), kind="application/zip", name="dashtrade-data.zip")


def _my_trades(app: App, user: User, request: Request) -> File:
    given = dict(request.query_params)
    side = given.get("side")
    found = own_filters(app, user, given) | {"action": side if side in ("buy", "sell") else None}
    return File(pieces=trade_files.fills(app, user, found), kind="text/csv", name="fills.csv")


def _my_trips(app: App, user: User, request: Request) -> File:
    given, is_open = dict(request.query_params), request.path_params["which"] == "open"
    side, reason = given.get("side"), given.get("reason")
    found = own_filters(app, user, given) | {
        "open": is_open,
        "side": side if side in ("long", "short") else None,
        "exit_reason": reason if reason in EXITS and not is_open else None,
    }
    name = f"{'open' if is_open else 'round'}-trips.csv"
    return File(pieces=trade_files.round_trips(app, user, found, EXITS), kind="text/csv", name=name)


def own_filters(app: App, user: User, given: dict[str, str]) -> dict[str, Any]:
    """The filters of the user's trades in an address; days become times."""
    bot = given.get("bot", "")
    return {
        "symbols": trade_files.symbols_of(given.get("symbols", "")),
        "bot_id": int(bot) if bot.isascii() and bot.isdigit() and len(bot) < 19 else None,
        "since": read_moment(given["since"], "since") if given.get("since") else None,
        "until": read_moment(given["until"], "until") if given.get("until") else None,
        "scope": scope.of_user(app, user, given["scope"]) if given.get("scope") else None,
    }


def _all_trades(app: App, user: User, request: Request) -> File:
    return File(
        pieces=export.all_trades(app, admin_filters(dict(request.query_params))),
        kind="text/csv",
        name="all-trades.csv",
    )


def admin_filters(given: dict[str, str]) -> dict[str, Any]:
    """The filters of all users' trades in an address."""
    number = given.get("of_user", "")
    return {
        "user_id": int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None,
        "symbol": Symbol.parse(given["symbol"]) if given.get("symbol") else None,
        "action": given["action"] if given.get("action") in ("buy", "sell") else None,
    }
