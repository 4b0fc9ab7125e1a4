"""Performance: in total, by day, by bot."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.performance import performance

user = ui.page("Performance", needs=Permission.TRADE, figures=True)
performance.show(ui.get_app(), user)
