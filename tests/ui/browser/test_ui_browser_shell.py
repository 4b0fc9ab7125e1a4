"""What stands around the pages, in a real browser: a server that goes away, a phone's menu, colours that
stay, and layouts that hold with the fonts of whichever machine it is."""

from __future__ import annotations

import itertools
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.tables import bots as bot_table
from tests.support.browser import RunningDashTrade, add_user, alert, ready, sign_in
from tests.support.installation import wait_until

LONG = (
    "The second swing of Ether, with a name that goes on for longer than anybody wants to read on a telephone"
)

PAGES = [
    "/",
    "/positions",
    "/bots",
    "/bots?bot=1",
    "/connect",
    "/connect?part=Webhook",
    "/connect?part=Alerts",
    "/signals",
    "/risk_events",
    "/history",
    "/performance",
    "/account",
    "/admin",
    "/admin?part=Users",
    "/admin?part=System",
]

# Wider than any font that a machine may have: what holds with it, holds.
WIDEN = """(() => {
  const wide = new CSSStyleSheet(), attach = Element.prototype.attachShadow;
  wide.replaceSync('* { font-family: monospace !important; letter-spacing: .25em !important; }');
  document.adoptedStyleSheets.push(wide);
  Element.prototype.attachShadow = function (how) {
    const root = attach.call(this, how);
    root.adoptedStyleSheets.push(wide);
    return root;
  };
})();"""

CUT = """() => {
  const found = [];
  const look = root => root.querySelectorAll('*').forEach(each => {
    if (each.shadowRoot) look(each.shadowRoot);
    if (each.matches('.card .value, .card .note') && each.scrollWidth > each.clientWidth)
      found.push(each.textContent);
  });
  look(document);
  return found;
}"""


@pytest.fixture(scope="module")
def trader(door: App) -> User:
    """With a short and a long position."""
    user = add_user(door)
    account = accounts.add_account(
        door, user, broker="paper", mode="paper", label="Paper", credentials={}, options={}
    )
    for symbol, name, action in (("BTCUSD", "Coin", "sell"), ("ETHUSD", LONG, "buy")):
        bots.add_bot(
            door,
            user,
            {
                "account_id": account,
                "symbol": symbol,
                "timeframe": "15",
                "position_size": "5000",
                "name": name[:100],
            },
        )
        alert(door, user, action, symbol)
    wait_until(lambda: len(owning(door, user)) == 2, 20)
    return user


def owning(door: App, user: User) -> list[Any]:
    with door.db.read() as conn:
        return bot_table.owning(conn, user.id)


def desk_tab(browser: Any, home: RunningDashTrade, **more: Any) -> Any:
    tab = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | more)).new_page()
    sign_in(tab, home)
    return tab


def phone_tab(browser: Any, home: RunningDashTrade) -> Any:
    return desk_tab(browser, home, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)


# --- the server goes away -----------------------------------------------------------------------------------


def test_a_lost_server_is_shown_with_the_figures_time_and_reconnects_by_itself(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = desk_tab(browser, home)
    tab.get_by_role("button", name="Close BTC/USD").wait_for()
    tab.evaluate("window.notReloaded = true")
    worker, receiver, dashboard = home.children
    dashboard.terminate()
    dashboard.wait(10)
    lost = tab.locator(".dt-lost")
    lost.get_by_text("Only the dashboard is away: the engine answers").wait_for(timeout=15_000)
    assert lost.locator("b").inner_text().startswith("Connection to DashTrade lost ")
    assert tab.evaluate(
        "/Figures are of \\d\\d:\\d\\d:\\d\\d\\. /.test(document.querySelector('.dt-lost').textContent)"
    )
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stMainBlockContainer]')).filter")
        == "grayscale(1)"
    )
    for process in (receiver, worker):
        process.terminate()
    for process in (receiver, worker):
        process.wait(25)
    lost.get_by_text("Stops managed by DashTrade are not watched until it is back.").wait_for(timeout=15_000)
    tab.wait_for_timeout(6000)  # by then Streamlit's own message would be up
    assert tab.get_by_role("dialog").count() == 0 and tab.get_by_text("Connection error").count() == 0
    home.children.clear()
    home.start()
    lost.wait_for(state="detached", timeout=30_000)
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stMainBlockContainer]')).filter")
        == "none"
    )
    tab.get_by_role("button", name="Close BTC/USD").wait_for()
    assert tab.evaluate("window.notReloaded") is True


