"""The plan file of a running process: what is saved holds soon, what cannot be used changes nothing."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path

import pytest

from program_kit import end, start

PROGRAM = """
import os, sys, time, autoscope, helper
def work(x): return len([x]) + helper.help(x)
print("ready", flush=True)
for line in sys.stdin:
    if line == "round\\n":
        autoscope.flush()
        before = autoscope.stats()["recorded"]
        for i in range(10): work(i)
        autoscope.flush()
        print(autoscope.stats()["recorded"] - before, flush=True)
"""
HELPER = "def help(x):\n    return len([x, x])\n"
PLAN = "version: 1\nstrategy: full_trace\n"


class Program:
    """A traced program that tells how many spans ten rounds make."""

    def __init__(self, folder, plan):
        (folder / "helper.py").write_text(HELPER)
        env = {"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None}
        self.folder = folder
        self.said = ""
        self.process = start(folder, PROGRAM, env=env, stdin=-1)
        assert self.process.stdout.readline() == "ready\n"

    def spans(self):
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def looked(self):
        """Waits until the file was looked at: whoever asks is answered after that, by the same thread."""
        path = Path(os.environ["XDG_RUNTIME_DIR"], "autoscope", f"{self.process.pid}.sock")
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for _ in range(2):  # the first may be answered in the middle of a look round
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                connection.connect(str(path))
                connection.sendall(b'{"verb": "info"}\n')
                assert b"".join(iter(lambda: connection.recv(65536), b""))

    def becomes(self, expected):
        """Waits until ten rounds make so many spans."""
        deadline = time.monotonic() + 20
        while (found := self.spans()) != expected:
            assert time.monotonic() < deadline, f"still {found} spans instead of {expected}"
            time.sleep(0.02)

    def refused(self, word):
        """Whether a refusal with that word in it is said."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([self.process.stderr], [], [], 0.02)[0]:
                self.said += os.read(self.process.stderr.fileno(), 65536).decode()
            if any("plan-refused" in line and word in line for line in self.said.splitlines()):
                return True
        return False

    def end(self):
        self.process.stdin.close()
        self.process.stdin = None
        return end(self.folder, self.process)


@pytest.fixture
def program(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    found = Program(tmp_path, tmp_path / "plan.yaml")
    assert found.spans() == 20
    found.looked()
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.process.communicate()


def test_what_is_saved_holds(program, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN + "modules: {helper: {level: off}}\n")
    program.becomes(10)
    plan.write_text(PLAN + "exclude: [helper, __main__]\n")
    program.becomes(0)
    plan.write_text(PLAN + "sampling: {rate: 0}\n")
    program.looked()
    assert program.spans() == 0
    plan.write_text(PLAN)
    program.becomes(20)
    ran = program.end()
    assert ran.err.count("plan-adopted") == 1  # said once
    assert len({span.name for span in ran.spans}) == 2


def test_a_file_put_in_its_place(program, tmp_path):
    (tmp_path / "new.yaml").write_text(PLAN + "modules: {helper: {level: off}}\n")
    os.replace(tmp_path / "new.yaml", tmp_path / "plan.yaml")
    program.becomes(10)


def test_deleted_and_written_again(program, tmp_path):
    (tmp_path / "plan.yaml").unlink()
    program.looked()
    assert program.spans() == 20
    (tmp_path / "plan.yaml").write_text(PLAN + "modules: {helper: {level: off}}\n")
    program.becomes(10)
    assert "refused" not in program.end().err


@pytest.mark.parametrize(
    "broken", ["version: 1\nstrategy: [\n", "version: 1\nstrategie: balanced\n", "", "version: 9\n", "\xff"]
)
def test_a_broken_file_changes_nothing(program, tmp_path, broken):
    """It is said once, in one line with the place; the next sound one holds."""
    (tmp_path / "plan.yaml").write_bytes(broken.encode("latin-1"))
    program.looked()
    assert program.spans() == 20
    (tmp_path / "plan.yaml").write_text(PLAN + "modules: {helper: {level: off}}\n")
    program.becomes(10)
    told = [line for line in program.end().err.splitlines() if "plan-refused" in line]
    assert len(told) == 1 and "plan.yaml" in told[0] or not broken


def leads_elsewhere(tmp_path, one, two):
    """As Kubernetes changes a ConfigMap: files are links through a directory's link, which is replaced. `one` is each file's text before, `two` after."""
    for name, texts in (("one", one), ("two", two)):
        (tmp_path / name).mkdir()
        for file, text in texts.items():
            (tmp_path / name / file).write_text(text)
    (tmp_path / "data").symlink_to("one")
    for file in one:
        (tmp_path / file).symlink_to(f"data/{file}")
    program = Program(tmp_path, tmp_path / "plan.yaml")
    assert program.spans() == 20
    (tmp_path / "data.new").symlink_to("two")
    os.replace(tmp_path / "data.new", tmp_path / "data")
    program.becomes(10)
    program.end()


def test_a_link_that_leads_elsewhere(tmp_path):
    leads_elsewhere(tmp_path, {"plan.yaml": PLAN}, {"plan.yaml": PLAN + "modules: {helper: {level: off}}\n"})


def test_under_run_options_still_win(tmp_path):
    """What was given on the command line wins over the file, when that is read again too."""
    import subprocess
    import sys

    from program_kit import environment

    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "plan.yaml").write_text("version: 1\nstrategy: balanced\n")
    words = ["run", "--quiet", "--plan", "plan.yaml", "--strategy", "full_trace", "--exclude", "helper", "app.py"]
    program = Program.__new__(Program)
    program.process = subprocess.Popen(
        [sys.executable, "-m", "autoscope", *words],
        cwd=tmp_path, env=environment(tmp_path / "store", plain=True), stdin=-1, stdout=-1, text=True,
    )  # fmt: skip
    assert program.process.stdout.readline() == "ready\n"
    assert program.spans() == 10
    (tmp_path / "plan.yaml").write_text("version: 1\nstrategy: minimal\nsampling: {rate: 1}\ncapture: {args: false}\n")
    program.looked()
    assert program.spans() == 10
    program.process.communicate()


