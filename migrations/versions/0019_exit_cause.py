"""A signal by which DashTrade closes says why in a column; until now the beginning of its key told.

The table is large and is scanned before it is altered: its lock is held for the change of these few rows
only."""

import sqlalchemy as sa
from alembic import op

revision = "0019_exit_cause"
down_revision = "0018_on_paper"

FOUND = """
    CREATE TEMPORARY TABLE exit_causes AS
    SELECT id, {cause} AS cause FROM signals
    WHERE dedupe_key IS NOT NULL AND {cause} IS NOT NULL
"""
CAUSES = {  # by origin, as the keys began
    "exit": ("stop_loss", "take_profit", "time_limit"),
    "risk": ("risk_limit", "daily_loss"),
    "user": ("flatten",),
}


def upgrade() -> None:
    conn = op.get_bind()
    newest = conn.scalar(sa.text("SELECT max(id) FROM signals")) or ""
    conn.execute(sa.text(FOUND.format(cause=_cause())))
    op.add_column("signals", sa.Column("exit_cause", sa.Text(), nullable=True))
    _fill(conn)
    conn.execute(sa.text(FOUND.format(cause=_cause()) + "AND id > :newest"), {"newest": newest})
    _fill(conn)


def _cause() -> str:
    """A key is `id:SYMBOL|TIMEFRAME|BOT|CAUSE-…`; a sender's own id may hold anything."""
    cases = [
        f"WHEN origin = '{origin}' AND dedupe_key LIKE '%|{_plain(cause)}-%' ESCAPE '!' "
        f"AND dedupe_key NOT LIKE '%|{_plain(cause)}-%|%' ESCAPE '!' THEN '{cause}'"
        for origin, causes in CAUSES.items()
        for cause in causes
    ]
    return f"CASE {' '.join(cases)} END"


def _plain(cause: str) -> str:
    return cause.replace("_", "!_")


def _fill(conn: sa.Connection) -> None:
    conn.execute(
        sa.text(
            "UPDATE signals SET exit_cause = exit_causes.cause FROM exit_causes "
            "WHERE signals.id = exit_causes.id"
        )
    )
    conn.execute(sa.text("DROP TABLE exit_causes"))
