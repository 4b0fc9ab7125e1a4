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
        self._http, self._sign_in, self.clock, self._account = http, sign_in, clock, account
        self.account_of: str | None = None
        self.ahead = timedelta(0)  # Schwab's clock minus ours

    def close(self) -> None:
        self._http.close()

    @wire.read_errors_as_unavailable
    def home(self) -> str:
        """The account's path: Schwab names accounts by a hash."""
        if self.account_of is None:
            hashes = {
                str(each["accountNumber"]): each["hashValue"]
                for each in self.ask("GET", "/trader/v1/accounts/accountNumbers")
            }
            if self._account is None and len(hashes) > 1:
                endings = ", ".join(f"…{each[-4:]}" for each in hashes)
                raise BadCredentials(
                    f"This sign-in has several accounts at Schwab ({endings}). No order was placed. Choose "
                    "the account under Setup."
                )
            if not hashes or (self._account is not None and self._account not in hashes):
                raise BadCredentials(
                    "Schwab gives the key no access to this account. No order was placed. Sign in again, "
                    "and allow access to this account."
                )
            self.account_of = hashes[self._account or next(iter(hashes))]
        return f"/trader/v1/accounts/{self.account_of}"

    def ask(self, method: str, path: str, *, missing: bool = False, **arguments: Any) -> Any:
        """JSON; None for a 404 with Schwab's own message, where absence is expected."""
        try:
            answer = self.authorized(method, path, **arguments)
        except wire.NoAnswer as error:
            raise wire.unreachable(error) from error
        if missing and answer.status == 404 and answer.json is not None:
            return None
        if answer.status != 200 or answer.json is None:
            raise wire.read_error(answer)
        return answer.json

    def authorized(self, method: str, path: str, **arguments: Any) -> wire.SchwabResponse:
        """A 401 had no effect: renew the token and repeat the request, once."""
        token = self._sign_in.access()
        answer = self._http.ask(method, path, headers=_bearer(token), **arguments)
        if answer.status == 401:
            try:
                token = self._sign_in.access(refused=token)
            except Unavailable as error:
                raise RetryLater(
                    f"Schwab requires a new sign-in token, which is not available now: {error.message}"
                ) from error
            answer = self._http.ask(method, path, headers=_bearer(token), **arguments)
        if answer.date is not None:
            offset = answer.date - self.clock.now()
            self.ahead = offset if abs(offset) > timedelta(seconds=2) else timedelta(0)
        return answer


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}
