"""export/store: what was exported can be read, whatever happens to the process, its disk or its descriptors."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest
from store_kit import Site, batch, open_store, run_python, site, start_python

from autoscope import errors
from autoscope.errors import AutoscopeError
from autoscope.export import runs as folders
from autoscope.export.store import create_run, new_run_id, prune
from autoscope.read.runs import list_runs, open_run
from autoscope.runtime.spans import Details, ExceptionRecord, Trace, epoch_offset


@pytest.fixture(autouse=True)
def _fresh_notices(monkeypatch):
    monkeypatch.setattr(errors, "notices", [])
    monkeypatch.setenv("AUTOSCOPE_SILENCE", "all")


def slugs():
    return [slug for slug, _ in errors.notices]


def test_a_batch_is_written_and_read_back(tmp_path):
    """Names, ids, times, parents, threads: what went in comes out."""
    trace = Trace(0x1234 << 100, remote_parent=(1 << 63) + 5, thread_id=42, thread_name="main")
    parent = (trace, (1 << 64) - 1)
    store = open_store(str(tmp_path / "s"))
    store.export([(site, 77, trace, parent, 100, 350, None), (site, parent[1], parent[0], None, 50, 900, None)])
    store.close(5)

    first, second = open_run(str(tmp_path / "s")).spans()

    assert (first.span_id, first.parent_id, first.trace_id) == ((1 << 64) - 1, (1 << 63) + 5, 0x1234 << 100)
    assert (second.span_id, second.parent_id, second.duration_ns) == (77, (1 << 64) - 1, 250)
    assert second.start_ns == 100 + epoch_offset()
    assert (first.name, first.file, first.line, first.thread_id, first.thread_name) == (
        "shop.cart.add",
        "/src/cart.py",
        7,
        42,
        "main",
    )
    assert (store.exported, store.dropped) == (2, 0)


def test_the_folder_is_private_and_ignored_by_git(tmp_path):
    """Arguments and messages are in a trace: nobody else reads them, and they are not committed by accident."""
    directory = tmp_path / "new" / "store"
    run_id = create_run(str(directory), {"plan": "p.yaml"})

    assert (directory / ".gitignore").read_text() == "*\n"
    for folder in (directory, directory / "runs", directory / "runs" / run_id):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads((directory / "runs" / run_id / "run.json").read_text())["plan"] == "p.yaml"


def test_a_folder_of_the_users_is_not_hidden_from_git(tmp_path):
    """`--store .` must not make git ignore the project."""
    create_run(str(tmp_path), {})

    assert not (tmp_path / ".gitignore").exists()


def test_nothing_is_opened_before_there_is_something_to_write(tmp_path):
    """A process that records nothing leaves nothing, and does not load sqlite3."""
    out, err = run_python(
        "store = open_store(sys.argv[1]); store.close(1); print('sqlite3' in sys.modules)", tmp_path / "s"
    )

    assert out == "False\n", err
    assert not (tmp_path / "s").exists()


def test_details_and_exceptions(tmp_path):
    """Error, attributes and the exception event, as the view for people shows them."""
    code = compile("", "/a.py", "exec")
    exception = ExceptionRecord("builtins.ValueError", "no \udc80", ((code, 3, -1),), 150)
    details = Details("ValueError", "no \udc80", exception, {"autoscope.arg.sku": "x", "n": 1 << 70, "f": float("nan")})
    store = open_store(str(tmp_path))
    store.export([(site, 1, Trace(5, thread_id=9, thread_name="t"), None, 100, 200, details)])
    store.close(5)

    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM otel_traces").fetchone())
    connection.close()

    assert (row["TraceId"], row["SpanId"], row["ParentSpanId"]) == ("0" * 31 + "5", "0" * 15 + "1", "")
    assert (row["ServiceName"], row["StatusCode"], row["Duration"]) == ("shop", "Error", 100)
    attributes = json.loads(row["SpanAttributes"])
    assert attributes["error.type"] == "ValueError"
    assert attributes["code.function.name"] == "shop.cart.add"
    assert (attributes["thread.id"], attributes["n"], attributes["f"]) == (9, hex(1 << 70), "nan")
    (event,) = json.loads(row["Events"])
    assert event["Attributes"]["exception.type"] == "builtins.ValueError"
    assert "/a.py" in event["Attributes"]["exception.stacktrace"]


def test_values_of_the_programs_own_classes_run_none_of_their_code(tmp_path):
    """A `str` whose methods explode is written without one of them being called."""

    class Bomb(str):
        def __str__(self):
            raise RuntimeError

        __format__ = __len__ = isascii = encode = __hash__ = __str__

    class Number(int):
        def __repr__(self):
            raise RuntimeError

        __add__ = __str__ = __lt__ = __le__ = __repr__

    details = Details(attributes={"a": Bomb("x"), "b": Number(3), "c": [Bomb("y")], "d": object()})
    store = open_store(str(tmp_path))
    store.export([(site, 1, Trace(5), None, 100, 200, details)])
    store.close(5)

    (span,) = open_run(str(tmp_path)).spans()
    assert span.attributes == {"a": "x", "b": 3, "c": ["y"], "d": "<object>"}
    assert errors.notices == []


def test_a_record_that_cannot_be_written_does_not_take_others_with_it(tmp_path):
    """One is skipped and counted, the rest are stored."""
    bad = (site, 3, Trace(-1), None, 1, 2, None)
    store = open_store(str(tmp_path))
    store.export([*batch(2), bad, *batch(2, 10)])
    store.close(5)

    assert (store.exported, store.dropped, slugs()) == (4, 1, ["span-skipped"])


def test_meta_is_replaced_and_read_back(tmp_path):
    """The last word on a key counts, and a file of sites never called is fine."""
    store = open_store(str(tmp_path))
    store.put_sites([site, Site(1, "shop.pay")])
    store.put_meta({"counters": {"dropped": 1}})
    store.put_meta({"counters": {"dropped": 2}})
    store.close(5)

    run = open_run(str(tmp_path))
    assert run.meta["counters"] == {"dropped": 2}
    assert [process.state for process in run.processes] == ["finished"]
    names = run.ask(lambda connection, _: connection.execute("SELECT name FROM sites ORDER BY id").fetchall())
    assert names == [[("shop.cart.add",), ("shop.pay",)]]


def test_several_processes_write_at_once(tmp_path):
    """Each has its own file; nothing waits, nothing is lost."""
    code = """
    store = open_store(sys.argv[1])
    for k in range(20):
        store.export(batch(500, k * 500))
    store.close(5)
    assert store.dropped == 0
    """
    children = [start_python(code, tmp_path) for _ in range(4)]

    assert [(child.communicate(timeout=60)[0], child.returncode) for child in children] == [("", 0)] * 4
    run = open_run(str(tmp_path))
    assert run.count_spans() == 4 * 10_000
    assert len({process.pid for process in run.processes}) == 4


def test_what_was_exported_survives_kill_9(tmp_path):
    """Everything `export` returned for is readable, while the process lives and after it was killed."""
    code = """
    store = open_store(sys.argv[1])
    for k in range(100_000):
        store.export(batch(100, k * 100))
        os.write(1, b"%d\\n" % store.exported)
    """
    child = start_python(code, tmp_path)
    for _ in range(50):
        last = int(child.stdout.readline())
    alive = open_run(str(tmp_path))
    assert alive.count_spans() >= last
    assert alive.processes[0].state == "running"

    os.kill(child.pid, signal.SIGKILL)
    lines = child.communicate()[0].split("\n")[:-1]  # the last may have been cut short
    last = max([last, *map(int, lines)])

    killed = open_run(str(tmp_path))
    assert killed.count_spans() >= last
    assert killed.count_spans() % 100 == 0
    assert (killed.processes[0].state, killed.notes) == ("killed", [])


def test_a_forked_child_writes_a_file_of_its_own(tmp_path):
    """The parent's connection is neither used nor closed by the child, however the child ends."""
    code = """
    import gc, threading, warnings
    warnings.simplefilter("ignore")  # 3.12 warns of every fork beside threads
    store = open_store_that_forks(sys.argv[1])
    store.export(batch(10))
    writing = True
    def write():
        k = 1
        while writing:
            store.export(batch(100, k * 1000)); k += 1
    thread = threading.Thread(target=write); thread.start()
    children = []
    for n in range(20):
        pid = os.fork()
        if not pid:
            assert (store.exported, store.path) == (0, "")
            store.export(batch(5, 1_000_000 * (n + 1)))
            assert store.exported == 5
            store.close(5)
            gc.collect()
            if n % 2:
                os._exit(0)
            sys.exit(0)
        children.append(pid)
    writing = False
    thread.join()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 20
    store.export(batch(1, 500_000_000))
    store.close(5)
    print(store.exported + 20 * 5, store.dropped)
    """
    out, err = run_python(code, tmp_path)

    assert err == ""
    expected, dropped = map(int, out.split())
    run = open_run(str(tmp_path))
    assert (run.count_spans(), dropped, len(run.processes), run.notes) == (expected, 0, 21, [])


