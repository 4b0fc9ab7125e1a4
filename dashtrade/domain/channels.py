"""Delivery of notices outside the dashboard: the channels.

The dashboard itself shows each notice. For every channel in CHANNELS each notice gets a delivery, stored
together with it, which is retried until it is sent or given up."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from dashtrade.domain.notices.stored import Message
from dashtrade.domain.notices.wording_base import Words
from dashtrade.domain.people import User

MAX_TRIES = 8
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"  # retried at `next_try_at`
    GIVEN_UP = "given_up"


class Undelivered(Exception):
    """The channel did not accept the notice. The text is shown to the operator, so it holds no secret."""


class Channel(Protocol):
    def send(self, user: User, message: Message, said: Words, *, key: str) -> None:
        """Send the notice, `said` in the user's time zone, or raise Undelivered. A repeated delivery, as
        after a crash before it was recorded, has the same `key`, by which the receiver (or the channel)
        recognises the repeat."""


CHANNELS: dict[str, Channel] = {}  # by the name stored with deliveries


def retry_after(tries: int) -> timedelta:
    """The delay after this many failures."""
    return min(FIRST_RETRY * (1 << tries - 1), LONGEST_RETRY)
