"""When a person said that an account may trade with real money; every live account there is was added with
that word."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0007_real_money"
down_revision = "0006_rare_signals"


def upgrade() -> None:
    op.add_column("user_api_keys", sa.Column("acknowledged_at", base.UtcTime(), nullable=True))
    op.execute("UPDATE user_api_keys SET acknowledged_at = created_at WHERE mode = 'live'")
