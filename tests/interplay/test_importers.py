"""Whoever else imports, reloads or brings code of another kind: django's autoreloader, frozen importers, compiled modules, C's threads."""

from __future__ import annotations

import pytest
from interplay_kit import same


def test_frozen_importers_and_compiled_modules(tmp_path):
    """An importer as PyInstaller's (a finder of its own, code out of an archive, no source), and modules compiled by Cython:
    stepped aside, or traced where there is Python code."""
    pytest.importorskip("yarl", reason="a module compiled by Cython is needed")
    files = {
        "app.py": """
        import importlib.abc, importlib.util, inspect, marshal, os, sys, traceback
        source = "def f(n):\\n    return g(n)\\ndef g(n):\\n    return n / len('x' * n)\\n"
        class Archive(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
            '''As PyInstaller's PyiFrozenFinder: one object finds and loads, code is unmarshalled.'''
            stored = {"frozen_app": marshal.dumps(compile(source, "frozen_app.py", "exec")), "frozen_app2": marshal.dumps(compile(source, "frozen_app2.py", "exec"))}
            def find_spec(self, name, path=None, target=None):
                if name in self.stored: return importlib.util.spec_from_loader(name, self, origin=os.path.join(sys.prefix, name))
            def get_code(self, name): return marshal.loads(self.stored[name])
            def get_source(self, name): return None
            def exec_module(self, module): exec(self.get_code(module.__name__), module.__dict__)
        sys.meta_path.append(Archive())
        import frozen_app, frozen_app2
        for module in (frozen_app, frozen_app2):
            print(module.f(2), module.__loader__.__class__, module.__spec__, marshal.dumps(module.__loader__.get_code(module.__name__))[:4])
            try: module.f(0)
            except ZeroDivisionError as error: print([f.name for f in traceback.extract_tb(error.__traceback__)])
            try: inspect.getsource(module)
            except (OSError, TypeError) as error: print(error)
        import yarl, yarl._quoting_c
        def compiled():
            q = yarl._quoting_c._Quoter
            url = yarl.URL("http://example.com/ä b?x=1 2")
            return str(url), q()("a b"), type(q).__name__, type(yarl._quoting_c.__loader__).__name__, q.__module__
        print(compiled())
        print([type(m) for n, m in sorted(sys.modules.items()) if n in ("_frozen_importlib", "zipimport")])
        """,
    }
    ran = same(tmp_path, files, recorded="compiled", include="__main__,frozen_app*,yarl*")
    assert ran.names["yarl._url.URL.__new__"] or ran.names["yarl._url.encode_url"]
    assert not [name for name in ran.names if "_quoting_c" in name]


def test_djangos_autoreloader(tmp_path):
    """It lists the files of all modules, watches them, and starts the program anew with its own arguments when one changes."""
    pytest.importorskip("django")
    files = {
        "app.py": """
        import os, sys, threading, time
        from django.conf import settings
        settings.configure(USE_TZ=False)
        import django
        django.setup()
        from django.utils import autoreload
        import watched
        def serve():
            print("serving", watched.VALUE, watched.f(), sys.argv, autoreload.get_child_arguments()[1:], flush=True)
            files = {str(f) for f in autoreload.iter_all_python_module_files()}
            print(watched.__file__ in files, os.path.abspath(sys.argv[0]) in files, os.environ[autoreload.DJANGO_AUTORELOAD_ENV], flush=True)
            if watched.VALUE: os._exit(7)
            def change():
                for turn in range(1, 25):  # until it has been looked at both before and after a change
                    time.sleep(1.2)
                    with open(watched.__file__, "w") as file: file.write("VALUE = 1  # changed\\ndef f(): return len('again')\\n")
                    future = time.time() + 5 * turn
                    os.utime(watched.__file__, (future, future))
            threading.Thread(target=change, daemon=True).start()
            time.sleep(30)
        autoreload.run_with_reloader(serve)
        """,
        "watched.py": "VALUE = 0\ndef f(): return len('first')\n",
    }
    for strategy in ("full_trace",):
        ran = same(tmp_path, files, "app.py", "runserver", "--x", recorded="watched.f", status=7, strategies=(strategy,),
                   env={"PYTHONDONTWRITEBYTECODE": "1"}, fresh=True)  # fmt: skip
    assert "serving 1 5" in ran.out
    assert len(ran.processes) >= 2


def test_calls_from_c(tmp_path):
    """Threads that C code started, callbacks out of C, handlers of signals, finalizers, what is called at exit and after it."""
    same(
        tmp_path,
        """
        import atexit, ctypes, gc, os, signal, sys, threading, time, weakref
        def compare(a, b): return (a[0] > b[0]) - (a[0] < b[0]) + len([])
        values = (ctypes.c_int * 4)(3, 1, 2, 0)
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        ctypes.CDLL(None).qsort(values, 4, 4, kind(compare))
        print(list(values))
        seen = []
        def foreign(argument):
            seen.append((len(seen), threading.active_count(), sorted(t.name[:5] for t in threading.enumerate())))
            return None
        start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(foreign)
        for _ in range(3):
            thread = ctypes.c_ulong()
            create, join = ctypes.CDLL(None).pthread_create, ctypes.CDLL(None).pthread_join
            assert not create(ctypes.byref(thread), None, start, None)
            join(thread, None)
        print(seen)
        def handler(number, frame):
            print(number, frame.f_code.co_name, sorted(frame.f_locals)); nested()
        def nested(): os.kill(os.getpid(), signal.SIGUSR2) if signal.getsignal(signal.SIGUSR2) is handler else len("x")
        def interrupted(x):
            os.kill(os.getpid(), signal.SIGUSR1)
            return len("x")
        def steps():
            yield interrupted(1)
            os.kill(os.getpid(), signal.SIGUSR1)
            yield 2
        signal.signal(signal.SIGUSR1, handler)
        print(interrupted(1), list(steps()))
        signal.signal(signal.SIGALRM, lambda n, f: nested())
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        total = sum(interrupted(n) for n in range(5)) + sum(len(str(n)) for n in range(50000))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(total)
        class Thing:
            def __init__(self, name): self.name = name; weakref.finalize(self, finalized, name)
            def __del__(self): print("deleted", self.name, len(self.name)); helper(self.name)
        def finalized(name): print("finalized", name, len(name))
        def helper(name): return len(name)
        Thing("now"); cycle = Thing("cycle"); cycle.me = cycle; del cycle; gc.collect()
        def bye(n): print("bye", n, len([n])); later()
        def later():
            try: atexit.register(bye, 9)
            except RuntimeError as error: print(error)
        atexit.register(bye, 1)
        @atexit.register
        def fails(): raise ValueError(len("at exit"))
        def tracked(frame, event, arg): return None
        def work(): threading.main_thread().join(); print("thread at exit", len("x"))
        threading.Thread(target=work).start()
        kept = Thing("kept until the end")
        sys.excepthook = lambda *what: print("hook", what[0].__name__, helper("x"))
        print("end", flush=True)
        """,
        recorded=(
            "compare",
            "foreign",
            "handler",
            "nested",
            "interrupted",
            "steps",
            "finalized",
            "helper",
            "bye",
            "fails",
            "work",
        ),
    )
