"""Migrations: they follow each other, end in the declared tables, and keep what was there."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bot_database import ROOT, Database, newest_migration
from dashtrade.tables.base import ExactDecimal, Json, metadata
from dashtrade.tables.exit_columns import ExitsJson, OrderExitsJson

# --- migrations ---------------------------------------------------------------------------------------------


def shape(engine: sa.Engine) -> dict[str, Any]:
    """Everything the database itself says of its tables: columns, types, keys, indexes with their
    conditions."""
    look, found = sa.inspect(engine), {}
    with engine.connect() as conn:
        for name in look.get_table_names():
            if name == "alembic_version":
                continue
            if engine.dialect.name == "sqlite":
                indexes = conn.exec_driver_sql(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND "
                    f"tbl_name = '{name}'"
                )
                more: Any = (
                    "WITHOUT ROWID"
                    in conn.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{name}'").scalar()
                )
            else:
                indexes = conn.exec_driver_sql(
                    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename "
                    f"= '{name}'"
                )
                more = sorted(
                    map(
                        tuple,
                        conn.exec_driver_sql(
                            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid "
                            f"= '\"{name}\"'::regclass"
                        ),
                    )
                )
            found[name] = {
                "columns": {
                    c["name"]: (str(c["type"]), c["nullable"], str(c.get("default")))
                    for c in look.get_columns(name)
                },
                "key": look.get_pk_constraint(name)["constrained_columns"],
                "foreign": sorted(
                    (f["constrained_columns"], f["referred_table"]) for f in look.get_foreign_keys(name)
                ),
                "unique": sorted(u["column_names"] for u in look.get_unique_constraints(name)),
                "indexes": sorted((row[0], re.sub(r"\s+", " ", row[1])) for row in indexes),
                "more": more,
            }
    return found


def another(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> str:
    return (
        f"sqlite:///{tmp_path / 'other.db'}"
        if url.startswith("sqlite")
        else request.getfixturevalue("postgres_server").empty()
    )


def test_the_migrated_schema_is_the_declared_one(
    empty_database_url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    migrated, declared = (
        Database(empty_database_url),
        Database(another(request, empty_database_url, tmp_path)),
    )
    assert migrated.migrate() is True and migrated.version() == newest_migration()
    assert migrated.migrate() is False
    metadata.create_all(declared.engine)
    with migrated.engine.connect() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    assert shape(migrated.engine) == shape(declared.engine)
    migrated.close()
    declared.close()


def test_of_several_processes_that_migrate_at_once_one_does(empty_database_url: str):
    script = (
        "import sys; from bot_database import Database; sys.stdin.readline(); "
        "print(Database(sys.argv[1]).migrate())"
    )
    every = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_database_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in every:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answer = [process.communicate(timeout=60) for process in every]
    assert sorted(out.strip() for out, _ in answer) == ["False", "False", "True"], answer
    database = Database(empty_database_url)
    assert database.version() == newest_migration()
    database.close()


def revisions() -> list[str]:
    return sorted(file.stem for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))


def sample(column: dict[str, Any], n: int) -> Any:
    """Some value for a column, going by its name and type; what is read as more than text gets what can be
    read."""
    known = {
        "symbol": "CRYPTO:BTC/USDT",
        "role": "standard",
        "side": "buy",
        "status": "filled",
        "stop": "halt",
        "size_kind": "dollars",
        "sides": "both",
        "order_type": "market",
        "type": "market",
        "effect": "open",
        "time_in_force": "day",
        "scope": "user",
        "exits": "{}",
    }
    if column["name"] in known:
        return known[column["name"]]
    if column["name"] in JSON_NAMES:
        return "[]"
    if column["name"] in EXITS_NAMES:
        return "{}"
    kind = column["type"].python_type
    if kind is str:
        return f"{column['name']} {n}" if column["name"] not in EXACT_NAMES else f"{n}.25"
    return {
        int: n,
        bool: True,
        float: 1.5,
        Decimal: Decimal(f"{n}.25"),
        datetime: datetime(2025, 6, 4, tzinfo=UTC),
    }.get(kind, datetime(2025, 6, 4).date())


JSON_NAMES = {
    column.name for table in metadata.sorted_tables for column in table.c if isinstance(column.type, Json)
}

EXITS_NAMES = {
    column.name
    for table in metadata.sorted_tables
    for column in table.c
    if isinstance(column.type, ExitsJson | OrderExitsJson)
}

EXACT_NAMES = {
    column.name
    for table in metadata.sorted_tables
    for column in table.c
    if isinstance(column.type, ExactDecimal)
}


def fill(engine: sa.Engine) -> dict[str, Any]:
    """A row in every table, as the schema of that time wants it; what is in them."""
    old = sa.MetaData()
    old.reflect(engine)
    with engine.begin() as conn:
        for table in old.sorted_tables:
            if table.name == "alembic_version":
                continue
            columns = {c["name"]: sample(c, 1) for c in sa.inspect(engine).get_columns(table.name)}
            columns |= {fk.parent.name: conn.scalar(sa.select(fk.column)) for fk in table.foreign_keys}
            conn.execute(sa.insert(table).values(**columns))
    return contents(engine, old)


def contents(engine: sa.Engine, tables: sa.MetaData) -> dict[str, Any]:
    with engine.connect() as conn:
        return {
            t.name: [row._asdict() for row in conn.execute(sa.select(t))]
            for t in tables.sorted_tables
            if t.name != "alembic_version"
        }


RECOUNTED = {"wins", "losses", "day_wins", "day_losses"}  # once by closing order, then by round trip


def test_an_upgrade_from_the_first_migration_keeps_what_was_there(empty_database_url: str):
    database = Database(empty_database_url)
    first, *later = revisions()
    database._upgrade(first)
    before = fill(database.engine)
    assert len(before) >= 20 and all(len(rows) == 1 for rows in before.values())
    for revision in later:
        database._upgrade(revision)
        assert database.version() == revision
    assert database.migrate() is False
    now = sa.MetaData()
    now.reflect(database.engine)
    after = contents(database.engine, now)
    for name, [row] in before.items():
        if name in after:
            assert len(after[name]) == 1, name
            kept = {
                column: value
                for column, value in row.items()
                if column in after[name][0] and column not in RECOUNTED
            }
            assert kept.items() <= after[name][0].items()
    assert _can_be_read(database)
    database.close()


def _can_be_read(database: Database) -> bool:
    """Through today's own tables, with their types."""
    with database.read() as conn:
        return all(conn.execute(sa.select(table)).all() is not None for table in metadata.sorted_tables)


