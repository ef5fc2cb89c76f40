"""What is known of other people's packages: which calls do I/O, what they cost, what makes a function an entry point.

Lookups, and the tables they look in; no code is read here and nothing is judged: `link` asks, and hands the answers on as
facts. Names are dotted expressions (docs/decisions/0008): `()` is the result of a call, `[]` an element.

A line of a table is `prefix: names`; of the prefixes that have something to say the longest decides:

    os: stat listdir            the calls `os.stat` and `os.listdir`
    cmd.Cmd: do_*               those whose name begins so
    redis.Redis(): * -close     every method of a client but `close`
    google.cloud: ** -bucket    whatever is called on what hangs from it, however far away
    peewee.Model: ** get save   these names, however far away

`*` and `**` alone do not mean names that begin with a capital: making an object talks to nobody; nor, far away, methods
that any list, dict or str has. A prefix with a hyphen is a sort of object that many packages have: `_SAME_LINES` says which.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class Role(NamedTuple):
    """What makes a function one that others call."""

    kind: str
    """One of `facts.ROLES`."""
    detail: str
    """What shows it, for people: `Flask route /cart/<id>`. The text that was asked about, where there is one, comes last."""


@lru_cache(maxsize=1 << 16)
def io_kind(expression: str) -> str:
    """The I/O or waiting that a call of `expression` does: one of `facts.IO_KINDS`, or empty for none that is known.

    A query that is only described (`objects.filter`) counts as asked: what asks it, going through it, is no call.
    """
    head, _, rest = expression.partition(".")
    if head in _IO.heads:
        return _IO.find(expression) or ""
    if head == "?":
        return _TELLING.get(rest.rpartition(".")[2], "")
    if "_pb2_grpc." in expression and "Stub()." in expression:
        return "network"
    return ""


@lru_cache(maxsize=1 << 16)
def work_ns(expression: str) -> float:
    """CPU time in ns of one call of `expression`, waiting not counted, where one simple statement takes 8 ns.

    A rough figure, meant to be right within a factor of a few on a small Linux machine.
    """
    head, _, rest = expression.partition(".")
    name = rest.rpartition(".")[2]
    if name in _ENTERS:
        return _ENTER_NS
    if head in _WORK.heads:
        found = _WORK.find(expression)
        if found is not None:
            return found
    kind = io_kind(expression)
    if kind:
        return _WORK_BY_IO[kind]
    if head == "?" or not head:
        return _UNKNOWN_METHOD_NS
    return _UNKNOWN_BUILTIN_NS if head == "builtins" else _UNKNOWN_LIBRARY_NS


def role_of_decorator(expression: str, text: str) -> Role | None:
    """What a decorator makes of a function; `expression` is what stands before its arguments, whether there are any or not.

    `text` is the first string literal among its arguments (`/cart/<id>`), or empty.
    """
    expression = expression.removesuffix("()")
    head, _, rest = expression.partition(".")
    if head == "?":
        return _role_of_unknown(rest.rpartition(".")[2], text)
    if head not in _DECORATORS.heads:
        return None
    found = _DECORATORS.find(expression)
    return None if found is None else _role(*found, expression, text)


def role_of_base(base: str, method: str) -> Role | None:
    """What a class outside the project, `base`, makes of a method of that name in a class derived from it."""
    if base.partition(".")[0] not in _BASES.heads:
        return None
    found = _BASES.find(f"{base}.{method}")
    if found is None:
        return None
    kind, label = found
    return Role(kind, label.replace("%", method) if "%" in label else f"{label} {method}")


def role_of_registration(callee: str, place: int | str, text: str) -> Role | None:
    """What a function becomes by being handed to a call of `callee`.

    `place` is the index of the argument or its keyword, `text` the first string literal among the arguments, or empty.
    """
    table = _REGISTRATIONS.get(place)
    if table is None:
        return None
    head, _, name = callee.partition(".")
    if head not in table.heads:
        return None
    found = table.find(f"?.{name.rpartition('.')[2]}" if head == "?" else callee)
    if found is None:
        return None
    kind, label = found
    return _role(kind, label.removesuffix(" $"), callee, text if label.endswith("$") else "")


def is_application(expression: str) -> bool:
    """Whether calling this makes what a server serves, or a worker works for: a Flask application, say."""
    return _canonical(expression + "()") in _APPLICATIONS


def _role_of_unknown(name: str, text: str) -> Role | None:
    """What a decorator of that name makes of a function whoever has it: a path makes a route, few names say enough alone."""
    if text.startswith("/"):
        return Role("web", _say("%", name, text)) if name in _VERB_NAMES or name in _ROUTES else None
    kind = _TELLING_DECORATORS.get(name)
    return None if kind is None else Role(kind, _say("%", name, text))


def _role(kind: str, label: str, expression: str, text: str) -> Role | None:
    """The role of a table's entry; `event` is whatever the text names, and nothing where it names nothing known."""
    if kind == "event":
        kind = _EVENTS.get(text, "")
        if not kind:
            return None
    receiver, _, name = expression.rpartition(".")
    if name in ("connect", "connect_via"):
        name = receiver.rpartition(".")[2]
    return Role(kind, _say(label, name.removeprefix("add_"), text))


def _say(label: str, name: str, text: str) -> str:
    """`Flask %`, `get`, `/cart` -> `Flask GET /cart`."""
    detail = label.replace("%", name.upper() if name in _VERB_NAMES else name)
    return f"{detail} {text}" if text else detail


# How the tables are looked up in.


class _Rule(NamedTuple, Generic[V]):
    """What a line with a `*` in it says of a prefix."""

    value: V
    names: frozenset[str]
    stems: tuple[str, ...]
    """Beginnings of names; with no names either, all names are meant."""
    excluded: frozenset[str]
    deep: bool


class _Table(Generic[V]):
    """Lines to look names up in."""

    __slots__ = ("exact", "heads", "known", "under")

    def __init__(self) -> None:
        self.exact: dict[str, V] = {}
        self.under: dict[str, list[_Rule[V]]] = {}
        self.heads: set[str] = set()
        """Where expressions begin that the table may have something to say about."""
        self.known: dict[str, tuple[str, list[_Rule[V]]]] = {}
        """Receivers that were asked about -> what they are here, and the rules that hold for what is called on them."""

    def add(self, line: str, value: V) -> None:
        prefix, _, words = line.partition(": ")
        prefix = _canonical(prefix)
        self.heads |= _BEGINNINGS.get(_first_word(prefix)) or {_first_word(prefix)}
        names = words.split()
        plain = [name for name in names if name[0] != "-" and name[-1] != "*"]
        stems = tuple(name[:-1] for name in names if name.strip("*") and name[-1] == "*")
        excluded = frozenset(name[1:] for name in names if name[0] == "-")
        wild = "*" in names or "**" in names
        if not wild:
            self.exact.update((_canonical(f"{prefix}.{name}"), value) for name in plain)
        if wild or stems:
            rule = _Rule(value, frozenset(plain if wild else ()), stems, excluded, "**" in names)
            self.under.setdefault(prefix, []).append(rule)

    def find(self, expression: str) -> V | None:
        """What the table says of a call of `expression`; None where it is silent."""
        receiver, _, last = expression.rpartition(".")
        name, rules = self.known.get(receiver) or self.know(receiver)
        name = f"{name}.{last}" if name else last
        other = _SAME.get(name)
        if other is not None:
            return self.find(other)
        found = self.exact.get(name)
        if found is not None:
            return found
        for rule in rules:
            if last in rule.excluded:
                return None
            if rule.names or rule.stems:
                if last in rule.names or (rule.stems and last.startswith(rule.stems)):
                    return rule.value
            elif not last[:1].isupper():
                return rule.value
        return None

    def know(self, receiver: str) -> tuple[str, list[_Rule[V]]]:
        name = prefix = _canonical(receiver)
        rules = list(self.under.get(prefix, ()))
        while prefix:
            prefix = prefix[:-2] if prefix[-1] == "]" else prefix.rpartition(".")[0]
            for rule in self.under.get(prefix, ()):
                if rule.deep:
                    rules.append(rule if rule.names or rule.stems else rule._replace(excluded=rule.excluded | _PLAIN))
        self.known[receiver] = name, rules
        return name, rules


_PLAIN = frozenset(name for kind in (str, bytes, list, dict, set, tuple, int) for name in dir(kind))


@lru_cache(maxsize=1 << 15)
def _canonical(expression: str) -> str:
    """The expression the tables have it under: step by step, what each step gives is replaced as `_SAME` says."""
    same = _SAME
    name = ""
    for part in expression.split("."):
        if part[:2] == "__" and part in _ENTERED:
            continue
        step = part.rstrip("()[]")
        name = f"{name}.{step}" if name else step
        name = same.get(name, name)
        for start in range(len(step), len(part), 2):
            name += part[start : start + 2]
            name = same.get(name, name)
    return name


def _read_same(text: str) -> dict[str, str]:
    """Expression -> the one the tables have, from lines `name: others` and `name = prefix: others`."""
    same: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for line in text.strip().splitlines():
        left, _, words = line.partition(": ")
        name, _, prefix = left.partition(" = ")
        for word in words.split():
            pairs.append((f"{prefix}.{word}" if prefix else word, name))
    same.update(pairs)
    for _ in range(2):
        # An expression may begin with one that has another name itself: it is met under that.
        for other, name in pairs:
            same[_last_step(other, same)] = name
    return {other: name for other, name in same.items() if other != name}


def _last_step(expression: str, same: dict[str, str]) -> str:
    """The expression, all but its last step replaced."""
    if expression[-1] in ")]":
        before, step = expression[:-2], expression[-2:]
        return _replaced(before, same) + step
    before, dot, step = expression.rpartition(".")
    return _replaced(before, same) + dot + step if dot else expression


def _replaced(expression: str, same: dict[str, str]) -> str:
    if not expression:
        return expression
    name = _last_step(expression, same)
    return same.get(name, name)


def _read_beginnings(same: dict[str, str]) -> dict[str, set[str]]:
    """First word of a table's prefix -> the first words of the expressions that may come to begin so."""
    beginnings: dict[str, set[str]] = {}
    for _ in range(2):
        for other, name in same.items():
            first, before = _first_word(name), _first_word(other)
            beginnings.setdefault(first, {first}).update(beginnings.get(before) or {before})
    return beginnings


def _first_word(expression: str) -> str:
    return expression.partition(".")[0].rstrip("()[]")


def _sections(text: str) -> list[tuple[tuple[str, ...], str]]:
    """Each line of a table with the words of the heading it stands under: `[web | Flask %]`."""
    found = []
    heading: tuple[str, ...] = ()
    for line in text.strip().replace("<verbs>", _VERBS).replace("<hooks>", _HOOKS).splitlines():
        if line[0] == "[":
            heading = tuple(line[1:-1].split(" | "))
        else:
            found.append((heading, line))
    return found


_ENTERED = frozenset(("__enter__()", "__aenter__()"))
"""Steps that give what they are taken from."""
_ENTERS = frozenset(("__enter__", "__exit__", "__aenter__", "__aexit__"))
_VERBS = "get post put delete patch head options"
_HOOKS = (
    "before_request after_request teardown_request before_app_request after_app_request teardown_app_request "
    "teardown_appcontext"
)
_VERB_NAMES = frozenset((*_VERBS.split(), "trace", "websocket"))
_ROUTES = frozenset(("route", "api_route", "websocket_route"))

_TELLING = {
    name: kind
    for kind, names in (
        ("database", "execute executemany executescript fetchall fetchone fetchmany fetchrow fetchval commit rollback"),
        ("database", "bulk_create bulk_update get_or_create update_or_create select_related prefetch_related"),
        ("database", "refresh_from_db scalar_one scalar_one_or_none one_or_none"),
        ("database", "find_one insert_one insert_many update_one update_many delete_one delete_many count_documents"),
        ("file", "read_text write_text read_bytes write_bytes iterdir rglob is_file is_dir"),
        ("network", "recv recv_into recvfrom sendall sendto send_all receive_some"),
        ("http", "iter_content urlopen put_object upload_fileobj download_fileobj"),
        ("cache", "hgetall hset hget lpush rpush blpop brpop zadd zrange setex setnx"),
        ("queue", "apply_async delay send_task basic_publish basic_consume basic_ack enqueue_job send_and_wait"),
        ("subprocess", "communicate"),
        ("network", "email_user"),
        ("lock", "acquire"),
    )
    for name in names.split()
}
"""Method names that mean one thing whoever has them: all that is said of an unknown receiver."""

