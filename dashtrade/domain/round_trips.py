"""Round trips: a bot's profit from opening a position until it is flat. Pure.

A round trip runs from flat to flat. Partial exits belong to it; an execution that goes through zero ends one
and begins the next. A filled closing order ends it too, even if less remains than can be ordered (a fee paid
in the bought coin leaves some): later changes of that remainder are added to the trip that left it. Every
execution's profit and fee is in exactly one trip, so the trips of a bot add up to what its ledger
realised."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dashtrade.domain.bots import Day
from dashtrade.domain.record import record, replace
from dashtrade.domain.signals import ExitCause, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, OrderType, Side

_FEE_STEP = Decimal("1E-12")
_HUNDRED = Decimal(100)


class ExitReason(StrEnum):
    """Why a round trip ended, as a code; pages translate it."""

    ALERT = "alert"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"
    TIME_LIMIT = "time_limit"
    RISK_LIMIT = "risk_limit"
    DAILY_LOSS = "daily_loss"
    MANUAL = "manual"
    FLATTEN = "flatten"
    BROKER_STOP_LOSS = "broker_stop_loss"
    BROKER_TAKE_PROFIT = "broker_take_profit"
    EXTERNAL = "external"  # done at the broker by hand, and assigned to the bot
    RECOVERED = "recovered"  # a DashTrade order found at the broker but missing here


_STOPS = {
    OrderType.STOP: ExitReason.STOP_LOSS,
    OrderType.STOP_LIMIT: ExitReason.STOP_LOSS,
    OrderType.TRAILING_STOP: ExitReason.TRAILING_STOP,
}


def exit_reason(
    *, origin: str, cause: ExitCause | None, order_type: OrderType, held_at_broker: bool, trailing: bool
) -> ExitReason:
    """From the closing signal (its origin and its cause), the order's type, and who managed the exit."""
    if held_at_broker:
        return ExitReason.BROKER_TAKE_PROFIT if order_type is OrderType.LIMIT else ExitReason.BROKER_STOP_LOSS
    match origin:
        case Origin.EXIT:
            kind = ExitReason(cause or ExitReason.STOP_LOSS)
            return ExitReason.TRAILING_STOP if trailing and kind is ExitReason.STOP_LOSS else kind
        case Origin.RISK:
            return ExitReason(cause or ExitReason.RISK_LIMIT)
        case Origin.USER | Origin.REPLAY:
            return ExitReason(cause or ExitReason.MANUAL)
        case Origin.ADJUSTMENT:
            return ExitReason.EXTERNAL
        case Origin.ADOPTED:
            return ExitReason.RECOVERED
    return _STOPS.get(order_type, ExitReason.ALERT)


@record
class RoundTrip:
    """Quantities are unsigned; `realized` is before fees. `closed_at` is None while it is open."""

    id: int = 0  # 0: not in the database yet
    user_id: int
    account_id: int
    bot_id: int
    symbol: Symbol
    side: Side
    entry_quantity: Decimal
    entry_notional: Decimal
    exit_quantity: Decimal
    exit_notional: Decimal
    realized: Decimal
    fees: Decimal
    opened_at: datetime
    closed_at: datetime | None
    entry_signal_id: str
    exit_signal_id: str | None
    exit_reason: str  # empty while it is open
    on_paper: bool  # filled by the paper broker; on a live account: simulated

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees

    @property
    def entry_price(self) -> Decimal | None:
        return self.entry_notional / self.entry_quantity if self.entry_quantity else None

    @property
    def exit_price(self) -> Decimal | None:
        return self.exit_notional / self.exit_quantity if self.exit_quantity else None

    @property
    def percent(self) -> Decimal | None:
        """Profit in percent of the entry's cost."""
        return self.net / self.entry_notional * _HUNDRED if self.entry_notional else None

    @property
    def held(self) -> timedelta | None:
        return self.closed_at - self.opened_at if self.closed_at is not None else None


@record
class Execution:
    """One booked fill, as input of a round trip."""

    user_id: int
    account_id: int
    bot_id: int
    symbol: Symbol
    signal_id: str
    held: Decimal  # the bot's position before, signed
    side: OrderSide
    quantity: Decimal  # change of the position, unsigned
    price: Decimal
    realized: Decimal
    fee: Decimal
    at: datetime
    completes: bool  # the last fill of an order that closes the position
    reason: ExitReason
    on_paper: bool


