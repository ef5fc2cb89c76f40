"""Event loops and what runs on them: asyncio with eager tasks, uvloop, trio, anyio, each itself woven too."""

from __future__ import annotations

import sys

import pytest
from interplay_kit import same

WORK = """
import contextvars
own = contextvars.ContextVar("own", default="unset")
def seen(): return own.get(), len([own])
async def step(sleep, n):
    own.set(n)
    await sleep(0)
    return seen(), n
async def stream(sleep, n):
    for i in range(n):
        await sleep(0)
        yield i, own.get()
async def slow(sleep, log):
    try: await sleep(30)
    finally: log.append(("ended", own.get()))
"""


def test_asyncio(tmp_path):
    """Tasks, groups, eager tasks, contexts given by hand, cancelling, timeouts, queues, callbacks, subprocesses, debug mode."""
    program = """
    import asyncio, contextvars, signal, sys
    from work import *
    log = []
    async def main():
        sleep = asyncio.sleep
        print(await asyncio.gather(*(step(sleep, n) for n in range(3))), own.get())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step(sleep, n), name=f"t{n}", context=contextvars.copy_context()) for n in range(2)]
        print([t.result() for t in tasks], [t.get_name() for t in tasks])
        try:
            async with asyncio.timeout(0.01): await slow(sleep, log)
        except TimeoutError as error: print(repr(error.__cause__), log)
        task = asyncio.create_task(slow(sleep, log)); await sleep(0); print(task.cancel("why"))
        try: await task
        except asyncio.CancelledError as error: print(error, task.cancelled(), task.get_coro().cr_frame)
        task = asyncio.create_task(slow(sleep, log)); await sleep(0)
        print([f.f_code.co_name for f in task.get_stack()], task.get_coro().cr_await is not None); task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_soon(seen); await loop.run_in_executor(None, seen); await asyncio.to_thread(seen)
        print([x async for x in stream(sleep, 3)], await asyncio.wait_for(step(sleep, 7), 5), own.get())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing(sleep)); group.create_task(slow(sleep, log))
        except* KeyError as several: print(several.exceptions, log[-1])
        process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "print(1)", stdout=-1)
        print(await process.communicate())
        if sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
            eager = asyncio.create_task(step(sleep, 5)); done = asyncio.create_task(nothing())
            print(own.get(), done.done(), done.result(), await eager, own.get())
            print(await asyncio.gather(step(sleep, 8), nothing()), own.get(), asyncio.current_task().get_name()[:5])
            loop.set_task_factory(None)
        left = stream(sleep, 5); await anext(left); log.append(left)
    async def failing(sleep):
        await sleep(0)
        raise KeyError("failing")
    async def nothing(): return seen()
    asyncio.run(main())
    asyncio.run(main(), debug=True)
    with asyncio.Runner() as runner:
        context = contextvars.copy_context()
        print(runner.run(step(asyncio.sleep, 9), context=context), runner.run(nothing()), own.get(), context.get(own))
    print(own.get(), seen())
    """
    ran = same(
        tmp_path, {"app.py": program, "work.py": WORK}, recorded=("main", "work.step", "work.stream", "work.slow")
    )
    if sys.version_info >= (3, 12):
        assert {ran.parent_name(span) for span in ran.named("nothing")} >= {"main"}
    assert {ran.parent_name(span) for span in ran.named("work.step")} <= {"main", None}
    same(tmp_path / "itself", {"app.py": program, "work.py": WORK}, recorded="asyncio.runners.run",
         include="asyncio.*,work,__main__", strategies=("full_trace",))  # fmt: skip


def test_uvloop(tmp_path):
    """A loop in C: the same order, and contexts its own."""
    pytest.importorskip("uvloop")
    program = """
    import asyncio, uvloop
    from work import *
    log = []
    async def main():
        async def handle(reader, writer):
            writer.write((await reader.readline()).upper() + str(seen()).encode() + b"\\n"); await writer.drain(); writer.close()
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        print(await reader.read(), type(asyncio.get_running_loop()).__module__)
        writer.close(); server.close()
        print(await asyncio.gather(*(step(asyncio.sleep, n) for n in range(3))), [x async for x in stream(asyncio.sleep, 2)], own.get())
        try: await asyncio.wait_for(slow(asyncio.sleep, log), 0.01)
        except TimeoutError: print(log)
        asyncio.get_running_loop().call_later(0.001, seen); await asyncio.sleep(0.01)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner: runner.run(main())
    """
    same(tmp_path, {"app.py": program, "work.py": WORK},
         recorded=("main", "main.<locals>.handle", "work.step", "work.stream", "work.slow"))  # fmt: skip


def test_trio_and_anyio(tmp_path):
    """Nurseries, cancel scopes, threads and back, abandoned async generators; and trio itself woven."""
    pytest.importorskip("trio")
    pytest.importorskip("anyio")
    program = """
    import sys, warnings
    import anyio, anyio.from_thread, trio
    from work import *
    warnings.simplefilter("ignore", ResourceWarning)
    log = []
    async def with_trio():
        async with trio.open_nursery() as nursery:
            for n in range(2): nursery.start_soon(note, n)
            await nursery.start(started)
        with trio.move_on_after(0.01) as scope: await slow(trio.sleep, log)
        print(scope.cancelled_caught, log, own.get())
        print(await trio.to_thread.run_sync(back), [x async for x in stream(trio.sleep, 2)])
        async for x in stream(trio.sleep, 3): break
        try:
            async with trio.open_nursery() as nursery: nursery.start_soon(failing); nursery.start_soon(slow, trio.sleep, log)
        except* KeyError as several: print(several.exceptions, len(log))
    async def note(n): log.append((await step(trio.sleep, n))[1]); log.sort(key=str)
    async def started(task_status): task_status.started(seen()); await trio.sleep(0)
    async def failing(): await trio.sleep(0); raise KeyError("failing")
    def back(): return trio.from_thread.run(step, trio.sleep, "thread"), trio.from_thread.run_sync(seen)
    async def with_anyio():
        async with anyio.create_task_group() as group:
            group.start_soon(slow, anyio.sleep, log); await anyio.sleep(0.01); group.cancel_scope.cancel()
        send, receive = anyio.create_memory_object_stream(1)
        async with send, receive: await send.send(seen()); print(await receive.receive())
        with anyio.move_on_after(0.01): await slow(anyio.sleep, log)
        print(await anyio.to_thread.run_sync(from_thread), [x async for x in stream(anyio.sleep, 2)], len(log), own.get())
    def from_thread(): return anyio.from_thread.run(step, anyio.sleep, "thread")
    trio.run(with_trio)
    for backend in ("asyncio", "trio"): anyio.run(with_anyio, backend=backend)
    with anyio.from_thread.start_blocking_portal() as portal: print(portal.call(step, anyio.sleep, 1), own.get())
    """
    recorded = ("with_trio", "with_anyio", "note", "back", "work.step", "work.stream", "work.slow")
    same(tmp_path, {"app.py": program, "work.py": WORK}, recorded=recorded)
    same(tmp_path / "itself", {"app.py": program, "work.py": WORK}, recorded=("trio._core._run.Runner.spawn_impl",),
         include="trio.*,anyio.*,outcome.*,work,__main__", strategies=("balanced",))  # fmt: skip
