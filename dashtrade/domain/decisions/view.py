"""The input of a decision."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dashtrade.domain.bots import Bot, Day, Stop, Switch
from dashtrade.domain.decisions.netting import AccountHoldings
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.protections import ActiveLock, Guard
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action


@record
class WaitingEntry:
    """An entry of this bot that waits for the market to open."""

    decision_id: int
    signal_id: str
    sole_recipient: bool
    action: Action


@record
class View:
    """All data a decision may use. Taken at one moment, under the lock of the account."""

    bot: Bot
    working: tuple[Order, ...]  # this bot's open orders
    reserved: Decimal  # buying power for the account's orders that the broker may not count yet
    day: Day
    switches: tuple[Switch, ...]
    account_problem: Reason  # why the account may not trade
    received_at: datetime
    now: datetime
    expires_at: datetime | None  # after this the signal has expired
    cancelled_count: int  # orders already cancelled for this signal
    quote: Quote
    account: AccountState
    rules: Rules
    capabilities: Capabilities
    market_open: bool
    on_paper: bool = False  # the built-in paper broker executes it
    sole_bot_on_symbol: bool = True  # no other bot of the account trades this symbol
    others_orders: tuple[Order, ...] = ()  # open orders of the account's other bots on the symbol
    # the account's holdings, at a broker that nets positions; None: irrelevant
    shared: AccountHoldings | None = None
    drift: Drift | None = None  # a difference from the broker's books that its user has not resolved yet
    opens_at: datetime | None = None  # of a closed market, if known
    waiting: tuple[WaitingEntry, ...] = ()
    locks: tuple[ActiveLock, ...] = ()
    guards: tuple[Guard, ...] = ()

    @property
    def stop(self) -> Switch | None:
        """The strongest active switch; of two alike the wider."""
        on = [switch for switch in self.switches if switch.stop is not Stop.NONE]
        return max(on, key=lambda switch: (switch.stop.weight, -switch.width), default=None)
