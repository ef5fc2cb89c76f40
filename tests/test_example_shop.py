"""The example shop, as `make demo` runs it: the same every time, and the same when it is traced."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

SHOP = Path(__file__).parents[1] / "examples" / "shop"
ADAS_TOKEN = hashlib.sha256(b"ada:lovelace").hexdigest()[:16].encode()


def environment():
    """Nothing of the surrounding test run reaches the shop."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AUTOSCOPE_", "OTEL_"))}


def run_shop(*before, folder):
    """The shop under its load, by `python *before run.py`."""
    command = [sys.executable, *before, str(SHOP / "run.py")]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_shop_says_the_same_every_time(tmp_path):
    """Without this, comparing it plain and traced would prove nothing."""
    first = run_shop(folder=tmp_path)
    assert first.startswith("252 requests: ")
    assert "x 409" in first, "nothing was ever out of stock"
    assert "x 500" in first, "no payment was ever refused"
    assert first == run_shop(folder=tmp_path)


def test_the_traced_shop_says_what_the_plain_one_says(tmp_path):
    """And it was traced: the store has as many payments as the shop counted itself."""
    plain = run_shop(folder=tmp_path)
    store = tmp_path / "store"
    options = ["--quiet", "--store", str(store), "--plan", str(SHOP / "plan.yaml")]
    assert plain == run_shop("-m", "autoscope", "run", *options, folder=tmp_path)
    report = subprocess.run(
        [sys.executable, "-m", "autoscope", "report", "--store", str(store), "--format", "json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    calls = {function["name"]: function["calls"] for function in json.loads(report)["functions"]}
    assert f"{calls['shop.orders.Orders.pay']} payments tried" in plain
    stored = b"".join(file.read_bytes() for file in store.rglob("*.db*"))
    assert b'"autoscope.arg.password": "[redacted]"' in stored, "nothing captured, nothing to hide"
    for secret in (b"lovelace", b"4000 00", ADAS_TOKEN):
        assert secret not in stored


def test_gunicorn_stops_when_it_is_told_to(tmp_path):
    """A worker that waits for the fulfilment thread is killed after 30 seconds, and what it had to say is lost."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "shop.wsgi:app"],
        cwd=SHOP,
        env={**environment(), "HOME": str(tmp_path)},  # newer ones put a control socket there
        stderr=subprocess.DEVNULL,
    )
    try:
        assert ask(port, "/size") == b"5\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def ask(port, path):
    """The answer, as soon as the server gives one."""
    deadline = time.monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the server never came up"
            time.sleep(0.05)
        finally:
            connection.close()
