"""One account's connection to Alpaca: the library's clients, their time-outs, and their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dashtrade.brokers.alpaca import answers
from dashtrade.brokers.alpaca.sdk import clients, response_of, was_never_sent
from dashtrade.domain.ports import BrokerError, Clock
from dashtrade.domain.record import record
from dashtrade.domain.values import Malformed

T = TypeVar("T")


@record
class Timeouts:
    """In seconds. An order whose answer takes longer than `read` is looked up."""

    connect: float = 3
    read: float = 10
    assets: float = 3600  # how long an asset's rules are cached
    hours: float = 60  # how long the market's clock is cached; never past the next opening or closing
    second_look: float = 0.3  # before a closing order without a position is refused


class AlpacaConnection:
    """The library's clients of one account, and the meaning of their answers and errors."""

    def __init__(
        self,
        key: str,
        secret: str,
        mode: str,
        *,
        api_url: str | None,
        data_url: str | None,
        clock: Clock,
        timeouts: Timeouts,
    ) -> None:
        self.clock, self.timeouts = clock, timeouts
        self.orders, self.stocks, self.coins = clients(
            key, secret, mode, api_url, data_url, (timeouts.connect, timeouts.read)
        )

    def close(self) -> None:
        for client in (self.orders, self.stocks, self.coins):
            client._session.close()

    def read(self, call: Callable[[], Any], kind: type[T], *, absent: bool = False) -> T:
        """A reading call: its answer if it has that type. With `absent`, Alpaca's own "not found" is None; a
        404 from another server proves nothing."""
        try:
            answer = call()
        except Exception as error:
            if absent and (response := response_of(error)) is not None and answers.is_not_found(response):
                return None  # type: ignore[return-value]
            raise self.read_error(error) from error
        if not isinstance(answer, kind):
            raise answers.unreadable("its answer cannot be read")
        return answer

    def parse(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except Malformed as error:
            raise answers.unreadable(error.message) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise answers.unreadable("its answer cannot be read") from error

    def read_error(self, error: Exception) -> BrokerError:
        if isinstance(error, BrokerError):
            return error
        answer = response_of(error)
        if answer is None:
            return answers.unreadable(
                "no connection" if was_never_sent(error) else "no answer that can be read"
            )
        return answers.read_error(answer, self.clock.now())
