"""The sources of market data as a document: what each has, for the command line and the manual, without
loading an adapter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dashtrade.feeds.kinds import Candles, Prices, SourceKind, Tier
from dashtrade.feeds.registry import SOURCES

_COLUMNS = ("source", "plan", "of", "candles", "prices", "how far back", "quotes", "newest price", "requests")


def as_markdown() -> str:
    """The table, then what else there is to know of each, and how to open it."""
    table = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
        *(_row(kind, tier) for kind in SOURCES.values() for tier in kind.tiers),
    ]
    return "\n".join([*table, "", *(line for kind in SOURCES.values() for line in _details(kind))]) + "\n"


def _row(kind: SourceKind, tier: Tier) -> str:
    markets = " and ".join(word for word, yes in (("US stocks", kind.stocks), ("coins", kind.crypto)) if yes)
    cells = (
        f"`{kind.name}` {kind.title}",
        tier.name,
        markets,
        "; ".join(" ".join(each.text for each in one.timeframes) + _only(one) for one in tier.candles)
        or "none",
        "; ".join(", ".join(sorted(one.adjustments)) for one in tier.candles) or "–",
        "; ".join(_reach(one.reach) for one in tier.candles) or "–",
        _quotes(tier),
        _late(tier.delay),
        _requests(tier),
    )
    return "| " + " | ".join(cells) + " |"


def _only(one: Candles) -> str:
    return f" ({one.only})" if one.only else ""


def _reach(reach: timedelta | None) -> str:
    return "all there is" if reach is None else f"{reach.days} days"


def _quotes(tier: Tier) -> str:
    coins = f"; coins: {tier.coin_quotes}" if tier.coin_quotes not in (None, tier.quotes) else ""
    return f"{tier.quotes}{coins}"


def _late(delay: timedelta) -> str:
    if not delay:
        return "now"
    minutes = int(delay / timedelta(minutes=1))
    return f"{minutes} minutes late" if minutes < 1440 else f"{delay.days} day late"


def _requests(tier: Tier) -> str:
    limits = ((tier.per_minute, "a minute"), (tier.per_day, "a day"))
    return ", ".join(f"{limit:,} {unit}" for limit, unit in limits if limit is not None)


def _details(kind: SourceKind) -> Iterator[str]:
    fields = ", ".join(f"`{each.name}` ({each.help.rstrip('.')})" for each in kind.credentials)
    addresses = ", ".join(f"`{each.setting}`" for each in kind.addresses)
    opened = f"Needs {fields}." if fields else "Needs no key."
    yield f"- **{kind.title}.** {opened} Address override: {addresses}."
    for note in kind.notes:
        yield f"  {note}"
    if any(Prices.LAST in (tier.quotes, tier.coin_quotes) for tier in kind.tiers):
        yield "  Its quotes say that the last price stands in for bid and ask."
