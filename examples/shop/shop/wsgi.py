"""For a WSGI server: `gunicorn shop.wsgi:app`, started in `examples/shop`."""

from shop.web import Shop, create_app

app = create_app(Shop())
