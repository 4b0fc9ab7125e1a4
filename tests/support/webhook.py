"""Alerts as programs send them, and how tests read what the receiver refuses."""

from __future__ import annotations

from typing import Any

from tests.support.installation import Trader


def assert_error(response: Any, status: int) -> Any:
    """An error as every client may rely on it."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    body = response.json
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "message", "hint")), body
    return body


BUY = {"action": "buy", "symbol": "AAPL", "timeframe": "15 Min"}

DIALECTS = {
    "plain": BUY,
    "traderspost": {
        "ticker": "NASDAQ:AAPL",
        "action": "buy",
        "sentiment": "bullish",
        "quantity": "7",
        "quantityType": "fixed_quantity",
        "interval": "15",
    },
    "3commas": {
        "secret": "…",
        "max_lag": "300",
        "timestamp": "2025-06-04T15:00:00Z",
        "tv_exchange": "NASDAQ",
        "tv_instrument": "AAPL",
        "action": "enter_long",
        "trigger_price": "100",
        "order": {"amount": "7", "currency_type": "base"},
    },
    "strategy": {
        "symbol": "AAPL",
        "interval": "15",
        "market_position": "long",
        "prev_market_position": "flat",
        "market_position_size": "7",
        "contracts": "7",
        "action": "buy",
    },
    "text": "BUY 7 AAPL 15 Min",
}

# --- the same alert again -----------------------------------------------------------------------------------


def count_signals(trader: Trader) -> int:
    return len(trader.get("/signals", limit=500)["items"])
