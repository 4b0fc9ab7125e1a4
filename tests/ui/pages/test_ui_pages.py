"""Every page, run as Streamlit runs it, by a stranger, a standard user and a superadmin; empty, full, and
with hostile names."""

from __future__ import annotations

import ast
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.position_mismatch import MismatchKind, asset_of
from dashtrade.domain.reasons import NO_REASON, Code
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.accounts.prices import positions_of
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import history
from dashtrade.services.trading import flatten, portfolio_summary
from dashtrade.services.trading.attention import AttentionKind, attention
from dashtrade.settings import ROOT
from dashtrade.tables import bots as bot_table
from dashtrade.tables import drifts as drift_table
from dashtrade.ui.kit import live_cells
from dashtrade.ui.overview import attention_list
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.page import START
from tests.support.installation import Installation, Trader
from tests.support.pages import HOSTILE, PAGES, opened, with_data, words

# --- who sees what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_sees_nothing_of_any_page(page: str, app: App, seen_as: Any):
    seen_as(None)
    tab = opened(page)
    assert not tab.exception
    assert not tab.title and not tab.button and not tab.text_input


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_of_use_when_there_is_nothing_yet(page: str, trader: Trader, seen_as: Any):
    seen_as(trader.user)
    tab = opened(page)
    assert not tab.exception and not tab.error
    if page == "admin":
        assert tab.title[0].value == "You don't have access to this page"
        assert not tab.button
    else:
        assert tab.title and tab.button


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("page", PAGES)
def test_each_page_shows_each_role_what_it_has_and_no_more(
    page: str, role: Role, installation: Installation, seen_as: Any
):
    with_data(installation.join("other@example.com"), name="Of another")
    me = installation.join("me@example.com", role)
    with_data(me)
    seen_as(me.user)
    tab = opened(page)
    assert not tab.exception and not tab.error
    assert (tab.title[0].value == "You don't have access to this page") is (
        page == "admin" and role is Role.STANDARD
    )
    assert "Of another" not in words(tab)


@pytest.mark.parametrize(
    ("page", "query"),
    [
        *((page, {}) for page in PAGES),
        ("bots", {"bot": "1"}),
        *(("setup", {"part": part}) for part in ("Webhook", "Alerts")),
        ("risk_events", {"part": "Protections"}),
        *(("admin", {"part": part}) for part in ("Users", "Trades", "System", "Audit log")),
    ],
)
def test_names_that_look_like_markup_stay_names(
    page: str, query: dict[str, str], installation: Installation, seen_as: Any
):
    trader = installation.join("ann@example.com", Role.SUPERADMIN)
    with_data(trader, name=HOSTILE)
    trader.request("PATCH", "/accounts/1", {"label": HOSTILE})
    seen_as(trader.user)
    tab = opened(page, **query)
    assert not tab.exception
    assert ":red[x]" not in words(tab).replace("\\:red\\[x\\]", "")


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda path: path.stem)
def test_every_page_opens_with_the_guard(path: Path):
    """Before anything else runs: after a restart a page can be reached without Home.py."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    acts = [
        node
        for node in tree.body
        if not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) and not _inert(node)
    ]
    assert ast.unparse(acts[0]).startswith("user = ui.page(")
    assert "needs=Permission." in ast.unparse(acts[0])
    decorators = [
        ast.unparse(d)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for d in node.decorator_list
    ]
    assert not [d for d in decorators if "fragment" in d], "a fragment asks nobody: use ui.live"


def _inert(node: ast.stmt) -> bool:
    """The docstring, and constants that are made without reading anything."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Assign) and all(
        isinstance(target, ast.Name) and target.id.isupper() for target in node.targets
    )


@pytest.mark.parametrize("path", sorted((ROOT / "dashtrade" / "ui").glob("*.py")), ids=lambda path: path.stem)
def test_parts_that_renew_themselves_ask_who_is_looking(path: Path):
    if path.stem != "page":
        assert "st.fragment" not in path.read_text(encoding="utf-8")
    assert "cache_data" not in path.read_text(encoding="utf-8"), (
        "a cache without the user in its key shows one user another's"
    )


def test_ten_thousand_bots_are_shown_in_a_moment(trader: Trader, app: App, seen_as: Any):
    trader.bot("AAPL", name="The first")

    def many(conn: Any) -> None:
        row = conn.execute(bot_table.bots.select()).one()._asdict()
        row.pop("id")
        conn.execute(
            bot_table.bots.insert(),
            [row | {"timeframe": 60 * n, "name": f"Number {n} {HOSTILE}"} for n in range(16, 10_015)],
        )

    app.db.write(many)
    seen_as(trader.user)
    for page in ("overview", "positions", "bots"):
        began = time.process_time()  # work, not waiting: others may use the machine
        tab = opened(page)
        assert not tab.exception and not tab.error
        assert time.process_time() - began < 8, page
    assert "10,000 bots" in words(tab)


