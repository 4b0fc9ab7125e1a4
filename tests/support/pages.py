"""Pages opened without a browser, and what they show."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from dashtrade.settings import ROOT
from tests.support.installation import Person

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))

HOSTILE = "<b onclick=x>*Fett* [l](javascript:1)</b> :red[x] 💥 ₹¥"


def opened(page: str, **query: str) -> AppTest:
    tab = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    for name, value in query.items():
        tab.query_params[name] = value
    tab.switch_page(f"pages/{page}.py")
    return tab.run()


def words(tab: AppTest) -> str:
    parts = [*tab.title, *tab.markdown, *tab.caption, *tab.info, *tab.error, *tab.header, *tab.warning]
    return "\n".join(str(part.value) for part in parts)


def with_data(ann: Person, name: str = "Trend") -> int:
    bot = ann.bot("AAPL", name=name, daily_loss_limit="500")
    ann.trades("buy")
    ann.trades("close")
    ann.trades("buy")
    ann.alert({"action": "buy", "symbol": "MSFT"})
    ann.alert("nonsense " + HOSTILE)
    return bot
