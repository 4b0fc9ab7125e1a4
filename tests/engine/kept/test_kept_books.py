"""Books kept in memory: as the tables have them after every step, whoever writes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.symbols import Symbol
from dashtrade.engine import at_once, storing
from dashtrade.engine.batches import Batches
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables.base import metadata
from tests.support.paper_day import SYMBOLS, MakeDay, PaperDay, bodies, statuses, taking

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


# --- what fails ---------------------------------------------------------------------------------------------


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
