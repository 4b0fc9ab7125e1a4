"""What it earned: in total, by day, by bot."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui import results

user = ui.page("Performance", needs=Permission.TRADE, figures=True)
results.show(ui.the_app(), user)
