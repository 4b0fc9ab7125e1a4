"""Pages opened without a browser, and what they show."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from dashtrade.settings import ROOT
from tests.support.installation import Trader

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))

Shown = dict[str, Any]  # what the components of a page are given, by their keys: the fixture `drawn`

HOSTILE = "<b onclick=x>*Fett* [l](javascript:1)</b> :red[x] 💥 ₹¥"


def opened(page: str, **query: str) -> AppTest:
    tab = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=120)
    for name, value in query.items():
        tab.query_params[name] = value
    tab.switch_page(f"pages/{page}.py")
    return tab.run()


def words(tab: AppTest) -> str:
    parts = [*tab.title, *tab.markdown, *tab.caption, *tab.info, *tab.error, *tab.header, *tab.warning]
    return "\n".join(str(part.value) for part in parts)


def with_data(trader: Trader, name: str = "Trend") -> int:
    bot = trader.bot("AAPL", name=name, daily_loss_limit="500")
    trader.trades("buy")
    trader.trades("close")
    trader.trades("buy")
    trader.alert({"action": "buy", "symbol": "MSFT"})
    trader.alert("nonsense " + HOSTILE)
    return bot


def page(drawn: Shown, name: str, **query: str) -> dict[str, str]:
    drawn.clear()
    tab = opened(name, **query)
    assert not tab.exception
    return live(drawn)


def live(drawn: Shown) -> dict[str, str]:
    """Every cell and card that has a live name, as it was drawn."""
    found: dict[str, str] = {}
    for data in drawn.values():
        cards = (data or {}).get("cards", [])
        in_rows = [cell for row in (data or {}).get("rows", []) for cell in row["cells"]]
        found |= {card["live"]: card["value"] for card in cards if card["live"]} | {
            cell["live"]: cell["text"] for cell in in_rows if cell["live"]
        }
    return found


def rows(drawn: Shown, key: str) -> list[list[str]]:
    """The words of a table, row by row."""
    return [[cell["text"] for cell in row["cells"]] for row in drawn[key]["rows"]]


def card(drawn: Shown, key: str, label: str) -> str:
    return next(card["value"] for card in drawn[key]["cards"] if card["label"] == label)
