"""Are the venue's books and ours the same? Asked all the time, per account and asset.

What the bots own + what their user keeps outside of them = what the venue says. It is only held against the
venue where that is provable: nothing of the asset was under way or booked while the venue was asked. And a
difference counts when it is seen twice with the same figure, some seconds apart, as venues lag behind
themselves. A venue that does not answer is not flat: nothing is concluded from silence. Until an account was
compared once since this process began, nothing new is sent there (`gate`): not even a way out, whose size
would rest on books that may have been changed by hand meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.notices.people import BrokerAnswers, BrokerUnreachable
from dashtrade.domain.notices.trading import MismatchGone, PositionMismatch
from dashtrade.domain.orders import IN_DOUBT, Order, OrderStatus
from dashtrade.domain.ports import (
    BadCredentials,
    Broker,
    BrokerError,
    BrokerPosition,
    Clock,
    NotOffered,
    Rejected,
    Unavailable,
)
from dashtrade.domain.position_mismatch import (
    Drift,
    DriftStatus,
    asset_of,
    by_asset,
    kind_of,
    split_ratio,
    words_of,
)
from dashtrade.domain.reasons import told
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.engine.lanes import Leases
from dashtrade.engine.order_recovery import Adopter
from dashtrade.engine.outages import Outages, backed_off
from dashtrade.engine.sending import Sender
from dashtrade.engine.workflow import drive
from dashtrade.tables import accounts as account_table
from dashtrade.tables import drifts as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.drifts import State
from dashtrade.tables.lanes import Lane

log = logging.getLogger("dashtrade.reconcile")

# with bots; without; our own paper books
EVERY, SELDOM, NEVER = timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10)
# until a difference is looked at a second time, and a venue that failed is asked again
AGAIN = timedelta(seconds=3)
AWAY_MOST = timedelta(seconds=30)  # between two tries while it stays away
FILLING = timedelta(seconds=15)  # an order that has stood longer than this rests
PATIENCE = timedelta(seconds=60)  # with a venue that does not answer, until its user is told
NOTED = timedelta(minutes=1)  # how exactly the time of the last comparison is kept
# the lane of an account as a whole: of several workers one compares it
WHOLE = Symbol(market="ACCOUNT", base="ALL", quote="")


class NotYet(Unavailable):
    """The account was not compared since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What we think there is, at one moment."""

    ours: dict[str, Decimal]
    cost: dict[str, Decimal]
    bots: dict[str, Symbol]  # what living bots trade: asset, and how it is written
    orders: dict[str, tuple[Any, ...]]
    flying: frozenset[str]  # assets with an order that may fill at any moment
    outside: dict[str, Decimal]
    drifts: dict[str, Drift]
    state: State | None

    def same(self, other: Ledger, asset: str) -> bool:
        """Nothing was sent, filled or booked between the two."""
        return all(
            getattr(self, part).get(asset) == getattr(other, part).get(asset)
            for part in ("ours", "cost", "orders", "outside")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference that was seen twice, or its end."""

    asset: str
    symbol: Symbol
    theirs: Decimal
    average: Decimal | None
    mark: Decimal | None
    agrees: bool = False


