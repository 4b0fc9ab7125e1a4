"""The way in, tried from outside: the dashboard runs as it is served, and plain HTTP knocks at it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from dashtrade.domain.access import Role
from dashtrade.domain.values import sha256
from dashtrade.services.people import credentials, invitations, sessions, users
from dashtrade.settings import ROOT
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import people as people_table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import tokens as token_table
from tests.support.ui_harness import PASSWORD, DashboardHarness

# --- the first account --------------------------------------------------------------------------------------


def test_a_set_up_link_that_a_newer_one_replaced_says_so_at_once(harness: DashboardHarness):
    """Runs first, like the next: they need a house without people."""
    old = users.setup_link(harness.app)
    assert old is not None and users.setup_link(harness.app) is not None
    answer = harness.ask("GET", f"/setup?setup={old.rpartition('=')[2]}")
    assert answer.status == 403 and "<form" not in answer.text
    assert "a newer one was made" in answer.text and "setup-link prints a new one" in answer.text


def test_the_set_up_link_makes_the_first_account_and_signs_it_in(harness: DashboardHarness):
    assert "No account yet" in harness.ask("GET", "/auth/login").text
    link = users.setup_link(harness.app)
    assert link is not None
    code = link.rpartition("=")[2]
    form = harness.ask("GET", f"/setup?setup={code}")
    assert form.status == 200 and "Welcome to DashTrade" in form.text and "<script>" not in form.text
    fields = {"setup": code, "email": "first@example.com", "name": "<i>First</i>", "password": "12345678"}
    weak = harness.ask("POST", "/setup", urlencode(fields))
    assert (
        weak.status == 400
        and "too common" in weak.text
        and "&lt;i&gt;First" in weak.text
        and "12345678" not in weak.text
    )
    wrong = harness.ask("POST", "/setup", urlencode(fields | {"setup": "guessed", "password": PASSWORD}))
    assert wrong.status == 403 and not wrong.cookie
    made = harness.ask("POST", "/setup", urlencode(fields | {"password": PASSWORD}))
    assert (made.status, made.headers["location"]) == (303, "/") and made.cookie
    assert harness.ask("GET", "/", cookie=made.cookie).status == 200
    assert harness.ask("GET", f"/setup?setup={code}").headers["location"] == "/auth/login"
    with harness.app.db.read() as conn:
        user = people_table.by_email(conn, "first@example.com")
        assert user is not None and user[0].role == "superadmin"
        assert token_table.list_api_tokens(conn, user[0].id) == []


def test_joining_needs_an_invitation_that_works_once(harness: DashboardHarness):
    assert harness.ask("GET", "/join").status == 403
    with harness.app.db.read() as conn:
        superadmin = people_table.everyone(conn)[0]
    code = invitations.invite(harness.app, superadmin, email="", role=superadmin.role.STANDARD)
    fields = {"invitation": code, "name": "Bea", "email": "bea@example.com", "password": PASSWORD}
    assert harness.ask("POST", "/join", urlencode(fields)).cookie
    again = harness.ask("POST", "/join", urlencode(fields | {"email": "other@example.com"}))
    assert again.status == 403 and "invalid, used or expired" in again.text


@pytest.mark.parametrize("end", ["used", "expired", "revoked", "its maker is deactivated"])
def test_an_invitation_that_no_longer_works_says_so_at_once(harness: DashboardHarness, end: str):
    with harness.app.db.read() as conn:
        found = people_table.by_email(conn, harness.person(Role.ADMIN))
    assert found is not None
    maker = found[0]
    code = invitations.invite(harness.app, maker, email="", role=Role.STANDARD)
    open_one = harness.ask("GET", f"/join?invitation={code}")
    assert open_one.status == 200 and "<form" in open_one.text
    mine = invitation_table.invitations.c.user_id == maker.id
    values = {
        "used": {"used_at": harness.app.clock.now()},
        "expired": {"expires_at": harness.app.clock.now()},
    }
    with harness.app.db.engine.begin() as conn:
        if end in values:
            conn.execute(sa.update(invitation_table.invitations).where(mine).values(**values[end]))
        elif end == "revoked":
            conn.execute(sa.delete(invitation_table.invitations).where(mine))
        else:
            people_table.change(conn, maker.id, is_active=False)
    answer = harness.ask("GET", f"/join?invitation={code}")
    assert answer.status == 403 and "<form" not in answer.text
    assert "invalid, used or expired" in answer.text and "Ask an admin for a new one" in answer.text


# --- the gate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/bots", "/admin", "/files/my-data.zip"])
def test_without_a_session_every_page_leads_to_the_form(harness: DashboardHarness, path: str):
    answer = harness.ask("GET", path)
    assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/auth/login")
    assert harness.ask("GET", path, Sec_Fetch_Mode="cors").status == 401


@pytest.mark.parametrize("path", ["/_stcore/health", "/_stcore/host-config", "/favicon.png", "/auth/login"])
def test_what_a_stranger_needs_is_open(harness: DashboardHarness, path: str):
    assert harness.ask("GET", path).status == 200


def test_an_address_below_a_page_leads_to_the_overview(harness: DashboardHarness):
    """Streamlit's page would look for its scripts below that address, and stay empty."""
    cookie = harness.sign_in(harness.person()).cookie
    for path in ("/admin/x", "/bots/5", "/pages/overview.py"):
        answer = harness.ask("GET", path, cookie=cookie, Sec_Fetch_Mode="navigate")
        assert (answer.status, answer.headers["location"]) == (303, "/")
    for path in ("/", "/bots", "/files/trades.csv", "/_stcore/health"):
        assert harness.ask("GET", path, cookie=cookie, Sec_Fetch_Mode="navigate").status == 200


