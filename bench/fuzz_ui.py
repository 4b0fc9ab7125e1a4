"""The dashboard: its pages, forms, files and WebSockets, as a stranger and as somebody who is signed in."""

from __future__ import annotations

import json
import random
import struct
from urllib.parse import urlencode

from bench.fuzz_shots import SYMBOLS, UI, Facts, Headers, Shot, host, hostile, quoted, request, text_of, torn

_PAGES = (
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
    "/admin?part=People",
    "/%0d%0aX: y",
    "x" * 2000,
)


def shot(rng: random.Random, facts: Facts, number: int) -> Shot:
    found = rng.random()
    if found < 0.35:
        return _page(rng, facts)
    if found < 0.72:
        return _form(rng, facts, number)
    return _file(rng, facts) if found < 0.86 else _other(rng, facts)


def _made(data: bytes, *, may_close: bool = False) -> Shot:
    return Shot(kind="dashboard", door=UI, data=data, may_close=may_close)


def _who(rng: random.Random, facts: Facts) -> Headers:
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


def _origin(rng: random.Random, facts: Facts, share: float = 0.75) -> Headers:
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


def _asked(rng: random.Random, facts: Facts) -> str:
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


def _page(rng: random.Random, facts: Facts) -> Shot:
    page = rng.choice(_PAGES) if rng.random() < 0.9 else quoted(text_of(hostile(rng)))
    headers = _who(rng, facts) + (
        [("Sec-Fetch-Mode", rng.choice(("navigate", "cors", "x")))] if rng.random() < 0.5 else []
    )
    below = rng.choice(("", "", "", "/", "/x", "/static/js/index.js", "/_stcore/health"))
    return _made(
        request(
            rng.choice(("GET", "GET", "GET", "HEAD", "OPTIONS")),
            f"/{page}{below}{_asked(rng, facts)}",
            [host(facts.ui), *headers],
        )
    )


def _file(rng: random.Random, facts: Facts) -> Shot:
    return _made(
        request(
            "GET", f"/files/{rng.choice(_FILES)}{_asked(rng, facts)}", [host(facts.ui), *_who(rng, facts)]
        )
    )


def _other(rng: random.Random, facts: Facts) -> Shot:
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
            method, path + _asked(rng, facts), [host(facts.ui), *_who(rng, facts), *_origin(rng, facts)], body
        )
    )


def _form(rng: random.Random, facts: Facts, number: int) -> Shot:
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
        else _who(rng, facts)
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
    headers = [host(facts.ui), *who, *_origin(rng, facts, 0.85), ("Content-Type", kind)]
    return _made(request(method, path, headers, body), may_close=len(body) > 16_000)


_BARE = dict.fromkeys((*range(33), *range(127, 256)), "")


def _field(rng: random.Random, facts: Facts, name: str, number: int) -> str:
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


# --- sockets ----------------------------------------------------------------------------------------------


def socket_shot(rng: random.Random, facts: Facts, number: int) -> Shot:
    """The opening, and at once what comes after it: this is no browser, and need not wait for the answer."""
    path = (
        rng.choice(("/_stcore/stream", "/_stcore/stream", "/live", "/x"))
        if rng.random() < 0.95
        else "/_stcore/stream" + _asked(rng, facts)
    )
    spoken = rng.choice(
        ("streamlit", "streamlit, x", "streamlit, x, made-up-session", "x", "streamlit, " + "y" * 500, "")
    )
    headers = [
        host(facts.ui),
        *_who(rng, facts),
        *_origin(rng, facts, 0.85),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13" if rng.random() < 0.95 else "99"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" if rng.random() < 0.95 else "x"),
        ("Sec-WebSocket-Protocol", spoken),
    ]
    if rng.random() < 0.3:
        headers.append(
            (
                "Sec-WebSocket-Extensions",
                rng.choice(("permessage-deflate", "permessage-deflate; client_max_window_bits=99", "x")),
            )
        )
    frames = b"".join(_frame(rng, facts, path) for _ in range(rng.choice((0, 1, 2, 3, 30))))
    return Shot(
        kind="sockets", door=UI, data=request("GET", path, headers) + frames, fresh=True, may_close=True
    )


def _frame(rng: random.Random, facts: Facts, path: str) -> bytes:
    found = rng.random()
    if found < 0.45:
        data = _script_run(rng, facts) if path.startswith("/_") else _told(rng)
        return framed(rng, 2 if path.startswith("/_") else 1, torn(rng, data) if rng.random() < 0.4 else data)
    if found < 0.6:
        return framed(rng, rng.choice((1, 2, 9, 10)), _noise(rng, 100))
    if found < 0.7:
        return framed(
            rng,
            8,
            rng.choice(
                (
                    b"",
                    b"\x03",
                    struct.pack("!H", rng.choice((0, 999, 1000, 1005, 4999, 65535))) + _noise(rng, 150),
                )
            ),
        )
    if found < 0.85:  # bits, opcodes and lengths that there are none of
        return bytes([rng.randrange(256), rng.randrange(256)]) + _noise(rng, 40)
    if found < 0.95:
        return framed(rng, rng.choice((0, 1, 2)), _noise(rng, 60), last=False)
    return (
        bytes([0x82, 0xFF])
        + struct.pack("!Q", rng.choice((2**62, 2**63 + 5, 5_000_000, 70_000)))
        + b"mask"
        + _noise(rng, 60)
    )


def framed(rng: random.Random, opcode: int, data: bytes, *, last: bool = True) -> bytes:
    """As a browser writes it, masked; sometimes not."""
    length = len(data)
    told = (
        bytes([length])
        if length < 126
        else b"\x7e" + struct.pack("!H", length)
        if length < 65536
        else b"\x7f" + struct.pack("!Q", length)
    )
    first = bytes([(0x80 if last else 0) | opcode])
    if rng.random() < 0.05:
        return first + told + data
    mask = rng.randbytes(4)
    key = (mask * (length // 4 + 1))[:length]
    return (
        first
        + bytes([told[0] | 0x80])
        + told[1:]
        + mask
        + bytes(a ^ b for a, b in zip(data, key, strict=True))
    )


def _noise(rng: random.Random, most: int) -> bytes:
    return rng.randbytes(rng.randrange(most))


def _told(rng: random.Random) -> bytes:
    return json.dumps(rng.choice(({"asleep": True}, {"asleep": hostile(rng)}, [1], "x", None, 5))).encode()


def _script_run(rng: random.Random, facts: Facts) -> bytes:
    """Streamlit's BackMsg: run a page, with an address and widgets that may be made up; or others."""
    if rng.random() < 0.15:
        return _varint(rng.choice((5, 6, 7, 12, 14, 15, 17, 16, 19, 200)) << 3) + _varint(1)
    page, query = rng.choice(_PAGES), _asked(rng, facts)[1:]
    widget = _bytes(1, text_of(hostile(rng)).encode("utf-8", "replace")) + rng.choice(
        (
            _varint(3 << 3) + _varint(1),
            _bytes(6, text_of(hostile(rng)).encode("utf-8", "replace")),
            _bytes(10, b'{"a":' + _noise(rng, 20)),
            _bytes(16, b"{}"),
            _varint(5 << 3) + _varint(2**64 - 1),
            _bytes(9, _noise(rng, 20)),
        )
    )
    state = _bytes(1, query.encode()) + _bytes(4, page.encode())
    if rng.random() < 0.5:
        state += _bytes(2, _bytes(1, widget))
    if rng.random() < 0.2:
        state += _bytes(rng.choice((3, 5, 7)), _noise(rng, 40))
    return _bytes(11, state)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes(made) + bytes([value])
