"""Requests whose framing is wrong: lengths, chunks, pipelines, halves and garbage."""

from __future__ import annotations

import random

from bench.fuzz_shots import HOOKS, UI, FuzzFacts, Shot
from bench.fuzz_wire import door_of

# --- framings ---------------------------------------------------------------------------------------------

_BODY = b'{"action":"buy","symbol":"AAPL","id":"f"}'

_HELLO = bytes.fromhex("160301020001000001fc0303") + bytes(range(200))


def framing(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    door, port = door_of(rng, facts)
    path = f"/webhook?token={rng.choice(facts.webhooks)}" if door == HOOKS else "/auth/login"
    origin = f"Origin: http://127.0.0.1:{port}\r\n" if door == UI else ""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{origin}".encode()
    made = rng.choice(_FRAMINGS)(rng, head)
    if rng.random() < 0.15 and len(made) > 3:
        at = rng.randrange(len(made))
        made = made[:at] + bytes([rng.randrange(256)]) + made[at + 1 :]
    return Shot(kind="framings", door=door, data=made, complete=False, fresh=True, may_close=True)


def _chunked(rng: random.Random, head: bytes) -> bytes:
    size = rng.choice(
        (
            b"%x" % len(_BODY),
            b"%X;a=b" % len(_BODY),
            b"0x29",
            b"-1",
            b"+29",
            b"ffffffffffffffffff",
            b"",
            b"29 ",
            b" 29",
            b"zz",
            b"0" * 500 + b"29",
            b"28",
            b"2a",
            b"29;" + b"x" * 9000,
            b"7fffffffffffffff",
        )
    )
    end = rng.choice(
        (
            b"0\r\n\r\n",
            b"0\r\nX: y\r\n\r\n",
            b"0\n\n",
            b"",
            b"00\r\n\r\n",
            b"0\r\n" + b"T: 1\r\n" * 500 + b"\r\n",
            b"-0\r\n\r\n",
        )
    )
    coding = rng.choice(
        (
            b"chunked",
            b"chunked",
            b"Chunked",
            b"chunked, chunked",
            b" chunked",
            b"gzip, chunked",
            b"chunked\x0b",
            b"identity, chunked",
        )
    )
    gap = rng.choice((b"\r\n", b"\r\n", b"\n", b"", b"\r"))
    return head + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + size + b"\r\n" + _BODY + gap + end


def _both(rng: random.Random, head: bytes) -> bytes:
    """Both lengths: whoever believes the other one finds a second request in it."""
    inner = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    length = rng.choice((b"4", b"0", b"%d" % len(_BODY), b"999"))
    two = [b"Content-Length: " + length + b"\r\n", b"Transfer-Encoding: chunked\r\n"]
    rng.shuffle(two)
    return head + b"".join(two) + b"\r\n0\r\n\r\n" + inner


def _lengths(rng: random.Random, head: bytes) -> bytes:
    answer = rng.choice(
        (
            b"-1",
            b"+41",
            b"41, 41",
            b"41, 5",
            b"4 1",
            b"0x29",
            b"1e3",
            b"",
            b"99999999999999999999999",
            b"9223372036854775808",
            b"41\r\nContent-Length: 41",
            b"41\r\nContent-Length: 5",
            b"65537",
            b"1048577",
            b"\xd9\xa4\xd9\xa1",
            b"041",
            b"5",
        )
    )
    return head + b"Content-Length: " + answer + b"\r\n\r\n" + _BODY


def _pipelined(rng: random.Random, head: bytes) -> bytes:
    one = head + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
    return one * rng.choice((2, 3, 20)) + rng.choice((b"", b"GET", b"\r\n\r\n", b"GET /health HTTP/1.1\r\n"))


def _partial(rng: random.Random, head: bytes) -> bytes:
    whole = head + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
    return whole[: rng.randrange(1, len(whole))]


def _garbage(rng: random.Random, head: bytes) -> bytes:
    return rng.choice(
        (
            _HELLO,
            b"GET /health\r\n",
            b"GET /health\r\n\r\n",
            b"\r\n" * 50,
            b"\x00" * 100,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30),
            b"SSH-2.0-x\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\n\n",
            b"GET / http/1.1\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x05\x01\x00",
            b"EHLO x\r\n",
            b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 3000 + b"\r\n",
            b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))),
            head + b"X: " + b"y" * 40_000 + b"\r\n\r\n",
            head + b"Expect: 100-continue\r\nContent-Length: 41\r\n\r\n",
        )
    )


_FRAMINGS = (_chunked, _chunked, _both, _lengths, _pipelined, _partial, _garbage, _garbage)
