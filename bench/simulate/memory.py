"""The simulation's world without a database: the engine's steps run on books in memory.

The installation is made once in a database, as any is; its accounts and bots are read into memory, where each
schedule begins with copies of them. Before and after each commit the process may end, as in the database.
Comparisons with the broker and the watch over positions need the tables: they are not in this world."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from bench.simulate.chance import Clock
from bench.simulate.records import Records, kept
from bench.simulate.store import A_MOMENT, CrashPoints, World
from bot_engine import Engine
from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Stop
from dashtrade.domain.kernel import accepting
from dashtrade.domain.kernel.accepting import Alert, IntakeResult
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.memory_books import MemoryBooks, MemoryPaperStore
from dashtrade.domain.kernel.memory_rows import MemoryRows
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.kernel.records import Message
from dashtrade.domain.notices.people import KeyRefused
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import Broker
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import ZERO, OrderType
from dashtrade.engine.exits import close_signal
from dashtrade.engine.host import Host
from dashtrade.engine.steps import Step
from dashtrade.engine.store import Errors, Look
from dashtrade.engine.workflow import Write
from tests.support import memory_user
from tests.support.memory_day import begun

_AT_BROKER = (OrderStatus.WORKING, OrderStatus.ATTENTION)


class MemoryStore:
    """A `Store` on books in memory: what `Write` runs gets the books in the place of a connection."""

    unavailable: Errors = ()
    errors: Errors = ()

    def __init__(self, clock: Clock, points: CrashPoints) -> None:
        self._clock, self._points = clock, points
        self.books = MemoryBooks()
        self.commits, self.in_write = 0, False

    def look(self) -> AbstractContextManager[Look]:
        return contextlib.nullcontext(self.books)

    def accept(self, alert: Alert) -> IntakeResult:
        result: IntakeResult = self.commit(lambda books: accepting.accept(books, alert))
        return result

    def run(self, effect: Step | Write) -> Any:
        if isinstance(effect, Write):
            return self._write(effect.run)
        if effect.lease is not None:
            effect.check(self.books.token_of(effect.lease.lane))
        return self.commit(effect.fn)

    def commit(self, fn: Callable[[Books], Any]) -> Any:
        """A step whose changes are kept if the process lives to commit them."""

        def work(books: Books) -> Any:
            result = fn(books)
            self._points.reach("before a commit")
            self.commits += 1
            if self.drops_commit():
                raise _Dropped(result)
            return result

        self.in_write = True
        try:
            result = self.books.run(work)
        except _Dropped as dropped:
            return dropped.result
        finally:
            self.in_write = False
        self._committed()
        return result

    def drops_commit(self) -> bool:
        """For a mutant: this commit says that it happened, and did not."""
        return False

    def _write(self, run: Callable[[Any], Any]) -> Any:
        self._points.reach("before a commit")
        self.commits += 1
        result = run(self.books)
        self._committed()
        return result

    def _committed(self) -> None:
        self._clock.forward(A_MOMENT)
        self._points.reach("after a commit")

    def claim(self, lane: Lane, owner: str, ttl: float) -> Write:
        run: Any = lambda books: books.claim(lane, owner, ttl, self._clock.seconds())  # noqa: E731
        return Write(run)

    def renew(self, owner: str, ttl: float | None) -> None:
        if ttl is not None:
            self._write(lambda books: books.renew(owner, ttl, self._clock.seconds()))

    def release(self, owner: str) -> None:
        self._write(lambda books: books.release(owner))

    def disable(self, account_id: int, user_id: int, why: Reason, now: datetime) -> Write:
        run: Any = lambda books: _disable(books.rows, account_id, why, now)  # noqa: E731
        return Write(run)


class _Dropped(Exception):
    def __init__(self, result: Any) -> None:
        self.result = result


def _disable(rows: MemoryRows, account_id: int, why: Reason, now: datetime) -> None:
    """As `refused_keys` does on the tables."""
    account, paused = rows.accounts[account_id], 0
    if not account.is_active:
        return
    rows.accounts[account_id] = replace(account, is_active=False, disabled_reason=why)
    for bot in list(rows.bots.values()):
        if bot.account_id == account_id and bot.is_active and bot.deleted_at is None:
            reason = Reason(Code.KEY_REFUSED)
            rows.bots[bot.id] = replace(bot, is_active=False, paused_reason=reason, updated_at=now)
            paused += 1
    notice = KeyRefused(account=account.label, reason=why, paused_bots=paused)
    rows.messages.append(Message(user_id=account.user_id, notice=notice, signal_id=None, at=now))


class MemoryWorld(World):
    compares = False

    def __init__(self, made: World) -> None:
        """An installation that was made in a database."""
        super().__init__(**{name: getattr(made, name) for name in World.__dataclass_fields__})
        with made.db.read() as conn:
            self._begun = begun(conn)
        self.store = MemoryStore(made.clock, made.points)
        self._brokers: dict[int, Broker] = {}
        self._own = self.engine("user", self._no_broker, Host())

    def begin(self) -> None:
        self.clock.restart()
        self.points.restart()
        self.store.books = MemoryBooks(MemoryRows(self._begun))
        self.store.commits = 0
        self._brokers.clear()

    def reset(self) -> None:
        """The next one begins with copies of its own."""

    def run(self, effect: Step | Write) -> Any:
        return self.store.run(effect)

    @property
    def rows(self) -> MemoryRows:
        return self.store.books.rows

    @property
    def commits(self) -> int:
        return self.store.commits

    @property
    def in_write(self) -> bool:
        return self.store.in_write

    def engine(self, owner: str, broker_of: Callable[[Account], Broker], host: Host) -> Engine:
        return Engine(
            db=self.db,
            clock=self.clock,
            broker_of=broker_of,
            feed_of=lambda account: self.feed,
            owner=owner,
            host=host,
            store=self.store,
        )

    def _no_broker(self, account: Account) -> Broker:
        raise AssertionError("its user's own process trades nothing")

    def paper_broker(self, account: Account) -> Broker:
        if account.id not in self._brokers:
            self._brokers[account.id] = PaperBroker(
                MemoryPaperStore(self.store.books, account.id, self.store.commit),
                self.feed,
                self.clock,  # type: ignore[arg-type]
                PaperSettings.from_options(account.options),
                self.app.trading_days.sessions,
            )
        return self._brokers[account.id]

    def free_lanes(self) -> None:
        self.store.books.release()

    # --- what is in the books ---

    def records(self) -> Records:
        return kept(self.rows)

    def find_order(self, account_id: int, order_id: str) -> Order | None:
        return self.store.books.find_order(account_id, order_id)

    def open_orders(self) -> list[Order]:
        return [
            order for account in self.accounts.values() for order in self.store.books.open_orders(account)
        ]

    def working_accounts(self) -> set[int]:
        return {order.account_id for order in self.open_orders() if order.status in _AT_BROKER}

    def last_event(self) -> int:
        return len(self.rows.events)

    def lanes_to_decide(self, now: datetime) -> list[Lane]:
        return [
            lane for lane in self.rows.waiting if self.store.books.due(lane.account_id, lane.symbol, now, 1)
        ]

    def has_differences(self) -> bool:
        return False

    def holding(self) -> list[int]:
        return [bot.id for bot in self.rows.bots.values() if bot.position.quantity]

    # --- what its user does ---

    def limit(self, bot_id: int, limits: Mapping[str, Any]) -> None:
        given = dict(limits)
        if "order_type" in given:
            given["order_type"] = OrderType(given["order_type"])
        self.rows.bots[bot_id] = replace(self.rows.bots[bot_id], **given)

    def cancel(self, order_id: str) -> None:
        self.rows.put_orders([replace(self.rows.orders[order_id], cancel_requested=True)])

    def set_active(self, bot_id: int, active: bool) -> None:
        memory_user.set_active(self.rows, bot_id, active, self.clock.now())

    def put_switch(self, stop: Stop) -> None:
        memory_user.put_switch(self.rows, "user", self.user.id, stop)

    def put_keys_right(self) -> None:
        for account_id, account in self.rows.accounts.items():
            self.rows.accounts[account_id] = replace(account, is_active=True, disabled_reason=NO_REASON)

    def say_not_placed(self, order_id: str) -> None:
        now, why = self.clock.now(), Reason(Code.USER_SAYS_NOT_PLACED)
        ended = replace(
            self.rows.orders[order_id],
            status=OrderStatus.CANCELED,
            reason=why,
            reserve=ZERO,
            due_at=None,
            updated_at=now,
        )
        self.store.books.run(lambda books: change_order(books, ended, now))

    def close_bot(self, bot_id: int) -> None:
        signal = close_signal(self.rows.bots[bot_id], f"end-{bot_id}")
        self._own.accept(self.user.id, signal, origin=Origin.USER, sender=self.user.email)
