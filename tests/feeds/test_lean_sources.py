"""The table of sources costs nothing: what an adapter needs is loaded by the first request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_library_is_loaded_for_the_table_of_sources():
    heavy = ("numpy", "pandas", "requests", "ccxt", "websockets", "alpaca")
    script = (
        "import sys, dashtrade.feeds.guide, dashtrade.feeds.router, dashtrade.services.market.sources; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
