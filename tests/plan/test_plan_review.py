"""What reading plans of real applications line by line found wrong: Flask, its tutorial and Celery example, Django's tutorial, FastAPI's full-stack template."""

from __future__ import annotations

import textwrap

import pytest

from autoscope.errors import AutoscopeError
from autoscope.plan import goals
from autoscope.plan.analysis import analyse
from autoscope.plan.choose import by_strategy
from autoscope.plan.facts import Facts, Function
from autoscope.plan.link import Linker

# what is planned, in a module `m`; the function; what it is for, and what shows it
ROLES = {
    "an admin action that is decorated": (
        """
        from django.contrib import admin
        @admin.action(description="Publish")
        def publish(modeladmin, request, queryset): queryset.update(open=True)
        """,
        "publish",
        ("web", "Django admin action Publish"),
    ),
    "an admin action that is listed": (
        """
        from django.contrib import admin
        def publish(modeladmin, request, queryset): queryset.update(open=True)
        class ItemAdmin(admin.ModelAdmin):
            actions = [publish]
        """,
        "publish",
        ("web", "Django admin action"),
    ),
    "a list of the same name elsewhere": (
        """
        def publish(modeladmin, request, queryset): queryset.update(open=True)
        class Items:
            actions = [publish]
        """,
        "publish",
        ("", ""),
    ),
    "an admin action that is a method": (
        """
        from django.contrib import admin
        class ItemAdmin(admin.ModelAdmin):
            actions = ["close"]
            def close(self, request, queryset): queryset.update(open=False)
        """,
        "ItemAdmin.close",
        ("web", "Django admin action"),
    ),
    "what the administration calls itself": (
        """
        from django.contrib import admin
        class ItemAdmin(admin.ModelAdmin):
            def delete_queryset(self, request, queryset): queryset.update(open=False)
        """,
        "ItemAdmin.delete_queryset",
        ("callback", "Django admin delete_queryset"),
    ),
    "a view of errors": (
        """
        from django.urls import path
        from django.shortcuts import render
        def broken(request): return render(request, "500.html", status=500)
        urlpatterns = []
        handler500 = broken
        """,
        "broken",
        ("web", "Django handler500"),
    ),
    "the same name where no URLs are": (
        """
        def broken(request): return str(request)
        handler500 = broken
        """,
        "broken",
        ("", ""),
    ),
    "a hook of a middleware": (
        """
        class Timing:
            def __init__(self, get_response): self.get_response = get_response
            def __call__(self, request): return self.get_response(request)
            def process_exception(self, request, exception): print(exception)
        """,
        "Timing.process_exception",
        ("middleware", "Django middleware process_exception"),
    ),
    "a method of that name": (
        """
        class Timing:
            def process_exception(self, request, exception): print(exception)
        """,
        "Timing.process_exception",
        ("", ""),
    ),
    "a dependency that yields": (
        """
        from typing import Annotated
        from fastapi import Depends
        def session():
            with open_session() as found:
                yield found
        Session = Annotated[object, Depends(session)]
        """,
        "session",
        ("middleware", "FastAPI dependency that yields"),
    ),
    "a dependency that does not": (
        """
        from fastapi import Depends
        def session(): return find()
        def read(found=Depends(session)): return found
        """,
        "session",
        ("callback", "FastAPI dependency"),
    ),
    "an application's factory": (
        """
        from flask import Flask
        def create_app(settings=None):
            app = Flask(__name__)
            app.config.from_mapping(settings)
            return app
        """,
        "create_app",
        ("startup", "makes the application (flask.Flask)"),
    ),
    "a factory that says what it makes": (
        """
        from fastapi import FastAPI
        def build() -> FastAPI:
            app = FastAPI()
            return finished(app)
        """,
        "build",
        ("startup", "makes the application (fastapi.FastAPI)"),
    ),
    "what gives an application that is there": (
        """
        from flask import Flask, current_app
        def the_app() -> Flask: return current_app._get_current_object()
        """,
        "the_app",
        ("", ""),
    ),
    "a WSGI application": (
        """
        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"hello"]
        """,
        "application",
        ("web", "WSGI application"),
    ),
    "a WSGI application that is a method": (
        """
        class Site:
            def __call__(self, environ, start_response):
                start_response("200 OK", [])
                return [b"hello"]
        """,
        "Site.__call__",
        ("web", "WSGI application"),
    ),
    "what hands over to it": (
        """
        class Site:
            def __call__(self, environ, start_response): return self.wsgi_app(environ, start_response)
            def wsgi_app(self, environ, start_response):
                start_response("200 OK", [])
                return [b"hello"]
        """,
        "Site.__call__",
        ("", ""),
    ),
    "an ASGI application": (
        """
        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"hello"})
        """,
        "application",
        ("web", "ASGI application"),
    ),
    "a WSGI middleware": (
        """
        class Timed:
            def __init__(self, wsgi_app): self.wsgi_app = wsgi_app
            def __call__(self, environ, start_response):
                print(environ)
                return self.wsgi_app(environ, start_response)
        """,
        "Timed.__call__",
        ("middleware", "wsgi_app middleware"),
    ),
    "what a WSGI application leaves all its work to": (
        """
        class Site:
            def __call__(self, environ, start_response):
                return self.wsgi_app(environ, start_response)
            def wsgi_app(self, environ, start_response):
                start_response("200 OK", [])
                return [b"hello"]
        """,
        "Site.wsgi_app",
        ("web", "WSGI application"),
    ),
    "what an ASGI application does its work with": (
        """
        class Application:
            async def __call__(self, scope, receive, send):
                print(scope)
                await self.handle(scope, receive, send)
            async def handle(self, scope, receive, send):
                print(scope)
                await send({})
        """,
        "Application.handle",
        ("", ""),
    ),
    "a WSGI middleware made by a function": (
        """
        def timed(app):
            def wrapper(environ, start_response):
                print(environ)
                return app(environ, start_response)
            return wrapper
        """,
        "timed.<locals>.wrapper",
        ("middleware", "app middleware"),
    ),
    "a route of a router with a prefix": (
        """
        from fastapi import APIRouter
        router = APIRouter(prefix="/items", tags=["items"])
        @router.get("/{id}")
        def read(id): return id
        """,
        "read",
        ("web", "FastAPI GET /items/{id}"),
    ),
    "a route that is added": (
        """
        from flask import Blueprint
        bp = Blueprint("auth", __name__, url_prefix="/auth")
        def log_in(): return ""
        bp.add_url_rule("/login", "log-in", log_in)
        """,
        "log_in",
        ("web", "Flask route /auth/login"),
    ),
    "a route with nothing after the prefix": (
        """
        from flask import Blueprint
        bp = Blueprint("auth", __name__, url_prefix="/auth")
        @bp.post("")
        def log_in(): return ""
        """,
        "log_in",
        ("web", "Flask POST /auth"),
    ),
}

