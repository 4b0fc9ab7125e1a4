"""What single sources answer, as others recorded it (`tests/recorded.md`): refusals with status 200, prices
of nothing, New York's times on the days its clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, RetryLater, Unavailable
from dashtrade.domain.reasons import Code
from dashtrade.domain.symbols import Symbol
from dashtrade.feeds import alpaca
from dashtrade.feeds.kinds import Around
from dashtrade.feeds.rows import from_new_york, session_day
from dashtrade.market.bars import moment_of
from dashtrade.market.series import Adjustment
from tests.simulators import source_alpha_vantage, source_massive
from tests.simulators.source_server import Fault
from tests.support.source_contract import CountingGate, SourceHarness
from tests.support.source_harnesses import HARNESSES


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Iterator[SourceHarness]:
    with HARNESSES[request.param]() as made:
        yield made


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("harness", [name], indirect=True)


def refusal(harness: SourceHarness, fault: Fault) -> BrokerError:
    source = harness.make()
    harness.sim.fault(fault)
    with pytest.raises(BrokerError) as raised:
        source.bars(harness.series, harness.start, harness.end)
    source.close()
    return raised.value


# --- status 200, and an error ---


@of("massive")
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (source_massive.LIMITED_WITH_200, RetryLater),
        (source_massive.NO_PLAN_WITH_200, NotOffered),
        (Fault(body=source_massive.BAD_KEY.body), BadCredentials),
        (source_massive.ODD_WITH_200, Unavailable),
        (Fault(body="<html>maintenance</html>"), Unavailable),
    ],
)
def test_massive_says_no_with_status_200(harness: SourceHarness, fault: Fault, kind: type[BrokerError]):
    assert type(refusal(harness, fault)) is kind


@of("massive")
def test_prices_that_are_fifteen_minutes_old_are_an_answer(harness: SourceHarness):
    harness.sim.status = "DELAYED"
    assert len(harness.make().bars(harness.series, harness.start, harness.end)) == 40


@of("massive")
def test_the_next_page_is_asked_for_at_the_address_that_was_set(harness: SourceHarness):
    """The address in the answer names another host, which would get the key."""
    harness.sim.page = 15
    assert len(harness.make().bars(harness.series, harness.start, harness.end)) == 40
    assert len(harness.sim.asked) == 3


@of("massive")
def test_pages_that_lead_in_a_circle_end(harness: SourceHarness, monkeypatch):
    monkeypatch.setattr("dashtrade.feeds.source.MOST_PAGES", 10)
    body = {"status": "OK", "resultsCount": 0, "next_url": "https://api.massive.com/v2/aggs?cursor=again"}
    harness.sim.fault(*[Fault(body=body)] * 30)
    with pytest.raises(Unavailable):
        harness.make().bars(harness.series, harness.start, harness.end)
    assert len(harness.sim.asked) < 15


@of("alpha_vantage")
@pytest.mark.parametrize(
    ("fault", "kind", "after"),
    [
        (source_alpha_vantage.DAILY_LIMIT, RetryLater, timedelta(hours=1)),
        (source_alpha_vantage.TOO_FAST, RetryLater, timedelta(seconds=2)),
        (source_alpha_vantage.OLD_NOTE, RetryLater, timedelta(seconds=60)),
        (source_alpha_vantage.PREMIUM, NotOffered, None),
        (source_alpha_vantage.BAD_KEY, BadCredentials, None),
        (Fault(body={"Information": "something new"}), Unavailable, None),
    ],
)
def test_alpha_vantage_says_no_with_status_200(
    harness: SourceHarness, fault: Fault, kind: type[BrokerError], after: timedelta | None
):
    error = refusal(harness, fault)
    assert type(error) is kind
    assert after is None or (isinstance(error, RetryLater) and error.after == after)
    assert source_alpha_vantage.KEY not in error.message


@of("finnhub")
def test_a_price_of_zero_is_an_unknown_symbol_and_no_failure_of_the_source(harness: SourceHarness):
    with pytest.raises(NotOffered):
        harness.make().quote(Symbol.parse("NOSCH"))
    assert [type(error) for error in harness.gate.left] == [NotOffered]


@of("finnhub")
def test_a_free_key_has_quotes_and_no_candles(harness: SourceHarness):
    harness.tier = "free"
    source = harness.make()
    assert source.quote(harness.symbol).note.code is Code.LAST_PRICE_USED
    with pytest.raises(NotOffered):
        source.bars(harness.series, harness.start, harness.end)
    assert [asked.path for asked in harness.sim.asked] == ["/quote"]


@of("finnhub days")
def test_finnhubs_days_are_adjusted_and_not_to_be_had_as_traded(harness: SourceHarness):
    harness.adjustment = Adjustment.RAW
    with pytest.raises(NotOffered):
        harness.make().bars(harness.series, harness.start, harness.end)


# --- Alpaca ---


@of("alpaca iex")
def test_one_side_of_the_book_alone_is_no_quote_and_the_last_trade_stands_in(harness: SourceHarness):
    one_sided = {"ap": 0, "as": 0, "ax": " ", "bp": 120.5, "bs": 1, "bx": "V", "c": ["R"], "z": "C"}
    harness.sim.fault(Fault(body={"quotes": {"AAPL": one_sided | {"t": "2025-11-05T15:00:29.1Z"}}}))
    quote = harness.make().quote(harness.symbol)
    assert quote.note.code is Code.LAST_PRICE_USED and quote.bid == quote.ask
    assert [asked.params["feed"] for asked in harness.sim.asked] == ["iex", "iex"]


@of("alpaca delayed")
def test_without_a_plan_the_last_minutes_of_the_whole_market_are_not_asked_for(harness: SourceHarness):
    source = harness.make()
    now = harness.clock.now()
    found = source.bars(harness.series, now - timedelta(hours=1), now)
    asked = harness.sim.asked[0].params
    assert datetime.fromisoformat(asked["end"]) == now - alpaca.DELAY and asked["feed"] == "sip"
    newest = moment_of(int(found.at[-1]))
    assert newest + harness.timeframe.span <= now - alpaca.DELAY < newest + 2 * harness.timeframe.span


@of("alpaca iex")
def test_the_prices_of_one_exchange_are_a_source_of_their_own(harness: SourceHarness):
    assert harness.make().name == "alpaca-iex"


@of("alpaca iex")
def test_the_keys_of_a_custom_server_reach_no_other(harness: SourceHarness):
    own = {"ALPACA_API_URL": harness.sim.url}
    around = Around(clock=harness.clock, gate=CountingGate(), address=own.get)
    source = harness.kind.make(harness.kind, harness.kind.tier("iex"), harness.credentials, around)
    assert len(source.bars(harness.series, harness.start, harness.end)) == 40


# --- New York's clocks change ---


@pytest.mark.parametrize(
    ("new_york", "utc"),
    [
        ("2025-03-07 09:30:00", "2025-03-07T14:30:00+00:00"),  # Friday, winter time
        ("2025-03-10 09:30:00", "2025-03-10T13:30:00+00:00"),  # Monday, summer time
        ("2025-10-31 15:59:00", "2025-10-31T19:59:00+00:00"),
        ("2025-11-03 09:30:00", "2025-11-03T14:30:00+00:00"),
        ("2025-11-02 01:30:00", "2025-11-02T05:30:00+00:00"),  # the hour that comes twice
    ],
)
def test_a_naive_time_is_new_yorks(new_york: str, utc: str):
    assert from_new_york(new_york) == datetime.fromisoformat(utc)


@of("alpha_vantage")
@pytest.mark.parametrize(
    ("start", "end", "opens"),
    [
        ((2025, 3, 7), (2025, 3, 11), [(3, 7, 14), (3, 10, 13)]),
        ((2025, 10, 31), (2025, 11, 4), [(10, 31, 13), (11, 3, 14)]),
    ],
)
def test_sessions_open_at_half_past_nine_on_both_sides_of_the_change(harness, start, end, opens):
    found = harness.make().bars(harness.series, datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))
    moments = [moment_of(int(at)) for at in found.at]
    first = {moment.date(): moment for moment in reversed(moments)}
    assert sorted(first.values()) == [
        datetime(2025, month, day, hour, 30, tzinfo=UTC) for month, day, hour in opens
    ]
    assert len(moments) == 2 * 390


@of("alpha_vantage")
def test_a_month_is_one_request(harness: SourceHarness):
    harness.make().bars(
        harness.series, datetime(2025, 8, 31, 12, tzinfo=UTC), datetime(2025, 11, 5, tzinfo=UTC)
    )
    assert [asked.params["month"] for asked in harness.sim.asked] == [
        "2025-08",
        "2025-09",
        "2025-10",
        "2025-11",
    ]


@of("alpha_vantage")
def test_a_month_that_has_ended_is_asked_for_once_though_read_in_stretches(harness: SourceHarness):
    source, start = harness.make(), datetime(2025, 10, 6, tzinfo=UTC)
    found = [
        source.bars(harness.series, start + timedelta(days=n), start + timedelta(days=n + 1))
        for n in range(4)
    ]
    assert [len(bars) for bars in found] == [390] * 4
    assert len(harness.sim.asked) == 1
    for _ in range(2):  # what goes on is asked for again
        source.bars(harness.series, datetime(2025, 11, 4, tzinfo=UTC), harness.clock.now())
    assert len(harness.sim.asked) == 3


@pytest.mark.parametrize("name", ["alpaca days", "massive days", "alpha_vantage days", "finnhub days"])
def test_days_are_those_of_the_session_on_both_sides_of_the_change(name: str):
    with HARNESSES[name]() as harness:
        start, end = datetime(2025, 10, 30, tzinfo=UTC), datetime(2025, 11, 5, tzinfo=UTC)
        found = harness.make().bars(harness.series, start, end)
        assert [moment_of(int(at)).day for at in found.at] == [30, 31, 3, 4]
        assert {moment_of(int(at)).hour for at in found.at} == {0}


def test_midnight_in_new_york_is_the_day_that_begins_there():
    for text in ("2025-10-31T04:00:00Z", "2025-10-31T20:00:00Z", "2025-10-31T00:00:00-04:00"):
        assert moment_of(session_day(datetime.fromisoformat(text))) == datetime(2025, 10, 31, tzinfo=UTC)
    winter = datetime.fromisoformat("2025-11-03T05:00:00Z")
    assert moment_of(session_day(winter)) == datetime(2025, 11, 3, tzinfo=UTC)
