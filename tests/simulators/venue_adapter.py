"""The adapter for the simulated venue: an ordinary `ports.Broker`, as strict in reading answers as a real one
has to be."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.orders import OrderType
from dashtrade.domain.ports import (
    AccountState,
    BadCredentials,
    BrokerFill,
    BrokerPosition,
    Capabilities,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Rejected,
    RetryLater,
    Rules,
    Unavailable,
    Unknown,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import TimeInForce, plain
from tests.simulators.venue import SETTLE

PATIENCE = 0.25  # seconds; on this machine an answer takes two thousandths


def kind(port: int, *, refuses_repeats: bool, patience: float = PATIENCE) -> BrokerKind:
    """The registry line for `build_app(brokers={"venue": …})`."""
    return BrokerKind(
        name="Venue",
        modes=("paper",),
        check=lambda credentials, options: None,
        make=lambda account, credentials, around: VenueBroker(
            port, refuses_repeats=refuses_repeats, patience=patience
        ),
    )


class VenueBroker:
    def __init__(self, port: int, *, refuses_repeats: bool, patience: float) -> None:
        self._patience = patience
        self.offers = Offers()
        self._port, self._here = port, threading.local()
        self.capabilities = Capabilities(
            name="Venue",
            order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
            times_in_force=frozenset({TimeInForce.DAY, TimeInForce.GTC}),
            shorts=True,
            fractional=True,
            refuses_repeats=refuses_repeats,
            settle=SETTLE,
            sandbox=True,
            always_open=True,
        )

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        body = {
            "client_order_id": request.client_order_id,
            "symbol": request.symbol.text,
            "side": str(request.side),
            "type": str(request.type),
            "quantity": plain(request.quantity or Decimal(0)),
            "limit_price": plain(request.limit_price) if request.limit_price is not None else None,
        }
        try:
            code, answer, wait = self._ask("POST", "/orders", body)
        except OSError as error:
            raise Unknown(f"no answer to the order: {type(error).__name__}") from error
        match code:
            case 200:
                return self._read(answer, Unknown)
            case 401 | 403:
                raise BadCredentials("the venue refused the key")
            case 429:
                raise RetryLater("too many requests", wait)
            case 422 if b"must be unique" in answer:
                return self._adopted(request)
            case 422:
                raise Rejected("the venue refused the order")
        raise Unknown(f"the venue answered {code}")

    def _adopted(self, request: OrderRequest) -> OrderReport:
        """Our own earlier try: the id is derived, nobody else could have used it."""
        try:
            found = self._look_up([request.client_order_id])
        except (Unavailable, RetryLater) as error:
            raise Unknown(error.message) from error
        if not found:
            raise Unknown("the venue has the id and does not show the order yet")
        return found[0]

    def find(self, order: OrderRef) -> OrderReport | None:
        return next(iter(self._look_up([order.client_order_id])), None)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        return self._look_up([order.client_order_id for order in orders])

    def cancel(self, order: OrderRef) -> None:
        try:
            code, _, wait = self._ask("DELETE", f"/orders/{order.client_order_id}")
        except OSError as error:
            raise Unavailable(f"no answer to the cancellation: {type(error).__name__}") from error
        if code == 429:
            raise RetryLater("too many requests", wait)
        if code >= 500:
            raise Unavailable(f"the venue answered {code}")

    def _look_up(self, clients: list[str]) -> list[OrderReport]:
        body = self._get(f"/orders?client_order_id={','.join(clients)}")
        return [report_of(one, Unavailable) for one in body]

    # --- the account ---

    def account(self) -> AccountState:
        told = self._get("/account")
        return AccountState(
            equity=Decimal(told["equity"]), cash=Decimal(told["cash"]), buying_power=Decimal(told["equity"])
        )

    def positions(self) -> Sequence[BrokerPosition]:
        return [
            BrokerPosition(symbol=Symbol.parse(p["symbol"]), quantity=Decimal(p["quantity"]))
            for p in self._get("/positions")
        ]

    def rules(self, symbol: Symbol) -> Rules:
        return Rules(quantity_step=Decimal("0.01"), price_step=Decimal("0.01"), min_quantity=Decimal("0.01"))

    def market_open(self, symbol: Symbol) -> bool:
        return True

    def opens_at(self, symbol: Symbol) -> None:
        return None

    def close(self) -> None:
        connection = getattr(self._here, "connection", None)
        if connection is not None:
            connection.close()

    # --- the wire ---

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes, timedelta]:
        connection = getattr(self._here, "connection", None)
        if connection is None:
            connection = self._here.connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=self._patience
            )
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            wait = timedelta(seconds=int(answer.headers.get("Retry-After", "1")))
            return answer.status, answer.read(), wait
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise OSError(str(error)) from error

    def _get(self, path: str) -> Any:
        try:
            code, answer, wait = self._ask("GET", path)
        except OSError as error:
            raise Unavailable(f"no answer: {type(error).__name__}") from error
        if code == 429:
            raise RetryLater("too many requests", wait)
        if code in (401, 403):
            raise BadCredentials("the venue refused the key")
        wanted = dict if path == "/account" else list
        try:
            told = json.loads(answer)
        except ValueError:
            told = None
        if code != 200 or not isinstance(told, wanted) or (wanted is dict and "equity" not in told):
            raise Unavailable(f"the venue's answer cannot be read ({code})")
        return told

    def _read(self, answer: bytes, failure: type[Exception]) -> OrderReport:
        try:
            told = json.loads(answer)
        except ValueError as error:
            raise failure("the venue's answer cannot be read") from error
        return report_of(told, failure)


def report_of(told: Any, failure: type[Exception]) -> OrderReport:
    try:
        client = told["client_order_id"]
        return OrderReport(
            client_order_id=client,
            broker_order_id=told["id"],
            status=VenueStatus(told["status"]),
            filled_quantity=Decimal(told["filled_quantity"]),
            average_price=Decimal(told["average_price"]) if told["average_price"] else None,
            fills=tuple(
                BrokerFill(
                    id=f["id"],
                    client_order_id=client,
                    quantity=Decimal(f["quantity"]),
                    price=Decimal(f["price"]),
                    at=datetime.fromisoformat(f["at"]),
                    fee=Decimal(f["fee"]),
                )
                for f in told["fills"]
            ),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise failure("the venue's answer cannot be read") from error
