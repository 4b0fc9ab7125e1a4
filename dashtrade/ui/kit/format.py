"""Numbers, times and names for display: signs with colours, the user's time zone, markup escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import streamlit as st

from dashtrade.domain import wording
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Reason
from dashtrade.domain.values import plain

MINUS = "−"
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")

STATUS = {  # a signal's, bot's or order's status: (label, tone)
    "accepted": ("Working", "info"),
    "waiting": ("Working", "info"),
    "working": ("Working", "info"),
    "done": ("Done", "up"),
    "executed": ("Done", "up"),
    "filled": ("Filled", "up"),
    "partial": ("Partly filled", "warn"),
    "refused": ("Refused", "warn"),
    "failed": ("Failed", "down"),
    "rejected": ("Rejected", "down"),
    "attention": ("Needs attention", "down"),
    "canceled": ("Cancelled", "mute"),
    "created": ("Created", "info"),
    "submitting": ("Sending", "info"),
    "unknown": ("Looking up status", "warn"),
    "expired": ("Expired", "mute"),
    "nothing": ("No action", "mute"),
}


def text(raw: object) -> str:
    """User text escaped for Markdown."""
    return _MARKUP.sub(r"\\\1", " ".join(str(raw).split()))


def reason_words(user: User, why: Reason) -> str:
    """With times in the user's time zone."""
    return wording.words(why, zone(user))


def reason_sentence(user: User, why: Reason) -> str:
    return wording.sentence(why, zone(user))


# other currencies, and all coins, are named after the number
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def money(number: Decimal | None, currency: str = "USD") -> str:
    return "–" if number is None else _amount(number, currency, "")


def signed(number: Decimal | None, currency: str = "USD") -> str:
    return "–" if number is None else _amount(number, currency, "+")


def _amount(number: Decimal, currency: str, plus: str) -> str:
    cents = number.quantize(Decimal("0.01"), ROUND_HALF_UP)
    sign = plus if cents > 0 else MINUS if cents < 0 else ""
    before, behind = round_money(currency)
    return f"{sign}{before}{abs(cents):,}{behind}"


def round_money(currency: str) -> tuple[str, str]:
    """What precedes and follows an amount."""
    return (SIGNS[currency], "") if currency in SIGNS else ("", f" {currency}")


def rounded(number: Decimal, currency: str = "USD", *, plus: str = "+") -> str:
    """An amount without cents, for narrow places."""
    return re.sub(r"\.\d\d(?!\d)", "", _amount(number, currency, plus))


def percent(number: Decimal | float | None, *, sign: bool = False) -> str:
    if number is None:
        return "–"
    mark = ("+" if number > 0 else "") if sign else ""
    return f"{mark if number >= 0 else MINUS}{abs(number):.2f}%"


def rate(share: Decimal | None) -> str:
    """A win rate in percent."""
    return "–" if share is None else f"{share:.1f}%"


def quantity(number: Decimal) -> str:
    """Without trailing zeros; thousands separated."""
    whole, dot, rest = plain(abs(number)).partition(".")
    return f"{MINUS if number < 0 else ''}{int(whole):,}{dot}{rest}"


def size(number: Decimal) -> str:
    """At most six significant digits, for tables; the cell's tooltip has all of them."""
    whole = abs(number) >= 100_000
    return quantity(
        number.quantize(Decimal(1)) if whole else round(number, 5 - number.adjusted()) if number else number
    )


def price(number: Decimal | None) -> str:
    """Two decimals from one dollar up, more below."""
    if number is None:
        return "–"
    if abs(number) >= 1 or number == 0:
        return f"{number.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    return plain(number.quantize(Decimal(1).scaleb(number.adjusted() - 4), ROUND_HALF_UP))


def tone(number: Decimal | None) -> str:
    return "" if not number else "up" if number > 0 else "down"


def zone(user: User) -> ZoneInfo:
    """The user's time zone; the browser's if the user has not chosen one (UTC)."""
    name = user.time_zone
    if name == "UTC":
        name = getattr(st.context, "timezone", None) or "UTC"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def zone_text(user: User) -> str:
    """The name of the time zone used for display."""
    return str(zone(user))


def day_turn(user: User, now: datetime) -> str:
    """Figures and daily limits use UTC days; this says when one begins in the user's time zone."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    local = midnight.astimezone(zone(user))
    return "UTC day" if f"{local:%H:%M}" == "00:00" else f"UTC day, turns at {local:%H:%M} your time"


def moment(user: User, at: datetime | None, *, seconds: bool = False) -> str:
    """Today: only the time. This year: without the year."""
    if at is None:
        return "–"
    time_zone = zone(user)
    local, now = at.astimezone(time_zone), datetime.now(UTC).astimezone(time_zone)  # for display only
    clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    if local.date() == now.date():
        return clock
    return (
        f"{local.day} {local:%b} {clock}" if local.year == now.year else f"{local.day} {local:%b %Y} {clock}"
    )


def day(user: User, at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone(zone(user)).day} {at.astimezone(zone(user)):%b %Y}"


def ago(now: datetime, at: datetime | None) -> str:
    if at is None:
        return "never"
    seconds = max((now - at).total_seconds(), 0)
    for size, name in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''} ago"
    return "just now" if seconds < 10 else f"{int(seconds)} s ago"


def span(length: timedelta | None) -> str:
    """A duration in its two largest units."""
    if length is None:
        return "–"
    minutes = int(length.total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min" if minutes else "under a minute"


EXITS = {  # why a round trip ended
    "alert": "Alert",
    "stop_loss": "Stop loss",
    "trailing_stop": "Trailing stop",
    "take_profit": "Take profit",
    "time_limit": "Time limit",
    "risk_limit": "Max loss per position",
    "daily_loss": "Daily loss limit",
    "manual": "Closed manually",
    "flatten": "Close everything",
    "broker_stop_loss": "Stop loss at the broker",
    "broker_take_profit": "Take profit at the broker",
    "external": "Outside DashTrade",
    "recovered": "Recovered order",
}


def exit_label(code: str) -> str:
    return EXITS.get(code, code.replace("_", " ").capitalize())


def age(old: timedelta) -> str:
    """The age of a stale figure. In steps of ten seconds, so that it does not flicker."""
    seconds = int(old.total_seconds())
    return f"{seconds // 10 * 10} s old" if seconds < 60 else f"{span(old)} old"


def status(raw: str) -> tuple[str, str]:
    return STATUS.get(raw.lower(), (raw.replace("_", " ").capitalize(), "mute"))


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
