"""The installation, its users and all trades, for admins; its settings, for superadmins."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from flask import Blueprint, Response

from dashtrade.api.answers import Body
from dashtrade.api.auth import user_view
from dashtrade.api.http import csv_file, endpoint, get_app
from dashtrade.api.reading import PageQuery, number_cursor, page, read_moment
from dashtrade.api.trades import trade_view
from dashtrade.domain.access import Permission, Role
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso
from dashtrade.services.accounts import simulation
from dashtrade.services.operations import export
from dashtrade.services.people import admin, credentials, second_factor_policy
from dashtrade.services.people import audit as audit_service
from dashtrade.services.people import invitations as invitation_service
from dashtrade.services.trading import trades as trade_service

bp = Blueprint("admin", __name__, url_prefix="/api/v1/admin")
P = Permission


@endpoint(bp, "GET", "/overview", needs=P.SEE_SYSTEM)
def overview(user: User) -> dict[str, Any]:
    """Figures of the installation: users, bots, trades and volume by day, most traded symbols, problems of
    the last 24 hours."""
    app = get_app()
    found = admin.overview(app)
    return {
        "counts": found["counts"],
        "days": [
            {"day": day.isoformat(), "trades": trades, "volume": round(volume, 2)}
            for day, trades, volume in found["days"]
        ],
        "symbols": [
            {"symbol": symbol.text, "trades": trades, "volume": round(volume, 2)}
            for symbol, trades, volume in found["symbols"]
        ],
        "latency_ms": [
            {"what": what, "count": count, **shares} for what, count, shares in admin.latencies(app)
        ],
    }


# --- users --------------------------------------------------------------------------------------------------


class UserList(PageQuery):
    search: str = pydantic.Field("", max_length=100)


class UserChanges(Body):
    role: Role | None = None
    is_active: bool | None = None


class Confirmation(Body):
    confirm: str = pydantic.Field(max_length=254, description="the user's email, typed")


def _views(found: list[User]) -> dict[int, dict[str, Any]]:
    """By id; each user with how many accounts trade live with a password alone."""
    password_only = second_factor_policy.without(get_app(), [user.id for user in found])
    return {
        user.id: user_view(user)
        | {
            "is_active": user.is_active,
            "last_login_at": iso(user.last_login_at) if user.last_login_at else None,
            "live_without_second_factor": _password_only(password_only[user.id])
            if user.id in password_only
            else None,
        }
        for user in found
    }


def _password_only(row: Any) -> dict[str, Any]:
    return {
        "accounts": row.accounts,
        "declined": row.declined,
        "since": iso(row.since) if row.since else None,
    }


@endpoint(bp, "GET", "/users", query=UserList, needs=P.MANAGE_USERS)
def users(user: User, query: UserList) -> dict[str, Any]:
    """All users."""
    rows = admin.users(
        get_app(), user, after=number_cursor(query.cursor) or 0, limit=query.limit + 1, named=query.search
    )
    views = _views(rows)
    return page(rows, query.limit, lambda row: str(row.id), lambda row: views[row.id])


@endpoint(bp, "PATCH", "/users/<int:user_id>", body=UserChanges, needs=P.MANAGE_USERS)
def change(user: User, given: UserChanges, user_id: int) -> dict[str, Any]:
    """Change a user's role (superadmins), activate or deactivate a user. Deactivation ends sessions and
    tokens, and the bots open nothing."""
    app = get_app()
    if given.role is not None:
        admin.set_role(app, user, user_id, given.role)
    if given.is_active is not None:
        admin.set_active(app, user, user_id, given.is_active)
    return _views([admin.user_of(app, user, user_id)])[user_id]


@endpoint(bp, "POST", "/users/<int:user_id>/reset-link", needs=P.MANAGE_USERS, status=201)
def reset_link(user: User, user_id: int) -> dict[str, Any]:
    """Create a link by which the user sets a new password; it works once, within a day."""
    return {"url": credentials.make_link(get_app(), user, user_id)}


@endpoint(bp, "DELETE", "/users/<int:user_id>/reset-link", needs=P.MANAGE_USERS)
def revoke_reset_link(user: User, user_id: int) -> dict[str, Any]:
    """Revoke the password link of this user."""
    credentials.revoke_link(get_app(), user, user_id)
    return {"user_id": user_id, "status": "revoked"}


@endpoint(bp, "GET", "/reset-links", needs=P.MANAGE_USERS)
def reset_links(user: User) -> dict[str, Any]:
    """The password links that still work; their text is never shown again. `made_by` is null for one created
    on the machine."""
    rows = credentials.open_links(get_app(), user)
    items = [
        {
            "user_id": row.user_id,
            "email": row.email,
            "made_by": row.made_by,
            "created_at": iso(row.created_at),
            "expires_at": iso(row.expires_at),
        }
        for row in rows
    ]
    return {"items": items, "next_cursor": None}


@endpoint(bp, "GET", "/invitations", needs=P.INVITE)
def invitations(user: User) -> dict[str, Any]:
    """The invitations that still work; their text is never shown again."""
    rows = invitation_service.open_invitations(get_app(), user)
    items = [
        {
            "id": row.id,
            "email": row.email,
            "role": row.role,
            "made_by": row.made_by,
            "created_at": iso(row.created_at),
            "expires_at": iso(row.expires_at),
        }
        for row in rows
    ]
    return {"items": items, "next_cursor": None}


@endpoint(bp, "DELETE", "/invitations/<int:invitation_id>", needs=P.INVITE)
def revoke_invitation(user: User, invitation_id: int) -> dict[str, Any]:
    """Revoke an invitation of yours, or of a user whose account you may manage."""
    invitation_service.revoke_invitation(get_app(), user, invitation_id)
    return {"id": invitation_id, "status": "revoked"}


@endpoint(bp, "DELETE", "/users/<int:user_id>/second-factor", needs=P.MANAGE_USERS)
def reset_second_factor(user: User, user_id: int) -> dict[str, Any]:
    """Remove two-factor authentication of a user who lost it."""
    admin.reset_second_factor(get_app(), user, user_id)
    return {"id": user_id, "second_factor": False}


@endpoint(bp, "DELETE", "/users/<int:user_id>", body=Confirmation, needs=P.MANAGE_USERS)
def delete(user: User, given: Confirmation, user_id: int) -> dict[str, Any]:
    """Delete a user and all their data. Refused while one of their bots has a position on a live account."""
    admin.delete(get_app(), user, user_id, confirm=given.confirm)
    return {"id": user_id, "status": "deleted"}


# --- all users' trades --------------------------------------------------------------------------------------


class AllTradesFilter(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=100, populate_by_name=True)
    of_user: int | None = pydantic.Field(None, ge=1, lt=2**62)
    symbol: str | None = None
    action: str | None = pydantic.Field(None, pattern="^(buy|sell)$")
    since: str | None = pydantic.Field(None, alias="from")
    until: str | None = pydantic.Field(None, alias="to")

    def wanted(self) -> dict[str, Any]:
        return {
            "user_id": self.of_user,
            "symbol": Symbol.parse(self.symbol) if self.symbol else None,
            "action": self.action,
            "since": read_moment(self.since, "from"),
            "until": read_moment(self.until, "to"),
        }


class AllTradesList(AllTradesFilter, PageQuery):
    pass


@endpoint(bp, "GET", "/trades", query=AllTradesList, needs=P.SEE_ALL_TRADES)
def trades(user: User, query: AllTradesList) -> dict[str, Any]:
    """All users' trades, newest first."""
    rows = trade_service.of_all_users(
        get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1, **query.wanted()
    )
    return page(
        rows,
        query.limit,
        lambda row: str(row.id),
        lambda row: {"user_id": row.user_id, "email": row.email} | trade_view(row),
    )


