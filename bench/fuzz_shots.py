"""What bench.fuzz sends: each request follows from seed and number. Here: alerts, and what all share."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from bench.fuzz_hostile import hostile, text_of, torn, written

HOOKS, UI = "hooks", "ui"

SYMBOLS = ("AAPL", "MSFT", "BTCUSD", "ETHUSD", "TSLA")

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzFacts:
    """What a run knows of the installation that it attacks."""

    hooks: int  # ports
    ui: int
    webhooks: list[str]  # tokens of users who trade
    access: list[str]  # of users of the REST API
    superadmin: str  # of a superadmin, who only reads, and changes victims
    cookies: list[str]  # of users of the dashboard
    spare_cookies: list[str]  # which may be signed out
    login: list[str]  # email and password of somebody
    ids: dict[str, list[str]]  # what stands in addresses, one's own and others'
    victims: list[str]
    canary: str  # stands in another tenant's names: no answer may show it
    operations: list[dict[str, Any]] = field(repr=False)  # of the OpenAPI document


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One request, as bytes."""

    kind: str
    door: str
    data: bytes
    complete: bool = True  # an answer has to come
    fresh: bool = False  # on a connection of its own
    may_see: bool = False  # a superadmin sees other tenants' names
    may_close: bool = False  # without an answer: it is hardly HTTP, or its body is not read to its end