def test_flattening_has_a_second_step(trader: Trader, app: App, seen_as: Any):
    with_data(trader)
    seen_as(trader.user)
    tab = opened("overview")
    tab.radio(key="stop_choice").set_value("flatten").run()
    tab.button(key="danger_stop_now").click().run()
    assert not flatten.latest(app, trader.user) and not trader.get("/switches")["items"], (
        "the first press closes nothing"
    )
    (tick,) = [box for box in tab.checkbox if "1 position" in box.label]
    assert tick.value and "worth" in tick.label and "Paper" in tick.label


def test_a_drift_needs_attention_and_stands_on_the_page_of_positions(trader: Trader, app: App, seen_as: Any):
    bot = with_data(trader)
    account = bot_service.bot_of(app, trader.user, bot).account_id
    symbol = bot_service.bot_of(app, trader.user, bot).symbol
    now = app.clock.now()
    app.db.write(
        lambda conn: conn.execute(
            drift_table.drifts.insert().values(
                user_id=trader.user.id,
                account_id=account,
                asset=asset_of(symbol),
                symbol=symbol,
                status="open",
                kind=MismatchKind.APPEARED,
                ours=Decimal(10),
                outside=Decimal(0),
                theirs=Decimal(15),
                average_price=Decimal(100),
                mark=Decimal(101),
                ratio=None,
                way="",
                bot_id=None,
                detail=NO_REASON,
                opened_at=now,
                updated_at=now,
            )
        )
    )
    seen_as(trader.user)
    [item] = [one for one in attention(app, trader.user) if one.kind is AttentionKind.POSITION_MISMATCH]
    assert attention_list.words(trader.user, item) == (
        f"{symbol.short}: position mismatch of 5",
        "The broker has 15, your bots own 10.",
    )
    assert attention_list.link(item) == ("pages/positions.py", {})
    tab = opened("positions")
    next(button for button in tab.button if button.label == "Resolve").click().run()
    assert not tab.exception and not tab.error
    assert list(tab.radio[0].options) == [
        "Assign to a bot: it bought 5",
        "Keep outside: I bought it myself",
        "Not sure yet",
    ]


def test_a_skip_that_did_no_harm_needs_no_attention(trader: Trader, app: App):
    with_data(trader)
    trader.trades("buy")
    items = attention(app, trader.user)
    assert not [item for item in items if item.reason.code is Code.ALREADY_OWNED]
    assert "An alert could not be read" in [attention_list.words(trader.user, item)[0] for item in items]


def test_changes_of_a_bot_are_shown_with_the_old_values(trader: Trader, app: App, seen_as: Any):
    bot = with_data(trader)
    trader.request("PATCH", f"/bots/{bot}", {"daily_loss_limit": "250", "name": "Trend"})
    (newest, *_) = history.history(app, trader.user, bot)
    assert (newest.what, newest.changes) == ("bot changed", (("daily_loss_limit", "500", "250"),))
    seen_as(trader.user)
    tab = opened("bots", bot=str(bot))
    assert not tab.exception and not tab.error


def test_no_user_sees_anothers_data(installation: Installation, seen_as: Any):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    bot = with_data(trader, name="Anns secret bot")
    signal = trader.get("/signals")["items"][0]["id"]
    seen_as(other_trader.user)
    for tab in (opened("bots", bot=str(bot)), opened("signals", signal=signal)):
        assert not tab.exception
        assert "no such" in words(tab).lower() and "secret" not in words(tab)


def test_started_by_streamlit_it_says_how_to_start(seen_as: Any):
    runtime.use(None)
    tab = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=120).run()
    assert [error.value for error in tab.error] == [START]


def test_one_asset_in_two_currencies_is_counted_together(trader: Trader, app: App):
    """BTC/USD and BTC/EUR are both BTC: neither is missing because of the other."""
    dollars, euros = (
        bot_service.bot_of(app, trader.user, trader.bot(symbol)) for symbol in ("BTCUSD", "BTC/EUR")
    )
    trader.alert({"action": "buy", "symbol": "BTCUSD"})
    trader.alert({"action": "buy", "symbol": "BTC/EUR"})
    trader.installation.work()
    held = portfolio_summary.holdings(app, trader.user, open_only=True)
    assert {h.bot.id for h in held} == {dollars.id, euros.id}
    account = find_account(app, trader.user, dollars.account_id)
    at_broker = positions_of(app, account)
    assert len(at_broker) == 2
    assert live_cells.outside_of(account, held, at_broker) == []
