"""The README claims only what is so."""

from __future__ import annotations

import re
from pathlib import Path

from dashtrade.app import BROKERS
from dashtrade.brokers import guide
from dashtrade.cli import parser
from dashtrade.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_setting_stands_in_the_readme_as_the_program_reads_it() -> None:
    rows = [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in Settings.TABLE]
    assert [row for row in rows if row not in README] == []


def test_the_readme_names_every_broker() -> None:
    assert [name for name in BROKERS if f"| `{name}`" not in README] == []


def test_what_each_broker_can_do_stands_in_the_readme_as_the_program_goes_by_it() -> None:
    made = re.search(r"<!-- brokers -->\n(.*)<!-- /brokers -->", README, re.DOTALL)
    assert made is not None and made.group(1) == guide.as_markdown(), (
        "put in what `dashtrade brokers --markdown` prints"
    )


def test_every_file_and_folder_the_readme_names_exists() -> None:
    named = set(re.findall(r"`([\w./-]+/|[\w./-]+\.(?:py|md|key))`", README))
    assert (
        named
        and [name for name in sorted(named) if not name.startswith("data/") and not (ROOT / name).exists()]
        == []
    )


def test_every_command_of_the_readme_is_one_of_the_programs() -> None:
    commands = parser().format_help()
    for name in ("up", "brokers", "migrate", "doctor", "user", "backup", "restore", "key", "setup-link"):
        assert name in commands and f"`{name}" in README


def test_every_picture_of_the_readme_is_there() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures and [picture for picture in pictures if not (ROOT / picture).exists()] == []
