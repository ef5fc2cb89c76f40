"""The pains of others, one test each: what users of tracers, profilers and import hooks have reported, and must not meet here.

Named after the list of twenty-five most reported; the threads are named in each. Those shown elsewhere already:

| pain | shown by |
|---|---|
| 1 overhead, 12 start-up, 14 growth | `benchmarks/`; `runtime/test_cost`, `runtime/test_drain` (memory is bounded), `test_house` (what is loaded) |
| 2 context around generators | here, and `runtime/test_sampling` (a suspended generator is not current, and the like) |
| 3, 5, 24 what is selected | `plan/`, `cli/test_environment` (include, exclude), `weave/test_attach` |
| 4 forked workers | `runtime/test_drain` (fork, multiprocessing), `cli/test_environment` (gunicorn) |
| 6 change at run time | `weave/test_attach` (off and on again), `runtime/test_sampling` (rates) |
| 11 gevent | `test_greenlets` |
| 13 sitecustomize, PYTHONPATH | `cli/test_environment` |
| 15 a new release of Python | here |
| 18 thread pools | here, and `runtime/test_sampling` (parents in threads) |
| 19 arguments and results | `runtime/test_capture` |
| 22 traced pytest runs | `cli/test_environment` (pytest), `test_importers` here |
| 23 dependencies | `test_house`, `export/test_export_otlp` (grpc without grpcio) |
"""

from __future__ import annotations

import datetime
import sys
import textwrap
import time

import pytest
from interplay_kit import same


def test_pain_02_context_fails_to_detach(tmp_path):
    """An async generator abandoned in one task and closed in another (otel-python #2606, openinference #1769): nothing is
    logged, and what is current afterwards is what was."""
    same(
        tmp_path,
        """
        import asyncio, contextvars, logging
        logging.basicConfig(level=0)
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        own = contextvars.ContextVar("own", default=0)

        async def stream(n):
            token = own.set(n)
            try:
                for i in range(n):
                    yield i, own.get()
                    await asyncio.sleep(0)
            finally:
                try:
                    own.reset(token)
                except ValueError as error:
                    print("another context", own.get())

        async def first(agen):
            return await anext(agen)

        def sync(n):
            for i in range(n):
                yield i

        async def main():
            agen = stream(3)
            print(await asyncio.create_task(first(agen)), own.get())
            await asyncio.create_task(agen.aclose())
            print(own.get())
            left = stream(5)  # never closed: the loop does it when it shuts down
            print(await anext(left))
            steps = sync(3)
            print([contextvars.Context().run(next, steps), contextvars.copy_context().run(next, steps), next(steps)])
            return left
        asyncio.run(main())
        print(own.get())
        """,
        recorded=("stream", "main", "sync"),
    )


def test_pain_07_the_rewrite_makes_invalid_code(tmp_path):
    """nonlocal, bodies that are empty, generic syntax, modules of only a future (logfire #495, #595, #1244, beartype #307),
    metaclasses and odd namespaces (typeguard #88, #340, #332)."""
    files = {
        "app.py": """
        import future_only, empty, docs, odd, meta
        print(future_only.annotations, empty.__doc__, docs.__doc__, docs.f.__doc__, docs.f(), docs.g(), docs.h())
        print(odd.outer()(), odd.many(*range(300)), odd.C().method(), odd.C.__doc__)
        print(meta.order, meta.Made.method(3), meta.Made().also, meta.Slots(1), sorted(meta.Namespace.names))
        """,
        "future_only.py": "from __future__ import annotations\n",
        "empty.py": "",
        "docs.py": """
        '''Of the module.'''
        from __future__ import annotations
        def f():
            '''Of f.'''
        def g(): ...
        def h(): '''x'''; return len('x')
        """,
        "odd.py": """
        def outer():
            count = 0
            def inner():
                nonlocal count
                def more():
                    nonlocal count
                    count += 1
                    return count
                more()
                return [more() for _ in range(2)], count
            return inner
        exec("def many(" + ",".join(f"a{i}" for i in range(300)) + "):\\n return len(str(a299))")
        class C:
            (doc) = 1
            '''no doc'''
            def method(self):
                class Inner:
                    x = [i for i in range(3)]
                    def __class_getitem__(cls, item):
                        return super().__class__, item
                global made
                def made(): return __class__
                return Inner[3], made() is C
        """,
        "meta.py": """
        order = []
        class Namespace(dict):
            names = set()
            def __setitem__(self, name, value):
                Namespace.names.add(name)
                order.append(name)
                super().__setitem__(name, value)
        class Meta(type):
            @classmethod
            def __prepare__(meta, name, bases):
                return Namespace()
            def __new__(meta, name, bases, namespace):
                return super().__new__(meta, name, bases, dict(namespace))
            def __getattr__(cls, name):
                order.append("asked for " + name)
                raise AttributeError(name)
        class Made(metaclass=Meta):
            @staticmethod
            def method(n): return n + len("x")
            @property
            def also(self): return len("also")
        class Slots:
            __slots__ = ("__x",)
            def __init__(self, x): self.__x = x
            def __repr__(self): return f"{self.__x}"
        """,
    }
    files["app.py"] += "import generated\n"
    files["generated.py"] = ""
    if sys.version_info >= (3, 12):
        files["generated.py"] = "import generic\nprint(generic.f(1), generic.C[int]().m(2), generic.A.__value__)\n"
        files["generic.py"] = """
        from typing import Callable, overload
        type A[**P] = Callable[P, int]
        def f[T: (int, str), *Ts, **P](x: T, *rest: *Ts) -> T: return T, len(str(x))
        class C[T]:
            @overload
            def m[U](self, x: U) -> U: ...
            def m[U](self, x): return f"{U} {T} {x:{'>'}{3}}"
        """
    same(tmp_path, files, recorded=("docs.h", "odd.outer.<locals>.inner", "meta.Made.method"))