class Reconciler:
    def __init__(
        self,
        db: Database,
        clock: Clock,
        broker_of: Callable[[Account], Broker],
        sender: Sender,
        leases: Leases,
        collect: Callable[[int], Sequence[Lane]],
        outages: Outages,
    ) -> None:
        self.db, self.clock, self._broker_of, self._sender, self._leases, self._collect = (
            db,
            clock,
            broker_of,
            sender,
            leases,
            collect,
        )
        self.outages = outages
        self.adopter = Adopter(db, clock, sender)
        self._next: dict[int, datetime] = {}
        self._compared: set[int] = set()  # since this process began
        # assets that could not be compared at the first look, or differed
        self._unsure: dict[int, set[str]] = {}
        self._seen: dict[tuple[int, str], tuple[Decimal, datetime]] = {}
        self._why: dict[int, str] = {}

    def gate(self, account_id: int, symbol: Symbol) -> str:
        """Why nothing may be sent for the symbol yet; empty when it may. Who trades is compared more often
        from then on."""
        if account_id in self._next:  # one that was never compared is due at once
            self._next[account_id] = min(self._next[account_id], self.clock.now() + EVERY)
        if account_id not in self._compared:
            why = self._why.get(account_id)
            return "waits until the account has been compared with the broker's books" + (
                f": {why}" if why else ", as always after a start"
            )
        if asset_of(symbol) in self._unsure.get(account_id, ()):
            return (
                f"waits a few seconds: the broker's {symbol.short} is being compared once more, as it "
                "differs or has just traded"
            )
        return ""

    def soon(self, account_id: int) -> None:
        """Its broker answers again: what waits for the comparison need not wait for the next one."""
        if account_id in self._why:
            self._next[account_id] = self.clock.now()

    def due(self) -> list[int]:
        """Accounts to be compared now. Each process looks until it is sure of each; then, of several, the one
        that holds its lane."""
        now = self.clock.now()
        with self.db.read() as conn:
            every = account_table.active(conn)
        wanted = [account_id for account_id in every if self._next.get(account_id, now) <= now]
        for account_id in wanted:
            self._next[account_id] = now + EVERY
        if self.db.is_sqlite:
            return wanted
        return [
            i
            for i in wanted
            if i not in self._compared
            or self._unsure[i]
            or drive(self.db, self._leases.hold(Lane(i, WHOLE))) is not None
        ]

    def look(self, account_id: int) -> None:
        """Compare one account. May take as long as its venue takes."""
        with self.db.read() as conn:
            account = account_table.load(conn, account_id)
        if account.problem or account.simulated:  # what is made up needs no books
            return
        broker = self._broker_of(account)
        try:
            if account_id not in self._compared:
                self._adopt(account, broker)
            before = self._ledger(account)
            if any(before.orders.values()) and not broker.offers.local:
                self._collect(account_id)
                before = self._ledger(account)
            found = broker.positions()
        except BadCredentials as error:
            drive(self.db, self._sender.disable_account(account_id, account.user_id, told(error.message)))
        except BrokerError as error:
            self._failed(account, error)
        else:
            self._compare(account, broker, before, self._ledger(account), found)

    def _adopt(self, account: Account, broker: Broker) -> None:
        """What orders of ours did that we do not know, the positions tell as well: a venue that lists none is
        no reason not to trade."""
        listing = broker.offers.listing
        if listing is None:
            return
        try:
            self.adopter.look(account, broker, listing, self._since(account))
        except NotOffered as error:
            log.warning(
                "account %s: orders of ours that are not on record cannot be looked for: %s",
                account.id,
                error.message,
            )

    def _since(self, account: Account) -> datetime:
        """Orders of before this were seen to agree. After a restored backup that is the backup's time."""
        now = self.clock.now()
        with self.db.read() as conn:
            state = table.state(conn, account.id)
        last = state.at if state is not None and state.at is not None else now - timedelta(days=1)
        return max(last - timedelta(hours=1), now - timedelta(days=30))

    # --- what we think --------------------------------------------------------------------------------------

    def _ledger(self, account: Account) -> Ledger:
        now = self.clock.now()
        with self.db.read() as conn:
            rows, orders = table.owned(conn, account.id), order_table.open_in_account(conn, account.id)
            outside, drifts, state = (
                table.held_outside(conn, account.id),
                table.unresolved(conn, account.id),
                table.state(conn, account.id),
            )
        standing: dict[str, tuple[Any, ...]] = {}
        for order in orders:
            if order.status is not OrderStatus.CREATED:
                standing[asset_of(order.symbol)] = (
                    *standing.get(asset_of(order.symbol), ()),
                    (order.id, order.status, order.filled_quantity),
                )
        return Ledger(
            ours=by_asset((row.symbol, row.position_quantity) for row in rows),
            cost=by_asset((row.symbol, row.position_cost) for row in rows),
            bots={asset_of(row.symbol): row.symbol for row in reversed(rows) if row.deleted_at is None},
            orders=standing,
            flying=frozenset(asset_of(order.symbol) for order in orders if _flies(order, now)),
            outside=outside,
            drifts=drifts,
            state=state,
        )

    # --- the comparison -------------------------------------------------------------------------------------

    def _compare(
        self, account: Account, broker: Broker, before: Ledger, after: Ledger, found: Sequence[BrokerPosition]
    ) -> None:
        now = self.clock.now()
        theirs, told = by_asset((p.symbol, p.quantity) for p in found), {asset_of(p.symbol): p for p in found}
        first = account.id not in self._compared
        if after.state is None or after.state.first_at is None:
            self._begin(account, after, theirs, now)
            after = self._ledger(account)
            before = after
        unsure, findings = set(), []
        for asset in sorted({*theirs, *after.ours, *after.outside, *after.drifts}):
            if asset in after.flying or asset in before.flying or not before.same(after, asset):
                self._seen.pop((account.id, asset), None)
                unsure.add(asset)
                continue
            symbol = after.bots.get(asset) or (
                told[asset].symbol if asset in told else _symbol_of(asset, after)
            )
            position = told.get(asset)
            finding = Finding(
                asset=asset,
                symbol=symbol,
                theirs=theirs.get(asset, ZERO),
                average=position.average_price if position else None,
                mark=position.mark if position else None,
            )
            verdict = self._judge(account, broker, after, finding, now)
            if isinstance(verdict, Finding):
                findings.append(verdict)
            elif verdict == "unsure":
                unsure.add(asset)
        if findings and self._explained(account, broker):
            unsure |= {finding.asset for finding in findings}
        elif findings:
            self.db.write(lambda conn: _write(conn, account, after, findings, now))
        hurry = bool(unsure - after.flying)
        self._next[account.id] = now + (
            AGAIN if hurry else NEVER if broker.offers.local else EVERY if after.bots else SELDOM
        )
        self._unsure[account.id] = unsure if first else self._unsure.get(account.id, set()) & unsure
        self._compared.add(account.id)
        self._why.pop(account.id, None)
        self.outages.well(account.id, "comparing")
        self._went_well(account, now)

    def _judge(
        self, account: Account, broker: Broker, after: Ledger, finding: Finding, now: datetime
    ) -> Finding | str:
        """same | unsure | the finding, if it was seen twice: does it differ from what is on record?"""
        asset, ours, outside = (
            finding.asset,
            after.ours.get(finding.asset, ZERO),
            after.outside.get(finding.asset, ZERO),
        )
        difference, drift, key = finding.theirs - ours - outside, after.drifts.get(asset), (account.id, asset)
        if difference == (drift.difference if drift is not None else ZERO):
            self._seen.pop(key, None)
            if drift is not None and (drift.ours, drift.outside, drift.theirs) != (
                ours,
                outside,
                finding.theirs,
            ):
                self.db.write(
                    lambda conn: table.change(
                        conn, drift.id, ours=ours, outside=outside, theirs=finding.theirs
                    )
                )
            return "same"
        if (
            asset not in after.bots
            and not ours
            and drift is None
            and (finding.symbol.is_crypto or not after.bots)
        ):
            # Fees, dust and rewards come and go in coins that no bot trades; and where there are no bots,
            # nothing can differ.
            self.db.write(
                lambda conn: table.put_outside(conn, account.user_id, account.id, asset, finding.theirs, now)
            )
            return "same"
        dust = self._dust(broker, finding.symbol, ours, difference)
        if dust is None:
            return "unsure"
        agrees = abs(difference) < dust
        if agrees and drift is None:
            self._seen.pop(key, None)
            return "same"
        seen = self._seen.get(key)
        if seen is not None and seen[0] == difference and now - seen[1] >= AGAIN:
            return replace(finding, agrees=agrees or not difference)
        if seen is None or seen[0] != difference:
            self._seen[key] = (difference, now)
        return "unsure"

    def _dust(self, broker: Broker, symbol: Symbol, ours: Decimal, difference: Decimal) -> Decimal | None:
        """Less than this cannot be traded, or is what the venue takes out of a purchase without telling.
        None: not known now."""
        fee = (
            broker.capabilities.unseen_coin_fee * abs(ours)
            if symbol.is_crypto and difference * ours < 0
            else ZERO
        )
        try:
            return max(broker.rules(symbol).quantity_step, fee)
        except Rejected:  # it does not trade it (any more): every piece counts
            return fee
        except BrokerError:
            return None

    def _explained(self, account: Account, broker: Broker) -> bool:
        """Before its user is bothered: is it an order of ours that filled late, or that we do not know?"""
        listing = broker.offers.listing
        if listing is None:
            return False
        try:
            return self.adopter.look(account, broker, listing, self.clock.now() - timedelta(days=1))
        except BrokerError as error:
            log.warning("account %s: its orders could not be listed: %s", account.id, error.message)
            return False

    # --- what is written ------------------------------------------------------------------------------------

    def _begin(self, account: Account, ledger: Ledger, theirs: dict[str, Decimal], now: datetime) -> None:
        """What was there before DashTrade ever traded on the account is its user's own, and no reason for
        questions."""

        def work(conn: sa.Connection) -> None:
            account_table.hold(conn, account.id)
            if not trade_table.ever_traded(conn, account.id):
                for asset, quantity in theirs.items():
                    table.put_outside(conn, account.user_id, account.id, asset, quantity, now)
            state = ledger.state or State(
                account_id=account.id,
                user_id=account.user_id,
                first_at=None,
                at=None,
                failing_since=None,
                problem="",
                told=False,
            )
            table.put_state(conn, replace(state, first_at=now))

        self.db.write(work)

    def _went_well(self, account: Account, now: datetime) -> None:
        with self.db.read() as conn:
            state = table.state(conn, account.id)
        if state is None or (state.failing_since is None and state.at is not None and now - state.at < NOTED):
            return

        def work(conn: sa.Connection) -> None:
            table.put_state(conn, replace(state, at=now, failing_since=None, problem="", told=False))
            if state.told:
                message_table.notify(conn, account.user_id, BrokerAnswers(account=account.label), now=now)

        self.db.write(work)

    def _failed(self, account: Account, error: BrokerError) -> None:
        """Silence proves nothing, and changes nothing. Its user is told once, after a minute."""
        now = self.clock.now()
        self._why[account.id] = error.message
        tries = self.outages.failed(account.id, "comparing", error.message)
        self._next[account.id] = now + max(
            getattr(error, "after", AGAIN), backed_off(tries, AGAIN, AWAY_MOST)
        )
        with self.db.read() as conn:
            state = table.state(conn, account.id)
        state = state or State(
            account_id=account.id,
            user_id=account.user_id,
            first_at=None,
            at=None,
            failing_since=None,
            problem="",
            told=False,
        )
        since = state.failing_since or now
        tell = now - since >= PATIENCE and not state.told
        if state.failing_since is not None and not tell:
            return

        def work(conn: sa.Connection) -> None:
            account_table.hold(conn, account.id)
            table.put_state(
                conn, replace(state, failing_since=since, problem=error.message, told=state.told or tell)
            )
            if tell:
                message_table.notify(
                    conn,
                    account.user_id,
                    BrokerUnreachable(
                        account=account.label,
                        problem=told(error.message),
                        compared=account.id in self._compared,
                    ),
                    now=now,
                )

        self.db.write(work)


