"""An asset and an order as Alpaca keeps and shows them, and the bodies of its refusals."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

D = Decimal
ZERO, ONE = D(0), D(1)
OPEN = frozenset({"pending_new", "new", "accepted", "partially_filled", "held", "pending_cancel"})
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES = ("day", "gtc", "ioc", "fok", "opg", "cls")


class AlpacaRefusal(Exception):
    """An HTTP status and the body the venue sends with it."""

    def __init__(self, status: int, code: int | None, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {**({} if code is None else {"code": code}), "message": message, **more}


def invalid(message: str) -> AlpacaRefusal:
    return AlpacaRefusal(422, 40010001, message)


def unprocessable(message: str) -> AlpacaRefusal:
    return AlpacaRefusal(422, 42210000, message)


def forbidden(message: str, **more: Any) -> AlpacaRefusal:
    return AlpacaRefusal(403, 40310000, message, **more)


def not_found(message: str) -> AlpacaRefusal:
    return AlpacaRefusal(404, 40410000, message)


def text(number: Decimal | None) -> str | None:
    if number is None:
        return None
    plain = format(number, "f")
    return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain


def stamp(moment: datetime | None) -> str | None:
    """Nine digits of a second, as the real one has; microseconds come from the clock, the rest is made up."""
    return (
        None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}789Z"
    )


@dataclass(slots=True)
class Asset:
    symbol: str
    price: Decimal
    crypto: bool = False
    tradable: bool = True
    shortable: bool = True
    hard_to_borrow: bool = False
    # easy_to_borrow: as bodies were until 2026-09-22; empty: both are optional
    told_as: str = "borrow_status"
    fractionable: bool = True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def plain(self) -> str:
        return self.symbol.replace("/", "")

    @property
    def spread(self) -> Decimal:
        return D("0.01") if self.price >= 1 else D("0.0001")

    def wire(self) -> dict[str, Any]:
        """Documented: `borrow_status` and the two margin requirements, which the vendor's change log of
        2026-06-05 and 2026-07-16 puts in the place of `easy_to_borrow` and `maintenance_margin_requirement`
        from 2026-09-22 on. Its words follow the name that it replaces; no body that carries it was found
        recorded."""
        body: dict[str, Any] = {
            "id": self.id,
            "class": "crypto" if self.crypto else "us_equity",
            "exchange": "CRYPTO" if self.crypto else "NASDAQ",
            "symbol": self.symbol,
            "name": f"{self.symbol} of the simulator",
            "status": "active",
            "tradable": self.tradable,
            "marginable": not self.crypto,
            "margin_requirement_long": "100" if self.crypto else "30",
            "margin_requirement_short": "100" if self.crypto else "30",
            "shortable": self.shortable and not self.crypto,
            "fractionable": self.fractionable or self.crypto,
            "attributes": [],
        }
        hard = self.hard_to_borrow or self.crypto
        if self.told_as == "borrow_status":
            body["borrow_status"] = "hard_to_borrow" if hard else "easy_to_borrow"
        elif self.told_as == "easy_to_borrow":
            body |= {"easy_to_borrow": not hard, "maintenance_margin_requirement": 100 if self.crypto else 30}
        if self.crypto:
            body |= {
                "min_order_size": "0.0001",
                "min_trade_increment": "0.000000001",
                "price_increment": "0.01",
            }
        return body


@dataclass(slots=True)
class Order:
    client_order_id: str
    asset: Asset
    side: str
    type: str
    time_in_force: str
    quantity: Decimal | None
    notional: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: str = "simple"
    status: str = "pending_new"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    parent: Order | None = None
    legs: list[Order] = field(default_factory=list)
    replaces: str | None = None
    replaced_by: str | None = None
    hwm: Decimal | None = None
    triggered: bool = False
    owner: str = ""  # the key it was placed with
    parts: bool = False  # fills by half, and waits
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: dict[str, datetime] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        return (
            self.quantity if self.quantity is not None else self.notional / self.asset.price
        ) - self.filled

    @property
    def average(self) -> Decimal | None:
        return (
            (self.cost / self.filled).quantize(D("0.00000001"), ROUND_HALF_UP).normalize()
            if self.filled
            else None
        )

    def wire(self, *, nested: bool = True) -> dict[str, Any]:
        stop = self.stop if self.type != "trailing_stop" else self.trail_stop()
        return {
            "id": self.id,
            "client_order_id": self.client_order_id,
            "created_at": stamp(self.at.get("created")),
            "updated_at": stamp(self.at.get("updated")),
            "submitted_at": stamp(self.at.get("created")),
            **{
                f"{name}_at": stamp(self.at.get(name))
                for name in ("filled", "expired", "canceled", "failed", "replaced")
            },
            "replaced_by": self.replaced_by,
            "replaces": self.replaces,
            "asset_id": self.asset.id,
            "symbol": self.asset.symbol,
            "asset_class": "crypto" if self.asset.crypto else "us_equity",
            "notional": text(self.notional),
            "qty": text(self.quantity),
            "filled_qty": text(self.filled),
            "filled_avg_price": text(self.average),
            "order_class": "" if self.order_class == "simple" else self.order_class,
            "order_type": self.type,
            "type": self.type,
            "side": self.side,
            "position_intent": f"{self.side}_to_open",
            "time_in_force": self.time_in_force,
            "limit_price": text(self.limit),
            "stop_price": text(stop),
            "status": self.status,
            "extended_hours": self.extended_hours,
            "legs": ([leg.wire() for leg in self.legs] or None) if nested else None,
            "trail_percent": text(self.trail_percent),
            "trail_price": text(self.trail_price),
            "hwm": text(self.hwm),
            "subtag": None,
            "source": None,
            "expires_at": None,
        }

    def trail_stop(self) -> Decimal | None:
        if self.hwm is None:
            return None
        trail = self.trail_price if self.trail_price is not None else self.hwm * self.trail_percent / 100
        return self.hwm + self.sign * trail
