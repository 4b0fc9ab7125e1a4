"""Books kept in memory: as the tables have them after every step, whoever writes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from dashtrade.domain.kernel.accepting import Alert
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.orders import Order
from dashtrade.domain.signals import Action
from dashtrade.domain.symbols import Symbol
from dashtrade.engine import at_once, storing
from dashtrade.engine.batches import Batches, Job
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.kept_rows import KeptRows
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import new_ids
from tests.support.databases import SqliteFiles
from tests.support.fakes import MORNING, ManualClock, ManualFeed
from tests.support.installation import MakeApp
from tests.support.paper_day import SYMBOLS, PaperDay, bodies, paper_day

AAPL = Symbol.parse("AAPL")
MakeDay = Callable[..., PaperDay]
# its orders fill in parts, each with a fee: then the order in which lanes are run shows in the figures
IN_PARTS = {"fee_percent": "0.1", "fill_percent": "60", "leverage": "2"}


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashtrade.engine.batches.BATCH_SECONDS", 60)


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def make_day(make_app: MakeApp, sqlite_files: SqliteFiles, tmp_path: Path) -> MakeDay:
    def make(name: str, second_account: dict[str, str]) -> PaperDay:
        clock = ManualClock()
        feed = ManualFeed(clock)
        url = sqlite_files.fresh(tmp_path / f"{name}.db")
        return paper_day(make_app(clock=clock, feed=feed, DATABASE_URL=url), clock, feed, second_account)

    return make


@pytest.fixture
def day(make_day: MakeDay) -> PaperDay:
    return make_day("day", IN_PARTS)


@pytest.fixture
def batches(day: PaperDay) -> Batches:
    return Batches(day.app.db)


# --- equal tables -------------------------------------------------------------------------------------------

# of the process and of people, not of trading
_APART = {
    *("user_api_keys", "user_webhook_tokens", "users", "system_settings"),
    *("alembic_version", "lanes", "workers"),
}
# numbers that say in which order lanes were run, which is free
_NUMBERS = {"id", "fill_id"}


def _counted(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return row if table == "decisions" else {name: row[name] for name in row if name not in _NUMBERS}


def tables_of(day: PaperDay) -> dict[str, list[Any]]:
    with sqlite3.connect(day.app.db.file or "") as conn:
        conn.row_factory = sqlite3.Row
        names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(
                (_counted(name, dict(row)) for row in conn.execute(f'SELECT * FROM "{name}"')), key=repr
            )
            for name in names
            if name not in _APART
        }


@pytest.mark.parametrize("seed", range(6))
def test_alerts_taken_together_leave_the_tables_as_if_each_had_its_own_transactions(
    make_day: MakeDay, seed: int
) -> None:
    whole = {"leverage": "2"}
    together, apart = make_day("together", whole), make_day("apart", whole)
    batches = Batches(together.app.db)
    for day, run in ((together, lambda alerts: together.at_once(batches, alerts)), (apart, apart.one_by_one)):
        chance = random.Random(seed)
        for _ in range(12):
            day.between(chance)
            run([day.alert(body) for body in bodies(chance, chance.randint(1, 12))])  # type: ignore[operator]
    found, wanted = tables_of(together), tables_of(apart)
    assert found.keys() == wanted.keys() and len(wanted["orders"]) > 20
    for name in wanted:
        assert found[name] == wanted[name], name


# --- the books are what the tables say ----------------------------------------------------------------------


def differing(kept: Any, stored: Any) -> str:
    if isinstance(kept, list) and len(kept) == len(stored):
        kept, stored = next((one, other) for one, other in zip(kept, stored, strict=True) if one != other)
    return f"{kept} kept, {stored} stored"


def differences(kept: KeptBooks, conn: Any) -> list[str]:
    """Of each row that is kept from what the tables say."""
    rows, stored = kept.rows, StoredBooks(conn)
    read: dict[str, Callable[[Any], Any]] = {
        "tokens": lambda lane: lane_table.token_of(conn, lane),
        "last_ids": lambda row: new_ids.last_id(conn, row),
        "accounts": stored.account,
        "bots": stored.bot,
        "bots_on": lambda key: tuple(bot.id for bot in stored.bots_on(*key)),
        "lots": lambda bot_id: tuple(stored.lots(bot_id)),
        "open_orders": stored.open_orders,
        "waiting": lambda lane: decision_table.waiting_in_lane(conn, lane.account_id, lane.symbol, 500),
        "outcomes": stored.outcomes,
        "stored_bytes": stored.stored_bytes,
        "listening": lambda key: stored.listening_on(*key),
        "listeners": stored.all_listeners,
        "paper_cash": stored.paper_cash,
        "paper_positions": lambda number: {each.symbol: each for each in stored.paper_positions(number)},
        "paper_orders": lambda key: stored.paper_order(*key),
        "alerts": lambda key: stored.repeat_of(*key),
    }
    return [
        f"{name} {key}: {differing(value, fresh)}"
        for name, ask in read.items()
        for key, value in getattr(rows, name).items()
        if (fresh := ask(key)) != value
    ]


@pytest.mark.parametrize("seed", range(6))
def test_after_every_transaction_what_is_kept_is_what_is_stored(
    day: PaperDay, batches: Batches, seed: int
) -> None:
    chance = random.Random(1000 + seed)
    seen: set[str] = set()

    def compare() -> None:
        [done] = batches.run([lambda kept: differences(kept, kept._connection())])
        assert (done.error, done.result) == (None, [])
        seen.update(name for name, value in vars(batches.kept.rows).items() if value)

    for _ in range(15):
        day.between(chance)
        for _ in range(3):
            day.at_once(batches, [day.alert(body) for body in bodies(chance, chance.randint(1, 8))], compare)
    assert {"bots", "lots", "open_orders", "waiting", "paper_positions"} <= seen, "they were compared"


def test_the_comparison_sees_a_difference(day: PaperDay, batches: Batches) -> None:
    def look(kept: KeptBooks) -> list[str]:
        kept.paper_cash(1)
        kept.rows.paper_cash[1] += 1
        return differences(kept, kept._connection())

    assert len(batches.run([look])[0].result) == 1


# --- whatever others write is seen by the next step ---------------------------------------------------------

_MICROSECONDS = int((MORNING + timedelta(days=9)).timestamp() * 1_000_000)
_OF_AAPL = Lane(1, AAPL)
# (what is kept, what somebody else writes, how the next step asks, what it is told)
OTHERS_WRITE: list[tuple[str, str, Callable[[KeptBooks], Any], Any]] = [
    ("accounts", "UPDATE user_api_keys SET is_active = 0", lambda k: k.account(1).is_active, False),
    ("bots", "UPDATE user_bot_configs SET is_active = 0", lambda k: k.bot(1).is_active, False),
    ("bots_on", "UPDATE user_bot_configs SET symbol = 'NASDAQ:TSLA' WHERE id = 4",
     lambda k: [bot.id for bot in k.bots_on(1, AAPL)], [1]),
    ("lots", "DELETE FROM lots", lambda k: list(k.lots(1)), []),
    ("trips", "DELETE FROM round_trips", lambda k: k.trip_inputs(_an_order(k)).trip, None),
    ("drifts", "INSERT INTO drifts (user_id, account_id, asset, symbol, status, kind, ours, outside, theirs,"
     " way, detail, opened_at, updated_at) SELECT 1, 1, symbol, symbol, 'open', 'more', '0', '0', '1', '',"
     " '', 1, 1 FROM user_bot_configs WHERE id = 1", lambda k: k.drift(1, AAPL) is not None, True),
    ("outside", "INSERT INTO outside_holdings (account_id, asset, user_id, quantity, since)"
     " SELECT 1, symbol, 1, '7', 1 FROM user_bot_configs WHERE id = 1",
     lambda k: k.outside_quantity(1, AAPL), D(7)),
    ("restrictions", "INSERT INTO switches (scope, scope_id, user_id, stop, reason, set_by, at)"
     " VALUES ('all', 0, 1, 'halt', '', 1, 1)", lambda k: len(k.restrictions(k.bot(1), MORNING).switches), 1),
    ("open_orders", "UPDATE orders SET status = 'canceled'", lambda k: list(k.open_orders(1)), []),
    ("waiting", "UPDATE decisions SET status = 'refused' WHERE status = 'waiting'",
     lambda k: list(k.due(1, AAPL, MORNING + timedelta(days=1), 9)), []),
    ("outcomes", "UPDATE decisions SET status = 'failed'",
     lambda k: {each.status for each in k.outcomes(f"{1:032x}").values()}, {"failed"}),
    ("signals", "UPDATE signals SET reading = replace(reading, '\"buy\"', '\"sell\"')",
     lambda k: k.signal(f"{1:032x}").action, Action.SELL),
    ("alerts", "UPDATE signals SET body_hash = 'x'", lambda k: k.repeat_of(1, _key(k)).body_hash, "x"),
    ("listening", "UPDATE user_bot_configs SET deleted_at = 1", lambda k: list(k.listening_on(1, AAPL)), []),
    ("listeners", "UPDATE user_bot_configs SET name = 'other'",
     lambda k: {each.name for each in k.all_listeners(1)}, {"other"}),
    ("stored_bytes", "UPDATE stored_bytes SET bytes = 5", lambda k: k.stored_bytes(1), 5),
    ("tokens", "UPDATE lanes SET token = 99", lambda k: k._token(_OF_AAPL), 99),
    ("last_ids", "INSERT INTO lots (id, user_id, bot_id, fill_id, quantity, remaining, price, opened_at)"
     " VALUES (500, 1, 1, 1, '1', '1', '1', 1)", lambda k: k.new_id(new_ids.NewRow.LOT), 501),
    ("paper_cash", "UPDATE paper_accounts SET cash = '3'", lambda k: k.paper_cash(1), D(3)),
    ("paper_positions", "DELETE FROM paper_positions", lambda k: list(k.paper_positions(1)), []),
    ("paper_orders", "UPDATE paper_orders SET reason = 'seen'",
     lambda k: {k.paper_order(*key).reason for key in _paper_keys(k)}, {"seen"}),
]  # fmt: skip


def _an_order(kept: KeptBooks) -> Order:
    return kept.orders_of_signal(f"{1:032x}", 1)[0]


def _key(kept: KeptBooks) -> str:
    (key,) = (
        kept._connection()
        .exec_driver_sql("SELECT dedupe_key FROM signals WHERE id = ?", (f"{1:032x}",))
        .one()
    )
    return str(key)


def _paper_keys(kept: KeptBooks) -> list[Any]:
    found = kept._connection().exec_driver_sql("SELECT account_id, client_order_id FROM paper_orders")
    return [tuple(row) for row in found]


def test_everything_that_is_kept_has_a_case() -> None:
    kept = {name for name, value in vars(KeptRows()).items() if not name.startswith("_")}
    assert {case[0] for case in OTHERS_WRITE} == kept


@pytest.mark.parametrize("on_own_connection", [False, True], ids=["another process", "the same connection"])
@pytest.mark.parametrize("case", OTHERS_WRITE, ids=[case[0] for case in OTHERS_WRITE])
def test_what_somebody_else_wrote_is_seen_by_the_next_step(
    day: PaperDay, batches: Batches, case: Any, on_own_connection: bool
) -> None:
    _, statement, ask, wanted = case
    day.app.engine.run_lane(_OF_AAPL)  # the lane is held
    aapl = {"symbol": "AAPL", "timeframe": "15"}
    day.at_once(batches, [day.alert({"action": "buy", "bot": "1"} | aapl)])
    resting = {"orderType": "limit", "limitPrice": "50", "bot": "1"}
    later = {"delay": 60, "bot": "1"}
    day.at_once(
        batches, [day.alert({"action": "add"} | aapl | resting), day.alert({"action": "sell"} | aapl | later)]
    )
    before = batches.run([ask])[0]
    assert before.error is None and before.result != wanted, "the case would prove nothing"
    if on_own_connection:
        day.app.db.write(lambda conn: conn.exec_driver_sql(statement) and None)
    else:
        with sqlite3.connect(day.app.db.file or "") as other:
            other.execute(statement)
        other.close()
    after = batches.run([ask])[0]
    assert after.error is None and after.result == wanted


# --- what fails ---------------------------------------------------------------------------------------------


def statuses(day: PaperDay) -> list[tuple[str, str]]:
    with sqlite3.connect(day.app.db.file or "") as conn:
        return conn.execute("SELECT id, status FROM signals ORDER BY id").fetchall()


def taking(day: PaperDay, alert: Alert) -> Job:
    return lambda kept: day.app.engine.at_once.take(kept, alert, lambda lane: False)


def test_an_alert_that_cannot_be_decided_is_stored_all_the_same_and_its_lane_goes_on_later(
    day: PaperDay, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = [
        day.alert({"action": "buy", "symbol": symbol, "timeframe": "15", "bot": str(number)})
        for number, symbol in enumerate(SYMBOLS, 1)
    ]
    for number in range(1, 4):
        day.app.engine.run_lane(Lane(1, Symbol.parse(SYMBOLS[number - 1])))
    take = day.app.engine.at_once

    def mistaken(task: Any, account: Any, books: Any) -> Any:
        if task.bot_id == 2:
            raise ZeroDivisionError
        return take._decide(books, task, account)

    monkeypatch.setattr(take, "_decide_on", mistaken)
    done = batches.run([taking(day, alert) for alert in alerts])
    assert [one.error for one in done] == [None] * 3
    assert [len(one.result.unfinished) for one in done] == [0, 1, 0]
    assert [status for _, status in statuses(day)] == ["filled", "accepted", "filled"]
    day.app.engine.run_lane(done[1].result.unfinished[0])
    assert [status for _, status in statuses(day)] == ["filled"] * 3


def test_a_step_whose_changes_cannot_be_stored_takes_no_other_with_it(
    day: PaperDay, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, bad, other = (
        day.alert({"action": "buy", "symbol": "MSFT", "timeframe": "15", "id": key, "bot": "2"})
        for key in "abc"
    )
    store = storing._store_alerts

    def refused(conn: Any, changes: Any) -> None:
        if bad.id in changes.new_signals:
            raise ZeroDivisionError
        store(conn, changes)

    monkeypatch.setattr(storing, "_store_alerts", refused)
    done = batches.run([taking(day, alert) for alert in (one, bad, other)])
    assert [type(each.error) for each in done] == [type(None), ZeroDivisionError, type(None)]
    assert [signal_id for signal_id, _ in statuses(day)] == [one.id, other.id]


def test_a_batch_that_takes_long_leaves_the_rest_to_the_next_commit(
    day: PaperDay, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashtrade.engine.batches.BATCH_SECONDS", -1)
    done = batches.run([lambda kept: 1, lambda kept: 2])
    assert [one.result for one in done] == [1]


def test_the_outcome_that_a_waiting_sender_is_told_is_the_one_that_is_stored(
    day: PaperDay, batches: Batches
) -> None:
    from dashtrade.services.trading import signal_story

    for number in range(1, 4):
        day.app.engine.run_lane(Lane(1, Symbol.parse(SYMBOLS[number - 1])))
    for body in (
        {"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1"},
        {"action": "reverse", "symbol": "AAPL", "timeframe": "15", "bot": "1"},
        {"action": "close", "symbol": "MSFT", "timeframe": "15", "bot": "2"},
    ):
        [taken] = day.at_once(batches, [day.alert(body, sender_waits=True)])
        assert taken.outcome is not None
        assert taken.outcome == signal_story.settled(day.app, day.user.id, taken.receipt.signal_id)
    assert at_once.MAX_STEPS > 2
