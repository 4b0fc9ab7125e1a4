"""Finds secrets in a text and removes them: the final filter before a log file.

A secret is recognised by what precedes it (`token=`, `API-Sign:`, `"password": `) or by its form (`usr_…`, a
private key, the password in a database URL). It hides too much rather than too little; prices, ids and
symbols stay. Every repeat in a pattern is bounded, or stops at a character that cannot precede it, so
matching time is linear."""

from __future__ import annotations

import re
from collections.abc import Callable

HIDDEN = "•••"

# Parts of a name are enough: any prefix (APCA-, OK-ACCESS-, client_) stays.
_NAMES = r"""
    (?:passwords?|passwd|passphrase|passcode|pwd)(?![a-z])
    | secret(?!s\b)[\w-]{0,30} | token(?!s\b)[\w-]{0,30} | jwt | listenkey | (?:x|csrf|_)xsrf
    | (?:api|app|access|private|encryption|signing)[-_\ ]?key[\w-]{0,20} | access[-_]?id | (?<=[a-z]-)key
    | signature[\w-]{0,20} | (?<=[-_])sign | (?<![a-z])sign(?=["']) | authent(?![a-z])
    | (?<=-)(?:payload|mac|digest|pck|stamp) | x-bitopro-api
    | (?:authorization|recovery|setup|invitation)[-_]code | code_verifier | dashtrade_(?:session|device)
"""
# A scheme and a value, or several of them.
_WHOLE_LINE = r"(?:proxy-)?authorization | x-auth(?:entication)? | (?:set-)?cookie"
_BETWEEN = r"""(?:\\{0,4}["'])?\]?\s{0,3}(?:=>|[:=]|%3[ad])\s{0,3}(?:b(?=["']))?"""
_QUOTED = r"""
    "[^"\\\n]*(?:\\.[^"\\\n]*)*"? | '[^'\\\n]*(?:\\.[^'\\\n]*)*'?
    | \\["'](?:[^\\\n]|\\\\\\["'\\]|\\\\[^\\\n])*(?:\\["'])?
    | \\{2,4}["'](?:(?!\\{2,4}["'])[^\n])*(?:\\{2,4}["'])?
"""
_WORD = r"""(?!(?:null|none|true|false)\b)[^\s"'&]{4,}"""
_IN_A_PAIR = r"""["'],\s?b?(?=["'][^"'\n]*["']\))"""  # ('Authorization', 'Basic …')

_FLAGS = re.IGNORECASE | re.VERBOSE
_NAMED = re.compile(
    rf"""(?:{_NAMES}){_BETWEEN}(?P<word>{_QUOTED}|{_WORD})
    | (?:{_WHOLE_LINE}){_BETWEEN}(?P<line>{_QUOTED}|[^\r\n"']+)
    | (?:{_NAMES}|{_WHOLE_LINE}){_IN_A_PAIR}(?P<pair>{_QUOTED})
    | (?<![a-z])(?:invitation|setup|ticket)(?:=|%3d|["']:\s?)(?P<link>{_QUOTED}|{_WORD})
    | (?<![\w-])["']key["']:\s?(?P<key>["'][^"'\s]{{12,}}["']?)
    | ["']?(?<![\w-])key(?:["']?:\s?|=)(?P<plain>["']?(?=[^\s"',&]{{0,40}}\d)[\w+/=.-]{{16,}})""",
    _FLAGS,
)
_CODE = re.compile(
    rf"""(?:[?&]|%3f|%26)(?:code|session|sid)(?:=|%3d)(?P<query>{_WORD})
    | (?:[?&]|%3f|%26)state(?:=|%3d)(?P<state>[^\s"'&]{{16,}})
    | (?<![a-z])code{_BETWEEN}(?P<long>["']?(?=[^\s"'&]{{0,60}}\d)[\w.~%@+/-]{{20,}})""",
    _FLAGS,
)
_OWN = re.compile(r"(?i)((?<![a-z0-9_])(?:usr|dt)_)[A-Za-z0-9_-]{6,}|((?:usr|dt)_)[A-Za-z0-9_-]{24,}")
_BEARER = re.compile(r"(?i)(\bbearer\s{1,3})(?=[^\s\"']{0,60}\d)[^\s\"',]{8,}")
_JWT = re.compile(r"\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*")
# SQLAlchemy reads a password up to the last @, slashes included; elsewhere a slash starts a path.
_ADDRESS = re.compile(
    r"""((?:postgres\w{0,9}|mysql|mariadb|redis|amqp)(?:\+\w{1,20})?://[^\s:/@]{0,200}:)[^\s"']{1,400}(?=@)
    | (://[^\s:/@]{0,200}:)[^\s/"']{1,400}(?=@)""",
    _FLAGS,
)
_KEY_FILE = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY)-----(?:(?!-----)[\s\S])*"
    r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----)?"
)


def _without_value(found: re.Match[str]) -> str:
    """Keeps what precedes the value, and its quotes."""
    value, text = found[found.lastgroup or 0], found[0]
    quote = re.match(r"""\\{0,4}["']|""", value)[0]  # type: ignore[index]
    if quote and value == quote * 2:
        return text
    closed = quote if quote and len(value) > len(quote) and value.endswith(quote) else ""
    return f"{text[: len(text) - len(value)]}{quote}{HIDDEN}{closed}"


def _kept(found: re.Match[str]) -> str:
    return f"{found[1] or found[2]}{HIDDEN}"


_MARKS = """
    pass pwd secret token key signature -sign _sign sign' sign" auth cookie xsrf jwt payload digest -mac -pck
    -stamp bitopro code invitation setup ticket dashtrade_ access
"""
# Each with words of which at least one is in every matching text, so that most lines skip the pattern.
_RULES: tuple[tuple[list[str], re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (["-----begin"], _KEY_FILE, lambda found: f"({found[1].lower()} {HIDDEN})"),
    (["://"], _ADDRESS, _kept),
    (["code", "session=", "sid=", "state=", "%3"], _CODE, _without_value),
    (_MARKS.split(), _NAMED, _without_value),
    (["bearer"], _BEARER, lambda found: f"{found[1]}{HIDDEN}"),
    (["eyj"], _JWT, lambda found: HIDDEN),
    (["usr_", "dt_"], _OWN, _kept),
)


def redacted(text: str) -> str:
    low = text.lower()
    for words, pattern, put in _RULES:
        if any(word in low for word in words):
            text = pattern.sub(put, text)
    return text
