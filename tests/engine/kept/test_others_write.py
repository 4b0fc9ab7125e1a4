"""Whatever somebody else writes is seen by the next step on kept books."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.as_json import to_json
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.source import NewRow
from dashtrade.domain.orders import Order
from dashtrade.domain.position_mismatch import asset_of
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.signals import Action
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.batches import Batches
from dashtrade.engine.kept_books import KeptBooks
from dashtrade.engine.kept_rows import KeptRows
from dashtrade.tables.base import metadata
from tests.support.fakes import MORNING
from tests.support.paper_day import PaperDay

AAPL = Symbol.parse("AAPL")
OURS = ["another process", "another connection of ours"]
_OF_AAPL = Lane(1, AAPL)


def _set(table: str, **values: Any) -> Any:
    return sa.update(metadata.tables[table]).values(**values)


def _add(table: str, **values: Any) -> Any:
    return sa.insert(metadata.tables[table]).values(**values)


def _delete(table: str) -> Any:
    return sa.delete(metadata.tables[table])


_FIRST = f"{1:032x}"
_SELL = to_json(parse(b'{"action": "sell", "symbol": "AAPL"}').signal)
_BOTS = metadata.tables["user_bot_configs"]
_MOVED = sa.update(_BOTS).where(_BOTS.c.id == 4).values(symbol=Symbol.parse("TSLA"))
_IS_WAITING = metadata.tables["decisions"].c.status == "waiting"
_REFUSED = sa.update(metadata.tables["decisions"]).where(_IS_WAITING).values(status="refused")
_DRIFT = {"user_id": 1, "account_id": 1, "asset": asset_of(AAPL), "symbol": AAPL, "status": "open"} | {
    "kind": "more", "ours": D(0), "outside": D(0), "theirs": D(1), "way": "", "detail": NO_REASON,
    "opened_at": MORNING, "updated_at": MORNING,
}  # fmt: skip
_LOT = {"user_id": 1, "bot_id": 1, "fill_id": 1, "quantity": D(1), "remaining": D(1), "price": D(1)}

# what is kept; what somebody else writes; how the next step asks; what it is told
OTHERS_WRITE: dict[str, tuple[Any, Callable[[KeptBooks], Any], Any]] = {
    "accounts": (_set("user_api_keys", is_active=False), lambda k: k.account(1).is_active, False),
    "bots": (_set("user_bot_configs", is_active=False), lambda k: k.bot(1).is_active, False),
    "bots_on": (_MOVED, lambda k: [bot.id for bot in k.bots_on(1, AAPL)], [1]),
    "lots": (_delete("lots"), lambda k: list(k.lots(1)), []),
    "trips": (_delete("round_trips"), lambda k: k.trip_inputs(_an_order(k)).trip, None),
    "drifts": (_add("drifts", **_DRIFT), lambda k: k.drift(1, AAPL) is not None, True),
    "outside": (
        _add("outside_holdings", account_id=1, asset=asset_of(AAPL), user_id=1, quantity=D(7), since=MORNING),
        lambda k: k.outside_quantity(1, AAPL),
        D(7),
    ),
    "restrictions": (
        _add("switches", scope="all", scope_id=0, user_id=1, stop="halt", reason="", set_by=1, at=MORNING),
        lambda k: len(k.restrictions(k.bot(1), MORNING).switches),
        1,
    ),
    "open_orders": (_set("orders", status="canceled"), lambda k: list(k.open_orders(1)), []),
    "waiting": (_REFUSED, lambda k: list(k.due(1, AAPL, MORNING + timedelta(days=1), 9)), []),
    "outcomes": (
        _set("decisions", status="failed"),
        lambda k: {each.status for each in k.outcomes(_FIRST).values()},
        {"failed"},
    ),
    "signals": (_set("signals", reading=_SELL), lambda k: k.signal(_FIRST).action, Action.SELL),
    "alerts": (_set("signals", body_hash="x"), lambda k: k.repeat_of(1, _key(k)).body_hash, "x"),
    "listening": (_set("user_bot_configs", deleted_at=MORNING), lambda k: list(k.listening_on(1, AAPL)), []),
    "listeners": (
        _set("user_bot_configs", name="other"),
        lambda k: {each.name for each in k.all_listeners(1)},
        {"other"},
    ),
    "stored_bytes": (_set("stored_bytes", bytes=5), lambda k: k.stored_bytes(1), 5),
    "tokens": (_set("lanes", token=99), lambda k: k._token(_OF_AAPL), 99),
    "paper_cash": (_set("paper_accounts", cash=D(3)), lambda k: k.paper_cash(1), D(3)),
    "paper_positions": (_delete("paper_positions"), lambda k: list(k.paper_positions(1)), []),
    "paper_orders": (
        _set("paper_orders", reason="seen"),
        lambda k: {k.paper_order(*key).reason for key in _paper_keys(k)},
        {"seen"},
    ),
}


def _an_order(kept: KeptBooks) -> Order:
    return kept.orders_of_signal(_FIRST, 1)[0]


def _key(kept: KeptBooks) -> str:
    signals = metadata.tables["signals"].c
    return str(kept._connection().scalar(sa.select(signals.dedupe_key).where(signals.id == _FIRST)))


def _paper_keys(kept: KeptBooks) -> list[Any]:
    orders = metadata.tables["paper_orders"].c
    found = kept._connection().execute(sa.select(orders.account_id, orders.client_order_id))
    return [tuple(row) for row in found]


def test_everything_that_is_kept_has_a_case() -> None:
    kept = {name for name in vars(KeptRows()) if not name.startswith("_")}
    assert OTHERS_WRITE.keys() == kept - {"last_ids", "spare_ids"}, "ids are in the next test"


@pytest.mark.parametrize("in_our_process", [False, True], ids=OURS)
@pytest.mark.parametrize("kept", OTHERS_WRITE)
def test_what_somebody_else_wrote_is_seen_by_the_next_step(
    day: PaperDay, batches: Batches, kept: str, in_our_process: bool
) -> None:
    statement, ask, wanted = OTHERS_WRITE[kept]
    day.app.engine.run_lane(_OF_AAPL)  # the lane is held
    aapl = {"symbol": "AAPL", "timeframe": "15"}
    day.at_once(batches, [day.alert({"action": "buy", "bot": "1"} | aapl)])
    resting = {"orderType": "limit", "limitPrice": "50", "bot": "1"}
    later = {"delay": 60, "bot": "1"}
    for more in ({"action": "add"} | resting, {"action": "sell"} | later):
        day.at_once(batches, [day.alert(aapl | more)])
    before = batches.run([ask])[0]
    assert before.error is None and before.result != wanted, "the case would prove nothing"
    write(day, statement, in_our_process)
    after = batches.run([ask])[0]
    assert after.error is None and after.result == wanted


def write(day: PaperDay, statement: Any, in_our_process: bool) -> None:
    if in_our_process:
        day.app.db.write(lambda conn: conn.execute(statement) and None)
        return
    other = Database(str(day.app.db.url.render_as_string(hide_password=False)))
    other.write(lambda conn: conn.execute(statement) and None)
    other.close()


@pytest.mark.parametrize("in_our_process", [False, True], ids=OURS)
def test_an_id_that_somebody_else_used_is_not_used_again(
    day: PaperDay, batches: Batches, in_our_process: bool
) -> None:
    def next_id(kept: KeptBooks) -> int:
        return kept.new_id(NewRow.LOT)

    number = batches.run([next_id])[0].result
    if day.app.db.is_sqlite:
        write(day, _add("lots", opened_at=MORNING, id=number + 40, **_LOT), in_our_process)
        assert batches.run([next_id])[0].result == number + 41
    else:  # ids come from the sequence
        write(day, _add("lots", opened_at=MORNING, **_LOT), in_our_process)
        assert batches.run([next_id])[0].result > number + 1
    numbers = [batches.run([next_id, next_id])[place].result for place in (0, 1)]
    assert numbers[0] != numbers[1]
