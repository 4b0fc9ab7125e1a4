"""Choosing a time zone: searchable by city and by database name."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

UTC = "Etc/UTC"


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    return (
        UTC,
        *sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")),
    )


def with_own(zone: str) -> list[str]:
    """All time zones, and the current one if it has another name."""
    return [*zones(), *([zone] if zone not in zones() else [])]


def zone_label(zone: str) -> str:
    """Such as `New York (America/New_York)`, so that a search finds either."""
    if zone in (UTC, "UTC"):
        return "UTC"
    return f"{zone.rpartition('/')[2].replace('_', ' ')} ({zone})"