def _flies(order: Order, now: datetime) -> bool:
    """May a fill of it be on its way to us? A resting order is asked after just before; one not sent is
    nowhere yet."""
    if order.status in IN_DOUBT:
        return True
    return order.status is OrderStatus.WORKING and not order.rests and now - order.created_at < FILLING


def _symbol_of(asset: str, ledger: Ledger) -> Symbol:
    drift = ledger.drifts.get(asset)
    if drift is not None:
        return drift.symbol
    return (
        Symbol(market="CRYPTO", base=asset.removeprefix("CRYPTO:"), quote="USD")
        if asset.startswith("CRYPTO:")
        else Symbol.parse(asset)
    )


def _write(
    conn: sa.Connection, account: Account, after: Ledger, findings: Sequence[Finding], now: datetime
) -> None:
    """Open a drift, move its figures, or end it: unless something was booked since it was looked at."""
    account_table.hold(conn, account.id)
    owned = by_asset((row.symbol, row.position_quantity) for row in table.owned(conn, account.id))
    outside, drifts = table.held_outside(conn, account.id), table.unresolved(conn, account.id)
    for finding in findings:
        asset = finding.asset
        if owned.get(asset, ZERO) == after.ours.get(asset, ZERO) and outside.get(asset) == after.outside.get(
            asset
        ):
            _write_one(
                conn,
                account,
                drifts.get(asset),
                finding,
                owned.get(asset, ZERO),
                outside.get(asset, ZERO),
                after.cost.get(asset, ZERO),
                now,
            )


