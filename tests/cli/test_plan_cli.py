"""`autoscope plan`, `explain`, `check` and `analyze` as their users run them: real processes, and programs that run what was planned."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from cli_kit import ENVIRONMENT, Outcome, python, spans, tree, write

from autoscope.plan.facts_cache import FILE
from autoscope.plan.resolve import resolve

PROGRAM = {
    "main.py": """
        from shop import cart, desk

        if __name__ == "__main__":
            print(desk.serve(3), cart.Cart([1, 2]).size)
        """,
    "shop/__init__.py": "",
    "shop/desk.py": """
        import sqlite3
        import autoscope
        from shop.cart import Cart

        def serve(count):
            total = 0
            for number in range(count):
                try:
                    total += checkout(number)
                except Exception as error:
                    print("failed", error)
            return total

        def checkout(number):
            cart = Cart(load(number))
            return cart.price([1, 2]) + sum(map(lambda line: line, cart.lines)) + quiet() + loud()

        def load(number):
            db = sqlite3.connect(":memory:")
            return [row[0] for row in db.execute("select 1 union select 2")]

        @autoscope.never
        def quiet():
            try:
                return len(open("/dev/null").read())
            except Exception:
                return 1

        @autoscope.trace
        def loud():
            return 0

        def unused():
            return open("x").read()
        """,
    "shop/cart.py": """
        class Cart:
            def __init__(self, lines):
                self.lines = lines
                self.total = 0

            def price(self, rates):
                for line in self.lines:
                    for rate in rates:
                        if rate > 1 and line:
                            self.total += line * rate
                        elif rate < 0:
                            raise ValueError(rate)
                        else:
                            self.total += self.rounded(line)
                return self.total

            def rounded(self, amount):
                def cut(value):
                    return int(value)
                return cut(amount)

            @property
            def size(self):
                return len(self.lines)

            @size.setter
            def size(self, value):
                self.lines = self.lines[:value]
        """,
}
CALLED = {
    "desk.serve",
    "desk.checkout",
    "desk.checkout.<locals>.<lambda>",
    "desk.load",
    "desk.loud",
    "cart.Cart.__init__",
    "cart.Cart.price",
    "cart.Cart.rounded",
    "cart.Cart.rounded.<locals>.cut",
    "cart.Cart.size",
}
"""Every function of the program that runs and may be recorded."""


@pytest.fixture
def program(tmp_path):
    """The program in a directory of its own, the cache in another."""
    return write(tmp_path / "program", PROGRAM)


def autoscope(*arguments, cwd: Path, env: dict[str, str] | None = None) -> Outcome:
    """One command of ours."""
    return python(
        "-m",
        "autoscope",
        *map(str, arguments),
        cwd=cwd,
        env={"AUTOSCOPE_CACHE_DIR": str(cwd.parent / "cache"), **(env or {})},
    )


# What was planned is what runs.


@pytest.mark.parametrize(
    "options, expected",
    [
        (("--strategy", "minimal", "--rate", "1"), {"desk.serve", "desk.loud"}),
        (("--strategy", "balanced"), {"desk.serve", "desk.load", "desk.loud", "cart.Cart.price"}),
        (("--strategy", "full_trace"), CALLED),
        (
            ("--strategy", "minimal", "--rate", "1", "--goal", "slow:shop.cart.Cart.rounded"),
            {"desk.serve", "desk.loud", "cart.Cart.rounded", "cart.Cart.rounded.<locals>.cut"},
        ),
        (("--strategy", "full_trace", "--exclude", "shop.cart"), {name for name in CALLED if name[:4] == "desk"}),
    ],
    ids=["minimal", "balanced", "full_trace", "goal", "exclude"],
)
def test_a_program_records_what_was_planned(program, options, expected):
    """Each function the plan watches and the program calls has its spans, and no other has."""
    made = autoscope("plan", "shop", *options, "-o", "plan.yaml", cwd=program)
    assert made.code == 0, made.stderr
    ran = autoscope("run", "--plan", "plan.yaml", "--store", "store", "main.py", cwd=program)
    assert (0, b"36 2\n") == (ran.code, ran.stdout), ran.stderr

    recorded = {name.removeprefix("shop.") for name in spans(program / "store")}
    assert expected == recorded
    plan = resolve(plan_file=str(program / "plan.yaml"), environ={})
    watched = {
        name
        for name in CALLED | {"desk.quiet"}
        if plan.selects("shop." + name[:4]) and plan.rule_for("shop." + name[:4], name[5:]).level != "off"
    }
    assert watched == recorded


def test_a_run_is_a_profile_for_the_next_plan(program):
    """What was measured is said in the plan, and makes its estimate."""
    assert autoscope("plan", "shop", "--strategy", "full_trace", "-o", "all.yaml", cwd=program).code == 0
    assert autoscope("run", "--plan", "all.yaml", "--store", "store", "main.py", cwd=program).code == 0
    (run,) = (
        os.listdir(program / "store" / "runs")
        if (program / "store" / "runs").is_dir()
        else os.listdir(program / "store")
    )

    made = autoscope("plan", "shop", "--profile", run, "--store", "store", "--format", "json", cwd=program)
    assert made.code == 0, made.stderr
    found = json.loads(made.stdout)
    calls = {item["name"]: item["calls"] for item in found["functions"]}
    assert f"run {run}" == found["overhead"]["from"]
    assert (3.0, 12.0) == (calls["shop.desk.checkout"], calls["shop.cart.Cart.price"] * 4)


# What is said, and how.


def test_a_plan_is_written_to_standard_output_or_a_file(program):
    """The same bytes but for where its paths begin; what is said about it goes to standard error."""
    printed = autoscope("plan", "shop", cwd=program)
    written = autoscope("plan", "shop", "-o", "plan.yaml", cwd=program)

    assert (0, b"", 0, b"") == (printed.code, printed.stderr, written.code, written.stdout)
    assert printed.stdout == (program / "plan.yaml").read_bytes()
    assert written.stderr.endswith(b"written to plan.yaml\n")
    assert b"watched   " in written.stderr


@pytest.mark.parametrize("command", ["plan", "analyze", "explain", "check", "why-not"])
def test_every_listing_has_json(program, command):
    """One document, and nothing else."""
    assert autoscope("plan", "shop", "-o", "plan.yaml", cwd=program).code == 0
    arguments = {
        "plan": ("plan", "shop"),
        "analyze": ("analyze", "shop"),
        "explain": ("explain", "shop.cart.Cart.price", "shop"),
        "check": ("check", "plan.yaml"),
        "why-not": ("explain", "--why-not", "*", "shop"),
    }[command]
    done = autoscope(*arguments, "--format", "json", cwd=program)

    assert (0, b"") == (done.code, done.stderr)
    found = json.loads(done.stdout)
    if command == "plan":
        assert {"desk.load", "desk.serve"} <= {
            item["name"].removeprefix("shop.") for item in found["functions"] if item["level"] != "off"
        }
    elif command == "analyze":
        (load,) = [item for item in found["functions"] if item["name"] == "shop.desk.load"]
        assert (["database"], {}, ["shop.desk.checkout"]) == (load["io"], load["callees"], load["callers"])
    elif command == "explain":
        assert ("balanced", "strategy") == (found["level"], found["decided_by"])
        assert [("complex", True)] == [
            (rule["rule"], rule["holds"]) for rule in found["rules"] if rule["rule"] == "complex"
        ]
    elif command == "check":
        assert "ALIGNED" == found["verdict"]
    else:
        assert {"name": "shop.desk.quiet", "why": "marked @autoscope.never"} in found


def test_tables_name_functions_and_reasons(program):
    """For reading, with the summary below."""
    planned = autoscope("plan", "shop", "--format", "table", cwd=program).stdout.decode()
    assert re.search(r"^shop\.desk\.load +balanced +1 +\w+ +\S+ +\S+ % +does I/O: database", planned, re.MULTILINE)
    assert "watched   " in planned

    analysed = autoscope("analyze", "shop", cwd=program).stdout.decode()
    assert re.search(r"^shop\.cart\.Cart\.price ", analysed, re.MULTILINE)
    assert re.search(r"^\d+ functions in 3 modules", analysed, re.MULTILINE)


LONG = "a_function_whose_author_wanted_to_say_in_its_name_all_that_it_does_and_all_that_it_does_not_do_" * 2


def test_tables_have_a_line_for_each_function(program):
    """However long its name; for `grep`, and on a narrow terminal with all that it is there for."""
    write(program, {"shop/long.py": f"def {LONG}():\n    return open('x').read()\n"})
    for command in ("analyze", "plan"):
        form = ("--format", "table") if command == "plan" else ()
        shown = autoscope(command, "shop", *form, cwd=program).stdout.decode()
        assert [LONG] == [line.split()[0].removeprefix("shop.long.") for line in shown.split("\n") if LONG in line]

        terminal = on_a_terminal(80, command, "shop", *form, cwd=program)
        assert "…" not in terminal
        assert "shop.desk.load" in terminal
    # The reason goes down the right side, a few words a line.
    assert {"does", "I/O:", "database"} <= set(terminal.split())


def on_a_terminal(columns, *arguments, cwd):
    """What a terminal so wide is shown."""
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "autoscope", *arguments],
        cwd=cwd,
        env={**ENVIRONMENT, "AUTOSCOPE_CACHE_DIR": str(cwd.parent / "cache"), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 65_536):
            shown += part
    except OSError:
        pass  # nobody has the other end open any more
    os.close(leader)
    assert process.wait(timeout=90) == 0
    return shown.decode()


EXPLAINED = [
    (
        ("shop.desk.load", "shop"),
        ["verdict   balanced, rate 1, decided by the strategy", "yes  does I/O: database", "I/O: database"],
    ),
    (("shop.desk.quiet", "shop"), ["verdict   off, decided by the mark", "take the mark off its definition"]),
    (("shop.desk.unused", "shop", "--exclude", "shop.desk"), ["decided by the user", "excluded: shop.desk"]),
    (
        ("shop.cart.Cart.rounded", "shop", "--strategy", "full_trace", "--budget", "0.001%"),
        [
            "verdict   off",
            "dropped for the budget",
            "budget: rate, full_trace -> full_trace at 0.5\n",
            "budget: level, full_trace -> off\n",
            "a larger budget than 0.001 %",
        ],
    ),
    (
        ("shop.cart.Cart.rounded", "shop"),
        ["--strategy full_trace", "to watch it: modules: {shop.cart: {functions: {Cart.rounded: {level: balanced}"],
    ),
    (("shop.cart.Cart", "shop"), ["balanced        ", "shop.cart.Cart.price", "shop.cart.Cart.__init__"]),
    (("shop.cart", "shop"), ["shop.cart: code, ", "imported by 1 modules"]),
    (("--why-not", "*.Cart.*", "shop"), ["shop.cart.Cart.size  ", "trivial: "]),
]


@pytest.mark.parametrize("arguments, parts", EXPLAINED, ids=[" ".join(case[0]) for case in EXPLAINED])
def test_explain_says_why(program, arguments, parts):
    """The verdict, what decided, and what would change it."""
    done = autoscope("explain", *arguments, cwd=program)

    assert (0, b"") == (done.code, done.stderr)
    for part in parts:
        assert part in done.stdout.decode()


def test_plan_and_explain_call_things_by_the_same_names(program):
    """Whoever reads both as JSON reads one language: that of plans."""
    plan = json.loads(autoscope("plan", "shop", "--format", "json", cwd=program).stdout)
    one = json.loads(autoscope("explain", "shop.desk.load", "shop", "--format", "json", cwd=program).stdout)
    same = next(function for function in plan["functions"] if function["name"] == "shop.desk.load")

    for key in ("name", "level", "rate", "capture", "reasons", "decided_by"):
        assert same[key] == one[key]
    assert {"args", "return", "exceptions", "state"} == set(one["capture"])


def test_explain_knows_what_was_changed_by_hand(program):
    """With `--plan`: entries, and what was taken out."""
    assert autoscope("plan", "shop", "-o", "plan.yaml", cwd=program).code == 0
    plan = program / "plan.yaml"
    text = plan.read_text()
    line = next(line for line in text.split("\n") if line.strip().startswith("load:"))
    plan.write_text(
        text.replace(f"{line}\n", "").replace("Cart.price: {level: balanced", "Cart.price: {level: minimal")
    )

    for target, part in (
        ("shop.desk.load", "taken out of the plan by hand"),
        ("shop.cart.Cart.price", "the entry shop.cart Cart.price says so"),
    ):
        done = autoscope("explain", target, "--plan", "plan.yaml", cwd=program)
        assert part in done.stdout.decode(), done.stderr


# What goes wrong.


ERRORS = [
    (("plan", "nosuch"), "nosuch: there is no such file or directory; "),
    (("plan", "empty"), "no Python files under "),
    (("plan", "notes.txt"), "not a Python file; "),
    (("plan", "shop", "--goal", "fast:shop"), "--goal `fast:shop`: "),
    (("plan", "shop", "--profile", "nosuch"), "--profile nosuch: no such file, nor a run: no runs in .autoscope: "),
    (
        ("plan", "shop", "--profile", "shop"),
        "--profile shop: no run is kept there; name a run's id, or a cProfile file",
    ),
    (("plan", "shop", "--profile", "notes.txt"), "cannot read a profile from 'notes.txt': "),
    (
        ("plan", "shop", "--strategy", "full"),
        "--strategy: `full` is not known; known: minimal, balanced, full_trace, auto",
    ),
    (
        ("explain", "shop.cart", "shop", "--strategy", "full-trace"),
        "--strategy: `full-trace` is not known; did you mean `full_trace`? ",
    ),
    (("plan", "shop", "--budget", "lots"), "--budget: `lots` is not a number; "),
    (("plan", "shop", "--rate", "2"), "--rate: `2` is not between 0 and 1; "),
    (("plan", "shop", "--include", "shp.*"), "--include shp.*: no such module here; "),
    (("plan", "shop", "-o", "nosuch/plan.yaml"), "nosuch/plan.yaml cannot be written: "),
    (("plan", "shop", "-o", "empty"), "empty cannot be written: "),
    (
        ("plan", "shop", "-o", "plan.yaml", "--format", "json"),
        "--format json is for reading, and plan.yaml would be a plan: ",
    ),
    (("plan", "--update", "nosuch.yaml"), "nosuch.yaml: no such file; "),
    (("plan", "--update", "a.yaml", "--plan", "b.yaml"), "--update and --plan both name a plan: "),
    (("plan", "shop", "--format", "xml"), "argument --format: invalid choice: 'xml'"),
    (("explain",), "explain: name a function, class or module, or give --why-not GLOB"),
    (("explain", "shop.crat", "shop"), "explain shop.crat: the code has no `shop.crat`; did you mean `shop.cart`? "),
    (("explain", "--why-not", "shop.crat*", "shop"), "--why-not shop.crat*: the code has no `shop.crat*`; "),
    (("check",), "the following arguments are required: PLAN; "),
    (("check", "notes.txt"), "notes.txt:2:1: not YAML: "),
    (("analyze", "nosuch"), "nosuch: there is no such file or directory; "),
]


@pytest.mark.parametrize("arguments, message", ERRORS, ids=[" ".join(case[0]) for case in ERRORS])
def test_errors_are_one_line(program, arguments, message):
    """What was asked, why not; nothing on standard output, exit code 2, no file left behind."""
    write(program, {"notes.txt": "no: [plan\n"})
    (program / "empty").mkdir()
    before = tree(program)
    done = autoscope(*arguments, cwd=program)

    assert (2, b"") == (done.code, done.stdout)
    assert re.match(rb"autoscope: [^\n]+\n\Z", done.stderr), done.stderr
    assert message in done.stderr.decode()
    assert before == tree(program)


def test_why_not_finds_nothing_where_all_is_watched(program):
    """Exit code 1, as for a search without a match."""
    done = autoscope("explain", "--why-not", "shop.desk.serve", "shop", cwd=program)

    assert (1, b"", b"no function that shop.desk.serve matches is left out\n") == (done.code, done.stdout, done.stderr)


ODD_FILES = {
    "shop/broken.py": "def f(:\n",
    "shop/latin.py": b"name = '\xe9'\n",
    "shop/null.py": b"x = 1\0\n",
    "shop/open.py": "x = (\n",
    "shop/deep.py": "def f(x):\n    return x" + ".a" * 30_000 + "\n",
    "shop/copy (1).py": "def f(): pass\n",
    "shop/huge.py": b"#" * 2_000_001,
    "shop/made_pb2.py": "x = 1\n",
    "shop/made.py": "# Generated by the compiler. DO NOT EDIT!\n",
    "shop/book.ipynb": "{}",
    "shop/vendor/theirs.py": "def f(): pass\n",
}
REASONS = {
    "shop/broken.py": "not Python ",
    "shop/latin.py": "not UTF-8 (byte 0xe9 in line 1)",
    "shop/null.py": "null bytes",
    "shop/deep.py": "cannot be parsed: too deeply nested",
    "shop/copy (1).py": "no plan can name it `shop.copy (1)`; rename it",
    "shop/open.py": "not Python ",
    "shop/huge.py": "larger than 2 MB",
    "shop/made_pb2.py": "generated code (protocol buffers)",
    "shop/made.py": "generated code, as its line 1 says",
    "shop/book.ipynb": "a notebook",
    "shop/vendor": "vendored",
    "shop/loop.py": "a symbolic link to nothing, or to itself",
}


def test_files_that_cannot_be_planned_are_left_out_and_counted(program):
    """Each with its reason; the others are planned. Links that lead in circles are followed nowhere."""
    write(program, ODD_FILES)
    (program / "shop" / "loop.py").symlink_to("loop.py")
    (program / "shop" / "deeper").symlink_to(".")

    for _ in ("cold", "warm"):
        done = autoscope("plan", "shop", "--format", "json", cwd=program)
        assert (0, b"") == (done.code, done.stderr)
        found = json.loads(done.stdout)
        reasons = {os.path.relpath(item["path"], program): item["reason"] for item in found["skipped"]}
        for path, reason in REASONS.items():
            assert reason in reasons[path], path
        assert {"shop", "shop.cart", "shop.desk"} == set(found["modules"])
        text = autoscope("plan", "shop", cwd=program).stdout.decode()
        assert f"{len(reasons)} files left out" in text
        # Code that is missing from the plan is named in it.
        named = dict(re.findall(r"^# unread +(\S.*\.py): (.*)$", text, re.MULTILINE))
        assert {f"{name}.py": reasons[f"shop/{name}.py"] for name in ("broken", "copy (1)", "deep")} == named
        assert "# unread    and 3 files more: see --format table\n" in text
        assert "line None" not in str(reasons)
    assert "left out" in autoscope("analyze", "shop", cwd=program).stdout.decode()


def test_names_that_are_no_text_are_planned_and_written(tmp_path):
    """A directory or file whose name is not UTF-8."""
    folder = os.fsdecode(bytes(tmp_path / "caf") + b"\xe9")
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes text alone")
    write(Path(folder), {"main.py": "def main():\n    open('x').read()\n\nif __name__ == '__main__':\n    main()\n"})
    write(Path(folder), {os.fsdecode(b"caf\xe9.py"): "def main(): open('x').read()\n"})

    done = autoscope("plan", folder, "-o", "plan.yaml", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "main.main" not in resolve(plan_file=str(tmp_path / "plan.yaml"), environ={}).modules
    assert "# unread    caf\\udce9.py: no plan can name it" in (tmp_path / "plan.yaml").read_text()
    assert autoscope("check", "plan.yaml", folder, cwd=tmp_path).code == 0


def test_a_dry_run_writes_nothing(program):
    """No plan, no file at all, and it says what would be."""
    before = tree(program)
    done = autoscope("plan", "shop", "-o", "plan.yaml", "--dry-run", cwd=program)

    assert (0, b"") == (done.code, done.stdout)
    assert done.stderr.endswith(b"nothing is written (--dry-run)\n")
    assert before == tree(program)


def test_commands_work_without_a_place_for_a_cache(program):
    """Where it cannot be written, it is done without."""
    (program / "file").write_text("")
    plain = autoscope("plan", "shop", cwd=program)

    for place in (str(program / "file"), "off", "/proc/nosuch"):
        done = autoscope("plan", "shop", cwd=program, env={"AUTOSCOPE_CACHE_DIR": place})
        assert (plain.code, plain.stdout) == (done.code, done.stdout), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "shop"),
        ("plan", "shop", "--format", "table"),
        ("plan", "shop", "--format", "json"),
        ("plan", "--update", "plan.yaml", "--strategy", "minimal"),
        ("analyze", "shop"),
        ("analyze", "shop", "--format", "json"),
        ("explain", "shop.cart", "shop"),
        ("explain", "--why-not", "*", "shop"),
        ("check", "plan.yaml"),
    ],
    ids=" ".join,
)
def test_a_reader_that_has_seen_enough_is_no_error(program, arguments):
    """`| head`: no word of a broken pipe, and exit code 0."""
    assert autoscope("plan", "shop", "-o", "plan.yaml", cwd=program).code == 0
    done = unread(program, *arguments)

    assert (0, False) == (done.returncode, b"roken pipe" in done.stderr)


def test_an_update_is_written_even_if_nobody_reads_the_difference(program):
    """The file was what was asked for."""
    assert autoscope("plan", "shop", "-o", "plan.yaml", cwd=program).code == 0
    unread(program, "plan", "--update", "plan.yaml", "--strategy", "minimal")

    assert "strategy: minimal\n" in (program / "plan.yaml").read_text()


def unread(program, *arguments):
    """One command whose standard output is a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-m", "autoscope", *arguments],
            cwd=program,
            env={**ENVIRONMENT, "AUTOSCOPE_CACHE_DIR": str(program.parent / "cache")},
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=90,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "command", [("plan", "shop", "--plan", "pipe"), ("check", "pipe"), ("plan", "--update", "pipe")], ids=" ".join
)
def test_an_interrupt_is_quiet(program, command):
    """Ctrl-C: no traceback, and the exit code shells know."""
    os.mkfifo(program / "pipe")
    process = subprocess.Popen(
        [sys.executable, "-m", "autoscope", *command],
        cwd=program,
        env={**ENVIRONMENT, "AUTOSCOPE_CACHE_DIR": str(program.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with open(program / "pipe", "wb"):  # opened for reading by now: it waits for us to write
        # One between Python's last look for signals and the read that waits is noticed with the next.
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=10)
                break

    assert (b"", b"") == (out, err)
    assert process.returncode in (130, -signal.SIGINT)


def test_a_plan_may_go_into_a_pipe(program):
    """`-o /dev/stdout`, or a named one: written as it is, nothing is put in its place."""
    os.mkfifo(program / "pipe")
    process = subprocess.Popen(
        [sys.executable, "-m", "autoscope", "plan", "shop", "-o", "pipe"],
        cwd=program,
        env={**ENVIRONMENT, "AUTOSCOPE_CACHE_DIR": str(program.parent / "cache")},
        stderr=subprocess.PIPE,
    )
    with open(program / "pipe", "rb") as pipe:
        text = pipe.read()
    assert process.wait(timeout=60) == 0
    process.stderr.close()

    assert text.startswith(b"# Written by autoscope ")
    assert (program / "pipe").is_fifo()


def test_output_fits_any_encoding(program):
    """A terminal that knows ASCII alone gets escapes, not an error."""
    write(program, {"shop/größe.py": "def maß():\n    return open('ü').read()\n"})

    for arguments in (
        ("plan", "shop"),
        ("analyze", "shop"),
        ("plan", "shop", "--format", "table"),
        ("explain", "shop.größe.maß", "shop"),
    ):
        done = autoscope(*arguments, cwd=program, env={"PYTHONIOENCODING": "ascii"})
        assert (0, b"") == (done.code, done.stderr)
        assert rb"ma\xdf" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_what_cannot_be_written_is_said_in_one_line(program):
    """A full disk behind standard output is no traceback."""
    command = f"{sys.executable} -m autoscope plan shop > /dev/full"
    ran = subprocess.run(["sh", "-c", command], cwd=program, capture_output=True, text=True, timeout=60)
    assert (2, 1) == (ran.returncode, len(ran.stderr.strip().splitlines()))
    assert "cannot be written" in ran.stderr


def test_a_working_directory_that_is_gone_is_said(program):
    """Not that something cannot be written."""
    for command in ("plan ../shop", "check plan.yaml", "plan ../shop -o plan.yaml"):
        told = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m autoscope {command}"
        ran = subprocess.run(["sh", "-c", told], cwd=program, capture_output=True, text=True, timeout=60)
        assert (2, "") == (ran.returncode, ran.stdout)
        assert ran.stderr in (
            "autoscope: the working directory is gone; go to one that is there\n",
            "autoscope: ../shop: there is no such file or directory; name a Python file, or a directory with some\n",
        )


def test_a_cache_that_is_not_cleared_is_not_said_to_be(program):
    """Another process has it to itself, for one; and its state says why nothing is found in it."""
    place = program.parent / "cache"
    assert autoscope("plan", "shop", cwd=program).code == 0
    other = sqlite3.connect(place / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        refused = autoscope("cache", "clear", cwd=program)
        told = json.loads(autoscope("cache", "stats", "--format", "json", cwd=program).stdout)
    finally:
        other.close()

    why = "another process has locked it"
    assert (2, b"", 1) == (refused.code, refused.stdout, refused.stderr.count(b"\n"))
    assert b"cannot be deleted: " in refused.stderr and why.encode() in refused.stderr
    assert why in told["trouble"]
    found = autoscope("cache", "clear", cwd=program)
    assert (0, b"") == (found.code, found.stderr)
    assert b" and 0 facts" not in found.stdout
    assert json.loads(autoscope("cache", "stats", "--format", "json", cwd=program).stdout)["trouble"] is None


@pytest.mark.parametrize("option", ["-o", "--update", "--plan", "--profile", "--store"])
def test_an_option_without_a_word_is_an_error(program, option):
    """As a variable of the shell that nobody has set: what was meant is not what would be done."""
    done = autoscope("plan", "shop", option, "", cwd=program)

    assert (2, b"") == (done.code, done.stdout)
    assert b": there is no name (is a variable empty?); see `autoscope plan --help`\n" in done.stderr


def test_a_dash_is_standard_output(program):
    """As it is for `export`, and whatever else is done."""
    plain = autoscope("plan", "shop", cwd=program)
    before = tree(program)
    assert plain == autoscope("plan", "shop", "-o", "-", cwd=program)
    assert before == tree(program)
    assert autoscope("plan", "shop", "-o", "plan.yaml", cwd=program).code == 0
    updated = autoscope("plan", "--update", "plan.yaml", "-o", "-", "--strategy", "minimal", cwd=program)
    assert updated.stdout.startswith(b"# Written by ")
    assert b"\n- shop.desk.load " not in updated.stdout and b"\n- shop.desk.load " in b"\n" + updated.stderr


def test_what_is_not_understood_names_the_commands_help(program):
    """That of the command, which has the options."""
    done = autoscope("plan", "shop", "--bogus", cwd=program)

    assert (2, b"autoscope: unrecognized arguments: --bogus; see `autoscope plan --help`\n") == (done.code, done.stderr)


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_streams_that_are_closed_are_no_error(program, closed):
    """As for a daemon: what is asked for is done, what would be said goes nowhere."""
    away = " ".join(f"{number}>&-" if number else "<&-" for number in closed)

    def run(command):
        ran = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m autoscope {command} {away}"],
            cwd=program,
            env={**ENVIRONMENT, "AUTOSCOPE_CACHE_DIR": str(program.parent / "cache")},
            capture_output=True,
            timeout=90,
        )
        assert b"Traceback" not in ran.stderr
        return ran.returncode

    assert run("plan shop -o plan.yaml") == 0
    assert "shop.desk" in resolve(plan_file=str(program / "plan.yaml"), environ={}).modules
    for command in (
        "plan --update plan.yaml --strategy minimal",
        "analyze shop",
        "explain shop.desk shop",
        "cache stats",
    ):
        assert run(command) == 0
    assert (1, 2) == (run("explain --why-not shop.desk.serve shop"), run("plan nowhere"))


def test_a_program_finds_its_streams_closed_as_ever(program):
    """`autoscope run` opens nothing in their place."""
    write(program, {"closed.py": "import sys\nopen('told', 'w').write(repr((sys.stdout, sys.stderr)))\n"})
    command = f"{sys.executable} -m autoscope run --store runs closed.py >&- 2>&-"
    subprocess.run(["sh", "-c", command], cwd=program, env=ENVIRONMENT, timeout=90, check=True)

    assert "(None, None)" == (program / "told").read_text()
