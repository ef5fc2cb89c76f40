"""For a WSGI server: `gunicorn shop.wsgi:app`, started in `examples/shop`."""

import atexit

from shop.web import Shop, create_app

shop = Shop()
atexit.register(shop.close)  # what was ordered is sent before the worker ends
app = create_app(shop)
