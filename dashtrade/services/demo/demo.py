"""Try the demo: an account without a form, with paper money and a week behind it.

The week is lived, not painted: three sample bots are told what a crossing of two moving averages would have
told them, on the demo prices of the last seven days, and the engine decides, fills and books by its own
rules, in a database in memory with a clock that is moved on. What came of it, win or lose, is then copied
into the real database in one commit.

From then on the bots wait for alerts, as everybody's do. A demo that nobody uses for thirty days goes, with
its data."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.accounts import PAPER
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.notices.people import DemoStarted
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.engine.watch import Watch
from dashtrade.limits import network_of
from dashtrade.locks import NotMyTurn
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people import admin, emails, invitations, passwords, removal, users
from dashtrade.services.people.sessions import DEMO_LIFE
from dashtrade.services.people.users import Denied
from dashtrade.tables import bots as bot_table
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.admin_queries import HISTORY
from dashtrade.tables.base import added_id, metadata

MOST = 200  # demos alive
PER_HOUR = 5  # from one address
PATIENCE = 5.0  # seconds that one waits for another's to be made
ALERTS = 2000  # that one of them takes in all
WEEK = timedelta(days=7)
CASH = "100000"
LOOKS = timedelta(hours=1)  # how often the risk watch looks, in that week
RESTED = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A bot, and the two moving averages whose crossing it is told of: to go with it, or against it."""

    bot: dict[str, Any]
    fast: int
    slow: int
    against: bool = False


SAMPLES = (
    Sample(
        bot={
            "name": "Bitcoin trend",
            "symbol": "BTCUSD",
            "timeframe": "1 Hour",
            "position_size": "12000",
            "daily_loss_limit": "600",
        },
        fast=6,
        slow=18,
    ),
    Sample(
        bot={
            "name": "Ether swing",
            "symbol": "ETHUSD",
            "timeframe": "4 Hour",
            "position_size": "9000",
            "risk_limit_percent": "4",
        },
        fast=3,
        slow=8,
        against=True,
    ),
    Sample(
        bot={
            "name": "Apple reversal",
            "symbol": "NASDAQ:AAPL",
            "timeframe": "1 Hour",
            "position_size": "8000",
            "cooldown_seconds": 600,
        },
        fast=5,
        slow=14,
        against=True,
    ),
)