def request(
    method: str, target: str, headers: Headers, body: bytes = b"", *, length: str | None = None
) -> bytes:
    """The length of the body is told, unless `length` says otherwise ("": not at all)."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    told = str(len(body)) if length is None else length
    if told and (body or length is not None or method in ("POST", "PUT", "PATCH")):
        lines.append(f"Content-Length: {told}")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def host(port: int) -> tuple[str, str]:
    return "Host", f"127.0.0.1:{port}"


# --- alerts -----------------------------------------------------------------------------------------------

_ACTIONS = (
    "buy",
    "close",
    "buy",
    "close",
    "buy",
    "close",
    "sell",
    "reduce",
    "add",
    "reverse",
    "cancel",
    "breakeven",
    "exit_long",
    "enter_short",
)

_NAMES = (
    "symbol",
    "ticker",
    "pair",
    "tvInstrument",
    "exchange",
    "action",
    "side",
    "direction",
    "sentiment",
    "market_position",
    "prev_market_position",
    "market_position_size",
    "qty",
    "quantity",
    "size",
    "contracts",
    "amount",
    "dollars",
    "notional",
    "quantityType",
    "size_type",
    "timeframe",
    "interval",
    "price",
    "close",
    "id",
    "alert_id",
    "timenow",
    "time",
    "sent_at",
    "bot",
    "bot_name",
    "maxLag",
    "limitPrice",
    "stopPrice",
    "trailAmount",
    "trailPercent",
    "timeInForce",
    "takeProfit",
    "stopLoss",
    "tp",
    "sl",
    "order_type",
    "orderType",
    "token",
    "secret",
    "passphrase",
    "key",
    "strategy",
    "order",
    "comment",
    "message",
    "extra",
    "leverage",
    "breakEven",
    "closeAfter",
)


def good_alert(rng: random.Random, number: int) -> dict[str, Any] | str:
    """As people send them, in the forms that are read."""
    symbol, action, key = rng.choice(SYMBOLS), rng.choice(_ACTIONS), f"n{number}"
    plain: dict[str, Any] = {"action": action, "symbol": symbol, "timeframe": "15", "id": key}
    match rng.randrange(7):
        case 0:
            side = rng.choice(("long", "short", "flat"))
            return {
                "ticker": symbol,
                "exchange": "NASDAQ",
                "interval": "15",
                "time": "2026-11-30T04:00:00Z",
                "close": "101.5",
                "id": key,
                "strategy": {
                    "order": {
                        "action": rng.choice(("buy", "sell")),
                        "contracts": "1",
                        "price": "101.5",
                        "id": "Long",
                    },
                    "market_position": side,
                    "prev_market_position": "flat",
                    "market_position_size": "0" if side == "flat" else "1",
                },
            }
        case 1:
            return plain | {
                "stopLoss": {"percent": "2"},
                "takeProfit": [{"percent": "1", "share": "50%"}, {"percent": "3"}],
            }
        case 2:
            return plain | {"orderType": "limit", "limitPrice": "90", "timeInForce": "day", "quantity": "1"}
        case 3:
            return f"{action} {symbol} 15 Min id={key}"
        case 4:
            return f"action={action} symbol={symbol} timeframe=15 id={key}"
        case _:
            return plain


def alert_body(rng: random.Random, number: int) -> bytes:
    tree: Any = good_alert(rng, number)
    kind = rng.random()
    if kind < 0.3:
        return written(rng, tree) if isinstance(tree, dict) else tree.encode()
    if isinstance(tree, str):
        return _odd_text(rng, tree)
    for _ in range(rng.randrange(1, 4)):
        _change(rng, tree)
    body = written(rng, tree)
    if kind < 0.75:
        return body
    if kind < 0.78:  # the same key twice
        return b'{"action":"sell",' + body[1:] if len(body) > 2 else body
    if kind < 0.8:
        many = rng.choice((199, 201, 1999, 2001, 7000))
        return written(rng, tree | {f"f{at}": at for at in range(many)})
    if kind < 0.81:
        return written(rng, tree | {"note": "x" * rng.choice((3999, 4001, 60_000, 65_400))})
    return torn(rng, body)


def _odd_text(rng: random.Random, text: str) -> bytes:
    words = text.split(" ")
    for _ in range(rng.randrange(1, 4)):
        words[rng.randrange(len(words))] = text_of(hostile(rng))
    made = rng.choice((" ", "  ", "\t", "\n", ", ", "=", ";")).join(words).encode("utf-8", "surrogatepass")
    return torn(rng, made) if rng.random() < 0.2 else made


def _change(rng: random.Random, tree: dict[str, Any]) -> None:
    name = rng.choice(list(tree) or ["action"])
    match rng.randrange(6):
        case 0:
            tree[rng.choice(_NAMES)] = hostile(rng)
        case 1:
            tree.pop(name, None)
        case 2:
            tree[rng.choice((name.upper(), f"{name} ", f"_{name}", name + "\u200b"))] = tree.pop(name, None)
        case 3 if isinstance(tree.get(name), dict):
            _change(rng, tree[name])
        case 4:
            inside = tree.get(name)
            tree[name] = rng.choice(([inside], {name: inside}, [inside, inside, inside]))
        case _:
            tree[name] = hostile(rng)


_TYPES = (
    "application/json",
    "text/plain",
    "text/plain; charset=utf-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json; charset=utf-16",
    'application/json; charset="',
    "x",
    "",
    "text/html;" * 40,
    "application/xml",
)

_WAITS = ("0", "0.05", "nan", "inf", "-1", "1e9x", "x", "", "0x1", "1,5", "٣", "0.1&wait=9")


def alert(rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
    body, headers, query = alert_body(rng, number), [host(facts.hooks)], {}
    token, place = rng.choice(facts.webhooks), rng.random()
    if place < 0.85:
        query["token"] = token
    elif place < 0.9:
        headers.append(("Authorization", f"Bearer {token}"))
    elif place < 0.96:
        name = rng.choice(("token", "secret", "passphrase", "key"))
        body = (
            body[:-1] + f',"{name}":"{token}"}}'.encode()
            if body[-1:] == b"}"
            else body + f" {name}={token}".encode()
        )
    else:
        query["token"] = rng.choice(
            ("usr_made_up", "", token[:-1], token + "\x00", token.upper(), facts.access[0], "é" * 50)
        )
    if rng.random() < 0.1:
        query["wait"] = rng.choice(_WAITS) if rng.random() < 0.97 else "2.5"
    if rng.random() < 0.8:
        headers.append(("Content-Type", rng.choice(_TYPES) if rng.random() < 0.4 else "application/json"))
    if rng.random() < 0.03:
        headers.append(
            ("Content-Encoding", rng.choice(("gzip", "br", "deflate", "identity", "x", "gzip, gzip")))
        )
    path = (
        "/test-webhook"
        if rng.random() < 0.06
        else rng.choice(("/webhook", "/webhook", "/webhook", "/webhook/"))
    )
    target = path + (f"?{urlencode(query, errors='replace')}" if query else "")
    return Shot(
        kind="alerts", door=HOOKS, data=request("POST", target, headers, body), may_close=len(body) > 4000
    )


def quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
