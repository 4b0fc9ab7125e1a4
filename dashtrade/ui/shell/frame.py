"""The frame of every page: Streamlit's index.html with DashTrade's colours, style and script from the first
byte.

What a page loads itself is drawn late (a white flash, then a jump), and is missing when the server is
unreachable, which is when the user must be told. The content security policy is here too, because the
script asks the receiver whether the engine is still up."""

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
# After Streamlit's own rules, which are added to the head as the page is drawn: of two equal rules the later
# one wins.
STYLE = '<link rel="stylesheet" href="/auth/page.css">'
NO_SCRIPT = "<noscript><p>DashTrade's pages need JavaScript. Your bots trade without it.</p></noscript>"
# unused by DashTrade's pages
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
        """To be added after all other routes, as a page's address is one word."""
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
        """The receiver's address for this browser: on the dashboard's host unless it has a public URL.
        Empty for an invalid Host header, as the value goes into a header and into the page."""
        public = urlsplit(self.settings.public_url)
        if public.hostname not in LOCAL:
            return self.settings.public_url
        found = HOST.fullmatch(conn.headers.get("host", ""))
        return f"{public.scheme}://{found.group(1)}:{self.settings.webhook_port}" if found else ""

    def policy(self, scope: Any) -> bytes:
        """Scripts only from this origin, plus the one inline script of Streamlit's page (by its hash).
        Requests only to this origin and to the receiver, for its health."""
        scripts = " ".join(f"'sha256-{found}'" for found in self.hashes)
        engine = urlsplit(self.engine(HTTPConnection(scope)))
        return (
            f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src "
            "'self' data: blob:; font-src 'self' data:; connect-src "
            f"'self'{f' {engine.scheme}://{engine.netloc}' if engine.netloc else ''}; worker-src 'self'; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ).encode()


class PartScripts:
    """Serves the components' scripts at the addresses that Streamlit gives them. Streamlit would serve
    them only after this process has drawn such a component, which another process may have done, and would
    let proxies cache them beyond an update."""

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
    """Streamlit's page has one inline script that depends on the version, so its hash is computed."""
    scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", html, re.DOTALL)
    return tuple(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)


def _file(name: str) -> Any:
    async def send(request: Request | None) -> Response:
        return FileResponse(
            ASSETS / name, media_type=KINDS[name.rpartition(".")[2]], headers={"cache-control": "no-cache"}
        )

    return send
