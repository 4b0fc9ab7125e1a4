"""Bots: create, change, pause, close, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from bot_engine import IntakeResult, Receipt
from dashtrade.context import App
from dashtrade.domain.alerts.sizes import read_part_of_position
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.bots import Bot, Sides
from dashtrade.domain.people import User
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, new_id, plain
from dashtrade.engine.exits import close_signal
from dashtrade.services.accounts import venue_check
from dashtrade.services.accounts.owned import account_of
from dashtrade.services.accounts.venue_check import Warn
from dashtrade.services.bots import spec
from dashtrade.services.bots.settings import concerns_broker, differences, read_settings
from dashtrade.services.operations import quotas
from dashtrade.services.refusals import NotFound, Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import round_trips as trip_table


def add_bot(app: App, user: User, given: Mapping[str, Any], warn: Warn = lambda what: None) -> int:
    """`warn` receives what may go wrong at the broker and what could not be checked."""
    missing = [name for name in spec.NEEDED if given.get(name) in (None, "")]
    if missing:
        raise Malformed(
            f"{missing[0]} is missing",
            where=missing[0],
            hint="A bot needs account_id, symbol, timeframe and position_size.",
        )
    settings = read_settings(given)
    symbol: Symbol = spec.BY_NAME["symbol"].read(given["symbol"])
    timeframe: Timeframe = spec.BY_NAME["timeframe"].read(given["timeframe"])
    account = account_of(app, user, spec.BY_NAME["account_id"].read(given["account_id"]))
    if not settings.name:
        settings = replace(settings, name=f"{symbol.short} {timeframe.shown}")
    if "sides" not in given and not app.brokers.capabilities(account).shorts:
        settings = replace(settings, sides=Sides.LONG)
    venue_check.warn_about_currency(symbol, warn)
    venue_check.check(app, account, symbol, settings, warn)
    with app.db.read() as conn:
        beside = table.list_page(conn, user.id, limit=500, account_id=account.id)
    venue_check.check_other_bots(app, account, symbol, [bot.symbol for bot in beside], warn)
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        quotas.claim(conn, user, quotas.BOTS, now)
        bot_id = table.add(
            conn,
            user.id,
            account.id,
            symbol=symbol,
            written_symbol=str(given["symbol"]).strip(),
            timeframe=timeframe,
            settings=settings,
            now=now,
        )
        _record(conn, user, AuditAction.BOT_ADDED, bot_id, now, {"symbol": symbol.text})
        return bot_id

    try:
        return app.db.write(work)
    except exc.IntegrityError:
        raise Refusal(
            f"the account already has a bot for {symbol.short} on {timeframe.shown}",
            "Edit that bot, or use another timeframe or account.",
        ) from None


def _record(
    conn: sa.Connection, user: User, action: AuditAction, bot_id: int, now: datetime, detail: Any = None
) -> None:
    message_table.record(conn, actor=user.id, action=action, now=now, subject=bot_id, detail=detail)


def bot_of(app: App, user: User, bot_id: int) -> Bot:
    with app.db.read() as conn:
        bot = table.get(conn, user.id, bot_id)
    if bot is None:
        raise NotFound("bot")
    return bot


def change_bot(
    app: App, user: User, bot_id: int, given: Mapping[str, Any], warn: Warn = lambda what: None
) -> None:
    bot = bot_of(app, user, bot_id)
    for name in given:
        if name in spec.BY_NAME and spec.BY_NAME[name].fixed:
            raise Refusal(
                f"a bot's {name} cannot be changed, as the bot's history depends on it",
                "Create another bot, and delete this one.",
            )
    settings = read_settings(given, bot)
    if concerns_broker(given):
        venue_check.check(app, account_of(app, user, bot.account_id), bot.symbol, settings, warn)
    if not given:
        return
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.change_settings(conn, user.id, bot_id, bot, settings, now=now)
        _record(conn, user, AuditAction.BOT_CHANGED, bot_id, now, differences(bot, settings))

    app.db.write(work)


def set_active(app: App, user: User, bot_id: int, active: bool) -> None:
    bot_of(app, user, bot_id)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.change(
            conn,
            user.id,
            bot_id,
            is_active=active,
            paused_reason=NO_REASON if active else Reason(Code.PAUSED_BY_USER),
            updated_at=now,
        )
        _record(conn, user, AuditAction.BOT_RESUMED if active else AuditAction.BOT_PAUSED, bot_id, now)

    app.db.write(work)


def close_bot(
    app: App, user: User, bot_id: int, *, request_id: str | None = None, part: str | None = None
) -> IntakeResult:
    """A manual close: an ordinary signal with the form's request id, so that two clicks are one order.
    `part` is a quantity or a share such as "50%"; without it the whole position is closed."""
    signal = close_signal(bot_of(app, user, bot_id), request_id or new_id(app.clock.now()))
    if part:
        signal = replace(signal, size=read_part_of_position(part, "part"))
    return app.engine.accept(user.id, signal, origin=Origin.USER, sender=user.email)


def delete_bot(app: App, user: User, bot_id: int, *, position: str | None, hand_to: int | None) -> str:
    """The history stays. An open position is closed first (delete again afterwards) or handed to another
    bot."""
    bot = bot_of(app, user, bot_id)
    now = app.clock.now()
    if bot.position.quantity and position == "close":
        accepted = close_bot(
            app,
            user,
            bot_id,
            request_id=f"delete-{bot_id}-{plain(bot.position.quantity)}-{plain(bot.position.cost)}",
        )
        if isinstance(accepted, Receipt):
            app.wait(user.id, accepted.signal_id, 2.0)

    def work(conn: sa.Connection) -> None:
        account_table.lock_account(conn, bot.account_id)  # no fill is booked meanwhile
        current = table.get(conn, user.id, bot_id)
        if current is None:
            raise NotFound("bot")
        if any(order.bot_id == bot_id for order in order_table.open_in_account(conn, current.account_id)):
            raise Refusal("the bot has an open order", "Cancel the order, or wait until it has ended.")
        if current.position.quantity and position == "hand_over" and hand_to is not None:
            _hand_over(conn, user, current, hand_to, now)
        elif current.position.quantity:
            raise Refusal(
                f"the bot owns {plain(current.position.quantity)} {current.symbol.short}",
                (
                    "Add ?position=close to close the position first, or ?position=hand_over&to=BOT_ID "
                    "to assign it to another bot."
                ),
            )
        table.change(
            conn,
            user.id,
            bot_id,
            deleted_at=now,
            is_active=False,
            paused_reason=Reason(Code.DELETED),
            status="READY",
            updated_at=now,
        )
        _record(conn, user, AuditAction.BOT_DELETED, bot_id, now)

    app.db.write(work)
    return "deleted"


def _hand_over(conn: sa.Connection, user: User, bot: Bot, hand_to: int, now: datetime) -> None:
    heir = table.get(conn, user.id, hand_to)
    if heir is None or heir.id == bot.id:
        raise NotFound("bot")
    if (heir.account_id, heir.symbol) != (bot.account_id, bot.symbol):
        raise Refusal(
            "the other bot trades another symbol or account",
            "Assign the position to a bot of the same account and symbol.",
        )
    if heir.position.quantity or heir.status != "READY":
        raise Refusal(
            "the other bot has a position or an open order",
            "Assign the position to a bot without a position.",
        )
    fill_table.hand_over_lots(conn, user.id, bot.id, heir.id)
    trip_table.hand_over(conn, user.id, bot.id, heir.id)
    taken = replace(heir, position=bot.position, exits=bot.exits, status="FILLED", updated_at=now)
    given = replace(bot, position=heir.position, exits=None, status="READY", updated_at=now)
    bot_positions.book(conn, [taken, given])
    _record(conn, user, AuditAction.POSITION_HANDED_OVER, bot.id, now, {"to": heir.id})
