"""Event types: which class stands for which name, and how an event becomes JSON and comes back.

An event is stored under a name, not under the path of its class, so a class can move to another module and
its events stay readable. Domain events are plain dataclasses and know nothing of this.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from .errors import InvalidEvent, UnknownEventType
from .records import RecordedEvent

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

# JSON text that may stand for a value which does not survive; without a hit there is none. See _faults.
# Every event is searched, and that is twice as fast where no alternative begins with a class, such as `\de`.
_SUSPECT = re.compile(rb"\\u0000|NaN|Infinity|0e|1e|2e|3e|4e|5e|6e|7e|8e|9e|T\d\d:\d\d:\d\d(?:\.\d+)?\"")
_DEEPEST = 100  # levels


class EventTypes:
    """The classes that a store can write and read, each under its name.

    Args:
        classes: dataclasses, stored under their own names. Their fields are of types that msgspec can convert to JSON
            and back (str, int, bool, float, Decimal, datetime with a time zone, date, UUID, Enum, nested dataclasses,
            lists, dicts, optionals).
        upcasters: for a stored name, a function from an event's JSON object, as it was stored, to one that fits the
            class of today. It gets every event of that name, old and new.
        named: classes stored under other names than their own: EventTypes(DepositRecorded=MoneyPaidIn). A class that
            is given several names is written under the first, and read under all of them.

    Raises:
        TypeError: one of them is no dataclass, or has fields that msgspec cannot tell apart in JSON.
        ValueError: two of them have the same name, or an upcaster has no class.
    """

    def __init__(self, *classes: type, upcasters: Mapping[str, Upcaster] | None = None, **named: type):
        self._decoders: dict[str, msgspec.json.Decoder] = {}
        self._names: dict[type, str] = {}
        self._upcasters = dict(upcasters or {})
        for name, cls in [*((getattr(cls, "__name__", ""), cls) for cls in classes), *named.items()]:
            if not (isinstance(cls, type) and is_dataclass(cls)):
                raise TypeError(f"an event type is a dataclass, and {cls!r} is none: add @dataclass(frozen=True)")
            if name in self._decoders:
                raise ValueError(f"two event types are called {name!r}: rename one of them")
            try:
                self._decoders[name] = msgspec.json.Decoder(cls)
            except TypeError as error:
                raise TypeError(f"{name} cannot be an event type: {error}") from error
            self._names.setdefault(cls, name)
        if strangers := self._upcasters.keys() - self._decoders.keys():
            raise ValueError(f"there is an upcaster for {', '.join(sorted(strangers))}, and no class of that name")
        self._readers = {name: self._reader(name) for name in self._decoders}

    def names(self, classes: Iterable[type]) -> list[str]:
        """Return all names under which events of these classes, or of subclasses, are stored."""
        wanted = tuple(classes)
        return [name for name, decoder in self._decoders.items() if issubclass(decoder.type, wanted)]

    def encode_batch(self, events: Iterable[object], event_ids: Iterable[UUID] | None = None) -> list[dict]:
        """Return events as append_to_stream takes them: objects of type, data and, where ids are given, id.

        Raises:
            InvalidEvent: there are none, they do not match their ids, or one would not be read back as it was given.
            UnknownEventType: the class of one is not registered.
        """
        if isinstance(events, (str, bytes, Mapping)) or not isinstance(events, Iterable):
            raise InvalidEvent(f"events must be a list of events, not {type(events).__name__}: write [event] for one")
        items: list[dict[str, Any]] = []
        for event in events:
            if (name := self._names.get(type(event))) is None:
                raise UnknownEventType(
                    f"{type(event).__name__} is not a registered event type (registered: "
                    f"{', '.join(self._readers) or 'none'}): add the class to EventTypes(...)"
                )
            items.append({"type": name, "data": msgspec.Raw(_encode(event, name, self._readers[name]))})
        if not items:
            raise InvalidEvent("no events to append: give at least one")
        if event_ids is not None:
            if not isinstance(event_ids, Iterable):
                raise InvalidEvent(f"event_ids must be a list of uuid.UUID, not {event_ids!r}")
            ids = list(event_ids)
            if len(ids) != len(items):
                raise InvalidEvent(f"{len(items)} events need {len(items)} event_ids, not {len(ids)}")
            for item, event_id in zip(items, ids, strict=True):
                if not isinstance(event_id, UUID):
                    raise InvalidEvent(f"an event id must be a uuid.UUID, not {event_id!r}")
                item["id"] = event_id
        return items

    def record(self, row: Sequence[Any]) -> RecordedEvent:
        """Return a row of events as a RecordedEvent; `records` does it for many, and says what can go wrong."""
        return self.records([row])[0]

    def records(self, rows: Iterable[Sequence[Any]]) -> list[RecordedEvent]:
        """Return rows of events as RecordedEvents.

        Args:
            rows: each of them stream_id, version, position, id, type, data and metadata as JSON text, recorded_at.

        Raises:
            UnknownEventType: no class is registered under the name of an event's type.
            InvalidEvent: an event's data does not fit the class.
        """
        recorded = []
        readers = self._readers
        for stream_id, version, position, event_id, name, data, metadata, recorded_at in rows:
            if (read := readers.get(name)) is None:
                raise UnknownEventType(
                    f"event {version} of stream {stream_id!r} has the type {name!r}, which is not registered "
                    f"(registered: {', '.join(readers) or 'none'}): add its class to EventTypes(...)"
                )
            try:
                event = read(data)
            except Exception as error:  # msgspec's, or whatever an upcaster raises
                raise InvalidEvent(
                    f"event {version} of stream {stream_id!r} does not fit {name}: {type(error).__name__}: {error}"
                ) from error
            about = {} if metadata == "{}" else msgspec.json.decode(metadata)  # most have none, and thousands are read
            recorded.append(RecordedEvent(stream_id, version, position, event_id, name, event, about, recorded_at))
        return recorded

    def _reader(self, name: str) -> Callable[[str | bytes], Any]:
        """Return what makes an event of its JSON: for most types, the decoder itself."""
        decode = self._decoders[name].decode
        if upcaster := self._upcasters.get(name):
            return lambda data: decode(msgspec.json.encode(upcaster(msgspec.json.decode(data))))
        return decode


def encode_metadata(metadata: Mapping[str, Any] | None) -> bytes:
    """Return metadata as a JSON object.

    Raises:
        InvalidEvent: it is no JSON object, or would not be read back as it was given.
    """
    if metadata is None:
        return b"{}"
    if not isinstance(metadata, Mapping):
        raise InvalidEvent(f"metadata must be a JSON object (a dict), not {type(metadata).__name__}")
    return _encode(dict(metadata), "metadata", msgspec.json.decode)


def _encode(value: Any, what: str, read: Callable[[bytes], Any]) -> bytes:
    """Return a value as JSON, or raise InvalidEvent where `read` would not get the same value back."""
    fault = None
    try:
        data = msgspec.json.encode(value)
        suspect = _SUSPECT.search(data) is not None
        back = read(_as_jsonb(data) if suspect else data)
        if back != value:
            fault = f"{value!r} comes back as {back!r}"
    except Exception as error:  # msgspec's, or whatever an upcaster raises
        suspect, fault = True, f"{type(error).__name__}: {error}"
    if fault or suspect:
        fault = next(_faults(value, "metadata" if what == "metadata" else ""), fault)
    if fault:
        raise InvalidEvent(f"{what} would not be read back as it was given: {fault}")
    return data


def _as_jsonb(data: bytes) -> bytes:
    """Return JSON as PostgreSQL's jsonb gives it back: numbers without an exponent, so 1e23 is an integer."""
    plain = json.loads(data, parse_float=lambda number: msgspec.Raw(format(Decimal(number), "f").encode()))
    return msgspec.json.encode(plain)


def _faults(value: object, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield what JSON or PostgreSQL would lose of a value, each with its place, such as `owner.name`."""
    if depth > _DEEPEST:
        yield f"it is nested more than {_DEEPEST} levels deep, or contains itself"
        return
    at = f"{path or 'the event'} "
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _faults(key, path, depth + 1)
            yield from _faults(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, str) and "\0" in value:
        yield at + "holds a NUL character, which PostgreSQL cannot store in text"
    elif isinstance(value, (float, Decimal)) and not Decimal(value).is_finite():
        yield at + f"is {value}: a number must be finite"
    elif isinstance(value, datetime) and value.tzinfo is None:
        yield at + f"is {value!r} without a time zone: add one, for example tzinfo=timezone.utc"
