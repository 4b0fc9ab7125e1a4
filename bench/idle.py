"""Everything as `./start` runs it: seconds until it is healthy again, and the memory of all its processes
when idle.

    python -m bench.idle

PSS counts memory that several processes share once; RSS counts it for each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.rig import ROOT, free_port, show


def children(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            for child in (task / "children").read_text().split():
                found += children(int(child))
    return found


def memory(pids: list[int]) -> dict[str, float]:
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name = line.split(":")[0]
            if name in total:
                total[name] += int(line.split()[1])
    return {f"{name.lower()}_mb": round(kb / 1024, 1) for name, kb in total.items()}


def healthy(url: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=1).status == 200
    return False


def start(environ: dict[str, str], ports: tuple[int, int]) -> tuple[subprocess.Popen[bytes], float]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "dashtrade.cli", "up"], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
    )
    urls = [f"http://127.0.0.1:{ports[0]}/_stcore/health", f"http://127.0.0.1:{ports[1]}/health"]
    while not all(healthy(url) for url in urls):
        if process.poll() is not None or time.perf_counter() - began > 60:
            raise RuntimeError("it did not start")
        time.sleep(0.05)
    return process, time.perf_counter() - began


def stop(process: subprocess.Popen[bytes]) -> float:
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dashtrade-idle-") as home:
        ports = (free_port(), free_port())
        environ = os.environ | {
            "DASHTRADE_HOME": home,
            "DASHTRADE_UI_PORT": str(ports[0]),
            "DASHTRADE_WEBHOOK_PORT": str(ports[1]),
            "PYTHONPATH": str(ROOT),
        }
        process, first = start(environ, ports)
        stop(process)
        process, second = start(environ, ports)
        time.sleep(15)
        pids = children(process.pid)
        used = memory(pids)
        took = stop(process)
    show(
        {
            "bench": "idle",
            "first_start_s": round(first, 2),
            "second_start_s": round(second, 2),
            "stop_s": round(took, 2),
            "processes": len(pids),
            **used,
        }
    )


if __name__ == "__main__":
    main()
