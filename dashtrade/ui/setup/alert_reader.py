"""How a message is parsed, which bots would receive it, and what each would do now. Nothing is written or
sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.decisions.decide import ENTRIES
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.exits.plan import price_of
from dashtrade.domain.people import User
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.signals import Action, ExitPlan, Signal, Size, SizeKind, Target
from dashtrade.domain.values import Malformed, OrderSide, OrderType, as_sentence, iso, plain
from dashtrade.services.accounts.prices import money_badge
from dashtrade.services.bots import dry_run
from dashtrade.services.bots.dry_run import DryRun
from dashtrade.ui.kit.format import (
    money,
    percent,
    price,
    quantity,
    reason_sentence,
    reason_words,
    signed,
    text,
)
from dashtrade.ui.setup.alert_messages import FILLED_IN
from dashtrade.ui.shell.errors import explained

EXAMPLE = '{\n  "action": "buy",\n  "symbol": "NASDAQ:AAPL",\n  "timeframe": "15 Min"\n}'
UNITS = {
    SizeKind.QUANTITY: "shares or coins",
    SizeKind.EQUITY_PERCENT: "% of the equity",
    SizeKind.POSITION_PERCENT: "% of the position",
    SizeKind.RISK_DOLLARS: "dollars at risk at the stop",
    SizeKind.RISK_PERCENT: "% of the equity at risk at the stop",
}
Line = tuple[str, str, str]  # name, text, tone


def show(app: App, user: User) -> None:
    with st.container(border=True, key="reader"):
        st.header("How is my message read?", anchor=False)
        st.caption("Paste any alert message. Nothing is sent or traded here.")
        left, right = st.columns(2, gap="medium")
        raw = (
            left.text_area(
                "Message",
                value=EXAMPLE,
                height=190,
                key="payload",
                max_chars=20000,
                label_visibility="collapsed",
            )
            or ""
        )
        with right:
            try:
                signal = parse(_filled_in(app, raw).encode()).signal
            except Malformed as error:
                st.error(explained(error), icon=":material/error:")
                return
            runs = dry_run.of(app, user, signal)
            _story([*_reading(signal, filled="{{" in raw), *_goes_to(user, runs)])
        if not isinstance(runs, Reason):
            for run in runs:
                _now(user, signal, run)


def _filled_in(app: App, raw: str) -> str:
    """Fills TradingView's placeholders with examples; an unknown placeholder stays and is reported."""
    for placeholder, example in FILLED_IN.items():
        raw = raw.replace(placeholder, iso(app.clock.now()) if placeholder == "{{timenow}}" else example)
    return raw


def _story(lines: Sequence[Line]) -> None:
    rows = "".join(
        f'<li class="dt-{tone}"><b>{escape(what)}</b><span>{escape(words)}</span></li>'
        for what, words, tone in lines
    )
    st.html(f'<ol class="dt-story">{rows}</ol>')


# --- the message --------------------------------------------------------------------------------------------


def _reading(signal: Signal, *, filled: bool) -> Iterator[Line]:
    frame = f" on {signal.timeframe.shown}" if signal.timeframe else ""
    yield "Action", f"{signal.action.capitalize()} {signal.symbol.short}{frame}", "up"
    yield "Read as", signal.dialect, "up"
    if signal.size is not None:
        yield "Size", size_text(signal.size), "up"
    trail = f"{plain(signal.trail_percent)}%" if signal.trail_percent else signal.trail_amount
    for what, value in (
        ("Order", signal.order_type),
        ("Limit", signal.limit_price),
        ("Stop", signal.stop_price),
        ("Trail", trail),
        ("Time in force", signal.time_in_force and signal.time_in_force.upper()),
    ):
        if value is not None:
            yield what, plain(value) if isinstance(value, Decimal) else str(value).replace("_", " "), "up"
    yield from _exits(signal)
    facts = {"Bot": signal.bot, "Its id": signal.key, "Sent at": signal.sent_at, "Price seen": signal.price}
    for what, seen in facts.items():
        if seen is not None:
            yield what, plain(seen) if isinstance(seen, Decimal) else str(seen), "up"
    if filled:
        yield "Note", "The placeholders are filled in with examples.", "up"
    for note in signal.notes:
        yield "Note", as_sentence(note), "up"


def _exits(signal: Signal) -> Iterator[Line]:
    if signal.stop_loss is not None:
        yield (
            "Trailing stop" if signal.stop_loss.trailing else "Stop-loss",
            _target_text(signal.stop_loss),
            "up",
        )
    for target in signal.take_profits:
        part = (
            f"{plain(target.share_percent)}% of the position "
            if target.share_percent
            else f"{plain(target.share_quantity)} "
            if target.share_quantity
            else ""
        )
        yield "Take-profit", f"{part}{_target_text(target)}", "up"
    if signal.break_even:
        yield "Break-even", "The stop moves to the entry after the first take-profit", "up"
    if signal.close_after or signal.close_at:
        minutes = f"after {signal.close_after.total_seconds() / 60:g} minutes" if signal.close_after else ""
        yield (
            "Closes",
            " or ".join(
                part for part in (minutes, f"at {signal.close_at:%H:%M}" if signal.close_at else "") if part
            ),
            "up",
        )


def _target_text(target: Target) -> str:
    limit = f", limit {plain(target.limit_price)}" if target.limit_price is not None else ""
    if target.price is not None:
        return f"at {plain(target.price)}{limit}"
    distance = (
        f"{plain(target.percent)}%" if target.percent is not None else plain(target.amount or Decimal(0))
    )
    return f"{distance} {'behind the best price' if target.trailing else 'from the entry'}{limit}"


