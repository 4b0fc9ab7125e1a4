"""The dashboard: `serve` is its process, `gate` and `doors` its sign-in, and this is what a page needs.

A page opens with `user = ui.page("Bots", needs=Permission.TRADE)`, reads through `ui.data`, shows with the
parts below, and acts by one call into the services, inside `with ui.trying()`."""

from dashtrade.ui.kit import data, format
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
    "data",
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
