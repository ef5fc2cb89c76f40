"""The program that is changed while it runs: threads, an event loop, children; it is told on standard input what to do itself.

app.py EXPECTED      a JSON file: what `kinds.work` gives for each number
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import multiprocessing
import os
import sys
import threading
import time
import warnings

import kinds
import service
import verify

warnings.simplefilter("ignore", DeprecationWarning)  # fork and threads in one process: that is what is tried


class State:
    def __init__(self, expected):
        self.expected = expected
        self.over = threading.Event()
        self.rounds = self.children = 0
        self.wrong = []

    def check(self, n):
        got = kinds.work(n)
        self.rounds += 1
        if got != self.expected[n] and len(self.wrong) < 10:
            self.wrong.append([n, got, self.expected[n]])

    def work(self, first, pause):
        n = first
        while not self.over.is_set():
            self.check(n % len(self.expected))
            n += 1
            time.sleep(pause)

    def fork(self, ending):
        """A child computes, checks, and ends in one of the ways there are."""
        child = os.fork()
        if not child:
            status = 3
            try:
                status = compute(self.expected, 1)
            finally:
                os._exit(status)
        self.children += 1
        _, status = os.waitpid(child, 0)
        if status:
            self.wrong.append(["a forked child", status, ending])

    def start(self, method):
        context = multiprocessing.get_context(method)
        process = context.Process(target=in_a_child, args=(self.expected,))
        process.start()
        process.join()
        self.children += 1
        if process.exitcode:
            self.wrong.append(["a child of multiprocessing", process.exitcode, method])


def compute(expected, rounds):
    sys.set_asyncgen_hooks(None, None)  # of a loop that does not run in this process: what is abandoned would never end
    for _ in range(rounds):
        for n, value in enumerate(expected[:4]):
            if kinds.work(n) != value:
                return 4
    kinds.KEPT.clear()  # a call that is open when the process ends is not recorded, and those under it have no parent
    return 0


def in_a_child(expected):
    sys.exit(compute(expected, 2))


def crowded(state):
    """Functions that are called far too often, as long as there is a budget that leaves most of it out."""
    while not state.over.is_set():
        times = verify.crowd()
        total, add = 0, kinds.make(1)[2]
        for number in range(times):
            total += kinds.tiny(number) + kinds.Thing.fixed(0)
        if total != times * (times - 1) // 2 + 2 * times:
            state.wrong.append(["crowded", times, total])
        if [add(number) for number in range(times // 10)] != [number + 3 for number in range(times // 10)]:
            state.wrong.append(["a crowded closure", times])
        time.sleep(0.02)


def busy(state):
    """What takes time and is nobody's function."""
    while not state.over.is_set():
        json.loads(json.dumps(list(range(5000))))
        verify.look()
        time.sleep(0.001)


class Orders:
    """What the program is told; each answers with something JSON has."""

    def __init__(self, state, loop):
        self.state = state
        self.loop = loop
        self.made = 0

    def update(self, target, said):
        import autoscope

        return autoscope.update(target, **said)

    def pause(self, seconds):
        import autoscope

        with autoscope.pause(), autoscope.pause():
            time.sleep(seconds)

    def collect(self):
        gc.collect()

    def load(self, name):
        importlib.invalidate_caches()
        return importlib.import_module(name).made(3)

    def reload(self, name):
        return importlib.reload(sys.modules[name]).made(3)

    def fork_in_thread(self):
        self.state.fork("thread")

    def fork_in_main(self):
        self.loop.call_soon_threadsafe(self.state.fork, "main")

    def start(self, method):
        self.state.start(method)

    def wrong(self):
        return verify.wrong()

    def size(self):
        return verify.size()

    def states(self):
        return verify.states()


def obey(state, loop, stop):
    orders = Orders(state, loop)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name == "end":
            break
        try:
            told = {"told": getattr(orders, name)(*arguments)}
        except Exception as error:
            told = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), flush=True)
    state.over.set()
    loop.call_soon_threadsafe(stop.set)


async def serve(state):
    stop = asyncio.Event()
    served = service.Service()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    loop = asyncio.get_running_loop()
    obeys = threading.Thread(target=obey, args=(state, loop, stop))
    obeys.start()
    await stop.wait()
    server.close()
    obeys.join()
    return served.answered


def main():
    with open(sys.argv[1]) as file:
        state = State(json.load(file))
    threads = [threading.Thread(target=state.work, args=(n, pause)) for n, pause in enumerate((0.04, 0.06, 0.08))]
    threads += [threading.Thread(target=doing, args=(state,)) for doing in (crowded, busy)]
    for thread in threads:
        thread.start()
    answered = asyncio.run(serve(state))
    for thread in threads:
        thread.join()
    kinds.KEPT.clear()
    print(json.dumps({"rounds": state.rounds, "children": state.children, "answered": answered, "wrong": state.wrong}))


if __name__ == "__main__":
    main()
