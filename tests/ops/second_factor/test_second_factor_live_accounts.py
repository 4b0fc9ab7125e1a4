"""Real money asks for a second factor, or for a decline that is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.context import App
from dashtrade.domain.access import TokenScope
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import owned
from dashtrade.services.people import second_factor, second_factor_policy
from dashtrade.tables import accounts as account_table
from dashtrade.tables import messages
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader
from tests.support.second_factor import DECLINE, LIVE, PASSWORD, audit, named_token, reread, set_up

# --- for live accounts --------------------------------------------------------------------------------------

DECLINED = AuditAction.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR


def stored(person: Trader, account_id: int) -> Any:
    return owned.account_of(person.installation.app, person.user, account_id)


def test_real_money_asks_for_a_second_factor_and_names_the_field(trader: Trader):
    response = trader.call("POST", "/accounts", LIVE)
    assert (
        response.status_code == 400
        and response.json["field"] == "decline_second_factor"
        and "anyone" in response.json["hint"]
    )
    quiet = trader.request("POST", "/accounts", LIVE | {"acknowledge": ""})
    assert quiet["problem"] and quiet["second_factor_declined_at"] is None
    response = trader.call("PATCH", f"/accounts/{quiet['id']}", {"acknowledge": "REAL MONEY"})
    assert response.status_code == 400 and response.json["field"] == "decline_second_factor"
    assert not stored(trader, quiet["id"]).acknowledged_at


def test_one_who_has_a_second_factor_is_not_asked(trader: Trader, clock: ManualClock):
    script = named_token(trader, TokenScope.ADMIN, TokenScope.READ)
    set_up(trader)
    made = script.request("POST", "/accounts", LIVE | DECLINE)
    assert made["problem"] == "" and made["second_factor_declined_at"] is None, "there was nothing to decline"


@pytest.mark.parametrize("how", ["at once", "later"])
def test_a_decline_is_kept_on_the_account_and_in_the_audit_log(trader: Trader, superadmin: Trader, how: str):
    if how == "at once":
        account = trader.request("POST", "/accounts", LIVE | DECLINE)
    else:
        account = trader.request("POST", "/accounts", LIVE | {"acknowledge": ""})
        account = trader.request(
            "PATCH", f"/accounts/{account['id']}", {"acknowledge": "REAL MONEY", **DECLINE}
        )
    assert account["problem"] == "" and account["second_factor_declined_at"]
    [row] = [
        row
        for row in audit(trader.installation.app)
        if row.action == AuditAction.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR
    ]
    assert (row.user_id, row.subject_id, row.detail) == (
        trader.user.id,
        account["id"],
        {"label": "Real", "broker": "venue"},
    )
    [shown] = [one for one in superadmin.get("/admin/users")["items"] if one["id"] == trader.user.id]
    assert shown["live_without_second_factor"] == {
        "accounts": 1,
        "declined": 1,
        "since": account["second_factor_declined_at"],
    }
    again = trader.request("PATCH", f"/accounts/{account['id']}", {"acknowledge": "REAL MONEY"})
    assert again["second_factor_declined_at"] == account["second_factor_declined_at"], "it was said already"


def test_a_decline_without_the_acknowledgement_says_what_is_missing(trader: Trader):
    response = trader.call("POST", "/accounts", LIVE | DECLINE | {"acknowledge": ""})
    assert response.status_code == 400 and response.json["field"] == "acknowledge"
    paper = trader.account()
    assert trader.call("PATCH", f"/accounts/{paper}", DECLINE).json["field"] == "acknowledge"


def test_a_decline_ends_when_a_second_factor_is_set_up(trader: Trader, superadmin: Trader):
    account = trader.request("POST", "/accounts", LIVE | DECLINE)["id"]
    set_up(trader)
    assert stored(trader, account).second_factor_declined_at is None and not stored(trader, account).problem
    [row] = [
        row for row in audit(trader.installation.app) if row.action == AuditAction.SECOND_FACTOR_SWITCHED_ON
    ]
    assert row.detail == {"declines_ended": 1}
    [shown] = [one for one in superadmin.get("/admin/users")["items"] if one["id"] == trader.user.id]
    assert shown["live_without_second_factor"] is None


def test_a_required_second_factor_cannot_be_declined(app: App, superadmin: Trader, trader: Trader):
    script = named_token(trader, TokenScope.ADMIN)
    quiet = script.request("POST", "/accounts", LIVE | {"acknowledge": ""})["id"]
    second_factor_policy.put(app, superadmin.user, True)
    for method, path, body in (
        ("POST", "/accounts", LIVE | DECLINE),
        ("PATCH", f"/accounts/{quiet}", {"acknowledge": "REAL MONEY"} | DECLINE),
    ):
        response = script.call(method, path, body)
        assert (
            response.status_code == 409 and "requires two-factor authentication" in response.json["message"]
        )
    assert not stored(trader, quiet).acknowledged_at


def test_switching_it_off_with_real_money_asks_for_the_same_decline(app: App, trader: Trader):
    script = named_token(trader, TokenScope.ADMIN)
    user = set_up(trader)
    account, paper = script.request("POST", "/accounts", LIVE)["id"], script.account()
    with pytest.raises(Malformed) as answer:
        second_factor.disable(app, user, password=PASSWORD, address="")
    assert answer.value.where == "decline_second_factor" and reread(trader).second_factor
    second_factor.disable(app, user, password=PASSWORD, address="", declines=True)
    assert (
        not reread(trader).second_factor
        and stored(trader, account).second_factor_declined_at == app.clock.now()
    )
    assert stored(trader, paper).second_factor_declined_at is None
    assert [
        row.subject_id for row in audit(app) if row.action == AuditAction.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR
    ] == [account]


def test_without_real_money_it_is_switched_off_as_before(app: App, trader: Trader):
    user = set_up(trader)
    second_factor.disable(app, user, password=PASSWORD, address="")
    assert not reread(trader).second_factor


def test_an_account_that_trades_already_goes_on(installation: Installation, trader: Trader):
    """Confirmed before there was this question, or whose owner's second factor an admin took off."""
    account = trader.request("POST", "/accounts", LIVE | DECLINE)["id"]
    installation.app.db.write(
        lambda conn: account_table.change(conn, trader.user.id, account, second_factor_declined_at=None)
    )
    bot = trader.bot(account=account)
    trader.trades("buy")
    assert trader.holds(bot) > 0
    assert [one.id for one in second_factor_policy.undecided(installation.app, trader.user)] == [account]


