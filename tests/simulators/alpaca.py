"""A strict Alpaca on this machine: its wire protocol, its refusals, and its failures on demand.

    with AlpacaSimulator() as sim:
        sim.set_price("AAPL", 101); sim.inject(Fault("time_out"))
        ... sim.url, sim.stream_url, sim.key, sim.secret

By hand: `python -m tests.simulators.alpaca --port 9001`, then POST /_price, /_faults, /_market (see
`CONTROLS`). Only 127.0.0.1 is served; threads are daemons; bodies, orders and the record of requests are
bounded."""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.simulators import alpaca_data as data
from tests.simulators.alpaca_faults import BEFORE, SPOILS, Fault, Reply, Seen, refusing
from tests.simulators.alpaca_market import Market
from tests.simulators.alpaca_orders import AlpacaRefusal, Order, not_found
from tests.simulators.alpaca_routes import json_of, routed
from tests.simulators.alpaca_stream import StreamServer

LONGEST_BODY = 64 * 1024


class AlpacaSimulator:
    """One account, reachable while the `with` lasts. `market` may be used directly, under `market.lock`."""

    def __init__(
        self,
        port: int = 0,
        stream_port: int = 0,
        *,
        key: str = "PKSIMULATOR",
        secret: str = "simulator-secret",
        cash: Decimal = Decimal(100_000),
        latency: float = 0.0,
        plan: str = "paid",
        away: float = 0.0,
    ) -> None:
        self.key, self.secret, self.latency, self.plan, self.away = key, secret, latency, plan, away
        self.clock_ahead = timedelta(0)
        self.market = Market(cash=cash, now=data.utc_now)
        self.seen: deque[Seen] = deque(maxlen=10_000)
        self.late: dict[str, float] = {}  # order id: until when look-ups do not show it
        self.chaos: Callable[[Seen], list[Fault]] | None = None  # what else befalls a request
        self._before: dict[tuple[str, str], Reply] = {}  # for stale answers, where there is chaos
        self._faults: list[Fault] = []
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.sim = self
        self._stream = StreamServer(self, stream_port)
        self.market.on_event = self._stream.tell

    def __enter__(self) -> AlpacaSimulator:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._stream.stop()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def stream_url(self) -> str:
        return self._stream.url

    # --- what a test or a person sets ---

    def set_price(self, symbol: str, price: object) -> None:
        with self.market.lock:
            self.market.set_price(symbol, Decimal(str(price)))

    def set_session(self, session: str) -> None:
        """open, extended or closed: what waits for it goes on."""
        with self.market.lock:
            self.market.session = session
            self.market.advance()

    def inject(self, *faults: Fault) -> None:
        with self.market.lock:
            self._faults += faults

    def clear_faults(self) -> None:
        with self.market.lock:
            self._faults.clear()

    def drop_stream(self) -> None:
        self._stream.drop()

    @property
    def orders(self) -> list[Order]:
        """Those that were asked for: no legs, no replacements."""
        with self.market.lock:
            return [
                order
                for order in self.market.orders.values()
                if order.parent is None and order.replaces is None
            ]

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.method == method and seen.path.startswith(path)]

    # --- one request ---

    def answer(self, request: Seen, headers: Any) -> Reply | None:
        """None: no answer at all, the connection is dropped."""
        if request.path.startswith("/_"):
            return _control(self, request)
        self.seen.append(request)
        if not self.away:
            return self._answer(request, headers)
        self._stopping.wait(self.away / 2)
        reply = self._answer(request, headers)
        self._stopping.wait(self.away / 2)
        return reply

    def _answer(self, request: Seen, headers: Any) -> Reply | None:
        faults = self._due(request)
        for fault in faults:
            if fault.kind == "lost":
                return None
            if fault.kind in BEFORE:
                return refusing(fault)
        try:
            key = headers.get("APCA-API-KEY-ID")
            if not self.knows(key, headers.get("APCA-API-SECRET-KEY")):
                raise AlpacaRefusal(401, None, "unauthorized.")
            with self.market.lock:
                self.market.snapshots = key
                reply = routed(self, request, faults)
        except AlpacaRefusal as refused:
            reply = Reply(refused.status, refused.body)
        return self._spoiled(self._aged(request, reply, faults) if self.chaos else reply, faults)

    def _aged(self, request: Seen, reply: Reply, faults: list[Fault]) -> Reply:
        asked = request.method, f"{request.path}?{sorted(request.query.items())}"
        before, self._before[asked] = self._before.get(asked, reply), reply
        return before if any(fault.kind == "stale" for fault in faults) else reply

    def knows(self, key: object, secret: object) -> bool:
        """Its own key, and any that begins with it and a dash: those share its money, and hear of their own
        orders alone."""
        return secret == self.secret and str(key).partition("-")[0] == self.key

    def _due(self, request: Seen) -> list[Fault]:
        with self.market.lock:
            due, left = [], []
            for fault in self._faults:
                if not fault.fits(request.method, request.path):
                    left.append(fault)
                elif fault.after:
                    left.append(replace(fault, after=fault.after - 1))
                else:
                    due.append(fault)
                    if fault.times != 1:
                        left.append(replace(fault, times=max(fault.times - 1, 0)))
            self._faults = left
            return due + (self.chaos(request) if self.chaos else [])

    def _spoiled(self, reply: Reply, faults: list[Fault]) -> Reply | None:
        for fault in faults:
            if fault.kind in ("time_out", "slow"):
                self._stopping.wait(fault.seconds or 30)
            if fault.kind in ("time_out", "drop"):
                return None
            reply = SPOILS.get(fault.kind, lambda reply: reply)(reply)
        return reply

    def place(self, order: Order, faults: list[Fault]) -> dict[str, Any]:
        """The answer shows the order as it arrives; what follows, follows at once or `latency` seconds
        later."""
        self.market.place(order)
        shown = order.wire()
        for fault in faults:
            if fault.kind == "late_visibility":
                self.late[order.id] = self.market.now().timestamp() + fault.seconds
        if self.latency:
            later = threading.Timer(self.latency, self._advance)
            later.daemon = True
            later.start()
        else:
            self.market.advance()
        return shown

    def _advance(self) -> None:
        with self.market.lock:
            self.market.advance()

    def visible(self, order: Order | None) -> Order:
        if order is None or self.late.get(order.id, 0) > self.market.now().timestamp():
            raise not_found("order not found")
        return order


