"""One decision: look at everything under the account's lock, decide, and write down decision and orders in one commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.decide import CancelFirst, decide
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.risk import Approved, Check, Refused, Step, View
from dashtrade.domain.signals import Signal, Target
from dashtrade.domain.sizing import reserve_for
from dashtrade.domain.values import ZERO, client_order_id, plain
from dashtrade.engine.ending import end_decision
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the outside world says, asked for before the transaction opens."""

    quote: Quote
    account: AccountState
    rules: Rules
    capabilities: Capabilities
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of it: an order to send now (already SUBMITTING), or nothing to send yet or ever."""

    send: Order | None = None


def decide_one(conn: sa.Connection, task: table.Waiting, signal: Signal, market: Market, now: datetime) -> Decided | None:
    """None: the decision is not waiting any more."""
    account = account_table.lock(conn, task.account_id)
    current = table.first_waiting(conn, table.Lane(task.account_id, task.symbol), now)
    if current is None or current.id != task.id:
        return None
    bot, _ = bot_table.load(conn, task.bot_id)
    under_way = order_table.open_in_account(conn, task.account_id)
    view = View(
        bot=bot, working=tuple(o for o in under_way if o.bot_id == bot.id), reserved=sum((o.reserve for o in under_way), ZERO),
        day=bot_table.day_of(conn, bot.id, now.date()), switches=bot_table.switches_for(conn, bot), account_ok=account.problem,
        received_at=task.received_at, now=now, expires_at=task.expires_at, taken_back=current.taken_back, quote=market.quote,
        account=market.account, rules=market.rules, capabilities=market.capabilities, market_open=market.open,
    )
    match decide(signal, view):
        case CancelFirst() as wait:
            order_table.request_cancel(conn, list(wait.order_ids))
            table.hold_back(conn, task.id, taken_back=current.taken_back + len(wait.order_ids))
            return Decided()
        case Refused() as refused:
            return _refuse(conn, task, view, refused, now)
        case Approved() as approved:
            return _approve(conn, task, view, approved, now)
    raise AssertionError("a decision is one of three")


def _refuse(conn: sa.Connection, task: table.Waiting, view: View, refused: Refused, now: datetime) -> Decided:
    table.decided(
        conn, task.id, status="refused", reason=refused.reason, would=refused.would, checks=_written(refused.checks),
        numbers=_numbers(view) | refused.numbers, now=now, ended=True,
    )
    bot_table.touch(conn, view.bot, status=view.bot.status, signal_at=task.received_at, entry_at=view.bot.last_entry_at)
    end_decision(conn, task.id, task.signal_id, status="refused", reason=refused.reason, now=now, written=True)
    return Decided()


def _approve(conn: sa.Connection, task: table.Waiting, view: View, approved: Approved, now: datetime) -> Decided:
    if not approved.steps:
        table.decided(
            conn, task.id, status="filled", reason=approved.reason, would="", checks=_written(approved.checks),
            numbers=_numbers(view), now=now, ended=True,
        )
        end_decision(conn, task.id, task.signal_id, status="filled", reason=approved.reason, now=now, written=True)
        return Decided()
    orders = [_order(task, step, number, len(approved.steps), now) for number, step in enumerate(approved.steps)]
    order_table.insert(conn, orders, [_exits(step) for step in approved.steps])
    order_table.log(conn, _first_lines(orders, approved.steps, now))
    table.decided(
        conn, task.id, status="working", reason=approved.reason, would="", checks=_written(approved.checks), numbers=_numbers(view),
        now=now, ended=False,
    )
    entry = any(not step.effect.reduces for step in approved.steps)
    bot_table.touch(
        conn, view.bot, status="ORDER SUBMITTED", signal_at=task.received_at, entry_at=now if entry else view.bot.last_entry_at
    )
    if entry:
        bot_table.count_day(conn, view.bot, now.date(), entries=1)
    return Decided(send=orders[0])


def _order(task: table.Waiting, step: Step, number: int, steps: int, now: datetime) -> Order:
    first = number == 0
    return Order(
        id=client_order_id(task.signal_id, task.bot_id, number), user_id=task.user_id, account_id=task.account_id, bot_id=task.bot_id,
        signal_id=task.signal_id, decision_id=task.id, step=number, final=number == steps - 1, symbol=task.symbol, side=step.side,
        effect=step.effect, type=step.type, quantity=step.quantity, limit_price=step.limit_price, stop_price=step.stop_price,
        trail_amount=step.trail_amount, trail_percent=step.trail_percent, time_in_force=step.time_in_force,
        extended_hours=step.extended_hours, status=OrderStatus.SUBMITTING if first else OrderStatus.CREATED, reason="",
        broker_order_id=None, filled_quantity=ZERO, filled_notional=ZERO,
        reserve=ZERO if step.effect.reduces else reserve_for(step.quantity, step.price), cancel_requested=False,
        sends=1 if first else 0, due_at=None, sent_at=now if first else None, created_at=now, updated_at=now,
    )


def _first_lines(orders: list[Order], steps: tuple[Step, ...], now: datetime) -> list[tuple[Order, datetime, str, str]]:
    lines = [(order, now, "created", step.words) for order, step in zip(orders, steps, strict=True)]
    return [*lines, (orders[0], now, "submitting", "")]


def _written(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks]


def _numbers(view: View) -> dict[str, str]:
    return {
        "bid": plain(view.quote.bid), "ask": plain(view.quote.ask), "position": plain(view.bot.position.quantity),
        "equity": plain(view.account.equity), "prices": "demo" if view.quote.demo else "live",
    }


def _exits(step: Step) -> Any:
    """Take-profits and stop-loss as written; they become prices when the entry is filled."""
    if not step.take_profits and step.stop_loss is None:
        return None
    stop = _target(step.stop_loss) if step.stop_loss else None
    return {"take_profits": [_target(t) for t in step.take_profits], "stop_loss": stop}


def _target(target: Target) -> dict[str, Any]:
    numbers = {name: getattr(target, name) for name in ("price", "percent", "amount", "limit_price", "share_percent")}
    return {name: str(value) for name, value in numbers.items() if value is not None} | {"trailing": target.trailing}
