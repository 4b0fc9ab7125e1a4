"""Whatever proves who somebody is leaves a log line, and ordinary lines stay as they are."""

from __future__ import annotations

import base64
import json
import re
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.redaction import HIDDEN, redacted

WORD = string.ascii_letters + string.digits
MARKS = "!#$%()*+,-./:;<=>?@[]^_`{|}~'\"\\&"
secrets_of_one_word = st.text(WORD + "-_+/.~", min_size=12, max_size=60).filter(
    lambda text: text[0] in WORD and any(letter.isdigit() for letter in text)
)
phrases = st.text(WORD + " " + MARKS, min_size=12, max_size=60).filter(lambda text: text.strip() == text)
HEADERS = [
    "APCA-API-KEY-ID",
    "APCA-API-SECRET-KEY",
    "API-Key",
    "API-Sign",
    "OK-ACCESS-KEY",
    "OK-ACCESS-SIGN",
    "OK-ACCESS-PASSPHRASE",
    "CB-ACCESS-KEY",
    "CB-ACCESS-SIGN",
    "ACCESS-PASSPHRASE",
    "X-MBX-APIKEY",
    "X-GEMINI-APIKEY",
    "X-GEMINI-PAYLOAD",
    "X-GEMINI-SIGNATURE",
    "X-BAPI-API-KEY",
    "X-BAPI-SIGN",
    "KC-API-KEY",
    "KC-API-SIGN",
    "KC-API-PASSPHRASE",
    "bfx-apikey",
    "bfx-signature",
    "BX-SIGNATURE",
    "X-COINEX-KEY",
    "X-COINEX-SIGN",
    "X-BM-KEY",
    "X-CH-APIKEY",
    "Api-Signature",
    "Authent",
    "TAPI-MAC",
    "X-PCK",
    "X-Auth",
    "X-API-Token",
    "orderly-key",
    "Authorization",
    "Cookie",
]
URLS = """
    https://dash.example.com/reset?code={}
    GET /join?invitation={} 200
    http://127.0.0.1:5000/setup?setup={}
    POST /webhook?token={}&wait=2
    https://127.0.0.1/?code={}&session=7
    /webhook/usr_{}
    see /auth/login?next=%2Freset%3Fcode%3D{}
    GET /api/v3/account?timestamp=17&signature={}
    postgresql+psycopg2://trade:{}@db.example.com:5432/trade
    https://user:{}@proxy.example.com/
    wss://stream/ws/?listenKey={}
""".strip().splitlines()
TEXTS = """
    dashtrade_session={}
    __Host-dashtrade_session={}; Path=/
    dashtrade_device={}; Path=/
    Bearer {}
    Authorization: Basic {}
    proxy-authorization: Bearer {}
    signed in with dt_{}
    BUY AAPL token=usr_{} id=7
    password={}
    passphrase: {}
    client_secret={} grant
    grant_type=authorization_code&code=C0.{}&redirect_uri=x
    refresh_token: {}
    ENCRYPTION_KEY={}
    {{'Key': '{}', 'Sign': 'x'}}
    headers={{b'sign': b'{}'}}
""".strip().splitlines()
QUOTED: list[Callable[[str], str]] = [
    lambda secret: json.dumps({"email": "a@example.com", "password": secret, "symbol": "AAPL"}),
    lambda secret: json.dumps(json.dumps({"email": "a@example.com", "passphrase": secret, "symbol": "AAPL"})),
    lambda secret: repr({"secret": secret, "symbol": "AAPL"}),
    lambda secret: f"Credentials(password={secret!r}, symbol='AAPL')",
    lambda secret: f"set-up failed for secret = {secret!r} AAPL",
]


def filled(template: str, secret: str) -> tuple[str, str]:
    if any(mark in template for mark in ("usr_", "dt_", "@proxy")):  # URL-safe; a slash begins a path
        secret = re.sub("[^A-Za-z0-9_-]", "x", secret)
    return template.format(secret), secret


@settings(max_examples=20)
@given(secret=secrets_of_one_word)
@pytest.mark.parametrize("header", HEADERS)
def test_no_value_of_a_header_that_signs_or_names_a_key_survives(header: str, secret: str):
    both = repr({"Accept": "*/*", header: secret}), json.dumps({header.lower(): secret})
    for line in (f"{header}: {secret}", *both, repr((header.encode(), secret.encode()))):
        assert secret not in redacted(f"ERROR dashtrade.x {line}"), line


