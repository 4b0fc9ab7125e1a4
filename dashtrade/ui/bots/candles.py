"""A bot's chart: candles of its symbol, its fills, and the price levels of its position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.risk import risk_limit_price
from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.people import User
from dashtrade.domain.ports import Candle
from dashtrade.ui.kit.components import mounted
from dashtrade.ui.kit.format import price, quantity, signed, zone


def chart(
    user: User,
    bot: Bot,
    candles: Sequence[Candle],
    trades: Sequence[Any],
    orders: Sequence[tuple[float, str]] = (),
    *,
    height: int = 420,
) -> None:
    if not candles:
        return
    shown = [trade for trade in trades if trade.at >= candles[0].at]
    last = float(candles[-1].close)
    data = {
        "label": f"{bot.symbol.short}, {bot.timeframe.shown}",
        "height": height,
        "zone": str(zone(user)),
        "digits": 2 if last >= 10 else 4 if last >= 0.1 else 8,
        "live": f"m{bot.id}" if bot.position.quantity else "",
        "candles": [
            [_ms(c.at), float(c.open), float(c.high), float(c.low), float(c.close), float(c.volume)]
            for c in candles
        ],
        "trades": [[_ms(t.at), str(t.action), float(t.price), _trade_text(t)] for t in reversed(shown)],
        "levels": [*_levels(bot), *map(list, orders)],
    }
    mounted("candles", '<div class="candles"></div>')(key="candles", data=data, height="content")


def _ms(at: Any) -> int:
    return int(at.timestamp() * 1000)


def _trade_text(trade: Any) -> str:
    result = (
        f", P&L {signed(trade.realized_pnl, trade.symbol.currency)}"
        if trade.effect in ("close", "reduce")
        else ""
    )
    return f"{trade.action.capitalize()} {quantity(trade.quantity)} at {price(trade.price)}{result}"


def _levels(bot: Bot) -> list[list[Any]]:
    entry, exits = bot.position.average_price, bot.exits or ExitState()
    levels: list[list[Any]] = [[float(entry), "entry"]] if entry is not None else []
    levels += [[float(exits.stop.price), "stop"]] if exits.stop else []
    if (limit := risk_limit_price(bot)) is not None:
        levels.append([float(limit), "max loss"])
    return levels + [[float(target.price), "target"] for target in exits.take_profits]
