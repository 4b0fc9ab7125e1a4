"""The small values everything else is made of: exact numbers, sides and ids.

People write the same thing in many ways (`NASDAQ:AAPL`, `aapl`; `15 Min`, `15m`, `15`). Each thing has one
form here, so that an alert finds its bot in any notation."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

ZERO = Decimal(0)

MAX_DIGITS = 30  # exact in both PostgreSQL and SQLite, and far more than any market needs


class Malformed(ValueError):
    """Input that cannot be parsed. `where` names the field, `hint` says what would be right."""

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint


class Side(StrEnum):
    """The direction of a position."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"

    @classmethod
    def of(cls, quantity: Decimal) -> Side:
        return cls.LONG if quantity > 0 else cls.SHORT if quantity < 0 else cls.FLAT

    @property
    def sign(self) -> int:
        return (self is Side.LONG) - (self is Side.SHORT)


class OrderSide(StrEnum):
    """The direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is OrderSide.BUY else -1

    @property
    def opposite(self) -> OrderSide:
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


T = TypeVar("T")


def given(value: T | None, what: str) -> T:
    """A value that a rule has already required, such as the limit price of a limit order: its absence is a
    bug."""
    if value is None:
        raise AssertionError(f"there is no {what} where there has to be one")
    return value


def exact(value: object, where: str = "number") -> Decimal:
    """Parse a number exactly; anything that is not a plain finite number is refused."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise Malformed(f"{where} is not a number", where=where, hint='Send a number such as 10 or "10.5".')
    text = repr(value) if isinstance(value, float) else str(value).strip().replace("_", "!")
    try:
        number = Decimal(text if text.isascii() else "")
    except InvalidOperation:
        raise Malformed(
            f"{where} is not a number: {text[:40]!r}", where=where, hint='Send a number such as 10 or "10.5".'
        ) from None
    digits = number.as_tuple()
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS or len(digits.digits) > MAX_DIGITS:
        raise Malformed(f"{where} is out of range: {text[:40]!r}", where=where, hint="Send a finite number.")
    return number


def finite(raw: object) -> Decimal | None:
    """A number from a broker's answer; None where it has none."""
    try:
        number = Decimal(str(raw)) if raw is not None else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def plain(number: Decimal) -> str:
    """A Decimal without exponent or trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money(number: Decimal) -> str:
    """An amount of money as shown to people: two decimals, thousands separated."""
    return f"{number.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def as_sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}" if text else ""


def floor_to(number: Decimal, step: Decimal) -> Decimal:
    """Towards zero, to a multiple of `step`: what a broker accepts without exceeding the requested size."""
    return (number / step).to_integral_value(ROUND_DOWN) * step if step > 0 else number


def round_to(number: Decimal, step: Decimal) -> Decimal:
    return (number / step).to_integral_value(ROUND_HALF_UP) * step if step > 0 else number


# --- ids and time -------------------------------------------------------------------------------------------


def new_id(now: datetime) -> str:
    """A unique id that sorts by time, even after a restored backup: 48 bits of milliseconds, 80 random
    bits."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def client_order_id(signal_id: str, bot_id: int, step: int, attempt: int = 0) -> str:
    """An order's id at every broker: derived, so that a retry has the same id.

    It identifies the order even when the order is missing here (a restored backup): the signal's time, so
    that ids sort in order of arrival (and databases keep neighbours together), the bot, a digest, and a
    checksum."""
    digest = sha256(f"{signal_id}|{bot_id}|{step}|{attempt}")
    time = signal_id[:12] if re.fullmatch("[0-9a-f]{12}", signal_id[:12]) else digest[20:32]
    named = f"{time}{bot_id & 0xFFFFFFFF:08x}{digest[:8]}"
    return named + sha256(named)[:4]


def bot_of_order(client_order_id: str) -> int | None:
    """The bot of the order; None if the id is not DashTrade's."""
    named, check = client_order_id[:28], client_order_id[28:]
    ours = re.fullmatch("[0-9a-f]{32}", client_order_id) is not None and sha256(named)[:4] == check
    return int(named[12:20], 16) if ours else None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
