"""Roles, removal, views, export and simulation mode: what the services allow, to whom, and what is left
afterwards."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission, Role, may, may_manage
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.bots import bots
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.operations import export
from dashtrade.services.people import admin, invitations, removal, sessions, tokens, users
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Denied
from dashtrade.tables import export as export_table
from dashtrade.tables import messages
from dashtrade.tables import people as people_table
from dashtrade.tables.base import metadata
from tests.support.installation import Installation
from tests.support.user_rows import PASSWORD, audit_actions, reread, row_counts

# --- roles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "other", "allowed"),
    [
        (Role.STANDARD, Role.STANDARD, False),
        (Role.ADMIN, Role.STANDARD, True),
        (Role.ADMIN, Role.ADMIN, False),
        (Role.ADMIN, Role.SUPERADMIN, False),
        (Role.SUPERADMIN, Role.ADMIN, True),
        (Role.SUPERADMIN, Role.SUPERADMIN, True),
    ],
)
def test_who_may_manage_whom(role: Role, other: Role, allowed: bool):
    assert may_manage(role, other) is allowed


def test_each_role_may_what_the_one_below_it_may():
    ladder = [
        {p for p in Permission if may(role, p)} for role in (Role.STANDARD, Role.ADMIN, Role.SUPERADMIN)
    ]
    assert ladder[0] < ladder[1] < ladder[2] == set(Permission)


def test_only_a_superadmin_gives_roles(app: App, installation: Installation, superadmin: User):
    trader, ada = installation.join().user, installation.join("ada@example.com", Role.ADMIN).user
    admin.set_role(app, superadmin, trader.id, Role.ADMIN)
    assert reread(app, trader.id).role is Role.ADMIN
    with pytest.raises(Forbidden):
        admin.set_role(app, ada, trader.id, Role.SUPERADMIN)
    assert "role given" in audit_actions(app)


def test_the_last_superadmin_cannot_be_locked_out(app: App, installation: Installation, superadmin: User):
    other = installation.join("other@example.com", Role.SUPERADMIN).user
    admin.set_role(app, superadmin, other.id, Role.ADMIN)
    for take_away in (
        lambda: admin.set_role(app, superadmin, superadmin.id, Role.STANDARD),
        lambda: admin.set_active(app, superadmin, superadmin.id, False),
        lambda: removal.remove(
            app, superadmin.id, actor=superadmin.id, action=AuditAction.DELETED_THEIR_OWN_ACCOUNT
        ),
    ):
        with pytest.raises(Refusal, match="last superadmin"):
            take_away()
    admin.set_role(app, superadmin, other.id, Role.SUPERADMIN)
    admin.set_role(app, other, superadmin.id, Role.STANDARD)
    assert reread(app, superadmin.id).role is Role.STANDARD


def test_a_deactivated_user_is_out_their_alerts_are_refused_and_their_bots_open_nothing(
    app: App, installation: Installation, superadmin: User
):
    trader = installation.join()
    bot = trader.bot()
    trader.trades("buy")
    session = sessions.begin(app, trader.user.id, device="", address="", remember=True)
    admin.set_active(app, superadmin, trader.user.id, False)
    assert sessions.find(app, session) is None
    assert trader.call("GET", "/users/me").status_code == 401
    assert trader.alert({"action": "buy", "symbol": "AAPL", "id": "x"}).status_code == 401
    assert not bots.bot_of(app, trader.user, bot).is_active
    admin.set_active(app, superadmin, trader.user.id, True)
    assert trader.call("GET", "/users/me").status_code == 401, "the tokens from before stay dead"
    assert trader.alert({"action": "close", "symbol": "AAPL", "id": "y"}).status_code == 401, (
        "the webhook token as well"
    )
    trader.token = tokens.rotate_webhook_token(app, trader.user)
    assert trader.alert({"action": "close", "symbol": "AAPL", "id": "y"}).status_code == 202
    installation.work()
    assert not bots.bot_of(app, trader.user, bot).position.quantity, "a way out passes"
    trader.alert({"action": "buy", "symbol": "AAPL", "id": "z"})
    installation.work()
    assert not bots.bot_of(app, trader.user, bot).position.quantity, "until its owner resumes the bot"


def test_a_superadmin_chooses_who_may_sign_up(app: App, installation: Installation, superadmin: User):
    assert invitations.signup(app) == "invite"
    admin.put_setting(app, superadmin, invitations.SIGNUP, "open")
    users.register(app, email="new@example.com", password=PASSWORD, name="", code=None, address="")
    admin.put_setting(app, superadmin, invitations.SIGNUP, "closed")
    with pytest.raises(Denied):
        users.register(app, email="newer@example.com", password=PASSWORD, name="", code=None, address="")
    with pytest.raises(Malformed):
        admin.put_setting(app, superadmin, invitations.SIGNUP, "perhaps")
    with pytest.raises(Forbidden):
        admin.put_setting(
            app, installation.join("ada@example.com", Role.ADMIN).user, invitations.SIGNUP, "open"
        )


# --- going --------------------------------------------------------------------------------------------------


def test_a_deleted_user_leaves_only_the_audit_log(app: App, installation: Installation, superadmin: User):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    for person in (trader, other_trader):
        person.bot()
        person.trades("buy")
    before = row_counts(app, other_trader.user.id)
    admin.set_role(app, superadmin, trader.user.id, Role.STANDARD)
    assert {"orders", "fills", "bot_trades", "user_api_keys", "outbox"} <= row_counts(
        app, trader.user.id
    ).keys()
    with pytest.raises(Malformed):
        admin.delete(app, superadmin, trader.user.id, confirm="bob@example.com")
    admin.delete(app, superadmin, trader.user.id, confirm="Ann@example.com ")
    assert row_counts(app, trader.user.id) == {} and row_counts(app, other_trader.user.id) == before
    with app.db.read() as conn:
        assert people_table.by_id(conn, trader.user.id) is None
        left = (
            conn.execute(sa.select(metadata.tables["paper_orders"].c.account_id).distinct()).scalars().all()
        )
    assert left == [other_trader.paper]
    assert "user deleted" in audit_actions(app)
    with app.db.read() as conn:
        assert "ann@example.com" not in str(
            [row.detail for row in messages.everything_recorded(conn, before=None, limit=200)]
        )
    users.add_user(app, email="ann@example.com", name="Another Ann", password=PASSWORD)


def test_a_deletion_cut_off_is_finished_later(
    app: App, installation: Installation, superadmin: User, monkeypatch: pytest.MonkeyPatch
):
    trader = installation.join()
    trader.bot()
    trader.trades("buy")

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "_remove_rows", cut_off)
    with pytest.raises(KeyboardInterrupt):
        admin.delete(app, superadmin, trader.user.id, confirm=trader.user.email)
    assert trader.call("GET", "/users/me").status_code == 401 and "orders" in row_counts(app, trader.user.id)
    with app.db.read() as conn:
        assert [user.email for user in people_table.everyone(conn)] == [superadmin.email]
    monkeypatch.undo()
    assert removal.finish(app) == 1
    assert row_counts(app, trader.user.id) == {} and removal.finish(app) == 0


# --- looking over a shoulder --------------------------------------------------------------------------------


def test_an_admin_looks_at_anothers_pages_and_it_is_recorded(
    app: App, installation: Installation, superadmin: User
):
    ada, trader = installation.join("ada@example.com", Role.ADMIN).user, installation.join().user
    token = sessions.begin(app, ada.id, device="", address="", remember=False)
    sessions.view(app, ada, token, trader.id)
    seen = sessions.find(app, token)
    assert seen is not None and (seen.id, seen.viewer) == (trader.id, ada.email)
    found = tokens.webhook_token(app, seen)
    assert found is not None and found.text == "hidden-in-this-view"
    with pytest.raises(Refusal):
        export.own_data(app, seen, "")
    assert "looked at a user's pages" in audit_actions(app)
    for other in (superadmin.id, ada.id, 999):
        with pytest.raises((Forbidden, NotFound)):
            sessions.view(app, ada, token, other)
    sessions.leave_view(app, token)
    assert sessions.find(app, token) == reread(app, ada.id)


def test_a_view_ends_with_the_right_to_it(app: App, installation: Installation, superadmin: User):
    ada, trader = installation.join("ada@example.com", Role.ADMIN).user, installation.join().user
    token = sessions.begin(app, ada.id, device="", address="", remember=False)
    sessions.view(app, ada, token, trader.id)
    admin.set_role(app, superadmin, ada.id, Role.STANDARD)
    found = sessions.find(app, token)
    assert found is not None and (found.id, found.viewer) == (ada.id, "")


# --- one's data ---------------------------------------------------------------------------------------------


def test_the_export_holds_everything_of_ones_own_and_nothing_that_opens_anything(
    app: App, installation: Installation
):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    trader.bot(name="=cmd()|'A'!B1")
    other_trader.bot(name="Bobs bot")
    trader.trades("buy")
    whole = b"".join(export.own_data(app, trader.user, "203.0.113.7"))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    everything = "\n".join(texts.values())
    assert "ann@example.com" in texts["profile.json"] and "Bobs bot" not in everything
    for secret in (trader.token, trader.access, sha256(trader.token), sha256(trader.access)):
        assert secret not in everything
    with app.db.read() as conn:
        sealed = conn.execute(sa.text("SELECT credentials FROM user_api_keys")).scalars().all()
    assert sealed and not [text for text in sealed if text in everything]
    named = next(csv.DictReader(io.StringIO(texts["bots.csv"])))
    assert named["name"].startswith("'=cmd")
    assert len(list(csv.DictReader(io.StringIO(texts["trades.csv"])))) == 1
    assert "data exported" in audit_actions(app)


def test_every_table_of_users_is_exported_or_left_out_on_purpose():
    left_out = {
        "invitations",
        "switches",
        "recovery_codes",
        "reset_links",
        "reconciliations",
        "flatten_items",
        "account_readings",
        "known_devices",
        "stored_bytes",
        "deliveries",
        "candle_series",  # what a user imported came from a file of theirs
        "candle_blocks",
        "candle_revisions",
        "candle_coverage",
        "source_keys",  # sealed, and worth nothing elsewhere
    }
    owned = {t.name for t in metadata.sorted_tables if "user_id" in t.c}
    assert owned == left_out | set(export_table.TABLES.values()), "decide whether to export it"
