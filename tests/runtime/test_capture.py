"""Captured arguments and results: bounded text, made without calling anything of the program's, secrets never."""

from __future__ import annotations

import asyncio
import enum
import gc
import sys
import textwrap
import weakref
from types import ModuleType

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autoscope.plan.resolve import resolve_mapping
from autoscope.runtime import capture, sites
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver
from program_kit import run

PATHS = ("bytecode", "ast") if weaver.BYTECODE else ("ast",)
LONGEST = capture.MOST_CHARACTERS + 32
"""With the "(12345 characters)" behind what was cut."""


def program(source, path=PATHS[0], **plan):
    """A program woven in this process; `full_trace` captures everything."""
    settled = resolve_mapping({"strategy": "full_trace", "include": ["program"]} | plan, environ={})
    weaver = Weaver(settled)
    weaver.path = path
    module = ModuleType("program")
    source = textwrap.dedent(source)
    code = weaver.module_code(compile(source, "<program>", "exec", dont_inherit=True), "program", lambda: source)
    exec(code, module.__dict__)
    sites.records.clear()
    return module


@pytest.fixture(params=PATHS)
def weave(request):
    """The same by each path."""
    return lambda source, **plan: program(source, request.param, **plan)


def captured():
    """What the call that ended last told: {name: value} of its arguments, and `return`; forgets all calls."""
    attributes = sites.recorded()[-1][6].attributes
    sites.records.clear()
    return {key.removeprefix("autoscope.").removeprefix("arg."): value for key, value in attributes.items()}


def through(value):
    """What a woven function tells of a value it is given and returns."""
    module = program("def function(value): return value")
    assert module.function(value) is value
    seen = captured()
    site = sites.sites[-1]
    assert site.armed, "the site was switched off"
    assert repr(seen["value"]) == repr(seen["return"]), "not the same twice"
    return seen["value"]


# -- values of the built-in types


def nested():
    texts = st.text(st.characters(), max_size=30) | st.text(st.sampled_from("a\0\n'\"\\\udc80\U0001f40d"), max_size=600)
    numbers = st.integers() | st.integers(min_value=-(10**700), max_value=10**700) | st.floats() | st.complex_numbers()
    bound = st.none() | st.integers()
    parts = st.builds(slice, bound, bound, bound) | st.builds(range, st.integers(-9, 9), st.integers(-9, 10**30))
    hashable = st.none() | st.booleans() | numbers | texts | st.binary(max_size=100)
    keys = hashable | st.tuples(hashable, hashable) | st.frozensets(hashable, max_size=3)
    return st.recursive(
        hashable | parts | st.builds(bytearray, st.binary(max_size=100)),
        lambda inner: (
            st.lists(inner, max_size=12)
            | st.lists(inner, max_size=12).map(tuple)
            | st.dictionaries(keys, inner, max_size=12)
            | st.sets(hashable, max_size=12)
            | st.frozensets(hashable, max_size=12)
        ),
        max_leaves=60,
    )


@settings(max_examples=80, deadline=None)
@given(nested())
def test_any_value_of_the_built_in_types(value):
    """Whatever is in it: no exception, the same text twice, so long and no longer, and the value is what it was."""
    before = repr(value)
    shown = through(value)
    assert repr(value) == before
    if type(value) in (bool, float) or (type(value) is int and -(1 << 63) <= value < 1 << 63):
        assert shown is value or repr(shown) == repr(value)
    else:
        assert type(shown) is str
        assert len(shown) <= LONGEST


