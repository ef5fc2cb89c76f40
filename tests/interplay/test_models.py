"""Classes that others make out of the author's: dataclasses, attrs, pydantic, enums, abstract classes, and what functools makes."""

from __future__ import annotations

import pytest
from interplay_kit import same


def test_the_librarys(tmp_path):
    """dataclasses, NamedTuple, enum, abc, functools."""
    same(
        tmp_path,
        """
        import abc, copy, dataclasses, enum, functools, gc, inspect, pickle, typing, weakref
        calls = []
        @dataclasses.dataclass(order=True, slots=True, frozen=True)
        class Point:
            x: int
            y: int = dataclasses.field(default=0, repr=False)
            tags: list = dataclasses.field(default_factory=list, compare=False)
            def __post_init__(self): calls.append(("made", self.x))
            def length(self): return abs(complex(self.x, self.y))
            @functools.cached_property
            def never(self): return len("slots")
        p = Point(3, 4)
        print(p, p < Point(4), hash(p) == hash(Point(3, 4)), dataclasses.asdict(p), dataclasses.replace(p, x=6).length(), copy.copy(p) == p,
              pickle.loads(pickle.dumps(p)) == p, inspect.signature(Point), [f.name for f in dataclasses.fields(p)], Point.__match_args__, calls)
        class Pair(typing.NamedTuple):
            a: int
            b: str = "b"
            def joined(self): return str(self.a) + self.b
            @property
            def both(self): return self.joined() * 2
        print(Pair(1), Pair(1).joined(), Pair(1).both, Pair._fields, Pair(1)._replace(a=2), Pair._make([1, 2]), Pair.__doc__, sorted(vars(Pair)))
        class Color(enum.Enum):
            RED, BLUE = "r", "b"
            def shade(self, n=1): return self.value * n + str(n)
            @classmethod
            def _missing_(cls, value): return cls.RED if value == "rouge" else None
            @property
            def low(self): return self.name.lower()
            @staticmethod
            def _generate_next_value_(*a): return len(a)
        class Flag(enum.IntFlag):
            A = enum.auto(); B = enum.auto()
            def both(self): return Flag.A | self
        print(list(Color), Color("rouge").shade(2), Color.BLUE.low, Color.__members__, Flag.B.both(), pickle.loads(pickle.dumps(Color.RED)) is Color.RED, dir(Color))
        class Base(abc.ABC):
            @abc.abstractmethod
            def run(self): return "base" + str(len("x"))
            @property
            @abc.abstractmethod
            def name(self): ...
            @classmethod
            def __subclasshook__(cls, other): calls.append("asked"); return True if hasattr(other, "quack") else NotImplemented
        class Impl(Base):
            def run(self): return super().run() + self.name
            @property
            def name(self): return str("impl")
        try: Base()
        except TypeError as error: print(error)
        print(Impl().run(), sorted(Base.__abstractmethods__), Impl.__abstractmethods__, isinstance(type("Duck", (), {"quack": 1})(), Base), calls[-1])
        @functools.cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        @functools.lru_cache(maxsize=2, typed=True)
        def twice(n): calls.append(n); return n * 2
        print(fib(30), fib.cache_info(), [twice(n) for n in (1, 1.0, 1, True, 2)], twice.cache_info(), fib.__wrapped__.__name__, fib.cache_parameters())
        @functools.singledispatch
        def show(x): return "any", str(x)
        @show.register
        def _(x: int): return "int", str(x)
        @show.register(list)
        def _list(x): return "list", [show(y) for y in x]
        class Dispatch:
            @functools.singledispatchmethod
            @classmethod
            def of(cls, x): return "any", cls.__name__
            @of.register
            @classmethod
            def _(cls, x: str): return "str", cls.__name__
            @functools.cached_property
            def once(self): calls.append("once"); return len("once")
            both = functools.partialmethod(lambda self, *a: a, 1)
            def __set_name__(self, owner, name): calls.append(name)
        d = Dispatch()
        print(show(1), show([1, "x"]), show.dispatch(bool).__name__, d.of("x"), Dispatch.of(1), d.once, d.once, calls.count("once"), vars(d), d.both(2), sorted(map(str, show.registry)))
        @functools.total_ordering
        class Ordered:
            def __init__(self, n): self.n = n
            def __eq__(self, other): return self.n == other.n
            def __lt__(self, other): return self.n < other.n and len("x") > 0
        print(Ordered(1) >= Ordered(0), sorted([Ordered(2), Ordered(1)])[0].n, Ordered.__hash__, functools.reduce(lambda a, b: a + b, [1, 2]),
              sorted([3, 1], key=functools.cmp_to_key(lambda a, b: a - b)))
        class Slow:
            def __get__(self, instance, owner): calls.append("got"); return owner and len([owner])
            def __set_name__(self, owner, name): calls.append(("named", name))
        class Has:
            slow = Slow()
            def __init_subclass__(cls, **named): calls.append(("subclass", cls.__name__, named)); super().__init_subclass__()
            def __class_getitem__(cls, item): return cls.__name__, len([item])
        class Sub(Has, kind=1): pass
        print(Has.slow, Sub[1], calls)
        """,
        recorded=("Point.length", "Pair.joined", "Color.shade", "Base.run", "Impl.run", "fib", "twice", "_list"),
    )