@endpoint(bp, "GET", "/trades.csv", query=AllTradesFilter, needs=P.SEE_ALL_TRADES)
def trades_csv(user: User, query: AllTradesFilter) -> Response:
    """All users' trades as a CSV file, streamed."""
    return csv_file(user, export.all_trades(get_app(), query.wanted()), "all-trades.csv")


@endpoint(bp, "GET", "/audit", query=PageQuery, needs=P.SEE_SYSTEM)
def audit(user: User, query: PageQuery) -> dict[str, Any]:
    """The audit log, newest first."""
    rows = audit_service.entries(get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1)
    return page(
        rows,
        query.limit,
        lambda row: str(row.id),
        lambda row: {
            "id": row.id,
            "at": iso(row.at),
            "user_id": row.user_id,
            "subject_id": row.subject_id,
            "action": row.action,
            "detail": row.detail,
            "address": row.address,
        },
    )


# --- settings of the installation ---------------------------------------------------------------------------


class Installation(Body):
    signup: Literal["open", "invite", "closed"] | None = None
    demo: bool | None = None
    simulation: bool | None = None
    require_second_factor: bool | None = None


@endpoint(bp, "GET", "/settings", needs=P.SEE_SYSTEM)
def settings(user: User) -> dict[str, Any]:
    """Settings of the installation: sign-up, demo, simulation mode, required two-factor authentication."""
    return _settings_view()


def _settings_view() -> dict[str, Any]:
    app = get_app()
    return {
        "signup": invitation_service.signup(app),
        "demo": admin.demo_offered(app),
        "simulation": simulation.is_on(app),
        "require_second_factor": second_factor_policy.is_required(app),
    }


@endpoint(bp, "PATCH", "/settings", body=Installation, needs=P.MANAGE_SYSTEM)
def put_settings(user: User, given: Installation) -> dict[str, Any]:
    """Change the settings of the installation. Simulation mode is refused while a bot on a live account has a
    position or an open order."""
    app = get_app()
    if given.simulation is not None:
        simulation.switch(app, user, given.simulation)
    if given.signup is not None:
        admin.put_setting(app, user, invitation_service.SIGNUP, given.signup)
    if given.demo is not None:
        admin.put_setting(app, user, invitation_service.DEMO, "on" if given.demo else "off")
    if given.require_second_factor is not None:
        second_factor_policy.put(app, user, given.require_second_factor)
    return _settings_view()
