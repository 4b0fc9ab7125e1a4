"""Orders at the venue that carry our ids and are not on record, as after a restored backup: taken over by
their bots, once.

The backup is the product's own; trading goes on, and it is put back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.notices.trading import OrderWithoutBot
from dashtrade.domain.values import bot_of_order, client_order_id, new_id
from dashtrade.settings import Settings
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.alpaca_harness import raw
from tests.support.at_alpaca import account, addresses
from tests.support.fakes import ManualClock
from tests.support.hosts import GatedHost
from tests.support.installation import KEY, Installation, Trader

D = Decimal


class Shop:
    """An installation whose database can be put back to what it was."""

    def __init__(self, folder: Path, sim: AlpacaSimulator, clock: ManualClock) -> None:
        self.folder, self.sim, self.clock, self.apps = folder, sim, clock, []
        self.open()
        self.trader = self.installation.join()
        self.account = account(self.trader, sim)
        self.trader.bot(account=self.account, position_size="10", position_size_type="quantity")
        self.look()

    def open(self) -> None:
        where = {
            "DASHTRADE_HOME": str(self.folder),
            "DATABASE_URL": f"sqlite:///{self.folder / 'db.sqlite'}",
            "ENCRYPTION_KEY": KEY,
        }
        given = where | addresses(self.sim)
        app: App = build_app(Settings.load(given, self.folder), clock=self.clock)
        self.apps.append(app)
        self.installation = Installation(app)
        app.engine.host = GatedHost(app.engine.reconciler.wait_reason)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.installation.app.engine.reconciler.reconcile(self.account)
            self.clock.forward(4)

    def back_up(self) -> None:
        self.installation.app.engine.leases.release()
        self.installation.app.db.backup(self.folder / "backup.sqlite")

    def restore(self) -> None:
        self.installation.app.close()
        for file in self.folder.glob("db.sqlite*"):
            file.unlink()
        (self.folder / "backup.sqlite").rename(self.folder / "db.sqlite")
        self.open()
        self.trader = Trader(
            installation=self.installation,
            user=self.trader.user,
            access=self.trader.access,
            token=self.trader.token,
        )


@pytest.fixture
def shop(tmp_path: Path, sim: AlpacaSimulator, clock: ManualClock) -> Iterator[Shop]:
    made = Shop(tmp_path, sim, clock)
    yield made
    made.installation.app.close()


def history(trader: Trader) -> list[tuple[str, str, str]]:
    return [(trade["action"], trade["effect"], trade["quantity"]) for trade in trader.get("/trades")["items"]]


def test_orders_placed_after_the_backup_are_taken_over_by_their_bot(shop: Shop):
    shop.back_up()
    first = shop.trader.trades("buy")
    shop.clock.forward(1)
    shop.trader.trades("add")
    owned = shop.trader.holds(1)
    assert owned == 20
    shop.restore()
    assert shop.trader.holds(1) == 0 and not shop.trader.get("/orders")["items"]
    shop.look(3)
    assert shop.trader.holds(1) == owned and [line[:2] for line in history(shop.trader)] == [
        ("buy", "add"),
        ("buy", "open"),
    ]
    assert {order["order_id"] for order in shop.trader.get("/orders")["items"]} == {
        order.client_order_id for order in shop.sim.orders
    }
    order = shop.trader.get("/orders")["items"][-1]
    assert order["order_id"] == first["orders"][0]["order_id"] and order["status"] == "filled"
    story = shop.trader.story(order["signal_id"])
    assert (story["origin"], story["status"]) == (
        "adopted",
        "filled",
    ) and "as after a restored backup" in str(story["timeline"])
    assert not shop.trader.get("/drifts", status="unresolved")["items"] and len(shop.sim.orders) == 2
    shop.look(3)
    assert shop.trader.holds(1) == owned, "taken over once"
    assert (
        shop.trader.trades("close")["status"] == "filled"
        and shop.sim.market.quantity(shop.sim.market.asset("AAPL")) == 0
    )


def test_an_order_that_still_rests_is_taken_over_and_its_fill_is_booked(shop: Shop):
    shop.back_up()
    shop.trader.trades("buy", order_type="limit", limit_price="90")
    shop.restore()
    shop.look()
    (order,) = shop.trader.get("/orders")["items"]
    assert (order["status"], order["type"], order["limit_price"]) == ("working", "limit", "90")
    shop.sim.set_price("AAPL", 89)
    shop.installation.work()
    assert shop.trader.holds(1) == 10
    shop.look(2)
    assert not shop.trader.get("/drifts", status="unresolved")["items"]


def test_a_signal_that_waited_in_the_backup_gets_the_order_it_has_already_led_to(shop: Shop):
    shop.installation.app.engine.host = GatedHost(lambda account, symbol: "not yet")
    signal = shop.trader.send(action="buy")
    shop.installation.work()
    shop.back_up()
    shop.installation.app.engine.host = GatedHost(shop.installation.app.engine.reconciler.wait_reason)
    shop.clock.forward(2)
    shop.installation.work()
    assert shop.trader.story(signal)["status"] == "filled"
    shop.restore()
    assert shop.trader.story(signal)["status"] == "working"
    shop.look(2)
    shop.installation.work()
    story = shop.trader.story(signal)
    assert (
        story["status"] == "filled"
        and len(story["orders"]) == 1
        and len(shop.sim.orders) == 1
        and shop.trader.holds(1) == 10
    )


def place(shop: Shop, name: str, quantity: str = "3") -> None:
    body = {
        "symbol": "AAPL",
        "qty": quantity,
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": name,
    }
    assert raw(shop.sim, "POST", "/v2/orders", body)[0] == 200


def test_an_order_of_a_deleted_bot_is_notified_once_and_shows_as_a_mismatch(shop: Shop):
    name = client_order_id(new_id(shop.clock.now()), 77, 0)
    assert bot_of_order(name) == 77
    shop.trader.trades("buy")
    place(shop, name)
    shop.look(4)
    (drift,) = shop.trader.get("/drifts", status="unresolved")["items"]
    assert drift["difference"] == "3" and shop.trader.holds(1) == 10
    assert [one.bot_id for one in shop.trader.notices(OrderWithoutBot)] == [77]
    (signal,) = [s for s in shop.trader.get("/signals")["items"] if s["origin"] == "adopted"]
    assert signal["status"] == "refused" and "bot 77" in signal["reason"]


def test_foreign_orders_on_the_account_are_not_recovered(shop: Shop):
    shop.trader.trades("buy")
    place(shop, "bought-by-hand")
    shop.look(4)
    assert [d["kind"] for d in shop.trader.get("/drifts", status="unresolved")["items"]] == ["more"]
    assert len(shop.trader.get("/orders")["items"]) == 1


def test_a_fill_later_than_a_minute_is_found_by_the_comparison(shop: Shop):
    signal = shop.trader.trades("buy", order_type="limit", limit_price="90")
    name = signal["orders"][0]["order_id"]
    shop.trader.request("POST", f"/orders/{name}/cancel")
    shop.installation.work()
    assert shop.trader.get(f"/orders/{name}")["status"] == "canceled"
    shop.clock.forward(120)
    with shop.sim.market.lock:
        order = shop.sim.market.by_client[name]
        order.filled, order.cost = D(4), D(360)
        shop.sim.market.set_position(order.asset, D(4), D(90))
    shop.look(4)
    assert shop.trader.holds(1) == 4 and not shop.trader.get("/drifts", status="unresolved")["items"]
    assert shop.trader.get(f"/orders/{name}")["filled_quantity"] == "4"
