"""The middleware before the dashboard: allowed hosts, headers, size limits and sessions.

Pure ASGI, as it has to handle WebSockets as well as requests. No request without a session reaches
Streamlit: with sign-in kept in Streamlit's session state alone, a client that presented another's session
id was seen joining that session. Only the Streamlit routes that the pages use are served: its upload route
would keep any upload in memory."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from bot_database import DatabaseUnavailable
from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.http_headers import NOT_GUESSED, is_https, origin, strict_transport
from dashtrade.services.people import sessions
from dashtrade.settings import Settings
from dashtrade.ui.shell.runtime import COOKIE, DEVICE_COOKIE, PREFIX, cookie_of
from dashtrade.ui.shell.tabs import ENDED, Tabs, turn_away

PARTS = "/_stcore/bidi-components/"
# host-config: without it a tab whose session has ended waits forever instead of going to the sign-in form.
# The components' scripts: one of them takes such a tab there.
OPEN = ("/auth/", "/static/", "/_stcore/health", "/_stcore/host-config", PARTS)
SERVED = re.compile(
    r"/[a-z_]*|/(static|media|auth|files)/.+|/_stcore/(health|host-config|stream|bidi-components/dashtrade\.[a-z_]+/[a-z_]+\.js)"
    r"|/live(\.mjs)?|/favicon\.(png|ico)"
)
PAGES_SOCKET, PRICES_SOCKET = "/_stcore/stream", "/live"
OPEN_EXACTLY = ("/setup", "/join", "/reset", "/demo", "/favicon.png", "/favicon.ico")
MAX_FORM_BYTES, MAX_BODY_BYTES = 16 * 1024, 1024 * 1024
MAX_NEXT_LENGTH = 1000  # characters


class Headers:
    """Security headers on every answer. `policy`: what the browser may load, for this request's origin."""

    def __init__(self, app: Any, policy: Callable[[Any], bytes], own_address: str) -> None:
        self.app, self.policy, self.own_address = app, policy, own_address
        name, value = NOT_GUESSED
        self.fixed = [
            (name.lower().encode(), value.encode()),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                fixed = [(b"content-security-policy", self.policy(scope)), *self.fixed]
                known = {name for name, _ in fixed}
                upstream = [
                    (name, value) for name, value in message.get("headers", []) if name.lower() not in known
                ]
                transport = strict_transport(scope["scheme"], _host(scope), self.own_address)
                secure = [(b"strict-transport-security", transport.encode())] if transport else []
                message = {**message, "headers": [*upstream, *fixed, *secure]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class Proxy:
    """Behind one reverse proxy, client address and scheme are the last entries of that proxy's headers.
    Requests to the dashboard's own host name have its scheme, whatever the proxy sends."""

    def __init__(self, app: Any, hops: int, own_address: str) -> None:
        self.app, self.hops, self.own_address = app, hops, own_address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = own_cookies(self._forwarded(scope))
        await self.app(scope, receive, send)

    def _forwarded(self, scope: Any) -> Any:
        scheme = scope["scheme"].replace("ws", "http")
        if self.hops:
            headers = dict(scope["headers"])
            address = headers.get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip()
            forwarded_scheme = (
                headers.get(b"x-forwarded-proto", b"").decode("latin-1").rpartition(",")[2].strip()
            )
            if address:
                scope = {**scope, "client": (address, 0)}
            scheme = forwarded_scheme if forwarded_scheme in ("http", "https") else scheme
        scheme = "https" if is_https(scheme, _host(scope), self.own_address) else scheme
        return {**scope, "scheme": scheme if scope["type"] == "http" else scheme.replace("http", "ws")}


class Gate:
    """Requires a known host, the same origin, limited size, and a session."""

    def __init__(self, app: Any, trade: App, tabs: Tabs) -> None:
        self.app, self.trade, self.tabs = app, trade, {PAGES_SOCKET: tabs, PRICES_SOCKET: Tabs()}
        self.hosts = allowed_hosts(trade.settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        conn = HTTPConnection(scope)
        refused = self._refusal(scope, conn)
        if refused is not None:
            return await _refuse(scope, receive, send, refused)
        path = scope["path"]
        if scope["type"] == "http" and (path.startswith(OPEN) or path in OPEN_EXACTLY):
            return await self.app(scope, limited(receive, MAX_FORM_BYTES), send)
        try:
            user = await run_in_threadpool(sessions.find, self.trade, token_of(conn))
        except DatabaseUnavailable:
            return await _refuse(scope, receive, send, database_unavailable())
        if scope["type"] == "websocket":
            return await self._socket(user, scope, receive, send)
        if user is None:
            return await self._not_signed_in(scope, conn, receive, send)
        if unknown_page(scope, conn):
            return await _refuse(scope, receive, send, RedirectResponse("/", 303))
        await self.app(scope, limited(receive, MAX_BODY_BYTES), send)

    async def _socket(self, user: User | None, scope: Any, receive: Any, send: Any) -> None:
        """Without a session (a tab whose session has ended) the socket is closed with that reason."""
        if user is None:
            return await turn_away(scope, receive, send, ENDED)
        # the third subprotocol is the session that Streamlit should resume
        is_reconnect = len(scope.get("subprotocols", ())) > 2
        await self.tabs[scope["path"]].serve(
            self.app, tab_owner(user), scope, receive, send, is_reconnect=is_reconnect
        )

    def _refusal(self, scope: Any, conn: HTTPConnection) -> Response | None:
        host = conn.headers.get("host", "")
        if not host_allowed(host, self.hosts):
            return PlainTextResponse(_unknown_name(host), 421)
        safe = scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")
        if not safe and not same_origin(conn):
            address = conn.client.host if conn.client else ""
            self.trade.notes.note(AuditAction.REFUSED, reason="from another site", address=address)
            return PlainTextResponse(ANOTHER_SITE, 403)
        is_served = (
            scope["path"] in self.tabs
            if scope["type"] == "websocket"
            else SERVED.fullmatch(scope["path"]) or unknown_page(scope, conn)
        )
        return None if is_served else PlainTextResponse("Not found.\n", 404)

    async def _not_signed_in(self, scope: Any, conn: HTTPConnection, receive: Any, send: Any) -> None:
        is_navigation = (
            scope["method"] == "GET" and conn.headers.get("sec-fetch-mode", "navigate") == "navigate"
        )
        answer = (
            RedirectResponse(sign_in_address(scope), 303)
            if is_navigation
            else PlainTextResponse("Sign in first.\n", 401)
        )
        answer.headers["cache-control"] = "no-store"
        await _refuse(scope, receive, send, answer)


def tab_owner(user: User) -> tuple[int, str]:
    """The owner of the tabs: an admin viewing a user's pages is counted apart from that user."""
    return user.id, user.viewer


def sign_in_address(scope: Any) -> str:
    """The sign-in form, with the address to continue to."""
    query = scope.get("query_string", b"").decode("latin-1")
    target = local_path(scope["path"] + (f"?{query}" if query else ""))
    return "/auth/login" if target == "/" else f"/auth/login?{urlencode({'next': target})}"


def local_path(target: str) -> str:
    """A page of the dashboard, else the first page: a link to the form cannot redirect to another site."""
    page = re.fullmatch(r"/[a-z_]*(\?[^\s\\]*)?", target)
    return target if page and len(target) <= MAX_NEXT_LENGTH else "/"


def database_unavailable() -> Response:
    words = "The database cannot be used right now; nothing was changed. Try again in a moment.\n"
    return PlainTextResponse(words, 503, {"retry-after": "2", "cache-control": "no-store"})


async def _refuse(scope: Any, receive: Any, send: Any, answer: Response) -> None:
    if scope["type"] == "websocket":
        await receive()
        # before accepting: the client sees a 403
        return await send({"type": "websocket.close", "code": ENDED})
    await answer(scope, receive, send)


def unknown_page(scope: Any, conn: HTTPConnection) -> bool:
    """An address below a page's, mistyped or outdated. Streamlit would serve its page, whose assets are
    then looked up below that address, and the screen stays empty."""
    is_navigation = (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and conn.headers.get("sec-fetch-mode") == "navigate"
    )
    return (
        is_navigation
        and scope["path"].strip("/").count("/") > 0
        and not scope["path"].startswith(("/files/", "/_stcore/", "/media/", "/component/", "/app/"))
    )


def token_of(conn: HTTPConnection) -> str | None:
    return cookie_of(conn.cookies, COOKIE)


def own_cookies(scope: Any) -> Any:
    """Over HTTPS only cookies with the __Host- prefix, which other sites cannot set, are accepted; over
    HTTP only unprefixed ones. The others are removed here, so that no later code has to check."""
    invalid = {
        f"{'' if scope['scheme'] in ('https', 'wss') else PREFIX}{name}".encode()
        for name in (COOKIE, DEVICE_COOKIE)
    }

    def left(cookies: bytes) -> bytes:
        return b";".join(one for one in cookies.split(b";") if one.partition(b"=")[0].strip() not in invalid)

    return {
        **scope,
        "headers": [(name, left(value) if name == b"cookie" else value) for name, value in scope["headers"]],
    }


def same_origin(conn: HTTPConnection) -> bool:
    """Browsers send the page's origin with every POST and every WebSocket. A request without one is not
    from a browser."""
    scheme = conn.scope["scheme"].replace("ws", "http")
    origin_scheme, _, host = conn.headers.get("origin", "").partition("://")
    return origin(origin_scheme, host) == origin(scheme, conn.headers.get("host", ""))


def _host(scope: Any) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


def _unknown_name(host: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,100}(:\d{1,5})?", host, re.ASCII):
        return "DashTrade does not answer to this name.\n"
    return (
        f"DashTrade does not answer to the name {host}.\nIf people reach the dashboard by it, set "
        f"DASHTRADE_DASHBOARD_URL=https://{host} (http:// without HTTPS) and restart.\n"
    )


ANOTHER_SITE = (
    "This request came from another site, and was not carried out.\nIf it came from DashTrade's own page, a "
    "proxy changed its address: set DASHTRADE_DASHBOARD_URL to the address that users type, and restart.\n"
)


def limited(receive: Any, max_bytes: int) -> Any:
    """Cuts a body off at `most` bytes: the application sees a disconnected client."""
    received = 0

    async def counted() -> Any:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > max_bytes:
                return {"type": "http.disconnect"}
        return message

    return counted


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Host names of this dashboard, and no others: a sibling name may belong to someone else. IP addresses
    are allowed too, as DNS rebinding needs a name."""
    public = (urlsplit(address).hostname or "" for address in (settings.public_url, settings.dashboard_url))
    return frozenset({"localhost", settings.host.lower(), socket.gethostname().lower(), *public} - {""})


def host_allowed(header: str, names: frozenset[str]) -> bool:
    try:
        parts = urlsplit(f"//{header}")
        host = (parts.hostname or "").rstrip(".")
        if parts.username is not None or parts.path or parts.query or not host:
            return False
    except ValueError:
        return False
    if host in names:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
