"""What a step of the kernel reads: the rows of the database, as records.

The engine reads them from the tables, or keeps them in memory as long as nobody else has written. A
simulation and a backtest have them in memory alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.protections import BotRestrictions, OtherHolding, PastExit, Scope, SentEntry
from dashtrade.domain.record import record
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.signals import ExitCause, Signal
from dashtrade.domain.symbols import Symbol

# (protection, scope, scope's id, symbol) -> when its lock was last lifted
Resets = Mapping[tuple[int, str, int, Symbol | None], datetime]


class NewRow(StrEnum):
    """Rows whose ids are known before they are stored."""

    DECISION = "decisions"
    FILL = "fills"
    LOT = "lots"
    TRIP = "round_trips"


@record
class TripInputs:
    """What the round trips of an order's fills are made from."""

    trip: RoundTrip | None  # the bot's latest
    origin: str  # of the order's signal
    cause: ExitCause | None  # of a signal by which DashTrade itself closes


@record
class StoredAlert:
    """An alert that was stored earlier."""

    id: str
    body_hash: str
    received_at: datetime


@record
class Listener:
    """A bot that an alert may address."""

    id: int
    user_id: int
    account_id: int
    symbol: Symbol
    timeframe: int
    name: str


class BooksSource(Protocol):
    """Of the accounts. Whatever is read is locked with its account."""

    def account(self, account_id: int) -> Account: ...
    def order(self, order_id: str) -> Order: ...
    def open_orders(self, account_id: int) -> Sequence[Order]:
        """In order of creation."""
        ...

    def orders_of_signal(self, signal_id: str, bot_id: int) -> Sequence[Order]: ...
    def bot(self, bot_id: int) -> Bot: ...
    def bots_on(self, account_id: int, symbol: Symbol) -> Sequence[Bot]:
        """Deleted ones too, as long as they own something."""
        ...

    def lots(self, bot_id: int) -> Sequence[Lot]:
        """Open ones, oldest first."""
        ...

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]: ...
    def trip_inputs(self, order: Order) -> TripInputs: ...
    def drift(self, account_id: int, symbol: Symbol) -> Drift | None:
        """A difference from the broker's books that its user has not resolved yet."""
        ...

    def outside_quantity(self, account_id: int, symbol: Symbol) -> Decimal:
        """The user's own holdings of the symbol's asset."""
        ...


class DecisionSource(Protocol):
    def due(self, account_id: int, symbol: Symbol, now: datetime, limit: int) -> Sequence[PendingDecision]:
        """The lane's first decisions to make, in order. A deferred one (`held_until`) keeps its place; a
        delayed one has none until it is due."""
        ...

    def waiting_for_open(self, task: PendingDecision, now: datetime) -> Sequence[WaitingEntry]:
        """Other entries of the task's bot that wait for the market to open."""
        ...

    def outcomes(self, signal_id: str) -> Mapping[int, Outcome]:
        """Each decision's status. Of two transactions that ask, one waits for the other."""
        ...

    def signal(self, signal_id: str) -> Signal: ...


class ProtectionSource(Protocol):
    def restrictions(self, bot: Bot, now: datetime) -> BotRestrictions: ...
    def lock_protections(self, user_id: int) -> None:
        """Serialise decisions of two accounts that one protection counts together."""
        ...

    def past_exits(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[PastExit]: ...
    def sent_entries(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[SentEntry]: ...
    def other_holdings(self, bot: Bot, scope: Scope) -> Sequence[OtherHolding]: ...
    def resets(self, protection_ids: Sequence[int]) -> Resets: ...


class AlertSource(Protocol):
    def repeat_of(self, owner: int, key: str) -> StoredAlert | None:
        """The newest alert with this key. Of two transactions that ask, one waits for the other."""
        ...

    def listening_on(self, owner: int, symbol: Symbol) -> Sequence[Listener]: ...
    def all_listeners(self, owner: int) -> Sequence[Listener]: ...
    def engaged(self, owner: int, bot_ids: Sequence[int]) -> Sequence[Decimal]:
        """Of those bots with a position, an open order or a pending decision: the position's quantity."""
        ...

    def stored_bytes(self, owner: int) -> int:
        """What is stored for the user. Of two transactions that ask, one waits for the other."""
        ...


class PaperSource(Protocol):
    """The paper broker's own books."""

    def paper_cash(self, account_id: int) -> Decimal:
        """Asked first: it locks the account's books."""
        ...

    def paper_positions(self, account_id: int) -> Sequence[PaperPosition]: ...
    def paper_working(self, account_id: int) -> Sequence[PaperOrder]: ...
    def paper_order(self, account_id: int, client_order_id: str) -> PaperOrder | None: ...
    def paper_fills(self, account_id: int, client_order_id: str) -> Sequence[BrokerFill]: ...


class WorkSource(Protocol):
    """What there is to do."""

    def find_order(self, account_id: int, order_id: str) -> Order | None:
        """By account too: the id comes from the broker, where others may place orders as well."""
        ...

    def open_in_lane(self, lane: Lane) -> Sequence[Order]:
        """In order of creation."""
        ...

    def open_lanes(self, now: datetime) -> set[Lane]:
        """With a decision to make, an order to send, look up or cancel."""
        ...


class Source(BooksSource, DecisionSource, ProtectionSource, AlertSource, PaperSource, Protocol):
    def new_id(self, row: NewRow) -> int: ...
