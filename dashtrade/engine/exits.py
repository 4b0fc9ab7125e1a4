"""Exits that DashTrade keeps, from the moment they are set off until what they were to give up is given up.

An exit goes out as a signal through the same door as everybody's, written in one step with the bot's note of
it (`firing`). The watch reads that note at every look: what the venue refused goes again, at growing
distances; its user is told; and nothing is forgotten by a crash, as the note is in the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.bots import Bot
from dashtrade.domain.exits import exits as rules
from dashtrade.domain.exits.exits import Fired, Firing, Kept
from dashtrade.domain.notices.trading import ExitFailing, ExitStepSkipped, StopLimitUnfilled
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.signals import Action, Origin, Signal, Size, SizeKind
from dashtrade.domain.values import ZERO, OrderType, new_id
from dashtrade.engine.intake import Receipt, accept, written
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.lanes import Lane

UNDER_WAY = frozenset({"accepted", "working", "attention"})


def overtakes(hit: Fired | None, kept: Kept) -> bool:
    """A stop or a time limit does not wait for a take-profit step that is under way."""
    return hit is not None and hit.kind != "take_profit" and Firing.read(kept["firing"]).kind == "take_profit"


def set_off(
    conn: sa.Connection, seen: Bot, kept: Kept, hit: Fired, mark: Decimal, now: datetime
) -> list[Lane]:
    account_table.hold(conn, seen.account_id)
    bot = bot_positions.load(conn, seen.id)
    if not bot.position.quantity or bot.exits != kept:
        return []
    firing = Firing(
        kind=hit.kind,
        price=hit.price,
        quantity=hit.quantity,
        limit=hit.limit,
        signal_id="",
        tries=0,
        since=now,
    )
    receipt = _fire(conn, bot, hit.kept, firing, now)
    if receipt is None:
        return []
    reached = (
        Reason(Code.TIME_LIMIT_REACHED)
        if hit.kind == "time_limit"
        else reason(Code.EXIT_REACHED, exit=hit.name, price=hit.price, mark=mark)
    )
    risk_event_table.add_risk_event(
        conn,
        bot,
        at=now,
        kind=hit.kind,
        threshold=hit.price,
        actual=mark,
        action="position closed" if hit.quantity is None else "position reduced",
        detail=reached,
        signal_id=receipt.signal_id,
    )
    return list(receipt.lanes)


def _fire(conn: sa.Connection, bot: Bot, kept: Kept, firing: Firing, now: datetime) -> Receipt | None:
    """One try: the signal, and the note of it."""
    signal = closing(bot, f"{firing.kind}-{new_id(now)}")
    if firing.quantity is not None:
        signal = replace(signal, size=Size(kind=SizeKind.QUANTITY, value=firing.quantity))
    if firing.limit is not None:
        signal = replace(signal, order_type=OrderType.LIMIT, limit_price=firing.limit)
    receipt = ask_to_close(conn, bot, Origin.EXIT, signal, now)
    if receipt is not None:
        asked = replace(firing, signal_id=receipt.signal_id, tries=firing.tries + 1, since=now)
        bot_table.change(conn, bot.user_id, bot.id, exits=kept | {"firing": asked.written()})
    return receipt


def closing(bot: Bot, key: str) -> Signal:
    """Out of all that the bot owns, asked for by DashTrade itself. The key makes it one, however often it is
    asked for."""
    return Signal(
        action=Action.CLOSE,
        symbol=bot.symbol,
        written_symbol=bot.symbol.text,
        bot=str(bot.id),
        key=key,
        dialect="dashtrade",
    )


def ask_to_close(
    conn: sa.Connection, bot: Bot, origin: Origin, signal: Signal, now: datetime
) -> Receipt | None:
    text = written(signal)
    said = accept(
        conn, bot.user_id, signal, text, raw=text, origin=origin, sender="DashTrade", now=now, max_age=None
    )
    return said if isinstance(said, Receipt) else None


# --- what became of it --------------------------------------------------------------------------------------


def follow(db: Database, bot: Bot, kept: Kept, now: datetime) -> list[Lane]:
    firing = Firing.read(kept["firing"])
    with db.read() as conn:
        signal = signal_table.get(conn, bot.user_id, firing.signal_id)
        orders = order_table.of_signal(conn, firing.signal_id, bot.id)
    if signal is None:
        raise AssertionError(f"bot {bot.id} waits for signal {firing.signal_id}, which is not there")
    if signal.status in UNDER_WAY:
        if (
            firing.limit is None
            or firing.told
            or signal.status != "working"
            or now - firing.since < rules.FOLLOWED_UP
        ):
            return []
        return db.write(
            lambda conn: _changed(
                conn, bot, kept, lambda now_is: _tell_unfilled(conn, now_is, kept, firing, now)
            )
        )
    if orders and all(order.status is OrderStatus.FILLED for order in orders):
        return db.write(
            lambda conn: _changed(conn, bot, kept, lambda now_is: _finish(conn, now_is, kept, firing))
        )
    if signal.status == "refused" and firing.quantity is not None:
        return db.write(
            lambda conn: _changed(
                conn, bot, kept, lambda now_is: _skip(conn, now_is, kept, firing, signal.reason, now)
            )
        )
    if now < firing.again_at(signal.ended_at or firing.since):
        return []
    return db.write(
        lambda conn: _changed(
            conn, bot, kept, lambda now_is: _again(conn, now_is, kept, firing, orders, signal.reason, now)
        )
    )


def _changed(conn: sa.Connection, seen: Bot, kept: Kept, work: Any) -> list[Lane]:
    """Under the account's lock, and only if the bot is still as it was seen."""
    account_table.hold(conn, seen.account_id)
    bot = bot_positions.load(conn, seen.id)
    return work(bot) or [] if bot.position.quantity and bot.exits == kept else []