def test_earlier_real_money_traders_are_notified_once(empty_database_url: str, clock: ManualClock):
    """By the change of the schema, which is made once."""
    db = Database(empty_database_url)
    db._upgrade("0014_stored_bytes")
    old = sa.MetaData()
    old.reflect(db.engine)
    now = clock.now() if not db.is_sqlite else 1
    user = {
        "name": "",
        "password_hash": "-",
        "role": "standard",
        "is_active": True,
        "time_zone": "UTC",
        "tradingview_only": False,
        "created_at": now,
    }
    account = {
        "broker": "alpaca",
        "label": "A",
        "credentials": "",
        "options": "{}",
        "is_active": True,
        "disabled_reason": "",
        "created_at": now,
    }
    people_there = {
        1: ("live", now, None),
        2: ("live", now, "sealed"),
        3: ("live", None, None),
        4: ("paper", None, None),
    }
    with db.engine.begin() as conn:
        for number, (mode, acknowledged, secret) in people_there.items():
            conn.execute(
                sa.insert(old.tables["users"]).values(
                    id=number, email=f"{number}@example.com", totp_secret=secret, **user
                )
            )
            for _ in range(2):
                conn.execute(
                    sa.insert(old.tables["user_api_keys"]).values(
                        user_id=number, mode=mode, acknowledged_at=acknowledged, **account
                    )
                )
    db.migrate()
    with db.read() as conn:
        found = {
            number: rows
            for number in people_there
            if (rows := messages.list_page(conn, number, before=None, limit=9))
        }
    db.close()
    assert found.keys() == {1}
    [message] = found[1]
    assert message.level == "warning" and message.read_at is None and message.at.tzinfo is not None
    assert message.notice is None
    assert "trade on as before" in message.written.text, "a message of then keeps its words"


def test_live_accounts_of_a_removed_account_are_not_counted(trader: Trader, superadmin: Trader):
    account = trader.request("POST", "/accounts", LIVE | DECLINE)["id"]
    trader.request("DELETE", f"/accounts/{account}")
    [shown] = [one for one in superadmin.get("/admin/users")["items"] if one["id"] == trader.user.id]
    assert shown["live_without_second_factor"] is None
    second_factor.disable(trader.installation.app, set_up(trader), password=PASSWORD, address="")


def test_the_recorded_time_is_the_clocks(trader: Trader, clock: ManualClock):
    clock.time += timedelta(days=2)
    made = trader.request("POST", "/accounts", LIVE | DECLINE)
    assert stored(trader, made["id"]).second_factor_declined_at == clock.now()
