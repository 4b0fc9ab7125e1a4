"""Who is turned away is in the audit log: once a minute, by network, in few lines; nobody waits for it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.limits import ConcurrencyLimit, Rate, ReceiverLimits
from dashtrade.security_notes import LINES_A_MINUTE, Notes
from dashtrade.services.people import users
from dashtrade.services.refusals import Denied
from dashtrade.tables import messages
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation
from tests.support.ui_harness import PASSWORD as WORD
from tests.support.ui_harness import DashboardHarness


def audit(app: App, action: str) -> list[Any]:
    app.notes.flush()
    with app.db.read() as conn:
        rows = messages.everything_recorded(conn, before=None, limit=500)
    return [row for row in rows if row.action == action]


def limited(flask: Flask, **given: Any) -> None:
    flask.config["LIMITS"] = ReceiverLimits(**{"alerts": Rate(1000)} | given)


# --- the receiver's own --------------------------------------------------------------------------------


@sqlite
def test_alerts_beyond_the_rate_are_one_row_with_their_user_and_number_and_no_write_each(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
):
    trader = installation.join("ann@example.com")
    limited(installation.flask, alerts=Rate(0.001, burst_seconds=1))
    trader.alert("BUY NOTHING")
    with monkeypatch.context() as meanwhile:
        for name in ("write", "write_unchecked", "write_all"):
            meanwhile.setattr(
                installation.app.db, name, lambda fn: pytest.fail("a refused alert waits for a write")
            )
        assert {trader.alert("BUY NOTHING").status_code for _ in range(40)} == {429}
    (row,) = audit(installation.app, "throttled")
    assert (row.user_id, row.detail["count"], row.detail["reason"]) == (trader.user.id, 40, "POST /webhook")
    assert row.address == "203.0.113.7"


@sqlite
def test_signing_in_registering_explaining_and_exporting_too_often_are_rows(installation: Installation):
    trader, client = installation.join("ann@example.com"), installation.flask.test_client()
    never = Rate(0.001, burst_seconds=1)
    never.take("127.0.0.1")
    limited(
        installation.flask,
        passwords_of=never,
        explaining_to=never,
        exports=ConcurrencyLimit(in_all=0, of_one=0),
    )
    credentials = {"email": "ann@example.com", "password": "x"}
    for path in ("/api/v1/auth/login", "/api/v1/auth/register", "/test-webhook"):
        body = {} if path == "/test-webhook" else credentials
        assert [client.post(path, json=body).status_code for _ in range(3)] == [429] * 3, path
    assert trader.call("GET", "/trades.csv").status_code == 429
    rows = audit(installation.app, "throttled")
    assert {(row.user_id, row.detail["reason"], row.detail["count"]) for row in rows} == {
        (None, "POST /api/v1/auth/login", 3),
        (None, "POST /api/v1/auth/register", 3),
        (None, "POST /test-webhook", 3),
        (trader.user.id, "GET /api/v1/trades.csv", 1),
    }


@sqlite
def test_a_sign_up_without_a_right_to_it_is_a_row(app: App, installation: Installation):
    installation.join("ann@example.com")
    given = {"password": WORD, "name": "", "code": "made-up"}
    for _ in range(2):
        with pytest.raises(Denied):
            users.register(app, email="x@example.com", address="10.0.0.1", **given)
    assert [row.detail for row in audit(app, "sign-up refused")] == [
        {"reason": "the invitation is invalid, used or expired", "count": 2}
    ]


# --- not too many of them ------------------------------------------------------------------------------


def test_a_stranger_with_many_addresses_and_names_fills_no_table(app: App, clock: ManualClock):
    for number in range(5000):
        address = f"10.{number >> 8}.{number & 255}.1"
        app.notes.note(AuditAction.SIGN_IN_FAILED, who=f"{number}@example.com", address=address)
    rows = audit(app, "sign-in failed")
    assert len(rows) == LINES_A_MINUTE + 1
    assert sum(row.detail["count"] for row in rows) == 5000
    app.notes.note(AuditAction.SIGNED_IN_OVER_REST, address="10.9.9.9")
    assert [row.address for row in audit(app, "signed in over REST")] == ["10.9.9.9"]
    clock.time += timedelta(minutes=1)
    app.notes.note(AuditAction.SIGN_IN_FAILED, who="ann@example.com", address="10.0.0.1")
    assert len(audit(app, "sign-in failed")) == LINES_A_MINUTE + 2


def test_one_network_is_one_row(app: App):
    for number in range(200):
        app.notes.note(AuditAction.THROTTLED, reason="POST /webhook", address=f"2001:db8:1:2::{number:x}")
    (row,) = audit(app, "throttled")
    assert (row.address, row.detail["count"]) == ("2001:db8:1:2::/64", 200)


def test_notes_are_written_by_themselves_after_a_while(app: App, monkeypatch: pytest.MonkeyPatch):
    notes, written = Notes(app.db, app.clock, write_every_seconds=0.01), threading.Event()
    write = app.db.write_unchecked
    monkeypatch.setattr(app.db, "write_unchecked", lambda fn: (write(fn), written.set()))
    notes.note(AuditAction.REFUSED, address="10.0.0.1")
    assert written.wait(20)
    notes.close()
    monkeypatch.undo()
    assert [row.detail["count"] for row in audit(app, "refused")] == [1]


# --- the dashboard's -----------------------------------------------------------------------------------


def reasons(harness: DashboardHarness, address: str) -> set[tuple[str, str]]:
    with harness.app.db.read() as conn:
        rows = messages.everything_recorded(conn, before=None, limit=1000)
    return {(row.action, row.detail["reason"]) for row in rows if row.address == address and row.detail}


def wait_for(harness: DashboardHarness, address: str, wanted: set[tuple[str, str]]) -> None:
    end = time.monotonic() + 40
    while not wanted <= reasons(harness, address):
        assert time.monotonic() < end, (wanted, reasons(harness, address))
        time.sleep(0.2)


def test_wrong_links_foreign_sites_and_waits_of_the_dashboard_are_rows(harness: DashboardHarness):
    harness.person()
    at = {"X_Forwarded_For": "198.51.100.7"}
    wrong = urlencode({"code": "made-up", "password": WORD})
    for _ in range(22):
        harness.ask("POST", "/reset", wrong, **at)
    assert harness.ask("GET", "/reset?code=made-up", **at).status == 429
    assert harness.ask("POST", "/auth/login", "email=x", origin="https://evil.example", **at).status == 403
    assert harness.ask("GET", "/files/trades.csv", **at).status in (303, 401, 403)
    wait_for(
        harness,
        "198.51.100.7",
        {
            ("password link refused", "POST /reset"),
            ("throttled", "GET /reset"),
            ("refused", "from another site"),
        },
    )
