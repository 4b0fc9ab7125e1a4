"""The name of an order at every venue: derived, ordered by time, and readable by a DashTrade that has
forgotten the order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.values import bot_of_order, client_order_id, new_id

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.integers(1, 2**32 - 1), st.integers(0, 3), st.integers(0, 3))
def test_the_same_step_of_the_same_decision_always_has_the_same_name(bot: int, step: int, attempt: int):
    signal = new_id(NOW)
    name = client_order_id(signal, bot, step, attempt)
    assert name == client_order_id(signal, bot, step, attempt)
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert bot_of_order(name) == bot


def test_every_step_attempt_bot_and_signal_has_a_name_of_its_own():
    signals = [new_id(NOW) for _ in range(50)]
    names = [
        client_order_id(s, bot, step, attempt)
        for s in signals
        for bot in (1, 2)
        for step in (0, 1)
        for attempt in (0, 1)
    ]
    assert len(set(names)) == len(names)


def test_names_sort_as_their_signals_came():
    first, second = new_id(NOW), new_id(NOW + timedelta(milliseconds=1))
    assert client_order_id(first, 99, 1) < client_order_id(second, 1, 0)


def test_foreign_order_ids_are_not_parsed_as_own():
    ours = client_order_id(new_id(NOW), 7, 0)
    changed = ours[:-1] + ("0" if ours[-1] != "0" else "1")
    for other in (
        changed,
        "",
        "abc",
        "904837e3-3b76-47ec-b432-046db621571b",
        "f" * 32,
        ours.upper() if ours.upper() != ours else "F" * 32,
    ):
        assert bot_of_order(other) is None
