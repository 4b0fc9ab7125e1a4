"""What has to be seen on every page: whose pages these are, that real accounts trade on paper, and how long a
demo lasts."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.accounts import simulation
from dashtrade.ui.kit.format import day


def banners(app: App, user: User) -> None:
    if user.viewer:
        _banner(
            "warn",
            f"You are looking at {user.email}'s pages",
            f"You are {user.viewer}, and read them only: no button acts, and the log of deeds has it.",
            '<a href="/auth/leave" target="_self">Leave the view</a>',
        )
    if simulation.is_on(app):
        _banner(
            "warn",
            "Simulation mode",
            "Live accounts are traded on the built-in paper broker: no real order goes out.",
            "",
        )
    if app.disk.is_low():
        _banner(
            "warn",
            "The disk is nearly full",
            "Entries are refused until whoever runs this installation has made room. Exits still pass.",
            "",
        )
    if user.demo_until is not None and not user.viewer:
        _banner(
            "info",
            "This is a demo",
            (
                f"Paper money, made-up prices. It is yours until {day(user, user.demo_until)}, and longer "
                "while you use it."
            ),
            '<a href="/account" target="_self">Keep it as an account</a>',
        )


def _banner(tone: str, what: str, means: str, link: str) -> None:
    st.html(
        f'<div class="dt-banner {tone}" role="status"><span><b>{escape(what)}.</b> '
        f"{escape(means)}</span>{link}</div>"
    )
