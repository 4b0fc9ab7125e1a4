"""DashTrade as its users run it, on a folder and ports of its own, with one user, accounts and bots to
measure with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(slots=True, kw_only=True)
class Rig:
    """A receiver with its worker, started and stopped by us."""

    home: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)
    slow_commit_ms: float = 0  # that every commit is held up by, as on a slow disk
    process: subprocess.Popen[bytes] | None = None  # the receiver
    worker: subprocess.Popen[bytes] | None = None
    access: str = ""
    webhook: str = ""

    def start(self) -> float:
        """Seconds until it is healthy."""
        began = time.perf_counter()
        with open(self.home / "receiver.log", "ab") as out:
            self.process, self.worker = (
                subprocess.Popen(
                    self.command(module),
                    cwd=ROOT,
                    stdout=out,
                    stderr=out,
                    env=self.env(),
                    start_new_session=True,
                )
                for module in ("webhook_server", "dashtrade.worker")
            )
        while time.perf_counter() - began < 30:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if urllib.request.urlopen(f"{self.url}/health", timeout=2).status == 200:
                    return time.perf_counter() - began
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"the receiver did not start: {(self.home / 'receiver.log').read_text()[-2000:]}")

    def command(self, module: str) -> list[str]:
        slowly = ["bench.slow_disk", f"{self.slow_commit_ms:g}"] if self.slow_commit_ms else []
        return [sys.executable, "-m", *slowly, module]

    def env(self) -> dict[str, str]:
        return (
            os.environ
            | {
                "DASHTRADE_HOME": str(self.home),
                "DASHTRADE_WEBHOOK_PORT": str(self.port),
                "DASHTRADE_UI_PORT": str(free_port()),
                "DASHTRADE_WEBHOOK_RATE": "1000000",
                "DASHTRADE_USER_MB": "1000000",
                "DASHTRADE_LOG_LEVEL": "WARNING",
                "PYTHONPATH": str(ROOT),
                "DASHTRADE_SIGNUP": "open",
            }
            | self.environ
        )

    def stop(self, how: int = signal.SIGTERM) -> None:
        running = [
            process
            for process in (self.process, self.worker)
            if process is not None and process.poll() is None
        ]
        for process in running:
            os.killpg(process.pid, how)
        for process in running:
            process.wait(30)
        self.process = self.worker = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", method=method, data=json.dumps(body).encode() if body is not None else None
        )
        request.add_header("Content-Type", "application/json")
        if token or self.access:
            request.add_header("Authorization", f"Bearer {token or self.access}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None

    def join(self, email: str = "bench@example.com") -> None:
        """The first user, by the set-up link; later ones as the installation allows."""
        link = subprocess.run(
            [sys.executable, "-m", "dashtrade.cli", "setup-link"],
            cwd=ROOT,
            env=self.env(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        given = {
            "email": email,
            "password": "three green owls",
            "name": "Bench",
            "setup_code": link.partition("setup=")[2] or None,
        }
        self.access = self.call("POST", "/api/v1/auth/register", given)["access_token"]
        self.webhook = self.call("POST", "/api/v1/webhook-token/rotate", {})["token"]

    def add_bots(self, symbols: list[str], size: str = "1000", **fields: Any) -> list[int]:
        account = self.call(
            "POST", "/api/v1/accounts", {"broker": "paper", "mode": "paper", "label": "Bench"}
        )["id"]
        bot = {"account_id": account, "timeframe": "15", "position_size": size} | fields
        return [self.call("POST", "/api/v1/bots", bot | {"symbol": symbol})["id"] for symbol in symbols]


@contextlib.contextmanager
def rig(*, slow_commit_ms: float = 0, **environ: str) -> Iterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="dashtrade-bench-") as folder:
        one = Rig(home=Path(folder), port=free_port(), environ=environ, slow_commit_ms=slow_commit_ms)
        one.start()
        try:
            one.join()
            yield one
        finally:
            one.stop()


STOCKS = [
    "AAPL",
    "MSFT",
    "NVDA",
    "AMZN",
    "GOOG",
    "META",
    "TSLA",
    "AMD",
    "NFLX",
    "INTC",
    "CSCO",
    "ORCL",
    "IBM",
    "QCOM",
    "TXN",
    "ADBE",
    "CRM",
    "PYPL",
    "UBER",
    "ABNB",
    "SHOP",
    "SQ",
    "COIN",
    "PLTR",
    "SNOW",
    "NET",
    "DDOG",
    "ZS",
    "CRWD",
    "PANW",
    "F",
    "GM",
    "BA",
    "GE",
    "CAT",
    "DE",
    "MMM",
    "HON",
    "LMT",
    "RTX",
    "JPM",
    "BAC",
    "WFC",
    "C",
    "GS",
    "MS",
    "V",
    "MA",
    "AXP",
    "BLK",
    "KO",
    "PEP",
    "MCD",
    "SBUX",
    "NKE",
    "DIS",
    "WMT",
    "TGT",
    "COST",
    "HD",
    "LOW",
    "PG",
    "JNJ",
    "PFE",
]


def alternating(symbol: str, count: int, start: int = 0) -> list[str]:
    """Buy, close, buy, close …: every alert leads to one order. Each has an id of its own, as nothing else
    tells them apart."""
    return [
        json.dumps(
            {"action": "close" if n % 2 else "buy", "symbol": symbol, "timeframe": "15", "id": f"{start + n}"}
        )
        for n in range(count)
    ]


def show(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
