"""Debuggers and profilers see the author's functions: the same lines, stops, frames, calls."""

from __future__ import annotations

import os
import sysconfig
import textwrap

import pytest
from interplay_kit import QUIET, same

from program_kit import SOURCES

SHOP = """
import functools, sys
def price(sku, *, rate=2):
    base = len(sku)
    total = base * rate
    return total
def prices(skus):
    for sku in skus:
        yield price(sku)
class Cart:
    def __init__(self): self.items = {}
    def add(self, sku):
        self.items[sku] = price(sku)
        return self
    @property
    def total(self): return sum(self.items.values())
async def later(sku):
    result = price(sku)
    return result
def fails(sku):
    wrong = sku + "?"
    raise KeyError(wrong)
def main():
    cart = Cart().add("abc").add("de")
    print(cart.total, list(prices(["x", "yz"])))
    try: later("q").send(None)
    except StopIteration as stop: print(stop.value)
    try: fails("s")
    except KeyError as error: return error
    return cart
if __name__ == "__main__":
    main()
"""


def test_pdb(tmp_path):
    """Breakpoints by line, function and condition; stepping in, out, over and until; where, args, locals, return values; post mortem."""
    commands = """
    b price
    b 6, base == 2
    tbreak Cart.add
    b fails
    b
    c
    w
    a
    n
    s
    w
    a
    n
    p sorted(locals())
    r
    pp $_exitcode if False else __return__
    n
    up
    l .
    down
    c
    p base, rate
    cl 1
    until 26
    s
    s
    w
    c
    p sku, wrong if 'wrong' in locals() else ''
    n
    n
    n
    ll
    u
    p sorted(locals())
    display sku
    whatis main
    source price
    disable
    c
    q
    """
    stdin = "\n".join(line.strip() for line in commands.splitlines()[1:])
    ran = same(tmp_path, SHOP, "-m", "pdb", "app.py", recorded=(), stdin=stdin, mask=r"\.\.\.x[0-9a-f]+")
    assert "Breakpoint 1 at" in ran.out
    # `-m pdb` runs the script itself; woven is what it imports.
    files = {
        "shop.py": SHOP,
        "app.py": "import shop, pdb\npdb.run('shop.main()')\ntry: shop.fails('z')\nexcept KeyError: pdb.post_mortem()\n",
    }
    stdin = (
        stdin.replace("b price", "b shop.price")
        .replace("b 6", "b shop:6")
        .replace("tbreak ", "tbreak shop.")
        .replace("b fails", "b shop.fails")
    )
    stdin = stdin.replace("\nq", "\nc\nw\np wrong\nu\np sorted(locals())\nq\n")
    # Where arguments are captured, a step into a function is a step into ours first.
    for strategy, typed in (
        ("balanced", stdin),
        ("full_trace", stdin.replace("\ns\n", "\nn\n").replace("\ns\n", "\nn\n")),
    ):
        ran = same(tmp_path / strategy, files, recorded=("shop.price", "shop.Cart.add"), stdin=typed, mask=r"\.\.\.x[0-9a-f]+",
                   strategies=(strategy,))  # fmt: skip
        assert "shop.py(5)price()" in ran.out
        assert "fails()" in ran.out


