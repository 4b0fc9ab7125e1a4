"""Files that are too large for a page: they are streamed by routes of our own, behind the gate as everything is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dashtrade.app import App
from dashtrade.domain.access import Permission, may
from dashtrade.domain.alert_fields import read_moment
from dashtrade.domain.values import Malformed, Symbol
from dashtrade.services import export, scope, sessions, trade_files
from dashtrade.services.bots import Refusal
from dashtrade.tables.people import User
from dashtrade.ui.forms import sentence
from dashtrade.ui.gate import token_of
from dashtrade.ui.words import EXITS

MY_DATA, ALL_TRADES = "/files/my-data.zip", "/files/all-trades.csv"
MY_TRADES, MY_TRIPS = "/files/trades.csv", "/files/round-trips"  # below it: closed, open


def routes(app: App) -> list[Route]:
    return [
        Route(MY_DATA, _door(app, Permission.TRADE, _my_data), methods=["GET"]),
        Route(MY_TRADES, _door(app, Permission.TRADE, _my_trades), methods=["GET"]),
        Route(f"{MY_TRIPS}/{{which}}", _door(app, Permission.TRADE, _my_trips), methods=["GET"]),
        Route(ALL_TRADES, _door(app, Permission.SEE_ALL_TRADES, _all_trades), methods=["GET"]),
    ]


def _door(app: App, needs: Permission, make: Callable[[App, User, Request], Response]) -> Any:
    async def open_door(request: Request) -> Response:
        user = await run_in_threadpool(sessions.find, app, token_of(request))
        if user is None or not may(user.role, needs):
            return PlainTextResponse("Your role does not allow this.\n", 403)
        try:
            answer = await run_in_threadpool(make, app, user, request)
        except (Refusal, Malformed) as error:
            return PlainTextResponse(f"{sentence(error.message)} {error.hint}\n", 409)
        answer.headers["cache-control"] = "no-store"
        return answer

    return open_door


def _my_data(app: App, user: User, request: Request) -> Response:
    address = request.client.host if request.client else ""
    return _file(export.own_data(app, user, address), "application/zip", "dashtrade-data.zip")


def _my_trades(app: App, user: User, request: Request) -> Response:
    given = dict(request.query_params)
    side = given.get("side")
    found = wanted_of_mine(app, user, given) | {"action": side if side in ("buy", "sell") else None}
    return _file(trade_files.fills(app, user, found), "text/csv", "fills.csv")


def _my_trips(app: App, user: User, request: Request) -> Response:
    given, is_open = dict(request.query_params), request.path_params["which"] == "open"
    side, reason = given.get("side"), given.get("reason")
    found = wanted_of_mine(app, user, given) | {
        "open": is_open, "side": side if side in ("long", "short") else None, "exit_reason": reason if reason in EXITS and not is_open else None,
    }  # fmt: skip
    return _file(trade_files.round_trips(app, user, found, EXITS), "text/csv", f"{'open' if is_open else 'round'}-trips.csv")


def wanted_of_mine(app: App, user: User, given: dict[str, str]) -> dict[str, Any]:
    """The filters of one's own trades, as they stand in an address; days are told as moments."""
    bot = given.get("bot", "")
    return {
        "symbols": trade_files.symbols_of(given.get("symbols", "")),
        "bot_id": int(bot) if bot.isascii() and bot.isdigit() and len(bot) < 19 else None,
        "since": read_moment(given["since"], "since") if given.get("since") else None,
        "until": read_moment(given["until"], "until") if given.get("until") else None,
        "scope": scope.of_user(app, user, given["scope"]) if given.get("scope") else None,
    }


def _all_trades(app: App, user: User, request: Request) -> Response:
    return _file(export.all_trades(app, wanted(dict(request.query_params))), "text/csv", "all-trades.csv")


def wanted(given: dict[str, str]) -> dict[str, Any]:
    """The filters of everybody's trades, as they stand in an address."""
    number = given.get("of_user", "")
    return {
        "user_id": int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None,
        "symbol": Symbol.parse(given["symbol"]) if given.get("symbol") else None,
        "action": given["action"] if given.get("action") in ("buy", "sell") else None,
    }


def _file(chunks: Any, kind: str, name: str) -> Response:
    return StreamingResponse(chunks, media_type=kind, headers={"content-disposition": f"attachment; filename={name}"})