@settings(max_examples=20)
@given(secret=secrets_of_one_word)
@pytest.mark.parametrize("template", URLS + TEXTS)
def test_no_secret_in_an_address_or_a_text_survives(template: str, secret: str):
    line, secret = filled(template, secret)
    assert secret not in redacted(line)


@settings(max_examples=20)
@given(secret=phrases)
@pytest.mark.parametrize("put", QUOTED)
def test_a_quoted_secret_goes_whole_with_its_spaces_and_quotes_and_the_rest_stays(
    put: Callable[[str], str], secret: str
):
    shown = redacted(put(secret))
    assert secret not in shown and not any(len(word) > 5 and word in shown for word in secret.split())
    assert "AAPL" in shown


@settings(max_examples=20)
@given(body=st.binary(min_size=40, max_size=400))
@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
@pytest.mark.parametrize("line_break", ["\n", "\\n"])
def test_private_keys_go_as_a_block_also_where_they_are_cut_off(body: bytes, kind: str, line_break: str):
    inside = base64.encodebytes(body).decode().strip().replace("\n", line_break)
    begin, end = f"-----BEGIN {kind}-----", f"-----END {kind}-----"
    whole = redacted(f"key {line_break.join([begin, inside, end])} of AAPL")
    assert inside[:20] not in whole and inside[-20:] not in whole and whole.endswith(" of AAPL")
    assert inside[:20] not in redacted(f"{begin}{line_break}{inside}")


ORDINARY = """
    INFO dashtrade.engine signal 9f8e-7d accepted: BUY 10 AAPL @ 187.25, key 3f9c2d1e0a7b4c559e1e
    order 17 of BTC/USDT:USDT filled 0.003 @ 64,250.10 fee 0.19 USDT client_order_id=dt-17-2-a1b2c3d4e5f6a7b8
    account 7: the exchange answers {'code': -2015, 'msg': 'Invalid API-key, IP, or permissions for action.'}
    exit code=1; error code: 50011; state=filled; session 12 ended after 3 s
    tokens: 12345 left, passwords: 3 refused, secrets: 17 under the new key
    GET /api/v1/orders?state=open&limit=50&cursor=1234567890 200
    http://127.0.0.1:8080/user/7/positions
    mail to ann@example.com at http://host:8080/a?mail=a@b.c
    the token of user 7 is None, its secret: null, password=None
    idempotency_key=alert-7 collapse_key=b1946ac92492d2347c6235b4d2611184 bar_dt_seconds=900
    lane Lane(account_id=1, symbol=Symbol(text='AAPL')) failed; it is tried again at the next look
    wdt_market_open.signal_of_the_day
    DesignError: assignment of 40 accounts; bass, compass, keyboard, sidecode, monkey: 5
    basic authentication is not offered, bearer tokens are
""".strip().splitlines()


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_stay_as_they_are(line: str):
    assert redacted(line) == line


@settings(max_examples=20)
@given(secret=secrets_of_one_word)
@pytest.mark.parametrize("template", URLS + TEXTS)
def test_a_line_that_was_gone_through_already_stays_as_it_is(template: str, secret: str):
    once = redacted(filled(template, secret)[0])
    assert redacted(once) == once and HIDDEN in once


HOSTILE = [
    "token",
    "token=",
    "token:'",
    'password="',
    "password='\\",
    "secret-",
    "secret----",
    "api_key\\\\\\\\",
    "://a:",
    "://",
    "postgres://a:",
    "postgres",
    "usr_",
    "dt_",
    "eyJaaaaaaaaaa.",
    "eyJ",
    "-----BEGIN_PRIVATE_KEY-----",
    "-----BEGIN_",
    "-----",
    "bearer_",
    "bearer_a",
    "code=",
    "code,",
    "&code=",
    "?state=a",
    "'key':'",
    "key=",
    "authorization:",
    "(b'cookie',_b'",
    "cookie',_'",
    '\\"',
    "\\\\'",
    "sign'",
    "signature___",
    "'",
    "a",
    "_",
    "%3D",
    "setup=",
    "-key",
]


def seconds(line: str) -> float:
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()  # what others do on this machine counts for nothing
        redacted(line)
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_line_takes_no_longer_than_its_length(piece: str):
    """Eight times the length: eight times as long, and sixty-four where a pattern goes back and forth."""
    for wrapped in ("{}", "token='{}", "{} password=authorization"):
        many = piece.replace("_", " ") if piece not in ("usr_", "dt_") else piece
        short, long = (wrapped.format(many * (length // len(many))) for length in (5_000, 40_000))
        assert seconds(long) < 24 * max(seconds(short), 0.0005)
