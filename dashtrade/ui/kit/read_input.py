"""Parses numbers and times as people write them: "5 000", "$5,000.50", "2 %". Ambiguous input is refused."""

from __future__ import annotations

import re
from decimal import Decimal

from dashtrade.domain.values import MAX_DIGITS, Malformed, plain

_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
_DIGITS = re.compile(
    r"(?:\d+|\d{1,3}(?:(?P<between>[ ,'’])\d{3})(?:(?P=between)\d{3})*)?(?P<rest>\.\d+)?|\d+\."
)
_EXPONENT = re.compile(r"[+-]?[\d.,]*\d[\d.,]*[eE][+-]?\d+")
_COMMA = re.compile(r"\d+,\d+|\d{1,3}(?:[. ]\d{3})+,\d+")
_TIME = re.compile(r"(\d{1,2})[:.](\d{2})")


def number(
    written: str,
    where: str,
    label: str,
    *,
    missing: str = "",
    above: int | None = 0,
    least: int | None = None,
    most: int | None = None,
    whole: bool = False,
    percent: bool = False,
) -> str | None:
    """Digits only; None for an empty field, unless `missing` says what belongs there. `label` is the
    field's name on the page."""
    cleaned = written.translate(_SPACES).strip()
    if not cleaned:
        if missing:
            raise Malformed(f"{label} is empty", where=where, hint=missing)
        return None
    if cleaned.endswith("%") and not percent:
        raise Malformed(
            f"{label}: {cleaned[:40]} is a percentage", where=where, hint="This field takes a plain number."
        )
    bare = (cleaned.removesuffix("%") if percent else cleaned.removeprefix("$")).strip()
    negative = bare[:1] in ("-", "−")
    bare = bare[1:].strip().removeprefix("" if percent else "$").strip() if negative else bare
    if _EXPONENT.fullmatch(bare):
        raise Malformed(
            f"{label}: {cleaned} may be meant in two ways",
            where=where,
            hint=f"Write it out in digits{_written_out(bare)}.",
        )
    if not bare or (not bare.isascii() and "’" not in bare) or not _DIGITS.fullmatch(bare):
        hint = (
            "A comma stands between thousands: write 5.5, or 5,500."
            if _COMMA.fullmatch(bare)
            else "Write a number such as 5,000 or 2.5."
        )
        raise Malformed(f"{label}: {cleaned[:40]} is no number", where=where, hint=hint)
    found = Decimal(re.sub(r"[ ,'’]", "", bare))
    found = found.copy_negate() if negative else found
    out_of_range = len(found.as_tuple().digits) > MAX_DIGITS or (whole and found != int(found))
    low = (above is not None and found <= above) or (least is not None and found < least)
    if out_of_range or low or (most is not None and found > most):
        raise Malformed(f"{label} is {cleaned[:40]}", where=where, hint=_range(above, least, most, whole))
    return plain(found)


def _written_out(bare: str) -> str:
    digits, _, power = bare.lower().partition("e")
    try:
        found = Decimal(digits.replace(",", "")).scaleb(int(power)) if abs(int(power)) < 20 else None
    except ArithmeticError:
        return ""
    return f", such as {found:,f}" if found is not None else ""


def _range(above: int | None, least: int | None, most: int | None, whole: bool) -> str:
    begin = f"from {least:,}" if least is not None else f"above {above:,}" if above is not None else ""
    end = f"up to {most:,}" if most is not None else ""
    bounds = " ".join(part for part in (begin, end) if part)
    return f"Enter a {'whole ' if whole else ''}number {bounds}".rstrip() + "."


def clock(written: str, where: str, label: str, *, missing: str = "") -> str | None:
    """A time of day such as 15:55; "9.30" is accepted too."""
    cleaned = written.strip()
    if not cleaned:
        if missing:
            raise Malformed(f"{label} is empty", where=where, hint=missing)
        return None
    found = _TIME.fullmatch(cleaned)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise Malformed(f"{label}: {cleaned[:20]} is no time of day", where=where, hint="Write it as 15:55.")
    return f"{int(found[1]):02d}:{found[2]}"
