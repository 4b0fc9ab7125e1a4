"""Every page, run as Streamlit runs it, by a stranger, a standard user and a superadmin; empty, full, and
with hostile names."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bot_database import DatabaseAway
from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.domain.position_mismatch import asset_of
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.accounts.prices import positions_of
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import history
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.people import users as people_service
from dashtrade.services.trading import flatten, portfolio_summary, trade_files
from dashtrade.services.trading.attention import AttentionKind, attention
from dashtrade.settings import ROOT, Settings
from dashtrade.tables import bots as bot_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import people as people_table
from dashtrade.tables import switches as switch_table
from dashtrade.ui.kit import live_cells
from dashtrade.ui.overview import attention_list
from dashtrade.ui.setup.alert_messages import DIALECTS, FILLED_IN, message_to_try
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.errors import explained
from dashtrade.ui.shell.page import START
from tests.support.installation import House, Person

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
HOSTILE = "<b onclick=x>*Fett* [l](javascript:1)</b> :red[x] 💥 ₹¥"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = build_app(Settings.load({"DASHTRADE_HOME": str(tmp_path / "home")}, tmp_path))
    runtime.use(made)
    yield made
    runtime.use(None)
    made.close()


@pytest.fixture
def seen_as(monkeypatch: pytest.MonkeyPatch):
    """Whose browser it is. AppTest has no cookies, so the one function that reads them is answered for."""

    def see(user: User | None) -> None:
        monkeypatch.setattr(runtime, "current_user", lambda *, present=True: user)
        monkeypatch.setattr(runtime, "session_token", lambda: "a-token")

    return see


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


# --- who sees what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_sees_nothing_of_any_page(page: str, app: App, seen_as: Any):
    seen_as(None)
    tab = opened(page)
    assert not tab.exception
    assert not tab.title and not tab.button and not tab.text_input


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_of_use_when_there_is_nothing_yet(page: str, ann: Person, seen_as: Any):
    seen_as(ann.user)
    tab = opened(page)
    assert not tab.exception and not tab.error
    if page == "admin":
        assert tab.title[0].value == "Not for you"
        assert not tab.button
    else:
        assert tab.title and tab.button


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("page", PAGES)
def test_each_page_shows_each_role_what_it_has_and_no_more(page: str, role: Role, house: House, seen_as: Any):
    with_data(house.join("other@example.com"), name="Of another")
    me = house.join("me@example.com", role)
    with_data(me)
    seen_as(me.user)
    tab = opened(page)
    assert not tab.exception and not tab.error
    assert (tab.title[0].value == "Not for you") is (page == "admin" and role is Role.STANDARD)
    assert "Of another" not in words(tab)


@pytest.mark.parametrize(
    ("page", "query"),
    [
        *((page, {}) for page in PAGES),
        ("bots", {"bot": "1"}),
        *(("setup", {"part": part}) for part in ("Webhook", "Alerts")),
        ("risk_events", {"part": "Protections"}),
        *(("admin", {"part": part}) for part in ("People", "Trades", "System", "Log of deeds")),
    ],
)
def test_names_that_look_like_markup_stay_names(page: str, query: dict[str, str], house: House, seen_as: Any):
    ann = house.join("ann@example.com", Role.SUPERADMIN)
    with_data(ann, name=HOSTILE)
    ann.does("PATCH", "/accounts/1", {"label": HOSTILE})
    seen_as(ann.user)
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


def test_ten_thousand_bots_are_shown_in_a_moment(ann: Person, app: App, seen_as: Any):
    ann.bot("AAPL", name="The first")

    def many(conn: Any) -> None:
        row = conn.execute(bot_table.bots.select()).one()._asdict()
        row.pop("id")
        conn.execute(
            bot_table.bots.insert(),
            [row | {"timeframe": 60 * n, "name": f"Number {n} {HOSTILE}"} for n in range(16, 10_015)],
        )

    app.db.write(many)
    seen_as(ann.user)
    for page in ("overview", "positions", "bots"):
        began = time.process_time()  # work, not waiting: others may use the machine
        tab = opened(page)
        assert not tab.exception and not tab.error
        assert time.process_time() - began < 8, page
    assert "10,000 bots" in words(tab)


def test_flattening_has_a_second_step(ann: Person, app: App, seen_as: Any):
    with_data(ann)
    seen_as(ann.user)
    tab = opened("overview")
    tab.radio(key="stop_choice").set_value("flatten").run()
    tab.button(key="danger_stop_now").click().run()
    assert not flatten.latest(app, ann.user) and not ann.get("/switches")["items"], (
        "the first press closes nothing"
    )
    (tick,) = [box for box in tab.checkbox if "1 position" in box.label]
    assert tick.value and "worth" in tick.label and "Paper" in tick.label


def test_a_drift_needs_attention_and_stands_on_the_page_of_positions(ann: Person, app: App, seen_as: Any):
    bot = with_data(ann)
    account = bot_service.bot_of(app, ann.user, bot).account_id
    symbol = bot_service.bot_of(app, ann.user, bot).symbol
    now = app.clock.now()
    app.db.write(
        lambda conn: conn.execute(
            drift_table.drifts.insert().values(
                user_id=ann.user.id,
                account_id=account,
                asset=asset_of(symbol),
                symbol=symbol,
                status="open",
                kind="bought",
                ours=Decimal(10),
                outside=Decimal(0),
                theirs=Decimal(15),
                average_price=Decimal(100),
                mark=Decimal(101),
                ratio=None,
                way="",
                bot_id=None,
                detail="",
                opened_at=now,
                updated_at=now,
            )
        )
    )
    seen_as(ann.user)
    [item] = [one for one in attention(app, ann.user) if one.kind is AttentionKind.POSITION_MISMATCH]
    assert attention_list.words(item) == (
        f"{symbol.short}: position mismatch of 5",
        "The broker has 15, your bots own 10.",
    )
    assert attention_list.link(item) == ("pages/positions.py", {})
    tab = opened("positions")
    next(button for button in tab.button if button.label == "Sort it out").click().run()
    assert not tab.exception and not tab.error
    assert list(tab.radio[0].options) == [
        "A bot should count it: it bought 5",
        "It is mine: I bought it myself",
        "I do not know yet",
    ]


def test_a_skip_that_did_no_harm_needs_no_attention(ann: Person, app: App):
    with_data(ann)
    ann.trades("buy")
    items = attention(app, ann.user)
    assert not [item for item in items if "lready long" in item.reason]
    assert "An alert could not be read" in [attention_list.words(item)[0] for item in items]


def test_changes_of_a_bot_are_told_with_what_was_before(ann: Person, app: App, seen_as: Any):
    bot = with_data(ann)
    ann.does("PATCH", f"/bots/{bot}", {"daily_loss_limit": "250", "name": "Trend"})
    (newest, *_) = history.history(app, ann.user, bot)
    assert (newest.what, newest.changes) == ("bot changed", (("daily_loss_limit", "500", "250"),))
    seen_as(ann.user)
    tab = opened("bots", bot=str(bot))
    assert not tab.exception and not tab.error


def test_nobody_sees_anything_of_another(house: House, seen_as: Any):
    ann, bob = house.join(), house.join("bob@example.com")
    bot = with_data(ann, name="Anns secret bot")
    signal = ann.get("/signals")["items"][0]["id"]
    seen_as(bob.user)
    for tab in (opened("bots", bot=str(bot)), opened("signals", signal=signal)):
        assert not tab.exception
        assert "no such" in words(tab).lower() and "secret" not in words(tab)


def test_started_by_streamlit_it_says_how_to_start(seen_as: Any):
    runtime.use(None)
    tab = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30).run()
    assert [error.value for error in tab.error] == [START]


def test_one_asset_in_two_currencies_is_counted_together(ann: Person, app: App):
    """BTC/USD and BTC/EUR are both BTC: neither is missing because of the other."""
    dollars, euros = (bot_service.bot_of(app, ann.user, ann.bot(symbol)) for symbol in ("BTCUSD", "BTC/EUR"))
    ann.alert({"action": "buy", "symbol": "BTCUSD"})
    ann.alert({"action": "buy", "symbol": "BTC/EUR"})
    ann.house.work()
    held = portfolio_summary.holdings(app, ann.user, open_only=True)
    assert {h.bot.id for h in held} == {dollars.id, euros.id}
    account = find_account(app, ann.user, dollars.account_id)
    at_broker = positions_of(app, account)
    assert len(at_broker) == 2
    assert live_cells.outside_of(account, held, at_broker) == []


# --- what can be done ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "query", "leads_to"),
    [("history", {}, "Alerts"), ("signals", {}, "Alerts"), ("setup", {"part": "Alerts"}, "New bot")],
)
def test_the_button_of_an_empty_page_leads_to_what_it_says(
    page: str, query: dict[str, str], leads_to: str, ann: Person, seen_as: Any
):
    seen_as(ann.user)
    tab = opened(page, **query)
    next(button for button in tab.button if button.key.startswith("empty_button_")).click().run()
    assert not tab.exception
    if leads_to == "Alerts":
        assert tab.title[0].value == "Setup" and tab.session_state["part"] == "Alerts"
    else:
        assert tab.title[0].value == "Bots" and any(
            button.label == "Open a paper account first" for button in tab.button
        ), "the dialog of a new bot is open"


def test_a_paper_account_is_opened_by_one_button(ann: Person, seen_as: Any):
    seen_as(ann.user)
    tab = opened("overview")
    next(button for button in tab.button if button.label == "Open a paper account").click().run()
    assert len(ann.get("/accounts")["items"]) == 1


def test_stop_all_does_what_it_says(ann: Person, app: App, seen_as: Any):
    with_data(ann)
    seen_as(ann.user)
    tab = opened("overview")
    tab.radio(key="stop_choice").set_value(Stop.REDUCE_ONLY)
    tab.button(key="stop_now").click().run()
    with app.db.read() as conn:
        assert [row.stop for row in switch_table.list_switches(conn, ann.user.id)] == ["reduce_only"]
    tab.button(key="start_again").click().run()
    assert ann.get("/switches")["items"] == []


def test_a_double_click_on_a_test_alert_is_one_order(ann: Person, house: House, seen_as: Any):
    ann.bot("AAPL")
    seen_as(ann.user)
    tab = opened("setup", part="Alerts")
    first = tab.session_state["test_id"]
    for _ in range(2):  # the second click comes before the page has been drawn anew
        tab.session_state["test_id"] = first
        tab.button(key="send_test").click().run()
    house.work()
    assert len(ann.get("/orders")["items"]) == 1


def test_closing_twice_from_one_question_is_one_order(ann: Person, house: House, app: App):
    bot = with_data(ann)
    before = len(ann.get("/orders")["items"])
    for _ in range(2):
        bot_service.close_bot(app, ann.user, bot, request_id="asked-once")
    house.work()
    assert len(ann.get("/orders")["items"]) == before + 1


def test_what_the_service_refuses_is_said_on_the_page(house: House, app: App, seen_as: Any):
    user_id = people_service.add_user(
        app, email="cy@example.com", name="Cy", password="correct horse battery"
    )
    with app.db.read() as conn:
        seen_as(people_table.by_id(conn, user_id))
    tab = opened("account")
    for field, value in zip(
        [f for f in tab.text_input if "assword" in f.label],
        ("not it", "some other words", "some other words"),
        strict=True,
    ):
        field.set_value(value)
    next(button for button in tab.button if button.label == "Change the password").click().run()
    assert not tab.exception
    assert "current password is wrong" in tab.error[0].value


@pytest.mark.parametrize(("symbol", "goes"), [("AAPL", "Trend"), ("MSFT", "nobody now: no bot trades MSFT")])
def test_a_pasted_alert_says_which_bot_would_hear_it(symbol: str, goes: str, ann: Person, seen_as: Any):
    ann.bot("AAPL", name="Trend")
    seen_as(ann.user)
    tab = opened("setup", part="Alerts")
    tab.text_area(key="payload").set_value(f"buy {symbol}").run()
    assert not tab.exception and not tab.error
    assert f"<b>Goes to</b><span>{goes}</span>" in "".join(str(part.proto.body) for part in tab.get("html"))


@pytest.mark.parametrize(
    "raw", ["", "{", '{"action": "buy"}', "BUY", '{"action":"{{x}}","symbol":"AAPL"}', "\u0000", "[" * 3000]
)
def test_any_pasted_payload_is_read_or_explained(raw: str, ann: Person, seen_as: Any):
    seen_as(ann.user)
    tab = opened("setup", part="Alerts")
    tab.text_area(key="payload").set_value(raw).run()
    assert not tab.exception and tab.error


def test_a_field_is_named_in_words(ann: Person):
    said = explained(
        Malformed("daily_loss_limit is not a number: 'abc'", where="daily_loss_limit", hint="Send a number.")
    )
    assert said.startswith("**Daily loss limit is not a number")


def test_bots_of_one_name_are_told_apart(ann: Person, app: App):
    first, second, third = (
        ann.bot("AAPL", name="Trend"),
        ann.bot("MSFT", name="Trend"),
        ann.bot("TSLA", name="Swing"),
    )
    assert bot_names(app, ann.user) == {
        first: f"Trend (no. {first})",
        second: f"Trend (no. {second})",
        third: "Swing",
    }


def test_a_page_without_its_database_says_so(
    ann: Person, app: App, seen_as: Any, monkeypatch: pytest.MonkeyPatch
):
    assert "nothing was changed" in explained(DatabaseAway("locked"))
    assert "log" in explained(RuntimeError("secret detail")) and "secret" not in explained(
        RuntimeError("secret detail")
    )


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("action", ["buy", "sell", "close"])
def test_the_message_of_the_alert_builder_reaches_its_bot(dialect: Any, action: str, ann: Person, app: App):
    ann.bot("MSFT")
    bot = bot_service.bot_of(app, ann.user, ann.bot("NASDAQ:AAPL", "1 Hour"))
    message = dialect.build(bot, action)
    for name, value in FILLED_IN.items():
        message = message.replace(name, value)
    signal = parse(message.encode()).signal
    assert (signal.symbol, signal.timeframe) == (bot.symbol, bot.timeframe)
    assert signal.action == (action if dialect.asks_action else "buy")
    said = ann.alert(message)
    assert said.status_code == 202, said.text


def test_a_test_message_names_its_bot(ann: Person, app: App):
    bot = bot_service.bot_of(app, ann.user, ann.bot("BTCUSD", "1 Hour"))
    assert parse(message_to_try(bot, "buy", "1").encode()).signal.bot == str(bot.id)


def test_the_file_of_trades_holds_all_of_one_users_and_no_formula(house: House, app: App):
    ann, bob = house.join(), house.join("bob@example.com")
    with_data(ann)
    with_data(bob)
    lines = "".join(trade_files.fills(app, ann.user, {})).splitlines()
    assert lines[0].startswith("Number,Time (UTC),Bot,")
    assert len(lines) == 4
    assert not [
        cell for line in lines[1:] for cell in line.split(",") if cell[:1] in "=+@"[: len(cell)] and cell
    ]
