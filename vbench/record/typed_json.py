"""Typed values from JSON: dataclasses built from their annotations, each value checked while it is read."""

import dataclasses
import functools
import json
import types
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

BOUND = 2**63
"""No counter of a record is as large; beyond it an integer is no float either."""

Convert = Callable[[Any], Any]
"""From what ``json.loads`` gives to a value of the type; MismatchError if it is of another."""


class MismatchError(ValueError):
    """A value is not of the type that stands there; the message names where and what."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self._path = ""

    def below(self, key: str) -> "MismatchError":
        """The same error, as seen from the object or list that holds the value under ``key``."""
        joint = "." if self._path and not self._path.startswith("[") else ""
        self._path = f"{key}{joint}{self._path}"
        return self

    def __str__(self) -> str:
        return f"{self._path}: {self.args[0]}" if self._path else str(self.args[0])


class OtherFieldsError(MismatchError):
    """An object lacks a field, or has one that this version does not know, as those of other versions may."""


def loads(text: str | bytes) -> Any:
    """As ``json.loads``, but ValueError for NaN and Infinity, which JSON lacks, and for endless nesting."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


@functools.cache
def reader(kind: Any) -> Convert:
    """What turns plain values into ``kind``: a dataclass, a scalar, ``X | None``, ``Literal``, ``list[X]``,
    ``Sequence[X]`` (a tuple is made), ``tuple[X, Y]``, ``Mapping[str, X]``, a union of scalars, or
    ``Any``."""
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    return SCALARS.get(kind) or _generic(kind)


def _generic(kind: Any) -> Convert:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        choices = [reader(kind) for kind in arguments if kind is not type(None)]
        inner = choices[0] if len(choices) == 1 else _first_fitting(choices)
        return _optional(inner) if type(None) in arguments else inner
    if origin is Literal:
        return _literal(arguments)
    if origin in (list, Sequence):
        return _array(list if origin is list else tuple, reader(arguments[0]))
    if origin is tuple:
        return _tuple([reader(argument) for argument in arguments])
    if origin in (dict, Mapping):
        return _mapping(reader(arguments[1]))
    raise TypeError(f"no reader for {kind}")


def present(kind: Any, data: Any) -> None:
    """Check those fields of a dataclass that ``data`` has; MismatchError for a wrong type.

    There may be others, and some may be missing, as in what other versions wrote.
    """
    if type(data) is not dict:
        raise _mismatch("an object", data)
    hints = get_type_hints(kind)
    for name, value in data.items():
        hint = hints.get(name, Any)
        below = _dataclass_of(hint)
        try:
            if below is None or (value is None and below is not hint):
                reader(hint)(value)
            else:
                present(below, value)
        except MismatchError as error:
            raise error.below(name) from None


def _dataclass_of(kind: Any) -> Any:
    """The dataclass that a field holds, be it optional; None if it holds something else."""
    choices = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next((choice for choice in choices if dataclasses.is_dataclass(choice)), None)


def _mismatch(wanted: str, value: Any) -> MismatchError:
    shown = json.dumps(value)
    return MismatchError(f"{shown if len(shown) <= 40 else f'{shown[:37]}...'} is not {wanted}")


def _float(value: Any) -> Any:
    if (type(value) is float and isfinite(value)) or (type(value) is int and -BOUND < value < BOUND):
        return value
    raise _mismatch("a number", value)


def _int(value: Any) -> Any:
    if type(value) is int and -BOUND < value < BOUND:
        return value
    raise _mismatch("an integer", value)


def _str(value: Any) -> Any:
    if type(value) is str and (value.isascii() or _encodes(value)):
        return value
    raise _mismatch("a text", value)


def _encodes(value: str) -> bool:
    """Whether it can be written: JSON may name half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bool(value: Any) -> Any:
    if type(value) is bool:
        return value
    raise _mismatch("true or false", value)


def anything(value: Any) -> Any:
    """Any plain value whose numbers are finite and whose texts can be written."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is dict:
        return _ANY_MAPPING(value)
    if kind is list:
        return _ANY_LIST(value)
    return _str(value) if kind is str else _float(value)


def _optional(inner: Convert) -> Convert:
    return lambda value: None if value is None else inner(value)


def _first_fitting(choices: Sequence[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        wanted = []
        for choice in choices:
            try:
                return choice(value)
            except MismatchError as error:
                wanted.append(str(error).partition(" is not ")[2])
        raise _mismatch(" or ".join(wanted), value)

    return convert


def _literal(allowed: Sequence[Any]) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is str and value in allowed:
            return value
        raise _mismatch(f"one of {', '.join(map(str, allowed))}", value)

    return convert


def _array(made: Callable[..., Any], inner: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not list:
            raise _mismatch("a list", value)
        try:
            return made(map(inner, value))
        except MismatchError:
            raise _first_wrong(value, inner) from None

    return convert


def _tuple(inner: Sequence[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not list or len(value) != len(inner):
            raise _mismatch(f"a list of {len(inner)}", value)
        made = []
        for position, (item, one) in enumerate(zip(value, inner, strict=True)):
            try:
                made.append(one(item))
            except MismatchError as error:
                raise error.below(f"[{position}]") from None
        return tuple(made)

    return convert


def _first_wrong(values: Sequence[Any], inner: Convert) -> MismatchError:
    for position, value in enumerate(values):
        try:
            inner(value)
        except MismatchError as error:
            return error.below(f"[{position}]")
    raise AssertionError("one of them is wrong")


def _mapping(inner: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise _mismatch("an object", value)
        made = {}
        for key, item in value.items():
            try:
                made[_str(key)] = inner(item)
            except MismatchError as error:
                raise error.below(key if _encodes(key) else repr(key)) from None
        return made

    return convert


def _object(kind: Any) -> Convert:
    hints = get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if not field.metadata.get("transient")]
    converts = {field.name: reader(hints[field.name]) for field in fields}
    required = frozenset(
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            raise _mismatch("an object", value)
        if not (value.keys() <= converts.keys() and required <= value.keys()):
            unknown, lacking = sorted(value.keys() - converts.keys()), sorted(required - value.keys())
            what = f"'{lacking[0]}' is missing" if lacking else f"{unknown[0]!r} is not known"
            raise OtherFieldsError(what)
        name = ""
        made = {}
        try:
            for name, item in value.items():
                made[name] = converts[name](item)
        except MismatchError as error:
            raise error.below(name) from None
        return kind(**made)

    return convert


_ANY_MAPPING = _mapping(anything)
_ANY_LIST = _array(list, anything)
SCALARS: dict[Any, Convert] = {float: _float, int: _int, str: _str, bool: _bool, Any: anything}
