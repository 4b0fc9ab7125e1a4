"""Exits that DashTrade manages, from the moment they are triggered until their part of the position is
closed.

A triggered exit becomes a signal like any other, stored in one transaction with the bot's record of it
(`ExitState.triggered`). The watch follows that record: it retries what the broker refused with growing delays
and notifies the user. The record is in the database, so no crash loses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.state import (
    NOTIFY_AFTER_TRIES,
    UNFILLED_AFTER,
    ExitKind,
    ExitState,
    Trigger,
    TriggeredExit,
    after_step,
)
from dashtrade.domain.kernel.accepting import Alert, Receipt
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.records import RiskEvent
from dashtrade.domain.kernel.watching import NextForExit, next_for
from dashtrade.domain.notices.trading import ExitFailing, ExitStepSkipped, StopLimitUnfilled
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Action, ExitCause, Origin, Signal, Size, SizeKind
from dashtrade.domain.values import ZERO, OrderType, new_id
from dashtrade.engine.intake import accept, signal_json
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import signals as signal_table


def trigger(conn: sa.Connection, bot_before: Bot, hit: Trigger, mark: Decimal, now: datetime) -> list[Lane]:
    return _if_unchanged(conn, bot_before, lambda conn, bot: _trigger(conn, bot, hit, mark, now))


def _trigger(conn: sa.Connection, bot: Bot, hit: Trigger, mark: Decimal, now: datetime) -> list[Lane]:
    triggered = TriggeredExit(
        kind=hit.kind,
        price=hit.price,
        quantity=hit.quantity,
        limit=hit.limit,
        signal_id="",
        tries=0,
        since=now,
    )
    receipt = _send_signal(conn, bot, hit.remaining, triggered, now)
    if receipt is None:
        return []
    detail = (
        Reason(Code.TIME_LIMIT_REACHED)
        if hit.kind is ExitKind.TIME_LIMIT
        else reason(Code.EXIT_REACHED, exit=hit.kind.label, price=hit.price, mark=mark)
    )
    risk_event_table.add(
        conn,
        RiskEvent(
            bot=bot,
            at=now,
            kind=hit.kind,
            threshold=hit.price,
            actual=mark,
            action=Reason(Code.POSITION_CLOSED if hit.quantity is None else Code.POSITION_REDUCED),
            detail=detail,
            signal_id=receipt.signal_id,
        ),
    )
    return list(receipt.lanes)


def move_stop(conn: sa.Connection, bot_before: Bot, new_exits: ExitState) -> list[Lane]:
    """Advance a trailing stop, unless the exits were changed meanwhile."""

    def move(conn: sa.Connection, bot: Bot) -> list[Lane]:
        _save_exits(conn, bot, new_exits)
        return []

    return _if_unchanged(conn, bot_before, move)


def _send_signal(
    conn: sa.Connection, bot: Bot, exits: ExitState, triggered: TriggeredExit, now: datetime
) -> Receipt | None:
    """One attempt: the signal, and its record."""
    signal = close_signal(bot, f"{triggered.kind}-{new_id(now)}")
    if triggered.quantity is not None:
        signal = replace(signal, size=Size(kind=SizeKind.QUANTITY, value=triggered.quantity))
    if triggered.limit is not None:
        signal = replace(signal, order_type=OrderType.LIMIT, limit_price=triggered.limit)
    receipt = store_close_signal(conn, bot, Origin.EXIT, ExitCause(triggered.kind), signal, now)
    if receipt is not None:
        attempt = replace(triggered, signal_id=receipt.signal_id, tries=triggered.tries + 1, since=now)
        _save_exits(conn, bot, replace(exits, triggered=attempt))
    return receipt


def _save_exits(conn: sa.Connection, bot: Bot, exits: ExitState | None) -> None:
    bot_table.change(conn, bot.user_id, bot.id, exits=exits)


def close_signal(bot: Bot, key: str) -> Signal:
    """Close all that the bot owns, on DashTrade's own request. The key makes repeated requests one signal."""
    return Signal(
        action=Action.CLOSE,
        symbol=bot.symbol,
        written_symbol=bot.symbol.text,
        bot=str(bot.id),
        key=key,
        dialect="dashtrade",
    )


def store_close_signal(
    conn: sa.Connection, bot: Bot, origin: Origin, cause: ExitCause, signal: Signal, now: datetime
) -> Receipt | None:
    text = signal_json(signal)
    alert = Alert(
        id=new_id(now),
        owner=bot.user_id,
        signal=signal,
        content=text,
        raw=text,
        origin=origin,
        sender="DashTrade",
        received_at=now,
        max_age=None,
        sender_waits=False,
        exit_cause=cause,
    )
    answer = accept(conn, alert)
    return answer if isinstance(answer, Receipt) else None


