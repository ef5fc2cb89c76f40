"""What is kept between runs of the planner: never wrong, never in the way, never too much."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from autoscope.plan import facts_cache, gather
from autoscope.plan.facts_cache import DAY, FILE, FactsCache, digest
from autoscope.plan.source import Source, find

NOW = 1_800_000_000.0


def a_source(path: str = "/shop/cart.py", changed: float = NOW - 100, size: int = 7, inode: int = 1) -> Source:
    return Source(path, Path(path).stem, size, (int(changed * 1e9), size, inode), False)


def kept(directory: Path, keys, version: str = "1", now: float = NOW) -> dict[str, bytes]:
    """What another process would find."""
    with FactsCache.open(str(directory), version, now) as cache:
        return cache.load(keys)


def keep(directory: Path, entries: dict[str, bytes], version: str = "1", now: float = NOW) -> None:
    with FactsCache.open(str(directory), version, now) as cache:
        cache.store(entries)
        assert cache.trouble == ""


def stats(directory: Path) -> dict[str, int | str]:
    with FactsCache.open(str(directory), "1", NOW) as cache:
        return cache.stats()


def test_what_is_stored_is_found(tmp_path):
    """By this process and the next; facts and plans do not meet, even under one key."""
    entries = {f"key {number}": bytes([number % 256]) * number for number in range(1200)}
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.store(entries)
        cache.store_plan("key 7", b"plan")
        assert entries == cache.load([*entries, "another"])
        assert cache.load_plan("key 7") == b"plan"
        assert cache.trouble == ""
    assert entries == kept(tmp_path, [*entries, "another"])
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        assert cache.load_plan("key 7") == b"plan"
        assert cache.load_plan("key 8") is None


def test_an_entry_is_replaced(tmp_path):
    """The last one stored is the one."""
    keep(tmp_path, {"a": b"old", "b": b"old"})
    keep(tmp_path, {"a": b"new"})
    assert {"a": b"new", "b": b"old"} == kept(tmp_path, ["a", "b"])
    assert (2, 6) == (stats(tmp_path)["entries"], stats(tmp_path)["bytes"])


@pytest.mark.parametrize("key", ["", "café", "\udcff", "a\0b", "k" * 10_000])
def test_any_text_is_a_key(tmp_path, key):
    """File names may have anything in them."""
    keep(tmp_path, {key: b"x"})
    assert {key: b"x"} == kept(tmp_path, [key])


def test_another_version_sees_nothing_of_ours(tmp_path):
    """Nor we of its entries, side by side in one file."""
    keep(tmp_path, {"a": b"one"}, "1")
    assert {} == kept(tmp_path, ["a"], "2")
    keep(tmp_path, {"a": b"two"}, "2")
    assert {"a": b"one"} == kept(tmp_path, ["a"], "1")
    assert {"a": b"two"} == kept(tmp_path, ["a"], "2")


def test_known_files_need_not_be_read(tmp_path):
    """Those whose stamp is what it was, and which had been left alone for a while."""
    content = digest(b"content")
    sources = [a_source(f"/shop/{number}.py", inode=2**63 + number) for number in range(1200)]
    sources += [a_source("/shop/caf\udce9.py"), a_source("/shop/café.py")]
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(source, content) for source in sources])
    with FactsCache.open(str(tmp_path), "2", NOW) as cache:
        expected = {source.path: content for source in sources}
        assert expected == cache.known([*sources, a_source("/another.py")])


@pytest.mark.parametrize(
    "changed",
    [{"changed": NOW - 99.9}, {"size": 8}, {"inode": 2}, {"path": "/shop/other.py"}],
    ids=["time", "size", "inode", "path"],
)
def test_a_changed_file_is_not_known(tmp_path, changed):
    """Whatever part of its stamp shows it."""
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(a_source(), digest(b"content"))])
        assert {"/shop/cart.py": digest(b"content")} == cache.known([a_source()])
        assert {} == cache.known([a_source(**changed)])


@pytest.mark.parametrize(
    ("changed", "trusted"),
    [(NOW - 2.1, True), (NOW - 2.0, True), (NOW - 1.9, False), (NOW, False), (NOW + 3600, False)],
)
def test_a_file_changed_just_now_is_not_known(tmp_path, changed, trusted):
    """It may change again within the tick of its file system's clock; one of the future for ever."""
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(a_source(changed=changed), digest(b"content"))])
        assert trusted == bool(cache.known([a_source(changed=changed)]))


