"""The kernel's source on the tables, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.accounts import Account
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.as_json import from_json
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.source import Listener, NewRow, Resets, StoredAlert, TripInputs
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.protections import BotRestrictions, OtherHolding, PastExit, Scope, SentEntry
from dashtrade.domain.signals import Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions, new_ids, storage
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import paper as paper_table
from dashtrade.tables import protections as protection_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.base import is_postgres


def signal_of(stored: Any) -> Signal:
    """As parsed on arrival; records older than that column are parsed again."""
    if stored.reading is not None:
        return from_json(Signal, stored.reading)
    return parse(stored.raw.encode()).signal


def alert_key(owner: int, key: str) -> str:
    """What two transactions of one alert wait for."""
    return f"{owner}|{key}"


def protections_key(user_id: int) -> str:
    return f"protections|{user_id}"


class StoredBooks:
    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn
        self._last_ids: dict[NewRow, int] = {}

    def new_id(self, row: NewRow) -> int:
        if is_postgres(self._conn):
            return new_ids.next_id(self._conn, row)
        if row not in self._last_ids:
            self._last_ids[row] = new_ids.last_id(self._conn, row)
        self._last_ids[row] += 1  # nobody else writes meanwhile
        return self._last_ids[row]

    # --- accounts -------------------------------------------------------------------------------------------

    def account(self, account_id: int) -> Account:
        return account_table.load(self._conn, account_id)

    def order(self, order_id: str) -> Order:
        return order_table.load(self._conn, order_id)

    def open_orders(self, account_id: int) -> list[Order]:
        return order_table.open_in_account(self._conn, account_id)

    def orders_of_signal(self, signal_id: str, bot_id: int) -> list[Order]:
        return order_table.of_signal(self._conn, signal_id, bot_id)

    def bot(self, bot_id: int) -> Bot:
        return bot_positions.load(self._conn, bot_id)

    def bots_on(self, account_id: int, symbol: Symbol) -> list[Bot]:
        return bot_positions.on_symbol(self._conn, account_id, symbol)

    def lots(self, bot_id: int) -> list[Lot]:
        return fill_table.open_lots(self._conn, bot_id)

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]:
        return fill_table.known_fills(self._conn, order_id)

    def trip_inputs(self, order: Order) -> TripInputs:
        trip, origin, cause = trip_table.latest(self._conn, order)
        return TripInputs(trip=trip, origin=origin, cause=cause)

    def drift(self, account_id: int, symbol: Symbol) -> Drift | None:
        return drift_table.unresolved_on(self._conn, account_id, symbol)

    def outside_quantity(self, account_id: int, symbol: Symbol) -> Decimal:
        return drift_table.outside_quantity(self._conn, account_id, symbol)

    # --- decisions ------------------------------------------------------------------------------------------

    def due(self, account_id: int, symbol: Symbol, now: datetime, limit: int) -> list[PendingDecision]:
        return decision_table.due_in_lane(self._conn, account_id, symbol, now, limit)

    def waiting_for_open(self, task: PendingDecision, now: datetime) -> list[WaitingEntry]:
        return decision_table.waiting_for_open(self._conn, task, now)

    def outcomes(self, signal_id: str) -> dict[int, Outcome]:
        # otherwise two that end at once might each miss the other, and the signal would never end
        signal_table.lock_signal(self._conn, signal_id)
        found = decision_table.decisions_of(self._conn, signal_id)
        return {one.id: Outcome(one.status, one.reason) for one in found}

    def signal(self, signal_id: str) -> Signal:
        return signal_of(signal_table.stored(self._conn, signal_id))

    # --- protections ----------------------------------------------------------------------------------------

    def restrictions(self, bot: Bot, now: datetime) -> BotRestrictions:
        return protection_table.restrictions_on(self._conn, bot, now)

    def lock_protections(self, user_id: int) -> None:
        signal_table.lock_key(self._conn, protections_key(user_id))

    def past_exits(self, bot: Bot, scope: Scope, since: datetime) -> list[PastExit]:
        return protection_table.past_exits(self._conn, bot, scope, since)

    def sent_entries(self, bot: Bot, scope: Scope, since: datetime) -> list[SentEntry]:
        return protection_table.sent_entries(self._conn, bot, scope, since)

    def other_holdings(self, bot: Bot, scope: Scope) -> list[OtherHolding]:
        return protection_table.holdings(self._conn, bot, scope)

    def resets(self, protection_ids: Sequence[int]) -> Resets:
        return protection_table.resets(self._conn, list(protection_ids))

    # --- alerts ---------------------------------------------------------------------------------------------

    def repeat_of(self, owner: int, key: str) -> StoredAlert | None:
        signal_table.lock_key(self._conn, alert_key(owner, key))
        row = signal_table.repeat_of(self._conn, owner, key)
        return row and StoredAlert(id=row.id, body_hash=row.body_hash, received_at=row.received_at)

    def listening_on(self, owner: int, symbol: Symbol) -> list[Listener]:
        return bot_table.listening_on(self._conn, owner, symbol)

    def all_listeners(self, owner: int) -> list[Listener]:
        return bot_table.all_with_names(self._conn, owner)

    def engaged(self, owner: int, bot_ids: Sequence[int]) -> list[Decimal]:
        return [row.position_quantity for row in decision_table.engaged(self._conn, owner, list(bot_ids))]

    def stored_bytes(self, owner: int) -> int:
        return storage.used_locked(self._conn, owner)

    # --- what there is to do ----------------------------------------------------------------------------

    def find_order(self, account_id: int, order_id: str) -> Order | None:
        return order_table.find(self._conn, account_id, order_id)

    def open_in_lane(self, lane: Lane) -> list[Order]:
        return order_table.open_in_lane(self._conn, lane.account_id, lane.symbol)

    def open_lanes(self, now: datetime) -> set[Lane]:
        due = {Lane(row.account_id, row.symbol) for row in order_table.due_lanes(self._conn, now)}
        return due | set(decision_table.open_lanes(self._conn, now))

    # --- paper ----------------------------------------------------------------------------------------------

    def paper_cash(self, account_id: int) -> Decimal:
        return paper_table.TableBook(self._conn, account_id, writes=True).cash()

    def paper_positions(self, account_id: int) -> list[PaperPosition]:
        return self._paper(account_id).positions()

    def paper_working(self, account_id: int) -> list[PaperOrder]:
        return self._paper(account_id).working()

    def paper_order(self, account_id: int, client_order_id: str) -> PaperOrder | None:
        return self._paper(account_id).order(client_order_id)

    def paper_fills(self, account_id: int, client_order_id: str) -> list[BrokerFill]:
        return self._paper(account_id).fills(client_order_id)

    def _paper(self, account_id: int) -> paper_table.TableBook:
        return paper_table.TableBook(self._conn, account_id, writes=False)
