"""Books in memory alone: whole days leave the rows that the database has, and each question has the answer
that the tables give."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from dashtrade.database.engines import driver
from dashtrade.domain.bots import Stop
from dashtrade.domain.kernel import accepting, settlement
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.memory_books import MemoryBooks
from dashtrade.domain.kernel.source import Source
from dashtrade.domain.kernel.taking import DecidedElsewhere
from dashtrade.domain.orders import Order
from dashtrade.domain.position_mismatch import MismatchKind
from dashtrade.domain.protections import Scope
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.steps import on_books
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import bot_positions
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import lanes as lane_table
from tests.support.databases import SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import MakeApp
from tests.support.memory_day import MemoryDay, begun, rows_of, stored_rows
from tests.support.paper_day import SYMBOLS, PaperDay, bodies, paper_day, time_passes

IN_PARTS = {"fee_percent": "0.1", "fill_percent": "60", "leverage": "2"}
PROTECTIONS: list[tuple[str, Scope, int | None, dict[str, Any]]] = [
    ("cooldown", Scope.BOT, 1, {"minutes": 2, "after": "exits", "per": "bot"}),
    ("stop_streak", Scope.ACCOUNT, 2, {"stops": 2, "lock_minutes": 5}),
    ("losing_symbol", Scope.USER, None, {"exits": 2, "loss": "10", "lock_minutes": 3}),
    ("max_positions", Scope.ACCOUNT, 1, {"positions": 4}),
    ("max_exposure", Scope.USER, None, {"amount": "12000"}),
    ("orders_per_minute", Scope.USER, None, {"orders": 12, "lock_minutes": 1}),
]
Days = tuple[PaperDay, MemoryDay]


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def days(make_app: MakeApp, sqlite_files: SqliteFiles, tmp_path: Path) -> Days:
    """The same installation twice; one of them trades in memory."""

    def make(name: str) -> PaperDay:
        clock = ManualClock()
        feed = ManualFeed(clock)
        url = sqlite_files.fresh(tmp_path / f"{name}.db")
        day = paper_day(make_app(clock=clock, feed=feed, DATABASE_URL=url), clock, feed, IN_PARTS)
        day.protect(PROTECTIONS)
        return day

    stored, lends = make("stored"), make("lends")
    with lends.app.db.read() as conn:
        return stored, MemoryDay(lends, MemoryBooks(begun(conn)))


def user_acts(day: PaperDay | MemoryDay, chance: random.Random, locks: int) -> None:
    what, number = chance.random(), chance.randint(1, 8)
    if what < 0.15:
        day.set_active(number, chance.random() < 0.7)
    elif what < 0.25:
        scope, scope_id = chance.choice((("user", 1), ("account", 2), ("bot", 3)))
        day.put_switch(scope, scope_id, chance.choice((Stop.PAUSE_ENTRIES, Stop.REDUCE_ONLY)))
    elif what < 0.4:
        for scope, scope_id in (("user", 1), ("account", 2), ("bot", 3)):
            day.put_switch(scope, scope_id, Stop.NONE)
    elif locks:
        day.unlock(locks)


def standing(memory: MemoryDay) -> int:
    """The newest lock, if it has not ended; 0: none."""
    found = [
        kept.id
        for kept in memory.books.rows.locks.values()
        if kept.unlocked_at is None and (kept.lock.until is None or kept.lock.until > memory.clock.now())
    ]
    return max(found, default=0)


def live(days: Days, seed: int, rounds: int) -> Iterator[None]:
    stored, memory = days
    for number in range(rounds):
        for day in days:
            time_passes(day, random.Random(f"time/{seed}/{number}"))
        lock = standing(memory)
        for day, alerts in ((stored, stored), (memory, memory.day)):
            chance = random.Random(f"{seed}/{number}")
            user_acts(day, chance, lock)
            day.one_by_one([alerts.alert(body) for body in bodies(chance, chance.randint(1, 9))])
        yield


# --- equal rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_day_in_memory_leaves_the_rows_that_the_database_has(days: Days, seed: int) -> None:
    stored, memory = days
    for _ in live(days, seed, 30):
        pass
    rows = rows_of(memory.books.rows)
    with stored.app.db.read() as conn:
        for name, mine in rows.items():
            theirs = stored_rows(conn, name, mine[0]) if mine else []
            assert sorted(mine, key=repr) == sorted(theirs, key=repr), name
        for number, bot in memory.books.rows.bots.items():
            assert bot == bot_positions.load(conn, number)
    assert len(rows["orders"]) > 15


def test_all_that_a_day_could_leave_is_compared(days: Days) -> None:
    seen: Counter[str] = Counter()
    for _ in live(days, 3, 40):
        rows = rows_of(days[1].books.rows)
        seen.update(name for name, found in rows.items() if found)
    assert set(seen) == set(rows_of(days[1].books.rows))


# --- each question ------------------------------------------------------------------------------------------

Ask = Callable[[Any, MemoryDay], list[Any]]  # the answers of a source; a day, to choose what is asked


def _orders(day: MemoryDay) -> list[Order]:
    return list(day.books.rows.orders.values())


def _bots(day: MemoryDay) -> list[Any]:
    return list(day.books.rows.bots.values())


def _of_bots(ask: Callable[[Any, Any], Any]) -> Ask:
    return lambda source, day: [ask(source, bot) for bot in _bots(day)]


def _of_orders(ask: Callable[[Any, Order], Any]) -> Ask:
    return lambda source, day: [ask(source, order) for order in _orders(day)]


def _of_places(ask: Callable[[Any, int, Symbol, Any], Any]) -> Ask:
    return lambda source, day: [
        ask(source, number, Symbol.parse(symbol), day.clock.now())
        for number in (1, 2)
        for symbol in (*SYMBOLS, "TSLA")
    ]


def _in_scopes(ask: Callable[[Any, Any, Scope, Any], Any]) -> Ask:
    return lambda source, day: [
        ask(source, bot, scope, day.clock.now() - back)
        for bot in _bots(day)
        for scope in Scope
        for back in (timedelta(minutes=1), timedelta(days=1))
    ]


def _unordered(found: Any) -> list[Any]:
    return sorted(found, key=repr)


def _restrictions(source: Any, bot: Any, day: MemoryDay) -> Any:
    found = source.restrictions(bot, day.clock.now())
    return [_unordered(part) for part in (found.switches, found.locks, found.protections)]


def _waiting_for_open(source: Any, day: MemoryDay) -> list[Any]:
    tasks = [kept.task for kept in day.books.rows.decisions.values()]
    return [list(source.waiting_for_open(task, day.clock.now())) for task in tasks]


ASKED: dict[str, Ask] = {
    "account": lambda s, day: [s.account(number).options for number in (1, 2)],  # sealed anew each time
    "order": _of_orders(lambda s, order: s.order(order.id)),
    "open_orders": lambda s, day: [list(s.open_orders(number)) for number in (1, 2)],
    "orders_of_signal": _of_orders(lambda s, o: list(s.orders_of_signal(o.signal_id, o.bot_id))),
    "bot": _of_bots(lambda s, bot: s.bot(bot.id)),
    "bots_on": _of_places(lambda s, account, symbol, now: _unordered(s.bots_on(account, symbol))),
    "lots": _of_bots(lambda s, bot: list(s.lots(bot.id))),
    "booked_fills": _of_orders(lambda s, order: s.booked_fills(order.id)),
    "trip_inputs": _of_orders(lambda s, order: s.trip_inputs(order)),
    "drift": _of_places(lambda s, account, symbol, now: s.drift(account, symbol)),
    "outside_quantity": _of_places(lambda s, account, symbol, now: s.outside_quantity(account, symbol)),
    "due": _of_places(lambda s, account, symbol, now: list(s.due(account, symbol, now, 9))),
    "waiting_for_open": _waiting_for_open,
    "outcomes": lambda s, day: [s.outcomes(signal_id) for signal_id in day.books.rows.signals],
    "signal": lambda s, day: [s.signal(signal_id) for signal_id in day.books.rows.signals],
    "restrictions": lambda s, day: [_restrictions(s, bot, day) for bot in _bots(day)],
    "past_exits": _in_scopes(lambda s, bot, scope, since: list(s.past_exits(bot, scope, since))),
    "sent_entries": _in_scopes(lambda s, bot, scope, since: _unordered(s.sent_entries(bot, scope, since))),
    "other_holdings": _in_scopes(lambda s, bot, scope, since: _unordered(s.other_holdings(bot, scope))),
    "resets": lambda s, day: [s.resets(range(1, 7))],
    "repeat_of": lambda s, day: [
        s.repeat_of(1, kept.new.dedupe_key) for kept in day.books.rows.signals.values() if kept.new.dedupe_key
    ],
    "listening_on": _of_places(lambda s, account, symbol, now: list(s.listening_on(1, symbol))),
    "all_listeners": lambda s, day: [list(s.all_listeners(number)) for number in (1, 2)],
    "engaged": lambda s, day: [_unordered(s.engaged(1, numbers)) for numbers in ([1], [2, 3, 4, 9], [])],
    "stored_bytes": lambda s, day: [s.stored_bytes(number) for number in (1, 2)],
    "paper_cash": lambda s, day: [s.paper_cash(number) for number in (1, 2)],
    "paper_positions": lambda s, day: [list(s.paper_positions(number)) for number in (1, 2)],
    "paper_working": lambda s, day: [list(s.paper_working(number)) for number in (1, 2)],
    "paper_order": _of_orders(lambda s, order: s.paper_order(order.account_id, order.id)),
    "paper_fills": _of_orders(lambda s, order: list(s.paper_fills(order.account_id, order.id))),
    "find_order": _of_orders(lambda s, o: (s.find_order(o.account_id, o.id), s.find_order(9, o.id))),
    "open_in_lane": _of_places(lambda s, account, symbol, now: list(s.open_in_lane(Lane(account, symbol)))),
    "open_lanes": lambda s, day: [
        s.open_lanes(day.clock.now() + later) for later in (timedelta(0), timedelta(minutes=1))
    ],
}
NEVER_HERE = {"drift", "outside_quantity", "waiting_for_open"}  # have tests of their own below
NOTHING_TO_TELL = {"new_id", "lock_protections"}


def test_every_question_of_the_kernel_is_asked() -> None:
    wanted = {
        name
        for part in Source.__mro__
        for name, value in vars(part).items()
        if callable(value) and not name.startswith("_")
    }
    assert wanted - NOTHING_TO_TELL <= ASKED.keys() and len(wanted) > 25


@pytest.mark.parametrize("seed", range(2))
def test_each_question_has_the_answer_that_the_tables_give(days: Days, seed: int) -> None:
    stored, memory = days
    told: set[str] = set()
    for _ in live(days, 100 + seed, 40):
        with stored.app.db.read() as conn:
            for name, ask in ASKED.items():
                mine, theirs = ask(memory.books, memory), ask(StoredBooks(conn), memory)
                assert mine == theirs, name
                if any(mine):
                    told.add(name)
    assert ASKED.keys() - NEVER_HERE <= told, "an answer that is always empty proves nothing"


def test_what_a_paper_day_does_not_have_is_answered_alike_too(days: Days) -> None:
    """A difference at the broker, own holdings, and entries that wait for the open."""
    stored, memory = days
    symbol = Symbol.parse("AAPL")
    figures = {"ours": D(1), "outside": D(7), "theirs": D(3), "kind": MismatchKind.LESS, "detail": NO_REASON}
    more: dict[str, Any] = {"average_price": None, "mark": None, "ratio": None}
    now = stored.clock.now()

    def differ(conn: Any) -> Any:
        drift_table.add(
            conn, 1, account_id=1, asset=symbol.text, symbol=symbol, opened_at=now, updated_at=now,
            **figures, **more,
        )  # fmt: skip
        drift_table.put_outside(conn, 1, 1, symbol.text, D(7), now)
        return drift_table.unresolved_on(conn, 1, symbol)

    memory.books.rows.drifts[1, symbol.text] = stored.app.db.write(differ)
    memory.books.rows.outside[1, symbol.text] = D(7)
    for day, alerts in ((stored, stored), (memory, memory.day)):
        body = {"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1", "delay": 60}
        day.one_by_one([alerts.alert(body | {"id": each}) for each in "abc"])

    def put_off(books: Books) -> None:
        at = now + timedelta(hours=1)
        for task in list(books.source.due(1, symbol, at, 2)):
            books.put_pending(replace(task, due_at=at, held_until=at))

    memory.books.run(put_off)
    stored.app.db.write(lambda conn: on_books(conn, put_off))
    with stored.app.db.read() as conn:
        for name in sorted(NEVER_HERE):
            mine = ASKED[name](memory.books, memory)
            assert mine == ASKED[name](StoredBooks(conn), memory) and any(mine), name


# --- a step counts whole or not at all ----------------------------------------------------------------------


def test_a_step_that_raises_has_changed_nothing(days: Days) -> None:
    memory = days[1]
    alert = memory.day.alert({"action": "buy", "symbol": "AAPL", "timeframe": "15"})

    def broken(books: Books) -> None:
        accepting.accept(books, alert)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        memory.books.run(broken)
    assert not any(rows_of(memory.books.rows)[name] for name in ("signals", "decisions"))
    assert memory.books.run(lambda books: accepting.accept(books, alert)) and memory.books.rows.decisions[1]


def test_a_decision_is_made_once(days: Days) -> None:
    memory = days[1]
    alert = memory.day.alert({"action": "buy", "symbol": "MSFT", "timeframe": "15", "bot": "2"})
    memory.books.run(lambda books: accepting.accept(books, alert))
    [kept] = memory.books.rows.decisions.values()

    def refuse(books: Books) -> None:
        settlement.refuse(
            books, kept.task.id, alert.id, NO_REASON, sole_recipient=True, now=alert.received_at
        )

    memory.books.run(refuse)
    with pytest.raises(DecidedElsewhere):
        memory.books.run(refuse)
    assert not memory.books.due(1, Symbol.parse("MSFT"), alert.received_at, 9)


# --- lanes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_lanes_go_from_hand_to_hand_as_in_the_tables(days: Days, seed: int) -> None:
    stored, memory = days
    chance, seconds = random.Random(seed), [1_000_000.0]
    lanes = [Lane(1, Symbol.parse(symbol)) for symbol in SYMBOLS]

    def trade_places(conn: Any) -> list[tuple[Any, Any]]:
        told: list[tuple[Any, Any]] = []
        driver(conn).create_function("julianday", 1, lambda _: 2440587.5 + seconds[0] / 86400)
        for _ in range(200):
            seconds[0] += chance.choice((0.51, 2.03, 7.0))
            lane, owner = chance.choice(lanes), chance.choice("ab")
            match chance.choice(("claim", "claim", "claim", "renew", "release", "free")):
                case "claim":
                    mine = memory.books.claim(lane, owner, 6.0, seconds[0])
                    told.append((mine, lane_table.claim(conn, lane, owner, 6.0)))
                case "renew":
                    memory.books.renew(owner, 6.0, seconds[0])
                    lane_table.renew(conn, owner, 6.0)
                case "release":
                    memory.books.release(owner)
                    lane_table.release(conn, owner)
                case "free":
                    memory.books.release()
                    lane_table.free_lanes(conn)
            told += [(memory.books.token_of(each), lane_table.token_of(conn, each)) for each in lanes]
        raise _Undone(told)

    with pytest.raises(_Undone) as undone:
        stored.app.db.write(trade_places)
    told = undone.value.told
    assert [mine for mine, _ in told] == [theirs for _, theirs in told]
    assert {None, 1, 2} <= {mine for mine, _ in told}


class _Undone(Exception):
    def __init__(self, told: list[tuple[Any, Any]]) -> None:
        self.told = told
