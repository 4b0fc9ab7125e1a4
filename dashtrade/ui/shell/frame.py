"""The frame that the pages stand in: Streamlit's index.html with our colours, style and script in it from the
first byte on.

What a page brings along is drawn late (a white frame, then one that jumps), and is gone when the server is
away, which is just when somebody has to say so. The policy is here too, because the script asks the receiver
whether the engine is still up."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dashtrade.settings import ROOT, Settings
from dashtrade.ui.shell.middleware import PARTS

ASSETS = ROOT / "dashtrade" / "ui" / "assets"
FILES = {
    "/auth/theme.js": "theme.js",
    "/auth/shell.js": "shell.js",
    "/auth/page.css": "page.css",
    "/live.mjs": "live.mjs",
}
KINDS = {"css": "text/css", "js": "text/javascript", "mjs": "text/javascript"}
HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d+)?")
LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
HEAD = (
    '<meta name="color-scheme" content="dark light"><style>html{background:light-dark(#fff,#0b0e11)}</style>'
    '<script src="/auth/theme.js"></script><script src="/auth/shell.js" data-engine="ENGINE" defer></script>'
)
# After Streamlit's own rules, which come into the head as the page is drawn: of two equal ones the later
# holds.
STYLE = '<link rel="stylesheet" href="/auth/page.css">'
NO_SCRIPT = "<noscript><p>DashTrade's pages need JavaScript. Your bots trade without it.</p></noscript>"
# one that our pages do not use
PRELOADED_FONT = re.compile(r'<link\s+rel="preload"[^>]*as="font"[^>]*>', re.DOTALL)


class Shell:
    def __init__(self, settings: Settings, index: str) -> None:
        self.settings = settings
        self.hashes = inline_script_hashes(index)
        page = PRELOADED_FONT.sub("", index).replace("<title>Streamlit</title>", "<title>DashTrade</title>")
        page = re.sub(r"<noscript>.*?</noscript>", NO_SCRIPT, page, flags=re.DOTALL)
        self.page = page.replace("<head>", f"<head>{HEAD}", 1).replace(
            '<div id="root">', f'{STYLE}<div id="root">', 1
        )

    def routes(self) -> list[BaseRoute]:
        """To be put after all others: a page's address is one word."""
        files = [Route(path, _file(name)) for path, name in FILES.items()]
        return [*files, Route("/", self.index), Route("/{page}", self.index)]

    async def index(self, request: Request) -> Response:
        name = request.path_params.get("page", "")
        if name.startswith("_") or "." in name:
            return PlainTextResponse("Not found.\n", 404)
        return HTMLResponse(
            self.page.replace("ENGINE", escape(self.engine(request))), headers={"cache-control": "no-cache"}
        )

    def engine(self, conn: HTTPConnection) -> str:
        """The receiver, as this browser reaches it: on the same machine as the dashboard unless it has an
        address of its own. Empty where the request's host is no host: it goes into a header and into the
        page."""
        public = urlsplit(self.settings.public_url)
        if public.hostname not in LOCAL:
            return self.settings.public_url
        found = HOST.fullmatch(conn.headers.get("host", ""))
        return f"{public.scheme}://{found.group(1)}:{self.settings.webhook_port}" if found else ""

    def policy(self, scope: Any) -> bytes:
        """No script but our own origin's and the one inline script of Streamlit's page (by its hash). Beside
        this origin nothing is asked but the receiver, for its health."""
        scripts = " ".join(f"'sha256-{found}'" for found in self.hashes)
        engine = urlsplit(self.engine(HTTPConnection(scope)))
        return (
            f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src "
            "'self' data: blob:; font-src 'self' data:; connect-src "
            f"'self'{f' {engine.scheme}://{engine.netloc}' if engine.netloc else ''}; worker-src 'self'; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ).encode()


class PartScripts:
    """The scripts of our pages' parts, at the addresses that Streamlit gives them. Streamlit itself would
    send them only once this process has shown such a part, which another may have done, and let proxies keep
    them beyond an update."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.files = {
            f"{PARTS}dashtrade.{file.stem}/{file.name}": _file(file.name) for file in ASSETS.glob("*.js")
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PARTS):
            return await self.app(scope, receive, send)
        file = self.files.get(scope["path"])
        answer = await file(None) if file else PlainTextResponse("Not found.\n", 404)
        await answer(scope, receive, send)


def inline_script_hashes(html: str) -> tuple[str, ...]:
    """Streamlit's page has one inline script; which one depends on its version, so it is read and not
    remembered."""
    scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", html, re.DOTALL)
    return tuple(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)


def _file(name: str) -> Any:
    async def send(request: Request | None) -> Response:
        return FileResponse(
            ASSETS / name, media_type=KINDS[name.rpartition(".")[2]], headers={"cache-control": "no-cache"}
        )

    return send
