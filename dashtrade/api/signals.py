"""Signals: the list, and one signal's story."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.http import endpoint, get_app
from dashtrade.api.orders import ID
from dashtrade.api.reading import PageQuery, page
from dashtrade.api.signal_fields import signal_fields, story_fields
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.services.bots.bots import NotFound
from dashtrade.services.trading import signal_story
from dashtrade.services.trading import signals as service

# --- signals ------------------------------------------------------------------------------------------------


bp = Blueprint("signals", __name__, url_prefix="/api/v1")


class SignalList(PageQuery):
    cursor: str | None = pydantic.Field(None, pattern="^[0-9a-f]{32}$")
    status: str | None = pydantic.Field(None, pattern="^(accepted|working|filled|refused|failed|attention)$")
    symbol: str | None = pydantic.Field(None, max_length=60)
    bot_id: int | None = ID


@endpoint(bp, "GET", "/signals", query=SignalList)
def signals(user: User, query: SignalList) -> dict[str, Any]:
    """All alerts with their results, newest first; refused ones too."""
    rows = service.signals(
        get_app(),
        user,
        before=query.cursor,
        limit=query.limit + 1,
        status=query.status,
        bot_id=query.bot_id,
        symbol=Symbol.parse(query.symbol) if query.symbol else None,
    )
    return page(rows, query.limit, lambda row: row.id, signal_fields)


@endpoint(bp, "GET", "/signals/<signal_id>")
def signal(user: User, signal_id: str) -> dict[str, Any]:
    """One signal's whole timeline."""
    story = signal_story.story(get_app(), user.id, signal_id)
    if story is None:
        raise NotFound("signal")
    return story_fields(story)
