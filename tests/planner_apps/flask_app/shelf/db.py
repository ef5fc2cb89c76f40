"""The database: one connection a request."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import click
from flask import current_app, g


class Conflict(Exception):
    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def get_db():
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"], detect_types=sqlite3.PARSE_DECLTYPES)
        g.db.row_factory = sqlite3.Row
    return g.db


def close_db(error=None):
    connection = g.pop("db", None)
    if connection is not None:
        connection.close()


@contextmanager
def transaction():
    connection = sqlite3.connect(current_app.config["DATABASE"])
    try:
        yield connection
        connection.commit()
    except sqlite3.IntegrityError as error:
        connection.rollback()
        raise Conflict(str(error)) from error
    finally:
        connection.close()


def init_db():
    connection = sqlite3.connect(current_app.config["DATABASE"])
    with current_app.open_resource("schema.sql") as file:
        connection.executescript(file.read().decode("utf8"))


@click.command("init-db")
def init_db_command():
    init_db()
    click.echo("The shelf is empty.")


def init_app(app):
    app.teardown_appcontext(close_db)
    app.cli.add_command(init_db_command)
