"""What every account holds, as reported by its broker: by bot, and outside the bots."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui.positions import close_dialog, exits_dialog, mismatch_dialog, open_orders, positions

user = ui.page("Live positions", needs=Permission.TRADE, figures=True)
positions.board()
close_dialog.show(user)
mismatch_dialog.show(user)
exits_dialog.show(user)
open_orders.show(user)
