"""alpaca-py as DashTrade uses it: three clients without retries and with time-outs, and the reading of their
errors.

The library is imported inside the functions, so that only an Alpaca account costs its 120 MB.
"""

from __future__ import annotations

import functools
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from dashtrade.brokers.alpaca import answers
from dashtrade.brokers.alpaca.answers import AlpacaErrorResponse
from dashtrade.domain.ports import Rejected, RetryLater, Unknown
from dashtrade.domain.timeframes import Timeframe

_NEVER_SENT = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "NameResolutionError",
    "SSLCertVerificationError",
    "ConnectTimeout",
)


def clients(
    key: str, secret: str, mode: str, api_url: str | None, data_url: str | None, timeouts: tuple[float, float]
) -> tuple[Any, Any, Any]:
    """For trading, stock prices and crypto prices."""
    from alpaca.data.historical.crypto import CryptoHistoricalDataClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.trading.client import TradingClient
    from requests.utils import get_environ_proxies

    data: dict[str, Any] = {"raw_data": True, "url_override": _base(data_url)}
    created = (
        TradingClient(key, secret, paper=mode == "paper", raw_data=True, url_override=_base(api_url)),
        StockHistoricalDataClient(key, secret, **data),
        CryptoHistoricalDataClient(key, secret, **data),
    )
    for client in created:
        client._retry = 0  # there is no argument for this; a 504 after placing would make four orders
        client._session.proxies = get_environ_proxies(client._base_url)
        # no search of the environment for proxies and passwords at each request
        client._session.trust_env = False
        with_timeout = functools.partial(client._session.request, timeout=timeouts)
        client._session.request = with_timeout  # type: ignore[method-assign]  # no argument for this either
    return created


def own_server(
    api_url: str | None, data_url: str | None, stream_url: str | None
) -> tuple[str | None, str | None]:
    """The addresses of prices and of the stream. Unless given, they are on the custom trading server if there
    is one, as its keys must not reach another server."""
    base = _base(api_url)
    if base is not None and not (urlsplit(base).hostname or "").endswith("alpaca.markets"):
        data_url, stream_url = data_url or base, stream_url or f"{base}/stream"
    if stream_url:
        stream_url = re.sub("^http", "ws", stream_url)
        stream_url += "" if urlsplit(stream_url).path.strip("/") else "/stream"
    return data_url, stream_url


def _base(url: str | None) -> str | None:
    """The library adds /v2 itself; people copy addresses with it."""
    return url.strip().rstrip("/").removesuffix("/v2").rstrip("/") if url and url.strip() else None


def response_of(error: Exception) -> AlpacaErrorResponse | None:
    """The HTTP response in the library's error; its `code` is not read, as that raises on HTML and on a
    401."""
    from alpaca.common.exceptions import APIError

    response = getattr(error, "response", None) if isinstance(error, APIError) else None
    return (
        None
        if response is None
        else AlpacaErrorResponse(status=response.status_code, text=response.text, headers=response.headers)
    )


def was_never_sent(error: BaseException) -> bool:
    """The connection failed, so no request was sent. Only the error's cause shows this; `__context__` is
    ignored, as it may be an older error that was being handled when this request was made."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        at = todo.pop()
        if id(at) in seen or not isinstance(at, BaseException):
            continue
        seen.add(id(at))
        if type(at).__name__ in _NEVER_SENT:
            return True
        todo += [at.__cause__, getattr(at, "reason", None), *at.args]
    return False


def error_without_response(error: Exception) -> RetryLater | Unknown:
    if was_never_sent(error):
        return RetryLater(
            (
                "Alpaca could not be reached; nothing was sent, and DashTrade sends the order again. "
                "Check the network if this stays."
            ),
            timedelta(seconds=2),
        )
    timed_out = "Timeout" in type(error).__name__
    return answers.unconfirmed(
        "no answer in time" if timed_out else "its answer was cut off or cannot be read"
    )


def bar_length(timeframe: Timeframe) -> Any:
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

    count, unit = int(timeframe.text[:-1]), timeframe.text[-1]
    names = {
        "m": TimeFrameUnit.Minute,
        "h": TimeFrameUnit.Hour,
        "d": TimeFrameUnit.Day,
        "w": TimeFrameUnit.Week,
        "M": TimeFrameUnit.Month,
    }
    try:
        return TimeFrame(count, names[unit])
    except (KeyError, ValueError) as error:
        raise Rejected(
            f"Alpaca has no candles of {timeframe.shown}. Use 1 to 59 minutes, 1 to 23 hours, a day, a "
            "week, or 1, 2, 3, 6 or 12 months."
        ) from error
