"""What a browser's socket could be sent."""

from __future__ import annotations

import json
import random
import struct

from bench.fuzz_hostile import hostile, text_of, torn
from bench.fuzz_shots import UI, FuzzFacts, Shot, host, request
from bench.fuzz_ui import PAGES, origin_of, query_string, signed_in_as

# --- sockets ----------------------------------------------------------------------------------------------


def socket_shot(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    """The opening, and at once what comes after it: this is no browser, and need not wait for the answer."""
    path = (
        rng.choice(("/_stcore/stream", "/_stcore/stream", "/live", "/x"))
        if rng.random() < 0.95
        else "/_stcore/stream" + query_string(rng, facts)
    )
    spoken = rng.choice(
        ("streamlit", "streamlit, x", "streamlit, x, made-up-session", "x", "streamlit, " + "y" * 500, "")
    )
    headers = [
        host(facts.ui),
        *signed_in_as(rng, facts),
        *origin_of(rng, facts, 0.85),
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


def _frame(rng: random.Random, facts: FuzzFacts, path: str) -> bytes:
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


def _script_run(rng: random.Random, facts: FuzzFacts) -> bytes:
    """Streamlit's BackMsg: run a page, with an address and widgets that may be made up; or others."""
    if rng.random() < 0.15:
        return _varint(rng.choice((5, 6, 7, 12, 14, 15, 17, 16, 19, 200)) << 3) + _varint(1)
    page, query = rng.choice(PAGES), query_string(rng, facts)[1:]
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
