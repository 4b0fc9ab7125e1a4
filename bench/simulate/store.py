"""The world that a schedule changes, as the simulation needs it: a database in memory, with people, accounts
and bots.

One outer transaction stands open for each schedule; a commit of the engine is a savepoint in it, and `reset`
rolls everything back. Between two commits, and at each call to a venue, the process may end (`Crash`)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from bench.crash_world import KEY
from bench.simulate.chance import JULIAN_1970, Clock
from bot_database import Database
from dashtrade.brokers.registry import BROKERS
from dashtrade.context import App, assemble
from dashtrade.database.engines import driver
from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.people import User
from dashtrade.domain.ports import Broker
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.settings import Settings
from dashtrade.tables.base import metadata, take_after_commit
from encryption import Vault
from tests.support.fakes import MORNING, ManualFeed, add_user

T = TypeVar("T")
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

    def reset(self) -> None:
        self.db.reset()

    def begin(self) -> None:
        self.clock.restart()
        self.points.restart()
        self.db.begin()


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
