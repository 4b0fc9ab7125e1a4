"""A condition as JSON, for builders and language models: an object for each node, its `kind` first. The
schema is generated from the records and the registry of indicators."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, cast, get_args, get_type_hints

from dashtrade.domain.record import field_names, replace
from dashtrade.market.conditions import names, tree
from dashtrade.market.conditions.checks import check_node, check_size
from dashtrade.market.conditions.errors import ConditionError, Fault, did_you_mean
from dashtrade.market.conditions.tree import Condition, IndicatorValue, TreeNode
from dashtrade.market.indicators.kinds import IndicatorKind, IndicatorSetting
from dashtrade.market.indicators.registry import INDICATORS

KINDS: dict[str, type] = {
    "number": tree.Constant,
    "parameter": tree.Parameter,
    "price": tree.PriceValue,
    "held": tree.HeldValue,
    "indicator": tree.IndicatorValue,
    "earlier": tree.Earlier,
    "series_at": tree.SeriesAt,
    "arithmetic": tree.Arithmetic,
    "negative": tree.Negative,
    "comparison": tree.Comparison,
    "crossing": tree.Crossing,
    "all": tree.AllOf,
    "any": tree.AnyOf,
    "not": tree.Negation,
    "lasting": tree.Lasting,
    "recent": tree.Recent,
    "day_time": tree.DayTime,
    "condition_at": tree.ConditionAt,
}
_NAMES = {kind: name for name, kind in KINDS.items()}
_GROUPS: dict[str, Any] = {"numeric": tree.Numeric, "condition": tree.Condition, "fixed": tree.Fixed}


def to_json(node: TreeNode) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": _NAMES[type(node)]}
    for name in (each.name for each in fields(node)):
        value = getattr(node, name)
        if value in (None, ""):
            continue
        if isinstance(value, tuple):
            found[name] = [to_json(each) for each in value]
        else:
            found[name] = to_json(value) if isinstance(value, tree.NODES) else value
    return found


def from_json(given: object) -> Condition:
    """Raises ConditionError with the path to what is wrong."""
    found = _read(given, "condition", "$", 0)
    check_size(found)
    return cast(Condition, found)


def _read(given: object, group: str, path: str, depth: int) -> TreeNode:
    if depth > names.MOST_DEPTH:
        raise _at(path, ConditionError(Fault.TOO_DEEP, most=names.MOST_DEPTH))
    allowed = _kinds(group)
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(kind, str) or kind not in allowed:
        hint = did_you_mean(kind, allowed) if isinstance(kind, str) else f"Known kinds: {', '.join(allowed)}."
        raise _malformed(path, f"{kind!r} is no kind of {group}", hint)
    hints = _fields(kind)
    unknown = sorted(set(given) - {"kind", *hints})
    if unknown:
        raise _malformed(path, f"{unknown[0]!r} is no field of {kind}", f"Fields: {', '.join(hints)}.")
    values = {
        name: _field(given.get(name), hint, f"{path}.{name}", depth)
        for name, hint in hints.items()
        if given.get(name) is not None or hint not in ("text", "numeric?")
    }
    node = cast(TreeNode, KINDS[kind](**values))
    try:
        node = _usual(node)
        check_node(node)
    except ConditionError as error:
        raise _at(path, error) from None
    return node


def _field(given: object, hint: str, path: str, depth: int) -> Any:
    match hint:
        case "text" if isinstance(given, str) and len(given) <= 60:
            return given
        case "number" if isinstance(given, int | float) and not isinstance(given, bool):
            return float(given)
        case "whole" if isinstance(given, int) and not isinstance(given, bool):
            return given
        case "numeric" | "condition" | "numeric?":
            return _read(given, hint.removesuffix("?"), path, depth + 1)
        case "fixed*" | "condition*" if isinstance(given, list) and len(given) <= names.MOST_NODES:
            group = hint.removesuffix("*")
            return tuple(_read(each, group, f"{path}[{i}]", depth + 1) for i, each in enumerate(given))
    raise _malformed(path, f"{str(given)[:40]!r} does not fit", f"Needed: {hint.removesuffix('*')}.")


def _usual(node: TreeNode) -> TreeNode:
    """As the text would be read."""
    if isinstance(node, IndicatorValue):
        kind = INDICATORS.get(node.name)
        if kind is not None and kind.source and node.series == tree.PriceValue(kind.source):
            return replace(node, series=None)
    return node


@cache
def _fields(kind: str) -> dict[str, str]:
    """What each field of a kind holds."""
    hints = get_type_hints(KINDS[kind])
    return {name: _held(hints[name]) for name in field_names(KINDS[kind])}


def _held(hint: Any) -> str:
    plain = {str: "text", float: "number", int: "whole"}
    if hint in plain:
        return plain[hint]
    members = set(get_args(hint))
    if Ellipsis in members:
        return f"{_held(get_args(hint)[0])}*"
    optional = type(None) in members
    for name, group in _GROUPS.items():
        if members - {type(None)} == set(get_args(group)):
            return f"{name}?" if optional else name
    raise TypeError(hint)


def _kinds(group: str) -> list[str]:
    return [_NAMES[kind] for kind in get_args(_GROUPS[group])]


def _malformed(path: str, problem: str, hint: str) -> ConditionError:
    return _at(path, ConditionError(Fault.MALFORMED_JSON, problem=problem, hint=hint))


def _at(path: str, error: ConditionError) -> ConditionError:
    error.path = error.path or path
    error.where = error.where or error.path
    return error


# --- its schema ---------------------------------------------------------------------------------------------

_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("price", "name"): tuple(names.PRICES),
    ("held", "name"): tuple(names.HELD),
    ("arithmetic", "operator"): names.OPERATORS,
    ("comparison", "operator"): names.COMPARISONS,
    ("crossing", "direction"): names.DIRECTIONS,
}
_BOUNDS = {
    ("earlier", "bars"): (0, names.MOST_BARS),
    ("lasting", "bars"): (1, names.MOST_BARS),
    ("recent", "bars"): (1, names.MOST_BARS),
    ("day_time", "start"): (0, 1439),
    ("day_time", "end"): (0, 1439),
}


def schema() -> dict[str, Any]:
    """A JSON schema (2020-12) of `condition`. Kinds are told apart by `if`, so that a checker follows one of
    them down; with `oneOf` it would try all of them at each level."""
    definitions: dict[str, Any] = {group: _one_of_kinds(_kinds(group)) for group in _GROUPS}
    for kind in KINDS:
        definitions[kind] = _object_schema(kind)
    definitions["indicator"]["properties"]["name"] = {"enum": list(INDICATORS)}
    definitions["indicator"]["allOf"] = [
        _when("name", kind.name, _indicator_schema(kind)) for kind in INDICATORS.values()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/condition",
        "$defs": definitions,
    }


def _one_of_kinds(kinds: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": kinds}},
        "allOf": [_when("kind", kind, _reference(kind)) for kind in kinds],
    }


def _when(name: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"required": [name], "properties": {name: {"const": value}}}, "then": then}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _object_schema(kind: str) -> dict[str, Any]:
    held_by = _fields(kind)
    optional = {name for name, held in held_by.items() if held.endswith("?")}
    optional |= {"timeframe", "symbol", "output"}
    return {
        "type": "object",
        "properties": {
            "kind": {"const": kind},
            **{name: _field_schema(kind, name, held) for name, held in held_by.items()},
        },
        "required": ["kind", *(name for name in held_by if name not in optional)],
        "additionalProperties": False,
    }


def _field_schema(kind: str, name: str, held: str) -> dict[str, Any]:
    if (kind, name) in _CHOICES:
        return {"enum": list(_CHOICES[kind, name])}
    match held:
        case "text":
            return {"type": "string", "maxLength": 60}
        case "number":
            return {"type": "number"}
        case "whole":
            low, high = _BOUNDS[kind, name]
            return {"type": "integer", "minimum": low, "maximum": high}
        case "condition*":
            return {"type": "array", "items": _reference("condition"), "minItems": 2}
        case "fixed*":
            return {"type": "array", "items": _reference("fixed")}
    return _reference(held.removesuffix("?"))


def _indicator_schema(kind: IndicatorKind) -> dict[str, Any]:
    """What this one has besides the fields of all: which settings, outputs, and whether a series."""
    count = len(kind.settings)
    settings: dict[str, Any] = {"minItems": count, "maxItems": count}
    if count:
        settings["prefixItems"] = [_setting_schema(setting) for setting in kind.settings]
    properties: dict[str, Any] = {"settings": settings, "output": {"enum": list(kind.outputs)}}
    if kind.source is None:
        properties["series"] = False
    return {"description": kind.about, "properties": properties}


def _setting_schema(setting: IndicatorSetting) -> dict[str, Any]:
    value: dict[str, Any] = {"minimum": setting.low, "maximum": setting.high}
    if setting.is_whole:
        value["type"] = "integer"
    return {"title": setting.name, **_when("kind", "number", {"properties": {"value": value}})}
