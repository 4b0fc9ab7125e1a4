"""The user's bots, live."""

from __future__ import annotations

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import running_totals
from dashtrade.domain.reasons import Code
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts import prices
from dashtrade.services.bots import bots as service
from dashtrade.services.bots.owned import bots_of, last_outcomes
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading.portfolio_summary import BotDay, net_by_day
from dashtrade.ui.bots import bot_form
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import ago, count, quantity, signed, status, tone
from dashtrade.ui.positions import close_dialog
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import empty, get_app, live

COLUMNS = [
    Column(label="Bot"),
    Column(label="Status"),
    Column(label="Position", number=True, wide_only=True),
    Column(label="Unrealised P&L", number=True),
    Column(label="P&L", number=True, wide_only=True),
    Column(label="Trend", wide_only=True),
    Column(label="Last signal", wide_only=True),
]
MAX_SHOWN = 200
STATES = {
    "READY": ("Ready", "info"),
    "ORDER SUBMITTED": ("Order working", "warn"),
    "FILLED": ("In position", "up"),
}


def state_of(bot: Bot) -> tuple[str, str]:
    if not bot.is_active:
        return (
            "Paused" if bot.paused_reason.code is Code.PAUSED_BY_USER else "Stopped"
        ), "warn" if bot.paused_reason.code is Code.PAUSED_BY_USER else "down"
    return STATES.get(bot.status, (bot.status.capitalize(), "info"))


def show(app: App, user: User) -> None:
    bots = bots_of(app, user)
    if not bots:
        if empty(
            "A bot waits for alerts on one symbol and timeframe, and trades them at the size you give it.",
            "Create bot",
            icon=":material/add:",
            key="bot",
        ):
            bot_form.ask_new()
        return
    _table()


@live
def _table(user: User) -> None:
    app = get_app()
    chosen = scope.current(app, user)
    held = portfolio_summary.holdings(app, user, chosen)
    if not held:
        st.info(f"No bot trades {chosen.money} money. Choose another scope above to see your other bots.")
        return
    search = ""
    if len(held) > 10:
        search = (
            st.text_input(
                "Find",
                key="find",
                placeholder="Name or symbol",
                label_visibility="collapsed",
                icon=":material/search:",
            )
            .strip()
            .casefold()
        )
    found = [h for h in held if search in f"{h.bot.name} {h.bot.symbol.short}".casefold()]
    if len(found) > MAX_SHOWN:
        st.caption(
            f"{count(len(found), 'bot')}; the first {MAX_SHOWN} are shown. Type a name or symbol "
            "to find others."
        )
    latest = _last_outcomes(app, user, [h.bot.id for h in found[:MAX_SHOWN]])
    days_by_bot = _days_by_bot(app, user, chosen)
    rows = [_row(app, h, latest.get(h.bot.id), days_by_bot.get(h.bot.id, [])) for h in found[:MAX_SHOWN]]
    with st.container(border=True, key="bots_panel"):
        clicked = table("bots", "Your bots", COLUMNS, rows, opens=True)
    if clicked:
        _act(app, user, int(clicked[0]), clicked[1])


def _row(app: App, held: prices.BotHolding, last: tuple[str, str] | None, days: list[BotDay]) -> Row:
    bot, label, label_tone = held.bot, *state_of(held.bot)
    side = (
        f"{bot.position.side.value.capitalize()} {quantity(abs(bot.position.quantity))}"
        if bot.position.quantity
        else "–"
    )
    outcome, outcome_tone = last or ("", "")
    net = sum((day.net for day in days), ZERO)
    trend = [0.0, *(float(total) for total in running_totals(net_by_day(days)))][-30:]
    return Row(
        id=str(bot.id),
        kind=scope.kind(held.account),
        actions=(("pause", "Pause") if bot.is_active else ("resume", "Resume"),)
        + ((("close", "Close"),) if bot.position.quantity else ()),
        cells=[
            Cell(
                text=bot.name,
                sub=f"{scope.account_label(held.account)} · {bot.symbol.short} · {bot.timeframe.shown}",
            ),
            Cell(text=label, tone=label_tone, badge=True),
            Cell(text=side),
            live_cells.profit(held),
            Cell(
                text=signed(net, held.currency),
                sub=count(sum(day.trades for day in days), "trade"),
                tone=tone(net),
            ),
            Cell(text="–", spark=trend),
            Cell(
                text=outcome or "None yet",
                tone=outcome_tone,
                badge=bool(outcome),
                sub=ago(app.clock.now(), bot.last_signal_at) if bot.last_signal_at else "",
            ),
        ],
    )


def _last_outcomes(app: App, user: User, bot_ids: list[int]) -> dict[int, tuple[str, str]]:
    """The status of the newest signal of each bot."""
    return {bot_id: status(outcome) for bot_id, outcome in last_outcomes(app, user, bot_ids).items()}


def _days_by_bot(app: App, user: User, chosen: MoneyScope) -> dict[int, list[BotDay]]:
    """Each bot's days, oldest first."""
    by_bot: dict[int, list[BotDay]] = {}
    for day in portfolio_summary.bot_days(app, user, chosen):
        by_bot.setdefault(day.bot_id, []).append(day)
    return by_bot


def _act(app: App, user: User, bot_id: int, action: str) -> None:
    match action:
        case "open":
            st.query_params["bot"] = str(bot_id)
            st.rerun()
        case "close":
            close_dialog.ask(bot_id)
        case "pause" | "resume":
            with trying() as attempt:
                service.set_active(app, user, bot_id, action == "resume")
            if attempt.ok:
                st.rerun(scope="fragment")