# --- by hand ------------------------------------------------------------------------------------------------

CONTROLS = """\
POST /_price   {"symbol": "AAPL", "price": "101.5"}
POST /_faults  {"kind": "time_out"} or a list of them; DELETE /_faults forgets them
POST /_market  {"session": "open" | "extended" | "closed", "parts": "next" | "finish", "stream": "drop"}
POST /_hold    {"symbol": "AAPL", "qty": "20", "price": "50"}: what happens outside, as by hand
GET  /_orders; GET /_arrivals: when each order came, by time.monotonic(); DELETE /_arrivals forgets them"""


def _control(sim: AlpacaSimulator, request: Seen) -> Reply:
    try:
        body = json_of(request) if request.method == "POST" else {}
        match request.method, request.path:
            case "POST", "/_price":
                sim.set_price(body["symbol"], body["price"])
            case "POST", "/_faults":
                sim.inject(*(_fault(each) for each in (body if isinstance(body, list) else [body])))
            case "DELETE", "/_faults":
                sim.clear_faults()
            case "POST", "/_market":
                _set_market(sim, body)
            case "POST", "/_hold":
                with sim.market.lock:
                    sim.market.set_position(
                        sim.market.asset(body["symbol"]), Decimal(body["qty"]), Decimal(body["price"])
                    )
            case "GET", "/_arrivals":
                return Reply(200, [seen.at for seen in sim.requests("POST", "/v2/orders")])
            case "DELETE", "/_arrivals":
                sim.seen.clear()
            case "GET", "/_orders":
                return Reply(200, [order.wire() for order in sim.orders])
            case _:
                return Reply(404, {"message": CONTROLS})
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return Reply(400, {"message": f"{error!r}; it takes:\n{CONTROLS}"})
    return Reply(200, {"ok": True})


def _fault(body: dict[str, Any]) -> Fault:
    known = {each.name for each in fields(Fault)}
    given = {key: float(value) if key == "seconds" else value for key, value in body.items() if key in known}
    if len(given) != len(body):
        raise ValueError(f"a fault has {', '.join(sorted(known))}")
    return Fault(**given)


def _set_market(sim: AlpacaSimulator, body: dict[str, Any]) -> None:
    if "session" in body:
        sim.set_session(body["session"])
    with sim.market.lock:
        if body.get("parts") == "next":
            sim.market.next_in_parts = True
        elif body.get("parts") == "finish":
            sim.market.finish_parts()
    if body.get("stream") == "drop":
        sim.drop_stream()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sim: AlpacaSimulator


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # an idle connection gives its thread back

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST_BODY:
            self.close_connection = True
            return self._send(Reply(413, {"message": "body too large"}))
        url = urlsplit(self.path)
        body = self.rfile.read(length).decode("utf-8", "replace")
        request = Seen(self.command, url.path, dict(parse_qsl(url.query)), body)
        reply = self.server.sim.answer(request, self.headers)
        if reply is None:
            self.close_connection = True
            return None
        return self._send(reply)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _send(self, reply: Reply) -> None:
        body = (
            reply.body
            if isinstance(reply.body, str)
            else ""
            if reply.body is None
            else json.dumps(reply.body)
        )
        kind = (
            "text/html" if isinstance(reply.body, str) and reply.body else "application/json; charset=UTF-8"
        )
        lines = [
            f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('', ''))[0]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body.encode())}",
            f"Date: {self.date_time_string()}",
            *(f"{name}: {value}" for name, value in reply.headers),
        ]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A strict Alpaca on this machine.",
        epilog=CONTROLS,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=9001, help="0 for any free one")
    parser.add_argument("--stream-port", type=int, help="of the trade updates; the next one if left out")
    parser.add_argument("--away", type=float, default=0.0, help="seconds there and back")
    parser.add_argument("--cash", type=Decimal, default=Decimal(100_000))
    given = parser.parse_args()
    stream_port = given.port + bool(given.port) if given.stream_port is None else given.stream_port
    with AlpacaSimulator(given.port, stream_port, away=given.away, cash=given.cash) as sim:
        print(f"ALPACA_API_URL={sim.url}\nALPACA_DATA_URL={sim.url}\nALPACA_STREAM_URL={sim.stream_url}")
        print(f"key {sim.key}, secret {sim.secret}; Ctrl-C ends it\n\n{CONTROLS}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()
