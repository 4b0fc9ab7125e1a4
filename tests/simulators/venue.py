"""A small, strict broker venue over real HTTP, with a seeded schedule of faults: what crash tests trade
against.

It lives outside the process that is crashed, and its books are the truth that DashTrade's ledger is held
against. It comes in two modes: one refuses a repeated client id for ever, the other takes it as a new order.
`venue_adapter.py` speaks its language."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.simulators.venue_books import START_CASH, Books, Manner, VenueRefusal

SETTLE = timedelta(seconds=2)  # what it promises: an order is visible this long after it was placed

GARBAGE = (
    b"<html><h1>502 Bad Gateway</h1></html>",
    b"",
    b'{"id": "17", "status": "fil',
    b'{"status": "martian"}',
    b"null",
)


class VenueServer:
    """The HTTP door. `begin` opens fresh books for the next run; the address stays."""

    def __init__(self, now: Callable[[], datetime], manner: Manner | None = None) -> None:
        self.now = now
        self.books = Books(manner or Manner.honest(), now)
        self.lock = threading.Lock()
        self.silence = 1.0  # seconds for which it keeps a client waiting that gets no answer at all
        venue = self

        class Handler(_Handler):
            door = venue

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="venue"
        ).start()

    def begin(self, manner: Manner) -> Books:
        with self.lock:
            self.books = Books(manner, self.now)
            return self.books

    def recover(self) -> None:
        """Nothing goes wrong any more."""
        self.books.manner = self.books.manner.calmed()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    door: VenueServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.door.lock:
            books = self.door.books
            fault = books.fault("post", books.manner.on_post)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault == "rejected" and not books.placed[asked["client_order_id"]]:
                return self._say(422, {"message": "not today"})
            if fault in ("drop", "silence", "500", "garbage"):
                return self._fail(fault)
            lag = {"late_then_drop": SETTLE * 0.75, "later_than_promised": SETTLE * 3}.get(fault, timedelta())
            try:
                order = books.place(asked, lag)
            except VenueRefusal as refusal:
                return self._say(refusal.code, {"message": refusal.message})
            if fault in ("ok", "rejected"):
                return self._say(200, books.order_json(order))
        return self._fail(fault)

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        with self.door.lock:
            books = self.door.books
            books.advance()
            fault = books.fault("get", books.manner.on_get)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault not in ("ok", "stale"):
                return self._fail(fault)
            if path == "/account":
                return self._say(200, {"cash": str(books.cash), "equity": str(START_CASH)})
            if path == "/positions":
                return self._say(
                    200, [{"symbol": s, "quantity": str(books.position(s))} for s in sorted(books.symbols)]
                )
            found = [books.find(client) for client in query["client_order_id"][0].split(",")]
            return self._say(
                200, [books.order_json(order, stale=fault == "stale") for order in found if order is not None]
            )

    def do_DELETE(self) -> None:
        with self.door.lock:
            books = self.door.books
            books.advance()
            order = books.find(urlsplit(self.path).path.rpartition("/")[2])
            fault = books.fault("delete", books.manner.on_delete)
            if fault in ("429", "401"):
                return self._turned_away(fault)
            if fault in ("drop", "500"):
                return self._fail(fault)
            if order is None:
                return self._say(404, {"message": "order not found"})
            if order.status != "working":
                return self._say(422, {"message": f"the order is {order.status}"})
            books.race(order) if fault == "race" else books.cancel(order)
            if fault in ("ok", "race"):
                return self._say(200, {})
        return self._fail(fault)

    # --- answers, and their absence ---

    def _say(self, code: int, body: Any, **headers: str) -> None:
        self._send(code, json.dumps(body).encode(), headers)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        head = [f"HTTP/1.1 {code} {'OK' if code == 200 else 'Fault'}", f"Content-Length: {len(body)}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def _turned_away(self, fault: str) -> None:
        if fault == "401":
            return self._say(401, {"message": "the key was revoked"})
        return self._say(
            429, {"message": "too many requests"}, Retry_After=self.door.books.rng.choice(["1", "2", "7"])
        )

    def _fail(self, fault: str) -> None:
        if fault.endswith("500"):
            return self._say(500, {"message": "something went wrong"})
        if fault.endswith("garbage"):
            return self._send(200, self.door.books.rng.choice(GARBAGE), {})
        if fault.endswith("silence"):
            self.connection.settimeout(self.door.silence)
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the client gives up
        self.close_connection = True
        return None
