"""Bots: their settings and positions."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from bot_engine import Conflict, NoBot
from dashtrade.api.answers import ApiError, Body
from dashtrade.api.http import STOP_SCOPES, endpoint, get_app
from dashtrade.api.reading import PageQuery, number_cursor, page
from dashtrade.api.signal_fields import outcome_fields
from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.wording import ExitLine, exit_lines, exit_words, exits_in_words, holder_words
from dashtrade.domain.people import User
from dashtrade.domain.values import iso, plain
from dashtrade.domain.wording import words
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.accounts.prices import BotHolding
from dashtrade.services.bots import bots as service
from dashtrade.services.bots import spec
from dashtrade.services.bots.owned import bots_of
from dashtrade.services.bots.settings import shown_settings
from dashtrade.services.trading import exits as exit_service
from dashtrade.services.trading import signal_story

bp = Blueprint("bots", __name__, url_prefix="/api/v1")

# Every setting of a bot as free input: the service parses it and reports errors.
BotFields = pydantic.create_model(  # type: ignore[call-overload]
    "BotFields",
    __base__=Body,
    **{
        setting.name: (setting.accepts, pydantic.Field(None, description=setting.description))
        for setting in spec.SETTINGS
    },
)


class ExitChanges(Body):
    """Fields left out stay as they are; null removes. Same format as in an alert: `{"stop_loss":
    {"stopPrice": "95"}}`."""

    stop_loss: Any = None
    take_profit: Any = None
    break_even: Any = None
    until: Any = None


class BotList(PageQuery):
    account_id: int | None = pydantic.Field(None, ge=1, lt=2**62)


class Closing(Body):
    request_id: str | None = pydantic.Field(None, max_length=100, pattern=r"^[\w.-]+$")


class Deletion(Body):
    position: str | None = pydantic.Field(None, pattern="^(close|hand_over)$")
    to: int | None = pydantic.Field(None, ge=1, lt=2**62)


def bot_view(held: BotHolding, kind: str) -> dict[str, Any]:
    bot = held.bot
    return {
        "id": bot.id,
        "written_symbol": bot.written_symbol,
        **shown_settings(bot),
        "is_active": bot.is_active,
        "paused_reason": words(bot.paused_reason),
        "status": bot.status,
        "position": {
            "side": str(bot.position.side),
            "quantity": plain(abs(bot.position.quantity)),
            "average_price": _maybe(bot.position.average_price),
            "unrealized_pnl": _maybe(held.unrealized),
            "mark": _maybe(held.mark),
            "prices": kind,
            "exits": exits_in_words(bot.exits),
        },
        "exits": [_exit(line, bot.time_zone) for line in exit_lines(bot.exits)],
        "realized_pnl": plain(bot.realized_pnl),
        "fees": plain(bot.fees),
        "total_pnl": plain(bot.total_pnl),
        "total_trades": bot.total_trades,
        "last_signal_at": iso(bot.last_signal_at) if bot.last_signal_at else None,
        "created_at": iso(bot.created_at),
        "updated_at": iso(bot.updated_at),
    }


def _exit(line: ExitLine, time_zone: str) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "price": _maybe(line.price),
        "share_percent": _maybe(line.share_percent),
        "quantity": _maybe(line.quantity),
        "held_by": line.held_by,
        "words": f"{exit_words(line, time_zone)} ({holder_words(line)})",
    }


def _maybe(number: Any) -> str | None:
    return plain(number) if number is not None else None


def shown_bots(user: User, bots: list[Bot]) -> list[dict[str, Any]]:
    """With the current value of their positions, or null where there is no price."""
    app = get_app()
    accounts = {account.id: account for account in accounts_of(app, user)}
    demo = {account.id for account in accounts.values() if app.brokers.feed(account).demo}
    return [
        bot_view(
            prices.holding(app, bot, accounts.get(bot.account_id)),
            "demo" if bot.account_id in demo else "live",
        )
        for bot in bots
    ]


@endpoint(bp, "GET", "/bots", query=BotList)
def list_bots(user: User, query: BotList) -> dict[str, Any]:
    """Your bots with their positions."""
    found = bots_of(
        get_app(),
        user,
        after=number_cursor(query.cursor) or 0,
        limit=query.limit + 1,
        account_id=query.account_id,
    )
    views = {view["id"]: view for view in shown_bots(user, found[: query.limit])}
    return page(found, query.limit, lambda bot: str(bot.id), lambda bot: views[bot.id])


@endpoint(bp, "POST", "/bots", body=BotFields, status=201)
def add_bot(user: User, given: Body) -> dict[str, Any]:
    """Create a bot: a symbol and a timeframe on one account. `warnings` lists what could not be checked, or
    may go wrong."""
    warnings: list[str] = []
    bot_id = service.add_bot(get_app(), user, given.model_dump(exclude_unset=True), warnings.append)
    return _shown(user, bot_id) | {"warnings": warnings}


def _shown(user: User, bot_id: int) -> dict[str, Any]:
    return shown_bots(user, [service.bot_of(get_app(), user, bot_id)])[0]


@endpoint(bp, "GET", "/bots/<int:bot_id>")
def get_bot(user: User, bot_id: int) -> dict[str, Any]:
    """One bot."""
    return _shown(user, bot_id)


@endpoint(bp, "PATCH", "/bots/<int:bot_id>", body=BotFields)
def change_bot(user: User, given: Body, bot_id: int) -> dict[str, Any]:
    """Change how a bot trades. Account, symbol and timeframe cannot change, as the bot's history depends on
    them."""
    warnings: list[str] = []
    service.change_bot(get_app(), user, bot_id, given.model_dump(exclude_unset=True), warnings.append)
    return _shown(user, bot_id) | {"warnings": warnings}


@endpoint(bp, "PATCH", "/bots/<int:bot_id>/exits", body=ExitChanges)
def change_exits(user: User, given: ExitChanges, bot_id: int) -> dict[str, Any]:
    """Move the stop of an open position, set or remove its take-profits, or the time at which it is
    closed."""
    exit_service.change(get_app(), user, bot_id, given.model_dump(exclude_unset=True))
    return _shown(user, bot_id)


@endpoint(bp, "DELETE", "/bots/<int:bot_id>", query=Deletion)
def delete_bot(user: User, query: Deletion, bot_id: int) -> dict[str, Any]:
    """Delete a bot; its history stays. A position is closed first, or assigned to another bot."""
    return {
        "id": bot_id,
        "status": service.delete_bot(get_app(), user, bot_id, position=query.position, hand_to=query.to),
    }


@endpoint(bp, "POST", "/bots/<int:bot_id>/pause", scopes=STOP_SCOPES)
def pause_bot(user: User, bot_id: int) -> dict[str, Any]:
    """Stop a bot's entries at once; exits still pass."""
    service.set_active(get_app(), user, bot_id, False)
    return _shown(user, bot_id)


@endpoint(bp, "POST", "/bots/<int:bot_id>/resume")
def resume_bot(user: User, bot_id: int) -> dict[str, Any]:
    """Resume a bot."""
    service.set_active(get_app(), user, bot_id, True)
    return _shown(user, bot_id)


@endpoint(bp, "POST", "/bots/<int:bot_id>/close", body=Closing, status=202, scopes=STOP_SCOPES)
def close_bot(user: User, given: Closing, bot_id: int) -> dict[str, Any]:
    """Close the bot's position now. With a request_id, a repeated request has no effect."""
    app = get_app()
    result = service.close_bot(app, user, bot_id, request_id=given.request_id)
    if isinstance(result, (NoBot, Conflict)):
        raise ApiError(409, "conflict", result.message, "Try again.")
    outcome = signal_story.outcome(app, user.id, result.signal_id)
    return (outcome_fields(outcome) if outcome else {}) | {"duplicate": result.duplicate}
