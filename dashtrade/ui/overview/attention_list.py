"""What needs attention, in words, each with a link to resolve it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.notices.base import Level
from dashtrade.domain.people import User
from dashtrade.domain.protections import KINDS
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import as_sentence
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.operations import quotas
from dashtrade.services.trading.attention import AttentionItem, AttentionKind
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import ago, reason_words
from dashtrade.ui.positions import mismatch_dialog
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import guard

SHOWN = 4  # most severe first
TONES = {Level.ERROR: "down", Level.WARNING: "warn"}


def show(app: App, user: User, items: Sequence[AttentionItem]) -> None:
    if not items:
        st.html('<ul class="dt-list"><li class="dt-up"><i></i><span>No open issues</span></li></ul>')
        return
    now = app.clock.now()
    rows = []
    for number, item in enumerate(items[:SHOWN]):
        title, detail = words(user, item)
        rows.append(
            Row(
                id=str(number),
                kind=f"mark-{TONES[item.severity]}",
                actions=(("resume", "Resume"),) if item.kind is AttentionKind.BOT_STOPPED else (),
                cells=[
                    Cell(text=title, sub=as_sentence(detail) if detail else ""),
                    Cell(text=ago(now, item.at) if item.at else ""),
                ],
            )
        )
    columns = [Column(label="What"), Column(label="When", number=True)]
    clicked = table("attention", "Needs attention", columns, rows, opens=True)
    if len(items) > SHOWN:
        st.caption(f"and {len(items) - SHOWN} more")
    if clicked:
        _act(app, items[int(clicked[0])], clicked[1])


def _act(app: App, item: AttentionItem, action: str | None) -> None:
    if action == "resume" and item.bot_id is not None:
        with trying() as attempt:
            bot_service.set_active(app, guard(), item.bot_id, True)
        if attempt.ok:
            st.rerun()
        return
    page, query = link(item)
    st.switch_page(page, query_params=query)


def link(item: AttentionItem) -> tuple[str, dict[str, str]]:
    """The page, and its query."""
    query: dict[str, str] = {}
    if item.kind is AttentionKind.BOT_STOPPED:
        query = {"bot": str(item.bot_id)}
    elif item.kind is AttentionKind.ENTRIES_LOCKED:
        query = {"part": "Protections"}
    elif item.signal_id is not None:
        query = {"signal": item.signal_id}
    return f"pages/{item.page}.py", query


def words(user: User, item: AttentionItem) -> tuple[str, str]:
    """The title and the details."""
    facts: Any = item.facts
    match item.kind:
        case AttentionKind.ORDER_STATUS_UNKNOWN:
            what = f"{facts['side'].upper()} {Symbol.parse(facts['symbol']).short}"
            return f"{what}: order status unknown", reason_words(user, item.reason) or (
                "Check your broker, then say what happened."
            )
        case AttentionKind.POSITION_MISMATCH:
            difference = Decimal(facts["difference"])
            symbol = Symbol.parse(facts["symbol"]).short
            return f"{symbol}: position mismatch of {abs(difference):f}", mismatch_dialog.summary(
                broker=Decimal(facts["broker_quantity"]),
                bots=Decimal(facts["bots_quantity"]),
                outside=Decimal(facts["outside"]),
            )
        case AttentionKind.ACCOUNT_DISABLED:
            return f"{facts['account']} is disabled", reason_words(user, item.reason)
        case AttentionKind.ACCOUNT_UNCONFIRMED:
            return f"{facts['account']} does not trade yet", reason_words(user, item.reason)
        case AttentionKind.ACCOUNT_UNREACHABLE:
            return f"{facts['account']} cannot be reached", reason_words(user, item.reason)
        case AttentionKind.ACCOUNT_TEST_FAILED:
            return f"{facts['account']} did not pass its last test", reason_words(user, item.reason)
        case AttentionKind.BOT_STOPPED:
            return f"{facts['bot']} is stopped", reason_words(user, item.reason)
        case AttentionKind.ENTRIES_LOCKED:
            return f"{KINDS[facts['protection']].title}: entries are locked", reason_words(user, item.reason)
        case AttentionKind.STORAGE_FULL | AttentionKind.STORAGE_NEARLY_FULL:
            return _storage(item.kind, facts["used_bytes"], facts["limit_bytes"])
        case AttentionKind.ALERT_REFUSED:
            if facts["symbol"] is None:
                return "An alert could not be read", reason_words(user, item.reason)
            return (
                f"{facts['action'].capitalize()} {Symbol.parse(facts['symbol']).short} was refused",
                reason_words(user, item.reason),
            )
        case AttentionKind.NO_SECOND_FACTOR:
            return (
                f"{facts['account']}: real money without two-factor authentication",
                "Set up two-factor authentication on the Account page, or decline it under Setup.",
            )


def _storage(kind: AttentionKind, used: int, limit: int) -> tuple[str, str]:
    title = (
        "Entries are refused: your storage is full"
        if kind is AttentionKind.STORAGE_FULL
        else "Your storage is nearly full"
    )
    return title, (
        f"{used / quotas.MB:,.0f} of {limit / quotas.MB:,.0f} MB are used by your alerts and their "
        "results. Exits still pass. Ask the operator of this installation for more (DASHTRADE_USER_MB)."
    )
