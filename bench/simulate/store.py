"""The world that a schedule changes, as the simulation needs it: a database in memory, with people, accounts
and bots.

One outer transaction stands open for each schedule; a commit of the engine is a savepoint in it, and `reset`
rolls everything back. Between two commits, and at each call to a venue, the process may end (`Crash`)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from bench.crash_world import KEY
from bench.simulate.chance import JULIAN_1970, Clock
from bench.simulate.records import Records, stored
from bot_database import Database
from bot_engine import Engine
from dashtrade.brokers.registry import BROKERS
from dashtrade.context import App, assemble
from dashtrade.database.engines import driver
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Stop
from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.orders import Order
from dashtrade.domain.people import User
from dashtrade.domain.ports import Broker
from dashtrade.domain.reasons import NO_REASON
from dashtrade.engine.host import Host
from dashtrade.engine.steps import Step
from dashtrade.engine.workflow import Write
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.trading import orders as order_service
from dashtrade.settings import Settings
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import orders as order_table
from dashtrade.tables.base import metadata, take_after_commit
from dashtrade.tables.compiled_sql import scalar
from encryption import Vault
from tests.support.fakes import MORNING, ManualFeed, add_user

T = TypeVar("T")
_LAST_EVENT = sa.select(sa.func.max(order_events.events.c.id).label("last"))
A_MOMENT = 0.001  # seconds that a commit takes


class Crash(BaseException):
    """The process ends here."""


class CrashPoints:
    """Counts what may be the last thing that a process does; `left` set: it ends after that many."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.live = False  # a worker or the receiver is at work: it may crash
        self.passed_so_far = 0
        self.tell: Callable[[str], None] = lambda what: None

    def restart(self) -> None:
        self.left, self.live, self.passed_so_far = None, False, 0

    def reach(self, what: str) -> None:
        if not self.live:
            return
        self.passed_so_far += 1
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left = None
            self.tell(f"CRASH {what}")
            raise Crash(what)


class Memory(Database):
    """One connection, one thread."""

    def __init__(self, clock: Clock, points: CrashPoints) -> None:
        super().__init__("sqlite://")
        metadata.create_all(self.engine)
        self._clock, self.points = clock, points
        self._conn = self.group.connection()
        self._raw = driver(self._conn)
        self._raw.create_function(
            "julianday", 1, lambda _: JULIAN_1970 + (MORNING.timestamp() + clock.seconds()) / 86400
        )
        self._raw.execute("PRAGMA synchronous=OFF")
        self.commits, self.in_write = 0, False

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        yield self._conn

    def write_unchecked(self, fn: Callable[[sa.Connection], T]) -> T:
        if self.in_write:
            return fn(self._conn)
        raw = self._raw
        raw.execute("SAVEPOINT effect")
        self.in_write = True
        try:
            result = fn(self._conn)
            self.points.reach("before a commit")
        except BaseException:
            self._undo()
            raise
        finally:
            self.in_write = False
        self.commits += 1
        if self.drops_commit():
            self._undo()
            return result
        raw.execute("RELEASE effect")
        self._clock.forward(A_MOMENT)
        after = take_after_commit(self._conn)
        self.points.reach("after a commit")
        for one in after:
            one()
        return result

    def drops_commit(self) -> bool:
        """For a mutant: this commit says that it happened, and did not."""
        return False

    def _undo(self) -> None:
        self._raw.execute("ROLLBACK TO effect")
        self._raw.execute("RELEASE effect")
        take_after_commit(self._conn)

    def begin(self) -> None:
        self._raw.execute("BEGIN")

    def reset(self) -> None:
        self._raw.execute("ROLLBACK")
        take_after_commit(self._conn)
        self.commits = 0


PLACES: dict[str, tuple[tuple[str, str, str], ...]] = {  # (broker, symbol, timeframe) of each bot
    "venue": (("venue", "AAPL", "15"), ("venue", "AAPL", "60"), ("venue", "MSFT", "15")),
    "netted": tuple(("venue", "AAPL", frame) for frame in ("1", "5", "15")),
    "paper": (("paper", "AAPL", "15"), ("paper", "AAPL", "60"), ("paper", "MSFT", "15")),
    "both": (("venue", "AAPL", "15"), ("paper", "AAPL", "15"), ("venue", "AAPL", "60")),
}


