"""How notices reach users outside of the dashboard: what a channel is, and which there are.

In the dashboard a notice is delivered by being there. For every channel in CHANNELS each notice gets a
delivery, written together with it, which is tried until it is sent or given up."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from dashtrade.domain.notices.stored import Message
from dashtrade.domain.notices.wording_base import Words
from dashtrade.domain.people import User

MOST_TRIES = 8
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"  # tried again at `next_try_at`
    GIVEN_UP = "given_up"


class Undelivered(Exception):
    """The channel did not take it. The text is shown to the operator, so it holds no secret."""


class Channel(Protocol):
    def send(self, user: User, message: Message, said: Words, *, key: str) -> None:
        """Send it, `said` in the user's time zone, or raise Undelivered. A delivery that is repeated, as
        after a crash between the sending and the note of it, comes with the same `key`: by it the other side
        (or the channel) knows the repeat."""


CHANNELS: dict[str, Channel] = {}  # by the name that deliveries are stored with


def retry_after(tries: int) -> timedelta:
    """After so many failed ones."""
    return min(FIRST_RETRY * (1 << tries - 1), LONGEST_RETRY)
