"""Starting and stopping: reads the environment once, sets every room going, and puts everything back.

Called by `sitecustomize` before the program begins, or by `install()` inside a running one. Whatever goes wrong at
start, the program runs as its author wrote it and one notice says why.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import atexit
import os
import sys
import threading  # noqa: F401  here, because the thread that imports it first is taken for the main thread
import time
from _thread import RLock, allocate_lock, get_ident
from types import FunctionType, ModuleType

from autoscope.errors import AutoscopeError, from_a_signal, notice, notices, say
from autoscope.ours import keep_builtins
from autoscope.runtime import calls, capture, context, drain, library, sampling, sites
from autoscope.runtime.drain import DEFAULT_QUEUE, Drain, acquire
from autoscope.runtime.sigterm import Guard
from autoscope.runtime.spans import Clock
from autoscope.weave import attach, cache, main, weaver
from autoscope.weave.finder import Finder, wants_loaded
from autoscope.weave.weaver import Weaver

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType
    from typing import Any

    from autoscope.plan.model import Plan

FLUSH_SECONDS = 5.0
"""How long a process may spend sending what is left when it ends."""
HARD_EXIT_SECONDS = 1.0
"""The same, where it ends by `os._exit`."""
FORK_SECONDS = 5.0
"""How long a thread that forks waits for another that does."""
CARRIER = "AUTOSCOPE_TRACEPARENT"
"""The variable that tells a child process which span of its parent's all its traces belong to."""
RESOLVED = b'{"autoscope_resolved"'
"""How a plan begins that has been read, merged and checked already: it is JSON, and no YAML is loaded for it."""

running: Running | None = None


def start_from_environment(before: set[str] | None = None, path: Sequence[str] = ()) -> Running | None:
    """What `sitecustomize` calls. Never raises but under `AUTOSCOPE_STRICT`.

    `before`: the modules that were loaded before us; `path`: where the program may have its own.
    """
    started = _start_from_environment()
    if before is not None:
        needed: tuple[str, ...] = library.SENDING if started is not None else ()
        if any(name.startswith("OTEL_") for name in os.environ):
            needed += library.NETWORK
        if started is not None and started.summary:
            needed += library.SUMMARY
        if started is not None and started.plan_path:
            needed += library.FOLLOWING
        library.give_back(before, (*main.first_of_path(), *path), *needed)
    return started


def _start_from_environment() -> Running | None:
    environ = os.environ
    if running is not None:
        return running
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        notice("sdk-disabled", "nothing is traced: OTEL_SDK_DISABLED is true")
        return None
    if not in_main_interpreter():
        notice(
            "sub-interpreter",
            "an interpreter inside the process runs untraced: a thread of ours would keep it from ending",
        )
        return None
    try:
        plan = plan_from_environment()
    except AutoscopeError as error:
        notice("plan-unusable", f"the program runs untraced: {error}")
        return None
    started = start(plan, store=environ.get("AUTOSCOPE_STORE"), otlp=None, script=main.script())
    # Before anything is recorded: a server started by `-m` has children before it has a span.
    started.name_run()
    if environ.get(CARRIER):
        from autoscope.runtime.ambient import NOTHING, from_carrier

        carried = environ[CARRIER]
        sampling.set_ambient(NOTHING if carried == NOTHING.carrier() else from_carrier(carried))
    return started


def in_main_interpreter() -> bool:
    """Whether this is the process's first interpreter, and none that was made inside it; to be asked as it starts."""
    asked = getattr(_thread, "_is_main_interpreter", None)
    if asked is not None:
        return bool(asked())
    try:
        _signal.signal(0, _signal.SIG_DFL)  # never done: there is no such signal
    except ValueError as error:
        return "main" not in str(error)  # … or it may not be asked for here
    return True


def plan_from_environment() -> Plan:
    """The plan `AUTOSCOPE_*` describes. Raises `PlanError`."""
    environ = os.environ
    file = environ.get("AUTOSCOPE_PLAN") or None
    if file is not None:
        try:
            text = file.encode()
            if not text.startswith(RESOLVED):
                with open(file, "rb") as stream:
                    text = stream.read(len(RESOLVED))
                    if text == RESOLVED:
                        text += stream.read()
            if text.startswith(RESOLVED):
                from autoscope.plan.model import Plan

                return Plan.from_dict(_from_json(text.decode()))
        except (OSError, ValueError, LookupError, TypeError):
            pass  # said better by whoever reads it as a plan
    from autoscope.plan.resolve import resolve

    return resolve(plan_file=file, environ=environ)


