"""A day of alerts for paper accounts, from a seed: what is sent, and what becomes of prices and of bots."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Stop
from dashtrade.domain.kernel.accepting import Alert, Receipt
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.people import User
from dashtrade.domain.protections import Scope
from dashtrade.domain.signals import Origin
from dashtrade.engine.at_once import Taken
from dashtrade.engine.batches import Batches, Job
from dashtrade.engine.intake import accept
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.trading import protections as protection_service
from dashtrade.tables.base import metadata
from tests.support.fakes import ManualClock, ManualFeed, add_user

SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
ACTIONS = ("buy", "buy", "sell", "sell", "close", "reverse", "add", "reduce", "cancel")


@dataclass
class PaperDay:
    """One installation with two paper accounts of four bots each."""

    app: App
    clock: ManualClock
    feed: ManualFeed
    user: User
    number: int = 0

    def alert(self, body: dict[str, Any], *, sender_waits: bool = False) -> Alert:
        self.number += 1
        text = json.dumps(body)
        return Alert(
            id=f"{self.number:032x}",
            owner=self.user.id,
            signal=parse(text.encode()).signal,
            content=text,
            raw=text,
            origin=Origin.WEBHOOK,
            sender="a test",
            received_at=self.clock.now(),
            max_age=None,
            sender_waits=sender_waits,
        )

    def one_by_one(self, alerts: list[Alert]) -> None:
        """Each in transactions of its own: stored, and then decided."""
        for alert in alerts:
            receipt = self.app.db.write(lambda conn, alert=alert: accept(conn, alert))  # type: ignore[misc]
            if isinstance(receipt, Receipt):
                for lane in receipt.lanes:
                    self.app.engine.run_lane(lane)

    def at_once(
        self, batches: Batches, alerts: list[Alert], after: Callable[[], None] = lambda: None
    ) -> list[Taken]:
        """All in as few transactions as there is time for; `after` each of them."""
        take, taken, left = self.app.engine.at_once.take, [], alerts
        while left:
            jobs = [
                lambda kept, alert=alert: take(kept, alert, lambda lane: False)  # type: ignore[misc]
                for alert in left
            ]
            done = batches.run(jobs)
            after()
            left = left[len(done) :]
            for one in done:
                if one.error is not None:
                    raise one.error
                taken.append(one.result)
                for lane in one.result.unfinished:
                    self.app.engine.run_lane(lane)
        return taken

    def between(self, chance: random.Random) -> None:
        """Time passes, prices move, resting orders fill, and now and then somebody pauses a bot."""
        time_passes(self, chance)
        if chance.random() < 0.2:
            self.set_active(chance.randint(1, 8), chance.random() < 0.5)

    def renew(self) -> None:
        self.app.engine.leases.renew()

    def run_lane(self, lane: Lane) -> None:
        self.app.engine.run_lane(lane)

    def collect(self, account_id: int) -> list[Lane]:
        return self.app.engine.collect(account_id)

    # --- what its user does ---

    def set_active(self, bot_id: int, active: bool) -> None:
        bot_service.set_active(self.app, self.user, bot_id, active)

    def put_switch(self, scope: str, scope_id: int, stop: Stop) -> None:
        switch_service.put_switch(self.app, self.user, scope=scope, scope_id=scope_id, stop=stop, reason="")

    def unlock(self, lock_id: int) -> None:
        protection_service.unlock(self.app, self.user, lock_id)

    def protect(self, protections: Sequence[tuple[str, Scope, int | None, dict[str, Any]]]) -> None:
        for kind, scope, scope_id, settings in protections:
            protection_service.add(
                self.app, self.user, kind=kind, scope=scope, scope_id=scope_id, settings=settings
            )


class Trades(Protocol):
    """A day, wherever its books are."""

    @property
    def clock(self) -> ManualClock: ...
    @property
    def feed(self) -> ManualFeed: ...
    def renew(self) -> None: ...
    def run_lane(self, lane: Lane) -> None: ...
    def collect(self, account_id: int) -> list[Lane]: ...


def time_passes(day: Trades, chance: random.Random) -> None:
    """Prices move, and resting orders fill."""
    day.clock.forward(chance.choice((1, 7, 31, 3600)))
    for symbol in SYMBOLS:
        day.feed.set(symbol, chance.randint(80, 120))
    day.renew()
    for account_id in (1, 2):
        for lane in sorted(day.collect(account_id), key=lambda lane: lane.symbol.text):
            day.run_lane(lane)


MakeDay = Callable[[dict[str, str]], PaperDay]  # the second account's settings


def paper_day(app: App, clock: ManualClock, feed: ManualFeed, second_account: dict[str, str]) -> PaperDay:
    user = add_user(app)
    app.engine.leases.ttl = 3600.0  # however slow the machine is, a lane once held stays held
    for options in ({}, second_account):
        account_id = account_service.add_account(
            app, user, broker="paper", mode="paper", label="Paper", credentials={}, options=options
        )
        for symbol, timeframe in (*((each, "15") for each in SYMBOLS), ("AAPL", "60")):
            bot = {
                "account_id": account_id,
                "symbol": symbol,
                "timeframe": timeframe,
                "position_size": "1000",
            }
            bot_service.add_bot(app, user, bot)
    return PaperDay(app, clock, feed, user)


def bodies(chance: random.Random, count: int) -> Iterator[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    for number in range(count):
        if sent and chance.random() < 0.1:
            yield chance.choice(sent)  # a repeat
            continue
        body: dict[str, Any] = {"action": chance.choice(ACTIONS), "symbol": chance.choice((*SYMBOLS, "TSLA"))}
        body |= {"quantity": "3"} if body["action"] == "reduce" else {}
        body |= {"timeframe": "60" if body["symbol"] == "AAPL" and chance.random() < 0.3 else "15"}
        body |= chance.choice(_MORE)(chance) | ({"id": f"id-{number}"} if chance.random() < 0.7 else {})
        if sent and chance.random() < 0.05 and "id" in sent[-1]:
            body["id"] = sent[-1]["id"]  # the same id, for something else
        sent.append(body)
        yield body


_MORE: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda chance: {},
    lambda chance: {},
    lambda chance: {"quantity": str(chance.randint(1, 20))},
    lambda chance: {"orderType": "limit", "limitPrice": str(chance.randint(85, 115))},
    lambda chance: {"stopLoss": {"percent": 5}, "takeProfit": {"percent": 3}},
    lambda chance: {"bot": str(chance.randint(1, 9))},
    lambda chance: {"delay": chance.choice((1, 20))},
)


def taking(day: PaperDay, alert: Alert) -> Job:
    return lambda kept: day.app.engine.at_once.take(kept, alert, lambda lane: False)


def statuses(day: PaperDay) -> list[Any]:
    signals = metadata.tables["signals"].c
    with day.app.db.read() as conn:
        return [
            tuple(row) for row in conn.execute(sa.select(signals.id, signals.status).order_by(signals.id))
        ]
