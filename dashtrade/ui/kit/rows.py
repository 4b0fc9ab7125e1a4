"""Rows used by several pages: positions, signals, and a signal's story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from dashtrade.services.trading.signal_story import StepKind, StoryStep
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.components import Cell, Column, Row
from dashtrade.ui.kit.format import moment, price, quantity, reason_sentence, reason_words, status, zone
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
    StepKind.REFUSED: "warn",
    StepKind.FILLED: "up",
    StepKind.BOOKED: "up",
    StepKind.MESSAGE: "mute",
}
ORDER_TONES = {"rejected": "down", "attention": "down"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    at: datetime
    title: str
    tone: str
    detail: str


def story_lines(user: User, steps: Sequence[StoryStep]) -> None:
    """The steps, with times to the millisecond."""
    lines = []
    for line in folded(user, steps):
        clock = f"{moment(user, line.at, seconds=True)}.{line.at.microsecond // 1000:03d}"
        title, detail = escape(line.title), escape(line.detail)
        lines.append(
            f'<li class="dt-{line.tone}"><b>{title}</b><span>{detail}</span><time>{clock}</time></li>'
        )
    st.html(f'<ol class="dt-story">{"".join(lines)}</ol>')


def folded(user: User, steps: Sequence[StoryStep]) -> list[StoryLine]:
    """Passed checks are folded into one line; a failed check gets its own."""
    found: list[StoryLine] = []
    passed: list[str] = []
    for step in steps:
        if step.check and step.check.ok:
            passed.append(step.check.name)
            continue
        if passed and not step.check:
            detail = f"{len(passed)} passed: {', '.join(passed)}"
            found.append(StoryLine(at=step.at, title="Checked", tone="up", detail=detail))
            passed = []
        found.append(_story_line(user, step))
    return found


def _story_line(user: User, step: StoryStep) -> StoryLine:
    if step.check:
        detail = f"{step.check.name}: {reason_words(user, step.check.reason)}"
        return StoryLine(at=step.at, title="Check failed", tone="down", detail=detail)
    if step.kind is StepKind.ORDER:
        title, tone = f"Order {step.order_status}", ORDER_TONES.get(step.order_status, "info")
    else:
        title, tone = step.kind.capitalize(), STEP_TONES.get(step.kind, "info")
    return StoryLine(at=step.at, title=title, tone=tone, detail=step.words(zone(user)))


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
