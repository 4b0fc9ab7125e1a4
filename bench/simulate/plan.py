"""What a seed makes of a schedule: a world, its limits, a venue's manner, alerts, and how likely what is."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from bench.simulate.store import PLACES
from tests.simulators.venue_books import HONEST, ON_DELETE, ON_GET, ON_POST, Manner

KINDS = {"venue": 55, "netted": 15, "paper": 12, "both": 18}
ACTIONS = {"buy": 30, "sell": 24, "close": 18, "reverse": 10, "add": 9, "reduce": 5, "cancel": 4}
LIMITS: tuple[dict[str, Any], ...] = (
    {"max_position_size": Decimal(1500)},
    {"daily_loss_limit": Decimal(12)},
    {"orders_per_day": 2},
    {"risk_limit_percent": Decimal(3)},
    {"cooldown_seconds": 30},
    {"order_type": "limit"},
)
EXITS: tuple[dict[str, Any], ...] = (
    {"stopLoss": {"type": "stop", "percent": 2}},
    {"takeProfit": {"percent": 2}},
    {"stopLoss": {"type": "trailing_stop", "trailPercent": 3}},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    seed: int
    kind: str
    manner: Manner
    late_fills: float
    places: tuple[int, ...]  # the bots that hear alerts, by number
    limits: Mapping[int, Mapping[str, Any]]
    bodies: tuple[str, ...]
    workers: int
    crashes: tuple[int, ...]  # for each life, after how many effects it ends
    steps: int
    weights: Mapping[str, float] = field(default_factory=dict)


def make_plan(seed: int, *, compares: bool) -> Plan:
    """`compares`: workers compare accounts and watch positions. What only they can find is left out without
    them: a fill after an order's end, told to a process that has forgotten the order."""
    rng = random.Random(f"plan/{seed}")
    kind = _one_of(rng, KINDS)
    places = tuple(sorted(rng.sample(range(len(PLACES[kind])), rng.choice((1, 2, 2, 3)))))
    watched = rng.random() < 0.35
    bodies = tuple(
        _body(rng, number, PLACES[kind][rng.choice(places)], exits=watched)
        for number in range(rng.randint(2, 5))
    )
    busy = rng.random() < 0.4
    plan = Plan(
        seed=seed,
        kind=kind,
        manner=_manner(rng, kind),
        late_fills=rng.choice((0.0, 0.0, 0.5)),
        places=places,
        limits={place: rng.choice(LIMITS) for place in places if rng.random() < 0.3},
        bodies=bodies,
        workers=2 if rng.random() < 0.3 else 1,
        crashes=tuple(rng.randint(1, 25) for _ in range(rng.choice((0, 1, 1, 2, 3)))),
        steps=len(bodies) * rng.choice((12, 18, 25)),
        weights={
            "step": 30,
            "alert": 7,
            "repeat": 2,
            "collect": 4,
            "time": 5,
            "scan": 2,
            "price": 3 if watched or rng.random() < 0.3 else 0.5,
            "look": 3 if watched else 0.3,
            "compare": 0.5,
            "stream": 2 if rng.random() < 0.5 else 0,
            "user": 3 if busy else 0,
            "stall": 1.5,
            "jump": 0.5 if rng.random() < 0.2 else 0,
        },
    )
    if compares:
        return plan
    forgets = plan.workers > 1 or bool(plan.crashes)
    return replace(
        plan,
        late_fills=0.0 if forgets else plan.late_fills,
        weights={**plan.weights, "look": 0.0, "compare": 0.0},
    )


def _manner(rng: random.Random, kind: str) -> Manner:
    calm = rng.random() < 0.3
    return Manner(
        seed=rng.randrange(2**32),
        refuses_repeats=rng.random() < 0.7,
        totals_only=rng.random() < 0.15,
        muddles=rng.random() < 0.7,
        revoked=0.02 if rng.random() < 0.06 and kind != "netted" else 0.0,
        on_post=HONEST if calm else _milder(rng, ON_POST),
        on_get=HONEST if calm or rng.random() < 0.4 else _milder(rng, ON_GET),
        on_delete=HONEST if calm else ON_DELETE,
    )


def _milder(rng: random.Random, weights: Mapping[str, int]) -> Mapping[str, int]:
    """Some of the faults only, so that each is met in quiet surroundings too."""
    if rng.random() < 0.5:
        return weights
    chosen = rng.sample([name for name in weights if name != "ok"], 2)
    return {"ok": 20, **dict.fromkeys(chosen, 6)}


def _body(rng: random.Random, number: int, place: tuple[str, str, str], *, exits: bool) -> str:
    _, symbol, timeframe = place
    action = _one_of(rng, ACTIONS)
    alert: dict[str, Any] = {"action": action, "symbol": symbol, "timeframe": timeframe}
    if rng.random() < 0.8:
        alert["id"] = f"s{number}"
    else:
        alert["comment"] = f"n{number}"
    if action == "reduce":
        alert["quantity"] = str(rng.randint(1, 12))
    if action in ("buy", "sell") and rng.random() < 0.15:
        alert |= {"orderType": "limit", "limitPrice": rng.choice(("99", "101"))}
    if action in ("buy", "sell") and exits:
        alert |= rng.choice(EXITS)
    return json.dumps(alert)


def _one_of(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]
