"""Deliveries of notices by channels: from the notice to sent, through crashes and retries, once per notice
and channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.channels import CHANNELS, MAX_TRIES, Undelivered, retry_after
from dashtrade.domain.notices.people import BrokerAnswers
from dashtrade.domain.notices.stored import Message
from dashtrade.domain.notices.trading import EntryWaitsForMarket
from dashtrade.domain.notices.wording_base import Words
from dashtrade.domain.people import User
from dashtrade.services.notifications.deliver import deliver_due
from dashtrade.tables import deliveries as table
from dashtrade.tables import messages
from dashtrade.worker.worker import Worker
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader


class PowerCut(BaseException):
    """The process ends here."""


@dataclass
class FakeChannel:
    """What reached the other side, by key: it knows a repeat by it, as a channel has to."""

    reached: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    before: list[BaseException] = field(default_factory=list)  # raised before it is sent, one a call
    after: list[BaseException] = field(default_factory=list)  # raised once it is sent

    def send(self, user: User, message: Message, said: Words, *, key: str) -> None:
        self.calls.append(key)
        self.texts.append(said.text)
        if self.before:
            raise self.before.pop(0)
        self.reached.setdefault(key, f"{user.email}: {said.title}")
        if self.after:
            raise self.after.pop(0)


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    made = CHANNELS["fake"] = FakeChannel()
    yield made
    del CHANNELS["fake"]


@pytest.fixture
def trader(app: App) -> Trader:
    return Installation(app).join()


def tell(trader: Trader, account: str = "Live") -> None:
    app = trader.installation.app
    app.db.write(
        lambda conn: messages.notify(
            conn, trader.user.id, BrokerAnswers(account=account), now=app.clock.now()
        )
    )


def rows(app: App) -> list[Any]:
    with app.db.read() as conn:
        return list(conn.execute(sa.select(table.deliveries).order_by(table.deliveries.c.id)))


def states(app: App) -> list[tuple[str, int]]:
    return [(row.state, row.tries) for row in rows(app)]


def test_without_a_channel_nothing_is_written(app: App, trader: Trader):
    assert CHANNELS == {}
    tell(trader)
    assert rows(app) == [] and deliver_due(app) == 0 and len(trader.notices(BrokerAnswers)) == 1


def test_a_notice_is_sent_once(app: App, trader: Trader, channel: FakeChannel):
    tell(trader)
    assert states(app) == [("waiting", 0)]
    Worker(app).deliver()
    assert states(app) == [("sent", 1)] and rows(app)[0].next_try_at is None
    assert list(channel.reached.values()) == ["ann@example.com: Live: broker reachable again"]
    assert deliver_due(app) == 0 and len(channel.calls) == 1


def test_a_notice_is_sent_with_its_moments_in_the_zone_of_its_user(
    app: App, trader: Trader, channel: FakeChannel
):
    trader.request("PATCH", "/users/me", {"time_zone": "Asia/Tokyo"})
    at = datetime(2025, 6, 9, 13, 30, tzinfo=UTC)
    notice = EntryWaitsForMarket(bot="Turtle", symbol="NYSE:AAPL-EQ", retry_at=at)
    app.db.write(lambda conn: messages.notify(conn, trader.user.id, notice, now=app.clock.now()))
    deliver_due(app)
    assert "9 Jun 2025 22:30 JST" in channel.texts[0]
    assert "9 Jun 2025 13:30 UTC" in trader.get("/messages")["items"][0]["text"], "REST tells UTC"


def test_what_is_undone_is_not_delivered(app: App, trader: Trader, channel: FakeChannel):
    def work(conn: sa.Connection) -> None:
        messages.notify(conn, trader.user.id, BrokerAnswers(account="Live"), now=app.clock.now())
        raise RuntimeError("undone")

    with pytest.raises(RuntimeError):
        app.db.write(work)
    assert rows(app) == [] and deliver_due(app) == 0


def test_a_crash_after_sending_repeats_it_under_the_same_key(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    tell(trader)
    channel.after = [PowerCut()]
    with pytest.raises(PowerCut):
        deliver_due(app)
    assert states(app) == [("waiting", 1)] and len(channel.reached) == 1
    assert deliver_due(app) == 0, "the claim still stands"
    clock.time += table.CLAIM_LIFE
    assert deliver_due(app) == 1 and states(app) == [("sent", 2)]
    assert len(channel.calls) == 2 and len(channel.reached) == 1, "it reached its user once"


def test_a_crash_before_sending_loses_nothing(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    tell(trader)
    channel.before = [PowerCut()]
    with pytest.raises(PowerCut):
        deliver_due(app)
    assert channel.reached == {}
    clock.time += table.CLAIM_LIFE
    deliver_due(app)
    assert states(app) == [("sent", 2)] and len(channel.reached) == 1


def test_a_failure_is_tried_again_later_and_later(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    tell(trader)
    channel.before = [Undelivered("mailbox full"), ValueError("a mistake of ours")]
    deliver_due(app)
    [row] = rows(app)
    assert (row.state, row.tries, row.error) == ("failed", 1, "mailbox full")
    assert row.next_try_at == clock.now() + timedelta(minutes=1) and deliver_due(app) == 0
    clock.time += timedelta(minutes=1)
    deliver_due(app)
    [row] = rows(app)
    assert (row.state, row.tries, row.error) == ("failed", 2, "unexpected error (ValueError)")
    assert row.next_try_at == clock.now() + timedelta(minutes=2)
    clock.time += timedelta(minutes=2)
    deliver_due(app)
    [row] = rows(app)
    assert (row.state, row.tries, row.error) == ("sent", 3, "") and row.ended_at == clock.now()


def test_it_is_given_up_in_the_end(app: App, trader: Trader, channel: FakeChannel, clock: ManualClock):
    tell(trader)
    channel.before = [Undelivered("mailbox full") for _ in range(MAX_TRIES + 1)]
    for _ in range(MAX_TRIES + 3):
        deliver_due(app)
        clock.time += timedelta(hours=2)
    [row] = rows(app)
    assert (row.state, row.tries, row.error) == ("given_up", MAX_TRIES, "mailbox full")
    assert row.next_try_at is None and row.ended_at is not None and len(channel.calls) == MAX_TRIES


def test_what_crashes_every_time_is_given_up_as_well(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    tell(trader)
    channel.before = [PowerCut() for _ in range(MAX_TRIES)]
    for _ in range(MAX_TRIES):
        with pytest.raises(PowerCut):
            deliver_due(app)
        clock.time += table.CLAIM_LIFE
    assert deliver_due(app) == 0
    [row] = rows(app)
    assert (row.state, row.tries, row.error) == ("given_up", MAX_TRIES, table.INTERRUPTED)
    assert len(channel.calls) == MAX_TRIES


def test_one_bad_channel_does_not_hold_up_another(app: App, trader: Trader, channel: FakeChannel):
    other = CHANNELS["other"] = FakeChannel()
    try:
        channel.before = [Undelivered("mailbox full")]
        tell(trader)
        deliver_due(app)
        assert {row.channel: row.state for row in rows(app)} == {"fake": "failed", "other": "sent"}
        assert len(other.reached) == 1 and channel.reached == {}
    finally:
        del CHANNELS["other"]


def test_a_claim_that_lapsed_says_nothing_any_more(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    tell(trader)

    def claim() -> table.Claim:
        [made] = app.db.write(lambda conn: table.claim_due(conn, ["fake"], now=clock.now(), limit=9))
        return made

    slow = claim()
    clock.time += table.CLAIM_LIFE
    later = claim()
    assert not app.db.write(lambda conn: table.mark_failed(conn, slow, "too late", now=clock.now()))
    assert states(app) == [("waiting", 2)]
    assert app.db.write(lambda conn: table.mark_sent(conn, later, now=clock.now()))
    assert not app.db.write(lambda conn: table.mark_sent(conn, slow, now=clock.now()))
    assert states(app) == [("sent", 2)]


def test_the_longest_due_is_claimed_first_and_by_one_alone(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    for number in range(3):
        tell(trader, f"Account {number}")
        clock.forward(1)
    claims = [
        app.db.write(lambda conn: table.claim_due(conn, ["fake"], now=clock.now(), limit=2)) for _ in range(3)
    ]
    assert [[claim.message_id for claim in claimed] for claimed in claims] == [[1, 2], [3], []]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_two_processes_claim_at_the_same_time(
    app: App, trader: Trader, channel: FakeChannel, clock: ManualClock
):
    for _ in range(3):
        tell(trader)
    with app.db.engine.begin() as one, app.db.engine.begin() as two:
        first = table.claim_due(one, ["fake"], now=clock.now(), limit=2)
        second = table.claim_due(two, ["fake"], now=clock.now(), limit=9)
    assert [claim.message_id for claim in first] == [1, 2]
    assert [claim.message_id for claim in second] == [3]


def test_a_notice_has_one_delivery_by_channel(app: App, trader: Trader, channel: FakeChannel):
    tell(trader)
    [row] = rows(app)
    with pytest.raises(sa.exc.IntegrityError):
        app.db.write(
            lambda conn: table.enqueue(conn, trader.user.id, row.message_id, ["fake"], app.clock.now())
        )


def test_who_is_removed_takes_their_deliveries_along(app: App, trader: Trader, channel: FakeChannel):
    from dashtrade.services.people import removal

    tell(trader)
    removal.remove(app, trader.user.id, actor=None, action=AuditAction.USER_DELETED)
    assert rows(app) == []


def test_waits_grow_to_an_hour():
    waits = [retry_after(tries) for tries in range(1, MAX_TRIES)]
    assert waits[0] == timedelta(minutes=1) and waits[-1] == timedelta(hours=1)
    assert waits == sorted(waits)
