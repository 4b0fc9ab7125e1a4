"""The dashboard: its pages, forms, files and WebSockets, as a stranger and as somebody who is signed in."""

from __future__ import annotations

import random
from urllib.parse import urlencode

from bench.fuzz_hostile import hostile, text_of, torn
from bench.fuzz_shots import SYMBOLS, UI, FuzzFacts, Headers, Shot, host, quoted, request

PAGES = (
    "",
    "overview",
    "bots",
    "positions",
    "history",
    "performance",
    "signals",
    "risk_events",
    "setup",
    "account",
    "admin",
    "nowhere",
    "Overview",
)

_QUERIES = (
    "bot",
    "signal",
    "part",
    "scope",
    "sort",
    "order",
    "before",
    "new",
    "said",
    "next",
    "email",
    "code",
    "invitation",
    "setup",
    "symbols",
    "since",
    "until",
    "side",
    "reason",
    "of_user",
    "symbol",
    "action",
    "embed",
    "embed_options",
)

_FILES = (
    "my-data.zip",
    "trades.csv",
    "round-trips/closed",
    "round-trips/open",
    "round-trips/x",
    "all-trades.csv",
    "x",
    "../x",
    "trades.csv/x",
    "round-trips/",
)

_FORMS = {
    "/auth/login": ("email", "password", "remember", "next"),
    "/auth/code": ("ticket", "code", "next"),
    "/reset": ("code", "password"),
    "/setup": ("setup", "name", "email", "password"),
    "/join": ("invitation", "name", "email", "password"),
    "/auth/logout": (),
    "/auth/leave": (),
    "/demo": (),
    "/auth/alive": (),
}

_NEXT = (
    "/",
    "//evil.example",
    "/\\evil.example",
    "http://evil.example",
    "javascript:alert(1)",
    "/admin?part=Users",
    "/%0d%0aX: y",
    "x" * 2000,
)


