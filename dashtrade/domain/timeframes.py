"""Timeframes, in the notations of people and TradingView."""

from __future__ import annotations

import re
from datetime import timedelta

from dashtrade.domain.record import record
from dashtrade.domain.values import Malformed

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


@record(kw_only=False, order=True)
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
