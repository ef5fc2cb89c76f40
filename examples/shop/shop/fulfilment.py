"""Sending what was ordered: an asyncio worker in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator


class Fulfilment:
    """Takes order numbers from any thread, packs them in the background."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.loop = asyncio.new_event_loop()
        self.queue: asyncio.Queue[int | None] = asyncio.Queue()
        # A daemon: a server that ends without `close` (a gunicorn worker does) would wait for this thread for ever.
        self.thread = threading.Thread(target=self.run, name="fulfilment", daemon=True)
        self.thread.start()

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.work())
        self.loop.close()

    def hand_over(self, number: int) -> None:
        """Have an order sent."""
        self.loop.call_soon_threadsafe(self.queue.put_nowait, number)

    def close(self) -> list[int]:
        """Finish what was handed over; the orders sent."""
        self.loop.call_soon_threadsafe(self.queue.put_nowait, None)
        self.thread.join()
        return sorted(self.sent)

    async def work(self) -> None:
        async for number in self.orders():
            labels, parcel = await asyncio.gather(self.print_label(number), self.pack(number))
            if labels and parcel:
                self.sent.append(number)

    async def orders(self) -> AsyncIterator[int]:
        """Order numbers as they come, until there are no more."""
        while True:
            number = await self.queue.get()
            if number is None:
                return
            yield number

    async def print_label(self, number: int) -> str:
        await asyncio.sleep(0)
        return f"label {number}"

    async def pack(self, number: int) -> str:
        await asyncio.sleep(0.0005)
        return f"parcel {number}"
