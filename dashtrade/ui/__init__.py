"""The dashboard: `serve` is its process, `middleware` and `auth_routes` handle sign-in, and this module
exports what pages need.

A page opens with `user = ui.page("Bots", needs=Permission.TRADE)`, reads from the services, renders with
the components below, and acts by one service call inside `with ui.trying()`."""

from dashtrade.ui.kit import format
from dashtrade.ui.kit.components import Card, Cell, Column, Row, cards, lines, profit_curve, table
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import actions, empty, get_app, live, page, panel

__all__ = [
    "Card",
    "Cell",
    "Column",
    "Row",
    "actions",
    "cards",
    "empty",
    "format",
    "get_app",
    "lines",
    "live",
    "page",
    "panel",
    "profit_curve",
    "table",
    "trying",
]
