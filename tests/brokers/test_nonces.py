"""Numbers that rise: one source for each exchange key, for all processes and all their restarts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade import nonces as service
from dashtrade.brokers.crypto.adapter import CryptoBroker
from dashtrade.domain.ports import RetryLater
from dashtrade.locks import LockTimeout
from dashtrade.nonces import SharedNonces
from dashtrade.tables import nonces
from tests.simulators.exchanges import KEY as EXCHANGE_KEY
from tests.simulators.exchanges import SECRET, ExchangeSimulator
from tests.support.crypto_harness import CryptoHarness
from tests.support.installation import Installation, MakeApp

ROOT = Path(__file__).resolve().parents[2]


def _shared(harness: CryptoHarness, db: Database) -> CryptoBroker:
    return harness.another(nonces=SharedNonces(db, f"{harness.exchange}:{EXCHANGE_KEY}"))


@pytest.fixture(params=["kraken", "gemini"])
def harness(request: pytest.FixtureRequest):
    made = CryptoHarness(request.param)
    yield made
    made.close()


@pytest.fixture
def db(database_url: str):
    made = Database(database_url)
    made.migrate()
    yield made
    made.close()


# --- the numbers --------------------------------------------------------------------------------------------


def test_a_number_is_above_every_one_before_and_at_least_what_is_asked(db: Database):
    asked = [100, 100, 50, 200, 199, 201]
    taken = [db.write(lambda conn, least=least: nonces.take(conn, "a", least)) for least in asked]
    assert taken == [100, 101, 102, 200, 201, 202]
    assert db.write(lambda conn: nonces.take(conn, "b", 7)) == 7


def test_threads_that_hurry_get_numbers_of_their_own(db: Database):
    taken: list[int] = []

    def take() -> None:
        for _ in range(20):
            taken.append(db.write(lambda conn: nonces.take(conn, "a", 5)))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(5, 85))


def test_the_key_itself_is_not_kept(db: Database):
    with SharedNonces(db, f"kraken:{EXCHANGE_KEY}")(1):
        pass
    with db.read() as conn:
        (row,) = conn.execute(nonces.nonces.select()).all()
    assert EXCHANGE_KEY not in row.key_digest and len(row.key_digest) == 32


# --- turns --------------------------------------------------------------------------------------------------


def test_a_turn_that_is_held_is_waited_for_so_long_and_no_longer(db: Database):
    other = Database(db.url.render_as_string(hide_password=False))
    with db.exclusive("x"), pytest.raises(LockTimeout), other.exclusive("x", timeout_seconds=0.1):
        pass
    other.close()
    with db.exclusive("x", timeout_seconds=0.1):
        pass


def test_a_request_that_hangs_holds_up_no_other_process_for_long(
    harness: CryptoHarness, db: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "TURN_TIMEOUT_SECONDS", 0.2)
    worker = _shared(harness, db)
    worker.positions()
    with SharedNonces(db, f"{harness.exchange}:{EXCHANGE_KEY}")(
        1
    ):  # what another process asked, and is not answered
        began = time.monotonic()
        assert worker.positions() == []
        assert time.monotonic() - began < 2


@pytest.mark.postgres
def test_a_connection_that_is_lost_in_a_turn_spoils_nothing_that_was_done_in_it(postgres_database: str):
    db = Database(postgres_database)
    other = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    with db.exclusive("x", timeout_seconds=1), other.connect() as admin:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dashtrade'"
        admin.execute(sa.text(f"{ours} AND datname = current_database()"))
        done = "the order is placed"
    assert done
    for _ in range(2):  # a connection of the pool may be found dead once
        with suppress(DatabaseUnavailable), db.exclusive("x", timeout_seconds=1):
            done = "again"
    assert done == "again"
    db.close()


def test_a_database_that_gives_no_number_sends_nothing(
    harness: CryptoHarness, db: Database, monkeypatch: pytest.MonkeyPatch
):
    broker = _shared(harness, db)
    broker.quote(harness.sol)

    def away(work: object) -> None:
        raise DatabaseUnavailable("it is gone")

    monkeypatch.setattr(db, "write_unchecked", away)
    with pytest.raises(RetryLater, match="nothing was sent"):
        broker.submit(harness.request())
    with pytest.raises(RetryLater, match="nothing was sent"):
        broker.positions()
    assert not harness.core.orders


def test_a_read_only_caller_gets_nonces_too(harness: CryptoHarness, db: Database):
    def refuse() -> None:
        raise AssertionError("a viewer writes nothing")

    db.before_write = refuse
    assert _shared(harness, db).positions() == []


# --- processes ----------------------------------------------------------------------------------------------


def test_numbers_rise_over_a_restart_with_a_clock_that_was_set_back(harness: CryptoHarness, db: Database):
    ahead = _shared(harness, db)
    ahead._wire._clock_offset = -3_600_000  # this process takes it to be an hour later
    ahead.positions()
    again = _shared(harness, db)
    for _ in range(3):
        assert again.positions() == []
    assert harness.front.stale == 0


def test_a_key_of_its_own_counter_in_each_process_is_what_was_refused(harness: CryptoHarness):
    """Without the shared source: the trap, so that it is seen that the simulator has it."""
    ahead = harness.another()
    ahead._wire._clock_offset = -3_600_000
    ahead.positions()
    with pytest.raises(RetryLater):
        harness.another().positions()
    assert harness.front.stale == 1


RACER = """if True:
    import sys, time
    from dashtrade.app import build_app
    from dashtrade import nonces
    from dashtrade.settings import Settings
    from dashtrade.tables import accounts

    account, ahead, rounds, start = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    nonces.TURN_TIMEOUT_SECONDS = 60.0  # a machine may be slow
    app = build_app(Settings.load())
    with app.db.read() as conn:
        broker = app.brokers.venue(accounts.load(conn, account))
    broker._wire._budget = None
    broker._wire._clock_offset = -ahead
    with broker._wire.borrow() as client:
        client.enableRateLimit = False
    time.sleep(max(start - time.time(), 0))
    for _ in range(rounds):
        broker.positions()
    app.close()
    print("done", rounds)
