"""What programs nobody here wrote showed (`scripts/real_programs.py`), each as the smallest program that shows it."""

from __future__ import annotations

import sys

import pytest

import autoscope
from autoscope import bootstrap
from autoscope.weave import weaver
from program_kit import end, environment, run, start


@pytest.mark.parametrize("state", ["captured", "sampled out"])
def test_the_arguments_c_gives_the_script_are_nowhere(tmp_path, state):
    """rich showed them among the locals of `<module>`."""
    source = """
        import sys

        def f():
            return 1

        print(sorted(locals()), sorted(sys._getframe().f_locals), sorted(globals()))
        x = 5
        functions = [lambda: x for x in range(3)]
        locals()
        print(x, [g() for g in functions], sorted(locals()), sorted(globals()))
        try:
            1 / 0
        except ZeroDivisionError as error:
            print(error.__traceback__.tb_lineno, error.__traceback__.tb_next, sorted(error.__traceback__.tb_frame.f_locals))
        events = []

        def trace(frame, event, argument):
            events.append((frame.f_lineno, event))
            return trace

        sys._getframe().f_trace = trace
        sys.settrace(trace)
        with open(__file__) as file:
            pass
        sys.settrace(None)
        print(events, f())
        raise SystemExit(3)
    """
    env = {"AUTOSCOPE_RATE": "0"} if state == "sampled out" else {}
    traced = run(tmp_path, source, check=False, strategy="full_trace", env=env)
    plain = run(tmp_path, source, check=False, plain=True)
    assert (traced.status, traced.out, traced.err) == (plain.status, plain.out, plain.err)
    assert plain.status == 3


def test_a_call_after_the_end_of_imports(tmp_path):
    """pip's pyparsing has a `__del__` that runs when `sys.meta_path` is None."""
    source = """
        import json, sys, threading

        class Held:
            def __init__(self, name):
                self.name, self.me = name, self

            def __del__(self, how="x"):
                self.bye(self.name)

            def bye(self, name):
                return list(self.count())

            def count(self):
                try:
                    yield 1
                    yield 2
                finally:
                    self.last()

            def last(self):
                try:
                    raise KeyError(self.name)
                except KeyError:
                    pass

        held = Held("main")
        sys.held, json.held, threading.held = Held("sys"), Held("json"), Held("threading")
        sys.suspended = held.count()
        next(sys.suspended)
        suspended = held.count()
        next(suspended)
        sys.stdout.flush()
    """
    traced = run(tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_STRICT": None})
    assert (traced.out, traced.err) == ("", "")


def test_a_module_being_imported_is_not_late(tmp_path, monkeypatch):
    """black, sqlglot and django: the look round came while a module had been made but not executed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "case_slow.py").write_text(
        "from autoscope import bootstrap\nbootstrap.running.look_round()\ndef f(): return len('abc')\n"
    )
    with autoscope.install(strategy="full_trace", include=["case_slow"], store=""):
        weaver.seen.clear()
        original = weaver.Weaver.module_code

        def slow(self, code, module, source):
            # The drain's thread, while the code is being woven.
            bootstrap.running.look_round()
            assert bootstrap.running.late == []
            return original(self, code, module, source)

        monkeypatch.setattr(weaver.Weaver, "module_code", slow)
        import case_slow

        assert weaver.seen["case_slow"] == "import"
        assert bootstrap.running.late == []
        assert case_slow.f() == 3


def test_a_namespace_package_is_not_late(tmp_path, monkeypatch, capfd):
    """flask.sansio: a directory has no code."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "case_space").mkdir()
    (tmp_path / "case_space" / "inside.py").write_text("def f(): return len('abc')\n")
    with autoscope.install(strategy="full_trace", include=["case_space", "case_space.*"], store=""):
        import case_space.inside

        bootstrap.running.look_round()
        bootstrap.running.look_round()
        assert bootstrap.running.late == []
        assert "namespace" in weaver.seen["case_space"]
        assert case_space.inside.f() == 3
    assert "late-module" not in capfd.readouterr().err


def test_what_pytest_imports_first_is_woven_at_import(tmp_path):
    """Its hook came before ours, and nothing the plan selects had been imported since."""
    (tmp_path / "test_case.py").write_text("def helper():\n    return 3\n\ndef test_it():\n    assert helper() == 3\n")
    process = start(
        tmp_path,
        "",
        flags=["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_case.py"],
        strategy="full_trace",
        env={"AUTOSCOPE_INCLUDE": "test_case"},
    )
    ended = end(tmp_path, process)
    assert "late-module" not in ended.err
    assert set(ended.names) == {"test_case.helper", "test_case.test_it"}


def test_children_started_before_the_first_span_belong_to_the_run(tmp_path):
    """uvicorn's workers, under `python -m uvicorn --workers 2` with the environment set."""
    (tmp_path / "case_child.py").write_text("def f(n):\n    return n\n")
    (tmp_path / "case_parent.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import case_child; case_child.f(1)'], check=True)\n"
        "import case_child\n"
        "case_child.f(2)\n"
    )
    process = start(
        tmp_path,
        "",
        flags=["-m", "case_parent"],
        strategy="full_trace",
        env={"AUTOSCOPE_INCLUDE": "case_child", "PYTHONPATH": environment(tmp_path)["PYTHONPATH"]},
    )
    ended = end(tmp_path, process)  # fails where there are two runs
    assert ended.names == {"case_child.f": 2}
    assert len(ended.processes) == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="comprehensions are functions")
