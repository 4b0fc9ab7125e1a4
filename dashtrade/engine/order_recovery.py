"""Compares the broker's list of DashTrade's orders with the database: orders missing here (after a restored
backup) are assigned to their bots, and fills that arrived after an order had ended are booked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.netting import STEP_SPACING
from dashtrade.domain.kernel import broker_held_exits
from dashtrade.domain.notices.trading import OrderRecovered, OrderWithoutBot
from dashtrade.domain.orders import ENDED, Order, OrderStatus
from dashtrade.domain.ports import Broker, Clock, FoundOrder, Listing, OrderReport
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import bot_of_order, client_order_id
from dashtrade.engine import booking, external_orders
from dashtrade.engine.external_orders import ExternalOrder
from dashtrade.engine.sending import Sender
from dashtrade.engine.workflow import run_sync
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as signal_table

log = logging.getLogger("dashtrade.recovery")
CLOCK_SKEW = timedelta(hours=1)  # between the broker's clock and this machine's


class OrderRecovery:
    def __init__(self, db: Database, clock: Clock, sender: Sender) -> None:
        self.db, self.clock, self._sender = db, clock, sender

    def recover(self, account: Account, broker: Broker, listing: Listing, since: datetime) -> bool:
        """True if anything was booked or recovered."""
        with self.db.read() as conn:
            symbols = list(
                dict.fromkeys(row.symbol for row in drift_table.bots_with_positions(conn, account.id))
            )
        listed = listing.orders_since(since, symbols)
        with self.db.read() as conn:
            known = {
                each.client_order_id: order_table.find(conn, account.id, each.client_order_id)
                for each in listed
            }
        changed, unknown = False, []
        for each in listed:
            order = known[each.client_order_id]
            if order is None:
                unknown.append((each, broker.find(each.ref)))
            elif order.status is OrderStatus.CREATED:
                changed |= self.db.write(partial(self._mark_sent, order))
            elif order.status in ENDED and each.filled_quantity > order.filled_quantity:
                report = broker.find(order.ref)
                changed |= (
                    report is not None
                    and run_sync(self.db, self._sender.book(order, report)).filled_quantity
                    > order.filled_quantity
                )
        if unknown:
            broker_name = broker.capabilities.name
            changed |= self.db.write(lambda conn: self._recover_unknown(conn, account, broker_name, unknown))
        return changed

    def _mark_sent(self, order: Order, conn: sa.Connection) -> bool:
        """The backup has the order as about to be sent, and it was sent later: look it up, never send it
        again."""
        now = self.clock.now()
        account_table.lock_account(conn, order.account_id)
        after = replace(
            order,
            status=OrderStatus.SUBMITTING,
            sends=order.sends + 1,
            sent_at=order.created_at,
            due_at=None,
            updated_at=now,
        )
        if not order_table.update(conn, [(order, after)]):
            return False
        order_events.log(conn, [(after, now, str(after.status), Reason(Code.FOUND_AT_BROKER))])
        return True

    def _recover_unknown(
        self,
        conn: sa.Connection,
        account: Account,
        broker_name: str,
        found_orders: Sequence[tuple[FoundOrder, OrderReport | None]],
    ) -> bool:
        account_table.lock_account(conn, account.id)
        waiting = {
            client_order_id(task.signal_id, task.bot_id, step): (task, step)
            for task in decision_table.waiting_in_account(conn, account.id)
            for step in range(2 * STEP_SPACING)
        }
        last_steps: dict[int, int] = {}
        for each, _ in found_orders:
            if each.client_order_id in waiting:
                known, step = waiting[each.client_order_id]
                last_steps[known.id] = max(step, last_steps.get(known.id, 0))
        changed = False
        for each, report in found_orders:
            order_id = each.client_order_id
            if report is None or order_table.find(conn, account.id, order_id) is not None:
                continue
            bot = _bot_of(conn, account, each)
            if bot is None:
                self._record_orphan(conn, account, each, report)
                continue
            found_task: tuple[decision_table.PendingDecision | None, int] = waiting.get(order_id, (None, 0))
            task, step = found_task
            external = replace(
                _external(each),
                step=step,
                final=task is None or step == last_steps[task.id],
                exits=broker_held_exits.exits_of(report.legs, broker_name),
            )
            self._recover_one(conn, bot, external, report, task)
            changed = True
        return changed

    def _recover_one(
        self,
        conn: sa.Connection,
        bot: Bot,
        external: ExternalOrder,
        report: OrderReport,
        task: decision_table.PendingDecision | None,
    ) -> None:
        now = self.clock.now()
        if task is None:
            signal_id = external_orders.add_signal(conn, bot, bot.user_id, external, Origin.ADOPTED)
            decision_id = decision_table.decisions_of(conn, signal_id)[0].id
        else:
            signal_id, decision_id = task.signal_id, task.id
        order = external_orders.store_working_order(
            conn, bot, signal_id, decision_id, external, Reason(Code.TAKEN_OVER), now
        )
        message_table.notify(
            conn,
            bot.user_id,
            OrderRecovered(
                bot=bot.name,
                side=external.side,
                quantity=external.quantity,
                symbol=bot.symbol.text,
                placed_at=external.at,
            ),
            now=now,
            signal_id=signal_id,
        )
        log.warning("order %s bot %s account %s: adopted", external.id, bot.id, bot.account_id)
        booking.apply_report(conn, order, report, now)

    def _record_orphan(
        self, conn: sa.Connection, account: Account, found: FoundOrder, report: OrderReport
    ) -> None:
        """The order has a DashTrade id, but its bot is gone. Recorded and reported once; its effect on the
        position shows as a drift."""
        external, bot_id = _external(found), bot_of_order(found.client_order_id) or 0
        signal_id = external_orders.signal_id_of(external.id, external.at)
        if signal_table.get(conn, account.user_id, signal_id) is not None:
            return
        why = reason(Code.NO_BOT_OF_THAT_ORDER, bot=bot_id, symbol=found.symbol.short)
        external_orders.add_signal(conn, None, account.user_id, external, Origin.ADOPTED, refused=why)
        message_table.notify(
            conn,
            account.user_id,
            OrderWithoutBot(
                account=account.label,
                bot_id=bot_id,
                side=found.side,
                quantity=found.quantity,
                symbol=found.symbol.text,
                status=report.status,
                filled=report.filled_quantity,
            ),
            now=self.clock.now(),
            signal_id=signal_id,
        )


def _external(found: FoundOrder) -> ExternalOrder:
    return ExternalOrder(
        id=found.client_order_id,
        side=found.side,
        symbol=found.symbol,
        quantity=found.quantity,
        at=found.created_at,
        type=found.type,
        limit_price=found.limit_price,
        broker_order_id=found.broker_order_id,
    )


def _bot_of(conn: sa.Connection, account: Account, found: FoundOrder) -> Bot | None:
    """The bot named by the order's id, if that bot can have placed it."""
    bot_id = bot_of_order(found.client_order_id)
    try:
        bot = bot_positions.load(conn, bot_id or 0)
    except LookupError:
        return None
    fits = bot.account_id == account.id and bot.symbol == found.symbol and bot.deleted_at is None
    return bot if fits and bot.created_at <= found.created_at + CLOCK_SKEW else None
