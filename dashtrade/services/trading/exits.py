"""Changes to the exits of an open position: move the stop, set or remove take-profits, set the time at
which it closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.alerts.fields import read_flag, read_moment
from dashtrade.domain.alerts.levels import read_loss, read_profits
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.state import ExitState, levels, price_exits, trail_from
from dashtrade.domain.people import User
from dashtrade.domain.signals import ExitPlan
from dashtrade.domain.symbols import usual_price_step
from dashtrade.domain.values import plain
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import account_of
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table

PRICE_WAIT_SECONDS = 1.0  # seconds to wait for a current price; the watch checks it continuously anyway


def change(app: App, user: User, bot_id: int, given: Mapping[str, Any]) -> None:
    """Fields left out stay as they are; null removes. Exits placed at the broker are cancelled there.
    DashTrade manages the new exits from this moment on, so the position is never without them."""
    with app.db.read() as conn:
        bot = table.get(conn, user.id, bot_id)
    if bot is None:
        raise NotFound("bot")
    mark, now = _mark(app, user, bot), app.clock.now()
    plan, until = (
        _read(given),
        read_moment(given["until"], "until") if given.get("until") is not None else None,
    )

    def work(conn: sa.Connection) -> None:
        account_table.lock_account(conn, bot.account_id)
        current = bot_positions.load(conn, bot_id)
        if not current.position.quantity:
            raise Refusal(
                "the bot has no position to set exits for",
                "Set exits for its next entries in the bot's own settings.",
            )
        exits = _changed(current, given, plan, until, mark, now)
        table.change(conn, user.id, bot_id, exits=exits)
        legs = [
            order.id
            for order in order_table.open_in_lane(conn, bot.account_id, bot.symbol)
            if order.parent_id and order.bot_id == bot_id
        ]
        if legs:
            order_table.request_cancel(conn, legs)
        detail = {name: str(given[name])[:200] for name in given}
        message_table.record(
            conn, actor=user.id, action=AuditAction.EXITS_CHANGED, now=now, subject=bot_id, detail=detail
        )

    app.db.write(work)


def _read(given: Mapping[str, Any]) -> ExitPlan:
    profits, stop = given.get("take_profit"), given.get("stop_loss")
    return ExitPlan(
        take_profits=read_profits(profits, "take_profit") if profits is not None else (),
        stop_loss=read_loss(stop, "stop_loss") if stop is not None else None,
        break_even=read_flag(given["break_even"], "break_even")
        if given.get("break_even") is not None
        else False,
    )


def _changed(
    bot: Bot,
    given: Mapping[str, Any],
    plan: ExitPlan,
    until: datetime | None,
    mark: Decimal | None,
    now: datetime,
) -> ExitState:
    entry = bot.position.average_price
    assert entry is not None, "the bot has a position"
    before = bot.exits or ExitState()
    step = before.price_step or usual_price_step(bot.symbol, entry)
    sign, where = bot.position.side.sign, mark if mark is not None else entry
    asked = price_exits(plan, bot.position, now, bot.time_zone, step)
    if asked.stop is not None and asked.stop.trail is not None:  # trails from here, not from the entry
        asked = replace(asked, stop=trail_from(asked.stop, where, sign, step))
    for price, direction, kind in levels(asked, sign):
        if (price - where) * direction <= 0:
            raise Refusal(
                f"a {kind.label} at {plain(price)} would close at once, as the price is {plain(where)}",
                f"Set it {'above' if direction > 0 else 'below'} the price, or close the bot.",
            )
    exits = replace(before, held_by=None, lost=None, triggered=None, price_step=step)
    if "stop_loss" in given:
        exits = replace(exits, stop=asked.stop)
    if "take_profit" in given:
        exits = replace(exits, take_profits=asked.take_profits, size=asked.size)
    if "break_even" in given:
        exits = replace(exits, break_even=asked.break_even)
    if "until" in given:
        exits = replace(exits, until=until)
    return exits


def _mark(app: App, user: User, bot: Bot) -> Decimal | None:
    """The price at which the position would close now, else its last known mark; None without a price."""
    account = account_of(app, user, bot.account_id)
    quote = prices.quote_now(app, account, bot.symbol, wait=PRICE_WAIT_SECONDS)
    if quote is None:
        return prices.mark_of(app, account, bot.symbol)
    return quote.bid if bot.position.quantity > 0 else quote.ask
