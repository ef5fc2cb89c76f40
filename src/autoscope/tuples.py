"""Named tuples for modules every traced process imports: `typing.NamedTuple` without `typing`, and without compiling anything.

Of a class with seven of them the import takes a millisecond instead of five. Type checkers are shown `typing.NamedTuple`.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found]

from autoscope.ours import keep_builtins

keep_builtins(globals())


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class _Kind(type):
    def __new__(kind, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        if bases and bases[0].__dict__.get("_fields") == ():
            fields = tuple(space.get("__annotations__", ()))
            space["_defaults"] = {field: space[field] for field in fields if field in space}
            space.update({field: _tuplegetter(index, field) for index, field in enumerate(fields)})
            space["_fields"] = space["__match_args__"] = fields
            space["__slots__"] = ()
        return type.__new__(kind, name, bases, space)


class NamedTuple(tuple[object, ...], metaclass=_Kind):
    """A direct subclass's annotated names are its fields, in order, their values the defaults."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()
    _defaults: dict[str, Any]

    def __new__(cls, *values: Any, **named: Any) -> Any:
        fields = cls._fields
        if named or len(values) != len(fields):
            given = dict(zip(fields, values, strict=False))
            if len(values) > len(fields) or not given.keys().isdisjoint(named) or not named.keys() <= set(fields):
                cls._refuse()
            given |= named
            try:
                values = tuple([given[field] if field in given else cls._defaults[field] for field in fields])
            except KeyError:
                cls._refuse()
        return tuple.__new__(cls, values)

    @classmethod
    def _refuse(cls) -> NoReturn:
        raise TypeError(f"{cls.__name__} takes {', '.join(cls._fields)}")

    def _replace(self, **named: Any) -> Any:
        return type(self)(**(dict(zip(self._fields, self, strict=True)) | named))

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[object, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"