def test_a_change_while_it_is_being_analysed(tmp_path):
    """A file written twice within a tick, its stamp the same, is read again, however long the run between them took."""
    file = tmp_path / "cart.py"
    file.write_text("a = 1\n")
    (source,), _ = find([str(file)])
    began = source.stamp[0] / 1e9 + 0.01
    with FactsCache.open(str(tmp_path / "cache"), "1", began) as cache:
        content = digest(file.read_bytes())
        file.write_text("a = 2\n")
        os.utime(file, ns=(source.stamp[0], source.stamp[0]))
        cache.remember([(source, content)])
    with FactsCache.open(str(tmp_path / "cache"), "1", began + 60) as cache:
        assert find([str(file)])[0] == [source]
        assert {} == cache.known([source])
        cache.remember([(source, digest(file.read_bytes()))])
        assert {source.path: digest(b"a = 2\n")} == cache.known([source])


def test_without_a_directory_it_holds_nothing():
    """Everything may be asked of it all the same."""
    for directory in (None, ""):
        with FactsCache.open(directory, "1") as cache:
            holds_nothing(cache)
            assert cache.trouble == (
                "there is no facts cache: AUTOSCOPE_CACHE_DIR is empty, or there is no HOME; name a directory"
            )


def test_a_python_without_sqlite3(tmp_path):
    """Goes without a cache."""
    code = (
        "import sys; sys.modules['_sqlite3'] = None\n"
        "from autoscope.plan.facts_cache import FactsCache\n"
        f"with FactsCache.open({str(tmp_path)!r}, '1') as cache:\n"
        "    cache.store({'a': b'1'}); cache.store_plan('a', b'1'); cache.remember([])\n"
        "    print(cache.load(['a']), cache.load_plan('a'), cache.known([]), cache.stats()['entries'], cache.clear())\n"
        "    print(cache.trouble)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = "{} None {} 0 0\nthere is no facts cache: this Python was built without sqlite3\n"
    assert (expected, "") == (result.stdout, result.stderr)


def holds_nothing(cache: FactsCache) -> None:
    """And takes nothing, and raises nothing."""
    cache.store({"a": b"1"})
    cache.store_plan("p", b"1")
    cache.remember([(a_source(), digest(b"content"))])
    assert {} == cache.load(["a"])
    assert cache.load_plan("p") is None
    assert {} == cache.known([a_source()])
    assert (0, 0, 0) == tuple(cache.stats()[name] for name in ("entries", "plans", "bytes"))
    assert cache.clear() == 0


def test_nothing_is_made_by_asking(tmp_path):
    """Only by storing, and then for nobody else to see."""
    place = tmp_path / "home" / "cache"
    with FactsCache.open(str(place), "1", NOW) as cache:
        assert {} == cache.load(["a"])
        assert {} == cache.known([a_source()])
        cache.store({})
        cache.remember([])
        assert cache.stats()["entries"] == 0
    assert not (tmp_path / "home").exists()
    umask = os.umask(0)
    try:
        keep(place, {"a": b"1"})
    finally:
        os.umask(umask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place.parent, place, place / FILE)]
    assert [0o700, 0o700, 0o600] == modes
    assert [FILE] == os.listdir(place)