def shot(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    found = rng.random()
    if found < 0.35:
        return _page(rng, facts)
    if found < 0.72:
        return _form(rng, facts, number)
    return _file(rng, facts) if found < 0.86 else _other(rng, facts)


def _made(data: bytes, *, may_close: bool = False) -> Shot:
    return Shot(kind="dashboard", door=UI, data=data, may_close=may_close)


def signed_in_as(rng: random.Random, facts: FuzzFacts) -> Headers:
    found = rng.random()
    if found < 0.6:
        return [("Cookie", f"dashtrade_session={rng.choice(facts.cookies)}")]
    if found < 0.8:
        return []
    token = rng.choice(facts.cookies)
    value = rng.choice(
        (
            "dashtrade_session=made-up",
            f"dashtrade_session={token[:-1]}",
            f"__Host-dashtrade_session={token}x",
            "dashtrade_session=" + "x" * 3000,
            f"dashtrade_session={facts.access[0]}",
            "a=b; " * 100 + "dashtrade_session=x",
            'dashtrade_session="',
            "=",
            "dashtrade_device=" + "d" * 200,
        )
    )
    return [("Cookie", value)]


def origin_of(rng: random.Random, facts: FuzzFacts, share: float = 0.75) -> Headers:
    if rng.random() < share:
        return [("Origin", f"http://127.0.0.1:{facts.ui}")]
    value = rng.choice(
        (
            None,
            "null",
            "http://evil.example",
            f"https://127.0.0.1:{facts.ui}",
            f"http://127.0.0.1:{facts.ui}.evil.example",
            "http://[",
        )
    )
    return [("Origin", value)] if value else []


def query_string(rng: random.Random, facts: FuzzFacts) -> str:
    pairs = []
    for _ in range(rng.randrange(4)):
        name = rng.choice(_QUERIES)
        good = rng.choice(
            (
                *SYMBOLS,
                "1",
                "paper",
                "live",
                "yes",
                "asc",
                "Alerts",
                "People",
                *facts.ids["bot_id"],
                *facts.ids["account_id"],
            )
        )
        pairs.append((name, good if rng.random() < 0.5 else text_of(hostile(rng))))
    return f"?{urlencode(pairs, errors='replace')}" if pairs else ""


def _page(rng: random.Random, facts: FuzzFacts) -> Shot:
    page = rng.choice(PAGES) if rng.random() < 0.9 else quoted(text_of(hostile(rng)))
    headers = signed_in_as(rng, facts) + (
        [("Sec-Fetch-Mode", rng.choice(("navigate", "cors", "x")))] if rng.random() < 0.5 else []
    )
    below = rng.choice(("", "", "", "/", "/x", "/static/js/index.js", "/_stcore/health"))
    return _made(
        request(
            rng.choice(("GET", "GET", "GET", "HEAD", "OPTIONS")),
            f"/{page}{below}{query_string(rng, facts)}",
            [host(facts.ui), *headers],
        )
    )


def _file(rng: random.Random, facts: FuzzFacts) -> Shot:
    return _made(
        request(
            "GET",
            f"/files/{rng.choice(_FILES)}{query_string(rng, facts)}",
            [host(facts.ui), *signed_in_as(rng, facts)],
        )
    )


def _other(rng: random.Random, facts: FuzzFacts) -> Shot:
    path = rng.choice(
        (
            "/static/icon.png",
            "/static/index.html",
            "/static/js/../../x",
            "/media/" + "a" * 64 + ".png",
            "/_stcore/health",
            "/_stcore/host-config",
            "/_stcore/metrics",
            "/_stcore/upload_file/a/b",
            "/component/x/index.html",
            "/app/static/x",
            "/live.mjs",
            "/favicon.ico",
            "/favicon.png",
            "/auth/x",
            "/auth/",
            "/static/",
            "/live",
            "/_stcore/stream",
        )
    )
    method, body = rng.choice(
        (("GET", b""), ("GET", b""), ("PUT", b"x" * 1000), ("DELETE", b""), ("POST", b"a=b"))
    )
    return _made(
        request(
            method,
            path + query_string(rng, facts),
            [host(facts.ui), *signed_in_as(rng, facts), *origin_of(rng, facts)],
            body,
        )
    )


def _form(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    """Few of them right to the end: a password that is looked at takes a third of a second."""
    path = rng.choice(list(_FORMS))
    if path == "/demo" and rng.random() < 0.97:
        path = "/auth/alive"
    method = "POST" if rng.random() < 0.7 else rng.choice(("GET", "HEAD", "PUT"))
    fields = [(name, _field(rng, facts, name, number)) for name in _FORMS[path] if rng.random() < 0.9]
    if path in ("/auth/login", "/join") and rng.random() < 0.93:
        fields = [(name, value) for name, value in fields if name != "password"]
    if rng.random() < 0.1:
        fields += [(text_of(hostile(rng)), text_of(hostile(rng)))] * rng.choice((1, 25))
    body = urlencode(fields, errors="replace").encode()
    if rng.random() < 0.12:
        body = (
            torn(rng, body)
            if rng.random() < 0.8
            else body + b"&x=" + b"y" * rng.choice((16_000, 17_000, 900_000))
        )
    who = (
        [("Cookie", f"dashtrade_session={rng.choice(facts.spare_cookies)}")]
        if path == "/auth/logout"
        else signed_in_as(rng, facts)
    )
    kind = (
        "application/x-www-form-urlencoded"
        if rng.random() < 0.85
        else rng.choice(("application/json", "multipart/form-data; boundary=x", "x", ""))
    )
    if method in ("GET", "HEAD"):
        return _made(
            request(
                method, f"{path}?{body[:3000].decode('latin-1').translate(_BARE)}", [host(facts.ui), *who]
            )
        )
    headers = [host(facts.ui), *who, *origin_of(rng, facts, 0.85), ("Content-Type", kind)]
    return _made(request(method, path, headers, body), may_close=len(body) > 16_000)


_BARE = dict.fromkeys((*range(33), *range(127, 256)), "")


def _field(rng: random.Random, facts: FuzzFacts, name: str, number: int) -> str:
    if rng.random() < 0.45:
        return text_of(hostile(rng))
    match name:
        case "email":
            return rng.choice((facts.login[0], f"n{number}@example.com", "x", "a@b", "A@EXAMPLE.COM "))
        case "password":
            return rng.choice(("wrong horse battery", "short", "password1"))
        case "next":
            return rng.choice(_NEXT)
        case "code" | "setup" | "invitation":
            return rng.choice(("123456", "x" * 32, "abcd-efgh-ijkl-mnop-qrst-uvwx", "x" * 300))
        case "ticket":
            return "gAAAAAB" + "x" * rng.choice((10, 200, 1500))
    return "yes"
