"""What no protection may do, whatever came before: keep a bot from closing, or lock anew after an unlock."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain import protections as domain
from dashtrade.domain.bots import WhenClosed
from dashtrade.domain.decisions.decide import decide
from dashtrade.domain.decisions.outcomes import Refused
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.decisions.view import View
from dashtrade.domain.ledger import Position
from dashtrade.domain.orders import Effect
from dashtrade.domain.ports import AccountState, Capabilities, Quote, Rules
from dashtrade.domain.protections import ActiveLock, Guard, PastExit, ProtectionInputs, Scope, SentEntry
from dashtrade.domain.reasons import NO_REASON, quoted
from dashtrade.domain.record import field_names
from dashtrade.domain.signals import Action, Signal
from tests.support.fakes import MORNING
from tests.support.protections import AAPL, MSFT, holding, inputs, judge, past_exit
from tests.support.records import make_bot

numbers = st.integers(-500, 500).map(Decimal)

some_exits = st.lists(
    st.builds(
        lambda ago, made, bot, apple, stopped: past_exit(
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
    exits: list[PastExit], rule: tuple[str, dict[str, Any]]
):
    kind, settings = rule
    view = inputs(*exits)
    lock = judge(kind, view, **settings)
    if lock is None:
        return
    assert lock.lasts(MORNING), "a lock that has ended is none"
    if lock.until is not None:
        later = ProtectionInputs(
            **{name: getattr(view, name) for name in field_names(ProtectionInputs)} | {"now": lock.until}
        )
        assert judge(kind, later, **settings) is None, "at its end the same exits lock no more"
    assert judge(kind, inputs(*(one for one in exits if one.at > MORNING)), **settings) is None


# --- what no protection may do ------------------------------------------------------------------------------


def view_of(exits: list[PastExit], locked: bool, closed: bool, when_closed: WhenClosed) -> View:
    """A bot that is long, with every protection watching over it as strictly as it can."""
    bot = make_bot(
        when_closed=when_closed,
        status="FILLED",
        position=Position(quantity=Decimal(10), cost=Decimal(1000)),
        total_trades=1,
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
    assert strict.keys() == domain.KINDS.keys() - {"market_closed"}, "each kind at its strictest stands here"
    guards = tuple(
        Guard(
            id=number,
            scope=Scope.ACCOUNT,
            scope_id=1,
            rule=domain.read(kind, Scope.ACCOUNT, settings),
            exits=tuple(sorted(exits, key=lambda e: e.at)),
            sent=(SentEntry(bot_id=1, account_id=1, at=MORNING),),
            others=(holding(2),),
        )
        for number, (kind, settings) in enumerate(strict.items(), 1)
    )
    lock = ActiveLock(
        id=1,
        protection_id=1,
        kind="cooldown",
        scope=Scope.BOT,
        symbol=None,
        reason=quoted("a stop"),
        until=None,
    )
    return View(
        bot=bot,
        working=(),
        reserved=Decimal(0),
        day=bot.last_day,
        switches=(),
        account_problem=NO_REASON,
        received_at=MORNING,
        now=MORNING,
        expires_at=None,
        cancelled_count=0,
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
    exits: list[PastExit], locked: bool, closed: bool, when_closed: WhenClosed, action: str
):
    signal = Signal(action=Action(action), symbol=AAPL, written_symbol="AAPL")
    answer = decide(signal, view_of(exits, locked, closed, when_closed))
    assert isinstance(answer, Approved)
    assert [(step.effect, step.quantity) for step in answer.steps] == [(Effect.CLOSE, 10)], (
        "closed whole, and nothing opened"
    )


@given(some_exits, st.booleans(), st.booleans())
def test_all_of_them_together_keep_it_from_buying_more(exits: list[PastExit], locked: bool, closed: bool):
    signal = Signal(action=Action.ADD, symbol=AAPL, written_symbol="AAPL")
    assert isinstance(decide(signal, view_of(exits, locked, closed, WhenClosed.REFUSE)), Refused)