def test_a_child_that_outlives_its_parent_does_not_touch_its_file(tmp_path):
    """A daemon's parent is gone when the daemon ends: the file left behind is as the parent left it."""
    code = """
    store = open_store(sys.argv[1])
    store.export(batch(10))
    if os.fork():
        os._exit(0)
    time.sleep(0.3)
    store.export(batch(7, 100))
    """
    out, err = run_python(code, tmp_path)  # until both have closed what they say it on

    assert err == ""
    assert open_run(str(tmp_path)).count_spans() == 17


def test_descriptors_closed_by_the_program_are_not_written_to(tmp_path):
    """A program becoming a daemon closes all descriptors; the next file it opens must not get our pages."""
    code = """
    store = open_store(sys.argv[1])
    store.export(batch(1000))
    os.closerange(3, 64)
    files = [open(f"{sys.argv[1]}/user{n}", "w+") for n in range(8)]
    store.export(batch(1000, 5000))
    store.export(batch(1000, 15000))
    store.close(5)
    for file in files:
        file.flush()
    print(store.exported, [os.fstat(file.fileno()).st_size for file in files])
    """
    out, err = run_python(code, tmp_path)

    assert out == f"2000 {[0] * 8}\n", err
    assert err.count("store-lost") == 1


def test_a_removed_folder_is_made_again(tmp_path):
    """`rm -rf .autoscope` while the program runs: said once, what was lost is counted, and recording goes on."""
    directory = tmp_path / "s"
    store = open_store(str(directory))
    store.export(batch(10))
    subprocess.run(["rm", "-rf", str(directory)], check=True)
    store.export(batch(5, 100))
    store.close(5)

    assert (store.exported, store.dropped, slugs()) == (5, 10, ["store-lost"])
    assert open_run(str(directory)).count_spans() == 5


