"""Users' own keys of sources of market data."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0021_source_keys"
down_revision = "0020_candles"


def upgrade() -> None:
    op.create_table(
        "source_keys",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_source_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_keys")),
        sa.UniqueConstraint("user_id", "source", name=op.f("uq_source_keys_user_id_source")),
    )
