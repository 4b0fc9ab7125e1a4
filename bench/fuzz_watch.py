"""What bench.fuzz looks at meanwhile: memory, logs, who else uses the machine, and the two other tenants."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.idle import children
from bench.rig import Rig

ROLES = {"webhook_server": "receiver", "dashtrade.worker": "worker", "dashtrade.ui.shell.serve": "dashboard"}
PATIENCE = 30.0  # seconds that an order of the tenant's may take on a machine that others use
_MOVES = re.compile(
    r"price|value|profit|pnl|equity|percent|mark$|_at$|^at$|cash|buying_power"
)  # what changes by itself


def roles(pid: int) -> dict[str, int]:
    """Which process of the installation is which."""
    found = {}
    for child in children(pid):
        command = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
        found |= {role: child for mark, role in ROLES.items() if mark in command and role not in found}
    return found


def memory_mb(pids: dict[str, int]) -> dict[str, float]:
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    found = {}
    for role, pid in pids.items():
        with contextlib.suppress(OSError):
            found[role] = round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page, 1)
    return found


def processor_seconds(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Machine(threading.Thread):
    """Each second: the share of the processors that neither the installation nor the attackers used."""

    def __init__(self, own: Callable[[], Iterable[int]]) -> None:
        super().__init__(daemon=True)
        self._own_pids, self.over = own, threading.Event()
        self.seen: list[tuple[float, float]] = []

    def run(self) -> None:
        all_before, own_before = _busy(), self._own()
        while not self.over.wait(1):
            everything, own = _busy(), self._own()
            spent = everything[1] - all_before[1]
            if spent and own >= own_before:
                self.seen.append(
                    (time.time(), max(everything[0] - all_before[0] - (own - own_before), 0) / spent)
                )
            all_before, own_before = everything, own

    def others(self, at: float | None = None) -> float:
        """The largest share of a second around that moment; without one, the usual share."""
        shares = [share for when, share in self.seen if at is None or abs(when - at) < 5]
        if not shares:
            return 0.0
        return round(max(shares) if at is not None else sum(shares) / len(shares), 2)

    def _own(self) -> float:
        return sum(map(processor_seconds, self._own_pids()))


def _busy() -> tuple[float, float]:
    """Seconds of all processors that were used, and that went by."""
    tick = os.sysconf("SC_CLK_TCK")
    spent = [int(one) / tick for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(spent) - spent[3] - spent[4], sum(spent)


class Logs(threading.Thread):
    """Reads what is logged as it is written, as old files are dropped: for tracebacks, and for secrets."""

    def __init__(self, folder: Path, secrets: list[str]) -> None:
        super().__init__(daemon=True)
        self._folder, self._read, self.over = folder, dict[int, int](), threading.Event()
        self._secret = re.compile("|".join(re.escape(one) for one in secrets))
        self.tracebacks: Counter[str] = Counter()
        self.first: dict[str, str] = {}  # of each traceback, in full
        self.secrets: list[str] = []
        self.bytes = 0

    def run(self) -> None:
        while not self.over.wait(2):
            self.look()
        self.look()

    def look(self) -> None:
        for path in sorted(self._folder.rglob("*")):
            with contextlib.suppress(OSError), path.open("rb") as file:
                state = os.fstat(file.fileno())
                begin = self._read.get(state.st_ino, 0)
                file.seek(begin if begin <= state.st_size else 0)
                text = file.read()
                self._read[state.st_ino] = file.tell()
                self._judge(path.name, text.decode("utf-8", "replace"))

    def _judge(self, name: str, text: str) -> None:
        self.bytes += len(text)
        for found in self._secret.finditer(text):
            self.secrets.append(f"{name}: {text[max(found.start() - 60, 0) : found.start()]}…")
        for found in re.finditer(r"Traceback \(most recent call last\):\n((?:[ +|].*\n|\n)*)(\S.*)", text):
            places = re.findall(r'File "[^"]*?([\w.]+/[\w.]+)", line (\d+)', found[1])
            shown = f"{name}: {found[2][:150]} at {':'.join(places[-1]) if places else '?'}"
            self.tracebacks[shown] += 1
            self.first.setdefault(shown, text[max(found.start() - 200, 0) : found.end()][-6000:])


class Trader(threading.Thread):
    """The tenant who trades: a BUY and a CLOSE each second, both filled."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(daemon=True)
        self.rig, self.over = rig, threading.Event()
        self.trips = self.sent = 0
        self.times: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            bought, closed = self._trade("buy"), self._trade("close")
            self.trips += bought and closed
            self.over.wait(max(1 - (time.monotonic() - began), 0))

    def _trade(self, action: str) -> bool:
        """Filled, or what became of it."""
        self.sent += 1
        body = json.dumps({"action": action, "symbol": "AAPL", "id": f"t{self.sent}"})
        line, began = (
            http.client.HTTPConnection("127.0.0.1", self.rig.port, timeout=PATIENCE),
            time.monotonic(),
        )
        try:
            line.request("POST", f"/webhook?token={urllib.parse.quote(self.rig.webhook)}", body)
            answer = line.getresponse()
            told = json.loads(answer.read())
            self.times.append(time.monotonic() - began)
            became = self._follow(told["signal_id"], began) if answer.status == 202 else str(told)[:200]
        except (OSError, http.client.HTTPException, ValueError, KeyError, RuntimeError) as error:
            became = repr(error)[:200]
        finally:
            line.close()
        if became != "filled":
            self.failed.append(f"{action} {self.sent}: {became}")
        return became == "filled"

    def _follow(self, signal_id: str, began: float) -> str:
        status = "accepted"
        while time.monotonic() - began < PATIENCE:
            status = self.rig.call("GET", f"/api/v1/signals/{signal_id}")["status"]
            if status in ("filled", "refused", "failed"):
                break
            time.sleep(0.05)
        return str(status)


def state_of(rig: Rig) -> Any:
    """Everything that a tenant sees of what is theirs, but for what moves by itself."""
    paths = (
        "users/me",
        "accounts",
        "bots",
        "signals",
        "orders",
        "trades",
        "positions",
        "protections",
        "protection-locks",
        "switches",
        "tokens",
        "messages",
        "webhook-token",
        "round-trips",
        "risk-events",
        "drifts",
    )
    return {path: _still(rig.call("GET", f"/api/v1/{path}")) for path in paths}


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _still(one) for name, one in value.items() if not _MOVES.search(name)}
    return [_still(one) for one in value] if isinstance(value, list) else value


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            line
            for name in before | after
            for line in differences(before.get(name), after.get(name), f"{where}.{name}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for at, pair in enumerate(zip(before, after, strict=True))
            for line in differences(*pair, f"{where}.{at}")
        ]
    return [] if before == after else [f"{where}: {str(before)[:150]} → {str(after)[:150]}"]
