"""Who lives in the installation that bench.fuzz attacks, and what is known of them."""

from __future__ import annotations

from bench.fuzz_api import operations_of
from bench.fuzz_shots import SYMBOLS, FuzzFacts
from bench.rig import Rig
from dashtrade.app import build_app
from dashtrade.services.people import sessions
from dashtrade.services.people import tokens as token_service
from dashtrade.services.people import users as people
from dashtrade.settings import Settings
from dashtrade.tables import people as people_table

CANARY = "canarybird"
PASSWORD = "three green owls"
TRADERS, API_USERS, VISITORS, VICTIMS = 4, 12, 4, 2  # so many that few requests end at a rate per user
WITH_BOTS = 3  # of the users of the API
CLOSED = "http://127.0.0.1:9"  # no broker is ever reached
BROKERS: dict[str, dict[str, str]] = {"alpaca": {}, "crypto": {"exchange": "binance"}}
KEYS = {"key": "k" * 20, "secret": "s" * 40}
IDS = (
    "account_id",
    "bot_id",
    "signal_id",
    "order_id",
    "user_id",
    "token_id",
    "protection_id",
    "lock_id",
    "drift_id",
    "flatten_id",
    "invitation_id",
)


class House:
    """Who lives in the installation: users who attack it, and two who do not."""

    def __init__(self, superadmin: Rig, trader: Rig, ui: int) -> None:
        self.superadmin, self.trader, self.ui = superadmin, trader, ui
        self.app = build_app(Settings.load(superadmin.env()))
        self.secrets: list[str] = [superadmin.access, superadmin.webhook, trader.access, trader.webhook]
        self.ids: dict[str, list[str]] = {name: ["1", "2"] for name in IDS}
        self.still = self._join(CANARY)

    def _join(self, name: str, *, bots: bool = True) -> Rig:
        """A user; theirs are ids that others will ask for."""
        email = f"{name}@example.com"
        user_id = people.add_user(self.app, email=email, name=name, password=PASSWORD)
        with self.app.db.read() as conn:
            user = people_table.by_id(conn, user_id)
        assert user is not None
        one = Rig(home=self.superadmin.home, port=self.superadmin.port, environ=self.superadmin.environ)
        one.access, one.webhook = (
            people.sign_in(self.app, user_id).access_token,
            token_service.rotate_webhook_token(self.app, user),
        )
        self.secrets += [one.access, one.webhook]
        self.ids["user_id"].append(str(user_id))
        if bots:
            self._furnish(one, name)
        return one

    def _furnish(self, one: Rig, name: str) -> None:
        account = one.call("POST", "/api/v1/accounts", {"broker": "paper", "mode": "paper", "label": name})[
            "id"
        ]
        self.ids["account_id"].append(str(account))
        for symbol in SYMBOLS:
            given = {
                "account_id": account,
                "symbol": symbol,
                "timeframe": "15",
                "position_size": "1000",
                "name": f"{name} {symbol}",
            }
            self.ids["bot_id"].append(str(one.call("POST", "/api/v1/bots", given)["id"]))
        alert = {"action": "buy", "symbol": SYMBOLS[0], "id": f"first {name}"}
        told = one.call("POST", f"/webhook?token={one.webhook}&wait=2.5", alert)
        self.ids["signal_id"].append(told["signal_id"])
        self.ids["order_id"].append(one.call("GET", "/api/v1/orders?limit=1")["items"][0]["order_id"])

    def session(self, email: str) -> str:
        with self.app.db.read() as conn:
            found = people_table.by_email(conn, email)
        assert found is not None
        self.secrets.append(
            sessions.begin(self.app, found[0].id, device="bench", address="127.0.0.1", remember=True)
        )
        return self.secrets[-1]

    def _connect(self, one: Rig) -> None:
        """Accounts at brokers who do not answer: what asks them is in memory before that is measured."""
        for broker, options in BROKERS.items():
            given = {"broker": broker, "mode": "paper", "label": "x", "options": options, "credentials": KEYS}
            account = one.call("POST", "/api/v1/accounts", given)["id"]
            one.call("POST", f"/api/v1/accounts/{account}/test", {})
            self.ids["account_id"].append(str(account))

    def facts(self) -> FuzzFacts:
        traders = [self._join(f"trader{number}") for number in range(TRADERS)]
        users = [self._join(f"user{number}", bots=number < WITH_BOTS) for number in range(API_USERS)]
        self._connect(users[0])
        visitors = [f"visitor{number}" for number in range(VISITORS)]
        for name in visitors:
            self._join(name)
        victims = [self._join(f"victim{number}", bots=False) for number in range(VICTIMS)]
        with self.app.db.read() as conn:
            superadmin = people_table.by_email(conn, "attacker@example.com")
        assert superadmin is not None
        reader = people.sign_in(self.app, superadmin[0].id).access_token
        self.secrets.append(reader)
        return FuzzFacts(
            hooks=self.superadmin.port,
            ui=self.ui,
            webhooks=[one.webhook for one in traders],
            access=[one.access for one in users],
            superadmin=reader,
            cookies=[self.session(f"{name}@example.com") for name in visitors],
            spare_cookies=[self.session(f"{name}@example.com") for name in visitors],
            login=["visitor0@example.com", PASSWORD],
            ids=self.ids,
            victims=self.ids["user_id"][-len(victims) :],
            canary=CANARY,
            operations=operations_of(self.superadmin.call("GET", "/api/v1/openapi.json")),
        )


def made_up() -> FuzzFacts:
    """To show a request without an installation: the same choices, under other names."""
    from flask import Flask

    import webhook_server  # noqa: F401  it knows the endpoints
    from dashtrade.api import openapi

    flask = Flask("fuzz")
    flask.register_blueprint(openapi.bp)
    document = flask.test_client().get("/api/v1/openapi.json").json or {}
    count = 1 + TRADERS + WITH_BOTS + VISITORS
    many = dict.fromkeys(("signal_id", "order_id"), count) | {
        "account_id": count + len(BROKERS),
        "bot_id": count * len(SYMBOLS),
        "user_id": count + API_USERS - WITH_BOTS + VICTIMS,
    }
    return FuzzFacts(
        hooks=8080,
        ui=5000,
        webhooks=[f"usr_{n}" for n in range(TRADERS)],
        access=[f"dt_{n}" for n in range(API_USERS)],
        superadmin="dt_boss",
        cookies=[f"session{n}" for n in range(VISITORS)],
        spare_cookies=[f"spare{n}" for n in range(VISITORS)],
        login=["visitor0@example.com", PASSWORD],
        ids={name: [str(n) for n in range(2 + many.get(name, 0))] for name in IDS},
        victims=["v1", "v2"],
        canary=CANARY,
        operations=operations_of(document),
    )
