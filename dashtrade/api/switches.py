"""Stopping and resuming: a bot, an account, the user's trading, all users."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import ApiError, Body
from dashtrade.api.http import STOP_SCOPES, endpoint, get_app, require_scope
from dashtrade.domain.access import Permission, TokenScope, may
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.domain.values import iso
from dashtrade.services.bots import switches as switch_service

bp = Blueprint("switches", __name__, url_prefix="/api/v1")


class SwitchChange(Body):
    scope: str = pydantic.Field("user", pattern="^(all|user|account|bot)$")
    id: int | None = pydantic.Field(None, ge=1, lt=2**62)
    mode: Stop
    reason: str = pydantic.Field("", max_length=200)


@endpoint(bp, "GET", "/switches")
def list_switches(user: User) -> dict[str, Any]:
    """Switches that are on: for all users, for yourself, for accounts and bots. What is not listed trades
    normally."""
    return _switches_view(user)


def _switches_view(user: User) -> dict[str, Any]:
    items = [
        {
            "scope": r.scope,
            "id": r.scope_id if r.scope in ("account", "bot") else None,
            "mode": str(r.stop),
            "reason": r.reason,
            "at": iso(r.at),
        }
        for r in switch_service.switches(get_app(), user)
    ]
    return {"items": items, "next_cursor": None}


def _now_stopped(user: User, given: SwitchChange) -> Stop:
    wanted = (given.scope, given.id if given.scope in ("account", "bot") else None)
    return next(
        (
            r.stop
            for r in switch_service.switches(get_app(), user)
            if (r.scope, r.scope_id if r.scope in ("account", "bot") else None) == wanted
        ),
        Stop.NONE,
    )


@endpoint(bp, "PUT", "/switches", body=SwitchChange, scopes=STOP_SCOPES)
def put_switch(user: User, given: SwitchChange) -> dict[str, Any]:
    """Set a switch: none, pause_entries, reduce_only or halt. Takes effect at once; exits always pass."""
    if given.mode.weight < _now_stopped(user, given).weight:  # a weaker mode resumes trading
        require_scope(user, [TokenScope.TRADE])
    if given.scope == "all" and not may(user.role, Permission.SWITCH_ALL):
        raise ApiError(
            403,
            "forbidden",
            "Only a superadmin may switch trading for all.",
            'Use the scope "user" for your own.',
        )
    switch_service.put_switch(
        get_app(), user, scope=given.scope, scope_id=given.id, stop=given.mode, reason=given.reason
    )
    return _switches_view(user)
