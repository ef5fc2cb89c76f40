"""What Celery's workers do."""

from __future__ import annotations

import requests
from celery import Task, shared_task

from jobs import store
from jobs.celery_app import app
from jobs.prices import price

CARRIERS = {"fast": "https://fast.example.org", "cheap": "https://cheap.example.org"}


class StoreTask(Task):
    _parcels = None

    @property
    def parcels(self):
        if self._parcels is None:
            self._parcels = store.Parcels(store._pool)
        return self._parcels

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        self.parcels.mark(args[0], "failed")


@app.task(bind=True, base=StoreTask, max_retries=5)
def ship(self, parcel_id, carrier="cheap"):
    grams = self.parcels.weight(parcel_id)
    try:
        response = requests.post(CARRIERS[carrier], json={"grams": grams}, timeout=10)
        response.raise_for_status()
    except requests.RequestException as error:
        raise self.retry(exc=error, countdown=30) from error
    charge.delay(parcel_id, price(grams, carrier))


@shared_task
def charge(parcel_id, cents):
    if cents <= 0:
        raise ValueError(f"parcel {parcel_id} costs nothing")
    response = requests.post("https://bank.example.org/charge", json={"cents": cents}, timeout=10)
    return response.json()["receipt"]


@app.task
def sweep():
    for parcel_id in range(100):
        ship.apply_async((parcel_id,), countdown=parcel_id)
