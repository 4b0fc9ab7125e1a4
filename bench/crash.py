"""The engine, crashed at every step of a signal's path, against a venue where everything goes wrong; then
started again.

    python -m bench.crash --runs 1000 --seed 7 --database sqlite|postgresql
        [--broker default|alpaca|netted|binance] [--only NUMBER]

Each run is one small world made of (seed, number): some signals, a venue's manner and faults, and the
failpoints at which the process ends by `os._exit`, the restarted ones too. When all has come to rest, the
books of both sides are compared. One JSON line at the end; a run that fails is printed with what repeats it.
The default venue is a small one of our own, where anything can be made to happen; `alpaca` and `binance` are
the real adapters and libraries at the simulators of those venues; `netted` is Alpaca with opposite bots on
one symbol."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.crash_checks import Finding, attention, check
from bench.crash_process import BROKEN, NOT_AT_REST, SharedClock, Zygote, receipts
from bench.crash_venues import BROKERS, LIBRARIES, VENUES
from bench.crash_world import Plan, World, make_world, plan
from dashtrade.failpoints import CRASHED
from dashtrade.services.accounts import accounts as account_service
from tests.support.databases import SqliteFiles, postgres
from tests.support.fakes import MORNING

LATE_SECONDS = 20.0  # seconds: the longest that a venue here hides an order


class CrashRuns:
    """Many runs, with one venue, one process to fork from, and a fresh database for each."""

    def __init__(
        self, seed: int, broker: str, zygote: Zygote, clock: SharedClock, fresh: Any, folder: Path
    ) -> None:
        self.seed, self.broker, self.zygote, self.clock, self.folder, self._fresh = (
            seed,
            broker,
            zygote,
            clock,
            folder,
            fresh,
        )
        self.venue = VENUES[broker](clock.now)
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def one(self, number: int) -> list[Finding]:
        of = plan(self.seed, number, self.broker)
        self.clock.set(MORNING)
        home = self.folder / f"run{number}"
        home.mkdir(parents=True)
        books = self.venue.begin(of.manner)
        with self._fresh(home) as url:
            world = make_world(home, url, self.venue.port, of)
            try:
                findings = [
                    *self._lives(world, url, of),
                    *check(world, of, receipts(home / "receipts"), books),
                ]
                self._count(world, of, books)
            finally:
                world.app.close()
        return findings

    def _lives(self, world: World, url: str, of: Plan) -> list[Finding]:
        """Started, crashed, started … until it comes to rest; and once more, with a venue that has
        recovered."""
        ends = []
        for life, crash in enumerate([*of.crashes, ("", 0), ("", 0)]):
            last = life == len(of.crashes) + 1
            if last or (ends and ends[-1] != CRASHED):
                self._calm(world)
            ends.append(self.zygote.run(self._job(world, url, of, life, crash)))
            self.counts["crashes"] += ends[-1] == CRASHED
            if ends[-1] == BROKEN or (ends[-1] == 0 and len(ends) > 1 and ends[-2] == 0):
                break
        words = {NOT_AT_REST: "it did not come to rest", BROKEN: "the engine's process failed"}
        return [("stuck", words.get(ends[-1], f"it ended with {ends[-1]}"))] if ends[-1] != 0 else []

    def _calm(self, world: World) -> None:
        """The venue has recovered and shows what it showed late, and the user has put the key right."""
        self.clock.forward(LATE_SECONDS)
        self.venue.recover()
        account_service.change_account(
            world.app, world.user, world.account_id, {"credentials": {"key": "right"}}
        )

    def _job(self, world: World, url: str, of: Plan, life: int, crash: tuple[str, int]) -> dict[str, Any]:
        home = world.home
        answered = {number for number, _ in receipts(home / "receipts")}
        return {
            "home": str(home),
            "database_url": url,
            "port": self.venue.port,
            "broker": of.broker,
            "refuses_repeats": of.manner.refuses_repeats,
            "user_id": world.user.id,
            "account_id": world.account_id,
            "seed": f"{self.seed}/{of.number}/{life}",
            "crash": crash,
            "bots": sorted(world.bots.values()),
            "busy": of.busy_user,
            "to_come": [(n, body) for n, body in enumerate(of.bodies) if n not in answered],
            "receipts": str(home / "receipts"),
            "log": str(home / "log"),
        }

    def _count(self, world: World, of: Plan, books: Any) -> None:
        self.faults += books.faults
        self.counts["signals"] += len(of.bodies)
        self.counts["orders"] += len(books.orders)
        with world.app.db.read() as conn:
            self.counts["attention"] += attention(conn)


@contextlib.contextmanager
def crashes(seed: int, database: str, broker: str) -> Iterator[CrashRuns]:
    """Everything for many runs; the process to fork from is made first, while this one has no threads."""
    clock = SharedClock(MORNING)
    zygote = Zygote(clock, LIBRARIES[broker])
    with contextlib.ExitStack() as stack:
        stack.callback(zygote.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashtrade-crash-")))
        if database == "postgresql":
            server = stack.enter_context(postgres())

            @contextlib.contextmanager
            def fresh(home: Path) -> Iterator[str]:
                url = server.fresh()
                yield url
                server.drop(url)
        else:
            files = SqliteFiles(folder)

            @contextlib.contextmanager
            def fresh(home: Path) -> Iterator[str]:
                yield files.fresh(home / "dashtrade.db")

        made = CrashRuns(seed, broker, zygote, clock, fresh, folder)
        stack.callback(made.venue.close)
        yield made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker", choices=BROKERS, default="default")
    parser.add_argument("--only", type=int, help="repeat one run")
    given = parser.parse_args()
    began, found = time.monotonic(), Counter[str]()
    numbers = [given.only] if given.only is not None else range(given.runs)
    with crashes(given.seed, given.database, given.broker) as all_of_it:
        for number in numbers:
            findings = all_of_it.one(number)
            found.update(kind for kind, _ in findings)
            if findings:
                report(given, number, findings, all_of_it.folder)
        line = {
            "bench": "crash",
            "runs": len(numbers),
            "seed": given.seed,
            "database": given.database,
            "broker": given.broker,
            **{name: all_of_it.counts[name] for name in ("signals", "orders", "crashes")},
            "faults": dict(sorted(all_of_it.faults.items())),
            **{name: found[name] for name in ("lost", "double", "stuck", "mismatch")},
            "attention": all_of_it.counts["attention"],
            "seconds": round(time.monotonic() - began, 1),
        }
    print(json.dumps(line), flush=True)
    return 1 if found.total() else 0


def report(given: argparse.Namespace, number: int, findings: list[Finding], folder: Path) -> None:
    again = (
        f"python -m bench.crash --seed {given.seed} --database {given.database} --broker {given.broker} "
        f"--only {number}"
    )
    print(f"run {number} failed; again: {again}", file=sys.stderr)
    for kind, what in findings:
        print(f"  {kind}: {what}", file=sys.stderr)
    log = folder / f"run{number}" / "log"
    if log.exists() and log.read_text():
        print("  its log ends:\n" + log.read_text()[-3000:], file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
