"""Everything is somebody's: with another user's id, every query finds nothing and changes nothing, and every
route answers 404.

The queries and the routes are read from the code. One that is new and has no case here fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

import dashtrade.tables
from dashtrade.api.http import ENDPOINTS
from dashtrade.app import build_app
from dashtrade.domain.access import Role
from dashtrade.domain.bots import Stop
from dashtrade.domain.symbols import Symbol
from dashtrade.settings import Settings
from dashtrade.tables import (
    accounts,
    attempts,
    bot_days,
    bot_positions,
    bots,
    change_token,
    decisions,
    drifts,
    export,
    fills,
    flattens,
    invitations,
    messages,
    orders,
    people,
    protections,
    quotas,
    readings,
    risk_events,
    round_trips,
    second_factors,
    sessions,
    signals,
    storage,
    switches,
    tokens,
    trades,
)
from dashtrade.tables.base import metadata
from tests.conftest import KEY
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person
from webhook_server import create_server

AAPL = Symbol.parse("AAPL")


@dataclass
class Town:
    """Ann has one of everything; Bob has an account and a bot of his own."""

    house: House
    ann: Person
    bob: Person
    of: SimpleNamespace  # Ann's ids

    def rows_of_ann(self, conn: sa.Connection | None = None) -> dict[str, list[Any]]:
        if conn is None:
            with self.house.app.db.read() as reading:
                return self.rows_of_ann(reading)
        owned = [table for table in metadata.sorted_tables if "user_id" in table.c]
        found = {
            t.name: sorted(
                map(tuple, conn.execute(sa.select(t).where(t.c.user_id == self.ann.user.id))), key=repr
            )
            for t in owned
        }
        me = metadata.tables["users"]
        return found | {
            "users": [tuple(row) for row in conn.execute(sa.select(me).where(me.c.id == self.ann.user.id))]
        }


def settle(house: House) -> Town:
    ann, bob = house.join("ann@example.com"), house.join("bob@example.com")
    bot, other = ann.bot(name="Ann's Turtle"), ann.bot(timeframe="1H", name="Ann's Hare")
    bob.bot("MSFT")
    ann.account()
    story = ann.trades("buy", timeframe="15 Min")
    waiting = ann.sends(action="buy", symbol="AAPL", timeframe="1H", delay=3600)
    ann.does("PUT", "/switches", {"scope": "bot", "id": other, "mode": "pause_entries"})
    now, app = house.app.clock.now(), house.app

    def more(conn: sa.Connection) -> int:
        of.drift, of.bobs_drift = (
            drifts.open_one(
                conn,
                person.user.id,
                account_id=person.paper,
                asset=AAPL.text,
                symbol=AAPL,
                kind="closed",
                ours=Decimal(5),
                outside=Decimal(0),
                theirs=Decimal(0),
                average_price=None,
                mark=Decimal(100),
                ratio=None,
                detail="",
                opened_at=now,
                updated_at=now,
            )
            for person in (ann, bob)
        )
        drifts.put_outside(conn, ann.user.id, ann.paper, "KO", Decimal(3), now)
        drifts.put_state(
            conn,
            drifts.State(
                account_id=ann.paper,
                user_id=ann.user.id,
                first_at=now,
                at=now,
                failing_since=None,
                problem="",
                told=False,
            ),
        )
        readings.put(
            conn,
            readings.Reading(
                account_id=ann.paper, user_id=ann.user.id, simulated=False, read_at=now, changed_at=now
            ),
        )
        of.flatten = flattens.add(
            conn,
            ann.user.id,
            scope="bot",
            scope_id=bot,
            asked_by="",
            now=now,
            bots=[bot_positions.load(conn, bot)],
        )
        sessions.add_session(
            conn,
            ann.user.id,
            token_hash="s",
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(days=1),
            device="",
            address="",
            remember=False,
        )
        invitations.add_invitation(
            conn,
            ann.user.id,
            code_hash="c",
            email="",
            role="standard",
            created_at=now,
            expires_at=now + timedelta(days=1),
            used_at=None,
        )
        second_factors.put_factor(conn, ann.user.id, "sealed", 1)
        second_factors.count_code(conn, ann.user.id)
        attempts.put_device(conn, ann.user.id, "d", now, 9)
        second_factors.put_codes(conn, ann.user.id, ["r"])
        of.protection, of.spare = (
            protections.add(
                conn,
                ann.user.id,
                kind="cooldown",
                scope="bot",
                scope_id=bot,
                settings={},
                created_at=now,
                updated_at=now,
                deleted_at=None,
            )
            for _ in range(2)
        )
        of.lock = protections.add_lock(
            conn,
            user_id=ann.user.id,
            protection_id=of.protection,
            kind="cooldown",
            scope="bot",
            scope_id=bot,
            symbol=None,
            bot_id=bot,
            signal_id=story["id"],
            reason="Ann's stop",
            numbers={},
            since=now,
            until=None,
        )
        own = bot_positions.load(conn, bot)
        risk_events.add_risk_event(
            conn,
            own,
            at=now,
            kind="risk_limit",
            threshold=Decimal(1),
            actual=Decimal(2),
            action="none",
            detail="",
            signal_id=None,
        )
        return tokens.list_api_tokens(conn, ann.user.id)[0].id

    of = SimpleNamespace(
        account=ann.paper,
        bot=bot,
        other=other,
        signal=story["id"],
        waiting=waiting,
        order=story["orders"][0]["order_id"],
        now=now,
    )
    of.token = app.db.write(more)
    return Town(house=house, ann=ann, bob=bob, of=of)


def _house(request: pytest.FixtureRequest, folder: Path) -> Iterator[House]:
    if request.param == "sqlite":
        url, server = request.getfixturevalue("sqlite_files").fresh(), None
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.fresh()
    clock = SetClock()
    environ = {"DASHTRADE_HOME": str(folder), "DATABASE_URL": url, "ENCRYPTION_KEY": KEY}
    app = build_app(Settings.load(environ, folder), clock=clock, feed=SetFeed(clock))
    yield House(app)
    app.close()
    if server is not None:
        server.drop(url)


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module", params=BOTH)
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """For tests that leave everything as it is."""
    for house in _house(request, tmp_path_factory.mktemp("town")):
        yield settle(house)


# --- every query --------------------------------------------------------------------------------------------


def owned_queries() -> dict[str, Callable[..., Any]]:
    found = {}
    for info in pkgutil.iter_modules(dashtrade.tables.__path__, "dashtrade.tables."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == info.name and not name.startswith("_"):
                owner = inspect.signature(value).parameters.get("owner")
                if owner is not None and owner.annotation == "int":
                    found[f"{info.name.rpartition('.')[2]}.{name}"] = value
    return found


QUERIES = owned_queries()
LIFE = {"created_at": SetClock().time, "expires_at": SetClock().time, "used_at": None}
Query = Callable[[sa.Connection, int, SimpleNamespace], Any]

READS_AND_CHANGES: dict[str, Query] = {  # with Ann's ids: something for Ann, nothing for Bob
    "accounts.get": lambda c, o, of: accounts.get(c, o, of.account),
    "accounts.list_all": lambda c, o, of: [a for a in accounts.list_all(c, o) if a.id == of.account],
    "quotas.lock": lambda c, o, of: quotas.lock(c, o) and o == of.ann,
    "quotas.count": lambda c, o, of: quotas.count(c, o, "accounts", of.now) == 2,
    "quotas.made": lambda c, o, of: quotas.made(c, o, "bots") == 2,
    "tokens.trim_api_tokens": lambda c, o, of: tokens.trim_api_tokens(c, o, "test", 0),
    "accounts.change": lambda c, o, of: accounts.change(c, o, of.account, label="taken"),
    "bots.get": lambda c, o, of: bots.get(c, o, of.bot),
    "bots.list_page": lambda c, o, of: bots.list_page(c, o, account_id=of.account),
    "bots.hearing": lambda c, o, of: bots.hearing(c, o, AAPL),
    "bots.named": lambda c, o, of: [b for b in bots.named(c, o) if b.id == of.bot],
    "bots.change": lambda c, o, of: bots.change(c, o, of.bot, name="taken"),
    "bots.pause_all": lambda c, o, of: bots.pause_all(c, o, reason="x", now=of.now, account_id=of.account),
    "bot_days.days": lambda c, o, of: bot_days.days(c, o, bot_id=of.bot, since=None, until=None),
    "risk_events.list_risk_events": lambda c, o, of: risk_events.list_risk_events(c, o, before=None, limit=9),
    "switches.list_switches": lambda c, o, of: switches.list_switches(c, o),
    "bots.owning": lambda c, o, of: [b for b in bots.owning(c, o) if b.id == of.bot],
    "bots.engaged": lambda c, o, of: [b for b in bots.engaged(c, o) if b.id == of.bot],
    "bots.stopped": lambda c, o, of: _stopped(c, o, of),
    "change_token.of": lambda c, o, of: change_token.of(c, o) == change_token.of(c, of.ann),
    "drifts.get": lambda c, o, of: drifts.get(c, o, of.drift),
    "drifts.list_page": lambda c, o, of: drifts.list_page(c, o, before=None, limit=9, account_id=of.account),
    "drifts.outside_of": lambda c, o, of: drifts.outside_of(c, o, of.account, "KO"),
    "drifts.states": lambda c, o, of: drifts.states(c, o),
    "readings.of_user": lambda c, o, of: readings.of_user(c, o),
    "readings.want": lambda c, o, of: readings.want(c, o, of.now),
    "flattens.get": lambda c, o, of: flattens.get(c, o, of.flatten),
    "flattens.parts": lambda c, o, of: flattens.parts(c, o, of.flatten),
    "flattens.under_way": lambda c, o, of: flattens.under_way(c, o),
    "flattens.latest": lambda c, o, of: flattens.latest(c, o, limit=9),
    "protections.get": lambda c, o, of: protections.get(c, o, of.protection),
    "protections.list_all": lambda c, o, of: protections.list_all(c, o),
    "protections.change": lambda c, o, of: protections.change(c, o, of.protection, is_active=False),
    "protections.get_lock": lambda c, o, of: protections.get_lock(c, o, of.lock),
    "protections.list_locks": lambda c, o, of: protections.list_locks(c, o, before=None, limit=9),
    "protections.unlock": lambda c, o, of: protections.unlock(c, o, by=o, now=of.now, lock_id=of.lock),
    "bots.names": lambda c, o, of: of.bot in bots.names(c, o),
    "accounts.labels": lambda c, o, of: of.account in accounts.labels(c, o),
    "signals.repeat_of": lambda c, o, of: signals.repeat_of(
        c, o, signals.get(c, of.ann, of.signal).dedupe_key
    ),
    "signals.count_repeat": lambda c, o, of: signals.count_repeat(c, o, of.signal, of.now),
    "signals.room_for": lambda c, o, of: not signals.room_for(c, o, 1),
    "storage.used": lambda c, o, of: storage.used(c, o) == storage.used(c, of.ann),
    "storage.oldest_texts": lambda c, o, of: of.signal in storage.oldest_texts(c, o, 9),
    "storage.forget_texts": lambda c, o, of: storage.forget_texts(c, o, [of.signal]),
    "storage.told": lambda c, o, of: storage.told(c, o, of.now),
    "decisions.engaged": lambda c, o, of: decisions.engaged(c, o, [of.bot]),
    "signals.get": lambda c, o, of: signals.get(c, o, of.signal),
    "signals.status_of": lambda c, o, of: signals.status_of(c, o, of.signal),
    "decisions.bot_statuses": lambda c, o, of: decisions.bot_statuses(c, o, of.signal),
    "decisions.bot_outcomes": lambda c, o, of: decisions.bot_outcomes(c, o, of.signal),
    "decisions.last_outcomes": lambda c, o, of: decisions.last_outcomes(c, o, [of.bot]),
    "decisions.recently_refused": lambda c, o, of: _refused(c, o, of),
    "signals.list_page": lambda c, o, of: signals.list_page(c, o, before=None, limit=9, bot_id=of.bot),
    "orders.get": lambda c, o, of: orders.get(c, o, of.order),
    "orders.list_page": lambda c, o, of: orders.list_page(c, o, before=None, limit=9, bot_id=of.bot),
    "orders.list_open": lambda c, o, of: _opened(c, o, of),
    "orders.for_signal": lambda c, o, of: orders.for_signal(c, o, of.signal),
    "orders.events_for_signal": lambda c, o, of: orders.events_for_signal(c, o, of.signal),
    "fills.fills_for_signal": lambda c, o, of: fills.fills_for_signal(c, o, of.signal),
    "orders.by_venue_number": lambda c, o, of: orders.by_venue_number(
        c, o, of.account, orders.load(c, of.order).broker_order_id, since=of.now - timedelta(days=1)
    ),
    "trades.list_trades": lambda c, o, of: trades.list_trades(c, o, before=None, limit=9, bot_id=of.bot),
    "trades.made_up": lambda c, o, of: _made_up(c, o, of),
    "trades.stream_trades": lambda c, o, of: list(trades.stream_trades(c, o, bot_id=of.bot)),
    "fills.give_lots": lambda c, o, of: fills.give_lots(c, o, of.bot, of.other),
    "round_trips.list_page": lambda c, o, of: round_trips.list_page(c, o, limit=9, open=True, bot_id=of.bot),
    "round_trips.get": lambda c, o, of: [
        row for number in range(1, 9) if (row := round_trips.get(c, o, number)) and row.bot_id == of.bot
    ],
    "round_trips.totals": lambda c, o, of: round_trips.totals(c, o, open=True, bot_id=of.bot),
    "round_trips.stream": lambda c, o, of: [
        row for _, row in round_trips.stream(c, o, open=True, bot_id=of.bot)
    ],
    "round_trips.traded_symbols": lambda c, o, of: round_trips.traded_symbols(c, o),
    "round_trips.ended": lambda c, o, of: _ended(c, o, of),
    "round_trips.hand_over": lambda c, o, of: round_trips.hand_over(c, o, of.bot, of.other),
    "messages.list_page": lambda c, o, of: messages.list_page(c, o, before=None, limit=9),
    "messages.unread": lambda c, o, of: messages.unread(c, o).number,
    "messages.for_signal": lambda c, o, of: messages.for_signal(c, o, of.signal),
    "messages.mark_read": lambda c, o, of: messages.mark_read(c, o, up_to=2**40, now=of.now),
    "messages.recorded": lambda c, o, of: [
        r for r in messages.recorded(c, o, before=None, limit=99) if r.user_id == of.ann
    ],
    "messages.about_bot": lambda c, o, of: messages.about_bot(c, o, of.bot, limit=9),
    "people.change": lambda c, o, of: people.change(c, o, name="changed"),
    "sessions.list_sessions": lambda c, o, of: sessions.list_sessions(c, o, of.now),
    "sessions.remove_session_named": lambda c, o, of: sessions.remove_session_named(c, o, "s"),
    "sessions.trim_sessions": lambda c, o, of: sessions.trim_sessions(c, o, 0),
    "tokens.revoke_api_tokens": lambda c, o, of: tokens.revoke_api_tokens(c, o, of.now) and o == of.ann,
    "second_factors.factor": lambda c, o, of: second_factors.factor(c, o),
    "second_factors.lock_factor": lambda c, o, of: second_factors.lock_factor(c, o),
    "second_factors.put_factor": lambda c, o, of: second_factors.put_factor(c, o, None, None),
    "second_factors.use_step": lambda c, o, of: second_factors.use_step(c, o, 2) and o == of.ann,
    "second_factors.use_code": lambda c, o, of: second_factors.use_code(c, o, "r", of.now),
    "second_factors.codes_left": lambda c, o, of: second_factors.codes_left(c, o),
    "second_factors.count_code": lambda c, o, of: second_factors.count_code(c, o) and o == of.ann,
    "second_factors.code_was_right": lambda c, o, of: second_factors.code_was_right(c, o),
    "attempts.is_known": lambda c, o, of: attempts.is_known(c, o, "d"),
    "attempts.forget_devices": lambda c, o, of: attempts.forget_devices(c, o),
    "second_factors.end_handed_out": lambda c, o, of: second_factors.end_handed_out(c, o),
    "export.profile": lambda c, o, of: export.profile(c, o).get("email") == "ann@example.com",
    "export.rows": lambda c, o, of: [
        row for name in export.TABLES.values() for row in export.rows(c, o, name) if row.user_id == of.ann
    ],
    "sessions.remove_sessions": lambda c, o, of: sessions.remove_sessions(c, o),
    "tokens.list_api_tokens": lambda c, o, of: [t for t in tokens.list_api_tokens(c, o) if t.id == of.token],
    "tokens.revoke_api_token": lambda c, o, of: tokens.revoke_api_token(c, o, of.token, of.now),
    "tokens.current_webhook_token": lambda c, o, of: (
        (t := tokens.current_webhook_token(c, o)) and t.user_id == of.ann
    ),
    "tokens.end_webhook_tokens": lambda c, o, of: (
        tokens.end_webhook_tokens(c, o, now=of.now, until=None) and o == of.ann
    ),
}
MAKES: dict[str, Query] = {  # what Bob makes is Bob's
    "accounts.add": lambda c, o, of: accounts.add(
        c,
        o,
        broker="paper",
        mode="paper",
        label="",
        credentials="",
        options={},
        created_at=of.now,
        checked_at=None,
        check_result=None,
        deleted_at=None,
    ),
    "bots.add": lambda c, o, of: bots.add(c, o, **_bot_values(c, of) | {"symbol": Symbol.parse("KO")}),
    "protections.add": lambda c, o, of: protections.add(
        c,
        o,
        kind="cooldown",
        scope="user",
        scope_id=o,
        settings={},
        created_at=of.now,
        updated_at=of.now,
        deleted_at=None,
    ),
    "switches.put_switch": lambda c, o, of: switches.put_switch(
        c, o, scope="user", scope_id=o, stop=Stop.HALT, reason="", set_by=o, at=of.now
    ),
    "signals.add": lambda c, o, of: signals.add(
        c,
        o,
        {k: v for k, v in signals.get(c, of.ann, of.signal)._asdict().items() if k != "user_id"}
        | {"id": "new"},
        [],
    ),
    "storage.add": lambda c, o, of: storage.add(c, o, 7),
    "flattens.add": lambda c, o, of: flattens.add(
        c, o, scope="user", scope_id=o, asked_by="", now=of.now, bots=[bot_positions.load(c, of.bot)]
    ),
    "attempts.put_device": lambda c, o, of: attempts.put_device(c, o, "t", of.now, 0 if o == of.ann else 9),
    "sessions.add_session": lambda c, o, of: sessions.add_session(
        c,
        o,
        token_hash="t",
        created_at=of.now,
        seen_at=of.now,
        expires_at=of.now,
        device="",
        address="",
        remember=False,
    ),
    "tokens.add_api_token": lambda c, o, of: tokens.add_api_token(
        c, o, token_hash="t", name="", revoked_at=None, **LIFE
    ),
    "tokens.add_webhook_token": lambda c, o, of: tokens.add_webhook_token(
        c, o, token_hash="t", secret="", revoked_at=None, **LIFE
    ),
    "second_factors.put_codes": lambda c, o, of: second_factors.put_codes(c, o, ["t"]),
    "second_factors.add_link": lambda c, o, of: second_factors.add_link(
        c, o, code_hash="t", made_by=o, now=of.now, expires_at=of.now
    ),
    "invitations.add_invitation": lambda c, o, of: invitations.add_invitation(
        c, o, code_hash="t", email="", role="standard", **LIFE
    ),
}


def _bot_values(conn: sa.Connection, of: SimpleNamespace) -> dict[str, Any]:
    row = conn.execute(sa.select(bots.bots).where(bots.bots.c.id == of.bot)).one()._asdict()
    return {name: value for name, value in row.items() if name not in ("id", "user_id")}


def _refused(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    row = signals.get(conn, of.ann, of.signal)
    signals.end_signal(conn, of.signal, status="refused", reason="", ended=of.now)
    found = decisions.recently_refused(conn, owner, since=row.received_at - timedelta(days=1))
    signals.end_signal(conn, of.signal, status=row.status, reason=row.reason, ended=row.ended_at)
    return found


def _made_up(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    accounts.change(conn, of.ann, of.account, mode="live")
    found = trades.made_up(conn, owner, bot_id=None, since=None, account_id=of.account)
    accounts.change(conn, of.ann, of.account, mode="paper")
    return found


def _opened(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    change = sa.update(orders.orders).where(orders.orders.c.id == of.order)
    conn.execute(change.values(status="working"))
    found = orders.list_open(conn, owner)
    conn.execute(change.values(status="filled"))
    return found


def _stopped(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    bots.change(conn, of.ann, of.bot, is_active=False, paused_reason="past its limit")
    found = bots.stopped(conn, owner, limit=9)
    bots.change(conn, of.ann, of.bot, is_active=True, paused_reason="")
    return found


def _ended(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    trips = round_trips.trips
    conn.execute(sa.update(trips).where(trips.c.bot_id == of.bot).values(closed_at=of.now))
    found = round_trips.ended(conn, owner, limit=9, bot_id=of.bot)
    conn.execute(sa.update(trips).where(trips.c.bot_id == of.bot).values(closed_at=None))
    return found


class Undo(Exception):
    """Nothing of this was meant to stay."""


def tried(town: Town, work: Callable[[sa.Connection], None]) -> None:
    def run(conn: sa.Connection) -> None:
        work(conn)
        raise Undo

    with pytest.raises(Undo):
        town.house.app.db.write(run)


def test_every_query_of_an_owner_has_a_case():
    assert set(QUERIES) == READS_AND_CHANGES.keys() | MAKES.keys()
    assert not READS_AND_CHANGES.keys() & MAKES.keys()


@pytest.mark.parametrize("name", READS_AND_CHANGES)
def test_with_another_users_id_a_query_finds_and_changes_nothing(town: Town, name: str):
    query, of = READS_AND_CHANGES[name], SimpleNamespace(**vars(town.of), ann=town.ann.user.id)

    def as_bob(conn: sa.Connection) -> None:
        before = town.rows_of_ann(conn)
        assert not query(conn, town.bob.user.id, of)
        assert town.rows_of_ann(conn) == before

    def as_ann(conn: sa.Connection) -> None:
        before = town.rows_of_ann(conn)
        assert query(conn, town.ann.user.id, of) or town.rows_of_ann(conn) != before

    tried(town, as_bob)
    tried(town, as_ann)


@pytest.mark.parametrize("name", MAKES)
def test_what_one_user_makes_leaves_the_others_as_they_are(town: Town, name: str):
    query, of = MAKES[name], SimpleNamespace(**vars(town.of), ann=town.ann.user.id)

    def as_bob(conn: sa.Connection) -> None:
        before = town.rows_of_ann(conn)
        query(conn, town.bob.user.id, of)
        assert town.rows_of_ann(conn) == before

    def as_ann(conn: sa.Connection) -> None:
        before = town.rows_of_ann(conn)
        query(conn, town.ann.user.id, of)
        assert town.rows_of_ann(conn) != before

    tried(town, as_bob)
    tried(town, as_ann)


# --- every route --------------------------------------------------------------------------------------------

# What fills the place in the path, the body, the query; those that take something away come last.
ROUTES: dict[tuple[str, str], tuple[str, Any, dict[str, Any]]] = {
    ("GET", "/api/v1/accounts/<int:account_id>"): ("account", None, {}),
    ("PATCH", "/api/v1/accounts/<int:account_id>"): ("account", {"label": "taken"}, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/test"): ("account", None, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/reset"): ("account", None, {}),
    ("GET", "/api/v1/bots/<int:bot_id>"): ("bot", None, {}),
    ("PATCH", "/api/v1/bots/<int:bot_id>"): ("bot", {"name": "taken"}, {}),
    ("PATCH", "/api/v1/bots/<int:bot_id>/exits"): ("bot", {"stop_loss": "1"}, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/pause"): ("bot", None, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/resume"): ("bot", None, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/close"): ("bot", {}, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/renew"): ("account", {}, {}),
    ("GET", "/api/v1/signals/<signal_id>"): ("signal", None, {}),
    ("PATCH", "/api/v1/protections/<int:protection_id>"): ("protection", {"settings": {"minutes": 5}}, {}),
    ("POST", "/api/v1/protection-locks/<int:lock_id>/unlock"): ("lock", None, {}),
    ("DELETE", "/api/v1/protections/<int:protection_id>"): ("spare", None, {}),
    ("GET", "/api/v1/orders/<order_id>"): ("order", None, {}),
    ("POST", "/api/v1/orders/<order_id>/resolve"): ("order", {"outcome": "not_placed"}, {}),
    ("POST", "/api/v1/orders/<order_id>/cancel"): ("order", None, {}),
    ("GET", "/api/v1/drifts/<int:drift_id>"): ("drift", None, {}),
    ("POST", "/api/v1/drifts/<int:drift_id>/resolve"): ("drift", {"way": "freeze"}, {}),
    ("POST", "/api/v1/drifts/<int:drift_id>/unfreeze"): ("drift", None, {}),
    ("GET", "/api/v1/flatten/<int:flatten_id>"): ("flatten", None, {}),
    ("DELETE", "/api/v1/bots/<int:bot_id>"): ("other", None, {}),
    ("DELETE", "/api/v1/accounts/<int:account_id>"): ("account", None, {}),
    ("DELETE", "/api/v1/tokens/<int:token_id>"): ("token", None, {}),
}
BY_WEBHOOK_TOKEN = {("GET", "/user/<int:user_id>/positions"), ("GET", "/user/<int:user_id>/bots")}


ADMIN = "/api/v1/admin/"  # over everybody, by their role: test_admin_api.py tries each of them as each role


def ask(town: Town, person: Person, route: tuple[str, str]) -> Any:
    name, body, query = ROUTES[route]
    method, path = route
    start, _, rest = path.removeprefix("/api/v1").partition("<")
    return person.call(method, f"{start}{getattr(town.of, name)}{rest.partition('>')[2]}", body, **query)


def test_every_route_with_an_id_has_a_case(town: Town):
    flask = create_server(town.house.app)
    served = {
        (method, rule.rule)
        for rule in flask.url_map.iter_rules()
        if rule.arguments
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {
        route for route in served if not route[1].startswith(("/static", ADMIN))
    } == ROUTES.keys() | BY_WEBHOOK_TOKEN
    assert {
        route for route in ENDPOINTS if "<" in route[1] and not route[1].startswith(ADMIN)
    } == ROUTES.keys()


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_another_users_id_is_answered_404(town: Town, route: tuple[str, str]):
    before = town.rows_of_ann()
    said = ask(town, town.bob, route)
    assert said.status_code == 404 and said.json["error"] == "not_found"
    assert town.rows_of_ann() == before


@pytest.mark.parametrize("route", sorted(BY_WEBHOOK_TOKEN), ids=" ".join)
def test_another_users_positions_and_bots_are_answered_404(town: Town, route: tuple[str, str]):
    client = town.house.flask.test_client()
    path = route[1].replace("<int:user_id>", str(town.ann.user.id))
    assert client.get(path, query_string={"token": town.bob.token}).status_code == 404
    assert client.get(path, headers={"Authorization": f"Bearer {town.bob.access}"}).status_code == 404
    assert client.get(path, query_string={"token": town.ann.token}).status_code == 200


# --- ids that come in a body or a query ---------------------------------------------------------------------

FIELDS: dict[tuple[str, str, str], Callable[[Town], Any]] = {
    ("POST", "/api/v1/bots", "account_id"): lambda t: (
        "POST",
        "/bots",
        {"account_id": t.of.account, "symbol": "KO", "timeframe": "D", "position_size": 1},
        {},
    ),
    ("PATCH", "/api/v1/bots/<int:bot_id>", "account_id"): lambda t: (
        "PATCH",
        f"/bots/{t.of.bot}",
        {"account_id": t.of.account},
        {},
    ),
    ("GET", "/api/v1/bots", "account_id"): lambda t: ("GET", "/bots", None, {"account_id": t.of.account}),
    ("DELETE", "/api/v1/bots/<int:bot_id>", "to"): lambda t: (
        "DELETE",
        f"/bots/{t.of.bot}",
        None,
        {"position": "hand_over", "to": t.of.other},
    ),
    ("POST", "/api/v1/protections", "scope_id"): lambda t: (
        "POST",
        "/protections",
        {"kind": "cooldown", "scope": "bot", "scope_id": t.of.bot},
        {},
    ),
    ("PUT", "/api/v1/switches", "id"): lambda t: (
        "PUT",
        "/switches",
        {"scope": "bot", "id": t.of.bot, "mode": "halt"},
        {},
    ),
    ("GET", "/api/v1/signals", "bot_id"): lambda t: ("GET", "/signals", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/orders", "bot_id"): lambda t: ("GET", "/orders", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/trades", "bot_id"): lambda t: ("GET", "/trades", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/trades.csv", "bot_id"): lambda t: ("GET", "/trades.csv", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/round-trips", "bot_id"): lambda t: (
        "GET",
        "/round-trips",
        None,
        {"status": "open", "bot_id": t.of.bot},
    ),
    ("GET", "/api/v1/round-trips", "account_id"): lambda t: (
        "GET",
        "/round-trips",
        None,
        {"status": "open", "account_id": t.of.account},
    ),
    ("GET", "/api/v1/round-trips.csv", "bot_id"): lambda t: (
        "GET",
        "/round-trips.csv",
        None,
        {"status": "open", "bot_id": t.of.bot},
    ),
    ("GET", "/api/v1/round-trips.csv", "account_id"): lambda t: (
        "GET",
        "/round-trips.csv",
        None,
        {"status": "open", "account_id": t.of.account},
    ),
    ("GET", "/api/v1/performance", "bot_id"): lambda t: ("GET", "/performance", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/risk-events", "bot_id"): lambda t: ("GET", "/risk-events", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/drifts", "account_id"): lambda t: ("GET", "/drifts", None, {"account_id": t.of.account}),
    ("POST", "/api/v1/drifts/<int:drift_id>/resolve", "bot_id"): lambda t: (
        "POST",
        f"/drifts/{t.of.bobs_drift}/resolve",
        {"way": "give", "bot_id": t.of.bot},
        {},
    ),
    ("POST", "/api/v1/flatten", "id"): lambda t: ("POST", "/flatten", {"scope": "bot", "id": t.of.bot}, {}),
    ("POST", "/api/v1/flatten", "accounts"): lambda t: (
        "POST",
        "/flatten",
        {"scope": "user", "accounts": [t.of.account]},
        {},
    ),
    ("POST", "/api/v1/messages/read", "up_to"): lambda t: ("POST", "/messages/read", {"up_to": 2**40}, {}),
}
NOT_OF_THINGS = {"request_id"}  # made by the asker


def test_every_field_that_names_a_thing_has_a_case():
    named = {
        (known.method, known.path, field)
        for known in ENDPOINTS.values()
        for model in (known.body, known.query)
        if model is not None
        for field in model.model_fields
        if (field.endswith("_id") or field in ("id", "to", "up_to", "accounts"))
        and field not in NOT_OF_THINGS
    }
    assert named == FIELDS.keys()


@pytest.mark.parametrize("field", FIELDS, ids=" ".join)
def test_another_users_id_in_a_field_finds_and_changes_nothing(town: Town, field: tuple[str, str, str]):
    before = town.rows_of_ann()
    method, path, body, query = FIELDS[field](town)
    said = town.bob.call(method, path, body, **query)
    assert town.rows_of_ann() == before
    if said.mimetype == "text/csv":
        assert len(said.text.splitlines()) == 1, "the names of the columns, and nothing below"
    elif said.status_code == 200:
        assert not said.json.get("items") and not said.json.get("marked")
    else:
        assert said.status_code == 404


@pytest.mark.parametrize("scope", ["bot", "account"])
def test_another_users_things_cannot_be_switched(town: Town, scope: str):
    before = town.rows_of_ann()
    said = town.bob.call("PUT", "/switches", {"scope": scope, "id": getattr(town.of, scope), "mode": "halt"})
    assert said.status_code == 404 and town.rows_of_ann() == before


@pytest.mark.parametrize(
    "path",
    sorted(
        {
            path
            for method, path in ENDPOINTS
            if method == "GET" and "<" not in path and not path.startswith(ADMIN)
        }
    ),
)
def test_no_list_shows_what_is_another_users(town: Town, path: str):
    said = town.bob.call("GET", path.removeprefix("/api/v1"))
    assert said.status_code == 200
    assert not [
        own for own in ("Ann", "ann@", town.of.signal, town.of.waiting, town.of.order) if own in said.text
    ]


@pytest.mark.parametrize("named", ["bot", "name"])
def test_an_alert_cannot_name_another_users_bot(town: Town, named: str):
    before = town.rows_of_ann()
    said = town.bob.alert(
        {"action": "close", "symbol": "AAPL", "bot": town.of.bot if named == "bot" else "Ann's Turtle"}
    )
    assert said.status_code == 404 and "Ann" not in said.json["hint"]
    assert {bot["symbol"] for bot in said.json["bots"]} == {"MSFT"}
    assert town.rows_of_ann() == before


def test_an_admin_has_no_way_into_anothers_bots_either(town: Town):
    boss = town.house.join("boss@example.com", Role.SUPERADMIN)
    assert ask(town, boss, ("GET", "/api/v1/bots/<int:bot_id>")).status_code == 404


@pytest.fixture(params=BOTH)
def fresh_town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    for house in _house(request, tmp_path):
        yield settle(house)


def test_the_owner_finds_what_the_others_do_not(fresh_town: Town):
    """Else every 404 above might be a misspelt address."""
    said = {route: ask(fresh_town, fresh_town.ann, route).status_code for route in ROUTES}
    assert set(said.values()) <= {200, 202, 409}
    assert [
        route for route, status in said.items() if status == 409 and route[1].endswith("/<int:bot_id>")
    ] == []