_APPLICATIONS = frozenset(
    (
        "flask.Flask()",
        "fastapi.FastAPI()",
        "starlette.Starlette()",
        "aiohttp.web.Application()",
        "tornado.web.Application()",
        "sanic.Sanic()",
        "bottle.Bottle()",
        "litestar.Litestar()",
        "falcon.App()",
        "celery.Celery()",
    )
)
_TELLING_DECORATORS = {
    name: kind
    for kind, names in (
        ("task", "task shared_task periodic_task"),
        ("command", "command group"),
        ("web", "errorhandler app_errorhandler exception_handler"),
        ("middleware", "before_request after_request teardown_request teardown_appcontext"),
    )
    for name in names.split()
}

_EVENTS = {
    name: kind
    for kind, names in (
        ("startup", "startup before_server_start after_server_start main_process_start"),
        ("shutdown", "shutdown before_server_stop after_server_stop main_process_stop"),
    )
    for name in names.split()
}
"""What the frameworks that take an event's name as text call it."""

_WORK_BY_IO = {
    "file": 5_000.0,
    "network": 20_000.0,
    "http": 400_000.0,
    "database": 30_000.0,
    "cache": 50_000.0,
    "queue": 20_000.0,
    "subprocess": 1_000_000.0,
    "lock": 300.0,
    "sleep": 3_000.0,
    "console": 1_500.0,
}
"""Of a call of that kind that `_WORK_LINES` does not have: system calls, the client's own Python, parsing the answer."""
_ENTER_NS = 150.0
"""Of entering or leaving a context; what it guards was paid for when it was made."""
_UNKNOWN_BUILTIN_NS = 100.0
"""Mostly exceptions being made."""
_UNKNOWN_LIBRARY_NS = 1_000.0
"""A Python function of some twenty statements with what it calls."""
_UNKNOWN_METHOD_NS = 40.0
"""Of an unknown object: nearly always a list, dict or str."""

# The tables.

