"""The words of the language besides indicators: columns, what is held, places, bounds."""

from __future__ import annotations

PRICES = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "hl2": "middle of high and low",
    "hlc3": "mean of high, low and close",
    "ohlc4": "mean of open, high, low and close",
    "bid": "bid",
    "ask": "ask",
    "spread": "spread",
}

HELD = {
    "position": "position",  # 1 long, -1 short, 0 none
    "quantity": "quantity held",
    "entry_price": "average entry price",
    "profit": "open profit",
    "profit%": "open profit in percent",
    "bars_since_entry": "number of candles since the entry",
    "equity": "account's equity",
    "cash": "account's cash",
    "day_profit": "account's profit today",
    "day_profit%": "account's profit today in percent",
    "drawdown%": "account's drawdown in percent",
}

# As they are written, and by their IANA name. The first name of a place is the canonical one.
ZONES = {
    "UTC": "UTC",
    "New York": "America/New_York",
    "Chicago": "America/Chicago",
    "London": "Europe/London",
    "Frankfurt": "Europe/Berlin",
    "Paris": "Europe/Paris",
    "Zurich": "Europe/Zurich",
    "Mumbai": "Asia/Kolkata",
    "Singapore": "Asia/Singapore",
    "Hong Kong": "Asia/Hong_Kong",
    "Tokyo": "Asia/Tokyo",
    "Sydney": "Australia/Sydney",
}
DEFAULT_ZONE = "UTC"

COMPARISONS = ("<", "<=", ">", ">=", "=", "!=")
OPERATORS = ("+", "-", "*", "/")
DIRECTIONS = ("above", "below")

MOST_CHARACTERS = 2_000
MOST_DEPTH = 24
MOST_NODES = 200
MOST_BARS = 500  # back, in a row, or within
MOST_FRAMES = 8  # other symbols and timeframes
MOST_WARM_UP_BARS = 100_000
MOST_NANOSECONDS = 30_000  # of one candle, of all rules of a plan
