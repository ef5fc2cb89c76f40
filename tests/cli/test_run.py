"""`autoscope run X` is `python X`: what goes in, what comes out, how it ends, and what the program sees of itself."""

from __future__ import annotations

import os
import re
import sys
import zipfile

import pytest
from cli_kit import Outcome, python, spans, tree, without_ours, write

from autoscope.read.runs import list_runs, open_run

LOOK = """
import sys
before = sorted(globals())
import os
def look():
    return 1 + len(str(os.getpid()))
look()
main = sys.modules["__main__"]
for name, value in (
    ("argv", sys.argv), ("path[0]", sys.path[0]), ("path", sys.path), ("name", __name__), ("file", globals().get("__file__")),
    ("spec", repr(__spec__)), ("package", __package__), ("cached", globals().get("__cached__", "absent")),
    ("loader", type(__loader__)), ("loader path", getattr(__loader__, "path", None)), ("globals", before),
    ("same", main.__dict__ is globals()), ("doc", __doc__), ("flags", sys.flags), ("warnoptions", sys.warnoptions),
    ("xoptions", sys._xoptions), ("ppid", os.getppid()), ("meta", [m for m in ("runpy", "sitecustomize") if m in sys.modules]),
    ("depth", sys._getframe().f_back), ("code", sys._getframe().f_code.co_name), ("file of code", sys._getframe().f_code.co_filename),
    ("annotations", globals().get("__annotations__", "absent")), ("buffered", (sys.stdout.line_buffering, sys.stdout.write_through)),
    ("encoding", (sys.stdout.encoding, sys.stdout.errors)), ("cwd", os.getcwd()), ("executable", sys.executable),
    ("path hooks", len(sys.path_hooks)), ("recursion", sys.getrecursionlimit()), ("builtins", type(__builtins__)),
    ("importer cache", sorted(k for k in sys.path_importer_cache if "case" in k)),
):
    print(name, value)
"""


def deep(text: str) -> dict[str, str]:
    return {"app.py": text}