_SAME_LINES = """
os.path: posixpath ntpath genericpath
builtins.open: io.open _io.open codecs.open
file-object(): builtins.open() os.fdopen() io.TextIOWrapper() io.BufferedReader() io.BufferedWriter()
file-object(): io.BufferedRandom()
file-object(): io.FileIO() io.IOBase() typing.IO() typing.TextIO() typing.BinaryIO() pathlib.Path().open() gzip.open()
file-object(): gzip.GzipFile() bz2.open() bz2.BZ2File() lzma.open() lzma.LZMAFile() tempfile.TemporaryFile()
file-object(): fileinput.input()
file-object(): tempfile.NamedTemporaryFile() tempfile.SpooledTemporaryFile() zipfile.ZipFile().open()
file-object(): tarfile.TarFile().extractfile()
file-object(): aiofiles.open() aiofiles.threadpool.open() anyio.open_file() trio.open_file() codecs.StreamReaderWriter()
file-object(): mmap.mmap()
file-object(): django.core.files.File() django.core.files.storage.default_storage.open()
file-object(): django.core.files.uploadedfile.UploadedFile()
zipfile.ZipFile(): zipfile.PyZipFile() tarfile.open() tarfile.TarFile() tarfile.TarFile.open()
pathlib.Path(): pathlib.PosixPath() pathlib.WindowsPath() pathlib.Path.cwd() pathlib.Path.home() pathlib.Path().parent
pathlib.Path(): pathlib.Path().resolve() pathlib.Path().absolute() pathlib.Path().joinpath()
pathlib.Path(): pathlib.Path().with_suffix()
pathlib.Path(): pathlib.Path().with_name() pathlib.Path().with_stem() pathlib.Path().expanduser()
pathlib.Path(): pathlib.Path().relative_to()
pathlib.Path(): pathlib.Path().rename() pathlib.Path().replace() pathlib.Path().readlink() pathlib.Path().__truediv__()
pathlib.Path(): anyio.Path() trio.Path() aiopath.AsyncPath() upath.UPath()
pathlib.Path(): importlib.resources.files() importlib.resources.files().joinpath()
sync-lock(): threading.Lock() threading.RLock() threading.Condition() threading.Semaphore() threading.BoundedSemaphore()
sync-lock(): threading.Event() threading.Barrier() _thread.allocate_lock() multiprocessing.Lock()
sync-lock(): multiprocessing.RLock()
sync-lock(): multiprocessing.Condition() multiprocessing.Semaphore() multiprocessing.BoundedSemaphore()
sync-lock(): multiprocessing.Event()
sync-lock(): multiprocessing.Barrier() multiprocessing.synchronize.Lock() multiprocessing.synchronize.Event()
sync-lock(): asyncio.Lock() asyncio.Event() asyncio.Condition() asyncio.Semaphore() asyncio.BoundedSemaphore()
sync-lock(): asyncio.Barrier()
sync-lock(): asyncio.locks.Lock() anyio.Lock() anyio.Event() anyio.Condition() anyio.Semaphore() anyio.CapacityLimiter()
sync-lock(): trio.Lock() trio.Event() trio.Condition() trio.Semaphore() trio.CapacityLimiter() trio.StrictFIFOLock()
sync-lock(): filelock.FileLock() filelock.SoftFileLock() portalocker.Lock() fasteners.InterProcessLock()
sync-lock(): gevent.lock.RLock()
sync-lock(): redis-client().lock() redis.lock.Lock()
queue-object(): queue.Queue() queue.LifoQueue() queue.PriorityQueue() queue.SimpleQueue() multiprocessing.Queue()
queue-object(): multiprocessing.JoinableQueue() multiprocessing.SimpleQueue() multiprocessing.queues.Queue()
queue-object(): janus.Queue().sync_q
queue-object(): asyncio.Queue() asyncio.LifoQueue() asyncio.PriorityQueue() asyncio.queues.Queue() janus.Queue().async_q
concurrent.futures: concurrent.futures.thread concurrent.futures.process concurrent.futures._base
concurrent.futures.Future(): concurrent.futures.ThreadPoolExecutor().submit()
concurrent.futures.Future(): concurrent.futures.ProcessPoolExecutor().submit()
concurrent.futures.Future(): concurrent.futures.Executor().submit() asyncio.run_coroutine_threadsafe()
multiprocessing.Pool(): multiprocessing.pool.Pool() multiprocessing.get_context().Pool()
multiprocessing.Pool(): multiprocessing.pool.ThreadPool()
asyncio.AbstractEventLoop(): asyncio.get_event_loop() asyncio.get_running_loop() asyncio.new_event_loop()
asyncio.AbstractEventLoop(): asyncio.BaseEventLoop()
asyncio.AbstractEventLoop(): uvloop.new_event_loop() uvloop.Loop()
asyncio.subprocess.Process(): asyncio.create_subprocess_exec() asyncio.create_subprocess_shell()
asyncio: asyncio.events asyncio.tasks asyncio.streams asyncio.runners
http-client: requests requests.api requests.sessions httpx httpx._api
http-client(): requests.Session() requests.session() httpx.Client() httpx.AsyncClient() requests.sessions.Session()
http-client(): httpx._client.Client() httpx._client.AsyncClient() requests_oauthlib.OAuth2Session()
http-client(): requests_cache.CachedSession()
http-client(): urllib3.PoolManager() urllib3.ProxyManager() urllib3.HTTPConnectionPool() urllib3.HTTPSConnectionPool()
http-client(): authlib.integrations.requests_client.OAuth2Session()
http-client(): authlib.integrations.httpx_client.AsyncOAuth2Client()
http-client(): google.auth.transport.requests.AuthorizedSession() cloudscraper.create_scraper() niquests.Session()
http-client(): curl_cffi.requests.Session()
http-response(): http-client.get() http-client.post() http-client.put() http-client.request() http-client.stream()
http-response(): http-client.patch()
http-response(): http-client().get() http-client().post() http-client().put() http-client().request()
http-response(): http-client().stream()
http-response(): http-client().send() http-client().patch() http-client().delete() http-client.Response()
http-response(): urllib.request.urlopen()
http-response(): http.client.HTTPConnection().getresponse() http.client.HTTPResponse()
http.client.HTTPConnection(): http.client.HTTPSConnection()
aiohttp: aiohttp.client aiohttp.client_reqrep
aiohttp.ClientResponse(): aiohttp.request()
socket.socket(): socket.create_connection() socket.create_server() ssl.SSLContext().wrap_socket() ssl.wrap_socket()
socket.socket(): ssl.SSLSocket()
socket.socket(): ssl.create_default_context().wrap_socket() socket.SocketType() socket.fromfd() gevent.socket.socket()
smtplib.SMTP(): smtplib.SMTP_SSL() smtplib.LMTP() aiosmtplib.SMTP()
imaplib.IMAP4(): imaplib.IMAP4_SSL() imaplib.IMAP4_stream() poplib.POP3() poplib.POP3_SSL()
ftplib.FTP(): ftplib.FTP_TLS()
selectors.BaseSelector(): selectors.DefaultSelector() selectors.SelectSelector() selectors.EpollSelector()
selectors.BaseSelector(): select.epoll() select.poll() select.kqueue()
db-api.Connection(): asyncpg.Pool().acquire() aiomysql.create_pool().acquire()
db-api.Connection(): psycopg_pool.ConnectionPool().connection()
db-api.Connection(): psycopg_pool.AsyncConnectionPool().connection() psycopg.AsyncConnection()
db-api.Connection(): psycopg.AsyncConnection.connect()
db-api.Connection(): psycopg.Connection.connect() asyncpg.connect() asyncpg.connection.Connection() asyncpg.Connection()
db-api.Connection(): asyncpg.Pool()
db-api.Connection(): asyncpg.create_pool() asyncpg.pool.Pool() django.db.connection django.db.connections
db-api.Connection(): psycopg2.pool.SimpleConnectionPool().getconn() psycopg2.pool.ThreadedConnectionPool().getconn()
db-api.Connection(): sqlalchemy.Engine().raw_connection() mysql.connector.pooling.MySQLConnectionPool().get_connection()
db-api.Cursor(): db-api.Connection().cursor() db-api.Connection().execute() db-api.Connection().executemany()
db-api.Cursor(): db-api.Cursor().execute()
sqlalchemy: sqlalchemy.engine sqlalchemy.engine.base sqlalchemy.engine.create
sqlalchemy.orm: sqlalchemy.orm.session sqlalchemy.orm.scoping sqlalchemy.orm.query
sqlalchemy.ext.asyncio: sqlalchemy.ext.asyncio.session sqlalchemy.ext.asyncio.engine
sqlalchemy.Engine(): sqlalchemy.create_engine() sqlmodel.create_engine() sqlalchemy.ext.asyncio.create_async_engine()
sqlalchemy.Engine(): sqlalchemy.ext.asyncio.AsyncEngine() sqlalchemy.engine_from_config()
sqlalchemy.Engine(): flask_sqlalchemy.SQLAlchemy().engine
sqlalchemy.Connection(): sqlalchemy.Engine().connect() sqlalchemy.Engine().begin()
sqlalchemy.Connection(): sqlalchemy.ext.asyncio.AsyncConnection()
orm-session(): sqlalchemy.orm.Session() sqlmodel.Session() sqlalchemy.orm.sessionmaker()()
orm-session(): sqlalchemy.orm.scoped_session()
orm-session(): sqlalchemy.orm.scoped_session()() sqlalchemy.ext.asyncio.AsyncSession()
orm-session(): sqlalchemy.ext.asyncio.async_sessionmaker()()
orm-session(): sqlalchemy.ext.asyncio.async_scoped_session() sqlmodel.ext.asyncio.session.AsyncSession()
orm-session(): flask_sqlalchemy.SQLAlchemy().session
orm-session(): sqlalchemy.orm.sessionmaker().begin() sqlalchemy.ext.asyncio.async_sessionmaker().begin()
orm-session(): sqlalchemy.orm.object_session()
orm-result(): orm-session().execute() orm-session().scalars() orm-session().exec() sqlalchemy.Connection().execute()
orm-result(): orm-result().scalars()
orm-result(): orm-session().stream() orm-session().stream_scalars() orm-result().mappings() orm-result().unique()
orm-result(): sqlalchemy.Connection().scalars()
sqlalchemy.orm.Query(): orm-session().query() flask_sqlalchemy.SQLAlchemy().Model.query
sqlalchemy.orm.Query(): flask_sqlalchemy.SQLAlchemy().query
sqlalchemy.MetaData(): sqlalchemy.orm.DeclarativeBase.metadata sqlmodel.SQLModel.metadata
sqlalchemy.MetaData(): sqlalchemy.orm.declarative_base().metadata
sqlalchemy.MetaData(): sqlalchemy.schema.MetaData() flask_sqlalchemy.SQLAlchemy().metadata
sqlalchemy.MetaData(): sqlalchemy.ext.declarative.declarative_base().metadata
sqlalchemy.orm.DeclarativeBase: sqlalchemy.orm.declarative_base() sqlalchemy.ext.declarative.declarative_base()
sqlalchemy.orm.DeclarativeBase: sqlmodel.SQLModel
sqlalchemy.orm.DeclarativeBase: flask_sqlalchemy.SQLAlchemy().Model sqlalchemy.orm.DeclarativeBaseNoMeta
sqlalchemy.orm.DeclarativeBase: sqlalchemy.orm.MappedAsDataclass
django.db.models: django.db.models.query django.db.models.manager django.db.models.base django.contrib.gis.db.models
django.db.models.Model: django.contrib.auth.models.User django.contrib.auth.models.AbstractUser
django.db.models.Model: django.contrib.auth.models.Group
django.db.models.Model: django.contrib.auth.models.AbstractBaseUser django.contrib.auth.models.Permission
django.db.models.Model: django.contrib.auth.get_user_model()
django.db.models.Model: django.contrib.contenttypes.models.ContentType django.contrib.sites.models.Site
django.db.models.Model: django.contrib.sessions.models.Session
django.db.models.Model: mptt.models.MPTTModel model_utils.models.TimeStampedModel polymorphic.models.PolymorphicModel
django.db.models.Model: wagtail.models.Page
django.db.models.Model: django.contrib.sessions.base_session.AbstractBaseSession treebeard.mp_tree.MP_Node
django.db.models.Model: django.apps.apps.get_model()
django.db.models.Manager: django.contrib.auth.models.UserManager django.contrib.auth.base_user.BaseUserManager
django.urls: django.urls.conf django.conf.urls
django.core.cache.cache: django.core.cache.caches django.core.cache.caches.__getitem__()
django.dispatch: django.dispatch.dispatcher
django.views.View: django.views.generic.View django.views.generic.base.View
django.template.Library: django.template.library.Library django.template.base.Library
peewee.Model: playhouse.signals.Model peewee_async.AioModel
tortoise.models.Model: tortoise.Model
redis-client(): redis.Redis() redis.StrictRedis() redis.from_url() redis.Redis.from_url() redis.client.Redis()
redis-client(): redis.asyncio.Redis()
redis-client(): redis.asyncio.from_url() redis.asyncio.Redis.from_url() redis.asyncio.client.Redis()
redis-client(): redis.cluster.RedisCluster() aioredis.from_url()
redis-client(): redis.RedisCluster() aioredis.Redis() fakeredis.FakeRedis() flask_redis.FlaskRedis()
redis-client(): redis.sentinel.Sentinel().master_for()
redis-client(): redis-client().pipeline() redis.client.Pipeline() django_redis.get_redis_connection() valkey.Valkey()
redis-client(): aioredis.create_redis_pool()
memcache-client(): pymemcache.Client() pymemcache.client.base.Client() pymemcache.client.base.PooledClient()
memcache-client(): pymemcache.client.hash.HashClient()
memcache-client(): pymemcache.HashClient() pymemcache.PooledClient() memcache.Client() pylibmc.Client()
memcache-client(): aiomcache.Client() bmemcached.Client()
pymongo.MongoClient(): pymongo.mongo_client.MongoClient() motor.motor_asyncio.AsyncIOMotorClient()
pymongo.MongoClient(): pymongo.AsyncMongoClient() flask_pymongo.PyMongo()
pymongo.MongoClient(): pymongo.collection.Collection() pymongo.database.Database()
pymongo.MongoClient(): motor.motor_asyncio.AsyncIOMotorDatabase()
pymongo.MongoClient(): motor.motor_asyncio.AsyncIOMotorCollection() motor.motor_tornado.MotorClient()
elasticsearch.Elasticsearch(): elasticsearch.AsyncElasticsearch() opensearchpy.OpenSearch()
elasticsearch.Elasticsearch(): opensearchpy.AsyncOpenSearch()
boto3.client(): boto3.Session().client() boto3.session.Session().client() aioboto3.Session().client()
boto3.client(): aiobotocore.session.get_session().create_client()
boto3.client(): botocore.session.get_session().create_client() botocore.client.BaseClient()
boto3.resource(): boto3.Session().resource() boto3.session.Session().resource() aioboto3.Session().resource()
celery: celery.app celery.app.base celery.app.task
celery.Task: celery.Celery().Task celery.shared_task() celery.Celery().task()
celery.Task(): celery.current_task celery.signature() celery.Task().s() celery.Task().si() celery.chain() celery.group()
celery.Task(): celery.chord()
celery.Task(): celery.canvas.Signature() celery.Task.s() celery.Task.si() celery.Task.signature()
celery.result.AsyncResult(): celery.Task().delay() celery.Task().apply_async() celery.Task.delay()
celery.result.AsyncResult(): celery.Task.apply_async()
celery.result.AsyncResult(): celery.Celery().send_task() celery.Celery().AsyncResult() celery.result.GroupResult()
rq.Queue(): rq.queue.Queue() django_rq.get_queue()
dramatiq.Actor(): dramatiq.actor() dramatiq.actor()()
kafka-consumer(): kafka.KafkaConsumer() aiokafka.AIOKafkaConsumer() confluent_kafka.Consumer()
kafka-consumer(): confluent_kafka.DeserializingConsumer()
kafka-producer(): kafka.KafkaProducer() aiokafka.AIOKafkaProducer() confluent_kafka.Producer()
kafka-producer(): confluent_kafka.SerializingProducer()
click.Group(): click.group() click.group()() click.core.Group() rich_click.RichGroup() rich_click.group()
click.Group(): rich_click.group()() click.MultiCommand()
click: rich_click asyncclick click.decorators
logging.Logger(): logging.getLogger() logging.LoggerAdapter() logging.getLogger().getChild()
logging.Logger(): django.utils.log.request_logger structlog.get_logger()
logging.Logger(): loguru.logger celery.utils.log.get_task_logger() structlog.getLogger() logging.root
logging.Logger(): structlog.get_logger().bind() flask.current_app.logger
logging.Logger(): flask.Flask().logger absl.logging twisted.logger.Logger()
flask: flask.app flask.blueprints flask.templating flask.views quart quart.app quart.blueprints
flask.Flask(): flask.Quart() apiflask.APIFlask() connexion.FlaskApp().app flask_openapi3.OpenAPI() flask.current_app
flask.Blueprint(): apiflask.APIBlueprint() flask_smorest.Blueprint() flask_openapi3.APIBlueprint()
fastapi: fastapi.applications fastapi.routing
starlette: starlette.applications
aiohttp.web: aiohttp.web_app aiohttp.web_routedef aiohttp.web_middlewares aiohttp.web_urldispatcher
aiohttp.web.Application().router: aiohttp.web.UrlDispatcher()
aiohttp.web.View: aiohttp.web_urldispatcher.View
typer.Typer(): typer.main.Typer() cyclopts.App()
threading.Timer: threading._Timer
asyncio.Protocol: asyncio.protocols.Protocol asyncio.DatagramProtocol asyncio.BufferedProtocol
asyncio.Protocol: asyncio.SubprocessProtocol asyncio.BaseProtocol
unittest.TestCase: unittest.case.TestCase unittest.IsolatedAsyncioTestCase unittest.async_case.IsolatedAsyncioTestCase
unittest.TestCase: testtools.TestCase
unittest.TestCase: django.test.TestCase django.test.SimpleTestCase django.test.TransactionTestCase
unittest.TestCase: django.test.LiveServerTestCase
unittest.TestCase: rest_framework.test.APITestCase rest_framework.test.APISimpleTestCase flask_testing.TestCase
unittest.TestCase: tornado.testing.AsyncHTTPTestCase
unittest.TestCase: tornado.testing.AsyncTestCase django.test.testcases.TestCase twisted.trial.unittest.TestCase
unittest.TestCase: absl.testing.absltest.TestCase
subprocess.Popen(): trio.lowlevel.open_process() anyio.open_process() psutil.Popen()
multiprocessing: multiprocessing.get_context() multiprocessing.context multiprocessing.process
celery.Celery(): celery.current_app
django.core.management: django.core.management.base
django.core.management.BaseCommand = django.core.management: LabelCommand AppCommand TemplateCommand
django.db.models.QuerySet(): django.db.models.Manager() django.db.models.QuerySet.as_manager()
django.db.models.QuerySet(): django.contrib.admin.ModelAdmin().get_queryset() django.views.generic.ListView().get_queryset()
django.db.models.QuerySet(): django.views.generic.DetailView().get_queryset() django.views.generic.UpdateView().get_queryset()
django.db.models.QuerySet(): django.views.generic.DeleteView().get_queryset()
django.contrib.admin.ModelAdmin: django.contrib.admin.options.ModelAdmin django.contrib.auth.admin.UserAdmin
django.views.generic.CreateView: django.views.generic.edit.CreateView
django.views.generic.UpdateView: django.views.generic.edit.UpdateView
django.views.generic.DeleteView: django.views.generic.edit.DeleteView
django.db.models.QuerySet(): django.db.models.Manager.from_queryset()()
django.db.models.QuerySet() = django.db.models.Model: objects _default_manager _base_manager
django.db.models.QuerySet() = django.db.models.QuerySet(): all() filter() exclude() order_by() select_related()
django.db.models.QuerySet() = django.db.models.QuerySet(): prefetch_related() annotate() distinct() values()
django.db.models.QuerySet() = django.db.models.QuerySet(): values_list() only() defer() using() reverse()
django.db.models.QuerySet() = django.db.models.QuerySet(): select_for_update() union() none() iterator() alias()
django.db.models.QuerySet() = django.db.models.QuerySet(): intersection() difference() get_queryset() dates() db_manager()
django.db.models.Model(): django.db.models.QuerySet()[] django.shortcuts.get_object_or_404()
django.db.models.Model() = django.db.models.QuerySet(): get() first() last() create() latest() earliest() aget()
django.db.models.Model() = django.db.models.QuerySet(): acreate() create_user()
sqlalchemy.orm.Query() = sqlalchemy.orm.Query(): filter() filter_by() order_by() join() outerjoin() options() limit()
sqlalchemy.orm.Query() = sqlalchemy.orm.Query(): offset() distinct() group_by() having()
sqlalchemy.orm.Query(): sqlalchemy.orm.DeclarativeBase.query
aiohttp.ClientResponse() = aiohttp.ClientSession(): get() post() put() patch() delete() head() options() request()
re.Pattern(): re.compile()
re.Match() = re.Pattern(): match() search() fullmatch()
re.Match() = re: match() search() fullmatch()
re.Match(): re.Pattern().finditer()[] re.finditer()[]
datetime.datetime() = datetime.datetime: now() utcnow() today() fromisoformat() fromtimestamp() combine() strptime()
datetime.datetime() = django.utils.timezone: now() localtime() make_aware()
datetime.datetime(): datetime.datetime().replace() datetime.datetime().astimezone()
datetime.date(): datetime.date.today() datetime.datetime().date()
emails.Message(): emails.message.Message() emails.html()
zmq.Socket(): zmq.Context().socket() zmq.Context.instance().socket() zmq.asyncio.Context().socket() zmq.asyncio.Socket()
"""
"""Which expressions are looked up as another: `name: others`, or `name = prefix: others`."""

_DRIVERS = """
sqlite3 sqlite3.dbapi2 aiosqlite psycopg psycopg2 psycopg2.extensions pymysql pymysql.connections MySQLdb aiomysql
mysql.connector mariadb pyodbc aioodbc cx_Oracle oracledb snowflake.connector duckdb pg8000 pg8000.dbapi trino.dbapi
clickhouse_driver pysqlite3 apsw vertica_python teradatasql
"""
"""Packages with the interface of PEP 249, or one like it."""

