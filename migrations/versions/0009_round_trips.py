"""Round trips, made from the fills there are; what days won and lost is counted by them.

A position that was handed to another bot, or split, is followed by what the log and the risk events say of
it."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

from dashtrade.domain.round_trips import Execution, changes, exit_reason, tally
from dashtrade.domain.signals import ExitCause
from dashtrade.domain.values import ZERO, OrderSide, OrderType
from dashtrade.tables import base

revision = "0009_round_trips"
down_revision = "0008_nonces"

AT_ONCE = 5000  # fills in memory
INDEXES = (
    ("held_now", ("bot_id",), False),
    ("open", ("user_id", "opened_at", "id"), False),
    ("closed", ("user_id", "closed_at", "id"), True),
    ("bot", ("bot_id", "closed_at", "id"), True),
    ("symbol", ("user_id", "symbol", "closed_at", "id"), True),
    ("net", ("user_id", "net_value", "id"), True),
    ("percent", ("user_id", "percent_value", "id"), True),
    ("length", ("user_id", "held_seconds", "id"), True),
)


def _table(name, **columns):
    return sa.table(name, *(sa.column(column, kind) for column, kind in columns.items()))


TEXT, ID, NUMBER, MOMENT = sa.Text(), base.BigId, base.ExactDecimal(), base.UtcTime()
bots = _table("user_bot_configs", id=ID, symbol=base.Instrument(), day=sa.Date(), day_wins=ID, day_losses=ID)
fills = _table(
    "fills",
    id=ID,
    user_id=ID,
    account_id=ID,
    bot_id=ID,
    order_id=TEXT,
    side=TEXT,
    quantity=NUMBER,
    price=NUMBER,
    fee=NUMBER,
    fee_base=NUMBER,
    realized=NUMBER,
    at=MOMENT,
    booked_at=MOMENT,
)
orders = _table(
    "orders",
    id=TEXT,
    signal_id=TEXT,
    effect=TEXT,
    type=TEXT,
    status=TEXT,
    broker_order_id=TEXT,
    parent_id=TEXT,
    exits=base.Json(),
)
signals = _table("signals", id=TEXT, origin=TEXT, dedupe_key=TEXT)
risk_events = _table(
    "bot_risk_events", id=ID, bot_id=ID, at=MOMENT, kind=TEXT, threshold=NUMBER, actual=NUMBER
)
audit = _table("audit_log", id=ID, at=MOMENT, action=TEXT, subject_id=ID, detail=base.Json())
performance = _table("bot_performance", bot_id=ID, day=sa.Date(), wins=ID, losses=ID)
trips = _table(
    "round_trips",
    user_id=ID,
    account_id=ID,
    bot_id=ID,
    symbol=base.Instrument(),
    currency=TEXT,
    side=TEXT,
    entry_quantity=NUMBER,
    entry_notional=NUMBER,
    exit_quantity=NUMBER,
    exit_notional=NUMBER,
    realized=NUMBER,
    fees=NUMBER,
    opened_at=MOMENT,
    closed_at=MOMENT,
    entry_signal_id=TEXT,
    exit_signal_id=TEXT,
    exit_reason=TEXT,
    on_paper=sa.Boolean(),
    net_value=sa.Float(),
    percent_value=sa.Float(),
    held_seconds=ID,
)


def upgrade() -> None:
    op.create_table(
        "round_trips",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        *(
            sa.Column(name, base.ExactDecimal(), nullable=False)
            for name in (
                "entry_quantity",
                "entry_notional",
                "exit_quantity",
                "exit_notional",
                "realized",
                "fees",
            )
        ),
        sa.Column("opened_at", base.UtcTime(), nullable=False),
        sa.Column("closed_at", base.UtcTime(), nullable=True),
        sa.Column("entry_signal_id", sa.Text(), nullable=False),
        sa.Column("exit_signal_id", sa.Text(), nullable=True),
        sa.Column("exit_reason", sa.Text(), nullable=False),
        sa.Column("on_paper", sa.Boolean(), nullable=False),
        sa.Column("net_value", sa.Float(), nullable=True),
        sa.Column("percent_value", sa.Float(), nullable=True),
        sa.Column("held_seconds", base.BigId, nullable=True),
        sa.ForeignKeyConstraint(["bot_id"], ["user_bot_configs.id"], name=op.f("fk_round_trips_bot_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_round_trips_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_trips")),
    )
    _from_fills(op.get_bind())
    for name, columns, closed in INDEXES:
        which = sa.text("closed_at IS NOT NULL" if closed else "closed_at IS NULL")
        op.create_index(
            f"ix_round_trips_{name}",
            "round_trips",
            list(columns),
            unique=False,
            sqlite_where=which,
            postgresql_where=which,
        )


def _from_fills(conn) -> None:
    """In the order in which they were booked, as booking does it from now on."""
    symbols = dict(conn.execute(sa.select(bots.c.id, bots.c.symbol)).all())
    elsewhere = _elsewhere(conn)
    held, latest, trailing, ready = defaultdict(lambda: ZERO), {}, {}, []
    days = defaultdict(lambda: [0, 0])
    for row in _fills(conn):
        while elsewhere and elsewhere[-1][0] <= row.booked_at:
            _happened(elsewhere.pop(), held, latest, trailing, ready)
        bot_id, side, before = row.bot_id, OrderSide(row.side), latest.get(row.bot_id)
        begins = held[bot_id] * side.sign >= 0 and (before is None or not before.is_open)
        trailing[bot_id] = _trails(row.exits) or (trailing.get(bot_id, False) and not begins)
        seen = _execution(row, held[bot_id], side, symbols[bot_id], trailing[bot_id])
        found = changes(before, seen)
        counted = tally(found)
        day = days[bot_id, row.booked_at.date()]
        day[0] += counted.wins
        day[1] += counted.losses
        held[bot_id] += seen.quantity * side.sign
        if before is not None and found[0][0] is None:
            ready.append(before)
        ready += [trip for _, trip in found[:-1]]
        latest[bot_id] = found[-1][1]
        if len(ready) >= AT_ONCE:
            _put(conn, ready)
            ready = []
    _put(conn, [*ready, *latest.values()])
    _count(conn, days)


def _fills(conn):
    last = (
        sa.select(sa.func.max(fills.c.id).label("id"))
        .where(fills.c.order_id == orders.c.id)
        .correlate(orders)
        .scalar_subquery()
    )
    f, o, s = fills.c, orders.c, signals.c
    query = (
        sa.select(
            *f,
            o.signal_id,
            o.effect,
            o.type,
            o.status,
            o.broker_order_id,
            o.parent_id,
            o.exits,
            s.origin,
            s.dedupe_key,
            last.label("last"),
        )
        .join_from(fills, orders, o.id == f.order_id)
        .join(signals, s.id == o.signal_id, isouter=True)
        .order_by(f.id)
        .limit(AT_ONCE)
    )
    page = conn.execute(query).all()
    while page:
        yield from page
        page = conn.execute(query.where(f.id > page[-1].id)).all()


def _elsewhere(conn) -> list:
    """(when, bot, the share that is then held, who then has it): splits and positions handed over, the last
    one first."""
    split = sa.select(risk_events).where(risk_events.c.kind == "split")
    given = sa.select(audit).where(audit.c.action == "position handed over")
    found = [(row.at, row.bot_id, (row.threshold, row.actual), None) for row in conn.execute(split)]
    found += [(row.at, row.subject_id, None, row.detail["to"]) for row in conn.execute(given)]
    return sorted(found, key=lambda one: one[0], reverse=True)


def _happened(what, held, latest, trailing, ready) -> None:
    _, bot_id, amounts, heir = what
    trip = latest.get(bot_id)
    if heir is not None:
        held[heir], held[bot_id] = held[bot_id], ZERO
        if trip is not None and trip.is_open:
            ready += [latest[heir]] if heir in latest else []
            latest[heir], trailing[heir] = (
                replace(latest.pop(bot_id), bot_id=heir),
                trailing.pop(bot_id, False),
            )
        return
    was, now = amounts
    held[bot_id] = now
    if trip is not None and trip.is_open:
        latest[bot_id] = replace(
            trip, entry_quantity=trip.entry_quantity * now / was, exit_quantity=trip.exit_quantity * now / was
        )


def _trails(exits) -> bool:
    return bool(((exits or {}).get("stop_loss") or {}).get("trailing"))


def _execution(row, held: Decimal, side: OrderSide, symbol, trailing: bool) -> Execution:
    return Execution(
        user_id=row.user_id,
        account_id=row.account_id,
        bot_id=row.bot_id,
        symbol=symbol,
        signal_id=row.signal_id,
        held=held,
        side=side,
        quantity=row.quantity - row.fee_base,
        price=row.price,
        realized=row.realized,
        fee=row.fee + row.fee_base * row.price,
        at=row.at,
        completes=row.effect == "close" and row.status == "filled" and row.last == row.id,
        on_paper=(row.broker_order_id or "").startswith("P-"),
        reason=exit_reason(
            origin=row.origin or "",
            cause=_cause(row.origin or "", row.dedupe_key or ""),
            order_type=OrderType(row.type),
            held_at_broker=row.parent_id is not None,
            trailing=trailing,
        ),
    )


def _cause(origin: str, key: str) -> ExitCause | None:
    """Signals had their cause at the beginning of their key then: `stop_loss-01ab…`."""
    name = key.rpartition("|")[2].partition("-")[0]
    own = {
        "user": {ExitCause.FLATTEN},
        "replay": {ExitCause.FLATTEN},
        "exit": set(ExitCause),
        "risk": set(ExitCause),
    }
    return ExitCause(name) if name in own.get(origin, ()) else None


def _put(conn, found) -> None:
    fields = [
        column.name
        for column in trips.c
        if column.name not in ("currency", "net_value", "percent_value", "held_seconds")
    ]
    rows = []
    for trip in found:
        row = {name: getattr(trip, name) for name in fields} | {"currency": trip.symbol.currency}
        over = not trip.is_open
        row |= {
            "net_value": float(trip.net) if over else None,
            "percent_value": float(trip.percent or 0) if over else None,
            "held_seconds": int(trip.held.total_seconds()) if over else None,
        }
        rows.append(row)
    if rows:
        conn.execute(sa.insert(trips), rows)


def _count(conn, days) -> None:
    conn.execute(sa.update(performance).values(wins=0, losses=0))
    conn.execute(sa.update(bots).values(day_wins=0, day_losses=0))
    for (bot_id, day), (wins, losses) in days.items():
        if wins or losses:
            p, b, won, lost = performance.c, bots.c, max(wins, 0), max(losses, 0)
            conn.execute(
                sa.update(performance).where(p.bot_id == bot_id, p.day == day).values(wins=won, losses=lost)
            )
            conn.execute(
                sa.update(bots).where(b.id == bot_id, b.day == day).values(day_wins=won, day_losses=lost)
            )
