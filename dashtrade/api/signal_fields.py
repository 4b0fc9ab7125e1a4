"""Signals, their orders and outcomes, as REST and the webhook answer them. Times and sentences are in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Reason, as_data
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import iso, plain
from dashtrade.domain.wording import words
from dashtrade.services.trading.signal_story import BotDecision, SignalStory, StepKind, StoryCheck, StoryStep
from dashtrade.services.trading.signals import SignalRecord


def reason_fields(why: Reason) -> dict[str, Any]:
    """The reason as a sentence, and its code and facts for programs."""
    return {"reason": words(why), "reason_code": str(why.code), "facts": as_data(why)["facts"]}


def outcome_fields(outcome: SignalOutcome) -> dict[str, Any]:
    fields = {
        "signal_id": outcome.signal_id,
        "status": outcome.status,
        "orders": [order_fields(order) for order in outcome.orders],
        **reason_fields(outcome.reason),
    }
    if len(outcome.bots) > 1:
        fields["bots"] = [
            {"bot_id": bot.bot_id, "status": bot.status} | reason_fields(bot.reason) for bot in outcome.bots
        ]
    return fields


def order_fields(order: Order) -> dict[str, Any]:
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
        **reason_fields(order.reason),
        "filled_quantity": plain(order.filled_quantity),
        "average_price": _number(order.average_price),
        "limit_price": _number(order.limit_price),
        "stop_price": _number(order.stop_price),
        "time_in_force": str(order.time_in_force),
        "created_at": iso(order.created_at),
        "updated_at": iso(order.updated_at),
    }


def signal_fields(signal: SignalRecord) -> dict[str, Any]:
    return {
        "id": signal.id,
        "status": signal.status,
        **reason_fields(signal.reason),
        "duplicate_count": signal.duplicate_count,
        "received_at": iso(signal.received_at),
        "ended_at": _time(signal.ended_at),
        "origin": signal.origin,
        "dialect": signal.dialect,
        "action": signal.action,
        "symbol": signal.symbol.text if signal.symbol else None,
        "written_symbol": signal.written_symbol,
        "timeframe": Timeframe(signal.timeframe).shown if signal.timeframe else None,
        "sender": signal.sender,
    }


def story_fields(story: SignalStory) -> dict[str, Any]:
    return signal_fields(story.signal) | {
        "status": story.status,
        **reason_fields(story.reason),
        "raw": story.raw,
        "timeline": [_step_fields(step) for step in story.steps],
        "orders": [order_fields(order) for order in story.orders],
        "bots": [_decision_fields(bot) for bot in story.bots],
    }


def _step_fields(step: StoryStep) -> dict[str, Any]:
    name = f"order {step.order_status}" if step.kind is StepKind.ORDER else str(step.kind)
    more = {"check": _check_fields(step.check)} if step.check else {}
    return {"at": iso(step.at), "step": name, "detail": step.words(UTC)} | more


def _check_fields(check: StoryCheck) -> dict[str, Any]:
    return {"check": check.name, "ok": check.ok, "detail": words(check.reason)} | as_data(check.reason)


def _decision_fields(bot: BotDecision) -> dict[str, Any]:
    return {
        "bot_id": bot.bot_id,
        "status": bot.status,
        **reason_fields(bot.reason),
        "would": words(bot.would),
        "checks": [_check_fields(check) for check in bot.checks],
        "numbers": dict(bot.numbers),
        "decided_at": _time(bot.decided_at),
    }


def _number(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _time(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None
