"""Books kept in memory: as the tables have them after every step, whoever writes."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.as_json import to_json
from dashtrade.domain.kernel.accepting import Alert
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.source import NewRow
from dashtrade.domain.orders import Order
from dashtrade.domain.position_mismatch import asset_of
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.signals import Action
from dashtrade.domain.symbols import Symbol
from dashtrade.engine import at_once, storing
from dashtrade.engine.batches import Batches, Job
from dashtrade.engine.intake import accept_on
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.kept_rows import KeptRows
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import accounts as account_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables.base import metadata
from tests.support.databases import Postgres, SqliteFiles
from tests.support.fakes import MORNING, ManualClock, ManualFeed
from tests.support.installation import MakeApp
from tests.support.paper_day import SYMBOLS, PaperDay, bodies, paper_day

AAPL = Symbol.parse("AAPL")
MakeDay = Callable[..., PaperDay]
# its orders fill in parts, each with a fee: then the order in which lanes are run shows in the figures
OURS = ["another process", "another connection of ours"]
IN_PARTS = {"fee_percent": "0.1", "fill_percent": "60", "leverage": "2"}


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashtrade.engine.batches.BATCH_SECONDS", 60)


@pytest.fixture
def make_day(request: pytest.FixtureRequest, make_app: MakeApp, database_url: str, tmp_path: Path) -> MakeDay:
    """Each on a database of its own."""

    def another() -> str:
        if database_url.startswith("sqlite"):
            files: SqliteFiles = request.getfixturevalue("sqlite_files")
            return files.fresh(tmp_path / "another.db")
        server: Postgres = request.getfixturevalue("postgres_server")
        url = server.fresh()
        request.addfinalizer(lambda: server.drop(url))
        return url

    free = [database_url]

    def make(second_account: dict[str, str]) -> PaperDay:
        clock = ManualClock()
        feed = ManualFeed(clock)
        url = free.pop() if free else another()
        return paper_day(make_app(clock=clock, feed=feed, DATABASE_URL=url), clock, feed, second_account)

    return make


@pytest.fixture
def day(make_day: MakeDay) -> PaperDay:
    return make_day(IN_PARTS)


@pytest.fixture
def batches(day: PaperDay) -> Batches:
    return Batches(day.app.db)


# --- equal tables -------------------------------------------------------------------------------------------

# of the process and of people, not of trading
_APART = {"lanes", "system_settings", "user_api_keys", "user_webhook_tokens", "users", "workers"}
# what says in which order lanes were run, which is free: numbers of rows, and how much money was left then
_NUMBERS = {"id", "fill_id", "decision_id"}


def tables_of(day: PaperDay) -> dict[str, list[Any]]:
    with day.app.db.read() as conn:
        return {
            name: sorted((_counted(name, row) for row in conn.execute(sa.select(table)).mappings()), key=repr)
            for name, table in metadata.tables.items()
            if name not in _APART
        }


def _counted(table: str, row: Any) -> dict[str, Any]:
    found = {name: row[name] for name in row if name not in _NUMBERS or table == "signals"}
    if table == "decisions":
        found["checks"] = [check for check in row["checks"] or () if check["code"] != "money_enough"]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_alerts_taken_together_leave_the_tables_as_if_each_had_its_own_transactions(
    make_day: MakeDay, seed: int
) -> None:
    whole = {"leverage": "2"}
    together, apart = make_day(whole), make_day(whole)
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


@pytest.mark.parametrize("seed", range(4))
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

_OF_AAPL = Lane(1, AAPL)


def _set(table: str, **values: Any) -> Any:
    return sa.update(metadata.tables[table]).values(**values)


def _add(table: str, **values: Any) -> Any:
    return sa.insert(metadata.tables[table]).values(**values)


def _delete(table: str) -> Any:
    return sa.delete(metadata.tables[table])


_FIRST = f"{1:032x}"
_SELL = to_json(parse(b'{"action": "sell", "symbol": "AAPL"}').signal)
_BOTS = metadata.tables["user_bot_configs"]
_MOVED = sa.update(_BOTS).where(_BOTS.c.id == 4).values(symbol=Symbol.parse("TSLA"))
_IS_WAITING = metadata.tables["decisions"].c.status == "waiting"
_REFUSED = sa.update(metadata.tables["decisions"]).where(_IS_WAITING).values(status="refused")
_DRIFT = {"user_id": 1, "account_id": 1, "asset": asset_of(AAPL), "symbol": AAPL, "status": "open"} | {
    "kind": "more", "ours": D(0), "outside": D(0), "theirs": D(1), "way": "", "detail": NO_REASON,
    "opened_at": MORNING, "updated_at": MORNING,
}  # fmt: skip
_LOT = {"user_id": 1, "bot_id": 1, "fill_id": 1, "quantity": D(1), "remaining": D(1), "price": D(1)}

# what is kept; what somebody else writes; how the next step asks; what it is told
OTHERS_WRITE: dict[str, tuple[Any, Callable[[KeptBooks], Any], Any]] = {
    "accounts": (_set("user_api_keys", is_active=False), lambda k: k.account(1).is_active, False),
    "bots": (_set("user_bot_configs", is_active=False), lambda k: k.bot(1).is_active, False),
    "bots_on": (_MOVED, lambda k: [bot.id for bot in k.bots_on(1, AAPL)], [1]),
    "lots": (_delete("lots"), lambda k: list(k.lots(1)), []),
    "trips": (_delete("round_trips"), lambda k: k.trip_inputs(_an_order(k)).trip, None),
    "drifts": (_add("drifts", **_DRIFT), lambda k: k.drift(1, AAPL) is not None, True),
    "outside": (
        _add("outside_holdings", account_id=1, asset=asset_of(AAPL), user_id=1, quantity=D(7), since=MORNING),
        lambda k: k.outside_quantity(1, AAPL),
        D(7),
    ),
    "restrictions": (
        _add("switches", scope="all", scope_id=0, user_id=1, stop="halt", reason="", set_by=1, at=MORNING),
        lambda k: len(k.restrictions(k.bot(1), MORNING).switches),
        1,
    ),
    "open_orders": (_set("orders", status="canceled"), lambda k: list(k.open_orders(1)), []),
    "waiting": (_REFUSED, lambda k: list(k.due(1, AAPL, MORNING + timedelta(days=1), 9)), []),
    "outcomes": (
        _set("decisions", status="failed"),
        lambda k: {each.status for each in k.outcomes(_FIRST).values()},
        {"failed"},
    ),
    "signals": (_set("signals", reading=_SELL), lambda k: k.signal(_FIRST).action, Action.SELL),
    "alerts": (_set("signals", body_hash="x"), lambda k: k.repeat_of(1, _key(k)).body_hash, "x"),
    "listening": (_set("user_bot_configs", deleted_at=MORNING), lambda k: list(k.listening_on(1, AAPL)), []),
    "listeners": (
        _set("user_bot_configs", name="other"),
        lambda k: {each.name for each in k.all_listeners(1)},
        {"other"},
    ),
    "stored_bytes": (_set("stored_bytes", bytes=5), lambda k: k.stored_bytes(1), 5),
    "tokens": (_set("lanes", token=99), lambda k: k._token(_OF_AAPL), 99),
    "paper_cash": (_set("paper_accounts", cash=D(3)), lambda k: k.paper_cash(1), D(3)),
    "paper_positions": (_delete("paper_positions"), lambda k: list(k.paper_positions(1)), []),
    "paper_orders": (
        _set("paper_orders", reason="seen"),
        lambda k: {k.paper_order(*key).reason for key in _paper_keys(k)},
        {"seen"},
    ),
}


def _an_order(kept: KeptBooks) -> Order:
    return kept.orders_of_signal(_FIRST, 1)[0]


def _key(kept: KeptBooks) -> str:
    signals = metadata.tables["signals"].c
    return str(kept._connection().scalar(sa.select(signals.dedupe_key).where(signals.id == _FIRST)))


def _paper_keys(kept: KeptBooks) -> list[Any]:
    orders = metadata.tables["paper_orders"].c
    found = kept._connection().execute(sa.select(orders.account_id, orders.client_order_id))
    return [tuple(row) for row in found]


def test_everything_that_is_kept_has_a_case() -> None:
    kept = {name for name in vars(KeptRows()) if not name.startswith("_")}
    assert OTHERS_WRITE.keys() == kept - {"last_ids", "spare_ids"}, "ids are in the next test"


@pytest.mark.parametrize("in_our_process", [False, True], ids=OURS)
@pytest.mark.parametrize("kept", OTHERS_WRITE)
def test_what_somebody_else_wrote_is_seen_by_the_next_step(
    day: PaperDay, batches: Batches, kept: str, in_our_process: bool
) -> None:
    statement, ask, wanted = OTHERS_WRITE[kept]
    day.app.engine.run_lane(_OF_AAPL)  # the lane is held
    aapl = {"symbol": "AAPL", "timeframe": "15"}
    day.at_once(batches, [day.alert({"action": "buy", "bot": "1"} | aapl)])
    resting = {"orderType": "limit", "limitPrice": "50", "bot": "1"}
    later = {"delay": 60, "bot": "1"}
    for more in ({"action": "add"} | resting, {"action": "sell"} | later):
        day.at_once(batches, [day.alert(aapl | more)])
    before = batches.run([ask])[0]
    assert before.error is None and before.result != wanted, "the case would prove nothing"
    write(day, statement, in_our_process)
    after = batches.run([ask])[0]
    assert after.error is None and after.result == wanted


def write(day: PaperDay, statement: Any, in_our_process: bool) -> None:
    if in_our_process:
        day.app.db.write(lambda conn: conn.execute(statement) and None)
        return
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))
    other.write(lambda conn: conn.execute(statement) and None)
    other.close()


@pytest.mark.parametrize("in_our_process", [False, True], ids=OURS)
def test_an_id_that_somebody_else_used_is_not_used_again(
    day: PaperDay, batches: Batches, in_our_process: bool
) -> None:
    def next_id(kept: KeptBooks) -> int:
        return kept.new_id(NewRow.LOT)

    number = batches.run([next_id])[0].result
    if day.app.db.is_sqlite:
        write(day, _add("lots", opened_at=MORNING, id=number + 40, **_LOT), in_our_process)
        assert batches.run([next_id])[0].result == number + 41
    else:  # ids come from the sequence
        write(day, _add("lots", opened_at=MORNING, **_LOT), in_our_process)
        assert batches.run([next_id])[0].result > number + 1
    numbers = [batches.run([next_id, next_id])[place].result for place in (0, 1)]
    assert numbers[0] != numbers[1]


def test_of_a_writer_that_came_between_the_look_and_the_first_write_the_next_transaction_knows(
    day: PaperDay, batches: Batches
) -> None:
    """On PostgreSQL nobody is kept from writing meanwhile."""
    if day.app.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    day.app.engine.run_lane(_OF_AAPL)
    body = {"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1"}
    day.at_once(batches, [day.alert(body)])

    def disturbed(kept: KeptBooks) -> Any:
        cash = kept.paper_cash(1)
        write(day, _set("paper_accounts", cash=D(3)), in_our_process=False)
        kept.run_on_books(lambda books: accept_on(books, day.alert(body | {"symbol": "TSLA"})))
        return cash

    assert batches.run([disturbed])[0].result != D(3)
    assert batches.run([lambda kept: kept.paper_cash(1)])[0].result == D(3)


def test_an_account_that_somebody_else_works_on_is_left_to_the_lanes_own_steps(
    day: PaperDay, batches: Batches
) -> None:
    if day.app.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    day.app.engine.run_lane(_OF_AAPL)
    alert = day.alert({"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1"})
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))

    def hold(conn: sa.Connection) -> Any:
        account_table.lock_account(conn, 1)
        return batches.run([taking(day, alert)])[0]

    done = other.write(hold)
    other.close()
    assert done.error is None and done.result.unfinished == (_OF_AAPL,)
    day.app.engine.run_lane(_OF_AAPL)
    assert [status for _, status in statuses(day)] == ["filled"]


# --- what fails ---------------------------------------------------------------------------------------------


def statuses(day: PaperDay) -> list[Any]:
    signals = metadata.tables["signals"].c
    with day.app.db.read() as conn:
        return [
            tuple(row) for row in conn.execute(sa.select(signals.id, signals.status).order_by(signals.id))
        ]


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
