"""Everything is somebody's: with another user's id, every query finds nothing and changes nothing.

The queries are read from the code. One that is new and has no case here fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

import dashtrade.tables
from dashtrade.domain.bots import BotSettings, Stop
from dashtrade.domain.kernel.records import SignalChange
from dashtrade.domain.reasons import NO_REASON, quoted
from dashtrade.domain.signals import Size, SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
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
    order_events,
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
    user_orders,
)
from tests.support.candle_cases import MAKES_CANDLES, READS_CANDLES
from tests.support.fakes import ManualClock
from tests.support.source_cases import MAKES_SOURCE_KEYS, READS_SOURCE_KEYS
from tests.support.two_tenants import AAPL, TwoTenants

SETTINGS = BotSettings(name="A bot", size=Size(kind=SizeKind.DOLLARS, value=Decimal(5000)))

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

LIFE = {"created_at": ManualClock().time, "expires_at": ManualClock().time, "used_at": None}

Query = Callable[[sa.Connection, int, SimpleNamespace], Any]

READS_AND_CHANGES: dict[str, Query] = {  # with Ann's ids: something for Ann, nothing for Bob
    **READS_CANDLES,
    **READS_SOURCE_KEYS,
    "accounts.get": lambda c, o, of: accounts.get(c, o, of.account),
    "accounts.list_all": lambda c, o, of: [a for a in accounts.list_all(c, o) if a.id == of.account],
    "quotas.lock": lambda c, o, of: quotas.lock(c, o) and o == of.trader,
    "quotas.count": lambda c, o, of: quotas.count(c, o, "accounts", of.now) == 2,
    "quotas.created_since": lambda c, o, of: quotas.created_since(c, o, "bots") == 2,
    "tokens.trim_api_tokens": lambda c, o, of: tokens.trim_api_tokens(c, o, "test", 0),
    "accounts.change": lambda c, o, of: accounts.change(c, o, of.account, label="taken"),
    "bots.get": lambda c, o, of: bots.get(c, o, of.bot),
    "bots.list_page": lambda c, o, of: bots.list_page(c, o, account_id=of.account),
    "bots.listening_on": lambda c, o, of: bots.listening_on(c, o, AAPL),
    "bots.all_with_names": lambda c, o, of: [b for b in bots.all_with_names(c, o) if b.id == of.bot],
    "bots.change": lambda c, o, of: bots.change(c, o, of.bot, name="taken"),
    "bots.change_settings": lambda c, o, of: bots.change_settings(
        c, o, of.bot, SETTINGS, replace(SETTINGS, name="taken"), now=of.now
    ),
    "bots.pause_all": lambda c, o, of: bots.pause_all(
        c, o, reason=quoted("x"), now=of.now, account_id=of.account
    ),
    "bot_days.days": lambda c, o, of: bot_days.days(c, o, bot_id=of.bot, since=None, until=None),
    "risk_events.list_risk_events": lambda c, o, of: risk_events.list_risk_events(c, o, before=None, limit=9),
    "switches.list_switches": lambda c, o, of: switches.list_switches(c, o),
    "bots.owning": lambda c, o, of: [b for b in bots.owning(c, o) if b.id == of.bot],
    "bots.engaged": lambda c, o, of: [b for b in bots.engaged(c, o) if b.id == of.bot],
    "bots.stopped": lambda c, o, of: _stopped(c, o, of),
    "change_token.of": lambda c, o, of: change_token.of(c, o) == change_token.of(c, of.trader),
    "drifts.get": lambda c, o, of: drifts.get(c, o, of.drift),
    "drifts.list_page": lambda c, o, of: drifts.list_page(c, o, before=None, limit=9, account_id=of.account),
    "drifts.outside_quantity_of_owner": lambda c, o, of: drifts.outside_quantity_of_owner(
        c, o, of.account, "KO"
    ),
    "drifts.reconciliation_states": lambda c, o, of: drifts.reconciliation_states(c, o),
    "readings.of_user": lambda c, o, of: readings.of_user(c, o),
    "readings.mark_watched": lambda c, o, of: readings.mark_watched(c, o, of.now),
    "flattens.get": lambda c, o, of: flattens.get(c, o, of.flatten),
    "flattens.items_of_owner": lambda c, o, of: flattens.items_of_owner(c, o, of.flatten),
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
        c, o, signals.get(c, of.trader, of.signal).dedupe_key
    ),
    "signals.room_for": lambda c, o, of: not signals.room_for(c, o, 1),
    "storage.used": lambda c, o, of: storage.used(c, o) == storage.used(c, of.trader),
    "storage.used_locked": lambda c, o, of: storage.used_locked(c, o) == storage.used(c, of.trader),
    "storage.oldest_texts": lambda c, o, of: of.signal in storage.oldest_texts(c, o, 9),
    "storage.forget_texts": lambda c, o, of: storage.forget_texts(c, o, [of.signal]),
    "storage.mark_notified": lambda c, o, of: storage.mark_notified(c, o, of.now),
    "decisions.engaged": lambda c, o, of: decisions.engaged(c, o, [of.bot]),
    "signals.get": lambda c, o, of: signals.get(c, o, of.signal),
    "signals.status_of": lambda c, o, of: signals.status_of(c, o, of.signal),
    "decisions.bot_statuses": lambda c, o, of: decisions.bot_statuses(c, o, of.signal),
    "decisions.bot_outcomes": lambda c, o, of: decisions.bot_outcomes(c, o, of.signal),
    "decisions.last_outcomes": lambda c, o, of: decisions.last_outcomes(c, o, [of.bot]),
    "decisions.recently_refused": lambda c, o, of: _refused(c, o, of),
    "signals.list_page": lambda c, o, of: signals.list_page(c, o, before=None, limit=9, bot_id=of.bot),
    "user_orders.get": lambda c, o, of: user_orders.get(c, o, of.order),
    "user_orders.list_page": lambda c, o, of: user_orders.list_page(
        c, o, before=None, limit=9, bot_id=of.bot
    ),
    "user_orders.list_open": lambda c, o, of: _opened(c, o, of),
    "user_orders.for_signal": lambda c, o, of: user_orders.for_signal(c, o, of.signal),
    "order_events.events_for_signal": lambda c, o, of: order_events.events_for_signal(c, o, of.signal),
    "fills.fills_for_signal": lambda c, o, of: fills.fills_for_signal(c, o, of.signal),
    "user_orders.by_venue_number": lambda c, o, of: user_orders.by_venue_number(
        c, o, of.account, orders.load(c, of.order).broker_order_id, since=of.now - timedelta(days=1)
    ),
    "trades.list_trades": lambda c, o, of: trades.list_trades(c, o, before=None, limit=9, bot_id=of.bot),
    "trades.simulated_days": lambda c, o, of: _made_up(c, o, of),
    "trades.stream_trades": lambda c, o, of: list(trades.stream_trades(c, o, bot_id=of.bot)),
    "fills.hand_over_lots": lambda c, o, of: fills.hand_over_lots(c, o, of.bot, of.other),
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
    "messages.get": lambda c, o, of: [
        found for number in range(1, 9) if (found := messages.get(c, o, number)) is not None
    ],
    "messages.unread": lambda c, o, of: messages.unread(c, o).number,
    "messages.for_signal": lambda c, o, of: messages.for_signal(c, o, of.signal),
    "messages.mark_read": lambda c, o, of: messages.mark_read(c, o, up_to=2**40, now=of.now),
    "messages.recorded": lambda c, o, of: [
        r for r in messages.recorded(c, o, before=None, limit=99) if r.user_id == of.trader
    ],
    "messages.about_bot": lambda c, o, of: messages.about_bot(c, o, of.bot, limit=9),
    "people.change": lambda c, o, of: people.change(c, o, name="changed"),
    "sessions.list_sessions": lambda c, o, of: sessions.list_sessions(c, o, of.now),
    "sessions.remove_session_named": lambda c, o, of: sessions.remove_session_named(c, o, "s"),
    "sessions.trim_sessions": lambda c, o, of: sessions.trim_sessions(c, o, 0),
    "tokens.revoke_api_tokens": lambda c, o, of: tokens.revoke_api_tokens(c, o, of.now) and o == of.trader,
    "second_factors.factor": lambda c, o, of: second_factors.factor(c, o),
    "second_factors.lock_factor": lambda c, o, of: second_factors.lock_factor(c, o),
    "second_factors.put_factor": lambda c, o, of: second_factors.put_factor(c, o, None, None),
    "second_factors.use_step": lambda c, o, of: second_factors.use_step(c, o, 2) and o == of.trader,
    "second_factors.use_code": lambda c, o, of: second_factors.use_code(c, o, "r", of.now),
    "second_factors.codes_left": lambda c, o, of: second_factors.codes_left(c, o),
    "second_factors.count_wrong_code": lambda c, o, of: (
        second_factors.count_wrong_code(c, o) and o == of.trader
    ),
    "second_factors.reset_wrong_codes": lambda c, o, of: second_factors.reset_wrong_codes(c, o),
    "attempts.is_known": lambda c, o, of: attempts.is_known(c, o, "d"),
    "attempts.forget_devices": lambda c, o, of: attempts.forget_devices(c, o),
    "second_factors.use_link": lambda c, o, of: second_factors.use_link(c, o, "l", of.now),
    "second_factors.drop_link": lambda c, o, of: second_factors.drop_link(c, o),
    "invitations.use_invitation": lambda c, o, of: invitations.use_invitation(c, o, of.invitation, of.now),
    "invitations.drop_invitation": lambda c, o, of: invitations.drop_invitation(c, o, of.invitation),
    "second_factors.end_handed_out": lambda c, o, of: second_factors.end_handed_out(c, o),
    "export.profile": lambda c, o, of: export.profile(c, o).get("email") == "ann@example.com",
    "export.rows": lambda c, o, of: [
        row for name in export.TABLES.values() for row in export.rows(c, o, name) if row.user_id == of.trader
    ],
    "sessions.remove_sessions": lambda c, o, of: sessions.remove_sessions(c, o),
    "tokens.list_api_tokens": lambda c, o, of: [t for t in tokens.list_api_tokens(c, o) if t.id == of.token],
    "tokens.revoke_api_token": lambda c, o, of: tokens.revoke_api_token(c, o, of.token, of.now),
    "tokens.current_webhook_token": lambda c, o, of: (
        (t := tokens.current_webhook_token(c, o)) and t.user_id == of.trader
    ),
    "tokens.end_webhook_tokens": lambda c, o, of: (
        tokens.end_webhook_tokens(c, o, now=of.now, until=None) and o == of.trader
    ),
}

MAKES: dict[str, Query] = {  # what Bob makes is Bob's
    **MAKES_CANDLES,
    **MAKES_SOURCE_KEYS,
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
    "bots.add": lambda c, o, of: bots.add(
        c,
        o,
        of.account,
        symbol=Symbol.parse("KO"),
        written_symbol="KO",
        timeframe=Timeframe(900),
        settings=SETTINGS,
        now=of.now,
    ),
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
    "signals.add_unreadable": lambda c, o, of: signals.add_unreadable(
        c, o, signal_id="new", raw="?", why=NO_REASON, sender="", now=of.now
    ),
    "storage.add": lambda c, o, of: storage.add(c, o, 7),
    "flattens.add": lambda c, o, of: flattens.add(
        c, o, scope="user", scope_id=o, asked_by="", now=of.now, bots=[bot_positions.load(c, of.bot)]
    ),
    "attempts.put_device": lambda c, o, of: attempts.put_device(
        c, o, "t", of.now, 0 if o == of.trader else 9
    ),
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


def _refused(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    row = signals.get(conn, of.trader, of.signal)
    refused = SignalChange(status="refused", reason=NO_REASON, ended_at=of.now)
    signals.end_signals(conn, {of.signal: refused})
    found = decisions.recently_refused(conn, owner, since=row.received_at - timedelta(days=1))
    before = SignalChange(status=row.status, reason=row.reason, ended_at=row.ended_at)
    signals.end_signals(conn, {of.signal: before})
    return found


def _made_up(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    accounts.change(conn, of.trader, of.account, mode="live")
    found = trades.simulated_days(conn, owner, bot_id=None, since=None, account_id=of.account)
    accounts.change(conn, of.trader, of.account, mode="paper")
    return found


def _opened(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    change = sa.update(orders.orders).where(orders.orders.c.id == of.order)
    conn.execute(change.values(status="working"))
    found = user_orders.list_open(conn, owner)
    conn.execute(change.values(status="filled"))
    return found


def _stopped(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    bots.change(conn, of.trader, of.bot, is_active=False, paused_reason=quoted("past its limit"))
    found = bots.stopped(conn, owner, limit=9)
    bots.change(conn, of.trader, of.bot, is_active=True, paused_reason=NO_REASON)
    return found


def _ended(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    trips = round_trips.trips
    conn.execute(sa.update(trips).where(trips.c.bot_id == of.bot).values(closed_at=of.now))
    found = round_trips.ended(conn, owner, limit=9, bot_id=of.bot)
    conn.execute(sa.update(trips).where(trips.c.bot_id == of.bot).values(closed_at=None))
    return found


class Undo(Exception):
    """Nothing of this was meant to stay."""


def tried(tenants: TwoTenants, work: Callable[[sa.Connection], None]) -> None:
    def run(conn: sa.Connection) -> None:
        work(conn)
        raise Undo

    with pytest.raises(Undo):
        tenants.installation.app.db.write(run)


def test_every_query_of_an_owner_has_a_case():
    assert set(QUERIES) == READS_AND_CHANGES.keys() | MAKES.keys()
    assert not READS_AND_CHANGES.keys() & MAKES.keys()


@pytest.mark.parametrize("name", READS_AND_CHANGES)
def test_with_another_users_id_a_query_finds_and_changes_nothing(tenants: TwoTenants, name: str):
    query, of = READS_AND_CHANGES[name], SimpleNamespace(**vars(tenants.of), trader=tenants.trader.user.id)

    def as_other(conn: sa.Connection) -> None:
        before = tenants.rows_of_trader(conn)
        assert not query(conn, tenants.other_trader.user.id, of)
        assert tenants.rows_of_trader(conn) == before

    def as_trader(conn: sa.Connection) -> None:
        before = tenants.rows_of_trader(conn)
        assert query(conn, tenants.trader.user.id, of) or tenants.rows_of_trader(conn) != before

    tried(tenants, as_other)
    tried(tenants, as_trader)


@pytest.mark.parametrize("name", MAKES)
def test_what_one_user_makes_leaves_the_others_as_they_are(tenants: TwoTenants, name: str):
    query, of = MAKES[name], SimpleNamespace(**vars(tenants.of), trader=tenants.trader.user.id)

    def as_other(conn: sa.Connection) -> None:
        before = tenants.rows_of_trader(conn)
        query(conn, tenants.other_trader.user.id, of)
        assert tenants.rows_of_trader(conn) == before

    def as_trader(conn: sa.Connection) -> None:
        before = tenants.rows_of_trader(conn)
        query(conn, tenants.trader.user.id, of)
        assert tenants.rows_of_trader(conn) != before

    tried(tenants, as_other)
    tried(tenants, as_trader)
