"""Chaos: a program of threads, an event loop and children is changed at random, in every way there is, many times a second.

    python tests/chaos/chaos.py                          sixty seconds
    python tests/chaos/chaos.py --seconds 600 --seed 7   the long one; the same seed makes the same changes
    python tests/chaos/chaos.py --keep DIR               leave program, plans and store there

It passes if no result is wrong, no request is lost, memory and objects do not grow, every stored span is well-formed, and
after `off` every function's `__code__` is its author's. Prints what it did, and every fault; exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import ast
import http.client
import json
import os
import queue
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

import autoscope  # noqa: E402
from autoscope.read.runs import list_runs, open_run  # noqa: E402
from program_kit import environment  # noqa: E402

RATE = 20
"""Changes a second."""
NUMBERS = 12
MODULES = 12
"""Modules that are imported while the program runs."""
SETTLED = 1 / 4
"""The part of the time after which memory must not grow any more, though at most a minute."""
GROWTH = 0.08
GROWTH_BYTES = 6 << 20
"""Memory at the end may be so much more, for what the allocator and the system do as they like."""
RECORD_BYTES = 500
"""What the allocator may keep of each of the most records that ever waited to be handed over: a machine that is busy otherwise makes them many."""
USED = {"allocated": 12 << 20, "blocks": 130_000, "Site": 1500}
"""And of what is in use, half as much again and this: how many closures of how many twins live just then is chance."""
NOTICES = ("plan-adopted", "plan-refused", "plan-unusable", "signalled", "circuit-open")
"""What a program that is treated so may say on standard error; the last one where the machine is so busy otherwise that it hardly runs."""
PATIENCE_SECONDS = 120.0
"""So long is waited for what is to come soon."""

MODULE = """
def plain(x): return len([x])
def made(n):
    def inner(x): return plain(x) + n
    return [inner(1), [value for value in values(n)], Made().method(n)]
def values(n):
    for number in range(n): yield plain(number) + number
class Made:
    def method(self, x): return [plain(x), x]