@settings(max_examples=60, deadline=None)
@given(nested().filter(lambda value: type(value) in (list, tuple, dict, set, frozenset, bytes, slice, range)))
def test_a_small_value_is_shown_as_python_shows_it(value):
    """Where nothing had to be cut, the text is `repr`'s; but a `bytearray` looks like `bytes`, which escapes otherwise."""
    expected = repr(value)
    assume("bytearray(" not in expected)
    shown = through(value)
    if len(expected) < capture.MOST_CHARACTERS and not any(mark in shown for mark in ("…", "<", capture.REDACTED)):
        assert shown == expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, str(2**63)),
        (True, True),
        (1.5, 1.5),
        (None, "None"),
        ("text", "text"),
        ("", ""),
        ([], "[]"),
        ((), "()"),
        (set(), "set()"),
        (frozenset(), "frozenset()"),
        ({}, "{}"),
        ((1,), "(1,)"),
        ({1}, "{1}"),
        (frozenset({1}), "frozenset({1})"),
        ({"a": [1, (2, b"c")]}, "{'a': [1, (2, b'c')]}"),
        (b"\x00\xff", r"b'\x00\xff'"),
        (bytearray(b"abc"), "b'abc'"),
        (range(3), "range(0, 3)"),
        (slice(1, None), "slice(1, None, None)"),
        (2j, "2j"),
        ([True, 2.0], "[True, 2.0]"),
        # Too much of it: items, depth, characters.
        (list(range(9)), "[0, 1, 2, 3, 4, 5, 6, 7, … (9 items)]"),
        (dict.fromkeys(range(9)), "{" + "".join(f"{n}: None, " for n in range(8)) + "… (9 items)}"),
        ([[[[1, 2]]]], "[[[<list of 2>]]]"),
        ([[[[]]]], "[[[[]]]]"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': <dict of 1>}}}"),
        ({(1, 2): 3}, "{<tuple of 2>: 3}"),
        ("x" * 257, "x" * 255 + "… (257 characters)"),
        ("x" * 10**7, "x" * 255 + "… (10000000 characters)"),
        (b"x" * 65, "b'" + "x" * 64 + "'… (65 bytes)"),
        (bytearray(10**7), "b'" + "\\x00" * 63 + "…"),
        (["x" * 1000], "['" + "x" * 253 + "…"),
        # Numbers Python itself refuses to write.
        (10**5000, f"<int of {(10**5000).bit_length()} bits>"),
        (-(10**5000), f"<int of {(10**5000).bit_length()} bits>"),
        ([10**5000], f"[<int of {(10**5000).bit_length()} bits>]"),
        (range(10**5000), "<range>"),
        ([slice(10**5000)], "[<slice>]"),
        (slice([]), "<slice>"),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_values(value, shown):
    """The text of each kind of value, and how it is cut."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        seen = through(value)
    finally:
        sys.set_int_max_str_digits(digits)
    if type(value) is bytearray and len(value) > 64:
        assert seen.startswith("b'\\x00")
        assert len(seen) <= LONGEST
    else:
        assert (type(seen), seen) == (type(shown), shown)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0])
def test_numbers_that_are_odd(value):
    """Stay numbers."""
    assert repr(through(value)) == repr(value)


def test_values_inside_themselves():
    """A container that holds itself ends where every other does."""
    value = [1]
    value.append(value)
    table = {}
    table["self"] = table
    assert through(value) == "[1, [1, [1, <list of 2>]]]"
    assert through(table) == "{'self': {'self': {'self': <dict of 1>}}}"


def test_wide_and_deep_together():
    """Eight of eight of eight long texts: still one line."""
    value = [[["y" * 300] * 50] * 50] * 50
    assert len(through(value)) <= LONGEST
    assert len(through({f"key {n}": value for n in range(50)})) <= LONGEST


# -- nothing of the program's is called


SPECIAL = """
    repr str len iter next bool hash eq ne lt le gt ge format index int float complex bytes getitem contains call dir sizeof
    reduce reduce_ex length_hint reversed missing add radd mul neg abs round trunc fspath get set_name enter exit getattr
    getattribute instancecheck subclasscheck subclasses copy deepcopy getstate buffer await aiter anext
""".split()
called = []


def hostile(base, metaclass=type, **more):
    """A class on `base` of which every method and property notes that it was called, and fails."""

    def refuse(name):
        def method(*arguments, **keywords):
            called.append(name)
            raise RuntimeError(f"{name} was called")

        return method

    names = [f"__{name}__" for name in SPECIAL]
    names += [name for name in vars(base) if name[0] != "_"] if base is not object else []
    space = {name: refuse(name) for name in names}
    space["__class__"] = property(refuse("__class__"))
    if base is object:
        space["__dict__"] = property(refuse("__dict__"))
        space["__slots__"] = ()
    return metaclass(f"Hostile{base.__name__.title()}", (base,), space | more)


class Meta(type):
    """Answers for its classes, or rather does not."""

    def __getattribute__(cls, name):
        called.append(f"metaclass {name}")
        raise RuntimeError(name)

    def __hash__(cls):
        called.append("metaclass hash")
        raise RuntimeError

    def __eq__(cls, other):
        called.append("metaclass ==")
        raise RuntimeError

    def __instancecheck__(cls, other):
        called.append("metaclass isinstance")
        raise RuntimeError

    def __repr__(cls):
        called.append("metaclass repr")
        raise RuntimeError


MADE = {
    object: (),
    dict: ({"password": "hunter2"},),
    list: (["hunter2"],),
    tuple: ((1, 2),),
    set: ({1},),
    frozenset: ({1},),
    str: ("hunter2",),
    bytes: (b"hunter2",),
    bytearray: (b"hunter2",),
    int: (5,),
    float: (5.0,),
    complex: (5j,),
}


@pytest.mark.parametrize("metaclass", [type, Meta], ids=["plain class", "hostile metaclass"])
@pytest.mark.parametrize("base", MADE, ids=lambda base: base.__name__)
def test_hostile_objects(base, metaclass):
    """Not one method of theirs is called, whatever they derive from; only their type is told."""
    kind = hostile(base, metaclass)
    if base in (dict, list, set, bytearray):
        value = base.__new__(kind)
        base.__init__(value, *MADE[base])
    else:
        value = base.__new__(kind, *MADE[base])
    module = program("""
        def function(value): return value
        def inside(first, *rest, **named): return [first]
        def keep(table): return table
    """)
    called.clear()
    module.function(value)
    shown = f"<{__name__}.Hostile{base.__name__.title()}>"
    assert captured() == {"value": shown, "return": shown}
    module.inside([value], (value,), {"key": value}, name=value)
    seen = captured()
    assert seen["first"] == f"[{shown}]"
    assert seen["rest"] == f"(({shown},), {{'key': {shown}}})"
    assert seen["named"] == f"{{'name': {shown}}}"
    assert called == []
    assert all(site.armed for site in sites.sites)


def test_a_class_of_a_hostile_metaclass():
    """A class as an argument: `cls` of a class method, for one."""
    value = Meta("Name", (), {})
    called.clear()
    assert through(value) == f"<{__name__}.Meta>"
    assert through([value]) == f"[<{__name__}.Meta>]"
    assert called == []


def test_hostile_keys():
    """Keys that answer for `==` and `hash` themselves."""

    class Key(str):
        quiet = True

        def __hash__(self):
            if not Key.quiet:
                called.append("hash")
            return 1

        def __eq__(self, other):
            if not Key.quiet:
                called.append("==")
            return self is other

    table = {Key("a"): 1, Key("b"): {Key("c"): 2}}
    members = {Key("d"), Key("e")}
    called.clear()
    Key.quiet = False
    try:
        through(table)
        through(members)
    finally:
        Key.quiet = True
    assert called == []


def test_hostile_names():
    """A class whose module and name are objects of the program's own."""

    class Text(str):
        def __eq__(self, other):
            called.append("==")
            return NotImplemented

        __hash__ = str.__hash__

        def __format__(self, spec):
            called.append("format")
            return "hunter2"

        def __getitem__(self, key):
            called.append("[]")
            return "hunter2"

    odd = type("x", (), {"__module__": Text("odd"), "__qualname__": Text("Odd")})
    long = type("x", (), {"__module__": "m" * 10**6, "__qualname__": "Q" * 10**6})
    space = {"__builtins__": {"type": type}}
    exec("nowhere = type('Nowhere', (), {})()", space)
    called.clear()
    assert through(odd()) == "<Odd>"
    assert len(through(long())) <= LONGEST
    assert through([long()] * 20).startswith("[<mmm")
    assert through(space["nowhere"]) == "<Nowhere>"
    assert called == []


class Lazy:
    """As Django's: it becomes its value when it is first looked at."""

    def __init__(self):
        self.__dict__["made"] = False

    def __getattr__(self, name):
        self.__dict__["made"] = True
        return 5

    def __str__(self):
        self.__dict__["made"] = True
        return "5"

    __repr__ = __str__

    def __iter__(self):
        self.__dict__["made"] = True
        return iter(())

    def __len__(self):
        self.__dict__["made"] = True
        return 0


def test_what_is_lazy_stays_so():
    """Iterators, generators, coroutines and lazy objects have all they had."""

    async def wait():
        return 5

    def lazies():
        yield (number for number in range(3)), list, [0, 1, 2]
        yield iter([1, 2]), list, [1, 2]
        yield map(str, [1, 2]), list, ["1", "2"]
        yield filter(None, [0, 2]), list, [2]
        yield zip("ab", "cd"), list, [("a", "c"), ("b", "d")]
        yield enumerate("a"), list, [(0, "a")]
        yield reversed([1, 2]), list, [2, 1]
        yield {"a": 1}.items(), list, [("a", 1)]
        yield wait(), asyncio.run, 5
        yield Lazy(), lambda lazy: lazy.__dict__["made"], False
        yield memoryview(b"ab"), bytes, b"ab"

    for value, use, expected in lazies():
        shown = through([value])
        assert shown.startswith("[<"), shown
        through(value)
        assert use(value) == expected


# -- whose values, and when


def test_arguments_by_name(weave):
    """Every kind of parameter, defaults applied; keywords that have a parameter's name stay apart."""
    module = weave("""
        class Cart:
            def add(self, sku, quantity=1, /, *notes, gift=False, **more): return self
            @classmethod
            def make(cls, size=2): return None
            @staticmethod
            def check(value): return value
        def function(only, /, both, *, named, other="default"): return None
        def several(*, a=1, **only): return None
        def nothing(): return 5
        def closure(value, default=2):
            def inner(): return value, default
            return inner()
    """)
    cart = module.Cart()
    cart.add("a", gift=True, sku="b", self="c")
    assert captured() == {
        "self": "<program.Cart>",
        "sku": "a",
        "quantity": 1,
        "notes": "()",
        "gift": True,
        "more": "{'sku': 'b', 'self': 'c'}",
        "return": "<program.Cart>",
    }
    cart.add("a", 2, "x", 3)
    assert captured()["notes"] == "('x', 3)"
    module.Cart.make()
    assert captured() == {"cls": "<type>", "size": 2, "return": "None"}
    cart.check(5)
    assert captured() == {"value": 5, "return": 5}
    module.function(1, 2, named=3)
    assert captured() == {"only": 1, "both": 2, "named": 3, "other": "default", "return": "None"}
    module.several(b=2)
    assert captured() == {"a": 1, "only": "{'b': 2}", "return": "None"}
    module.nothing()
    assert captured() == {"return": 5}
    module.closure([1])
    assert captured() == {"value": "[1]", "default": 2, "return": "([1], 2)"}


def test_only_the_arguments_the_plan_names(weave):
    """`args: [sku, quantity]`, in signature order; names the function does not have are nobody's."""
    source = "def add(self, sku, quantity, note): return note"
    module = weave(source, capture={"args": ["quantity", "sku", "missing"], "return": False})
    module.add(1, 2, 3, 4)
    assert list(captured().items()) == [("sku", 2), ("quantity", 3)]


@pytest.mark.parametrize("ending", ["return items", "raise ValueError"])
def test_values_as_they_were_at_the_call(weave, ending):
    """What the function does to them afterwards changes nothing of what is told; a result is as it is returned."""
    module = weave(f"""
        def change(items, table, name):
            items.append(2)
            table.clear()
            name = "other"
            del table
            {ending}
    """)
    try:
        module.change([1], {"a": 1}, "name")
    except ValueError:
        pass
    seen = captured()
    assert (seen["items"], seen["table"], seen["name"]) == ("[1]", "{'a': 1}", "name")
    assert seen.get("return") == ("[1, 2]" if "return" in ending else None)


def test_generators_and_coroutines(weave):
    """Their arguments too; a coroutine's result is told, a generator's is nobody's."""
    module = weave("""
        import asyncio
        def count(stop):
            yield from range(stop)
            return "hidden"
        def steps(stop):
            yield stop
            return "hidden"
        async def work(value):
            await asyncio.sleep(0)
            return value + 1
        async def produce(value): yield value
        async def consume():
            return [item async for item in produce(3)]
    """)
    assert list(module.steps(1)) == [1]
    seen = captured()
    assert seen["stop"] == 1
    assert "return" not in seen
    asyncio.run(module.work(1))
    seen = captured()
    assert (seen["value"], seen["return"]) == (1, 2)
    asyncio.run(module.consume())
    produced = next(record for record in sites.recorded() if record[0].qualname == "produce")
    assert produced[6].attributes["autoscope.arg.value"] == 3
    assert captured()["return"] == "[3]"


# -- secrets

SECRET = "hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "Password", "user_password", "passwordHash", "pass_word", "PassWord", "passwd", "pwd", "db_pwd",
        "token", "access_token", "accessToken", "csrf_token", "tokens", "secret", "client_secret", "SECRET_KEY", "authorization",
        "Authorization", "proxy_authorization", "cookie", "cookies", "set_cookie", "api_key", "apikey", "apiKey", "API_KEY", "x_api_key",
        "private_key", "privateKey", "credential", "credentials", "session", "session_id", "_session",
    ],
)  # fmt: skip
def test_secret_names(name):
    """A parameter of this name, a keyword, a key at any depth, with `-` for `_` too: hidden; what stands beside it is not."""
    module = program(f"""
        def parameter({name}, plain): return None
        def keywords(**more): return None
        def nested(table): return None
    """)
    module.parameter(SECRET, "shown")
    assert captured() == {name: capture.REDACTED, "plain": "shown", "return": "None"}
    module.keywords(**{name: SECRET, "plain": "shown"})
    assert captured()["more"] == f"{{'{name}': [redacted], 'plain': 'shown'}}"
    dashed = name.replace("_", "-")
    module.nested([({name: [SECRET]}, {dashed: {"a": SECRET}}, "shown")])
    assert captured()["table"] == f"[({{'{name}': [redacted]}}, {{'{dashed}': [redacted]}}, 'shown')]"
    module.nested({name.encode(): SECRET, "plain": "shown"})
    assert captured()["table"] == f"{{b'{name}': [redacted], 'plain': 'shown'}}"


