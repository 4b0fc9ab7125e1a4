"""Exits for display: one line each, as facts, and the sentence made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from dashtrade.domain.exits.state import ExitKind, ExitState
from dashtrade.domain.record import record
from dashtrade.domain.values import plain

DASHTRADE = "DashTrade"


@record
class ExitLine:
    """One exit in its current state."""

    kind: ExitKind
    price: Decimal | None = None
    limit: Decimal | None = None
    share_percent: Decimal | None = None
    quantity: Decimal | None = None
    trailing: bool = False
    break_even: bool = False
    until: datetime | None = None
    tries: int = 0  # of a triggered exit
    held_by: str = DASHTRADE  # or the broker's name


def exit_lines(state: ExitState | None) -> Iterator[ExitLine]:
    if not state:
        return
    holder = state.held_by or DASHTRADE
    for target in state.take_profits:
        yield ExitLine(
            kind=ExitKind.TAKE_PROFIT,
            price=target.price,
            share_percent=target.share_percent,
            quantity=target.quantity,
            held_by=holder,
        )
    if state.stop is not None:
        yield ExitLine(
            kind=ExitKind.STOP_LOSS,
            price=state.stop.price,
            limit=state.stop.limit,
            trailing=state.stop.trail is not None,
            break_even=state.break_even,
            held_by=holder,
        )
    if state.until is not None:
        yield ExitLine(kind=ExitKind.TIME_LIMIT, until=state.until)
    if state.triggered is not None:
        triggered = state.triggered
        yield ExitLine(kind=triggered.kind, price=triggered.price, tries=triggered.tries)


def exit_words(line: ExitLine, time_zone: str = "UTC", number: Callable[[Decimal], str] = plain) -> str:
    """`number` formats a price: exact for programs, rounded for a page."""
    at = "" if line.price is None else f" at {number(line.price)}"
    if line.tries:
        again = f", try {line.tries}" if line.tries > 1 else ""
        return f"{line.kind.label}{at} triggered, closing now{again}"
    if line.until is not None:
        return f"closes at {line.until.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} {time_zone}"
    if line.kind is ExitKind.TAKE_PROFIT:
        part = f" {plain(line.quantity)}" if line.quantity else ""
        part = part or (f" {plain(line.share_percent)}%" if line.share_percent else "")
        return f"take profit{part}{at}"
    limit = "" if line.limit is None else f", limit {number(line.limit)}"
    even = ", to break-even after the first step" if line.break_even else ""
    return f"{'trailing stop' if line.trailing else 'stop'}{at}{limit}{even}"


def holder_words(line: ExitLine) -> str:
    """Who manages it: DashTrade's exits only work while DashTrade runs, a broker's always."""
    if line.held_by == DASHTRADE:
        return "managed by DashTrade while it runs"
    return f"placed at {line.held_by}"


def exits_in_words(state: ExitState | None, time_zone: str = "UTC") -> list[str]:
    return [f"{exit_words(line, time_zone)} ({holder_words(line)})" for line in exit_lines(state)]
