"""The orders of a story, in the words that tables of cases use."""

from __future__ import annotations

from typing import Any


def orders_of(story: Any) -> list[tuple[str, str, str]]:
    return [(order["side"], order["effect"], order["filled_quantity"]) for order in story["orders"]]


def check(story: Any, name: str) -> Any:
    return next(c for c in story["bots"][0]["checks"] if c["check"] == name)


# --- what each action does: 50 shares at 100, long, short, or ordered and not yet filled --------------------

RESTING = {"order_type": "limit", "limit_price": "90"}

OPEN, CLOSED, SHORT, COVER = (
    ("buy", "open", "50"),
    ("sell", "close", "50"),
    ("sell", "open", "50"),
    ("buy", "close", "50"),
)


def first_order(story: Any) -> Any:
    return story["orders"][0]
