"""Symbols, in the many notations of people and brokers."""

from __future__ import annotations

import re
from decimal import Decimal

from dashtrade.domain.record import record
from dashtrade.domain.values import Malformed

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

# USD before TUSD and BUSD: COINBASE:MNTUSD is MNT/USD, and a known base coin settles it (BTCTUSD).
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


@record
class Symbol:
    """One instrument. `text` is its universal form: `NYSE:AAPL-EQ` (any US-listed stock: NYSE stands for the
    US market and its hours, whatever exchange the alert named), `LSE:VOD-EQ`, `CRYPTO:BTC/USDT`."""

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
        """The short form for display."""
        return f"{self.base}/{self.quote}" if self.is_crypto else self.base

    @property
    def currency(self) -> str:
        """The currency of its profits; of a foreign stock only the market is known, and stands for its
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


def usual_price_step(symbol: Symbol, price: Decimal) -> Decimal:
    """For the paper account, and where the broker's own step is not available."""
    if not symbol.is_crypto:
        return Decimal("0.01") if price >= 1 else Decimal("0.0001")
    return Decimal(1).scaleb(-max(2, min(12, 4 - price.adjusted())))  # five digits, and cents at least