def test_pain_08_the_hook_is_bypassed(tmp_path):
    """A finder of somebody else's put before ours, one by path hook, one that takes our place (beartype #556, #437,
    scikit-build-core #1492, ddtrace PR#3358): all do their work and their modules are traced; the one that came before we
    could know is told of and traced later."""
    ran = same(
        tmp_path,
        {
            "app.py": """
            import importlib.abc, importlib.machinery, importlib.util, os, sys
            here = os.path.dirname(os.path.abspath(__file__))
            class First(importlib.abc.MetaPathFinder):
                known = {name: os.path.join(here, "src", name + ".py") for name in ("past_us", "editable")}
                def find_spec(self, name, path=None, target=None):
                    if name in self.known:
                        print("First is asked for", name)
                        return importlib.util.spec_from_file_location(name, self.known[name])
            class Late(importlib.machinery.SourceFileLoader):
                def source_to_code(self, data, path, *, _optimization=-1):
                    return super().source_to_code(data.replace(b"AUTHOR", b"Late"), path)
            sys.meta_path.insert(0, First())
            compiled = importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES
            sys.path_hooks.insert(0, importlib.machinery.FileFinder.path_hook(compiled, (Late, [".py"])))
            sys.path_importer_cache.clear()
            import past_us, hooked, editable  # the second is the first we are asked for
            print(past_us.f(), editable.f(), hooked.f(), type(editable.__loader__), type(hooked.__loader__))
            def find(name):
                return importlib.util.find_spec(name).origin
            print(find("editable"), find("hooked"))
            """,
            "src/past_us.py": "def f():\n    return len('past us')\n",
            "src/editable.py": "def f():\n    return len('editable')\n",
            "hooked.py": "def f():\n    return 'AUTHOR', len('hooked')\n",
        },
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        traced={"AUTOSCOPE_SILENCE": "late-module"},
        recorded=("editable.f", "hooked.f"),
    )
    assert ran.processes[0].meta["modules"] == {
        "__main__": "main",
        "past_us": "in place, found later",
        "editable": "import",
        "hooked": "import",
    }


def test_pain_09_async_generator_wrapped_wrongly(tmp_path):
    """Each kind of function stays its kind, for whoever asks and however it is driven (ddtrace PR#18741, #5403, newrelic #944)."""
    same(
        tmp_path,
        """
        import asyncio, collections.abc, contextlib, functools, inspect, types

        async def agen(n):
            for i in range(n):
                try:
                    got = yield i
                    if got: print("got", got)
                except KeyError as error:
                    print("thrown", error)
                    yield "caught"

        async def coro(n):
            await asyncio.sleep(0)
            return n

        def gen(n):
            got = yield from range(n)
            return got

        @types.coroutine
        def old(n):
            yield
            return n

        class Stream:
            def __init__(self): self.left = 3
            def __aiter__(self): return self
            async def __anext__(self):
                if not self.left: raise StopAsyncIteration
                self.left -= 1
                return self.left
            async def __aenter__(self): return self
            async def __aexit__(self, *what): print("exit", what[0]); return True
            def __await__(self):
                yield
                return "awaited"
            @contextlib.asynccontextmanager
            async def manager(self):
                async with self: yield self

        def kinds(thing):
            return [name for name in dir(inspect) if name.startswith("is") and name not in ("iskeyword",)
                    and getattr(inspect, name)(thing)]

        for thing in (agen, coro, gen, old, Stream.manager, Stream.__anext__, functools.partial(agen, 1), Stream().__await__):
            print(kinds(thing))
        c, a, g = coro(1), agen(1), gen(1)
        for thing in (c, a, g):
            print(kinds(thing), type(thing), [isinstance(thing, getattr(collections.abc, k)) for k in
                  ("Coroutine", "Awaitable", "AsyncGenerator", "AsyncIterator", "Generator", "Iterator")])
            print(thing.__name__, thing.__qualname__, thing)
        c.close()

        async def main():
            a = agen(4)
            print(await a.asend(None), await a.asend("x"), await a.athrow(KeyError(1)), await anext(a), await a.aclose())
            print(await coro(2), [i async for i in agen(3)], [i async for i in Stream()], await Stream(), await old(3))
            async with Stream().manager() as s: 1 / 0
            try: await agen(1).athrow(ValueError(2))
            except ValueError as error: print(repr(error))
            print(await anext(agen(0), "none"))
            a = agen(1)
            step = a.__anext__()
            try: step.send(None)
            except StopIteration as stop: print("stop", stop.value)
            try: await asyncio.wait_for(anext(a), 1)
            except StopAsyncIteration: print("end")
            b = agen(2)
            one = b.__anext__()
            print(await one)
            try: await one
            except RuntimeError as error: print(error)
        asyncio.run(main())
        """,
        recorded=("agen", "coro", "old", "Stream.__await__", "Stream.manager"),
        strategies=("full_trace",),
    )


