"""The frame that the pages stand in, from outside: what the first byte brings, what it may ask, and where a
sign-in leads back to."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from dashtrade.settings import Settings
from dashtrade.ui.shell.frame import Shell
from dashtrade.ui.shell.middleware import local_path
from tests.support.ui_harness import PASSWORD, DashboardHarness


def test_every_page_comes_with_our_colours_style_and_script(harness: DashboardHarness):
    cookie = harness.sign_in(harness.person()).cookie
    for path in ("/", "/positions", "/bots?bot=1", "/no_such_page"):
        page = harness.ask("GET", path, cookie=cookie).text
        assert "<title>DashTrade</title>" in page and "agent" not in page.partition("<noscript>")[2], path
        head, _, body = page.partition("</head>")
        assert head.index("/auth/theme.js") < head.index("/static/js/index"), (
            "before Streamlit looks which colours it has"
        )
        assert body.index("/auth/page.css") < body.index('id="root"'), "after Streamlit's own rules"
        for own in re.findall(r'(?:src|href)="(/auth/[^"]+)"', page):
            assert harness.ask("GET", own).status == 200, own


def test_what_is_no_page_is_not_found(harness: DashboardHarness):
    cookie = harness.sign_in(harness.person()).cookie
    for path in ("/index.html", "/manifest.json", "/_stcore", "/robots.txt"):
        assert harness.ask("GET", path, cookie=cookie).status == 404, path


@pytest.mark.parametrize(
    ("public", "host", "engine"),
    [
        ("", "127.0.0.1:5000", "http://127.0.0.1:8080"),
        ("", "desk.lan:5000", "http://desk.lan:8080"),
        ("", "[::1]:5000", "http://[::1]:8080"),
        ("https://hooks.example.com/in", "dash.example.com", "https://hooks.example.com/in"),
        ("", "a;script-src:5000", ""),
        ("", "; x", ""),
        ("", "", ""),
    ],
)
def test_the_engines_health_is_requested_only_where_this_browser_reaches_it(
    tmp_path, public: str, host: str, engine: str
):
    settings = Settings.load({"DASHTRADE_PUBLIC_URL": public} if public else {}, tmp_path)
    policy = (
        Shell(settings, "<head></head>")
        .policy({"type": "http", "headers": [(b"host", host.encode())]})
        .decode()
    )
    asked = re.search(r"connect-src ([^;]*);", policy)
    assert asked is not None and asked.group(1).split() == [
        "'self'",
        *([engine.removesuffix("/in")] if engine else []),
    ]
    assert policy.count("script-src") == 1


def test_a_sign_in_leads_back_to_the_page_that_was_asked_for(harness: DashboardHarness):
    email = harness.person()
    asked = harness.ask("GET", "/bots?bot=7")
    assert asked.headers["location"] == "/auth/login?next=%2Fbots%3Fbot%3D7"
    form = harness.ask("GET", asked.headers["location"]).text
    assert '<input type="hidden" name="next" value="/bots?bot=7">' in form
    given = {"email": email, "password": PASSWORD, "next": "/bots?bot=7"}
    wrong = harness.ask("POST", "/auth/login", urlencode(given | {"password": "wrong password"}))
    assert '<input type="hidden" name="next" value="/bots?bot=7">' in wrong.text
    right = harness.ask("POST", "/auth/login", urlencode(given))
    assert right.headers["location"] == "/bots?bot=7"
    assert (
        harness.ask("GET", "/auth/login?next=/positions", cookie=right.cookie).headers["location"]
        == "/positions"
    )


@pytest.mark.parametrize(
    "away",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/auth/logout",
        "/bots/../x",
        "javascript:x",
        "/bots\n",
        "x",
        "",
        "/" + "a" * 2000,
    ],
)
def test_a_link_to_the_form_leads_nowhere_but_to_our_pages(harness: DashboardHarness, away: str):
    assert local_path(away) == "/"
    given = {"email": harness.person(), "password": PASSWORD, "next": away}
    assert harness.ask("POST", "/auth/login", urlencode(given)).headers["location"] == "/"