def size_text(size: Size) -> str:
    if size.kind is SizeKind.DOLLARS:
        return money(size.value)
    return f"{quantity(size.value)} {UNITS[size.kind]}".replace(" %", "%")


def _goes_to(user: User, runs: Sequence[DryRun] | Reason) -> Iterator[Line]:
    if isinstance(runs, Reason):
        yield "Goes to", f"no bot: {reason_words(user, runs)}", "warn"
    else:
        yield "Goes to", ", ".join(run.bot.name for run in runs), "up"


# --- dry run ------------------------------------------------------------------------------------------------


def _now(user: User, signal: Signal, run: DryRun) -> None:
    words, colour = money_badge(run.account)
    with st.container(border=True, key=f"dry_run_{run.bot.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**If it came now: {text(run.bot.name)}**", width="content")
            st.badge(f"{text(run.account.label)} · {words}", color=colour)
        _story(
            [
                *_before(user, run),
                *_outcome(user, signal, run),
                *_size(user, signal, run),
                *_entry_exits(signal, run),
                *_checks(user, run),
            ]
        )


def _before(user: User, run: DryRun) -> Iterator[Line]:
    for what in run.before:
        yield "First", reason_sentence(user, what), "info"


def _outcome(user: User, signal: Signal, run: DryRun) -> Iterator[Line]:
    for number, step in enumerate(run.steps, 1):
        yield (
            "Order" if len(run.steps) == 1 else f"Order {number}",
            order_text(step, run.bot.symbol.short),
            "up",
        )
    if not run.steps:
        would = f" {reason_sentence(user, run.counterfactual)}" if run.counterfactual else ""
        yield "No order", f"{reason_sentence(user, run.reason)}{would}", "warn"
    elif run.reason:
        yield "Note", reason_sentence(user, run.reason), "warn"


def order_text(step: Step, name: str) -> str:
    """The order as it would be sent, and its approximate cost."""
    verb = "Buy" if step.side is OrderSide.BUY else "Sell"
    kind = step.type.replace("_", " ")
    at = f" at {price(step.limit_price)}" if step.limit_price is not None else ""
    stop = f", stop {price(step.stop_price)}" if step.stop_price is not None else ""
    about = "" if step.type is OrderType.LIMIT else f", about {price(step.price)} each"
    return (
        f"{verb} {quantity(step.quantity)} {name} {kind}{at}{stop}{about}: "
        f"{money(step.quantity * step.price)}"
    )


def _size(user: User, signal: Signal, run: DryRun) -> Iterator[Line]:
    """Which size applies, and why."""
    own, bots = signal.size, size_text(run.bot.size)
    if signal.action in (Action.CLOSE, Action.REDUCE):
        yield (
            "Size",
            f"{size_text(own)}, from the alert" if own is not None else "The whole position",
            "info",
        )
    elif signal.action in ENTRIES and own is None:
        yield "Size", f"{bots}: the bot's size, as the alert has none", "info"
    elif signal.action in ENTRIES and own is not None and run.bot.allow_alert_size:
        yield "Size", f"{size_text(own)}: the alert's size, which this bot accepts", "info"
    elif signal.action in ENTRIES and own is not None:
        yield (
            "Size",
            (
                f"{bots}: the bot's size. The alert's {size_text(own)} is ignored, as this bot takes no "
                "sizes from alerts"
            ),
            "warn",
        )
    how = next((step.explanation for step in run.steps if not step.effect.reduces), NO_REASON)
    if how:
        yield "Order size", reason_sentence(user, how), "info"


def _entry_exits(signal: Signal, run: DryRun) -> Iterator[Line]:
    entry = next((step for step in run.steps if not step.effect.reduces), None)
    if entry is None:
        return
    plan = entry.exits.plan if entry.exits else ExitPlan()
    if plan.stop_loss is not None:
        yield (
            "Stop",
            _exit_text(plan.stop_loss, entry, -entry.side.sign, by_alert=signal.stop_loss is not None),
            "info",
        )
    else:
        limit = run.bot.risk_limit_percent
        yield (
            "Stop",
            f"None; the bot's max loss per position, {plain(limit)}%, closes the position and pauses the bot"
            if limit
            else "None",
            "warn",
        )
    for target in plan.take_profits:
        yield "Target", _exit_text(target, entry, entry.side.sign, by_alert=bool(signal.take_profits)), "info"


def _exit_text(target: Target, entry: Step, sign: int, *, by_alert: bool) -> str:
    at = price_of(target, entry.price, sign)
    share = target.share_percent / 100 if target.share_percent else Decimal(1)
    quantity_now = target.share_quantity or entry.quantity * share
    profit = (at - entry.price) * entry.side.sign * quantity_now
    trails = ", trailing" if target.trailing else ""
    distance = (at - entry.price) / entry.price * 100
    return (
        f"{price(at)} ({percent(distance, sign=True)}{trails}): about {signed(profit)}, "
        f"{'from the alert' if by_alert else 'the bot’s own'}"
    )


def _checks(user: User, run: DryRun) -> Iterator[Line]:
    for check in run.failed:
        yield "Check failed", f"{check.name}: {reason_words(user, check.reason)}", "down"
    if run.checks and not run.failed:
        yield "Checks", f"All {len(run.checks)} passed", "up"