CLIENT = """
import itertools, json, os, socket, subprocess, sys

class Client:
    '''The Debug Adapter Protocol, as an editor speaks it.'''
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=50).makefile("rwb")
        self.numbers, self.waiting = itertools.count(1), []
    def send(self, command, **arguments):
        number = next(self.numbers)
        body = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self.stream.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        self.stream.flush()
        return number
    def read(self):
        length = int(self.stream.readline().split(b":")[1])
        self.stream.readline()
        return json.loads(self.stream.read(length))
    def until(self, wanted):
        for message in self.waiting:
            if wanted(message):
                self.waiting.remove(message)
                return message
        while True:
            message = self.read()
            if wanted(message): return message
            self.waiting.append(message)
    def event(self, *names): return self.until(lambda m: m.get("event") in names)
    def ask(self, command, **arguments):
        number = self.send(command, **arguments)
        answer = self.until(lambda m: m.get("request_seq") == number)
        assert answer["success"], answer
        return answer.get("body")

log = []
client = Client(int(sys.argv[1]))
client.ask("initialize", adapterID="test", clientID="test")
attach = client.send("attach", justMyCode=True)
client.event("initialized")
file = os.path.abspath("shop.py")
marks = client.ask("setBreakpoints", source={"path": file}, breakpoints=[{"line": 5}, {"line": 9, "condition": "sku == 'yz'"}, {"line": 13, "logMessage": "adding {sku}"}])
log.append([(b["verified"], b["line"]) for b in marks["breakpoints"]])
client.ask("setFunctionBreakpoints", breakpoints=[{"name": "later"}])
client.ask("setExceptionBreakpoints", filters=["raised"])
client.ask("configurationDone")
client.until(lambda m: m.get("request_seq") == attach)
steps = iter(["next", "stepOut", "stepIn", "next", "next"])
while True:
    event = client.event("stopped", "terminated", "exited")
    if event["event"] != "stopped": break
    body = event["body"]
    frames = client.ask("stackTrace", threadId=body["threadId"])["stackFrames"]
    mine = [(f["name"], f["line"], os.path.basename(f["source"].get("path", ""))) for f in frames]
    scopes = client.ask("scopes", frameId=frames[0]["id"])["scopes"]
    names = [v["name"] for v in client.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]]
    try: value = client.ask("evaluate", expression="sku * 2", frameId=frames[0]["id"], context="watch")["result"]
    except AssertionError: value = None
    log.append((body["reason"], mine, names, value))
    if mine[0][0] == "finished": client.send("disconnect", terminateDebuggee=False); break
    client.ask(next(steps, "continue"), threadId=body["threadId"])
for entry in log: print(entry)
print(len(log))
"""

DEBUGGED = """
import subprocess, sys, threading
import debugpy
debugpy.configure(subProcess=False)
port = debugpy.listen(0)[1]
editor = subprocess.Popen([sys.executable, "-S", "client.py", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
debugpy.wait_for_client()
import shop
print(shop.main())
def finished():
    print(threading.enumerate())
    debugpy.breakpoint()
    return None
finished()
print(editor.communicate(timeout=50)[0])
"""


@pytest.mark.parametrize("before", ["", "import shop; shop.main()" + QUIET], ids=["from the start", "attached"])
def test_debugpy(before, tmp_path):
    """An editor's breakpoints, with conditions, log points, by function and on exceptions; steps, stacks, variables, watches."""
    pytest.importorskip("debugpy")
    env = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # What a debugger takes for the user's own code is all that is not installed: a checkout of ours is installed here.
    paths = sysconfig.get_paths()
    env["LIBRARY_ROOTS"] = os.pathsep.join([paths["stdlib"], paths["purelib"], paths["platlib"], str(SOURCES)])
    # The debugger stops every thread that `threading` knows: one of ours, stopped, would be a stop and a thread too many.
    ran = same(tmp_path, {"app.py": before + DEBUGGED, "client.py": CLIENT, "shop.py": SHOP}, recorded=("shop.price", "shop.Cart.add", "shop.prices"), env=env,
               strategies=("full_trace",), mask=r"started \d+")  # fmt: skip
    assert "('breakpoint', [('price', 5, 'shop.py')" in ran.out
    assert "('exception', [('fails'" in ran.out


