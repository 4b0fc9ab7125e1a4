"""A disk that something else has filled lets exits out, and tells everybody why it takes nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rig import Rig, free_port
from dashtrade import disk
from dashtrade.disk import MB, Disk
from dashtrade.domain.access import Role
from dashtrade.domain.notices.people import DiskFree, DiskLow
from dashtrade.services.operations import disk_watch
from dashtrade.ui.shell import banners
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader, wait_until


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def of_mb(size: int) -> Any:
    return pytest.mark.parametrize("small_disk", [size], indirect=True, ids=[f"{size}MB"])


def fill_up(folder: Path, leave: int = 0) -> Path:
    """By something that is not DashTrade: what is free now, not what the ballast gives up meanwhile."""
    file = folder / "something else"
    state = os.statvfs(folder)
    room = state.f_bavail * state.f_frsize - leave
    with open(file, "ab", buffering=0) as out, contextlib.suppress(OSError):
        while room > 0:
            room -= out.write(b"x" * min(MB, room))
    return file


# --- the ballast --------------------------------------------------------------------------------------------


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"LOW_BYTES": 8 * MB, "CRITICAL_BYTES": MB, "BALLAST_BYTES": 4 * MB}.items():
        monkeypatch.setattr(disk, name, size)


@of_mb(20)
def test_the_ballast_is_held_given_up_when_next_to_nothing_is_left_and_taken_again(
    small_disk: Path, sizes: None
) -> None:
    one = Disk(small_disk / "dashtrade.db")
    assert one.ballast is not None and not one.is_low()
    one.take_ballast()
    held = one.ballast.stat()
    assert held.st_blocks * 512 >= 4 * MB and held.st_mode & 0o777 == 0o600
    other = fill_up(small_disk, leave=2 * MB)
    assert one.is_low() and one.ballast.exists(), "low, and not empty: it is still held"
    fill_up(small_disk)
    assert one.is_low() and not one.ballast.exists() and (one.free() or 0) >= 4 * MB
    one.take_ballast()
    assert one.is_low() and not one.ballast.exists(), "there is no room for it yet"
    other.unlink()
    one.take_ballast()
    assert (
        one.ballast.exists()
        and not one.is_low()
        and sorted(os.listdir(small_disk)) == ["dashtrade.db.ballast"]
    )


def test_of_a_database_elsewhere_nothing_is_known_and_nothing_is_refused() -> None:
    one = Disk(None)
    one.take_ballast()
    assert not one.is_low() and one.free() is None


def test_the_sizes_leave_no_room_to_flap() -> None:
    assert disk.CRITICAL_BYTES + 64 * MB < disk.LOW_BYTES


# --- what users and admins see ------------------------------------------------------------------------------


@pytest.fixture
def superadmin(
    small_disk: Path, make_app: MakeApp, clock: ManualClock, feed: ManualFeed, sizes: None
) -> Trader:
    """On a small disk, with a bot for AAPL that holds something and one for MSFT that does not."""
    app = make_app(clock=clock, feed=feed, DATABASE_URL=f"sqlite:///{small_disk / 'dashtrade.db'}")
    person = Installation(app).join("superadmin@example.com", role=Role.SUPERADMIN)
    person.bot()
    person.bot("MSFT")
    person.trades("buy")
    return person


@pytest.fixture
def database_url() -> str:
    return ""


@of_mb(30)
def test_admins_are_notified_once_of_low_disk_space_and_once_of_its_end(
    small_disk: Path, superadmin: Trader
) -> None:
    app, trader = superadmin.installation.app, superadmin.installation.join()
    disk_watch.check(app)
    other = fill_up(small_disk, leave=4 * MB)
    for _ in range(3):
        disk_watch.check(app)
    assert len(superadmin.notices(DiskLow)) == 1 and not trader.notices(DiskLow)
    other.unlink()
    for _ in range(3):
        disk_watch.check(app)
    assert (len(superadmin.notices(DiskLow)), len(superadmin.notices(DiskFree))) == (1, 1)
    fill_up(small_disk, leave=4 * MB)
    disk_watch.check(app)
    assert (len(superadmin.notices(DiskLow)), len(superadmin.notices(DiskFree))) == (2, 1)


@of_mb(30)
def test_every_page_says_that_entries_are_refused(
    small_disk: Path, superadmin: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(banners.st, "html", shown.append)
    banners.banners(superadmin.installation.app, superadmin.user)
    assert not shown
    fill_up(small_disk, leave=4 * MB)
    banners.banners(superadmin.installation.app, superadmin.user)
    assert len(shown) == 1 and "disk is nearly full" in shown[0] and "Exits still pass" in shown[0]


@of_mb(30)
def test_with_little_room_only_what_leads_out_of_something_is_taken(
    small_disk: Path, superadmin: Trader
) -> None:
    fill_up(small_disk, leave=4 * MB)
    for body in ({"action": "buy", "symbol": "MSFT"}, {"action": "close", "symbol": "MSFT"}, "hello"):
        response = superadmin.alert(body)
        assert (
            response.status_code == 507
            and response.json["error"] == "disk_nearly_full"
            and response.headers["Retry-After"]
        )
        assert "nearly full" in response.json["message"] and "Exits" in response.json["hint"]
    assert (
        superadmin.trades("sell")["status"] == "filled"
        and superadmin.get("/bots/1")["position"]["side"] != "long"
    )


# --- the whole of it, in processes of its own ---------------------------------------------------------------


def alert(one: Rig, action: str, number: int) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"action": action, "symbol": "AAPL", "id": str(number)}).encode()
    request = urllib.request.Request(f"{one.url}/webhook?token={one.webhook}", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def filled(one: Rig, signal_id: str) -> Callable[[], bool]:
    return lambda: one.call("GET", f"/api/v1/signals/{signal_id}")["status"] == "filled"


@of_mb(300)
def test_on_a_disk_that_is_filled_a_close_is_filled_and_booked_and_with_room_again_a_buy(
    small_disk: Path,
) -> None:
    one = Rig(home=small_disk, port=free_port())
    one.start()
    ballast = small_disk / "dashtrade.db.ballast"
    try:
        one.join()
        (bot,) = one.add_bots(["AAPL"])
        wait_until(filled(one, alert(one, "buy", 1)[1]["signal_id"]))
        wait_until(ballast.exists)
        other = fill_up(small_disk)
        wait_until(lambda: not ballast.exists())
        status, answer = alert(one, "buy", 2)
        assert (status, answer["error"]) == (507, "disk_nearly_full")
        status, answer = alert(one, "close", 3)
        assert status == 202, answer
        wait_until(filled(one, answer["signal_id"]))
        assert float(one.call("GET", f"/api/v1/bots/{bot}")["position"]["quantity"]) == 0
        assert len(one.call("GET", "/api/v1/trades")["items"]) == 2, "it is booked"
        wait_until(
            lambda: [
                answer
                for answer in one.call("GET", "/api/v1/messages")["items"]
                if answer["kind"] == DiskLow.kind
            ]
        )
        other.unlink()
        wait_until(ballast.exists)
        status, answer = alert(one, "buy", 4)
        assert status == 202, answer
        wait_until(filled(one, answer["signal_id"]))
    finally:
        one.stop()
