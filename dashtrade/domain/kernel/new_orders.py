"""Makes the orders of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from dashtrade.domain.decisions.netting import STEP_SPACING, split_at_zero, split_reason
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.sizing import reserve_for
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason, several
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import ZERO, OrderSide, client_order_id


@record
class NewOrder:
    order: Order
    explanation: Reason  # derivation of its size, price and exits


def orders_of(task: PendingDecision, view: View, steps: Sequence[Step]) -> list[NewOrder]:
    """One order per step, the first to be sent now; it is split where it would take the account from long to
    short."""
    first, *later = [
        NewOrder(
            order=order_of(
                task,
                view,
                step,
                number * STEP_SPACING,
                final=number == len(steps) - 1,
                status=OrderStatus.CREATED if number else OrderStatus.SUBMITTING,
            ),
            explanation=step.explanation,
        )
        for number, step in enumerate(steps)
    ]
    if view.shared is None:
        return [first, *later]
    part, rest = split_at_zero(first.order, view.shared.net, view.capabilities)
    if rest is None:
        return [replace(first, order=part), *later]
    return [
        NewOrder(order=part, explanation=several((first.explanation, split_reason(part, rest)))),
        NewOrder(order=rest, explanation=rest_reason(rest.side, rest.quantity)),
        *later,
    ]


def rest_reason(side: OrderSide, quantity: Decimal) -> Reason:
    return reason(Code.REST_OF_STEP, side=str(side), quantity=quantity)


def order_of(
    task: PendingDecision, view: View, step: Step, number: int, *, final: bool, status: OrderStatus
) -> Order:
    now, sent = view.now, status is OrderStatus.SUBMITTING
    return Order(
        id=client_order_id(task.signal_id, task.bot_id, number),
        user_id=task.user_id,
        account_id=task.account_id,
        bot_id=task.bot_id,
        signal_id=task.signal_id,
        decision_id=task.id,
        step=number,
        final=final,
        sole_recipient=task.sole_recipient,
        symbol=task.symbol,
        side=step.side,
        effect=step.effect,
        type=step.type,
        quantity=step.quantity,
        limit_price=step.limit_price,
        stop_price=step.stop_price,
        trail_amount=step.trail_amount,
        trail_percent=step.trail_percent,
        time_in_force=step.time_in_force,
        extended_hours=step.extended_hours,
        status=status,
        reason=NO_REASON,
        broker_order_id=None,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        reserve=ZERO if step.effect.reduces else reserve_for(step.quantity, step.price),
        exits=step.exits,
        cancel_requested=False,
        sends=1 if sent else 0,
        due_at=None,
        sent_at=now if sent else None,
        created_at=now,
        updated_at=now,
        on_paper=view.on_paper,
    )
