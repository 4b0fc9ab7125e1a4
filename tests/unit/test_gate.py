"""The gate: ruff and mypy find nothing in the code. Their rules are in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def says(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=600
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=" ".join
)
def test_the_code_passes(command: tuple[str, ...]) -> None:
    found = says(*command)
    assert not found, f"{' '.join(command)} says:\n{found}"


BAD = {
    ("ruff", "check"): ("dashtrade/domain/bad.py", "import os\n"),
    ("ruff", "format", "--check"): ("dashtrade/domain/bad.py", "a  =  1\n"),
    ("mypy",): ("dashtrade/domain/bad.py", "def untyped(a):\n    return a\n"),
}


@pytest.mark.parametrize("command", BAD, ids=" ".join)
def test_the_gate_can_close(command: tuple[str, ...], tmp_path: Path) -> None:
    name, text = BAD[command]
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for folder in (tmp_path / "pages", tmp_path / name):
        (folder if folder.suffix == "" else folder.parent).mkdir(parents=True, exist_ok=True)
    (tmp_path / "top.py").write_text("")
    (tmp_path / "pages" / "page.py").write_text("")
    (tmp_path / "dashtrade" / "__init__.py").write_text("")
    (tmp_path / "dashtrade" / "domain" / "__init__.py").write_text("")
    (tmp_path / name).write_text(text)
    assert "bad.py" in says(*command, cwd=tmp_path)
