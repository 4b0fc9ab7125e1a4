"""Protections: which are set up, their locks, and unlocking. The forms are generated from the domain's
list."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain import protections as domain
from dashtrade.domain.people import User
from dashtrade.domain.protections import Scope
from dashtrade.services.accounts.owned import accounts_of, find_account
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.trading import protections as service
from dashtrade.services.trading.protections import LockRecord, ProtectionRecord
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import moment, reason_sentence, text
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, live, panel

SCOPES = {Scope.USER: "All my bots", Scope.ACCOUNT: "One account", Scope.BOT: "One bot"}
SHOWN_LOCKS = 50


@live
def show(user: User) -> None:
    app = get_app()
    _locks(app, user)
    _list(app, user)


def _locks(app: App, user: User) -> None:
    now = app.clock.now()
    found = service.locks(app, user, limit=SHOWN_LOCKS)
    standing = [row for row in found if row.stands(now)]
    with panel("Active locks" if standing else "No active locks", key="locks_panel"):
        if not found:
            st.caption(
                "Locks of your protections appear here: the reason, the end, and a button to unlock entries."
            )
            return
        columns = [
            Column(label="Protection"),
            Column(label="Applies to", wide_only=True),
            Column(label="State"),
            Column(label="Since", number=True),
        ]
        clicked = table(
            "locks",
            "Locks, newest first",
            columns,
            [_lock_row(app, user, row, row in standing) for row in found],
        )
    if clicked:
        with trying() as attempt:
            service.unlock(app, guard(present=False), int(clicked[0]))
        if attempt.ok:
            st.rerun(scope="fragment")


def _lock_row(app: App, user: User, row: LockRecord, stands: bool) -> Row:
    state = (
        f"until {moment(user, row.until)}"
        if stands and row.until
        else "until unlocked"
        if stands
        else "unlocked"
        if row.unlocked_at
        else "ended"
    )
    place = row.symbol.short if row.symbol else _place(app, user, row.scope, row.scope_id)
    return Row(
        id=str(row.id),
        actions=(("unlock", "Unlock"),) if stands else (),
        cells=[
            Cell(text=domain.KINDS[row.kind].title, sub=reason_sentence(user, row.reason)),
            Cell(text=place),
            Cell(text=state, tone="warn" if stands else "mute", badge=True),
            Cell(text=moment(user, row.since)),
        ],
    )


def _place(app: App, user: User, scope: str, scope_id: int | None) -> str:
    if scope == Scope.BOT:
        return bot_names(app, user).get(scope_id or 0, "Deleted bot")
    if scope == Scope.ACCOUNT:
        account = find_account(app, user, scope_id or 0)
        return account.label if account else "Removed account"
    return "All my bots"


def _list(app: App, user: User) -> None:
    found = service.protections(app, user)
    with panel("Protections", key="protections_panel"):
        if not found:
            st.caption(
                "A protection watches all your bots, an account or one bot, and locks new entries when "
                "something goes wrong. Exits always pass."
            )
        columns = [
            Column(label="Protection"),
            Column(label="Applies to", wide_only=True),
            Column(label="State"),
        ]
        rows = [
            Row(
                id=str(row.id),
                actions=(
                    ("off", "Switch off") if row.is_active else ("on", "Switch on"),
                    ("remove", "Remove"),
                ),
                cells=[
                    Cell(text=domain.KINDS[row.kind].title, sub=_settings(row)),
                    Cell(text=_place(app, user, row.scope, row.scope_id)),
                    Cell(
                        text="On" if row.is_active else "Off",
                        tone="up" if row.is_active else "mute",
                        badge=True,
                    ),
                ],
            )
            for row in found
        ]
        clicked = table("protections", "Protections", columns, rows) if rows else None
        if st.button("Add protection", type="primary", icon=":material/add_moderator:", key="add_protection"):
            st.session_state["adding_protection"] = True
            st.rerun()
    if clicked:
        with trying() as attempt:
            if clicked[1] == "remove":
                service.remove(app, user, int(clicked[0]))
            else:
                service.change(app, user, int(clicked[0]), settings=None, is_active=clicked[1] == "on")
        if attempt.ok:
            st.rerun(scope="fragment")


def _settings(row: ProtectionRecord) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in row.settings.items() if value is not None
    )


def ask(user: User) -> None:
    """Called at the end of the page, in the full run after the button."""
    if st.session_state.pop("adding_protection", False):
        _add()


@st.dialog("Add protection", width="medium")
def _add() -> None:
    app, user = get_app(), guard()
    kinds = {one["kind"]: one for one in domain.describe() if one["configurable"]}
    kind = st.selectbox(
        "Kind", list(kinds), format_func=lambda key: kinds[key]["title"], key="protection_kind"
    )
    st.caption(text(kinds[kind]["description"]))
    left, right = st.columns(2)
    scope = left.selectbox("Applies to", list(SCOPES), format_func=SCOPES.__getitem__, key="protection_scope")
    scope_id = None
    if scope is not Scope.USER:
        names = (
            bot_names(app, user)
            if scope is Scope.BOT
            else {account.id: account.label for account in accounts_of(app, user)}
        )
        scope_id = right.selectbox(
            "Account or bot", list(names), format_func=names.__getitem__, key=f"protection_of_{scope}"
        )
    given = {
        one["name"]: value for one in kinds[kind]["settings"] if (value := _setting(kind, one)) is not None
    }
    if st.button("Add protection", type="primary", key="protection_yes"):
        with trying() as attempt:
            service.add(app, user, kind=kind, scope=scope, scope_id=scope_id, settings=given)
        if attempt.ok:
            st.session_state["toast"] = f"{kinds[kind]['title']}: added and active."
            st.rerun()


def _setting(kind: str, one: dict[str, Any]) -> Any:
    """None: left at the default."""
    label, key = one["description"].capitalize(), f"protection_{kind}_{one['name']}"
    if one["choices"]:
        return st.selectbox(label, one["choices"], index=one["choices"].index(one["default"]), key=key)
    written = st.text_input(
        label,
        value="" if one["default"] is None else str(one["default"]),
        placeholder=(one["null"] or "").capitalize(),
        key=key,
        max_chars=30,
    )
    return written.replace(",", "").strip() or None
