"""One schedule, from its seed to rest: what happens, in which order, and what it comes to."""

from __future__ import annotations

from bisect import bisect
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate

from bench.crash_checks import waits_behind_a_resting_one
from bench.simulate.chance import Chance
from bench.simulate.person import Person
from bench.simulate.plan import Plan
from bench.simulate.store import Crash, World
from bench.simulate.venue import ModelBroker, VenueBooks
from bench.simulate.worker import Worker
from dashtrade.domain.accounts import Account
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.ports import Broker, OrderRequest, Unknown
from dashtrade.domain.signals import Origin, Signal
from tests.simulators.venue_adapter import report_of
from tests.simulators.venue_books import HONEST

SURELY_HELD = 1.0  # seconds for which a lease that was fresh lasts in any case
ROUNDS = 120  # within which everything must have come to rest
COMPARED = 12.0  # seconds: the longest between two comparisons of an account
LATE = 25.0  # seconds: the longest that a venue here hides an order or a fill


@lru_cache(maxsize=20_000)
def read(body: str) -> Signal:
    """The same few alerts come again and again."""
    return parse(body.encode()).signal


class Story:
    def __init__(self, world: World, plan: Plan, chance: Chance, lines: list[str] | None = None) -> None:
        self.world, self.plan, self.rng, self.lines = world, plan, chance.of_events, lines
        self.findings: list[tuple[str, str]] = []
        self.acknowledged: list[tuple[str, str]] = []  # body and its signal's id
        self.person = Person(world, self.rng, self.tell)
        self.crashed = 0
        self._farthest = timedelta(0)  # ahead: what was put off by that clock is due by that clock
        self._to_come, self._crashes, self._names = list(plan.bodies), list(plan.crashes), 0
        self.books = VenueBooks(
            plan.manner,
            world.clock.true_now,
            lambda symbol: world.feed.prices.get(symbol, world.feed.price),
            netted=plan.kind == "netted",
            late_fills=plan.late_fills,
        )
        self.venue = ModelBroker(world.points, netted=plan.kind == "netted")
        self.venue.open(self.books)
        self.venue.meanwhile, self.venue.on_call = self._meanwhile, self._called
        self.venue.on_submit = self._submitted
        self._depth = 0
        self.workers: list[Worker] = []
        self._acting: Worker  # at whose hands the venue hears something

    # --- the schedule ---

    def run(self) -> None:
        world = self.world
        world.points.tell = self.tell
        for place, limits in self.plan.limits.items():
            world.limit(world.bots[place], limits)
        self.workers = [self._start() for _ in range(self.plan.workers)]
        names, weights = list(self.plan.weights), list(accumulate(self.plan.weights.values()))
        left = self.plan.steps
        self._arm()
        while left > 0 or self._to_come:
            left -= 1
            what = names[bisect(weights, self.rng.random() * weights[-1])]
            if left <= 0:
                what = "alert"
            self._happen(what)

    def tell(self, what: str) -> None:
        if self.lines is not None:
            self.lines.append(f"{self.world.clock.seconds():10.3f} {what}")

    def broken(self, what: str) -> None:
        self.tell(f"BROKEN {what}")
        self.findings.append(("broken", what))

    def _called(self, what: str) -> None:
        self.tell(what)
        if self.world.in_write:
            self.broken(f"the venue is called inside a transaction: {what}")

    def _submitted(self, request: OrderRequest) -> None:
        """A worker sends what it committed to send, while the lane is its own: nobody looks the order up
        meanwhile, and nobody has ended it. (One that stood still right before the call cannot know.)"""
        order = self.world.find_order(self.world.accounts["venue"], request.client_order_id)
        if self._acting.waited > SURELY_HELD or (order is not None and order.sends > 1):
            return
        if order is None or order.status is not OrderStatus.SUBMITTING:
            status = order.status if order is not None else "not stored"
            self.broken(f"{request.client_order_id} is sent, and is {status}")

    def _start(self) -> Worker:
        """A worker's start; the crash of one that starts is the crash of the one before."""
        self._names += 1
        self.tell(f"worker w{self._names} starts")
        self._acting = Worker(
            self.world,
            f"w{self._names}",
            only=self.plan.workers == 1,
            broker_of=self._broker_of,
            broken=self.broken,
        )
        return self._acting

    def _broker_of(self, account: Account) -> Broker:
        return self.venue if account.broker == "venue" else self.world.paper_broker(account)

    def _arm(self) -> None:
        self.world.points.left = self._crashes.pop(0) if self._crashes else None

    def _happen(self, what: str) -> None:
        awake = [worker for worker in self.workers if not worker.stalled] or self.workers
        worker = self.rng.choice(awake)
        if what == "step" and not worker.free:
            what = self.rng.choice(("alert", "time", "collect"))
        points = self.world.points
        points.live = True
        try:
            getattr(self, f"_{what}")(worker)
        except Crash:
            points.live = False
            self._restart(worker)
        finally:
            points.live = False

    def _restart(self, worker: Worker) -> None:
        """What the process knew is gone; another start finds what is in the database."""
        self.crashed += 1
        self._arm()
        points = self.world.points
        points.live = True
        try:
            self.workers[self.workers.index(worker)] = self._start()
        except Crash:
            points.live = False
            self._arm()
            self.workers[self.workers.index(worker)] = self._start()
        finally:
            points.live = False

    # --- what may happen ---

    def _step(self, worker: Worker) -> None:
        key, before, self._acting = self.rng.choice(worker.free), self._acting, worker
        for _ in range(self.rng.choice((1, 2, 4, 12))):
            if key not in worker.running or worker.running[key].acts:
                break
            self.tell(f"{worker.name} {key} {'acts' if worker.running[key].effect else 'goes on'}")
            worker.step(key)
        self._acting = before

    def _meanwhile(self) -> None:
        """Other lanes go on while an answer is on its way."""
        if self._depth or self.rng.random() < 0.7 or self.world.in_write or not self.world.points.live:
            return
        awake = [worker for worker in self.workers if worker.free and not worker.stalled]
        if not awake:
            return
        worker, caller = self.rng.choice(awake), self._acting
        self._depth += 1
        try:
            self._step(worker)
        except Crash:
            if worker is caller:
                raise
            self._restart(worker)
            self.world.points.live, self._acting = True, caller
        finally:
            self._depth -= 1

    def _alert(self, worker: Worker) -> None:
        if self._to_come:
            self._send(worker, self._to_come.pop(0))

    def _repeat(self, worker: Worker) -> None:
        if self.acknowledged:
            self._send(worker, self.rng.choice(self.acknowledged)[0])

    def _send(self, worker: Worker, body: str) -> None:
        self.tell(f"alert {body}")
        try:
            answer = worker.engine.accept(
                self.world.user.id, read(body), raw=body, content=body, origin=Origin.WEBHOOK
            )
        except Crash:
            self._to_come.insert(0, body)  # nobody answered: it is sent again
            raise
        self.tell(f"  answered {answer.signal_id}")
        self.acknowledged.append((body, answer.signal_id))

    def _collect(self, worker: Worker) -> None:
        self.tell(f"{worker.name} collects")
        worker.collect()

    def _time(self, worker: Worker) -> None:
        seconds = self.rng.choice((0.2, 0.5, 1, 2, 2, 5, 20))
        self.tell(f"time +{seconds}")
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        """Whoever is in the middle of something, and not stalled, renews its leases in time."""
        while seconds > 0:
            part = min(seconds, 3.0)
            self.world.clock.forward(part)
            seconds -= part
            for worker in self.workers:
                if worker.running and not worker.stalled:
                    worker.engine.leases.renew()
        for worker in self.workers:
            if not worker.stalled:
                worker.compare()
                worker.scan()

    def _scan(self, worker: Worker) -> None:
        worker.scan()

    def _price(self, worker: Worker) -> None:
        symbol, price = (
            self.rng.choice(("AAPL", "MSFT")),
            Decimal(self.rng.choice((94, 97, 99, 100, 101, 104))),
        )
        self.tell(f"{symbol} costs {price}")
        self.world.feed.set(symbol, price)

    def _look(self, worker: Worker) -> None:
        self.tell(f"{worker.name} watches")
        worker.watch_positions()

    def _compare(self, worker: Worker) -> None:
        self.tell(f"{worker.name} compares")
        worker.compare()

    def _stream(self, worker: Worker) -> None:
        """A report of an order, of now or of some time ago, perhaps not for the first time."""
        account_id = self.world.accounts.get("venue")
        now = self.books.now()
        self.books.advance()
        seen = [order for order in self.books.orders if order.visible_at <= now]
        if account_id is None or not seen:
            return
        order = self.rng.choice(seen)
        report = report_of(self.books.order_json(order, stale=self.rng.random() < 0.3), Unknown)
        self.tell(f"{worker.name} hears of {order.client_order_id}: {report.status} {report.filled_quantity}")
        worker.hear(account_id, report)

    def _stall(self, worker: Worker) -> None:
        """It stands still, with everything that it knows, while its leases run out."""
        if worker.stalled:
            worker.stalled = False
        elif len(self.workers) > 1 or self.rng.random() < 0.3:
            worker.stalled = True
            self._pass(self.rng.choice((3, 7)))
            worker.stalled = self.rng.random() < 0.5
        self.tell(f"{worker.name} {'stalls' if worker.stalled else 'goes on after a while'}")

    def _jump(self, worker: Worker) -> None:
        """The wall clock of our machine is put forward or back."""
        seconds = self.rng.choice((-1, 1)) * self.rng.choice((5, 90, 3600))
        self.world.clock.jumped += timedelta(seconds=seconds)
        self._farthest = max(self._farthest, self.world.clock.jumped)
        self.tell(f"the clock jumps to {self.world.clock.now()}")

    def _user(self, worker: Worker) -> None:
        self.world.points.live = False
        self.person.does_something([self.world.bots[place] for place in self.plan.places])

    # --- to rest ---

    def come_to_rest(self) -> bool:
        """The venue has recovered, the clock stays where it was farthest, and one worker has the lanes."""
        world = self.world
        world.points.left, world.points.live = None, False
        self.venue.meanwhile = lambda: None
        self.books.calm_down()
        world.clock.jumped = self._farthest
        self.tell("--- from here on nothing goes wrong")
        self.workers = self.workers[:1]
        self._acting = self.workers[0]
        self._acting.stalled = False
        self.person.puts_keys_right()
        return self._until_quiet()

    def _until_quiet(self) -> bool:
        """Quiet, also after the time in which a venue may still show something; and in two comparisons more,
        where only they can tell of an order or a fill that nobody asks for any more."""
        worker, quiet, before = self.workers[0], 0, -1
        enough = 4 if self.plan.late_fills or self.plan.manner.on_post != HONEST else 2
        for _ in range(ROUNDS):
            moved = self._round(worker)
            now = self.world.last_event()
            quiet = 0 if moved or now != before or not self._is_quiet() else quiet + 1
            before = now
            if quiet == enough:
                return True
            self._pass((3, LATE, COMPARED, COMPARED)[quiet])
        return False

    @staticmethod
    def _round(worker: Worker) -> bool:
        worker.scan()
        worker.run_dry()
        moved = worker.collect() | worker.watch_positions()
        worker.compare()
        worker.run_dry()
        return moved

    def _is_quiet(self) -> bool:
        """Every order ended, rests or needs attention, nothing waits but behind such a one, and no comparison
        has found a difference."""
        world = self.world
        orders = world.open_orders()
        waiting = world.lanes_to_decide(world.clock.now() + timedelta(days=1))
        stopped = {(o.account_id, o.symbol) for o in orders if o.status is OrderStatus.ATTENTION}
        return (
            self.books.is_settled
            and not world.has_differences()
            and all(
                (o.account_id, o.symbol) in stopped
                or (o.status is OrderStatus.WORKING and o.rests and not o.cancel_requested)
                or waits_behind_a_resting_one(o, orders)
                for o in orders
            )
            and all((lane.account_id, lane.symbol) in stopped for lane in waiting)
        )

    def close_all(self) -> bool:
        if self.person.confirms_what_is_in_doubt() and not self._until_quiet():
            return False
        return not self.person.closes_everything() or self._until_quiet()

    def restart_at_rest(self) -> None:
        self.workers = [self._start()]
        self._round(self.workers[0])
