"""Broker accounts: add, change, remove; reset the balance of a paper account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.accounts import PAPER, Account
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason, quoted
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts.owned import account_of
from dashtrade.services.operations import quotas
from dashtrade.services.people import second_factor_policy
from dashtrade.services.refusals import Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import paper as paper_table

REAL_MONEY = "REAL MONEY"

# --- accounts -----------------------------------------------------------------------------------------------


def add_account(
    app: App,
    user: User,
    *,
    broker: str,
    mode: str,
    label: str,
    credentials: Mapping[str, str],
    options: Mapping[str, Any],
    acknowledge: str = "",
    decline_second_factor: bool = False,
) -> int:
    """`acknowledge` is the confirmation typed for live trading; without it the account does not trade yet.
    `decline_second_factor`: the user has no second factor and continues without one."""
    kind, confirmed = app.brokers.kind(broker), mode == "live" and bool(acknowledge)
    _check_account(app, broker, mode, credentials, options)
    if confirmed or decline_second_factor:
        confirm(acknowledge)
    if user.demo_until is not None and broker != PAPER:
        raise Refusal("a demo trades on paper only", "Create a real account first, on the Account page.")
    label = (label or kind.name).strip()[:80]
    sealed = app.vault.encrypt(json.dumps(dict(credentials), sort_keys=True))
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        quotas.claim(conn, user, quotas.ACCOUNTS, now)
        declined = None
        if confirmed:
            declined = second_factor_policy.declined_at(conn, user, declines=decline_second_factor, now=now)
        account_id = account_table.add(
            conn,
            user.id,
            broker=broker,
            mode=mode,
            label=label,
            credentials=sealed,
            options=dict(options),
            created_at=now,
            is_active=not kind.lacks(dict(credentials)),
            disabled_reason=quoted(kind.lacks(dict(credentials))),
            acknowledged_at=now if confirmed else None,
            second_factor_declined_at=declined,
        )
        _open_paper_books(conn, account_id, kind, mode, options)
        detail = {"broker": broker, "mode": mode}
        message_table.record(
            conn, actor=user.id, action=AuditAction.ACCOUNT_ADDED, now=now, subject=account_id, detail=detail
        )
        if declined is not None:
            second_factor_policy.record_decline(conn, user, account_id, label=label, broker=broker, now=now)
        return account_id

    return app.db.write(work)


def _open_paper_books(
    conn: sa.Connection, account_id: int, kind: BrokerKind, mode: str, options: Mapping[str, Any]
) -> None:
    if kind.starting_cash is not None:
        paper_table.open_account(conn, account_id, kind.starting_cash(dict(options)))
    elif mode == "live":  # for simulation mode
        paper_table.open_account(conn, account_id, PaperSettings().starting_cash)


def _check_account(
    app: App, broker: str, mode: str, credentials: Mapping[str, str], options: Mapping[str, Any]
) -> None:
    kind = app.brokers.kind(broker)
    if mode not in kind.modes:
        raise Malformed(
            f"{broker} has no mode {mode!r}", where="mode", hint=f"One of: {', '.join(kind.modes)}."
        )
    kind.check(dict(credentials), {**options, "mode": mode})


def check_new_account(
    app: App,
    user: User,
    *,
    broker: str,
    mode: str,
    credentials: Mapping[str, str],
    options: Mapping[str, Any],
    acknowledge: str,
    decline_second_factor: bool,
) -> None:
    """Validate before saving. A live account added by this form is meant to trade."""
    _check_account(app, broker, mode, credentials, options)
    if mode == "live":
        confirm(acknowledge)
        second_factor_policy.check(user, declines=decline_second_factor)


def confirm(word: str) -> bool:
    if word.strip().upper() != REAL_MONEY:
        raise Malformed(
            "this account trades with real money",
            where="acknowledge",
            hint=f'Type or send "{REAL_MONEY}" to confirm.',
        )
    return True


def change_account(app: App, user: User, account_id: int, changes: dict[str, Any]) -> None:
    """New credentials of a disabled account are tested, and success enables it again; its bots stay paused
    until resumed."""
    account = account_of(app, user, account_id)
    values: dict[str, Any] = {}
    if changes.get("label"):
        values["label"] = changes["label"].strip()[:80]
    if changes.get("options") is not None or changes.get("credentials") is not None:
        options: dict[str, Any] = account.options if changes.get("options") is None else changes["options"]
        credentials = changes.get("credentials") or json.loads(app.vault.decrypt(account.credentials))
        app.brokers.kind(account.broker).check(dict(credentials), {**options, "mode": account.mode})
        values |= {
            "options": options,
            "credentials": app.vault.encrypt(json.dumps(credentials, sort_keys=True)),
        }
        # a refused key was replaced; the session that it renewed is dropped too
        if changes.get("credentials") is not None:
            values["session"] = None
            if not account.is_active:
                values["disabled_reason"] = Reason(Code.KEY_NOT_TESTED)
    now = app.clock.now()
    declines = bool(changes.get("decline_second_factor"))
    said = changes.get("acknowledge") is not None or declines
    confirmed = said and confirm(changes.get("acknowledge") or "") and account.mode == "live"
    if confirmed:
        values["acknowledged_at"] = account.acknowledged_at or now

    def work(conn: sa.Connection) -> None:
        if confirmed:
            _decline(conn, user, account, values, declines=declines, now=now)
        if values:
            account_table.change(conn, user.id, account_id, **values)
            message_table.record(
                conn,
                actor=user.id,
                action=AuditAction.ACCOUNT_CHANGED,
                now=now,
                subject=account_id,
                detail={"fields": sorted(changes)},
            )

    app.db.write(work)
    if "session" in values and not account.is_active:
        from dashtrade.services.accounts import connections  # circular import: connections needs this module

        connections.test(app, user, account_id)


def _decline(
    conn: sa.Connection,
    user: User,
    account: Account,
    values: dict[str, Any],
    *,
    declines: bool,
    now: datetime,
) -> None:
    """Write the decline of a second factor to `values`. An earlier decline stays valid."""
    before = account.second_factor_declined_at
    declined = second_factor_policy.declined_at(conn, user, declines=declines or before is not None, now=now)
    values["second_factor_declined_at"] = declined and (before or declined)
    if declined is not None and before is None:
        label = values.get("label", account.label)
        second_factor_policy.record_decline(
            conn, user, account.id, label=label, broker=account.broker, now=now
        )


def remove_account(app: App, user: User, account_id: int) -> None:
    account_of(app, user, account_id)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        left = table.list_page(conn, user.id, limit=1, account_id=account_id)
        if left:
            raise Refusal(
                f"the account still has bots, such as {left[0].name}", "Delete the account's bots first."
            )
        account_table.change(
            conn, user.id, account_id, deleted_at=now, is_active=False, credentials=app.vault.encrypt("{}")
        )
        message_table.record(
            conn, actor=user.id, action=AuditAction.ACCOUNT_REMOVED, now=now, subject=account_id
        )

    app.db.write(work)


def reset_paper(app: App, user: User, account_id: int) -> None:
    """Reset the paper balance. Refused while a bot owns a position, so that history and holdings keep
    agreeing."""
    account = account_of(app, user, account_id)
    if app.brokers.kind(account.broker).starting_cash is None:
        raise Refusal("only a paper account can be reset", "Choose a paper account.")
    with app.db.read() as conn:
        holding = [
            bot
            for bot in table.list_page(conn, user.id, limit=10000, account_id=account_id)
            if bot.status != "READY"
        ]
    if holding:
        raise Refusal(
            f"{holding[0].name} still has a position or an open order",
            "Close its position and cancel its orders first; then reset.",
        )
    start_over = app.brokers.of(account).offers.start_over
    if start_over is not None:
        start_over()