# name -> files, command behind `python`, and what else: flags of the interpreter, environment, standard input.
PROGRAMS: dict[str, tuple] = {
    "what a script sees": (deep(LOOK), ["app.py", "a", "--plan", "x", "--", "-m"], {}),
    "script by absolute path": (deep(LOOK), ["{here}/app.py"], {}),
    "script by crooked path": ({"sub/app.py": LOOK}, ["sub/../sub/./app.py"], {}),
    "script in another directory": (
        {"sub/app.py": LOOK + "import beside\nprint(beside.f())", "sub/beside.py": "def f():\n    return len('beside')"},
        ["sub/app.py"], {}),
    "script with no suffix": ({"app": LOOK}, ["app"], {}),
    "script with odd name": ({"my app-1.py": LOOK}, ["my app-1.py"], {}),
    "safe path": (deep(LOOK), ["app.py"], {"env": {"PYTHONSAFEPATH": "1"}}),
    "python -P": (deep(LOOK), ["app.py"], {"flags": ["-P"]}),
    "python -O -W": (deep(LOOK + "print(__debug__)"), ["app.py"], {"flags": ["-W", "error", "-O"]}),
    "python -OO": (deep('"""Doc."""' + LOOK), ["app.py"], {"flags": ["-OO"]}),
    "python -X": (deep(LOOK), ["app.py"], {"flags": ["-X", "dev", "-X", "mine=1", "-Xutf8"]}),
    "python -u": (deep(LOOK), ["app.py"], {"flags": ["-u"]}),
    "python -bb -B -s": (deep(LOOK), ["app.py"], {"flags": ["-bbBs"]}),
    "python -X no_debug_ranges": (deep("def f():\n    return 1 / 0\nf()"), ["app.py"], {"flags": ["-X", "no_debug_ranges"]}),
    "keyboard interrupt in a module": (
        {"case.py": "def f():\n    raise KeyboardInterrupt\nf()"}, ["-m", "case"], {}),
    "keyboard interrupt, caught": (
        deep("def f():\n    raise KeyboardInterrupt\ntry:\n    f()\nexcept KeyboardInterrupt:\n    print(1)"), ["app.py"], {}),
    "keyboard interrupt with a hook": (
        deep("import sys\nsys.excepthook = print\ndef f():\n    raise KeyboardInterrupt\nf()"), ["app.py"], {}),
    "import of what cannot be read": ({"app.py": "import bad", "bad.py": b"x = '\xff'\n"}, ["app.py"], {}),
    "import of null bytes": ({"app.py": "import bad", "bad.py": b"x = 1\0\n"}, ["app.py"], {}),
    "python -i": (deep("def f():\n    return len('x')\nx = f()"), ["app.py"], {"flags": ["-i"], "stdin": b"print(x + 41)\n"}),
    "PYTHONINSPECT": (deep("x = 1"), ["app.py"], {"env": {"PYTHONINSPECT": "1"}, "stdin": b"print(x + 41)\n"}),
    "stdin echo": (
        deep("import sys\ndef f():\n    sys.stdout.buffer.write(sys.stdin.buffer.read())\nf()"),
        ["app.py"], {"stdin": bytes(range(256)) * 300}),
    "input()": (deep("def f():\n    print('got', input('? '), input())\nf()"), ["app.py"], {"stdin": b"one\ntwo\n"}),
    "binary stdout": (
        deep("import os, sys\ndef f():\n    os.write(1, bytes(range(256)))\n    sys.stdout.buffer.write(b'\\xff\\0\\n')\nf()"),
        ["app.py"], {}),
    "stdout closed": (deep("import os, sys\ndef f():\n    os.close(1)\nf()\nprint('x')"), ["app.py"], {}),
    "stderr closed": (deep("import os\ndef f():\n    os.close(2)\nf()\nprint('x')"), ["app.py"], {}),
    "sys.exit(n)": (deep("import sys\ndef f():\n    sys.exit(7)\nf()"), ["app.py"], {}),
    "sys.exit(300)": (deep("import sys\ndef f():\n    sys.exit(300)\nf()"), ["app.py"], {}),
    "sys.exit(msg)": (deep("import sys\ndef f():\n    sys.exit('no way')\nf()"), ["app.py"], {}),
    "raise SystemExit": (deep("def f():\n    raise SystemExit\nf()"), ["app.py"], {}),
    "exit in a thread": (
        deep("import sys, threading\ndef f():\n    sys.exit(3)\nt = threading.Thread(target=f)\nt.start()\nt.join()\nprint('on')"),
        ["app.py"], {}),
    "uncaught": (deep("def f():\n    return {}['k']\ndef g():\n    return f()\ng()"), ["app.py"], {}),
    "uncaught chain": (
        deep("""
        class Own(Exception):
            pass
        def f():
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise Own('wörse\\n  two lines') from error
        def g():
            try:
                f()
            except Own:
                raise ExceptionGroup('several', [ValueError(1), KeyError(2)])
        g()
        """), ["app.py"], {}),
    "uncaught in a thread": (
        deep("import threading\ndef f():\n    1 / 0\nt = threading.Thread(target=f, name='t')\nt.start()\nt.join()\nprint('on')"),
        ["app.py"], {}),
    "unraisable": (deep("class C:\n    def __del__(self):\n        len(3)\ndef f():\n    C()\nf()\nprint('on')"), ["app.py"], {}),
    "os._exit": (deep("import os\ndef f():\n    print('lost')\n    os._exit(9)\nf()"), ["app.py"], {}),
    "os.abort": (deep("import os\ndef f():\n    os.abort()\nf()"), ["app.py"], {}),
    "atexit": (
        deep("import atexit\ndef f():\n    print('bye')\ndef g():\n    1 / 0\natexit.register(f)\natexit.register(g)\nprint('hi')"),
        ["app.py"], {}),
    **{
        name: (
            deep(f"import os, signal\ndef f():\n    print('x', flush=True)\n    os.kill(os.getpid(), signal.{name})\n    os.getpid()\nf()"),
            ["app.py"], {})
        for name in ("SIGKILL", "SIGTERM", "SIGSEGV", "SIGINT", "SIGHUP", "SIGUSR1", "SIGPIPE", "SIGABRT")
    },
    "signal dispositions": (
        deep("import signal\nprint([(s, str(signal.getsignal(s))) for s in sorted(signal.valid_signals()) if s != signal.SIGTERM])"),
        ["app.py"], {}),
    "own SIGTERM handler": (
        deep("""
        import os, signal, sys
        def handler(number, frame):
            print('asked', number, frame.f_code.co_name)
            sys.exit(4)
        def f():
            signal.signal(signal.SIGTERM, handler)
            os.kill(os.getpid(), signal.SIGTERM)
            os.getpid()
        f()
        """), ["app.py"], {}),
    "faulthandler": (
        deep("import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGSEGV)\n    os.getpid()\nf()"),
        ["app.py"], {"flags": ["-X", "faulthandler"]}),
    "syntax error": (deep("def f():\n    return (\nx ="), ["app.py"], {}),
    "tab error": (deep("def f():\n\tif 1:\n        return 1\n"), ["app.py"], {}),
    "null bytes": ({"app.py": b"print(1)\0\n"}, ["app.py"], {}),
    "undecodable": ({"app.py": b"print('\xff')\n"}, ["app.py"], {}),
    "unknown encoding": ({"app.py": b"# coding: nonsense\nprint(1)\n"}, ["app.py"], {}),
    "empty": (deep(""), ["app.py"], {}),
    "syntax warning": (deep("def f():\n    return len('\\d') is 2\nprint(f())"), ["app.py"], {}),
    "syntax warning as error": (deep("def f():\n    return len('d') is 2\nprint(f())"), ["app.py"], {"flags": ["-Werror"]}),
    "deprecation warning": (
        deep("import warnings\ndef f():\n    warnings.warn('old', DeprecationWarning, stacklevel=2)\nf()"), ["app.py"], {}),
    "latin-1 cookie": ({"app.py": "# -*- coding: latin-1 -*-\ndef f():\n    return 'é'.upper()\nprint(ascii(f()))\n1/0 # é\n".encode("latin-1")}, ["app.py"], {}),
    "CRLF": ({"app.py": b"def f():\r\n    return ascii('''a\r\nb''')\r\nprint(f())\r\n1/0\r\n"}, ["app.py"], {}),
    "BOM": ({"app.py": b"\xef\xbb\xbfdef f():\n    return len('x')\nprint(f(), __file__)\n1/0\n"}, ["app.py"], {}),
    "shebang": (deep("#!/usr/bin/env python3\ndef f():\n    return len('x')\nprint(f())"), ["app.py"], {}),
    "no newline at end": ({"app.py": b"def f():\n    return len('x')\nprint(f())"}, ["app.py"], {}),
    "form feed": ({"app.py": b"\x0cdef f():\n    return len('x')\nprint(f())\n"}, ["app.py"], {}),
    "future and doc": (
        deep('"""Doc."""\nfrom __future__ import annotations\nx: int = 1\ndef f(a: Nope) -> Nope:\n    return len("x")\nprint(f(1), __doc__, f.__annotations__, __annotations__)'),
        ["app.py"], {}),
    "directory": ({"case/__main__.py": LOOK, "case/mod.py": "x = 1"}, ["case", "a", "b"], {}),
    "directory imports": (
        {"case/__main__.py": "import mod\nprint(mod.f())", "case/mod.py": "def f():\n    return len('x')"}, ["case/"], {}),
    "directory without main": ({"case/mod.py": ""}, ["case"], {}),
    "package": ({"case/__init__.py": "print('init')", "case/__main__.py": LOOK}, ["-m", "case", "-m", "x"], {}),
    "module in package": (
        {"case/__init__.py": "", "case/sub/__init__.py": "", "case/sub/mod.py": LOOK + "from . import __name__ as n\nprint(n)"},
        ["-m", "case.sub.mod", "--strategy", "y", "--"], {}),
    "top level module": ({"case.py": LOOK}, ["-m", "case"], {}),
    "module imported by its package": (
        {"case/__init__.py": "from . import mod", "case/mod.py": "def f():\n    return len('x')\nprint(f(), __name__)"},
        ["-m", "case.mod"], {}),
    "namespace package": ({"case/sub/mod.py": LOOK}, ["-m", "case.sub.mod"], {}),
    "missing module": (deep(""), ["-m", "no_such_module_here"], {}),
    "missing submodule": ({"case/__init__.py": ""}, ["-m", "case.nope"], {}),
    "package without main": ({"case/__init__.py": ""}, ["-m", "case"], {}),
    "module that raises": ({"case.py": "def f():\n    1 / 0\nf()"}, ["-m", "case"], {}),
    "module with syntax error": ({"case.py": "def f(:\n"}, ["-m", "case"], {}),
    "package that raises": ({"case/__init__.py": "def f():\n    1 / 0\nf()", "case/__main__.py": ""}, ["-m", "case"], {}),
    "module of the library": (deep(""), ["-m", "json.tool"], {"stdin": b'{"a": 1}'}),
    "import that fails": (
        {"app.py": "def f():\n    import bad\nf()", "bad.py": "def g():\n    import worse\ng()", "worse.py": "x = 1\nraise OSError('no')"},
        ["app.py"], {}),
    "import with syntax error": ({"app.py": "import bad", "bad.py": "def f():\n  x = = 1\n"}, ["app.py"], {}),
    "import of what is missing": ({"app.py": "import bad", "bad.py": "from os import nope\n"}, ["app.py"], {}),
    "circular import": (
        {"app.py": "import a", "a.py": "import b\ndef f():\n    return 1", "b.py": "from a import f\n"}, ["app.py"], {}),
    "script imports itself": (
        deep("import sys\ndef f():\n    import app\n    return app.__name__\nif __name__ == '__main__':\n    print(f(), sys.modules['app'] is sys.modules['__main__'])"),
        ["app.py"], {}),
    "runpy": (
        {"app.py": "import runpy\ndef f():\n    runpy.run_path('other.py', run_name='__main__')\nf()", "other.py": LOOK.replace("depth", "#").replace("sys._getframe().f_back", "0")},
        ["app.py"], {}),
    "inspect": (
        deep("import inspect, sys\ndef f(a, *, b=1):\n    '''Doc.'''\n    return len(str(a))\nprint(inspect.getsource(f), inspect.signature(f), inspect.getsource(sys.modules['__main__']) == open(__file__).read())"),
        ["app.py"], {}),
    "pickle": (
        deep("import pickle\nclass C:\n    def m(self):\n        return len('x')\ndef f():\n    return pickle.loads(pickle.dumps(C())).m()\nprint(f(), pickle.loads(pickle.dumps(f)) is f)"),
        ["app.py"], {}),
    "random": (deep("import random\nrandom.seed(1)\ndef f():\n    return random.random()\nprint([f() for _ in range(5)])"), ["app.py"], {}),
    "threads": (
        deep("import threading\ndef f():\n    return [t.name for t in threading.enumerate()]\nf()\nprint(f(), threading.active_count(), threading.current_thread())"),
        ["app.py"], {"mask": [rb"\d{6,}"]}),
    "descriptors": (
        deep("import os\ndef f():\n    return os.open(os.devnull, os.O_RDONLY)\nprint(f(), sorted(os.listdir('/proc/self/fd'))[:3] if os.path.isdir('/proc/self/fd') else '')"),
        ["app.py"], {"run": ["--no-store"]}),
    "fork": (
        deep("""
        import os, sys
        def child():
            print('child', os.getppid() == parent, flush=True)
            return 5
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(child())
        print('status', os.waitpid(pid, 0)[1])
        pid = os.fork()
        if pid == 0:
            sys.exit(child())
        print('status', os.waitpid(pid, 0)[1])
        """), ["app.py"], {"flags": ["-u"]}),
    "subprocess": (
        {"app.py": """
         import subprocess, sys
         def f():
             return subprocess.run([sys.executable, 'other.py', 'a'], capture_output=True, text=True)
         print(f())
         print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path[0], sys.flags)'], capture_output=True, text=True))
         print(subprocess.run([sys.executable, '-'], input='def f():\\n  return len(__name__)\\nprint(f())', capture_output=True, text=True))
         print(subprocess.run([sys.executable, '-I', '-c', 'import sys; print(sys.path, sys.flags)'], capture_output=True, text=True))
         print(subprocess.run([sys.executable, '-S', '-c', 'import sys; print(sys.path)'], capture_output=True, text=True, env={}))
         """, "other.py": "import sys\ndef f():\n    print(sys.argv)\n    sys.exit('bad')\nf()"}, ["app.py"], {}),
    "execv": (
        deep("import os, sys\ndef f(n):\n    os.execv(sys.executable, [sys.executable, 'app.py', str(n)])\nif len(sys.argv) < 2:\n    f(1)\nprint(sys.argv, __name__)"),
        ["app.py"], {}),
    **{
        f"multiprocessing {how}": (
            deep(f"""
            import multiprocessing, sys
            def work(n):
                return n * len('ab'), __name__
            def boom():
                sys.exit(3)
            if __name__ == '__main__':
                context = multiprocessing.get_context({how!r})
                with context.Pool(2) as pool:
                    print(pool.map(work, range(5)))
                process = context.Process(target=boom)
                process.start()
                process.join()
                print(process.exitcode)
            """), ["app.py"], {})
        for how in ("spawn", "fork", "forkserver")
    },
    "executor": (
        deep("""
        from concurrent.futures import ProcessPoolExecutor
        def work(n):
            return n * len('ab')
        def main():
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(work, range(5))))
        if __name__ == '__main__':
            main()
        """), ["app.py"], {}),
    "asyncio": (
        deep("import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\nasync def main():\n    print(await asyncio.gather(*map(f, range(3))))\n    raise ValueError\nasyncio.run(main())"),
        ["app.py"], {}),
    "doctest": (
        deep("def f():\n    '''\n    >>> f()\n    2\n    '''\n    return len('x')\nimport doctest\nprint(doctest.testmod())"), ["app.py"], {}),
    "pdb": (deep("def f():\n    x = 1\n    breakpoint()\n    return x\nprint(f())"), ["app.py"], {"stdin": b"w\np x\nlocals()\nn\nn\nc\n"}),
    "settrace": (
        deep("""
        import sys
        def tracer(frame, event, arg):
            if frame.f_code.co_filename == __file__:
                print(frame.f_code.co_name, event, frame.f_lineno)
                return tracer
        def f(n):
            total = 0
            for i in range(n):
                total += i
            return total
        sys.settrace(tracer)
        f(2)
        sys.settrace(None)
        """), ["app.py"], {}),
    "a name of ours": ({"app.py": "import plan, cli\nprint(plan.x, cli.x)\n", "plan.py": "x = 1", "cli.py": "x = 2"}, ["app.py"], {}),
    "modules named as the library's": (
        {"sub/app.py": "def f():\n    return len(1)\nprint('end')",
         **{f"sub/{name}.py": f"print('{name} of the program')" for name in (
             "json", "sqlite3", "uuid", "secrets", "random", "platform", "queue", "socket", "statistics", "base64", "array", "decimal",
             "tempfile", "shutil", "dataclasses", "logging", "traceback", "hashlib", "datetime", "string", "gzip", "struct",
             "contextlib", "yaml", "rich", "textwrap", "urllib", "http", "typing", "inspect", "fnmatch", "glob", "bisect",
             "heapq", "copy", "locale", "select", "selectors", "ssl", "zlib", "threading", "subprocess", "fcntl", "math",
             "ast", "dis", "tokenize", "linecache", "enum", "re", "functools", "collections", "weakref", "signal")}},
        ["sub/app.py"], {}),
}  # fmt: skip