def _from_json(text: str) -> Any:
    """As `json.loads`, whose package takes four milliseconds to import; what is not a whole value is its to complain about."""
    try:
        from _json import make_scanner

        value, end = make_scanner(_Json)(text, 0)  # type: ignore[arg-type]
        if not text[end:].strip():
            return value
    except (ImportError, AttributeError, TypeError, StopIteration, ValueError, RecursionError):
        pass
    import json

    return json.loads(text)


class _Json:
    """What `json.JSONDecoder` tells the scanner, which is C."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def start(plan: Plan, *, store: str | None, otlp: str | None, script: str | None = None) -> Running:
    """Set everything going for one plan."""
    global running
    stop()
    running = Running(plan, store, otlp)
    running.begin(script)
    return running


def stop() -> None:
    """Flush and put everything back; nothing happens where nothing was started."""
    global running
    if running is not None:
        running.end()
        running = None


class Running:
    """All that is going on in this process for one plan, from `begin` to `end`."""

    def __init__(self, plan: Plan, store: str | None, otlp: str | None) -> None:
        from autoscope.export import DEFAULT_STORE

        self.plan = plan
        # Now: the program may change its working directory before there is anything to store.
        self.store = store and _absolute(store)
        self.default_store = _absolute(DEFAULT_STORE)
        self.otlp = otlp
        self.weave = Weaver(plan, _cache(plan))
        self.finder = Finder(self.weave)
        self.started = time.time()
        self.pid = os.getpid()
        self.run_id = os.environ.get("AUTOSCOPE_RUN_ID", "")
        self.first = not self.run_id or os.environ.get("AUTOSCOPE_SUMMARY", "") == str(os.getpid())
        """Whether this process is the first of its run, and not one of its children."""
        self.summary = os.environ.pop("AUTOSCOPE_SUMMARY", "") == str(os.getpid())
        """Whether this is the process `autoscope run` started, which prints what was seen when it ends."""
        self.drain = Drain(
            self.exporters,
            interval=_milliseconds("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000,
            queue=int(_milliseconds("OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_QUEUE)),
            at_start=self.at_first_record,
            each_tick=self.each_tick,
            each_second=self.each_second,
            at_end=self.at_exit,
        )
        self.marked: dict[int, tuple[CodeType, CodeType]] = {}
        """Twins of functions marked while the program runs, by the identity of their code: closures share theirs."""
        self.early: list[str] = []
        """Modules that were imported before us and woven in place."""
        self.late: list[str] = []
        """Modules that came past the finder and were woven in place when they were noticed."""
        self.guard = Guard(self.terminated)
        self.forks = RLock()
        """One fork at a time: what is stopped for it is stopped once."""
        self.over = allocate_lock()
        """Held while a thread hands over everything for the last time."""

    def begin(self, script: str | None) -> None:
        for warning in (*self.plan.warnings, *not_heeded(self.plan)):
            notice("plan", warning)
        if sys.version_info < (3, 12):
            from autoscope.runtime import reentry

            reentry.guard()
        sampling.set_rate(self.plan.sampling.rate)
        self.decide_late()
        if not self.plan.sampling.rate and not sampling.late and "opentelemetry.context" not in sys.modules:
            sites.rest()
        capture.set_redact(self.plan.redact)
        if self.plan.budget_overhead is not None:
            self.drain.make_steer = self.keep_budget
            library.load(library.STEERING)
        self.drain.arm()
        # The last to be registered is the first to run, so the program's own handlers are still traced.
        atexit.register(self.at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self.before_fork, after_in_parent=self.after_fork_parent, after_in_child=self.after_fork_child
            )
        self.on_hard_exit()
        if "opentelemetry.context" in sys.modules:
            _take_over_context()
        else:
            self.finder.after_import["opentelemetry.context"] = _take_over_context
        if "opentelemetry.sdk.trace" in sys.modules:
            self.join_sdk()
        else:
            self.finder.after_import["opentelemetry.sdk.trace"] = self.join_sdk
        sys.meta_path.insert(0, self.finder)
        # What we use of the library may be woven by now; that we use it is not the program's doing.
        before = context.get()
        context.set_current(context.Unsampled())
        try:
            self.attach_loaded()
            if script is not None:
                main.take_over(self.weave, script)
        finally:
            context.set_current(before)
        self.begun = True
        self.cpu_before = time.process_time_ns() - weaver.Cost.cpu_ns
        self.offer()

    def decide_late(self) -> None:
        """Have what the plan keeps and folds be in force; what does it is imported where a plan asks for it."""
        told = self.plan.sampling
        asked = told.keep_errors or told.keep_slower_than_ns is not None or told.fold_under_ns
        if self.drain.late is None and not asked:
            return
        if self.drain.late is None:
            from autoscope.runtime.late import Late

            self.drain.late = Late()
        self.drain.late.follow(told.keep_errors, told.keep_slower_than_ns, told.fold_under_ns)

    def join_sdk(self, module: ModuleType | None = None) -> None:
        """See to it that a provider of the program's has our spans before it is flushed or shut down."""
        try:
            from autoscope.export import bridge

            bridge.flush_before(self.flush)
        except (ImportError, AttributeError) as error:
            notice("otel-unknown", f"this OpenTelemetry is not one known here: {error}; its provider may miss spans")

    def attach_loaded(self) -> None:
        """Weave what was imported before us."""
        from autoscope.weave import wrap

        loaded = {
            name: module
            for name, module in list(sys.modules.items())
            if type(module) is ModuleType and self.wants(name, module)
        }
        # `__main__` at the start of a process is an empty namespace, which `main` sees to.
        if "__main__" in loaded and not getattr(loaded["__main__"], "__file__", None):
            del loaded["__main__"]
        self.early = list(loaded)
        if loaded:
            attach.attach_everything(self.weave, loaded)
        for name in self.plan.modules:
            module = sys.modules.get(name)
            if module is not None:
                wrap.wrap_named(self.weave, module)

    def mark(self, function: FunctionType) -> None:
        """Its author has marked a function, this moment. Whatever goes wrong, it is the author's as it was."""
        try:
            from autoscope.weave import mark

            mark.apply(self.weave, function, self.marked)
        except Exception as error:
            if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
                raise
            name = f"{function.__module__}.{function.__qualname__}"
            notice("mark-failed", f"the mark on {name} is not heeded: {type(error).__name__}: {error}")

    def wants(self, name: str, module: ModuleType) -> bool:
        """Whether the plan selects a module that is loaded already."""
        return wants_loaded(self.weave.plan, name, module)

    def at_first_record(self) -> None:
        """Since the start, or since a fork: there is something to lose."""
        if not self.drain.of_a_thread:  # such a process ends with its last thread, which must not be ours
            self.guard.watch()

    # Live.

    _live: Any = None
    server: Any = None
    _verbs: Any = None
    plan_file: Any = None
    plan_path = ""
    """The file the plan was read from, where it can be followed."""
    plan_seen: Any = None
    """Its stamp and those of the files it extends; see `control.watch`."""
    offered = False
    """Whether this process can be changed from outside."""

    @property
    def live(self) -> Any:
        """What is changed while the program runs; imported when the first change is made."""
        if self._live is None:
            from autoscope.control.live import Live

            self._live = Live(self.weave, lambda: self.drain.steer)
        return self._live

    def offer(self) -> None:
        """Have the drain's thread follow the plan file and answer on the control socket.

        It begins with the first record, as ever: until then a process has nothing of ours. But one that records nothing because
        its rate is 0 is the one that somebody wants to turn on, and has the thread from the start.
        """
        named = os.environ.get("AUTOSCOPE_SIGNALS", "")
        if named:
            self.hear(named)
        self.offered = os.environ.get("AUTOSCOPE_CONTROL", "1") not in ("", "0") and os.name == "posix"
        source = self.plan.source
        if self.offered and source and source[0] != "<" and os.path.isfile(source):
            self.plan_path = _absolute(source)
            self.plan_seen = {path: library.stamp(path) for path in map(_absolute, (source, *self.plan.extended))}
        nothing = not self.plan.sampling.rate and not sampling.late
        self.from_start = self.switch is not None or (self.offered and nothing)
        if self.from_start:
            self.drain.start()

    switch: Any = None
    """What hears the signal that `AUTOSCOPE_SIGNALS` names."""

    def hear(self, named: str) -> None:
        from autoscope.control import signals

        try:
            self.switch = signals.switch(named, self.toggle)
        except (OSError, signals.Refused) as error:
            notice("signal-unavailable", f"AUTOSCOPE_SIGNALS={named} turns nothing off: {error}")

    def toggle(self) -> None:
        """Everything off, or on again."""
        if self.live.is_off:
            self.live.on()
            notice("signalled", "by a signal: functions are traced again")
        else:
            self.live.off()
            notice("signalled", "by a signal: every function has its own code, until the next one")

    from_start = False
    """Whether there is a thread before something is recorded."""
    control_from = 0.0
    """By the monotonic clock: before, nobody is looked after who would change this process from outside..."""
    control_every = 0.0
    """... and then no oftener than this, in seconds."""

    def each_tick(self) -> None:
        """In the drain's thread, several times a second."""
        if not self.begun:
            return
        try:
            if self.switch is not None:
                self.switch.poll()
            if self.offered and (now := Clock.monotonic()) >= self.control_from:
                self.control_from = now + self.control_every
                self.look_at_control()
            if self._live is not None:
                self._live.expire()
        except Exception as error:
            if "AUTOSCOPE_STRICT" in os.environ:
                raise
            self.offered, self.switch = False, None
            notice("control-failed", f"this process cannot be changed any longer: {type(error).__name__}: {error}")
        waiting = self._live is not None and any(change.until is not None for change in self.weave.changes)
        self.drain.busy = waiting or (self.server is not None and bool(self.server.clients or self.drain.taps))

    def look_at_control(self) -> None:
        if self.server is None:
            self.open_control()
        if self.plan_file is not None:
            self.plan_file.check()
        self.server.poll()
        if self._verbs is not None:
            self._verbs.tick()

    def open_control(self) -> None:
        from autoscope.control.server import Server

        self.server = Server(self.verbs)
        try:
            self.server.open()
        except OSError as error:
            notice("control-unavailable", f"this process cannot be changed from outside: {error}")
        if self.plan_path:
            from autoscope.control.watch import PlanFile

            self.plan_file = PlanFile(self.plan_seen, self.read_plan, self.adopt)

    def verbs(self) -> dict[str, Any]:
        """What is answered on the control socket; imported when somebody asks."""
        if self._verbs is None:
            from autoscope.control.verbs import Verbs

            self._verbs = Verbs(self)
        table: dict[str, Any] = self._verbs.table
        return table

    def keep_budget(self) -> Any:
        """What keeps to the plan's budget, made by the drain's thread."""
        from autoscope.runtime.budget import Budget
        from autoscope.weave import pace

        share = self.plan.budget_overhead
        assert share is not None
        spans = self.plan.budget_spans or float("inf")
        found = Budget(share, spans, self.own_cpu, pace if pace.KNOWN else None, self.tell_decisions)
        found.is_exempt = self.is_asked_for
        found.handed = lambda: self.drain.handed_ns
        if self.exact:
            found.hold("exact")
        if self._live is not None and self._live.is_off:
            found.hold("off")
        return found

    @property
    def steer(self) -> Any:
        """What keeps to the budget; None where there is none now."""
        return None if self.plan.budget_overhead is None else self.drain.steer

    def own_cpu(self) -> int:
        """Nanoseconds of CPU time our threads have used; in another thread, when it was last looked."""
        return (Clock.thread_cpu() if get_ident() in drain.ours else self.drain.cpu_ns) + self.cpu_behind()

    def cpu_behind(self) -> int:
        """The same of threads that send, and of the program's where they were told to hand over."""
        return self.drain.aside_ns + sum(getattr(exporter, "cpu_ns", 0) for exporter in self.drain.exporters or ())

    quota: Any = None
    """What has some calls of a test run only counted, where that is so: a `quota.Quota`."""
    exact = 0
    """How many there are who need every call, whatever the budget says."""

    def be_exact(self) -> None:
        """Have the budget leave out nothing, until `be_thrifty` was called as often."""
        self.exact += 1
        if self.drain.steer is not None:
            self.drain.steer.hold("exact")

    def be_thrifty(self) -> None:
        """Take one `be_exact` back."""
        self.exact = max(self.exact - 1, 0)
        if not self.exact and self.drain.steer is not None:
            self.drain.steer.go_on("exact")

    def is_asked_for(self, site: Any) -> bool:
        """Whether somebody wants to see all calls of this function, or it is none at all."""
        if self.exact or site.kind == sites.TEST:
            return True
        return any(change.until is not None and change.matches(site.name) for change in self.weave.changes)

    def tell_decisions(self, decisions: list[dict[str, Any]]) -> None:
        if self.drain.exporters is None:
            self.drain.exporters = self.exporters()
        told = [(one["time_ns"], {key: one[key] for key in one if key != "time_ns"}) for one in decisions]
        for put in drain.methods(self.drain.exporters, "put_events"):
            put("autoscope.budget", told)

    def read_plan(self) -> Plan:
        """The plan as its file has it now. Raises AutoscopeError."""
        from importlib.util import find_spec

        if "autoscope.plan.resolve" not in sys.modules and "yaml" not in sys.modules:
            # What the program would be given under that name: a module of its own is not to be executed by us.
            found = find_spec("yaml")
            if found is None or not os.path.exists(os.path.join(os.path.dirname(found.origin or ""), "cyaml.py")):
                raise AutoscopeError(
                    f"{self.plan_path}: PyYAML is not what this program imports as `yaml`; start it anew"
                )
        from autoscope.plan.resolve import resolve

        return resolve(plan_file=self.plan_path, environ=os.environ)

    def adopt(self, plan: Plan) -> None:
        """In the drain's thread: another plan is in force from now on."""
        self.plan = plan
        steer = self.drain.steer
        if plan.budget_overhead is None:
            if steer is not None:
                steer.hold("plan")  # not let go of: it knows what the records stand for that wait still
            self.drain.make_steer = None
        elif steer is None:
            self.drain.steer = self.keep_budget()
        else:
            steer.share, steer.most_spans = plan.budget_overhead, plan.budget_spans or float("inf")
            steer.go_on("plan")
        self.live.adopt(plan)
        self.decide_late()
        for warning in (*plan.warnings, *not_heeded(plan)):
            notice("plan", warning)
        notice("plan-adopted", f"{self.plan_path} was changed; the plan is in force")

    breaker: Any = None
    """What turns everything off where the process is in trouble, and what finds that out; only where there is a budget."""

    def watch_over(self) -> None:
        if self.breaker is None:
            from autoscope.runtime.breaker import Breaker, Troubles

            def tell(change: dict[str, Any]) -> None:
                self.tell_decisions([{"time_ns": time.time_ns(), **change}])

            # What somebody else turned off stays so.
            off, on = (lambda: self.live.off("trouble")), (lambda: self.live.on("trouble"))
            self.breaker = Breaker(off, on, tell), Troubles(self.sent)
        breaker, troubles = self.breaker
        breaker.look(troubles.now(), Clock.monotonic())

    def sent(self) -> tuple[int, int]:
        """How many spans were exported, and how many lost on the way."""
        exporters = self.drain.exporters or ()
        exported = max([exporter.exported for exporter in exporters], default=0)
        return exported, max([exporter.dropped for exporter in exporters], default=0)

    def each_second(self) -> None:
        """In the drain's thread: what a process that is killed would otherwise take with it."""
        self.look_round()
        if self.plan.budget_overhead is not None or (self.breaker is not None and self.breaker[0].is_open):
            self.watch_over()
        if self.told != (told := (sites.counters.taken, sites.counters.dropped, sites.counters.sampled_out)):
            self.told = told
            functions = 0 if self.quota is None else len(self.quota.states)
            if self.tells % 5 == 0 or functions != self.named:
                self.named = functions  # numbers of functions that have no name yet tell nothing
                self.write_meta("counters", "cost", "budget", "counted")
            elif self.drain.steer is None:  # each is a transaction of its own
                self.write_meta("counters", "cost")
            self.tells += 1

    tells = named = 0
    told: Any = None
    """What was counted when the store was told last, how often it was, and how many functions of which calls are only counted had a name by then."""

    loaded = looks = 0
    """How many modules there were at the last look round, and how many looks."""
    look_every = 1
    """Of how many seconds one has a look round."""

    def look_round(self, last: bool = False) -> None:
        """Find modules the plan wants that were loaded past our finder; weave them in place."""
        if self._live is not None and self._live.is_off:
            self._live.look_again()
            return
        if not self.begun:
            return  # they are being woven
        self.looks += 1
        if not last and (self.looks % self.look_every or (self.loaded == len(sys.modules) and self.looks % 8)):
            return  # hardly another one since
        loaded = len(sys.modules)
        unseen, more = attach.loaded_unseen(self.weave, self.wants)
        self.loaded = 0 if more else loaded
        for name, module in unseen.items():
            if name == "__main__":
                continue
            attach.attach(self.weave, module, "in place, found later")
            self.late.append(name)
            notice("late-module", f"{name} was loaded past the import hook; it is traced from now on")

    # Sending.

    def exporters(self) -> list[Any]:
        from autoscope.export.destinations import destinations

        self.name_run()
        return destinations(self.store, self.run_id, describe_run(self.plan), self.otlp, self.default_store)

    @property
    def kept_in(self) -> str:
        """The store in which this run is looked for."""
        return self.store or self.default_store

    def name_run(self) -> None:
        """Processes started from here that are traced too belong to the same run, whoever records first."""
        if not self.run_id:
            from autoscope.export.runs import new_run_id

            self.run_id = os.environ["AUTOSCOPE_RUN_ID"] = new_run_id()

    def write_meta(self, *only: str) -> None:
        """Tell the store what only this process knows: counts, cost, what was not woven; or only some of it."""
        puts = drain.methods(self.drain.exporters, "put_meta")
        if puts:
            known = {key: value() for key, value in self.meta().items() if not only or key in only}
            for put in puts:
                put(known)

    def meta(self) -> dict[str, Callable[[], Any]]:
        """What this process knows of itself: the store's meta values, by functions that give them."""
        counts = self.stats()
        known: dict[str, Callable[[], Any]] = {
            "counters": lambda: (
                {key: counts[key] for key in ("recorded", "dropped", "sampled_out", "exported")}
                | {key: counts[key] for key in ("folded", "left_out", "decided_early") if counts[key]}
            ),
            "sites": lambda: {key: counts[key] for key in ("woven", "armed")},
            "cost": lambda: counts["cost"],
            "not_woven": lambda: [list(entry) for entry in weaver.left_alone],
            "modules": lambda: dict(weaver.seen),
            "notices": lambda: [list(entry) for entry in notices],
        }
        if self.drain.steer is not None:
            known["budget"] = self.drain.steer.describe
        if self.quota is not None:
            known["counted"] = self.quota.describe
        return known

    def stats(self) -> dict[str, Any]:
        """Counters of this process; times in nanoseconds."""
        dropped = sites.counters.dropped
        recorded = sites.counters.taken + len(sites.records) // sites.WIDTH + dropped
        exported, lost = self.sent()
        process_cpu = time.process_time_ns()
        lean, full, root = calls.costs()
        entered = min(sites.counters.entered, recorded)
        in_calls = (recorded - entered) * lean + entered * full
        more = sites.counters.roots * root + sites.counters.capture_ns
        cpu = weaver.Cost.cpu_ns + self.drain.cpu_ns + self.cpu_behind() + in_calls + more
        return {
            "woven": len(sites.sites),
            "armed": sites.watched(),
            "recorded": recorded,
            "dropped": dropped + lost,
            "sampled_out": sites.counters.sampled_out,
            "exported": exported,
            "folded": sites.counters.folded,
            "left_out": sites.counters.left_out,
            "decided_early": sites.counters.early,
            "cost": {
                "cpu_ns": cpu,
                "in_calls_ns": in_calls,
                "handed_ns": self.drain.handed_ns,
                "process_cpu_ns": process_cpu,
                "before_cpu_ns": self.cpu_before,
                "share": cpu / process_cpu if process_cpu else 0.0,
            },
        }

    def flush(self, seconds: float) -> bool:
        done = self.drain.flush(seconds)
        self.write_meta("counters", "cost")
        if self.asked_to_end and not self.ending:
            self.guard.die()
        return done

    # Ending.

    begun = False
    cpu_before = 0
    """CPU time of this process before the program began, or was traced: nothing that spans could tell of. Weaving aside."""
    ending = 0
    """The thread that hands over everything for the last time."""
    hurried = False
    """It ends by `os._exit` or a signal, and what the program has not flushed stays unwritten."""
    asked_to_end = False
    """A SIGTERM came: the process dies of it when everything is handed over."""

    def at_exit(self) -> None:
        me = get_ident()
        if self is not running or self.ending == me or not acquire(self.over, timeout=FLUSH_SECONDS + 1):
            return
        self.ending = me
        try:
            if not self.drain.closed:
                self.look_round(last=True)
                if self.first:
                    self.tell_unmatched()
                self.hand_over(FLUSH_SECONDS)
        except Exception as error:
            if "AUTOSCOPE_STRICT" in os.environ:
                raise
            notice("exit-failed", f"not everything was written: {type(error).__name__}: {error}")
        finally:
            main.keep_interrupt()
            if self.asked_to_end:
                self.guard.die()
            self.ending = 0
            self.over.release()

    def tell_unmatched(self) -> None:
        """Say once which functions the plan names that were not in the modules it names them in."""
        from autoscope.plan.model import is_glob

        wanted = {
            name: {
                qualname for qualname, inner in rule.functions.items() if inner.level != "off" and not is_glob(qualname)
            }
            for name, rule in self.weave.plan.modules.items()
            if rule.functions and weaver.seen.get(name) in ("import", "main")
        }
        if not wanted:
            return
        for site in list(sites.sites):
            if site.module in wanted:
                wanted[site.module].discard(site.qualname)
        for module, qualname, _ in weaver.left_alone:
            if module in wanted:
                wanted[module].discard(qualname)
        missing = sorted(f"{module}.{qualname}" for module, rest in wanted.items() for qualname in rest)
        if missing:
            listed = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            count = f"{len(missing)} function{'s' if len(missing) > 1 else ''}"
            notice(
                "plan-unmatched", f"the plan names {count} that the code does not have: {listed}; see `autoscope check`"
            )

    def hand_over(self, seconds: float) -> None:
        """Everything that is left, and the end."""
        # Daemon threads may go on recording: from here on their calls are counted, not kept.
        self.drain.freeze()
        self.drain.stop(min(seconds, 1.0))
        self.drain.flush(seconds, last=True)
        summary = self.summary and os.getpid() == self.pid
        if summary and self.drain.exporters is None:
            # Nothing was recorded here (but perhaps in its children): the run still says what was woven and why not.
            self.drain.exporters = self.exporters()
        self.write_meta()
        self.drain.close(seconds)
        if self.server is not None:
            self.server.close()
        if summary:
            self.print_summary()

    def on_hard_exit(self) -> None:
        """`os._exit` passes by every handler there is, so we are asked before it; mypy ends so, and forked children."""
        hard = os._exit

        def _exit(status):  # type: ignore[no-untyped-def]  # as its signature is shown
            try:
                if isinstance(status, int):
                    self.before_hard_exit()
            finally:
                hard(status)

        _exit.__module__, _exit.__qualname__, _exit.__doc__ = hard.__module__, hard.__qualname__, hard.__doc__
        self.hard, self.exit = hard, _exit
        os._exit = _exit

    def before_hard_exit(self) -> None:
        """Hand over what is left, where there is anything and nobody is at it."""
        me = get_ident()
        if self is not running or me in (self.ending, self.drain.owner):
            return
        if not acquire(self.over, timeout=HARD_EXIT_SECONDS) or self.drain.closed:
            return  # the process ends now
        if not (
            self.drain.running or self.drain.exporters or sites.records or (self.summary and os.getpid() == self.pid)
        ):
            return
        self.ending, self.hurried = me, True
        try:
            self.hand_over(HARD_EXIT_SECONDS)
        except Exception as error:
            notice("exit-failed", f"not everything was written: {type(error).__name__}: {error}")

    def print_summary(self) -> None:
        from autoscope.read.report import summary_text
        from autoscope.read.runs import open_run

        if not drain.methods(self.drain.exporters, "put_meta"):
            counts = self.stats()
            text = (
                f"autoscope: {counts['recorded']} spans recorded, {counts['exported']} exported, "
                f"{counts['dropped']} dropped, {counts['sampled_out']} traces sampled out; {counts['woven']} functions "
                f"woven, {len(weaver.left_alone)} not; own cost {counts['cost']['share']:.1%} of the process's CPU\n"
            )
        else:
            text = summary_text(open_run(self.kept_in, self.run_id))
        try:
            if not self.hurried:
                sys.__stderr__.flush()  # type: ignore[union-attr]
        except (AttributeError, OSError, ValueError):
            pass  # closed
        say(text)

    def terminated(self) -> None:
        """A SIGTERM came that is ours to answer; any thread may say so."""
        if self is not running:
            self.guard.die()
        self.asked_to_end = self.hurried = True
        if get_ident() not in (self.ending, self.drain.owner):
            self.at_exit()
            self.guard.die()

    def end(self) -> None:
        """Flush, and give the process back as it was."""
        self.at_exit()
        atexit.unregister(self.at_exit)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        sampling.set_ambient(None)
        if self.drain.steer is not None:
            self.drain.steer.let_go()
        weaver.give_back()
        if self._live is not None:
            self._live.end()
        if "wrapt" in sys.modules:
            from autoscope.weave import wrap

            wrap.give_back()
        if "autoscope.export.bridge" in sys.modules:
            from autoscope.export import bridge

            bridge.give_back()
        self.guard.end()
        if os._exit is self.exit:
            os._exit = self.hard
        weaver.reset()
        sites.reset()

    # Fork. The hooks cannot be unregistered, so they ask whether they are still wanted.

    def before_fork(self) -> None:
        if self is running and self.forks.acquire(timeout=FORK_SECONDS):
            self.guard.before_fork()
            self.name_run()
            self.drain.before_fork()

    def after_fork_parent(self) -> None:
        if self is running and self.forks._is_owned():  # type: ignore[attr-defined]
            self.drain.after_fork_parent()
            self.guard.after_fork_parent()
            self.forks.release()

    def inherit(self) -> None:
        """In a forked child: changes made before hold on; the socket is the parent's."""
        if self.server is not None:
            self.server.close(remove=False)
        if self.plan_file is not None:
            self.plan_seen = self.plan_file.seen
        self.server = self._verbs = self.plan_file = None
        if self.breaker is not None:
            from autoscope.runtime.breaker import Troubles

            self.breaker = self.breaker[0], Troubles(self.sent)  # if it is open, it is to close here too
        if self.switch is not None:
            self.switch.after_fork_child()
        self.drain.taps.clear()
        self.drain.tape = None
        if self.quota is not None:
            self.quota.after_fork()
        if self._live is not None:
            self._live.after_fork()
        # Where a thread forked, the process is to end with that: a thread of ours only when there is something to hand over.
        if (self.from_start or self.weave.changes or sites.is_resting()) and not self.drain.of_a_thread:
            self.drain.start()

    def after_fork_child(self) -> None:
        if self is not running:
            return
        self.forks, self.over = RLock(), allocate_lock()
        self.ending, self.asked_to_end = 0, False
        self.cpu_before = weaver.Cost.cpu_ns = 0  # a child's CPU time begins anew
        self.drain.after_fork_child()
        self.guard.after_fork_child()
        self.inherit()
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            # A child of multiprocessing ends by os._exit, past atexit; its own finalizers run before.
            util.register_after_fork(self, _flush_at_end_of_child)


