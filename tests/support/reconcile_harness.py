"""An account at Alpaca's simulator whose positions change by other hands than DashTrade's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dashtrade.domain.notices.base import Notice
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.at_alpaca import account
from tests.support.fakes import ManualClock
from tests.support.hosts import GatedHost
from tests.support.installation import Installation

D = Decimal


class ReconcileHarness:
    """Ann with an Alpaca account; `look` compares it as the worker does, some seconds apart."""

    def __init__(self, installation: Installation, sim: AlpacaSimulator, clock: ManualClock) -> None:
        self.installation, self.sim, self.clock, self.trader = installation, sim, clock, installation.join()
        self.account = account(self.trader, sim)
        self.reconciler = installation.app.engine.reconciler
        installation.app.engine.host = GatedHost(self.reconciler.wait_reason)

    def bot(self, symbol: str = "AAPL", timeframe: str = "15 Min", **fields: Any) -> int:
        return self.trader.bot(
            symbol,
            timeframe,
            account=self.account,
            position_size="10",
            position_size_type="quantity",
            **fields,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.reconciler.reconcile(self.account)
            self.clock.forward(4)

    def by_hand(self, symbol: str, quantity: object, price: object = 100) -> None:
        """The venue's books after something that nobody told us of."""
        with self.sim.market.lock:
            self.sim.market.set_position(self.sim.market.asset(symbol), D(str(quantity)), D(str(price)))

    def drifts(self, status: str = "unresolved") -> list[Any]:
        return self.trader.get("/drifts", status=status)["items"]

    def drift(self) -> Any:
        (only,) = self.drifts()
        return only

    def resolve(self, drift: Any, way: str, **more: Any) -> Any:
        return self.trader.request("POST", f"/drifts/{drift['id']}/resolve", {"way": way} | more)

    def notices(self, kind: type[Notice]) -> int:
        return len(self.trader.notices(kind))