"""
MADE = [4, [1, 2, 3], [1, 3]]

BASE = "version: 1\nexclude: [verify]\n"
GLOBS = [
    "*", "kinds.*", "kinds.Thing.*", "*.method", "kinds.make*", "*inner", "*<lambda>", "kinds.plain", "kinds.tiny",
    "kinds.stream", "kinds.fails", "service.*", "service.Service.serve", "*square*", "__main__.*", "*decorate*", "later_*",
    "kinds.generators", "kinds.numbers", "kinds.coroutine", "*__eq__", "kinds.work", "nothing.*",
]  # fmt: skip
LEVELS = ["off", "minimal", "balanced", "full_trace"]
BUDGETS = [
    None,
    "overhead: 1%",
    "overhead: 0.3%",
    "overhead: 10%",
    "overhead: 3%, spans_per_second: 20",
    "overhead: 50%, spans_per_second: 500",
]
"""What a plan has for a budget, if it has one."""
HOSTILE = [
    b"\n", b"{}\n", b"\xff\xfe\n", b'{"verb": "set"}\n', b'{"verb": "set", "target": "*", "rate": NaN}\n', b"[" * 5000 + b"\n",
    b'{"verb": "set", "target": "' + b"*a" * 400 + b'", "rate": 0.5}\n', b'"' + b"x" * 200_000, b'{"verb": "in', b"",
]  # fmt: skip


@dataclass
class Outcome:
    """What was found. `faults`: one line each."""

    faults: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def fault(self, text: str) -> None:
        if len(self.faults) < 40:
            self.faults.append(text)


class Subject:
    """The program under changes, and the ways to it."""

    def __init__(self, folder: Path, python: str, outcome: Outcome) -> None:
        self.folder = folder
        self.outcome = outcome
        shutil.copytree(HERE / "program", folder / "program", ignore=shutil.ignore_patterns("__pycache__"))
        for number in range(MODULES):
            (folder / f"program/later_{number}.py").write_text(MODULE)
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        plain = environment(folder, plain=True)
        told = subprocess.run(
            [python, "-c", f"import json, kinds; print(json.dumps([kinds.work(n) for n in range({NUMBERS})]))"],
            cwd=folder / "program", env=plain, capture_output=True, text=True, check=True,
        )  # fmt: skip
        (folder / "expected.json").write_text(told.stdout)
        self.plan = folder / "plan.yaml"
        self.other = folder / "base.yaml"
        self.other.write_text(BASE)
        self.plan.write_text(BASE + f"extends: {self.other}\nstrategy: balanced\n")
        # One arena: each thread has one of its own otherwise, ours is another after every fork, and each keeps its high-water mark.
        env = environment(folder / "store", None, {"AUTOSCOPE_PLAN": str(self.plan), "XDG_RUNTIME_DIR": str(runtime),
                                                   "AUTOSCOPE_STRATEGY": None, "MALLOC_ARENA_MAX": "1", "AUTOSCOPE_SIGNALS": "SIGUSR1"})  # fmt: skip
        self.errors = open(folder / "stderr", "w+")
        self.process = subprocess.Popen(
            [python, "app.py", str(folder / "expected.json")],
            cwd=folder / "program", env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.socket = runtime / f"autoscope/{self.process.pid}.sock"
        self.told: queue.Queue[Any] = queue.Queue()
        self.waiting: queue.Queue[Any] = queue.Queue()
        self.lines = threading.Thread(target=self.listen, daemon=True)
        self.lines.start()

    # On standard input: what the program does itself.

    def order(self, name: str, *arguments: Any, expected: Any = None, wait: bool = False) -> Any:
        """Have the program do something. What it answers is compared with `expected` where that is not None."""
        done = threading.Event()
        entry = [name, expected, done, None]
        self.waiting.put(entry)
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()
        if wait:
            if not done.wait(120):
                raise TimeoutError(f"{name}: the program does not answer")
            return entry[3]
        return None

    def listen(self) -> None:
        for line in self.process.stdout:
            told = json.loads(line)
            if "told" not in told and "failed" not in told:
                self.outcome.told["program"] = told
                continue
            entry = self.waiting.get()
            if "failed" in told:
                self.outcome.fault(f"{entry[0]}: {told['failed']}")
            elif entry[1] is not None and told["told"] != entry[1]:
                self.outcome.fault(f"{entry[0]}: {told['told']} instead of {entry[1]}")
            entry[3] = told.get("told")
            entry[2].set()

    # On the control socket.

    def connect(self, seconds: float = PATIENCE_SECONDS) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        connection.connect(str(self.socket))
        return connection

    def ask(self, verb: str, **words: Any) -> Any:
        """None where nobody listens, as between a fork and the next record."""
        for _ in range(100):
            try:
                with self.connect() as connection:
                    connection.sendall(json.dumps({"verb": verb, **words}).encode() + b"\n")
                    answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            except TimeoutError:
                self.outcome.fault(f"{verb} {words}: no answer in {PATIENCE_SECONDS:g} s")
                return None
            except OSError:
                answer = b""
            if answer:
                self.outcome.count("answers")
                return json.loads(answer)
            if self.process.poll() is not None:
                self.outcome.fault("the program is gone")
                return None
            time.sleep(0.05)
        self.outcome.fault(f"{verb}: nobody listens")
        return None

    def memory(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Chaos:
    """Which change comes next: all is decided by `random`, so that a seed tells all of them."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.random = random.Random(seed)
        self.subject = subject
        self.outcome = subject.outcome
        self.asking = ThreadPoolExecutor(12)
        self.asked: list[Future[None]] = []
        self.number = 0
        self.ways = {
            self.set: 30, self.off: 5, self.on: 8, self.revert: 5, self.look: 8, self.snapshot: 3, self.hostile: 4,
            self.save: 8, self.update: 12, self.pause: 2, self.collect: 2, self.load: 3, self.reload: 2, self.fork: 3, self.start: 1,
            self.signal: 1,
        }  # fmt: skip

    def change(self) -> None:
        """The next one. Nothing waits for it."""
        (way,) = self.random.choices([*self.ways], [*self.ways.values()])
        self.outcome.count(way.__name__)
        way()

    def ask(self, verb: str, **words: Any) -> None:
        def ask() -> None:
            answer = self.subject.ask(verb, **words)
            if answer is not None and "error" in answer and "no function is called" not in answer["error"]:
                self.outcome.fault(f"{verb} {words}: {answer['error']}")

        self.asked.append(self.asking.submit(ask))

    def cancel(self) -> int:
        """Ask for nothing more; how many changes that leaves unmade, as on a machine that is busy otherwise."""
        left = [asked for asked in self.asked if asked.cancel()]
        self.asking.shutdown()
        return len(left)

    def said(self) -> dict[str, Any]:
        choose = self.random.choice
        said: dict[str, Any] = {}
        if self.random.random() < 0.4:
            said["level"] = choose(LEVELS)
        if self.random.random() < 0.4:
            said["rate"] = choose([0, 0.1, 0.5, 1, 1])
        if self.random.random() < 0.4 or not said:
            said["capture"] = {
                "args": choose([True, False, ["x"], ["n", "self"]]), "return": choose([True, False]), "exceptions": choose([True, False]),
            }  # fmt: skip
        return said

    def set(self) -> None:
        said = self.said()
        if "capture" in said:
            said["capture"] = [*said["capture"].values(), None]
        if self.random.random() < 0.5:
            said["for"] = self.random.choice([0.05, 0.3, 1, 3])
        self.ask("set", target=self.random.choice(GLOBS), **said)

    def off(self) -> None:
        self.ask("off")

    def on(self) -> None:
        self.ask("on")

    def revert(self) -> None:
        self.ask("revert", **({} if self.random.random() < 0.5 else {"number": self.random.randrange(500)}))

    def look(self) -> None:
        self.ask(self.random.choice(["top", "get", "info"]))

    def snapshot(self) -> None:
        self.ask("snapshot", target=self.random.choice(GLOBS), calls=self.random.choice([1, 20]), **{"for": 0.5})

    def hostile(self) -> None:
        data, seconds = self.random.choice(HOSTILE), self.random.choice([0, 0.2, 1])

        def harass() -> None:
            try:
                with self.subject.connect(1.0) as connection:
                    connection.sendall(data)
                    time.sleep(seconds)
            except OSError:
                pass  # hung up on

        self.asking.submit(harass)

    def save(self) -> None:
        """The plan file, or the one it extends: written, replaced, deleted, broken, a link that leads elsewhere."""
        choose = self.random.choice
        path = choose([self.subject.plan, self.subject.plan, self.subject.other])
        text = BASE if path is self.subject.other else BASE + f"extends: {self.subject.other}\n"
        text += f"strategy: {choose(LEVELS[1:])}\nsampling: {{rate: {choose([0, 0.2, 1, 1, 1])}}}\n"
        text += f"capture: {{args: {choose(['true', 'false'])}, return: {choose(['true', 'false'])}}}\n"
        budget = choose(BUDGETS)
        if budget:
            text += f"budget: {{{budget}}}\n"
        text += f"modules: {{{choose(['kinds', 'service', 'later_1'])}: {{level: {choose(LEVELS)}}}}}\n"
        if self.random.random() < 0.2:
            text += f"include: [{choose(['kinds', 'service', 'nothing'])}]\n"
        self.number += 1
        new = self.subject.folder / f"new-{self.number % 4}.yaml"
        how = choose(["write", "replace", "link", "delete", "broken"])
        if how == "write":
            if path.is_symlink():
                path.unlink()
            path.write_text(text)
        elif how == "replace":
            new.write_text(text)
            os.replace(new, path)
        elif how == "link":
            place = self.subject.folder / f"data-{self.number % 4}-{path.stem}"
            place.mkdir(exist_ok=True)
            (place / "plan.yaml").write_text(text)
            link = self.subject.folder / "link"
            link.symlink_to(place / "plan.yaml")
            os.replace(link, path)
        elif how == "delete":
            path.unlink(missing_ok=True)
        else:
            new.write_text(choose(["strategy: [", "nonsense: 1\n", "", text[: len(text) // 2]]))
            os.replace(new, path)

    def update(self) -> None:
        said = self.said()
        if self.random.random() < 0.5:
            said["for_"] = self.random.choice([0.05, 0.3, 1, 3])
        self.subject.order("update", self.random.choice(GLOBS), said)

    def pause(self) -> None:
        self.subject.order("pause", self.random.choice([0, 0.05, 0.2]))

    def collect(self) -> None:
        self.subject.order("collect")

    def load(self) -> None:
        self.subject.order("load", f"later_{self.random.randrange(MODULES)}", expected=MADE)

    def reload(self) -> None:
        name = f"later_{self.random.randrange(MODULES)}"
        self.subject.order("load", name, expected=MADE)
        self.subject.order("reload", name, expected=MADE)

    def fork(self) -> None:
        self.subject.order(self.random.choice(["fork_in_thread", "fork_in_main"]))

    def signal(self) -> None:
        self.subject.process.send_signal(signal.SIGUSR1)

    def start(self) -> None:
        self.subject.order("start", self.random.choice(["fork", "spawn"]))


def request(subject: Subject, over: threading.Event, first: int) -> None:
    """One client after the other: every request has its answer, and the right one."""
    outcome, n = subject.outcome, first
    while not over.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=60)
        try:
            for _ in range(50):
                n += 2
                connection.request("GET", f"/?n={n}")
                answer = connection.getresponse()
                told = json.loads(answer.read())
                right = {
                    "n": n, "together": [n * n, (n + 1) ** 2, (n + 2) ** 2], "cached": (n % 10) ** 2, "digits": [*str(n)],
                    "late": True, "squares": [number * number for number in range(n % 5)],
                }  # fmt: skip
                outcome.count("requests")
                if (answer.status, told) != (200, right):
                    outcome.fault(f"request {n}: {answer.status} {told}")
                time.sleep(0.01)
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome.fault(f"request {n} was lost: {type(error).__name__}: {error}")
        finally:
            connection.close()


def functions(folder: Path) -> set[tuple[str, str]]:
    """(file, qualified name) of every function of the program."""
    found = set()

    def visit(node: ast.AST, file: str, before: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = getattr(child, "name", None)
            kind = type(child).__name__
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                qualname = before + (name or "<lambda>")
                found.add((file, qualname))
                visit(child, file, qualname + ".<locals>.")
            elif isinstance(child, ast.ClassDef):
                visit(child, file, f"{before}{name}.")
            elif kind in ("ListComp", "SetComp", "DictComp", "GeneratorExp"):
                word = {
                    "ListComp": "listcomp",
                    "SetComp": "setcomp",
                    "DictComp": "dictcomp",
                    "GeneratorExp": "genexpr",
                }[kind]
                found.add((file, f"{before}<{word}>"))
                visit(child, file, f"{before}<{word}>.<locals>.")
                visit(child, file, before)  # from 3.12 on it is no function
            else:
                visit(child, file, before)

    for file in folder.glob("*.py"):
        visit(ast.parse(file.read_text()), str(file), "")
    return found


def check_spans(subject: Subject, outcome: Outcome) -> None:
    """Every stored span: known by name, ended after it began, unique, its parent there and of its trace."""
    folder = subject.folder / "program"
    known = functions(folder)
    store = str(subject.folder / "store")
    names = list_runs(store)
    if len(names) != 1:
        outcome.fault(f"{len(names)} runs of one program")
        return
    run = open_run(store)
    where: dict[int, int] = {}
    spans = 0
    for span in run.spans():
        spans += 1
        if span.span_id in where:
            outcome.fault(f"{span.name}: its id is there twice")
        where[span.span_id] = span.trace_id
        module, qualname = Path(span.file).stem, span.name.partition(".")[2]
        if (span.file, qualname) not in known or span.name.partition(".")[0] not in (module, "__main__", "__mp_main__"):
            outcome.fault(f"{span.name} in {span.file}: there is no such function")
        if span.duration_ns < 0:
            outcome.fault(f"{span.name}: it ended before it began")
    lost, dropped = 0, run.meta["counters"]["dropped"]
    for span in run.spans():
        if span.parent_id and where.get(span.parent_id) != span.trace_id:
            lost += 1
            if lost <= 10 and not dropped:  # those that were dropped are nowhere
                word = "nowhere" if span.parent_id not in where else "of another trace"
                outcome.fault(f"{span.name}: its parent is {word}")
    for process in run.processes:
        if process.state != "finished":
            outcome.fault(f"process {process.pid}: {process.state}")
    outcome.faults.extend(run.notes)
    outcome.told |= {
        "spans": spans,
        "processes": len(run.processes),
        "dropped": dropped,
        "parents lost": lost,
    }


def until(ask: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
    """What is answered at last: asked again and again until it is good."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_good(found := ask()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def chaos(folder: Path, seconds: float, seed: int, python: str = sys.executable, rate: float = RATE) -> Outcome:
    """Run it; `folder` is empty."""
    outcome = Outcome()
    subject = Subject(folder, python, outcome)
    try:
        _chaos(subject, seconds, seed, rate)
    finally:
        if subject.process.poll() is None:
            outcome.fault("it had to be killed")
            subject.process.kill()
            subject.process.wait()
        for stream in (subject.errors, subject.process.stdin, subject.process.stdout):
            stream.close()
    check_spans(subject, outcome)
    return outcome


def _chaos(subject: Subject, seconds: float, seed: int, rate: float) -> None:
    outcome = subject.outcome
    deadline = time.monotonic() + 30
    while not subject.socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    source = Chaos(subject, seed)
    over = threading.Event()
    clients = [threading.Thread(target=request, args=(subject, over, first)) for first in range(2)]
    for client in clients:
        client.start()
    began = time.monotonic()
    settled = min(seconds * SETTLED, 60.0)
    memory: list[tuple[float, int]] = []
    sizes: list[dict[str, Any]] = []
    changes = 0
    while (now := time.monotonic() - began) < seconds and subject.process.poll() is None:
        if now > (len(memory) + 1) * 0.5:
            memory.append((now, subject.memory()))
        if not sizes and now > settled:
            sizes.append(subject.order("size", wait=True))
        source.change()
        changes += 1
        time.sleep(max(0.0, began + changes / rate - time.monotonic()))
    outcome.told |= {"changes": changes, "a second": round(changes / (time.monotonic() - began), 1)}
    outcome.told["not made in time"] = source.cancel()
    over.set()
    for client in clients:
        client.join()
    if subject.process.poll() is not None:
        outcome.fault(f"it ended by itself, with {subject.process.returncode}")
        return
    # What it is when all is taken back, and off: with a budget, under which functions have a third and a fourth code object, and without one.
    for budget in ("budget: {overhead: 0.2%}\n", ""):
        subject.plan.unlink(missing_ok=True)
        subject.plan.write_text(BASE + "strategy: full_trace\n" + budget)
        subject.ask("revert")
        subject.ask("on")
        time.sleep(4.0 if budget else 2.0)
        if budget:
            outcome.told["states"] = until(lambda: subject.order("states", wait=True), lambda found: "windows" in found)
            if "windows" not in outcome.told["states"]:
                outcome.fault("no function is in windows under the least budget: it was not tried")
        else:
            sizes.append(subject.order("size", wait=True))
        if not subject.order("wrong", wait=True)[0]:
            outcome.fault("no function is woven when everything is on: nothing was tried")
        subject.ask("off")
        # A call that ran when that was said makes functions of its parts until it ends, and those are looked for.
        wrong = until(lambda: subject.order("wrong", wait=True), lambda found: not found[0])
        outcome.told["functions"] = wrong[1]
        for text in wrong[0]:
            outcome.fault(f"after off{', with a budget' if budget else ''}: {text}")
    subject.ask("on")
    for number in range(NUMBERS):
        subject.order("load", f"later_{number % MODULES}", expected=MADE)
    subject.order("collect", wait=True)
    subject.process.stdin.write('["end"]\n')
    subject.process.stdin.flush()
    try:
        status = subject.process.wait(60)
    except subprocess.TimeoutExpired:
        outcome.fault("it does not end")
        return
    subject.lines.join(10)
    if status:
        outcome.fault(f"exit code {status}")
    told = outcome.told.get("program", {})
    for text in told.pop("wrong", ["nothing was told"]):
        outcome.fault(f"wrong: {text}")
    if told.get("answered") != outcome.counts.get("requests"):
        outcome.fault(f"{outcome.counts.get('requests')} requests, {told.get('answered')} answered")
    subject.errors.seek(0)
    for line in subject.errors:
        if not any(f"({slug})" in line for slug in NOTICES):
            outcome.fault(f"on standard error: {line.rstrip()}")
    outcome.told["memory over time, MiB"] = [round(size / 2**20, 1) for _, size in memory[:: max(len(memory) // 24, 1)]]
    first = [size for at, size in memory if settled <= at < settled + max(seconds / 10, 2)]
    last = [size for at, size in memory if at > seconds - max(seconds / 10, 2)]
    if first and last:
        before, after = statistics.median(first), statistics.median(last)
        outcome.told["memory"] = f"{before / 2**20:.1f} MiB, at the end {after / 2**20:.1f} MiB"
        if after > before * (1 + GROWTH) + GROWTH_BYTES + RECORD_BYTES * sizes[-1]["waiting"]:
            outcome.fault(f"memory grew: {outcome.told['memory']}")
    outcome.told["sizes"] = sizes
    # What is in use, beside what the allocator keeps of it.
    for name in ("allocated", "blocks", "Site"):
        begun, ended = sizes[0][name], sizes[-1][name]
        if begun is not None and ended > 1.5 * begun + USED[name]:
            outcome.fault(f"{name} grew: {begun:,}, at the end {ended:,}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="(default: another each time)")
    parser.add_argument("--rate", type=float, default=RATE, help=f"changes a second (default: {RATE})")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the program")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="an empty directory; nothing in it is removed")
    arguments = parser.parse_args()
    seed = random.randrange(1 << 30) if arguments.seed is None else arguments.seed
    print(f"autoscope {autoscope.__version__}, seed {seed}", flush=True)
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(exist_ok=True)
    try:
        outcome = chaos(folder, arguments.seconds, seed, arguments.python, arguments.rate)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(outcome.counts, indent=1))
    print(json.dumps(outcome.told, indent=1))
    for fault in outcome.faults:
        print(f"FAULT {fault}")
    print(f"{len(outcome.faults)} faults")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
