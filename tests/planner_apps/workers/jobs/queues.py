"""The smaller queues: RQ for reports, Dramatiq for pictures, arq for mail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dramatiq
from arq import cron
from arq.connections import RedisSettings
from redis import Redis
from rq import Queue
from rq.decorators import job

connection = Redis()
reports = Queue("reports", connection=connection)


@job("low", connection=connection, timeout=60)
def count_parcels(day):
    return int(connection.get(f"parcels:{day}") or 0)


def write_report(day, path):
    total = 0
    for line in Path(path).read_text().splitlines():
        total += int(line.split(",")[1])
    Path(path).with_suffix(".sum").write_text(f"{day} {total}\n")


def order_report(day, path):
    return reports.enqueue(write_report, day, path).id


@dramatiq.actor(max_retries=3)
def shrink(path):
    subprocess.run(["convert", path, "-resize", "200x200", path], check=True)


def shrink_all(paths):
    for path in paths:
        shrink.send(path)


async def send_mail(ctx, address, text):
    async with ctx["http"].post("https://mail.example.org", json={"to": address, "text": text}) as response:
        return response.status


async def nightly(ctx):
    await ctx["redis"].enqueue_job("send_mail", "boss@example.org", "all is well")


async def on_start(ctx):
    import aiohttp

    ctx["http"] = aiohttp.ClientSession()


async def on_stop(ctx):
    await ctx["http"].close()


class WorkerSettings:
    functions = [send_mail]
    cron_jobs = [cron(nightly, hour=3)]
    on_startup = on_start
    on_shutdown = on_stop
    redis_settings = RedisSettings()
