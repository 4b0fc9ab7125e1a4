"""`python -m dashtrade.ui.shell.serve`: the dashboard's process. Streamlit's pages and DashTrade's sign-in
share one origin."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from dashtrade import security_log
from dashtrade.app import CannotStart, build_app
from dashtrade.context import App
from dashtrade.logs import set_up
from dashtrade.processes.parent_watchdog import watch_parent
from dashtrade.settings import EX_CONFIG, ROOT, BadSetting, Settings

log = logging.getLogger("dashtrade.ui")
LONGEST_STOP = 4  # seconds for open connections after SIGTERM


@contextlib.asynccontextmanager
async def settled_heap(_: Any) -> AsyncIterator[None]:
    """Freeze objects that exist after the start, so that later collections skip them. (Goes with
    runner.postScriptGC = false.)"""
    gc.collect()
    gc.freeze()
    yield


def make_asgi(app: App) -> Any:
    """The whole dashboard as one ASGI application."""
    import streamlit as st
    from starlette.middleware import Middleware

    from dashtrade.ui.shell import auth_routes, downloads, runtime
    from dashtrade.ui.shell.errors import show_error
    from dashtrade.ui.shell.frame import PartScripts, Shell
    from dashtrade.ui.shell.middleware import Gate, Headers, Proxy
    from dashtrade.ui.shell.socket_messages import Frames
    from dashtrade.ui.shell.tabs import Tabs

    runtime.use(app)
    _run_home_first()
    tabs = Tabs()
    shell = Shell(
        app.settings, (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    )
    own = app.settings.dashboard_url
    middleware = [
        Middleware(Proxy, hops=app.settings.proxy_hops, own_address=own),
        Middleware(Headers, policy=shell.policy, own_address=own),
        Middleware(Gate, trade=app, tabs=tabs),
        Middleware(Frames),
        Middleware(PartScripts),
    ]
    routes = [*auth_routes.routes(app, tabs), *downloads.routes(app), *shell.routes()]
    return st.App(
        ROOT / "Home.py",
        routes=routes,
        middleware=middleware,
        lifespan=settled_heap,
        on_script_error=show_error,
    )


def _run_home_first() -> None:
    """After a start, Streamlit treats the folder pages/ as its older kind of app until Home.py has run
    once, and runs a page directly. Every page guards itself, so this is no hole; this setting gives that
    first visitor the menu as well."""
    with contextlib.suppress(ImportError, AttributeError):
        from streamlit.runtime.pages_manager import PagesManager

        PagesManager.uses_pages_directory = False


def _one_log() -> None:
    """Remove the log handlers of Streamlit and uvicorn: DashTrade's own redacts secrets."""
    for name in ("streamlit", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("streamlit", "uvicorn"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.WARNING)


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    import uvicorn

    from dashtrade.ui.shell import http_port

    os.chdir(ROOT)  # Streamlit reads .streamlit/config.toml there
    app = build_app(settings)
    app.connect()
    config = uvicorn.Config(
        make_asgi(app),
        host=settings.host,
        port=settings.ui_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=LONGEST_STOP,
        timeout_keep_alive=15,
        ws_max_size=4 * 1024 * 1024,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        **http_port.protocols(),
    )
    _one_log()
    log.info("the dashboard listens on %s:%s", settings.host, settings.ui_port)
    if settings.unencrypted:
        log.warning("%s", settings.unencrypted)
    try:
        uvicorn.Server(config).run()
    finally:
        app.close()


def main() -> int:
    watch_parent()
    try:
        settings = Settings.load()
        set_up(settings.log_level)
        security_log.set_folder(settings.logs)
        serve(settings)
    except (CannotStart, BadSetting, OSError) as error:
        print(f"DashTrade's dashboard cannot start. {error}", file=sys.stderr)
        return EX_CONFIG
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
