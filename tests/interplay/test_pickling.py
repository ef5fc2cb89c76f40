"""Functions that leave the process: by reference to workers, by value with cloudpickle and dill, by marshal."""

from __future__ import annotations

import pytest
from interplay_kit import same

WORK = """
import asyncio, collections, functools, pickle

class Base:
    def hello(self, name):
        return f"hello {name} {len(name)}"

class Own(Base):
    def hello(self, name="own"):
        return super().hello(name).upper()
    @classmethod
    def make(cls, *args):
        return cls().hello(*args)
    @property
    def size(self):
        return len(self.hello())

def square(n):
    return n * n + len("x")

def count(n):
    for i in range(n):
        got = yield i * square(i)
    return square(n)

async def later(n):
    await asyncio.sleep(0)
    return square(n)

def adder(by):
    def add(n):
        return square(n) + by
    return add

def fails(n):
    raise ValueError(n, square(n))
"""


def test_functions_sent_to_workers_by_reference(tmp_path):
    """multiprocessing by every method, and concurrent.futures: arguments, results, exceptions, initializers, shared state."""
    main = """
    import concurrent.futures as futures, multiprocessing, sys
    from functools import partial
    import work

    def start(n):
        global offset
        offset = n

    def shifted(n):
        return work.square(n) + offset

    def told(error):
        return type(error).__name__, error.args, "fails" in str(error.__cause__)

    def put(queue, n):
        queue.put(work.square(n))

    def main():
        for how in ("fork", "forkserver", "spawn"):
            context = multiprocessing.get_context(how)
            with futures.ProcessPoolExecutor(1, mp_context=context, initializer=start, initargs=(5,)) as pool:
                print(how, [*pool.map(shifted, range(3))], pool.submit(work.Own.make, "x").result(),
                      pool.submit(work.Own().hello).result(), pool.submit(partial(work.square, 4)).result())
                try:
                    pool.submit(work.fails, 3).result()
                except ValueError as error:
                    print(told(error))
            queue = context.Queue()
            process = context.Process(target=put, args=(queue, 3))
            process.start()
            print(queue.get(), process.join(), process.exitcode)
        with futures.ThreadPoolExecutor(2) as pool:
            print([*pool.map(work.square, range(5))])

    if __name__ == "__main__":
        main()
    """
    ran = same(tmp_path, {"app.py": main, "work.py": WORK}, recorded=("main", "shifted", "put", "work.square"))
    assert ran.names["shifted"] == 9
    assert len(ran.processes) == 7


UNPICKLE = """
import sys
sys.modules["autoscope"] = None  # as where it is not installed
import asyncio, pickle
things = pickle.load(sys.stdin.buffer)
square, own, count, later, add = things
code = square.__code__
print(square(3), own.make("abc"), own().size, list(count(3)), asyncio.run(later(2)), add(2))
print(hash(code) == hash(code), code == code, {code: 1}[code], code.co_name, code.co_firstlineno)
print("autoscope" in str(sorted(sys.modules, key=str)) and sys.modules["autoscope"])
"""


@pytest.mark.parametrize("library, path", [("cloudpickle", "bytecode"), ("cloudpickle", "ast"), ("dill", "bytecode")])
def test_functions_sent_by_value(library, path, tmp_path):
    """What is made here runs there, where nobody knows us; and comes back, and runs here."""
    pytest.importorskip(library)
    main = (
        WORK
        + f"""
import {library} as library, subprocess, sys
things = square, Own, count, later, adder(5)
for round in range(2):
    data = library.dumps(things)
    done = subprocess.run([sys.executable, "unpickle.py"], input=data, capture_output=True)
    print(done.stdout.decode(), done.stderr.decode(), done.returncode)
    copies = library.loads(data)
    print(copies[0](3), copies[1].make("abc"), list(copies[2](3)), asyncio.run(copies[3](2)), copies[4](2))
    things = copies  # what came back is sent again
print(square(3), list(count(2)))
"""
    )
    ran = same(
        tmp_path,
        {"app.py": main, "unpickle.py": UNPICKLE},
        recorded=("square", "adder"),
        traced={"AUTOSCOPE_WEAVE": path},
    )
    assert "[0, 2, 10] 5" in ran.out
