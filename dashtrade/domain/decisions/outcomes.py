"""What a decision proposes, and what it may come to. (`Approved` is made by risk alone, and stands there.)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.protections import ProtectionLock
from dashtrade.domain.reasons import NO_REASON, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    ok: bool
    reason: Reason
    fired: tuple[ProtectionLock, ...] = ()  # the protections that said no


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing is sent, and why. A skip (already long) is a refusal too."""

    reason: Reason
    counterfactual: Reason = NO_REASON
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    """Not now: decided anew at that time. An entry gives up its turn until then, so that nothing waits behind
    it."""

    until: datetime
    reason: Reason
    entry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the signal comes to before risk has spoken: reductions first, then at most one entry."""

    exits: tuple[Step, ...]
    entry: Step | None
    done: Reason = NO_REASON  # already carried out (orders cancelled), with nothing left to send
    new_exits: ExitState | None = None  # the position's exits from now on, where they change
