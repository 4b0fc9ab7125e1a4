"""Signing in and everything around it, in a real browser: the second factor, the demo, links, roles, a tab
left open overnight."""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.services.people import invitations, tokens
from dashtrade.tables import people as people_table
from dashtrade.tables import sessions as session_table
from tests.support.browser import (
    PASSWORD,
    RunningDashTrade,
    add_random_user,
    forget_sign_in,
    press,
    ready,
    submit_sign_in,
    wait_for_sign_in_form,
    wait_for_text,
)


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 950})
    yield context.new_page()
    context.close()


@pytest.fixture
def other_tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def test_the_second_factor_from_the_qr_code_to_the_last_recovery_code(
    tab: Any, home: RunningDashTrade, door: App
):
    user = add_random_user(door)
    submit_sign_in(tab, home, user.email)
    ready(tab)
    tab.goto(f"{home.ui}/account")
    ready(tab)
    tab.get_by_role("button", name="Switch on").click()
    dialog = tab.get_by_role("dialog")
    dialog.locator("img.dt-qr").wait_for(timeout=15_000)
    assert dialog.locator("img.dt-qr").evaluate("image => image.naturalWidth") > 100, (
        "the QR code is drawn, under the policy as it is served"
    )
    dialog.get_by_text("Cannot scan the code?").click()
    secret = dialog.locator("code").first.inner_text().replace(" ", "").strip()
    step = totp.step_at(door.clock.now())
    dialog.get_by_label("Enter the 6-digit code").fill(totp.code_at(secret, step))
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Switch on").click()
    wait_for_text(tab, "Save these recovery codes")
    recovery = dialog.locator("code").first.inner_text().split()
    assert len(recovery) == 10
    dialog.get_by_role("button", name="I've saved these codes").click()
    wait_for_text(tab, "10 recovery codes left")

    def second_step(code: str) -> None:
        forget_sign_in(tab)
        submit_sign_in(tab, home, user.email)
        tab.get_by_label("Code").fill(code)
        tab.get_by_role("button", name="Sign in").click()

    second_step(totp.code_at(secret, step))
    wait_for_text(tab, "This code is wrong or was used")
    fresh = totp.code_at(secret, max(totp.step_at(door.clock.now()), step + 1))
    second_step(fresh)
    ready(tab)
    second_step(fresh)
    wait_for_text(tab, "This code is wrong or was used")
    second_step(recovery[0])
    ready(tab)
    second_step(recovery[0])
    wait_for_text(tab, "This code is wrong or was used")


def test_one_click_to_a_demo_that_becomes_an_account(tab: Any, home: RunningDashTrade, door: App):
    superadmin = add_random_user(door, Role.SUPERADMIN)
    tab.goto(f"{home.ui}/auth/login")
    tab.get_by_role("button", name="Try the demo").click()
    ready(tab)
    wait_for_text(tab, "This is a demo")
    tab.goto(f"{home.ui}/bots")
    for name in ("Bitcoin trend", "Ether swing", "Apple reversal"):
        wait_for_text(tab, name)
    tab.goto(f"{home.ui}/history")
    wait_for_text(tab, "BTC/USD")
    assert tab.locator("tbody tr").count() >= 10
    code = invitations.invite(door, superadmin, email="", role=Role.STANDARD)
    email = f"{secrets.token_hex(4)}@example.com"
    tab.get_by_role("link", name="Create an account").click()
    ready(tab)
    form = tab.locator(".st-key-keep_demo")
    for label, value in {
        "Your name": "Dora",
        "Email": email,
        "Password": PASSWORD,
        "Invitation": code,
    }.items():
        form.get_by_role("textbox", name=label).or_(form.locator(f"input[aria-label='{label}']")).first.fill(
            value
        )
    form.get_by_role("button", name="Create account").click()
    tab.get_by_text("This is a demo").wait_for(state="detached", timeout=15_000)
    forget_sign_in(tab)
    submit_sign_in(tab, home, email)
    ready(tab)
    tab.goto(f"{home.ui}/bots")
    wait_for_text(tab, "Bitcoin trend")


