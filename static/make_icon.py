"""Draws icon.png, so that nobody has to wonder where it came from. `python static/make_icon.py`; standard
library only."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIZE, FINE = 128, 4  # pixels, and samples per pixel and direction
BLUE, WHITE, GREEN = (47, 111, 237), (255, 255, 255), (127, 240, 192)
SHAPES = [  # x, y, width, height, corner, colour; on a square of 64
    (0, 0, 64, 64, 15, BLUE),
    (15.5, 24, 9, 20, 2.5, WHITE),
    (19, 17, 2, 34, 1, WHITE),
    (39.5, 20, 9, 20, 2.5, WHITE),
    (43, 13, 2, 34, 1, WHITE),
    (27.5, 17, 9, 24, 2.5, GREEN),
    (31, 10, 2, 40, 1, GREEN),
]


def inside(px: float, py: float, x: float, y: float, width: float, height: float, corner: float) -> bool:
    dx = max(x + corner - px, px - (x + width - corner), 0)
    dy = max(y + corner - py, py - (y + height - corner), 0)
    return dx * dx + dy * dy <= corner * corner if dx and dy else dx <= corner and dy <= corner


def colour(px: float, py: float) -> tuple[int, int, int, int]:
    found = (0, 0, 0, 0)
    for *box, rgb in SHAPES:
        if inside(px, py, *box):
            found = (*rgb, 255)
    return found


def pixel(column: int, row: int) -> bytes:
    step = 64 / SIZE / FINE
    samples = [
        colour((column * FINE + i + 0.5) * step, (row * FINE + j + 0.5) * step)
        for i in range(FINE)
        for j in range(FINE)
    ]
    alpha = sum(sample[3] for sample in samples)
    rgb = [round(sum(s[c] * s[3] for s in samples) / alpha) if alpha else 0 for c in range(3)]
    return bytes([*rgb, round(alpha / len(samples))])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main() -> None:
    rows = b"".join(b"\0" + b"".join(pixel(column, row) for column in range(SIZE)) for row in range(SIZE))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    (Path(__file__).parent / "icon.png").write_bytes(png)


if __name__ == "__main__":
    main()