def test_no_socket_for_another_site(harness: DashboardHarness):
    cookie = harness.sign_in(harness.person()).cookie
    assert harness.socket(cookie) == 101
    assert harness.socket(cookie, origin="https://evil.example") == 403
    assert harness.socket(cookie, origin=None) == 403
    assert harness.socket(cookie, origin="http://evil.example", host="evil.example") in (403, 421)


def test_an_answer_carries_the_security_headers(harness: DashboardHarness):
    for path in ("/auth/login", "/_stcore/health", "/"):
        headers = harness.ask("GET", path).headers
        policy = headers["content-security-policy"]
        rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
        assert rules["default-src"] == rules["form-action"] == rules["worker-src"] == ["'self'"]
        assert rules["frame-ancestors"] == rules["base-uri"] == rules["object-src"] == ["'none'"]
        assert all(source == "'self'" or source.startswith("'sha256-") for source in rules["script-src"])
        assert "unsafe-eval" not in policy and "'unsafe-inline'" not in policy.partition("style-src")[0]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert harness.ask("GET", "/auth/login").headers["cache-control"] == "no-store"


def test_only_known_names_are_answered_to(harness: DashboardHarness):
    assert harness.ask("GET", "/auth/login", host="evil.example").status == 421
    assert harness.ask("GET", "/auth/login", host=f"localhost:{harness.port}").status == 200


# --- signing in and out -------------------------------------------------------------------------------------


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(harness: DashboardHarness):
    email = harness.person()
    flags = harness.sign_in(email).headers["set-cookie"].lower()
    assert "httponly" in flags and "samesite=lax" in flags and "path=/" in flags and "max-age" not in flags
    remembered = harness.ask(
        "POST", "/auth/login", urlencode({"email": email, "password": PASSWORD, "remember": "yes"})
    )
    assert "max-age=2592000" in remembered.headers["set-cookie"].lower()


def test_a_wrong_password_is_refused_in_the_same_words_as_an_unknown_account(harness: DashboardHarness):
    known, unknown = (
        harness.sign_in(harness.person(), "wrong password"),
        harness.sign_in("nobody@example.com", "wrong password"),
    )
    assert known.status == unknown.status == 401 and not known.cookie
    result = [re.search(r'role="alert".*?</p>', answer.text) for answer in (known, unknown)]
    assert result[0] and result[1] and result[0].group() == result[1].group()


def test_after_eight_wrong_passwords_one_has_to_wait(harness: DashboardHarness):
    email = harness.person()
    for _ in range(8):
        harness.sign_in(email, "wrong password")
    answer = harness.sign_in(email)
    assert answer.status == 429 and int(answer.headers["retry-after"]) > 0 and not answer.cookie


def test_a_form_from_another_site_is_not_carried_out(harness: DashboardHarness):
    email = harness.person()
    cookie = harness.sign_in(email).cookie
    for origin in ("https://evil.example", None, "null", "http://[", "//"):
        assert harness.sign_in(email, origin=origin).status == 403
        assert harness.ask("POST", "/auth/logout", "", cookie=cookie, origin=origin).status == 403
    assert harness.ask("GET", "/", cookie=cookie).status == 200


def test_signing_out_ends_the_session_and_a_link_does_not(harness: DashboardHarness):
    cookie = harness.sign_in(harness.person()).cookie
    assert harness.ask("GET", "/auth/logout", cookie=cookie).headers["location"] == "/"
    assert harness.ask("GET", "/", cookie=cookie).status == 200
    out = harness.ask("POST", "/auth/logout", "", cookie=cookie)
    assert out.status == 303 and out.headers["clear-site-data"] == '"cache"'
    assert (
        out.headers["set-cookie"].startswith('dashtrade_session="";')
        and "max-age=0" in out.headers["set-cookie"].lower()
    )
    assert harness.ask("GET", "/", cookie=cookie).status == 303