def test_a_directory_that_others_can_write_to_is_not_used(tmp_path):
    """Nor a file of that kind."""
    keep(tmp_path, {"a": b"1"})
    name = f"the facts cache in {tmp_path} is not used: others can write to"
    way = "; `chmod go-w` it if it is yours, or name another directory with AUTOSCOPE_CACHE_DIR"
    for path in (tmp_path, tmp_path / FILE):
        mode = path.stat().st_mode
        path.chmod(mode | 0o020)
        with FactsCache.open(str(tmp_path), "1", NOW) as cache:
            holds_nothing(cache)
            assert f"{name} {path}{way}" == cache.trouble
        path.chmod(mode)
    assert {"a": b"1"} == kept(tmp_path, ["a"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_not_used(tmp_path):
    """And root makes none in somebody else's."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with FactsCache.open(str(tmp_path / "theirs"), "1", NOW) as cache:
        holds_nothing(cache)
        assert f"{tmp_path}/theirs is somebody else's; name another" in cache.trouble
    with FactsCache.open(str(tmp_path / "theirs" / "cache"), "1", NOW) as cache:
        holds_nothing(cache)
        assert "it would be made by root in somebody else's directory" in cache.trouble
    assert [] == os.listdir(tmp_path / "theirs")


@contextmanager
def as_a_reader(directory: Path) -> Iterator[None]:
    """As a user who can read what is in a directory, and write nothing there."""
    directory.chmod(0o755)
    (directory / FILE).chmod(0o644)
    if os.geteuid() == 0:
        os.seteuid(65534)
    else:
        directory.chmod(0o555)
        (directory / FILE).chmod(0o444)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        directory.chmod(0o755)


def test_a_directory_that_can_only_be_read():
    """Is read: as in a container's image, made by root for others."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "cache")
        os.chmod(directory, 0o755)
        keep(place, {"a": b"1"})
        with as_a_reader(place):
            with FactsCache.open(str(place), "1", NOW) as cache:
                assert {"a": b"1"} == cache.load(["a"])
                cache.store({"b": b"2"})
                assert f"the facts cache in {place} is not used: " in cache.trouble
                assert {} == cache.load(["b"])
        assert {"a": b"1"} == kept(place, ["a", "b"])


@pytest.mark.parametrize("where", ["file", "file/below", "directory"])
def test_a_place_that_cannot_be_a_cache(tmp_path, where):
    """A file where the directory should be, or the other way round."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "directory" / FILE).mkdir(parents=True)
    with FactsCache.open(str(tmp_path / where), "1", NOW) as cache:
        holds_nothing(cache)
        assert f"the facts cache in {tmp_path / where} is not used: " in cache.trouble
        assert "\n" not in cache.trouble
    assert "mine" == (tmp_path / "file").read_text()


@pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_locked_cache_is_no_cache(tmp_path, monkeypatch, lock):
    """Who cannot read soon, or write, goes without."""
    monkeypatch.setattr(facts_cache, "PATIENCE", 0.01)
    keep(tmp_path, {"a": b"1"})
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    try:
        other.execute(lock)
        with FactsCache.open(str(tmp_path), "1", NOW) as cache:
            readable = {} if lock == "BEGIN EXCLUSIVE" else {"a": b"1"}
            assert readable == cache.load(["a"])
            cache.store({"b": b"2"})
            assert cache.trouble == (
                f"the facts cache in {tmp_path} is not used: another process has locked it for longer than 0.01 s; "
                "name another directory with AUTOSCOPE_CACHE_DIR if that stays so"
            )
    finally:
        other.close()
    assert {"a": b"1"} == kept(tmp_path, ["a", "b"])


ENTRIES = {f"key {number}": random.Random(number).randbytes(number * 40) for number in range(150)}
SOURCES = [a_source(f"/shop/{number}.py") for number in range(150)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A cache file with something in it."""
    directory = tmp_path_factory.mktemp("whole")
    with FactsCache.open(str(directory), "1", NOW) as cache:
        cache.store(ENTRIES)
        cache.store_plan("p", b"plan" * 5000)
        cache.remember([(source, digest(source.path.encode())) for source in SOURCES])
        cache.load(ENTRIES)
    return (directory / FILE).read_bytes()


def is_true_of(directory: Path) -> tuple[int, str]:
    """Use a cache as the planner does; how much it knew, all of it right, and its trouble."""
    with FactsCache.open(str(directory), "1", NOW + 2 * DAY) as cache:
        known = cache.known(SOURCES)
        assert known == {path: digest(path.encode()) for path in known}
        found = cache.load(ENTRIES)
        assert found == {key: ENTRIES[key] for key in found}
        plan = cache.load_plan("p")
        assert plan in (None, b"plan" * 5000)
        assert all(isinstance(value, (int, str)) for value in cache.stats().values())
        cache.store({"new": b"entry"})
        cache.remember([(a_source("/new.py"), digest(b"new"))])
        found_new = cache.load(["new"])
        assert found_new in ({}, {"new": b"entry"})
    return len(known) + len(found) + (plan is not None), cache.trouble


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"garbage" * 1000,
        lambda whole: whole[:50],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-4096],
        lambda whole: whole[:16] + bytes(len(whole) - 16),
        lambda whole: whole[:4096] + random.Random(1).randbytes(len(whole) - 4096),
        lambda whole: whole.replace(b"CREATE TABLE", b"CREATE TABLE"[::-1]),
        lambda whole: whole.replace(b"CREATE TABLE", b"\xdc" * 12),
        lambda whole: whole.replace(b"entries", b"nothing"),
        lambda whole: whole[:18] + b"\xff" + whole[19:],
    ],
    ids=[
        "empty",
        "garbage",
        "head",
        "half",
        "last page",
        "zeros",
        "noise",
        "schema",
        "no text",
        "other tables",
        "locked",
    ],
)
def test_a_damaged_file_is_begun_anew(tmp_path, whole, damage):
    """Nothing wrong comes out of it, the run is told, and the next has a cache again."""
    (tmp_path / FILE).write_bytes(damage(whole))
    (tmp_path / FILE).chmod(0o600)
    known, trouble = is_true_of(tmp_path)
    assert known < 301 or trouble
    assert bool(damage(whole)) == trouble.startswith(f"the facts cache in {tmp_path} is begun anew: ")
    keep(tmp_path, ENTRIES)
    assert ENTRIES == kept(tmp_path, ENTRIES)


