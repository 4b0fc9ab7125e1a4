"""Stores what steps of the kernel changed: each row once, in its last form, however many steps changed it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.books import Books, Changes
from dashtrade.domain.kernel.records import DecisionChange, TradeChange
from dashtrade.domain.kernel.taking import DecidedElsewhere, added_up
from dashtrade.domain.orders import Order
from dashtrade.domain.record import replace
from dashtrade.failpoints import failpoint
from dashtrade.tables import bot_days, bot_positions, order_events, storage
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import paper as paper_table
from dashtrade.tables import protections as protection_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import trades as trade_table


def store(conn: sa.Connection, steps: Sequence[Books]) -> None:
    """In the order of the steps."""
    changes = merged(steps)
    storage.add_to_all(conn, changes.stored_bytes)
    store_changes(conn, steps, changes)


def store_changes(conn: sa.Connection, steps: Sequence[Books], changes: Changes) -> None:
    """All but the totals of what users store."""
    _store_alerts(conn, changes)
    _store_decisions(conn, changes)
    _store_orders(conn, changes, _before(steps))
    _store_fills(conn, changes)
    _store_bots(conn, changes, steps)
    for lock in changes.locks:
        protection_table.add_lock(conn, lock)
    for event in changes.risk_events:
        risk_event_table.add(conn, event)
    message_table.add(conn, changes.messages)
    paper_table.put_cash(conn, changes.paper_cash)
    paper_table.put_positions(conn, changes.paper_positions)
    paper_table.put_orders(conn, changes.paper_orders, changes.new_paper_orders)
    paper_table.add_fills(conn, changes.paper_fills)


def merged(steps: Sequence[Books]) -> Changes:
    """The changes of all steps as those of one."""
    if len(steps) == 1:
        return steps[0].changes
    total = Changes()
    for books in steps:
        each = books.changes
        total.decisions |= _made_and_ended(total.decisions, each.decisions)
        total.trades = _added_up(total.trades, each.trades)
        for owner, more in each.stored_bytes.items():
            total.stored_bytes[owner] = total.stored_bytes.get(owner, 0) + more
        total.take(each)
    return total


def _made_and_ended(
    before: dict[int, DecisionChange], after: dict[int, DecisionChange]
) -> dict[int, DecisionChange]:
    """How a decision was made stays when it ends in a later step."""
    return {
        number: replace(change, made=before[number].made)
        if change.made is None and number in before
        else change
        for number, change in after.items()
    }


def _added_up(before: list[TradeChange], after: list[TradeChange]) -> list[TradeChange]:
    """One change an order."""
    by_order = {change.order.id: change for change in before}
    for change in after:
        known = by_order.get(change.order.id)
        by_order[change.order.id] = change if known is None else added_up(known, change)
    return list(by_order.values())


def _before(steps: Sequence[Books]) -> dict[str, Order]:
    """Each order as it is stored."""
    found: dict[str, Order] = {}
    for books in reversed(steps):
        found |= books.orders_before
    return found


def _store_alerts(conn: sa.Connection, changes: Changes) -> None:
    signal_table.add(conn, changes.new_signals.values(), changes.signals)
    signal_table.count_repeats(conn, changes.repeats)


def _store_decisions(conn: sa.Connection, changes: Changes) -> None:
    new = changes.new_decisions
    for task in changes.pending.values():
        if task.id not in new:
            decision_table.put_pending(conn, task)
    made = {n: c for n, c in changes.decisions.items() if c.made is not None and n not in new}
    if not decision_table.store_decisions(conn, made):
        raise DecidedElsewhere
    latest = [changes.pending.get(number, task) for number, task in new.items()]
    decision_table.add(conn, latest, changes.decisions)
    ended = {n: c for n, c in changes.decisions.items() if c.made is None and n not in new}
    decision_table.end_decisions(conn, ended)
    signals = {n: c for n, c in changes.signals.items() if n not in changes.new_signals}
    signal_table.end_signals(conn, signals)


def _store_orders(conn: sa.Connection, changes: Changes, before: dict[str, Order]) -> None:
    order_table.insert(conn, [order for n, order in changes.orders.items() if n in changes.new_orders])
    known = [(before[n], order) for n, order in changes.orders.items() if n not in changes.new_orders]
    cancelled = [now.id for was, now in known if now.cancel_requested and not was.cancel_requested]
    if cancelled:
        order_table.request_cancel(conn, cancelled)
    for was, now in known:
        if (was.quantity, was.effect, was.final) != (now.quantity, now.effect, now.final):
            order_table.reduce_quantity(conn, now)
    moved = [(was, now) for was, now in known if replace(was, cancel_requested=now.cancel_requested) != now]
    if not order_table.update(conn, moved):
        orders = [now.id for _, now in moved]
        raise AssertionError(f"one of the orders {orders} was changed without its account's lock")
    order_events.log(conn, [(one.order, one.at, one.status, one.detail) for one in changes.events])


def _store_fills(conn: sa.Connection, changes: Changes) -> None:
    if changes.fills:
        fill_table.add_fills(conn, changes.fills)
        failpoint("in_booking")
    fill_table.add_lots(conn, [one for one in changes.fills if one.lot_id], changes.lots)
    reduced = [lot for lot in changes.lots.values() if lot.id not in changes.new_lots]
    if reduced:
        fill_table.put_lots(conn, reduced, changes.fills[-1].booked_at)
    trade_table.put_trades(conn, changes.trades)
    trip_table.put(conn, changes.trips, changes.new_trips)


def _store_bots(conn: sa.Connection, changes: Changes, steps: Sequence[Books]) -> None:
    """Its exits may be changed by others without the account's lock: they are written only where a step
    changed them."""
    before: dict[int, Bot] = {}
    for books in reversed(steps):
        before |= books.bots_before
    booked = {
        number: bot
        for number, bot in changes.bots.items()
        if number in changes.booked_bots or before[number].exits != bot.exits
    }
    bot_positions.book(conn, booked.values())
    bot_positions.save_status(conn, [bot for n, bot in changes.bots.items() if n not in booked])
    bot_days.put_days(conn, changes.days.values())