def test_a_yaml_of_the_programs_own_is_not_executed(tmp_path):
    """Under `autoscope run` nothing needs YAML until the plan's file changes; then it is the real one, and the rest the library's own."""
    import subprocess
    import sys

    from program_kit import environment

    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "app.py").write_text(PROGRAM)
    for name in ("yaml", "dataclasses", "difflib"):
        (tmp_path / f"{name}.py").write_text("print('executed', flush=True)\n")
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "elsewhere").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "autoscope", "run", "--quiet", "--plan", "../plan.yaml", "../app.py"],
        cwd=tmp_path / "elsewhere", env=environment(tmp_path / "store", plain=True), stdin=-1, stdout=-1, stderr=-1, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("round\n")
        process.stdin.flush()
        assert process.stdout.readline() == "20\n"
        (tmp_path / "plan.yaml").write_text(PLAN + "exclude: [helper]\n")
        told = ""
        while told != "10\n":
            process.stdin.write("round\n")
            process.stdin.flush()
            told = process.stdout.readline()
        (tmp_path / "plan.yaml").write_text(PLAN + "strategie: balanced\n")
        program = Program.__new__(Program)
        program.process, program.said = process, ""
        assert program.refused("did you mean")
        process.stdin.close()
        process.stdin = None
        out, err = process.communicate(timeout=30)
        assert "executed" not in out + err and process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_a_plan_that_is_extended(tmp_path):
    """Saved, replaced, led elsewhere by a link, or not there when it was first named: what it says holds as the plan's own does."""
    (tmp_path / "parts").mkdir()
    base, plan = tmp_path / "parts/base.yaml", tmp_path / "plan.yaml"
    (tmp_path / "parts/deep.yaml").write_text("version: 1\n")
    base.write_text("version: 1\nextends: deep.yaml\n")
    plan.write_text(PLAN + "extends: parts/base.yaml\n")
    program = Program(tmp_path, plan)
    assert program.spans() == 20
    base.write_text("version: 1\nextends: deep.yaml\nmodules: {helper: {level: off}}\n")
    program.becomes(10)
    (tmp_path / "new.yaml").write_text("version: 1\nextends: deep.yaml\n")
    os.replace(tmp_path / "new.yaml", base)
    program.becomes(20)
    (tmp_path / "parts/deep.yaml").write_text("version: 1\nmodules: {helper: {level: off}}\n")
    program.becomes(10)
    base.unlink()
    plan.write_text(PLAN + "extends: [parts/base.yaml, later.yaml]\n")
    assert program.refused("later.yaml") and program.spans() == 10
    (tmp_path / "later.yaml").write_text("version: 1\nmodules: {helper: {level: full_trace}}\n")
    assert program.refused("base.yaml") and program.spans() == 10
    base.symlink_to("deep.yaml")
    program.becomes(20)
    plan.write_text(PLAN)
    program.becomes(20)
    program.end()


def test_a_link_of_what_is_extended_leads_elsewhere(tmp_path):
    """All of a ConfigMap's files at once."""
    plan = {"plan.yaml": PLAN + "extends: base.yaml\n"}
    leads_elsewhere(
        tmp_path,
        plan | {"base.yaml": "version: 1\n"},
        plan | {"base.yaml": "version: 1\nmodules: {helper: {level: off}}\n"},
    )
