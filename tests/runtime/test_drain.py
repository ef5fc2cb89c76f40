"""The drain: nothing lost at any end a process can come to, nothing twice, memory bounded, nothing to be seen of it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from program_kit import read, run, start

WORK = """
def work(n):
    return sum(range(n))

"""
COUNT = 3000
RUN = f"""
    for _ in range({COUNT}):
        work(3)
"""


def program(text):
    return WORK + text


# -- ends


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", 0),
        ("    import sys; sys.exit(3)", 3),
        ("    raise SystemExit('bye')", 1),
        ("    raise ValueError('no')", 1),
        ("    import os, signal; os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(30)", -signal.SIGTERM),
        ("    import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(30)", -signal.SIGINT),
        ("    import threading; threading.Thread(target=work, args=(5,)).start()", 0),
        ("    import atexit; atexit.register(work, 5)", 0),
    ],
    ids=["end", "exit", "exit with text", "exception", "SIGTERM", "SIGINT", "thread", "atexit"],
)
def test_nothing_is_lost_at_the_end(tmp_path, ending, status):
    """However a program ends by its own or a handled signal's doing, every call is there and the status is its own."""
    text = program(f"def main():{RUN}{ending}\nmain()\n")
    ran = run(tmp_path, text, check=False)
    plain = run(tmp_path, text, check=False, plain=True)
    assert (ran.status, ran.out, ran.err) == (plain.status, plain.out, plain.err)
    assert ran.status == status
    extra = "threading" in ending or "atexit" in ending
    assert ran.names["work"] == COUNT + extra
    assert ran.meta["counters"] == {
        "recorded": len(ran.spans), "dropped": 0, "sampled_out": 0, "exported": len(ran.spans)
    }  # fmt: skip
    if status >= 0:
        ran.whole()


def test_a_handler_of_the_programs_is_called(tmp_path):
    """The program's own SIGTERM handler is what runs, and its previous one is what plain Python would have said."""
    text = program(
        f"""
import os, signal, sys, time

print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)

def handler(number, frame):
    work(2)
    print("handled", number)
    if callable(before):
        before(number, frame)
    sys.exit(7)

before = signal.signal(signal.SIGTERM, handler)
print(before, callable(before))

def main():{RUN}
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)

main()
"""
    )
    ran = run(tmp_path, text, check=False)
    plain = run(tmp_path, text, check=False, plain=True)
    assert (ran.status, ran.out, ran.err) == (plain.status, plain.out, plain.err)
    assert ran.status == 7
    assert "handled 15" in ran.out
    assert ran.names["work"] == COUNT + 1
    ran.whole()


def test_the_default_can_be_put_back(tmp_path):
    """What libraries do round a block: take the handler, and put back what was there. SIGTERM still ends the process."""
    text = program(
        """
import os, signal, time
before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, before)
print("still here", flush=True)
work(1)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
"""
    )
    ran = run(tmp_path, text, check=False)
    assert (ran.status, ran.out) == (-signal.SIGTERM, "still here\n")


