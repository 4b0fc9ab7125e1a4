"""Whatever is asked, whatever the market does: the books stay exact, limits are kept, and the same story ends
the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dashtrade.domain.bots import Bot
from dashtrade.domain.orders import Order, OrderStatus, check_transition
from dashtrade.domain.values import Side
from dashtrade.tables import fills as fill_table
from dashtrade.tables import order_events
from dashtrade.tables import paper as paper_table
from tests.support.databases import Postgres, SqliteFiles
from tests.support.engine_story import START, Story, largest, stories, world

MakeWorld = Callable[..., AbstractContextManager[Story]]
FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def sqlite_world(sqlite_files: SqliteFiles, tmp_path: Path) -> MakeWorld:
    def make(of_bots: Any, of_account: Any) -> AbstractContextManager[Story]:
        return world(sqlite_files.fresh(), tmp_path, of_bots, of_account)

    return make


@pytest.fixture
def postgres_world(postgres_server: Postgres, tmp_path: Path) -> MakeWorld:
    @contextmanager
    def make(of_bots: Any, of_account: Any) -> Iterator[Story]:
        url = postgres_server.fresh()
        with world(url, tmp_path, of_bots, of_account) as story:
            yield story
        postgres_server.drop(url)

    return make


def books_are_exact(story: Story) -> None:
    """Position = sum of fills = sum of lots; cash and holdings = the broker's; bots' parts sum to what the
    account holds."""
    fills, lots = story.rows(fill_table.fills), story.rows(fill_table.lots)
    held: Counter[Any] = Counter()
    for bot in map(story.bot, story.bots):
        mine = [f for f in fills if f.bot_id == bot.id]
        signed = sum((f.quantity if f.side == "buy" else -f.quantity for f in mine), Decimal(0))
        of_bot = [lot for lot in lots if lot.bot_id == bot.id]
        assert bot.position.quantity == signed == sum((lot.remaining for lot in of_bot), Decimal(0))
        assert bot.position.cost == sum((lot.remaining * lot.price for lot in of_bot), Decimal(0))
        assert bot.realized_pnl == sum((f.realized for f in mine), Decimal(0))
        assert bot.fees == sum((f.fee for f in mine), Decimal(0))
        held[bot.symbol] += bot.position.quantity
    paid = sum(
        ((f.quantity if f.side == "buy" else -f.quantity) * f.price + f.fee for f in fills), Decimal(0)
    )
    assert story.cash() == START - paid
    assert {s: q for s, q in held.items() if q} == {
        row.symbol: row.quantity for row in story.rows(paper_table.positions)
    }


def transitions_are_legal(story: Story) -> None:
    at: dict[str, OrderStatus] = {}
    for event in sorted(story.rows(order_events.events), key=lambda event: event.id):
        status = OrderStatus(event.status)
        check_transition(at.get(event.order_id, status), status)
        at[event.order_id] = status
    assert at == {order.id: order.status for order in story.orders()}


def limits_are_kept(story: Story, new: list[tuple[Bot, Order]]) -> None:
    """The entries just made, at the prices of the moment; and those of the day."""
    for bot, order in new:
        assert bot.is_active, "a bot that was paused has entered"
        assert bot.sides.allow(Side.LONG if order.side.sign > 0 else Side.SHORT)
        if bot.max_position_size is not None:
            assert largest(bot, order, story.feed.quote(order.symbol).mid) <= bot.max_position_size
    days = Counter((order.bot_id, order.created_at.date()) for _, order in story.entries)
    for bot in map(story.bot, story.bots):
        most = bot.orders_per_day
        assert most is None or all(count <= most for (bot_id, _), count in days.items() if bot_id == bot.id)
        assert not bot.position.quantity or bot.sides.allow(bot.position.side)


def at_most_one_entry_works(story: Story) -> None:
    working = Counter(order.bot_id for order in story.orders() if order.is_open and not order.effect.reduces)
    assert not working or max(working.values()) == 1


def live_through(make: MakeWorld, story: Any) -> list[tuple[Any, ...]]:
    """What came of it; everything is checked after each step."""
    of_bots, of_account, steps = story
    with make(of_bots, of_account) as told:
        for step in steps:
            known = len(told.entries)
            told.happen(step)
            books_are_exact(told)
            at_most_one_entry_works(told)
            limits_are_kept(told, told.entries[known:])
        transitions_are_legal(told)
        return told.decided()


@FEW
@given(story=stories)
def test_any_story_leaves_exact_books_legal_orders_and_kept_limits(sqlite_world: MakeWorld, story: Any):
    live_through(sqlite_world, story)


@settings(FEW, max_examples=12)
@given(story=stories)
def test_the_same_story_is_decided_the_same_way_again(sqlite_world: MakeWorld, story: Any):
    assert live_through(sqlite_world, story) == live_through(sqlite_world, story)


@pytest.mark.postgres
@settings(FEW, max_examples=8)
@given(story=stories)
def test_a_story_on_postgresql_is_decided_as_on_sqlite(
    sqlite_world: MakeWorld, postgres_world: MakeWorld, story: Any
):
    assert live_through(postgres_world, story) == live_through(sqlite_world, story)
