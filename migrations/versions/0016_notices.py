"""A message is stored as a kind and facts, and its words are made when it is read; those from before keep
their title and text. Beside it: what is to be delivered by other channels than the dashboard."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0016_notices"
down_revision = "0015_second_factor"


def upgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("kind", sa.Text(), nullable=True))
        outbox.add_column(sa.Column("facts", base.Json(), nullable=True))
        outbox.alter_column("title", existing_type=sa.Text(), nullable=True)
        outbox.alter_column("text", existing_type=sa.Text(), nullable=True)
    op.create_table(
        "deliveries",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("message_id", base.BigId, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", base.BigId, nullable=False),
        sa.Column("next_try_at", base.UtcTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("ended_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["outbox.id"], name=op.f("fk_deliveries_message_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_deliveries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("message_id", "channel", name=op.f("uq_deliveries_message_id_channel")),
    )
    op.create_index(op.f("ix_deliveries_user_id"), "deliveries", ["user_id"])
    op.create_index(op.f("ix_deliveries_next_try_at"), "deliveries", ["next_try_at"])
