"""`./test --quick` takes some tests and leaves others, and says how many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # pytest collects everything eight times


def chosen(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers"]
    done = subprocess.run(
        [*command, "--collect-only", "-q", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.stdout


@pytest.mark.parametrize(
    ("file", "taken", "left"),
    [
        ("tests/database/test_database_writes.py", "[sqlite]", "[postgresql]"),
        ("tests/ui/browser", "", "test_ui_browser"),
        ("tests/ops/test_notified_users.py", "", "test_notified_users.py::"),
        ("tests/engine/test_crash.py", "the_short_set_names", "[sqlite-60]"),
    ],
)
def test_the_quick_set_leaves_databases_to_start_programs_and_pages(file: str, taken: str, left: str) -> None:
    quick = chosen("--quick", file)
    assert taken in quick and "deselected" in quick and left not in quick
    assert left in chosen(file)
