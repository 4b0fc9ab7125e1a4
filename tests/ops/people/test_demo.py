"""Demos: a week that adds up, a way to a real account, and limits that keep strangers from filling the
disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.services.accounts import accounts, owned
from dashtrade.services.bots import bots
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.demo import demo
from dashtrade.services.operations import quotas
from dashtrade.services.people import admin, removal, sessions
from dashtrade.services.people import invitations as invitation_service
from dashtrade.services.people import tokens as token_service
from dashtrade.services.people import users as people
from dashtrade.services.people.users import Denied
from dashtrade.tables import admin_queries
from dashtrade.tables import fills as fill_table
from dashtrade.tables import trades as trade_table
from tests.support.fakes import ManualClock
from tests.support.installation import Installation
from tests.support.user_rows import PASSWORD, reread, row_counts


@pytest.fixture
def demo_app(make_app, clock: ManualClock) -> App:
    return make_app(clock=clock)


def test_a_demo_has_a_week_behind_it_that_adds_up(demo_app: App):
    """Booked by the engine: what its fills say is what the bots say, and the paper account holds what the
    bots own."""
    app, user = demo_app, reread(demo_app, demo.start(demo_app, address="203.0.113.7"))
    assert user.demo_until == app.clock.now() + timedelta(days=30) and user.role is Role.STANDARD
    with app.db.read() as conn:
        trades = trade_table.list_trades(conn, user.id, before=None, limit=500)
        fills = conn.execute(sa.select(fill_table.fills).where(fill_table.fills.c.user_id == user.id)).all()
    assert len(trades) >= 10
    age = app.clock.now() - min(trade.at for trade in trades)
    assert (
        timedelta(days=5) < age < timedelta(days=7, hours=1)
        and max(trade.at for trade in trades) <= app.clock.now()
    )
    found = [bots.bot_of(app, user, n) for n in {trade.bot_id for trade in trades}]
    assert len(found) == 3 and all(bot.is_active for bot in found)
    for bot in found:
        own = [fill for fill in fills if fill.bot_id == bot.id]
        assert bot.realized_pnl == sum((fill.realized for fill in own), Decimal(0))
        assert bot.position.quantity == sum(
            (fill.quantity if fill.side == "buy" else -fill.quantity for fill in own), Decimal(0)
        )
    account = owned.account_of(app, user, found[0].account_id)
    held = {position.symbol: position.quantity for position in app.brokers.of(account).positions()}
    assert held == {bot.symbol: bot.position.quantity for bot in found if bot.position.quantity}
    equity = app.brokers.of(account).account().equity
    open_profit = sum(
        (bot.position.unrealized(app.feed.quote(bot.symbol).mid) for bot in found if bot.position.quantity),
        Decimal(0),
    )
    fees = sum((bot.fees for bot in found), Decimal(0))
    assert abs(
        equity - (Decimal(100_000) + sum(bot.realized_pnl for bot in found) + open_profit - fees)
    ) < Decimal("0.01")


def test_a_demo_goes_on_from_where_it_is(demo_app: App):
    installation = Installation(demo_app)
    user = reread(demo_app, demo.start(demo_app, address=""))
    token = token_service.rotate_webhook_token(demo_app, user)
    response = installation.flask.test_client().post(
        "/webhook",
        query_string={"token": token},
        json={"action": "close", "symbol": "NASDAQ:AAPL", "timeframe": "1 Hour"},
    )
    assert response.status_code == 202
    installation.work()
    with demo_app.db.read() as conn:
        assert not [
            b
            for b in conn.execute(sa.text("SELECT symbol, position_quantity FROM user_bot_configs"))
            if "AAPL" in b[0] and Decimal(str(b[1]))
        ]


def test_two_demos_share_nothing(demo_app: App):
    one, two = (demo.start(demo_app, address="") for _ in range(2))
    assert row_counts(demo_app, one) == row_counts(demo_app, two)
    removal.remove(demo_app, one, actor=None, action=AuditAction.DEMO_ENDED)
    assert row_counts(demo_app, one) == {} and row_counts(demo_app, two)


def test_a_demo_becomes_an_account_with_everything_in_it(demo_app: App, superadmin: User):
    user = reread(demo_app, demo.start(demo_app, address=""))
    before = row_counts(demo_app, user.id)
    given = {"email": "dora@example.com", "name": "Dora", "password": PASSWORD, "address": ""}
    with pytest.raises(Denied, match="invitation"):
        demo.claim(demo_app, user, code=None, **given)
    code = invitation_service.invite(demo_app, superadmin, email="", role=Role.STANDARD)
    demo.claim(demo_app, user, code=code, **given)
    kept = people.check_password(demo_app, "dora@example.com", PASSWORD, "")
    assert (kept.id, kept.demo_until, kept.name) == (user.id, None, "Dora")
    assert row_counts(demo_app, user.id) == before
    with pytest.raises(Denied):
        demo.claim(
            demo_app,
            reread(demo_app, demo.start(demo_app, address="")),
            code=code,
            **given | {"email": "other@example.com"},
        )


def test_a_demo_in_use_is_renewed_and_a_forgotten_one_goes(demo_app: App, clock: ManualClock):
    used, forgotten = (demo.start(demo_app, address="") for _ in range(2))
    token = sessions.begin(demo_app, used, device="", address="", remember=True)
    clock.forward(20 * 86400)
    assert sessions.find(demo_app, token) is not None
    clock.forward(11 * 86400)
    assert demo.end_expired(demo_app) == 1
    assert row_counts(demo_app, forgotten) == {} and row_counts(demo_app, used)


def test_strangers_cannot_fill_the_disk_with_demos(
    demo_app: App, clock: ManualClock, superadmin: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "MAX_PER_HOUR", 2)
    users = [demo.start(demo_app, address="203.0.113.7") for _ in range(2)]
    with pytest.raises(Denied, match="from your address"):
        demo.start(demo_app, address="203.0.113.7")
    clock.forward(3601)
    demo.start(demo_app, address="203.0.113.7")
    monkeypatch.setattr(demo, "MAX_DEMOS", 3)
    with pytest.raises(Denied, match="in use"):
        demo.start(demo_app, address="198.51.100.1")
    user = reread(demo_app, users[0])
    with pytest.raises(Refusal, match="on paper"):
        accounts.add_account(
            demo_app,
            user,
            broker="alpaca",
            mode="paper",
            label="",
            credentials={"key": "k" * 20, "secret": "s" * 40},
            options={},
        )
    with pytest.raises(Refusal, match="no API tokens"):
        sessions.add_api_token(demo_app, user, name="x", days=1, scopes=["read"], password="", address="")
    monkeypatch.setattr(quotas, "BOTS", replace(quotas.BOTS, demo=4))
    with demo_app.db.read() as conn:
        account = conn.scalar(sa.text(f"SELECT id FROM user_api_keys WHERE user_id = {user.id}"))
    wanted = {"account_id": account, "timeframe": "1 Hour", "position_size": "100"}
    bots.delete_bot(
        demo_app, user, bots.add_bot(demo_app, user, wanted | {"symbol": "MSFT"}), position=None, hand_to=None
    )
    with pytest.raises(Refusal, match="can have 4 bots"):
        bots.add_bot(demo_app, user, wanted | {"symbol": "KO"})
    admin.put_setting(demo_app, superadmin, invitation_service.DEMO, "off")
    with pytest.raises(Denied, match="no demo"):
        demo.start(demo_app, address="198.51.100.2")


def test_a_demo_takes_so_many_alerts_and_no_more(demo_app: App, monkeypatch: pytest.MonkeyPatch):
    user = reread(demo_app, demo.start(demo_app, address=""))
    token = token_service.rotate_webhook_token(demo_app, user)
    with demo_app.db.read() as conn:
        had = conn.scalar(sa.text(f"SELECT count(*) FROM signals WHERE user_id = {user.id}"))
    monkeypatch.setattr(demo, "MAX_ALERTS", had + 1)
    client = Installation(demo_app).flask.test_client()
    answer = [
        client.post(
            "/webhook",
            query_string={"token": token},
            json={"action": "buy", "symbol": "BTCUSD", "id": str(n)},
        ).status_code
        for n in range(2)
    ]
    assert answer == [202, 409]


def test_a_demo_has_no_password_sign_in(demo_app: App):
    user = reread(demo_app, demo.start(demo_app, address=""))
    with pytest.raises(Denied):
        people.check_password(demo_app, user.email, "", "")


def test_latency_is_measured_on_alerts_with_a_waiting_sender(demo_app: App):
    demo.start(demo_app, address="")
    with demo_app.db.read() as conn:
        assert admin_queries.latencies(conn, 100) == []
