"""What an alert would do now: the engine's own decision, with nothing written or sent.

The venue gets a few seconds to answer, as a user is waiting at a page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import CancelFirst, Delay, decide
from dashtrade.domain.decisions.outcomes import Check, Defer, Refused
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.exits.plan import plan_for
from dashtrade.domain.kernel.accepting import expiry, listeners_of
from dashtrade.domain.kernel.deciding import MarketSnapshot, load_view
from dashtrade.domain.people import User
from dashtrade.domain.ports import BrokerError, Unavailable
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.signals import ExitPlan, Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table

TIMEOUT_SECONDS = 3.0  # seconds for the venue
MAX_BOTS = 5  # bots, of those that receive the alert
MAX_ROUNDS = 4  # cancellations and waits before the decision


@record
class DryRun:
    """The result for one bot. Without steps nothing would be sent, and `reason` says why."""

    bot: Bot
    account: Account
    steps: tuple[Step, ...] = ()
    reason: Reason = NO_REASON
    counterfactual: Reason = NO_REASON  # the order that a refusal blocks
    checks: tuple[Check, ...] = ()
    before: tuple[Reason, ...] = ()  # steps before the order
    plan: ExitPlan = ExitPlan()  # exits that an entry would set

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)


def of(app: App, user: User, signal: Signal) -> Sequence[DryRun] | Reason:
    """The result for each bot that would receive the alert, or why none would."""
    with app.db.read() as conn:
        found = listeners_of(StoredBooks(conn), user.id, signal)
        if isinstance(found, Reason):
            return found
        bots = [
            bot for each in found[:MAX_BOTS] if (bot := bot_table.get(conn, user.id, each.id)) is not None
        ]
        accounts = {account.id: account for account in account_table.list_all(conn, user.id)}
    max_age = timedelta(seconds=user.max_alert_age) if user.max_alert_age else None
    return [
        _run(app, bot, accounts[bot.account_id], signal, max_age, sole_recipient=len(found) == 1)
        for bot in bots
    ]


def _run(
    app: App, bot: Bot, account: Account, signal: Signal, max_age: timedelta | None, *, sole_recipient: bool
) -> DryRun:
    if account.problem:
        return DryRun(bot=bot, account=account, reason=account.problem)
    try:
        market = _market(app, account, bot.symbol)
    except BrokerError as error:
        return DryRun(bot=bot, account=account, reason=reason(Code.UNKNOWN_NOW, text=error.message))
    now = app.clock.now()
    task = PendingDecision(
        id=0,
        user_id=bot.user_id,
        signal_id="",
        bot_id=bot.id,
        account_id=account.id,
        symbol=bot.symbol,
        status="waiting",
        reason=NO_REASON,
        sole_recipient=sole_recipient,
        cancelled_count=0,
        received_at=now,
        due_at=None,
        held_until=None,
        expires_at=expiry(signal, now, max_age),
    )
    with app.db.read() as conn:
        view = load_view(StoredBooks(conn), bot_positions.load(conn, bot.id), task, market, now)
    return _result_of(bot, account, signal, view)


def _result_of(bot: Bot, account: Account, signal: Signal, view: View) -> DryRun:
    before = [_waits(signal.delay, "alert")] if signal.delay else []
    plan = plan_for(signal, bot.exit_plan)
    for _ in range(MAX_ROUNDS):
        match decide(signal, view):
            case Delay(reason=why) if why:
                return DryRun(bot=bot, account=account, reason=why, before=tuple(before))
            case Delay(due_at=due_at):
                before.append(_waits(due_at - view.received_at, "bot"))
                view = replace(view, received_at=view.received_at - (due_at - view.received_at))
            case CancelFirst(order_ids=ids, reason=why):
                before.append(reason(Code.CANCELS_ORDERS, count=len(ids), because=why))
                view = replace(
                    view,
                    working=tuple(o for o in view.working if o.id not in ids),
                    cancelled_count=view.cancelled_count + len(ids),
                    others_orders=tuple(o for o in view.others_orders if o.id not in ids),
                )
            case Defer(reason=why):
                return DryRun(bot=bot, account=account, reason=why, before=tuple(before))
            case Refused() as refused:
                return DryRun(
                    bot=bot,
                    account=account,
                    reason=refused.reason,
                    counterfactual=refused.counterfactual,
                    checks=refused.checks,
                    before=tuple(before),
                    plan=plan,
                )
            case Approved() as approved:
                return DryRun(
                    bot=bot,
                    account=account,
                    steps=approved.steps,
                    reason=approved.reason,
                    checks=approved.checks,
                    before=tuple(before),
                    plan=plan,
                )
    return DryRun(bot=bot, account=account, reason=Reason(Code.CANCELS_FIRST), before=tuple(before))


def _waits(how_long: timedelta, by: str) -> Reason:
    return reason(Code.WAITS_AS_SET, seconds=f"{how_long.total_seconds():g}", by=by)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, thread_name_prefix="dry-run")


def _market(app: App, account: Account, symbol: Symbol) -> MarketSnapshot:
    broker, feed, snapshots = app.brokers.of(account), app.brokers.feed(account), app.engine.snapshots
    if broker.offers.local and feed is app.feed:
        return snapshots.local(broker, feed, symbol, simulated=account.simulated)
    if broker.offers.local:
        asked = _pool().submit(snapshots.local, broker, feed, symbol, simulated=account.simulated)
    else:
        asked = _pool().submit(
            snapshots.fetch, broker, feed, symbol, fresh=False, simulated=account.simulated
        )
    try:
        return asked.result(TIMEOUT_SECONDS)
    except TimeoutError:
        raise Unavailable(f"{account.label} has not answered within {TIMEOUT_SECONDS:g} s") from None
