"""Stored candles, shared or imported by a user, and the trading sessions of markets."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0020_candles"
down_revision = "0019_exit_cause"

SHARED = sa.text("user_id IS NULL")
OWN = sa.text("user_id IS NOT NULL")
KEY = ["source", "symbol", "timeframe", "adjustment"]


def upgrade() -> None:
    op.create_table(
        "candle_series",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("timeframe", base.BigId, nullable=False),
        sa.Column("adjustment", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_candle_series_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candle_series")),
    )
    op.create_index(op.f("ix_candle_series_user_id"), "candle_series", ["user_id"])
    for name, columns, where in (
        ("uq_candle_series_shared", KEY, SHARED),
        ("uq_candle_series_own", ["user_id", *KEY], OWN),
    ):
        op.create_index(
            name, "candle_series", columns, unique=True, sqlite_where=where, postgresql_where=where
        )
    _blocks()
    op.create_table(
        "candle_coverage",
        sa.Column("series_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("start_at", base.BigId, autoincrement=False, nullable=False),
        sa.Column("end_at", base.BigId, nullable=False),
        sa.Column("user_id", base.BigId, nullable=True),
        sa.Column("asked_at", base.UtcTime(), nullable=False),
        *_keys("candle_coverage"),
        sa.PrimaryKeyConstraint("series_id", "start_at", name=op.f("pk_candle_coverage")),
    )
    op.create_index(op.f("ix_candle_coverage_user_id"), "candle_coverage", ["user_id"])
    op.create_table(
        "market_sessions",
        sa.Column("market", sa.Text(), nullable=False),
        sa.Column("computed_at", base.UtcTime(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("market", name=op.f("pk_market_sessions")),
    )


def _blocks() -> None:
    op.create_table(
        "candle_blocks",
        sa.Column("series_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("number", base.BigId, autoincrement=False, nullable=False),
        sa.Column("user_id", base.BigId, nullable=True),
        *_packed(),
        *_keys("candle_blocks"),
        sa.PrimaryKeyConstraint("series_id", "number", name=op.f("pk_candle_blocks")),
    )
    op.create_index(op.f("ix_candle_blocks_user_id"), "candle_blocks", ["user_id"])
    op.create_table(
        "candle_revisions",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("series_id", base.BigId, nullable=False),
        sa.Column("number", base.BigId, nullable=False),
        sa.Column("user_id", base.BigId, nullable=True),
        sa.Column("replaced_at", base.UtcTime(), nullable=False),
        *_packed(),
        *_keys("candle_revisions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candle_revisions")),
    )
    op.create_index(op.f("ix_candle_revisions_series_id"), "candle_revisions", ["series_id"])
    op.create_index(op.f("ix_candle_revisions_user_id"), "candle_revisions", ["user_id"])


def _packed() -> list[sa.Column]:
    return [
        sa.Column("first_at", base.BigId, nullable=False),
        sa.Column("last_at", base.BigId, nullable=False),
        sa.Column("bars", base.BigId, nullable=False),
        sa.Column("price_step", base.ExactDecimal(), nullable=False),
        sa.Column("volume_step", base.ExactDecimal(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    ]


def _keys(table: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint(["series_id"], ["candle_series.id"], name=op.f(f"fk_{table}_series_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id")),
    ]
