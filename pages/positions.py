"""What every account holds now, straight from its broker: by bot, and what no bot owns."""

from __future__ import annotations

from dashtrade import ui
from dashtrade.domain.access import Permission
from dashtrade.ui import closing, drifting, moving, open_orders, positions

user = ui.page("Live positions", needs=Permission.TRADE, figures=True)
positions.board()
closing.show(user)
drifting.show(user)
moving.show(user)
open_orders.show(user)
