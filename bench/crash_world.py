"""One small world for a crash test, all of it from one number: a venue's manner, bots on one account,
signals, and crashes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.crash_venues import PLACES, kind
from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.people import User
from dashtrade.failpoints import NAMES
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.bots import bots as bot_service
from dashtrade.settings import Settings
from tests.simulators.venue_books import Manner
from tests.support.fakes import ManualClock, ManualFeed, add_user

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ACTIONS = {"buy": 30, "sell": 22, "close": 18, "reverse": 10, "add": 10, "reduce": 5, "cancel": 5}
LIVES = 5  # starts of the engine in one run; the last ones are let live


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens in one run."""

    number: int
    broker: str
    manner: Manner
    places: tuple[tuple[str, str], ...]
    limit_bots: bool
    busy_user: bool  # pauses, resumes and cancels meanwhile
    bodies: tuple[str, ...]
    # for each start: the failpoint and how often it is passed first; "" lets it live
    crashes: tuple[tuple[str, int], ...]


def plan(seed: int, number: int, broker: str = "default") -> Plan:
    rng = random.Random(f"{seed}/{number}")
    netted = broker == "netted"
    places = tuple(rng.sample(PLACES[broker], rng.randint(2, 5) if netted else rng.randint(1, 3)))
    bodies = tuple(
        _body(rng, n, *rng.choice(places))
        for n in range(rng.randint(8, 16) if netted else rng.randint(3, 10))
    )
    crashes = [
        (rng.choice(NAMES), rng.randint(1, 6)) if n == 0 or rng.random() < 0.5 else ("", 0)
        for n in range(LIVES - 1)
    ]
    if number % (len(NAMES) + 1) == 0:
        crashes[0] = ("", 0)
    else:
        crashes[0] = (NAMES[number % (len(NAMES) + 1) - 1], rng.randint(1, 4))
    return Plan(
        number=number,
        broker=broker,
        places=places,
        limit_bots=rng.random() < 0.25 and not netted,
        bodies=bodies,
        crashes=tuple(crashes),
        busy_user=rng.random() < 0.4 and not netted,
        manner=Manner(
            seed=rng.randrange(2**32),
            refuses_repeats=rng.random() < 0.7,
            totals_only=rng.random() < 0.15,
            revoked=0.01 if rng.random() < 0.15 and not netted else 0.0,
        ),
    )


def _body(rng: random.Random, number: int, symbol: str, timeframe: str) -> str:
    action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
    alert: dict[str, Any] = {"action": action, "symbol": symbol, "timeframe": timeframe, "id": f"s{number}"}
    if action == "reduce":
        alert["quantity"] = str(rng.randint(1, 12))
    return json.dumps(alert)


@dataclass(slots=True, kw_only=True)
class World:
    """The run's database with its user, account and bots, as the checking process sees it."""

    app: App
    home: Path
    user: User
    account_id: int
    bots: dict[tuple[str, str], int] = field(default_factory=dict)


def open_app(home: Path, database_url: str, venue: BrokerKind, clock: Any) -> App:
    given = {"DASHTRADE_HOME": str(home), "DATABASE_URL": database_url, "ENCRYPTION_KEY": KEY}
    return build_app(
        Settings.load(given, home), clock=clock, feed=ManualFeed(clock), brokers={"venue": venue}
    )


def make_world(home: Path, database_url: str, port: int, of: Plan) -> World:
    app = open_app(
        home, database_url, kind(of.broker, port, refuses_repeats=of.manner.refuses_repeats), ManualClock()
    )
    user = add_user(app)
    account_id = account_service.add_account(
        app, user, broker="venue", mode="paper", label="Venue", credentials={}, options={}
    )
    world = World(app=app, home=home, user=user, account_id=account_id)
    for symbol, timeframe in of.places:
        given = {"account_id": account_id, "symbol": symbol, "timeframe": timeframe, "position_size": "1234"}
        if of.limit_bots and timeframe == "15":
            given["order_type"] = "limit"
        if of.broker == "netted":  # each a size of its own, so that every net comes about
            given |= {"position_size": str(3 + 4 * len(world.bots)), "position_size_type": "quantity"}
        world.bots[symbol, timeframe] = bot_service.add_bot(app, user, given)
    return world
