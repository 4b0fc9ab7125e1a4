"""REST requests drawn from the product's own OpenAPI document: right ones, and ones with a fault or two."""

from __future__ import annotations

import copy
import random
import re
from typing import Any
from urllib.parse import urlencode

from bench.fuzz_hostile import hostile, text_of, torn, written
from bench.fuzz_shots import HOOKS, SYMBOLS, FuzzFacts, Headers, Shot, host, quoted, request

Schema = dict[str, Any]
HASHING = ("/auth/login", "/auth/register", "/password")  # a third of a second each: fewer of them
_GOOD: dict[str, tuple[Any, ...]] = {  # what a name is given where it is to be right
    "symbol": (*SYMBOLS, "NVDA", "SOLUSD"),
    "timeframe": ("15", "15 Min", "1 Hour", 60),
    "broker": ("paper", "paper", "alpaca", "schwab", "crypto"),
    "mode": ("paper", "paper", "live"),
    "label": ("Mine", ""),
    "name": ("A bot", "Zoë"),
    "position_size": ("1000", 10, "5%"),
    "position_size_type": ("dollars", "quantity", "percent_of_equity"),
    "size_override": (True, False),
    "risk_limit_percent": ("5", 1),
    "daily_loss_limit": ("100",),
    "max_position_size": ("5000",),
    "sides": ("long", "short", "both"),
    "order_type": ("market", "limit"),
    "limit_offset_percent": ("0.5",),
    "cooldown_seconds": (0, 60),
    "orders_per_day": (5,),
    "time_zone": ("UTC", "Europe/Berlin"),
    "windows": ([{"days": ["mon", "fri"], "from": "09:30", "to": "16:00"}], []),
    "when_closed": ("refuse", "wait"),
    "take_profit": ([{"percent": "3"}],),
    "stop_loss": ({"percent": "2"}, {"stopPrice": "95"}),
    "break_even": ({"percent": "1"}, True),
    "close_after_minutes": (60,),
    "close_at": ("15:55",),
    "time_in_force": ("day", "gtc"),
    "extended_hours": (False,),
    "delay_seconds": (0, 1),
    "cancel_first": (True, False),
    "scope": ("user", "bot", "account", "paper", "live"),
    "email": ("somebody@example.com",),
    "password": ("wrong horse battery",),
    "old": ("wrong horse battery",),
    "new": ("correct horse 77 battery",),
    "confirm": ("a@example.com",),
    "kind": ("max_drawdown", "loss_streak", "cooldown"),
    "settings": ({}, {"limit": 3, "minutes": 60}),
    "options": (
        {},
        {"starting_cash": "5000"},
        {"exchange": "kraken"},
        {"fee_percent": "0.1", "shorting": "yes", "hours": "always", "leverage": 2},
    ),
    "credentials": ({}, {"key": "k" * 20, "secret": "s" * 40}),
    "action": ("buy", "sell"),
    "side": ("long", "short"),
    "from": ("2026-01-01", "2026-11-29T10:00:00Z"),
    "to": ("2026-11-30",),
    "since": ("2026-01-01",),
    "until": ("2026-12-31",),
    "cursor": ("5", "2026-11-30T00:00:00Z~1"),
    "code": ("123456", "abcd-efgh"),
    "reason": ("a test",),
    "way": ("outside", "bot", "freeze"),
    "price": ("100.5",),
    "request_id": ("r-1",),
    "signup": ("open",),
    "role": ("standard", "admin"),
    "status": ("filled", "refused"),
    "body_secret": (None, "x" * 20),
    "period": ("30d", "all"),
}


