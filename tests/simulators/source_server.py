"""A source of market data on 127.0.0.1: HTTP, a market, and failures on demand. The files `source_*.py`
give it each source's language.

    with BinanceServer() as sim:
        sim.fault(Fault(status=429, headers={"Retry-After": "7"}))
        ... sim.url

Its clock is the market's (`sim.market.now`), and so is the Date of its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.simulators.source_market import SourceMarket


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    body: Any  # text, or something for JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What befalls the next request: an answer of another's, or (kind) drop: the connection breaks;
    silence: no answer; cut_off: half of the right one; drip: it comes byte by byte; through: nothing
    befalls it."""

    kind: str = "answer"
    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)


class SourceServer:
    """`answer` is what a subclass gives."""

    key = ""  # the one it knows
    page: int  # candles in one answer, at most

    def __init__(self, market: SourceMarket) -> None:
        self.market = market
        self.asked: list[Asked] = []
        self.spoil: Callable[[list[Any]], list[Any]] = lambda rows: (
            rows
        )  # rows of a page, before they are sent
        self.drip_seconds = 0.05
        self._faults: list[Fault] = []
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def fault(self, *faults: Fault) -> None:
        self._faults += faults

    def broken_rows(self, rows: list[Any]) -> list[Any]:
        """The first two candles made into what cannot be any: a price that is none, a low above the high."""
        raise NotImplementedError

    def rows(self, rows: list[Any]) -> list[Any]:
        return self.spoil(rows)

    def take(self, asked: Asked) -> tuple[Fault | None, Answer]:
        with self._lock:
            self.asked.append(asked)
            fault = self._faults.pop(0) if self._faults else None
            return fault, self.answer(asked)

    def send(self, handler: BaseHTTPRequestHandler, fault: Fault | None, answer: Answer) -> None:
        if fault is not None and fault.kind == "answer":
            answer = Answer(body=fault.body, status=fault.status, headers=fault.headers)
        elif fault is not None and fault.kind in ("drop", "silence"):
            self._closing.wait(5 if fault.kind == "silence" else 0)
            handler.close_connection = True
            return
        body = answer.bytes
        handler.send_response_only(answer.status)
        date = format_datetime(self.market.now, usegmt=True)
        for name, value in {"Date": date, "Content-Type": "application/json", **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if fault is not None and fault.kind == "cut_off":
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
        elif fault is not None and fault.kind == "drip":
            for byte in body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                if self._closing.wait(self.drip_seconds):
                    return
        else:
            handler.wfile.write(body)


def _handler(server: SourceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            params = dict(parse_qsl(parts.query, keep_blank_values=True))
            fault, answer = server.take(Asked(path=parts.path, params=params, headers=dict(self.headers)))
            try:
                server.send(self, fault, answer)
            except OSError:  # who asked has gone
                self.close_connection = True

    return Handler