def test_pain_10_the_loader_protocol_is_incomplete(tmp_path):
    """Resources, `-m`, reloading, source, and whatever else is asked of a module's loader (logfire #1211, #904, pytest #7804,
    #2506, #743, ddtrace #5345, #9782, appmap-python #192, promplate/hmr #38)."""
    files = {
        "pkg/__init__.py": "from .mod import f\n",
        "pkg/data.txt": "data\n",
        "pkg/deep/x.txt": "x",
        "pkg/mod.py": "VALUE = 1\ndef f(n=1):\n    return VALUE, len('x' * n)\n",
        "pkg/__main__.py": """
        import importlib, importlib.resources as resources, importlib.util, inspect, linecache, os, pkgutil, runpy, sys
        from . import f, mod
        import pkg
        print(__name__, __spec__.name, __spec__.parent, f())
        for module in (pkg, mod):
            loader, name = module.__loader__, module.__name__
            code = loader.get_code(name)
            print(type(loader), loader.get_filename(name), loader.is_package(name), loader.path, loader.name,
                  loader.get_source(name) == inspect.getsource(module), code.co_filename, code.co_names,
                  [c.co_consts for c in code.co_consts if hasattr(c, "co_consts")], loader.path_stats(loader.path).keys(),
                  loader.get_data(loader.path)[:9], module.__spec__, sorted(vars(loader)), module.__spec__.loader is loader)
        print(inspect.getsource(f), inspect.getsourcelines(f)[1], inspect.getsourcefile(f), inspect.getmodule(f))
        print(linecache.getline(mod.__file__, 2), pkgutil.get_data("pkg", "data.txt"))
        root = resources.files("pkg")
        print(root.joinpath("data.txt").read_text(), sorted(p.name for p in root.iterdir() if p.name[0] != "_"))
        with resources.as_file(root / "deep" / "x.txt") as path: print(path)
        print(pkg.__loader__.get_resource_reader("pkg").resource_path("data.txt"), [m.name for m in pkgutil.iter_modules(pkg.__path__)])
        text = open(mod.__file__).read()
        open(mod.__file__, "w").write(text.replace("VALUE = 1", "VALUE = 'again'"))
        before, kept = mod.__dict__, mod.f
        again = importlib.reload(mod)
        print(again is mod, mod.__dict__ is before, mod.f is kept, kept(), mod.f(2), f())
        open(mod.__file__, "w").write(text)
        spec = importlib.util.spec_from_file_location("other", mod.__file__)
        other = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(other)
        print(other.f(), other.__name__, "other" in sys.modules)
        print(sorted(runpy.run_module("pkg.mod")), runpy.run_path(mod.__file__)["f"]())
        """,
    }
    ran = same(
        tmp_path, files, "-m", "pkg", recorded=("pkg.mod.f",), mask=rf"{tmp_path}", env={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert ran.names["pkg.mod.f"] == 4


def test_pain_16_monitoring_tools_clash(tmp_path):
    """No tool id of `sys.monitoring` is ours, nor a profile or trace function (coveragepy #2187, ddtrace #11256, pytest-cov #665)."""
    same(
        tmp_path,
        """
        import sys, threading
        def f(n):
            if n > 1:
                return len(str(n))
            return -n
        print(sys.getprofile(), sys.gettrace(), threading.getprofile(), threading.gettrace(), f(1))
        if hasattr(sys, "monitoring"):
            m = sys.monitoring
            print([m.get_tool(i) for i in range(6)], [m.get_events(i) for i in range(6) if m.get_tool(i)])
            E = m.events
            for tool in range(6):
                m.use_tool_id(tool, f"tool{tool}")
            seen = []
            for event in ("PY_START", "PY_RETURN", "LINE"):
                m.register_callback(3, getattr(E, event), lambda code, *a, e=event: seen.append((e, code.co_name, *a[-1:])) if e != "PY_START" else seen.append((e, code.co_name)))
            m.set_local_events(3, f.__code__, E.PY_START | E.PY_RETURN | E.LINE)
            f(1), f(20)
            m.set_local_events(3, f.__code__, 0)
            f(3)
            print(seen)
        """,
        recorded="f",
    )


def test_pain_17_references_held_by_a_framework(tmp_path):
    """Handlers registered as their module is imported are the functions that are traced (ADOT PR#772, appmap-python #217,
    typeguard #183): there is one object, whoever holds it."""
    ran = same(
        tmp_path,
        {
            "app.py": """
            import functools, gc, weakref
            from routes import handlers, Handler, view, bound, part
            import routes
            for name, handler in handlers.items():
                print(name, handler(len(name)))
            print(view(1), bound(2), part(), handlers["view"] is routes.view, bound.__func__ is Handler.get, view.__wrapped__ is routes.plain)
            print(len([o for o in gc.get_objects() if getattr(o, "__name__", "") == "plain" and callable(o)]))
            """,
            "routes.py": """
            import functools
            handlers = {}
            def route(name):
                def register(function):
                    handlers[name] = function
                    return function
                return register
            @route("view")
            def view(n): return n + len("x")
            plain = view
            @route("other")
            @functools.wraps(view)
            def view(n): return plain(n) * 2
            class Handler:
                @route("method")
                def post(self): return self + len('x')
                def get(self, n): return n, type(self).__name__
            bound = Handler().get
            part = functools.partial(Handler.post, 5)
            handlers["lambda"] = lambda n: plain(n)
            view, handlers["wrapped"] = view, view
            handlers["view"] = view
            view = handlers["view"]
            """,
        },
        recorded=("routes.view", "routes.Handler.post", "routes.Handler.get"),
    )
    assert ran.names["routes.view"] >= 6


def test_pain_18_thread_pools(tmp_path):
    """What a pool's threads see of the context is Python's affair and the program's, with us as without (contrib #1009, newrelic
    #1325, sentry-python #4508)."""
    ran = same(
        tmp_path,
        """
        import asyncio, contextvars, threading
        from concurrent.futures import ThreadPoolExecutor
        own = contextvars.ContextVar("own", default="unset")
        def work(n):
            return n, own.get(), str(threading.current_thread().name)
        async def asked():
            return await asyncio.to_thread(work, 5)
        def main():
            own.set("main")
            with ThreadPoolExecutor(1, "pool") as pool:
                print([*pool.map(work, range(2))], pool.submit(contextvars.copy_context().run, work, 3).result())
                thread = threading.Thread(target=work, args=(4,))
                thread.start(); thread.join()
            print(asyncio.run(asked()))
        main()
        """,
        recorded=("work", "asked"),
    )
    parents = [ran.parent_name(span) for span in sorted(ran.named("work"), key=lambda span: span.start_ns)]
    inherits = getattr(sys.flags, "thread_inherit_context", 0)
    assert parents == [None, None, "main", "main" if inherits else None, "asked"]


def test_pain_21_tracebacks_and_a_kill_switch(tmp_path):
    """No frame of ours in a traceback, whoever prints it, and a variable that turns everything off (ddtrace #9143, beartype #254)."""
    program = """
    import asyncio, contextlib, inspect, sys, traceback, warnings
    def f(n):
        if n: return f(n - 1)
        print([frame.name for frame in traceback.extract_stack()], [i.function for i in inspect.stack()])
        raise KeyError(n)
    def gen():
        try: yield f(1)
        finally: print(len(inspect.stack(0)))
    async def coro():
        await asyncio.sleep(0)
        for x in gen(): pass
    @contextlib.contextmanager
    def manager():
        try: yield f
        except KeyError as error: raise RuntimeError("in the manager") from error
    def deprecated():
        warnings.warn("at the caller", DeprecationWarning, stacklevel=2)
    warnings.simplefilter("always")
    deprecated()
    try: asyncio.run(coro())
    except KeyError as error:
        traceback.print_exception(error)
        print(traceback.format_tb(error.__traceback__) == traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__)).format())
    with manager() as g: g(2)
    """
    same(tmp_path, program, recorded=("f", "gen", "coro", "manager", "deprecated"), status=1)
    (tmp_path / "off").mkdir()
    with pytest.raises(AssertionError, match="was not recorded"):
        same(tmp_path / "off", program, recorded="f", status=1, traced={"AUTOSCOPE_DISABLED": "1"})


def test_pain_25_deadlocks_and_the_users_own_methods(tmp_path):
    """Threads that import each other's modules as something is recorded (ddtrace PR#17742); special methods that call themselves,
    or fail, or count how often they are asked (birdseye PR#55, logfire PR#388)."""
    same(
        tmp_path,
        {
            "app.py": """
            import threading, sys
            asked = []
            class Hostile(type):
                def __getattribute__(cls, name):
                    asked.append(("type", name)); return super().__getattribute__(name)
                def __instancecheck__(cls, other): asked.append("instance"); return False
                def __eq__(cls, other): asked.append("eq"); return NotImplemented
                def __hash__(cls): asked.append("hash"); return 1
                def __repr__(cls): asked.append("repr"); raise ValueError
            names = "repr str hash eq bool len iter getitem format bytes reduce reduce_ex sizeof index int float call dir enter exit copy deepcopy contains".split()
            class Thing(metaclass=Hostile):
                def method(self, other): return other
                def __getattribute__(self, name):
                    asked.append(name); return object.__getattribute__(self, name)
                def __getattr__(self, name): asked.append(("missing", name)); raise AttributeError(name)
                def __del__(self): asked.append("del")
            for name in names:
                def special(self, *a, name=name): asked.append(name); raise RuntimeError(name)
                setattr(Thing, f"__{name}__", special)
            class Error(Exception):
                def __str__(self): return "told"
                def __getattribute__(self, name): asked.append(("error", name)); return super().__getattribute__(name)
            def give(thing, *more, **named): return thing
            def fails(thing):
                raise Error
            def gen(thing):
                got = yield thing
            asked.clear()
            thing = Thing()
            give(thing, thing, thing=thing)if 0 else give(thing, thing, x=thing)
            give([thing]); give({1: thing}); Thing.method(thing, thing)
            try: fails(thing)
            except Error: pass
            g = gen(thing); next(g)
            try: g.send(thing)
            except StopIteration: pass
            del thing, g
            print(asked)
            class Endless:
                def __getattr__(self, name): return getattr(self, name + "x")
                def __repr__(self): return repr(self)
            try: repr(Endless())
            except RecursionError: print("endless")
            try: Endless().x
            except RecursionError: print("endless")
            threads = [threading.Thread(target=__import__, args=(name,)) for name in "abab"]
            for t in threads: t.start()
            for t in threads: t.join()
            print(sys.modules["a"].f(), sys.modules["b"].f())
            """,
            "a.py": "import time\ndef f():\n    return len('a')\nf()\ntime.sleep(.15)\nimport b\n[f() for _ in range(100)]\n",
            "b.py": "import time\ndef f():\n    return len('b')\nf()\ntime.sleep(.15)\nimport a\n[f() for _ in range(100)]\n",
        },
        recorded=("give", "fails", "gen", "Endless.__getattr__", "a.f", "b.f"),
        strategies=("full_trace",),
    )


def test_pain_15_a_new_release_of_python(tmp_path):
    """Where the bytecode is not known, functions are woven from their source (ddtrace #17810, #17531, #8136): as in every other test
    here, and no less is recorded."""
    program = """
    import asyncio, functools
    def deco(function):
        @functools.wraps(function)
        def wrapper(*a, **k): return function(*a, **k)
        return wrapper
    class C:
        @deco
        def m(self, *a, k=1): return super().__repr__()[:3], a, k, __class__
    def gen(n):
        for i in (yield n): got = yield i
        return got, len("x")
    async def coro(n): return await agen(n).asend(None), len("x")
    async def agen(n): yield n
    g = gen(1)
    print(C().m(1), next(g), g.send([1]), list(g), asyncio.run(coro(2)))
    """
    by_source = same(tmp_path, program, recorded=("C.m", "gen", "coro", "agen"), traced={"AUTOSCOPE_WEAVE": "ast"})
    by_bytecode = same(tmp_path / "again", program, recorded=("C.m", "gen", "coro", "agen"))
    assert by_source.names == by_bytecode.names


# What a rival's run was seen to change.


def test_pain_caller_seen(tmp_path):
    """Who called: `warnings`, `logging`, `sys._getframe`, `inspect.stack`, namedtuple and enum by function call, importing frames."""
    same(
        tmp_path,
        {
            "app.py": """
            import collections, enum, inspect, logging, sys, types, typing, warnings
            logging.basicConfig(format="%(filename)s:%(lineno)d:%(funcName)s:%(message)s", stream=sys.stdout)
            warnings.simplefilter("always")
            def who(depth=1):
                frame = sys._getframe(depth)
                return frame.f_code.co_name, frame.f_lineno, frame.f_globals["__name__"], sorted(frame.f_locals)
            def log(): logging.warning("here"); logging.getLogger().warning("one up", stacklevel=2)
            def warn(level): warnings.warn(f"level {level}", stacklevel=level)
            def outer(x):
                def inner(y):
                    warn(3); log()
                    return who(), who(2), inspect.stack()[1].code_context, inspect.currentframe().f_back.f_lineno
                return inner(x)
            print(outer(1))
            def make():
                Point = collections.namedtuple("Point", "x y")
                Color = enum.Enum("Color", "RED BLUE")
                Var = typing.TypeVar("Var")
                New = typing.NewType("New", int)
                return [t.__module__ for t in (Point, Color, Var, New, typing.NamedTuple("N", [("x", int)]))]
            print(make())
            def lineage():
                frame, names = sys._getframe(), []
                while frame: names.append(frame.f_code.co_name); frame = frame.f_back
                return names
            import imported
            print(lineage(), imported.names)
            class Meta(type):
                def __new__(meta, name, bases, namespace):
                    return super().__new__(meta, name, bases, {**namespace, "made_by": who(2)})
            class Made(metaclass=Meta): pass
            print(Made.made_by, [who() for _ in range(2)], (lambda: who())())
            def gen(): yield who(); yield who(2)
            print(list(gen()), *gen())
            """,
            "imported.py": """
            import sys
            def importing():
                frame, names = sys._getframe(), []
                while frame: names.append((frame.f_code.co_name, frame.f_code.co_filename[-9:])); frame = frame.f_back
                return names
            names = importing()
            print(names)
            """,
        },
        recorded=("who", "log", "warn", "make", "imported.importing"),
    )


def test_pain_object_lives_longer(tmp_path):
    """When things die: arguments, locals, results, exceptions, suspended generators, coroutines never awaited, functions and
    modules themselves."""
    same(
        tmp_path,
        """
        import asyncio, gc, sys, weakref
        gc.disable()
        class Thing:
            def __init__(self, name): self.name = name
            def __del__(self): print("gone", self.name)
        def take(thing):
            seen = sys.getrefcount(thing)
            del thing
            print("let go")
            return seen
        def make(name): return Thing(name)
        def fails(thing): raise ValueError
        def gen(thing):
            try:
                yield 1
                yield thing
            finally: print("closed", thing.name)
        async def coro(thing):
            await asyncio.sleep(0)
            return thing.name
        async def agen(thing):
            try: yield thing.name
            finally: print("aclosed", thing.name)
        print(take(Thing("argument")))
        make("result")
        print("now")
        try: fails(Thing("failed"))
        except ValueError: print("handled")
        print("after")
        for x in gen(Thing("loop")): break
        g = gen(Thing("generator")); next(g)
        print("suspended"); del g; print("next")
        g = gen(Thing("never started")); del g
        g = gen(Thing("exhausted")); print(len(list(g))); print("still"); del g
        c = coro(Thing("coroutine")); c.send(None); del c
        print("await")
        print(asyncio.run(coro(Thing("awaited"))))
        async def main():
            async for name in agen(Thing("async")): break
            print("left"); await asyncio.sleep(0); await asyncio.sleep(0)
        asyncio.run(main())
        def closure():
            thing = Thing("cell")
            def inner(): return thing.name
            return inner
        f = closure(); print(f()); ref = weakref.ref(f); del f; print(ref())
        def cycle():
            thing = Thing("cycle"); thing.me = thing; thing.f = lambda: thing
        cycle(); print("collect"); gc.collect()
        def temporary(): return len("x")
        temporary(); ref = weakref.ref(temporary); del temporary; print(ref())
        from types import ModuleType
        m = ModuleType("m"); exec("def f(x): return str(x)", m.__dict__); print(m.f(1)); ref = weakref.ref(m); del m; print(ref())
        e = None
        try: fails(Thing("kept by the traceback"))
        except ValueError as error: e = error
        print("drop"); e.__traceback__ = None; del e
        print(sys.getrefcount(take) - sys.getrefcount(make), gc.garbage, gc.collect())
        keep = gen(Thing("at exit")); next(keep)
        """,
        recorded=("take", "make", "fails", "gen", "coro", "agen", "closure", "cycle"),
    )


def test_pain_20_unpicklable_reached_through_a_function(tmp_path):
    """Copying and pickling functions, what they are attributes of, what they are bound to; by value in `test_pickling` (appmap-python
    #356, wrapt #158, logfire #1556)."""
    same(
        tmp_path,
        """
        import copy, copyreg, functools, pickle, pickletools, types
        class C:
            handlers = {}
            def __init__(self): self.callback = self.method
            def method(self, x=(1,)): return len(x)
            @staticmethod
            def static(): return len("static")
            @classmethod
            def cls(cls): return cls.__name__
            def __reduce_ex__(self, protocol): return C.make, (protocol,)
            @classmethod
            def make(cls, protocol): return cls()
        def f(x, *, y=[1]): return len(x) + len(y)
        things = [f, C.method, C().method, C.static, C.cls, functools.partial(f, "x"), {"f": f, "c": C()}, [C().callback]]
        for thing in things:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                data = pickle.dumps(thing, protocol)
            back = pickle.loads(data)
            print(type(back), back == thing, hash(data) == hash(pickle.dumps(thing)), copy.copy(thing) == thing, len(pickletools.optimize(data)))
            print(type(copy.deepcopy(thing)))
        twin = types.FunctionType(f.__code__, f.__globals__, "twin", f.__defaults__, f.__closure__)
        twin.__kwdefaults__ = f.__kwdefaults__
        print(twin("abc"), f.__code__ == twin.__code__, hash(f.__code__) == hash(twin.__code__), f.__dict__, vars(C).keys())
        f.__code__ = C.static.__code__.replace(co_name="other")
        print(f(), f.__code__.co_name, copy.deepcopy(f.__code__) is f.__code__)
        """,
        recorded=("f", "C.make", "C.static"),
    )


@pytest.mark.parametrize("library", ["freezegun", "time_machine", "by hand"])
def test_pain_frozen_clock(library, tmp_path):
    """A clock that stands still, that ticks when it is read, or that fails: it is not read by us, and ours goes on."""
    if library != "by hand":
        pytest.importorskip(library)
    program = {
        "freezegun": """
        import freezegun
        with freezegun.freeze_time("2001-02-03", auto_tick_seconds=15) as frozen:
            look()
        with freezegun.freeze_time("2001-02-03", tick=False):
            look()
        @freezegun.freeze_time("2040-01-01")
        def frozen_test(): return look()
        frozen_test()
        """,
        "time_machine": """
        import time_machine
        with time_machine.travel(1_000_000_000, tick=False):
            look()
        """,
        "by hand": """
        import itertools
        from unittest import mock
        names = [name for name in dir(time) if callable(getattr(time, name)) and name not in ("sleep", "struct_time")]
        with mock.patch.multiple(time, **{name: mock.Mock(side_effect=itertools.count(1)) for name in names}):
            look()
            print({name: getattr(time, name).call_count for name in names})
        def fails(*a): raise AssertionError("nobody may ask")
        with mock.patch.multiple(time, **dict.fromkeys(names, fails), sleep=fails):
            work("x")
        real, time.perf_counter_ns = time.perf_counter_ns, None
        work("x")
        """,
    }[library]
    head = """
    import datetime, time
    nap = time.sleep
    def work(x): return len(x)
    def now(): return time.time(), time.time_ns()
    def failing():
        try: return {}[work("")]
        finally: pass
    def steps():
        for _ in range(3): yield time.time()
    def look():
        for _ in range(8):
            print(work("abc"), now(), list(steps()), datetime.datetime.now())
            try: failing()
            except KeyError: pass
            nap(0.03)
    """
    ran = same(
        tmp_path,
        textwrap.dedent(head) + textwrap.dedent(program),
        recorded=("work", "now", "failing", "steps"),
        mask=f"{datetime.date.today()} .*" if library == "by hand" else "",
    )
    times = sorted(span.start_ns for span in ran.spans)
    assert times[0] <= times[-1] < time.time_ns() < times[0] + 600e9


def test_pain_exceptions_that_cannot_be_shown(tmp_path):
    """`__str__`, `__repr__`, `__class__`, `args`, notes that raise, exit, recurse or are no text: the program sees its own exception."""
    same(
        tmp_path,
        """
        import asyncio, sys
        def raising(error):
            def special(self, *a): raise error
            return special
        kinds = [type(f"E{i}", (Exception,), {name: raising(error)}) for i, (name, error) in enumerate(
            (name, error) for name in ("__str__", "__repr__", "__getattribute__", "__eq__", "__hash__", "__del__")
            for error in (ValueError("no"), SystemExit(3), asyncio.CancelledError(), RecursionError(), MemoryError()))]
        class NoText(Exception):
            def __str__(self): return 7
        class Recursive(Exception):
            def __str__(self): return str(self)
        class Base(BaseException):
            def __str__(self): raise BaseException
        class Lies(Exception):
            __class__ = int
        def fails(kind): raise kind
        def gen(kind):
            yield
            raise kind()
        sys.unraisablehook = lambda what: print("unraisable", type(what.exc_value))
        for kind in [*kinds, NoText, Recursive, Base, Lies]:
            try: fails(kind)
            except BaseException as error: print(type(error) is kind)
            g = gen(kind); next(g)
            try: next(g)
            except BaseException as error: print(type(error) is kind)
        """,
        recorded=("fails", "gen"),
    )


def test_pain_reexports(tmp_path):
    """What a module holds, to `dir`, `import *`, `vars`, `__all__`, and whoever walks its functions and their code."""
    same(
        tmp_path,
        {
            "app.py": """
            import inspect, types
            from package import *
            import package, package.inner as inner
            public = sorted(name for name in globals() if name[0] != "_")
            print(public, dir(package), dir(inner), sorted(vars(inner)), inner.__dict__.keys())
            print(f(1), C().m(2), package.lazy(), f is inner.f)
            for thing in (f, C, C.m, C.p.fget, inner.f, inner.wrapped, inner.C.s):
                print(sorted(set(dir(thing))), getattr(thing, "__module__", 0), inspect.isfunction(thing), getattr(thing, "__dict__", {}).keys())
            print(inspect.signature(f), inspect.getdoc(f), inspect.getclosurevars(inner.wrapped).nonlocals.keys(), inspect.unwrap(inner.wrapped) is f,
                  [(n, type(m)) for n, m in inspect.getmembers(inner) if n[0] != "_"], inspect.getmembers(C, inspect.isfunction) == [("m", C.m), ("s", C.s)])
            print(f.__code__.co_varnames, f.__code__.co_argcount, f.__code__.co_flags, f.__code__.co_firstlineno, f.__globals__ is vars(inner), f.__closure__)
            """,
            "package/__init__.py": """
            from .inner import *
            from .inner import f as f, C as C
            def __getattr__(name):
                if name == "lazy":
                    return lambda: len(name)
                raise AttributeError(name)
            def __dir__(): return sorted([*globals(), "lazy"])
            __all__ = ["f", "C"]
            """,
            "package/inner.py": """
            import functools
            def f(a, /, b: int = 1, *c, d=2, **e) -> str:
                "Doc."
                return len(str(a))
            @functools.wraps(f)
            def wrapped(*a): return f(*a)
            class C:
                def m(self, x): return [x for x in range(x)]
                @property
                def p(self): return len("p")
                @staticmethod
                def s(): return len("s")
            """,
        },
        recorded=("package.inner.f", "package.inner.C.m"),
    )


def test_pain_async_backend_detection(tmp_path):
    """Which library runs this code: sniffio, anyio and asyncio's own functions say the same, inside and outside."""
    pytest.importorskip("trio")
    pytest.importorskip("anyio")
    same(
        tmp_path,
        """
        import asyncio, threading
        import anyio, sniffio, trio
        def which():
            try: name = sniffio.current_async_library()
            except sniffio.AsyncLibraryNotFoundError: name = None
            try: loop = type(asyncio.get_running_loop()).__name__
            except RuntimeError: loop = None
            try: task = type(asyncio.current_task()).__name__
            except RuntimeError: task = None
            return name, loop, task
        def gen(): yield which()
        async def agen():
            yield which()
            await anyio.sleep(0)
            yield which()
        async def inside(where):
            print(where, which(), list(gen()), [x async for x in agen()])
            print(await anyio.to_thread.run_sync(which), anyio.get_current_task().name)
            async with anyio.create_task_group() as group: group.start_soon(nested)
        async def nested(): print(which())
        print(which())
        asyncio.run(inside("asyncio"))
        trio.run(inside, "trio")
        for backend in ("asyncio", "trio"): anyio.run(inside, "anyio " + backend, backend=backend)
        print(which(), list(gen()))
        """,
        recorded=("which", "gen", "agen", "inside", "nested"),
    )


def test_pain_enumerates_the_process(tmp_path):
    """A program that looks through the whole process, changes what it finds, and closes what it does not know."""
    same(
        tmp_path,
        """
        import builtins, gc, inspect, os, signal, sys, threading, time, types, warnings
        def f(x): return len(x)
        for _ in range(10): f("abc"); time.sleep(0.02)  # our thread is at work by now
        print(warnings.filters, warnings.showwarning is warnings._showwarning_orig, sys.warnoptions)
        print([t.name for t in threading.enumerate()], threading.active_count(), threading.main_thread() is threading.current_thread())
        print(sys.path, sys.path_hooks[:1] == [__import__("zipimport").zipimporter], sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__,
              sys.unraisablehook is sys.__unraisablehook__, threading.excepthook is threading.__excepthook__, sys.breakpointhook is sys.__breakpointhook__)
        print([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, signal.SIGHUP)], signal.set_wakeup_fd(-1), signal.pthread_sigmask(0, ()))
        # On Python 3.11 one is ours, against a crash of the interpreter's (docs/how-it-works.md).
        callbacks = [one for one in gc.callbacks if one.__module__ != "autoscope.runtime.reentry"]
        print(gc.get_threshold(), callbacks, gc.isenabled(), sys.getswitchinterval(), sys.getrecursionlimit(), sys.get_int_max_str_digits(), os.umask(0o22))
        print(sorted(set(dir(builtins)) - {"_"}), sys.stdout.line_buffering, os.getcwd(), sys.getprofile(), sys.gettrace(), sys.get_asyncgen_hooks())
        # As freezegun, mocks, reloaders and plugin loaders do.
        warnings.simplefilter("ignore")  # about what is old in modules it has not loaded itself
        for name, module in list(sys.modules.items()):
            for attribute in dir(module): getattr(module, attribute, None)
            inspect.getmodule(module), getattr(module, "__file__", 0), getattr(module, "__spec__", 0), repr(module), inspect.getdoc(module)
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType): thing.__code__.co_consts, hash(thing.__code__), repr(thing), thing == thing
            if isinstance(thing, types.CodeType): [repr(c) for c in thing.co_consts], hash(thing), thing == thing, sorted(thing.co_names)
            isinstance(thing, threading.Thread) and thing.name, type(thing).__name__
        del thing
        opened = os.open(os.devnull, os.O_RDONLY)
        for fd in range(3, 256):
            try: os.set_inheritable(fd, os.get_inheritable(fd)), os.fstat(fd)
            except OSError: pass
        print(f("after"))
        """,
        recorded="f",
        mask=r"'_[a-z_]*'",
    )


def test_pain_packages_that_are_pytest_plugins(tmp_path):
    """pytest's own hook loads them, with their assertions rewritten: they are traced, the messages stay (appmap-python #314)."""
    files = {
        "plugin/__init__.py": "",
        "plugin/hooks.py": """
        import pytest
        from plugin import more
        def pytest_report_header(config): return f"header {more.helper(2)}"
        @pytest.fixture
        def number(): return more.helper(3)
        def pytest_assertrepr_compare(op, left, right):
            if left == 4: return ["four, as our plugin says"]
        def check(value):
            wanted = {"value": 1}
            assert {"value": value} == wanted, "checked"
        """,
        "plugin/more.py": """
        def helper(n):
            values = [n, len('x')]
            assert values[1] == 1
            return sum(values)
        """,
        "test_it.py": """
        from plugin.hooks import check
        def test_good(number): assert number == 4
        def test_compare(number): assert number == 5
        def test_check(): check(len("ab"))
        class TestClass:
            def test_in(self, number):
                have = [number]
                assert 5 in have and not have
        """,
    }
    ran = same(
        tmp_path,
        files,
        *("-m", "pytest", "-p", "plugin.hooks", "-p", "no:cacheprovider", "-vv", "--color=no", "test_it.py"),
        recorded=("plugin.hooks.check", "plugin.more.helper", "test_it.test_good", "test_it.TestClass.test_in"),
        mask=r"in [0-9.]+s|[-=]{3,}",
        status=1,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    for told in (
        "four, as our plugin says",
        "AssertionError: checked",
        "assert {'value': 2} == {'value': 1}",
        "assert (5 in [4])",
    ):
        assert told in ran.out
