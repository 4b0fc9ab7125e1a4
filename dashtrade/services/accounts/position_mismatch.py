"""Resolving a position mismatch: assign the difference to a bot, keep it outside, or freeze the symbol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.bots import Bot
from dashtrade.domain.notices.trading import MismatchAssigned
from dashtrade.domain.people import User
from dashtrade.domain.position_mismatch import Drift, DriftStatus, Remedy, asset_of, scaled
from dashtrade.domain.values import Malformed, exact, plain
from dashtrade.engine import external_orders
from dashtrade.services.accounts import prices
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table
from dashtrade.tables import drifts as table
from dashtrade.tables import messages as message_table

PRICE_WAIT_SECONDS = 5.0  # seconds to wait for the market price at which a trade is booked


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchBot:
    """A bot that the difference can be assigned to."""

    bot_id: int
    name: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    drift: Drift
    account: str  # its label
    bots: tuple[MismatchBot, ...]  # while it is unresolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncompared:
    """An account that cannot be compared now."""

    account_id: int
    since: datetime
    message: str  # the broker's


def drifts(
    app: App,
    user: User,
    *,
    before: int | None = None,
    limit: int = 50,
    account_id: int | None = None,
    status: str | None = "unresolved",
) -> list[Mismatch]:
    """Newest first."""
    with app.db.read() as conn:
        found = table.list_page(
            conn, user.id, before=before, limit=limit, account_id=account_id, status=status
        )
        return [_record(conn, user, drift) for drift in found]


def drift(app: App, user: User, drift_id: int) -> Mismatch:
    with app.db.read() as conn:
        return _record(conn, user, _drift_of_user(conn, user, drift_id))


def comparison_problems(app: App, user: User) -> list[Uncompared]:
    with app.db.read() as conn:
        return [
            Uncompared(account_id=state.account_id, since=state.failing_since, message=state.problem)
            for state in table.reconciliation_states(conn, user.id)
            if state.failing_since is not None
        ]


def _drift_of_user(conn: sa.Connection, user: User, drift_id: int) -> Drift:
    found = table.get(conn, user.id, drift_id)
    if found is None:
        raise NotFound("drift")
    return found


def _candidates(conn: sa.Connection, user: User, drift: Drift) -> list[Bot]:
    every = bot_table.list_page(conn, user.id, limit=10000, account_id=drift.account_id)
    return [bot for bot in every if asset_of(bot.symbol) == drift.asset]


def _record(conn: sa.Connection, user: User, drift: Drift) -> Mismatch:
    account = account_table.get(conn, user.id, drift.account_id)
    bots = _candidates(conn, user, drift) if drift.unresolved else []
    return Mismatch(
        drift=drift,
        account=account.label if account else "",
        bots=tuple(MismatchBot(bot_id=bot.id, name=bot.name, quantity=bot.position.quantity) for bot in bots),
    )


# --- resolutions --------------------------------------------------------------------------------------------


def resolve(
    app: App, user: User, drift_id: int, *, way: Remedy, bot_id: int | None = None, price: str | None = None
) -> Mismatch:
    """`price` is the price actually paid, where the user knows better than the broker's figures."""
    with app.db.read() as conn:
        seen = _drift_of_user(conn, user, drift_id)
    priced = (
        _price(app, user, seen, price)
        if way is Remedy.GIVE and seen.ratio is None and seen.unresolved
        else None
    )
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        account_table.lock_account(conn, seen.account_id)
        current = _drift_of_user(conn, user, drift_id)
        _check_unchanged(seen, current)
        values: dict[str, Any] = {"status": DriftStatus.RESOLVED, "resolved_at": now, "bot_id": None}
        match way:
            case Remedy.FREEZE:
                values = {"status": DriftStatus.FROZEN}
            case Remedy.OUTSIDE:
                _keep_outside(conn, current, now)
            case Remedy.GIVE if current.ratio is not None:
                _split(conn, user, current, now)
            case Remedy.GIVE:
                assert priced is not None
                values["bot_id"] = _assign_to_bot(conn, user, current, bot_id, priced, now)
        table.change(conn, drift_id, way=str(way), updated_at=now, **values)
        detail = {
            "drift": drift_id,
            "way": str(way),
            "bot": values.get("bot_id"),
            "difference": plain(current.difference),
        }
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.DRIFT_RESOLVED,
            now=now,
            subject=current.account_id,
            detail=detail,
        )

    app.db.write(work)
    return drift(app, user, drift_id)


def _check_unchanged(seen: Drift, current: Drift) -> None:
    if not current.unresolved:
        raise Refusal(f"the position mismatch is already {current.status}", "No decision is needed any more.")
    if (current.bots_quantity, current.outside, current.broker_quantity) != (
        seen.bots_quantity,
        seen.outside,
        seen.broker_quantity,
    ):
        raise Refusal("the figures have changed meanwhile", "Read the mismatch again, then decide.")


