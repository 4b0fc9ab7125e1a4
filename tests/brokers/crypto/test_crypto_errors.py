"""What the errors of a crypto exchange mean: an answer that leaves room for an order is unknown."""

from __future__ import annotations

import pytest

from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unavailable, Unknown, VenueStatus
from tests.support.adapter_harness import BUY, LIMIT
from tests.support.crypto_harness import harness

# --- errors -------------------------------------------------------------------------------------------------

GATEWAY = "<html><body>Gateway</body></html>"

NOT_SAID = [
    ("binance", 500, GATEWAY),
    ("binance", 502, GATEWAY),
    ("binance", 503, '{"code": -1008, "msg": "overloaded"}'),
    ("binance", 504, GATEWAY),
    ("binance", 403, GATEWAY),
    ("binance", 404, GATEWAY),
    ("binance", 408, GATEWAY),
    ("binance", 400, '{"code": -1001, "msg": "disconnected"}'),
    ("binance", 400, '{"code": -1006, "msg": "unexpected response"}'),
    ("binance", 400, '{"code": -1007, "msg": "timeout"}'),
    ("binance", 400, '{"code": -1000, "msg": "unknown"}'),
    ("binance", 400, '{"code": -98765, "msg": "never heard of"}'),
    ("okx", 200, '{"code": "50004", "msg": "Endpoint request timeout", "data": []}'),
    ("okx", 200, '{"code": "50026", "msg": "System error", "data": []}'),
    ("okx", 200, '{"code": "2", "msg": "", "data": []}'),
    ("okx", 200, '{"code": "1", "data": [{"ordId": "", "sCode": "50013", "sMsg": "Systems are busy"}]}'),
    ("kraken", 200, '{"error": ["EService:Timeout"]}'),
    ("kraken", 200, '{"error": ["EService:Unavailable"]}'),
    ("kraken", 200, '{"error": ["EGeneral:Internal error"]}'),
    ("kraken", 200, '{"error": ["EGeneral:Temporary lockout"]}'),
    ("kraken", 520, GATEWAY),
    ("kraken", 200, '{"error": [], "result": {}}'),
    ("coinbase", 200, '{"success": true}'),
    ("coinbase", 500, '{"error": "INTERNAL", "message": "x"}'),
    ("coinbase", 200, '{"error": "unknown", "message": "x"}'),
    ("gemini", 200, "null"),
    ("gemini", 200, '{"order_id": "12"}'),
    (
        "gemini",
        400,
        '{"result": "error", "reason": "System", "message": "We are experiencing technical issues"}',
    ),
    ("gemini", 200, "Internal Server Error"),
    ("gemini", 502, GATEWAY),
]


@pytest.mark.parametrize(("exchange", "status", "body"), NOT_SAID)
def test_an_answer_that_leaves_room_for_an_order_is_unknown(exchange, status, body):
    with harness(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body, placed=True)
        request = made.request()
        with pytest.raises(Unknown):
            made.broker.submit(request)
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED and len(made.creates()) == 1


REFUSALS = [
    ("binance", 400, '{"code": -1013, "msg": "Filter failure: NOTIONAL"}', "NOTIONAL"),
    (
        "binance",
        400,
        '{"code": -2010, "msg": "Account has insufficient balance for requested action."}',
        "balance is too low",
    ),
    (
        "binance",
        400,
        '{"code": -2010, "msg": "This symbol is not permitted for this account."}',
        "not permitted",
    ),
    (
        "okx",
        200,
        (
            '{"code": "1", "msg": "All operations failed", "data": [{"ordId": "", "sCode": "51008", "sMsg": '
            '"Insufficient balance"}]}'
        ),
        "balance is too low",
    ),
    (
        "okx",
        200,
        '{"code": "1", "data": [{"ordId": "", "sCode": "51020", "sMsg": "Meet the minimum order amount"}]}',
        "minimum",
    ),
    (
        "okx",
        200,
        '{"code": "1", "msg": "", "data": [{"ordId": "", "sCode": "51999", "sMsg": "A new rule of ours"}]}',
        "A new rule of ours",
    ),
    ("kraken", 200, '{"error": ["EOrder:Insufficient funds"]}', "balance is too low"),
    ("kraken", 200, '{"error": ["EOrder:Trading agreement required"]}', "Trading agreement required"),
    (
        "coinbase",
        200,
        (
            '{"success": false, "error_response": {"error": "A_NEW_ONE", "message": "Orders are halted", '
            '"preview_failure_reason": "X"}}'
        ),
        "halted",
    ),
    (
        "gemini",
        406,
        '{"result": "error", "reason": "InsufficientFunds", "message": "insufficient funds"}',
        "balance is too low",
    ),
    ("gemini", 400, '{"result": "error", "reason": "NewReason", "message": "Self trade"}', "Self trade"),
]


@pytest.mark.parametrize(("exchange", "status", "body", "words"), REFUSALS)
def test_a_refusal_in_the_exchanges_own_words_is_a_refusal(exchange, status, body, words):
    with harness(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body)
        with pytest.raises(Rejected, match=words):
            made.buy()


