"""A process of our own: a thread that works off a queue, and a loop that feeds it from Kafka."""

from __future__ import annotations

import atexit
import json
import logging
import queue
import signal
import threading

from kafka import KafkaConsumer

logger = logging.getLogger(__name__)
stop = threading.Event()


class Worker:
    def __init__(self, handle):
        self.handle = handle
        self.pending = queue.Queue(maxsize=1000)
        self.done = 0
        self.thread = threading.Thread(target=self.loop, name="worker", daemon=True)

    def start(self):
        self.thread.start()

    def put(self, event):
        self.pending.put(event)

    def count(self):
        return self.done

    def loop(self):
        while not stop.is_set():
            try:
                event = self.pending.get(timeout=1)
            except queue.Empty:
                continue
            try:
                self.handle(event)
            except Exception:
                logger.exception("could not handle %s", event)
            self.done += 1


class Ticker(threading.Thread):
    def __init__(self, worker, seconds):
        super().__init__(daemon=True)
        self.worker = worker
        self.seconds = seconds

    def run(self):
        while not stop.wait(self.seconds):
            logger.info("%s done", self.worker.count())


def handle(event):
    kind = event.get("kind")
    if kind == "lost":
        logger.warning("parcel %s is lost", event["parcel"])
    elif kind == "found":
        logger.info("parcel %s was found", event["parcel"])
    else:
        raise ValueError(kind)


def consume(worker):
    consumer = KafkaConsumer("parcels", bootstrap_servers="localhost:9092", group_id="daemon")
    while not stop.is_set():
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                worker.put(json.loads(record.value))
        consumer.commit()
    consumer.close()


def on_signal(number, frame):
    stop.set()


def say_goodbye():
    logger.info("stopped")


def main():
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    atexit.register(say_goodbye)
    worker = Worker(handle)
    worker.start()
    Ticker(worker, 30).start()
    consume(worker)


if __name__ == "__main__":
    main()
