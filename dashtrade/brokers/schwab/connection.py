"""One account's connection to Schwab: its path, authorized requests, and Schwab's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.auth import SchwabSession
from dashtrade.domain.ports import BadCredentials, Clock, RetryLater, Unavailable


class SchwabConnection:
    """One account's requests: authorized, and to the account's own path."""

    def __init__(self, http: wire.Http, sign_in: SchwabSession, clock: Clock, account: str | None) -> None:
        self._http, self._sign_in, self.clock, self._wanted = http, sign_in, clock, account
        self.account_of: str | None = None
        self.ahead = timedelta(0)  # Schwab's clock minus ours

    def close(self) -> None:
        self._http.close()

    @wire.readable
    def home(self) -> str:
        """The account's path: Schwab names accounts by a hash."""
        if self.account_of is None:
            known = {
                str(each["accountNumber"]): each["hashValue"]
                for each in self.ask("GET", "/trader/v1/accounts/accountNumbers")
            }
            if self._wanted is None and len(known) > 1:
                ends = ", ".join(f"…{each[-4:]}" for each in known)
                raise BadCredentials(
                    f"This sign-in has several accounts at Schwab ({ends}). No order was placed. Choose "
                    "the account under Setup."
                )
            if not known or (self._wanted is not None and self._wanted not in known):
                raise BadCredentials(
                    "Schwab gives the key no access to this account. No order was placed. Sign in again, "
                    "and allow access to this account."
                )
            self.account_of = known[self._wanted or next(iter(known))]
        return f"/trader/v1/accounts/{self.account_of}"

    def ask(self, method: str, path: str, *, missing: bool = False, **given: Any) -> Any:
        """JSON; None for a 404 with Schwab's own message, where absence is expected."""
        try:
            answer = self.authorized(method, path, **given)
        except wire.NoAnswer as error:
            raise wire.unheard(error) from error
        if missing and answer.status == 404 and answer.json is not None:
            return None
        if answer.status != 200 or answer.json is None:
            raise wire.reading(answer)
        return answer.json

    def authorized(self, method: str, path: str, **given: Any) -> wire.SchwabResponse:
        """A 401 had no effect: renew the token and repeat the request, once."""
        token = self._sign_in.access()
        answer = self._http.ask(method, path, headers=_bearer(token), **given)
        if answer.status == 401:
            try:
                token = self._sign_in.access(refused=token)
            except Unavailable as error:
                raise RetryLater(
                    f"Schwab requires a new sign-in token, which is not available now: {error.message}"
                ) from error
            answer = self._http.ask(method, path, headers=_bearer(token), **given)
        if answer.date is not None:
            drift = answer.date - self.clock.now()
            self.ahead = drift if abs(drift) > timedelta(seconds=2) else timedelta(0)
        return answer


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}