_IO_LINES = """
[none]
sqlite3: Row register_adapter register_converter complete_statement
os.path: join split splitext basename dirname normpath normcase isabs commonpath commonprefix expanduser expandvars
os.path: relpath
pymongo: ASCENDING DESCENDING
django.db.models.Model: full_clean clean clean_fields get_deferred_fields
[file]
builtins: open
file-object(): read readline readlines readinto read1 write writelines flush close seek truncate peek __enter__
file-object(): __aenter__
file-object(): __iter__ __next__ __aiter__ __anext__ chunks
os: open close read write pread pwrite readv writev lseek fsync fdatasync ftruncate truncate sendfile copy_file_range
os: splice
os: listdir scandir walk fwalk stat lstat fstat statvfs access mkdir makedirs mkfifo mknod remove unlink rename renames
os: replace rmdir removedirs link symlink readlink chmod chown lchown utime chdir fchdir getcwd getcwdb fdopen pipe
os: memfd_create
os: fchmod fchown getxattr setxattr listxattr removexattr posix_fallocate sync
os.path: exists lexists isfile isdir islink ismount isjunction getsize getmtime getatime getctime samefile sameopenfile
os.path: samestat realpath
pathlib.Path(): open read_text read_bytes write_text write_bytes exists is_file is_dir is_symlink is_mount is_socket
pathlib.Path(): is_fifo
pathlib.Path(): stat lstat mkdir rmdir unlink rename replace touch chmod lchmod iterdir glob rglob walk resolve readlink
pathlib.Path(): symlink_to hardlink_to samefile owner group expanduser copy copy_into move move_into
pathlib.Path: cwd
shutil: copy copy2 copyfile copyfileobj copymode copystat copytree move rmtree make_archive unpack_archive disk_usage
shutil: chown which
tempfile: TemporaryFile NamedTemporaryFile SpooledTemporaryFile TemporaryDirectory mkstemp mkdtemp mktemp gettempdir
tempfile.TemporaryDirectory(): cleanup __enter__ __exit__
glob: glob iglob
fileinput: input
filecmp: cmp cmpfiles dircmp
linecache: getline getlines checkcache
io: FileIO open_code
zipfile: ZipFile is_zipfile
zipfile.ZipFile(): read write writestr open extract extractall namelist infolist testzip mkdir close getinfo printdir
zipfile.ZipFile(): add addfile getmembers getnames getmember extractfile list __iter__
tarfile: open is_tarfile
tarfile.TarFile: open
gzip: open GzipFile
bz2: open BZ2File
lzma: open LZMAFile
mmap: mmap
wave: open
aifc: open
shelve: open
shelve.open(): * -keys
dbm: open whichdb
dbm.gnu: open
dbm.ndbm: open
dbm.dumb: open
dbm.sqlite3: open
dbm.open(): *
pickle: load dump
marshal: load dump
json: load dump
tomllib: load
plistlib: load dump
csv.reader(): __next__ __iter__
csv.DictReader(): __next__ __iter__
file-object(): writerow writerows writeheader
csv.writer(): writerow writerows
csv.DictWriter(): writerow writerows writeheader
configparser.ConfigParser(): read read_file write
importlib.resources: open_text open_binary read_text read_binary
importlib.metadata: version metadata entry_points distribution distributions files
pkgutil: get_data
runpy: run_path run_module
py_compile: compile
compileall: compile_dir compile_file
fcntl: flock lockf
aiofiles: open
aiofiles.os: *
aiofiles.ospath: *
anyio: open_file
trio: open_file
watchdog.observers.Observer(): start join
watchfiles: watch awatch
numpy: load save savez savez_compressed loadtxt savetxt genfromtxt fromfile memmap
pandas: read_csv read_json read_excel read_parquet read_pickle read_feather read_hdf read_table
pandas.DataFrame(): to_csv to_json to_excel to_parquet to_pickle to_feather to_hdf
polars: read_csv read_parquet scan_csv scan_parquet read_json
PIL.Image: open
PIL.Image.open(): ** save load
joblib: load dump
torch: load save
h5py: File
h5py.File(): **
openpyxl: load_workbook
openpyxl.Workbook(): save
openpyxl.load_workbook(): save
toml: load dump
dotenv: load_dotenv dotenv_values find_dotenv set_key
django.core.files.storage.default_storage: * -url -path -get_valid_name
django.core.files.storage.FileSystemStorage(): * -url -path -get_valid_name
django.core.files.File(): save
werkzeug.datastructures.FileStorage(): save read
flask: send_file send_from_directory
flask.Flask(): open_resource open_instance_resource
flask.Blueprint(): open_resource
werkzeug.utils: send_file send_from_directory
starlette.datastructures.UploadFile(): read write seek close
fastapi.UploadFile(): read write seek close
fsspec: open filesystem
fsspec.filesystem(): *
[network]
socket: create_connection create_server getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getnameinfo getfqdn
socket.socket(): connect connect_ex accept recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into send sendall
socket.socket(): sendto
socket.socket(): sendmsg sendfile bind listen shutdown close read write do_handshake unwrap __enter__
ssl: get_server_certificate
select: select
selectors.BaseSelector(): select poll
socketserver.TCPServer(): serve_forever handle_request
socketserver.UDPServer(): serve_forever handle_request
socketserver.ThreadingTCPServer(): serve_forever
http.server.HTTPServer(): serve_forever handle_request
http.server.ThreadingHTTPServer(): serve_forever
wsgiref.simple_server.make_server(): serve_forever handle_request
xmlrpc.client.ServerProxy(): **
smtplib: SMTP SMTP_SSL LMTP
smtplib.SMTP(): * -set_debuglevel
aiosmtplib: send
imaplib: IMAP4 IMAP4_SSL
imaplib.IMAP4(): *
poplib: POP3 POP3_SSL
ftplib: FTP FTP_TLS
ftplib.FTP(): * -set_pasv -set_debuglevel
asyncio: open_connection start_server open_unix_connection start_unix_server
asyncio.AbstractEventLoop(): create_connection create_server create_datagram_endpoint create_unix_connection
asyncio.AbstractEventLoop(): create_unix_server
asyncio.AbstractEventLoop(): sock_recv sock_recv_into sock_sendall sock_connect sock_accept sock_sendfile sendfile
asyncio.AbstractEventLoop(): getaddrinfo getnameinfo
asyncio.StreamReader(): read readline readexactly readuntil __anext__
asyncio.StreamWriter(): drain wait_closed write writelines start_tls
asyncio.open_connection(): ** read readline readexactly readuntil drain wait_closed write
asyncio.Transport(): write writelines sendto
asyncio.DatagramTransport(): sendto
asyncio.Server(): serve_forever start_serving wait_closed
asyncio.start_server(): serve_forever start_serving wait_closed
anyio: connect_tcp connect_unix create_tcp_listener create_udp_socket getaddrinfo
anyio.connect_tcp(): send receive aclose
anyio.abc.SocketStream(): send receive send_eof
anyio.create_tcp_listener(): serve
trio: open_tcp_stream serve_tcp open_ssl_over_tcp_stream
trio.SocketStream(): send_all receive_some
trio.open_tcp_stream(): send_all receive_some
uvicorn: run
uvicorn.Server(): run serve
hypercorn.asyncio: serve
werkzeug.serving: run_simple
waitress: serve
flask.Flask(): run
aiohttp.web: run_app
aiohttp.web.TCPSite(): start
aiohttp.web.WebSocketResponse(): * -closed
tornado.web.Application(): listen
tornado.httpserver.HTTPServer(): listen
tornado.iostream.IOStream(): read_until read_bytes write connect
websockets: connect serve
websockets.connect(): send recv ping close __anext__
websockets.sync.client.connect(): send recv ping close
websocket: create_connection
websocket.create_connection(): send recv close
websocket.WebSocketApp(): run_forever send
fastapi.WebSocket(): accept receive receive_text receive_json receive_bytes send send_text send_json send_bytes close
starlette.websockets.WebSocket(): accept receive receive_text receive_json receive_bytes send send_text send_json
starlette.websockets.WebSocket(): send_bytes close
socketio.Client(): connect emit wait
socketio.AsyncServer(): emit
socketio.Server(): emit
flask_socketio: emit send
zmq.Socket(): * -setsockopt -setsockopt_string -getsockopt -set -get
zmq.Poller(): poll
grpc: channel_ready_future
grpc.insecure_channel(): ** unary_unary unary_stream stream_unary stream_stream close
grpc.server(): start wait_for_termination
grpc.aio.server(): start wait_for_termination
zmq: proxy
paramiko.SSHClient(): ** -set_missing_host_key_policy -load_system_host_keys -load_host_keys -get_host_keys
paramiko.Transport(): ** -is_active
paramiko.SFTPClient(): *
paramiko.SFTPClient: from_transport
asyncssh: connect
asyncssh.connect(): **
fabric.Connection(): run sudo put get local
telnetlib.Telnet(): *
serial.Serial(): read write readline flush
ldap3.Connection(): bind search add modify delete unbind
dns.resolver: resolve query
django.core.mail: send_mail send_mass_mail mail_admins mail_managers get_connection
django.core.mail.EmailMessage(): send
django.core.mail.EmailMultiAlternatives(): send
django.core.mail.get_connection(): send_messages open close
django.contrib.auth.models.User(): email_user
flask_mail.Mail(): send send_message
flask_mail.Mail().connect(): send
emails.Message(): send
emails: send
fastapi_mail.FastMail(): send_message
yagmail.SMTP(): send
docker.from_env(): **
docker.DockerClient(): **
kubernetes.client: ** -Configuration
nntplib.NNTP(): *
[http]
http-client: <verbs> request stream
http-client(): <verbs> request stream send urlopen fetch_token
http-response(): iter_content iter_lines iter_bytes iter_text iter_raw aiter_bytes aiter_lines aiter_text aiter_raw
http-response(): aread read readinto
http-response(): readline readlines __iter__
urllib.request: urlopen urlretrieve
urllib.request.build_opener(): open
urllib.request.OpenerDirector(): open
urllib.robotparser.RobotFileParser(): read
urllib3: request
http.client.HTTPConnection(): request getresponse connect send endheaders close
aiohttp: request
aiohttp.ClientSession(): <verbs> request ws_connect
aiohttp.ClientResponse(): read text json release __aenter__
aiohttp.ClientResponse().content: read readline readany iter_chunked iter_any
aiohttp.ClientSession().ws_connect(): *
tornado.httpclient.AsyncHTTPClient(): fetch
tornado.httpclient.HTTPClient(): fetch
tornado.simple_httpclient.SimpleAsyncHTTPClient(): fetch
httplib2.Http(): request
pycurl.Curl(): perform
treq: <verbs> request
grequests: map imap
boto3.client(): * -get_paginator -get_waiter -can_paginate -generate_presigned_url -generate_presigned_post -close -exceptions
boto3.client().get_paginator(): paginate
boto3.client().get_waiter(): wait
boto3.resource(): ** -get_available_subresources
google.cloud: ** -bucket -blob -collection -document -dataset -table -topic_path -subscription_path -from_service_account_json -path
google.auth: default
googleapiclient.discovery: build
googleapiclient.discovery.build(): ** execute next_chunk
gspread: ** open open_by_key get_all_records update append_row
azure: ** -from_connection_string -get_blob_client -get_container_client -from_service_principal
stripe: ** create retrieve modify list delete search capture confirm cancel refund
twilio.rest.Client(): ** create fetch update delete list
sendgrid.SendGridAPIClient(): ** send post get
openai: ** create retrieve list delete parse generate stream
anthropic: ** create stream count_tokens
slack_sdk.WebClient(): * -close
slack_sdk.web.async_client.AsyncWebClient(): * -close
slack_sdk.webhook.WebhookClient(): send
github.Github(): ** get_repo get_user get_issues get_pulls create_issue search_repositories
gql.Client(): execute execute_async
zeep.Client(): ** service
minio.Minio(): *
hvac.Client(): **
consul.Consul(): **
algoliasearch.search_client.SearchClient.create(): **
sentry_sdk: flush
feedparser: parse
huggingface_hub: hf_hub_download snapshot_download
[database]
db-api.Connection(): execute executemany executescript commit rollback cursor close backup fetch fetchrow fetchval
db-api.Connection(): fetchone fetchall
db-api.Connection(): iterdump blobopen ping begin transaction prepare copy_records_to_table copy_from_query acquire
db-api.Connection(): release query
db-api.Connection(): __enter__ __aenter__ __exit__ __aexit__
db-api.Cursor(): execute executemany executescript fetchone fetchall fetchmany callproc nextset copy_from copy_to
db-api.Cursor(): copy_expert copy
db-api.Cursor(): mogrify close scroll stream __iter__ __next__ __anext__
psycopg2.extras: execute_values execute_batch
psycopg2.pool: SimpleConnectionPool ThreadedConnectionPool
psycopg2.pool.SimpleConnectionPool(): getconn putconn closeall
psycopg2.pool.ThreadedConnectionPool(): getconn putconn closeall
psycopg_pool.ConnectionPool(): connection getconn putconn open close wait
psycopg_pool.AsyncConnectionPool(): connection getconn putconn open close wait
psycopg.AsyncConnection: connect
psycopg.Connection: connect
asyncpg: connect create_pool
aiomysql: connect create_pool
mysql.connector.pooling.MySQLConnectionPool(): get_connection
sqlalchemy.Engine(): connect begin execute raw_connection dispose scalar run_sync
sqlalchemy.Connection(): execute scalar scalars commit rollback begin begin_nested exec_driver_sql stream stream_scalars
sqlalchemy.Connection(): run_sync close
sqlalchemy.MetaData(): create_all drop_all reflect
sqlalchemy.Table(): create drop
sqlalchemy.inspect(): get_table_names get_columns get_indexes get_foreign_keys has_table
sqlalchemy.orm.Query(): all first one one_or_none get get_or_404 first_or_404 one_or_404 scalar count delete update
sqlalchemy.orm.Query(): paginate exists
sqlalchemy.orm.Query(): __iter__ filter filter_by order_by join
orm-session(): execute exec scalar scalars get get_one commit flush rollback refresh merge query begin begin_nested
orm-session(): connection
orm-session(): bulk_save_objects bulk_insert_mappings bulk_update_mappings stream stream_scalars run_sync
orm-session().begin(): commit rollback __enter__ __aenter__
orm-result(): all first one one_or_none scalar scalar_one scalar_one_or_none fetchall fetchone fetchmany partitions
orm-result(): __iter__ __anext__
flask_sqlalchemy.SQLAlchemy(): create_all drop_all get_or_404 first_or_404 one_or_404 paginate reflect
flask.g: ** execute executemany executescript cursor query commit rollback fetchone fetchall fetchmany
flask_migrate: upgrade downgrade migrate
alembic.op: *
alembic.command: upgrade downgrade revision stamp
databases.Database(): execute execute_many fetch_all fetch_one fetch_val iterate connect disconnect transaction
django.db.models.QuerySet(): * -as_manager -none -using -db_manager -model -query -deconstruct -contribute_to_class -get_queryset
django.db.models.QuerySet(): ** filter exclude get create count exists first last update delete aggregate annotate
django.db.models.QuerySet(): ** order_by bulk_create
django.db.models.Model: save delete refresh_from_db
django.db.models.Model(): save delete refresh_from_db asave adelete arefresh_from_db
django.db.models.Model(): ** all filter exclude create get_or_create update_or_create count exists first last aggregate
django.db.models.Model(): ** annotate order_by
django.db.models.Model(): ** values_list select_related prefetch_related bulk_create bulk_update
django.shortcuts: get_object_or_404 get_list_or_404 aget_object_or_404 aget_list_or_404
django.db.transaction: atomic commit rollback savepoint savepoint_commit savepoint_rollback
django.contrib.auth: authenticate login logout aauthenticate alogin alogout
django.forms.ModelForm(): save
django.contrib.admin.ModelAdmin(): save_model save_related save_formset delete_model delete_queryset get_object log_addition
django.contrib.admin.ModelAdmin(): log_change log_deletion log_deletions
django.views.generic: ** get_object
django.views.generic.CreateView(): form_valid post
django.views.generic.UpdateView(): form_valid post
django.views.generic.DeleteView(): form_valid post delete
django.contrib.auth.forms: ** save
rest_framework.serializers: ** save
rest_framework.generics: ** get_object
rest_framework.viewsets: ** get_object
django.contrib.sessions.backends.db.SessionStore(): *
peewee.Model: ** select get get_or_none get_by_id get_or_create create insert insert_many update delete raw bulk_create
peewee.Model: ** create_table drop_table
peewee.Model(): save delete_instance
peewee.Model: ** count first exists execute
peewee.Model(): ** select get count first exists execute
peewee.SqliteDatabase(): * -Model -init -register_function
peewee.PostgresqlDatabase(): * -Model -init -register_function
peewee.MySQLDatabase(): * -Model -init -register_function
tortoise.models.Model: ** get get_or_none filter all create get_or_create update_or_create first exists bulk_create
tortoise.models.Model: ** exclude in_bulk raw
tortoise.models.Model(): save delete refresh_from_db fetch_related
tortoise.models.Model(): ** all filter get count
tortoise.Tortoise: init generate_schemas close_connections
tortoise.transactions: in_transaction
pony.orm: select get exists commit flush rollback delete count left_join
pony.orm.Database(): bind generate_mapping execute select get commit flush
mongoengine: connect
mongoengine.Document: ** save delete first get objects count update
mongoengine.Document(): save delete update reload
mongoengine.Document.objects: **
beanie: init_beanie
beanie.Document: ** find find_one find_all get insert_many to_list first_or_none count
beanie.Document(): insert save delete replace update
pymongo.MongoClient(): ** find find_one find_one_and_update find_one_and_replace find_one_and_delete insert_one
pymongo.MongoClient(): ** insert_many update_one
pymongo.MongoClient(): ** update_many replace_one delete_one delete_many aggregate count_documents
pymongo.MongoClient(): ** estimated_document_count distinct
pymongo.MongoClient(): ** bulk_write create_index drop_index command drop list_collection_names watch start_session
pymongo.MongoClient(): ** to_list server_info
elasticsearch.Elasticsearch(): ** -options
elasticsearch.helpers: bulk scan streaming_bulk parallel_bulk async_bulk
neo4j.GraphDatabase.driver(): ** run execute_query read_transaction write_transaction execute_read execute_write
cassandra.cluster.Cluster(): connect
cassandra.cluster.Cluster().connect(): execute execute_async prepare
influxdb_client.InfluxDBClient(): ** write query query_data_frame
clickhouse_connect.get_client(): query insert command
clickhouse_driver.Client(): execute execute_iter insert_dataframe
pandas: read_sql read_sql_query read_sql_table
pandas.DataFrame(): to_sql
records.Database(): query
qdrant_client.QdrantClient(): *
chromadb.Client(): ** add query get upsert
supabase.create_client(): ** execute
[cache]
redis-client(): * -pipeline -register_script -pubsub -lock -close -connection_pool -get_encoder -from_url
redis-client().pubsub(): subscribe psubscribe unsubscribe get_message listen close run_in_thread
redis-client().pubsub().listen(): __iter__ __anext__
redis.sentinel.Sentinel(): discover_master discover_slaves
memcache-client(): *
django.core.cache.cache: ** -make_key -validate_key
flask_caching.Cache(): get set add delete delete_many get_many set_many clear has
cachelib: ** get set delete add has
diskcache.Cache(): get set add delete pop incr clear
dogpile.cache.make_region(): ** get set delete get_or_create
aiocache: ** get set delete exists
[queue]
queue-object(): get put join
multiprocessing.Pipe(): ** send recv poll send_bytes recv_bytes
multiprocessing.connection: wait Client
multiprocessing.connection.Connection(): send recv poll send_bytes recv_bytes
celery.Task: delay apply_async
celery.Task(): delay apply_async retry update_state
celery.Celery(): send_task
celery.Celery().control: *
celery.result.AsyncResult(): get wait join collect ready successful failed forget revoke
celery.execute: send_task
rq.Queue(): enqueue enqueue_call enqueue_in enqueue_at enqueue_many fetch_job
rq.job.Job: fetch
rq.Worker(): work
rq: get_current_job
django_rq: enqueue
rq.decorators.job()(): delay
dramatiq.Actor(): send send_with_options
arq: create_pool
arq.create_pool(): enqueue_job
arq.connections.ArqRedis(): enqueue_job
arq.jobs.Job(): result status info
huey.RedisHuey(): enqueue result
kafka-consumer(): poll consume getone getmany commit committed seek position start stop subscribe __iter__ __next__
kafka-consumer(): __anext__ __aiter__
kafka-producer(): send send_and_wait produce poll flush begin_transaction commit_transaction start stop
kafka.KafkaProducer().send(): get
confluent_kafka.admin.AdminClient(): create_topics delete_topics list_topics
pika: BlockingConnection
pika.BlockingConnection(): ** -is_open -add_timeout
pika.channel.Channel(): *
aio_pika: connect connect_robust
aio_pika.connect(): **
aio_pika.connect_robust(): **
aio_pika.abc.AbstractIncomingMessage(): ack nack reject
aio_pika.IncomingMessage(): ack nack reject
aio_pika.abc.AbstractExchange(): publish
kombu.Connection(): ** drain_events connect ensure_connection
kombu.Producer(): publish
kombu.Consumer(): consume
stomp.Connection(): connect send subscribe ack
paho.mqtt.client.Client(): connect publish subscribe loop_forever loop_start loop reconnect
aiomqtt.Client(): publish subscribe
nats: connect
nats.connect(): **
nats.NATS(): **
nats.aio.client.Client(): **
nats.aio.msg.Msg(): ack nak respond
pulsar.Client(): ** send receive acknowledge
faust.App().topic(): send
faststream.kafka.KafkaBroker(): publish
faststream.rabbit.RabbitBroker(): publish
google.cloud.pubsub_v1.PublisherClient(): publish
google.cloud.pubsub_v1.SubscriberClient(): pull subscribe acknowledge
anyio.create_memory_object_stream(): ** send receive
trio.open_memory_channel(): ** send receive
[subprocess]
subprocess: * -list2cmdline
subprocess: Popen
subprocess.Popen(): communicate wait poll kill terminate send_signal __enter__
subprocess.Popen().stdout: read readline readlines __iter__
subprocess.Popen().stdin: write flush close
subprocess.Popen().stderr: read readline readlines __iter__
os: system popen fork forkpty posix_spawn posix_spawnp wait wait3 wait4 waitpid waitid kill killpg startfile
os: execl execle execlp execlpe execv execve execvp execvpe
os: spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe
os.popen(): *
pty: spawn fork
asyncio: create_subprocess_exec create_subprocess_shell
asyncio.AbstractEventLoop(): subprocess_exec subprocess_shell
asyncio.subprocess.Process(): communicate wait
asyncio.subprocess.Process().stdout: read readline readexactly readuntil __anext__
asyncio.subprocess.Process().stdin: drain
multiprocessing: Pool Manager
multiprocessing.Process(): start join terminate kill
multiprocessing.Pool(): apply apply_async map map_async imap imap_unordered starmap starmap_async close join terminate
multiprocessing.Pool(): __enter__
concurrent.futures.ProcessPoolExecutor(): submit map shutdown __exit__
anyio: run_process open_process
anyio.to_process: run_sync
trio: run_process
sh: *
plumbum.local: **
pexpect: spawn run
pexpect.spawn(): expect send sendline read
invoke: run
git.Repo(): ** -is_dirty
git.Repo: clone_from
[lock]
sync-lock(): acquire wait wait_for __enter__ __aenter__
threading.Thread(): join
threading.Timer(): join
concurrent.futures: wait as_completed
concurrent.futures.Future(): result exception
concurrent.futures.ThreadPoolExecutor(): map shutdown __exit__
concurrent.futures.Executor(): map shutdown
[sleep]
time: sleep
asyncio: sleep
anyio: sleep sleep_until sleep_forever
trio: sleep sleep_until sleep_forever
gevent: sleep joinall
eventlet: sleep
tornado.gen: sleep
signal: pause sigwait sigwaitinfo sigtimedwait
curio: sleep
twisted.internet.task: deferLater
sched.scheduler(): run
[console]
builtins: print input
sys.stdout: write writelines flush writerow writerows
sys.stderr: write writelines flush writerow writerows
sys.stdout.buffer: write flush
sys.stderr.buffer: write flush
sys.__stdout__: write flush
sys.stdin: read readline readlines __iter__ __next__
sys.stdin.buffer: read readline readlines
getpass: getpass
pprint: pprint pp
traceback: print_exc print_exception print_stack print_tb
click: echo secho echo_via_pager prompt confirm pause clear edit getchar
typer: echo secho prompt confirm
rich: print print_json inspect
rich.console.Console(): print print_json log rule input
argparse.ArgumentParser(): print_help print_usage exit error
django.core.management.BaseCommand().stdout: write
django.core.management.BaseCommand().stderr: write
tqdm.tqdm: write
"""
"""`[kind]`; `none` for what a longer prefix takes out."""

