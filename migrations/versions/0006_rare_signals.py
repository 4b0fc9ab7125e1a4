"""Signals that did not simply fill are found without walking through those that did."""

import sqlalchemy as sa
from alembic import op

revision = "0006_rare_signals"
down_revision = "0005_protections"
RARE = sa.text("status IN ('working', 'attention', 'failed', 'refused')")


def upgrade() -> None:
    op.create_index(
        "ix_signals_rare",
        "signals",
        ["user_id", "status", "id"],
        unique=False,
        sqlite_where=RARE,
        postgresql_where=RARE,
    )
