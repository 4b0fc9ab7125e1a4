"""The small values everything else is made of: exact numbers, symbols, timeframes and ids.

People write the same thing in many ways (`NASDAQ:AAPL`, `aapl`; `15 Min`, `15m`, `15`). Each thing has one
form in here, so that an alert finds its bot however it was spelled."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

ZERO = Decimal(0)
MAX_DIGITS = 30  # what PostgreSQL and SQLite both keep without loss, and far more than any market needs


class Malformed(ValueError):
    """What somebody sent cannot be read. `where` names the field, `hint` says what would be right."""

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
        return {Side.LONG: 1, Side.SHORT: -1, Side.FLAT: 0}[self]


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
    """What a rule has asked for already, such as the limit price of a limit order: that it is missing is a
    bug of ours."""
    if value is None:
        raise AssertionError(f"there is no {what} where there has to be one")
    return value


def exact(value: object, where: str = "number") -> Decimal:
    """Read a number somebody sent, exactly; anything that is not a plain finite number is refused."""
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


def plain(number: Decimal) -> str:
    """A Decimal as people write it: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money(number: Decimal) -> str:
    """An amount of money as shown to people: two decimals, thousands separated."""
    return f"{number.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def floor_to(number: Decimal, step: Decimal) -> Decimal:
    """Towards zero, to a multiple of `step`: what a venue accepts without giving more than was asked for."""
    return (number / step).to_integral_value(ROUND_DOWN) * step if step > 0 else number


def round_to(number: Decimal, step: Decimal) -> Decimal:
    return (number / step).to_integral_value(ROUND_HALF_UP) * step if step > 0 else number


# --- symbols ------------------------------------------------------------------------------------------------