def _write_one(
    conn: sa.Connection,
    account: Account,
    drift: Drift | None,
    finding: Finding,
    ours: Decimal,
    outside: Decimal,
    cost: Decimal,
    now: datetime,
) -> None:
    symbol, theirs = finding.symbol, finding.theirs
    if finding.agrees:
        if drift is not None:
            _gone(conn, drift, ours, outside, theirs, now)
        return
    ratio = split_ratio(ours + outside, theirs, cost / ours if ours else None, finding.average)
    kind = kind_of(ours, outside, theirs, ratio)
    words = words_of(kind, ratio, symbol=symbol, ours=ours, outside=outside, theirs=theirs)
    figures = {
        "symbol": symbol,
        "kind": kind,
        "ours": ours,
        "outside": outside,
        "theirs": theirs,
        "average_price": finding.average,
        "mark": finding.mark,
        "ratio": ratio,
        "detail": words,
        "updated_at": now,
    }
    if drift is not None:
        table.change(conn, drift.id, **figures)
        return
    drift_id = table.open_one(
        conn, account.user_id, account_id=account.id, asset=finding.asset, opened_at=now, **figures
    )
    log.warning("account %s: drift %s: %s", account.id, drift_id, words)
    message_table.notify(
        conn,
        account.user_id,
        PositionMismatch(
            account=account.label,
            symbol=symbol.text,
            difference=kind,
            ratio=ratio,
            bots=ours,
            outside=outside,
            broker=theirs,
        ),
        now=now,
    )


def _gone(
    conn: sa.Connection, drift: Drift, ours: Decimal, outside: Decimal, theirs: Decimal, now: datetime
) -> None:
    """A frozen symbol stays frozen until its user says otherwise."""
    figures = {"ours": ours, "outside": outside, "theirs": theirs, "updated_at": now}
    if drift.status is DriftStatus.FROZEN:
        table.change(conn, drift.id, detail=f"{drift.detail} Since then the books agree again.", **figures)
        return
    table.change(conn, drift.id, status=DriftStatus.GONE, resolved_at=now, **figures)
    message_table.notify(
        conn, drift.user_id, MismatchGone(symbol=drift.symbol.text, quantity=theirs), now=now
    )
