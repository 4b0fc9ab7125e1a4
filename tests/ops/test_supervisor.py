"""The supervisor keeps two processes running, says what happens to them, and takes them with it when it goes.

Each test runs a real supervisor process over small stand-ins for the receiver and the dashboard.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashtrade.processes import supervisor
from dashtrade.processes.parent_watchdog import PARENT_VARIABLE
from dashtrade.processes.ports import BusyPort, listening_process, require_free, responds_ok
from dashtrade.settings import ROOT, Settings
from tests.support.free_port import free_port

LIMIT = 15.0

STAND_IN = """
    import os, signal, sys, threading, time
    from http.server import BaseHTTPRequestHandler, HTTPServer
    sys.path.insert(0, {root!r})
    from dashtrade.processes.parent_watchdog import watch_parent
    watch_parent(interval=0.1, grace=2)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()
        def log_message(self, *given):
            pass

    def serve(port):
        server = HTTPServer(("127.0.0.1", port), Answer)
        signal.signal(signal.SIGTERM, lambda *given: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
        server.server_close()
"""

RUN = """
    import signal, sys
    # a script's background job would hand on that it is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from dashtrade.processes import supervisor
    from dashtrade.settings import Settings
    from dashtrade.processes.supervisor import Service, SupervisorTimings
    supervisor.setup_link = lambda root: "http://127.0.0.1/set-up"
    settings = Settings.load({{"DASHTRADE_HOME": {home!r}}}, Path({home!r}))
    wanted = tuple(
        Service(
            name=name, command=(sys.executable, "-c", code), port=port, setting="DASHTRADE_UI_PORT",
            health="/health",
        )
        for name, code, port in {wanted!r}
    )
    pace = SupervisorTimings(
        first_delay=0.05, longest_delay=0.2, settled=60, grace={grace}, tick=0.05, idle=0.1, port_patience=0
    )
    sys.exit(supervisor.run_services(settings, wanted, pace))
"""


class Running:
    """A supervisor under test: what it says on the console, and its children's pids."""

    def __init__(self, home: Path, children: dict[str, str], grace: float = 5):
        self.home, self.ports = home, {name: free_port() for name in children}
        stand_in = textwrap.dedent(STAND_IN.format(root=str(ROOT)))
        wanted = [
            (name, stand_in + textwrap.dedent(body).replace("PORT", str(self.ports[name])), self.ports[name])
            for name, body in children.items()
        ]
        self.console = home / "console.txt"
        code = textwrap.dedent(RUN.format(root=str(ROOT), home=str(home), wanted=wanted, grace=grace))
        with self.console.open("w") as console:
            self.process = subprocess.Popen([sys.executable, "-c", code], stdout=console, stderr=console)

    @property
    def said(self) -> str:
        return self.console.read_text()

    def until(self, pattern: str) -> str:
        def found():
            return re.search(pattern, self.said, re.DOTALL)

        wait_for(found, lambda: f"{pattern!r} in:\n{self.said}")
        return self.said

    def pid_of(self, name: str) -> int:
        wait_for(lambda: listening_process(self.ports[name]), lambda: f"a process on the port of {name}")
        return listening_process(self.ports[name]).pid

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT)


def wait_for(condition, what) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT} s in vain for {what()}"
        time.sleep(0.02)


@contextmanager
def running(home: Path, grace: float = 5, **children: str):
    started = Running(home, children, grace)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.end()


needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="only Linux tells who holds a port"
)


def test_it_says_where_things_are_once_both_are_well_and_ends_with_0(tmp_path):
    with running(tmp_path, receiver="serve(PORT)", dashboard="time.sleep(0.5); serve(PORT)") as dashtrade:
        answer = dashtrade.until("Ctrl-C stops it")
        assert "http://127.0.0.1:5000" in answer and "http://127.0.0.1:8080/webhook" in answer
        assert "http://127.0.0.1/set-up" in answer
        assert dashtrade.end(signal.SIGINT) == 0
        for port in dashtrade.ports.values():
            require_free("127.0.0.1", port, "")


@needs_proc
def test_a_child_that_dies_is_started_again_and_its_last_words_are_shown(tmp_path):
    with running(
        tmp_path, receiver="serve(PORT)", dashboard="print('these words', flush=True); serve(PORT)"
    ) as dashtrade:
        dashtrade.until("Ctrl-C stops it")
        first = dashtrade.pid_of("dashboard")
        os.kill(first, signal.SIGKILL)
        answer = dashtrade.until("dashboard is running again")
        assert "dashboard ended (killed by SIGKILL; the machine may have run out of memory)" in answer
        assert "    these words" in answer
        assert dashtrade.pid_of("dashboard") != first
        assert (tmp_path / "logs" / "dashboard.log").read_text().splitlines() == ["these words"] * 2


def test_a_child_that_keeps_dying_is_tried_ever_more_rarely(tmp_path):
    with running(tmp_path, receiver="sys.exit('no luck')", dashboard="serve(PORT)") as dashtrade:
        answer = dashtrade.until("(restarting in 0.2 s.*){2}")
        assert re.findall(r"exit code 1\); restarting in (\S+) s", answer)[:4] == [
            "0.05",
            "0.1",
            "0.2",
            "0.2",
        ]
        assert "no luck" in answer and "DashTrade is up" not in answer


