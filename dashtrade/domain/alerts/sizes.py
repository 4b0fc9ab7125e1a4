"""Sizes, in the notations of alerts."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import NoReturn

from dashtrade.domain.alerts.fields import (
    EXITS,
    HUNDRED,
    PERCENT,
    Fields,
    Read,
    agreed,
    read_percent,
    read_share,
    read_size_kind,
    without_sign,
)
from dashtrade.domain.signals import Action, Size, SizeKind
from dashtrade.domain.values import Malformed, exact, plain


def clash(fields: Fields, why: str) -> NoReturn:
    paths = [
        path
        for thing in ("action", "side", "wanted", "prev", "after", "before")
        for path, _ in fields.get(thing)
    ]
    hint = "sentiment and market_position are the position after the trade; send the action that leads there."
    raise Malformed(f"{' and '.join(paths)} contradict each other: {why}", where=paths[0], hint=hint)


# --- sizes --------------------------------------------------------------------------------------------------


def _sized(kind: str | None, *, leaving: bool) -> Read[Size]:
    def read(value: object, where: str) -> Size:
        percent = isinstance(value, str) and value.strip().endswith("%")
        number = read_percent(value, where)
        if percent and kind in (SizeKind.QUANTITY, SizeKind.DOLLARS, SizeKind.RISK_DOLLARS):
            hint = "Drop the percent sign, or send another quantityType."
            raise Malformed(f"{where} is a percentage, its type says {kind}", where=where, hint=hint)
        meant = kind or (PERCENT if percent else SizeKind.QUANTITY)
        if meant == PERCENT:
            meant = SizeKind.POSITION_PERCENT if leaving else SizeKind.EQUITY_PERCENT
        if meant is SizeKind.POSITION_PERCENT:
            read_share(value, where)
        return Size(kind=SizeKind(meant), value=number)

    return read


def read_part_of_position(value: str, where: str) -> Size:
    """A part of a position: a quantity, or a share of it such as "50%"."""
    return _sized(None, leaving=True)(value, where)


def read_size(fields: Fields, action: Action) -> Size | None:
    kind, leaving = fields.one("sizekind", read_size_kind), action in EXITS
    found = fields.read("size", _sized(kind, leaving=leaving))
    return agreed(found + fields.read("dollars", _sized(SizeKind.DOLLARS, leaving=leaving)))


def unused_sizes(fields: Fields) -> list[str]:
    """Templates fill sizes into an exit, often 0: harmless when the whole position is closed anyway."""
    notes = []
    for path, value in fields.get("size") + fields.get("dollars"):
        number = exact(without_sign(value), path)
        if number < 0:
            raise Malformed(f"{path} is {plain(number)}", where=path, hint="Sizes are above 0.")
        notes += [f"flat afterwards: {path} {plain(number)} is not used"] if number else []
    return notes


def read_part(
    fields: Fields, action: Action, size: Size | None, before: Decimal | None, grown: Decimal | None
) -> Size:
    if grown is not None and before is not None and not 0 < -grown < before:
        clash(fields, "the alert reduces the position, but the position sizes do not match")
    if size:
        return size
    if grown is None or before is None:
        where = (fields.get("action") + fields.get("side") + fields.get("wanted"))[0][0]
        hint = (
            "Send a quantity, or market_position_size with prev_market_position_size; to close all of "
            "it: close."
        )
        raise Malformed(f"{action} of a part needs a quantity", where=where, hint=hint)
    # Rounded up: quantities are rounded down later, and a third of 3 shares must become 1.
    percent = (-grown / before * HUNDRED).quantize(Decimal("1e-10"), ROUND_UP)
    return Size(kind=SizeKind.POSITION_PERCENT, value=min(percent, HUNDRED))


def read_entry(
    fields: Fields, size: Size | None, after: Decimal | None, closed: Decimal | None
) -> tuple[Size | None, str]:
    """The contracts of a TradingView reversal include closing the old position; DashTrade closes it
    separately, so only the opened part counts."""
    if size is None and after and "positionafter" in fields.named:
        return Size(kind=SizeKind.QUANTITY, value=after), ""
    if size and after and closed and size == Size(kind=SizeKind.QUANTITY, value=after + closed):
        note = (
            f"{plain(size.value)} closes {plain(closed)} and opens {plain(after)}: {plain(after)} is the size"
        )
        return Size(kind=SizeKind.QUANTITY, value=after), note
    return size, ""
