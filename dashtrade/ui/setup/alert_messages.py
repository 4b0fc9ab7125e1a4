"""The alert message for one bot, in each supported format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from dashtrade.domain.bots import Bot

Build = Callable[[Bot, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    name: str
    use: str  # when to use this format
    build: Build
    asks_action: bool  # otherwise the strategy supplies the action


def _shown(message: dict[str, object]) -> str:
    return json.dumps(message, indent=2, ensure_ascii=False)


def _strategy(bot: Bot, action: str) -> str:
    return _shown(
        {
            "action": "{{strategy.order.action}}",
            "market_position": "{{strategy.market_position}}",
            "prev_market_position": "{{strategy.prev_market_position}}",
            "symbol": bot.written_symbol,
            "timeframe": bot.timeframe.shown,
            "bot": str(bot.id),
            "price": "{{close}}",
            "id": "{{strategy.order.id}} {{timenow}}",
        }
    )


def _plain(bot: Bot, action: str) -> str:
    return _shown(
        {
            "action": action,
            "symbol": bot.written_symbol,
            "timeframe": bot.timeframe.shown,
            "bot": str(bot.id),
            "id": "{{timenow}}",
        }
    )


def _traderspost(bot: Bot, action: str) -> str:
    verb = {"buy": "buy", "sell": "sell", "close": "exit"}[action]
    return _shown(
        {
            "ticker": bot.written_symbol,
            "action": verb,
            "interval": bot.timeframe.shown,
            "signalPrice": "{{close}}",
            "time": "{{timenow}}",
        }
    )


def _words(bot: Bot, action: str) -> str:
    return f"{action.upper()} {bot.written_symbol} {bot.timeframe.shown}"


DIALECTS = (
    Dialect(
        name="Strategy",
        use="For a Pine strategy: one alert for buy, sell and flat.",
        build=_strategy,
        asks_action=False,
    ),
    Dialect(
        name="Indicator",
        use="For an indicator or a price alert: one alert for each action.",
        build=_plain,
        asks_action=True,
    ),
    Dialect(
        name="TradersPost",
        use="For alerts already in TradersPost's format; only the webhook URL changes.",
        build=_traderspost,
        asks_action=True,
    ),
    Dialect(name="Plain text", use="For any sender of a line of text.", build=_words, asks_action=True),
)
FILLED_IN = {  # TradingView's substitutions, for a test
    "{{strategy.order.action}}": "buy",
    "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat",
    "{{strategy.order.id}}": "Long",
    "{{timenow}}": "2026-01-31T14:30:00Z",
    "{{close}}": "100.00",
}


def message_to_try(bot: Bot, action: str, request_id: str) -> str:
    """A real alert for this bot, with the form's request id: two clicks are one alert."""
    return json.dumps(
        {
            "action": action,
            "symbol": bot.symbol.text,
            "timeframe": bot.timeframe.text,
            "bot": str(bot.id),
            "id": f"test-{request_id}",
        }
    )