Change = tuple[RoundTrip | None, RoundTrip]  # before, None for a new trip; after


def follow(trip: RoundTrip | None, seen: Execution) -> tuple[RoundTrip | None, RoundTrip | None]:
    """(the bot's latest trip after the execution, None if unchanged; the trip that begins, if any)."""
    closing = min(seen.quantity, abs(seen.held)) if seen.held * seen.side.sign < 0 else ZERO
    opening = seen.quantity - closing
    if not closing:
        if trip is None or not trip.is_open:
            return None, _begin(seen, opening, seen.fee)
        return replace(
            trip,
            entry_quantity=trip.entry_quantity + opening,
            entry_notional=trip.entry_notional + opening * seen.price,
            realized=trip.realized + seen.realized,
            fees=trip.fees + seen.fee,
        ), None
    fee = (seen.fee * closing / seen.quantity).quantize(_FEE_STEP) if opening else seen.fee
    flat = bool(opening) or closing == abs(seen.held) or seen.completes
    return _leave(trip or _unrecorded(seen, closing), seen, closing, fee, flat), _begin(
        seen, opening, seen.fee - fee
    ) if opening else None


def changes(before: RoundTrip | None, seen: Execution) -> list[Change]:
    now, begun = follow(before, seen)
    return [*([(before, now)] if now is not None else []), *([(None, begun)] if begun is not None else [])]


def follow_all(trip: RoundTrip | None, executions: Iterable[Execution]) -> list[Change]:
    """Each trip that the executions begin or change, oldest first."""
    found: list[Change] = []
    for seen in executions:
        for before, after in changes(trip, seen):
            if found and before is found[-1][1]:
                found[-1] = (found[-1][0], after)
            else:
                found.append((before, after))
            trip = after
    return found


def _begin(seen: Execution, quantity: Decimal, fee: Decimal) -> RoundTrip:
    return RoundTrip(
        user_id=seen.user_id,
        account_id=seen.account_id,
        bot_id=seen.bot_id,
        symbol=seen.symbol,
        side=Side.LONG if seen.side is OrderSide.BUY else Side.SHORT,
        entry_quantity=quantity,
        entry_notional=quantity * seen.price,
        exit_quantity=ZERO,
        exit_notional=ZERO,
        realized=ZERO,
        fees=fee,
        opened_at=seen.at,
        closed_at=None,
        entry_signal_id=seen.signal_id,
        exit_signal_id=None,
        exit_reason="",
        on_paper=seen.on_paper,
    )


def _leave(trip: RoundTrip, seen: Execution, quantity: Decimal, fee: Decimal, flat: bool) -> RoundTrip:
    """Later executions change an ended trip's figures, not when and why it ended."""
    after = replace(
        trip,
        exit_quantity=trip.exit_quantity + quantity,
        exit_notional=trip.exit_notional + quantity * seen.price,
        realized=trip.realized + seen.realized,
        fees=trip.fees + fee,
    )
    if not flat or not trip.is_open:
        return after
    return replace(
        after, closed_at=max(seen.at, trip.opened_at), exit_signal_id=seen.signal_id, exit_reason=seen.reason
    )


def _unrecorded(seen: Execution, quantity: Decimal) -> RoundTrip:
    """A position without a trip, such as a remainder assigned to a bot: its cost follows from the profit of
    closing it."""
    side = Side.of(seen.held)
    cost = seen.price * quantity - side.sign * seen.realized
    begun = _begin(seen, quantity, ZERO)
    return replace(begun, side=side, entry_notional=cost)


def outcome(trip: RoundTrip | None) -> int:
    """1 won, -1 lost, 0 neither or still open: after fees."""
    if trip is None or trip.is_open:
        return 0
    return (trip.net > 0) - (trip.net < 0)


@record
class Tally:
    """Changes of the counts of wins and losses."""

    wins: int = 0
    losses: int = 0

    def counted(self, day: Day) -> Day:
        if not self.wins and not self.losses:
            return day
        # it may have ended on another day
        return replace(day, wins=max(day.wins + self.wins, 0), losses=max(day.losses + self.losses, 0))


def tally(found: Iterable[Change]) -> Tally:
    pairs = [(outcome(before), outcome(after)) for before, after in found]
    return Tally(
        wins=sum((now > 0) - (was > 0) for was, now in pairs),
        losses=sum((now < 0) - (was < 0) for was, now in pairs),
    )