def test_sigterm_while_ending(tmp_path):
    """A SIGTERM that comes while what is left is being written: everything is written, and the status is the signal's."""
    text = program(
        f"""
import os, signal, sys
from autoscope.export.store import StoreExporter
real = StoreExporter.export

def export(self, records):
    if "--over" in sys.argv:
        sys.argv.remove("--over")
        os.kill(os.getpid(), signal.SIGTERM)
    real(self, records)

StoreExporter.export = export

def main():{RUN}

main()
sys.argv.append("--over")
"""
    )
    ran = run(tmp_path, text, check=False, env={"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert ran.status == -signal.SIGTERM
    assert ran.names["work"] == COUNT


def test_kill_leaves_what_was_drained(tmp_path):
    """`kill -9`: what the drain had taken is readable."""
    text = program(
        f"import autoscope, time\ndef main():{RUN}\nmain()\nautoscope.flush()\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    process = start(tmp_path, text)
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    found, spans, _ = read(tmp_path)
    assert len(spans) == COUNT + 1
    assert found.processes[0].state == "killed"
    assert found.meta["counters"]["recorded"] == COUNT + 1


def test_kill_leaves_the_counts_of_the_last_second(tmp_path):
    """They are written now and then, not only when the program asks or ends."""
    text = program("import time\nfor number in range(100):\n    work(number)\n    time.sleep(0.1)\n")
    process = start(tmp_path, text)
    found = None
    for _ in range(100):
        time.sleep(0.2)
        found = read(tmp_path)[0]
        if found is not None and found.meta.get("counters", {}).get("recorded", 0) >= 9:
            break
    process.kill()
    process.communicate()
    assert found.meta["counters"]["recorded"] >= 9


def test_threads_at_full_speed(tmp_path):
    """Eight threads: every call is there once, each thread has traces of its own."""
    text = program(
        """
import threading

def job():
    for _ in range(2000):
        work(1)

def main():
    threads = [threading.Thread(target=job) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

main()
"""
    )
    ran = run(tmp_path, text)
    assert ran.names == {"work": 16000, "job": 8, "main": 1}
    ran.whole()
    assert len({span.trace_id for span in ran.named("job")}) == 8
    assert all(ran.parent_name(span) == "job" for span in ran.named("work"))


def test_daemon_threads_at_exit(tmp_path):
    """A daemon thread that goes on while the process ends: what was counted is there or counted as dropped."""
    text = program(
        """
import threading

def job():
    while True:
        work(1)

threading.Thread(target=job, daemon=True).start()
for _ in range(2000):
    work(1)
"""
    )
    ran = run(tmp_path, text)
    counters = ran.meta["counters"]
    assert counters["recorded"] == counters["exported"] + counters["dropped"]
    assert counters["exported"] == len(ran.spans) >= 2000


# -- forks


FORK = program(
    """
import os, sys

def child(depth):
    for _ in range(500):
        work(1)
    if depth:
        fork(depth - 1)

def fork(depth):
    for _ in range(500):
        work(1)
    pid = os.fork()
    if pid == 0:
        child(depth)
        %s
    assert os.waitpid(pid, 0)[1] == 0
    for _ in range(500):
        work(1)

def main():
    fork(int(sys.argv[1]))

main()
"""
)


@pytest.mark.parametrize("ending", ["sys.exit(0)", "return", "raise SystemExit"])
@pytest.mark.parametrize("depth", [0, 2])
def test_fork(tmp_path, ending, depth):
    """Parent and child trace on, also nested; calls that were open at the fork return twice and are recorded once."""
    ran = run(tmp_path, FORK % ending, depth, flags=("-W", "error"))
    ran.whole()
    forks = depth + 1
    assert ran.names == {"work": 1500 * forks, "child": forks, "fork": forks, "main": 1}
    assert len(ran.processes) == forks + 1
    assert len({span.trace_id for span in ran.spans}) == 1
    assert all(ran.parent_name(span) == "fork" for span in ran.named("child"))
    assert all(process.meta["counters"]["dropped"] == 0 for process in ran.processes)
    recorded = sum(process.meta["counters"]["recorded"] for process in ran.processes)
    assert recorded == len(ran.spans)
    assert ran.err == ""


def test_open_calls_of_every_kind_at_a_fork(tmp_path):
    """Captured calls, generators and failing ones that were open at a fork are recorded once, too."""
    text = program(
        """
import os

def steps():
    yield 1
    yield 2

def main(n):
    g = steps()
    next(g)
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    list(g)
    raise SystemExit(0)

main(1)
"""
    )
    ran = run(tmp_path, text, strategy="full_trace", flags=("-W", "error"))
    ran.whole()
    assert ran.names == {"steps": 1, "main": 1}


def test_fork_raises_no_warning_of_ours(tmp_path):
    """Many forks of a process that records all the time: none finds a thread of ours (3.12 warns if there is one)."""
    text = program(
        """
import os
for _ in range(60):
    work(1)
    if not os.fork():
        work(2)
        os._exit(0)
    os.wait()
    work(3)
print("done")
"""
    )
    ran = run(tmp_path, text, flags=("-W", "error"))
    assert (ran.out, ran.err) == ("done\n", "")
    assert ran.names["work"] >= 120


def test_exit_without_ceremony_in_a_child(tmp_path):
    """`os._exit` in a child, as children that were only forked end: nothing is lost."""
    text = program(
        """
import os
pid = os.fork()
if not pid:
    for _ in range(100): work(1)
    os._exit(0)
os.waitpid(pid, 0)
"""
    )
    ran = run(tmp_path, text)
    assert ran.names == {"work": 100}


def test_exit_without_ceremony(tmp_path):
    """`os._exit` anywhere, a thread too: everything is there, and what the program had not flushed is not."""
    text = program(
        """
import os, sys, threading, inspect
print(os._exit.__name__, os._exit.__module__, inspect.signature(os._exit), os._exit.__doc__)
try: os._exit("3")
except TypeError as error: print(error)
sys.stdout.flush()
print("never seen")
def end():
    for _ in range(1000): work(1)
    os._exit(status=3)
threading.Thread(target=end).start()
"""
    )
    ran, plain = run(tmp_path, text, check=False), run(tmp_path, text, check=False, plain=True)
    assert (ran.status, ran.out, ran.err) == (plain.status, plain.out, plain.err)
    assert ran.names == {"work": 1000}
    assert ran.meta["counters"]["recorded"] == 1000


def test_exit_without_ceremony_while_the_store_is_imported(tmp_path):
    """`os._exit` when our thread has taken what was recorded, and has nowhere to put it yet."""
    text = program(
        '''
import os, sys, threading, time
made = threading.Event()
exec("""def watch(event, args):  # not woven: it must record nothing
    if event == "import" and args[0] == "autoscope.export.destinations":
        made.set()
        time.sleep(0.3)
""")
sys.addaudithook(watch)
work(1)
made.wait()
os._exit(3)
'''
    )
    ran = run(tmp_path, text, check=False)
    assert (ran.status, ran.out, ran.err) == (3, "", "")
    assert ran.names == {"work": 1}


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("what", ["Process", "Pool", "Executor"])
def test_multiprocessing(tmp_path, how, what):
    """Every way of starting a process, and pools of them: all calls are there, once."""
    text = program(
        """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def job(n):
    for _ in range(200):
        work(1)
    return n

def main(how, what):
    context = multiprocessing.get_context(how)
    if what == "Process":
        processes = [context.Process(target=job, args=(n,)) for n in range(3)]
        for process in processes: process.start()
        for process in processes: process.join()
        assert all(process.exitcode == 0 for process in processes)
    elif what == "Pool":
        with context.Pool(2) as pool:
            assert pool.map(job, range(3)) == [0, 1, 2]
            pool.close()
            pool.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            assert list(pool.map(job, range(3))) == [0, 1, 2]

if __name__ == "__main__":
    main(*sys.argv[1:])
"""
    )
    ran = run(tmp_path, text, how, what)
    assert len({span.span_id for span in ran.spans}) == len(ran.spans)
    names = {name.rpartition(".")[2]: 0 for name in ran.names}
    for span in ran.spans:
        names[span.name.rpartition(".")[2]] += 1
    assert names == {"work": 600, "job": 3, "main": 1}
    assert "Traceback" not in ran.err


# -- bounds


@pytest.mark.parametrize("queue", ["100", "5000", None])
def test_the_buffer_is_bounded_and_counted(tmp_path, queue):
    """Whatever the queue's size: what was called was recorded, and that is what was exported and dropped, exactly."""
    text = program(
        """
import autoscope, resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(150_000):
    work(1)
autoscope.flush()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    )
    env = {} if queue is None else {"OTEL_BSP_MAX_QUEUE_SIZE": queue}
    ran = run(tmp_path, text, env=env)
    counters = ran.meta["counters"]
    assert counters["recorded"] == 150_000
    assert counters["exported"] + counters["dropped"] == 150_000
    assert counters["exported"] == len(ran.spans)
    assert int(ran.out) < 100_000, "kilobytes"


def test_memory_is_bounded_while_an_exporter_hangs(tmp_path):
    """A processor of the program's that never returns: the rest is dropped, not hoarded, and the program goes on."""
    text = program(
        """
import resource, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, SpanProcessor

class Stuck(SpanProcessor):
    def on_end(self, span):
        reached.set()
        never.wait()

reached, never = threading.Event(), threading.Event()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(Stuck())
trace.set_tracer_provider(provider)
work(1)
reached.wait()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(600_000):
    work(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
never.set()
"""
    )
    env = {"OTEL_BSP_MAX_QUEUE_SIZE": "1000", "AUTOSCOPE_STORE": ""}
    ran = run(tmp_path, text, env=env)
    assert int(ran.out) < 120_000, "kilobytes; 600,000 records are 200,000"


def test_a_small_queue_still_takes_a_large_chunk_in_part():
    """A chunk larger than the room left is taken as far as it fits, the rest counted."""
    from autoscope.export.behind import Behind

    class Sink:
        exported = dropped = 0

        def export(self, records):
            self.exported += len(records)

        def close(self, seconds): ...

    behind = Behind(Sink(), 100)
    behind.export(list(range(350)))
    behind.close(5)
    assert (behind.exported, behind.dropped) == (100, 250)


def test_a_full_buffer_does_not_keep_the_thread_from_looking_round():
    """What is handed over at a time is bounded: changes wait for the same thread."""
    from autoscope.runtime import sites
    from autoscope.runtime.drain import CHUNK, TICK_SECONDS, Drain

    class Slow:
        exported = dropped = 0

        def export(self, records):
            Slow.exported += len(records)
            time.sleep(2 * TICK_SECONDS)

    drain = Drain(lambda: [Slow()])
    sites.records.extend([None] * sites.WIDTH * 3 * CHUNK)
    assert drain.drain()
    assert Slow.exported == CHUNK
    assert not drain.drain()  # what is left now is no reason to hurry
    assert drain.flush(5.0)
    assert Slow.exported == 3 * CHUNK


def test_a_budget_in_a_hurry_does_not_fill_the_buffer():
    """While far too much is recorded only the budget is looked after, but no longer than there is room."""
    from autoscope.runtime import sites
    from autoscope.runtime.drain import Drain

    class Sink:
        exported = dropped = 0

        def export(self, records):
            self.exported += len(records)

    class Hurried:
        is_open, hurried, rhythm = False, True, 0.2
        turns = 0

        def due(self):
            return 0.01

        def turn(self):
            self.turns += 1

        def begin(self): ...
        def rest(self): ...
        def weigh(self, records, length):
            return length

    sink = Sink()
    drain = Drain(lambda: [sink], queue=1000)
    drain.steer = steer = Hurried()
    sites.records.extend([None] * sites.WIDTH * 400)
    drain.start()
    deadline = time.monotonic() + 30
    while steer.turns < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert steer.turns >= 5
    assert sink.exported == 0
    sites.records.extend([None] * sites.WIDTH * 400)
    deadline = time.monotonic() + 30
    while sink.exported < 800 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drain.stop(5.0)
    assert sink.exported == 800


def test_a_moment_without_memory_ends_nothing():
    """Wherever our thread is struck by it: what was recorded is handed over when there is memory again."""
    from autoscope.runtime import sites
    from autoscope.runtime.drain import Drain

    class Sink:
        exported = dropped = 0

        def export(self, records):
            self.exported += len(records)

    def strike():
        if len(struck) < 3:
            struck.append(1)
            raise MemoryError

    struck = []
    sink = Sink()
    drain = Drain(lambda: [sink], each_tick=strike)
    drain.start()
    deadline = time.monotonic() + 30
    while len(struck) < 3 and time.monotonic() < deadline:
        sites.records.extend([None] * sites.WIDTH)
        time.sleep(0.01)
    before = sink.exported
    sites.records.extend([None] * sites.WIDTH)
    while sink.exported == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(struck) == 3
    assert sink.exported > before
    assert drain.running and drain.stop(5.0)


def test_nothing_hangs_where_no_thread_can_be_had(monkeypatch):
    """A system out of threads: what waits behind the drain is sent at the end, by whoever ends it."""
    from autoscope.export.behind import Behind
    from autoscope.runtime import drain

    class Sink:
        exported = dropped = 0

        def export(self, records):
            self.exported += len(records)

        def close(self, seconds): ...

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(drain, "start_new_thread", refuse)
    behind = Behind(Sink(), 100)
    behind.export([1, 2, 3])
    behind.close(5)
    assert (behind.exported, behind.dropped) == (3, 0)


# -- nothing to be seen


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="reads /proc")
def test_a_process_that_records_nothing_has_nothing_of_ours(tmp_path):
    """No thread, no open file, no file left behind."""
    text = program(
        """
import os
print(len(os.listdir("/proc/self/task")))
files = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
print(sorted(os.readlink(file).partition(":")[0] for file in files if os.path.exists(file)))
"""
    )
    ran = run(tmp_path, text)
    plain = run(tmp_path, text, plain=True)
    assert ran.out == plain.out
    assert not (tmp_path / "store").exists()


def test_threading_never_shows_ours(tmp_path):
    """`threading` knows only the program's threads, and calls nobody's hooks in ours."""
    text = program(
        """
import autoscope, sys, threading
seen = []
threading.settrace(lambda *a: seen.append(threading.get_ident()))
threading.setprofile(lambda *a: seen.append(threading.get_ident()))
for _ in range(50):
    for _ in range(100): work(1)
    autoscope.flush()
    assert [t.name for t in threading.enumerate()] == ["MainThread"], threading.enumerate()
    assert threading.active_count() == 1
print(seen)
"""
    )
    ran = run(tmp_path, text, env={"OTEL_BSP_SCHEDULE_DELAY": "1"})
    assert ran.out == "[]\n"
    assert ran.names["work"] == 5000


def test_a_drain_that_fails_switches_off_once(tmp_path):
    """An exporter that breaks its promise: one notice, no more tracing, the program as ever."""
    text = program(
        """
import autoscope
from autoscope.export.store import StoreExporter

def export(self, records):
    raise ValueError("broken")

StoreExporter.export = export
for _ in range(5):
    for _ in range(100): work(1)
    autoscope.flush()
print(autoscope.stats()["armed"], work(4))
"""
    )
    ran = run(tmp_path, text, env={"AUTOSCOPE_STRICT": None, "OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert ran.out == "0 6\n"
    assert ran.err.count("autoscope:") == 1
    assert "(drain-failed)" in ran.err


def test_a_fork_while_a_server_does_not_answer(tmp_path):
    """A fork does not wait for a dead endpoint, and both sides end as ever."""
    text = program("import os\nwork(1)\npid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1] == 0)\nelse: work(2)\n")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "AUTOSCOPE_STORE": ""}
    ran = run(tmp_path, text, env=env)
    assert ran.out == "True\n"


@pytest.mark.parametrize("plain", [False, True], ids=["environment", "run"])
def test_old_runs_are_removed_when_one_begins(tmp_path, plain):
    """Whoever begins it."""
    runs = tmp_path / "store/runs"
    for number in range(60):
        (runs / f"20250101-0000{number:02}-0000").mkdir(parents=True)
        (runs / f"20250101-0000{number:02}-0000/1-0.db").write_bytes(b"")
    prefix = ("-m", "autoscope", "run", "--quiet", "--store", str(tmp_path / "store")) if plain else ()
    process = start(tmp_path, program("work(1)\n"), prefix=prefix, plain=plain)
    process.communicate(timeout=60)
    assert process.returncode == 0
    names = sorted(path.name for path in runs.iterdir())
    assert len(names) == 50
    assert names[:-1] == [f"20250101-0000{number:02}-0000" for number in range(11, 60)]
