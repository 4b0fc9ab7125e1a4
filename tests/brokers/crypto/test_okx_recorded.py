"""OKX as it answers: executions in two lists, a quick one of three days and a slow one of three months; keys
of other sites; a time stamp that it cannot read. Where the bodies come from: tests/recorded.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dashtrade.domain.ports import BadCredentials, RetryLater, VenueStatus
from tests.support.adapter_harness import BUY, LIMIT, D
from tests.support.crypto_harness import CryptoHarness, harness
from tests.support.fakes import ManualClock

QUICK, SLOW = "/api/v5/trade/fills", "/api/v5/trade/fills-history"


@pytest.fixture
def okx():
    with harness("okx") as made:
        yield made


def asked(made: CryptoHarness, path: str) -> list[dict[str, str]]:
    return [request.params for request in made.simulator.requests if request.path == path]


def test_executions_are_read_from_the_quick_list_and_by_the_orders_number_alone(okx: CryptoHarness):
    report = okx.buy("2")
    assert report.status is VenueStatus.FILLED and report.fills[0].fee_base == D("0.002")
    assert asked(okx, QUICK) == [
        {"instType": "SPOT", "instId": "SOL-USDT", "ordId": report.broker_order_id}
    ] and not asked(okx, SLOW)


@pytest.fixture
def old() -> Any:
    """An order whose executions are four days old."""
    clock = ManualClock(datetime.now(UTC))
    with harness("okx", clock=clock) as made:
        made.core.now = lambda: clock.now().timestamp()
        request = made.request(BUY, LIMIT, "2", limit_price="101")
        made.core.place(
            client_id=request.client_order_id,
            name="SOL/USDT",
            side="buy",
            type="limit",
            quantity=D(2),
            limit=D(101),
        )
        clock.forward(4 * 86_400)
        made.simulator.front.verify = lambda request: None  # the client signs with this machine's time
        yield made, made.ref(request)


def test_executions_older_than_three_days_are_read_from_the_slow_list(old: Any):
    made, ref = old
    report = made.broker.find(ref)
    assert (
        report.status is VenueStatus.FILLED
        and len(report.fills) == 1
        and report.fills[0].fee_base == D("0.002")
    )
    assert len(asked(made, QUICK)) == len(asked(made, SLOW)) == 1


def test_more_executions_than_a_page_holds_are_all_read(okx: CryptoHarness):
    okx.front.page = 2
    placed = okx.core.place(
        client_id="a" * 32, name="SOL/USDT", side="buy", type="limit", quantity=D(5), limit=D(101)
    )
    one = placed.trades.pop()
    for number in range(5):
        placed.trades.append(
            type(one)(
                id=one.id + number, price=one.price, quantity=D(1), fee=D("0.001"), fee_coin="SOL", at=one.at
            )
        )
    from dashtrade.brokers.crypto import executions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executions, "OKX_PAGE_SIZE", 2)
        report = okx.broker.find(okx.ref(okx.request(client_order_id="a" * 32)))
    assert report.filled_quantity == 5 and len(report.fills) == 5 and len(asked(okx, QUICK)) == 3


def test_a_key_of_another_site_is_explained(okx: CryptoHarness):
    okx.front.elsewhere = True
    with pytest.raises(BadCredentials, match=r"eea\.okx\.com or https://us\.okx\.com only: set CCXT_URL_OKX"):
        okx.broker.account()


def test_the_notes_on_okx_name_its_sites(okx: CryptoHarness):
    assert any("eea.okx.com" in note for note in okx.broker.capabilities.notes)


def test_a_time_stamp_that_okx_cannot_read_is_no_bad_key(okx: CryptoHarness):
    okx.broker.quote(okx.sol)
    okx.answers(401, {"msg": "Invalid OK-ACCESS-TIMESTAMP", "code": "50112"})
    with pytest.raises(RetryLater, match="clock"):
        okx.buy()


def test_an_order_that_is_booked_by_its_totals_keeps_its_fee(okx: CryptoHarness):
    """Its executions never show; its own fee, in the bought coin, is told with the order."""
    okx.simulator.fault("late_trades", seconds=60)
    other = okx.another(trades_lag=okx.broker._trades_lag * 0)
    report = other.submit(okx.request(quantity="2"))
    assert (report.status, report.fills, report.total_fee_base) == (VenueStatus.FILLED, (), D("0.002"))
