"""Protections: each kind as a pure rule, and their locks as a user meets them, on both databases."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.context import App
from dashtrade.domain import protections as domain
from dashtrade.domain.bots import Bot, Day, OrderDefaults, Sides, WhenClosed
from dashtrade.domain.decisions.decide import decide
from dashtrade.domain.decisions.outcomes import Refused
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.decisions.view import View
from dashtrade.domain.ledger import Position
from dashtrade.domain.orders import Effect
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.protections import (
    KINDS,
    Exit,
    Guard,
    Holding,
    Lock,
    Scope,
    Seen,
    Sent,
    Standing,
    Target,
)
from dashtrade.domain.signals import Action, ExitPlan, Signal, Size, SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, OrderSide, OrderType, TimeInForce
from dashtrade.tables import messages
from dashtrade.tables import protections as table
from dashtrade.tables import risk_events as risk_event_table
from tests.support.fakes import MORNING, SetClock, SetFeed
from tests.support.installation import House, Person

AAPL, MSFT = Symbol.parse("AAPL"), Symbol.parse("MSFT")


# --- the rules, without anything around them ----------------------------------------------------------------


def entry(
    kind: OrderType = OrderType.MARKET,
    quantity: str = "10",
    price: str = "100",
    effect: Effect = Effect.OPEN,
    **more: Any,
) -> Step:
    return Step(
        side=OrderSide.BUY, effect=effect, quantity=Decimal(quantity), type=kind, price=Decimal(price), **more
    )


def out(
    minutes_ago: float,
    made: str = "-10",
    *,
    bot: int = 1,
    symbol: Symbol = AAPL,
    stopped: bool = True,
    account: int = 1,
) -> Exit:
    return Exit(
        bot_id=bot,
        account_id=account,
        symbol=symbol,
        at=MORNING - timedelta(minutes=minutes_ago),
        made=Decimal(made),
        stopped=stopped,
    )


def seen(
    *exits: Exit, bid: str = "100", ask: str = "100", age: float = 0, demo: bool = False, **more: Any
) -> Seen:
    quote = Quote(
        symbol=AAPL, bid=Decimal(bid), ask=Decimal(ask), at=MORNING - timedelta(seconds=age), demo=demo
    )
    plain = {"owned": Decimal(0), "equity": Decimal(100_000)}
    return Seen(
        now=MORNING,
        bot_id=1,
        symbol=AAPL,
        quote=quote,
        exits=tuple(sorted(exits, key=lambda one: one.at)),
        **plain | more,
    )


def judge(kind: str, view: Seen, step: Step | None = None, **settings: Any) -> Lock | None:
    return domain.read(kind, Scope.ACCOUNT, settings).judge(step or entry(), view)


def ends_in(lock: Lock | None) -> float | None:
    """Minutes until the lock ends."""
    assert lock is not None and lock.until is not None
    return (lock.until - MORNING).total_seconds() / 60


def test_a_cooldown_lasts_from_the_stop_on_and_no_longer():
    lock = judge("cooldown", seen(out(10)), minutes=30)
    assert ends_in(lock) == 20 and lock.target is Target.BOT
    assert judge("cooldown", seen(out(30)), minutes=30) is None
    assert ends_in(judge("cooldown", seen(out(25), out(10), out(20)), minutes=30)) == 20, (
        "the last one counts"
    )


@pytest.mark.parametrize(
    ("after", "exit_", "locks"),
    [
        ("stops", out(1, "5", stopped=True), True),
        ("stops", out(1, "-5", stopped=False), False),
        ("losses", out(1, "-5", stopped=False), True),
        ("losses", out(1, "5", stopped=True), False),
        ("exits", out(1, "5", stopped=False), True),
    ],
)
def test_a_cooldown_begins_with_what_it_is_told_to(after: str, exit_: Exit, locks: bool):
    assert (judge("cooldown", seen(exit_), after=after) is not None) is locks


@pytest.mark.parametrize(
    ("per", "exit_", "locks"),
    [
        ("bot", out(1, bot=2), False),
        ("symbol", out(1, bot=2), True),
        ("symbol", out(1, bot=1, symbol=MSFT), False),
        ("scope", out(1, bot=2, symbol=MSFT), True),
    ],
)
def test_a_cooldown_holds_for_the_bot_the_symbol_or_all(per: str, exit_: Exit, locks: bool):
    lock = judge("cooldown", seen(exit_), per=per)
    assert (lock is not None) is locks and (lock is None or lock.target == per)


def test_so_many_stops_within_the_look_back_lock_from_the_last_of_them():
    stops = [out(50), out(40), out(5)]
    lock = judge("stop_streak", seen(*stops), stops=3, look_back_minutes=60, lock_minutes=30)
    assert ends_in(lock) == 25 and (lock.actual, lock.limit) == (3, 3)
    assert judge("stop_streak", seen(*stops), stops=4, look_back_minutes=60) is None
    assert judge("stop_streak", seen(*stops), stops=3, look_back_minutes=45) is None
    assert judge("stop_streak", seen(*stops), stops=3, look_back_minutes=60, lock_minutes=5) is None, (
        "it has ended by now"
    )
    assert judge("stop_streak", seen(*stops), stops=3, look_back_minutes=60, lock_minutes=None).until is None


def test_a_stop_that_made_money_is_none_of_a_streak():
    assert judge("stop_streak", seen(out(3), out(2, "7"), out(1)), stops=3) is None
    losses = [out(3), out(2, "-1", stopped=False), out(1)]
    assert judge("stop_streak", seen(*losses), stops=3) is None
    assert judge("stop_streak", seen(*losses), stops=3, counts="losses") is not None


def test_a_drawdown_is_the_fall_from_the_best_point():
    # 300 200 400 150 200
    curve = [out(60, "300"), out(50, "-100"), out(40, "200"), out(30, "-250"), out(20, "50")]
    assert judge("drawdown", seen(*curve), amount=200, lock_minutes=60).actual == 200
    assert judge("drawdown", seen(*curve), amount="200.01") is None
    assert ends_in(judge("drawdown", seen(*curve), amount=200, lock_minutes=60)) == 40, (
        "from the last exit on"
    )
    assert judge("drawdown", seen(*curve), amount=200, look_back_minutes=35).actual == 250 - 50


def test_a_drawdown_in_percent_is_one_of_the_equity_at_the_best_point():
    view = seen(out(1, "-1000"), equity=Decimal(9_000))
    assert judge("drawdown", view, percent=10).limit == 1000
    assert judge("drawdown", view, percent="10.01") is None
    assert judge("drawdown", view, percent=50, amount=500).limit == 500, "the lower of the two holds"


def test_a_symbol_that_lost_is_locked_and_the_others_are_not():
    mine = [out(3, "-30"), out(2, "20")]
    lock = judge("losing_symbol", seen(*mine, out(1, "-500", symbol=MSFT)), exits=2, lock_minutes=10)
    assert lock.target is Target.SYMBOL and lock.actual == 10 and ends_in(lock) == 8
    assert judge("losing_symbol", seen(*mine), exits=3) is None
    assert judge("losing_symbol", seen(*mine), loss=10) is None
    assert judge("losing_symbol", seen(out(3, "-30"), out(2, "30"))) is None


def holding(bot: int, symbol: Symbol = AAPL, quantity: str = "10") -> Holding:
    return Holding(bot_id=bot, account_id=1, symbol=symbol, quantity=Decimal(quantity))


def test_positions_at_once_are_counted_without_the_entrys_own():
    others = (holding(2), holding(3, MSFT))
    refused = judge("max_positions", seen(others=others), positions=2)
    assert refused.actual == 2 and not refused.lasts(MORNING)
    assert judge("max_positions", seen(others=others), positions=3) is None
    assert (
        judge("max_positions", seen(others=others, owned=Decimal(5)), entry(effect=Effect.ADD), positions=2)
        is None
    )
    assert ends_in(judge("max_positions", seen(others=others), positions=2, lock_minutes=15)) == 15


def test_exposure_adds_up_all_bots_on_the_symbol():
    others = (holding(2), holding(3, MSFT, "1000"), holding(4))
    assert judge("max_exposure", seen(others=others), amount=3000) is None
    assert judge("max_exposure", seen(others=others), amount=2999).actual == 3000
    assert judge("max_exposure", seen(others=others), percent=3) is None
    assert judge("max_exposure", seen(others=others, equity=Decimal(99_999)), percent=3) is not None
    assert (
        judge("max_exposure", seen(owned=Decimal(15)), entry(effect=Effect.ADD), amount=2499).actual == 2500
    )


def test_a_runaway_alert_is_stopped_by_its_rate():
    sent = tuple(
        Sent(bot_id=1, account_id=1, at=MORNING - timedelta(seconds=ago)) for ago in (0, 20, 59, 60, 61)
    )
    assert judge("orders_per_minute", seen(sent=sent), orders=4) is None
    assert ends_in(judge("orders_per_minute", seen(sent=sent), orders=3, lock_minutes=15)) == 15


def test_an_old_price_refuses_what_would_be_paid_at_market():
    assert judge("stale_price", seen(age=60)) is None
    old = judge("stale_price", seen(age=61))
    assert (old.actual, old.limit) == (61, 60) and "61 s old" in old.reason and not old.lasts(MORNING)
    assert judge("stale_price", seen(age=61), entry(OrderType.LIMIT, limit_price=Decimal(99))) is None
    assert judge("stale_price", seen(age=9999, demo=True)) is None
    assert judge("stale_price", seen(age=9999), seconds=86400) is None


def test_a_wide_spread_refuses_what_would_be_paid_at_market():
    assert judge("wide_spread", seen(bid="99.5", ask="100.5")) is None
    wide = judge("wide_spread", seen(bid="99", ask="101"))
    assert (wide.actual, wide.limit, wide.numbers) == (2, 1, {"bid": "99", "ask": "101"})
    assert (
        judge("wide_spread", seen(bid="99", ask="101"), entry(OrderType.LIMIT, limit_price=Decimal(99)))
        is None
    )


def test_at_a_closed_market_only_orders_meant_for_it_pass():
    rule, opens = KINDS["market_closed"](), MORNING + timedelta(hours=20)
    closed = seen(market_open=False, opens_at=opens)
    assert "opens at 2025-06-05T11:00:00" in rule.judge(entry(), closed).reason
    assert rule.judge(entry(), seen()) is None
    assert rule.judge(entry(extended_hours=True), closed) is None
    assert rule.judge(entry(time_in_force=TimeInForce.OPG), closed) is None
    assert "not known" in rule.judge(entry(), seen(market_open=False)).reason


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "field", "hint"),
    [
        ("cooldwn", {}, "kind", "Did you mean cooldown?"),
        ("market_closed", {}, "kind", "when_closed"),
        ("cooldown", {"minuts": 5}, "settings.minuts", "Did you mean minutes?"),
        ("cooldown", {"minutes": 0}, "settings.minutes", "A whole number from 1"),
        ("cooldown", {"minutes": "1.5"}, "settings.minutes", "A whole number"),
        ("cooldown", {"minutes": None}, "settings.minutes", "Leave it out"),
        ("cooldown", {"after": "rain"}, "settings.after", "One of: stops, losses, exits."),
        ("cooldown", {"after": ["stops"]}, "settings.after", "One of"),
        ("stop_streak", {"lock_minutes": -1}, "settings.lock_minutes", "or null: until somebody unlocks it"),
        ("wide_spread", {"percent": "NaN"}, "settings.percent", "finite"),
        ("drawdown", {}, "settings", "Send amount, percent or both"),
        ("max_exposure", {"amount": True}, "settings.amount", "Send a number"),
    ],
)
def test_what_cannot_be_set_is_said_with_the_place_and_what_would_be_right(
    kind: str, settings: Any, field: str, hint: str
):
    with pytest.raises(Malformed) as refused:
        domain.read(kind, Scope.ACCOUNT, settings)
    assert refused.value.where == field and hint in refused.value.hint


def test_a_percentage_of_an_equity_needs_one_account():
    for kind in ("drawdown", "max_exposure"):
        domain.read(kind, Scope.ACCOUNT, {"percent": 5})
        with pytest.raises(Malformed, match="for all accounts"):
            domain.read(kind, Scope.USER, {"percent": 5})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "market_closed"])
def test_settings_read_back_as_they_were_written(kind: str):
    some = {"amount": "12.50"} if kind in ("drawdown", "max_exposure") else {}
    made = domain.read(kind, Scope.BOT, some)
    assert domain.read(kind, Scope.BOT, domain.written_settings(made)) == made


def test_every_kind_is_described_in_words():
    for kind in domain.describe():
        assert kind["title"] and kind["description"].endswith(".") and "\n" not in kind["description"]
        assert all(one["description"] for one in kind["settings"])
    assert [kind["kind"] for kind in domain.describe() if kind["always"]] == ["stale_price", "market_closed"]


numbers = st.integers(-500, 500).map(Decimal)
some_exits = st.lists(
    st.builds(
        lambda ago, made, bot, apple, stopped: out(
            ago, str(made), bot=bot, symbol=AAPL if apple else MSFT, stopped=stopped
        ),
        st.integers(0, 200),
        numbers,
        st.integers(1, 3),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)
looking_back = st.sampled_from(
    [
        ("cooldown", {"after": "exits", "per": "scope", "minutes": 90}),
        ("cooldown", {}),
        ("stop_streak", {"stops": 2, "counts": "losses", "lock_minutes": 60}),
        ("stop_streak", {"stops": 1, "lock_minutes": None}),
        ("drawdown", {"amount": 100, "lock_minutes": 30}),
        ("losing_symbol", {"exits": 1, "lock_minutes": 45}),
    ]
)


@given(some_exits, looking_back)
def test_a_lock_ends_when_it_says_and_nothing_from_before_its_unlocking_makes_another(
    exits: list[Exit], rule: tuple[str, dict[str, Any]]
):
    kind, settings = rule
    view = seen(*exits)
    lock = judge(kind, view, **settings)
    if lock is None:
        return
    assert lock.lasts(MORNING), "a lock that has ended is none"
    if lock.until is not None:
        later = Seen(**{name: getattr(view, name) for name in Seen.__slots__} | {"now": lock.until})
        assert judge(kind, later, **settings) is None, "at its end the same exits lock no more"
    assert judge(kind, seen(*(one for one in exits if one.at > MORNING)), **settings) is None


# --- as their user meets them -------------------------------------------------------------------------------


def protect(ann: Person, kind: str, scope: str = "user", scope_id: int | None = None, **settings: Any) -> int:
    return ann.does(
        "POST", "/protections", {"kind": kind, "scope": scope, "scope_id": scope_id, "settings": settings}
    )["id"]


def locks(ann: Person, **query: Any) -> list[Any]:
    return ann.get("/protection-locks", **query)["items"]


def stopped(ann: Person, house: House, feed: SetFeed, bot: int, symbol: str = "AAPL", **alert: Any) -> None:
    """One trade that ends at its risk limit, and its bot resumed."""
    assert ann.trades("buy", symbol, **alert)["status"] == "filled"
    feed.set(symbol, 80)
    assert house.look() == 1
    feed.set(symbol, 100)
    ann.does("POST", f"/bots/{bot}/resume")
    assert ann.holds(bot) == 0


def check(story: Any, name: str) -> Any:
    return next(one for one in story["bots"][0]["checks"] if one["check"] == name)


def test_a_streak_of_stops_locks_the_account_until_its_time(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot, other = ann.bot(risk_limit_percent="10"), ann.bot("MSFT")
    made = protect(ann, "stop_streak", "account", ann.paper, stops=2, lock_minutes=60)
    stopped(ann, house, feed, bot)
    clock.forward(600)
    stopped(ann, house, feed, bot)
    assert locks(ann) == []

    clock.forward(60)
    refused = ann.trades("buy", "MSFT")
    assert refused["status"] == "refused" and refused["orders"] == []
    assert (
        refused["bots"][0]["would"] == "would have bought 50"
        and refused["bots"][0]["numbers"]["limit"] == "2"
    )
    assert refused["reason"] == "2 stops within 1440 minutes reached the limit of 2"
    [lock] = locks(ann)
    assert (lock["protection_id"], lock["scope"], lock["scope_id"], lock["symbol"]) == (
        made,
        "account",
        ann.paper,
        None,
    )
    assert lock["bot_id"] == other and lock["signal_id"] == refused["id"] and lock["standing"] is True
    assert lock["until"] == "2025-06-04T16:10:00.000Z" and lock["since"] == "2025-06-04T15:11:00.000Z"
    [event] = [one for one in ann.get("/risk-events")["items"] if one["kind"] == "stop_streak"]
    assert (
        event["action"] == "entries of this account are locked until 2025-06-04T16:10:00.000Z"
        and event["signal_id"] == refused["id"]
    )
    told = [text for text in ann.messages() if "entries are locked" in text]
    assert len(told) == 1 and "what is open can be closed as ever" in told[0]

    again = ann.trades("buy", "AAPL")
    assert "locked until 2025-06-04T16:10:00.000Z" in again["reason"] and check(again, "locks")["ok"] is False
    assert len(locks(ann)) == 1 and len([one for one in ann.messages() if "entries are locked" in one]) == 1

    clock.forward(3600)
    assert locks(ann, standing=True) == [] and len(locks(ann)) == 1
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_unlocking_lets_entries_pass_at_once_and_forgets_what_led_to_the_lock(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot = ann.bot(risk_limit_percent="10")
    protect(ann, "stop_streak", stops=2, lock_minutes=None)
    for _ in range(2):
        stopped(ann, house, feed, bot)
        clock.forward(60)
    assert ann.trades("buy")["status"] == "refused"
    [lock] = locks(ann, standing=True)
    assert lock["until"] is None

    after = ann.does("POST", f"/protection-locks/{lock['id']}/unlock")
    assert after["standing"] is False and after["unlocked_by"] == ann.user.id and after["unlocked_at"]
    assert ann.call("POST", f"/protection-locks/{lock['id']}/unlock").status_code == 409
    with house.app.db.read() as conn:
        assert [row.action for row in messages.recorded(conn, ann.user.id, before=None, limit=99)].count(
            "protection unlocked"
        ) == 1
    clock.forward(1)
    stopped(ann, house, feed, bot)
    clock.forward(1)
    assert ann.trades("buy")["status"] == "filled", "one stop since the unlocking is not two"


def test_a_cooldown_of_a_bot_leaves_the_other_bots_alone(
    ann: Person, house: House, feed: SetFeed, clock: SetClock
):
    bot = ann.bot(risk_limit_percent="10")
    ann.bot(timeframe="1H")
    protect(ann, "cooldown", "account", ann.paper, minutes=30)
    stopped(ann, house, feed, bot, timeframe="15 Min")
    clock.forward(600)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "refused"
    assert [(lock["scope"], lock["scope_id"]) for lock in locks(ann)] == [("bot", bot)]
    assert ann.trades("buy", timeframe="1H")["status"] == "filled"
    clock.forward(1200)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "filled"


@pytest.mark.parametrize(("price", "locked"), [(106, False), (94, True)])
def test_a_stop_loss_counts_as_a_stop_and_a_take_profit_does_not(
    ann: Person, house: House, feed: SetFeed, clock: SetClock, price: int, locked: bool
):
    bot = ann.bot()
    protect(ann, "cooldown", minutes=30)
    ann.trades("buy", takeProfit={"percent": 5}, stopLoss={"percent": 5})
    feed.set("AAPL", price)
    assert house.look() == 1 and ann.holds(bot) == 0
    clock.forward(1)
    assert ann.trades("buy")["status"] == ("refused" if locked else "filled")


def test_a_losing_symbol_is_locked_and_another_trades_on(ann: Person, feed: SetFeed, clock: SetClock):
    ann.bot(), ann.bot("MSFT")
    protect(ann, "losing_symbol", exits=1, loss=100)
    ann.trades("buy")
    feed.set("AAPL", 90)
    ann.trades("close")
    clock.forward(1)
    assert ann.trades("buy")["status"] == "refused" and locks(ann)[0]["symbol"] == AAPL.text
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_protections_stack_and_the_strictest_decides(ann: Person, feed: SetFeed, clock: SetClock):
    bot = ann.bot()
    protect(ann, "drawdown", "user", amount=1000)
    protect(ann, "drawdown", "account", ann.paper, amount=400, lock_minutes=5)
    protect(ann, "drawdown", "bot", bot, amount=300, lock_minutes=None)
    ann.trades("buy")
    feed.set("AAPL", 90)
    ann.trades("close")
    clock.forward(1)
    assert "500.00" in ann.trades("buy")["reason"]
    assert {lock["scope"]: lock["until"] is None for lock in locks(ann)} == {"account": False, "bot": True}
    clock.forward(600)
    assert "until you unlock them" in ann.trades("buy")["reason"], (
        "the account's lock is over, the bot's is not"
    )


def test_positions_and_exposure_are_counted_over_the_bots_of_the_scope(ann: Person, clock: SetClock):
    ann.bot(), ann.bot(timeframe="1H"), ann.bot("MSFT")
    most, exposure = (
        protect(ann, "max_positions", positions=2),
        protect(ann, "max_exposure", "account", ann.paper, amount=9000),
    )
    assert ann.trades("buy", timeframe="15 Min")["status"] == "filled"
    refused = ann.trades("buy", timeframe="1H")
    assert refused["reason"] == "10,000.00 in AAPL with this entry passes the limit of 9,000.00"
    ann.does("PATCH", f"/protections/{exposure}", {"settings": {"amount": "10000"}})
    assert ann.trades("buy", timeframe="1H")["status"] == "filled"
    assert ann.trades("buy", "MSFT")["reason"] == "2 open positions, and 2 allowed at once"
    assert locks(ann) == [] and [one for one in ann.messages() if "locked" in one] == [], (
        "what is judged anew each time leaves no lock"
    )
    ann.does("PATCH", f"/protections/{most}", {"is_active": False})
    assert ann.trades("buy", "MSFT")["status"] == "filled"


def test_an_entry_that_rests_counts_as_a_position_and_as_exposure(ann: Person):
    ann.bot(order_type="limit", limit_offset_percent="5"), ann.bot(timeframe="1H"), ann.bot("MSFT")
    protect(ann, "max_positions", positions=1)
    assert ann.trades("buy", timeframe="15 Min")["status"] == "working"
    assert ann.trades("buy", "MSFT")["reason"] == "1 open position, and 1 allowed at once"


def test_a_runaway_alert_is_locked_and_can_still_close(ann: Person, clock: SetClock):
    bot = ann.bot()
    protect(ann, "orders_per_minute", "bot", bot, orders=4)
    for action in ("buy", "close", "buy", "close"):
        assert ann.trades(action)["status"] == "filled"
        clock.forward(1)
    assert ann.trades("buy")["reason"] == "4 orders within a minute reached the limit of 4"
    [lock] = locks(ann)
    ann.does("POST", f"/protection-locks/{lock['id']}/unlock")
    clock.forward(1)
    assert ann.trades("buy")["status"] == "filled"
    assert ann.trades("close")["status"] == "filled"


def test_a_flip_whose_entry_is_locked_still_closes_and_the_lock_is_written(
    ann: Person, house: House, clock: SetClock
):
    bot = ann.bot()
    ann.trades("buy")
    protect(ann, "orders_per_minute", "bot", bot, orders=1)
    flipped = ann.trades("sell")
    assert flipped["status"] == "filled" and ann.holds(bot) == 0
    assert "closes only: 1 order within a minute" in str(flipped["timeline"])
    assert [lock["kind"] for lock in locks(ann)] == ["orders_per_minute"]


class PowerCut(BaseException):
    """No mistake of ours, which the engine would catch."""


def test_a_lock_its_event_its_message_and_the_refusal_are_one_step(
    ann: Person, house: House, monkeypatch: pytest.MonkeyPatch
):
    bot = ann.bot()
    ann.trades("buy")
    ann.trades("close")
    protect(ann, "orders_per_minute", "bot", bot, orders=1)
    real = risk_event_table.add_risk_event

    def power_cut(*given: Any, **named: Any) -> None:
        raise PowerCut

    monkeypatch.setattr(risk_event_table, "add_risk_event", power_cut)
    signal = ann.sends(action="buy")
    with pytest.raises(PowerCut):
        house.work()
    assert locks(ann) == [] and ann.story(signal)["status"] == "working"
    monkeypatch.setattr(risk_event_table, "add_risk_event", real)
    house.work()
    assert len(locks(ann)) == 1 and ann.story(signal)["status"] == "refused"
    assert len([one for one in ann.get("/risk-events")["items"] if one["kind"] == "orders_per_minute"]) == 1


def test_a_removed_protection_lets_go_of_what_it_had_locked(ann: Person):
    bot = ann.bot()
    ann.trades("buy")
    ann.trades("close")
    made = protect(ann, "orders_per_minute", "bot", bot, orders=1, lock_minutes=None)
    assert ann.trades("buy")["status"] == "refused"
    ann.does("DELETE", f"/protections/{made}")
    assert ann.get("/protections")["items"] == [] and locks(ann, standing=True) == [] and len(locks(ann)) == 1
    assert ann.trades("buy")["status"] == "filled"
    assert ann.call("DELETE", f"/protections/{made}").status_code == 404


def test_a_bad_protection_is_a_clear_400(ann: Person):
    ann.bot()
    for body, field, hint in (
        ({"kind": "cooldwn"}, "kind", "Did you mean cooldown?"),
        ({"kind": "cooldown", "settings": {"minuts": 3}}, "settings.minuts", "Did you mean minutes?"),
        (
            {"kind": "drawdown", "scope": "user", "settings": {"percent": 5}},
            "settings.percent",
            "amount of money",
        ),
    ):
        said = ann.call("POST", "/protections", body)
        assert (said.status_code, said.json["field"]) == (400, field) and hint in said.json["hint"]
    assert ann.call("POST", "/protections", {"kind": "cooldown", "scope": "bot"}).json["field"] == "id"
    assert (
        ann.call("POST", "/protections", {"kind": "cooldown", "scope": "bot", "scope_id": 4711}).status_code
        == 404
    )
    assert ann.call("POST", "/protections", {"kind": "cooldown", "scope": "all"}).status_code == 400


def test_without_protections_a_decision_asks_nothing_more_of_the_database(
    ann: Person, house: House, app: App, monkeypatch: pytest.MonkeyPatch
):
    ann.bot()
    for name in ("exits", "sent", "holdings", "resets"):
        monkeypatch.setattr(table, name, lambda *given: pytest.fail("read for nobody"))
    assert ann.trades("buy")["status"] == "filled"
    protect(ann, "wide_spread")
    assert ann.trades("close")["status"] == "filled"
    assert ann.trades("buy")["status"] == "filled"


# --- what no protection may do ------------------------------------------------------------------------------


def view_of(exits: list[Exit], locked: bool, closed: bool, when_closed: WhenClosed) -> View:
    """A bot that is long, with every protection watching over it as strictly as it can."""
    bot = Bot(
        id=1,
        user_id=1,
        account_id=1,
        name="Bot",
        symbol=AAPL,
        written_symbol="AAPL",
        timeframe=Timeframe(900),
        allow_alert_size=False,
        size=Size(kind=SizeKind.QUANTITY, value=Decimal(1)),
        risk_limit_percent=None,
        daily_loss_limit=None,
        max_position_size=None,
        sides=Sides.BOTH,
        order_type=OrderType.MARKET,
        limit_offset_percent=Decimal(0),
        cooldown_seconds=0,
        windows=(),
        time_zone="UTC",
        orders_per_day=None,
        when_closed=when_closed,
        exit_plan=ExitPlan(),
        order_defaults=OrderDefaults(),
        is_active=True,
        paused_reason="",
        status="FILLED",
        position=Position(quantity=Decimal(10), cost=Decimal(1000)),
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        total_trades=1,
        last_day=Day(date=MORNING.date()),
        exits=None,
        last_entry_at=None,
        last_signal_at=None,
        created_at=MORNING,
        updated_at=MORNING,
    )
    strict = {
        "cooldown": {"after": "exits", "per": "scope"},
        "stop_streak": {"stops": 1, "counts": "losses"},
        "drawdown": {"amount": "0.01"},
        "losing_symbol": {"exits": 1},
        "max_positions": {"positions": 1},
        "max_exposure": {"amount": "0.01"},
        "orders_per_minute": {"orders": 1},
        "stale_price": {"seconds": 1},
        "wide_spread": {"percent": "0.001"},
    }
    guards = tuple(
        Guard(
            id=number,
            scope=Scope.ACCOUNT,
            scope_id=1,
            rule=domain.read(kind, Scope.ACCOUNT, settings),
            exits=tuple(sorted(exits, key=lambda e: e.at)),
            sent=(Sent(bot_id=1, account_id=1, at=MORNING),),
            others=(holding(2),),
        )
        for number, (kind, settings) in enumerate(strict.items(), 1)
    )
    lock = Standing(
        id=1, protection_id=1, kind="cooldown", scope=Scope.BOT, symbol=None, reason="a stop", until=None
    )
    return View(
        bot=bot,
        working=(),
        reserved=Decimal(0),
        day=bot.last_day,
        switches=(),
        account_ok="",
        received_at=MORNING,
        now=MORNING,
        expires_at=None,
        taken_back=0,
        quote=Quote(symbol=AAPL, bid=Decimal(90), ask=Decimal(110), at=MORNING - timedelta(hours=1)),
        account=AccountState(equity=Decimal(1000), cash=Decimal(1000), buying_power=Decimal(1000)),
        rules=Rules(quantity_step=Decimal(1), price_step=Decimal("0.01")),
        capabilities=Capabilities(name="Venue", shorts=True),
        market_open=not closed,
        opens_at=MORNING + timedelta(hours=8),
        locks=(lock,) if locked else (),
        guards=guards,
    )


@given(
    some_exits,
    st.booleans(),
    st.booleans(),
    st.sampled_from(WhenClosed),
    st.sampled_from(["close", "sell", "reverse"]),
)
def test_no_lock_no_protection_and_no_closed_market_keeps_a_bot_from_closing(
    exits: list[Exit], locked: bool, closed: bool, when_closed: WhenClosed, action: str
):
    signal = Signal(action=Action(action), symbol=AAPL, written_symbol="AAPL")
    said = decide(signal, view_of(exits, locked, closed, when_closed))
    assert isinstance(said, Approved)
    assert [(step.effect, step.quantity) for step in said.steps] == [(Effect.CLOSE, 10)], (
        "closed whole, and nothing opened"
    )


@given(some_exits, st.booleans(), st.booleans())
def test_all_of_them_together_keep_it_from_buying_more(exits: list[Exit], locked: bool, closed: bool):
    signal = Signal(action=Action.ADD, symbol=AAPL, written_symbol="AAPL")
    assert isinstance(decide(signal, view_of(exits, locked, closed, WhenClosed.REFUSE)), Refused)
