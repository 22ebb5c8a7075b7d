"""Event types: which class stands for which name, and how an event becomes JSON and comes back.

An event is stored under a name, not under the path of its class, so a class can move to another module and
its events stay readable. Domain events are plain dataclasses and know nothing of this.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from .errors import InvalidEvent, UnknownEventType

# JSON text that may stand for a value which does not survive; without a hit there is none. See _faults.
_SUSPECT = re.compile(rb"\\u0000|NaN|Infinity|T\d\d:\d\d:\d\d(?:\.\d+)?\"")

# What msgspec raises for a value that is not, or does not fit, JSON.
_NOT_JSON = (TypeError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)


class EventTypes:
    """The classes that a store can write and read, each under its name.

    Args:
        classes: dataclasses whose field types msgspec can convert to JSON and back (str, int, bool, float,
            Decimal, datetime with a time zone, date, UUID, Enum, nested dataclasses, lists, dicts, optionals).

    Raises:
        TypeError: one of them is no dataclass, or has a field that cannot become JSON.
        ValueError: two of them have the same name.
    """

    def __init__(self, *classes: type):
        self._decoders: dict[str, msgspec.json.Decoder] = {}
        self._names: dict[type, str] = {}
        for cls in classes:
            if not (isinstance(cls, type) and is_dataclass(cls)):
                raise TypeError(f"an event type is a dataclass, and {cls!r} is none: add @dataclass(frozen=True)")
            name = cls.__name__
            if name in self._decoders:
                raise ValueError(f"two event types are called {name!r}: rename one of them")
            try:
                self._decoders[name] = msgspec.json.Decoder(cls)
            except TypeError as error:
                raise TypeError(f"{name} cannot be an event type: {error}") from error
            self._names[cls] = name

    def encode(self, event: object) -> tuple[str, bytes]:
        """Return the name of the event's type and the event as JSON.

        Raises:
            UnknownEventType: its class is not registered.
            InvalidEvent: it would not be read back as it was given.
        """
        name = self._names.get(type(event))
        if name is None:
            known = ", ".join(self._decoders) or "none"
            raise UnknownEventType(
                f"{type(event).__name__} is not a registered event type (registered: {known}): "
                "add the class to EventTypes(...)"
            )
        try:
            data = msgspec.json.encode(event)
            same = self._decoders[name].decode(data) == event
        except _NOT_JSON as error:
            raise _unfaithful(name, next(_faults(event), str(error))) from error
        if not same:
            back = self._decoders[name].decode(data)
            raise _unfaithful(name, next(_faults(event), f"{event!r} comes back as {back!r}"))
        if _SUSPECT.search(data) and (fault := next(_faults(event), None)):
            raise _unfaithful(name, fault)
        return name, data

    def decode(self, name: str, data: str | bytes, where: str) -> Any:
        """Return the event that was stored as `data` under `name`.

        Args:
            where: the place of the event, for the error message.

        Raises:
            UnknownEventType: no class is registered under the name.
            InvalidEvent: the data does not fit the class.
        """
        decoder = self._decoders.get(name)
        if decoder is None:
            known = ", ".join(self._decoders) or "none"
            raise UnknownEventType(
                f"{where} has the type {name!r}, which is not registered (registered: {known}): "
                "add its class to EventTypes(...)"
            )
        try:
            return decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise InvalidEvent(f"{where} does not fit {name}: {error}") from error


def encode_metadata(metadata: Mapping[str, Any] | None) -> bytes:
    """Return metadata as a JSON object.

    Raises:
        InvalidEvent: it is no JSON object, or would not be read back as it was given.
    """
    if metadata is None:
        return b"{}"
    if not isinstance(metadata, Mapping):
        raise InvalidEvent(f"metadata must be a JSON object (a dict), not {type(metadata).__name__}")
    try:
        data = msgspec.json.encode(dict(metadata))
        back = msgspec.json.decode(data)
    except _NOT_JSON as error:
        raise InvalidEvent(f"metadata must be a JSON object: {error}") from error
    fault = next(_faults(metadata, "metadata"), None)
    if fault or back != metadata:
        raise InvalidEvent(fault or f"metadata must be a JSON object: {metadata!r} would come back as {back!r}")
    return data


def _unfaithful(name: str, fault: str) -> InvalidEvent:
    return InvalidEvent(f"{name} would not be read back as it was given: {fault}")


def _faults(value: object, path: str = "") -> Iterator[str]:
    """Yield what JSON or PostgreSQL would lose of a value, each with its place, such as `owner.name`."""
    at = f"{path or 'the event'} "
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _faults(key, path)
            yield from _faults(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif isinstance(value, str) and "\0" in value:
        yield at + "holds a NUL character, which PostgreSQL cannot store in text"
    elif isinstance(value, (float, Decimal)) and not math.isfinite(value):
        yield at + f"is {value}: a number must be finite"
    elif isinstance(value, datetime) and value.tzinfo is None:
        yield at + f"is {value!r} without a time zone: add one, for example tzinfo=timezone.utc"
