"""How a step's changes go into rows that are kept in memory: what is open, waits or is held, in its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.books import Changes
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.records import TradeChange
from dashtrade.domain.ledger import Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.record import replace


class DecidedElsewhere(Exception):
    """Another worker made the decision first. Decisions are taken first, so nothing of the books is; a caller
    that has written more lets it roll the transaction back."""


def orders_after(before: Sequence[Order], changed: Mapping[str, Order], account_id: int) -> list[Order]:
    """The account's open orders, in order of creation."""
    every = [order for order in before if order.id not in changed]
    every += [order for order in changed.values() if order.account_id == account_id and order.is_open]
    every.sort(key=lambda order: (order.created_at, order.step, order.id))
    return every


def waiting_after(before: Sequence[PendingDecision], changes: Changes, lane: Lane) -> list[PendingDecision]:
    """The lane's decisions to make, in order."""
    new = [
        task
        for task in changes.new_decisions.values()
        if task.account_id == lane.account_id and task.symbol == lane.symbol
    ]
    made = {number for number, change in changes.decisions.items() if change.made is not None}
    return [changes.pending.get(task.id, task) for task in (*before, *new) if task.id not in made]


def lots_after(before: Sequence[Lot], changes: Changes, bot_id: int) -> tuple[Lot, ...]:
    """The lots that the bot holds, oldest first."""
    new = [changes.lots[fill.lot_id] for fill in changes.fills if fill.lot_id and fill.order.bot_id == bot_id]
    every = [*(changes.lots.get(lot.id, lot) for lot in before), *new]
    return tuple(lot for lot in every if lot.remaining)


def added_up(known: TradeChange, change: TradeChange) -> TradeChange:
    """An order's trade with its later fills."""
    return replace(
        change, fee=known.fee + change.fee, realized=known.realized + change.realized, first=known.first
    )