@pytest.mark.parametrize("place", ["file", "proc"])
def test_a_place_where_nothing_can_be_written(tmp_path, place):
    """A file where the folder should be, or a read-only file system: one notice, spans counted, the program goes on."""
    (tmp_path / "file").write_text("mine")
    directory = str(tmp_path / "file" / "store") if place == "file" else "/proc/autoscope"
    store = open_store(directory)
    for k in range(3):
        store.export(batch(10, k * 10))
    store.put_meta({"counters": {}})
    store.put_sites([site])
    store.close(1)

    assert (store.exported, store.dropped, slugs()) == (0, 30, ["store-failed"])
    with pytest.raises(AutoscopeError, match="can't make a run in .*--no-store"):
        create_run(directory, {})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk(tmp_path):
    """Files may not grow: batches are dropped and counted, earlier ones stay, later ones fit again."""
    code = """
    import resource
    store = open_store(sys.argv[1])
    store.export(batch(1000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    for k in range(1, 6):
        store.export(batch(10_000, k * 100_000))
    full = store.dropped
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    store.export(batch(1000, 10_000_000))
    store.close(5)
    print(full >= 30_000, store.exported, store.exported + store.dropped)
    """
    out, err = run_python(code, tmp_path)

    assert err.count("(store-failed)") == 1
    full, exported, seen = out.split()
    assert (full, seen) == ("True", "52000")
    run = open_run(str(tmp_path))
    assert (run.count_spans(), run.notes) == (int(exported), [])


