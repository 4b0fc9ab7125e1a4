"""A whole installation in one process: its people, what they send, and a worker that works when it is told
to."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from werkzeug.test import TestResponse

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.broker_kinds import BrokerKind, Surroundings
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.notices.stored import notice_of
from dashtrade.domain.people import User
from dashtrade.domain.ports import (
    AccountState,
    BrokerFill,
    BrokerPosition,
    Capabilities,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Rejected,
    Rules,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce, sha256
from dashtrade.engine.readings import Readings
from dashtrade.engine.watch import Watch
from dashtrade.services.people import tokens as token_service
from dashtrade.tables import orders as order_table
from dashtrade.tables import people as people_table
from dashtrade.tables import tokens as token_table
from encryption import new_key
from webhook_server import create_server

NoticeKind = TypeVar("NoticeKind", bound=Notice)

KEY = new_key()  # that credentials are sealed with
MakeApp = Callable[..., App]  # the fixture `make_app`


class Installation:
    def __init__(self, app: App) -> None:
        self.app, self.flask = app, create_server(app)
        self.watch = Watch(app.db, app.clock, app.brokers.feed)
        self.readings = Readings(app.db, app.clock, app.brokers.of, app.engine.leases, app.engine.outages)

    def client_for_alerts(self) -> Any:
        return self.flask.test_client()

    def join(self, email: str = "ann@example.com", role: Role = Role.STANDARD) -> Trader:
        """A user with an access token and a webhook token, without the time that hashing a password takes."""
        now, access = self.app.clock.now(), "dt_" + secrets.token_urlsafe(32)

        def add(conn: Any) -> User:
            user_id = people_table.add(
                conn,
                email=email,
                name=email.split("@")[0],
                password_hash="-",
                role=role,
                time_zone="UTC",
                created_at=now,
                last_login_at=None,
            )
            token_table.add_api_token(
                conn,
                user_id,
                token_hash=sha256(access),
                name="test",
                created_at=now,
                expires_at=now + timedelta(days=30),
                used_at=None,
                revoked_at=None,
            )
            found = people_table.by_id(conn, user_id)
            assert found is not None
            return found

        user = self.app.db.write(add)
        return Trader(
            installation=self,
            user=user,
            access=access,
            token=token_service.rotate_webhook_token(self.app, user),
        )

    def work(self, rounds: int = 4) -> None:
        """What a worker does, in this thread, until nothing moves any more."""
        engine = self.app.engine
        engine.leases.renew()
        for _ in range(rounds):
            for lane in engine.open_lanes():
                engine.run_lane(lane)
            if not self.collect():
                return

    def collect(self) -> bool:
        """Hear what the venues have to say; whether anything moved."""
        with self.app.db.read() as conn:
            accounts = [row.account_id for row in order_table.working_accounts(conn)]
        moved = [lane for account_id in accounts for lane in self.app.engine.collect(account_id)]
        for lane in moved:
            self.app.engine.run_lane(lane)
        return bool(moved)

    def read_brokers(self) -> None:
        """What the worker's reader does, in this thread: pages and the API show what it read last."""
        for account in self.readings.due():
            self.readings.read(account)

    def look(self) -> int:
        """One look of the watch, and what follows from it. How many lanes it set off."""
        lanes = self.watch.check_all()
        for lane in lanes:
            self.app.engine.run_lane(lane)
        return len(lanes)


@dataclass
class Trader:
    installation: Installation
    user: User = field(repr=False)
    access: str = field(repr=False)
    token: str = field(repr=False)
    paper: int = 0  # the account that bots get unless told otherwise

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        given: dict[str, Any] = ({} if body is None else {"json": body}) | (
            {"query_string": query} if query else {}
        )
        return self.installation.flask.test_client().open(
            f"/api/v1{path}", method=method, headers={"Authorization": f"Bearer {self.access}"}, **given
        )

    def get(self, path: str, **query: Any) -> Any:
        response = self.call("GET", path, **query)
        assert response.status_code == 200, response.text
        return response.json

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer of a request that has to work."""
        response = self.call(method, path, body, **query)
        assert response.status_code in (200, 201, 202), response.text
        return response.json

    def account(self, broker: str = "paper", **options: Any) -> int:
        body = {"broker": broker, "mode": "paper", "label": broker, "credentials": {}, "options": options}
        return self.request("POST", "/accounts", body)["id"]

    def bot(
        self, symbol: str = "AAPL", timeframe: str = "15 Min", account: int | None = None, **fields: Any
    ) -> int:
        if account is None:
            account = self.paper = self.paper or self.account()
        given = {
            "account_id": account,
            "symbol": symbol,
            "timeframe": timeframe,
            "position_size": "5000",
        } | fields
        return self.request("POST", "/bots", given)["id"]

    def alert(
        self,
        body: Any,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        sender: str = "203.0.113.7",
        **query: Any,
    ) -> TestResponse:
        """POST /webhook with an object, a text or bytes; the token is in the address unless `token` is
        empty."""
        data = json.dumps(body) if isinstance(body, dict) else body
        token = self.token if token is None else token
        return self.installation.client_for_alerts().post(
            "/webhook",
            data=data,
            query_string=({"token": token} if token else {}) | query,
            headers=headers,
            environ_base={"REMOTE_ADDR": sender},
        )

    def send(self, body: Any = None, **fields: Any) -> str:
        """An alert that has to be accepted; its signal's id."""
        if body is None:
            body = {"symbol": "AAPL", "id": secrets.token_hex(8)} | fields
        response = self.alert(body)
        assert response.status_code == 202, response.text
        return response.json["signal_id"]

    def trades(self, action: str, symbol: str = "AAPL", **fields: Any) -> Any:
        """An alert carried out as far as it goes: its story."""
        signal_id = self.send(action=action, symbol=symbol, **fields)
        self.installation.work()
        return self.story(signal_id)

    def story(self, signal_id: str) -> Any:
        return self.get(f"/signals/{signal_id}")

    def holds(self, bot_id: int) -> Decimal:
        position = self.get(f"/bots/{bot_id}")["position"]
        return Decimal(position["quantity"]) * (-1 if position["side"] == "short" else 1)

    def notices(self, kind: type[NoticeKind]) -> list[NoticeKind]:
        """The notices of one kind, newest first."""
        return [
            notice
            for message in self.get("/messages")["items"]
            if message["kind"] and isinstance(notice := notice_of(message["kind"], message["facts"]), kind)
        ]


