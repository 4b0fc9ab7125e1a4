"""The vault keeps secrets, changes keys without losing any, and says plainly when a key does not fit."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import encryption
from encryption import BadKey, Vault, WrongKey, add_key, fingerprint, load_or_create_key, new_key

OLD, NEW = new_key(), new_key()


@given(st.text())
def test_what_goes_in_comes_out(secret):
    vault = Vault([OLD])
    assert vault.decrypt(vault.encrypt(secret)) == secret


def test_the_same_secret_never_looks_the_same_twice():
    vault = Vault([OLD])
    assert vault.encrypt("s") != vault.encrypt("s")


@pytest.mark.parametrize(
    "keys", [[NEW, OLD], f"{NEW},{OLD}", [f" {NEW} , {OLD}\n"]], ids=["list", "text", "spaces"]
)
def test_an_older_key_still_opens_what_it_wrote(keys):
    assert Vault(keys).decrypt(Vault(OLD).encrypt("s")) == "s"


def test_rotation_moves_a_secret_to_the_first_key():
    both, token = Vault([NEW, OLD]), Vault([OLD]).encrypt("s")
    assert both.needs_rotation(token)
    moved = both.rotate(token)
    assert not both.needs_rotation(moved)
    assert Vault([NEW]).decrypt(moved) == "s"


@pytest.mark.parametrize("use", [Vault.decrypt, Vault.rotate, Vault.needs_rotation])
@pytest.mark.parametrize(
    "token", [Vault([OLD]).encrypt("s"), "", "no token", "ü"], ids=["foreign", "empty", "words", "umlaut"]
)
def test_a_foreign_or_spoilt_secret_is_refused_with_a_way_out(use, token):
    with pytest.raises(WrongKey, match="Add the earlier key after a comma") as caught:
        use(Vault([NEW]), token)
    assert NEW not in str(caught.value) and fingerprint(NEW) in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [[], "", [" , "], "short", OLD[:-1], OLD + OLD, "ü" * 44, OLD.replace("=", "!")],
    ids=["none", "empty", "comma", "short", "cut", "twice", "umlauts", "spoilt"],
)
def test_a_malformed_key_is_refused_without_being_repeated(keys):
    with pytest.raises(BadKey, match=r"python encryption.py") as caught:
        Vault(keys)
    assert OLD[:-2] not in str(caught.value)


def test_a_vault_shows_fingerprints_and_never_keys():
    assert repr(Vault([NEW, OLD])) == f"Vault({fingerprint(NEW)}, {fingerprint(OLD)})"
    assert Vault([NEW, OLD]).fingerprint == fingerprint(NEW)
    assert len({fingerprint(NEW), fingerprint(OLD)}) == 2


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "home" / "encryption.key"
    first = load_or_create_key(path)
    assert load_or_create_key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["encryption.key"]


def test_a_key_file_open_to_others_is_closed(tmp_path):
    path = tmp_path / "encryption.key"
    path.write_text(OLD)
    path.chmod(0o644)
    assert load_or_create_key(path) == OLD
    assert path.stat().st_mode & 0o777 == 0o600


def test_many_at_once_agree_on_one_key(tmp_path):
    for attempt in range(20):
        path = tmp_path / f"{attempt}.key"
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(load_or_create_key, [path] * 8))) == 1


def test_an_added_key_comes_first_and_the_old_ones_stay(tmp_path):
    path = tmp_path / "encryption.key"
    token = Vault(load_or_create_key(path)).encrypt("s")
    add_key(path, NEW)
    vault = Vault(load_or_create_key(path))
    assert vault.fingerprint == fingerprint(NEW)
    assert vault.decrypt(token) == "s"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe"])
def test_a_spoilt_key_file_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "encryption.key"
    path.write_bytes(content)
    with pytest.raises(BadKey, match=r"encryption\.key"):
        load_or_create_key(path)
    assert path.read_bytes() == content


def test_a_key_file_that_cannot_be_made_leaves_the_setting_as_a_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadKey, match="set ENCRYPTION_KEY instead"):
        load_or_create_key(tmp_path / "file" / "encryption.key")


def test_run_as_a_program_it_prints_a_new_key():
    program = [sys.executable, str(Path(encryption.__file__))]
    printed = [
        subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)
    ]
    assert printed[0] != printed[1]
    assert Vault(printed).decrypt(Vault(printed[1]).encrypt("s")) == "s"