US_STOCK_MARKETS = frozenset(
    [
        "NYSE",
        "NASDAQ",
        "AMEX",
        "ARCA",
        "NYSEARCA",
        "NYSEAMERICAN",
        "BATS",
        "BZX",
        "CBOE",
        "IEX",
        "OTC",
        "OTCMKTS",
        "US",
        "XNYS",
        "XNAS",
        "ARCX",
        "EQ",
        "STOCK",
    ]
)
CRYPTO_MARKETS = frozenset(
    [
        "CRYPTO",
        "BINANCE",
        "BINANCEUS",
        "COINBASE",
        "KRAKEN",
        "OKX",
        "OKEX",
        "GEMINI",
        "BITSTAMP",
        "BITFINEX",
        "BYBIT",
        "KUCOIN",
        "HUOBI",
        "HTX",
        "GATEIO",
        "MEXC",
        "BITGET",
        "POLONIEX",
        "BITTREX",
        "BITMEX",
        "DERIBIT",
        "UPBIT",
        "BITHUMB",
        "CRYPTOCOM",
        "PHEMEX",
        "INDEX",
        "WHITEBIT",
        "BITVAVO",
        "ALPACA",
    ]
)
# USD before TUSD and BUSD: COINBASE:MNTUSD is MNT/USD, and a known coin decides by itself (BTCTUSD).
QUOTE_COINS = (
    "FDUSD",
    "USDT",
    "USDC",
    "USD",
    "TUSD",
    "BUSD",
    "EUR",
    "GBP",
    "JPY",
    "AUD",
    "CAD",
    "CHF",
    "TRY",
    "BTC",
    "ETH",
    "BNB",
    "DAI",
)
COINS = frozenset(
    [
        "BTC",
        "XBT",
        "ETH",
        "SOL",
        "XRP",
        "ADA",
        "DOGE",
        "DOT",
        "AVAX",
        "LINK",
        "MATIC",
        "POL",
        "LTC",
        "BCH",
        "UNI",
        "ATOM",
        "XLM",
        "ETC",
        "FIL",
        "APT",
        "ARB",
        "OP",
        "NEAR",
        "ICP",
        "VET",
        "HBAR",
        "ALGO",
        "AAVE",
        "MKR",
        "SNX",
        "CRV",
        "COMP",
        "SUSHI",
        "YFI",
        "BAT",
        "ZRX",
        "GRT",
        "SAND",
        "MANA",
        "AXS",
        "ENJ",
        "CHZ",
        "FTM",
        "EOS",
        "XTZ",
        "XMR",
        "ZEC",
        "DASH",
        "NEO",
        "TRX",
        "BNB",
        "SHIB",
        "PEPE",
        "INJ",
        "SUI",
        "SEI",
        "TIA",
        "RUNE",
        "IMX",
        "LDO",
        "STX",
        "KAS",
        "TON",
        "WIF",
        "BONK",
        "FLOKI",
        "ORDI",
        "JUP",
        "PYTH",
        "RENDER",
        "RNDR",
        "FET",
        "TAO",
        "WLD",
        "ENA",
        "ONDO",
        "USDT",
        "USDC",
        "DAI",
        "PAXG",
        "BTT",
        "GALA",
        "EGLD",
        "THETA",
        "KSM",
        "QNT",
        "FLOW",
        "DYDX",
        "GMX",
        "BLUR",
        "MASK",
        "ANKR",
        "CELO",
        "ONE",
        "ZIL",
        "IOTA",
        "WAVES",
        "QTUM",
        "OMG",
        "LRC",
        "STORJ",
    ]
)
_STOCK = re.compile(r"[A-Z][A-Z0-9]{0,4}(?:[.\-/][A-Z]{1,2})?")
_FOREIGN = re.compile(r"[A-Z0-9][A-Z0-9.&_\-]{0,19}")
_COIN = re.compile(r"[A-Z0-9]{1,12}")
_SYMBOL_HINT = "Write a stock as AAPL or NASDAQ:AAPL, a coin as BTC/USDT, BTCUSD or BINANCE:BTCUSDT."


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """One instrument. `text` is its universal form: `NYSE:AAPL-EQ` (any US-listed stock: NYSE stands for the
    US market and its hours, whichever exchange the writer named), `LSE:VOD-EQ`, `CRYPTO:BTC/USDT`."""

    market: str
    base: str
    quote: str

    @property
    def text(self) -> str:
        return f"CRYPTO:{self.base}/{self.quote}" if self.is_crypto else f"{self.market}:{self.base}-EQ"

    @property
    def is_crypto(self) -> bool:
        return self.market == "CRYPTO"

    @property
    def short(self) -> str:
        """How a person writes it."""
        return f"{self.base}/{self.quote}" if self.is_crypto else self.base

    @property
    def currency(self) -> str:
        """What its profits are counted in; of a foreign stock the market alone is known, and stands for its
        currency."""
        return self.quote or self.market

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, written: object, where: str = "symbol") -> Symbol:
        if not isinstance(written, str) or not written.strip():
            raise Malformed(f"{where} is missing", where=where, hint=_SYMBOL_HINT)
        text = written.strip().upper()
        if len(text) > 40:
            raise Malformed(f"{where} is too long: {text[:40]!r}…", where=where, hint=_SYMBOL_HINT)
        market, _, name = text.rpartition(":")
        market = re.sub(r"_DLY?$", "", market)
        if name.endswith(".P") and (
            market in CRYPTO_MARKETS or _split_pair(name[:-2], any_base=bool(market))
        ):
            raise Malformed(
                f"{written.strip()!r} is a perpetual future; DashTrade trades spot",
                where=where,
                hint=f"Use the spot pair: {name[:-2]}.",
            )
        symbol = (
            cls._stock(market, name) if market and market not in CRYPTO_MARKETS else cls._either(market, name)
        )
        if symbol is None:
            raise Malformed(f"{where} {written.strip()!r} cannot be read", where=where, hint=_SYMBOL_HINT)
        return symbol

    @classmethod
    def _either(cls, market: str, name: str) -> Symbol | None:
        pair = _split_pair(name, any_base=bool(market))
        if pair:
            return cls(market="CRYPTO", base="BTC" if pair[0] == "XBT" else pair[0], quote=pair[1])
        return cls._stock("NYSE", name) if not market else None

    @classmethod
    def _stock(cls, market: str, name: str) -> Symbol | None:
        name = name.removesuffix("-EQ")
        if market in US_STOCK_MARKETS:
            return (
                cls(market="NYSE", base=re.sub(r"[\-/]", ".", name), quote="USD")
                if _STOCK.fullmatch(name)
                else None
            )
        fits = re.fullmatch(r"[A-Z][A-Z0-9_]{1,11}", market) and _FOREIGN.fullmatch(name)
        return cls(market=market, base=name, quote="") if fits else None