def wait_until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits for what another thread or process does."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


# --- a venue that does as it is told ------------------------------------------------------------------------


class ScriptedBroker:
    """A broker whose answers are laid out beforehand: `plan` holds one for each coming submit, "fill" when it
    runs out.

    fill: at once, at the price; work: it rests; or an exception. `lost(error)` places the order and then
    raises."""

    def __init__(
        self,
        *,
        settle: float = 2.0,
        refuses_repeats: bool = True,
        client_ids: bool = True,
        price: str = "100",
    ) -> None:
        self.capabilities = Capabilities(
            name="Venue",
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            shorts=True,
            fractional=True,
            refuses_repeats=refuses_repeats,
            client_ids=client_ids,
            settle=timedelta(seconds=settle),
            stocks=True,
            crypto=True,
        )
        self.offers = Offers()
        self.price = Decimal(price)
        self.plan: deque[Any] = deque()
        self.sent: list[OrderRequest] = []
        self.reports: dict[str, OrderReport] = {}
        self.hidden: set[str] = set()  # placed, but not shown yet
        self.away: Exception | None = None  # raised by whatever only reads
        self.slow = 0.0
        self.opens: datetime | None = None  # set: the market is closed until then
        self.cancels = True
        self.asked: list[str] = []  # look-ups
        self.at: Any = None

    def kind(self) -> dict[str, BrokerKind]:
        return {
            "venue": BrokerKind(
                name="Venue", modes=("paper",), check=lambda credentials, options: None, make=self._make
            )
        }

    def _make(self, account: Any, credentials: Any, around: Surroundings) -> ScriptedBroker:
        self.at = around.clock
        return self

    def submit(self, request: OrderRequest) -> OrderReport:
        self.sent.append(request)
        if self.slow:
            time.sleep(self.slow)
        step = self.plan.popleft() if self.plan else "fill"
        if isinstance(step, Exception):
            raise step
        if request.client_order_id in self.reports:
            raise Rejected("client order id must be unique")
        placed, error = step if isinstance(step, tuple) else (step, None)
        report = self.report(request.client_order_id, VenueStatus.WORKING)
        if placed == "fill":
            report = self.fill(request.client_order_id, request.quantity)
        if error is not None:
            raise error
        return report

    def report(self, name: str, status: VenueStatus, *fills: BrokerFill, reason: str = "") -> OrderReport:
        report = OrderReport(
            client_order_id=name,
            broker_order_id=f"V-{name}",
            status=status,
            filled_quantity=sum((f.quantity for f in fills), Decimal(0)),
            average_price=(
                fills and sum(f.quantity * f.price for f in fills) / sum(f.quantity for f in fills)
            )
            or None,
            fills=tuple(fills),
            reason=reason,
        )
        self.reports[name] = report
        return report

    def execution(self, name: str, quantity: Any, price: Any = None, number: int = 1) -> BrokerFill:
        price = self.price if price is None else Decimal(price)
        return BrokerFill(
            id=f"{name}-{number}",
            client_order_id=name,
            quantity=Decimal(quantity),
            price=price,
            at=self.at.now(),
        )

    def fill(self, name: str, quantity: Any, price: Any = None) -> OrderReport:
        return self.report(name, VenueStatus.FILLED, self.execution(name, quantity, price))

    def find(self, order: OrderRef) -> OrderReport | None:
        self.asked.append(order.client_order_id)
        self._read()
        return None if order.client_order_id in self.hidden else self.reports.get(order.client_order_id)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        self._read()
        return [self.reports[ref.client_order_id] for ref in orders if ref.client_order_id in self.reports]

    def cancel(self, order: OrderRef) -> None:
        self._read()
        report = self.reports.get(order.client_order_id)
        if self.cancels and report is not None and report.status is VenueStatus.WORKING:
            self.report(order.client_order_id, VenueStatus.CANCELED, *report.fills)

    def account(self) -> AccountState:
        self._read()
        return AccountState(
            equity=Decimal(100_000), cash=Decimal(100_000), buying_power=Decimal(100_000), number="VENUE"
        )

    def positions(self) -> Sequence[BrokerPosition]:
        self._read()
        return []

    def rules(self, symbol: Symbol) -> Rules:
        self._read()
        return Rules(quantity_step=Decimal("0.000001"), price_step=Decimal("0.01"))

    def market_open(self, symbol: Symbol) -> bool:
        return self.opens is None

    def opens_at(self, symbol: Symbol) -> datetime | None:
        return self.opens

    def close(self) -> None: ...

    def _read(self) -> None:
        if self.slow:
            time.sleep(self.slow)
        if self.away is not None:
            raise self.away


def placed_without_answer(error: Exception) -> tuple[str, Exception]:
    """The venue has the order, and its answer never comes."""
    return ("fill", error)


UNREACHABLE = Unavailable("the venue does not answer")