class ReplayClock:
    """A time that is set, and goes on a little with every look at it, as time does."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=3)
        return self.at


# --- beginning ----------------------------------------------------------------------------------------------


def start(app: App, *, address: str) -> int:
    """A new demo user; Denied where there are enough of them. One at a time: it is much work, and those that
    begin at once would otherwise be counted before any of them is there."""
    address = network_of(address)
    try:
        with app.db.alone("demo", patience=PATIENCE):
            return _start(app, address)
    except NotMyTurn:
        raise Denied(
            "others are beginning a demo at this moment", "Try again in a moment.", retry_after=5
        ) from None


def _start(app: App, address: str) -> int:
    _check_room(app, address)
    now = app.clock.now()
    with _unlogged():
        past = _live_a_week(app, now)
    try:
        with past.db.read() as old:
            return app.db.write(lambda conn: _move_in(conn, old, now=now, address=address))
    finally:
        past.close()


def _check_room(app: App, address: str) -> None:
    if not admin.demo_offered(app):
        raise Denied("there is no demo here", "Ask an admin for an invitation.")
    now = app.clock.now()
    with app.db.read() as conn:
        here, alive = table.demos_from(conn, address, now - timedelta(hours=1)), table.demos_alive(conn)
    if here >= PER_HOUR:
        raise Denied(
            "enough demos were begun from your address",
            "Go on with one of them, or come back in an hour.",
            retry_after=3600,
        )
    if alive >= MOST:
        raise Denied(
            "all demos are taken at the moment",
            "Come back later: one that nobody uses ends after 30 days.",
            retry_after=3600,
        )


def claim(
    app: App, user: User, *, email: str, name: str, password: str, code: str | None, address: str
) -> None:
    """The demo becomes a real account; its bots, history and settings stay. Whoever needs an invitation to
    join needs one here."""
    email, now = emails.read_email(email), app.clock.now()
    invited = invitations.may_join(app, code or None, email)
    passwords.check(password, email, name)
    stored = passwords.hashed(password)

    def work(conn: sa.Connection) -> None:
        users.check_free(conn, email)
        if invited is not None and not (
            invitations.still_invites(conn, invited)
            and invitation_table.use_invitation(conn, invited.id, now)
        ):
            raise Denied("this invitation was used already", "Ask for another one.")
        role = Role(invited.role) if invited is not None else Role.STANDARD
        shown = " ".join(name.split())[:80] or email.split("@")[0]
        table.change(
            conn,
            user.id,
            email=email,
            name=shown,
            password_hash=stored,
            role=role,
            demo_until=None,
            demo_address=None,
        )
        message_table.record(
            conn,
            actor=user.id,
            action="demo became an account",
            now=now,
            subject=user.id,
            detail={"email": email},
            address=address,
        )

    app.db.write(work)


def check_alerts(app: App, user: User) -> None:
    """A demo takes a good many alerts, and not more: whoever has its address could send them without end."""
    if user.demo_until is None:
        return
    with app.db.read() as conn:
        if not signal_table.room_for(conn, user.id, ALERTS):
            raise Refusal(
                f"this demo has had its {ALERTS:,} alerts",
                "Turn it into a real account first, on the Account page.",
            )


def end_old(app: App) -> int:
    """Those that nobody has used for a month go."""
    now = app.clock.now()
    with app.db.read() as conn:
        over = table.demos_over(conn, now)
    for user_id in over:
        removal.remove(app, user_id, actor=None, action="demo ended")
    return len(over)


# --- the week -----------------------------------------------------------------------------------------------


_replaying: ContextVar[bool] = ContextVar("replaying", default=False)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """The log tells what happens here; what is lived through again in memory does not."""
    for name in ("dashtrade.engine", "dashtrade.orders", "dashtrade.watch"):
        logging.getLogger(name).addFilter(_happened)  # a second time changes nothing
    token = _replaying.set(True)
    try:
        yield
    finally:
        _replaying.reset(token)


def _happened(record: logging.LogRecord) -> bool:
    return not _replaying.get()


def _live_a_week(app: App, end: datetime) -> App:
    """An application in memory in which a user has lived through the last seven days."""
    clock = ReplayClock(end - WEEK - timedelta(hours=1))
    past = app.in_memory(clock)
    user = _settle(past)
    watch, looked = Watch(past.db, clock, past.brokers.feed), clock.at
    for at, sample, action in sorted(_crossings(past, clock.at, end), key=lambda found: found[0]):
        while looked + LOOKS < at:
            looked = clock.at = looked + LOOKS
            for lane in watch.look():
                past.engine.run_lane(lane)
        clock.at = looked = at + timedelta(seconds=2)
        _resume(past, user, RESTED)
        _tell(past, user, sample, action, at)
    clock.at = end
    _resume(past, user, timedelta(0))
    return past


def _resume(past: App, user: User, rested: timedelta) -> None:
    """A limit that was passed stops a bot until its user resumes it, which here takes them half a day."""
    with past.db.read() as conn:
        stopped = [
            bot
            for bot in bot_table.list_page(conn, user.id)
            if not bot.is_active and past.clock.now() - bot.updated_at > rested
        ]
    for bot in stopped:
        bots.set_active(past, user, bot.id, True)


def _settle(past: App) -> User:
    now = past.clock.now()
    values = {
        "email": "demo",
        "name": "Demo",
        "password_hash": "-",
        "role": Role.STANDARD,
        "time_zone": "UTC",
        "created_at": now,
        "last_login_at": None,
    }

    def add(conn: sa.Connection) -> User:
        found = table.by_id(conn, table.add(conn, **values))
        assert found is not None
        return found

    user = past.db.write(add)
    account = accounts.add_account(
        past,
        user,
        broker=PAPER,
        mode="paper",
        label="Demo account",
        credentials={},
        options={"starting_cash": CASH, "fee_percent": "0.02", "slippage_percent": "0.01"},
    )
    for sample in SAMPLES:
        bots.add_bot(past, user, {"account_id": account, **sample.bot})
    return user


def _crossings(past: App, start: datetime, end: datetime) -> Iterator[tuple[datetime, Sample, str]]:
    """When the fast average of a bot's candles crosses the slow one: (the candle's close, the bot, buy or
    sell)."""
    for sample in SAMPLES:
        frame = Timeframe.parse(sample.bot["timeframe"])
        span = timedelta(seconds=frame.seconds)
        candles = past.feed.candles(
            Symbol.parse(sample.bot["symbol"]),
            frame,
            end=end,
            count=int((end - start) / span) + sample.slow + 2,
        )
        closed = [candle for candle in candles if candle.at + span <= end]
        above: bool | None = None
        for place in range(sample.slow, len(closed)):
            fast, slow = (
                sum((c.close for c in closed[place - size : place]), Decimal(0)) / size
                for size in (sample.fast, sample.slow)
            )
            at, was, above = closed[place - 1].at + span, above, fast > slow
            if was is not None and was is not above and at > start:
                yield at, sample, "buy" if above is not sample.against else "sell"


def _tell(past: App, user: User, sample: Sample, action: str, at: datetime) -> None:
    raw = json.dumps(
        {
            "action": action,
            "symbol": sample.bot["symbol"],
            "timeframe": sample.bot["timeframe"],
            "id": f"{at:%Y%m%d%H%M}",
        }
    )
    past.engine.accept(user.id, parse(raw.encode()), raw=raw, origin=Origin.WEBHOOK, sender=HISTORY)
    for lane in past.engine.open_lanes():
        past.engine.run_lane(lane)


# --- into the real database ---------------------------------------------------------------------------------

_MOVED = (  # in this order: what is referred to comes first
    "user_api_keys",
    "paper_accounts",
    "paper_positions",
    "paper_orders",
    "paper_fills",
    "user_bot_configs",
    "bot_performance",
    "signals",
    "decisions",
    "orders",
    "order_events",
    "fills",
    "lots",
    "bot_trades",
    "round_trips",
    "bot_risk_events",
    "outbox",
)
_REFERS = {
    "user_id": "users",
    "account_id": "user_api_keys",
    "bot_id": "user_bot_configs",
    "decision_id": "decisions",
}
_REFERRED = {"user_api_keys", "user_bot_configs", "decisions", "fills"}


def _move_in(conn: sa.Connection, old: sa.Connection, *, now: datetime, address: str) -> int:
    """Every row of the past, under numbers of this database."""
    user_id = table.add(
        conn,
        email=f"demo-{secrets.token_hex(8)}@demo.invalid",
        name="Demo",
        password_hash=passwords.NOBODY,
        role=Role.STANDARD,
        time_zone="UTC",
        created_at=now,
        last_login_at=now,
        demo_until=now + DEMO_LIFE,
        demo_address=address,
    )
    numbers: dict[str, dict[Any, Any]] = {"users": {1: user_id}}
    for name in _MOVED:
        source = metadata.tables[name]
        rows = [
            _renumbered(source, row._asdict(), numbers)
            for row in old.execute(sa.select(source).order_by(*source.primary_key.columns))
        ]
        if name == "outbox":
            rows = [row | {"read_at": now} for row in rows]
        if name in _REFERRED:
            numbers[name] = {row.pop("id"): added_id(conn, sa.insert(source).values(**row)) for row in rows}
        elif rows:
            numbered = source.c.get("id") is not None and source.c.id.autoincrement is True
            conn.execute(
                sa.insert(source),
                [{n: v for n, v in row.items() if not (numbered and n == "id")} for row in rows],
            )
    message_table.record(
        conn, actor=user_id, action="demo started", now=now, subject=user_id, address=address
    )
    message_table.notify(conn, user_id, DemoStarted(bots=len(SAMPLES)), now=now)
    return user_id


def _renumbered(source: sa.Table, row: dict[str, Any], numbers: dict[str, dict[Any, Any]]) -> dict[str, Any]:
    changed = {name: numbers[of][row[name]] for name, of in _REFERS.items() if name in row}
    if source.name == "lots":
        changed["fill_id"] = numbers["fills"][row["fill_id"]]
    return row | changed
