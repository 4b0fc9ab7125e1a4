"""A load of HTTP requests from a process of its own: so many clients, each sending its next request when the
last was answered.

Run as `python -m bench.load` with a JSON job on standard input; prints one JSON line. Raw sockets, so that
the measuring costs little of the two cores that the measured thing shares with it."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import Any


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sock: socket.socket | None = None

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
            f"{len(body)}\r\n\r\n"
        )
        self.sock.sendall(head.encode() + body)
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        assert self.sock is not None
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at:].split(b"\r\n", 1)[0])
        while len(body) < length:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            body += more
        if b"connection: close" in lower:
            self.sock.close()
            self.sock = None
        return int(head.split(b" ", 2)[1]), body


def work(job: dict[str, Any]) -> dict[str, Any]:
    """`bodies`: one list per client; `paths`: one per client, or one `path` for all. Stops at the end of the
    lists or of the time, whichever comes first."""
    paths = job.get("paths") or [job["path"]] * len(job["bodies"])
    end = time.perf_counter() + job.get("seconds", 60)
    times: list[list[float]] = [[] for _ in job["bodies"]]
    codes: dict[int, int] = {}
    words: dict[str, int] = {}
    lock, gate = threading.Lock(), threading.Barrier(len(job["bodies"]) + 1)

    def run(number: int, bodies: list[str]) -> None:
        client, mine, seen, result = Client(job["port"]), times[number], {}, {}
        encoded = [body.encode() for body in bodies]
        gate.wait()
        for body in encoded:
            before = time.perf_counter()
            if before > end:
                break
            try:
                code, answer = client.post(paths[number], body)
            except OSError:
                client.sock, code, answer = None, 0, b""
            mine.append(time.perf_counter() - before)
            seen[code] = seen.get(code, 0) + 1
            if job.get("statuses") and code in (200, 202):
                status = json.loads(answer)["status"]
                result[status] = result.get(status, 0) + 1
        with lock:
            for into, of in ((codes, seen), (words, result)):
                for key, count in of.items():
                    into[key] = into.get(key, 0) + count

    threads = [threading.Thread(target=run, args=(n, bodies)) for n, bodies in enumerate(job["bodies"])]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return summary([t for one in times for t in one], time.perf_counter() - started) | {
        "codes": codes,
        "statuses": words,
    }


def summary(times: list[float], took: float) -> dict[str, Any]:
    ordered = sorted(times) or [0.0]
    pick = lambda share: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 3)  # noqa: E731
    return {
        "requests": len(times),
        "per_second": round(len(times) / took, 1),
        "p50_ms": pick(0.5),
        "p95_ms": pick(0.95),
        "p99_ms": pick(0.99),
        "max_ms": pick(1.0),
        "mean_ms": round(statistics.fmean(ordered) * 1000, 3),
    }


def run(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=job.get("seconds", 60) + 60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


if __name__ == "__main__":
    print(json.dumps(work(json.load(sys.stdin))))
