"""Errors on a page, in words: what happened, and what to do. Never a traceback."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from bot_database import DatabaseUnavailable
from dashtrade.domain.ports import BrokerError
from dashtrade.domain.values import Malformed, as_sentence
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.people.users import Denied
from dashtrade.ui.kit.format import text

log = logging.getLogger("dashtrade.ui")
EXPECTED = (DatabaseUnavailable, Malformed, Refusal, NotFound, Denied, BrokerError)


def explained(error: Exception) -> str:
    """As Markdown, for st.error."""
    match error:
        case DatabaseUnavailable():
            return "**The database cannot be used right now; nothing was changed.** Try again in a moment."
        case BrokerError():
            return f"**The broker refused.** {text(as_sentence(error.message))}"
        case Malformed():  # the API's field name, as words
            return (
                f"**{text(as_sentence(error.message.replace(error.where, error.where.replace('_', ' '))))}** "
                f"{text(error.hint)}"
            )
        case Refusal() | NotFound() | Denied():
            return f"**{text(as_sentence(error.message))}** {text(error.hint)}"
    return (
        "**Unexpected error in DashTrade.** Details are in the log. Reload the page; if the error stays, "
        "check the log."
    )


def show_error(error: Exception) -> bool:
    """Streamlit's handler for uncaught errors. Returning True suppresses Streamlit's own display."""
    if not isinstance(error, EXPECTED):
        log.error("a page failed with an unexpected error", exc_info=error)
    st.error(explained(error), icon=":material/error:")
    return True


@dataclass(slots=True)
class Attempt:
    ok: bool = False


@contextlib.contextmanager
def trying() -> Iterator[Attempt]:
    """For a user's action: an error is shown in place, and the page goes on."""
    attempt = Attempt()
    try:
        yield attempt
        attempt.ok = True
    except EXPECTED as error:
        st.error(explained(error), icon=":material/error:")