def test_attrs_and_pydantic(tmp_path):
    """Validators, converters, serializers, computed and private fields, generic models, validated calls."""
    pytest.importorskip("attrs")
    pytest.importorskip("pydantic")
    same(
        tmp_path,
        """
        import json, pickle, typing
        import attrs, pydantic
        log = []
        @attrs.define(frozen=True, order=True)
        class Point:
            x: int = attrs.field(converter=int)
            y: int = attrs.field(factory=lambda: len("y"))
            @x.validator
            def positive(self, attribute, value):
                log.append(attribute.name)
                if value < 0: raise ValueError(f"{attribute.name} is {value}")
            def __attrs_post_init__(self): log.append("made " + str(len("x")))
            def length(self): return super().__sizeof__() > 0, __class__.__name__
        print(Point("3"), Point(1) < Point(2), attrs.asdict(Point(1)), attrs.evolve(Point(1), x=5), Point(1).length(), pickle.loads(pickle.dumps(Point(2))))
        try: Point(-1)
        except ValueError as error: print(error)
        @attrs.define
        class Old:
            a: int = attrs.field(validator=attrs.validators.instance_of(int), on_setattr=lambda i, a, v: log.append(v) or v)
        old = Old(1); old.a = 2; print(old, log)
        T = typing.TypeVar("T")
        class Item(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(validate_assignment=True)
            name: str
            price: float = pydantic.Field(gt=0)
            _secret: int = pydantic.PrivateAttr(default_factory=lambda: len("secret"))
            @pydantic.field_validator("name")
            @classmethod
            def upper(cls, value, info: pydantic.ValidationInfo): return value.upper() + str(info.field_name)
            @pydantic.model_validator(mode="after")
            def whole(self): log.append(len(self.name)); return self
            @pydantic.computed_field
            @property
            def total(self) -> float: return self.price * len(self.name)
            @pydantic.field_serializer("price")
            def shown(self, value, info): return f"{value:.2f}"
            def model_post_init(self, context): log.append(("post", str(context)))
        item = Item(name="ab", price=2)
        print(item, item.model_dump(), item.model_dump_json(), item._secret, Item.model_validate_json('{"name": "x", "price": 1}'), item.model_copy(update={"price": 3}))
        for bad in ({"name": 1, "price": 2}, {"name": "x", "price": -1}):
            try: Item(**bad)
            except pydantic.ValidationError as error: print(error.errors(include_url=False))
        print(json.dumps(Item.model_json_schema(mode="serialization"), sort_keys=True), sorted(Item.model_fields), log)
        class Box(pydantic.BaseModel, typing.Generic[T]):
            value: T
            def unpack(self) -> T: return [self.value][len("")]
        print(Box[int](value="3").unpack(), Box[Item](value=item).unpack().total, pickle.loads(pickle.dumps(item)) == item)
        @pydantic.validate_call
        def checked(n: int, *, times: int = 2) -> list[int]: return [n] * times + [len("x")]
        print(checked("3"), checked.__name__, checked(1, times="1"))
        def number(value): return value + len("x")
        print(pydantic.TypeAdapter(typing.Annotated[int, pydantic.AfterValidator(number)]).validate_python("4"))
        """,
        recorded=(
            "Point.positive",
            "Point.length",
            "Item.upper",
            "Item.whole",
            "Item.total",
            "Box.unpack",
            "checked",
            "number",
        ),
    )
