"""Pages take turns; a slow one holds up nobody for long."""

from __future__ import annotations

import threading
import time

import pytest

from dashtrade.ui.shell.render_lock import RenderLock


def beside(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_one_page_runs_at_a_time():
    turns, inside, most = RenderLock(longest=30), [], []

    def page() -> None:
        with turns.turn():
            inside.append(1)
            time.sleep(0.01)
            most.append(len(inside))
            inside.pop()

    for thread in [beside(page) for _ in range(8)]:
        thread.join()
    assert most == [1] * 8


def test_a_part_of_a_page_needs_no_second_turn_and_does_not_end_the_first():
    turns, begun = RenderLock(longest=30), threading.Event()

    with turns.turn():
        with turns.turn():
            pass
        other = beside(lambda: _enter(turns, begun))
        assert not begun.wait(0.05)
    other.join()
    assert begun.is_set()


def test_a_slow_page_loses_its_turn_and_does_not_end_the_one_that_was_taken_over():
    turns, over, slow_in, third = (
        RenderLock(longest=0.3),
        threading.Event(),
        threading.Event(),
        threading.Event(),
    )

    def slow() -> None:
        with turns.turn():
            slow_in.set()
            assert over.wait(10)

    thread = beside(slow)
    assert slow_in.wait(10)
    with turns.turn():
        over.set()
        thread.join()
        waiting = beside(lambda: _enter(turns, third))
        assert not third.wait(0.05)
    waiting.join()
    assert third.is_set()


def test_a_page_that_fails_gives_its_turn_back():
    turns, begun = RenderLock(longest=30), threading.Event()
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    beside(lambda: _enter(turns, begun)).join(10)
    assert begun.is_set()


def _enter(turns: RenderLock, begun: threading.Event) -> None:
    with turns.turn():
        begun.set()
