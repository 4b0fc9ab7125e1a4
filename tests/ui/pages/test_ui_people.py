"""The pages of one's account and of admins, run as Streamlit runs them, by each role; and what no button does
for onlookers."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.domain.notices.people import BrokerAnswers, KeyRefused
from dashtrade.domain.people import User
from dashtrade.domain.reasons import NO_REASON
from dashtrade.services.accounts import simulation
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.demo import demo
from dashtrade.services.people import audit, invitations, second_factor, users
from dashtrade.tables import messages
from dashtrade.tables.base import metadata
from dashtrade.ui.admin.admin import _detail
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.runtime import WriteBudget
from tests.support.hosts import StoringHost
from tests.support.installation import Installation, Trader
from tests.support.pages import HOSTILE, PAGES, opened, with_data
from tests.support.user_rows import reread

PARTS = ["Overview", "Users", "Trades", "System", "Audit log"]
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest has no address of a browser's."""
    monkeypatch.setattr(runtime, "address", lambda: "")


def button(tab: AppTest, label: str) -> Any:
    found = [one for one in tab.button if one.label == label]
    assert found, f"there is no button {label!r} among {[one.label for one in tab.button]}"
    return found[0]


def labels(tab: AppTest) -> set[str]:
    return {one.label for one in tab.button}


def cy(app: App) -> User:
    return reread(app, users.add_user(app, email="cy@example.com", name="Cy", password=PASSWORD))


# --- who sees what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("role", list(Role))
def test_each_part_of_the_admin_page_as_each_role(
    part: str, role: Role, installation: Installation, seen_as: Any
):
    with_data(installation.join("other@example.com"), name=HOSTILE)
    me = installation.join("me@example.com", role)
    seen_as(me.user)
    tab = opened("admin", part=part)
    assert not tab.exception and not tab.error
    if role is Role.STANDARD:
        assert tab.title[0].value == "You don't have access to this page" and not tab.button
    else:
        assert tab.title[0].value == "Admin"
        alone = {"Halt all bots", "Switch simulation on", "Back up now", "Save"}
        assert (labels(tab) & alone == alone) is (role is Role.SUPERADMIN and part == "System")
        assert not labels(tab) & alone or role is Role.SUPERADMIN


@pytest.mark.parametrize("state", ["plain", "second factor", "demo"])
def test_the_account_page_in_each_state(state: str, app: App, seen_as: Any):
    user = cy(app)
    if state == "second factor":
        secret = second_factor.new_secret()
        code = totp.code_at(secret, totp.step_at(app.clock.now()))
        second_factor.enable(app, user, secret=secret, code=code, password=PASSWORD, address="", token=None)
    if state == "demo":
        user = reread(app, demo.start(app, address=""))
    seen_as(reread(app, user.id))
    tab = opened("account")
    assert not tab.exception and not tab.error
    shown = labels(tab)
    assert ("Change password" in shown) is (state != "demo") and ("Create account" in shown) is (
        state == "demo"
    )
    assert ("Switch off" in shown) is (state == "second factor") and ("Switch on" in shown) is (
        state == "plain"
    )


# --- one's account ------------------------------------------------------------------------------------------


def test_messages_are_listed_and_marked_as_read(trader: Trader, app: App, seen_as: Any):
    with_data(trader)
    seen_as(trader.user)
    tab = opened("account")
    with app.db.read() as conn:
        newest = messages.list_page(conn, trader.user.id, before=None, limit=1)[0]
    shown = "".join(str(part.proto.body) for part in tab.get("html"))
    title = newest.words(UTC).title
    assert f'<a href="/signals?signal={newest.signal_id}" target="_self">{title}</a>' in shown
    read = next(one for one in tab.button if one.label.startswith("Mark"))
    read.click().run()
    with app.db.read() as conn:
        assert messages.list_page(conn, trader.user.id, before=None, limit=9, unread_only=True) == []