def _cache(plan: Plan) -> cache.Cache | None:
    """The code cache, and the rewriter where it must not be imported later: while it is, nothing can be woven."""
    found = cache.opened(os.environ)
    if found is None or any(plan.selects(name) for name in weaver.REWRITER_NEEDS):
        weaver.rewriter()
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:
        return path  # the working directory was removed


def not_heeded(plan: Plan) -> list[str]:
    """What a plan asks for that is read and checked, but not in force in this version: said, never silently missed."""
    asked = []
    captures = [plan.capture]
    for module in plan.modules.values():
        captures += [module.capture, *[function.capture for function in module.functions.values()]]
    if any((capture.state or "none") != "none" for capture in captures):
        asked.append("capture.state")
    said = [f"{key} is read and checked, but this version does not act on it yet" for key in asked]
    if plan.budget_spans is not None and plan.budget_overhead is None:
        said.append("budget.spans_per_second bounds nothing by itself; give budget.overhead beside it, such as 3%")
    return said


def _flush_at_end_of_child(this: Running) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, this.at_exit, exitpriority=-1000)


def _take_over_context(module: ModuleType | None = None) -> None:
    sites.wake()  # traces come from elsewhere too
    try:
        from autoscope.export import bridge

        bridge.take_over(module)
    except (ImportError, AttributeError) as error:
        notice("otel-unknown", f"this OpenTelemetry is not one known here: {error}; its spans and ours stay apart")


def _milliseconds(name: str, otherwise: int) -> float:
    # The bare number: `export.settings` says what is wrong with a bad one, when exporting begins.
    try:
        value = float(os.environ.get(name, ""))
    except ValueError:
        return otherwise
    return value if value > 0 else otherwise


def describe_run(plan: Plan) -> dict[str, Any]:
    """What a run's directory says about how it came to be."""
    from autoscope import __version__

    try:
        cwd = library.system.getcwd()
    except OSError:
        cwd = ""  # the working directory was removed
    return {
        "argv": list(sys.orig_argv),
        "cwd": cwd,
        "python": sys.version.split()[0],
        "autoscope": __version__,
        "pid": library.system.getpid(),
        "plan": plan.source,
        "strategy": plan.strategy,
        # Of traces recorded: with something to keep that is all, and what was left out is told by the counters.
        "rate": 1.0
        if plan.sampling.keep_errors or plan.sampling.keep_slower_than_ns is not None
        else plan.sampling.rate,
    }
