"""No environment variable switches on what is there for tests: a crash or a slow disk is armed by code of the
tests and benches."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

import bot_database
from dashtrade import failpoints
from dashtrade.settings import ROOT
from tests.unit.test_architecture import MODULES, tree

# Settings; a child's own environment; what the doctor compares with it; the proxies that requests would look
# up at each call.
READERS = {
    "dashtrade.settings",
    "dashtrade.processes.parent_watchdog",
    "dashtrade.processes.supervisor",
    "dashtrade.doctor",
    "dashtrade.brokers.alpaca.sdk",
    "dashtrade.feeds.web",
}


def test_a_failpoint_named_in_the_environment_ends_no_process():
    named = {"DASHTRADE_FAILPOINT": failpoints.NAMES[0]}
    code = f"from dashtrade.failpoints import failpoint; failpoint({failpoints.NAMES[0]!r}); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | named,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr


def test_no_commit_waits_because_the_environment_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DASHTRADE_SLOW_COMMIT_MS", "5000")
    waits: list[float] = []
    monkeypatch.setattr(bot_database.time, "sleep", waits.append)
    db = bot_database.Database("sqlite://")
    assert db.write(lambda conn: conn.exec_driver_sql("SELECT 1").scalar()) == 1
    assert waits == []


def reads_environment(module: str) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (isinstance(node, ast.Name) and "environ" in node.id)
        or (isinstance(node, ast.alias) and ("environ" in node.name or node.name == "getenv"))
        for node in ast.walk(tree(module))
    )


def test_the_environment_is_read_by_few_and_by_settings_for_all_others():
    assert {module for module in MODULES if reads_environment(module)} <= READERS


def test_the_product_passes_failpoints_and_arms_none():
    taken = {
        name.name
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ImportFrom) and node.module in ("dashtrade.failpoints", "dashtrade")
        for name in node.names
        if node.module == "dashtrade.failpoints" or name.name == "failpoints"
    }
    assert taken == {"failpoint"}
