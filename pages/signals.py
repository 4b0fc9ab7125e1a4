"""Every alert and what became of it, refused ones too; and the whole story of one."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.signals import signals

user = ui.page("Signals", needs=Permission.TRADE)
signals.show(ui.the_app(), user)
