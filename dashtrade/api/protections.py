"""Protections and their locks."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.http import endpoint, get_app
from dashtrade.api.reading import PageQuery, number_cursor, page
from dashtrade.domain import protections as domain
from dashtrade.domain.people import User
from dashtrade.domain.protections import Scope
from dashtrade.domain.values import iso
from dashtrade.domain.wording import words
from dashtrade.services.trading import protections as service
from dashtrade.services.trading.protections import LockRecord, ProtectionRecord

bp = Blueprint("protections", __name__, url_prefix="/api/v1")


class NewProtection(Body):
    kind: str = pydantic.Field(max_length=60)
    scope: Scope = Scope.USER
    scope_id: int | None = pydantic.Field(
        None, ge=1, lt=2**62, description="The id of the bot or account; omit it for the scope user."
    )
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)


class ProtectionChanges(Body):
    settings: dict[str, Any] | None = None
    is_active: bool | None = None


class LockList(PageQuery):
    standing: bool = pydantic.Field(False, description="Only locks in force now.")


def protection_view(row: ProtectionRecord) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "title": domain.KINDS[row.kind].title,
        "scope": row.scope,
        "scope_id": row.scope_id if row.scope != Scope.USER else None,
        "settings": row.settings,
        "is_active": row.is_active,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def lock_view(row: LockRecord) -> dict[str, Any]:
    return {
        "id": row.id,
        "protection_id": row.protection_id,
        "kind": row.kind,
        "title": domain.KINDS[row.kind].title,
        "scope": row.scope,
        "scope_id": row.scope_id if row.scope != Scope.USER else None,
        "symbol": row.symbol.text if row.symbol else None,
        "bot_id": row.bot_id,
        "signal_id": row.signal_id,
        "reason": words(row.reason),
        "reason_code": str(row.reason.code),
        "numbers": row.numbers,
        "since": iso(row.since),
        "until": _maybe(row.until),
        "unlocked_at": _maybe(row.unlocked_at),
        "unlocked_by": row.unlocked_by,
        "standing": row.stands(get_app().clock.now()),
    }


def _maybe(moment: Any) -> str | None:
    return iso(moment) if moment else None


@endpoint(bp, "GET", "/protection-kinds")
def kinds(user: User) -> dict[str, Any]:
    """Every kind of protection, with its settings and their defaults."""
    return {"items": domain.describe(), "next_cursor": None}


@endpoint(bp, "GET", "/protections")
def list_protections(user: User) -> dict[str, Any]:
    """Your protections."""
    found = service.protections(get_app(), user)
    return {"items": [protection_view(one) for one in found], "next_cursor": None}


@endpoint(bp, "POST", "/protections", body=NewProtection, status=201)
def add_protection(user: User, given: NewProtection) -> dict[str, Any]:
    """Add a protection for a bot, an account or all your bots. Several can apply at once; an entry must pass
    all of them."""
    protection_id = service.add(
        get_app(), user, kind=given.kind, scope=given.scope, scope_id=given.scope_id, settings=given.settings
    )
    return protection_view(service.of(get_app(), user, protection_id))


@endpoint(bp, "PATCH", "/protections/<int:protection_id>", body=ProtectionChanges)
def change_protection(user: User, given: ProtectionChanges, protection_id: int) -> dict[str, Any]:
    """Change a protection's settings, or switch it off and on. Switching off ends its locks."""
    service.change(get_app(), user, protection_id, settings=given.settings, is_active=given.is_active)
    return protection_view(service.of(get_app(), user, protection_id))


@endpoint(bp, "DELETE", "/protections/<int:protection_id>")
def remove_protection(user: User, protection_id: int) -> dict[str, Any]:
    """Remove a protection and its locks; past locks stay on record."""
    service.remove(get_app(), user, protection_id)
    return {"id": protection_id, "status": "removed"}


@endpoint(bp, "GET", "/protection-locks", query=LockList)
def list_locks(user: User, query: LockList) -> dict[str, Any]:
    """Locks of protections, newest first: the reason, the end, and who unlocked them."""
    found = service.locks(
        get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1, standing=query.standing
    )
    return page(found, query.limit, lambda row: str(row.id), lock_view)


@endpoint(bp, "POST", "/protection-locks/<int:lock_id>/unlock")
def unlock(user: User, lock_id: int) -> dict[str, Any]:
    """Allow entries again at once. What led to the lock no longer counts."""
    return lock_view(service.unlock(get_app(), user, lock_id))
