"""Secrets at rest: encrypt, decrypt, and change the key without losing what the old one wrote.

It imports nothing of DashTrade's, so that a key can be made, and a value read back, with this file alone:

    python encryption.py        prints a new key

Keys are Fernet keys (AES-128-CBC with HMAC-SHA256). Wherever keys are given, one text may hold several, with
commas between them: the first encrypts, all of them decrypt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class BadKey(ValueError):
    """A key, or the file of it, that cannot be used."""


class WrongKey(ValueError):
    """None of the keys opens this value."""


def new_key() -> str:
    return Fernet.generate_key().decode("ascii")


def fingerprint(key: str) -> str:
    """Eight characters that tell keys apart and give nothing of them away."""
    return hashlib.sha256(b"dashtrade key" + _raw(key)).hexdigest()[:8]


def split_keys(keys: str | Iterable[str]) -> tuple[str, ...]:
    """The single keys of one text or of several, each checked; newest first."""
    texts = [keys] if isinstance(keys, str) else keys
    found = tuple(key.strip() for text in texts for key in text.split(",") if key.strip())
    if not found:
        raise BadKey(
            "There is no encryption key. Create one with `python encryption.py`, and set ENCRYPTION_KEY to "
            "it."
        )
    for key in found:
        _raw(key)
    return found


def _raw(key: str) -> bytes:
    try:
        raw = base64.b64decode(key.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise BadKey(
            f"An encryption key cannot be used: it is {len(key)} characters long and does not read as 32 "
            "bytes in url-safe base64. Check ENCRYPTION_KEY or the key file for missing or repeated "
            "text. `python encryption.py` prints a valid new key, but secrets encrypted with an older "
            "key can only be read with that key."
        )
    return raw


class Vault:
    """Encrypts with the first key, decrypts with any."""

    def __init__(self, keys: str | Sequence[str]):
        self._keys = split_keys(keys)
        self._first = Fernet(self._keys[0])
        self._all = MultiFernet([Fernet(key) for key in self._keys])

    def __repr__(self) -> str:
        return f"Vault({', '.join(map(fingerprint, self._keys))})"

    @property
    def fingerprint(self) -> str:
        """That of the key which encrypts."""
        return fingerprint(self._keys[0])

    def encrypt(self, text: str) -> str:
        return self._first.encrypt(text.encode("utf-8")).decode("ascii")

    def decrypt(self, token: str) -> str:
        try:
            return self._all.decrypt(token.encode("utf-8")).decode("utf-8")
        except InvalidToken:
            raise self._wrong_key() from None

    def needs_rotation(self, token: str) -> bool:
        """Whether a key other than the first encrypted it."""
        try:
            self._first.decrypt(token.encode("utf-8"))
        except InvalidToken:
            self.decrypt(token)
            return True
        return False

    def rotate(self, token: str) -> str:
        """The same secret, encrypted by the first key."""
        try:
            return self._all.rotate(token.encode("utf-8")).decode("ascii")
        except InvalidToken:
            raise self._wrong_key() from None

    def _wrong_key(self) -> WrongKey:
        return WrongKey(
            "A stored secret cannot be read with the encryption key in use "
            f"({', '.join(map(fingerprint, self._keys))}): it was encrypted with another key, or was "
            "changed. Add the earlier key after a comma in ENCRYPTION_KEY or in the key file; if that "
            "key is lost, enter the secret again."
        )


def load_or_create_key(path: Path) -> str:
    """The text of the key file, made first where there is none: one key, or several with commas, newest
    first."""
    path = Path(path)
    try:
        if not path.exists():
            _create(path, new_key())
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(
            f"The key file {path} cannot be read or created ({error}). Correct its permissions, or set "
            "ENCRYPTION_KEY instead."
        ) from None
    try:
        return ",".join(split_keys(text))
    except BadKey as error:
        raise BadKey(f"In the key file {path}: {error}") from None


def add_key(path: Path, key: str) -> str:
    """Puts `key` in front of those in the file; the older ones go on decrypting. Returns the file's new
    text."""
    text = f"{key},{load_or_create_key(path)}"
    split_keys(text)
    temporary = _write_beside(Path(path), text)
    os.replace(temporary, path)
    return text


def _create(path: Path, text: str) -> None:
    """Of two processes that do this at once one wins, and neither ever sees a half-written file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = _write_beside(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _write_beside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary


if __name__ == "__main__":
    print(new_key())
