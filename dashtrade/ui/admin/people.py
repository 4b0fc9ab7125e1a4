"""Users: invite, set roles, deactivate, help with sign-in, view their pages."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.access import Permission, Role, may, may_manage
from dashtrade.domain.people import User
from dashtrade.services.people import admin as service
from dashtrade.services.people import credentials, second_factor_policy, sessions
from dashtrade.services.people import invitations as invitation_service
from dashtrade.services.people.second_factor_policy import PasswordOnly
from dashtrade.ui.admin.admin import PAGE, cursor, pager
from dashtrade.ui.kit.components import Cell, Column, Row, go, table
from dashtrade.ui.kit.format import ago, count, day, moment, text
from dashtrade.ui.shell import runtime
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, panel

TONES = {Role.SUPERADMIN: "warn", Role.ADMIN: "info", Role.STANDARD: "mute"}
SIGNUP = {
    "open": "Sign-up is open: anyone who can reach this address can create an account.",
    "invite": "Sign-up is by invitation only.",
    "closed": "Sign-up is closed.",
}


def show(app: App, user: User) -> None:
    after = cursor("after")
    with st.container(horizontal=True, vertical_alignment="center"):
        named = st.text_input(
            "Find",
            key="find",
            placeholder="Name or email",
            bind="query-params",
            max_chars=80,
            label_visibility="collapsed",
            width=260,
        )
        st.space("stretch")
        if st.button("Invite user", type="primary", icon=":material/person_add:", key="invite"):
            _invite()
    found = service.users(app, user, after=after, limit=PAGE + 1, named=named or "")
    password_only = second_factor_policy.without(app, [person.id for person in found])
    with panel(key="people_panel"):
        clicked = (
            table(
                "people",
                "Users",
                COLUMNS,
                [_row(app, user, person, password_only.get(person.id)) for person in found[:PAGE]],
                opens=True,
            )
            if found
            else None
        )
        if not found:
            st.caption("No users match.")
        st.caption(f"{SIGNUP[invitation_service.signup(app)]} A superadmin can change that under System.")
    pager(found, after, "after", lambda person: person.id)
    if clicked:
        _manage(int(clicked[0]))
    _open_links(app, user)


def _open_links(app: App, user: User) -> None:
    """Valid invitations and password links, to be revoked."""
    rows = [
        Row(
            id=f"invitation-{i.id}",
            actions=(("revoke", "Revoke"),),
            cells=[
                Cell(
                    text=f"Invitation: {i.email or 'anyone with the link'}",
                    sub=f"as {i.role}, by {i.made_by}",
                ),
                Cell(text=day(user, i.expires_at)),
            ],
        )
        for i in invitation_service.open_invitations(app, user)
    ] + [
        Row(
            id=f"link-{one.user_id}",
            actions=(("revoke", "Revoke"),),
            cells=[
                Cell(text=f"Password link: {one.email}", sub=f"by {one.made_by or 'the command line'}"),
                Cell(text=day(user, one.expires_at)),
            ],
        )
        for one in credentials.open_links(app, user)
    ]
    if not rows:
        return
    with panel("Open invitations and password links", key="handed_out"):
        clicked = table(
            "handed_out_list",
            "Open invitations and password links",
            [Column(label="Link"), Column(label="Expires", number=True)],
            rows,
        )
    if clicked:
        kind, _, number = clicked[0].partition("-")
        revoke = invitation_service.revoke_invitation if kind == "invitation" else credentials.revoke_link
        _run_action(lambda: revoke(app, user, int(number)), "Revoked: the link no longer works.")


COLUMNS = [
    Column(label="User"),
    Column(label="Role"),
    Column(label="Two-factor", wide_only=True),
    Column(label="Joined", number=True, wide_only=True),
    Column(label="Last sign-in", number=True, wide_only=True),
]


def _row(app: App, user: User, person: User, password_only: PasswordOnly | None) -> Row:
    now = app.clock.now()
    state = (
        "Deactivated"
        if not person.is_active
        else "Demo"
        if person.demo_until is not None
        else str(person.role).capitalize()
    )
    tone = "down" if not person.is_active else "mute" if person.demo_until is not None else TONES[person.role]
    me = " · you" if person.id == user.id else ""
    return Row(
        id=str(person.id),
        cells=[
            Cell(text=person.name + me, sub=person.email if person.demo_until is None else f"#{person.id}"),
            Cell(text=state, tone=tone, badge=True),
            _factor(user, person, password_only),
            Cell(text=day(user, person.created_at)),
            Cell(text=ago(now, person.last_login_at)),
        ],
    )


def _factor(user: User, person: User, password_only: PasswordOnly | None) -> Cell:
    """`password_only`: how many accounts trade live with a password alone."""
    if password_only is None:
        return Cell(text="On" if person.second_factor else "–")
    note = f"{count(password_only.accounts, 'live account')} without"
    if password_only.declined < password_only.accounts:
        return Cell(
            text="Off",
            tone="warn",
            sub=f"{note} two-factor, {password_only.accounts - password_only.declined} not asked yet",
        )
    return Cell(
        text="Declined", tone="warn", sub=f"{note} two-factor, since {day(user, password_only.since)}"
    )


# --- one user -----------------------------------------------------------------------------------------------


@st.dialog("Account", on_dismiss="rerun")
def _manage(user_id: int) -> None:
    actor, app = guard(Permission.MANAGE_USERS), get_app()
    person = service.find_users(app, actor, {user_id}).get(user_id)
    if person is None:
        st.info("This account has been deleted.")
        return
    st.html(f"<b>{escape(person.name)}</b> · {escape(person.email)}")
    st.caption(
        f"{str(person.role).capitalize()} · joined {day(actor, person.created_at)} · last signed in "
        f"{moment(actor, person.last_login_at)}"
    )
    if person.id == actor.id:
        st.info("This is your own account. Manage it on the Account page.", icon=":material/person:")
        return
    if not may_manage(actor.role, person.role):
        st.info("Only a superadmin can change this account.", icon=":material/lock:")
        return
    if may(actor.role, Permission.MANAGE_ROLES) and person.demo_until is None:
        _role(app, actor, person)
    _sign_in_help(app, actor, person)
    _deactivate_or_delete(app, actor, person)


def _role(app: App, actor: User, person: User) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        role = st.selectbox(
            "Role",
            list(Role),
            index=list(Role).index(person.role),
            format_func=lambda one: str(one).capitalize(),
            key="role",
        )
        if st.button("Change role", key="give_role", disabled=role is person.role):
            _run_action(
                lambda: service.set_role(app, actor, person.id, role or person.role),
                f"{text(person.email)} is now {role}.",
            )


def _sign_in_help(app: App, actor: User, person: User) -> None:
    with st.container(horizontal=True):
        if st.button(
            "View as user",
            icon=":material/visibility:",
            key="view",
            help="Read-only view. This access is recorded in the audit log.",
        ):
            with trying() as attempt:
                sessions.view(app, actor, runtime.session_token(), person.id)
            if attempt.ok:
                go("/")
        if person.demo_until is None and st.button("Password link", icon=":material/key:", key="reset_link"):
            with trying() as attempt:
                link = credentials.make_link(app, actor, person.id)
            if attempt.ok:
                st.markdown(
                    "**Send the user this link.** It sets a new password, works once and expires after a day."
                )
                st.code(link, language=None, wrap_lines=True)
        if person.second_factor and st.button(
            "Remove two-factor authentication", icon=":material/phonelink_off:", key="reset_factor"
        ):
            _run_action(
                lambda: service.reset_second_factor(app, actor, person.id),
                f"{text(person.email)} now signs in with the password alone.",
            )


def _deactivate_or_delete(app: App, actor: User, person: User) -> None:
    st.divider()
    if person.is_active:
        st.caption(
            "Deactivating ends all sessions and tokens at once; alerts are refused, and the bots open "
            "nothing. Positions stay, and exits still pass."
        )
        if st.button("Deactivate", icon=":material/block:", key="deactivate"):
            _run_action(
                lambda: service.set_active(app, actor, person.id, False),
                f"{text(person.email)} is deactivated.",
            )
    elif st.button("Activate", type="primary", icon=":material/check:", key="activate"):
        _run_action(
            lambda: service.set_active(app, actor, person.id, True),
            (
                f"{text(person.email)} can sign in again. Their bots stay paused until they resume them, "
                "and their alerts need a new webhook token."
            ),
        )
    with st.expander("Delete user and all their data"), st.form("delete_user", border=False):
        st.caption(
            "Permanently deletes bots, history, accounts and settings. This is not possible while one of "
            "their bots has a position on a live account."
        )
        typed = st.text_input("Type their email to confirm", max_chars=254, autocomplete="off")
        if st.form_submit_button("Delete permanently"):
            _run_action(
                lambda: service.delete(app, actor, person.id, confirm=typed or ""),
                f"{text(person.email)} is deleted.",
            )


def _run_action(act: Any, message: str) -> None:
    with trying() as attempt:
        act()
    if attempt.ok:
        st.session_state["toast"] = message
        st.rerun()


@st.dialog("Invite user")
def _invite() -> None:
    user, app = guard(Permission.INVITE), get_app()
    with st.form("invite_form", border=False):
        email = st.text_input(
            "Email", placeholder="Optional: only this address can use the invitation", max_chars=254
        )
        roles = (
            [Role.STANDARD, Role.ADMIN, Role.SUPERADMIN]
            if may(user.role, Permission.MANAGE_ROLES)
            else [Role.STANDARD]
        )
        role = st.selectbox("Role", roles, format_func=lambda one: str(one).capitalize())
        sent = st.form_submit_button("Create invitation", type="primary")
    if sent:
        with trying() as attempt:
            code = invitation_service.invite(
                app, user, email=(email or "").strip(), role=role or Role.STANDARD
            )
        if attempt.ok:
            st.markdown(
                "**Send the user this link.** It works once, expires after a week and is not shown again."
            )
            st.code(f"{app.settings.dashboard_url}/join?invitation={code}", language=None, wrap_lines=True)
            if app.settings.links_stay_here:
                st.info(
                    "The link opens on this machine only: set DASHTRADE\\_DASHBOARD\\_URL to the address "
                    "at which others reach the dashboard."
                )
            if invitation_service.signup(app) == "closed":
                st.warning(
                    "Sign-up is closed on this installation: the link works once a superadmin opens it for "
                    "invitations, under System."
                )
