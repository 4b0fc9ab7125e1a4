"""The routes for the first account, joining, signing in and signing out. Sign-in sets a cookie that
scripts cannot read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from bot_database import DatabaseUnavailable
from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import Malformed, as_sentence
from dashtrade.limits import BoundedQueue, ConcurrencyLimit, Rate, network_of
from dashtrade.services.demo import demo
from dashtrade.services.people import credentials, invitations, second_factor, sessions, throttle, users
from dashtrade.services.people.users import Denied
from dashtrade.settings import ROOT
from dashtrade.ui.kit.ticker import Ticker
from dashtrade.ui.shell.auth_forms import code_form, first_time, join_form, login_form, reset_form
from dashtrade.ui.shell.auth_pages import Wrong, notice
from dashtrade.ui.shell.auth_requests import address_of, device_of, form_fields, set_cookie
from dashtrade.ui.shell.middleware import local_path, tab_owner, token_of
from dashtrade.ui.shell.runtime import COOKIE, DEVICE_COOKIE
from dashtrade.ui.shell.tabs import Tabs

T = TypeVar("T")


class Crowded(Exception):
    """Too many requests at once, or from one address."""

    def __init__(self, what: str, wait: float) -> None:
        self.what, self.seconds = what, max(round(wait), 1)


DATABASE_UNAVAILABLE = Wrong(
    message="The database cannot be used right now; nothing was changed", hint="Try again in a moment."
)


def routes(app: App, tabs: Tabs) -> list[BaseRoute]:
    auth = AuthRoutes(app, tabs)
    return [
        Route("/auth/login", auth.guarded(auth.login), methods=["GET", "POST"]),
        Route("/auth/code", auth.guarded(auth.code), methods=["GET", "POST"]),
        Route("/demo", auth.guarded(auth.demo), methods=["GET", "POST"]),
        Route("/reset", auth.guarded(auth.reset), methods=["GET", "POST"]),
        Route("/auth/leave", auth.guarded(auth.leave)),
        Route("/auth/logout", auth.guarded(auth.logout), methods=["GET", "POST"]),
        Route("/setup", auth.guarded(auth.setup), methods=["GET", "POST"]),
        Route("/join", auth.guarded(auth.join), methods=["GET", "POST"]),
        WebSocketRoute("/live", Ticker(app).endpoint),
        Route("/auth/alive", auth.guarded(auth.alive)),
        Route("/favicon.png", _icon),
        Route("/favicon.ico", _icon),
    ]


async def _icon(request: Request) -> Response:
    return FileResponse(ROOT / "static" / "icon.png", headers={"cache-control": "public, max-age=86400"})


class AuthRoutes:
    def __init__(self, app: App, tabs: Tabs) -> None:
        self.app, self.tabs = app, tabs
        # Each hash takes a third of a second.
        self.passwords, self.passwords_of, self.waiting = (
            BoundedQueue(2, 6, 2.0),
            Rate(0.5, burst_seconds=40),
            ConcurrencyLimit(in_all=8, of_one=4),
        )
        self.demos = BoundedQueue(1, 4, 5.0)

    def guarded(
        self, answer_of: Callable[[Request, dict[str, str]], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Reads the form, and answers every error in words."""

        async def answered(request: Request) -> Response:
            # HEAD has no origin check, like GET, and so must do no more
            if request.method == "HEAD":
                request = Request({**request.scope, "method": "GET"}, request.receive)
            try:
                sent = await form_fields(request) if request.method == "POST" else dict(request.query_params)
                # PostgreSQL rejects NUL.
                given = {name: value.replace("\x00", "\ufffd") for name, value in sent.items()}
                answer = await answer_of(request, given)
            except ClientDisconnect:
                answer = PlainTextResponse("This form is too long.\n", 413)
            except Crowded as crowded:
                self._note(AuditAction.THROTTLED, request)
                message = (
                    f"Too many users {crowded.what} at this moment, or too many from your address. Nothing "
                    "was changed."
                )
                hint = (
                    f"<p>Wait {crowded.seconds} s, then try again.</p>"
                    '<p><a href="/auth/login">Sign in</a></p>'
                )
                answer = HTMLResponse(
                    notice("One moment", message, hint), 429, {"retry-after": str(crowded.seconds)}
                )
            except DatabaseUnavailable:
                answer = HTMLResponse(
                    notice(
                        "Not now", DATABASE_UNAVAILABLE.message + ".", f"<p>{DATABASE_UNAVAILABLE.hint}</p>"
                    ),
                    503,
                )
            answer.headers["cache-control"] = "no-store"
            return answer

        return answered

    def _note(self, action: AuditAction, request: Request) -> None:
        place = f"{request.method} {request.url.path}"
        self.app.notes.note(action, reason=place, address=address_of(request))

    async def _hashing(self, request: Request, work: Callable[[], T]) -> T:
        """Limits hashing of passwords, so that guessing does not occupy the threads of other users."""
        network = network_of(address_of(request))
        wait = self.passwords_of.take(network)
        with self.waiting.place(network) as free:
            if wait or not free:
                raise Crowded("sign in", wait)
            return await run_in_threadpool(_run_queued, self.passwords, "sign in", work)

    # --- sign in --------------------------------------------------------------------------------------------

    async def login(self, request: Request, given: dict[str, str]) -> Response:
        to = local_path(given.get("next", "/"))
        if request.method == "GET":
            if await run_in_threadpool(sessions.find, self.app, token_of(request)):
                return RedirectResponse(to, 303)
            if await run_in_threadpool(users.is_empty, self.app):
                return HTMLResponse(first_time())
            done = (
                "Password changed. Sign in with the new one." if given.get("said") == "new-password" else ""
            )
            return HTMLResponse(
                await run_in_threadpool(
                    login_form, self.app, given.get("email", "")[:254], False, None, done, to
                )
            )
        email, remember = given.get("email", "")[:254], given.get("remember") == "yes"
        try:
            word, device = given.get("password", "")[:500], device_of(request)
            user = await self._hashing(
                request,
                lambda: users.check_password(self.app, email, word, address_of(request), device=device),
            )
        except Denied as denied:
            wrong = Wrong(message=denied.message, hint=denied.hint, field="password")
            headers = {"retry-after": str(denied.retry_after)} if denied.retry_after else None
            html = await run_in_threadpool(login_form, self.app, email, remember, wrong, "", to)
            return HTMLResponse(html, 429 if denied.retry_after else 401, headers)
        if user.second_factor:
            return HTMLResponse(code_form(second_factor.ticket(self.app, user, remember=remember), to))
        return await self._let_in(request, user.id, remember=remember, to=to)

    async def code(self, request: Request, given: dict[str, str]) -> Response:
        """The second step, for users with two-factor authentication."""
        if request.method == "GET":
            return RedirectResponse("/auth/login", 303)
        ticket, to = given.get("ticket", ""), local_path(given.get("next", "/"))
        try:
            user, remember = await run_in_threadpool(second_factor.user_of_ticket, self.app, ticket)
        except Denied as denied:
            wrong = Wrong(message=denied.message, hint=denied.hint)
            return HTMLResponse(await run_in_threadpool(login_form, self.app, "", False, wrong, "", to), 401)
        try:
            typed, device = given.get("code", "")[:60], device_of(request)
            await run_in_threadpool(
                lambda: second_factor.check(self.app, user, typed, address_of(request), device=device)
            )
        except Denied as denied:
            wrong = Wrong(message=denied.message, hint=denied.hint, field="code")
            return HTMLResponse(code_form(ticket, to, wrong), 429 if denied.retry_after else 401)
        return await self._let_in(request, user.id, remember=remember, to=to)

    async def _let_in(self, request: Request, user_id: int, *, remember: bool, to: str = "/") -> Response:
        token = await run_in_threadpool(
            lambda: sessions.begin(
                self.app,
                user_id,
                device=sessions.device_of(request.headers.get("user-agent", "")),
                address=address_of(request),
                remember=remember,
                replaces=token_of(request),
            )
        )
        answer = RedirectResponse(to, 303)
        device_token = await run_in_threadpool(throttle.know_device, self.app, user_id, device_of(request))
        seconds = int(throttle.DEVICE_LIFE.total_seconds())
        set_cookie(request, answer, DEVICE_COOKIE, device_token, seconds)
        set_cookie(
            request,
            answer,
            COOKIE,
            token,
            int(sessions.REMEMBERED_LIFE.total_seconds()) if remember else None,
        )
        return answer

    async def _is_signed_in(self, request: Request) -> bool:
        return await run_in_threadpool(sessions.find, self.app, token_of(request)) is not None

    async def demo(self, request: Request, given: dict[str, str]) -> Response:
        """One click: an account with a week of history. A signed-in user is redirected to their own pages."""
        if request.method == "GET" or await self._is_signed_in(request):
            return RedirectResponse("/", 303)
        try:
            begin = partial(demo.start, self.app, address=address_of(request))
            user_id = await run_in_threadpool(_run_queued, self.demos, "begin a demo", begin)
        except Denied as denied:
            self._note(AuditAction.THROTTLED if denied.retry_after else AuditAction.REFUSED, request)
            html = await run_in_threadpool(
                login_form, self.app, "", False, Wrong(message=denied.message, hint=denied.hint)
            )
            return HTMLResponse(html, 429 if denied.retry_after else 403)
        return await self._let_in(request, user_id, remember=True)

    async def reset(self, request: Request, given: dict[str, str]) -> Response:
        """A new password by an admin's link, which works once."""
        code, wrong, status = given.get("code", "")[:200], None, 200
        try:
            user = await self._check_link(request, "reset", partial(credentials.user_of_link, self.app, code))
            if request.method == "POST":
                new = given.get("password", "")
                await self._hashing(
                    request,
                    lambda: credentials.use_link(self.app, code, new=new, address=address_of(request)),
                )
                return RedirectResponse(
                    f"/auth/login?{urlencode({'email': user.email, 'said': 'new-password'})}", 303
                )
        except Malformed as error:
            wrong, status = Wrong(message=error.message, hint=error.hint, field="password"), 400
        except Denied as denied:
            return self._dead_link(request, AuditAction.PASSWORD_LINK_REFUSED, denied)
        return HTMLResponse(reset_form(code, user.email, wrong), status)

    async def _check_link(self, request: Request, kind: str, check: Callable[[], T]) -> T:
        """Whose link it is. Raises Denied; those that do not work count as guesses."""
        keys = throttle.of_network(kind, address_of(request))
        seconds = await run_in_threadpool(throttle.wait, self.app, keys)
        if seconds:
            raise throttle.denied(seconds)
        try:
            return await run_in_threadpool(check)
        except Denied:
            await run_in_threadpool(throttle.failed, self.app, keys)
            raise

    def _dead_link(self, request: Request, action: AuditAction, denied: Denied) -> Response:
        self._note(AuditAction.THROTTLED if denied.retry_after else action, request)
        sign_in = '<p><a href="/auth/login">Sign in</a></p>'
        return HTMLResponse(
            notice("This link does not work", f"{as_sentence(denied.message)} {denied.hint}", sign_in),
            429 if denied.retry_after else 403,
        )

    async def leave(self, request: Request, given: dict[str, str]) -> Response:
        """Exit the view of another user's pages."""
        await run_in_threadpool(sessions.leave_view, self.app, token_of(request))
        return RedirectResponse("/admin?part=Users", 303)

    # --- registration ---------------------------------------------------------------------------------------

    async def setup(self, request: Request, given: dict[str, str]) -> Response:
        """The first account; its code is in the link printed at start."""
        if not await run_in_threadpool(users.is_empty, self.app):
            return RedirectResponse("/auth/login", 303)
        code = given.get("setup", "")
        if request.method == "GET" and not code:
            return HTMLResponse(first_time())
        if request.method == "GET":
            check = partial(users.check_setup_code, self.app, code)
            return await self._registration(request, "/setup", {"setup": code}, check)
        return await self._register(request, given, "/setup", {"setup": code}, code)

    async def join(self, request: Request, given: dict[str, str]) -> Response:
        code = given.get("invitation", "")
        signup = await run_in_threadpool(invitations.signup, self.app)
        if signup == "closed" or (signup == "invite" and not code):
            lead = "Sign-up is by invitation only." if signup == "invite" else "Sign-up is closed."
            return HTMLResponse(
                notice(
                    "Ask an admin",
                    lead,
                    (
                        "<p>An admin of this installation can send you a link.</p><p><a "
                        'href="/auth/login">Sign in</a></p>'
                    ),
                ),
                403,
            )
        if request.method == "GET" and signup == "open":
            return HTMLResponse(join_form("/join", {"invitation": code}, {}))
        if request.method == "GET":
            check = partial(invitations.open_invitation, self.app, code)
            return await self._registration(request, "/join", {"invitation": code}, check)
        return await self._register(request, given, "/join", {"invitation": code}, code)

    async def _registration(
        self, request: Request, action: str, hidden: dict[str, str], check: Callable[[], object]
    ) -> Response:
        """The form; a link that does not work says so before it is filled in."""
        try:
            await self._check_link(request, "register", check)
        except Denied as denied:
            return self._dead_link(request, AuditAction.SIGN_UP_REFUSED, denied)
        return HTMLResponse(join_form(action, hidden, {}))

    async def _register(
        self, request: Request, given: dict[str, str], action: str, hidden: dict[str, str], code: str
    ) -> Response:
        def make() -> Any:
            new_user = users.register(
                self.app,
                email=given.get("email", ""),
                password=given.get("password", ""),
                name=given.get("name", "")[:80],
                code=code or None,
                address=address_of(request),
            )
            sessions.drop_sign_in_token(self.app, new_user.access_token)
            return new_user.user

        keys = throttle.of_network("register", address_of(request))
        wait = await run_in_threadpool(throttle.wait, self.app, keys)
        if wait:
            self._note(AuditAction.THROTTLED, request)
            return HTMLResponse(
                join_form(
                    action,
                    hidden,
                    given,
                    Wrong(message="too many attempts", hint=f"Wait {wait} seconds, then try again."),
                ),
                429,
            )
        try:
            user = await self._hashing(request, make)
        except Malformed as error:
            return HTMLResponse(
                join_form(
                    action, hidden, given, Wrong(message=error.message, hint=error.hint, field=error.where)
                ),
                400,
            )
        except Denied as denied:
            await run_in_threadpool(throttle.failed, self.app, keys)
            return HTMLResponse(
                join_form(action, hidden, given, Wrong(message=denied.message, hint=denied.hint)), 403
            )
        return await self._let_in(request, user.id, remember=False)

    # --- sign out -------------------------------------------------------------------------------------------

    async def logout(self, request: Request, given: dict[str, str]) -> Response:
        if request.method == "GET":  # a link must not sign the user out
            return RedirectResponse("/", 303)
        await run_in_threadpool(sessions.end, self.app, token_of(request), address_of(request))
        answer = RedirectResponse("/auth/login", 303)
        set_cookie(request, answer, COOKIE, "", 0)
        # Not "cookies", which would also clear those of sibling host names, and the device cookie; not
        # "storage", which holds only display preferences.
        answer.headers["clear-site-data"] = '"cache"'
        return answer

    async def alive(self, request: Request, given: dict[str, str]) -> Response:
        """Polled by open tabs: a tab without a session goes to the sign-in form, even if idle; a tab that
        was closed to make room for newer ones (409) learns why."""
        user = await run_in_threadpool(sessions.find, self.app, token_of(request), present=False)
        if user is None:
            return Response(status_code=401)
        return Response(status_code=409 if self.tabs.full(tab_owner(user)) else 204)


def _run_queued(turns: BoundedQueue, what: str, work: Callable[[], T]) -> T:
    with turns.turn() as on:
        if not on:
            raise Crowded(what, 5)
        return work()
