"""Every alert and its outcome, refused ones included; and the full story of one."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.signals import signals

user = ui.page("Signals", needs=Permission.TRADE)
signals.show(ui.get_app(), user)
