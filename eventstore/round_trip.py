"""To JSON and back: a value is written only where it would be read back as it was given."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from .arguments import since_epoch

# JSON text that may stand for a value which does not survive; without a hit there is none. See _faults.
_SUSPECT = re.compile(rb"\\u0000|Infinity|T\d\d:\d\d:\d\d(?:\.\d+)?\"")
_EXPONENT = re.compile(rb"\de")
_DEEPEST = 100  # levels


def to_json(value: object, read: Callable[[bytes], Any]) -> bytes:
    """Return a value as JSON.

    Args:
        value: what msgspec can convert.
        read: what will make a value of the JSON again.

    Raises:
        ValueError: `read` would not get the same value back; it says what is lost.
    """
    try:
        data = msgspec.json.encode(value)
        back = read(data)
        same = _same(back, value)
    except Exception as error:  # msgspec's, or whatever the value's own class raises, or an upcaster
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not same:
        raise ValueError(f"{value!r} comes back as {back!r}")
    return data


def to_jsonb(value: object, read: Callable[[bytes], Any], name: str) -> bytes:
    """Return a value as JSON for a column of the type jsonb, as to_json does; the error says which part is lost, such
    as `name.owner.address`."""
    try:
        data = to_json(value, lambda data: read(_as_jsonb(data)))
    except ValueError as error:
        raise ValueError(next(_faults(value, name), str(error))) from error
    if _SUSPECT.search(data) and (fault := next(_faults(value, name), None)):
        raise ValueError(fault)
    return data


def _as_jsonb(data: bytes) -> bytes:
    """Return JSON as PostgreSQL's jsonb gives it back: numbers without an exponent, so 1e23 is an integer."""
    if not _EXPONENT.search(data):
        return data
    plain = json.loads(data, parse_float=lambda number: msgspec.Raw(format(Decimal(number), "f").encode()))
    return msgspec.json.encode(plain)


def _faults(value: object, path: str, depth: int = 0) -> Iterator[str]:
    """Yield what JSON or PostgreSQL would lose of a value, each with its place."""
    if depth > _DEEPEST:
        yield f"it is nested more than {_DEEPEST} levels deep, or contains itself"
    elif (parts := _parts(value)) is not None:
        for key, part in parts.items():
            yield from _faults(key, path, depth + 1)
            yield from _faults(part, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}", depth + 1)
    elif isinstance(value, str) and "\0" in value:
        yield f"{path} holds a NUL character, which PostgreSQL cannot store in text"
    elif isinstance(value, (float, Decimal)) and not Decimal(value).is_finite():
        yield f"{path} is {value}: a number must be finite"
    elif isinstance(value, datetime) and value.utcoffset() is None:
        yield f"{path} is {value!r} without a time zone: add one, for example tzinfo=timezone.utc"


def _same(back: Any, value: Any) -> bool:
    """Whether two values are equal, also where == denies it to one and the same moment: that it does to any local time
    in an hour that the clocks skip or repeat, whatever it is compared with (PEP 495)."""
    if back == value:
        return True
    if isinstance(value, datetime) and isinstance(back, datetime) and None not in (value.utcoffset(), back.utcoffset()):
        return since_epoch(back) == since_epoch(value)
    if type(back) is not type(value) or (parts := _parts(value)) is None or (others := _parts(back)) is None:
        return False
    return parts.keys() == others.keys() and all(_same(others[key], part) for key, part in parts.items())


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """Return what a value holds: of an object its fields, of a list or the like its items by number. Others: None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, (list, tuple, set, frozenset)):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else None
