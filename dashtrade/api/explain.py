"""How an alert would be read, for its author."""

from __future__ import annotations

from flask import Blueprint, Response, request

from dashtrade.api.answers import reply
from dashtrade.api.http import busy, client_address, get_limits
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.values import iso, plain
from dashtrade.limits import network_of

bp = Blueprint("explain", __name__)


@bp.post("/test-webhook")
def explain() -> Response:
    """How an alert would be read. Needs no token and changes nothing."""
    limits = get_limits()
    wait = limits.explaining_to.take(network_of(client_address()))
    with limits.explaining.turn() as on:
        if wait or not on:
            raise busy("explanations", wait)
        reading = parse(request.get_data(cache=False))
    signal_ = reading.signal
    shown = {
        "action": str(signal_.action),
        "symbol": signal_.symbol.text,
        "written_symbol": signal_.written_symbol,
        "timeframe": signal_.timeframe.shown if signal_.timeframe else None,
        "dialect": signal_.dialect,
        "bot": signal_.bot,
        "size": {"kind": str(signal_.size.kind), "value": plain(signal_.size.value)}
        if signal_.size
        else None,
        "order_type": str(signal_.order_type) if signal_.order_type else None,
        "limit_price": plain(signal_.limit_price) if signal_.limit_price is not None else None,
        "id": signal_.key,
        "sent_at": iso(signal_.sent_at) if signal_.sent_at else None,
        "take_profits": len(signal_.take_profits),
        "stop_loss": signal_.stop_loss is not None,
        "notes": list(signal_.notes),
    }
    frame = f" on {signal_.timeframe.shown}" if signal_.timeframe else ""
    return reply(
        {
            "ok": True,
            "explanation": (
                f"{signal_.action.upper()} {signal_.symbol.short}{frame}, read as {signal_.dialect}."
            ),
            "signal": shown,
        }
    )