# --- a triggered exit ---------------------------------------------------------------------------------------


def follow(db: Database, bot: Bot, triggered: TriggeredExit, now: datetime) -> list[Lane]:
    with db.read() as conn:
        signal = signal_table.get(conn, bot.user_id, triggered.signal_id)
        orders = order_table.of_signal(conn, triggered.signal_id, bot.id)
    if signal is None:
        raise AssertionError(f"bot {bot.id} waits for signal {triggered.signal_id}, which does not exist")
    step = next_for(triggered, signal.status, signal.ended_at, orders, now)
    if step is NextForExit.WAIT:
        return []

    def act(conn: sa.Connection, bot: Bot) -> list[Lane]:
        match step:
            case NextForExit.NOTIFY_UNFILLED:
                _notify_unfilled(conn, bot, now)
            case NextForExit.FINISH:
                _finish(conn, bot)
            case NextForExit.SKIP:
                _skip(conn, bot, signal.reason, now)
            case NextForExit.RETRY:
                return _retry(conn, bot, orders, signal.reason, now)
        return []

    return db.write(lambda conn: _if_unchanged(conn, bot, act))


def _if_unchanged(
    conn: sa.Connection, bot_before: Bot, work: Callable[[sa.Connection, Bot], list[Lane]]
) -> list[Lane]:
    """Under the account's lock, and only if the position's exits have not changed since they were read."""
    account_table.lock_account(conn, bot_before.account_id)
    bot = bot_positions.load(conn, bot_before.id)
    return work(conn, bot) if bot.position.quantity and bot.exits == bot_before.exits else []


def _exit_under_way(bot: Bot) -> tuple[ExitState, TriggeredExit]:
    assert bot.exits is not None and bot.exits.triggered is not None, "an exit is under way"
    return bot.exits, bot.exits.triggered


def _finish(conn: sa.Connection, bot: Bot) -> None:
    """The whole position was to be closed and something remains: less than can be ordered, so its exits
    end."""
    exits, triggered = _exit_under_way(bot)
    _save_exits(
        conn, bot, None if triggered.quantity is None else after_step(exits, bot.position, triggered.kind)
    )


def _retry(conn: sa.Connection, bot: Bot, orders: list[Order], why: Reason, now: datetime) -> list[Lane]:
    exits, triggered = _exit_under_way(bot)
    if triggered.quantity is not None:
        remaining = triggered.quantity - sum((order.filled_quantity for order in orders), ZERO)
        if remaining <= 0:
            _finish(conn, bot)
            return []
        triggered = replace(triggered, quantity=remaining)
    receipt = _send_signal(conn, bot, exits, triggered, now)
    if receipt is None:
        return []
    if triggered.tries == NOTIFY_AFTER_TRIES:
        message_table.notify(
            conn,
            bot.user_id,
            ExitFailing(
                bot=bot.name,
                exit=triggered.kind.label,
                price=triggered.price,
                tries=triggered.tries,
                reason=why,
                quantity=abs(bot.position.quantity),
                symbol=bot.symbol.text,
            ),
            now=now,
            signal_id=receipt.signal_id,
        )
    return list(receipt.lanes)


def _skip(conn: sa.Connection, bot: Bot, why: Reason, now: datetime) -> None:
    exits, triggered = _exit_under_way(bot)
    _save_exits(conn, bot, replace(exits, triggered=None))
    message_table.notify(
        conn,
        bot.user_id,
        ExitStepSkipped(bot=bot.name, exit=triggered.kind.label, price=triggered.price, reason=why),
        now=now,
        signal_id=triggered.signal_id,
    )


def _notify_unfilled(conn: sa.Connection, bot: Bot, now: datetime) -> None:
    """The user set the limit, so nothing is sold below it; the notice says that the position is still
    open."""
    exits, triggered = _exit_under_way(bot)
    _save_exits(conn, bot, replace(exits, triggered=replace(triggered, notified=True)))
    message_table.notify(
        conn,
        bot.user_id,
        StopLimitUnfilled(
            bot=bot.name, price=triggered.price, limit=triggered.limit or ZERO, seconds=UNFILLED_AFTER.seconds
        ),
        now=now,
        signal_id=triggered.signal_id,
    )
