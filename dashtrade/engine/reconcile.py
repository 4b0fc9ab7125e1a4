"""Reconciliation: compares the broker's positions with ours, continuously, per account and asset.

Bots' positions + the user's own holdings = the broker's position. A comparison counts only if it proves
something: nothing of the asset was in flight or booked during the request. A difference counts when it is
seen twice with the same figure, some seconds apart, as brokers' figures lag. A broker that does not answer is
not flat: no conclusion is drawn. Until an account is compared once since this process started, nothing new is
sent there (`wait_reason`): not even an exit, whose size would rest on books that may have been changed by
hand meanwhile.

`expected_positions` has our side, `mismatches` stores the differences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.notices.people import BrokerAnswers, BrokerUnreachable
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
from dashtrade.domain.position_mismatch import asset_of, by_asset
from dashtrade.domain.reasons import NO_REASON, Code, Reason, quoted, reason
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.domain.wording import words
from dashtrade.engine import expected_positions, mismatches
from dashtrade.engine.expected_positions import ExpectedPositions
from dashtrade.engine.lanes import Leases
from dashtrade.engine.mismatches import MismatchFinding
from dashtrade.engine.order_recovery import OrderRecovery
from dashtrade.engine.outages import Outages, backoff_delay
from dashtrade.engine.refused_keys import disable_account
from dashtrade.engine.sending import Sender
from dashtrade.engine.workflow import run_sync
from dashtrade.tables import accounts as account_table
from dashtrade.tables import drifts as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.drifts import ReconciliationState

log = logging.getLogger("dashtrade.reconcile")

# with bots; without bots; the built-in paper broker
RECONCILE_EVERY, RECONCILE_EVERY_WITHOUT_BOTS, RECONCILE_EVERY_ON_PAPER = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
)
# before a difference is checked again, and before a failed broker is retried
RECHECK_AFTER = timedelta(seconds=3)
LONGEST_RETRY = timedelta(seconds=30)  # between retries while the broker is unreachable
NOTIFY_AFTER = timedelta(seconds=60)  # of a broker not answering, before its user is notified
STORE_STATE_EVERY = timedelta(minutes=1)  # precision of the stored time of the last comparison
# the lane of the whole account: one of several workers reconciles it
WHOLE_ACCOUNT = Symbol(market="ACCOUNT", base="ALL", quote="")


class NotReconciled(Unavailable):
    """Nothing may be sent until the account's positions are compared."""

    def __init__(self, why: Reason) -> None:
        super().__init__(words(why))
        self.why = why


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
        self.order_recovery = OrderRecovery(db, clock, sender)
        self._due_at: dict[int, datetime] = {}
        self._compared: set[int] = set()  # since this process started
        # assets that could not be compared, or differed, at the first check
        self._unsettled: dict[int, set[str]] = {}
        self._first_seen: dict[tuple[int, str], tuple[Decimal, datetime]] = {}
        self._last_error: dict[int, str] = {}

    def wait_reason(self, account_id: int, symbol: Symbol) -> Reason:
        """Why nothing may be sent for the symbol yet; NO_REASON if it may. An account that trades is compared
        more often from then on."""
        if account_id in self._due_at:  # an account never compared is due at once
            self._due_at[account_id] = min(self._due_at[account_id], self.clock.now() + RECONCILE_EVERY)
        if account_id not in self._compared:
            error = self._last_error.get(account_id)
            because = {"because": quoted(error)} if error else {}
            return reason(Code.WAITS_FOR_FIRST_COMPARISON, **because)
        if asset_of(symbol) in self._unsettled.get(account_id, ()):
            return reason(Code.WAITS_FOR_RECHECK, symbol=symbol.short)
        return NO_REASON

    def recheck_soon(self, account_id: int) -> None:
        """The account's broker answers again: compare soon, as orders wait for it."""
        if account_id in self._last_error:
            self._due_at[account_id] = self.clock.now()

    def due(self) -> list[int]:
        """Accounts to compare now. Each process compares each account until it is settled; after that only
        the holder of its lane."""
        now = self.clock.now()
        with self.db.read() as conn:
            active_accounts = account_table.active(conn)
        wanted = [account_id for account_id in active_accounts if self._due_at.get(account_id, now) <= now]
        for account_id in wanted:
            self._due_at[account_id] = now + RECONCILE_EVERY
        if self.db.is_sqlite:
            return wanted
        return [
            account_id
            for account_id in wanted
            if account_id not in self._compared
            or self._unsettled[account_id]
            or run_sync(self.db, self._leases.acquire(Lane(account_id, WHOLE_ACCOUNT))) is not None
        ]

    def reconcile(self, account_id: int) -> None:
        """Compare one account; may take as long as its broker does."""
        with self.db.read() as conn:
            account = account_table.load(conn, account_id)
        if account.problem or account.simulated:  # simulated positions need no reconciliation
            return
        broker = self._broker_of(account)
        try:
            if account_id not in self._compared:
                self._recover_orders(account, broker)
            before = self._expected(account)
            if any(before.orders.values()) and not broker.offers.local:
                self._collect(account_id)
                before = self._expected(account)
            broker_positions = broker.positions()
        except BadCredentials as error:
            run_sync(self.db, disable_account(self.clock, account_id, account.user_id, quoted(error.message)))
        except BrokerError as error:
            self._record_failure(account, error)
        else:
            self._compare(account, broker, before, self._expected(account), broker_positions)

    def _recover_orders(self, account: Account, broker: Broker) -> None:
        """A broker that cannot list orders is no reason not to trade: the positions show unknown orders
        too."""
        listing = broker.offers.listing
        if listing is None:
            return
        try:
            self.order_recovery.recover(account, broker, listing, self._since(account))
        except NotOffered as error:
            log.warning(
                "account %s: DashTrade's orders that are not on record cannot be searched: %s",
                account.id,
                error.message,
            )

    def _since(self, account: Account) -> datetime:
        """Orders before this were seen to agree. After a restored backup, that is the backup's time."""
        now = self.clock.now()
        with self.db.read() as conn:
            state = table.reconciliation_state(conn, account.id)
        last_at = state.at if state is not None and state.at is not None else now - timedelta(days=1)
        return max(last_at - timedelta(hours=1), now - timedelta(days=30))

    def _expected(self, account: Account) -> ExpectedPositions:
        now = self.clock.now()
        with self.db.read() as conn:
            return expected_positions.read(conn, account.id, now)

    # --- the comparison -------------------------------------------------------------------------------------

    def _compare(
        self,
        account: Account,
        broker: Broker,
        before: ExpectedPositions,
        after: ExpectedPositions,
        broker_positions: Sequence[BrokerPosition],
    ) -> None:
        now = self.clock.now()
        at_broker, positions = (
            by_asset((p.symbol, p.quantity) for p in broker_positions),
            {asset_of(p.symbol): p for p in broker_positions},
        )
        if after.state is None or after.state.first_at is None:
            self._start_tracking(account, after, at_broker, now)
            before = after = self._expected(account)
        unsettled, findings = set(), []
        for asset in sorted({*at_broker, *after.owned, *after.outside, *after.drifts}):
            if asset in after.in_flight or asset in before.in_flight or not before.unchanged(after, asset):
                self._first_seen.pop((account.id, asset), None)
                unsettled.add(asset)
                continue
            finding = mismatches.finding_of(asset, after, at_broker.get(asset, ZERO), positions.get(asset))
            verdict = self._judge(account, broker, after, finding, now)
            if isinstance(verdict, MismatchFinding):
                findings.append(verdict)
            elif verdict == "unsure":
                unsettled.add(asset)
        if findings and self._explained_by_orders(account, broker):
            unsettled |= {finding.asset for finding in findings}
        elif findings:
            self.db.write(lambda conn: mismatches.store_findings(conn, account, after, findings, now))
        self._due_at[account.id] = now + _delay(broker, after, unsettled)
        self._record_comparison(account, unsettled, now)

    def _record_comparison(self, account: Account, unsettled: set[str], now: datetime) -> None:
        is_first = account.id not in self._compared
        self._unsettled[account.id] = (
            unsettled if is_first else self._unsettled.get(account.id, set()) & unsettled
        )
        self._compared.add(account.id)
        self._last_error.pop(account.id, None)
        self.outages.recovered(account.id, "comparing")
        self._record_success(account, now)

    def _judge(
        self,
        account: Account,
        broker: Broker,
        after: ExpectedPositions,
        finding: MismatchFinding,
        now: datetime,
    ) -> MismatchFinding | str:
        """same | unsure | the finding, if seen twice: does it differ from the recorded one?"""
        asset, at_broker = finding.asset, finding.at_broker
        owned, outside, drift = (
            after.owned.get(asset, ZERO),
            after.outside.get(asset, ZERO),
            after.drifts.get(asset),
        )
        difference, key = at_broker - owned - outside, (account.id, asset)
        if difference == (drift.difference if drift is not None else ZERO):
            self._first_seen.pop(key, None)
            if drift is not None and (drift.bots_quantity, drift.outside, drift.broker_quantity) != (
                owned,
                outside,
                at_broker,
            ):
                figures = {"ours": owned, "outside": outside, "theirs": at_broker}
                self.db.write(lambda conn: table.change(conn, drift.id, **figures))
            return "same"
        if drift is None and not owned and _traded_by_no_bot(finding, after):
            self.db.write(
                lambda conn: table.put_outside(conn, account.user_id, account.id, asset, at_broker, now)
            )
            return "same"
        dust = self._dust(broker, finding.symbol, owned, difference)
        if dust is None:
            return "unsure"
        agrees = abs(difference) < dust
        if agrees and drift is None:
            self._first_seen.pop(key, None)
            return "same"
        first_seen = self._first_seen.get(key)
        if first_seen is not None and first_seen[0] == difference and now - first_seen[1] >= RECHECK_AFTER:
            return replace(finding, agrees=agrees or not difference)
        if first_seen is None or first_seen[0] != difference:
            self._first_seen[key] = (difference, now)
        return "unsure"

    def _dust(self, broker: Broker, symbol: Symbol, owned: Decimal, difference: Decimal) -> Decimal | None:
        """Smaller differences cannot be traded, or are unreported fees on a purchase. None: unknown now."""
        fee = (
            broker.capabilities.unseen_coin_fee * abs(owned)
            if symbol.is_crypto and difference * owned < 0
            else ZERO
        )
        try:
            return max(broker.rules(symbol).quantity_step, fee)
        except Rejected:  # no longer traded there: any amount counts
            return fee
        except BrokerError:
            return None

    def _explained_by_orders(self, account: Account, broker: Broker) -> bool:
        """Before the user is notified: does a late fill, or an unknown order of ours, explain the
        difference?"""
        listing = broker.offers.listing
        if listing is None:
            return False
        try:
            return self.order_recovery.recover(account, broker, listing, self.clock.now() - timedelta(days=1))
        except BrokerError as error:
            log.warning("account %s: its orders could not be listed: %s", account.id, error.message)
            return False

    # --- storing --------------------------------------------------------------------------------------------

    def _start_tracking(
        self, account: Account, expected: ExpectedPositions, at_broker: dict[str, Decimal], now: datetime
    ) -> None:
        """What the account held before DashTrade first traded there is its user's own, not a difference."""

        def work(conn: sa.Connection) -> None:
            account_table.lock_account(conn, account.id)
            if not trade_table.ever_traded(conn, account.id):
                for asset, quantity in at_broker.items():
                    table.put_outside(conn, account.user_id, account.id, asset, quantity, now)
            state = expected.state or ReconciliationState(account_id=account.id, user_id=account.user_id)
            table.put_reconciliation_state(conn, replace(state, first_at=now))

        self.db.write(work)

    def _record_success(self, account: Account, now: datetime) -> None:
        with self.db.read() as conn:
            state = table.reconciliation_state(conn, account.id)
        if state is None or (
            state.failing_since is None and state.at is not None and now - state.at < STORE_STATE_EVERY
        ):
            return

        def work(conn: sa.Connection) -> None:
            table.put_reconciliation_state(
                conn, replace(state, at=now, failing_since=None, problem="", notified=False)
            )
            if state.notified:
                message_table.notify(conn, account.user_id, BrokerAnswers(account=account.label), now=now)

        self.db.write(work)

    def _record_failure(self, account: Account, error: BrokerError) -> None:
        """A failure proves nothing and changes nothing. The user is notified once, after a minute."""
        now = self.clock.now()
        self._last_error[account.id] = error.message
        tries = self.outages.record_failure(account.id, "comparing", error.message)
        self._due_at[account.id] = now + max(
            getattr(error, "after", RECHECK_AFTER), backoff_delay(tries, RECHECK_AFTER, LONGEST_RETRY)
        )
        with self.db.read() as conn:
            state = table.reconciliation_state(conn, account.id)
        state = state or ReconciliationState(account_id=account.id, user_id=account.user_id)
        since = state.failing_since or now
        notify_now = now - since >= NOTIFY_AFTER and not state.notified
        if state.failing_since is not None and not notify_now:
            return

        def work(conn: sa.Connection) -> None:
            account_table.lock_account(conn, account.id)
            table.put_reconciliation_state(
                conn,
                replace(
                    state, failing_since=since, problem=error.message, notified=state.notified or notify_now
                ),
            )
            if notify_now:
                message_table.notify(
                    conn,
                    account.user_id,
                    BrokerUnreachable(
                        account=account.label,
                        problem=quoted(error.message),
                        compared=account.id in self._compared,
                    ),
                    now=now,
                )

        self.db.write(work)


def _delay(broker: Broker, after: ExpectedPositions, unsettled: set[str]) -> timedelta:
    """The delay before the next comparison."""
    if unsettled - after.in_flight:
        return RECHECK_AFTER
    if broker.offers.local:
        return RECONCILE_EVERY_ON_PAPER
    return RECONCILE_EVERY if after.traded_symbols else RECONCILE_EVERY_WITHOUT_BOTS


def _traded_by_no_bot(finding: MismatchFinding, after: ExpectedPositions) -> bool:
    """Fees, dust and rewards come and go in coins that no bot trades; without bots, nothing can differ."""
    return finding.asset not in after.traded_symbols and (
        finding.symbol.is_crypto or not after.traded_symbols
    )