def unfreeze(app: App, user: User, drift_id: int) -> Mismatch:
    """Allow entries again; the mismatch, if it still exists, stays open."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        seen = _drift_of_user(conn, user, drift_id)
        account_table.lock_account(conn, seen.account_id)
        current = _drift_of_user(conn, user, drift_id)
        if current.status is not DriftStatus.FROZEN:
            raise Refusal(
                f"the position mismatch is {current.status}, and its symbol is not frozen",
                "Only a frozen symbol can be unfrozen.",
            )
        gone = not current.difference
        status = DriftStatus.GONE if gone else DriftStatus.OPEN
        table.change(conn, drift_id, status=status, way="", updated_at=now, resolved_at=now if gone else None)
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.SYMBOL_UNFROZEN,
            now=now,
            subject=current.account_id,
            detail={"drift": drift_id},
        )

    app.db.write(work)
    return drift(app, user, drift_id)


def _keep_outside(conn: sa.Connection, drift: Drift, now: Any) -> None:
    kept = table.outside_by_asset(conn, drift.account_id).get(drift.asset, Decimal(0))
    table.put_outside(conn, drift.user_id, drift.account_id, drift.asset, kept + drift.difference, now)


def _split(conn: sa.Connection, user: User, drift: Drift, now: Any) -> None:
    """A split applies to every holder: the bots and the quantity outside."""
    assert drift.ratio is not None
    kept = table.outside_by_asset(conn, drift.account_id).get(drift.asset, Decimal(0))
    if kept:
        table.put_outside(conn, drift.user_id, drift.account_id, drift.asset, scaled(kept, drift.ratio), now)
    for bot in _candidates(conn, user, drift):
        if bot.position.quantity:
            external_orders.apply_split(conn, bot, drift.ratio, now)


def _assign_to_bot(
    conn: sa.Connection, user: User, drift: Drift, bot_id: int | None, price: Decimal, now: Any
) -> int:
    bots = {bot.id: bot for bot in _candidates(conn, user, drift)}
    if bot_id is None and len(bots) == 1:
        bot_id = next(iter(bots))
    if bot_id is None:
        raise Malformed(
            "bot_id is missing",
            where="bot_id",
            hint=(
                "Name the bot that the difference is assigned to; the mismatch lists the bots that trade "
                "the symbol."
            ),
        )
    if bot_id not in bots:
        raise (
            NotFound("bot")
            if bot_table.get(conn, user.id, bot_id) is None
            else Refusal(
                "the bot trades another symbol or account",
                f"Assign the difference to a bot that trades {drift.symbol.short} on this account.",
            )
        )
    order = external_orders.assign_difference(
        conn, _share(conn, drift, bots[bot_id], now), bots[bot_id], price, now
    )
    kept = bot_positions.load(conn, bot_id)
    message_table.notify(
        conn,
        user.id,
        MismatchAssigned(
            bot=kept.name,
            side=order.side,
            quantity=order.quantity,
            symbol=drift.symbol.text,
            price=price,
            position=kept.position.quantity,
        ),
        now=now,
        signal_id=order.signal_id,
    )
    return bot_id


def _share(conn: sa.Connection, drift: Drift, bot: Bot, now: Any) -> Drift:
    """The part of a manual sale that exceeds the bot's position is taken from the quantity outside, so the
    bot does not turn short."""
    beyond = bot.position.quantity + drift.difference
    if (
        bot.position.quantity * drift.difference >= 0
        or bot.position.quantity * beyond >= 0
        or drift.outside * beyond >= 0
    ):
        return drift
    own = max(beyond, -drift.outside) if beyond < 0 else min(beyond, -drift.outside)
    table.put_outside(conn, drift.user_id, drift.account_id, drift.asset, drift.outside + own, now)
    return replace(drift, broker_quantity=drift.broker_quantity - own)


def _price(app: App, user: User, drift: Drift, said: str | None) -> Decimal:
    """The booking price: the one the user gave, else the broker's average where the whole position is new,
    else the market price."""
    if said is not None:
        price = exact(said, "price")
        if price <= 0:
            raise Malformed(
                "price is not above 0", where="price", hint="The price per unit of the trade, or omit it."
            )
        return price
    if drift.average_price is not None and not drift.bots_quantity + drift.outside:
        return drift.average_price
    if drift.mark is not None:
        return drift.mark
    with app.db.read() as conn:
        account = account_table.get(conn, user.id, drift.account_id)
    if account is None:
        raise NotFound("account")
    quote = prices.quote_now(app, account, drift.symbol, wait=PRICE_WAIT_SECONDS)
    if quote is None:
        raise Refusal(f"no price of {drift.symbol.short} is available now", "Send the price of the trade.")
    return quote.mid