def test_a_spoilt_file_is_left_for_a_new_one(tmp_path, monkeypatch):
    """Somebody overwrites the database: a notice, a new file, and the reader says which one it left out."""
    store = open_store(str(tmp_path))
    store.export(batch(5000))
    spoilt = store.path
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(spoilt, "r+b") as file:
        file.write(b"\x00rubbish" * (os.path.getsize(spoilt) // 8))
    store._connection.execute("PRAGMA shrink_memory")  # else it goes on with the pages it remembers
    store.export(batch(5000, 10_000))
    monkeypatch.setattr(store, "_quiet_until", 0)
    store.export(batch(30, 20_000))
    store.close(5)

    assert store.path != spoilt
    assert store.exported == 30
    assert store.exported + store.dropped == 10_030
    run = open_run(str(tmp_path))
    assert run.count_spans() == 30
    assert len(run.notes) == 1
    assert os.path.basename(spoilt) in run.notes[0]


def test_closing_late_keeps_what_was_written(tmp_path):
    """The drain holds the lock for ever: `close` gives up at its deadline."""
    import threading

    store = open_store(str(tmp_path))
    store.export(batch(10))
    holding = threading.Event()
    done = threading.Event()

    def hold():
        with store._lock:
            holding.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    store.close(0.05)
    done.set()
    thread.join()

    assert open_run(str(tmp_path)).count_spans() == 10
    store.close(5)


# -- run folders


def test_run_ids_sort_and_differ():
    """Date, time, four hexadecimal digits."""
    first = new_run_id()

    assert folders._is_run_id(first)
    assert not folders._is_run_id("20261121-053012-4f3g")
    assert first[:15] <= new_run_id()[:15]


def make_runs(directory, count, size=100):
    ids = [f"2026112{n // 60}-0000{n % 60:02}-000{n % 10}" for n in range(count)]
    for run_id in ids:
        folder = Path(directory, "runs", run_id)
        folder.mkdir(parents=True)
        (folder / "1-0.db").write_bytes(b"x" * size)
    return ids


def test_prune_by_number_keeps_the_newest(tmp_path):
    """And leaves alone what is not a run."""
    ids = make_runs(tmp_path, 10)
    (tmp_path / "runs" / "mine").mkdir()

    assert sorted(prune(str(tmp_path), keep_runs=3)) == ids[:7]
    assert sorted(os.listdir(tmp_path / "runs")) == [*ids[7:], "mine"]


def test_prune_by_size(tmp_path):
    """Once the limit is passed everything older goes."""
    ids = make_runs(tmp_path, 6, size=1000)
    Path(tmp_path, "runs", ids[3], "1-0.db").write_bytes(b"x" * 10_000)

    prune(str(tmp_path), keep_bytes=5000)

    assert sorted(os.listdir(tmp_path / "runs")) == ids[4:]


def test_prune_spares_the_current_run_the_living_and_the_newborn(tmp_path):
    """A process that holds its lock, the run named, and a run whose process has not opened its file yet."""
    ids = make_runs(tmp_path, 4)
    code = "s = open_store(sys.argv[1], sys.argv[2]); s.export(batch(1)); print(flush=True); time.sleep(60)"
    child = start_python(code, tmp_path, ids[1])
    child.stdout.readline()
    newborn = create_run(str(tmp_path), {})

    removed = prune(str(tmp_path), keep_runs=0, current=ids[2])
    child.kill()
    child.communicate()

    assert sorted(removed) == [ids[0], ids[3]]
    assert sorted(prune(str(tmp_path), keep_runs=0)) == [ids[1], ids[2]]
    assert os.listdir(tmp_path / "runs") == [newborn]


def test_several_may_prune_at_once(tmp_path):
    """Every run is removed by exactly one of them."""
    ids = make_runs(tmp_path, 60)
    code = "print(*prune(sys.argv[1], keep_runs=5))"
    children = [start_python(code, tmp_path) for _ in range(4)]
    removed = [name for child in children for name in child.communicate(timeout=60)[0].split()]

    assert sorted(removed) == ids[:55]
    assert sorted(os.listdir(tmp_path / "runs")) == ids[55:]


def test_the_newest_of_one_second_is_the_newest(tmp_path):
    """Ids tell the second; within it the start time decides."""
    for name, started in (("20261121-000000-ffff", 1), ("20261121-000000-0000", 2)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps({"started": started}))

    assert list_runs(str(tmp_path)) == ["20261121-000000-0000", "20261121-000000-ffff"]


# -- places that need a file system of their own


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    """What fitted is readable, the rest is counted; with room made, recording goes on."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 3_000_000)
    store = open_store(str(small_disk / "s"))
    for k in range(30):
        store.export(batch(2000, k * 10_000))
    assert store.dropped > 0
    before = store.exported

    filler.unlink()
    store.export(batch(500, 10_000_000))
    store.close(5)

    assert (store.exported, slugs()) == (before + 500, ["store-failed"])
    run = open_run(str(small_disk / "s"))
    assert (run.count_spans(), run.notes) == (store.exported, [])


@pytest.mark.parametrize("ended", ["well", "killed"])
def test_a_run_on_a_read_only_disk(small_disk, ended):
    """Also one whose last batches stand only in the write-ahead log."""
    code = "s = open_store(sys.argv[1]); s.export(batch(1000))\nif sys.argv[2] == 'well': s.close(5)\nos._exit(1)"
    run_python(code, small_disk / "s", ended)
    (folder,) = (small_disk / "s" / "runs").iterdir()
    for file in folder.glob("*-shm"):
        file.unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    run = open_run(str(small_disk / "s"))

    assert (run.count_spans(), run.notes) == (1000, [])
    assert len(run.functions()) == 1
    store = open_store(str(small_disk / "s"))
    store.export(batch(3))
    assert (store.dropped, slugs()) == (3, ["store-failed"])