_WORK_LINES = """
[15 | Nothing but an operation on what is in memory: a little more than a statement.]
builtins: len isinstance issubclass id callable ord chr abs bool type hash hasattr getattr setattr iter next cast
typing: cast TYPE_CHECKING assert_never get_origin get_args overload final
time: time monotonic perf_counter time_ns perf_counter_ns monotonic_ns process_time
os: getpid
sys: exc_info getrefcount intern _getframe getsizeof
threading: get_ident current_thread main_thread
operator: *
re.Match(): *
datetime.timedelta(): *
datetime.date(): *
[35]
builtins: super int float round min max divmod pow bytes slice tuple
builtins.str(): *
builtins.dict(): *
builtins.list(): *
builtins.set(): *
builtins.tuple(): *
builtins.bytes(): *
builtins.int(): *
builtins.object(): *
math: *
collections.deque(): *
collections.defaultdict(): *
collections.OrderedDict(): *
[100 | Allocates, or goes once through a few values.]
builtins: str repr dict list set frozenset format object property enumerate zip reversed map filter bytearray memoryview
builtins: complex vars dir
builtins.str(): join format split replace encode rsplit splitlines translate format_map partition
builtins.bytes(): decode hex
collections: *
itertools: * -groupby
functools: partial reduce wraps cache lru_cache
random: *
struct: *
bisect: *
heapq: *
decimal: *
base64: *
binascii: *
zlib: crc32 adler32
[300]
builtins: sorted sum range any all
builtins.list(): sort
datetime: *
datetime.datetime: now utcnow today fromtimestamp utcfromtimestamp combine fromisoformat
datetime.date: today fromisoformat
datetime.datetime(): isoformat replace astimezone date timestamp
django.utils.timezone: now localtime make_aware localdate
asyncio: current_task get_running_loop get_event_loop iscoroutine iscoroutinefunction
contextvars: **
weakref: *
sync-lock(): *
[600]
re.Pattern(): *
re: compile escape
copy: copy
os.path: *
os.environ: get setdefault pop
os: getenv
html: *
textwrap: *
string: **
fnmatch: fnmatch fnmatchcase
logging: getLogger
logging.Logger(): isEnabledFor debug
logging: debug
threading: Lock RLock Event Condition Semaphore
ipaddress: *
[1_000]
re: match search sub findall split fullmatch finditer subn
datetime.datetime(): strftime
time: strftime localtime gmtime
pathlib: *
pathlib.Path(): joinpath with_suffix with_name with_stem relative_to as_posix absolute is_absolute match is_relative_to
contextlib: *
dataclasses: field replace fields is_dataclass
inspect: isclass isfunction iscoroutinefunction ismethod isgenerator ismodule
[1_500 | Digests of a short text; random bytes from the system.]
builtins: print
hashlib: * -pbkdf2_hmac -scrypt
hashlib: md5 sha1 sha256 sha512 blake2b blake2s new sha224 sha384
hmac: *
uuid: *
secrets: *
os: urandom
[2_000 | One trip into a C library that works on arrays or parses a number of characters.]
numpy: **
fractions: *
warnings: warn
importlib: import_module
traceback: format_tb extract_tb
queue-object(): *
asyncio: create_task ensure_future wait wait_for shield
asyncio.AbstractEventLoop(): create_task call_soon call_later run_in_executor
[4_000 | A log record is made, formatted and written; `debug` above is off as a rule.]
logging.Logger(): info warning warn error critical exception log msg success trace notice
logging: info warning warn error critical exception log
[5_000]
file-object(): *
dataclasses: asdict astuple
pickle: *
marshal: *
urllib.parse: *
email.message: **
asyncio: gather as_completed TaskGroup
pydantic: **
sqlalchemy.orm.DeclarativeBase: model_validate
sqlalchemy.orm.DeclarativeBase(): model_dump sqlmodel_update model_dump_json
flask: jsonify url_for redirect make_response
django.urls: reverse reverse_lazy resolve
django.http: ** JsonResponse HttpResponse HttpResponseRedirect
django.shortcuts: redirect
fastapi: HTTPException
django.core.management.BaseCommand().stdout: write
[6_000]
datetime.datetime: strptime
time: strptime
json: load dump
[8_000]
json: loads dumps
orjson: loads dumps
ujson: loads dumps
simplejson: loads dumps
msgpack: packb unpackb
[10_000]
copy: deepcopy
zlib: compress decompress compressobj
gzip: compress decompress
dateutil.parser: parse isoparse
inspect: ** signature getsource getmembers stack
traceback: format_exc format_exception print_exc
scipy: **
torch: **
builtins: eval
[15_000]
builtins: open
pathlib.Path(): open read_text read_bytes write_text write_bytes
tempfile: *
aiofiles: open
[60_000 | Signing and parsing in Python.]
threading.Thread(): start
jwt: encode decode
jose.jwt: encode decode
itsdangerous: ** dumps loads
xml.etree.ElementTree: parse fromstring tostring
lxml: **
builtins: exec compile __import__
csv.writer(): writerows
[100_000]
pandas: **
kafka-producer(): *
celery.Task(): *
celery.Task: *
celery.Celery(): send_task
rq.Queue(): *
dramatiq.Actor(): *
arq.create_pool(): *
pika.BlockingConnection(): **
cryptography: **
[200_000 | Hundreds of small steps in the template's own code.]
flask: render_template render_template_string stream_template
flask_mail: Message
django.shortcuts: render
django.template.loader: render_to_string
django.template: ** render
jinja2: ** render generate
mako.template.Template(): render
starlette.templating.Jinja2Templates(): TemplateResponse
fastapi.templating.Jinja2Templates(): TemplateResponse
yaml: *
tomllib: *
toml: *
markdown: markdown
ast: parse unparse
[300_000 | The ORM builds the statement, the driver asks, rows become objects.]
orm-session(): * -add -add_all -expunge -expire -close
sqlalchemy.orm.Query(): *
django.db.models.QuerySet(): *
django.db.models.Model(): save delete refresh_from_db
django.db.models.Model(): ** all filter create get_or_create count exists first last
orm-result(): *
django.shortcuts: get_object_or_404 get_list_or_404
django.contrib.auth: authenticate login logout
django.forms.ModelForm(): save is_valid
peewee.Model: **
peewee.Model(): **
tortoise.models.Model: **
tortoise.models.Model(): **
mongoengine.Document: **
mongoengine.Document(): **
beanie.Document: **
pony.orm: select get commit flush
rest_framework.serializers: **
[1_000_000]
bs4: BeautifulSoup
PIL.Image: **
openpyxl: **
matplotlib: **
[50_000_000 | Slow on purpose, against guessing.]
hashlib: pbkdf2_hmac scrypt
bcrypt: hashpw checkpw
passlib: ** hash verify verify_and_update
argon2: ** hash verify
pwdlib: ** hash verify verify_and_update
werkzeug.security: generate_password_hash check_password_hash
django.contrib.auth.hashers: make_password check_password
django.db.models.Model(): set_password check_password
"""
"""`[ns | why]`."""

