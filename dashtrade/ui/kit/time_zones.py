"""Choosing a time zone: found by its city as people write it, and by its name in the database."""

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
    """All of them, and the one that is set, should it have another name."""
    return [*zones(), *([zone] if zone not in zones() else [])]


def zone_label(zone: str) -> str:
    """`New York (America/New_York)`: a search for either finds it."""
    if zone in (UTC, "UTC"):
        return "UTC"
    return f"{zone.rpartition('/')[2].replace('_', ' ')} ({zone})"