def _finish(conn: sa.Connection, bot: Bot, kept: Kept, firing: Firing) -> None:
    """All of an exit is done although something is left: that is less than can be ordered, and has no exits
    any more."""
    left = None if firing.quantity is None else rules.done(kept, bot.position, firing.kind)
    bot_table.change(conn, bot.user_id, bot.id, exits=left)


def _again(
    conn: sa.Connection, bot: Bot, kept: Kept, firing: Firing, orders: list[Order], why: Reason, now: datetime
) -> list[Lane]:
    if firing.quantity is not None:
        left = firing.quantity - sum((order.filled_quantity for order in orders), ZERO)
        if left <= 0:
            _finish(conn, bot, kept, firing)
            return []
        firing = replace(firing, quantity=left)
    receipt = _fire(conn, bot, kept, firing, now)
    if receipt is not None and firing.tries == rules.TELL_AT:
        message_table.notify(
            conn,
            bot.user_id,
            ExitFailing(
                bot=bot.name,
                exit=firing.name,
                price=firing.price,
                tries=firing.tries,
                reason=why,
                quantity=abs(bot.position.quantity),
                symbol=bot.symbol.text,
            ),
            now=now,
            signal_id=receipt.signal_id,
        )
    return list(receipt.lanes) if receipt is not None else []


def _skip(conn: sa.Connection, bot: Bot, kept: Kept, firing: Firing, why: Reason, now: datetime) -> None:
    bot_table.change(
        conn, bot.user_id, bot.id, exits={name: value for name, value in kept.items() if name != "firing"}
    )
    message_table.notify(
        conn,
        bot.user_id,
        ExitStepSkipped(bot=bot.name, exit=firing.name, price=firing.price, reason=why),
        now=now,
        signal_id=firing.signal_id,
    )


def _tell_unfilled(conn: sa.Connection, bot: Bot, kept: Kept, firing: Firing, now: datetime) -> None:
    """Its limit is its user's word, so it is not sold below it; but they have to know that they still own
    it."""
    bot_table.change(conn, bot.user_id, bot.id, exits=kept | {"firing": replace(firing, told=True).written()})
    message_table.notify(
        conn,
        bot.user_id,
        StopLimitUnfilled(
            bot=bot.name, price=firing.price, limit=firing.limit or ZERO, seconds=rules.FOLLOWED_UP.seconds
        ),
        now=now,
        signal_id=firing.signal_id,
    )