def test_an_admins_link_makes_a_new_password(tab: Any, other_tab: Any, home: RunningDashTrade, door: App):
    admin, user = add_random_user(door, Role.ADMIN), add_random_user(door)
    submit_sign_in(tab, home, admin.email)
    ready(tab)
    tab.goto(f"{home.ui}/admin?part=Users&find={user.email}")
    ready(tab)
    wait_for_text(tab, user.email)
    tab.locator("button.open").first.click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_role("button", name="Password link").click()
    link = dialog.locator("code").first
    link.wait_for(timeout=15_000)
    address = "".join(link.inner_text().split())
    other_tab.goto(address)
    other_tab.fill("#password", "12345678")
    other_tab.get_by_role("button", name="Set password").click()
    wait_for_text(other_tab, "too common")
    other_tab.fill("#password", "four other long words")
    other_tab.get_by_role("button", name="Set password").click()
    wait_for_text(other_tab, "Password changed")
    other_tab.fill("#password", "four other long words")
    other_tab.get_by_role("button", name="Sign in").click()
    ready(other_tab)
    other_tab.goto(address)
    wait_for_text(other_tab, "This link does not work")


def test_roles_by_address_after_a_restart(tab: Any, home: RunningDashTrade, door: App):
    home.restart_dashboard()
    submit_sign_in(tab, home, add_random_user(door).email)
    ready(tab)
    tab.goto(f"{home.ui}/admin?part=System")
    ready(tab)  # a page that their menu does not have: they are on the overview
    wait_for_text(tab, "Get started")
    assert tab.get_by_text("Waiting signals").count() == 0
    assert tab.context.request.get(f"{home.ui}/files/all-trades.csv").status == 403
    forget_sign_in(tab)
    submit_sign_in(tab, home, add_random_user(door, Role.ADMIN).email)
    ready(tab)
    tab.goto(f"{home.ui}/admin?part=System")
    wait_for_text(tab, "Waiting signals")
    wait_for_text(tab, "Versions")
    for text in ("Simulation mode", "Trading for all users", "Back up now"):
        assert tab.get_by_text(text).count() == 0
    answer = tab.context.request.get(f"{home.ui}/files/all-trades.csv")
    assert answer.status == 200 and answer.text().startswith("user_id,email,id,")


TITLES = {
    "/admin": "Admin",
    "/": "Overview",
    "/positions": "Live positions",
    "/bots": "Bots",
    "/connect": "Setup",
    "/signals": "Signals",
    "/history": "Trade history",
    "/performance": "Performance",
    "/risk_events": "Risk events",
    "/account": "Account",
}
ALONE = {  # parts of the admin page and what a superadmin alone finds there
    "Overview": "",
    "Users": "",
    "Trades": "",
    "System": "Switch simulation on",
    "Audit log": "",
}


@pytest.mark.parametrize("role", list(Role))
def test_each_page_by_its_address_after_a_restart_is_for_whom_it_is(
    tab: Any, home: RunningDashTrade, door: App, role: Role
):
    """The first request after a restart is for a page, not for Home.py; and nobody is let in further than
    their role."""
    submit_sign_in(tab, home, add_random_user(door, role).email)
    ready(tab)
    home.restart_dashboard()
    for path, title in TITLES.items():
        tab.goto(home.ui + path)
        wanted = "Overview" if title == "Admin" and role is Role.STANDARD else title
        tab.get_by_role("heading", name=wanted, level=1, exact=True).wait_for(timeout=20_000)
        tab.get_by_text(str(role).capitalize(), exact=True).first.wait_for()  # the status bar, on every page
        assert tab.get_by_role("link", name="Admin", exact=True).count() == (role is not Role.STANDARD)
    if role is not Role.STANDARD:
        for part, alone in ALONE.items():
            tab.goto(f"{home.ui}/admin?part={part}")
            tab.get_by_role("radio", name=part, checked=True).wait_for(timeout=20_000)
            if alone:
                tab.wait_for_timeout(700)  # until a part that should not be there could be
            assert not alone or tab.get_by_role("button", name=alone).count() == (role is Role.SUPERADMIN)
    assert tab.context.request.get(f"{home.ui}/files/all-trades.csv").status == (
        403 if role is Role.STANDARD else 200
    )
    forget_sign_in(tab)
    for path in TITLES:
        tab.goto(home.ui + path)
        assert tab.url.startswith(f"{home.ui}/auth/login"), path


