"""What the crash bench reads at a broker (orders, fills, cash), and how often something goes wrong there."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tests.simulators.venue_books import Manner

CASH = Decimal(1_000_000)

PATIENCE = 0.3  # seconds that an adapter waits for an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFill:
    id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_base: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """An order as the venue has it."""

    client_order_id: str
    status: str
    filled: Decimal
    fills: tuple[PlacedFill, ...] = ()


class RemoteVenue:
    """What both venues share: one seed for faults, prices and partial fills; and a market that lives at each
    request."""

    def __init__(
        self, manner: Manner, now: Callable[[], datetime], weights: dict[str, dict[str, int]]
    ) -> None:
        self.manner, self.now, self.weights = manner, now, weights
        self.rng = random.Random(manner.seed)
        self.faults: Counter[str] = Counter()
        self.calm = self.revoked = False
        self.parts_since: datetime | None = None

    def fault(self, kind: str) -> str:
        if self.calm:
            return "ok"
        if self.manner.revoked and (self.revoked or self.rng.random() < self.manner.revoked):
            self.revoked = True
            self.faults[f"{kind} 401"] += 1
            return "401"
        chosen = self.rng.choices(list(self.weights[kind]), list(self.weights[kind].values()))[0]
        if chosen != "ok":
            self.faults[f"{kind} {chosen}"] += 1
        return chosen

    def in_parts(self) -> bool:
        """The next order fills by a part, and some seconds later by the rest."""
        if self.parts_since is None and self.rng.random() < 0.4:
            self.parts_since = self.now()
            return True
        return False

    def parts_are_due(self) -> bool:
        if self.parts_since is not None and self.now() - self.parts_since > timedelta(
            seconds=self.rng.choice([0.5, 2, 4])
        ):
            self.parts_since = None
            return True
        return False

    def price(self) -> Decimal | None:
        return 100 + Decimal(self.rng.randint(-300, 300)) / 100 if self.rng.random() < 0.3 else None
