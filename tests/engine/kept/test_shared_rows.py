"""What a commit of many steps shares with others on PostgreSQL, where they write meanwhile: it never goes by
what it keeps where another may be at work, and it waits for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from bot_engine import Engine
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.protections import Scope
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.batches import Batches, Job
from dashtrade.engine.intake import accept, accept_on
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.steps import AccountBusy, Step
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import accounts as account_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables.base import metadata
from tests.support.fakes import add_user
from tests.support.paper_day import SYMBOLS, PaperDay, statuses, taking

AAPL = Symbol.parse("AAPL")
BUY = {"action": "buy", "symbol": "AAPL", "timeframe": "15"}


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres_database"))


pytestmark = pytest.mark.postgres


def in_a_thread(work: Callable[[], Any]) -> Job:
    """A job that starts it, and gives it time to come as far as it can."""

    def start(kept: KeptBooks) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.5)
        return thread

    return start


def decisions_of_both_accounts(day: PaperDay, others_engine: Engine | None = None) -> list[Step]:
    """The first decision of each account's lane, as a step under its lease."""
    steps = []
    for account_id, engine in ((1, day.app.engine), (2, others_engine or day.app.engine)):
        lane = Lane(account_id, AAPL)
        with day.app.db.read() as conn:
            [task] = decision_table.due_in_lane(conn, account_id, AAPL, day.clock.now(), 1)
            account = StoredBooks(conn).account(account_id)
        decide = partial(engine.at_once._decide_on, task, account)
        steps.append(Step(account_id, decide, engine.leases.held(lane)))
    return steps


def hold_lanes(day: PaperDay) -> None:
    for account_id in (1, 2):
        day.app.engine.run_lane(Lane(account_id, AAPL))


def test_a_signal_whose_two_decisions_end_at_once_in_a_batch_and_beside_it_ends(
    day: PaperDay, batches: Batches
) -> None:
    hold_lanes(day)
    alert = day.alert({"action": "close", "symbol": "AAPL", "timeframe": "15"})
    batches.run([lambda kept: day.app.engine.at_once.take(kept, alert, lambda lane: True)])
    one, other = decisions_of_both_accounts(day)
    beside = in_a_thread(lambda: day.app.db.write(other.run))
    done = batches.run([lambda kept: kept.run(one), beside])
    done[1].result.join()
    if isinstance(done[0].error, AccountBusy):
        day.app.db.write(one.run)
    assert [status for _, status in statuses(day)] == ["refused"]


def test_a_protection_that_counts_two_accounts_together_holds_for_two_batches_at_once(
    day: PaperDay, batches: Batches
) -> None:
    day.protect([("max_positions", Scope.USER, None, {"positions": 1})])
    app = day.app
    second = Engine(
        db=app.db, clock=app.clock, broker_of=app.brokers.of, feed_of=app.brokers.feed, owner="another"
    )
    second.leases.ttl = 3600.0
    app.engine.run_lane(Lane(1, AAPL))
    second.run_lane(Lane(2, AAPL))
    for bot in ("1", "5"):
        alert = day.alert(BUY | {"bot": bot})
        app.db.write(partial(accept, alert=alert))
    one, other = decisions_of_both_accounts(day, second)
    found: list[Any] = []
    beside = in_a_thread(lambda: found.extend(Batches(app.db).run([lambda kept: kept.run(other)])))
    done = batches.run([lambda kept: kept.run(one), beside])
    done[1].result.join()
    assert done[0].error is None and isinstance(found[0].error, AccountBusy)
    app.db.write(other.run)
    assert [status for _, status in statuses(day)] == ["filled", "refused"]


