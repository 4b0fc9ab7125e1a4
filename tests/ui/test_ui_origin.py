"""By which names and schemes the dashboard is reached, and which cookies count there: tried at the dashboard
as it is served."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from dashtrade.doctor import check_settings
from dashtrade.processes.supervisor import announce
from dashtrade.services.people import credentials, users
from dashtrade.settings import Settings
from dashtrade.ui.shell.middleware import allowed_hosts, host_allowed
from tests.support.ui_harness import PASSWORD, UPGRADE, DashboardHarness

HTTPS = {"X_Forwarded_Proto": "https"}
DASHBOARD = "dash.example.com"  # as the desk is told


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5000", True),
        ("10.1.2.3:5000", True),
        ("box.lan", True),
        ("hooks.example.com", True),
        ("dash.example.com", True),
        ("DASH.example.com:443", True),
        ("dash.example.com.", True),
        ("evil.example.com", False),
        ("example.com", False),
        ("example.org", False),
        ("hooks.example.com.evil.com", False),
        ("", False),
        ("evil.hooks.example.com.", False),
        ("x.0.0.1", False),
        ("a@localhost", False),
        ("localhost/x", False),
        ("localhost?x", False),
    ],
)
def test_the_names_that_were_set_are_answered_to_and_no_siblings(host: str, allowed: bool, tmp_path: Path):
    given = {
        "DASHTRADE_PUBLIC_URL": "https://hooks.example.com",
        "DASHTRADE_DASHBOARD_URL": "https://dash.example.com",
        "DASHTRADE_HOST": "box.lan",
    }
    assert host_allowed(host, allowed_hosts(Settings.load(given, tmp_path))) is allowed


@pytest.mark.parametrize("name", ["mine.trycloudflare.com", "mine.duckdns.org", "shop.co.uk"])
def test_a_similar_host_name_is_a_foreign_host(name: str, tmp_path: Path):
    hosts = allowed_hosts(Settings.load({"DASHTRADE_PUBLIC_URL": f"https://{name}"}, tmp_path))
    assert host_allowed(name, hosts)
    assert not host_allowed(f"evil.{name.partition('.')[2]}", hosts)


def test_an_unknown_host_name_names_the_missing_setting(harness: DashboardHarness):
    answer = harness.ask("GET", "/auth/login", host="other.example.com:8443")
    assert answer.status == 421 and "DASHTRADE_DASHBOARD_URL=https://other.example.com:8443" in answer.text
    odd = harness.ask("GET", "/auth/login", host="a b<script>")
    assert odd.status in (400, 421) and "<script>" not in odd.text


# --- links --------------------------------------------------------------------------------------------------


def test_links_for_people_begin_with_the_dashboards_own_address(harness: DashboardHarness):
    assert credentials.rescue(harness.app, harness.person()).startswith(f"https://{DASHBOARD}/reset?code=")
    assert harness.app.settings.dashboard_url == f"https://{DASHBOARD}"


def test_the_first_link_and_the_start_name_it_too(
    make_app: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    app = make_app(DASHTRADE_DASHBOARD_URL="https://dash.example.com/")
    assert (users.setup_link(app) or "").startswith("https://dash.example.com/setup?setup=")
    monkeypatch.setattr("dashtrade.processes.supervisor.setup_link", lambda root: "")
    announce(app.settings)
    assert "Dashboard   https://dash.example.com\n" in capsys.readouterr().out


def test_a_start_that_others_reach_unencrypted_warns_of_it(
    make_app: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dashtrade.processes.supervisor.setup_link", lambda root: "")
    for host in ("127.0.0.1", "0.0.0.0"):
        announce(make_app(DASHTRADE_HOST=host).settings)
        assert ("Warning: Passwords and tokens travel unencrypted" in capsys.readouterr().out) is (
            host == "0.0.0.0"
        )


def test_the_doctor_reports_the_dashboards_address_and_when_it_is_unreachable(tmp_path: Path):
    def said(**environ: str) -> str:
        return "\n".join(
            f"{found.what} {found.hint}" for found in check_settings(Settings.load(environ, tmp_path))
        )

    assert "address is http://127.0.0.1:5000" in said() and "DASHTRADE_DASHBOARD_URL" not in said()
    behind = said(DASHTRADE_PROXY_HOPS="1")
    assert "set DASHTRADE_DASHBOARD_URL to the address" in behind and "unencrypted" not in behind
    assert "unencrypted" in said(DASHTRADE_HOST="0.0.0.0")
    named = said(DASHTRADE_PROXY_HOPS="1", DASHTRADE_DASHBOARD_URL="https://dash.example.com")
    assert "https://dash.example.com" in named and "set DASHTRADE_DASHBOARD_URL" not in named


# --- where a request comes from -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin", "forwarded", "taken"),
    [
        ("own", "http://own", "", True),
        ("own", "https://own", "", False),
        ("own", "https://own", "https", True),
        ("own", "http://own", "https", False),  # the page came over HTTP, where anybody may have changed it
        ("localhost", "http://localhost", "", True),
        ("localhost", "http://localhost:80", "", True),
        ("localhost", "http://localhost:81", "", False),
        # the proxy says nothing of the scheme; the setting does
        (DASHBOARD, f"https://{DASHBOARD}", "", True),
        (DASHBOARD, f"https://{DASHBOARD}", "http", True),
        (DASHBOARD, f"http://{DASHBOARD}", "http", False),
        (f"{DASHBOARD}:5000", f"http://{DASHBOARD}:5000", "", True),
        ("own", "null", "", False),
        ("own", "http://own.evil.example", "", False),
    ],
)
def test_a_form_is_taken_from_its_own_scheme_host_and_port(
    harness: DashboardHarness, host: str, origin: str, forwarded: str, taken: bool
):
    names = {"own": harness.host}
    host, origin = names.get(host, host), re.sub(r"//own(?=\b)", f"//{harness.host}", origin)
    body = urlencode({"email": harness.person(), "password": PASSWORD})
    proxy = {"X_Forwarded_Proto": forwarded} if forwarded else {}
    answer = harness.ask(
        "POST", "/auth/login", body, host=host, origin=origin, X_Forwarded_For="10.9.8.7", **proxy
    )
    assert answer.status == (303 if taken else 403), answer.text


def test_a_socket_is_opened_from_its_own_scheme_alone(harness: DashboardHarness):
    cookie = harness.sign_in(harness.person()).cookie
    assert (
        harness.ask(
            "GET", "/_stcore/stream", cookie=cookie, origin=f"https://{harness.host}", **UPGRADE
        ).status
        == 403
    )
    secure = {"Cookie": f"__Host-dashtrade_session={cookie}"}
    assert (
        harness.ask(
            "GET", "/_stcore/stream", origin=f"https://{harness.host}", **UPGRADE, **HTTPS, **secure
        ).status
        == 101
    )
    assert (
        harness.ask(
            "GET", "/_stcore/stream", origin=f"http://{harness.host}", **UPGRADE, **HTTPS, **secure
        ).status
        == 403
    )


# --- cookies ------------------------------------------------------------------------------------------------


def set_cookies(harness: DashboardHarness, **headers: str) -> str:
    """All Set-Cookie lines of a sign-in."""
    import http.client

    line = http.client.HTTPConnection("127.0.0.1", harness.port, timeout=10)
    try:
        body = urlencode({"email": harness.person(), "password": PASSWORD})
        sent = {
            "Host": harness.host,
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-For": "10.9.8.6",
        }
        line.request(
            "POST",
            "/auth/login",
            body,
            sent | {name.replace("_", "-"): value for name, value in headers.items()},
        )
        answer = line.getresponse()
        answer.read()
        assert answer.status == 303
        return "\n".join(value for name, value in answer.getheaders() if name.lower() == "set-cookie")
    finally:
        line.close()


def test_over_https_every_cookie_has_the_prefix_and_over_http_none(harness: DashboardHarness):
    for headers in (
        {"Origin": f"https://{harness.host}", "X_Forwarded_Proto": "https"},
        {"Host": DASHBOARD, "Origin": f"https://{DASHBOARD}"},
    ):
        lines = set_cookies(harness, **headers).splitlines()
        assert len(lines) == 2 and all(
            line.startswith("__Host-dashtrade_") and "; secure" in line.lower() for line in lines
        )
    lines = set_cookies(harness, Origin=f"http://{harness.host}").splitlines()
    assert len(lines) == 2 and all(
        line.startswith("dashtrade_") and "secure" not in line.lower() for line in lines
    )


@pytest.mark.parametrize(
    ("name", "https", "taken"),
    [
        ("__Host-dashtrade_session", True, True),
        ("dashtrade_session", True, False),
        ("dashtrade_session", False, True),
        ("__Host-dashtrade_session", False, False),
    ],
)
def test_a_session_counts_by_the_cookie_of_its_scheme_alone(
    harness: DashboardHarness, name: str, https: bool, taken: bool
):
    token = harness.sign_in(harness.person()).cookie
    headers = {"Cookie": f"other=1; {name}={token}; more=2"} | (HTTPS if https else {})
    assert harness.ask("GET", "/", **headers).status == (200 if taken else 303)
    assert harness.ask("GET", "/auth/alive", **headers).status == (204 if taken else 401)


def test_a_planted_cookie_does_not_hide_the_true_one(harness: DashboardHarness):
    token = harness.sign_in(harness.person()).cookie
    for planted in (
        "dashtrade_session=planted; __Host-dashtrade_session=",
        "__Host-dashtrade_session={}; dashtrade_session=planted",
    ):
        cookies = planted.format(token) if "{}" in planted else planted + token
        assert harness.ask("GET", "/", Cookie=cookies, **HTTPS).status == 200


@pytest.mark.parametrize(
    ("headers", "told"),
    [({}, None), (HTTPS, "max-age=31536000"), ({"Host": DASHBOARD}, "max-age=31536000; includeSubDomains")],
)
def test_over_https_the_browser_is_kept_to_it(
    harness: DashboardHarness, headers: dict[str, str], told: str | None
):
    for path in ("/auth/login", "/", "/nothing/here"):
        assert harness.ask("GET", path, **headers).headers.get("strict-transport-security") == told