def test_secret_keys_of_other_classes():
    """Members of a text enumeration and other texts of the program's own are names as well."""

    class Field(enum.StrEnum):
        PASSWORD = "password"
        PLAIN = "plain"

    class Header(bytes):
        pass

    shown = through({Field.PASSWORD: SECRET, Header(b"X-Token"): SECRET, Field.PLAIN: "shown"})
    assert SECRET not in shown
    assert "'shown'" in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((b"Authorization", b"Bearer hunter2"), "(b'Authorization', [redacted])"),
        (["session-id", {"a": SECRET}], "['session-id', [redacted]]"),
        ([(b"host", b"x"), (b"cookie", b"hunter2")], "[(b'host', b'x'), (b'cookie', [redacted])]"),
        ([["a", 1], ["password", SECRET]], "[['a', 1], ['password', [redacted]]]"),
        ({"type": "http", "headers": [(b"x-api-key", SECRET)]}, "{'type': 'http', 'headers': [(b'x-api-key', [redacted])]}"),
        ({("token", SECRET)}, "{('token', [redacted])}"),
        # No pairs: nothing says that the second is what the first names.
        (("token",), "('token',)"),
        (("token", "shown", 3), "('token', 'shown', 3)"),
        ((1, "token"), "(1, 'token')"),
    ],
)  # fmt: skip
def test_secret_pairs(value, shown):
    """A list or tuple of two is a name and its value if the first is the name of a secret: headers, `dict.items()`, forms."""
    assert through(value) == shown


