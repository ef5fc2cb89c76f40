"""read/estimates: how long calls took that were not recorded, told by those that were."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest
from cases_kit import call, write

from autoscope.export.store import SCHEMA
from autoscope.read.estimates import LEAST_WARM, WARM, estimate, estimates
from autoscope.read.functions import measure_run, read_places, read_tree

EMPTY = 200.0
PAUSE = 10_000_000


def bursts(durations, length=32, weight=100.0, first=900):
    """Samples of calls that took so long: recorded `length` at a time, each showing `EMPTY` more, and the first ones of a burst `first` beside."""
    samples, now = [], 0
    for number, duration in enumerate(durations):
        cold = first if number % length < WARM else 0
        now += PAUSE if number % length == 0 else 1000
        shown = int(duration + EMPTY + cold)
        samples.append((now, shown, weight, 0, False))
        now += shown
    return samples


def told(samples):
    """The mean, corrected."""
    raw = sum(sample[1] * sample[2] for sample in samples) / sum(sample[2] for sample in samples)
    return raw * estimate(samples, EMPTY).share


def test_what_recording_shows_of_itself_is_taken_off():
    """And the first calls of bursts tell nothing."""
    assert told(bursts([60] * 640)) == pytest.approx(60, abs=1)


def test_some_calls_take_far_longer():
    """One in a hundred takes a thousand times as long, which is half of all the time: nothing of it is left out."""
    chance = random.Random(3)
    durations = [60_000 if chance.random() < 0.01 else 500 for _ in range(6400)]
    assert told(bursts(durations)) == pytest.approx(sum(durations) / len(durations), rel=0.05)


def test_one_call_among_hundreds():
    """It was interrupted, as far as can be told; but no interruption takes a second."""
    samples = bursts([60] * 640)
    start, _, weight, inside, below = samples[100]
    samples[100] = start, 4_000_000, weight, inside, below
    assert told(samples) == pytest.approx(60, abs=1)
    samples[100] = start, 1_000_000_000, weight, inside, below
    assert told(samples) == pytest.approx(1e9 / 640, rel=0.01)


def test_where_our_thread_had_a_turn():
    """What is left of such a call is more than any other took: it says nothing."""
    samples = bursts([60] * 640)
    for place in (20, 50):
        start, duration, weight, _, below = samples[place]
        samples[place] = start, duration + 5_000_000, weight, 4_000_000, below
    assert told(samples) == pytest.approx(60, abs=1)


def test_where_our_thread_had_a_turn_in_a_long_call():
    """Where others take as long, the turn is taken off and the rest is believed."""
    samples = bursts([500] * 600 + [3_000_000] * 40)
    start, duration, weight, _, below = samples[620]
    samples[620] = start, duration + 1_000_000, weight, 1_000_000, below
    assert told(samples) == pytest.approx((500 * 600 + 3_000_000 * 40) / 640, rel=0.01)


def test_long_functions_are_left_alone():
    """To calls of milliseconds nothing of this matters."""
    assert estimate(bursts([1_000_000] * 100), EMPTY).share == 1.0


def test_few_calls_and_none_in_bursts():
    """All are taken: what is always shown is taken off, what is shown by the first calls of a burst is not."""
    few = bursts([300] * (LEAST_WARM - 1), length=1)
    assert told(few) == pytest.approx(1200, abs=1)


def test_a_function_takes_some_time():
    """However much an empty call showed."""
    assert told(bursts([-100] * 640)) > 0


def test_calls_below_that_were_recorded():
    """Recording them took its time too: such calls are left out, unless most are of this kind."""
    samples = bursts([300] * 640)
    for place in range(15, 640, 32):
        start, duration, weight, inside, _ = samples[place]
        samples[place] = start, duration + 4000, weight, inside, True
    assert told(samples) == pytest.approx(300, abs=1)
    assert told([(*sample[:4], True) for sample in bursts([300] * 640)]) == pytest.approx(300, abs=1)


def test_in_a_store(tmp_path):
    """Totals and own times of a function that was not recorded in full; not those of its caller, which was."""
    connection = sqlite3.connect(tmp_path / "1.db")
    connection.executescript(f"{SCHEMA} PRAGMA user_version = 3;")
    names = [(1, "app.main"), (2, "app.hot")]
    connection.executemany(
        "INSERT INTO sites VALUES (?, ?, 'app', ?, 'app.py', ?, 'function')", [(i, n, n[4:], i) for i, n in names]
    )
    connection.execute("INSERT INTO traces VALUES (1, x'01', 0, '', 1, 0, '')")
    samples = bursts([60] * 640)
    end = samples[-1][0] + samples[-1][1] + 1
    rows = [(1, 0, 1, 1, 0, end, None)]
    rows += [(10 + number, 1, 1, 2, start, took, 0.01) for number, (start, took, *_) in enumerate(samples)]
    connection.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    places = read_places(connection)

    assert estimates(connection, places) == {}
    empty = [["app.hot", "app.py", 2, "function", EMPTY], ["app.gone", "app.py", 3, "function", EMPTY]]
    connection.execute("INSERT INTO meta VALUES ('budget', ?)", [json.dumps({"empty": empty})])
    main, hot = read_tree(connection, places).paths
    connection.close()

    assert hot.calls == pytest.approx(64_000)
    assert hot.total_ns == pytest.approx(64_000 * 60, rel=0.02)
    assert main.total_ns == end
    assert main.own_ns == pytest.approx(end - hot.total_ns, rel=0.001)


@pytest.mark.parametrize("chosen", [640, 0], ids=["some were chosen", "none was"])
def test_calls_that_were_only_counted(tmp_path, chosen):
    """They took as long as those chosen among others, and not as the first ones of a process, which show what recording them all takes."""
    early = [call("shop.hot", took=5_000_000 if number in (3, 30) else 2000) for number in range(40)]
    some = [call("shop.hot", took=60 + int(EMPTY)) for _ in range(chosen)]
    place = ["shop.hot", "shop.py", 3, "function"]
    budget = {"unseen": [[*place, 1_000_000]], "empty": [[*place, EMPTY]]}
    run = write(tmp_path, call("shop.main", *early, *some), meta={"budget": budget})
    (path,) = tmp_path.glob("runs/*/*.db")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE spans SET probability = 0.01 WHERE duration_ns = ?", [60 + int(EMPTY)])
    connection.commit()
    connection.close()
    (hot,) = [one for one in measure_run(run) if one.name == "shop.hot"]
    assert hot.calls == 1_000_040 + 100 * chosen
    told = hot.total_ns - sum(entry[2] for (entry,) in early)
    each = 60 if chosen else 2000
    assert told == pytest.approx((1_000_000 + 100 * chosen) * each, rel=0.02)
