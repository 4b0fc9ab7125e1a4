"""Nobody pays for a broker they do not use: without a crypto or Alpaca account, nothing ever loads these
libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dashtrade.settings import ROOT

# Runs in a process of its own, where nobody has loaded anything before. The watcher stands before every
# importer, so that an import is seen even where it fails, is undone, or happens in another thread.
DAY = """
import sys
from pathlib import Path

wanted = []


class Watcher:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ccxt", "alpaca"):
            wanted.append(name)
        return None


sys.meta_path.insert(0, Watcher())

import dashtrade.worker.worker
from streamlit.testing.v1 import AppTest
from dashtrade.api.http import ENDPOINTS
from dashtrade.app import build_app
from dashtrade.domain.access import Role
from dashtrade.settings import ROOT, Settings
from dashtrade.ui.shell import runtime
from tests.support.installation import Installation

home = Path(sys.argv[1])
app = build_app(Settings.load({"DASHTRADE_HOME": str(home)}, home))
installation = Installation(app)
ann = installation.join(role=Role.SUPERADMIN)
ann.bot()
assert ann.trades("buy")["status"] == "filled"
worker = dashtrade.worker.worker.Worker(app)
worker.start()
served = [path for method, path in ENDPOINTS if method == "GET" and "<" not in path]
for path in served:
    assert ann.call("GET", path.removeprefix("/api/v1")).status_code == 200, path
ann.request("POST", "/accounts/1/test")
assert ann.trades("close")["status"] in ("filled", "working")
assert installation.flask.test_client().get("/health").status_code == 200

runtime.use(app)
runtime.current_user = lambda *, present=True: ann.user
runtime.session_token = lambda: "a-token"
pages = sorted((ROOT / "pages").glob("*.py"))
for page in pages:
    tab = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60).switch_page(f"pages/{page.name}").run()
    assert not tab.exception, (page, tab.exception)
worker.stop()
print("served", len(served), "shown", len(pages), "loaded", sorted(set(wanted)))

body = {"broker": "alpaca", "mode": "paper", "label": "A", "credentials": {"key": "PK1", "secret": "secret"}}
ann.call("POST", f"/accounts/{ann.request('POST', '/accounts', body)['id']}/test")
print("with an account", sorted({name.partition(".")[0] for name in wanted}))
"""


@pytest.mark.slow
def test_a_day_of_pages_requests_and_trades_on_paper_loads_no_brokers_library(tmp_path: Path):
    given = {
        "ALPACA_API_URL": "http://127.0.0.1:9",
        "PATH": "",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", DAY, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=given,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = done.stdout.strip().splitlines()[-2:]
    assert before.endswith("loaded []") and "served 0" not in before and "shown 0" not in before
    assert after == "with an account ['alpaca']", "the watcher sees what is loaded"
