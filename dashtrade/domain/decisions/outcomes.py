"""Proposals and outcomes of a decision. (`Approved` is only created by `risk`, and defined there.)"""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.exits.state import ExitState
from dashtrade.domain.protections import ProtectionLock
from dashtrade.domain.reasons import NO_REASON, Reason
from dashtrade.domain.record import record


@record
class Check:
    name: str
    ok: bool
    reason: Reason
    triggered: tuple[ProtectionLock, ...] = ()  # the protections that blocked it


@record
class Refused:
    """Nothing is sent, and why. A skipped signal (already long) counts as refused too."""

    reason: Reason
    counterfactual: Reason = NO_REASON
    checks: tuple[Check, ...] = ()


@record
class Defer:
    """Not now: decided again at that time. An entry gives up its place until then, so that nothing waits
    behind it."""

    until: datetime
    reason: Reason
    entry: bool


@record
class Proposal:
    """The signal's orders before the risk rules: reductions first, then at most one entry."""

    exits: tuple[Step, ...]
    entry: Step | None
    done: Reason = NO_REASON  # already done (orders cancelled), with nothing left to send
    new_exits: ExitState | None = None  # the position's new exits, if they change
