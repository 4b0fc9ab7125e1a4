"""Two users: one has one of everything, the other looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.app import build_app
from dashtrade.domain.kernel.records import NewLock, RiskEvent
from dashtrade.domain.position_mismatch import MismatchKind
from dashtrade.domain.protections import Scope
from dashtrade.domain.reasons import NO_REASON, quoted
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import bars_of
from dashtrade.market.series import Series
from dashtrade.settings import Settings
from dashtrade.tables import (
    attempts,
    bot_positions,
    candles,
    drifts,
    flattens,
    invitations,
    protections,
    readings,
    risk_events,
    second_factors,
    sessions,
    tokens,
)
from dashtrade.tables.base import metadata
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import KEY, Installation, Trader

AAPL = Symbol.parse("AAPL")
OWN_CANDLES = Series(source="my file", symbol=AAPL, timeframe=Timeframe(60))


@dataclass
class TwoTenants:
    """Ann has one of everything; Bob has an account and a bot of his own."""

    installation: Installation
    trader: Trader
    other_trader: Trader
    of: SimpleNamespace  # Ann's ids

    def rows_of_trader(self, conn: sa.Connection | None = None) -> dict[str, list[Any]]:
        if conn is None:
            with self.installation.app.db.read() as reading:
                return self.rows_of_trader(reading)
        owned = [table for table in metadata.sorted_tables if "user_id" in table.c]
        found = {
            t.name: sorted(
                map(tuple, conn.execute(sa.select(t).where(t.c.user_id == self.trader.user.id))), key=repr
            )
            for t in owned
        }
        me = metadata.tables["users"]
        return found | {
            "users": [tuple(row) for row in conn.execute(sa.select(me).where(me.c.id == self.trader.user.id))]
        }


def create_two_tenants(installation: Installation) -> TwoTenants:
    trader, other_trader = installation.join("ann@example.com"), installation.join("bob@example.com")
    bot, other = trader.bot(name="Ann's Turtle"), trader.bot(timeframe="1H", name="Ann's Hare")
    other_trader.bot("MSFT")
    trader.account()
    story = trader.trades("buy", timeframe="15 Min")
    waiting = trader.send(action="buy", symbol="AAPL", timeframe="1H", delay=3600)
    trader.request("PUT", "/switches", {"scope": "bot", "id": other, "mode": "pause_entries"})
    now, app = installation.app.clock.now(), installation.app

    def more(conn: sa.Connection) -> int:
        of.drift, of.others_drift = (
            drifts.add(
                conn,
                owner.user.id,
                account_id=owner.paper,
                asset=AAPL.text,
                symbol=AAPL,
                kind=MismatchKind.CLOSED,
                ours=Decimal(5),
                outside=Decimal(0),
                theirs=Decimal(0),
                average_price=None,
                mark=Decimal(100),
                ratio=None,
                detail=NO_REASON,
                opened_at=now,
                updated_at=now,
            )
            for owner in (trader, other_trader)
        )
        candles.write_own(conn, trader.user.id, OWN_CANDLES, bars_of([(0, 1, 1, 1, 1, 1)]), now)
        drifts.put_outside(conn, trader.user.id, trader.paper, "KO", Decimal(3), now)
        drifts.put_reconciliation_state(
            conn,
            drifts.ReconciliationState(
                account_id=trader.paper,
                user_id=trader.user.id,
                first_at=now,
                at=now,
                failing_since=None,
                problem="",
                notified=False,
            ),
        )
        readings.put(
            conn,
            readings.AccountReading(
                account_id=trader.paper, user_id=trader.user.id, simulated=False, read_at=now, changed_at=now
            ),
        )
        of.flatten = flattens.add(
            conn,
            trader.user.id,
            scope="bot",
            scope_id=bot,
            asked_by="",
            now=now,
            bots=[bot_positions.load(conn, bot)],
        )
        sessions.add_session(
            conn,
            trader.user.id,
            token_hash="s",
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(days=1),
            device="",
            address="",
            remember=False,
        )
        of.invitation = invitations.add_invitation(
            conn,
            trader.user.id,
            code_hash="c",
            email="",
            role="standard",
            created_at=now,
            expires_at=now + timedelta(days=1),
            used_at=None,
        )
        day_after = now + timedelta(days=1)
        second_factors.add_link(conn, trader.user.id, code_hash="l", made_by=0, now=now, expires_at=day_after)
        second_factors.put_factor(conn, trader.user.id, "sealed", 1)
        second_factors.count_wrong_code(conn, trader.user.id)
        attempts.put_device(conn, trader.user.id, "d", now, 9)
        second_factors.put_codes(conn, trader.user.id, ["r"])
        of.protection, of.spare = (
            protections.add(
                conn,
                trader.user.id,
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
        lock = NewLock(
            user_id=trader.user.id,
            protection_id=of.protection,
            kind="cooldown",
            scope=Scope.BOT,
            scope_id=bot,
            symbol=None,
            bot_id=bot,
            signal_id=story["id"],
            reason=quoted("Ann's stop"),
            numbers={},
            since=now,
            until=None,
        )
        protections.add_lock(conn, lock)
        of.lock = conn.scalar(sa.select(sa.func.max(protections.locks.c.id)))
        own = bot_positions.load(conn, bot)
        risk_events.add(
            conn,
            RiskEvent(
                bot=own,
                at=now,
                kind="risk_limit",
                threshold=Decimal(1),
                actual=Decimal(2),
                action=quoted("none"),
                detail=NO_REASON,
                signal_id=None,
            ),
        )
        return tokens.list_api_tokens(conn, trader.user.id)[0].id

    of = SimpleNamespace(
        account=trader.paper,
        bot=bot,
        other=other,
        signal=story["id"],
        waiting=waiting,
        order=story["orders"][0]["order_id"],
        now=now,
    )
    of.token = app.db.write(more)
    return TwoTenants(installation=installation, trader=trader, other_trader=other_trader, of=of)


def open_installation(request: pytest.FixtureRequest, folder: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        url, server = request.getfixturevalue("sqlite_files").fresh(), None
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.fresh()
    clock = ManualClock()
    environ = {"DASHTRADE_HOME": str(folder), "DATABASE_URL": url, "ENCRYPTION_KEY": KEY}
    app = build_app(Settings.load(environ, folder), clock=clock, feed=ManualFeed(clock))
    yield Installation(app)
    app.close()
    if server is not None:
        server.drop(url)


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