@dataclass(slots=True, kw_only=True)
class World:
    """An installation with its user, accounts and bots; made once for each kind, and reset for each
    schedule."""

    kind: str
    clock: Clock
    points: CrashPoints
    feed: ManualFeed
    db: Memory
    app: App
    user: User
    accounts: dict[str, int] = field(default_factory=dict)  # by broker
    bots: list[int] = field(default_factory=list)

    compares = True  # its workers compare accounts with their brokers, and watch positions

    def reset(self) -> None:
        self.db.reset()

    def begin(self) -> None:
        self.clock.restart()
        self.points.restart()
        self.db.begin()

    def run(self, effect: Step | Write) -> Any:
        return self.db.write(effect.run)

    @property
    def commits(self) -> int:
        return self.db.commits

    @property
    def in_write(self) -> bool:
        return self.db.in_write

    def engine(self, owner: str, broker_of: Callable[[Account], Broker], host: Host) -> Engine:
        return Engine(
            db=self.db,
            clock=self.clock,
            broker_of=broker_of,
            feed_of=lambda account: self.feed,
            owner=owner,
            host=host,
        )

    def paper_broker(self, account: Account) -> Broker:
        return self.app.brokers.of(account)

    def free_lanes(self) -> None:
        self.db.write(lane_table.free_lanes)

    # --- what is in the books ---

    def records(self) -> Records:
        with self.db.read() as conn:
            return stored(conn)

    def find_order(self, account_id: int, order_id: str) -> Order | None:
        with self.db.read() as conn:
            return order_table.find(conn, account_id, order_id)

    def open_orders(self) -> list[Order]:
        with self.db.read() as conn:
            return [o for a in self.accounts.values() for o in order_table.open_in_account(conn, a)]

    def working_accounts(self) -> set[int]:
        with self.db.read() as conn:
            return {row.account_id for row in order_table.working_accounts(conn)}

    def last_event(self) -> int:
        with self.db.read() as conn:
            return scalar(conn, _LAST_EVENT) or 0

    def lanes_to_decide(self, now: datetime) -> list[Lane]:
        with self.db.read() as conn:
            return decision_table.open_lanes(conn, now)

    def has_differences(self) -> bool:
        with self.db.read() as conn:
            return bool(drift_table.all_unresolved(conn))

    def holding(self) -> list[int]:
        with self.db.read() as conn:
            bots = bot_positions.page_of_holding(conn, after=0)
        return [bot.id for bot in bots if bot.position.quantity]

    # --- what its user does ---

    def limit(self, bot_id: int, limits: Mapping[str, Any]) -> None:
        self.db.write(lambda conn: bot_table.change(conn, self.user.id, bot_id, **limits))

    def cancel(self, order_id: str) -> None:
        order_service.cancel(self.app, self.user, order_id)

    def set_active(self, bot_id: int, active: bool) -> None:
        bot_service.set_active(self.app, self.user, bot_id, active)

    def put_switch(self, stop: Stop) -> None:
        switch_service.put_switch(self.app, self.user, scope="user", scope_id=None, stop=stop, reason="")

    def put_keys_right(self) -> None:
        for account_id in self.accounts.values():
            self.db.write(
                lambda conn, account_id=account_id: account_table.change(
                    conn, self.user.id, account_id, is_active=True, disabled_reason=NO_REASON
                )
            )

    def say_not_placed(self, order_id: str) -> None:
        order_service.resolve(self.app, self.user, order_id, "not_placed")

    def close_bot(self, bot_id: int) -> None:
        bot_service.close_bot(self.app, self.user, bot_id, request_id=f"end-{bot_id}")


def make_world(kind: str, clock: Clock, points: CrashPoints, broker: Callable[[], Broker]) -> World:
    home = Path(tempfile.gettempdir())
    given = {"DASHTRADE_HOME": str(home), "ENCRYPTION_KEY": KEY}
    venue = BrokerKind(
        name="Venue",
        modes=("paper",),
        check=lambda credentials, options: None,
        make=lambda account, credentials, around: broker(),
    )
    clock.restart()
    db, feed = Memory(clock, points), ManualFeed(clock)  # type: ignore[arg-type]
    app = assemble(Settings.load(given, home), db, clock, Vault([KEY]), feed, {**BROKERS, "venue": venue})
    world = World(kind=kind, clock=clock, points=points, feed=feed, db=db, app=app, user=add_user(app))
    for name, symbol, timeframe in PLACES[kind]:
        if name not in world.accounts:
            world.accounts[name] = account_service.add_account(
                app, world.user, broker=name, mode="paper", label=name, credentials={}, options={}
            )
        bot: dict[str, Any] = {
            "account_id": world.accounts[name],
            "symbol": symbol,
            "timeframe": timeframe,
            "position_size": str(10 + 4 * len(world.bots)),
            "position_size_type": "quantity",
        }
        world.bots.append(bot_service.add_bot(app, world.user, bot))
    for account_id in app.engine.reconciler.due():  # found empty, long before the first alert
        app.engine.reconciler.reconcile(account_id)
    return world
