"""A signal: what somebody asks a bot to do, in whatever dialect (`alerts/dialects.py` reads them)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType, Side, TimeInForce


class Action(StrEnum):
    BUY = "buy"  # be long: close a short first
    SELL = "sell"  # be short (or flat, where the bot may not be short): close a long first
    CLOSE = "close"  # own nothing; with a size: own less
    REDUCE = "reduce"  # own less: needs a size
    ADD = "add"  # more of what is owned
    REVERSE = "reverse"  # the same size the other way round
    CANCEL = "cancel"  # take back what is not filled yet
    BREAKEVEN = "breakeven"  # move the stop to the entry price


class SizeKind(StrEnum):
    QUANTITY = "quantity"
    DOLLARS = "dollars"
    EQUITY_PERCENT = "equity_percent"
    POSITION_PERCENT = "position_percent"
    RISK_DOLLARS = "risk_dollars"
    RISK_PERCENT = "risk_percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    kind: SizeKind
    value: Decimal  # positive


class Origin(StrEnum):
    """Who asked. Everything that trades enters by the same door."""

    WEBHOOK = "webhook"
    API = "api"
    USER = "user"  # a button: the user's own hand
    REPLAY = "replay"  # an alert once more, on paper
    RISK = "risk"  # DashTrade's own stop
    EXIT = "exit"  # a take-profit or stop-loss kept by DashTrade
    ADOPTED = "adopted"  # an order of ours that was found at the venue and was not on record here
    ADJUSTMENT = "adjustment"  # what was done at the venue by hand, given to a bot by its user


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A take-profit or stop-loss as written: exactly one of price, percent (of the entry price) and amount
    (price distance)."""

    price: Decimal | None = None
    percent: Decimal | None = None
    amount: Decimal | None = None
    limit_price: Decimal | None = None  # a stop-limit's limit
    trailing: bool = False
    share_percent: Decimal | None = None  # of the position as it was entered; neither share: all that is left
    share_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPlan:
    """How a position is to be left, as asked for by an alert or as a bot's own rule."""

    take_profits: tuple[Target, ...] = ()
    stop_loss: Target | None = None
    break_even: bool = False  # after the first take-profit step the stop moves to the entry price
    close_after: timedelta | None = None  # since the entry's fill
    close_at: time | None = None  # in the bot's time zone

    @property
    def is_empty(self) -> bool:
        return not (self.take_profits or self.stop_loss or self.close_after or self.close_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    action: Action
    symbol: Symbol
    written_symbol: str
    timeframe: Timeframe | None = None
    bot: str | None = None  # the one it names: an id or a name
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
    price: Decimal | None = None  # what the sender saw; for the story
    dialect: str = "plain"
    notes: tuple[str, ...] = ()  # how the reader read it, for the story