def test_a_session_that_is_ended_from_elsewhere_ends_on_the_screen_and_a_deactivated_user_is_out(
    tab: Any, other_tab: Any, home: RunningDashTrade, door: App
):
    user, admin = add_random_user(door), add_random_user(door, Role.ADMIN)
    token = tokens.rotate_webhook_token(door, user)
    submit_sign_in(tab, home, user.email)
    ready(tab)
    other_tab.goto(f"{home.ui}/auth/login")
    other_tab.fill("#email", user.email)
    other_tab.fill("#password", PASSWORD)
    other_tab.get_by_label("Remember me").check()
    other_tab.get_by_role("button", name="Sign in").click()
    ready(other_tab)
    [kept] = [cookie for cookie in other_tab.context.cookies() if cookie["name"] == "dashtrade_session"]
    assert (
        kept["httpOnly"] and kept["sameSite"] == "Lax" and 29 < (kept["expires"] - time.time()) / 86400 <= 30
    )
    tab.goto(f"{home.ui}/account")
    tab.get_by_role("button", name="Sign out Chrome on Linux").click()
    other_tab.wait_for_url("**/auth/login**", timeout=25_000)
    assert _alert(home, token) == 404  # no bot listens yet, but the address is known
    submit_sign_in(other_tab, home, admin.email)
    ready(other_tab)
    other_tab.goto(f"{home.ui}/admin?part=Users&find={user.email}")
    other_tab.locator("button.open").first.click()
    other_tab.get_by_role("dialog").get_by_role("button", name="Deactivate").click()
    tab.wait_for_url("**/auth/login**", timeout=25_000)
    assert _alert(home, token) == 401
    submit_sign_in(tab, home, user.email)
    wait_for_text(tab, "Email or password is wrong")


def _alert(home: RunningDashTrade, token: str) -> int:
    asked = urllib.request.Request(
        f"{home.hooks}/webhook?token={token}", data=b'{"action": "buy", "symbol": "AAPL"}'
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_page_left_open_overnight_goes_to_the_form(tab: Any, home: RunningDashTrade, door: App):
    user = add_random_user(door)
    submit_sign_in(tab, home, user.email)
    ready(tab)
    tab.wait_for_timeout(1500)  # until the page's own parts are there
    past = door.clock.now() - timedelta(hours=13)
    mine = session_table.sessions.c.user_id == user.id
    door.db.write(
        lambda conn: conn.execute(sa.update(session_table.sessions).where(mine).values(seen_at=past))
    )
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # somebody looks at it again
    wait_for_sign_in_form(tab)


def test_an_admin_looks_at_pages_on_which_nothing_can_be_done(
    tab: Any, home: RunningDashTrade, door: App, tmp_path: Path
):
    admin, user = add_random_user(door, Role.ADMIN), add_random_user(door)
    submit_sign_in(tab, home, admin.email)
    ready(tab)
    tab.goto(f"{home.ui}/admin?part=Users&find={user.email}")
    wait_for_text(tab, user.email)
    tab.locator("button.open").first.click()
    tab.get_by_role("dialog").get_by_role("button", name="View as user").click()
    wait_for_text(tab, f"Viewing as {user.email}")
    assert tab.get_by_role("link", name="Admin").count() == 0
    tab.goto(f"{home.ui}/")
    press(tab, "Open a paper account")
    wait_for_text(tab, "which are read-only")
    with door.db.read() as conn:
        assert conn.scalar(sa.text(f"SELECT count(*) FROM user_api_keys WHERE user_id = {user.id}")) == 0
    assert tab.context.request.get(f"{home.ui}/files/my-data.zip").status == 409
    tab.get_by_role("link", name="Exit").click()
    wait_for_text(tab, "Invite user")


def test_ones_data_comes_as_a_file(tab: Any, home: RunningDashTrade, door: App):
    user = add_random_user(door)
    assert (
        tab.context.request.get(f"{home.ui}/files/my-data.zip").status in (401, 403)
        or "login" in tab.context.request.get(f"{home.ui}/files/my-data.zip").url
    )
    submit_sign_in(tab, home, user.email)
    ready(tab)
    answer = tab.context.request.get(f"{home.ui}/files/my-data.zip")
    assert (
        answer.status == 200
        and answer.body()[:2] == b"PK"
        and answer.headers["content-type"] == "application/zip"
    )


def test_an_account_goes_with_password_and_word(tab: Any, home: RunningDashTrade, door: App):
    add_random_user(door, Role.SUPERADMIN)
    user = add_random_user(door)
    submit_sign_in(tab, home, user.email)
    ready(tab)
    tab.goto(f"{home.ui}/account")
    press(tab, "Delete account")
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_label("Type DELETE").fill("delete")
    dialog.get_by_role("button", name="Delete permanently").click()
    wait_for_text(tab, "DELETE is missing")
    dialog.get_by_label("Type DELETE").fill("DELETE")
    dialog.get_by_role("button", name="Delete permanently").click()
    wait_for_sign_in_form(tab)
    with door.db.read() as conn:
        assert people_table.by_id(conn, user.id) is None
