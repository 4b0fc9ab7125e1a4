"""Sends one share of the requests of bench.fuzz, from a process of its own, and judges each answer.

Run as `python -m bench.fuzz_client` with a JSON job on standard input; prints JSON lines: how far it is, and
at last what it found."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from bench import fuzz_framings, fuzz_shots, fuzz_sockets, fuzz_ui, fuzz_wire
from bench.fuzz_api import Api
from bench.fuzz_shots import HOOKS, FuzzFacts, Shot

LONGEST = 3.0  # seconds that any answer may take
PATIENCE = 12.0  # after which it is a hang
LINGER = 0.05  # that is listened for what need not be answered
MOST_KEPT = 256 * 1024  # of a body, to look into
MOST_FINDINGS, MOST_SHOWN = 100, 1000  # of a kind; bytes of a request
_FURTHER = re.compile(rb"HTTP/1\.[01] (5\d\d)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
KINDS = (("alerts", 40), ("rest", 30), ("dashboard", 10), ("headers", 11), ("framings", 7), ("sockets", 2))
_CODED_REFUSAL = b"Transfer-Encoding"  # 501 is what HTTP itself asks for, where one is not known


class Shots:
    """The request of a number."""

    def __init__(self, facts: FuzzFacts, seed: int) -> None:
        self._facts, self._seed, self._api = facts, seed, Api(facts.operations)

    def of(self, number: int) -> Shot:
        rng = random.Random(self._seed << 40 | number)
        kind = rng.choices([name for name, _ in KINDS], [share for _, share in KINDS])[0]
        match kind:
            case "alerts":
                return fuzz_shots.alert(rng, self._facts, number)
            case "rest":
                return self._api.shot(rng, self._facts, number)
            case "headers":
                return fuzz_wire.headers(rng, self._facts, number)
            case "framings":
                return fuzz_framings.framing(rng, self._facts, number)
            case "sockets":
                return fuzz_sockets.socket_shot(rng, self._facts, number)
        return fuzz_ui.shot(rng, self._facts, number)


class Closed(OSError):
    """The other side closed the connection before it had answered."""


@dataclass(slots=True, kw_only=True)
class ReadAnswer:
    status: int
    head: bytes
    body: bytes
    ends: bool  # the connection


class ClientConnection:
    """One connection, kept as long as the other side keeps it."""

    def __init__(self, port: int, source: str) -> None:
        self.port, self.source = port, source
        self.sock: socket.socket | None = None
        self.used = False

    def connect(self) -> socket.socket:
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (self.source, 0))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.used = False
        return self.sock

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def ask(self, data: bytes) -> ReadAnswer:
        """On a connection that was used before: once more on a new one, if it was closed meanwhile."""
        while True:
            sock, again = self.connect(), self.used
            try:
                with contextlib.suppress(
                    BrokenPipeError, ConnectionResetError
                ):  # answered and closed before it was all sent
                    sock.sendall(data)
                answer = read_answer(sock, bodiless=data.startswith(b"HEAD "))
                self.used = True
                if answer.ends:
                    self.close()
                return answer
            except (Closed, ConnectionResetError):
                self.close()
                if not again:
                    raise
            except OSError:
                self.close()
                raise


def read_answer(sock: socket.socket, *, bodiless: bool = False) -> ReadAnswer:
    data = bytearray()
    while True:
        end = data.find(b"\r\n\r\n")
        if (
            end >= 0 and data[9:10] == b"1" and data[9:12] != b"101"
        ):  # 100 Continue: the answer comes behind it
            del data[: end + 4]
            continue
        if end >= 0:
            break
        _more(sock, data)
    head, body = bytes(data[:end]), data[end + 4 :]
    lower, status = head.lower(), int(head[9:12]) if head[9:12].isdigit() else 0
    length = _LENGTH.search(lower)
    ends = b"\r\nconnection: close" in lower or head.startswith(b"HTTP/1.0")
    if bodiless or status in (101, 204, 304):
        pass
    elif b"\r\ntransfer-encoding: chunked" in lower:
        body = _chunks(sock, body)
    elif length:
        while len(body) < int(length[1]):
            _more(sock, body)
    else:
        ends = True
        with contextlib.suppress(Closed):
            while len(body) < 50 * MOST_KEPT:
                _more(sock, body)
    return ReadAnswer(status=status, head=head, body=bytes(body[:MOST_KEPT]), ends=ends)


def _more(sock: socket.socket, data: bytearray) -> None:
    more = sock.recv(65536)
    if not more:
        raise Closed("closed")
    data += more


def _chunks(sock: socket.socket, data: bytearray) -> bytearray:
    kept = bytearray()
    while True:
        while (end := data.find(b"\r\n")) < 0:
            _more(sock, data)
        size = int(data[:end], 16)
        while len(data) < end + size + 4:
            _more(sock, data)
        if len(kept) < MOST_KEPT:
            kept += data[end + 2 : end + 2 + size]
        del data[: end + size + 4]
        if not size:
            return kept


@dataclass(slots=True, kw_only=True)
class Findings:
    """What one process saw."""

    statuses: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name, _ in KINDS})
    times: Counter[int] = field(default_factory=Counter)  # milliseconds -> how often
    findings: list[dict[str, Any]] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, shot: Shot, what: str, seconds: float | None) -> None:
        with self.lock:
            self.statuses[shot.kind][what] += 1
            if seconds is not None:
                self.times[round(seconds * 1000)] += 1

    def find(self, number: int, why: str, shot: Shot, **more: Any) -> None:
        sent = shot.data[:MOST_SHOWN].decode("utf-8", "backslashreplace")
        with self.lock:
            self.why[why] += 1
            if self.why[why] <= MOST_FINDINGS:
                self.findings.append(
                    {"number": number, "why": why, "kind": shot.kind, "at": time.time(), **more, "sent": sent}
                )


class Sender:
    """One thread's worth: a connection to each port, and an address of its own on the loopback."""

    def __init__(self, facts: FuzzFacts, found: Findings, source: str) -> None:
        self._found, self._source, self._canary = found, source, facts.canary.encode()
        self._ports = {HOOKS: facts.hooks, "ui": facts.ui}
        self._lines = {door: ClientConnection(port, source) for door, port in self._ports.items()}

    def send(self, number: int, shot: Shot) -> None:
        line = (
            ClientConnection(self._ports[shot.door], self._source) if shot.fresh else self._lines[shot.door]
        )
        began = time.monotonic()
        try:
            answer = self._listen(line, shot) if not shot.complete else line.ask(shot.data)
        except TimeoutError:
            line.close()
            if not shot.complete:  # it waits for the rest of the request
                return self._found.count(shot, "waits", None)
            self._found.count(shot, "hang", None)
            return self._found.find(number, "hang", shot)
        except OSError as error:
            self._found.count(shot, "closed", None)
            if not shot.may_close:
                self._found.find(number, "lost", shot, said=repr(error))
            return None
        except ValueError as error:
            line.close()
            self._found.count(shot, "unreadable", None)
            return self._found.find(number, "unreadable", shot, said=repr(error))
        took = time.monotonic() - began
        self._found.count(shot, str(answer.status), took if shot.complete else None)
        self._judge(number, shot, answer, took)
        if shot.fresh:
            self._judge_rest(number, shot, line)
        return None

    def _listen(self, line: ClientConnection, shot: Shot) -> ReadAnswer:
        sock = line.connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(shot.data)
        sock.settimeout(LINGER)
        return read_answer(sock)

    def _judge(self, number: int, shot: Shot, answer: ReadAnswer, took: float) -> None:
        about = {"status": answer.status, "seconds": round(took, 3)}
        if answer.status >= 500 and not (answer.status == 501 and _is_coded(shot)):
            why = "503" if answer.status == 503 else "5xx"
            self._found.find(number, why, shot, said=answer.body[:300].decode("utf-8", "replace"), **about)
        if shot.complete and took > LONGEST:
            self._found.find(number, "slow", shot, **about)
        if self._canary in answer.body and not shot.may_see:
            self._found.find(number, "leak", shot, **about)
        if b"Traceback (most recent" in answer.body:
            self._found.find(number, "traceback", shot, **about)

    def _judge_rest(self, number: int, shot: Shot, line: ClientConnection) -> None:
        """What else comes on a connection of its own: answers to what was hidden behind the request,
        or a socket's words."""
        if line.sock is None:
            return
        rest = bytearray()
        with contextlib.suppress(OSError):
            line.sock.settimeout(LINGER)
            while len(rest) < MOST_KEPT:
                _more(line.sock, rest)
        line.close()
        if shot.kind == "sockets":
            if self._canary in rest:
                self._found.find(number, "leak", shot)
        elif (wrong := _FURTHER.search(rest)) and not (wrong[1] == b"501" and _is_coded(shot)):
            self._found.find(number, "5xx", shot, status=int(wrong[1]), said="a further answer")