"""


@pytest.mark.parametrize("exchange", ["kraken", "gemini"])
def test_two_processes_that_race_under_one_key_are_never_refused(
    exchange: str, make_app: MakeApp, database_url: str, tmp_path: Path
):
    rounds = 40
    with ExchangeSimulator(exchange) as simulator:
        url = {f"CCXT_URL_{exchange.upper()}": simulator.url}
        app = make_app(**url)
        trader = Installation(app).join()
        account = trader.request(
            "POST",
            "/accounts",
            {
                "broker": "crypto",
                "mode": "live",
                "acknowledge": "REAL MONEY",
                "decline_second_factor": True,
                "label": "K",
                "options": {"exchange": exchange},
                "credentials": {"key": EXCHANGE_KEY, "secret": SECRET},
            },
        )["id"]
        environ = {"DASHTRADE_HOME": str(tmp_path / "home"), "DATABASE_URL": database_url, "PATH": "", **url}
        environ["ENCRYPTION_KEY"] = app.settings.encryption_keys[0]
        start = str(time.time() + 3)
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, str(account), ahead, str(rounds), start],
                cwd=ROOT,
                env=environ,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for ahead in ("0", "250")  # the second one's clock is a quarter of a second ahead
        ]
        answer = [racer.communicate(timeout=120) for racer in racers]
        assert [out.strip() for out, _ in answer] == [f"done {rounds}"] * 2, [
            error[-2000:] for _, error in answer
        ]
        assert simulator.front.stale == 0
        taken = simulator.front.taken
        assert len(taken) >= 2 * rounds and taken == sorted(set(taken))
