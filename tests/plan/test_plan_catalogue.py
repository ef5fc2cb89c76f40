"""What is known of other people's packages: I/O, work, roles."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from autoscope.plan import catalogue
from autoscope.plan.catalogue import io_kind, role_of_base, role_of_decorator, role_of_registration, work_ns
from autoscope.plan.facts import IO_KINDS, ROLES

APPS = Path(__file__).parents[1] / "planner_apps"

DOES = {
    "file": """
builtins.open builtins.open().read builtins.open().__iter__ builtins.open().__enter__().write io.open os.listdir os.stat os.walk
os.path.exists os.path.getsize posixpath.isfile pathlib.Path().read_text pathlib.Path().exists pathlib.Path().parent.mkdir
pathlib.Path().resolve().parent.iterdir pathlib.Path.home().joinpath().open pathlib.Path().open().readline pathlib.Path.cwd
shutil.copytree shutil.rmtree tempfile.mkdtemp tempfile.NamedTemporaryFile tempfile.NamedTemporaryFile().write glob.glob
zipfile.ZipFile zipfile.ZipFile().extractall tarfile.open().extractall gzip.open().read mmap.mmap dbm.open shelve.open
aiofiles.open().__aenter__().read anyio.Path().read_text json.load pickle.dump csv.writer().writerow pandas.read_csv numpy.save
django.core.files.storage.default_storage.save fastapi.UploadFile().read typing.TextIO().write ?.read_text ?.iterdir
""",
    "network": """
socket.create_connection socket.socket().recv socket.socket().sendall socket.create_connection().send socket.getaddrinfo
ssl.create_default_context().wrap_socket().recv select.select selectors.DefaultSelector().select smtplib.SMTP
smtplib.SMTP().send_message smtplib.SMTP_SSL().__enter__().sendmail ftplib.FTP().retrbinary imaplib.IMAP4_SSL().search
asyncio.open_connection asyncio.start_server asyncio.StreamReader().readline asyncio.StreamWriter().drain paramiko.SSHClient().connect
paramiko.SSHClient().open_sftp().put zmq.Context().socket().recv_json zmq.asyncio.Context().socket().send grpc.server().start
shop.shop_pb2_grpc.ShopStub().Buy django.core.mail.send_mail websockets.connect().recv fastapi.WebSocket().receive_text
asyncio.get_running_loop().sock_recv anyio.connect_tcp trio.open_tcp_stream uvicorn.run ?.recv ?.sendall
""",
    "http": """
requests.get requests.post requests.api.get requests.Session().get requests.session().request requests.sessions.Session().post
httpx.get httpx.Client().get httpx.AsyncClient().post httpx.AsyncClient().__aenter__().get aiohttp.ClientSession().get
aiohttp.ClientSession().get().__aenter__().json aiohttp.ClientSession().__aenter__().post urllib3.PoolManager().request
urllib.request.urlopen urllib.request.urlopen().read http.client.HTTPConnection().request http.client.HTTPSConnection().getresponse
boto3.client().put_object boto3.Session().client().list_objects_v2 boto3.client().get_paginator().paginate
boto3.resource().Bucket().upload_file google.cloud.storage.Client().bucket().blob().upload_from_string
azure.storage.blob.BlobServiceClient().get_container_client().upload_blob requests.get().iter_content
tornado.httpclient.AsyncHTTPClient().fetch openai.OpenAI().chat.completions.create stripe.Charge.create
""",
    "database": """
