"""The user's messages, by page."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.notices.base import Level, Page
from dashtrade.domain.notices.stored import Message
from dashtrade.domain.people import User
from dashtrade.services.people import messages as message_service
from dashtrade.ui.kit.format import count, moment, zone
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import panel

PAGE_SIZE = 8

MARKS = {Level.ERROR: "dt-down", Level.WARNING: "dt-warn", Level.INFO: "dt-info"}

PATHS = {Page.SETUP: "/connect"}  # other pages: their names


def messages(app: App, user: User) -> None:
    """The user's messages in the dashboard."""
    with panel("Messages", key="messages"):
        shown = st.segmented_control(
            "Show",
            ["All", "Problems"],
            default="All",
            required=True,
            key="messages_which",
            label_visibility="collapsed",
            on_change=_newest,
        )
        before = st.session_state.get("messages_before")
        found = message_service.messages(
            app, user, before=before, limit=PAGE_SIZE + 1, problems_only=shown == "Problems"
        )
        unread = message_service.unread(app, user)
        if not found:
            st.caption("No messages yet. Fills, stops and everything that needs your attention appear here.")
            return
        lines = [_line(user, message) for message in found[:PAGE_SIZE]]
        st.html(f'<ul class="dt-list">{"".join(lines)}</ul>')
        with st.container(horizontal=True, vertical_alignment="center"):
            if unread.newest is not None and st.button(
                f"Mark {count(unread.count, 'message')} as read", key="messages_read"
            ):
                with trying() as attempt:
                    message_service.mark_read(app, user, up_to=unread.newest)
                if attempt.ok:
                    st.rerun()
            st.space("stretch")
            if before is not None:
                st.button("Newest", icon=":material/first_page:", key="messages_newest", on_click=_newest)
            if len(found) > PAGE_SIZE:
                st.button(
                    "Older",
                    icon=":material/chevron_right:",
                    icon_position="right",
                    key="messages_older",
                    on_click=_older,
                    args=(found[PAGE_SIZE - 1].id,),
                )


def _line(user: User, message: Message) -> str:
    wording = message.words(zone(user))
    title = escape(wording.title)
    if (path := _path(message)) is not None:
        title = f'<a href="{escape(path)}" target="_self">{title}</a>'
    return (
        f'<li class="{MARKS[message.level]}"><i></i><span>'
        f"{title if message.read_at else f'<b>{title}</b>'}"
        f"<small>{escape(wording.text)}</small></span><time>{moment(user, message.at)}</time></li>"
    )


def _path(message: Message) -> str | None:
    """Where the message links to: its alert, else the page to act on."""
    if message.signal_id is not None:
        return f"/signals?signal={message.signal_id}"
    return PATHS.get(message.page, f"/{message.page}") if message.page is not None else None


def _newest() -> None:
    st.session_state.pop("messages_before", None)


def _older(than: int) -> None:
    st.session_state["messages_before"] = than