def test_a_server_that_takes_the_question_and_gives_no_answer_is_away_too(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = desk_tab(browser, home)
    held = []
    tab.route("**/auth/alive", lambda route: held.append(route))  # and never answered
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.locator(".dt-lost").wait_for(timeout=15_000)
    tab.unroute("**/auth/alive")
    tab.locator(".dt-lost").wait_for(state="detached", timeout=15_000)


def test_a_page_that_stays_empty_is_opened_again_once(home: RunningDashTrade, trader: User, browser: Any):
    tab = desk_tab(browser, home)
    loads: list[str] = []
    tab.on("load", lambda _: loads.append(tab.url))
    empty = "document.querySelector('[data-testid=stMain]').remove()"
    tab.evaluate(empty)
    tab.wait_for_event("load", timeout=20_000)
    ready(tab)
    assert [url.partition("?")[0] for url in loads] == [f"{home.ui}/"]


# --- a phone ------------------------------------------------------------------------------------------------


def test_a_phones_menu_closes_when_a_page_is_chosen_and_swallows_the_tap_beside_it(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = phone_tab(browser, home)
    menu, curtain = tab.locator("[data-testid=stSidebar]"), tab.locator(".dt-curtain")
    for number, name in enumerate(("Live positions", "Bots", "Overview", "Live positions")):
        tab.locator("[data-testid=stExpandSidebarButton]").tap()
        curtain.wait_for()
        menu.get_by_role("link", name=name).tap()
        curtain.wait_for(state="detached")
        tab.get_by_role("heading", name=name, level=1).wait_for()
        if number == 1:
            tab.reload()
            ready(tab)
        wait_until(lambda: menu.bounding_box()["x"] + menu.bounding_box()["width"] <= 0)
    close = tab.get_by_role("button", name="Close BTC/USD")
    close.scroll_into_view_if_needed()
    tab.locator("[data-testid=stExpandSidebarButton]").tap()
    curtain.wait_for()
    where = close.bounding_box()
    tab.touchscreen.tap(380, where["y"] + where["height"] / 2)
    curtain.wait_for(state="detached")
    tab.wait_for_timeout(1200)  # until a question that should not be asked could be
    assert tab.get_by_role("dialog").count() == 0


def test_on_a_phone_a_position_says_side_entry_price_stop_and_profit(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = phone_tab(browser, home)
    row = tab.locator("tbody tr", has=tab.get_by_role("button", name="Close BTC/USD"))
    row.get_by_text("Short").wait_for()
    tab.goto(f"{home.ui}/positions")
    row.wait_for()
    labels = [
        cell.get_attribute("data-label") for cell in row.locator("td[data-label]").all() if cell.is_visible()
    ]
    assert {"Side", "Size", "Entry", "Price", "P&L", "Exits"} <= set(labels)
    assert row.get_by_text("Short").is_visible()
    boxes = [
        button.bounding_box()
        for button in row.get_by_role("button").all()
        if button.evaluate("e => e.className.startsWith('act')")
    ]
    assert len(boxes) == 3 and all(box["height"] >= 40 for box in boxes)
    assert all(right["x"] - (left["x"] + left["width"]) >= 8 for left, right in itertools.pairwise(boxes))


def test_a_long_name_ends_after_two_lines(home: RunningDashTrade, trader: User, browser: Any):
    tab = phone_tab(browser, home)
    tab.goto(f"{home.ui}/bots")
    name = tab.locator(".clamp", has_text="The second swing").first
    name.wait_for()
    assert name.evaluate("e => e.clientHeight <= 2.1 * parseFloat(getComputedStyle(e).lineHeight)")
    assert name.get_attribute("title").startswith("The second swing")


@pytest.fixture(scope="module")
def wide_phone(home: RunningDashTrade, trader: User, browser: Any) -> Any:
    tab = phone_tab(browser, home)
    tab.add_init_script(WIDEN)
    return tab


@pytest.mark.parametrize("path", PAGES)
def test_whatever_the_fonts_nothing_is_wider_than_a_phone_and_no_figure_is_cut_off(
    home: RunningDashTrade, wide_phone: Any, path: str
):
    wide_phone.goto(home.ui + path)
    ready(wide_phone)
    wide_phone.wait_for_timeout(700)
    assert wide_phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    assert wide_phone.evaluate(CUT) == []


@pytest.mark.parametrize("path", ["/", "/connect?part=Alerts", "/connect", "/account"])
def test_nothing_is_wider_than_a_phone_while_its_parts_are_still_on_the_way(
    home: RunningDashTrade, trader: User, browser: Any, path: str
):
    """Where a machine is slow, this is what is seen; a placeholder was 405 wide."""
    tab = phone_tab(browser, home)
    at_once = set(re.findall(r"/static/js/[^\"]+", tab.context.request.get(home.ui).text()))
    tab.route(
        "**/static/js/*",
        lambda route: route.continue_() if urlsplit(route.request.url).path in at_once else None,
    )
    tab.goto(home.ui + path)
    tab.locator("[data-testid=stMain] [data-testid=stSkeleton]").first.wait_for()
    tab.wait_for_timeout(700)
    assert tab.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    tab.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("fonts", ["this machine's", "very wide ones"])
def test_a_figure_is_never_cut_off_however_long_it_is(
    home: RunningDashTrade, trader: User, browser: Any, fonts: str
):
    tab = desk_tab(browser, home)
    if fonts == "very wide ones":
        tab.add_init_script(WIDEN)
    for path in ("/", "/positions", "/performance", "/bots?bot=1"):
        tab.goto(home.ui + path)
        ready(tab)
        tab.locator(".card .value").first.wait_for()
        tab.wait_for_timeout(500)
        assert tab.evaluate(CUT) == [], path


# --- colours ------------------------------------------------------------------------------------------------


def light(tab: Any) -> bool:
    return (
        tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
        == "rgb(255, 255, 255)"
    )


def test_colours_follow_the_system_until_they_are_chosen_and_then_stay_on_every_page(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = desk_tab(browser, home, color_scheme="light")
    assert light(tab)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor !== "
        "'rgb(255, 255, 255)'"
    )
    with tab.expect_event("load"):  # it may come before the click returns
        tab.get_by_role("button", name="Light", exact=True).click()
    ready(tab)
    for path in ("/", "/positions", "/bots?bot=1", "/account"):
        tab.goto(home.ui + path)
        ready(tab)
        assert light(tab), path
    tab.get_by_role("link", name="Overview").click()
    tab.get_by_role("heading", name="Overview", level=1).wait_for()
    assert light(tab)


def test_what_is_chosen_in_a_dialog_can_be_read(home: RunningDashTrade, trader: User, browser: Any):
    """A dialog stands outside the page's own element, and has to know its colours all the same."""
    tab = desk_tab(browser, home, color_scheme="dark")
    tab.get_by_role("button", name="Close BTC/USD").wait_for()
    tab.goto(f"{home.ui}/positions")
    tab.get_by_role("button", name="Reduce BTC/USD").click()
    tab.get_by_role("dialog").wait_for()
    chosen = tab.locator("[role=dialog] [data-testid=stButtonGroup] button[data-selected=true] p").first
    assert chosen.evaluate("e => getComputedStyle(e).color") == "rgb(123, 166, 255)"


def test_nothing_jumps_and_nothing_is_missing_when_a_page_is_opened(
    home: RunningDashTrade, trader: User, browser: Any
):
    tab = desk_tab(browser, home)
    missing: list[str] = []
    tab.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    for path, title in (("/", "Overview"), ("/positions", "Live positions"), ("/bots?bot=1", "Coin")):
        tab.goto(home.ui + path)
        ready(tab)
        tab.wait_for_timeout(500)
        assert tab.title() == f"{title} · DashTrade"
    assert missing == []