sqlite3.connect sqlite3.connect().execute sqlite3.connect().cursor().execute sqlite3.connect().cursor().fetchall
sqlite3.connect().execute().fetchone sqlite3.Connection().commit sqlite3.connect().__enter__().execute psycopg.connect().execute
psycopg2.connect().cursor().executemany psycopg2.extras.execute_values asyncpg.connect().fetch asyncpg.create_pool().acquire().fetchrow
pymysql.connect().cursor().execute MySQLdb.connect().cursor().fetchall aiomysql.connect().commit mysql.connector.connect().cursor().execute
pymongo.MongoClient().shop.orders.find_one pymongo.MongoClient()[][].insert_many motor.motor_asyncio.AsyncIOMotorClient().db.c.find
elasticsearch.Elasticsearch().search sqlalchemy.create_engine().connect sqlalchemy.create_engine().begin().execute
sqlalchemy.orm.Session().execute sqlalchemy.orm.Session().commit sqlalchemy.orm.Session().query sqlalchemy.orm.Session().query().filter().all
sqlalchemy.orm.Session().execute().scalars().all sqlalchemy.orm.sessionmaker()().query sqlalchemy.orm.scoped_session().flush
sqlalchemy.orm.session.Session().get sqlalchemy.ext.asyncio.AsyncSession().execute sqlalchemy.ext.asyncio.async_sessionmaker()().commit
sqlalchemy.MetaData().create_all sqlmodel.Session().exec sqlmodel.Session().exec().first sqlmodel.SQLModel.metadata.create_all
sqlmodel.create_engine().connect flask_sqlalchemy.SQLAlchemy().session.commit flask_sqlalchemy.SQLAlchemy().Model.query.filter_by().first
flask_sqlalchemy.SQLAlchemy().create_all django.db.models.Model.objects.filter django.db.models.Model.objects.filter().order_by().first
django.db.models.Model.objects.create django.db.models.Model().save django.db.models.Model().choice_set.all
django.db.models.Model.objects.get().delete django.db.models.Model.objects.all()[].save django.db.models.Manager().get_queryset().count
django.db.models.QuerySet.as_manager().overdue django.contrib.auth.models.User.objects.create_user
django.contrib.auth.get_user_model().objects.get django.shortcuts.get_object_or_404 django.db.connection.cursor
django.db.connection.cursor().execute django.db.transaction.atomic django.contrib.auth.authenticate peewee.Model.select
peewee.Model.select().where().first peewee.Model().save tortoise.models.Model.filter().all pony.orm.select databases.Database().fetch_all
flask.g.db.execute flask.g.db.execute().fetchall ?.fetchall ?.commit ?.execute ?.cursor().fetchone ?.select_related
""",
    "cache": """
redis.Redis().get redis.from_url().set redis.asyncio.Redis().hgetall redis.Redis().pipeline().execute redis.Redis().pubsub().get_message
pymemcache.client.base.Client().get django.core.cache.cache.get django.core.cache.caches[].set flask_caching.Cache().set
django_redis.get_redis_connection().incr ?.hgetall
""",
    "queue": """
queue.Queue().get queue.SimpleQueue().put multiprocessing.Queue().get asyncio.Queue().get celery.Celery().send_task
celery.Celery().task().delay celery.shared_task().apply_async celery.Task().retry celery.result.AsyncResult().get rq.Queue().enqueue
dramatiq.actor().send arq.create_pool().enqueue_job kafka.KafkaConsumer().poll kafka.KafkaProducer().send
aiokafka.AIOKafkaConsumer().getone aiokafka.AIOKafkaProducer().send_and_wait confluent_kafka.Consumer().poll
confluent_kafka.Producer().produce pika.BlockingConnection pika.BlockingConnection().channel().basic_publish
aio_pika.connect_robust().channel().default_exchange.publish nats.connect().publish ?.apply_async ?.delay
""",
    "subprocess": """
subprocess.run subprocess.Popen subprocess.check_output subprocess.Popen().communicate subprocess.Popen().stdout.readline
os.system os.popen os.execvp os.fork os.waitpid asyncio.create_subprocess_exec asyncio.create_subprocess_shell().communicate
multiprocessing.Process().start multiprocessing.get_context().Process().join multiprocessing.Pool().map
concurrent.futures.ProcessPoolExecutor().submit anyio.run_process ?.communicate
""",
    "lock": """
threading.Lock().acquire threading.Lock().__enter__ threading.RLock().__enter__ threading.Event().wait threading.Condition().wait_for
threading.Semaphore().acquire threading.Barrier().wait threading.Thread().join multiprocessing.Lock().__enter__
asyncio.Lock().__aenter__ asyncio.Semaphore().acquire asyncio.Event().wait anyio.Lock().acquire trio.Event().wait
concurrent.futures.wait concurrent.futures.ThreadPoolExecutor().submit().result concurrent.futures.Future().result
filelock.FileLock().__enter__ redis.Redis().lock().acquire ?.acquire
""",
    "sleep": "time.sleep asyncio.sleep anyio.sleep trio.sleep gevent.sleep signal.pause",
    "console": """
