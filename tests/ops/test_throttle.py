"""Guessing is slowed down by what the database has counted before it looks, and those who did not get in are
in the audit log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.services.people import passwords as password_service
from dashtrade.services.people import second_factor, throttle, users
from dashtrade.services.refusals import Denied
from dashtrade.tables import attempts as table
from dashtrade.tables import messages, second_factors
from tests.support.fakes import ManualClock
from tests.support.installation import Installation
from tests.support.user_rows import reread

PASSWORD = "correct horse battery"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
THERE = "203.0.113.9"


@pytest.fixture
def trader(app: App) -> User:
    return reread(app, users.add_user(app, email="ann@example.com", name="Ann", password=PASSWORD))


def attempt(
    app: App, word: str = "wrong", email: str = "ann@example.com", address: str = THERE, device: str = ""
) -> str:
    try:
        users.check_password(app, email, word, address, device=device)
    except Denied as denied:
        return f"wait {denied.retry_after}" if denied.retry_after else "wrong"
    return "in"


def audit(app: App, action: str) -> list[Any]:
    app.notes.flush()
    with app.db.read() as conn:
        return [
            row for row in messages.everything_recorded(conn, before=None, limit=200) if row.action == action
        ]


def at_once(work: Callable[[], object], many: int = 60) -> list[object]:
    found: list[object] = []
    ready = threading.Barrier(many)

    def run() -> None:
        ready.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_sixty_guesses_at_once_no_more_are_looked_at_than_are_allowed(
    app: App, trader: User, monkeypatch: pytest.MonkeyPatch
):
    looked_at: list[str] = []
    monkeypatch.setattr(
        password_service, "matches", lambda password, stored: bool(looked_at.append(password))
    )
    answer = at_once(lambda: attempt(app))
    assert len(looked_at) == throttle.MAX_FAILURES == answer.count("wrong")


def test_of_sixty_codes_at_once_no_more_are_looked_at_than_are_allowed(
    app: App, trader: User, monkeypatch: pytest.MonkeyPatch
):
    app.db.write(lambda conn: second_factors.put_factor(conn, trader.id, app.vault.encrypt(SECRET), 1))
    looked_at: list[str] = []
    monkeypatch.setattr(totp, "step_of", lambda secret, code, now: looked_at.append(code))
    user = reread(app, trader.id)

    def guess() -> None:
        with pytest.raises(Denied):
            second_factor.check(app, user, "123456", "")

    at_once(guess)
    assert len(looked_at) == throttle.MAX_FAILURES


def test_a_lock_holds_in_every_process_and_after_a_restart(make_app: Callable[..., App], clock: ManualClock):
    first = make_app(clock=clock)
    users.add_user(first, email="ann@example.com", name="Ann", password=PASSWORD)
    second = make_app(clock=clock)
    assert [attempt(first) for _ in range(8)] == ["wrong"] * 8
    assert attempt(second, PASSWORD).startswith("wait")


def test_the_wait_grows_and_ends(app: App, trader: User, clock: ManualClock):
    for _ in range(8):
        attempt(app)
    waits = []
    for _ in range(5):
        waits.append(int(attempt(app, PASSWORD).removeprefix("wait ")))
        clock.time += timedelta(seconds=waits[-1])
        assert attempt(app) == "wrong"
    assert waits == [301, 601, 1201, 2401, 3601]
    clock.time += timedelta(hours=1, seconds=1)
    assert attempt(app, PASSWORD) == "in"
    assert [attempt(app) for _ in range(9)] == ["wrong"] * 8 + ["wait 301"], "who got in begins again"


def test_guesses_that_stopped_are_forgotten_and_their_rows_go(app: App, trader: User, clock: ManualClock):
    for number in range(7):
        attempt(app, email=f"user{number}@example.com")
        attempt(app)
    clock.time += table.FORGET_AFTER + timedelta(seconds=1)
    assert [attempt(app, address="") for _ in range(8)] == ["wrong"] * 8
    app.db.write(lambda conn: table.delete_expired(conn, clock.now(), clock.now() - throttle.DEVICE_LIFE))
    with app.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(table.attempts)) == 1


def test_one_address_cannot_go_through_many_accounts(app: App, trader: User):
    answer = [
        attempt(app, email=f"user{number}@example.com", address=f"2001:db8::{number + 1}")
        for number in range(21)
    ]
    assert answer == ["wrong"] * 20 + ["wait 301"]
    assert attempt(app, PASSWORD, address="2001:db8:0:1::1") == "in"
    assert attempt(app, PASSWORD, address="127.0.0.1") == "in", (
        "behind a proxy that is not told of, this machine's own address is everybody's"
    )


def test_who_signs_in_does_not_clear_their_address_of_other_guesses(app: App, trader: User):
    for number in range(19):
        attempt(app, email=f"user{number}@example.com")
    assert attempt(app, PASSWORD) == "in"
    assert [attempt(app, email=f"other{number}@example.com") for number in range(2)] == ["wrong", "wait 301"]


def test_a_known_device_is_not_locked_out_by_others(app: App, trader: User):
    device = throttle.know_device(app, trader.id, None)
    for number in range(25):
        attempt(app)
        attempt(app, email=f"user{number}@example.com")
    assert attempt(app, PASSWORD).startswith("wait") and attempt(app, PASSWORD, device="made up").startswith(
        "wait"
    )
    assert attempt(app, PASSWORD, device=device) == "in"
    assert [attempt(app, device=device) for _ in range(9)] == ["wrong"] * 8 + ["wait 301"], (
        "and cannot be used to guess without end"
    )


def test_a_device_is_known_for_its_own_user_alone(app: App, trader: User):
    other_trader = users.add_user(app, email="bob@example.com", name="Bob", password=PASSWORD)
    device = throttle.know_device(app, other_trader, None)
    for _ in range(8):
        attempt(app)
    assert attempt(app, PASSWORD, device=device).startswith("wait")
    assert (
        throttle.know_device(app, other_trader, device) == device
        and throttle.know_device(app, trader.id, device) != device
    )


def test_strangers_do_not_block_a_users_own_changes(app: App, trader: User):
    for _ in range(9):
        attempt(app)
    users.check_own_password(app, trader, PASSWORD, THERE, where="password")


def test_after_fifty_wrong_codes_only_a_recovery_code_is_taken(app: App, trader: User, clock: ManualClock):
    app.db.write(lambda conn: second_factors.put_factor(conn, trader.id, app.vault.encrypt(SECRET), 1))
    app.db.write(lambda conn: second_factors.put_codes(conn, trader.id, [users.sha256("abcdefghijklmnop")]))
    user = reread(app, trader.id)
    for _ in range(50):
        with pytest.raises(Denied, match="wrong or was used"):
            second_factor.check(app, user, "000000", "")
        clock.time += timedelta(hours=1, seconds=1)

    def now_code() -> str:
        return totp.code_at(SECRET, totp.step_at(clock.now()))

    with pytest.raises(Denied, match="50 wrong ones"):
        second_factor.check(app, user, now_code(), "")
    clock.time += timedelta(hours=1, seconds=1)
    second_factor.check(app, user, "abcd-efgh-ijkl-mnop", "")
    second_factor.check(app, user, now_code(), "")


# --- the audit log ------------------------------------------------------------------------------------------


def test_failed_sign_ins_are_recorded_once_a_minute_with_their_number(
    app: App, trader: User, clock: ManualClock
):
    for _ in range(3):
        attempt(app)
        attempt(app, email="nobody@example.com")
    clock.time += timedelta(minutes=1)
    attempt(app)
    found = sorted(
        (row.detail["account"], row.detail["reason"], row.detail["count"], row.address)
        for row in audit(app, "sign-in failed")
    )
    assert found == [
        ("ann@example.com", "wrong password", 1, THERE),
        ("ann@example.com", "wrong password", 3, THERE),
        ("nobody@example.com", "no such account", 3, THERE),
    ]


def test_throttles_are_recorded(app: App, trader: User):
    for _ in range(12):
        attempt(app)
    assert [row.detail["count"] for row in audit(app, "sign-in throttled")] == [4]


def test_a_sign_in_over_rest_and_a_refusal_are_recorded(app: App, trader: User):
    installation = Installation(app)
    response = installation.flask.test_client().post(
        "/api/v1/auth/login", json={"email": trader.email, "password": PASSWORD}
    )
    assert response.status_code == 200
    standard = installation.join("eve@example.com")
    for _ in range(2):
        assert standard.call("GET", "/admin/users").status_code == 403
    ada = installation.join("ada@example.com", Role.ADMIN)
    assert ada.call("PATCH", f"/admin/users/{trader.id}", {"role": "admin"}).status_code == 403
    assert [(row.user_id, row.address) for row in audit(app, "signed in over REST")] == [
        (trader.id, "127.0.0.1")
    ]
    refused = {(row.user_id, row.detail["reason"]): row.detail["count"] for row in audit(app, "refused")}
    assert refused == {
        (standard.user.id, "GET /api/v1/admin/users"): 2,
        (ada.user.id, "PATCH /api/v1/admin/users/<int:user_id>"): 1,
    }


def test_a_flood_of_refusals_is_no_flood_of_writes_and_none_is_lost(
    app: App, trader: User, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(app.db, "write_unchecked", lambda fn: pytest.fail("it waits for a write"))
        for _ in range(500):
            app.notes.note(AuditAction.REFUSED, who="eve@example.com", reason="GET /x", actor=trader.id)
    assert [row.detail["count"] for row in audit(app, "refused")] == [500]
