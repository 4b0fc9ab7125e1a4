"""Rows used by several pages: positions, signals, and a signal's story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from html import escape
from typing import Any

import streamlit as st

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.risk import risk_limit_price
from dashtrade.domain.exits.state import ExitKind
from dashtrade.domain.exits.wording import ExitLine, exit_lines, exit_words, holder_words
from dashtrade.domain.people import User
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Side
from dashtrade.services.accounts.prices import BotHolding
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.components import Cell, Column, Row
from dashtrade.ui.kit.format import moment, price, quantity, reason_sentence, status
from dashtrade.ui.shell import scope

ORIGINS = {
    "webhook": "Webhook",
    "api": "API",
    "user": "Manual",
    "replay": "Replay",
    "risk": "Loss limit",
    "exit": "Exit",
    "adopted": "Found at broker",
    "adjustment": "Manual at broker",
}
STEP_TONES = {
    "refused": "warn",
    "filled": "up",
    "booked": "up",
    "message": "mute",
    "check": "down",
    "checks": "up",
    "order rejected": "down",
    "order attention": "down",
}


def side_cell(side: Side) -> Cell:
    return Cell(
        text=side.value.capitalize(),
        tone="up" if side is Side.LONG else "down" if side is Side.SHORT else "mute",
        badge=True,
    )


def position_rows(held: Sequence[BotHolding]) -> tuple[list[Column], list[Row]]:
    columns = [
        Column(label="Market"),
        Column(label="Position"),
        Column(label="Entry", number=True, wide_only=True),
        Column(label="Price", number=True, wide_only=True),
        Column(label="P&L", number=True),
        Column(label="To stop", wide_only=True),
    ]
    return columns, [
        Row(
            id=str(h.bot.id),
            kind=scope.kind(h.account),
            actions=(("close", "Close"),),
            cells=[
                Cell(text=h.bot.symbol.short, sub=f"{scope.account_label(h.account)} · {h.bot.name}"),
                replace(side_cell(h.bot.position.side), sub=quantity(abs(h.bot.position.quantity))),
                Cell(text=price(h.bot.position.average_price)),
                live_cells.mark(h),
                live_cells.profit(h),
                stop_cell(h),
            ],
        )
        for h in held
    ]


def stop_cell(held: BotHolding) -> Cell:
    """How far the price has moved from the entry to the stop, or to the max loss."""
    own, entry = held.bot.exits.stop if held.bot.exits else None, held.bot.position.average_price
    stop = own.price if own is not None else risk_limit_price(held.bot)
    if stop is None or entry is None:
        return Cell(text="no stop", tone="mute")
    words = price(stop) if own is not None else f"max loss at {price(stop)}"
    if held.mark is None:
        return Cell(text=words)
    way = entry - stop
    gone = (entry - held.mark) / way * 100 if way else Decimal(100)
    return Cell(text=words, meter=round(float(min(max(gone, Decimal(0)), Decimal(100))), 1))


def signal_rows(user: User, found: Sequence[Any], *, brief: bool = False) -> tuple[list[Column], list[Row]]:
    if brief:
        columns = [Column(label="Signal"), Column(label="Outcome", number=True)]
        return columns, [
            Row(
                id=row.id,
                cells=[
                    Cell(text=what(row), sub=moment(user, row.received_at, seconds=True)),
                    Cell(text=status(row.status)[0], tone=status(row.status)[1], badge=True),
                ],
            )
            for row in found
        ]
    columns = [
        Column(label="Signal"),
        Column(label="Outcome"),
        Column(label="Why", wide_only=True),
        Column(label="From", wide_only=True),
        Column(label="Received", number=True),
    ]
    return columns, [
        Row(
            id=row.id,
            cells=[
                Cell(text=what(row), sub=_frame(row)),
                Cell(text=status(row.status)[0], tone=status(row.status)[1], badge=True),
                Cell(text=reason_sentence(user, row.reason) if row.reason else "–"),
                Cell(
                    text=ORIGINS.get(row.origin, row.origin.capitalize()),
                    sub=row.sender if row.origin == "webhook" else "",
                ),
                Cell(
                    text=moment(user, row.received_at, seconds=True),
                    sub=f"repeated {row.duplicate_count}×" if row.duplicate_count else "",
                ),
            ],
        )
        for row in found
    ]


def what(row: Any) -> str:
    """Such as "Buy AAPL"; an unreadable alert has neither action nor symbol."""
    return f"{row.action.capitalize()} {row.symbol.short}" if row.symbol is not None else "Unreadable alert"


def _frame(row: Any) -> str:
    return f"{Timeframe(row.timeframe).shown} · {row.dialect}" if row.timeframe else row.dialect


def story_lines(user: User, story: dict[str, Any]) -> None:
    """The steps, with times to the millisecond."""
    from datetime import datetime

    lines = []
    for at, step, detail in _folded(story["timeline"]):
        when = datetime.fromisoformat(at)
        mark = STEP_TONES.get(step, "info")
        clock = f"{moment(user, when, seconds=True)}.{when.microsecond // 1000:03d}"
        words = {"check": "Check failed", "checks": "Checked"}.get(step, step.capitalize())
        lines.append(
            "<li "
            f'class="dt-{mark}"><b>{escape(words)}</b><span>{escape(detail)}</span><time>{clock}</time></li>'
        )
    st.html(f'<ol class="dt-story">{"".join(lines)}</ol>')


def _folded(timeline: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Passed checks are folded into one line; a failed check gets its own."""
    found: list[tuple[str, str, str]] = []
    passed: list[str] = []
    for line in timeline:
        check = line.get("check")
        if check and check["ok"]:
            passed.append(check["check"])
            at = line["at"]
        elif check:
            found.append((line["at"], "check", f"{check['check']}: {check['detail']}"))
        else:
            if passed:
                found.append((at, "checks", f"{len(passed)} passed: {', '.join(passed)}"))
                passed = []
            found.append((line["at"], line["step"], line["detail"]))
    return found


def exits_in_short(bot: Bot) -> tuple[str, str]:
    """Stop and take-profits in one line, and who manages them."""
    lines = list(exit_lines(bot.exits))
    holders = dict.fromkeys(holder_words(line) for line in lines)
    shown = [exit_words(line, bot.time_zone, price) for line in lines]
    limit = risk_limit_price(bot)
    if limit is not None:
        shown.append(f"max loss at {price(limit)}")
        holders |= {holder_words(ExitLine(kind=ExitKind.STOP_LOSS)): None}
    elif shown and not any(line.kind is ExitKind.STOP_LOSS for line in lines):
        shown.append("no stop")
    return ", ".join(shown), ", ".join(holders)
