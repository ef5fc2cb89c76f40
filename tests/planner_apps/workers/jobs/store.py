"""Where parcels are kept."""

from __future__ import annotations

import threading

from psycopg_pool import ConnectionPool

_lock = threading.Lock()
_pool: ConnectionPool | None = None


def open_pool():
    global _pool
    with _lock:
        if _pool is None:
            _pool = ConnectionPool("dbname=parcels", min_size=1)


def close_pool():
    if _pool is not None:
        _pool.close()


class Parcels:
    def __init__(self, pool: ConnectionPool):
        self.pool = pool

    @property
    def size(self):
        return self.pool.max_size

    def weight(self, parcel_id):
        with self.pool.connection() as connection:
            row = connection.execute("SELECT grams FROM parcel WHERE id = %s", (parcel_id,)).fetchone()
        if row is None:
            raise KeyError(parcel_id)
        return row[0]

    def mark(self, parcel_id, state):
        with self.pool.connection() as connection:
            connection.execute("UPDATE parcel SET state = %s WHERE id = %s", (state, parcel_id))
