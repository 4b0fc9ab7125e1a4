"""An alert for an account whose books are in our own database: stored, decided, filled and booked in one
transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dashtrade.domain.accounts import Account
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel import sending
from dashtrade.domain.kernel.accepting import Alert, IntakeResult, Receipt
from dashtrade.domain.kernel.books import Books, Changes
from dashtrade.domain.kernel.deciding import DecisionResult
from dashtrade.domain.kernel.lane import Decide, Lane, Send, actions
from dashtrade.domain.kernel.outcomes import UNDER_WAY
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Broker, Clock
from dashtrade.domain.record import record
from dashtrade.domain.signal_outcome import BotOutcome, SignalOutcome
from dashtrade.engine.intake import accept_on
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.lanes import Leases
from dashtrade.engine.sending import Sender
from dashtrade.engine.steps import Step
from dashtrade.engine.storing import merged

MAX_STEPS = 20  # of a lane in one transaction

DecideLocally = Callable[[Books, PendingDecision, Account], DecisionResult]


@record
class Taken:
    """What came of an alert within its own transaction."""

    receipt: IntakeResult
    unfinished: tuple[Lane, ...] = ()  # lanes with more to do, by their own steps
    other_signals: tuple[str, ...] = ()  # that were decided with it
    outcome: SignalOutcome | None = None  # of the alert, if it ended


class AtOnce:
    def __init__(
        self,
        clock: Clock,
        leases: Leases,
        broker_of: Callable[[Account], Broker],
        sender: Sender,
        decide: DecideLocally,
    ) -> None:
        self._clock, self._leases, self._broker_of = clock, leases, broker_of
        self._sender, self._decide = sender, decide

    def take(self, kept: KeptBooks, alert: Alert, is_busy: Callable[[Lane], bool]) -> Taken:
        """`is_busy`: the lane's own steps are under way, so that nothing may be done there."""
        receipt = kept.run_on_books(lambda books: accept_on(books, alert))
        if not isinstance(receipt, Receipt) or receipt.duplicate:
            return Taken(receipt=receipt)
        first = len(kept.done) - 1
        unfinished: list[Lane] = []
        other_signals: list[str] = []
        for lane in receipt.lanes:
            try:
                done = not is_busy(lane) and self._advance(kept, lane, other_signals)
            except Exception:
                if kept.failure is not None:
                    raise
                done = False  # the lane's own steps meet the same mistake, and deal with it
            if not done:
                unfinished.append(lane)
        outcome = _outcome_of(alert.id, merged(kept.done[first:])) if alert.sender_waits else None
        return Taken(
            receipt=receipt, unfinished=tuple(unfinished), other_signals=tuple(other_signals), outcome=outcome
        )

    def _advance(self, kept: KeptBooks, lane: Lane, other_signals: list[str]) -> bool:
        """All that can be done in the lane without a network. True: there is nothing more to do."""
        lease = self._leases.held(lane)
        if lease is None:
            return False
        kept.lock(lane.account_id)
        account = kept.account(lane.account_id)
        if account.problem:
            return False
        broker = self._broker_of(account)
        if broker.offers.local is None:
            return False
        for _ in range(MAX_STEPS):
            now = self._clock.now()
            orders = [order for order in kept.open_orders(account.id) if order.symbol == lane.symbol]
            match next(actions(orders, kept.due(account.id, lane.symbol, now, 2), now), None):
                case None:
                    return True
                case Decide(task):
                    decide = partial(self._decide_on, task, account)
                    decided: DecisionResult = kept.run(Step(account.id, decide, lease))
                    other_signals += filter(None, [decided.other_signal_id])
                case Send(order):
                    kept.run(Step(account.id, partial(self._send, order=order, broker=broker), lease))
                case _:
                    return False
        return False

    def _decide_on(self, task: PendingDecision, account: Account, books: Books) -> DecisionResult:
        return self._decide(books, task, account)

    def _send(self, books: Books, order: Order, broker: Broker) -> None:
        started = sending.start(books, order.id, broker.capabilities, self._clock.now())
        if started is not None:
            self._sender.carry_out(books, started, broker)


def _outcome_of(signal_id: str, changes: Changes) -> SignalOutcome | None:
    """As its sender would find it stored; None while it is in progress, or was changed elsewhere too."""
    ended = changes.signals.get(signal_id)
    if ended is None or ended.status == "accepted":
        return None
    orders = [order for order in changes.orders.values() if order.signal_id == signal_id]
    bots = []
    for task in changes.new_decisions.values():
        made = changes.decisions.get(task.id)
        status, why = (made.status, made.reason) if made is not None else (task.status, task.reason)
        bots.append(
            BotOutcome(bot_id=task.bot_id, status="working" if status in UNDER_WAY else status, reason=why)
        )
    return SignalOutcome(
        signal_id=signal_id,
        status=ended.status,
        reason=ended.reason,
        orders=tuple(sorted(orders, key=lambda order: (order.bot_id, order.step))),
        bots=tuple(bots),
    )
