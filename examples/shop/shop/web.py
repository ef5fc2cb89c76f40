"""The shop on the web."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue

from shop import report
from shop.cart import Cart
from shop.catalog import Catalog, UnknownProduct
from shop.database import Database
from shop.fulfilment import Fulfilment
from shop.orders import Orders, OutOfStock

PASSWORDS = {"ada": "lovelace", "alan": "turing"}


def log_in(user: str, password: str) -> str:
    """A session's token for a user. Raises `PermissionError`."""
    if PASSWORDS.get(user) != password:
        raise PermissionError(f"{user} may not come in")
    return hashlib.sha256(f"{user}:{password}".encode()).hexdigest()[:16]


class Shop:
    """Everything one process of the shop needs."""

    def __init__(self) -> None:
        self.database = Database()
        self.catalog = Catalog(self.database)
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="stock")
        self.fulfilment = Fulfilment()
        self.orders = Orders(self.database, self.pool, self.fulfilment)

    def close(self) -> list[int]:
        self.pool.shutdown()
        return self.fulfilment.close()


def create_app(shop: Shop) -> Flask:
    """The web application of a shop."""
    app = Flask("shop")

    @app.get("/products")
    def products() -> ResponseReturnValue:
        return jsonify([product.label for product in shop.catalog.list()])

    @app.get("/products/<sku>")
    def product(sku: str) -> ResponseReturnValue:
        try:
            return jsonify(shop.catalog.find(sku).label)
        except UnknownProduct:
            abort(404)

    @app.post("/login")
    def login() -> ResponseReturnValue:
        try:
            return jsonify(token=log_in(request.form["user"], request.form["password"]))
        except PermissionError:
            abort(403)

    @app.post("/orders")
    def order() -> ResponseReturnValue:
        wanted = request.get_json()
        cart = Cart(shop.catalog)
        for sku, quantity in wanted["items"].items():
            cart.add(sku, quantity)
        try:
            number = shop.orders.place(cart, wanted["customer"], card=wanted["card"], day=wanted["day"])
        except OutOfStock as error:
            return jsonify(error=str(error)), 409
        return jsonify(order=number), 201

    @app.get("/report")
    def sales_report() -> ResponseReturnValue:
        return "\n".join(report.text(shop.database)) + "\n"

    @app.get("/size")
    def size() -> ResponseReturnValue:
        return jsonify(shop.catalog.size())

    return app