_DECORATOR_LINES = """
[web | Flask %]
flask.Flask(): route errorhandler websocket <verbs>
flask.Blueprint(): route errorhandler app_errorhandler websocket <verbs>
flask_restx.Api(): errorhandler
[middleware | Flask %]
flask.Flask(): <hooks> url_value_preprocessor url_defaults before_websocket after_websocket
flask.Blueprint(): <hooks> url_value_preprocessor url_defaults
[startup | Flask %]
flask.Flask(): before_first_request before_serving while_serving
flask.Blueprint(): before_app_first_request before_app_serving
[shutdown | Flask %]
flask.Flask(): after_serving
[command | Flask CLI command]
flask.Flask().cli: command
flask.Blueprint().cli: command
flask.cli.AppGroup(): command
[callback | Flask %]
flask.Flask(): context_processor template_filter template_test template_global shell_context_processor
flask.Blueprint(): context_processor app_context_processor app_template_filter app_template_test app_template_global
flask_login.LoginManager(): user_loader request_loader unauthorized_handler
[web | FastAPI %]
fastapi.FastAPI(): <verbs> trace api_route route websocket websocket_route exception_handler
fastapi.APIRouter(): <verbs> trace api_route route websocket websocket_route
[event | FastAPI %]
fastapi.FastAPI(): on_event
fastapi.APIRouter(): on_event
[middleware | FastAPI middleware]
fastapi.FastAPI(): middleware
[web | Starlette %]
starlette.Starlette(): route websocket_route exception_handler
starlette.routing.Router(): route websocket_route
[event | Starlette %]
starlette.Starlette(): on_event
starlette.routing.Router(): on_event
[middleware | Starlette middleware]
starlette.Starlette(): middleware
[web | aiohttp %]
aiohttp.web.RouteTableDef(): <verbs> view route
[middleware | aiohttp middleware]
aiohttp.web: middleware
[web | Sanic %]
sanic.Sanic(): route websocket exception <verbs>
sanic.Blueprint(): route websocket exception <verbs>
[middleware | Sanic %]
sanic.Sanic(): middleware on_request on_response
sanic.Blueprint(): middleware on_request on_response
[startup | Sanic %]
sanic.Sanic(): before_server_start after_server_start main_process_start
[shutdown | Sanic %]
sanic.Sanic(): before_server_stop after_server_stop main_process_stop
[event | Sanic %]
sanic.Sanic(): listener
sanic.Blueprint(): listener
[web | Bottle %]
bottle: route error <verbs>
bottle.Bottle(): route error <verbs>
[middleware | Bottle hook]
bottle: hook
bottle.Bottle(): hook
[web | Litestar %]
litestar: <verbs> route websocket
litestar.handlers: <verbs> route websocket
[web | Robyn %]
robyn.Robyn(): <verbs>
[web | Pyramid %]
pyramid.view: view_config notfound_view_config forbidden_view_config exception_view_config
[web | Django Ninja %]
ninja.NinjaAPI(): <verbs> api_operation exception_handler
ninja.Router(): <verbs> api_operation
[web | Django REST framework %]
rest_framework.decorators: api_view action detail_route list_route
[web | Django view, %]
django.views.decorators.http: *
django.views.decorators.csrf: *
django.contrib.auth.decorators: login_required permission_required
[middleware | Django %]
django.utils.decorators: sync_and_async_middleware sync_only_middleware async_only_middleware
[consumer | Django signal receiver]
django.dispatch: receiver
[callback | Django template %]
django.template.Library(): filter simple_tag inclusion_tag tag simple_block_tag
[web | Django admin %]
django.contrib.admin: action
[callback | Django admin %]
django.contrib.admin: display
[callback | Django system check]
django.core.checks: register
[web | JSON-RPC %]
jsonrpcserver: method
[task | Celery task]
celery: shared_task
celery.Celery(): task
celery.decorators: task periodic_task
[startup | Celery %]
celery.signals.worker_init: connect
celery.signals.worker_process_init: connect
celery.signals.worker_ready: connect
celery.signals.beat_init: connect
celery.signals.celeryd_init: connect
celery.Celery().on_after_configure: connect
celery.Celery().on_after_finalize: connect
[shutdown | Celery %]
celery.signals.worker_shutdown: connect
celery.signals.worker_shutting_down: connect
celery.signals.worker_process_shutdown: connect
[consumer | signal %]
celery.signals: ** connect
django.db.models.signals: ** connect
django.core.signals: ** connect
django.contrib.auth.signals: ** connect
django.test.signals: ** connect
django.db.backends.signals: ** connect
flask: ** connect connect_via
[task | RQ job]
rq: job
rq.decorators: job
django_rq: job
[task | Dramatiq actor]
dramatiq: actor
[task | Huey %]
huey.Huey(): task periodic_task
huey.RedisHuey(): task periodic_task
huey.SqliteHuey(): task periodic_task
huey.FileHuey(): task periodic_task
huey.MemoryHuey(): task periodic_task
huey.contrib.djhuey: task periodic_task db_task db_periodic_task
[task | APScheduler %]
apscheduler.schedulers: ** scheduled_job
flask_apscheduler.APScheduler(): task
[task | schedule job]
schedule: ** repeat
[task | Airflow %]
airflow.decorators: ** -task_group
airflow.sdk: ** task dag asset virtualenv branch sensor
[task | Prefect %]
prefect: flow task
[task | Dagster %]
dagster: op asset job multi_asset sensor schedule
[task | Procrastinate task]
procrastinate.App(): task periodic
[task | TaskIQ task]
taskiq: ** task
taskiq.InMemoryBroker(): task
taskiq_redis.ListQueueBroker(): task
[task | Django task]
django.tasks: task
background_task: background
[task | Modal function]
modal.App(): function
[task | Cloud function]
functions_framework: http cloud_event
[web | Chalice %]
chalice.Chalice(): route authorizer
chalice.Blueprint(): route
[task | Chalice %]
chalice.Chalice(): lambda_function schedule on_s3_event on_sqs_message on_sns_message
[command | click %]
click: command group
click.Group(): command group result_callback
flask.cli: command with_appcontext
[command | typer %]
typer.Typer(): command callback default
[command | invoke task]
invoke: task
fabric: task
[command | nox session]
nox: session
[fixture | pytest fixture]
pytest: fixture yield_fixture
pytest_asyncio: fixture
[callback | pytest hook]
pytest: hookimpl
pluggy: HookimplMarker
[test | hypothesis %]
hypothesis: given
hypothesis.stateful: rule invariant
[context_manager | %]
contextlib: contextmanager asynccontextmanager
async_generator: asynccontextmanager
[shutdown | atexit]
atexit: register
[consumer | Faust %]
faust.App(): agent timer crontab
[consumer | FastStream %]
faststream.kafka: ** subscriber
faststream.rabbit: ** subscriber
faststream.nats: ** subscriber
faststream.redis: ** subscriber
faststream.confluent: ** subscriber
[consumer | Discord %]
discord.Client(): event
discord.Bot(): event command slash_command listen
discord.ext.commands.Bot(): event command listen hybrid_command group
discord.ext.commands: command hybrid_command group
discord.ext.commands.Cog: listener
discord.app_commands.CommandTree(): command
discord.app_commands: command
discord.ext.tasks: loop
[consumer | Slack %]
slack_bolt.App(): event message command action shortcut view options function
slack_bolt.async_app.AsyncApp(): event message command action shortcut view options function
[consumer | Telegram %]
telebot.TeleBot(): message_handler callback_query_handler inline_handler
telebot.async_telebot.AsyncTeleBot(): message_handler callback_query_handler
aiogram.Router(): message callback_query edited_message inline_query errors
aiogram.Dispatcher(): message callback_query message_handler callback_query_handler
pyrogram.Client(): on_message on_callback_query
telethon.TelegramClient(): on
[consumer | Socket.IO %]
socketio.Server(): event on
socketio.AsyncServer(): event on
socketio.Client(): event on
flask_socketio.SocketIO(): event on on_error
[consumer | gRPC %]
grpclib.server: handler
[consumer | event handler]
pymitter.EventEmitter(): on
pyee.EventEmitter(): on
pyee.base.EventEmitter(): on
[callback | SQLAlchemy %]
sqlalchemy.orm: validates reconstructor
[callback | pydantic %]
pydantic: field_validator model_validator field_serializer model_serializer validator root_validator
[web | NiceGUI %]
nicegui.ui: page
[callback | Dash %]
dash: callback
dash.Dash(): callback
[consumer | signal handler]
django.dispatch.Signal(): connect
blinker: ** connect connect_via
sqlalchemy.event: listens_for
pydispatch.dispatcher: receiver
"""
"""`[role | label]`, `%` in a label being the name."""

