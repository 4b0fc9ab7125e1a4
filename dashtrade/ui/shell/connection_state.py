"""The state of each account's connection, from its last reading: for the header of every page, and beside
each account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.values import as_sentence
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.prices import KnownAccount, real_money
from dashtrade.services.operations import health
from dashtrade.ui.kit.format import ago, moment

OLD_AFTER = timedelta(minutes=5)  # older readings count as lost
MAX_PAPER_SHOWN = 4  # accounts in the header; live ones are always shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """`tone` is the dot's colour: up, warn or down. `problem` is empty while all is well."""

    account: Account
    known: KnownAccount
    tone: str
    problem: str
    since: datetime | None = None


def connection(app: App, account: Account, *, silent: bool = False) -> ConnectionState:
    """`silent`: the worker is not running, so nothing trades, not even on paper."""
    known, now = prices.known_of(app, account), app.clock.now()
    if not account.is_active:
        tone, problem, since = "down", "disabled", None
    elif account.problem:
        tone, problem, since = "warn", "not confirmed", None
    elif known.failing_since is not None:
        tone, problem, since = "down", "no connection", known.failing_since
    elif silent and prices.is_local(account):
        tone, problem, since = "warn", "not trading now", None
    elif known.fresh:
        tone, problem, since = "up", "", None
    elif known.read_at is None:
        tone, problem, since = "warn", "connecting", None
    else:
        tone = "down" if now - known.read_at > OLD_AFTER else "warn"
        problem, since = f"last answer {ago(now, known.read_at)}", None
    return ConnectionState(account=account, known=known, tone=tone, problem=problem, since=since)


def worker_is_silent(app: App) -> bool:
    silence = health.worker_silence(app)
    return silence is not None and silence > prices.FRESH_FOR.total_seconds()


def shown(app: App, accounts: Sequence[Account]) -> tuple[list[ConnectionState], int]:
    """All live accounts first; and the number of paper accounts left out, which have nothing to report."""
    silent = worker_is_silent(app)
    found = [connection(app, account, silent=silent) for account in accounts]
    live = [one for one in found if real_money(one.account)]
    rest = sorted((one for one in found if not real_money(one.account)), key=lambda one: one.tone == "up")
    not_well = sum(one.tone != "up" for one in rest)
    room = max(MAX_PAPER_SHOWN - len(live), not_well)
    return [*live, *rest[:room]], len(rest[room:])


def words(user: User, one: ConnectionState) -> str:
    since = f" since {moment(user, one.since)}" if one.since is not None else ""
    return f"{one.problem}{since}" if one.problem else ""


def reason(one: ConnectionState) -> str:
    """The reason, from the broker or DashTrade."""
    return as_sentence(one.known.error) if one.known.error else ""


def price_source(account: Account) -> str:
    """Where the account's prices come from."""
    return "demo prices" if prices.is_local(account) else "broker's prices"
