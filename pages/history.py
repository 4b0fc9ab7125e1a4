"""All trades: filters in the address, pages by cursor, and a CSV file."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.history import trades

user = ui.page("Trade history", needs=Permission.TRADE, figures=True)
trades.show(ui.get_app(), user)
