"""Connection test: whether the account exists and its key has the permissions needed and no more. Success
enables a disabled account."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.ports import AccountState, Broker, BrokerError, Unavailable
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.values import money
from dashtrade.domain.wording import sentence
from dashtrade.services.accounts.owned import account_of
from dashtrade.tables import accounts as account_table
from dashtrade.tables import messages as message_table

T = TypeVar("T")
TIMEOUT_SECONDS = 5.0  # seconds in total: a person is waiting
MAX_CLOCK_SKEW = timedelta(seconds=2)


def test(app: App, user: User, account_id: int) -> dict[str, Any]:
    """Reach the venue within five seconds and return its answer. Success enables an account that was
    disabled for its key; its bots stay paused until their user resumes them."""
    account = account_of(app, user, account_id)
    try:
        state, latency, skew = call_within(TIMEOUT_SECONDS, lambda: _ask(app.brokers.venue(account)))
        result = _check_result(app, account, state, latency, skew)
    except BrokerError as error:
        result = {"ok": False, "message": error.message, "warnings": []}
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        values: dict[str, Any] = {"checked_at": now, "check_result": result}
        if result["ok"] and not account.is_active:
            values |= {"is_active": True, "disabled_reason": NO_REASON}
            message_table.record(
                conn, actor=user.id, action=AuditAction.ACCOUNT_USABLE_AGAIN, now=now, subject=account_id
            )
        account_table.change(conn, user.id, account_id, **values)

    app.db.write(work)
    sign_in = app.brokers.sign_in_warning(account) if result["ok"] else NO_REASON
    # the sign-in warning is not stored: it would be outdated tomorrow
    return {**result, "warnings": [*result["warnings"], sentence(sign_in)]} if sign_in else result


def call_within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or Unavailable after `seconds`: each request in it is bounded, but there may
    be several."""
    done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, name="test of a connection", daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise Unavailable(
            f"the broker did not answer within {seconds:.0f} seconds. Test again; if this stays, check "
            "the broker's status page."
        ) from None
    if error is not None:
        raise error
    return value


def _ask(broker: Broker) -> tuple[AccountState, float, timedelta | None]:
    """Return the account, the duration of one request, and the venue's clock skew where the venue reports
    a time."""
    began = time.perf_counter()
    state = broker.account()
    took, skew = time.perf_counter() - began, None
    if broker.offers.clock_skew is not None:
        try:
            began = time.perf_counter()
            skew = broker.offers.clock_skew()
            took = time.perf_counter() - began
        except BrokerError:  # the account was read, so a failed clock check is no failure
            skew = None
    return state, took, skew


def _check_result(
    app: App, account: Account, state: AccountState, latency: float, skew: timedelta | None
) -> dict[str, Any]:
    return {
        "ok": True,
        "number": masked(state.number),
        "equity": str(state.equity),
        "cash": str(state.cash),
        "buying_power": str(state.buying_power),
        "currency": state.currency,
        "permissions": list(state.permissions),
        "can_withdraw": state.can_withdraw,
        "latency_ms": round(latency * 1000),
        "clock_skew_ms": None if skew is None else round(skew.total_seconds() * 1000),
        "warnings": _warnings(app, account, state, skew),
        "message": f"connected: equity {money(state.equity)} {state.currency}",
    }


def _warnings(app: App, account: Account, state: AccountState, skew: timedelta | None) -> list[str]:
    found = []
    if state.can_withdraw:
        found.append(
            "This API key can withdraw money. DashTrade never withdraws: create a key without that "
            "permission."
        )
    blocked = [
        name.replace("_", " ") for name in state.permissions if "blocked" in name or "suspended" in name
    ]
    if blocked:
        found.append(
            f"The broker says {' and '.join(blocked)}: orders are refused until that is resolved at the "
            "broker."
        )
    if skew is not None and abs(skew) > MAX_CLOCK_SKEW:
        found.append(
            f"This machine's clock is {abs(skew).total_seconds():.0f} s "
            f"{'behind' if skew > timedelta(0) else 'ahead of'} the broker's: synchronise the clock with "
            "a time server, or orders may be refused."
        )
    return found


def masked(number: str) -> str:
    return f"{'•' * max(len(number) - 4, 0)}{number[-4:]}" if len(number) > 4 else number