_BASE_LINES = """
[web | Django view]
django.views.View: <verbs> trace dispatch setup http_method_not_allowed
django.views.generic: ** <verbs> trace dispatch setup
django.contrib.auth.views: ** <verbs> dispatch
[callback | Django view %]
django.views.generic: ** get_queryset get_object get_context_data get_template_names get_form get_form_class
django.views.generic: ** get_form_kwargs form_valid
django.views.generic: ** form_invalid get_success_url get_initial get_redirect_url render_to_response get_paginate_by
django.views.generic: ** get_ordering
django.contrib.auth.views: ** get_context_data form_valid form_invalid get_success_url
django.contrib.auth.mixins: ** test_func handle_no_permission has_permission
[command | Django command]
django.core.management.BaseCommand: handle handle_label handle_app_config
[callback | Django command %]
django.core.management.BaseCommand: add_arguments
[startup | Django app]
django.apps.AppConfig: ready
django.apps.config.AppConfig: ready
[middleware | Django middleware]
django.utils.deprecation.MiddlewareMixin: __call__ process_request process_response process_view process_exception
django.utils.deprecation.MiddlewareMixin: process_template_response
[migration | Django migration]
django.db.migrations.Migration: *
django.db.migrations.migration.Migration: *
[model | Django model]
django.db.models.Model: *
[orm_query | Django query %]
django.db.models.Manager: * -__init__
django.db.models.QuerySet: * -__init__
django.db.models.Manager.from_queryset(): *
[callback | Django admin %]
django.contrib.admin.ModelAdmin: * -__init__
django.contrib.admin.options.ModelAdmin: * -__init__
django.contrib.admin.TabularInline: * -__init__
django.contrib.admin.StackedInline: * -__init__
django.contrib.admin.SimpleListFilter: * -__init__
django.contrib.auth.admin.UserAdmin: * -__init__
import_export.admin.ImportExportModelAdmin: * -__init__
[callback | Django form %]
django.forms: ** clean save is_valid
django.forms.Form: clean_*
django.forms.ModelForm: clean_*
django.contrib.auth.forms: ** clean save
[callback | Django field %]
django.db.models.fields.Field: to_python from_db_value get_prep_value get_db_prep_value deconstruct db_type
django.db.models.Field: to_python from_db_value get_prep_value get_db_prep_value deconstruct db_type
[callback | Django authentication backend %]
django.contrib.auth.backends: ** authenticate get_user has_perm
[callback | Django lookup %]
django.db.models.Lookup: as_sql
django.db.models.Transform: as_sql
django.db.models.Func: as_sql
[web | Django REST framework view]
rest_framework: ** <verbs> dispatch list create retrieve update partial_update destroy initial
[callback | Django REST framework %]
rest_framework: ** get_queryset get_object get_serializer_class get_serializer_context get_permissions perform_create
rest_framework: ** perform_update
rest_framework: ** perform_destroy has_permission has_object_permission filter_queryset authenticate allow_request
rest_framework: ** paginate_queryset
rest_framework.serializers: ** validate to_representation to_internal_value create update
rest_framework.serializers.Serializer: validate_* get_*
rest_framework.serializers.ModelSerializer: validate_* get_*
[web | Flask view]
flask.MethodView: <verbs> dispatch_request
flask.View: dispatch_request
flask.views.MethodView: <verbs> dispatch_request
flask.views.View: dispatch_request
flask_restful.Resource: <verbs>
flask_restx.Resource: <verbs>
flask_classful.FlaskView: * -__init__
[web | Tornado handler]
tornado.web: ** <verbs>
[middleware | Tornado %]
tornado.web: ** initialize prepare on_finish write_error set_default_headers get_current_user
[consumer | Tornado %]
tornado.websocket.WebSocketHandler: open on_message on_close on_ping on_pong
[web | Tornado handler]
tornado.websocket.WebSocketHandler: <verbs>
[web | Starlette endpoint]
starlette.endpoints.HTTPEndpoint: <verbs> dispatch
[consumer | Starlette %]
starlette.endpoints.WebSocketEndpoint: on_connect on_receive on_disconnect
[middleware | Starlette middleware]
starlette.middleware.base.BaseHTTPMiddleware: dispatch __call__
fastapi.middleware.base.BaseHTTPMiddleware: dispatch
[callback | Starlette %]
starlette.authentication.AuthenticationBackend: authenticate
fastapi.security: ** __call__
[web | aiohttp view]
aiohttp.web.View: <verbs>
[web | Sanic view]
sanic.views.HTTPMethodView: <verbs>
[middleware | ASGI middleware]
litestar.middleware: ** __call__ handle
[web | Channels consumer]
channels.generic.http.AsyncHttpConsumer: handle
[consumer | Channels consumer]
channels: ** connect disconnect receive receive_json websocket_connect websocket_receive websocket_disconnect dispatch
channels: ** handle
channels.generic.websocket.WebsocketConsumer: chat_* on_* notify_*
[web | HTTP handler]
http.server.BaseHTTPRequestHandler: do_*
http.server.SimpleHTTPRequestHandler: do_*
http.server.CGIHTTPRequestHandler: do_*
[callback | HTTP handler %]
http.server.BaseHTTPRequestHandler: log_message log_request log_error
http.server.SimpleHTTPRequestHandler: log_message log_request log_error end_headers translate_path
[consumer | socket server handler]
socketserver.BaseRequestHandler: handle
socketserver.StreamRequestHandler: handle
socketserver.DatagramRequestHandler: handle
aiosmtpd.handlers: ** handle_DATA handle_RCPT
[callback | socket server %]
socketserver.BaseRequestHandler: setup finish
socketserver.StreamRequestHandler: setup finish
[consumer | asyncio protocol]
asyncio.Protocol: connection_made data_received eof_received connection_lost datagram_received error_received
asyncio.Protocol: buffer_updated get_buffer
asyncio.Protocol: pause_writing resume_writing pipe_data_received process_exited
twisted.internet.protocol: ** dataReceived connectionMade connectionLost lineReceived datagramReceived
twisted.protocols.basic: ** lineReceived dataReceived connectionMade connectionLost
[web | Twisted resource]
twisted.web.resource.Resource: render_*
[web | gRPC method]
grpc.GenericRpcHandler: service
[middleware | gRPC interceptor]
grpc.ServerInterceptor: intercept_service
grpc.aio.ServerInterceptor: intercept_service
[task | Celery task]
celery.Task: run __call__
[callback | Celery %]
celery.Task: on_failure on_success on_retry after_return before_start
[task | Airflow operator]
airflow.models.BaseOperator: execute
airflow.models.baseoperator.BaseOperator: execute
airflow.sdk.BaseOperator: execute
airflow.sensors.base.BaseSensorOperator: poke
airflow.sdk.bases.operator.BaseOperator: execute
[task | Luigi task]
luigi.Task: run
luigi.ExternalTask: run
[callback | Luigi %]
luigi.Task: output requires complete
[consumer | Dramatiq middleware]
dramatiq.Middleware: before_* after_*
dramatiq.middleware.Middleware: before_* after_*
[thread | thread]
threading.Thread: run
threading.Timer: run
[thread | process]
multiprocessing.Process: run
[thread | Qt thread]
PyQt5.QtCore.QThread: run
PyQt6.QtCore.QThread: run
PySide6.QtCore.QThread: run
[test | test method]
unittest.TestCase: test*
[fixture | test %]
unittest.TestCase: setUp tearDown setUpClass tearDownClass asyncSetUp asyncTearDown setUpTestData setUpModule get_app
unittest.TestCase: create_app
[model | SQLAlchemy model]
sqlalchemy.orm.DeclarativeBase: *
[model | peewee model]
peewee.Model: *
[model | Tortoise model]
tortoise.models.Model: *
[model | MongoEngine document]
mongoengine.Document: *
mongoengine.EmbeddedDocument: *
[model | Beanie document]
beanie.Document: *
[model | Pony entity]
pony.orm.Database().Entity: *
[callback | logging %]
logging.Handler: emit handle flush close
logging.StreamHandler: emit
logging.Formatter: format formatTime formatException
logging.Filter: filter
logging.LoggerAdapter: process
[callback | argparse action]
argparse.Action: __call__
[command | cmd command]
cmd.Cmd: do_*
cmd2.Cmd: do_*
[callback | cmd %]
cmd.Cmd: default precmd postcmd emptyline preloop postloop complete_* help_*
[command | cliff command]
cliff.command.Command: take_action
cliff.lister.Lister: take_action
[command | setuptools command]
setuptools.Command: run
distutils.cmd.Command: run
setuptools.command.build_ext.build_ext: run
setuptools.command.build_py.build_py: run
[callback | click %]
click.ParamType: convert
click.Group: get_command list_commands invoke
click.MultiCommand: get_command list_commands invoke
[callback | HTML parser %]
html.parser.HTMLParser: handle_*
xml.sax.ContentHandler: startElement endElement characters startDocument endDocument
xml.sax.handler.ContentHandler: startElement endElement characters startDocument endDocument
[callback | JSON encoder]
json.JSONEncoder: default encode
json.encoder.JSONEncoder: default encode
flask.json.provider.DefaultJSONProvider: dumps loads default
django.core.serializers.json.DjangoJSONEncoder: default
[callback | AST visitor]
ast.NodeVisitor: visit_* generic_visit
ast.NodeTransformer: visit_* generic_visit
libcst.CSTVisitor: visit_* leave_*
libcst.CSTTransformer: visit_* leave_*
lark.Transformer: *
lark.Visitor: *
[consumer | Scrapy spider]
scrapy: ** parse parse_* start_requests start
[callback | Scrapy %]
scrapy: ** process_item open_spider close_spider process_request process_response
[consumer | watchdog handler]
watchdog.events.FileSystemEventHandler: on_*
watchdog.events.PatternMatchingEventHandler: on_*
[consumer | Discord %]
discord.Client: on_*
discord.ext.commands.Bot: on_* setup_hook
discord.ext.commands.Cog: cog_load cog_unload
[consumer | Textual %]
textual.app.App: on_* action_* compose
textual.screen.Screen: on_* action_* compose
textual.widget.Widget: on_* compose render
[callback | torch %]
torch.nn.Module: forward
torch.utils.data.Dataset: __getitem__ __len__
pytorch_lightning.LightningModule: forward training_step validation_step configure_optimizers
tensorflow.keras.layers.Layer: call build
tensorflow.keras.Model: call
keras.Model: call
[callback | import hook]
importlib.abc.MetaPathFinder: find_spec
importlib.abc.Loader: create_module exec_module
[callback | Ansible %]
ansible.plugins: ** run
[startup | gunicorn application]
gunicorn.app.base.BaseApplication: load load_config
"""
"""`[role | label]`, `base: methods`."""

