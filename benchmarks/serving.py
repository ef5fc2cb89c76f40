"""Servers under a budget: `examples/shop` beside itself plain, by turns, under the same load over real sockets.

    python benchmarks/serving.py [--json] [--each] [--seconds S] [--budget SHARE ...] [--clients N] [SERVER ...]

`shop` is Flask's own threaded server with the shop's functions watched, `gunicorn` one worker with those of Flask and Werkzeug too. Both are woven
with `full_trace` and arguments, into a local store. A turn is the same requests to each of the two, sent by one process through N connections, the first
of the two changing; what it takes is the server's CPU time (its children's and our threads' included) and the time on the wall. The first three seconds of the watched
one are left out, then it goes on for `--seconds` of the plain one's time on the wall. Printed are watched / plain - 1 of the sums and of the medians of pairs, for CPU and
wall, and beside them the same for two plain servers: what the machine's noise makes of nothing.

Then what the report says, beside a server that counted calls (`sys.setprofile`) during as many turns: how far its calls are off, at most, of the five functions called most often.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from budget import FIRST_SECONDS, HOT, farthest, reported
from processes import ROOT, environment

SHOP = ROOT / "examples/shop"
VISITS = 20
TICK = os.sysconf("SC_CLK_TCK")
INCLUDE = {"shop": "shop,shop.*", "gunicorn": "shop,shop.*,flask,flask.*,werkzeug,werkzeug.*"}
COUNTING = """
import atexit, json, os, sys, threading
counts = {{}}
def seen(frame, event, argument):
    code = frame.f_code
    if event == "call" and not code.co_flags & 0x2A0 and code.co_name[0] != "<":
        counts[code] = counts.get(code, 0) + 1
def tell():
    sys.setprofile(None)
    rows = [[code.co_qualname, code.co_filename, code.co_firstlineno, count] for code, count in list(counts.items())]
    with open(os.path.join({out!r}, str(os.getpid())), "w") as out:
        json.dump(rows, out)
atexit.register(tell)
threading.setprofile(seen)
sys.setprofile(seen)
"""
"""Of a sitecustomize."""


class Server:
    """One server in one state: answers until it is ended."""

    def __init__(self, kind: str, place: Path, settings: dict[str, str], before: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        path = [str(SHOP)]
        if settings:
            path.insert(0, str(ROOT))
            settings = settings | {"AUTOSCOPE_STRATEGY": "full_trace", "AUTOSCOPE_INCLUDE": INCLUDE[kind]}
            settings["AUTOSCOPE_CACHE_DIR"] = str(place / "cache")
        if before:
            folder = place / "before"
            folder.mkdir()
            (folder / "sitecustomize.py").write_text(before, "utf-8")
            path.insert(0, str(folder))
        words = {
            "shop": [str(SHOP / "run.py"), "--serve", str(self.port)],
            "gunicorn": [
                "-m",
                "gunicorn",
                "-k",
                "gthread",
                "--threads",
                "4",
                "-b",
                f"127.0.0.1:{self.port}",
                "shop.wsgi:app",
            ],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words[kind]],
            cwd=SHOP,
            env=environment(PYTHONPATH=os.pathsep.join(path), **settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise RuntimeError(f"{kind} does not answer") from None
                time.sleep(0.05)

    def cpu(self) -> float:
        """CPU seconds of the process and those it started."""
        ticks, waiting = 0, [self.process.pid]
        while waiting:
            pid = waiting.pop()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return ticks / TICK

    def turn(self, clients: int) -> tuple[float, float]:
        """(CPU, wall) seconds of one turn."""
        import load

        cpu, begun = self.cpu(), time.perf_counter()
        threads = [threading.Thread(target=load.run, args=("127.0.0.1", self.port, VISITS)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.cpu() - cpu, time.perf_counter() - begun

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def by_turns(kind: str, share: str | None, seconds: float, clients: int, place: Path) -> tuple[dict[str, float], int]:
    """(watched / plain - 1 by what was measured, how many turns there were)."""
    watched = {"AUTOSCOPE_BUDGET": share, "AUTOSCOPE_STORE": str(place / "store")} if share is not None else {}
    both: list[Server] = []
    times: list[tuple[tuple[float, float], tuple[float, float]]] = []
    turns, warm, plain = 0, 0.0, 0.0
    try:
        for settings in ({}, watched):
            both.append(Server(kind, place, settings))
        while plain < seconds:
            took = [(0.0, 0.0), (0.0, 0.0)]
            for number in (0, 1) if turns % 2 else (1, 0):
                took[number] = both[number].turn(clients)
            turns += 1
            warm += took[1][1]
            if warm > FIRST_SECONDS:
                times.append((took[0], took[1]))
                plain += took[0][1]
    finally:
        for server in both:
            server.end()
    said = {}
    for number, what in enumerate(("cpu", "wall")):
        pairs = [(one[number], two[number]) for one, two in times]
        said[what] = sum(two for _, two in pairs) / sum(one for one, _ in pairs) - 1
        said[f"{what}_pairs"] = statistics.median(two / one for one, two in pairs) - 1
    said["plain_ms"] = 1e3 * sum(one[0] for one, _ in times) / len(times)
    return said, turns


def true_counts(kind: str, turns: int, clients: int, place: Path) -> dict[tuple[str, int, str], int]:
    """Calls of each plain function during so many turns."""
    out = place / "counts"
    out.mkdir()
    server = Server(kind, place, {}, COUNTING.format(out=str(out)))
    try:
        for _ in range(turns):
            server.turn(clients)
    finally:
        server.end()
    counts: Counter[tuple[str, int, str]] = Counter()
    for said in out.iterdir():
        for name, file, line, count in json.loads(said.read_text("utf-8")):
            counts[file, line, name.rpartition(".")[2]] += count
    return counts


def calls_off(place: Path, counts: dict[tuple[str, int, str], int]) -> list[tuple[str, int, float]]:
    """(name, true calls, reported / true - 1) of the functions called most often that the report knows."""
    told = reported(str(place / "store"))
    hot = sorted((key for key in counts if key in told), key=lambda key: -counts[key])[:HOT]
    return [(told[key].name, counts[key], told[key].calls / counts[key] - 1) for key in hot]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--budget", action="append")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=", ".join(INCLUDE))
    arguments = parser.parse_args()
    sys.path.insert(0, str(SHOP))
    result: dict[str, dict[str, Any]] = {}
    for kind in arguments.servers or INCLUDE:
        if kind == "gunicorn" and find_spec("gunicorn") is None:
            continue
        row: dict[str, Any] = {}
        for share in [None, *(arguments.budget or ["1%", "3%"])]:
            seconds = arguments.seconds if share is not None else arguments.seconds / 3
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                row[share or "plain"], turns = by_turns(kind, share, seconds, arguments.clients, place)
                if share is not None:
                    off = calls_off(place, true_counts(kind, turns, arguments.clients, place))
                    row[share]["calls"] = farthest([error for *_, error in off])
                    if arguments.each and not arguments.json:
                        for name, calls, error in off:
                            print(f"  {share} {name}: {calls:,} calls, {error:+.1%}", flush=True)
        result[kind] = row
        if not arguments.json:
            cells = [
                f"{state} cpu {cell['cpu']:+.1%} ({cell['cpu_pairs']:+.1%}) wall {cell['wall']:+.1%} ({cell['wall_pairs']:+.1%})"
                + (f" calls {cell['calls']:+.1%}" if "calls" in cell else "")
                for state, cell in row.items()
            ]
            print(f"{kind:10}" + "   ".join(cells), flush=True)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "servers": result}, indent=2))


if __name__ == "__main__":
    main()