def test_the_whole_file_is_known(tmp_path, whole):
    """So that the tests of damage can fail."""
    (tmp_path / FILE).write_bytes(whole)
    (tmp_path / FILE).chmod(0o600)
    assert (301, "") == is_true_of(tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_a_few_wrong_bytes(tmp_path, whole, seed):
    """Wherever they are, what comes out is what was put in, or nothing."""
    chance = random.Random(seed)
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 5, 100))):
        at = chance.randrange(chance.choice((100, 8192, len(whole))))
        damaged[at] = chance.randrange(256)
    (tmp_path / FILE).write_bytes(damaged)
    (tmp_path / FILE).chmod(0o600)
    is_true_of(tmp_path)
    is_true_of(tmp_path)


def test_a_wrong_digest(tmp_path, whole):
    """Is noticed: the file is read again."""
    right = bytes.fromhex(digest(SOURCES[7].path.encode()))
    assert whole.count(right) == 1
    (tmp_path / FILE).write_bytes(whole.replace(right, bytes([right[0] ^ 1]) + right[1:]))
    (tmp_path / FILE).chmod(0o600)
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        assert {source.path for source in SOURCES} - {SOURCES[7].path} == set(cache.known(SOURCES))
        assert cache.trouble == ""


def test_another_format_is_replaced(tmp_path):
    """Of a later autoscope, or an earlier one."""
    keep(tmp_path, {"a": b"1"})
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        assert {} == cache.load(["a"])
        assert cache.trouble.endswith("is begun anew: it has format 99, not 1")
        cache.store({"a": b"2"})
    assert {"a": b"2"} == kept(tmp_path, ["a"])