def test_migrations_follow_each_other_by_name():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    order = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert order[::-1] == revisions() and order[0] == newest_migration()


OWN = "id:NYSE:AAPL-EQ||7|"
CAUSES: list[tuple[str, str | None, str | None]] = [
    ("exit", f"{OWN}stop_loss-019f4e0c", "stop_loss"),
    ("exit", f"{OWN}take_profit-019f4e0c", "take_profit"),
    ("exit", f"{OWN}time_limit-019f4e0c", "time_limit"),
    ("exit", f"{OWN}stopXloss-019f4e0c", None),
    ("risk", f"{OWN}risk_limit-10-1000-5", "risk_limit"),
    ("risk", f"{OWN}daily_loss--10-1000-5", "daily_loss"),
    ("user", f"{OWN}flatten-3-1", "flatten"),
    ("user", f"{OWN}019f4e0c7a", None),
    ("user", f"{OWN}flatten-|x", None),
    ("replay", "id:NYSE:AAPL-EQ|900||replay-019f-1", None),
    ("webhook", "id:NYSE:AAPL-EQ|900||flatten-1", None),
    ("webhook", "id:NYSE:AAPL-EQ|900||stop_loss-1", None),
    ("webhook", None, None),
    ("adjustment", "adjustment:abc", None),
]


def test_the_upgrade_reads_the_cause_of_an_exit_from_its_key_once(empty_database_url: str):
    database = Database(empty_database_url)
    [upgrade] = [name for name in revisions() if name.startswith("0019")]
    for revision in revisions()[: revisions().index(upgrade)]:
        database._upgrade(revision)
    fill(database.engine)
    old = sa.MetaData()
    old.reflect(database.engine)
    signals = old.tables["signals"]
    with database.engine.begin() as conn:
        row = conn.execute(sa.select(signals)).one()._asdict()
        conn.execute(sa.update(signals).values(origin="webhook", dedupe_key=None))
        rows = [
            row | {"id": f"{number:032x}", "origin": origin, "dedupe_key": key}
            for number, (origin, key, _) in enumerate(CAUSES)
        ]
        conn.execute(sa.insert(signals), rows)
    database._upgrade(upgrade)
    with database.read() as conn:
        found = conn.execute(
            sa.text("SELECT origin, dedupe_key, exit_cause FROM signals WHERE id LIKE '000%' ORDER BY id")
        )
        assert [tuple(one) for one in found] == CAUSES
    database.close()


@pytest.mark.parametrize(
    ("broker_order_id", "broker", "on_paper"),
    [("P-17", "alpaca", True), (None, "paper", True), ("17", "alpaca", False), (None, "alpaca", False)],
)
def test_the_upgrade_knows_what_was_on_paper(
    empty_database_url: str, broker_order_id: str | None, broker: str, on_paper: bool
):
    database = Database(empty_database_url)
    [upgrade] = [name for name in revisions() if name.startswith("0018")]
    for revision in revisions()[: revisions().index(upgrade)]:
        database._upgrade(revision)
    fill(database.engine)
    now = sa.MetaData()
    now.reflect(database.engine)
    with database.engine.begin() as conn:
        conn.execute(sa.update(now.tables["user_api_keys"]).values(broker=broker))
        for name in ("orders", "bot_trades"):
            account = sa.select(now.tables["user_api_keys"].c.id).scalar_subquery()
            change = sa.update(now.tables[name]).values(broker_order_id=broker_order_id, account_id=account)
            conn.execute(change)
        replay = {"origin": "user", "sender": "replay of 017f"}
        conn.execute(sa.update(now.tables["signals"]).values(replay))
    database._upgrade(upgrade)
    with database.read() as conn:
        assert conn.scalar(sa.text("SELECT origin FROM signals")) == "replay"
        found = [conn.scalar(sa.text(f"SELECT on_paper FROM {name}")) for name in ("orders", "bot_trades")]
    assert [bool(one) for one in found] == [on_paper, on_paper]
    database.close()
