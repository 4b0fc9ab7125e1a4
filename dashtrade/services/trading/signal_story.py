"""A signal's story, from stored data: received, parsed, checked, decided, sent, filled, booked, notified."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.kernel.outcomes import UNDER_WAY
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Code, Reason, as_data, from_data
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import iso, plain
from dashtrade.domain.wording import words
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import order_events, user_orders
from dashtrade.tables import signals as table


def outcome(app: App, owner: int, signal_id: str) -> dict[str, Any] | None:
    """The outcome so far, in short: the answer to `?wait=`."""
    found = _so_far(app, owner, signal_id)
    return found[0] if found else None


def settled(app: App, owner: int, signal_id: str) -> dict[str, Any] | None:
    """The final outcome; None while the signal is in progress."""
    said, under_way = _so_far(app, owner, signal_id) or (None, True)
    return None if under_way else said


def _so_far(app: App, owner: int, signal_id: str) -> tuple[dict[str, Any], bool] | None:
    """The outcome so far, and whether the signal is in progress."""
    with app.db.read() as conn:
        row = table.get(conn, owner, signal_id)
        if row is None:
            return None
        decisions = decision_table.bot_statuses(conn, owner, signal_id)
        orders = user_orders.for_signal(conn, owner, signal_id)
    waits = row.status == "accepted"
    said = {
        "signal_id": signal_id,
        "status": "working" if waits else row.status,
        "orders": [order_view(order) for order in orders],
    } | told_why(_awaited(decisions) if waits else row.reason)
    if len(decisions) > 1:
        said["bots"] = [
            {"bot_id": d.bot_id, "status": _status(d.status)} | told_why(d.reason) for d in decisions
        ]
    return said, waits


def told_why(why: Reason) -> dict[str, Any]:
    """The reason as a sentence, and its code and facts for programs."""
    return {"reason": words(why), "reason_code": str(why.code), "facts": as_data(why)["facts"]}


def _awaited(decisions: list[Any]) -> Reason:
    """What delays the signal, if anything: a closed market, an unreachable broker."""
    return next((d.reason for d in decisions if d.status == "waiting" and d.reason), Reason(Code.UNDER_WAY))


def _status(decision: str) -> str:
    return "working" if decision in UNDER_WAY else decision


def order_view(order: Order) -> dict[str, Any]:
    average = order.average_price
    return {
        "order_id": order.id,
        "client_order_id": order.id,
        "broker_order_id": order.broker_order_id,
        "crossed_with": order.crossed_with,
        "signal_id": order.signal_id,
        "parent_order_id": order.parent_id,
        "bot_id": order.bot_id,
        "account_id": order.account_id,
        "symbol": order.symbol.text,
        "side": str(order.side),
        "effect": str(order.effect),
        "type": str(order.type),
        "quantity": plain(order.quantity),
        "status": str(order.status),
        **told_why(order.reason),
        "filled_quantity": plain(order.filled_quantity),
        "average_price": plain(average) if average is not None else None,
        "limit_price": _plain_or_none(order.limit_price),
        "stop_price": _plain_or_none(order.stop_price),
        "time_in_force": str(order.time_in_force),
        "created_at": iso(order.created_at),
        "updated_at": iso(order.updated_at),
    }


def _plain_or_none(number: Any) -> str | None:
    return plain(number) if number is not None else None


def story(app: App, owner: int, signal_id: str) -> dict[str, Any] | None:
    """All steps, with times to the millisecond."""
    with app.db.read() as conn:
        row = table.get(conn, owner, signal_id)
        if row is None:
            return None
        decisions = decision_table.bot_outcomes(conn, owner, signal_id)
        orders = user_orders.for_signal(conn, owner, signal_id)
        lines = (
            _received(row)
            + _decided(decisions)
            + _sent(conn, owner, signal_id)
            + _filled(conn, owner, signal_id)
        )
        lines += _notified(conn, owner, signal_id)
    lines.sort(key=lambda line: (line[0], line[1]))
    waits = row.status == "accepted"
    return signal_view(row) | {
        "status": "working" if waits else row.status,
        **told_why(_awaited(decisions) if waits else row.reason),
        "raw": row.raw,
        "timeline": [
            {"at": iso(at), "step": step, "detail": detail, **more} for at, _, step, detail, more in lines
        ],
        "orders": [order_view(order) for order in orders],
        "bots": [
            {
                "bot_id": d.bot_id,
                "status": _status(d.status),
                **told_why(d.reason),
                "would": words(d.would),
                "checks": [_check(check) for check in d.checks or []],
                "numbers": d.numbers or {},
                "decided_at": iso(d.decided_at) if d.decided_at else None,
            }
            for d in decisions
        ],
    }


def signal_view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        **told_why(row.reason),
        "duplicate_count": row.duplicate_count,
        "received_at": iso(row.received_at),
        "ended_at": iso(row.ended_at) if row.ended_at else None,
        "origin": row.origin,
        "dialect": row.dialect,
        "action": row.action,
        "symbol": row.symbol.text if row.symbol else None,
        "written_symbol": row.written_symbol,
        "timeframe": Timeframe(row.timeframe).shown if row.timeframe else None,
        "sender": row.sender,
    }


Line = tuple[Any, int, str, str, dict[str, Any]]  # time, rank among equals, step, detail, more


def _received(row: Any) -> list[Line]:
    who = f" from {row.sender}" if row.sender else ""
    lines: list[Line] = [(row.received_at, 0, "received", f"by {row.origin}{who}", {})]
    if row.symbol is not None:
        lines.append((row.received_at, 1, "read", _reading(row), {}))
    if row.repeated_at is not None:
        lines.append(
            (
                row.repeated_at,
                2,
                "repeated",
                f"the same alert arrived {row.duplicate_count} more time(s); the repeats were ignored",
                {},
            )
        )
    if row.ended_at == row.received_at and row.status == "refused":
        lines.append((row.received_at, 3, "refused", words(row.reason), {}))
    return lines


def _reading(row: Any) -> str:
    frame = f" on {Timeframe(row.timeframe).shown}" if row.timeframe else ""
    said = f"{row.action} {row.symbol.short}{frame}, as {row.dialect}"
    notes = row.reading.get("notes", ()) if row.reading else ()
    return said + "".join(f"; {note}" for note in notes)


def _decided(decisions: list[Any]) -> list[Line]:
    lines: list[Line] = []
    for d in decisions:
        if d.decided_at is None:
            continue
        for check in d.checks or []:
            one = _check(check)
            said = f"{one['check']}: {'ok' if one['ok'] else 'no'}, {one['detail']}"
            lines.append((d.decided_at, 10, "check", said, {"check": one}))
        refused = d.status == "refused"
        detail = "; ".join(words(part) for part in (d.reason, d.would) if part) or f"bot {d.bot_id} acts"
        lines.append((d.decided_at, 11, "refused" if refused else "decided", detail, {}))
    return lines


def _check(stored: dict[str, Any]) -> dict[str, Any]:
    """Older checks were stored as text, newer ones as codes."""
    if "code" not in stored:
        return stored
    return stored | {"detail": words(from_data(stored))}


def _sent(conn: sa.Connection, owner: int, signal_id: str) -> list[Line]:
    return [
        (e.at, 20, f"order {e.status}", f"{words(e.detail) or e.status} ({e.order_id[-8:]})", {})
        for e in order_events.events_for_signal(conn, owner, signal_id)
    ]


def _filled(conn: sa.Connection, owner: int, signal_id: str) -> list[Line]:
    lines: list[Line] = []
    for f in fill_table.fills_for_signal(conn, owner, signal_id):
        fee = f", fee {plain(f.fee)}" if f.fee else ""
        made = f"; realised {plain(f.realized)}" if f.realized else ""
        verb = "bought" if f.side == "buy" else "sold"
        lines.append((f.booked_at, 21, "filled", f"{verb} {plain(f.quantity)} at {plain(f.price)}{fee}", {}))
        lines.append((f.booked_at, 22, "booked", f"to bot {f.bot_id}{made}", {}))
    return lines


def _notified(conn: sa.Connection, owner: int, signal_id: str) -> list[Line]:
    found = message_table.for_signal(conn, owner, signal_id)
    return [(m.at, 30, "message", m.words(UTC).text, {}) for m in found]
