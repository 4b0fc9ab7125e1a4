"""Reconciliation and flattening: drifts, what is held outside of the bots, when accounts were compared, and
closing everything."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0002_reconcile"
down_revision = "0001_spine"


def upgrade() -> None:
    unresolved = sa.text("status IN ('open', 'frozen')")
    op.create_table(
        "drifts",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ours", base.ExactDecimal(), nullable=False),
        sa.Column("outside", base.ExactDecimal(), nullable=False),
        sa.Column("theirs", base.ExactDecimal(), nullable=False),
        sa.Column("average_price", base.ExactDecimal(), nullable=True),
        sa.Column("mark", base.ExactDecimal(), nullable=True),
        sa.Column("ratio", base.ExactDecimal(), nullable=True),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("bot_id", base.BigId, nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("opened_at", base.UtcTime(), nullable=False),
        sa.Column("updated_at", base.UtcTime(), nullable=False),
        sa.Column("resolved_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_drifts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drifts")),
    )
    op.create_index(
        "uq_drifts_unresolved",
        "drifts",
        ["account_id", "asset"],
        unique=True,
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )
    op.create_index("ix_drifts_user", "drifts", ["user_id", "id"], unique=False)
    op.create_table(
        "outside_holdings",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("since", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_outside_holdings_user_id")),
        sa.PrimaryKeyConstraint("account_id", "asset", name=op.f("pk_outside_holdings")),
    )
    op.create_table(
        "reconciliations",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("first_at", base.UtcTime(), nullable=True),
        sa.Column("at", base.UtcTime(), nullable=True),
        sa.Column("failing_since", base.UtcTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["user_api_keys.id"], name=op.f("fk_reconciliations_account_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reconciliations_user_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_reconciliations")),
    )
    op.create_table(
        "flattens",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", base.BigId, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("ended_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flattens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flattens")),
    )
    op.create_index("ix_flattens_user", "flattens", ["user_id", "id"], unique=False)
    running = sa.text("status = 'running'")
    op.create_index(
        "ix_flattens_running",
        "flattens",
        ["id"],
        unique=False,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "flatten_items",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("flatten_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tries", base.BigId, nullable=False),
        sa.Column("next_at", base.UtcTime(), nullable=True),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["bot_id"], ["user_bot_configs.id"], name=op.f("fk_flatten_items_bot_id")),
        sa.ForeignKeyConstraint(["flatten_id"], ["flattens.id"], name=op.f("fk_flatten_items_flatten_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flatten_items_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flatten_items")),
    )
    op.create_index(op.f("ix_flatten_items_flatten_id"), "flatten_items", ["flatten_id"], unique=False)
