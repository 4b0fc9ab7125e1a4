"""Orders and trades say whether the paper broker carried them out, signals whether they are replays.

Until now ids and the sender's text told."""

import sqlalchemy as sa
from alembic import op

revision = "0018_on_paper"
down_revision = "0017_reading"


def upgrade() -> None:
    for name in ("orders", "bot_trades"):
        op.add_column(name, sa.Column("on_paper", sa.Boolean(), nullable=False, server_default=sa.false()))
        rows = sa.table(
            name,
            sa.column("on_paper", sa.Boolean()),
            sa.column("account_id", sa.BigInteger()),
            sa.column("broker_order_id", sa.Text()),
        )
        accounts = sa.table("user_api_keys", sa.column("id", sa.BigInteger()), sa.column("broker", sa.Text()))
        of_paper = sa.select(accounts.c.id).where(accounts.c.broker == "paper")
        told = sa.or_(rows.c.broker_order_id.like("P-%"), rows.c.account_id.in_(of_paper))
        op.execute(sa.update(rows).where(told).values(on_paper=True))
    signals = sa.table("signals", sa.column("origin", sa.Text()), sa.column("sender", sa.Text()))
    replays = sa.and_(signals.c.origin == "user", signals.c.sender.like("replay of %"))
    op.execute(sa.update(signals).where(replays).values(origin="replay"))