def test_older_messages_are_a_click_away_and_problems_are_found_among_them(
    trader: Trader, app: App, seen_as: Any
):
    def many(conn: Any) -> None:
        for number in range(20):
            fine = BrokerAnswers(account=f"Message {number:02d}")
            worse = KeyRefused(account=f"Message {number:02d}", reason=NO_REASON, paused_bots=0)
            messages.notify(conn, trader.user.id, worse if number == 0 else fine, now=app.clock.now())

    app.db.write(many)
    seen_as(trader.user)

    def titles(tab: AppTest) -> list[str]:
        return sorted(
            set(re.findall(r"Message \d\d", "".join(str(part.proto.body) for part in tab.get("html")))),
            reverse=True,
        )

    tab = opened("account")
    assert titles(tab)[0] == "Message 19" and "Message 00" not in titles(tab)
    assert "Mark 20 messages as read" in labels(tab)
    tab.button(key="messages_older").click().run()
    tab.button(key="messages_older").click().run()
    assert titles(tab)[-1] == "Message 00" and "messages_older" not in {one.key for one in tab.button}
    tab.button(key="messages_newest").click().run()
    assert titles(tab)[0] == "Message 19"
    tab.button_group(key="messages_which").set_value("Problems").run()
    assert titles(tab) == ["Message 00"]


def test_the_audit_log_reads_as_sentences(app: App, installation: Installation, seen_as: Any):
    superadmin = installation.join("superadmin@example.com", Role.SUPERADMIN)
    bot = superadmin.bot("AAPL", daily_loss_limit="400")
    superadmin.request("PATCH", f"/bots/{bot}", {"daily_loss_limit": "500"})
    seen_as(superadmin.user)
    (newest,) = audit.entries(app, superadmin.user, limit=1)
    assert newest.subject_id == bot == superadmin.user.id, (
        "the bot has the number its owner has: it is named all the same"
    )
    assert _detail(newest) == "#1, daily loss limit: 400 → 500"


def test_a_demo_is_kept_on_the_account_page(app: App, installation: Installation, seen_as: Any):
    superadmin = installation.join("superadmin@example.com", Role.SUPERADMIN).user
    user = reread(app, demo.start(app, address=""))
    seen_as(user)
    code = invitations.invite(app, superadmin, email="", role=Role.STANDARD)
    tab = opened("account")
    for label, value in {
        "Your name": "Dora",
        "Email": "dora@example.com",
        "Password": PASSWORD,
        "Invitation": f"http://x/join?invitation={code}",
    }.items():
        next(field for field in tab.text_input if field.label == label).set_value(value)
    button(tab, "Create account").click().run()
    assert not tab.exception and not tab.error
    assert users.check_password(app, "dora@example.com", PASSWORD, "").id == user.id


# --- admins -------------------------------------------------------------------------------------------------


def test_simulation_is_switched_on_the_page_and_shown_on_every_page(
    app: App, installation: Installation, seen_as: Any
):
    superadmin = installation.join("superadmin@example.com", Role.SUPERADMIN).user
    seen_as(superadmin)
    tab = opened("admin", part="System")
    tab.button(key="simulate").click().run()
    assert simulation.is_on(app)
    for page in PAGES:
        assert "Simulation mode" in "".join(str(part.proto.body) for part in opened(page).get("html")), page


def test_a_backup_is_made_and_listed(app: App, installation: Installation, seen_as: Any):
    seen_as(installation.join("superadmin@example.com", Role.SUPERADMIN).user)
    tab = opened("admin", part="System")
    tab.button(key="make_backup").click().run()
    assert not tab.exception and not tab.error
    made = list((app.settings.home / "backups").glob("dashtrade-*.db"))
    assert len(made) == 1 and made[0].stat().st_mode & 0o077 == 0


