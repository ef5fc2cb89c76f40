"""A server of a simple kind of HTTP: every answer can be checked by whoever asked."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit


async def square(n):
    await asyncio.sleep(0)
    return n * n


async def squares(n):
    for number in range(n):
        yield await square(number)


def in_a_thread(n):
    return list(map(str, str(n)))


class Cache:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.values = {}

    async def get(self, key, make):
        async with self.lock:
            if key not in self.values or len(self.values) > 50:
                self.values.clear()
                self.values[key] = await make(key)
            return self.values[key]


class Service:
    def __init__(self):
        self.cache = Cache()
        self.answered = 0

    async def answer(self, n):
        together = await asyncio.gather(*(square(n + more) for more in range(3)))
        task = asyncio.create_task(self.cache.get(n % 10, square), name=f"cached {n}")
        loop = asyncio.get_running_loop()
        digits = await loop.run_in_executor(None, in_a_thread, n)
        try:
            await asyncio.wait_for(asyncio.sleep(30), 0.0)
        except TimeoutError:
            late = True
        found = [value async for value in squares(n % 5)]
        return {"n": n, "together": together, "cached": await task, "digits": digits, "late": late, "squares": found}

    async def respond(self, line):
        query = parse_qs(urlsplit(line.split(b" ")[1].decode()).query)
        try:
            body = json.dumps(await self.answer(int(query["n"][0]))).encode()
            status = b"200 OK"
        except ValueError as error:
            body, status = str(error).encode(), b"400 Bad Request"
        self.answered += 1
        return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)

    async def serve(self, reader, writer):
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                writer.write(await self.respond(line))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
