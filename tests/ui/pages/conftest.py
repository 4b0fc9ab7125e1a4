"""Pages run without a browser, as somebody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.settings import Settings
from dashtrade.ui.kit import components
from dashtrade.ui.shell import runtime
from tests.support.databases import SqliteFiles
from tests.support.pages import Shown


@pytest.fixture
def app(tmp_path: Path, sqlite_files: SqliteFiles) -> Iterator[App]:
    sqlite_files.fresh(tmp_path / "home" / "dashtrade.db")
    made = build_app(Settings.load({"DASHTRADE_HOME": str(tmp_path / "home")}, tmp_path))
    runtime.use(made)
    yield made
    runtime.use(None)
    made.close()


@pytest.fixture
def seen_as(monkeypatch: pytest.MonkeyPatch):
    """Whose browser it is. AppTest has no cookies, so the one function that reads them is answered for."""

    def see(user: User | None) -> None:
        monkeypatch.setattr(runtime, "current_user", lambda *, present=True: user)
        monkeypatch.setattr(runtime, "session_token", lambda: "a-token")

    return see


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What the components of a page are given, by their keys."""
    found: Shown = {}
    mount = components.mounted

    def watched(name: str, html: str) -> Any:
        def put(*, key: str, data: Any = None, **more: Any) -> Any:
            found[key] = data
            return mount(name, html)(key=key, data=data, **more)

        return put

    monkeypatch.setattr(components, "mounted", watched)
    return found
