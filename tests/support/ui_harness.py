"""A dashboard of its own, asked over HTTP."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.services.people import users
from dashtrade.settings import ROOT, Settings
from tests.support.free_port import free_port

PASSWORD = "correct horse battery"

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "streamlit, x",
}

FORM = "application/x-www-form-urlencoded"


@dataclass
class HttpAnswer:
    status: int
    headers: dict[str, str]
    text: str
    cookie: str = ""


@dataclass
class DashboardHarness:
    port: int
    app: App  # a second door to the same database, for what a test prepares
    pid: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.app.settings.home / "stderr").read_text()

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        cookie: str = "",
        origin: str | None = "own",
        host: str = "",
        **headers: str,
    ) -> HttpAnswer:
        sent = {
            "Host": host or self.host,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if origin is not None:
            sent["Origin"] = f"http://{self.host}" if origin == "own" else origin
        if cookie:
            sent["Cookie"] = f"dashtrade_session={cookie}"
        if body is not None:
            sent.setdefault("Content-Type", FORM)
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            line.request(method, path, body, sent)
            result = line.getresponse()
            text = "" if result.status == 101 else result.read().decode("utf-8", "replace")
            answer = {name.lower(): value for name, value in result.getheaders()}
            found = re.search(r"dashtrade_session=([\w-]+)", answer.get("set-cookie", ""))
            return HttpAnswer(result.status, answer, text, found.group(1) if found else "")
        finally:
            line.close()

    def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> HttpAnswer:
        """Each time from another address: of one there are not many in a minute."""
        more.setdefault(
            "X_Forwarded_For",
            f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.{secrets.randbelow(250)}",
        )
        return self.ask("POST", "/auth/login", urlencode({"email": email, "password": password}), **more)

    def socket(self, cookie: str = "", origin: str | None = "own", host: str = "") -> int:
        return self.ask("GET", "/_stcore/stream", cookie=cookie, origin=origin, host=host, **UPGRADE).status

    def person(self, role: Role = Role.STANDARD) -> str:
        email = f"{secrets.token_hex(4)}@example.com"
        users.add_user(self.app, email=email, name="Somebody", password=PASSWORD, role=role)
        return email


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardHarness]:
    home = tmp_path_factory.mktemp("desk")
    port = free_port()
    given = {
        "DASHTRADE_HOME": str(home),
        "DASHTRADE_UI_PORT": str(port),
        "DASHTRADE_PUBLIC_URL": "https://hooks.example.com",
        "DASHTRADE_DASHBOARD_URL": "https://dash.example.com",
        "DASHTRADE_PROXY_HOPS": "1",
    }
    app = build_app(Settings.load(given, home))
    command, environ = [sys.executable, "-m", "dashtrade.ui.shell.serve"], os.environ | given
    with open(home / "stderr", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=log)
    made = DashboardHarness(port, app, process.pid)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if made.ask("GET", "/_stcore/health").status == 200:
                break
        except OSError:
            time.sleep(0.1)
    yield made
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(15) in (0, -signal.SIGTERM)
    assert time.monotonic() - began < 8, "SIGTERM is to end it within seconds"
    app.close()
