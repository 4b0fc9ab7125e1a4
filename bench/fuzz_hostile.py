"""Values that nobody sends in earnest, and JSON that is torn."""

from __future__ import annotations

import copy
import gzip
import json
import random
from typing import Any


class RawText:
    """Written into JSON as it is."""

    TEXTS = (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e308",
        "1e309",
        "-1e999",
        "1e-999",
        "9" * 400,
        "0." + "3" * 300,
        "-0",
        "0e0",
        "1" + "0" * 4999,
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "1_000",
        "undefined",
        "'x'",
        "tru",
        "[" * 40 + "]" * 40,
        '"\\ud800"',
        '"\\udfff\\ud800"',
        '"\\u0000"',
        '"\\x"',
        '"\\',
        '{"a":1,"a":2}',
        "[,]",
        "{,}",
        "/*x*/1",
        "",
    )

    @staticmethod
    def pick(rng: random.Random) -> str:
        return f"@@{rng.randrange(len(RawText.TEXTS))}@@"

    @staticmethod
    def filled(text: str) -> str:
        for number, raw in enumerate(RawText.TEXTS):
            if f'"@@{number}@@"' in text:
                text = text.replace(f'"@@{number}@@"', raw)
        return text


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.1,
    -0.0,
    1e22,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    [],
    {},
    [[]],
    [None],
    {"": ""},
    "",
    " ",
    "\t",
    "\n",
    "\x00",
    "a\x00b",
    "\x1b[31m",
    "\u202eabc",
    "\ufeff",
    "\ufffe",
    "\ud800",
    "x\udc00",
    "😀" * 50,
    "ß",
    "İ",
    "ﷺ",
    "\uff11\uff12",
    "٣",
    "Ⅷ",
    "1,5",
    "1.5.5",
    "1e5",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "null",
    "true",
    "None",
    "undefined",
    "-",
    "+",
    ".",
    "100%",
    "-5%",
    "1e400%",
    "%",
    "%%",
    "0x1F",
    "1_000",
    "' OR 1=1 --",
    "'; DROP TABLE users; --",
    "<script>alert(1)</script>",
    "{{ticker}}",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/x}",
    "$(id)",
    "`id`",
    "../../etc/passwd",
    "..\\..\\x",
    "file:///etc/passwd",
    "http://127.0.0.1:9/",
    "=1+1",
    "\uff1d1+1",
    "@SUM(1)",
    "-2+3",
    "a" * 201,
    "a" * 4001,
    "A" * 9000,
    "0" * 500,
    "9" * 500,
    "2026-02-30",
    "2026-11-30T04:00:00Z",
    "0001-01-01",
    "9999-12-31T23:59:59.999999-23:59",
    "10000-01-01",
    "1970-01-01",
    "-271821-04-20",
    "1764475200000",
    "25:61",
    "24:00",
    "buy",
    "sell",
    "close",
    "BUY AAPL",
    "paper",
    "live",
    "all",
    "user",
    "AAPL",
    "BTC/USD",
    "NASDAQ:AAPL",
    "a:b:c",
    "BINANCE:BTCUSDT.P",
    "x" * 80,
    "1",
    "2",
    "3",
    "15",
    "15 Min",
    "1 Hour",
    "0 Min",
    "-1 Min",
    "99999999999 Days",
    "Europe/Berlin",
    "../UTC",
    "/etc/localtime",
    "UTC\x00",
)


def hostile(rng: random.Random) -> Any:
    found = rng.random()
    if found < 0.15:
        return RawText.pick(rng)
    if found < 0.2:
        return "".join(chr(rng.randrange(0x20, 0x3000)) for _ in range(rng.randrange(60)))
    if found < 0.23:
        return {"".join(rng.choices("ab{}[]\"'\\", k=3)): [_one(rng) for _ in range(rng.randrange(4))]}
    return _one(rng)


def _one(rng: random.Random) -> Any:
    """A copy: who gets it puts it into something, and changes it there."""
    return copy.deepcopy(rng.choice(HOSTILE))


def text_of(value: Any) -> str:
    """As it stands in an address, a form or a header."""
    return RawText.filled(json.dumps(value)).strip('"')[:3000] if not isinstance(value, str) else value[:3000]


def written(rng: random.Random, tree: Any) -> bytes:
    text = RawText.filled(json.dumps(tree, ensure_ascii=rng.random() < 0.6))
    return text.encode("utf-8", "surrogatepass")


def torn(rng: random.Random, raw: bytes) -> bytes:
    """As it comes from a bad line or a bad program."""
    at = rng.randrange(len(raw) + 1)
    match rng.randrange(10):
        case 0:
            return raw[:at]
        case 1:
            return raw[:at] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9))) + raw[at:]
        case 2:
            return raw[:at] + raw[at + rng.randrange(1, 9) :]
        case 3:
            return b"\xef\xbb\xbf" + raw
        case 4:
            return raw.decode("utf-8", "replace").encode(
                rng.choice(("utf-16", "utf-32", "utf-7", "utf-16-be"))
            )
        case 5:
            return raw + rng.choice((b"\n", b"\x00", b"}", b"{}", b" garbage", raw))
        case 6:
            return b"[" * rng.choice((1, 33, 1000, 20000)) + raw
        case 7:
            return b'{"a":' * rng.choice((2, 31, 33, 900)) + raw + b"}" * rng.choice((0, 2, 33, 900))
        case 8:
            return raw.replace(b'"', rng.choice((b"'", b"", b'""', "“".encode())))
        case _:
            return gzip.compress(raw, mtime=0)
