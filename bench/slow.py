"""150 slow clients, each sending its alert byte by byte, beside an ordinary one.

python -m bench.slow [--clients 150] [--seconds 6]"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import threading
import time

from bench.load import run
from bench.rig import alternating, rig, show


def drip(port: int, path: str, body: bytes, until: float) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for byte in head + body:
            if time.monotonic() > until:
                return
            sock.sendall(bytes([byte]))
            time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=6)
    given = parser.parse_args()
    with rig() as one:
        one.add_bots(["AAPL"])
        path = f"/webhook?token={one.webhook}"
        job = {"port": one.port, "path": path, "seconds": given.seconds}
        alone = run(job | {"bodies": [alternating("AAPL", 20000)]})
        until = time.monotonic() + given.seconds + 4
        body = json.dumps({"action": "buy", "symbol": "AAPL"}).encode()
        slow = [
            threading.Thread(target=drip, args=(one.port, path, body, until), daemon=True)
            for _ in range(given.clients)
        ]
        for thread in slow:
            thread.start()
        time.sleep(1)
        beside = run(job | {"bodies": [alternating("AAPL", 20000, 10_000_000)]})
    names = ("per_second", "p50_ms", "p99_ms", "max_ms", "codes")
    show(
        {
            "bench": "slow clients",
            "slow": given.clients,
            "alone": {n: alone[n] for n in names},
            "beside": {n: beside[n] for n in names},
        }
    )


if __name__ == "__main__":
    main()