def test_a_comprehension_of_a_script_keeps_its_names(tmp_path):
    source = """
        y = 1
        def f(): return [y for y in range(3)]
        print([y for y in range(2)], [sorted(locals()) for y in range(1)], y, f())
        print(sorted(locals()), y)
    """
    assert run(tmp_path, source).out == run(tmp_path, source, plain=True).out


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_an_interpreter_inside_the_process_ends_as_it_would(tmp_path, kind):
    """A thread of ours in it, and CPython refuses to end it or takes the whole process down."""
    (tmp_path / "case_inner.py").write_text("def f(n):\n    return n\n")
    source = """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters

        def make(kind):
            if sys.version_info >= (3, 13):
                return interpreters.create(kind)
            return interpreters.create(isolated=kind == "isolated")

        code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import case_inner; print(case_inner.f(1), flush=True)"
        for destroyed in (True, False):
            one = make(sys.argv[1])
            interpreters.run_string(one, code)
            if destroyed:
                interpreters.destroy(one)
        print("ended")
    """
    plain = run(tmp_path, source, kind, plain=True)
    traced = run(tmp_path, source, kind, strategy="full_trace")
    assert (traced.status, traced.out) == (plain.status, plain.out)
    assert traced.names == {"make": 2}
    said = "autoscope: an interpreter inside the process runs untraced: a thread of ours would keep it from ending"
    assert traced.err.splitlines() == [f"{said} (sub-interpreter)"] * 2


def test_a_tool_that_forbids_locks_hears_of_none_of_ours(tmp_path):
    """blockbuster puts its own `acquire` into the type of locks, which refuses to wait where an event loop runs."""
    source = """
        import ctypes, gc, os, sys, threading, time

        kind = type(threading.Lock())
        real = kind.acquire
        main = threading.get_ident()

        def acquire(lock, blocking=True, timeout=-1):
            if blocking and timeout and lock.locked() and threading.get_ident() == main:
                raise OSError("a blocking call")
            return real(lock, blocking, timeout)

        def put(value):
            gc.get_referents(kind.__dict__)[0]["acquire"] = value
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))

        def work():
            return 1

        work()
        time.sleep(0.3)
        put(acquire)
        work()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        put(real)
    """
    traced = run(tmp_path, source, strategy="full_trace")
    assert (traced.out, traced.err) == ("", "")
    assert traced.names["work"] == 2