def test_a_process_killed_while_it_writes(tmp_path):
    """Leaves what was there before, or all of what it wrote."""
    keep(tmp_path, {"a": b"1"})
    code = (
        "import os, sys\n"
        "from autoscope.plan.facts_cache import FactsCache\n"
        "cache = FactsCache.open(sys.argv[1], '1')\n"
        "assert cache._made()\n"
        "cache._connection.execute('PRAGMA cache_size = 5')\n"  # so that pages are written before the end
        "with cache._transaction() as execute:\n"
        "    execute.execute('UPDATE entries SET data = zeroblob(9)')\n"
        "    execute.executemany('INSERT INTO entries VALUES(?, 0, 0, 9000, 0, zeroblob(9000))',\n"
        "                        [(b'%d' % number,) for number in range(500)])\n"
        "    os._exit(3)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (3, "") == (result.returncode, result.stderr)
    assert (tmp_path / f"{FILE}-journal").stat().st_size > 0
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        assert {"a": b"1"} == cache.load(["a"])
        assert (1, "") == (cache.stats()["entries"], cache.trouble)


STORING = """
import sys
from autoscope.plan import facts_cache
from autoscope.plan.source import Source
facts_cache.PATIENCE = 30.0
number = sys.argv[2]
sys.stdin.read(1)
for turn in range(5):
    cache = facts_cache.FactsCache.open(sys.argv[1], "1", 1.8e9)
    with cache:
        own = {f"{number} {turn} {key}": f"{number} {turn} {key}".encode() * 300 for key in range(60)}
        common = {f"common {key}": f"common {key}".encode() * 300 for key in range(60)}
        cache.store(own | common)
        found = cache.load([*own, *common])
        assert found == own | common, len(found)
        source = Source(f"/{number}/{turn}.py", "a", 1, (1, 1, 1), False)
        cache.remember([(source, "00" * 16)])
        assert cache.known([source]) == {source.path: "00" * 16}
        cache.store_plan("plan", b"plan" * 9000)
        assert cache.load_plan("plan") == b"plan" * 9000
    assert cache.trouble == "", cache.trouble
"""


def test_several_processes_at_once(tmp_path):
    """Begin the file together, and lose nothing that any of them stored or counted."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STORING, str(tmp_path / "cache"), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"!")
        process.stdin.flush()
    failures = [process.communicate()[1].decode() for process in processes]
    assert ["", "", "", ""] == failures
    keys = [f"{number} {turn} {key}" for number in range(4) for turn in range(5) for key in range(60)]
    keys += [f"common {key}" for key in range(60)]
    assert {key: key.encode() * 300 for key in keys} == kept(tmp_path / "cache", keys)
    found = stats(tmp_path / "cache")
    assert (4 * 5 * 60 + 60, 1) == (found["entries"], found["plans"])
    assert 4 * 5 * 121 == found["stored"]
    assert 4 * 5 * 121 + len(keys) == found["hits"]


def test_what_is_not_used_goes(tmp_path):
    """After thirty days, when something is stored; what is used stays."""
    keep(tmp_path, {"used": b"1", "unused": b"22"})
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(a_source("/used.py"), digest(b"")), (a_source("/unused.py"), digest(b""))])
    later = NOW + 20 * DAY
    with FactsCache.open(str(tmp_path), "1", later) as cache:
        assert {"used": b"1"} == cache.load(["used"])
        assert 1 == len(cache.known([a_source("/used.py")]))
    later = NOW + 31 * DAY
    assert (2, 3, 0) == tuple(stats(tmp_path)[name] for name in ("entries", "bytes", "evicted"))
    keep(tmp_path, {"new": b"333"}, now=later)
    with FactsCache.open(str(tmp_path), "1", later) as cache:
        assert {"used": b"1", "new": b"333"} == cache.load(["used", "unused", "new"])
        assert ["/used.py"] == list(cache.known([a_source("/used.py"), a_source("/unused.py")]))
        found = cache.stats()
    assert (2, 4, 1) == (found["entries"], found["bytes"], found["evicted"])


def test_a_cache_that_is_full_loses_what_was_used_least_recently(tmp_path, monkeypatch):
    """Down to nine tenths of what may be, and the file becomes smaller."""
    monkeypatch.setattr(facts_cache, "MOST_BYTES", 1_000_000)
    for day in range(10):
        keep(tmp_path, {f"day {day}": bytes([day]) * 100_000}, now=NOW + 2 * day * DAY)
    full = (tmp_path / FILE).stat().st_size
    assert {"day 0"} == set(kept(tmp_path, ["day 0"], now=NOW + 20 * DAY))
    keep(tmp_path, {"one more": bytes(150_000)}, now=NOW + 21 * DAY)
    keys = [f"day {day}" for day in range(10)]
    assert ["day 0", *keys[4:], "one more"] == sorted(kept(tmp_path, [*keys, "one more"], now=NOW + 21 * DAY))
    assert (8, 850_000, 3) == tuple(stats(tmp_path)[name] for name in ("entries", "bytes", "evicted"))
    assert (tmp_path / FILE).stat().st_size < full


def test_what_is_too_large_for_the_cache_is_not_kept(tmp_path, monkeypatch):
    """One entry does not push out all others."""
    monkeypatch.setattr(facts_cache, "MOST_BYTES", 4000)
    keep(tmp_path, {"small": bytes(1000), "large": bytes(1001)})
    assert ["small"] == list(kept(tmp_path, ["small", "large"]))


def test_stamps_are_bounded(tmp_path, monkeypatch):
    """The oldest go first."""
    monkeypatch.setattr(facts_cache, "MOST_STAMPS", 100)
    sources = [a_source(f"/{number}.py") for number in range(150)]
    for number, source in enumerate(sources):
        if number % 50 == 0:
            with FactsCache.open(str(tmp_path), "1", NOW + number) as cache:
                cache.remember([(each, digest(b"")) for each in sources[number : number + 50]])
    keep(tmp_path, {"a": b""})
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        known = cache.known(sources)
        assert 90 == len(known)
        assert {source.path for source in sources[100:]} <= set(known)


def test_a_warm_run_writes_little(tmp_path):
    """Times of use once a day, and else one row for each count."""
    keep(tmp_path, ENTRIES)
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(source, digest(b"")) for source in SOURCES])
    for later, expected in ((DAY - 1, 0), (DAY + 1, 300), (DAY + 2, 0), (3 * DAY, 300), (2 * DAY + 1, 0)):
        with FactsCache.open(str(tmp_path), "1", NOW + later) as cache:
            assert (150, 150) == (len(cache.load(ENTRIES)), len(cache.known(SOURCES)))
            assert cache._connection is not None
            connection = cache._connection
            before = connection.total_changes
            changes: list[int] = []
            cache._let_go = lambda: changes.append(connection.total_changes - before)  # type: ignore[method-assign]
        connection.close()
        assert [expected + 1] == changes


def test_a_clock_that_was_set_back(tmp_path):
    """What was used in the future counts as used today."""
    keep(tmp_path, {"a": b"1"}, now=NOW + 400 * DAY)
    assert {"a": b"1"} == kept(tmp_path, ["a"], now=NOW)
    keep(tmp_path, {"b": b"1"}, now=NOW + 31 * DAY)
    assert {"b": b"1"} == kept(tmp_path, ["a", "b"], now=NOW + 31 * DAY)


def test_counts_add_up_over_processes(tmp_path):
    """And those of this one are in them before it has written them."""
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.store({"a": b"12", "b": b"345"})
        cache.load(["a", "b", "c"])
        assert (2, 1, 2) == tuple(cache.stats()[name] for name in ("hits", "misses", "stored"))
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        assert cache.load_plan("p") is None
        cache.store_plan("p", b"6789")
        assert cache.load_plan("p") == b"6789"
        expected = {
            "directory": str(tmp_path),
            "entries": 2,
            "plans": 1,
            "bytes": 9,
            "hits": 3,
            "misses": 2,
            "stored": 3,
            "evicted": 0,
        }
        assert expected == cache.stats()
    assert expected == stats(tmp_path)


def test_it_can_be_cleared(tmp_path):
    """Of everything, counts included, and used on."""
    keep(tmp_path, ENTRIES)
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.store_plan("p", b"1")
        cache.remember([(a_source(), digest(b""))])
        assert 151 == cache.clear()
        assert {} == cache.load(ENTRIES)
        assert {} == cache.known([a_source()])
    assert (tmp_path / FILE).stat().st_size < 100_000
    found = stats(tmp_path)
    names = ("entries", "plans", "bytes", "stored", "hits", "misses")
    assert (0, 0, 0, 0, 0, 150) == tuple(found[name] for name in names)
    keep(tmp_path, {"a": b"1"})
    assert {"a": b"1"} == kept(tmp_path, ["a"])


def test_a_closed_cache_holds_nothing(tmp_path):
    """And may be closed again."""
    cache = FactsCache.open(str(tmp_path), "1", NOW)
    cache.store({"a": b"1"})
    cache.close()
    cache.close()
    holds_nothing(cache)
    assert {"a": b"1"} == kept(tmp_path, ["a"])


def test_real_files(tmp_path):
    """Of a tree only what has changed needs to be read again."""
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (time.time() - 10, time.time() - 10))
    sources, _ = find([str(tmp_path)])
    place = str(tmp_path / ".cache")
    with FactsCache.open(place, "1") as cache:
        cache.remember([(source, digest(Path(source.path).read_bytes())) for source in sources])
    (tmp_path / "b.py").write_text("B.py")
    again, _ = find([str(tmp_path)])
    with FactsCache.open(place, "1") as cache:
        known = cache.known(again)
    real = os.path.realpath(tmp_path)
    assert {f"{real}/{name}": digest(name.encode()) for name in ("a.py", "c.py")} == known


def test_stamps_of_two_files_do_not_meet(tmp_path):
    """A file that took another's name has its own stamp."""
    first, second = a_source("/a.py", inode=1), a_source("/b.py", inode=2)
    with FactsCache.open(str(tmp_path), "1", NOW) as cache:
        cache.remember([(first, digest(b"a")), (second, digest(b"b"))])
        assert {} == cache.known([replace(first, path="/b.py"), replace(second, path="/a.py")])


@pytest.mark.parametrize("module", ["score.py", "analysis/walk.py"])
def test_facts_depend_on_every_module_of_the_planner(module, tmp_path, monkeypatch):
    """Also on those in directories of it: while we are worked on, what an older one saw is not taken."""
    shutil.copytree(Path(gather.__file__).parent, tmp_path / "plan")
    monkeypatch.setattr(gather, "__file__", str(tmp_path / "plan/gather.py"))
    before = gather.cache_version()
    assert before == gather.cache_version()
    with (tmp_path / "plan" / module).open("a") as stream:
        stream.write("# another\n")
    assert before != gather.cache_version()
