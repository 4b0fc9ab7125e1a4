"""Banners on every page: whose pages are viewed, that live accounts are simulated, and how long a demo
lasts."""

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
            f"Viewing as {user.email}",
            f"Signed in as {user.viewer}. Read-only view; this access is recorded in the audit log.",
            '<a href="/auth/leave" target="_self">Exit</a>',
        )
    if simulation.is_on(app):
        _banner(
            "warn",
            "Simulation mode",
            "Live accounts are traded on the built-in paper broker: no real order is sent.",
            "",
        )
    if app.disk.is_low():
        _banner(
            "warn",
            "The disk is nearly full",
            "Entries are refused until the operator of this installation has freed space. Exits still pass.",
            "",
        )
    if user.demo_until is not None and not user.viewer:
        _banner(
            "info",
            "This is a demo",
            (
                f"Paper money, simulated prices. Available until {day(user, user.demo_until)}, and "
                "longer while you use it."
            ),
            '<a href="/account" target="_self">Create an account</a>',
        )


def _banner(tone: str, what: str, means: str, link: str) -> None:
    st.html(
        f'<div class="dt-banner {tone}" role="status"><span><b>{escape(what)}.</b> '
        f"{escape(means)}</span>{link}</div>"
    )