def _split_pair(name: str, *, any_base: bool) -> tuple[str, str] | None:
    """`BTC/USDT`, `BTC-USD`, `BTCUSDT` as (base, quote). Without a separator or an exchange, only a known
    coin counts: `LUSD` might be a stock."""
    for separator in "/-_":
        base, found, quote = name.partition(separator)
        if found:
            fits = _COIN.fullmatch(base) and (quote in QUOTE_COINS or (quote in COINS and base in COINS))
            return (base, quote) if fits else None
    pairs = [(name.removesuffix(quote), quote) for quote in QUOTE_COINS if name.endswith(quote)]
    known = (pair for pair in pairs if pair[0] in COINS)
    likely = (pair for pair in pairs if any_base and _COIN.fullmatch(pair[0]))
    return next(known, None) or next(likely, None)


# --- timeframes ---------------------------------------------------------------------------------------------

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000}
_UNIT_WORDS = {
    "": "m",
    "m": "m",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "s": "s",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "h": "h",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "d": "d",
    "day": "d",
    "days": "d",
    "daily": "d",
    "w": "w",
    "wk": "w",
    "week": "w",
    "weeks": "w",
    "weekly": "w",
    "mo": "M",
    "mon": "M",
    "month": "M",
    "months": "M",
    "monthly": "M",
    "hourly": "h",
}
_SHOWN = {"s": "Sec", "m": "Min", "h": "Hour", "d": "Day", "w": "Week", "M": "Month"}
_TIMEFRAME = re.compile(r"(\d{0,5})[\s-]{0,3}([A-Za-z]*)")
_TIMEFRAME_HINT = 'Write it as "15 Min", "15", "1H", "D" or "1W".'


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """A candle's length. `text` is its one form: `15m`, `1h`, `1d`, `1w`, `1M`."""

    seconds: int

    @classmethod
    def parse(cls, written: object, where: str = "timeframe") -> Timeframe:
        text = (
            str(written).strip() if isinstance(written, (str, int)) and not isinstance(written, bool) else ""
        )
        found = _TIMEFRAME.fullmatch(text) if 0 < len(text) <= 20 else None
        if found is None:
            raise Malformed(
                f"{where} {str(written)[:20]!r} cannot be read", where=where, hint=_TIMEFRAME_HINT
            )
        number, word = found.groups()
        # TradingView writes months as M, 3M, 6M and 12M, and minutes as a bare number; people write 15M for
        # minutes.
        unit = "M" if word == "M" and number in ("", "1", "3", "6", "12") else _UNIT_WORDS.get(word.lower())
        count = int(number or 1)
        if unit is None or not 1 <= count <= 10000:
            raise Malformed(f"{where} {text[:20]!r} cannot be read", where=where, hint=_TIMEFRAME_HINT)
        return cls(count * _UNITS[unit])

    def _parts(self) -> tuple[int, str]:
        for unit in ("M", "w", "d", "h", "m"):
            if self.seconds % _UNITS[unit] == 0:
                return self.seconds // _UNITS[unit], unit
        return self.seconds, "s"

    @property
    def text(self) -> str:
        count, unit = self._parts()
        return f"{count}{unit}"

    @property
    def shown(self) -> str:
        count, unit = self._parts()
        return f"{count} {_SHOWN[unit]}"

    @property
    def span(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return self.text


# --- ids and time -------------------------------------------------------------------------------------------


def new_id(now: datetime) -> str:
    """An id that sorts by time and is never made twice, not even after a restored backup: 48 bits of
    milliseconds, 80 of chance."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def client_order_id(signal_id: str, bot_id: int, step: int, attempt: int = 0) -> str:
    """The name under which one order is known at every venue: derived, so that a retry finds itself.

    It says whose order it is even to a DashTrade that has forgotten it (a restored backup): the signal's
    time, so that ids sort as orders came (and databases keep neighbours together), the bot, a digest, and a
    check over all of it."""
    digest = sha256(f"{signal_id}|{bot_id}|{step}|{attempt}")
    time = signal_id[:12] if re.fullmatch("[0-9a-f]{12}", signal_id[:12]) else digest[20:32]
    named = f"{time}{bot_id & 0xFFFFFFFF:08x}{digest[:8]}"
    return named + sha256(named)[:4]


def bot_of_order(client_order_id: str) -> int | None:
    """Which bot's order this is; None if it is not the name of an order of ours."""
    named, check = client_order_id[:28], client_order_id[28:]
    ours = re.fullmatch("[0-9a-f]{32}", client_order_id) is not None and sha256(named)[:4] == check
    return int(named[12:20], 16) if ours else None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
