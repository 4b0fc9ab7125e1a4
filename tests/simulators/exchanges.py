"""A crypto exchange on 127.0.0.1 that speaks one real exchange's protocol, and fails on demand.

    python -m tests.simulators.exchanges --exchange binance --port 9002

Point an account at it with CCXT_URL_BINANCE=http://127.0.0.1:9002. Faults, for the next request they fit
unless said otherwise:

    curl -d '{"name": "time_out"}' http://127.0.0.1:9002/_faults      the order IS placed, no answer comes
    also gateway_error, garbage, empty, cut_off, redirect               the order IS placed, the answer is
    that
    late_visibility {"seconds": 2}, late_trades {"seconds": 2}          from now on, orders or executions are
    shown late
    unknown_status, bad_key, reading_fails                              from now on
    rate_limited {"seconds": 7}                                         429, before anything is done
    answer {"on": "create", "status": 400, "body": "…", "placed": false}    any answer at all
    curl -X DELETE http://127.0.0.1:9002/_faults                        back to normal
    curl -d '{"symbol": "BTC/USDT", "price": "50000"}' http://127.0.0.1:9002/_price
"""

from __future__ import annotations

import argparse
import importlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.simulators.exchange_core import ExchangeCore, Market, Order, OrderRefusal

KEY, SECRET, PASSPHRASE = "account-simulated-key", "c2ltdWxhdGVkLXNlY3JldA==", "open sesame"
EXCHANGES = ("binance", "okx", "kraken", "coinbase", "gemini")
LASTING = frozenset({"late_visibility", "late_trades", "unknown_status", "bad_key", "reading_fails"})
AFTER = frozenset({"time_out", "gateway_error", "garbage", "empty", "cut_off", "redirect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    @property
    def params(self) -> dict[str, str]:
        """Of the query, or of a form."""
        form = "" if self.body.startswith(("{", "[")) else self.body
        return dict(parse_qsl("&".join(filter(None, (self.query, form))), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body or "{}")


@dataclass(slots=True, kw_only=True)
class FakeReply:
    status: int = 200
    body: Any = ""  # text, or something for JSON
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


class FakeRefusal(Exception):
    """The exchange says no, in its own words."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.answer = FakeReply(status=status, body=body)


class ExchangeFront:
    """What one exchange's front must give. `routes` maps (method, path) to (kind, function); kind is create,
    cancel, read or public, and a path may hold one {name}."""

    quotes: tuple[str, ...] = ("USDT",)
    money = "USDT"
    fee_in = "bought"
    repeats = "open"

    def __init__(self) -> None:
        coins = ("BTC", "SOL", "ETH", "BNB")
        markets = [Market(base=coin, quote=quote) for quote in self.quotes for coin in coins]
        self.core = ExchangeCore(markets, cash={self.money: Decimal(100_000)}, fee_in=self.fee_in)
        self.core.repeats = self.repeats
        self.strange_status = False
        self.clock_ahead = 0.0  # seconds that the exchange's clock is ahead of ours
        self.can_withdraw = False

    routes: dict[tuple[str, str], tuple[str, Callable[..., Any]]]

    def verify(self, request: Request) -> None:
        """Raises Refused unless key, signature and time are right."""
        raise NotImplementedError

    def refusal(self, request: Request, refusal: OrderRefusal) -> FakeRefusal:
        raise NotImplementedError

    def bad_key(self) -> FakeReply:
        raise NotImplementedError

    def limited(self) -> Any:
        return {"message": "Too many requests"}

    def status_of(self, order: Order, words: dict[str, str]) -> str:
        return "SOMETHING_NEW" if self.strange_status else words[order.status]

    def now(self) -> float:
        return time.time() + self.clock_ahead

    def market_named(self, name: str) -> Market:
        if name not in self.core.markets:
            raise OrderRefusal("symbol", name)
        return self.core.markets[name]


class ExchangeSimulator:
    """One front behind HTTP. Use as a context manager, or call `close`."""

    def __init__(self, exchange: str | ExchangeFront, port: int = 0) -> None:
        if isinstance(exchange, str):
            exchange = importlib.import_module(f"tests.simulators.crypto_{exchange}").FRONT()
        self.front: ExchangeFront = exchange
        self.core = self.front.core
        self.faults: list[dict[str, Any]] = []
        self.lasting: set[str] = set()
        self.requests: list[Request] = []
        # what else befalls a request of that kind
        self.chaos: Callable[[str], dict[str, Any] | None] | None = None
        self.hold = 1.5  # seconds that a time-out lasts at most
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        ).start()

    def __enter__(self) -> ExchangeSimulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    # --- faults ---

    def fault(self, name: str, **how: Any) -> None:
        if name in ("late_visibility", "late_trades"):
            setattr(
                self.core, "lag" if name == "late_visibility" else "trade_lag", float(how.get("seconds", 1))
            )
        elif name == "unknown_status":
            self.front.strange_status = True
        elif name in LASTING:
            self.lasting.add(name)
        elif name in AFTER | {"rate_limited", "answer"}:
            self.faults.append({"name": name, **how})
        else:
            raise ValueError(f"no fault is named {name!r}")

    def heal(self) -> None:
        self.faults.clear()
        self.lasting.clear()
        self.core.lag = self.core.trade_lag = 0.0
        self.front.strange_status = False

    # --- answering ---

    def answer(self, request: Request) -> FakeReply | None:
        """None: the connection is held, then dropped."""
        if request.path.startswith("/_"):
            return self._steered(request)
        self.requests.append(request)
        kind, work = self._route(request)
        before = self._before(kind)
        if before is not None:
            return before
        fault = self._take(kind)
        if self.chaos and not fault:
            with self.core.lock:
                fault = self.chaos(kind)
        if fault and fault["name"] == "lost":
            return None
        if fault and fault["name"] == "rate_limited":
            seconds = str(fault.get("seconds", 1))
            return FakeReply(status=429, body=self.front.limited(), headers={"Retry-After": seconds})
        if fault and fault["name"] == "answer" and not fault.get("placed"):
            return FakeReply(
                status=fault.get("status", 200), body=fault.get("body", ""), headers=fault.get("headers", {})
            )
        given = self._worked(request, kind, work)
        return self._spoiled(given, fault) if fault else given

    def _route(self, request: Request) -> tuple[str, Callable[[Request], Any]]:
        for (method, pattern), (kind, function) in self.front.routes.items():
            named = _fits(pattern, request.path) if method == request.method else None
            if named is not None:
                return kind, lambda asked, function=function, named=named: function(self.front, asked, *named)
        return "public", _no_such_path

    def _before(self, kind: str) -> FakeReply | None:
        if "bad_key" in self.lasting and kind != "public":
            return self.front.bad_key()
        if "reading_fails" in self.lasting and kind in ("read", "public"):
            return FakeReply(status=503, body="<html><body>503 Service Unavailable</body></html>")
        return None

    def _take(self, kind: str) -> dict[str, Any] | None:
        for fault in self.faults:
            if fault.get("on", "create") == kind:
                self.faults.remove(fault)
                return fault
        return None

    def _worked(self, request: Request, kind: str, work: Callable[[Request], Any]) -> FakeReply:
        try:
            if kind != "public":
                self.front.verify(request)
            body = work(request)
        except FakeRefusal as refused:
            return refused.answer
        except OrderRefusal as refusal:
            return self.front.refusal(request, refusal).answer
        return body if isinstance(body, FakeReply) else FakeReply(body=body)

    def _spoiled(self, given: FakeReply, fault: dict[str, Any]) -> FakeReply | None:
        match fault["name"]:
            case "time_out":
                self._closing.wait(self.hold)
                return None
            case "drop":
                return None
            case "gateway_error":
                return FakeReply(
                    status=fault.get("status", 504),
                    body="<html><body><h1>504 Gateway Time-out</h1></body></html>",
                )
            case "garbage":
                return FakeReply(body="<html><body>We will be back soon</body></html>")
            case "empty":
                return FakeReply(body="")
            case "cut_off":
                return FakeReply(body=given.text[: len(given.text) // 2])
            case "redirect":
                return FakeReply(status=302, body="", headers={"Location": "/elsewhere"})
        return FakeReply(
            status=fault.get("status", 200),
            body=fault.get("body", given.body),
            headers=fault.get("headers", {}),
        )

    def _steered(self, request: Request) -> FakeReply:
        match request.method, request.path:
            case "POST", "/_faults":
                try:
                    self.fault(**request.json)
                except (TypeError, ValueError) as error:
                    return FakeReply(status=400, body={"error": str(error)})
            case "DELETE", "/_faults":
                self.heal()
            case "POST", "/_price":
                self.core.set_price(request.json["symbol"], Decimal(str(request.json["price"])))
            case _:
                return FakeReply(status=404, body={"error": "POST or DELETE /_faults, POST /_price"})
        return FakeReply(body={"ok": True})


def _fits(pattern: str, path: str) -> list[str] | None:
    one, other = pattern.split("/"), path.split("/")
    if len(one) != len(other) or any(
        a != b and not a.startswith("{") for a, b in zip(one, other, strict=True)
    ):
        return None
    return [b for a, b in zip(one, other, strict=True) if a.startswith("{")]


def _no_such_path(request: Request) -> Any:
    raise FakeRefusal(404, "<html><body>404 Not Found</body></html>")


class _Server(ThreadingHTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""


def _handler(simulator: ExchangeSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            split = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Request(
                method=self.command, path=split.path, query=split.query, headers=headers, body=body
            )
            answer = simulator.answer(asked)
            if answer is None:
                self.close_connection = True
                return
            result = answer.text.encode()
            self.send_response(answer.status)
            kind = "application/json" if answer.text[:1] in ("{", "[") else "text/html"
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(result)),
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(result)

        do_GET = do_POST = do_DELETE = do_PUT = _serve

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A crypto exchange on 127.0.0.1, with made-up money and faults on demand."
    )
    parser.add_argument("--exchange", choices=EXCHANGES, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    with ExchangeSimulator(given.exchange, given.port) as simulator:
        keys = getattr(simulator.front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        print(
            f"{given.exchange} at {simulator.url}; its keys:\n"
            + "\n".join(f"  {name}: {value}" for name, value in keys.items()),
            flush=True,
        )
        threading.Event().wait()


if __name__ == "__main__":
    # not this module a second time, under another name
    importlib.import_module("tests.simulators.exchanges").main()
