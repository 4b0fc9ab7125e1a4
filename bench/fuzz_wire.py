"""Requests that are wrong before anybody reads their body: addresses, headers, framings."""

from __future__ import annotations

import random

from bench.fuzz_hostile import hostile, text_of
from bench.fuzz_shots import HOOKS, UI, FuzzFacts, Headers, Shot, host, request

_PATHS = (
    "/",
    "//",
    "///",
    "/.",
    "/..",
    "/../",
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%252e%252e/x",
    "/static/../Home.py",
    "/static/..%2f..%2fHome.py",
    "/static//etc/passwd",
    "/static/%00",
    "/media/../x",
    "/media/x",
    "/webhook//",
    "//webhook",
    "/webhook/%2e",
    "/webhook;x=1",
    "/WEBHOOK",
    "/api/v1//bots",
    "//api/v1/bots",
    "/api/v1/bots/",
    "/api/v2/bots",
    "/api/v1/bots/%00",
    "/api/v1/bots/1%0d%0aX:%20y",
    "/api/v1/signals/%ff",
    "/api/v1/signals/..%2f..",
    "/user/1/positions",
    "/user/0/bots",
    "/user/-1/bots",
    "/user/99999999999999999999/bots",
    "/health",
    "/health?x=" + "y" * 3000,
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/upload_file/a/b",
    "/_stcore/stream",
    "/live",
    "/live.mjs",
    "/auth/login",
    "/auth/alive",
    "/files/my-data.zip",
    "/.env",
    "/.git/config",
    "/data/dashtrade.db",
    "/a" * 1500,
    "/" + "%41" * 900,
    "/?" + "a=1&" * 800,
    "/\u00e9",
    "/%c0%ae%c0%ae/",
    "/%",
    "/%zz",
    "/#x",
    "/?#",
    "*",
    "http://evil.example/",
    "https://127.0.0.1/health",
    "http:health",
    "evil.example:443",
    "/\\evil.example",
    "/health HTTP/1.1 x",
    "",
    "/x y",
)

_METHODS = (
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PROPFIND",
    "X" * 300,
    "G\u00c4T",
    "GET\t",
    "",
    "PRI",
    "__import__",
)

_HEADER_NAMES = (
    "Authorization",
    "Cookie",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "Content-Length",
    "Expect",
    "Connection",
    "Upgrade",
    "Range",
    "If-Range",
    "If-None-Match",
    "If-Modified-Since",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Origin",
    "Referer",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "Forwarded",
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "Sec-Fetch-Mode",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Via",
    "TE",
    "Trailer",
    "Proxy-Connection",
    "Date",
    "Host",
    "X-Xsrftoken",
    "X-\u00e9",
    "Content_Length",
    "X Y",
    "",
    "X" * 2000,
)

_VALUES = (
    "",
    " ",
    ",",
    ";",
    "=",
    '"',
    "x" * 5000,
    "\x00",
    "a\x00b",
    "\x7f",
    "\u00e9\u20ac",
    "Basic eDp5",
    "Basic",
    "Bearer",
    "Bearer ",
    "Bearer  x",
    "bearer x y",
    "Digest x",
    "dt_",
    "Bearer " + "x" * 5000,
    "dashtrade_session=",
    "dashtrade_session=x",
    'dashtrade_session="x',
    "a=b; " * 300,
    "dashtrade_session=a; dashtrade_session=b",
    "__Host-dashtrade_session=x",
    "bytes=0-",
    "bytes=0-0,1-1" * 50,
    "bytes=-1",
    "bytes=9-1",
    "100-continue",
    "close",
    "keep-alive, upgrade",
    "websocket",
    "h2c",
    "gzip",
    "gzip;q=nan",
    "chunked",
    "gzip, chunked",
    "xchunked",
    "chunked, identity",
    "0",
    "-1",
    "+5",
    "5, 5",
    "5, 6",
    "1e3",
    "0x5",
    "99999999999999999999",
    "127.0.0.1",
    "::1",
    "203.0.113.9, x",
    "unknown",
    "999.1.1.1",
    "fe80::1%eth0",
    'for="[::1"',
    "https",
    "javascript",
    "https, http",
    "null",
    "http://evil.example",
    "http://127.0.0.1:1@x",
    "http://[",
    "//",
    "POST",
    "/admin",
    "navigate",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "13",
    "14",
    "streamlit, x, y",
    "permessage-deflate; server_max_window_bits=99",
    "Sat, 99 Xxx 0000 00:00:00 GMT",
    'W/"',
    "de-DE-x-" + "a" * 300,
)

_HOSTS = (
    "",
    " ",
    "evil.example",
    "127.0.0.1",
    "localhost:99999",
    "localhost:x",
    "[::1]",
    "[::1",
    "a@127.0.0.1",
    "127.0.0.1/x",
    "127.0.0.1:80:80",
    "127.1",
    "0",
    "x" * 3000,
    "\u00e9",
    "127.0.0.1\t",
    "localhost.",
    ".",
    "xn--",
    "127.0.0.1?x",
    "127.0.0.1#",
    "127.0.0.1\x00",
    "%31",
)


def door_of(rng: random.Random, facts: FuzzFacts) -> tuple[str, int]:
    return (HOOKS, facts.hooks) if rng.random() < 0.6 else (UI, facts.ui)


def headers(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    """A whole request with an odd method, address or headers, which may lie about where it ends."""
    door, port = door_of(rng, facts)
    given: Headers = (
        [host(port)] if rng.random() < 0.8 else [("Host", rng.choice(_HOSTS))] * rng.choice((1, 1, 2))
    )
    if rng.random() < 0.1:
        given = []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 3, 8, 120 if rng.random() < 0.2 else 4))):
        name = rng.choice(_HEADER_NAMES)
        given += [(name, rng.choice(_VALUES) if rng.random() < 0.85 else text_of(hostile(rng)))] * rng.choice(
            (1, 1, 1, 2)
        )
    given += _somebody(rng, facts, door)
    method = rng.choice(_METHODS) if rng.random() < 0.35 else rng.choice(("GET", "POST"))
    target = rng.choice(_PATHS) if rng.random() < 0.7 else f"/{text_of(hostile(rng))}"
    body = (
        b'{"action":"buy","symbol":"AAPL"}'
        if method in ("POST", "PUT", "PATCH") and rng.random() < 0.7
        else b""
    )
    data = request(method, target, given, body)
    named = {name.lower() for name, _ in given}
    whole = not named & {"content-length", "transfer-encoding", "expect", "upgrade", "connection"}
    return Shot(kind="headers", door=door, data=data, complete=whole, fresh=True, may_close=True)


def _somebody(rng: random.Random, facts: FuzzFacts, door: str) -> Headers:
    if rng.random() < 0.5:
        return []
    if door == UI:
        return [
            ("Cookie", f"dashtrade_session={rng.choice(facts.cookies)}"),
            ("Origin", f"http://127.0.0.1:{facts.ui}"),
        ]
    return [("Authorization", f"Bearer {rng.choice(facts.access)}")]
