"""Just enough of the curve P-256 to make a key for tests and to check an ES256 signature. Slow, and for
simulators alone."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P) % P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P) % P
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


@lru_cache(maxsize=4)
def _doubled(point: Point) -> list[Point]:
    """The point times 1, 2, 4 and so on: the same two points are asked for all the time."""
    points = [point]
    while len(points) < 256:
        points.append(add(points[-1], points[-1]))
    return points


def times(factor: int, point: Point) -> Point:
    total: Point = None
    for bit, doubled in enumerate(_doubled(point)):
        if factor >> bit & 1:
            total = add(total, doubled)
    return total


def key_from(words: str) -> tuple[str, Point]:
    """A private key as PEM, and its public point."""
    secret = int.from_bytes(hashlib.sha256(words.encode()).digest()) % N
    public = times(secret, G)
    x, y = (part.to_bytes(32) for part in public)
    der = (
        bytes.fromhex("30770201010420")
        + secret.to_bytes(32)
        + bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
        + x
        + y
    )
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    kind = "EC PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n", public


def signed_by(public: Point, message: bytes, signature: bytes) -> bool:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64 or not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, -1, N)
    digest = int.from_bytes(hashlib.sha256(message).digest())
    point = add(times(digest * inverse % N, G), times(r * inverse % N, public))
    return point is not None and point[0] % N == r