def _is_coded(shot: Shot) -> bool:
    return shot.kind in ("headers", "framings") and _CODED_REFUSAL in shot.data


def work(job: dict[str, Any]) -> Findings:
    """Every `step`th number from `first` on, until `requests` or the time are over."""
    facts, found = FuzzFacts(**job["facts"]), Findings()
    shots, lock = Shots(facts, job["seed"]), threading.Lock()
    numbers = iter(range(job["first"], job["requests"], job["step"]))
    done = Counter[str]()

    def run(place: int) -> None:
        sender = Sender(facts, found, f"127.0.{1 + job['first']}.{place + 1}")
        while time.time() < job["until"]:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            sender.send(number, shots.of(number))
            done["all"] += 1

    with ThreadPoolExecutor(job["threads"]) as pool:
        senders = [pool.submit(run, place) for place in range(job["threads"])]
        while wait(senders, 0.5).not_done:
            print(json.dumps({"done": done["all"]}), flush=True)
    for sender in senders:
        sender.result()  # a fault of the generator's ends the run
    return found


def main() -> None:
    found = work(json.load(sys.stdin))
    print(
        json.dumps(
            {
                "statuses": found.statuses,
                "times": found.times,
                "findings": found.findings,
                "done": sum(map(Counter.total, found.statuses.values())),
                "cpu_s": time.process_time(),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
