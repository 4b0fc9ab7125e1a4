"""`./start` says what it cannot do and why, mends what was cut off, and installs once."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from dashtrade.settings import ROOT

LOCKS = ("requirements.lock", "requirements-test.lock")
TOOLS = (
    "sh",
    "dirname",
    "cat",
    "rm",
    "mkdir",
    "touch",
    "cmp",
    "cp",
    "tail",
    "cut",
    "sed",
    "grep",
    "chmod",
    "id",
    "pwd",
    "env",
)

TOO_OLD = """#!/bin/sh
case "$*" in *3,\\ 11*) exit 1 ;; esac
echo 3.9.2
"""
NO_ENSUREPIP = """#!/bin/sh
case "$*" in *ensurepip*) exit 1 ;; esac
echo 3.12.4
"""
# Stands for a good Python: its "virtual environment" is a folder that holds the same script again.
GOOD = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
*"-m venv"*) mkdir -p .venv/bin .venv/lib/python3.12/site-packages; cp "$0" .venv/bin/python ;;
*"-m pip"*) [ -z "${PIP_FAILS:-}" ] || { echo "ERROR: Could not find a version of something"; exit 1; } ;;
*dashtrade.cli*) echo "running: $*" ;;
*"[:2]"*) echo 3 12 ;;
*"[:3]"*) echo 3.12.4 ;;
*--version*) echo Python 3.12.4 ;;
esac
"""


