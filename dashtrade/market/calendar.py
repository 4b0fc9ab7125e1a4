"""Trading days from exchange_calendars.

The library costs a second and 100 MB (it needs pandas), so no process that lives on loads it:
`python -m dashtrade.market.calendar XNYS 2028-01-01` computes the days in a process of its own and writes
them to its output, and `dashtrade.trading_days` stores them in the database."""

from __future__ import annotations

import sys
from array import array
from datetime import date

from dashtrade.domain.sessions import Sessions
from dashtrade.domain.symbols import Symbol

FIRST_DAY = "1970-01-01"
CALENDARS = {"NYSE": "XNYS"}  # of a symbol's market: the calendar's name (ISO 10383)


def calendar_of(symbol: Symbol) -> str | None:
    """None: it trades at all hours, or nothing is known of its market's."""
    return CALENDARS.get(symbol.market)


def compute(calendar: str, until: date) -> Sessions:
    import exchange_calendars

    found = exchange_calendars.get_calendar(calendar, start=FIRST_DAY, end=until.isoformat()).schedule
    days, opens, closes = (
        column.astype("datetime64[ms]").astype("int64").tolist()
        for column in (
            found.index.to_numpy(),
            found["open"].dt.tz_convert(None).to_numpy(),
            found["close"].dt.tz_convert(None).to_numpy(),
        )
    )
    return Sessions(days=array("q", days), opens=array("q", opens), closes=array("q", closes))


if __name__ == "__main__":
    sys.stdout.buffer.write(compute(sys.argv[1], date.fromisoformat(sys.argv[2])).to_bytes())
