"""Races of exits, closes, parts and hands at Alpaca: whatever comes first, nothing is sold that is not owned,
and the books agree.

Each story runs through the real library at the simulator. Its market moves in between two requests of ours,
orders fill by parts, answers are lost, and somebody cancels at the venue by hand; the worker works only where
the story says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from dashtrade.app import build_app
from dashtrade.domain.ports import BrokerError
from dashtrade.settings import Settings
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault, Reply, Seen
from tests.support.at_alpaca import account, addresses
from tests.support.databases import Postgres, SqliteFiles
from tests.support.fakes import ManualClock
from tests.support.installation import KEY, Installation, Trader

PLANS: list[dict[str, Any]] = [
    {"takeProfit": {"percent": 5}, "stopLoss": {"type": "stop", "percent": 5}},
    {"stopLoss": {"type": "stop", "percent": 3}},
    {"takeProfit": {"percent": 3}},
    {
        "takeProfit": [{"percent": 3, "share": 50}, {"percent": 6}],
        "stopLoss": {"percent": 4},
        "breakEven": True,
    },
    {"stopLoss": {"type": "trailing_stop", "percent": 3}},
    {"takeProfit": {"percent": 4}, "stopLoss": {"percent": 4}, "closeAfterMinutes": 1},
    {},
]
price = st.integers(90, 110)
step = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from(PLANS)),
    st.tuples(st.just("enter"), st.sampled_from(PLANS[:3])),
    st.tuples(
        st.just("alert"),
        st.sampled_from(
            [
                {"action": "close"},
                {"action": "close", "quantity": "30%"},
                {"action": "reduce", "quantity": 3},
                {"action": "add"},
                {"action": "breakeven"},
                {"action": "cancel"},
                {"action": "reverse"},
            ]
        ),
    ),
    st.tuples(st.just("price"), price),
    st.tuples(st.just("price"), price),
    st.tuples(st.just("ambush"), st.sampled_from(["DELETE", "POST", "GET"]), price),
    st.tuples(st.just("parts")),
    st.tuples(st.just("leg in parts")),
    st.tuples(st.just("finish")),
    st.tuples(st.just("by hand"), st.integers(0, 3)),
    st.tuples(st.just("move stop"), st.sampled_from([2, 5])),
    st.tuples(
        st.just("fault"),
        st.sampled_from(["time_out", "gateway_error", "garbage", "server_error", "rate_limited"]),
        st.sampled_from(["POST", "DELETE", "GET"]),
    ),
    st.tuples(st.just("work"), st.integers(0, 20)),
    st.tuples(st.just("work"), st.integers(0, 20)),
    st.tuples(st.just("look")),
)
stories = st.lists(step, min_size=3, max_size=16)


@dataclass
class Race:
    person: Trader
    bot: int
    sim: AlpacaSimulator
    clock: ManualClock
    sign: int
    worst: D = D(0)  # the farthest on the wrong side the account has ever been
    ambushes: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        held, answer = self.sim.market.set_position, self.sim.answer

        def set_position(asset: Any, quantity: D, average: D) -> None:
            self.worst = min(self.worst, quantity * self.sign)
            held(asset, quantity, average)

        def ambushed(request: Seen, headers: Any) -> Reply | None:
            if self.ambushes and self.ambushes[0][0] == request.method and "/v2/" in request.path:
                self.sim.set_price("AAPL", self.ambushes.pop(0)[1])
            return answer(request, headers)

        self.sim.market.set_position, self.sim.answer = set_position, ambushed  # type: ignore[method-assign]

    def happen(self, what: tuple[Any, ...]) -> None:
        market = self.sim.market
        match what:
            case ("enter", plan):
                self.person.send(action="buy" if self.sign > 0 else "sell", **plan)
            case ("alert", alert):
                self.person.send(**alert)
            case ("price", to):
                self.sim.set_price("AAPL", to)
            case ("ambush", method, to):
                self.ambushes.append((method, to))
            case ("parts",):
                market.next_in_parts = True
            case ("leg in parts",):
                for order in [o for o in market.open.values() if o.parent is not None][:1]:
                    order.parts = True
            case ("finish",):
                with market.lock:
                    market.finish_parts()
            case ("by hand", number):
                with market.lock:
                    for order in list(market.open.values())[number : number + 1]:
                        market.cancel(order)
            case ("move stop", percent):
                self.person.call("PATCH", f"/bots/{self.bot}/exits", {"stop_loss": {"percent": percent}})
            case ("fault", kind, method):
                self.sim.inject(Fault(kind, method, "/v2/orders", seconds=0.01 if kind == "time_out" else 1))
            case ("work", seconds):
                self._work(seconds)
            case ("look",):
                self.person.installation.look()

    def rest(self) -> None:
        """Nothing happens any more: everything comes to its end."""
        self.ambushes.clear()
        self.sim.clear_faults()
        for _ in range(12):
            with self.sim.market.lock:
                self.sim.market.next_in_parts = False
                self.sim.market.finish_parts()
            self._work(7)
            self.person.installation.look()

    def _work(self, seconds: int) -> None:
        """As the worker does it: a venue that cannot be asked now is asked again later."""
        self.clock.forward(seconds)
        with contextlib.suppress(BrokerError):
            self.person.installation.work()

    def agree(self) -> D:
        owned, there = self.person.holds(self.bot), self.sim.market.quantity(self.sim.market.assets["AAPL"])
        assert owned == there, f"the bot owns {owned}, Alpaca holds {there}"
        return owned


@contextmanager
def race(database_url: str, home: Path, sign: int) -> Iterator[Race]:
    with AlpacaSimulator() as sim:
        given = {
            "DASHTRADE_HOME": str(home),
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEY": KEY,
            **addresses(sim),
        }
        clock = ManualClock(datetime.now(UTC))
        sim.market.now = clock.now  # so that its prices are not old ones
        app = build_app(Settings.load(given, home), clock=clock)
        try:
            person = Installation(app).join()
            person.paper = account(person, sim)
            bot = person.bot(
                position_size="10", position_size_type="quantity", sides="long" if sign > 0 else "short"
            )
            yield Race(person, bot, sim, clock, sign)
        finally:
            app.close()


def live_through(database_url: str, home: Path, sign: int, story: list[tuple[Any, ...]]) -> None:
    note(f"{sign} {story}")
    with race(database_url, home, sign) as told:
        for step in story:
            told.happen(step)
            assert told.person.holds(told.bot) * sign >= 0, "booked in the wrong order"
        told.rest()
        owned = told.agree()
        assert told.worst >= 0, "an exit has opened the opposite of what it was to close"
        exits = told.person.get(f"/bots/{told.bot}")["exits"]
        standing = [order for order in told.sim.market.open.values() if order.parent is not None]
        assert owned or (not exits and not standing), "exits of nothing"
        holders = {line["held_by"] for line in exits if line["kind"] != "time_limit"}
        assert (holders == {"Alpaca"}) == bool(standing), (
            f"held by {holders or 'nobody'} on record, and {len(standing)} stand at Alpaca"
        )
        told.person.send(action="close")
        told.rest()
        assert told.agree() == 0 and told.worst >= 0
        assert not told.sim.market.open, "something still stands at the venue"


SOME = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SOME
@given(sign=st.sampled_from([1, -1]), story=stories)
def test_no_race_leaves_more_or_less_than_the_books_say(
    sqlite_files: SqliteFiles, tmp_path: Path, sign: int, story: list[tuple[Any, ...]]
):
    live_through(sqlite_files.fresh(), tmp_path, sign, story)


@pytest.mark.postgres
@settings(SOME, max_examples=5)
@given(sign=st.sampled_from([1, -1]), story=stories)
def test_no_race_does_on_postgresql(
    postgres_server: Postgres, tmp_path: Path, sign: int, story: list[tuple[Any, ...]]
):
    url = postgres_server.fresh()
    live_through(url, tmp_path, sign, story)
    postgres_server.drop(url)