class Copy:
    """A copy of the project's start-up files, with a PATH of its own that holds only the Python given."""

    def __init__(self, folder: Path, python: str | None, name: str = "python3"):
        self.root, self.bin, self.calls = folder / "a project", folder / "bin", folder / "calls"
        (self.root / "dashtrade").mkdir(parents=True)
        for file in ("start", "test", "dashtrade/prepare.sh", *LOCKS):
            shutil.copy(ROOT / file, self.root / file)
        self.bin.mkdir()
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)
        if python is not None:
            (self.bin / name).write_text(python)
            (self.bin / name).chmod(0o755)

    def start(self, **environ: str) -> subprocess.CompletedProcess:
        return self.run("start", **environ)

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess:
        environ = {"PATH": str(self.bin), "CALLS": str(self.calls), **environ}
        command = [str(self.root / script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False, env=environ, cwd="/"
        )

    @property
    def installs(self) -> int:
        return self.calls.read_text().count("-m pip")


def test_a_python_that_is_too_old_is_named_with_what_to_do(tmp_path):
    done = Copy(tmp_path, TOO_OLD).start()
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and found python3 is 3.9.2;" in done.stderr
    assert "Install a newer one" in done.stderr


def test_a_missing_python_is_reported(tmp_path):
    done = Copy(tmp_path, None).start()
    assert done.returncode == 1 and "found no Python at all" in done.stderr


def test_a_python_without_venv_names_the_package_of_debian(tmp_path):
    done = Copy(tmp_path, NO_ENSUREPIP).start()
    assert done.returncode == 1 and "sudo apt install python3.12-venv" in done.stderr


def test_a_name_on_the_path_that_does_not_run_is_passed_over(tmp_path):
    copy = Copy(tmp_path, GOOD)
    (copy.bin / "python3.13").write_text("#!/bin/sh\necho 'version not installed' >&2; exit 127\n")
    (copy.bin / "python3.13").chmod(0o755)
    assert copy.start().returncode == 0


def test_the_first_start_installs_and_the_second_does_not(tmp_path):
    copy = Copy(tmp_path, GOOD)
    first, second = copy.start(), copy.start()
    assert (first.returncode, second.returncode, copy.installs) == (0, 0, 1), first.stderr + second.stderr
    assert "Installing the packages" in first.stderr and second.stderr == ""
    assert "dashtrade.cli up" in second.stdout
    assert "--require-hashes" in copy.calls.read_text()


def test_a_changed_lock_file_is_installed(tmp_path):
    copy = Copy(tmp_path, GOOD)
    copy.start()
    with (copy.root / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    copy.start()
    assert copy.installs == 2


@pytest.mark.parametrize("spoil", ["unfinished", "python-version", "bin/python"])
def test_an_incomplete_or_broken_environment_is_created_again(tmp_path, spoil):
    copy = Copy(tmp_path, GOOD)
    copy.start()
    spoilt = copy.root / ".venv" / spoil
    spoilt.unlink() if spoilt.exists() else spoilt.touch()
    left_over = copy.root / ".venv" / "left-over"
    left_over.touch()
    done = copy.start()
    assert done.returncode == 0 and "making it anew" in done.stderr
    assert not left_over.exists() and copy.installs == 2


def test_a_failed_installation_shows_its_last_lines_and_goes_on_later(tmp_path):
    copy = Copy(tmp_path, GOOD)
    failed = copy.start(PIP_FAILS="1")
    assert failed.returncode == 1
    assert (
        "    ERROR: Could not find a version of something" in failed.stderr
        and "internet connection" in failed.stderr
    )
    later = copy.start()
    assert later.returncode == 0 and "virtual environment" not in later.stderr


def test_an_unwritable_folder_is_reported(tmp_path):
    copy = Copy(tmp_path, GOOD)
    # Permissions do not bind root, under whom tests may run; a mkdir that fails as on a read-only disk binds
    # everyone.
    (copy.bin / "mkdir").unlink()
    (copy.bin / "mkdir").write_text("#!/bin/sh\necho 'mkdir: .venv: Read-only file system' >&2; exit 1\n")
    (copy.bin / "mkdir").chmod(0o755)
    done = copy.start()
    assert done.returncode == 1
    assert "cannot write to its own folder" in done.stderr and "Read-only file system" in done.stderr
    assert str(copy.root) in done.stderr


@pytest.mark.parametrize(
    ("given", "processes"),
    [([], 2), (["--quick"], 2), (["-m", "not slow"], 2), (["tests/unit", "-x"], 1), (["tests/a.py::one"], 1)],
)
def test_two_processes_share_the_tests_unless_some_are_named(tmp_path, given, processes):
    copy = Copy(tmp_path, GOOD)
    done = copy.run("test", *given)
    assert done.returncode == 0 and "requirements-test.lock" in done.stderr
    called = copy.calls.read_text().splitlines()[-1]
    assert called.startswith("-m pytest") and called.endswith(" ".join(given))
    assert ("-n 2 --dist loadfile" in called) == (processes == 2)


@pytest.mark.parametrize("script", ["start", "test", "dashtrade/prepare.sh"])
def test_the_scripts_are_plain_posix(script):
    shell = shutil.which("dash") or shutil.which("sh")
    subprocess.run([shell, "-n", str(ROOT / script)], check=True)
    if not script.endswith(".sh"):
        assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_versions_and_hashes_and_no_addresses(name):
    text = (ROOT / name).read_text()
    assert not re.search(
        r"://|\s-(-index|-extra|-find|-trusted|i |f |e )|file:|/\w+/\w+/", re.sub("#.*", "", text)
    )
    entries = re.sub(r"#.*|\\\n", "", text).strip().splitlines()
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry


def test_the_tests_run_on_the_versions_that_are_shipped():
    pins = [
        set(re.findall(r"^[a-z0-9.-]+==.*?(?= \\)", (ROOT / name).read_text(), re.MULTILINE))
        for name in LOCKS
    ]
    assert pins[0] < pins[1]


def test_the_lock_file_holds_what_the_project_asks_for():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {re.match(r"[a-z0-9-]+", name).group() for name in wanted} <= locked


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, ""),
        ({"REPLIT_DOMAINS": "one.replit.dev"}, "https://one.replit.dev"),
        ({"REPLIT_DOMAINS": "one.replit.app,dash.example.com"}, "https://one.replit.app"),
        (
            {"REPLIT_DOMAINS": "one.replit.app", "DASHTRADE_DASHBOARD_URL": "https://dash.example.com"},
            "https://dash.example.com",
        ),
    ],
)
def test_on_replit_the_dashboard_gets_its_name(tmp_path: Path, environ: dict[str, str], told: str):
    start = tmp_path / "start"
    start.write_text('#!/bin/sh\nprintf %s "$DASHTRADE_DASHBOARD_URL"\n')
    start.chmod(0o755)
    found = tomllib.loads((ROOT / ".replit").read_text())
    for command in (["sh", "-c", found["run"]], found["deployment"]["run"]):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]} | environ,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == told
