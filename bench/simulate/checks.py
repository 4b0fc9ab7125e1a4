"""What must be true of a schedule at rest, from the records of both sides.

The comparison of ledger and venue is the crash bench's; what is here is about single alerts and limits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from bench.crash_checks import (
    Finding,
    cash_agrees,
    doubled,
    ledger_agrees,
    left_stuck,
    orders_agree,
    story_agrees,
)
from bench.simulate.records import PaperBooks, Records
from bench.simulate.story import Story
from dashtrade.domain.kernel.accepting import RESEND_WINDOW
from dashtrade.domain.orders import Order, OrderStatus

ZERO = Decimal(0)


def check(story: Story, records: Records) -> list[Finding]:
    found = [*_acknowledged(story, records), *_limits(story, records), *_drifts(records)]
    for broker, account_id in story.world.accounts.items():
        facts = records.of(account_id)
        books: Any = story.books if broker == "venue" else PaperBooks(records, account_id)
        for one in (doubled, left_stuck, orders_agree, ledger_agrees, cash_agrees):
            found += one(facts, books)
    return [*found, *story_agrees(_Whole(records))]  # a signal of several accounts is one story


class _Whole:
    def __init__(self, records: Records) -> None:
        self.events, self.signals, self.messages = (
            records.all["events"],
            records.all["signals"],
            records.all["messages"],
        )
        self.trades, self.orders = records.all["trades"], {order.id: order for order in records.orders}


# --- nothing acknowledged lost, nothing twice ---------------------------------------------------------------


def _acknowledged(story: Story, records: Records) -> Iterator[Finding]:
    signals = {signal.id: signal for signal in records.all["signals"]}
    for body, signal_id in story.acknowledged:
        if signal_id not in signals:
            yield "lost", f"{body} was answered and is not there"
    decisions: defaultdict[str, list[Any]] = defaultdict(list)
    for decision in records.all["decisions"]:
        decisions[decision.signal_id].append(decision)
    for signal in signals.values():
        bots = [decision.bot_id for decision in decisions[signal.id]]
        if len(bots) != len(set(bots)) or not (bots or signal.status == "refused"):
            yield "lost", f"signal {signal.id} has the decisions of {bots}"
    yield from _repeats(records)
    stopped = {(o.account_id, o.symbol) for o in records.orders if o.status is OrderStatus.ATTENTION}
    for signal in signals.values():
        if signal.status == "accepted" and not any(
            (d.account_id, d.symbol) in stopped for d in decisions[signal.id]
        ):
            yield "stuck", f"signal {signal.id} ({signal.action}) has no outcome"


def _repeats(records: Records) -> Iterator[Finding]:
    """An id makes one signal; a body without one makes another only after the window for repeats."""
    by_key: defaultdict[str, list[Any]] = defaultdict(list)
    for signal in records.all["signals"]:
        if signal.dedupe_key is not None:
            by_key[signal.dedupe_key].append(signal)
    for key, found in by_key.items():
        times = sorted(signal.received_at for signal in found)
        apart = min((b - a for a, b in pairwise(times)), default=timedelta.max)
        if len(found) > 1 and (key.startswith("id:") or apart <= RESEND_WINDOW):
            yield "double", f"{len(found)} signals of one alert: {key}"


def _drifts(records: Records) -> Iterator[Finding]:
    """Nobody trades by hand here: a difference that the comparison found is one of DashTrade's."""
    for drift in records.all["drifts"]:
        if drift.resolved_at is None:
            yield (
                "mismatch",
                f"{drift.asset}: the broker has {drift.theirs}, the bots {drift.ours}",  # rows, not records
            )


# --- limits -------------------------------------------------------------------------------------------------


def _limits(story: Story, records: Records) -> Iterator[Finding]:
    made_at: dict[str, int] = {}
    for event in records.all["events"]:
        made_at.setdefault(event.order_id, event.id)
        order = next(o for o in records.orders if o.id == event.order_id)
        if event.status == OrderStatus.SUBMITTING and not order.effect.reduces:
            yield from _paused(story, order, event.id)
    decisions = {decision.id: decision for decision in records.all["decisions"]}
    for order in records.orders:
        if not order.effect.reduces and decisions[order.decision_id].numbers:  # none, if found at the venue
            yield from _sizes(order, decisions[order.decision_id].numbers, records)
    yield from _days(records)
    yield from _in_order(records)


def _paused(story: Story, order: Order, event: int) -> Iterator[Finding]:
    for since, until in story.person.stopped[order.bot_id]:
        if event > since and (until is None or event <= until):
            yield "limit", f"entry {order.id} was sent while bot {order.bot_id} was stopped"


def _sizes(order: Order, numbers: Any, records: Records) -> Iterator[Finding]:
    bot = records.bots[order.bot_id]
    owned, price = abs(Decimal(numbers["position"])), Decimal(numbers["bid"])
    if bot.max_position_size is not None:
        value = ((owned if order.effect == "add" else ZERO) + order.quantity) * price
        if value > bot.max_position_size * Decimal("1.02"):  # a limit price may be a little off
            yield "limit", f"entry {order.id} makes a position of {value}, more than {bot.max_position_size}"
    if bot.daily_loss_limit is not None and not owned:
        before = [
            f
            for f in records.all["fills"]
            if f.bot_id == bot.id
            and f.booked_at < order.created_at
            and f.booked_at.date() == order.created_at.date()
        ]
        lost = -sum((f.realized - f.fee for f in before), ZERO)
        if lost >= bot.daily_loss_limit:
            yield "limit", f"entry {order.id} after a loss of {lost}, with a limit of {bot.daily_loss_limit}"


def _days(records: Records) -> Iterator[Finding]:
    for bot in records.bots.values():
        entries: Counter[Any] = Counter()
        counted: set[int] = set()
        for order in records.orders:
            if order.bot_id == bot.id and not order.effect.reduces and order.decision_id not in counted:
                counted.add(order.decision_id)
                entries[order.created_at.date()] += 1
        if bot.orders_per_day is not None and any(n > bot.orders_per_day for n in entries.values()):
            yield "limit", f"bot {bot.id} made {entries} entries, with a limit of {bot.orders_per_day}"


def _in_order(records: Records) -> Iterator[Finding]:
    """A later step of a decision is sent once those before it have filled."""
    filled, sent = {}, {}
    for event in records.all["events"]:
        if event.status == OrderStatus.FILLED:
            filled.setdefault(event.order_id, event.id)
        if event.status == OrderStatus.SUBMITTING:
            sent.setdefault(event.order_id, event.id)
    for order in records.orders:
        for before in records.orders:
            if (
                before.decision_id == order.decision_id
                and before.step < order.step
                and order.id in sent
                and filled.get(before.id, sent[order.id]) >= sent[order.id]
            ):
                yield "limit", f"step {order.step} ({order.id}) was sent before step {before.step} had filled"


# --- every exit passes --------------------------------------------------------------------------------------


def check_closed(records: Records) -> list[Finding]:
    """Each bot was told to close, with a venue that works: whoever could, is flat."""
    stopped = {(o.account_id, o.symbol) for o in records.orders if o.status is OrderStatus.ATTENTION}
    return [
        ("exit", f"bot {bot.id} was told to close and owns {bot.position.quantity}")
        for bot in records.bots.values()
        if bot.position.quantity and (bot.account_id, bot.symbol) not in stopped
    ]


# --- a restart changes nothing ------------------------------------------------------------------------------


def check_unchanged(before: Records, after: Records) -> list[Finding]:
    return [
        ("restart", f"{name} changed by a restart at rest")
        for name in before.all
        if before.all[name] != after.all[name]
    ]