_REGISTRATION_LINES = """
[web | Django URL $ | 1 view]
django.urls: path re_path url
[web | Flask route $ | 2 view_func]
flask.Flask(): add_url_rule
flask.Blueprint(): add_url_rule
?: add_url_rule
[web | Flask errorhandler | 1 f]
flask.Flask(): register_error_handler
flask.Blueprint(): register_error_handler
?: register_error_handler
[middleware | Flask % | 0 f]
?: before_request after_request teardown_request teardown_appcontext
flask.Flask(): before_request after_request teardown_request teardown_appcontext
flask.Blueprint(): before_request after_request teardown_request before_app_request after_app_request
[callback | Flask % | 0 f]
flask.Flask(): context_processor add_template_filter add_template_global add_template_test
[command | Flask CLI command | 0 cmd]
flask.Flask().cli: add_command
[web | FastAPI % $ | 1 endpoint]
fastapi.FastAPI(): add_api_route add_api_websocket_route add_route add_websocket_route
fastapi.APIRouter(): add_api_route add_api_websocket_route add_route add_websocket_route
?: add_api_route
[web | FastAPI exception handler | 1 handler]
fastapi.FastAPI(): add_exception_handler
starlette.Starlette(): add_exception_handler
[event | FastAPI % $ | 1 func]
fastapi.FastAPI(): add_event_handler
fastapi.APIRouter(): add_event_handler
starlette.Starlette(): add_event_handler
[startup | lifespan | lifespan]
fastapi: FastAPI APIRouter
starlette: Starlette
[startup | start-up | on_startup]
fastapi: FastAPI APIRouter
starlette: Starlette
starlette.routing: Router
litestar: Litestar
[shutdown | shutdown | on_shutdown]
fastapi: FastAPI APIRouter
starlette: Starlette
starlette.routing: Router
litestar: Litestar
[middleware | aiohttp middleware | middlewares]
aiohttp.web: Application
[middleware | % dispatch | dispatch]
starlette.middleware: Middleware
fastapi.FastAPI(): add_middleware
starlette.Starlette(): add_middleware
[callback | FastAPI dependency | 0 dependency]
fastapi: Depends Security
fastapi.params: Depends
[task | background task | 0 func]
fastapi.BackgroundTasks(): add_task
starlette.background.BackgroundTasks(): add_task
starlette.background: BackgroundTask
[web | Starlette route $ | 1 endpoint]
starlette.routing: Route WebSocketRoute
starlette.Starlette(): add_route add_websocket_route
starlette.routing.Router(): add_route add_websocket_route
[web | aiohttp % $ | 1 handler]
aiohttp.web.Application().router: add_get add_post add_put add_delete add_patch add_head add_options add_view
aiohttp.web: get post put delete patch head options view
[web | aiohttp route | 2 handler]
aiohttp.web.Application().router: add_route
aiohttp.web: route
[startup | aiohttp startup | 0]
aiohttp.web.Application().on_startup: append
aiohttp.web.Application().cleanup_ctx: append
[shutdown | aiohttp shutdown | 0]
aiohttp.web.Application().on_shutdown: append
aiohttp.web.Application().on_cleanup: append
[middleware | aiohttp middleware | 0]
aiohttp.web.Application().middlewares: append
[web | Sanic route | 0 handler]
sanic.Sanic(): add_route
sanic.Blueprint(): add_route
[web | Bottle route $ | 1 callback]
bottle.Bottle(): route get post put delete
bottle: route
[web | Pyramid view | 0 view]
pyramid.config.Configurator(): add_view
[web | CherryPy dispatch | 2]
cherrypy.dispatch.RoutesDispatcher(): connect
[web | WSGI application | 2 app application]
wsgiref.simple_server: make_server
werkzeug.serving: run_simple
[web | WSGI application | 0 app]
waitress: serve
[web | ASGI application | 0 app]
uvicorn: run Config
[consumer | stream server | 0 client_connected_cb]
asyncio: start_server start_unix_server
[consumer | stream server | 0 handler]
anyio.create_tcp_listener(): serve
trio: serve_tcp
websockets: serve
websockets.server: serve
websockets.asyncio.server: serve
[consumer | protocol | 0 protocol_factory]
asyncio.AbstractEventLoop(): create_server create_connection create_datagram_endpoint
[consumer | signal handler | 1 handler]
signal: signal
[consumer | signal handler | 1 callback]
asyncio.AbstractEventLoop(): add_signal_handler
[consumer | signal % | 0 receiver]
django.db.models.signals: ** connect
django.core.signals: ** connect
django.contrib.auth.signals: ** connect
flask: ** connect
celery.signals: ** connect
[consumer | signal handler | 0 receiver]
django.dispatch.Signal(): connect
blinker: ** connect
[startup | Celery % | 0 fun receiver]
celery.signals.worker_init: connect
celery.signals.worker_process_init: connect
celery.signals.worker_ready: connect
celery.Celery().on_after_configure: connect
[shutdown | Celery % | 0 fun receiver]
celery.signals.worker_shutdown: connect
celery.signals.worker_process_shutdown: connect
[consumer | SQLAlchemy event | 2 fn]
sqlalchemy.event: listen
[consumer | message callback | on_message_callback 1]
pika.BlockingConnection().channel(): basic_consume
pika.channel.Channel(): basic_consume
[consumer | message callback | 0 callback]
aio_pika.abc.AbstractQueue(): consume
aio_pika.connect_robust().channel().declare_queue(): consume
[consumer | message callback | cb callback]
nats.connect(): subscribe
nats.aio.client.Client(): subscribe
google.cloud.pubsub_v1.SubscriberClient(): subscribe
[consumer | message callback | callbacks]
kombu: Consumer
[consumer | Socket.IO event $ | 1 handler]
socketio.Server(): on
socketio.AsyncServer(): on
flask_socketio.SocketIO(): on_event
[thread | thread | target 1]
threading: Thread
[thread | timer | 1 function]
threading: Timer
[thread | process | target 1]
multiprocessing: Process
[thread | thread | 0]
_thread: start_new_thread
[thread | in a thread pool | 0 fn func]
concurrent.futures.ThreadPoolExecutor(): submit map
concurrent.futures.Executor(): submit map
asyncio: to_thread
anyio.to_thread: run_sync
trio.to_thread: run_sync
starlette.concurrency: run_in_threadpool
fastapi.concurrency: run_in_threadpool
gevent: spawn
eventlet: spawn
[thread | in a process pool | 0 fn func]
concurrent.futures.ProcessPoolExecutor(): submit map
multiprocessing.Pool(): apply apply_async map map_async imap imap_unordered starmap starmap_async
anyio.to_process: run_sync
joblib: delayed
[thread | pool initializer | initializer]
concurrent.futures: ThreadPoolExecutor ProcessPoolExecutor
multiprocessing: Pool
[thread | in an executor | 1 func]
asyncio.AbstractEventLoop(): run_in_executor
?: run_in_executor
[callback | event loop callback | 0 callback]
asyncio.AbstractEventLoop(): call_soon call_soon_threadsafe set_exception_handler
tornado.ioloop.IOLoop.current(): add_callback spawn_callback
tornado.ioloop.IOLoop.instance(): add_callback
tornado.ioloop: PeriodicCallback
[callback | event loop callback | 1 callback]
asyncio.AbstractEventLoop(): call_later call_at add_reader add_writer
tornado.ioloop.IOLoop.current(): call_later add_timeout
[callback | future callback | 0 fn]
concurrent.futures.Future(): add_done_callback
asyncio.create_task(): add_done_callback
asyncio.Future(): add_done_callback
asyncio.Task(): add_done_callback
?: add_done_callback
[shutdown | atexit | 0 func]
atexit: register
[callback | exit stack | 0]
contextlib.ExitStack(): callback
contextlib.AsyncExitStack(): push_async_callback callback
[callback | finalizer | 1]
weakref: finalize
[command | argparse subcommand | func function handler command run callback cmd]
argparse.ArgumentParser(): set_defaults
argparse: ** set_defaults
?: set_defaults
[callback | argparse % | type action]
argparse.ArgumentParser(): add_argument
[command | click command | 0 cmd]
click.Group(): add_command
[command | typer command | 0]
typer: run
[command | Fire command | 0 component]
fire: Fire
[callback | click % | callback]
click: option argument
typer: Option Argument
[task | scheduled job | 0 func]
apscheduler.schedulers: ** add_job
[task | scheduled job | 2 action]
sched.scheduler(): enter enterabs
[task | scheduled job | 0 job_func]
schedule: ** do
[task | RQ job | 0 f func]
rq.Queue(): enqueue enqueue_call enqueue_in enqueue_at
django_rq: enqueue
[task | RQ job | 1 f func]
rq.Queue(): enqueue_in enqueue_at
[task | Celery task | 0]
celery.Celery(): task register_task
[task | arq function | 0 coroutine]
arq: func cron
arq.worker: func
arq.cron: cron
[task | Airflow task | python_callable]
airflow.operators.python: PythonOperator BranchPythonOperator ShortCircuitOperator PythonVirtualenvOperator
airflow.providers.standard.operators.python: PythonOperator BranchPythonOperator ShortCircuitOperator
[task | Django Q task | 0 func]
django_q.tasks: async_task schedule
[task | after commit | 0 func]
django.db.transaction: on_commit
[migration | Django data migration | 0 1 code reverse_code]
django.db.migrations: RunPython
[callback | GUI callback | command]
tkinter: ** Button Checkbutton Radiobutton Menu Scale Spinbox
tkinter: ** add_command add_checkbutton add_radiobutton configure config
[callback | GUI callback | 1 func]
tkinter: ** bind after protocol bind_all
[callback | GUI callback | 0]
PyQt5: ** connect
PyQt6: ** connect
PySide2: ** connect
PySide6: ** connect
[callback | trace function | 0 func]
sys: settrace setprofile
threading: settrace setprofile
[callback | hook | 0 func]
sys: addaudithook
[consumer | Slack listener $ | 1]
slack_bolt.App(): event message command
[consumer | Telegram handler | 1 callback]
telegram.ext: CommandHandler MessageHandler
[consumer | Telegram handler | 0 callback]
telegram.ext: CallbackQueryHandler
[main | asyncio main | 0]
trio: run
anyio: run
curses: wrapper
absl.app: run
"""
"""`[role | label | places]`, a place being an index or a keyword; `$` in a label is the text, which elsewhere says nothing."""


def _drivers() -> str:
    return "".join(
        f"db-api.Connection() = {driver}: connect() Connection() connection()\n"
        f"db-api.Cursor() = {driver}: Cursor() cursor() DictCursor()\n"
        for driver in _DRIVERS.split()
    )


def _read_io() -> _Table[str]:
    table: _Table[str] = _Table()
    for (kind, *_), line in _sections(_IO_LINES):
        table.add(line, "" if kind == "none" else kind)
    for driver in _DRIVERS.split():
        table.add(f"{driver}: connect", "database")
    return table


def _read_work() -> _Table[float]:
    table: _Table[float] = _Table()
    for (ns, *_), line in _sections(_WORK_LINES):
        table.add(line, float(ns))
    return table


def _read_roles(text: str) -> _Table[tuple[str, str]]:
    table: _Table[tuple[str, str]] = _Table()
    for (kind, label), line in _sections(text):
        table.add(line, (kind, label))
    return table


def _read_registrations() -> dict[int | str, _Table[tuple[str, str]]]:
    """By place: one call may take several functions, each for something else."""
    tables: dict[int | str, _Table[tuple[str, str]]] = {}
    for (kind, label, places), line in _sections(_REGISTRATION_LINES):
        for word in places.split():
            place = int(word) if word.isdigit() else word
            tables.setdefault(place, _Table()).add(line, (kind, label))
    return tables


_SAME = _read_same(_SAME_LINES.strip() + "\n" + _drivers())
_BEGINNINGS = _read_beginnings(_SAME)
_IO = _read_io()
_WORK = _read_work()
_DECORATORS = _read_roles(_DECORATOR_LINES)
_BASES = _read_roles(_BASE_LINES)
_REGISTRATIONS = _read_registrations()
