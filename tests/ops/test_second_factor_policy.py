"""Who has to have a second factor: everybody where a superadmin says so, and whoever trades real money,
unless they decline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role, TokenScope
from dashtrade.domain.notices.people import SecondFactorRequired, SecondFactorStays, SecondFactorVoluntary
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import owned
from dashtrade.services.bots import bots
from dashtrade.services.demo import demo
from dashtrade.services.people import (
    invitations,
    second_factor,
    second_factor_policy,
    sessions,
    tokens,
    users,
)
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.refusals import Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import messages
from dashtrade.tables import people as people_table
from tests.api.test_flatten import carry_on
from tests.support.fakes import SetClock
from tests.support.installation import House, Person, Venue

PASSWORD, SECRET = "correct horse battery", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
LIVE = {
    "broker": "venue",
    "mode": "live",
    "label": "Real",
    "credentials": {},
    "options": {},
    "acknowledge": "REAL MONEY",
}
DECLINE = {"decline_second_factor": True}


@pytest.fixture
def app(make_app: Any, clock: SetClock, feed: Any) -> App:
    """With a broker that has live accounts."""
    kinds = {name: replace(kind, modes=("paper", "live")) for name, kind in Venue().kind().items()}
    return make_app(clock=clock, feed=feed, brokers=kinds)


@pytest.fixture
def boss(house: House) -> Person:
    return house.join("boss@example.com", Role.SUPERADMIN)


@pytest.fixture
def ann(house: House) -> Person:
    """With a password, and the token of a sign-in over REST."""
    made = house.join()
    user_id = users.add_user(house.app, email="annie@example.com", name="Annie", password=PASSWORD)
    signed_in = users.sign_in(house.app, user_id)
    return replace(
        made,
        user=signed_in.user,
        access=signed_in.access_token,
        token=tokens.rotate_webhook_token(house.app, signed_in.user),
    )


def reread(person: Person) -> User:
    with person.house.app.db.read() as conn:
        found = people_table.by_id(conn, person.user.id)
    assert found is not None
    return found


def set_up(person: Person, **more: Any) -> User:
    app = person.house.app
    code = totp.code_at(SECRET, totp.step_at(app.clock.now()))
    second_factor.enable(
        app,
        reread(person),
        **({"secret": SECRET, "code": code, "password": PASSWORD, "address": "", "token": None} | more),
    )
    return reread(person)


def named_token(person: Person, *scopes: TokenScope) -> Person:
    app = person.house.app
    access = sessions.add_api_token(
        app, person.user, name="script", days=9, scopes=scopes, password=PASSWORD, address=""
    )
    return replace(person, access=access)


def audit(app: App) -> list[Any]:
    with app.db.read() as conn:
        return messages.everything_recorded(conn, before=None, limit=50)


def told(person: Person) -> list[Any]:
    with person.house.app.db.read() as conn:
        return messages.list_page(conn, person.user.id, before=None, limit=50)


# --- required of everybody ----------------------------------------------------------------------------------


def test_a_superadmin_alone_requires_it_and_that_is_recorded_and_told(
    house: House, boss: Person, ann: Person
):
    ada = house.join("ada@example.com", Role.ADMIN)
    assert boss.get("/admin/settings")["require_second_factor"] is False
    for other in (ada, ann):
        assert other.call("PATCH", "/admin/settings", {"require_second_factor": True}).status_code == 403
        with pytest.raises(Forbidden):
            second_factor_policy.put(house.app, other.user, True)
    assert not second_factor_policy.is_required(house.app)
    assert (
        boss.does("PATCH", "/admin/settings", {"require_second_factor": True})["require_second_factor"]
        is True
    )
    boss.does("PATCH", "/admin/settings", {"require_second_factor": True})  # a second time is no change
    done = [row for row in audit(house.app) if row.action == "second factor required of everybody"]
    assert [row.user_id for row in done] == [boss.user.id]
    assert [row.kind for row in told(ann)] == [SecondFactorRequired.kind]
    boss.does("PATCH", "/admin/settings", {"require_second_factor": False})
    assert not reread(ann).second_factor_due
    assert told(ann)[0].kind == SecondFactorVoluntary.kind


def test_who_has_one_is_told_that_it_stays_on(boss: Person, ann: Person):
    set_up(ann)
    second_factor_policy.put(boss.house.app, boss.user, True)
    assert told(ann)[0].kind == SecondFactorStays.kind
    assert not reread(ann).second_factor_due


def test_it_is_due_for_whoever_has_none_until_they_set_it_up(app: App, boss: Person, ann: Person):
    token = sessions.begin(app, ann.user.id, device="", address="", remember=True)
    assert not sessions.find(app, token).second_factor_due  # type: ignore[union-attr]
    second_factor_policy.put(app, boss.user, True)
    assert sessions.find(app, token).second_factor_due  # type: ignore[union-attr]
    assert users.check_password(app, ann.user.email, PASSWORD, "").second_factor_due
    set_up(ann, token=token)
    assert not sessions.find(app, token).second_factor_due  # type: ignore[union-attr]


def test_a_demo_has_no_second_factor_to_set_up(app: App, boss: Person):
    second_factor_policy.put(app, boss.user, True)
    with app.db.read() as conn:
        visitor = people_table.by_id(conn, demo.start(app, address=""))
    assert visitor is not None and not visitor.second_factor_due
    demo.claim(
        app,
        visitor,
        email="v@example.com",
        name="V",
        password=PASSWORD,
        code=invitations.invite(app, boss.user, email="", role=Role.STANDARD),
        address="",
    )
    with app.db.read() as conn:
        kept = people_table.by_id(conn, visitor.id)
    assert kept is not None and kept.second_factor_due


def test_a_program_that_signed_in_with_a_password_alone_only_closes_and_stops(
    house: House, boss: Person, ann: Person
):
    bot = ann.bot()
    ann.trades("buy")
    second_factor_policy.put(house.app, boss.user, True)
    login = (
        house.flask.test_client()
        .post("/api/v1/auth/login", json={"email": ann.user.email, "password": PASSWORD})
        .json
    )
    assert login["user"]["second_factor_due"] is True
    for access in (ann.access, login["access_token"]):
        program = replace(ann, access=access)
        for method, path, body in (
            ("GET", "/bots", None),
            ("POST", "/bots", {}),
            ("GET", "/tokens", None),
            ("POST", "/webhook-token/rotate", {}),
        ):
            said = program.call(method, path, body)
            assert said.status_code == 403 and said.json["error"] == "second_factor_required", path
            assert "you can close positions" in said.json["message"] and "code" in said.json["hint"]
        program.does("PUT", "/switches", {"mode": "pause_entries"})
        again = program.call("PUT", "/switches", {"mode": "none"})
        assert again.status_code == 403 and again.json["error"] == "second_factor_required", (
            "letting entries pass again is no way out"
        )
        program.does("POST", f"/bots/{bot}/pause")
    ann.does("POST", f"/bots/{bot}/close", {})
    house.work()
    with house.app.db.read() as conn:
        assert bots.table.get(conn, ann.user.id, bot).position.quantity == 0  # type: ignore[union-attr]


def test_everything_is_closed_over_rest_by_one_who_has_not_set_it_up(
    house: House, boss: Person, ann: Person, clock: SetClock
):
    bot = ann.bot()
    ann.trades("buy")
    second_factor_policy.put(house.app, boss.user, True)
    begun = ann.does("POST", "/flatten", {"scope": "user"})
    assert carry_on(house, clock, ann, begun["id"])["done"] == 1
    assert bots.bot_of(house.app, ann.user, bot).position.quantity == 0


def test_alerts_and_tokens_made_for_programs_go_on(house: House, boss: Person, ann: Person):
    bot, script = ann.bot(), named_token(ann, TokenScope.READ, TokenScope.TRADE)
    stop = named_token(ann, TokenScope.STOP)
    second_factor_policy.put(house.app, boss.user, True)
    for action, owns in (("buy", True), ("close", False)):
        assert ann.alert({"action": action, "symbol": "AAPL"}).status_code == 202
        house.work()
        assert (script.holds(bot) > 0) is owns
    assert script.call("GET", "/bots").status_code == 200
    script.bot("MSFT")
    assert stop.call("GET", "/bots").json["error"] == "insufficient_scope"
    assert stop.call("POST", f"/bots/{bot}/pause").status_code == 200


def test_a_sign_in_by_the_password_alone_ends_when_the_second_factor_is_switched_on(app: App, ann: Person):
    script = named_token(ann, TokenScope.READ)
    set_up(ann)
    assert tokens.by_access_token(app, ann.access) is None, "whoever knew the password may have it"
    assert tokens.by_access_token(app, script.access) is not None


def test_under_the_policy_it_cannot_be_switched_off(app: App, boss: Person, ann: Person):
    user = set_up(ann)
    second_factor_policy.put(app, boss.user, True)
    with pytest.raises(Refusal, match="requires a second factor"):
        second_factor.disable(app, user, password=PASSWORD, address="", declines=True)
    assert reread(ann).second_factor


def test_what_an_admin_takes_off_is_due_at_once(app: App, boss: Person, ann: Person):
    set_up(ann)
    token = sessions.begin(app, ann.user.id, device="", address="", remember=True)
    second_factor_policy.put(app, boss.user, True)
    boss.does("DELETE", f"/admin/users/{ann.user.id}/second-factor")
    assert sessions.find(app, token).second_factor_due  # type: ignore[union-attr]


# --- for live accounts --------------------------------------------------------------------------------------


def stored(person: Person, account_id: int) -> Any:
    return owned.account_of(person.house.app, person.user, account_id)


def test_real_money_asks_for_a_second_factor_and_names_the_field(ann: Person):
    said = ann.call("POST", "/accounts", LIVE)
    assert (
        said.status_code == 400
        and said.json["field"] == "decline_second_factor"
        and "whoever" in said.json["hint"]
    )
    quiet = ann.does("POST", "/accounts", LIVE | {"acknowledge": ""})
    assert quiet["problem"] and quiet["second_factor_declined_at"] is None
    said = ann.call("PATCH", f"/accounts/{quiet['id']}", {"acknowledge": "REAL MONEY"})
    assert said.status_code == 400 and said.json["field"] == "decline_second_factor"
    assert not stored(ann, quiet["id"]).acknowledged_at


def test_one_who_has_a_second_factor_is_not_asked(ann: Person, clock: SetClock):
    script = named_token(ann, TokenScope.ADMIN, TokenScope.READ)
    set_up(ann)
    made = script.does("POST", "/accounts", LIVE | DECLINE)
    assert made["problem"] == "" and made["second_factor_declined_at"] is None, "there was nothing to decline"


@pytest.mark.parametrize("how", ["at once", "later"])
def test_a_decline_is_kept_on_the_account_and_in_the_audit_log(ann: Person, boss: Person, how: str):
    if how == "at once":
        account = ann.does("POST", "/accounts", LIVE | DECLINE)
    else:
        account = ann.does("POST", "/accounts", LIVE | {"acknowledge": ""})
        account = ann.does("PATCH", f"/accounts/{account['id']}", {"acknowledge": "REAL MONEY", **DECLINE})
    assert account["problem"] == "" and account["second_factor_declined_at"]
    [row] = [row for row in audit(ann.house.app) if "without a second factor" in row.action]
    assert (row.user_id, row.subject_id, row.detail) == (
        ann.user.id,
        account["id"],
        {"label": "Real", "broker": "venue"},
    )
    [shown] = [one for one in boss.get("/admin/users")["items"] if one["id"] == ann.user.id]
    assert shown["live_without_second_factor"] == {
        "accounts": 1,
        "declined": 1,
        "since": account["second_factor_declined_at"],
    }
    again = ann.does("PATCH", f"/accounts/{account['id']}", {"acknowledge": "REAL MONEY"})
    assert again["second_factor_declined_at"] == account["second_factor_declined_at"], "it was said already"


def test_a_decline_without_the_acknowledgement_says_what_is_missing(ann: Person):
    said = ann.call("POST", "/accounts", LIVE | DECLINE | {"acknowledge": ""})
    assert said.status_code == 400 and said.json["field"] == "acknowledge"
    paper = ann.account()
    assert ann.call("PATCH", f"/accounts/{paper}", DECLINE).json["field"] == "acknowledge"


def test_a_decline_ends_when_a_second_factor_is_set_up(ann: Person, boss: Person):
    account = ann.does("POST", "/accounts", LIVE | DECLINE)["id"]
    set_up(ann)
    assert stored(ann, account).second_factor_declined_at is None and stored(ann, account).problem == ""
    [row] = [row for row in audit(ann.house.app) if row.action == "second factor switched on"]
    assert row.detail == {"declines_ended": 1}
    [shown] = [one for one in boss.get("/admin/users")["items"] if one["id"] == ann.user.id]
    assert shown["live_without_second_factor"] is None


def test_nobody_declines_what_is_required_of_everybody(app: App, boss: Person, ann: Person):
    script = named_token(ann, TokenScope.ADMIN)
    quiet = script.does("POST", "/accounts", LIVE | {"acknowledge": ""})["id"]
    second_factor_policy.put(app, boss.user, True)
    for method, path, body in (
        ("POST", "/accounts", LIVE | DECLINE),
        ("PATCH", f"/accounts/{quiet}", {"acknowledge": "REAL MONEY"} | DECLINE),
    ):
        said = script.call(method, path, body)
        assert said.status_code == 409 and "requires a second factor" in said.json["message"]
    assert not stored(ann, quiet).acknowledged_at


def test_switching_it_off_with_real_money_asks_for_the_same_decline(app: App, ann: Person):
    script = named_token(ann, TokenScope.ADMIN)
    user = set_up(ann)
    account, paper = script.does("POST", "/accounts", LIVE)["id"], script.account()
    with pytest.raises(Malformed) as said:
        second_factor.disable(app, user, password=PASSWORD, address="")
    assert said.value.where == "decline_second_factor" and reread(ann).second_factor
    second_factor.disable(app, user, password=PASSWORD, address="", declines=True)
    assert not reread(ann).second_factor and stored(ann, account).second_factor_declined_at == app.clock.now()
    assert stored(ann, paper).second_factor_declined_at is None
    assert [row.subject_id for row in audit(app) if "without a second factor" in row.action] == [account]


def test_without_real_money_it_is_switched_off_as_before(app: App, ann: Person):
    user = set_up(ann)
    second_factor.disable(app, user, password=PASSWORD, address="")
    assert not reread(ann).second_factor


def test_an_account_that_trades_already_goes_on(house: House, ann: Person):
    """Confirmed before there was this question, or whose owner's second factor an admin took off."""
    account = ann.does("POST", "/accounts", LIVE | DECLINE)["id"]
    house.app.db.write(
        lambda conn: account_table.change(conn, ann.user.id, account, second_factor_declined_at=None)
    )
    bot = ann.bot(account=account)
    ann.trades("buy")
    assert ann.holds(bot) > 0
    assert [one.id for one in second_factor_policy.undecided(house.app, ann.user)] == [account]


def test_those_who_traded_real_money_before_are_told_once(empty_database_url: str, clock: SetClock):
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
    assert message.kind is None and message.facts is None and message.page is None
    assert "trade on as before" in message.text, "a message of then keeps its words"


def test_live_accounts_of_a_removed_account_are_not_counted(ann: Person, boss: Person):
    account = ann.does("POST", "/accounts", LIVE | DECLINE)["id"]
    ann.does("DELETE", f"/accounts/{account}")
    [shown] = [one for one in boss.get("/admin/users")["items"] if one["id"] == ann.user.id]
    assert shown["live_without_second_factor"] is None
    second_factor.disable(ann.house.app, set_up(ann), password=PASSWORD, address="")


def test_the_recorded_time_is_the_clocks(ann: Person, clock: SetClock):
    clock.time += timedelta(days=2)
    made = ann.does("POST", "/accounts", LIVE | DECLINE)
    assert stored(ann, made["id"]).second_factor_declined_at == clock.now()
