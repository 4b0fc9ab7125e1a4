"""The spine: people, accounts, bots, signals, orders, fills, lots, trades, messages, and the paper broker's
books."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0001_spine"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=True),
        sa.Column("subject_id", base.BigId, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", base.Json(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_user_id"), "audit_log", ["user_id"], unique=False)
    op.create_table(
        "lanes",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", base.BigId, nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "symbol", name=op.f("pk_lanes")),
    )
    op.create_table(
        "paper_fills",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("fill_id", sa.Text(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("price", base.ExactDecimal(), nullable=False),
        sa.Column("fee", base.ExactDecimal(), nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_fills")),
    )
    op.create_index("ix_paper_fills_order", "paper_fills", ["account_id", "client_order_id"], unique=False)
    op.create_table(
        "paper_orders",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("limit_price", base.ExactDecimal(), nullable=True),
        sa.Column("stop_price", base.ExactDecimal(), nullable=True),
        sa.Column("trail_amount", base.ExactDecimal(), nullable=True),
        sa.Column("trail_percent", base.ExactDecimal(), nullable=True),
        sa.Column("high_water", base.ExactDecimal(), nullable=True),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("extended_hours", sa.Boolean(), nullable=False),
        sa.Column("reduces", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", base.ExactDecimal(), nullable=False),
        sa.Column("average_price", base.ExactDecimal(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("updated_at", base.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "client_order_id", name=op.f("pk_paper_orders")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_paper_orders_working",
        "paper_orders",
        ["account_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("status = 'working'"),
        postgresql_where=sa.text("status = 'working'"),
    )
    op.create_table(
        "paper_positions",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("average_price", base.ExactDecimal(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "symbol", name=op.f("pk_paper_positions")),
    )
    op.create_table(
        "switches",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("stop", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", base.BigId, nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "scope_id", name=op.f("pk_switches")),
    )
    op.create_table(
        "system_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_system_settings")),
    )
    op.create_table(
        "users",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("tradingview_only", sa.Boolean(), nullable=False),
        sa.Column("body_secret_hash", sa.Text(), nullable=True),
        sa.Column("max_alert_age", base.BigId, nullable=True),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("last_login_at", base.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_workers")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("expires_at", base.UtcTime(), nullable=False),
        sa.Column("used_at", base.UtcTime(), nullable=True),
        sa.Column("revoked_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "bot_risk_events",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("threshold", base.ExactDecimal(), nullable=False),
        sa.Column("actual", base.ExactDecimal(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bot_risk_events_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_risk_events")),
    )
    op.create_index("ix_bot_risk_events_user_id", "bot_risk_events", ["user_id", "id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("expires_at", base.UtcTime(), nullable=False),
        sa.Column("used_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_invitations_code_hash")),
    )
    op.create_table(
        "lots",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("fill_id", base.BigId, nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("remaining", base.ExactDecimal(), nullable=False),
        sa.Column("price", base.ExactDecimal(), nullable=False),
        sa.Column("opened_at", base.UtcTime(), nullable=False),
        sa.Column("closed_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_lots_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lots")),
    )
    op.create_index(
        "ix_lots_held",
        "lots",
        ["bot_id", "id"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.Column("read_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_outbox_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_signal", "outbox", ["signal_id"], unique=False)
    op.create_index("ix_outbox_user", "outbox", ["user_id", "id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("seen_at", base.UtcTime(), nullable=False),
        sa.Column("expires_at", base.UtcTime(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("received_at", base.UtcTime(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=True),
        sa.Column("written_symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", base.BigId, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("duplicate_count", base.BigId, nullable=False),
        sa.Column("repeated_at", base.UtcTime(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("ended_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_signals_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_signals_dedupe", "signals", ["user_id", "dedupe_key", "id"], unique=False)
    op.create_index("ix_signals_user_id", "signals", ["user_id", "id"], unique=False)
    op.create_table(
        "user_api_keys",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("broker", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("options", base.Json(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("checked_at", base.UtcTime(), nullable=True),
        sa.Column("check_result", base.Json(), nullable=True),
        sa.Column("deleted_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_api_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_api_keys")),
    )
    op.create_index(op.f("ix_user_api_keys_user_id"), "user_api_keys", ["user_id"], unique=False)
    op.create_table(
        "user_webhook_tokens",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("used_at", base.UtcTime(), nullable=True),
        sa.Column("expires_at", base.UtcTime(), nullable=True),
        sa.Column("revoked_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_webhook_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_webhook_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_webhook_tokens_token_hash")),
    )
    op.create_index(op.f("ix_user_webhook_tokens_user_id"), "user_webhook_tokens", ["user_id"], unique=False)
    op.create_table(
        "paper_accounts",
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("cash", base.ExactDecimal(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["user_api_keys.id"], name=op.f("fk_paper_accounts_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_paper_accounts")),
    )
    op.create_table(
        "user_bot_configs",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("written_symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", base.BigId, nullable=False),
        sa.Column("size_kind", sa.Text(), nullable=False),
        sa.Column("size_value", base.ExactDecimal(), nullable=False),
        sa.Column("size_override", sa.Boolean(), nullable=False),
        sa.Column("risk_limit_percent", base.ExactDecimal(), nullable=True),
        sa.Column("daily_loss_limit", base.ExactDecimal(), nullable=True),
        sa.Column("max_position_size", base.ExactDecimal(), nullable=True),
        sa.Column("sides", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("limit_offset_percent", base.ExactDecimal(), nullable=False),
        sa.Column("cooldown_seconds", base.BigId, nullable=False),
        sa.Column("windows", base.Json(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("orders_per_day", base.BigId, nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("position_quantity", base.ExactDecimal(), nullable=False),
        sa.Column("position_cost", base.ExactDecimal(), nullable=False),
        sa.Column("realized_pnl", base.ExactDecimal(), nullable=False),
        sa.Column("fees", base.ExactDecimal(), nullable=False),
        sa.Column("total_trades", base.BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("day_realized", base.ExactDecimal(), nullable=False),
        sa.Column("day_fees", base.ExactDecimal(), nullable=False),
        sa.Column("day_volume", base.ExactDecimal(), nullable=False),
        sa.Column("day_entries", base.BigId, nullable=False),
        sa.Column("day_trades", base.BigId, nullable=False),
        sa.Column("day_wins", base.BigId, nullable=False),
        sa.Column("day_losses", base.BigId, nullable=False),
        sa.Column("exits", base.Json(), nullable=True),
        sa.Column("last_entry_at", base.UtcTime(), nullable=True),
        sa.Column("last_signal_at", base.UtcTime(), nullable=True),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("updated_at", base.UtcTime(), nullable=False),
        sa.Column("deleted_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["user_api_keys.id"], name=op.f("fk_user_bot_configs_account_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_bot_configs_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_bot_configs")),
    )
    op.create_index(
        "ix_user_bot_configs_holding",
        "user_bot_configs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status != 'READY'"),
        postgresql_where=sa.text("status != 'READY'"),
    )
    op.create_index(
        "ix_user_bot_configs_user_symbol", "user_bot_configs", ["user_id", "symbol"], unique=False
    )
    op.create_index(
        "uq_user_bot_configs_account_symbol_timeframe",
        "user_bot_configs",
        ["account_id", "symbol", "timeframe"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "bot_performance",
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("realized", base.ExactDecimal(), nullable=False),
        sa.Column("fees", base.ExactDecimal(), nullable=False),
        sa.Column("volume", base.ExactDecimal(), nullable=False),
        sa.Column("trades", base.BigId, nullable=False),
        sa.Column("wins", base.BigId, nullable=False),
        sa.Column("losses", base.BigId, nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["user_bot_configs.id"], name=op.f("fk_bot_performance_bot_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bot_performance_user_id")),
        sa.PrimaryKeyConstraint("bot_id", "day", name=op.f("pk_bot_performance")),
    )
    op.create_index("ix_bot_performance_user_day", "bot_performance", ["user_id", "day"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("would", sa.Text(), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.Column("checks", base.Json(), nullable=True),
        sa.Column("numbers", base.Json(), nullable=True),
        sa.Column("taken_back", base.BigId, nullable=False),
        sa.Column("received_at", base.UtcTime(), nullable=False),
        sa.Column("due_at", base.UtcTime(), nullable=True),
        sa.Column("held_until", base.UtcTime(), nullable=True),
        sa.Column("expires_at", base.UtcTime(), nullable=True),
        sa.Column("decided_at", base.UtcTime(), nullable=True),
        sa.Column("ended_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["bot_id"], ["user_bot_configs.id"], name=op.f("fk_decisions_bot_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name=op.f("fk_decisions_signal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_decisions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("signal_id", "bot_id", name=op.f("uq_decisions_signal_id_bot_id")),
    )
    op.create_index("ix_decisions_bot", "decisions", ["bot_id", "id"], unique=False)
    op.create_index(
        "ix_decisions_waiting",
        "decisions",
        ["account_id", "symbol", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("decision_id", base.BigId, nullable=False),
        sa.Column("step", base.BigId, nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("limit_price", base.ExactDecimal(), nullable=True),
        sa.Column("stop_price", base.ExactDecimal(), nullable=True),
        sa.Column("trail_amount", base.ExactDecimal(), nullable=True),
        sa.Column("trail_percent", base.ExactDecimal(), nullable=True),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("extended_hours", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=True),
        sa.Column("filled_quantity", base.ExactDecimal(), nullable=False),
        sa.Column("filled_notional", base.ExactDecimal(), nullable=False),
        sa.Column("reserve", base.ExactDecimal(), nullable=False),
        sa.Column("exits", base.Json(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("sends", base.BigId, nullable=False),
        sa.Column("due_at", base.UtcTime(), nullable=True),
        sa.Column("sent_at", base.UtcTime(), nullable=True),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("updated_at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["user_bot_configs.id"], name=op.f("fk_orders_bot_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name=op.f("fk_orders_signal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_orders_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_orders_open",
        "orders",
        ["account_id", "symbol"],
        unique=False,
        sqlite_where=sa.text("status IN ('created', 'submitting', 'unknown', 'working', 'attention')"),
        postgresql_where=sa.text("status IN ('created', 'submitting', 'unknown', 'working', 'attention')"),
    )
    op.create_index("ix_orders_signal", "orders", ["signal_id"], unique=False)
    op.create_index("ix_orders_user", "orders", ["user_id", "created_at"], unique=False)
    op.create_table(
        "bot_trades",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("price", base.ExactDecimal(), nullable=False),
        sa.Column("notional", base.ExactDecimal(), nullable=False),
        sa.Column("fee", base.ExactDecimal(), nullable=False),
        sa.Column("realized_pnl", base.ExactDecimal(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=True),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_bot_trades_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bot_trades_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_trades")),
        sa.UniqueConstraint("order_id", name=op.f("uq_bot_trades_order_id")),
    )
    op.create_index("ix_bot_trades_at", "bot_trades", ["user_id", "at"], unique=False)
    op.create_index("ix_bot_trades_bot", "bot_trades", ["bot_id", "id"], unique=False)
    op.create_index(
        "ix_bot_trades_partial",
        "bot_trades",
        ["user_id", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'partial'"),
        postgresql_where=sa.text("status = 'partial'"),
    )
    op.create_index("ix_bot_trades_symbol", "bot_trades", ["user_id", "symbol", "id"], unique=False)
    op.create_index("ix_bot_trades_user", "bot_trades", ["user_id", "id"], unique=False)
    op.create_table(
        "fills",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("account_id", base.BigId, nullable=False),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("broker_fill_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", base.ExactDecimal(), nullable=False),
        sa.Column("price", base.ExactDecimal(), nullable=False),
        sa.Column("fee", base.ExactDecimal(), nullable=False),
        sa.Column("fee_base", base.ExactDecimal(), nullable=False),
        sa.Column("realized", base.ExactDecimal(), nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.Column("booked_at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_fills_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_fills_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("account_id", "broker_fill_id", name=op.f("uq_fills_account_id_broker_fill_id")),
    )
    op.create_index(op.f("ix_fills_order_id"), "fills", ["order_id"], unique=False)
    op.create_table(
        "order_events",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("at", base.UtcTime(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_order_events_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
    )
    op.create_index(op.f("ix_order_events_order_id"), "order_events", ["order_id"], unique=False)
