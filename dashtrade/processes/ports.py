"""Ports: whether one is free, which process holds it, and whether it answers. For the supervisor and the
doctor; standard library only."""

from __future__ import annotations

import errno
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from dashtrade.settings import reachable

OWN_COMMANDS = ("webhook_server.py", "dashtrade.ui.shell.serve")


class BusyPort(Exception):
    """A port that cannot be listened on. `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningProcess:
    """The process listening on a port."""

    pid: int
    command: str


def require_free(host: str, port: int, setting: str, patience: float = 0.0) -> None:
    """Raises BusyPort unless `port` can be listened on; waits up to `patience` seconds for the port to
    become free."""
    deadline = time.monotonic() + patience
    while (error := _try_to_listen(host, port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            raise BusyPort(_explain(error, host, port, setting))
        time.sleep(0.2)


def _try_to_listen(host: str, port: int) -> OSError | None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            # Otherwise recent connections of a DashTrade that has just stopped would count as busy.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        return error
    return None


def _explain(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        occupant = listening_process(port)
        if occupant and any(mark in occupant.command for mark in OWN_COMMANDS):
            # Killing this process would not help: its supervisor restarts it.
            return (
                f"Port {port} is already in use by another DashTrade (process {occupant.pid}).\n  Use that "
                f"one, stop it first, or choose other ports: {setting}={port % 65535 + 1}"
            )
        occupant_name = f"process {occupant.pid} ({occupant.command})" if occupant else "another process"
        advice = f"End that process (kill {occupant.pid})" if occupant else "End that process"
        return (
            f"Port {port} is in use by {occupant_name}.\n  {advice}, or choose another port: "
            f"{setting}={port % 65535 + 1}"
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {port} is reserved for the administrator.\n  Choose one above 1023: "
            f"{setting}={port + 8000}"
        )
    return (
        f"DashTrade cannot listen on {host}, port {port}: {error.strerror or error}.\n"
        "  Set DASHTRADE_HOST to an address of this machine, or to 127.0.0.1."
    )


def listening_process(port: int) -> ListeningProcess | None:
    """The process listening on `port`, found in /proc (Linux; only the user's own processes unless root)."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(entry) in sockets for entry in (process / "fd").iterdir()):
                command = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
                return ListeningProcess(pid=int(process.name), command=command[:120] or "name unknown")
        except OSError:
            continue  # the process has ended, or belongs to another user
    return None


def _listening_inodes(port: int) -> set[str]:
    listening, inodes = "0A", set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[3] == listening and int(row[1].rpartition(":")[2], 16) == port:
                inodes.add(row[9])
    return inodes


def responds_ok(host: str, port: int, path: str, timeout: float = 2.0) -> bool:
    """Whether `GET path` returns 200. Uses a plain socket: an HTTP client would load TLS and 5 MB into the
    supervisor."""
    host = reachable(host)
    name = f"[{host}]" if ":" in host else host
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode()
            )
            return connection.makefile("rb").readline(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False