builtins.print builtins.input sys.stdout.write sys.stderr.flush sys.stdin.readline getpass.getpass click.echo typer.secho
rich.print rich.console.Console().print argparse.ArgumentParser().error django.core.management.BaseCommand().stdout.write
""",
}

DOES_NOT = """
builtins.len builtins.str().join builtins.list().append builtins.dict().get builtins.ValueError os.path.join os.path.basename posixpath.splitext
os.environ.get os.getpid os.fspath pathlib.Path pathlib.Path().joinpath pathlib.Path().with_suffix pathlib.Path().parent.as_posix
pathlib.Path().name.lower builtins.open()[].strip io.StringIO io.StringIO().read io.BytesIO().write json.loads json.dumps pickle.loads csv.reader
sqlite3.Row sqlite3.register_adapter sqlite3.Error sqlite3.connect().execute().fetchall()[].keys psycopg2.sql.SQL
requests.exceptions.HTTPError requests.Session requests.get().json requests.Session().headers.update requests.get().raise_for_status
requests.adapters.HTTPAdapter httpx.AsyncClient httpx.Timeout aiohttp.ClientSession aiohttp.ClientTimeout urllib.parse.urlencode
urllib.request.Request boto3.client boto3.client().get_paginator boto3.client().generate_presigned_url boto3.client().exceptions.NoSuchKey
google.cloud.storage.Client google.cloud.storage.Client().bucket google.cloud.bigquery.SchemaField google.cloud.exceptions.NotFound
sqlalchemy.select sqlalchemy.select().where sqlalchemy.Column sqlalchemy.create_engine sqlalchemy.orm.sessionmaker sqlalchemy.orm.Session
sqlalchemy.orm.Session().add sqlalchemy.orm.relationship sqlmodel.Field sqlmodel.select sqlmodel.SQLModel.model_validate
sqlmodel.SQLModel().model_dump django.db.models.CharField django.db.models.Q django.db.models.Model django.db.models.Model().full_clean
django.db.models.Model().title.upper django.db.models.Model.objects.filter()[].title.lower django.db.models.Model.DoesNotExist
django.db.models.Model.objects.none django.shortcuts.render django.urls.reverse django.utils.timezone.now django.conf.settings.get
redis.Redis redis.Redis().pipeline redis.exceptions.ConnectionError redis.Redis().get().decode pymongo.MongoClient pymongo.IndexModel
celery.Celery celery.Celery().task celery.signature celery.shared_task().s rq.Queue queue.Queue queue.Queue().empty queue.Queue().get_nowait
queue.Empty asyncio.Queue().put_nowait kafka.KafkaProducer subprocess.CalledProcessError subprocess.list2cmdline
threading.Lock threading.Thread threading.Thread().start threading.Event().set threading.Event().is_set threading.current_thread
asyncio.create_task asyncio.gather asyncio.run asyncio.Future().result concurrent.futures.ThreadPoolExecutor
concurrent.futures.ThreadPoolExecutor().submit time.monotonic time.time datetime.datetime.now re.compile re.match
logging.getLogger logging.getLogger().info logging.info sys.exit sys.argv.append rich.table.Table rich.console.Console click.command
click.Path flask.Flask flask.Flask().route flask.request.get_json flask.jsonify smtplib.SMTPException socket.socket socket.timeout ssl.SSLError
?.read ?.get ?.write ?.close ?.append ?.send ?.save ?.filter ?.load ?.wait ?.run ?.find
shop.cart.Cart().add shop_pb2_grpc.ShopStub requestsx.get osx.listdir x
""".split()


@pytest.mark.parametrize(("expression", "kind"), [(name, kind) for kind, text in DOES.items() for name in text.split()])
def test_calls_that_read_write_or_wait_are_known(expression, kind):
    """Under whichever of its names, and through whatever the library hands out."""
    assert io_kind(expression) == kind


@pytest.mark.parametrize("expression", DOES_NOT)
def test_what_only_looks_like_it_is_not(expression):
    """Making an object, composing a name or a query, an exception, a result that is there already."""
    assert io_kind(expression) == ""


@pytest.mark.parametrize(
    ("expression", "ns"),
    [
        ("builtins.len", 15),
        ("builtins.isinstance", 15),
        ("builtins.sorted", 300),
        ("builtins.str().join", 100),
        ("builtins.str().strip", 35),
        ("builtins.list().append", 35),
        ("re.compile().match", 600),
        ("re.compile().match().group", 15),
        ("json.dumps", 8_000),
        ("builtins.print", 1_500),
        ("builtins.open", 15_000),
        ("builtins.open().read", 5_000),
        ("builtins.open().__exit__", 150),
        ("threading.Lock().__enter__", 150),
        ("sqlite3.connect().cursor().execute", 30_000),
        ("requests.Session().get", 400_000),
        ("subprocess.run", 1_000_000),
        ("sqlalchemy.orm.Session().query().all", 300_000),
        ("sqlalchemy.orm.Session().add", 1_000),
        ("django.db.models.Model.objects.filter().first", 300_000),
        ("django.db.models.Model().save", 300_000),
        ("logging.getLogger().info", 4_000),
        ("logging.getLogger().debug", 600),
        ("hashlib.sha256", 1_500),
        ("hashlib.pbkdf2_hmac", 50_000_000),
        ("copy.deepcopy", 10_000),
        ("datetime.datetime.now", 300),
        ("datetime.datetime.now().isoformat", 300),
        ("numpy.linalg.norm", 2_000),
        ("flask.render_template", 200_000),
        ("django.shortcuts.render", 200_000),
        ("builtins.ValueError", 100),
        ("somebody.does.something", 1_000),
        ("?.fetchall", 30_000),
        ("?.whatever", 40),
    ],
)
def test_work_is_a_rough_figure_for_each_sort_of_call(expression, ns):
    """What has no line of its own costs what its kind of I/O costs, or what an unknown call does."""
    assert work_ns(expression) == ns


@pytest.mark.parametrize(
    ("expression", "text", "kind", "detail"),
    [
        ("flask.Flask().route", "/cart/<id>", "web", "Flask route /cart/<id>"),
        ("flask.Blueprint().get", "/cart", "web", "Flask GET /cart"),
        ("flask.blueprints.Blueprint().route", "/", "web", "Flask route /"),
        ("quart.Quart().route", "/", "web", "Flask route /"),
        ("flask.Flask().errorhandler", "", "web", "Flask errorhandler"),
        ("flask.Flask().before_request", "", "middleware", "Flask before_request"),
        ("flask.Flask().teardown_appcontext", "", "middleware", "Flask teardown_appcontext"),
        ("flask.Flask().cli.command", "init-db", "command", "Flask CLI command init-db"),
        ("flask.Flask().template_filter", "", "callback", "Flask template_filter"),
        ("fastapi.FastAPI().get", "/items/{id}", "web", "FastAPI GET /items/{id}"),
        ("fastapi.APIRouter().post", "/", "web", "FastAPI POST /"),
        ("fastapi.APIRouter().api_route", "/x", "web", "FastAPI api_route /x"),
        ("fastapi.routing.APIRouter().websocket", "/ws", "web", "FastAPI WEBSOCKET /ws"),
        ("fastapi.FastAPI().on_event", "startup", "startup", "FastAPI on_event startup"),
        ("fastapi.FastAPI().on_event", "shutdown", "shutdown", "FastAPI on_event shutdown"),
        ("fastapi.FastAPI().middleware", "http", "middleware", "FastAPI middleware http"),
        ("fastapi.FastAPI().exception_handler", "", "web", "FastAPI exception_handler"),
        ("starlette.applications.Starlette().route", "/", "web", "Starlette route /"),
        ("aiohttp.web.RouteTableDef().get", "/users", "web", "aiohttp GET /users"),
        ("aiohttp.web.middleware", "", "middleware", "aiohttp middleware"),
        ("sanic.Sanic().post", "/x", "web", "Sanic POST /x"),
        ("sanic.Sanic().listener", "before_server_start", "startup", "Sanic listener before_server_start"),
        ("bottle.route", "/x", "web", "Bottle route /x"),
        ("litestar.get", "/x", "web", "Litestar GET /x"),
        ("django.dispatch.receiver", "", "consumer", "Django signal receiver"),
        ("django.template.Library().simple_tag", "", "callback", "Django template simple_tag"),
        ("django.views.decorators.http.require_POST", "", "web", "Django view, require_POST"),
        ("rest_framework.decorators.api_view", "", "web", "Django REST framework api_view"),
        ("celery.Celery().task", "", "task", "Celery task"),
        ("celery.shared_task", "", "task", "Celery task"),
        ("celery.app.base.Celery().task", "", "task", "Celery task"),
        ("celery.signals.worker_init.connect", "", "startup", "Celery worker_init"),
        ("celery.signals.task_failure.connect", "", "consumer", "signal task_failure"),
        ("rq.decorators.job", "default", "task", "RQ job default"),
        ("dramatiq.actor", "", "task", "Dramatiq actor"),
        ("huey.RedisHuey().task", "", "task", "Huey task"),
        (
            "apscheduler.schedulers.background.BackgroundScheduler().scheduled_job",
            "",
            "task",
            "APScheduler scheduled_job",
        ),
        ("airflow.decorators.task", "", "task", "Airflow task"),
        ("click.command", "", "command", "click command"),
        ("click.group", "", "command", "click group"),
        ("click.group().command", "", "command", "click command"),
        ("click.group()().command", "sync", "command", "click command sync"),
        ("typer.Typer().command", "", "command", "typer command"),
        ("typer.Typer().callback", "", "command", "typer callback"),
        ("pytest.fixture", "", "fixture", "pytest fixture"),
        ("pytest.hookimpl", "", "callback", "pytest hook"),
        ("contextlib.contextmanager", "", "context_manager", "contextmanager"),
        ("contextlib.asynccontextmanager", "", "context_manager", "asynccontextmanager"),
        ("atexit.register", "", "shutdown", "atexit"),
        ("faust.App().agent", "", "consumer", "Faust agent"),
        ("faststream.kafka.KafkaBroker().subscriber", "orders", "consumer", "FastStream subscriber orders"),
        ("discord.ext.commands.Bot().command", "", "consumer", "Discord command"),
        ("slack_bolt.App().event", "app_mention", "consumer", "Slack event app_mention"),
        ("?.route", "/x", "web", "route /x"),
        ("?.get", "/x", "web", "GET /x"),
        ("?.task", "", "task", "task"),
        ("?.command", "", "command", "command"),
        ("?.group", "", "command", "group"),
    ],
)
def test_decorators_say_what_a_function_is_for(expression, text, kind, detail):
    """The same called or not; a path or name stands at the end of what is shown."""
    assert role_of_decorator(expression, text) == (kind, detail)
    assert role_of_decorator(expression + "()", text) == (kind, detail)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("functools.lru_cache", ""),
        ("functools.wraps", ""),
        ("functools.singledispatch().register", ""),
        ("builtins.property", ""),
        ("builtins.staticmethod", ""),
        ("numba.jit", ""),
        ("dataclasses.dataclass", ""),
        ("django.contrib.admin.register", ""),
        ("django.utils.functional.cached_property", ""),
        ("fastapi.FastAPI().on_event", "reload"),
        ("flask.Flask().add_url_rule", "/x"),
        ("flask.Flask", ""),
        ("click.option", "--name"),
        ("click.argument", "name"),
        ("pytest.mark.parametrize", "x"),
        ("?.get", "key"),
        ("?.get", ""),
        ("?.route", ""),
        ("?.register", ""),
        ("?.setter", ""),
        ("?.cache", "/x"),
        ("shop.tools.timed", ""),
        ("", ""),
    ],
)
def test_most_decorators_say_nothing(expression, text):
    """What wraps, caches, parametrises or registers a class is no entry point."""
    assert role_of_decorator(expression, text) is None


@pytest.mark.parametrize(
    ("base", "method", "kind", "detail"),
    [
        ("django.views.View", "get", "web", "Django view get"),
        ("django.views.generic.base.View", "dispatch", "web", "Django view dispatch"),
        ("django.views.generic.ListView", "post", "web", "Django view post"),
        ("django.views.generic.edit.CreateView", "form_valid", "callback", "Django view form_valid"),
        ("django.core.management.base.BaseCommand", "handle", "command", "Django command handle"),
        ("django.core.management.BaseCommand", "add_arguments", "callback", "Django command add_arguments"),
        ("django.apps.AppConfig", "ready", "startup", "Django app ready"),
        (
            "django.utils.deprecation.MiddlewareMixin",
            "process_request",
            "middleware",
            "Django middleware process_request",
        ),
        ("django.db.migrations.Migration", "apply", "migration", "Django migration apply"),
        ("django.db.models.Model", "save", "model", "Django model save"),
        ("django.db.models.base.Model", "is_overdue", "model", "Django model is_overdue"),
        ("django.contrib.auth.models.AbstractUser", "clean", "model", "Django model clean"),
        ("django.db.models.Manager", "overdue", "orm_query", "Django query overdue"),
        ("django.db.models.query.QuerySet", "overdue", "orm_query", "Django query overdue"),
        ("django.contrib.admin.ModelAdmin", "save_model", "callback", "Django admin save_model"),
        ("django.forms.ModelForm", "clean_title", "callback", "Django form clean_title"),
        ("rest_framework.viewsets.ModelViewSet", "list", "web", "Django REST framework view list"),
        ("rest_framework.views.APIView", "post", "web", "Django REST framework view post"),
        ("rest_framework.serializers.ModelSerializer", "create", "callback", "Django REST framework create"),
        ("flask.views.MethodView", "get", "web", "Flask view get"),
        ("tornado.web.RequestHandler", "get", "web", "Tornado handler get"),
        ("tornado.web.RequestHandler", "prepare", "middleware", "Tornado prepare"),
        ("tornado.websocket.WebSocketHandler", "on_message", "consumer", "Tornado on_message"),
        ("starlette.endpoints.HTTPEndpoint", "get", "web", "Starlette endpoint get"),
        ("starlette.middleware.base.BaseHTTPMiddleware", "dispatch", "middleware", "Starlette middleware dispatch"),
        ("aiohttp.web.View", "get", "web", "aiohttp view get"),
        ("http.server.BaseHTTPRequestHandler", "do_GET", "web", "HTTP handler do_GET"),
        ("http.server.BaseHTTPRequestHandler", "log_message", "callback", "HTTP handler log_message"),
        ("socketserver.BaseRequestHandler", "handle", "consumer", "socket server handler handle"),
        ("celery.Task", "run", "task", "Celery task run"),
        ("celery.app.task.Task", "run", "task", "Celery task run"),
        ("threading.Thread", "run", "thread", "thread run"),
        ("multiprocessing.Process", "run", "thread", "process run"),
        ("asyncio.Protocol", "data_received", "consumer", "asyncio protocol data_received"),
        ("asyncio.protocols.Protocol", "connection_made", "consumer", "asyncio protocol connection_made"),
        ("unittest.TestCase", "test_add", "test", "test method test_add"),
        ("django.test.TestCase", "testAdd", "test", "test method testAdd"),
        ("unittest.IsolatedAsyncioTestCase", "asyncSetUp", "fixture", "test asyncSetUp"),
        ("sqlalchemy.orm.DeclarativeBase", "total", "model", "SQLAlchemy model total"),
        ("sqlalchemy.orm.declarative_base()", "total", "model", "SQLAlchemy model total"),
        ("flask_sqlalchemy.SQLAlchemy().Model", "total", "model", "SQLAlchemy model total"),
        ("channels.generic.websocket.WebsocketConsumer", "receive", "consumer", "Channels consumer receive"),
        ("logging.Handler", "emit", "callback", "logging emit"),
        ("argparse.Action", "__call__", "callback", "argparse action __call__"),
        ("scrapy.Spider", "parse", "consumer", "Scrapy spider parse"),
        ("cmd.Cmd", "do_quit", "command", "cmd command do_quit"),
        ("html.parser.HTMLParser", "handle_starttag", "callback", "HTML parser handle_starttag"),
        ("json.JSONEncoder", "default", "callback", "JSON encoder default"),
        ("ast.NodeVisitor", "visit_Call", "callback", "AST visitor visit_Call"),
    ],
)
def test_base_classes_say_what_methods_are_for(base, method, kind, detail):
    """Methods a framework calls, under either name of the base class."""
    assert role_of_base(base, method) == (kind, detail)


@pytest.mark.parametrize(
    ("base", "method"),
    [
        ("django.views.View", "build_context"),
        ("django.views.generic.ListView", "paginate_by_author"),
        ("django.core.management.BaseCommand", "report"),
        ("django.apps.AppConfig", "import_models"),
        ("tornado.web.RequestHandler", "shop"),
        ("http.server.BaseHTTPRequestHandler", "send_json"),
        ("threading.Thread", "start"),
        ("threading.Thread", "stop"),
        ("unittest.TestCase", "assert_close"),
        ("celery.Task", "database"),
        ("logging.Handler", "connect"),
        ("cmd.Cmd", "load"),
        ("ast.NodeVisitor", "names"),
        ("builtins.object", "run"),
        ("builtins.Exception", "get"),
        ("abc.ABC", "handle"),
        ("typing.Protocol", "run"),
        ("enum.Enum", "test_mode"),
        ("pydantic.BaseModel", "save"),
        ("somebody.Base", "get"),
    ],
)
def test_other_methods_are_the_classs_own(base, method):
    """A helper in a view, a test case or a handler is called by the project, not by the framework."""
    assert role_of_base(base, method) is None


@pytest.mark.parametrize(
    ("callee", "place", "text", "kind", "detail"),
    [
        ("django.urls.path", 1, "loans/<int:pk>/", "web", "Django URL loans/<int:pk>/"),
        ("django.urls.re_path", "view", "^x$", "web", "Django URL ^x$"),
        ("django.urls.conf.path", 1, "", "web", "Django URL"),
        ("flask.Flask().add_url_rule", "view_func", "/x", "web", "Flask route /x"),
        ("flask.Flask().add_url_rule", 2, "/x", "web", "Flask route /x"),
        ("?.teardown_appcontext", 0, "", "middleware", "Flask teardown_appcontext"),
        ("fastapi.FastAPI().add_api_route", 1, "/x", "web", "FastAPI api_route /x"),
        ("fastapi.FastAPI().add_event_handler", 1, "startup", "startup", "FastAPI event_handler startup"),
        ("fastapi.FastAPI", "lifespan", "", "startup", "lifespan"),
        ("starlette.applications.Starlette", "on_shutdown", "", "shutdown", "shutdown"),
        ("starlette.routing.Route", 1, "/x", "web", "Starlette route /x"),
        ("starlette.routing.Route", "endpoint", "/x", "web", "Starlette route /x"),
        ("aiohttp.web.Application().router.add_get", 1, "/x", "web", "aiohttp GET /x"),
        ("aiohttp.web.post", 1, "/x", "web", "aiohttp POST /x"),
        ("aiohttp.web.Application().on_startup.append", 0, "", "startup", "aiohttp startup"),
        ("aiohttp.web.Application", "middlewares", "", "middleware", "aiohttp middleware"),
        ("threading.Thread", "target", "", "thread", "thread"),
        ("threading.Timer", 1, "", "thread", "timer"),
        ("multiprocessing.Process", "target", "", "thread", "process"),
        ("multiprocessing.get_context().Process", "target", "", "thread", "process"),
        ("concurrent.futures.ThreadPoolExecutor().submit", 0, "", "thread", "in a thread pool"),
        ("concurrent.futures.thread.ThreadPoolExecutor().map", 0, "", "thread", "in a thread pool"),
        ("concurrent.futures.ThreadPoolExecutor().__enter__().submit", 0, "", "thread", "in a thread pool"),
        ("multiprocessing.Pool().map", 0, "", "thread", "in a process pool"),
        ("asyncio.get_running_loop().run_in_executor", 1, "", "thread", "in an executor"),
        ("asyncio.to_thread", 0, "", "thread", "in a thread pool"),
        ("atexit.register", 0, "", "shutdown", "atexit"),
        ("signal.signal", 1, "", "consumer", "signal handler"),
        ("asyncio.get_event_loop().add_signal_handler", 1, "", "consumer", "signal handler"),
        ("asyncio.start_server", 0, "", "consumer", "stream server"),
        (
            "argparse.ArgumentParser().add_subparsers().add_parser().set_defaults",
            "func",
            "",
            "command",
            "argparse subcommand",
        ),
        ("?.set_defaults", "func", "", "command", "argparse subcommand"),
        ("click.Group().add_command", 0, "", "command", "click command"),
        ("typer.run", 0, "", "command", "typer command"),
        ("tkinter.Button", "command", "", "callback", "GUI callback"),
        ("apscheduler.schedulers.background.BackgroundScheduler().add_job", 0, "cron", "task", "scheduled job"),
        ("schedule.every().day.at().do", 0, "", "task", "scheduled job"),
        ("sched.scheduler().enter", 2, "", "task", "scheduled job"),
        ("rq.Queue().enqueue", 0, "", "task", "RQ job"),
        ("rq.Queue().enqueue_in", 1, "", "task", "RQ job"),
        ("django.db.models.signals.post_save.connect", 0, "", "consumer", "signal post_save"),
        ("django.db.migrations.RunPython", 0, "", "migration", "Django data migration"),
        ("wsgiref.simple_server.make_server", 2, "", "web", "WSGI application"),
        ("werkzeug.serving.run_simple", 2, "localhost", "web", "WSGI application"),
    ],
)
def test_calls_say_what_functions_handed_to_them_are_for(callee, place, text, kind, detail):
    """By index or by keyword."""
    assert role_of_registration(callee, place, text) == (kind, detail)


@pytest.mark.parametrize(
    ("callee", "place"),
    [
        ("django.urls.path", 0),
        ("django.urls.include", 0),
        ("flask.Flask().add_url_rule", 0),
        ("fastapi.FastAPI", 0),
        ("threading.Thread", "args"),
        ("concurrent.futures.ThreadPoolExecutor().submit", 1),
        ("functools.partial", 0),
        ("builtins.sorted", "key"),
        ("builtins.map", 0),
        ("builtins.filter", 0),
        ("builtins.max", "key"),
        ("builtins.list().sort", "key"),
        ("builtins.list().append", 0),
        ("asyncio.create_task", 0),
        ("signal.signal", 0),
        ("?.append", 0),
        ("?.submit", 0),
        ("?.map", 0),
        ("somebody.register", 0),
        ("shop.events.subscribe", 0),
    ],
)
def test_other_places_say_nothing(callee, place):
    """A key, a mapped function, an argument beside the function."""
    assert role_of_registration(callee, place, "") is None


def test_every_table_speaks_the_language_of_facts():
    """Kinds of I/O and roles are those `facts` has."""
    tables = [catalogue._DECORATORS, catalogue._BASES, *catalogue._REGISTRATIONS.values()]
    roles = {kind for table in tables for kind, _ in values_of(table)}
    assert set(values_of(catalogue._IO)) - {""} == set(IO_KINDS)
    assert roles - {"event"} <= set(ROLES)
    assert set(catalogue._TELLING.values()) <= set(IO_KINDS)
    assert set(catalogue._TELLING_DECORATORS.values()) | set(catalogue._EVENTS.values()) <= set(ROLES)
    assert set(catalogue._WORK_BY_IO) == set(IO_KINDS)


def values_of(table):
    return [*table.exact.values(), *(rule.value for rules in table.under.values() for rule in rules)]


@pytest.mark.parametrize("name", sorted({*catalogue._SAME.values()}))
def test_what_an_expression_is_looked_up_as_is_final(name):
    """Otherwise two names of one thing would be looked up under different ones."""
    assert catalogue._canonical(name) == name


TABLES = {name: getattr(catalogue, name) for name in dir(catalogue) if name.endswith("_LINES")}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_line_of_a_table_can_be_misread(name):
    """A line is a heading, or names under a prefix; nothing is said twice in one table."""
    seen = set()
    for heading, line in catalogue._sections(TABLES[name]):
        prefix, colon, words = line.partition(": ")
        assert colon and words.split(), line
        for word in words.split():
            entry = (heading[-1] if name == "_REGISTRATION_LINES" else "", prefix, word)
            assert entry not in seen or word in ("*", "**") or word[0] == "-", f"{line}: {word} is there twice"
            seen.add(entry)


def functions_of(app):
    """`module.qualname` of every function and method of a fixture application."""
    found = set()
    for file in sorted(app.rglob("*.py")):
        parts = file.relative_to(app).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

        def walk(node, prefix):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(prefix + child.name)
                    walk(child, f"{prefix}{child.name}.<locals>.")
                elif isinstance(child, ast.ClassDef):
                    walk(child, f"{prefix}{child.name}.")
                else:
                    walk(child, prefix)

        walk(ast.parse(file.read_text()), f"{module}.")
    return found


@pytest.mark.parametrize("name", ["flask_app", "django_polls", "fastapi_full", "workers", "cli_tools", "aio_services"])
def test_fixture_applications_expect_what_they_have(name):
    """`expected.json` names functions that are there, roles and kinds of I/O that exist."""
    app = APPS / name
    expected = json.loads((app / "expected.json").read_text())
    functions = functions_of(app)
    assert {"entries", "roles", "trivial", "io"} == set(expected)
    for part in expected.values():
        assert set(part) <= functions
    assert {*expected["entries"].values(), *expected["roles"].values()} <= set(ROLES)
    assert {kind for kinds in expected["io"].values() for kind in kinds} <= set(IO_KINDS)
    assert not set(expected["trivial"]) & {*expected["entries"], *expected["io"]}
