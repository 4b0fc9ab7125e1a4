"""A signal: what an alert asks a bot to do, in any dialect (`alerts/dialects.py` parses them)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType, Side, TimeInForce


class Action(StrEnum):
    BUY = "buy"  # go long, closing a short first
    SELL = "sell"  # go short (or flat, where the bot may not be short), closing a long first
    CLOSE = "close"  # go flat; with a size: reduce
    REDUCE = "reduce"  # reduce the position: needs a size
    ADD = "add"  # increase the position
    REVERSE = "reverse"  # the same size in the other direction
    CANCEL = "cancel"  # cancel unfilled orders
    BREAKEVEN = "breakeven"  # move the stop to the entry price


class SizeKind(StrEnum):
    QUANTITY = "quantity"
    DOLLARS = "dollars"
    EQUITY_PERCENT = "equity_percent"
    POSITION_PERCENT = "position_percent"
    RISK_DOLLARS = "risk_dollars"
    RISK_PERCENT = "risk_percent"


@record
class Size:
    kind: SizeKind
    value: Decimal  # positive


class Origin(StrEnum):
    """The source of a signal. Everything that trades comes in as a signal."""

    WEBHOOK = "webhook"
    API = "api"
    USER = "user"  # a button in the dashboard
    REPLAY = "replay"  # an alert repeated, on paper
    RISK = "risk"  # a limit that DashTrade enforces
    EXIT = "exit"  # a take-profit or stop-loss managed by DashTrade
    ADOPTED = "adopted"  # a DashTrade order found at the broker but missing here
    ADJUSTMENT = "adjustment"  # a manual trade at the broker, assigned to a bot by its user


class ExitCause(StrEnum):
    """Why DashTrade itself closes or reduces a position."""

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TIME_LIMIT = "time_limit"
    RISK_LIMIT = "risk_limit"
    DAILY_LOSS = "daily_loss"
    FLATTEN = "flatten"  # its user closes everything


@record
class Target:
    """A take-profit or stop-loss as written: exactly one of price, percent (of the entry price) and amount
    (price distance)."""

    price: Decimal | None = None
    percent: Decimal | None = None
    amount: Decimal | None = None
    limit_price: Decimal | None = None  # a stop-limit's limit
    trailing: bool = False
    share_percent: Decimal | None = None  # of the entered position; neither share: all that is left
    share_quantity: Decimal | None = None


@record
class ExitPlan:
    """The exits of a position, as requested by an alert or as a bot's own rule."""

    take_profits: tuple[Target, ...] = ()
    stop_loss: Target | None = None
    break_even: bool = False  # after the first take-profit step the stop moves to the entry price
    close_after: timedelta | None = None  # since the entry's fill
    close_at: time | None = None  # in the bot's time zone

    @property
    def is_empty(self) -> bool:
        return not (self.take_profits or self.stop_loss or self.close_after or self.close_at)


@record
class Signal:
    action: Action
    symbol: Symbol
    written_symbol: str
    timeframe: Timeframe | None = None
    bot: str | None = None  # the named bot: an id or a name
    only_side: Side | None = None  # exit_long closes a long and nothing else
    size: Size | None = None
    order_type: OrderType | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce | None = None
    extended_hours: bool = False
    take_profits: tuple[Target, ...] = ()
    stop_loss: Target | None = None
    break_even: bool | None = None
    close_after: timedelta | None = None
    close_at: time | None = None
    cancel_first: bool = False
    delay: timedelta | None = None
    key: str | None = None  # the sender's own id for this alert
    sent_at: datetime | None = None  # when the sender says it was sent
    max_age: timedelta | None = None
    price: Decimal | None = None  # the sender's price; for display
    dialect: str = "plain"
    notes: tuple[str, ...] = ()  # notes of the parser, for display
