"""What is stored of one user is counted and has an end; exits pass beyond it, and no alert keeps more than
its share."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.alert_retention import (
    DECISION_BYTES,
    MAX_STORED_BYTES,
    OMITTED,
    SIGNAL_BYTES,
    alert_bytes,
    cut,
    text_to_store,
)
from dashtrade.domain.alerts.dialects import open_body, parse
from dashtrade.domain.kernel.accepting import StorageFull
from dashtrade.domain.notices.base import Level
from dashtrade.domain.notices.people import StorageNearlyFull
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import Malformed
from dashtrade.services.operations import quotas
from dashtrade.services.refusals import Refusal
from dashtrade.services.trading.attention import AttentionItem, AttentionKind, attention
from dashtrade.tables import signals as signal_table
from dashtrade.tables import storage
from dashtrade.ui.overview import attention_list
from dashtrade.worker.worker import Worker
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader

BUY = {"action": "buy", "symbol": "AAPL"}


@pytest.fixture
def trader(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Trader:
    """She may store 1 MB."""
    person = Installation(make_app(clock=clock, feed=feed, DASHTRADE_USER_MB="1")).join()
    person.bot()
    person.bot("MSFT")
    return person


def used(person: Trader) -> int:
    with person.installation.app.db.read() as conn:
        return quotas.stored(conn, person.user)


def fill(person: Trader, to: float = 1.0) -> None:
    """As if so much of it were history, which stays."""
    more = int(quotas.MB * to) - used(person)
    person.installation.app.db.write(lambda conn: storage.add(conn, person.user.id, more))


def texts(person: Trader) -> list[str | None]:
    with person.installation.app.db.read() as conn:
        query = sa.select(signal_table.signals.c.raw).where(signal_table.signals.c.user_id == person.user.id)
        return list(conn.scalars(query.order_by(signal_table.signals.c.id)))


# --- one alert ----------------------------------------------------------------------------------------------


def test_unread_fields_of_a_long_alert_are_dropped_and_it_can_be_read_again(trader: Trader) -> None:
    long = BUY | {"id": "1", "stopLoss": {"percent": 2}, "comment": "x" * 50_000, "short": "y" * 100}
    story = trader.story(trader.send(long))
    assert len(story["raw"].encode()) <= MAX_STORED_BYTES
    again = json.loads(story["raw"])
    assert "comment" not in again and again["short"] == long["short"] and "50,0" in again[OMITTED]
    assert parse(story["raw"].encode()).signal == parse(json.dumps(long).encode()).signal
    trader.installation.work()
    assert trader.story(story["id"])["status"] == "filled"


def test_an_alert_whose_meaning_is_too_long_is_refused_at_its_body(trader: Trader) -> None:
    response = trader.alert(BUY | {"strategy": {"note": "x" * 20_000}})
    assert (
        response.status_code == 400 and response.json["field"] == "body" and "8 KB" in response.json["hint"]
    )
    assert len(trader.story(response.json["signal_id"])["raw"].encode()) <= MAX_STORED_BYTES


def test_of_what_cannot_be_read_the_beginning_is_kept(trader: Trader) -> None:
    response = trader.alert({"action": "nonsense", "symbol": "AAPL", "note": "é" * 6_000})
    raw = trader.story(response.json["signal_id"])["raw"]
    assert (
        response.status_code == 400 and len(raw.encode()) <= MAX_STORED_BYTES and raw.endswith("bytes came)")
    )


def test_a_short_text_stays_as_it_is() -> None:
    assert cut("BUY AAPL") == "BUY AAPL"
    assert text_to_store(open_body(b"BUY AAPL"), parse(b"BUY AAPL").signal) == "BUY AAPL"
    with pytest.raises(Malformed):
        text_to_store("BUY AAPL " + "x" * 9000, parse(b"BUY AAPL").signal)


# --- the count ----------------------------------------------------------------------------------------------


def test_what_is_stored_is_counted_and_what_is_forgotten_is_given_back(
    trader: Trader, clock: ManualClock
) -> None:
    trader.trades("buy", note="x" * 1000)
    after = used(trader)
    assert after == alert_bytes(texts(trader)[0] or "", 1) > 4500
    assert trader.alert("hello").status_code == 400 and used(trader) == after + alert_bytes("hello", 0)
    trader.alert(BUY | {"id": "n", "symbol": "IBM"})
    assert trader.alert(BUY | {"id": "n", "symbol": "IBM"}).status_code == 404
    clock.forward(91 * 86400)
    Worker(trader.installation.app).tidy()
    assert texts(trader) == [None] * 4
    assert used(trader) == 4 * SIGNAL_BYTES + DECISION_BYTES


def test_a_repeated_alert_costs_nothing(trader: Trader) -> None:
    trader.send(BUY | {"id": "1"})
    before = used(trader)
    assert trader.alert(BUY | {"id": "1"}).json["duplicate"] and used(trader) == before


def test_old_data_is_counted_when_the_table_is_made(trader: Trader) -> None:
    trader.trades("buy", note="é" * 500)
    trader.alert("hello")
    before = used(trader)
    db: Database = trader.installation.app.db
    db.write(lambda conn: conn.execute(sa.text("DROP TABLE stored_bytes")))
    db.write(lambda conn: conn.execute(sa.text("UPDATE alembic_version SET version_num = '0013_sign_in'")))
    db._upgrade("0014_stored_bytes")
    assert used(trader) == before


# --- used up ------------------------------------------------------------------------------------------------


def test_once_it_is_used_up_entries_are_refused_and_leave_nothing_behind_and_exits_pass(
    trader: Trader,
) -> None:
    trader.trades("buy")
    fill(trader)
    count = len(texts(trader))
    for body in (BUY | {"symbol": "MSFT"}, "hello", {"action": "close", "symbol": "MSFT"}):
        response = trader.alert(body)
        assert (
            response.status_code == 409
            and "1 MB" in response.json["message"]
            and "Exits" in response.json["hint"]
        ), response.text
    assert len(texts(trader)) == count
    trader.trades("close")
    assert trader.holds(1) == 0
    log = [row for row in _audit(trader) if row.action == "alert refused"]
    assert len(log) == 1, "a minute's worth is one line"


def _audit(person: Trader) -> list[Any]:
    person.installation.app.notes.flush()
    with person.installation.app.db.read() as conn:
        return list(conn.execute(sa.text("SELECT action FROM audit_log")))


def test_the_users_own_hand_closes_whatever_is_stored(trader: Trader) -> None:
    trader.trades("buy")
    fill(trader)
    trader.request("POST", "/bots/1/close", {})
    trader.installation.work()
    assert trader.holds(1) == 0


def test_from_a_page_an_entry_needs_room_as_well(trader: Trader) -> None:
    fill(trader)
    with pytest.raises(Refusal, match="used up"):
        quotas.accept_alert(
            trader.installation.app, trader.user, parse(b"BUY AAPL").signal, raw="BUY AAPL", sender=""
        )
    assert texts(trader) == []


def test_of_many_at_once_no_more_are_stored_than_there_is_room_for(
    trader: Trader, make_app: MakeApp, clock: ManualClock, feed: ManualFeed
) -> None:
    apps = [trader.installation.app, make_app(clock=clock, feed=feed, DASHTRADE_USER_MB="1")]
    bodies = [json.dumps(BUY | {"id": str(100 + number)}) for number in range(12)]
    each = alert_bytes(bodies[0], 1)
    fill(trader, (quotas.MB - 3.5 * each) / quotas.MB)
    start, answer = threading.Barrier(12), []

    def send(number: int) -> None:
        start.wait(20)
        try:
            reading = parse(bodies[number].encode())
            answer.append(
                apps[number % 2].engine.accept(
                    trader.user.id,
                    reading.signal,
                    raw=bodies[number],
                    origin=Origin.WEBHOOK,
                    storage_limit_bytes=quotas.MB,
                )
            )
        except StorageFull as error:
            answer.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([one for one in answer if not isinstance(one, StorageFull)]) == 3
    assert len(texts(trader)) == 3 and used(trader) <= quotas.MB


# --- room is made -------------------------------------------------------------------------------------------


def test_the_oldest_texts_of_ended_alerts_make_room_and_history_stays(
    trader: Trader, clock: ManualClock
) -> None:
    for number in range(6):
        trader.trades("buy" if number % 2 == 0 else "close", note=f"{number}" * 2000)
        clock.forward(1)
    waiting = trader.send(BUY | {"symbol": "MSFT", "delay": 3600})
    others = Installation(trader.installation.app).join("bob@example.com")
    others.bot()
    others.trades("buy", note="z" * 2000)
    fill(trader, 0.95)
    quotas.make_room(trader.installation.app)
    assert texts(trader)[:6] == [None] * 6 and texts(trader)[6]
    assert texts(others)[0], "nobody makes room with what is another's"
    assert len(trader.get("/trades")["items"]) == 6
    clock.forward(3601)
    trader.installation.work()
    assert trader.story(waiting)["status"] == "filled"


def test_only_as_many_texts_go_as_are_needed(
    trader: Trader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "TEXTS_PER_BATCH", 1)
    for number in range(4):
        trader.alert({"action": "nonsense", "note": f"{number}" * 8000})
        clock.forward(1)
    fill(trader, quotas.FREED_SHARE + 0.012)  # one and a half texts
    monkeypatch.setattr(quotas, "NEARLY_FULL_SHARE", quotas.FREED_SHARE)
    quotas.make_room(trader.installation.app)
    assert [text is None for text in texts(trader)] == [True, True, False, False]


def storage_items(person: Trader) -> list[AttentionItem]:
    return [one for one in attention(person.installation.app, person.user) if "used_bytes" in one.facts]


def test_a_user_still_over_the_limit_is_notified_once_a_day_and_on_the_pages(
    trader: Trader, clock: ManualClock
) -> None:
    app = trader.installation.app
    assert not storage_items(trader)
    fill(trader, 0.95)
    for _ in range(3):
        quotas.make_room(app)
    assert len(trader.notices(StorageNearlyFull)) == 1
    assert [(one.kind, one.severity) for one in storage_items(trader)] == [
        (AttentionKind.STORAGE_NEARLY_FULL, Level.WARNING)
    ]
    clock.forward(86401)
    fill(trader)
    quotas.make_room(app)
    assert len(trader.notices(StorageNearlyFull)) == 2
    [item] = storage_items(trader)
    assert (item.kind, item.severity) == (AttentionKind.STORAGE_FULL, Level.ERROR)
    _, detail = attention_list.words(trader.user, item)
    assert "Exits still pass" in detail and "DASHTRADE_USER_MB" in detail


def test_a_day_at_the_full_rate_does_not_fill_a_disk() -> None:
    """The arithmetic of docs/SECURITY.md: entries end with the room of a user; exits of something held, two a
    second, go on."""
    exits = 2 * 86_400 * (SIGNAL_BYTES + DECISION_BYTES)  # their texts go within a minute
    assert 1024 * quotas.MB + exits < 2 * 10**9