# what is planned; the function; the kinds of I/O it does
IO = {
    "rows written to a file": (
        'import csv\ndef f(path):\n    with open(path, "w") as file:\n        csv.writer(file).writerow([1])',
        ("file",),
    ),
    "rows written to who knows what": ("import csv\ndef f(file): csv.writer(file).writerow([1])", ("file",)),
    "rows written to a text": ("import csv, io\ndef f(): csv.writer(io.StringIO()).writerow([1])", ()),
    "rows written to an object of the project's": (
        "import csv\nclass Echo:\n    def write(self, row): return row\ndef f(): csv.writer(Echo()).writerow([1])",
        (),
    ),
    "what a form's view saves": (
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        from django.views import generic
        class New(LoginRequiredMixin, generic.CreateView):
            def f(self, form):
                form.instance.author = self.request.user
                return super().form_valid(form)
        """,
        ("database",),
    ),
    "what the administration saves": (
        """
        from django.contrib import admin
        class ItemAdmin(admin.ModelAdmin):
            def f(self, request, obj, form, change):
                obj.author = request.user
                super().save_model(request, obj, form, change)
        """,
        ("database",),
    ),
    "a file of the application's": (
        "from flask import current_app\ndef f():\n    with current_app.open_resource('schema.sql') as file: return len(file.read())",
        ("file",),
    ),
    "a mail": (
        "import emails\ndef f(to):\n    found = emails.message.Message(subject='hello')\n    return found.send(to=to, smtp={})",
        ("network",),
    ),
}


def linked(text: str) -> Facts:
    seen = analyse(textwrap.dedent(text), "m")
    return Linker("/", {"m": ("m.py", "digest", seen)}).link()


def found(facts: Facts, name: str) -> Function:
    function = facts.find(f"m.{name}")
    assert function is not None, [each.name for each in facts.functions]
    return function


@pytest.mark.parametrize("case", ROLES)
def test_what_functions_are_for(case):
    """Where work begins is found, and nothing else is taken for it."""
    text, name, (role, detail) = ROLES[case]
    function = found(linked(text), name)
    assert (role, detail) == (function.role, function.role_detail)


@pytest.mark.parametrize("case", IO)
def test_io_is_what_the_code_does(case):
    """No more and no less."""
    text, kinds = IO[case]
    function = next(each for each in linked(text).functions if each.qualname.rpartition(".")[2] == "f")
    assert kinds == function.io


def test_entry_points_of_one_line_are_watched_and_dependencies_of_one_line_are_not():
    """What is trivial says so, whatever it was handed to."""
    facts = linked(
        """
        from fastapi import Depends
        from django.contrib import admin
        from django.shortcuts import render
        def settings():
            yield
        def read(found=Depends(settings)): return found
        def broken(request): return render(request, "404.html")
        urlpatterns = []
        handler404 = broken
        """
    )
    assert "balanced" == by_strategy(found(facts, "broken"), "balanced").level
    assert "middleware" == found(facts, "settings").role


def of_kind(**known: object) -> Function:
    return Function("m", "f", 1, 3, "function", (), statements=2, **known)


@pytest.mark.parametrize(
    "function, reason",
    [
        (of_kind(io=("console",)), "no entry point, no I/O but console, not complex (cognitive 0), few callers (0)"),
        (of_kind(io=("console", "lock")), "no I/O but console, lock,"),
        (of_kind(callers=tuple(range(19))), "no I/O, not complex (cognitive 0), small (called from 19 functions)"),
        (of_kind(trivial="accessor"), "trivial: it only reads, sets or combines a few values"),
        (of_kind(trivial="delegation"), "trivial: it leaves the work to another function"),
    ],
)
def test_what_is_said_of_functions_left_out_is_true(function, reason):
    """What they do is not denied, and many callers are not called few."""
    assert reason in by_strategy(function, "balanced").reasons[0]


ROUTES = """
    from fastapi import APIRouter
    items = APIRouter(prefix="/items")
    users = APIRouter(prefix="/users")
    @items.get("/{id}")
    def item(id): return id
    @items.delete("/{id}")
    def drop(id): return id
    @users.get("/{id}")
    def user(id): return id
    @users.get("/")
    def every(): return 1
    @users.get("/me")
    def me(): return 1
    rest = APIRouter()
    @rest.get("/{anything}")
    def other(anything): return anything
    @rest.get("/")
    def root(): return 1
"""


@pytest.mark.parametrize(
    "target, handlers",
    [
        ("/items/{id}", {"item", "drop"}),
        ("GET /items/{id}", {"item"}),
        ("/api/v1/items/{id}", {"item", "drop"}),
        ("/items/7", {"item", "drop"}),
        ("/api/v1/users/7", {"user"}),
        ("/users/me", {"me"}),
        ("GET /api/v1/users/<int:id>", {"user"}),
        ("/api/v1/users", {"every"}),
        ("/", {"root"}),
        ("/{anything}", {"other"}),
    ],
)
def test_a_path_is_found_below_what_it_is_served_under(target, handlers):
    """The prefix that a router is included with is said elsewhere, often in settings."""
    facts = linked(ROUTES)
    aims = goals.request(facts, target, f"request:{target}")
    assert handlers == {facts.functions[index].qualname for index in aims}


def test_only_routes_are_called_routes():
    """What else shows that a function is an entry point of the web is no path."""
    text = """
        from django.contrib import admin
        from django.urls import path
        from django.views import View
        @admin.action(description="Publish now")
        def publish(modeladmin, request, queryset): queryset.update(open=True)
        class Health(View):
            def get(self, request): return str(request)
        def index(request): return str(request)
        def root(request): return str(request)
        urlpatterns = [path("polls.json", index), path("", root)]
        handler500 = root
    """
    with pytest.raises(AutoscopeError, match=r"no route `/nowhere`; routes found: polls\.json$"):
        goals.request(linked(text), "/nowhere", "request:/nowhere")
    with pytest.raises(AutoscopeError, match="no route `/`"):
        goals.request(linked(text), "/", "request:/")


@pytest.mark.parametrize("target", ["/orders", "/api/items", "/items/{id}/lines"])
def test_a_path_nobody_serves_is_an_error(target):
    """A route that says nothing of itself, `/{id}`, is not taken for it."""
    with pytest.raises(AutoscopeError, match="no route"):
        goals.request(linked(ROUTES), target, f"request:{target}")
