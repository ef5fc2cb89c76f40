"""The shop under its load, then closed: `python examples/shop/run.py`, or `--serve PORT` to visit it yourself."""

from __future__ import annotations

import logging
import sys
import threading

import load
from shop import report
from shop.web import Shop, create_app
from werkzeug.serving import make_server


def serve(port: int) -> None:
    """Serve until interrupted."""
    shop = Shop()
    try:
        create_app(shop).run(port=port)
    finally:
        shop.close()


def under_load() -> None:
    """Start the shop on a free port, send the customers, print what was sold."""
    shop = Shop()
    app = create_app(shop)
    app.logger.setLevel(logging.CRITICAL)  # a refused payment is a 500 on purpose
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="web")
    thread.start()
    try:
        print(load.run("127.0.0.1", server.server_port))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    sent = shop.close()
    print(f"{len(sent)} orders sent, {shop.orders.attempts} payments tried")
    print("\n".join(report.text(shop.database)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    else:
        under_load()
