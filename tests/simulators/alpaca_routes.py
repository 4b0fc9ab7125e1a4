"""The paths of Alpaca's API, each a function of the simulator and one request."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulators import alpaca_data as data
from tests.simulators.alpaca_faults import Fault, Reply, Seen
from tests.simulators.alpaca_orders import AlpacaRefusal, not_found, text, unprocessable
from tests.simulators.alpaca_requests import changed, order_of

if TYPE_CHECKING:
    from tests.simulators.alpaca import AlpacaSimulator


def _post_order(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, sim.place(order_of(sim.market, json_of(request)), faults))


def _list_orders(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    query, found = request.query, []
    symbols = [name.replace("/", "") for name in query.get("symbols", "").split(",") if name]
    after, until = (data.moment(query[name]) if query.get(name) else None for name in ("after", "until"))
    state = query.get("status", "open")
    for order in sim.market.orders.values():
        if not sim.market.shows(order):
            continue
        created = order.at["created"]
        if (
            sim.late.get(order.id, 0) > sim.market.now().timestamp()
            or (after and created <= after)
            or (until and created > until)
        ):
            continue
        in_state = state == "all" or order.is_open == (state == "open")
        wanted = not symbols or order.asset.plain in symbols
        if in_state and wanted and (query.get("nested") != "true" or order.parent is None):
            found.append(order)
    if query.get("direction", "desc") == "desc":
        found.reverse()
    limit = int(query.get("limit", 50))
    if not 1 <= limit <= 500:
        raise unprocessable("limit must be between 1 and 500")
    nested = query.get("nested") == "true"
    return Reply(200, [order.wire(nested=nested) for order in found[:limit]])


def _get_order(sim: AlpacaSimulator, request: Seen, faults: list[Fault], order_id: str) -> Reply:
    return Reply(
        200, sim.visible(sim.market.orders.get(order_id)).wire(nested=request.query.get("nested") == "true")
    )


def _get_by_client_id(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(
        200,
        sim.visible(sim.market.by_client.get(request.query.get("client_order_id", ""))).wire(nested=False),
    )


def _delete_order(sim: AlpacaSimulator, request: Seen, faults: list[Fault], order_id: str) -> Reply:
    sim.market.cancel(sim.visible(sim.market.orders.get(order_id)))
    return Reply(204)


def _patch_order(sim: AlpacaSimulator, request: Seen, faults: list[Fault], order_id: str) -> Reply:
    old = sim.visible(sim.market.orders.get(order_id))
    shown = sim.market.replace(old, changed(old, json_of(request))).wire()
    sim.market.advance()
    return Reply(200, shown)


def _positions(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(
        200, [data.position(sim.market, name) for name in sim.market.held if sim.market.shows_held(name)]
    )


def _position(sim: AlpacaSimulator, request: Seen, faults: list[Fault], name: str) -> Reply:
    if name not in sim.market.held:
        raise not_found("position does not exist")
    return Reply(200, data.position(sim.market, name))


def _close_position(sim: AlpacaSimulator, request: Seen, faults: list[Fault], name: str) -> Reply:
    _position(sim, request, faults, name)
    asset, held = sim.market.assets[name], sim.market.quantity(sim.market.assets[name])
    body = {
        "symbol": asset.symbol,
        "qty": text(abs(held)),
        "side": "sell" if held > 0 else "buy",
        "type": "market",
        "time_in_force": "gtc" if asset.crypto else "day",
    }
    return Reply(200, sim.place(order_of(sim.market, body), faults))


def _account(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, data.account(sim.market))


def _clock(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, data.clock(sim.market, sim.clock_ahead))


def _calendar(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, data.calendar(request.query.get("start"), request.query.get("end")))


def _assets(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    kind = request.query.get("asset_class")
    return Reply(
        200, [body for asset in sim.market.assets.values() if kind in (None, (body := asset.wire())["class"])]
    )


def _asset(sim: AlpacaSimulator, request: Seen, faults: list[Fault], name: str) -> Reply:
    asset = sim.market.assets.get(name)
    if asset is None:
        raise not_found(f"asset not found for {name}")
    return Reply(200, asset.wire())


def _activities(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    size, token = int(request.query.get("page_size", 100)), request.query.get("page_token")
    found = sim.market.activities if request.query.get("direction") == "asc" else sim.market.activities[::-1]
    start = next((i + 1 for i, each in enumerate(found) if each["id"] == token), 0)
    return Reply(200, found[start : start + size])


def _quotes(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(
        200, data.latest_quotes(sim.market, request.query, crypto="crypto" in request.path, plan=sim.plan)
    )


def _trades(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, data.latest_trades(sim.market, request.query, crypto="crypto" in request.path))


def _bars(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    return Reply(200, data.bars(sim.market, request.query, crypto="crypto" in request.path, plan=sim.plan))


_ROUTES = [
    (method, re.compile(path), work)
    for method, path, work in (
        ("POST", r"/v2/orders", _post_order),
        ("GET", r"/v2/orders", _list_orders),
        ("GET", r"/v2/orders:by_client_order_id", _get_by_client_id),
        ("GET", r"/v2/orders/([0-9a-f-]{36})", _get_order),
        ("DELETE", r"/v2/orders/([0-9a-f-]{36})", _delete_order),
        ("PATCH", r"/v2/orders/([0-9a-f-]{36})", _patch_order),
        ("GET", r"/v2/positions", _positions),
        ("GET", r"/v2/positions/([A-Z.]+)", _position),
        ("DELETE", r"/v2/positions/([A-Z.]+)", _close_position),
        ("GET", r"/v2/account", _account),
        ("GET", r"/v2/clock", _clock),
        ("GET", r"/v2/calendar", _calendar),
        ("GET", r"/v2/assets", _assets),
        ("GET", r"/v2/assets/([A-Z.]+)", _asset),
        ("GET", r"/v2/account/activities/FILL", _activities),
        ("GET", r"/v2/stocks/quotes/latest", _quotes),
        ("GET", r"/v2/stocks/trades/latest", _trades),
        ("GET", r"/v1beta3/crypto/us/latest/trades", _trades),
        ("GET", r"/v2/stocks/bars", _bars),
        ("GET", r"/v1beta3/crypto/us/latest/quotes", _quotes),
        ("GET", r"/v1beta3/crypto/us/bars", _bars),
    )
]


def routed(sim: AlpacaSimulator, request: Seen, faults: list[Fault]) -> Reply:
    for method, path, work in _ROUTES:
        found = path.fullmatch(request.path) if method == request.method else None
        if found:
            return work(sim, request, faults, *found.groups())
    raise AlpacaRefusal(404, None, "Not Found")


def json_of(request: Seen) -> Any:
    try:
        return json.loads(request.body, parse_float=Decimal)
    except ValueError:
        raise AlpacaRefusal(400, 40010000, "request body format is invalid") from None
