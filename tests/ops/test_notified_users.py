"""What was changed about somebody's way in is told to them, and a new password says what the old one may have
left behind."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.notices.people import (
    AccountReactivated,
    PasswordChangedTokensValid,
    PasswordLinkCreated,
    RecoveryCodeUsed,
    RoleChanged,
    SecondFactorRemoved,
)
from dashtrade.domain.notices.stored import notice_of
from dashtrade.domain.people import User
from dashtrade.services.operations import export
from dashtrade.services.people import admin, credentials, sessions, tokens, users
from dashtrade.tables import messages, second_factors
from tests.support.installation import Installation, Trader
from tests.support.user_rows import reread

PASSWORD, OTHER = "correct horse battery", "four other long words"


@pytest.fixture
def trader(app: App) -> User:
    return reread(app, users.add_user(app, email="ann@example.com", name="Ann", password=PASSWORD))


def notices_of(app: App, user: User) -> list[Notice]:
    with app.db.read() as conn:
        found = messages.list_page(conn, user.id, before=None, limit=20)
    return [notice_of(message.kind or "", message.facts) for message in found]


BOSS = "superadmin@example.com"
HELP: dict[Notice, Callable[[App, User, User], object]] = {
    PasswordLinkCreated(by=BOSS): lambda app, superadmin, trader: credentials.make_link(
        app, superadmin, trader.id
    ),
    SecondFactorRemoved(by=BOSS): lambda app, superadmin, trader: admin.reset_second_factor(
        app, superadmin, trader.id
    ),
    RoleChanged(before="standard", after="admin", by=BOSS): lambda app, superadmin, trader: admin.set_role(
        app, superadmin, trader.id, Role.ADMIN
    ),
}


@pytest.mark.parametrize("notice", HELP, ids=lambda notice: notice.kind)
def test_a_user_is_notified_of_an_admins_actions(
    app: App, installation: Installation, trader: User, notice: Notice
):
    superadmin = installation.join(BOSS, Role.SUPERADMIN).user
    app.db.write(lambda conn: second_factors.put_factor(conn, trader.id, "sealed", 1))
    HELP[notice](app, superadmin, trader)
    assert notices_of(app, trader) == [notice] and notices_of(app, superadmin) == []


def test_a_user_is_notified_of_the_machine_owners_actions(app: App, trader: User):
    credentials.rescue(app, trader.email)
    assert notices_of(app, trader) == [PasswordLinkCreated(by=None), SecondFactorRemoved(by=None)]


def test_a_reactivated_user_reads_what_to_create_again(app: App, installation: Installation, trader: User):
    superadmin = installation.join(BOSS, Role.SUPERADMIN).user
    token, named = (
        tokens.rotate_webhook_token(app, trader),
        sessions.add_api_token(
            app, trader, name="report", days=9, scopes=["read"], password=PASSWORD, address=""
        ),
    )
    for active in (False, True):
        admin.set_active(app, superadmin, trader.id, active)
    assert tokens.by_webhook_token(app, token) is None and tokens.by_access_token(app, named) is None
    assert notices_of(app, trader) == [AccountReactivated()]


def test_a_new_password_says_what_still_works(app: App, trader: User):
    tokens.rotate_webhook_token(app, trader)
    sessions.add_api_token(app, trader, name="report", days=9, scopes=["read"], password=PASSWORD, address="")
    credentials.change_password(app, trader, old=PASSWORD, new=OTHER, address="", token=None)
    assert notices_of(app, trader) == [PasswordChangedTokensValid(api_tokens=("report",), webhook_token=True)]


@pytest.mark.parametrize("end", [False, True])
def test_a_new_password_ends_api_tokens_and_replaces_the_webhook_token_when_asked(
    app: App, installation: Installation, trader: User, end: bool
):
    webhook, named = (
        tokens.rotate_webhook_token(app, trader),
        sessions.add_api_token(
            app, trader, name="report", days=9, scopes=["read"], password=PASSWORD, address=""
        ),
    )
    person = Trader(
        installation=installation,
        user=trader,
        access=users.sign_in(app, trader.id).access_token,
        token=webhook,
    )
    body = {"old": PASSWORD, "new": OTHER, "end_api_tokens": end, "rotate_webhook_token": end}
    assert person.call("POST", "/users/me/password", body | {"old": "not the one"}).status_code == 400
    answer = person.request("POST", "/users/me/password", body)
    assert person.call("GET", "/users/me").status_code == 401, "signed in by the old password"
    assert (tokens.by_access_token(app, named) is None, tokens.by_webhook_token(app, webhook) is None) == (
        end,
        end,
    )
    assert (answer["webhook_token"] is None) is not end
    if end:
        assert tokens.by_webhook_token(app, answer["webhook_token"]) is not None


def test_a_message_of_before_keeps_its_words_beside_those_of_today(app: App, installation: Installation):
    person = installation.join()
    before = {
        "user_id": person.user.id,
        "created_at": app.clock.now(),
        "level": "warning",
        "title": "=An old one",
        "text": "As it was written.",
    }
    app.db.write(lambda conn: conn.execute(sa.insert(messages.outbox).values(**before)))
    app.db.write(
        lambda conn: messages.notify(conn, person.user.id, RecoveryCodeUsed(left=9), now=app.clock.now())
    )
    new, old = person.get("/messages")["items"]
    assert (old["kind"], old["facts"]) == (None, None)
    assert (old["title"], old["text"]) == ("=An old one", "As it was written.")
    assert (new["kind"], new["facts"], new["level"]) == ("recovery_code_used", {"left": 9}, "warning")
    assert new["title"] == "A recovery code was used" and "9 are left" in new["text"]
    with zipfile.ZipFile(io.BytesIO(b"".join(export.own_data(app, person.user, "")))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("messages.csv").decode())))
    assert [(row["title"], row["text"], row["kind"]) for row in rows] == [
        ("'=An old one", "As it was written.", ""),
        (new["title"], new["text"], "recovery_code_used"),
    ], "taken along as they are read"