def test_a_child_only_a_person_can_help_stops_everything(tmp_path):
    body = "print('The key does not fit.', file=sys.stderr); sys.exit(78)"
    with running(tmp_path, receiver=body, dashboard="serve(PORT)") as dashtrade:
        assert dashtrade.process.wait(LIMIT) == 78
        assert "DashTrade cannot start; the receiver says:\n    The key does not fit." in dashtrade.said
        require_free("127.0.0.1", dashtrade.ports["dashboard"], "")


@needs_proc
def test_a_service_that_has_worked_is_restarted_whatever_its_exit_code(tmp_path):
    """A receiver that dies with the code of wrong settings must not take with it what watches the stops."""
    mark = tmp_path / "once"
    body = f"""
        if os.path.exists({str(mark)!r}):
            os.remove({str(mark)!r}); print('The database is away.', flush=True); sys.exit(78)
        serve(PORT)
    """
    with running(tmp_path, receiver=body, dashboard="serve(PORT)") as dashtrade:
        dashtrade.until("Ctrl-C stops it")
        other = dashtrade.pid_of("dashboard")
        mark.touch()
        os.kill(dashtrade.pid_of("receiver"), signal.SIGKILL)
        answer = dashtrade.until("receiver is running again")
        assert "The database is away." in answer and "cannot start" not in answer
        assert dashtrade.pid_of("dashboard") == other


def test_the_worker_is_a_service_of_its_own(tmp_path):
    settings = Settings.load({"DASHTRADE_HOME": str(tmp_path)}, tmp_path)
    assert [service.name for service in supervisor.services(settings)] == ["worker", "receiver", "dashboard"]


@needs_proc
def test_a_killed_supervisor_leaves_no_child_behind(tmp_path):
    with running(tmp_path, receiver="serve(PORT)", dashboard="serve(PORT)") as dashtrade:
        dashtrade.until("Ctrl-C stops it")
        dashtrade.end(signal.SIGKILL)
        for port in dashtrade.ports.values():
            wait_for(
                lambda port=port: listening_process(port) is None,
                lambda port=port: f"port {port} to be let go",
            )


def test_a_child_that_ignores_the_request_to_stop_is_ended_by_force(tmp_path):
    stubborn = (
        "s = HTTPServer(('127.0.0.1', PORT), Answer); signal.signal(15, signal.SIG_IGN); s.serve_forever()"
    )
    with running(tmp_path, grace=0.3, receiver="serve(PORT)", dashboard=stubborn) as dashtrade:
        dashtrade.until("Ctrl-C stops it")
        assert dashtrade.end() == 0
        assert "dashboard did not stop in time" in dashtrade.said
        require_free("127.0.0.1", dashtrade.ports["dashboard"], "", patience=2)


@needs_proc
def test_a_busy_port_names_its_holder_and_the_setting(tmp_path):
    port = free_port()
    program = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    other = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listening_process(port), lambda: "the other program")
        with pytest.raises(BusyPort) as caught:
            require_free("127.0.0.1", port, "DASHTRADE_UI_PORT")
        answer = str(caught.value)
        assert f"Port {port} is in use by process {other.pid} (" in answer and "http.server" in answer
        assert f"DASHTRADE_UI_PORT={port + 1}" in answer
    finally:
        other.terminate()
        other.wait(LIMIT)


def test_an_address_of_another_machine_is_refused_with_the_setting():
    with pytest.raises(BusyPort, match="Set DASHTRADE_HOST"):
        require_free("192.0.2.1", free_port(), "DASHTRADE_UI_PORT")


def test_nothing_is_started_when_a_port_is_busy(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = Settings.load(
            {"DASHTRADE_UI_PORT": str(port), "DASHTRADE_WEBHOOK_PORT": str(free_port())}, tmp_path
        )
        assert supervisor.run_services(settings, pace=supervisor.SupervisorTimings(port_patience=0)) == 78
    answer = capsys.readouterr().out
    assert answer.startswith("DashTrade cannot start. Port") and "Starting" not in answer


def test_a_home_that_cannot_be_created_is_reported_with_its_setting(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    settings = Settings.load({"DASHTRADE_HOME": str(tmp_path / "file" / "home")}, tmp_path)
    assert supervisor.run_services(settings) == 78
    assert "set DASHTRADE_HOME to another one" in capsys.readouterr().out


def test_a_second_dashtrade_on_the_same_home_is_refused_before_anything_starts(tmp_path, capsys):
    ports = {"DASHTRADE_UI_PORT": str(free_port()), "DASHTRADE_WEBHOOK_PORT": str(free_port())}
    settings = Settings.load({"DASHTRADE_HOME": str(tmp_path / "home")} | ports, tmp_path)
    supervisor.make_home(settings)
    with supervisor.lock_home(settings):
        assert supervisor.run_services(settings) == 78
    answer = capsys.readouterr().out
    assert "runs on" in answer and "DASHTRADE_HOME" in answer and "Starting" not in answer
    supervisor.lock_home(settings).close()


def test_silence_and_refusals_do_not_count_as_health():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        assert not responds_ok("127.0.0.1", mute.getsockname()[1], "/health", timeout=0.1)
    assert not responds_ok("127.0.0.1", free_port(), "/health")


def test_a_process_without_a_supervisor_watches_nothing(monkeypatch):
    from dashtrade.processes.parent_watchdog import watch_parent

    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    assert not watch_parent()


def test_the_supervisor_loads_nothing_of_the_application():
    code = "import sys, dashtrade.cli, dashtrade.processes.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {
        "sqlalchemy",
        "flask",
        "streamlit",
        "pandas",
        "cryptography",
        "ssl",
        "asyncio",
        "dashtrade.domain",
    }
    assert not heavy & set(done.stdout.split())