KEYS = [
    ("binance", 401, '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}'),
    ("binance", 400, '{"code": -1022, "msg": "Signature for this request is not valid."}'),
    ("okx", 401, '{"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}'),
    ("kraken", 200, '{"error": ["EGeneral:Permission denied"]}'),
    ("kraken", 200, '{"error": ["EAPI:Invalid signature"]}'),
    ("coinbase", 401, "Unauthorized"),
    ("gemini", 403, '{"result": "error", "reason": "MissingRole", "message": "Missing role"}'),
]


@pytest.mark.parametrize(("exchange", "status", "body"), KEYS)
def test_a_refused_key_is_no_refused_order_and_no_passing_trouble(exchange, status, body):
    """Binance's -2015 comes as DDoSProtection once the key has worked, as if it would pass."""
    with harness(exchange) as made:
        made.buy()
        made.answers(status, body)
        with pytest.raises(BadCredentials):
            made.buy()
        made.answers(status, body, on="read")
        with pytest.raises(BadCredentials):
            made.broker.positions()


LIMITS = [
    ("binance", 429, '{"code": -1003, "msg": "Too many requests"}'),
    ("binance", 418, '{"code": -1003, "msg": "banned"}'),
    ("binance", 400, '{"code": -1015, "msg": "Too many new orders"}'),
    ("okx", 429, '{"code": "50011", "msg": "Too Many Requests"}'),
    ("okx", 200, '{"code": "50061", "msg": "sub-account limit", "data": []}'),
    ("kraken", 200, '{"error": ["EOrder:Rate limit exceeded"]}'),
    ("kraken", 200, '{"error": ["EAPI:Rate limit exceeded"]}'),
    ("coinbase", 429, "too many"),
    ("gemini", 429, '{"result": "error", "reason": "RateLimit", "message": "slow down"}'),
    ("kraken", 200, '{"error": ["EAPI:Invalid nonce"]}'),
    ("gemini", 400, '{"result": "error", "reason": "InvalidNonce", "message": "nonce"}'),
]


@pytest.mark.parametrize(("exchange", "status", "body"), LIMITS)
def test_a_limit_that_the_exchange_names_itself_means_later(exchange, status, body):
    with harness(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body)
        with pytest.raises(RetryLater):
            made.buy()
        assert made.buy().status is VenueStatus.FILLED


def test_a_clock_that_is_off_is_measured_and_the_next_try_passes():
    for exchange in ("binance", "okx"):
        with harness(exchange) as made:
            made.broker.quote(made.sol)
            made.front.clock_ahead = 120.0
            with pytest.raises(RetryLater, match="clock"):
                made.buy()
            assert made.buy().status is VenueStatus.FILLED and len(made.core.orders) == 1


def test_a_time_out_is_sent_once(each):
    """ccxt repeats a failed request, POST or not, when maxRetriesOnFailure says so."""
    each.broker.quote(each.sol)
    each.simulator.fault("time_out")
    with pytest.raises(Unknown):
        each.buy()
    assert len(each.creates()) == 1 and each.client().options["maxRetriesOnFailure"] == 0


def test_a_redirect_is_not_followed_as_its_answer_would_look_like_a_refusal(binance):
    binance.broker.quote(binance.sol)
    binance.simulator.fault("redirect")
    with pytest.raises(Unknown):
        binance.buy()
    assert binance.paths()[-1] == "/api/v3/order" and len(binance.core.orders) == 1


def test_an_unreadable_404_does_not_say_that_an_order_is_absent(each):
    request = each.request()
    each.broker.submit(request)
    each.answers(404, GATEWAY, on="read")
    with pytest.raises(Unavailable):
        each.broker.find(each.ref(request))


@pytest.mark.parametrize(
    "body", ["<html>back soon</html>", "", "{}", "[]", "null", '{"result": {}, "error": []}', '"text"']
)
def test_an_answer_without_sense_to_a_look_up_is_neither_an_order_nor_its_absence(each, body):
    request = each.request(BUY, LIMIT, limit_price="90")
    number = each.broker.submit(request).broker_order_id
    for ref in (each.ref(request), each.ref(request, number)):
        # an empty list is its way to say that there is none
        if not (each.exchange == "gemini" and body == "[]"):
            each.answers(200, body, on="read")
            with pytest.raises(Unavailable):
                each.broker.find(ref)


def test_a_broken_connection_while_reading_is_not_flat(each):
    each.broker.account()
    each.simulator.fault("reading_fails")
    for call in (each.broker.positions, each.broker.account, lambda: each.broker.quote(each.sol)):
        with pytest.raises(Unavailable):
            call()


def test_krakens_last_answer_is_not_mistaken_for_the_one_to_a_cancel():
    """ccxt reads `last_http_response` when a cancel fails, be it of an earlier request."""
    with harness("kraken") as made:
        request = made.request(BUY, LIMIT, limit_price="90")
        report = made.broker.submit(request)
        made.client().last_http_response = '{"error": ["EOrder:Unknown order"]}'
        made.simulator.fault("time_out", on="cancel")
        with pytest.raises(Unavailable):
            made.broker.cancel(made.ref(request, report.broker_order_id))