class Api:
    """The operations of a document, and what a request to one of them looks like."""

    def __init__(self, operations: list[dict[str, Any]]) -> None:
        self._operations = operations

    def shot(self, rng: random.Random, facts: FuzzFacts, number: int) -> Shot:
        operation = self._operations[rng.randrange(len(self._operations))]
        if operation["path"].endswith(HASHING) and rng.random() < 0.8:
            operation = self._operations[rng.randrange(len(self._operations))]
        who, headers = _who(rng, facts)
        method = (
            operation["method"]
            if rng.random() < 0.95
            else rng.choice(("GET", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"))
        )
        if (
            who == "superadmin"
            and method not in ("GET", "OPTIONS")
            and "/admin/users/{user_id}" not in operation["path"]
        ):
            who, headers = "nobody", []  # it would change what all others have
        path = _path(rng, facts, operation["path"], superadmin=who == "superadmin")
        query = _query(rng, facts, operation)
        body = _body(rng, facts, operation, number)
        if body or rng.random() < 0.5:
            headers.append(
                (
                    "Content-Type",
                    "application/json"
                    if rng.random() < 0.9
                    else rng.choice(("text/plain", "x", "multipart/form-data; boundary=a")),
                )
            )
        target = path + (f"?{query}" if query else "")
        data = request(method, target, [host(facts.hooks), *headers], body)
        return Shot(
            kind="rest", door=HOOKS, data=data, may_see=who == "superadmin", may_close=len(body) > 60_000
        )


def operations_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each route and method, in an order that does not change."""
    return [
        {
            "path": path,
            "method": method.upper(),
            "parameters": about.get("parameters", []),
            "body": _schema_of(about),
        }
        for path, methods in sorted(document["paths"].items())
        for method, about in sorted(methods.items())
    ]


def _schema_of(about: dict[str, Any]) -> Schema | None:
    found: Schema | None = (
        about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    )
    return found


def _who(rng: random.Random, facts: FuzzFacts) -> tuple[str, Headers]:
    found = rng.random()
    if found < 0.7:
        return "user", [("Authorization", f"Bearer {rng.choice(facts.access)}")]
    if found < 0.8:
        return "superadmin", [("Authorization", f"Bearer {facts.superadmin}")]
    if found < 0.88:
        return "nobody", []
    token = rng.choice(
        (
            facts.webhooks[0],
            facts.access[0][:-1],
            "dt_made_up",
            "x" * 4000,
            "",
            "é",
            facts.cookies[0],
            f"{facts.access[0]} x",
        )
    )
    return "nobody", [("Authorization", f"{rng.choice(('Bearer', 'bearer', 'Basic', 'Token'))} {token}")]


def _path(rng: random.Random, facts: FuzzFacts, path: str, *, superadmin: bool) -> str:
    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if superadmin and name == "user_id":
            return rng.choice((*facts.victims, "999999999", "x"))
        if rng.random() < 0.75:
            return rng.choice(facts.ids.get(name, ["1"]))
        return quoted(text_of(hostile(rng)))

    return re.sub(r"\{(\w+)\}", fill, path)


def _query(rng: random.Random, facts: FuzzFacts, operation: dict[str, Any]) -> str:
    given = [
        (p["name"], p["schema"])
        for p in operation["parameters"]
        if p["in"] == "query" and rng.random() < 0.45
    ]
    pairs = [(name, text_of(_value(rng, facts, name, schema, {}))) for name, schema in given]
    if rng.random() < 0.3:
        pairs.append((rng.choice([name for name, _ in given] or ["x"]), text_of(hostile(rng))))
    if rng.random() < 0.04:
        pairs.append((text_of(hostile(rng)), "1"))
    return urlencode(pairs, errors="replace")


def _body(rng: random.Random, facts: FuzzFacts, operation: dict[str, Any], number: int) -> bytes:
    schema = operation["body"]
    if schema is None:
        return b"" if rng.random() < 0.9 else written(rng, hostile(rng))
    tree = _value(rng, facts, "", schema, schema.get("$defs", {}))
    if "email" in tree and rng.random() < 0.5:
        tree["email"] = f"n{number}@example.com"
    kind = rng.random()
    if kind < 0.35:
        return written(rng, tree)
    for _ in range(rng.randrange(1, 3)):
        _spoil(rng, tree, list(schema.get("properties", {})))
    body = written(rng, tree if rng.random() < 0.96 else hostile(rng))
    return torn(rng, body) if kind > 0.93 else body


def _spoil(rng: random.Random, tree: dict[str, Any], names: list[str]) -> None:
    """One place of it becomes wrong: one of its own fields, one inside, or one that is not there."""
    name = (
        rng.choice(names or ["x"])
        if rng.random() < 0.9
        else rng.choice(("", "x", "__class__", "user_id", "id", "role", "is_active", "n" * 300))
    )
    inside = tree.get(name)
    if isinstance(inside, dict) and inside and rng.random() < 0.6:
        inside[rng.choice(list(inside))] = hostile(rng)
    elif isinstance(inside, list) and inside and rng.random() < 0.6:
        inside[rng.randrange(len(inside))] = hostile(rng)
    else:
        tree[name] = hostile(rng)


def _value(rng: random.Random, facts: FuzzFacts, name: str, schema: Schema, defs: dict[str, Schema]) -> Any:
    """One that the schema allows, as far as it says."""
    if "$ref" in schema:
        return _value(rng, facts, name, defs.get(schema["$ref"].rpartition("/")[2], {}), defs)
    if "anyOf" in schema:
        return _value(rng, facts, name, rng.choice(schema["anyOf"]), defs)
    if "const" in schema or "enum" in schema:
        return rng.choice(schema.get("enum") or [schema["const"]])
    if "properties" in schema:
        needed = set(schema.get("required", []))
        return {
            key: _value(rng, facts, key, one, defs)
            for key, one in schema["properties"].items()
            if key in needed or rng.random() < 0.4
        }
    if name in ("id", "to", "scope_id") or (name.endswith("_id") and name != "request_id"):
        found = rng.choice([one for ids in facts.ids.values() for one in ids])
        return int(found) if found.isdigit() else found
    choices = re.fullmatch(r"\^\(([\w|]+)\)\$", schema.get("pattern", ""))
    if choices:
        return rng.choice(choices[1].split("|"))
    if name in _GOOD:
        return copy.deepcopy(rng.choice(_GOOD[name]))
    return _plain_value(rng, facts, name, schema, defs)


def _plain_value(
    rng: random.Random, facts: FuzzFacts, name: str, schema: Schema, defs: dict[str, Schema]
) -> Any:
    match schema.get("type"):
        case "integer" | "number":
            return rng.randint(int(schema.get("minimum", 1)), min(int(schema.get("maximum", 100)), 10**6))
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [
                _value(rng, facts, name, schema.get("items", {}), defs) for _ in range(rng.randrange(1, 3))
            ]
        case "object":
            return {"a": "b"} if rng.random() < 0.5 else {}
        case "null":
            return None
    return rng.choice(("x", "1", "some text"))
