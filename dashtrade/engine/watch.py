"""Watches open positions: max losses, daily losses, and the exits DashTrade manages.

It acts through signals, which are processed like any other, each stored in one transaction with its risk
event and the bot's pause."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain import accounts
from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.accepting import Receipt
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.records import RiskEvent
from dashtrade.domain.kernel.watching import (
    ExitTriggered,
    ExitUnderWay,
    LimitBreach,
    StopMoves,
    examine,
    is_closing,
)
from dashtrade.domain.notices.trading import BotStopped
from dashtrade.domain.ports import BrokerError, Clock, Feed, Quote
from dashtrade.domain.position_mismatch import Drift, asset_of
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.signals import ExitCause, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import plain
from dashtrade.engine.exits import close_signal, follow, move_stop, store_close_signal, trigger
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import risk_events as risk_event_table

log = logging.getLogger("dashtrade.watch")
STOP_AGAIN_AFTER_SECONDS = 30  # until a stop that did not close the position is sent again
# a price request that fails after this long means that the broker does not answer
UNRESPONSIVE_SECONDS = 1.0


class Watch:
    """Uses each account's own prices: a broker that does not answer never delays the stops of other
    accounts."""

    def __init__(self, db: Database, clock: Clock, feed_of: Callable[[accounts.Account], Feed]) -> None:
        self.db, self.clock, self._feed_of = db, clock, feed_of
        self._last_failed: dict[int, Symbol] = {}  # by account: where its broker stopped answering
        self._unpriced: set[tuple[int, Symbol]] = set()

    def check_all(self) -> list[Lane]:
        """Check all open positions once, account by account. Returns the lanes with a triggered exit or
        limit."""
        return [
            lane for account, bots in self.accounts_to_watch() for lane in self.check_account(account, bots)
        ]

    def accounts_to_watch(self) -> list[tuple[accounts.Account, list[Bot]]]:
        """Accounts with something to watch, each with the bots that hold it."""
        bots_by_account: dict[int, list[Bot]] = {}
        after = 0
        with self.db.read() as conn:
            drifts = drift_table.all_unresolved(conn)
            while page := bot_positions.page_of_holding(conn, after=after):
                for bot in page:
                    if bot.position.quantity and not _cannot_act(bot, drifts):
                        bots_by_account.setdefault(bot.account_id, []).append(bot)
                after = page[-1].id
            return [
                (account_table.load(conn, account_id), bots) for account_id, bots in bots_by_account.items()
            ]

    def check_account(self, account: accounts.Account, bots: list[Bot]) -> list[Lane]:
        """Check the bots of one account, requesting each symbol's price once. An unreachable broker is
        skipped until the next round, which starts after the symbol that failed, so that no symbol is always
        skipped."""
        by_symbol: dict[Symbol, list[Bot]] = {}
        for bot in bots:
            by_symbol.setdefault(bot.symbol, []).append(bot)
        lanes: list[Lane] = []
        for symbol in self._after_last_failed(account, list(by_symbol)):
            started_at = time.monotonic()
            try:
                quote = self._feed_of(account).quote(symbol)
            except BrokerError as error:
                self._log_unpriced(account, symbol, error)
                if time.monotonic() - started_at > UNRESPONSIVE_SECONDS:
                    self._last_failed[account.id] = symbol
                    break
                continue
            if (account.id, symbol) in self._unpriced:
                self._unpriced.discard((account.id, symbol))
                log.info(
                    "account %s: %s has a price again, and its positions are watched", account.id, symbol
                )
            for bot in by_symbol[symbol]:
                lanes += self._check_bot_safely(bot, quote)
        return lanes

    def _log_unpriced(self, account: accounts.Account, symbol: Symbol, error: BrokerError) -> None:
        """Logged once at the start, not every two seconds."""
        if (account.id, symbol) not in self._unpriced:
            self._unpriced.add((account.id, symbol))
            log.warning(
                "account %s: no price for %s, its positions are not watched now: %s",
                account.id,
                symbol,
                error.message,
            )

    def _after_last_failed(self, account: accounts.Account, symbols: list[Symbol]) -> list[Symbol]:
        last = self._last_failed.pop(account.id, None)
        start = symbols.index(last) + 1 if last in symbols else 0
        return symbols[start:] + symbols[:start]

    def _check_bot_safely(self, bot: Bot, quote: Quote) -> list[Lane]:
        """An error in one bot must not stop the others from being watched."""
        try:
            return self._check_bot(bot, quote)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("bot %s could not be looked at", bot.id)
            return []

    def _check_bot(self, bot: Bot, quote: Quote) -> list[Lane]:
        now = self.clock.now()
        match examine(bot, quote, now):
            case LimitBreach() as breach:
                return self.db.write(lambda conn: _stop_bot(conn, bot, breach, now))
            case ExitTriggered(hit, mark):
                return self.db.write(lambda conn: trigger(conn, bot, hit, mark, now))
            case ExitUnderWay(triggered):
                return follow(self.db, bot, triggered, now)
            case StopMoves(exits):
                return self.db.write(lambda conn: move_stop(conn, bot, exits))
        return []


def _cannot_act(bot: Bot, drifts: dict[tuple[int, str], Drift]) -> bool:
    """The broker has nothing left of the position to close; or its prices are from before a split, and look
    like a crash. Its user was notified."""
    drift = drifts.get((bot.account_id, asset_of(bot.symbol)))
    return drift is not None and (drift.ratio is not None or not drift.left_for(bot.position.quantity))


def _stop_bot(conn: sa.Connection, bot_before: Bot, breach: LimitBreach, now: datetime) -> list[Lane]:
    """Close the position and stop the bot, once: signal, event, pause and message in one transaction."""
    account_table.lock_account(conn, bot_before.account_id)
    bot = bot_positions.load(conn, bot_before.id)
    orders = order_table.open_in_account(conn, bot.account_id)
    if not bot.position.quantity or is_closing(bot, orders) or decision_table.waits(conn, bot, Origin.RISK):
        return []
    receipt = _store_limit_signal(conn, bot, breach.kind, now)
    if receipt is None:
        return []
    bot_table.change(conn, bot.user_id, bot.id, is_active=False, paused_reason=breach.reason, updated_at=now)
    risk_event_table.add(
        conn,
        RiskEvent(
            bot=bot,
            at=now,
            kind=breach.kind,
            threshold=breach.threshold,
            actual=breach.actual,
            action=Reason(Code.BOT_CLOSED_AND_PAUSED),
            detail=breach.reason,
            signal_id=receipt.signal_id,
        ),
    )
    message_table.notify(
        conn,
        bot.user_id,
        BotStopped(bot=bot.name, reason=breach.reason),
        now=now,
        signal_id=receipt.signal_id,
    )
    return list(receipt.lanes)


def _store_limit_signal(conn: sa.Connection, bot: Bot, cause: ExitCause, now: datetime) -> Receipt | None:
    """A signal like any other. Its id is derived from what the bot owns, so that repeated checks give one
    signal."""
    owned, period = bot.position, int(now.timestamp()) // STOP_AGAIN_AFTER_SECONDS
    key = f"{cause}-{plain(owned.quantity)}-{plain(owned.cost)}-{period}"
    receipt = store_close_signal(conn, bot, Origin.RISK, cause, close_signal(bot, key), now)
    return receipt if receipt is not None and not receipt.duplicate else None
