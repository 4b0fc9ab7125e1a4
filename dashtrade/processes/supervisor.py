"""Starts the processes, prints their addresses, restarts them when they die, and stops them together.

Standard library only, and nothing of the application: this process runs all day and stays small. Each
child's output goes to its own log file; the console shows only what a person should know."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from logging import Formatter, LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from dashtrade.processes.parent_watchdog import PARENT_VARIABLE
from dashtrade.processes.ports import BusyPort, require_free, responds_ok
from dashtrade.settings import EX_CONFIG, ROOT, Settings


class HomeUnusable(Exception):
    """A home folder that cannot be used. `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process to keep running, and its health check: a port, or a file that the process writes once
    ready."""

    name: str
    command: tuple[str, ...]
    port: int = 0
    setting: str = ""
    health: str = ""
    ready_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorTimings:
    """Durations in seconds; tests use shorter ones."""

    first_delay: float = 0.5
    longest_delay: float = 30.0
    settled: float = 60.0
    slow_start: float = 60.0
    grace: float = 20.0
    tick: float = 0.25
    idle: float = 1.0
    port_patience: float = 3.0


def services(settings: Settings) -> tuple[Service, ...]:
    """The worker, which watches stops and executes signals; the receiver; the dashboard. They run as
    separate processes so that one can fail alone."""
    python = sys.executable
    return (
        Service(
            name="worker",
            command=(python, "-m", "dashtrade.worker"),
            ready_file=settings.home / "worker.sock",
        ),
        Service(
            name="receiver",
            command=(python, "webhook_server.py"),
            port=settings.webhook_port,
            setting="DASHTRADE_WEBHOOK_PORT",
            health="/health",
        ),
        Service(
            name="dashboard",
            command=(python, "-m", "dashtrade.ui.shell.serve"),
            port=settings.ui_port,
            setting="DASHTRADE_UI_PORT",
            health="/_stcore/health",
        ),
    )


def say(text: str) -> None:
    print(text, flush=True)


class QuietLog(RotatingFileHandler):
    """Silent on a full disk, where a traceback per line would flood the console."""

    def handleError(self, record: LogRecord) -> None:
        pass


class Child:
    """One service's process, its log, and its restart back-off."""

    def __init__(self, service: Service, settings: Settings, pace: SupervisorTimings, wake: threading.Event):
        self.service, self._host, self._pace, self._wake = service, settings.host, pace, wake
        self.log_file = settings.logs / f"{service.name}.log"
        self._log = QuietLog(self.log_file, maxBytes=5_000_000, backupCount=3, encoding="utf-8")
        self._log.setFormatter(Formatter("%(message)s"))
        self._delay = pace.first_delay
        self.process: subprocess.Popen[bytes] | None = None
        self.healthy_at: float | None = None
        self.start_at = self.started_at = time.monotonic()
        self._was_healthy = False
        self.last_lines: deque[str] = deque(maxlen=12)
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        self.last_lines.clear()
        self.healthy_at, self.started_at = None, time.monotonic()
        if self.service.ready_file is not None:
            self.service.ready_file.unlink(missing_ok=True)
        process = subprocess.Popen(
            self.service.command,
            cwd=ROOT,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its own process group: Ctrl-C in the terminal then reaches the child once, through the
            # supervisor.
            process_group=0,
        )
        assert process.stdout is not None
        self.process = process
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            self.last_lines.append(text)
            self._log.emit(LogRecord(self.service.name, 20, "", 0, text, None, None))
        self._wake.set()

    def check_health(self) -> bool:
        """Polls until the first success of this run; afterwards a running process counts as healthy."""
        if self.healthy_at is None and self._is_healthy():
            self.healthy_at, self._was_healthy = time.monotonic(), True
        return self.healthy_at is not None

    def _is_healthy(self) -> bool:
        if self.service.ready_file is None:
            return responds_ok(self._host, self.service.port, self.service.health)
        return self.service.ready_file.exists()

    def record_exit(self) -> tuple[int, float]:
        """Records the exit: returns the exit code and the delay before the next start."""
        assert self.process is not None and self._reader is not None, "it was never started"
        code = self.process.wait()
        self._reader.join(timeout=1)
        now = time.monotonic()
        if code == EX_CONFIG and self._was_healthy:
            # the settings have worked before, so the cause, such as an unreachable database, is temporary
            code = 1
        if self.healthy_at is not None and now - self.healthy_at >= self._pace.settled:
            self._delay = self._pace.first_delay
        delay, self._delay = self._delay, min(self._delay * 2, self._pace.longest_delay)
        self.process, self.healthy_at, self.start_at = None, None, now + delay
        return code, delay

    def signal(self, number: int) -> None:
        """SIGKILL goes to the whole process group, other signals to the process alone."""
        if self.process is None or not self.running:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """The main loop: wait for events, start what is due, report exits, until stopped."""

    def __init__(
        self,
        children: list[Child],
        pace: SupervisorTimings,
        wake: threading.Event,
        announce: Callable[[], None],
    ):
        self._children, self._pace, self._wake, self._announce = children, pace, wake, announce
        self._announced = False
        self._reported_slow: set[str] = set()
        self.stops = 0

    def stop(self, number: int = 0, frame: object = None) -> None:
        """A signal handler; a second signal stops immediately."""
        self.stops += 1
        self._wake.set()

    def run(self) -> int:
        """Returns the exit code."""
        code = 0
        while not self.stops and code != EX_CONFIG:
            code = self._check_children()
            settled = self._announced and all(c.running and c.healthy_at is not None for c in self._children)
            self._wake.wait(self._pace.idle if settled else self._pace.tick)
            self._wake.clear()
        self._stop_all()
        return code

    def _check_children(self) -> int:
        for child in self._children:
            if child.process is None:
                if time.monotonic() >= child.start_at:
                    child.start()
            elif not child.running:
                if self._report_exit(child) == EX_CONFIG:
                    return EX_CONFIG
            elif child.healthy_at is None:
                self._check_start(child)
        if not self._announced and all(child.healthy_at is not None for child in self._children):
            self._announced = True
            self._announce()
        return 0

    def _report_exit(self, child: Child) -> int:
        code, delay = child.record_exit()
        lines = "".join(f"\n    {line}" for line in child.last_lines)
        if code == EX_CONFIG:
            say(f"DashTrade cannot start; the {child.service.name} says:{lines or ' nothing'}")
        else:
            log_hint = (
                f" Last output:{lines}\n  Full log: {child.log_file}"
                if lines
                else f" Its log: {child.log_file}"
            )
            say(f"The {child.service.name} ended ({exit_reason(code)}); restarting in {delay:g} s.{log_hint}")
        return code

    def _check_start(self, child: Child) -> None:
        name = child.service.name
        if child.check_health():
            if self._announced:
                say(f"The {name} is running again.")
        elif name not in self._reported_slow and time.monotonic() - child.started_at > self._pace.slow_start:
            self._reported_slow.add(name)
            say(
                f"The {name} takes more than {self._pace.slow_start:g} s to start; still waiting. Log: "
                f"{child.log_file}"
            )

    def _stop_all(self) -> None:
        for child in self._children:
            child.signal(signal.SIGTERM)
        stops, deadline = self.stops, time.monotonic() + self._pace.grace
        while any(c.running for c in self._children) and time.monotonic() < deadline and self.stops == stops:
            self._wake.wait(0.1)
            self._wake.clear()
        for child in self._children:
            if child.running:
                say(f"The {child.service.name} did not stop in time and is killed.")
                child.signal(signal.SIGKILL)


def exit_reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    memory = "; the machine may have run out of memory" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{memory}"


def run_services(
    settings: Settings,
    wanted: tuple[Service, ...] | None = None,
    pace: SupervisorTimings = SupervisorTimings(),
) -> int:
    """Runs DashTrade until stopped, and returns the exit code."""
    wanted = wanted or services(settings)
    try:
        make_home(settings)
        for service in (one for one in wanted if one.port):
            require_free(settings.host, service.port, service.setting, pace.port_patience)
        home_lock = lock_home(settings)
    except (BusyPort, HomeUnusable) as problem:
        say(f"DashTrade cannot start. {problem}")
        return EX_CONFIG
    say("Starting DashTrade ...")
    wake = threading.Event()
    children = [Child(service, settings, pace, wake) for service in wanted]
    supervisor = Supervisor(children, pace, wake, announce=lambda: announce(settings))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup ignores SIGHUP on purpose.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, supervisor.stop)
    with home_lock:
        code = supervisor.run()
    say("DashTrade is stopped.")
    return code


def make_home(settings: Settings) -> None:
    """Creates the home and its logs folder, for their owner only, and checks that they are writable."""
    probe = settings.home / f".writable-{os.getpid()}"
    try:
        for folder in (settings.home, settings.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise HomeUnusable(
            f"DashTrade cannot write to its home, {settings.home} ({error.strerror or error}).\n  Make "
            "that folder writable, or set DASHTRADE_HOME to another one."
        ) from None


def lock_home(settings: Settings) -> IO[str]:
    """One DashTrade per home. The lock ends with this process, however it exits; children do not inherit
    it."""
    file = open(settings.home / "running.lock", "w")  # noqa: SIM115  it is held as long as this process lives
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HomeUnusable(
            f"Another DashTrade already runs on {settings.home}.\n  Use that one, stop it first, or give "
            "this one its own home: DASHTRADE_HOME."
        ) from None
    return file


def announce(settings: Settings) -> None:
    say(
        f"DashTrade is up.\n  Dashboard   {settings.dashboard_url}\n  Webhooks    "
        f"{settings.public_url}/webhook\n  Logs        {settings.logs}"
    )
    link = setup_link(ROOT)
    if link:
        say(f"  Create the first account here (works once):\n    {link}")
    if settings.unencrypted:
        say(f"Warning: {settings.unencrypted}")
    say("Ctrl-C stops it.")


def setup_link(root: Path) -> str:
    """Runs in a short-lived process, so that the supervisor never loads the database libraries."""
    command = [sys.executable, "-m", "dashtrade.cli", "setup-link"]
    try:
        result = subprocess.run(
            command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        result = None
    if result is None or result.returncode != 0:
        say(
            "  (DashTrade could not check whether there is an account yet: run `.venv/bin/dashtrade "
            "setup-link`.)"
        )
        return ""
    return result.stdout.strip()
