"""Invitations and password links are worth what their maker may do when they are used, and can be listed and
revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from dashtrade.services.people import admin, credentials, invitations, users
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Denied
from dashtrade.services.refusals import NotFound
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import people as people_table
from tests.support.installation import Installation

PASSWORD, OTHER = "correct horse battery", "four other long words"


@pytest.fixture
def superadmin(installation: Installation) -> User:
    return installation.join("superadmin@example.com", Role.SUPERADMIN).user


@pytest.fixture
def invited(installation: Installation) -> User:
    return installation.join("eve@example.com", Role.SUPERADMIN).user


def join(app: App, code: str) -> User:
    return users.register(
        app, email="new@example.com", password=PASSWORD, name="", code=code, address=""
    ).user


def link(app: App, maker: User, user: User) -> str:
    return credentials.make_link(app, maker, user.id).rpartition("=")[2]


def put_role(app: App, user: User, role: Role) -> None:
    """As a defect elsewhere would: without what a change of role ends."""
    app.db.write(lambda conn: people_table.change(conn, user.id, role=role))


LOSSES: dict[str, Callable[[App, User, User], None]] = {
    "demoted": lambda app, superadmin, invited: admin.set_role(app, superadmin, invited.id, Role.STANDARD),
    "to admin": lambda app, superadmin, invited: admin.set_role(app, superadmin, invited.id, Role.ADMIN),
    "deactivated": lambda app, superadmin, invited: admin.set_active(app, superadmin, invited.id, False),
    "deleted": lambda app, superadmin, invited: admin.delete(
        app, superadmin, invited.id, confirm=invited.email
    ),
    "and made one again": lambda app, superadmin, invited: next(
        admin.set_role(app, superadmin, invited.id, role) for role in (Role.STANDARD, Role.SUPERADMIN)
    ),
    "and back": lambda app, superadmin, invited: next(
        admin.set_active(app, superadmin, invited.id, active) for active in (False, True)
    ),
    "only in the table": lambda app, superadmin, invited: put_role(app, invited, Role.ADMIN),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_superadmin_handed_out_is_worth_nothing_when_they_are_none(
    app: App, superadmin: User, invited: User, installation: Installation, loss: str
):
    trader = installation.join("ada@example.com", Role.ADMIN).user
    invitation, code = (
        invitations.invite(app, invited, email="", role=Role.SUPERADMIN),
        link(app, invited, trader),
    )
    LOSSES[loss](app, superadmin, invited)
    with pytest.raises(Denied):
        join(app, invitation)
    with pytest.raises(Denied):
        credentials.use_link(app, code, new=OTHER, address="")


def test_a_link_for_a_user_who_was_promoted_since_is_worth_nothing(
    app: App, superadmin: User, installation: Installation
):
    ada, trader = installation.join("ada@example.com", Role.ADMIN).user, installation.join().user
    code = link(app, ada, trader)
    put_role(app, trader, Role.SUPERADMIN)
    with pytest.raises(Denied):
        credentials.user_of_link(app, code)
    put_role(app, trader, Role.STANDARD)
    admin.set_role(app, superadmin, trader.id, Role.ADMIN)
    admin.set_role(app, superadmin, trader.id, Role.STANDARD)
    with pytest.raises(Denied):
        credentials.use_link(app, code, new=OTHER, address="")


def test_a_link_from_before_a_deactivation_stays_dead(app: App, superadmin: User, installation: Installation):
    trader = installation.join().user
    code = link(app, superadmin, trader)
    admin.set_active(app, superadmin, trader.id, False)
    admin.set_active(app, superadmin, trader.id, True)
    with pytest.raises(Denied):
        credentials.use_link(app, code, new=OTHER, address="")


def test_a_changed_password_ends_the_link_and_what_was_handed_out_under_the_old_one(
    app: App, superadmin: User, installation: Installation
):
    ada_id = users.add_user(app, email="ada@example.com", name="Ada", password=PASSWORD, role=Role.ADMIN)
    with app.db.read() as conn:
        ada = people_table.by_id(conn, ada_id)
    assert ada is not None
    trader = installation.join().user
    of_ada, invitation, code = (
        link(app, superadmin, ada),
        invitations.invite(app, ada, email="", role=Role.STANDARD),
        link(app, ada, trader),
    )
    credentials.change_password(app, ada, old=PASSWORD, new=OTHER, address="", token=None)
    for dead in (of_ada, code):
        with pytest.raises(Denied):
            credentials.user_of_link(app, dead)
    with pytest.raises(Denied):
        join(app, invitation)


def test_an_invitation_gives_no_role_its_maker_cannot_give(app: App, installation: Installation):
    ada, trader = installation.join("ada@example.com", Role.ADMIN).user, installation.join().user
    for actor, role in ((ada, Role.ADMIN), (trader, Role.STANDARD)):
        with pytest.raises(Forbidden):
            invitations.invite(app, actor, email="", role=role)
    assert join(app, invitations.invite(app, ada, email="", role=Role.STANDARD)).role is Role.STANDARD


def test_invitations_are_listed_and_revoked(installation: Installation):
    superadmin, ada = (
        installation.join("superadmin@example.com", Role.SUPERADMIN),
        installation.join("ada@example.com", Role.ADMIN),
    )
    code = ada.request("POST", "/invitations", {"email": "new@example.com"})["invitation"]
    of_boss = superadmin.request("POST", "/invitations", {"role": "admin"})
    answer = ada.get("/admin/invitations")
    assert [(one["email"], one["role"], one["made_by"]) for one in answer["items"]] == [
        ("", "admin", superadmin.user.email),
        ("new@example.com", "standard", ada.user.email),
    ]
    assert code not in str(answer) and of_boss["invitation"] not in str(answer)
    theirs, own = (one["id"] for one in answer["items"])
    assert ada.call("DELETE", f"/admin/invitations/{theirs}").status_code == 403
    superadmin.request("DELETE", f"/admin/invitations/{own}")
    assert superadmin.call("DELETE", f"/admin/invitations/{own}").status_code == 404
    with pytest.raises(Denied):
        join(installation.app, code)
    assert [one["id"] for one in superadmin.get("/admin/invitations")["items"]] == [theirs]


def test_password_links_are_listed_and_revoked(app: App, installation: Installation):
    superadmin, trader = installation.join("superadmin@example.com", Role.SUPERADMIN), installation.join()
    code = link(app, superadmin.user, trader.user)
    answer = superadmin.get("/admin/reset-links")
    assert [(one["user_id"], one["email"], one["made_by"]) for one in answer["items"]] == [
        (trader.user.id, trader.user.email, superadmin.user.email)
    ] and code not in str(answer)
    superadmin.request("DELETE", f"/admin/users/{trader.user.id}/reset-link")
    with pytest.raises(Denied):
        credentials.user_of_link(app, code)
    with pytest.raises(NotFound):
        credentials.revoke_link(app, superadmin.user, trader.user.id)
    credentials.rescue(app, trader.user.email)
    assert superadmin.get("/admin/reset-links")["items"][0]["made_by"] is None


def test_an_invitation_can_be_revoked_however_many_are_newer(app: App, superadmin: User):
    """More than the list shows."""
    now = app.clock.now()
    life = {"created_at": now, "expires_at": now + timedelta(days=1), "used_at": None}

    def work(conn: sa.Connection) -> int:
        first, *_ = [
            invitation_table.add_invitation(
                conn, superadmin.id, code_hash=str(number), email="", role="standard", **life
            )
            for number in range(202)
        ]
        return first

    oldest = app.db.write(work)
    shown = [one.id for one in invitations.open_invitations(app, superadmin)]
    assert len(shown) == 200 and oldest not in shown
    invitations.revoke_invitation(app, superadmin, oldest)
    with pytest.raises(NotFound):
        invitations.revoke_invitation(app, superadmin, oldest)
