"""A signal is stored as it was read, beside the text it came as: a changed reader re-interprets nothing."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0017_reading"
down_revision = "0016_notices"


def upgrade() -> None:
    with op.batch_alter_table("signals") as signals:
        signals.add_column(sa.Column("reading", base.Json(), nullable=True))
