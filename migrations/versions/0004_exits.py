"""Exits: a bot's own plan of exits and ways of ordering, and the entry that an exit held by the venue came
with."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0004_exits"
down_revision = "0003_people"


def upgrade() -> None:
    op.add_column("user_bot_configs", sa.Column("exit_plan", base.Json(), nullable=True))
    op.add_column("user_bot_configs", sa.Column("ordering", base.Json(), nullable=True))
    op.add_column("orders", sa.Column("parent_id", sa.Text(), nullable=True))
