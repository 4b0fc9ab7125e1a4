"""The dashboard: `serve` is its process, `middleware` and `auth_routes` its sign-in, and this is what a page
needs.

A page opens with `user = ui.page("Bots", needs=Permission.TRADE)`, reads from the services, shows with the
parts below, and acts by one call into the services, inside `with ui.trying()`."""

from dashtrade.ui.kit import format
from dashtrade.ui.kit.components import Card, Cell, Column, Row, cards, lines, profit_curve, table
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import actions, empty, live, page, panel, the_app

__all__ = [
    "Card",
    "Cell",
    "Column",
    "Row",
    "actions",
    "cards",
    "empty",
    "format",
    "lines",
    "live",
    "page",
    "panel",
    "profit_curve",
    "table",
    "the_app",
    "trying",
]