def test_profilers(tmp_path):
    """cProfile counts the same calls of the same functions; whoever sets a profile or trace function, by thread or not, sees the same
    calls, lines and returns of the program's functions; `sys.monitoring` too."""
    program = """
    import cProfile, pstats, sys, threading, trace
    import shop
    # cProfile sees all threads from 3.12 on, and takes calls of one for calls of the other. Ours are up and asleep now.
    shop.main()
    exec(QUIET)
    profile = cProfile.Profile(builtins=False)
    profile.runcall(shop.main)
    stats = pstats.Stats(profile).stats
    mine = {key[1:]: (value[0], value[1], sorted(caller[1:] for caller in value[4])) for key, value in stats.items() if "shop" in key[0]}
    print(sorted(mine.items()))
    seen = []
    def note(frame, event, arg):
        if "shop" in frame.f_code.co_filename and event[0] != "c":
            seen.append((frame.f_code.co_name, event, frame.f_lineno, sorted(frame.f_locals)))
        return note
    for set_it, unset in ((sys.setprofile, sys.setprofile), (sys.settrace, sys.settrace)):
        set_it(note); shop.main(); unset(None)
        print(len(seen), seen); seen.clear()
    def thread():
        shop.main()
    threading.setprofile(note); t = threading.Thread(target=thread); t.start(); t.join(); threading.setprofile(None)
    print(len(seen), seen); seen.clear()
    counted = trace.Trace(count=1, trace=0, countfuncs=0)
    counted.runfunc(shop.main)
    print(sorted((line, n) for (file, line), n in counted.results().counts.items() if "shop" in file))
    if hasattr(sys, "monitoring"):
        m, E = sys.monitoring, sys.monitoring.events
        m.use_tool_id(m.PROFILER_ID, "mine")
        wanted = ("PY_START", "PY_RETURN", "PY_YIELD", "PY_RESUME", "PY_UNWIND", "RAISE", "LINE")
        for name in wanted:
            def callback(code, *arguments, name=name):
                if "shop" in code.co_filename: seen.append((name, code.co_name, arguments[0] if name == "LINE" else ""))
            m.register_callback(m.PROFILER_ID, getattr(E, name), callback)
        m.set_events(m.PROFILER_ID, sum(getattr(E, name) for name in wanted))
        shop.main()
        m.set_events(m.PROFILER_ID, 0)
        print(len(seen), seen)
    """
    ran = same(tmp_path, {"app.py": textwrap.dedent(program).replace("exec(QUIET)", QUIET), "shop.py": SHOP}, recorded=("shop.price", "shop.Cart.add", "shop.prices"),
               traced={"OTEL_BSP_SCHEDULE_DELAY": "60000"})  # fmt: skip
    assert "('price'" in ran.out


def test_hooks_set_in_all_threads(tmp_path):
    """What a program sets in all threads that run is unset in ours as they wake, and `threading` never gets to know them."""
    program = """
    import _thread, sys, threading, time
    def work(x): return len(x)
    work("up and running")
    exec(QUIET)
    seen, started, go = set(), threading.Event(), threading.Event()
    def note(frame, event, arg):
        thread = threading._active.get(_thread.get_ident())
        seen.add((thread and thread.name, frame.f_code.co_name))
    def body():
        started.set(); go.wait(); work("a")
    thread = threading.Thread(target=body, name="mine"); thread.start(); started.wait()
    for name in ("settrace_all_threads", "setprofile_all_threads"):
        if hasattr(threading, name): getattr(threading, name)(note)
    for _ in range(5): work("b"); time.sleep(0.05)  # our threads wake, every 20 ms
    go.set(); thread.join()
    for name in ("settrace_all_threads", "setprofile_all_threads"):
        if hasattr(threading, name): getattr(threading, name)(None)
    print([at for at in sorted(seen, key=str) if at[1] in ("work", "body") or at[0] is None and at[1] not in ("run", "stay_unknown") and at[1][0] != "_"])
    """
    ran = same(
        tmp_path,
        textwrap.dedent(program).replace("exec(QUIET)", QUIET),
        recorded="work",
        traced={"OTEL_BSP_SCHEDULE_DELAY": "20"},
    )
    assert ran.out.strip() == "[]" or "('MainThread', 'work')" in ran.out  # there is no such hook before 3.12
