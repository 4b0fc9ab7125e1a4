"""One decision: look at everything under the account's lock, decide, and write down decision and orders in one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.decide import CancelFirst, Later, decide, superseded
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.risk import Approved, Check, Refused, Step, View, Wait
from dashtrade.domain.signals import Signal
from dashtrade.domain.sizing import reserve_for
from dashtrade.domain.values import ZERO, client_order_id, plain
from dashtrade.engine import protecting
from dashtrade.engine.ending import end_signal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as table


CarryOut = Callable[[sa.Connection, Order, Bot], Order]  # fills an order in this very transaction, and writes down its bot


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the outside world says, asked for before the transaction opens."""

    quote: Quote
    account: AccountState
    rules: Rules
    capabilities: Capabilities
    open: bool
    simulated: bool  # a live account that was asked on paper
    kept: bool  # some of it was asked for a moment ago, for another decision
    opens_at: datetime | None = None


class AskAgain(Exception):
    """What was kept speaks against it. Money may have come free meanwhile, so it is asked for anew and decided again."""


def decide_one(conn: sa.Connection, task: table.Waiting, signal: Signal, market: Market, now: datetime,
               carry_out: CarryOut | None = None) -> Order | None:
    """Decides, and writes it down. Returns the order to send now (already SUBMITTING), or as `carry_out` has left it."""
    account_table.hold(conn, task.account_id)
    view = look(conn, task, market, now)
    bot = view.bot
    decision = decide(signal, view)
    if market.kept and (isinstance(decision, Refused | Wait) or (isinstance(decision, Approved) and not all(check.ok for check in decision.checks))):
        raise AskAgain
    protecting.take_place_of(conn, superseded(signal, view), now)
    match decision:
        case Wait() as wait:
            protecting.wait(conn, bot, task, wait, now)
        case CancelFirst() as wait:
            order_table.request_cancel(conn, list(wait.order_ids))
            table.hold_back(conn, task.id, taken_back=task.taken_back + len(wait.order_ids))
        case Later() as later:
            table.hold_back(conn, task.id, due_at=later.due_at)
        case Refused() as refused:
            _end(conn, task, view, "refused", refused.reason, refused.checks, now, numbers=refused.numbers, would=refused.would)
        case Approved() as approved if not approved.steps:
            if approved.keeps is not None:
                bot_table.change(conn, bot.user_id, bot.id, exits=approved.keeps)
            _end(conn, task, view, "filled", approved.reason, approved.checks, now)
        case Approved() as approved:
            return _approve(conn, task, view, approved, now, carry_out)
    return None


def look(conn: sa.Connection, task: table.Waiting, market: Market, now: datetime) -> View:
    """All that is known at this moment. Reads alone: a dry run looks through the same eyes."""
    bot, account_ok = bot_table.load(conn, task.bot_id), account_table.problem(conn, task.account_id, simulated=market.simulated)
    under_way = order_table.open_in_account(conn, task.account_id)
    over, guards = protecting.look(conn, bot, now)
    return View(
        bot=bot, working=tuple(o for o in under_way if o.bot_id == bot.id), reserved=sum((o.reserve for o in under_way), ZERO),
        day=bot.day(now.date()), switches=over.switches, account_ok=account_ok, received_at=task.received_at,
        now=now, expires_at=task.expires_at, taken_back=task.taken_back, quote=market.quote, account=market.account,
        rules=market.rules, capabilities=market.capabilities, market_open=market.open,
        alone=not market.capabilities.native_bracket or bot_table.is_alone(conn, bot),
        held_for_others=tuple(o for o in under_way if o.parent_id and o.bot_id != bot.id and o.symbol == bot.symbol),
        opens_at=market.opens_at, waiting=protecting.waiting_of(conn, task, now), locks=over.locks, guards=guards,
        drift=drift_table.on(conn, task.account_id, task.symbol),
    )


def _end(conn: sa.Connection, task: table.Waiting, view: View, status: str, reason: str, checks: tuple[Check, ...], now: datetime,
         *, numbers: dict[str, str] | None = None, would: str = "") -> None:
    """Decided and done, with nothing to send."""
    if table.decided(
        conn, task.id, status=status, reason=reason, would=would, checks=_written(checks),
        numbers=_numbers(view) | (numbers or {}), now=now, ended=True,
    ):
        protecting.put_locks(conn, view.bot, checks, task.signal_id, now)
        bot_table.touch(conn, replace(view.bot, last_signal_at=task.received_at))
        end_signal(conn, task.signal_id, alone=task.alone, status=status, reason=reason, now=now)


def _approve(conn: sa.Connection, task: table.Waiting, view: View, approved: Approved, now: datetime,
             carry_out: CarryOut | None) -> Order | None:
    if not table.decided(
        conn, task.id, status="sending", reason=approved.reason, would="", checks=_written(approved.checks), numbers=_numbers(view),
        now=now, ended=False,
    ):
        return None  # decided already: whoever did has the orders
    protecting.put_locks(conn, view.bot, approved.checks, task.signal_id, now)
    orders = [_order(task, step, number, len(approved.steps), now) for number, step in enumerate(approved.steps)]
    order_table.insert(conn, orders)
    said = [step.words for step in approved.steps]
    said[-1] += "".join(f"; {words}" for words in (approved.reason, view.rules.note, view.quote.note) if words)
    order_table.log(conn, [(order, now, str(order.status), words) for order, words in zip(orders, said, strict=True)])
    bot, day = view.bot, view.day
    if any(not step.effect.reduces for step in approved.steps):
        bot = replace(bot, last_entry_at=now, last_day=replace(day, entries=day.entries + 1))
    bot = replace(bot, status="ORDER SUBMITTED", last_signal_at=task.received_at)
    if carry_out is not None:
        return carry_out(conn, orders[0], bot)
    bot_table.touch(conn, bot)
    return orders[0]


def _order(task: table.Waiting, step: Step, number: int, steps: int, now: datetime) -> Order:
    first = number == 0
    return Order(
        id=client_order_id(task.signal_id, task.bot_id, number), user_id=task.user_id, account_id=task.account_id, bot_id=task.bot_id,
        signal_id=task.signal_id, decision_id=task.id, step=number, final=number == steps - 1, alone=task.alone, symbol=task.symbol, side=step.side,
        effect=step.effect, type=step.type, quantity=step.quantity, limit_price=step.limit_price, stop_price=step.stop_price,
        trail_amount=step.trail_amount, trail_percent=step.trail_percent, time_in_force=step.time_in_force,
        extended_hours=step.extended_hours, status=OrderStatus.SUBMITTING if first else OrderStatus.CREATED, reason="",
        broker_order_id=None, filled_quantity=ZERO, filled_notional=ZERO,
        reserve=ZERO if step.effect.reduces else reserve_for(step.quantity, step.price), exits=step.exits, cancel_requested=False,
        sends=1 if first else 0, due_at=None, sent_at=now if first else None, created_at=now, updated_at=now,
    )


def _written(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks]


def _numbers(view: View) -> dict[str, str]:
    return {
        "bid": plain(view.quote.bid), "ask": plain(view.quote.ask), "position": plain(view.bot.position.quantity),
        "equity": plain(view.account.equity), "prices": "demo" if view.quote.demo else "live",
    }
