"""Limits that were passed: what fired, at what, what it did, and what to do now."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui import risk_list

user = ui.page("Risk events", needs=Permission.TRADE)
risk_list.show(ui.the_app(), user)