def test_lanes_are_read_beside_the_renewal_of_their_leases(day: PaperDay, batches: Batches) -> None:
    leases, lanes = day.app.engine.leases, [Lane(1, Symbol.parse(symbol)) for symbol in SYMBOLS]
    for lane in lanes:
        day.app.engine.run_lane(lane)
    steps = [Step(1, lambda books: None, leases.held(lane)) for lane in reversed(lanes)]
    began = time.monotonic()
    done = batches.run(
        [lambda kept: kept.run(steps[0]), in_a_thread(leases.renew), lambda kept: kept.run(steps[1])]
    )
    done[1].result.join()
    assert time.monotonic() - began < 0.9, "PostgreSQL ends a deadlock after a second"


def test_two_batches_with_alerts_of_two_users_in_opposite_order_do_not_wait_for_each_other(
    day: PaperDay,
) -> None:
    users = [day.user.id, add_user(day.app, "another@example.com").id]
    gate = threading.Barrier(2)

    def run(users: list[int], key: str, took: list[float]) -> None:
        jobs: list[Job] = []
        for number, owner in enumerate(users):
            body = {"action": "buy", "symbol": "TSLA", "id": f"{key}{number}"}
            alert = replace(day.alert(body), owner=owner)
            jobs.append(partial(_accept, alert=alert))
            jobs.append(lambda kept: gate.wait(10))
        began = time.monotonic()
        assert [done.error for done in Batches(day.app.db).run(jobs)] == [None] * 4
        took.append(time.monotonic() - began)

    took: list[float] = []
    threads = [
        threading.Thread(target=run, args=(order, key, took))
        for order, key in ((users, "a"), (users[::-1], "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 2 and max(took) < 0.9


def _accept(kept: KeptBooks, alert: Any) -> Any:
    return kept.run_on_books(lambda books: accept_on(books, alert))


def test_a_repeat_that_another_process_stored_meanwhile_is_a_repeat(day: PaperDay, batches: Batches) -> None:
    """The same text, sent twice at once, a while after it was traded once."""
    day.app.engine.run_lane(Lane(1, AAPL))
    batches.run([taking(day, day.alert(BUY | {"bot": "1"}))])
    day.clock.forward(60)
    batches.run([lambda kept: None])
    one, two = day.alert(BUY | {"bot": "1"}), day.alert(BUY | {"bot": "1"})
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))
    done = batches.run(
        [lambda kept: other.write(lambda conn: accept(conn, one)), partial(_accept, alert=two)]
    )
    other.close()
    assert done[1].error is None and done[1].result.duplicate and len(statuses(day)) == 2


def test_of_a_writer_that_came_between_the_look_and_the_first_write_the_next_transaction_knows(
    day: PaperDay, batches: Batches
) -> None:
    day.app.engine.run_lane(Lane(1, AAPL))
    body = {"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1"}
    day.at_once(batches, [day.alert(body)])

    poorer = sa.update(metadata.tables["paper_accounts"]).values(cash=D(3))
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))

    def disturbed(kept: KeptBooks) -> Any:
        cash = kept.paper_cash(1)
        other.write(lambda conn: conn.execute(poorer) and None)
        kept.run_on_books(lambda books: accept_on(books, day.alert(body | {"symbol": "TSLA"})))
        return cash

    assert batches.run([disturbed])[0].result != D(3)
    other.close()
    assert batches.run([lambda kept: kept.paper_cash(1)])[0].result == D(3)


def test_an_account_that_somebody_else_works_on_is_left_to_the_lanes_own_steps(
    day: PaperDay, batches: Batches
) -> None:
    day.app.engine.run_lane(Lane(1, AAPL))
    alert = day.alert({"action": "buy", "symbol": "AAPL", "timeframe": "15", "bot": "1"})
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))

    def hold(conn: sa.Connection) -> Any:
        account_table.lock_account(conn, 1)
        return batches.run([taking(day, alert)])[0]

    done = other.write(hold)
    other.close()
    assert done.error is None and done.result.unfinished == (Lane(1, AAPL),)
    day.app.engine.run_lane(Lane(1, AAPL))
    assert [status for _, status in statuses(day)] == ["filled"]
