"""The Celery application and what happens in its workers' lives."""

from __future__ import annotations

import logging

from celery import Celery
from celery.signals import task_failure, worker_process_init, worker_shutdown

logger = logging.getLogger(__name__)
app = Celery("jobs", broker="redis://localhost/0", backend="redis://localhost/1")
app.conf.beat_schedule = {"sweep": {"task": "jobs.tasks.sweep", "schedule": 300.0}}


@worker_process_init.connect
def open_connections(**kwargs):
    from jobs import store

    store.open_pool()


@worker_shutdown.connect
def close_connections(**kwargs):
    from jobs import store

    store.close_pool()


@task_failure.connect
def report_failure(sender=None, exception=None, **kwargs):
    logger.error("%s failed: %s", sender, exception)
