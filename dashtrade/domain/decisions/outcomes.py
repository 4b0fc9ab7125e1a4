"""What a decision proposes, and what it may come to. (`Approved` is made by risk alone, and stands there.)"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.protections import Fired


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    ok: bool
    detail: str
    numbers: dict[str, str] = field(default_factory=dict)
    fired: tuple[Fired, ...] = ()  # the protections that said no


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing is sent, and why. A skip (already long) is a refusal too."""

    reason: str
    numbers: dict[str, str] = field(default_factory=dict)
    would: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not now: decided anew at that time. An entry gives up its turn until then, so that nothing waits behind
    it."""

    until: datetime
    reason: str
    entry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the signal comes to before risk has spoken: reductions first, then at most one entry."""

    exits: tuple[Step, ...]
    entry: Step | None
    done: str = ""  # already carried out (orders taken back), with nothing left to send
    keeps: dict[str, Any] | None = None