def test_a_plans_words_are_its_own():
    """Words of one plan are not in force under the next; those that come with us always are."""
    capture.set_redact(("Blood Type",))
    assert capture.is_secret("blood_type")
    capture.set_redact(("iban",))
    assert capture.is_secret("iban")
    assert capture.is_secret("password")
    assert not capture.is_secret("blood_type")
    capture.set_redact(())
    assert not capture.is_secret("iban")
    assert capture.is_secret("x-api_key")


def test_results_of_functions_with_secret_names():
    """What `get_token` returns is one."""
    module = program("""
        def get_token(): return "hunter2"
        def get(): return "shown"
    """)
    module.get_token()
    assert captured() == {"return": capture.REDACTED}
    module.get()
    assert captured() == {"return": "shown"}


def test_names_that_only_look_like_it():
    """Other names are shown: hiding everything would tell nothing."""
    shown = through({"pass": 1, "key": 2, "author": 3, "user": 4, "cook": 5})
    assert shown == "{'pass': 1, 'key': 2, 'author': 3, 'user': 4, 'cook': 5}"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(capture.REDACT),
    st.text(st.sampled_from("abcXYZ_-"), max_size=6),
    st.text(st.sampled_from("abcXYZ_-"), max_size=6),
    st.randoms(use_true_random=False),
    nested(),
)
def test_secret_words_in_any_dress(word, before, behind, random, value):
    """Upper and lower case, `-` and `_` anywhere in it: the value is not told, whatever it is."""
    dressed = "".join(random.choice([letter, letter.upper(), f"_{letter}", f"{letter}-"]) for letter in word)
    assert through({before + dressed + behind: value}).endswith(f": {capture.REDACTED}}}")


