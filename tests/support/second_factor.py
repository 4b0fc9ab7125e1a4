"""A second factor that is set up, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import TokenScope
from dashtrade.domain.people import User
from dashtrade.services.people import second_factor, sessions
from dashtrade.tables import messages
from dashtrade.tables import people as people_table
from tests.support.installation import Trader

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


def reread(person: Trader) -> User:
    with person.installation.app.db.read() as conn:
        found = people_table.by_id(conn, person.user.id)
    assert found is not None
    return found


def set_up(person: Trader, **more: Any) -> User:
    app = person.installation.app
    code = totp.code_at(SECRET, totp.step_at(app.clock.now()))
    second_factor.enable(
        app,
        reread(person),
        **({"secret": SECRET, "code": code, "password": PASSWORD, "address": "", "token": None} | more),
    )
    return reread(person)


def named_token(person: Trader, *scopes: TokenScope) -> Trader:
    app = person.installation.app
    access = sessions.add_api_token(
        app, person.user, name="script", days=9, scopes=scopes, password=PASSWORD, address=""
    )
    return replace(person, access=access)


def audit(app: App) -> list[Any]:
    with app.db.read() as conn:
        return messages.everything_recorded(conn, before=None, limit=50)


def messages_of(person: Trader) -> list[Any]:
    with person.installation.app.db.read() as conn:
        return messages.list_page(conn, person.user.id, before=None, limit=50)