def masked(outcome: Outcome, mask: bytes = rb"0x[0-9a-f]+") -> Outcome:
    """Without what differs from run to run: addresses, unless a case says otherwise."""
    return Outcome(re.sub(mask, b"#", outcome.stdout), re.sub(mask, b"#", outcome.stderr), outcome.code)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_traced_program_behaves_as_a_plain_one(name, tmp_path):
    files, command, extra = PROGRAMS[name]
    here = write(tmp_path / "case_dir", files)
    command = [word.replace("{here}", str(here)) for word in command]
    flags, env, stdin = extra.get("flags", []), extra.get("env"), extra.get("stdin", b"")
    plain = python(*flags, *command, cwd=here, env=env, stdin=stdin)
    left = tree(here)
    options = ["--quiet", "--strategy", "full_trace", *extra.get("run", ["--store", str(tmp_path / "store")])]
    env = {"AUTOSCOPE_STRICT": "1", **(env or {})}
    traced = python(*flags, "-m", "autoscope", "run", *options, "--", *command, cwd=here, env=env, stdin=stdin)
    assert masked(traced, *extra.get("mask", ())) == masked(plain, *extra.get("mask", ()))
    assert tree(here) == left


LOUD = {
    "script in this directory": (deep("def f():\n    print(len('x'))\nf()"), ["./app.py"], ["__main__.f"]),
    "script by crooked path": ({"a/app.py": "def f():\n    print(len('x'))\nf()"}, ["a/../a//app.py"], ["__main__.f"]),
    "script": (deep("def f():\n    print(len('x'))\nf()"), ["app.py"], ["__main__.f"]),
    "class": (deep("class C:\n    def m(self):\n        return str(self)\n    @staticmethod\n    def s():\n        return str(1)\nC().m()\nC.s()"), ["app.py"], ["__main__.C.m", "__main__.C.s"]),
    "directory": ({"case/__main__.py": "def f():\n    print(len('x'))\nf()"}, ["case"], ["__main__.f"]),
    "module": ({"case.py": "def f():\n    print(len('x'))\nf()"}, ["-m", "case"], ["case.f"]),
    "package": ({"case/__init__.py": "def g():\n    return str(1)", "case/__main__.py": "from case import g\ndef f():\n    g()\nf()"}, ["-m", "case"], ["case.__main__.f", "case.g"]),
    "imported": ({"app.py": "import sub.mod\nsub.mod.f()", "sub/__init__.py": "", "sub/mod.py": "def f():\n    return str(1)"}, ["app.py"], ["sub.mod.f"]),
    "safe path": (deep("def f():\n    print(len('x'))\nf()"), ["app.py"], ["__main__.f"]),
    "failing": (deep("def f():\n    print(len(1))\nf()"), ["app.py"], ["__main__.f"]),
    "fork": (deep("import os\ndef f():\n    return str(1)\nif os.fork():\n    os.wait()\nf()"), ["app.py"], ["__main__.f"] * 2),
    "subprocess": ({"app.py": "import subprocess, sys\ndef f():\n    subprocess.run([sys.executable, 'b.py'])\nf()", "b.py": "def g():\n    return str(1)\ng()"}, ["app.py"], ["__main__.f", "__main__.g"]),
    "terminated": (deep("import os, signal\ndef f():\n    return str(1)\nf()\nos.kill(os.getpid(), signal.SIGTERM)\nf()"), ["app.py"], ["__main__.f"]),
    "spawned": (deep("import multiprocessing as m\ndef f():\n    return str(1)\nif __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=f)\n    p.start()\n    p.join()"), ["app.py"], ["__main__.f"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LOUD)
def test_what_the_program_does_is_in_the_store(name, tmp_path):
    files, command, expected = LOUD[name]
    here = write(tmp_path / "case_dir", files)
    env = {"AUTOSCOPE_STRICT": "1", "PYTHONPATH": str(here), "PYTHONSAFEPATH": "1" if name == "safe path" else ""}
    done = python("-m", "autoscope", "run", "--store", str(tmp_path / "s"), *command, cwd=here, env=env)
    assert spans(tmp_path / "s") == expected
    if name not in ("terminated", "spawned"):
        assert expected[0].encode() in done.stderr  # in the summary
    (run,) = list_runs(str(tmp_path / "s"))
    argv = open_run(str(tmp_path / "s"), run).info["argv"]
    assert argv[-len(command) :] == command


def test_a_symlinked_script(tmp_path):
    here = write(
        tmp_path / "case_dir",
        {"real/app.py": LOOK + "import beside", "real/beside.py": "def f():\n    return len('x')"},
    )
    (here / "link.py").symlink_to(here / "real" / "app.py")
    traced = python("-m", "autoscope", "run", "--quiet", "--no-store", "link.py", "a", cwd=here)
    assert traced == python("link.py", "a", cwd=here)
    assert traced.code == 0


def test_a_linked_directory_and_a_linked_interpreter(tmp_path):
    here = write(tmp_path / "case_dir", {"real/app.py": LOOK})
    (here / "link").symlink_to(here / "real")
    traced = python("-m", "autoscope", "run", "--quiet", "--no-store", "link/app.py", cwd=here)
    assert traced == python("link/app.py", cwd=here)


@pytest.mark.parametrize("name", ["app.pyz", "app"])
def test_a_zipapp(name, tmp_path):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("__main__.py", "import mod\n" + LOOK + "print(mod.f())\n1/0\n")
        archive.writestr("mod.py", "def f():\n    return len(__file__) > 0\n")
    traced = python("-m", "autoscope", "run", "--quiet", "--store", "s", name, "a", cwd=tmp_path)
    assert masked(traced) == masked(python(name, "a", cwd=tmp_path))
    assert spans(tmp_path / "s") == ["__main__.look", "mod.f"]


def test_a_compiled_script(tmp_path):
    import py_compile

    write(tmp_path, {"app.py": LOOK})
    py_compile.compile(str(tmp_path / "app.py"), cfile=str(tmp_path / "app.pyc"))
    traced = python("-m", "autoscope", "run", "--quiet", "--no-store", "app.pyc", cwd=tmp_path)
    assert traced == python("app.pyc", cwd=tmp_path)


def test_a_script_that_is_a_pipe(tmp_path):
    """Read once: a second reader would find it empty."""
    import subprocess

    command = f"{sys.executable} -m autoscope run --quiet --no-store <(printf 'def f():\\n  return len(__name__)\\nprint(f())\\n')"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("8\n", "")


def test_the_front_doors_are_one(tmp_path):
    write(tmp_path, {"app.py": LOOK})
    plain = python("-O", "app.py", "x", cwd=tmp_path)
    door = "import sys; from autoscope.cli import main; sys.exit(main(sys.argv[1:]))"
    for way in (["-m", "autoscope"], ["-mautoscope"], ["-c", door]):
        assert python("-O", *way, "run", "--quiet", "--no-store", "app.py", "x", cwd=tmp_path) == plain
    assert python("-Om", "autoscope", "run", "--quiet", "--no-store", "app.py", "x", cwd=tmp_path) == plain
    write(tmp_path, {"door.py": door})
    assert python("-O", "door.py", "run", "--quiet", "--no-store", "app.py", "x", cwd=tmp_path) == plain


@pytest.mark.parametrize("dashes", [[], ["--"]])
@pytest.mark.parametrize(
    "command", [["app.py", "--rate", "0", "--", "-m", "x"], ["-m", "app", "--rate", "0", "--", "-m"]]
)
def test_what_stands_behind_the_program_is_its_own(dashes, command, tmp_path):
    write(tmp_path, {"app.py": "import sys\nprint(sys.argv)"})
    traced = python("-m", "autoscope", "run", "--quiet", "--no-store", *dashes, *command, cwd=tmp_path)
    assert traced == python(*command, cwd=tmp_path)


REFUSED = {
    "nothing to run": [],
    "nothing behind the dashes": ["--"],
    "no such script": ["nope.py"],
    "no module": ["-m"],
    "unknown option": ["--nope", "app.py"],
    "bad strategy": ["--strategy", "loud", "app.py"],
    "bad rate": ["--rate", "2", "app.py"],
    "bad budget": ["--budget", "lots", "app.py"],
    "no plan": ["--plan", "nope.yaml", "app.py"],
    "bad plan": ["--plan", "bad.yaml", "app.py"],
    "two stores": ["--store", "s", "--no-store", "app.py"],
    "bad glob": ["--include", "a b", "app.py"],
    "rate without a value": ["--rate"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_started(name, tmp_path):
    write(tmp_path, {"app.py": "print('started')", "bad.yaml": "version: 1\nnope: 2\n"})
    done = python("-m", "autoscope", "run", *REFUSED[name], cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 2)
    assert done.stderr.startswith(b"autoscope: ")
    assert done.stderr.count(b"\n") == 1
    assert tree(tmp_path) == ["app.py", "bad.yaml"]


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_flags_that_keep_the_environment_out_are_refused(flag, tmp_path):
    write(tmp_path, {"app.py": "print('started')"})
    import autoscope

    source = os.path.dirname(os.path.dirname(autoscope.__file__))
    import yaml

    site = os.path.dirname(os.path.dirname(yaml.__file__))
    door = f"import sys; sys.path[:0] = [{source!r}, {site!r}]; from autoscope.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python(flag, "-c", door, "run", "app.py", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"", 2)
    assert flag.encode() in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_program_may_be_run_inside_a_run(tmp_path):
    write(tmp_path, {
        "app.py": "import subprocess, sys\ndef f():\n    subprocess.run([sys.executable, '-m', 'autoscope', 'run', '--quiet', '--store', 'inner', 'b.py'])\nf()",
        "b.py": "def g():\n    return str(1)\ng()",
    })  # fmt: skip
    done = python("-m", "autoscope", "run", "--quiet", "--store", "outer", "app.py", cwd=tmp_path)
    assert (done.stderr, done.code) == (b"", 0)
    assert spans(tmp_path / "outer") == ["__main__.f"]
    assert spans(tmp_path / "inner") == ["__main__.g"]


def test_disabled_is_plain(tmp_path):
    write(tmp_path, {"app.py": "import sys\nprint([m for m in sys.modules if 'autoscope' in m])\n" + LOOK})
    env = {"AUTOSCOPE_DISABLED": "1"}
    traced = python("-m", "autoscope", "run", "app.py", cwd=tmp_path, env=env)
    assert traced == python("app.py", cwd=tmp_path)
    assert tree(tmp_path) == ["app.py"]


def test_a_store_that_cannot_be_written_stops_nothing(tmp_path):
    write(tmp_path, {"app.py": "def f():\n    print(len('x'))\nf()", "file": ""})
    done = python("-m", "autoscope", "run", "--quiet", "--store", "file", "app.py", cwd=tmp_path)
    assert (done.stdout, done.code) == (b"1\n", 0)
    assert without_ours(done.stderr) == b""
    assert done.stderr.count(b"\n") == 1


def test_what_lies_where_we_are_started_is_not_ours_to_import(tmp_path):
    decoys = {
        f"{name}.py": "raise SystemExit('imported')"
        for name in ("yaml", "argparse", "json", "tempfile", "subprocess", "ast")
    }
    write(tmp_path, {"sub/app.py": "print('started')", **decoys})
    done = python("-m", "autoscope", "run", "--quiet", "--store", "s", "sub/app.py", cwd=tmp_path)
    assert done == (b"started\n", b"", 0)


def test_the_include_of_the_options_decides(tmp_path):
    write(
        tmp_path,
        {
            "app.py": "import a, b\ndef f():\n    a.f()\n    b.f()\nf()",
            "a.py": "def f():\n    return str(1)",
            "b.py": "def f():\n    return str(1)",
        },
    )
    python(
        "-m",
        "autoscope",
        "run",
        "--quiet",
        "--store",
        "s",
        "--include",
        "a",
        "--include",
        "app",
        "app.py",
        cwd=tmp_path,
    )
    assert spans(tmp_path / "s") == ["__main__.f", "a.f"]


def test_nothing_of_the_way_in_is_left_in_the_program(tmp_path):
    """The plan of a program without a store is in the variable itself: no file is left behind; a run in a run can read it."""
    program = "import os, sys\nprint(os.environ['AUTOSCOPE_PLAN'][:22], os.environ.get('AUTOSCOPE_SUMMARY'))\n"
    write(tmp_path, {"app.py": program, "temporary/keep": ""})
    run = ("-m", "autoscope", "run", "--quiet", "--no-store")
    for command in ((*run, "app.py"), (*run, "--", *run, "app.py")):
        done = python(*command, cwd=tmp_path, env={"TMPDIR": str(tmp_path / "temporary")})
        assert done.stdout == b'{"autoscope_resolved": None\n'
        assert done.stderr == b""
    assert [file.name for file in (tmp_path / "temporary").iterdir()] == ["keep"]


def test_ignored_signals_stay_ignored(tmp_path):
    import subprocess

    write(
        tmp_path, {"app.py": "import signal\nprint(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))"}
    )
    lines = []
    for way in ([], ["-m", "autoscope", "run", "--quiet", "--no-store"]):
        command = ["bash", "-c", "trap '' TERM INT; exec \"$@\"", "-", sys.executable, *way, "app.py"]
        lines.append(subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).stdout)
    assert lines[0] == lines[1]


def test_recursion_ends_where_it_ended(tmp_path):
    write(tmp_path, {"app.py": """
        def f(n):
            return f(n + 1)
        try:
            f(0)
        except RecursionError as error:
            # What the last call was (Python's or C's) is said behind this; woven, it may be one of ours.
            print(type(error), str(error)[:32])
        f(0)
        """})  # fmt: skip
    plain = python("app.py", cwd=tmp_path)
    traced = python("-m", "autoscope", "run", "--quiet", "--no-store", "app.py", cwd=tmp_path)
    assert (traced.stdout, traced.code) == (plain.stdout, plain.code)
    assert b"RecursionError: maximum recursion depth exceeded" in traced.stderr
