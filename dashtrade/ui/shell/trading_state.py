"""Whether a user's bots may trade now, in words: for the header of every page, and for stopping and
resuming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.switches import switches

STOPS = {
    Stop.PAUSE_ENTRIES: ("Entries paused", "warn"),
    Stop.REDUCE_ONLY: ("Reduce only", "warn"),
    Stop.HALT: ("Halted", "down"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    accounts: Sequence[Account]
    demo: bool
    stop: Stop
    for_everybody: bool  # stopped by the switch for all users
    text: str
    tone: str


def trading_state(app: App, user: User) -> TradingState:
    accounts = accounts_of(app, user)
    general = [one for one in switches(app, user) if one.scope in ("all", "user")]
    worst = max((one.stop for one in general), key=lambda stop: stop.weight, default=Stop.NONE)
    text, tone = STOPS.get(worst, ("Automatic trading on", "up"))
    for_everybody = worst is not Stop.NONE and any(
        one.scope == "all" and one.stop is worst for one in general
    )
    return TradingState(
        accounts=accounts,
        demo=all(account.built_in for account in accounts),
        stop=worst,
        for_everybody=for_everybody,
        text=f"{text} for all users" if for_everybody else text,
        tone=tone,
    )
