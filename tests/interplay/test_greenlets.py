"""greenlet and gevent: each greenlet has a context of its own, and nothing of one is current in another."""

from __future__ import annotations

import pytest
from interplay_kit import same

from program_kit import run


def test_greenlets(tmp_path):
    """Switching in the midst of calls, generators and exceptions; throwing in; killing by garbage collection."""
    pytest.importorskip("greenlet")
    program = """
    import contextvars, gc
    import greenlet
    from greenlet import getcurrent
    own = contextvars.ContextVar("own", default="unset")
    main = getcurrent()
    def inner(name, n):
        own.set((name, n))
        got = main.switch(name, n)
        return name, n, got, own.get(), len(name)
    def worker(name):
        for n in range(3):
            print(inner(name, n))
        return [x for x in steps(name)]
    def steps(name):
        for n in range(2):
            yield main.switch(name, "step", n)
    def caught(name):
        try: inner(name, 0)
        except ValueError as error: return repr(error), own.get()
        finally: print("finally", name)
    def run():
        greenlets = [greenlet.greenlet(worker) for _ in range(3)]
        values = [g.switch(f"g{i}") for i, g in enumerate(greenlets)]
        while any(greenlets):
            print(values, own.get())
            values = [g.switch(v and v[0]) for g, v in zip(greenlets, values) if g]
        print(values)
        g = greenlet.greenlet(caught); g.switch("thrown"); print(g.throw(ValueError("in")))
        g = greenlet.greenlet(caught); g.switch("killed"); del g; gc.collect()
        g = greenlet.greenlet(caught); g.gr_context = contextvars.copy_context(); g.switch("given"); print(g.throw(ValueError), own.get())
        return own.get()
    print(run())
    """
    ran = same(tmp_path, program, recorded=("run", "worker", "inner", "steps", "caught"))
    ran.whole()
    for name, parents in (("inner", {"worker", "caught"}), ("steps", {"worker"}), ("worker", {None}), ("run", {None})):
        assert {ran.parent_name(span) for span in ran.named(name)} == parents


GEVENT = """
from gevent import monkey
monkey.patch_all()
import contextvars, queue, socket, subprocess, sys, threading, time, gevent
from gevent.pool import Pool
from gevent.server import StreamServer
own = contextvars.ContextVar("own", default="unset")
def work(n):
    own.set(n)
    time.sleep(0.001 * (3 - n))
    return nested(n)
def nested(n):
    gevent.sleep(0)
    return n, own.get(), len([n])
def slow():
    try: time.sleep(30)
    finally: print("killed", nested(0)[0])
def handle(connection, address):
    connection.sendall(connection.recv(10).upper())
def main():
    print([g.get() for g in [gevent.spawn(work, n) for n in range(3)]], Pool(2).map(work, range(3)), own.get())
    g = gevent.spawn(slow); gevent.sleep(0.01); g.kill(); print(type(g.value))
    try:
        with gevent.Timeout(0.01): slow()
    except gevent.Timeout as error: print(error)
    server = StreamServer(("127.0.0.1", 0), handle); server.start()
    with socket.create_connection(("127.0.0.1", server.server_port)) as s: s.sendall(b"hello"); print(s.recv(10))
    server.stop()
    gate = threading.Event()
    threads = [threading.Thread(target=lambda n: (gate.wait(), work(n)), args=(n,), name=f"t{n}") for n in range(3)]
    for t in threads: t.start()
    print(sorted(t.name for t in threading.enumerate()))
    gate.set()
    for t in threads: t.join()
    print(gevent.get_hub().threadpool.apply(nested_native, (5,)))
    print(subprocess.run([sys.executable, "-S", "-c", "print(2)"], capture_output=True).stdout)
    import os
    pid = os.fork()
    if not pid:
        print("child", nested(1), flush=True)
        os._exit(3)
    print(os.waitpid(pid, 0)[1])
def nested_native(n): return n, len([n])
main()
time.sleep(0.25)  # our threads have something to do meanwhile
print(nested(9), threading.active_count(), threading.main_thread() is threading.current_thread())
"""


def test_gevent(tmp_path):
    """The standard library patched behind us: sleeping, sockets, threads, subprocesses, a fork; greenlets killed and timed out."""
    pytest.importorskip("gevent")
    ran = same(tmp_path, GEVENT, recorded=("main", "work", "nested", "slow", "handle"), env={"PYTHONUNBUFFERED": "1"},
               mask="pid=[0-9]+")  # fmt: skip
    ran.whole()
    assert {ran.parent_name(span) for span in ran.named("work")} == {None}
    assert {ran.parent_name(span) for span in ran.named("nested")} <= {"work", "slow", "main", None}


def test_pain_11_gevent_and_a_server(tmp_path):
    """Spans go over a socket as `socket` was or is, patched; nothing recurses, nothing hangs (ssl is patched late by many)."""
    pytest.importorskip("gevent")
    endpoint = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "AUTOSCOPE_SILENCE": "export-failed",
        "AUTOSCOPE_STORE": "",
    }
    plain = run(tmp_path, GEVENT, plain=True, env={"PYTHONUNBUFFERED": "1"})
    traced = run(tmp_path, GEVENT, env=endpoint | {"PYTHONUNBUFFERED": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "300"})
    assert (traced.out, traced.err) == (plain.out, plain.err)