def test_many_long_keys_are_not_kept():
    """Keys may be anybody's data: what is remembered of names is small, whatever comes along."""
    for number in range(20):
        through({f"{number}" * 100_000: 1})
        through({f"{number}" * 100_000 + "password": 1})
    assert max(map(len, capture._secret_names), default=0) < 1000


def test_what_is_exported(tmp_path):
    """The whole way into the store: odd text arrives, secrets of the plan's own words are in no file, builtins replaced by the
    program are not asked."""
    plan = tmp_path / "plan.yaml"
    plan.write_text("strategy: full_trace\nredact: [iban, Blood Type]\n")
    text = r"""
        import builtins, sys
        sys.set_int_max_str_digits(640)
        len = isinstance = repr = None
        def odd(text, *rest): return rest
        def secrets(iban, blood_type, /, **more): return None
        def replaced(*values): return list_
        def refuse(*arguments, **keywords):
            raise RuntimeError("a builtin of the program's was called")
        class Thing: pass
        odd("a\0b\udc80\U0001f40d", "c\0d\udcff", b"\0\xff", 10**5000, range(10**5000), -0.0, float("nan"))
        secrets("hunter2", "hunter2", my_IBAN="hunter2", table={"Blood-Type": "hunter2", b"x-token": "hunter2"})
        values = [1, "two", {5}, frozenset({6}), slice(9), {"three": (4.0, b"7", range(8), 2j, None)}, Thing(), 10**30]
        list_ = [values]
        names = [name for name in dir(builtins) if name[0] != "_" and name != "print"]
        before = {name: getattr(builtins, name) for name in names}
        set_ = setattr
        try:
            for name in names:
                set_(builtins, name, refuse)
            replaced(*values)
        finally:
            for name, value in before.items():
                set_(builtins, name, value)
        print("fine")
    """
    env = {"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    ran = run(tmp_path, text, env=env)
    assert (ran.out, ran.err) == ("fine\n", "")
    odd = ran.one("odd").attributes
    assert odd["autoscope.arg.text"].replace("\udc80", r"\udc80") == "a\0b\\udc80\U0001f40d"
    assert odd["autoscope.arg.rest"].startswith(
        r"('c\x00d\udcff', b'\x00\xff', <int of 16610 bits>, <range>, -0.0, nan)"
    )
    secrets = ran.one("secrets").attributes
    assert secrets["autoscope.arg.iban"] == secrets["autoscope.arg.blood_type"] == "[redacted]"
    assert secrets["autoscope.arg.more"] == (
        "{'my_IBAN': [redacted], 'table': {'Blood-Type': [redacted], b'x-token': [redacted]}}"
    )
    values = (
        "1, 'two', {5}, frozenset({6}), slice(None, 9, None), "
        f"{{'three': (4.0, b'7', range(0, 8), 2j, None)}}, <__main__.Thing>, {10**30}"
    )
    replaced = ran.one("replaced").attributes
    assert replaced["autoscope.arg.values"] == f"({values})"
    assert replaced["autoscope.return"] == f"[[{values}]]".replace("(4.0, b'7', range(0, 8), 2j, None)", "<tuple of 5>")
    files = [file for file in (tmp_path / "store").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


# -- nothing is kept


@pytest.mark.parametrize("kind", ["function", "generator", "coroutine"])
def test_nothing_is_kept_alive(weave, kind):
    """Arguments and results are gone when the program lets go of them, while their text waits to be sent."""
    module = weave("""
        class Thing: pass
        def function(thing, table): return [thing, Thing()]
        def generator(thing, table):
            yield thing
            yield [thing, Thing()]
        async def coroutine(thing, table): return [thing, Thing()]
    """)
    gc.collect()
    gc.disable()
    try:
        thing = module.Thing()
        call = getattr(module, kind)(thing, {"key": [thing]})
        if kind == "generator":
            result = list(call)[-1]
        elif kind == "coroutine":
            try:
                call.send(None)
            except StopIteration as stop:
                result = stop.value
        else:
            result = call
        references = [weakref.ref(thing), weakref.ref(result[1])]
        del thing, result, call
        assert [reference() for reference in references] == [None, None]
        assert captured()["table"] == "{'key': [<program.Thing>]}"
    finally:
        gc.enable()


def test_an_argument_the_function_lets_go_of_is_gone(weave):
    """`del argument` in the body frees it, as it would without us."""
    module = weave("""
        import weakref
        class Thing: pass
        def function(thing):
            reference = weakref.ref(thing)
            del thing
            return reference()
        def main(): return function(Thing())
    """)
    gc.collect()
    gc.disable()
    try:
        assert module.main() is None
    finally:
        gc.enable()


def test_at_the_recursion_limit(weave):
    """Where there is no room left to render anything the program sees its own RecursionError, and later calls are told."""
    module = weave("""
        def deep(depth, table): return deep(depth + 1, {"a": [depth]})
        def call():
            try: deep(0, {})
            except RecursionError: return "limit"
    """)
    assert module.call() == "limit"
    assert all(site.armed for site in sites.sites)
    sites.records.clear()
    assert module.call() == "limit"
    assert captured()["return"] == "limit"