def test_to_ask_for_the_head_alone_does_what_getting_the_page_does(harness: DashboardHarness):
    """No form comes by it, whatever stands in the address: it is asked for without an origin."""
    email, count = harness.person(), sa.text("SELECT count(*) FROM users")
    cookie = harness.sign_in(email).cookie
    with harness.app.db.read() as conn:
        before = conn.scalar(count)
    given = urlencode({"email": email, "password": PASSWORD, "name": "x", "setup": "y", "invitation": "z"})
    for path in ("/auth/login", "/auth/code", "/auth/logout", "/demo", "/join", "/setup", "/reset"):
        for mine in ("", cookie):
            asked, got = (harness.ask(method, f"{path}?{given}", cookie=mine) for method in ("HEAD", "GET"))
            assert (asked.status, asked.cookie, asked.text) == (got.status, "", ""), path
    with harness.app.db.read() as conn:
        assert conn.scalar(count) == before
    assert harness.ask("GET", "/", cookie=cookie).status == 200


def test_a_token_from_before_signing_in_is_worth_nothing_after(harness: DashboardHarness):
    email = harness.person()
    old = harness.sign_in(email).cookie
    new = harness.sign_in(email, cookie=old).cookie
    assert new != old
    assert harness.ask("GET", "/", cookie=old).status == 303
    assert harness.ask("GET", "/", cookie=new).status == 200


@pytest.mark.parametrize(
    ("remember", "column", "age", "ends"),
    [
        (False, "expires_at", timedelta(0), True),
        (False, "seen_at", timedelta(hours=12, minutes=1), True),
        (False, "seen_at", timedelta(hours=11), False),
        (True, "seen_at", timedelta(days=20), False),
    ],
    ids=["too old", "left alone too long", "left alone for a while", "remembered"],
)
def test_a_session_ends(harness: DashboardHarness, remember: bool, column: str, age: timedelta, ends: bool):
    with harness.app.db.read() as conn:
        user = people_table.by_email(conn, harness.person())
    assert user is not None
    token = sessions.begin(harness.app, user[0].id, device="test", address="", remember=remember)
    change = (
        sa.update(session_table.sessions)
        .where(session_table.sessions.c.user_id == user[0].id)
        .values({column: harness.app.clock.now() - age})
    )
    harness.app.db.write(lambda conn: conn.execute(change))
    assert harness.ask("GET", "/", cookie=token).status == (303 if ends else 200)


def test_a_tab_that_only_asks_does_not_keep_its_session_alive(harness: DashboardHarness):
    assert harness.ask("GET", "/auth/alive").status == 401
    token = harness.sign_in(harness.person()).cookie
    key = session_table.sessions.c.token_hash == sha256(token)
    long_ago = harness.app.clock.now() - timedelta(hours=11)
    harness.app.db.write(
        lambda conn: conn.execute(sa.update(session_table.sessions).where(key).values(seen_at=long_ago))
    )
    assert harness.ask("GET", "/auth/alive", cookie=token).status == 204
    with harness.app.db.read() as conn:
        assert conn.scalar(sa.select(session_table.sessions.c.seen_at).where(key)) == long_ago


def test_a_deactivated_user_is_out_at_once(harness: DashboardHarness):
    email = harness.person()
    cookie = harness.sign_in(email).cookie
    with harness.app.db.read() as conn:
        found = people_table.by_email(conn, email)
    assert found is not None
    harness.app.db.write(lambda conn: people_table.change(conn, found[0].id, is_active=False))
    assert harness.ask("GET", "/", cookie=cookie).status == 303
    assert harness.sign_in(email).status == 401


def test_a_form_that_is_too_long_is_not_read(harness: DashboardHarness):
    assert harness.ask("POST", "/auth/login", "email=" + "a" * 200_000).status == 413
    assert harness.ask("POST", "/auth/login", "a=b&" * 21).status == 413


def test_what_no_database_can_look_for_is_not_looked_for(harness: DashboardHarness):
    """PostgreSQL takes no NUL: the question itself would be an error."""
    for method, body in (("POST", "email=a%00b%40example.com&password=wrong+horse"), ("GET", None)):
        answer = harness.ask(method, "/auth/login?email=a%00b%40example.com", body)
        assert (
            answer.status == (401 if body else 200)
            and "\x00" not in answer.text
            and "a\ufffdb@example.com" in answer.text
        )


def test_changing_the_password_signs_the_others_out(harness: DashboardHarness):
    email = harness.person()
    here, there = harness.sign_in(email).cookie, harness.sign_in(email).cookie
    with harness.app.db.read() as conn:
        found = people_table.by_email(conn, email)
    assert found is not None
    credentials.change_password(
        harness.app, found[0], old=PASSWORD, new="four other long words", address="", token=here
    )
    assert harness.ask("GET", "/", cookie=here).status == 200
    assert harness.ask("GET", "/", cookie=there).status == 303
    assert harness.sign_in(email).status == 401


def test_a_database_it_cannot_open_ends_the_process_with_words(tmp_path: Path):
    given = {"DASHTRADE_HOME": str(tmp_path), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-m", "dashtrade.ui.shell.serve"],
        cwd=ROOT,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 78
    assert "cannot be reached" in done.stderr and "Traceback" not in done.stderr