def test_the_log_is_filtered_and_holds_no_secret(app: App, installation: Installation, seen_as: Any):
    from dashtrade.services.people import admin

    superadmin = installation.join("superadmin@example.com", Role.SUPERADMIN).user
    app.settings.logs.mkdir(parents=True)
    (app.settings.logs / "webhook.log").write_text(
        "2026-01-01T00:00:01.000 INFO dashtrade.a fine token=abcdefgh12345\n"
        "2026-01-01T00:00:03.000 ERROR dashtrade.b went wrong\nTraceback (most recent call last):\n  x\n"
        "2026-01-01T00:00:02.000 WARNING dashtrade.c usr_abcdefghijk looks odd\n",
        encoding="utf-8",
    )
    every = admin.log_lines(app, superadmin, level="INFO", text="", most=9)
    assert [line.split()[1] for line in every] == ["INFO", "WARNING", "ERROR"]
    assert "abcdefgh" not in "".join(every) and "Traceback" in every[-1]
    assert len(admin.log_lines(app, superadmin, level="ERROR", text="", most=9)) == 1
    assert len(admin.log_lines(app, superadmin, level="DEBUG", text="ODD", most=9)) == 1
    with pytest.raises(Refusal):
        admin.log_lines(
            app, installation.join("ada@example.com", Role.ADMIN).user, level="INFO", text="", most=9
        )
    seen_as(superadmin)
    assert "went wrong" in "".join(
        str(part.proto.body) for part in opened("admin", part="System").get("html")
    )


# --- looking on ---------------------------------------------------------------------------------------------


def everything(app: App) -> dict[str, list[Any]]:
    with app.db.read() as conn:
        return {
            t.name: sorted(map(tuple, conn.execute(sa.select(t))), key=repr)
            for t in metadata.sorted_tables
            if t.name not in ("workers", "lanes")
        }


@pytest.mark.parametrize("page", [page for page in PAGES if page != "admin"])
def test_no_button_acts_for_one_who_looks_at_anothers_pages(
    page: str, trader: Trader, app: App, seen_as: Any
):
    with_data(trader)
    seen_as(replace(trader.user, viewer="ada@example.com"))
    before = everything(app)
    tab = opened(page)
    assert not tab.exception
    assert "ada@example.com" in "".join(str(part.proto.body) for part in tab.get("html")), (
        "every page says so"
    )
    for number in range(len(tab.button)):
        pressed = opened(page)
        pressed.button[number].click().run()
        assert not pressed.exception
    assert everything(app) == before


def test_a_refusal_in_the_read_only_view_is_explained(trader: Trader, app: App, seen_as: Any):
    with_data(trader)
    seen_as(replace(trader.user, viewer="ada@example.com"))
    tab = opened("account")
    next(one for one in tab.button if one.label.startswith("Mark")).click().run()
    assert "another user" in tab.error[0].value


def test_an_onlookers_alert_is_not_handed_to_the_worker_either(trader: Trader, app: App, seen_as: Any):
    """In the served dashboard the worker writes what is accepted: it must be refused before it goes there."""
    with_data(trader)
    seen_as(replace(trader.user, viewer="ada@example.com"))
    handed: list[Any] = []
    app.engine.host = StoringHost(handed.append)
    tab = opened("setup", part="Alerts")
    tab.button(key="send_test").click().run()
    assert not tab.exception and "another user" in tab.error[0].value
    assert not handed
    seen_as(trader.user)
    opened("setup", part="Alerts").button(key="send_test").click().run()
    assert len(handed) == 1


def test_a_demo_writes_so_much_a_day_and_no_more(app: App, seen_as: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "_budget", WriteBudget(1))
    seen_as(reread(app, demo.start(app, address="")))
    tab = opened("account")
    button(tab, "Save").click().run()
    button(tab, "Save").click().run()
    assert "limit for today" in tab.error[0].value


def test_a_demo_costs_two_seconds_of_work_at_most(app: App):
    began = time.process_time()  # work, not waiting: others may use the machine
    demo.start(app, address="")
    assert time.process_time() - began < 2
