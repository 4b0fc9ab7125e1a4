"""Alembic's door; `bot_database.Database.migrate` opens it with an engine."""

import sqlalchemy as sa
from alembic import context

from dashtrade.tables import (  # noqa: F401  (they declare the tables)
    accounts,
    attempts,
    bot_days,
    bots,
    candles,
    decisions,
    deliveries,
    drifts,
    fills,
    flattens,
    installation_settings,
    invitations,
    lanes,
    messages,
    nonces,
    order_events,
    orders,
    paper,
    people,
    protections,
    readings,
    risk_events,
    round_trips,
    second_factors,
    sessions,
    signals,
    storage,
    switches,
    tokens,
    trades,
)
from dashtrade.tables.base import metadata

engine: sa.Engine = context.config.attributes["engine"]
with engine.connect() as connection:
    if engine.dialect.name == "sqlite":
        # one transaction for all: a migration is whole or was not
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=engine.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    if engine.dialect.name == "sqlite":
        connection.exec_driver_sql("COMMIT")
    else:
        connection.commit()
