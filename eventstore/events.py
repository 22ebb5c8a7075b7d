"""Event types: which class stands for which name, and how an event becomes JSON and comes back.

An event is stored under a name, not under the path of its class, so a class can move to another module and
its events stay readable. Domain events are plain dataclasses and know nothing of this.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any
from uuid import UUID

import msgspec

from .errors import InvalidArgument, InvalidEvent, UnknownEventType
from .records import RecordedEvent
from .round_trip import to_jsonb

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class EventTypes:
    """The classes that a store can write and read, each under its name.

    Args:
        classes: dataclasses, stored under their own names. Their fields are of types that msgspec can convert to JSON
            and back (str, int, bool, float, Decimal, datetime with a time zone, date, UUID, Enum, nested dataclasses,
            lists, dicts, optionals). What is read back equals what was written, in the type that the field declares;
            what would not is refused. `jsonb` keeps values, so that it can compare and search them, and not how they
            were written: the order of a dict's keys is lost, and -0.0 becomes 0.0, and 1e16 an int where no field
            declares it a float (in metadata, or Any).
        upcasters: for a stored name, a function from an event's JSON object, as it was stored, to one that fits the
            class of today. It gets every event of that name, old and new.
        named: classes stored under other names than their own: EventTypes(DepositRecorded=MoneyPaidIn). A class that
            is given several names is written under the first, and read under all of them.

    Raises:
        TypeError: one of them is no dataclass, or has fields that msgspec cannot tell apart in JSON.
        ValueError: two of them have the same name, or an upcaster has no class.
    """

    def __init__(self, *classes: type, upcasters: Mapping[str, Upcaster] | None = None, **named: type):
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
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
        """Return all names under which events of these classes, or of subclasses, are stored.

        Raises:
            UnknownEventType: there is one among them for which nothing is registered, or there is none at all.
            InvalidArgument: it is a class, and not several.
        """
        if isinstance(classes, type):
            raise InvalidArgument(f"event types are a list of classes: write [{classes.__name__}] for one")
        registered = {name: decoder.type for name, decoder in self._decoders.items()}
        if not (wanted := tuple(classes)):
            raise UnknownEventType("no event types are asked for: give at least one class")
        for cls in wanted:
            if not any(issubclass(each, cls) for each in registered.values()):
                raise self._unknown(f"{cls.__name__} is not one of the registered event types")
        return [name for name, each in registered.items() if issubclass(each, wanted)]

    def encode_batch(self, events: Iterable[object], event_ids: Iterable[UUID] | None = None) -> list[dict[str, Any]]:
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
                raise self._unknown(f"{type(event).__name__} is not a registered event type")
            items.append({"type": name, "data": msgspec.Raw(_encode(event, name, self._readers[name]))})
        if not items:
            raise InvalidEvent("no events to append: give at least one")
        if event_ids is not None:
            ids = list(event_ids) if isinstance(event_ids, Iterable) else [event_ids]
            if len(ids) != len(items) or not all(isinstance(each, UUID) for each in ids):
                raise InvalidEvent(f"{len(items)} events need an id each, a UUID; event_ids are {len(ids)}: {ids!r}")
            for item, event_id in zip(items, ids, strict=True):
                item["id"] = event_id
        return items

    def record(self, row: Sequence[Any]) -> RecordedEvent:
        """Return a row of events as a RecordedEvent; `records` does it for many, and says what can go wrong."""
        return self.records([row])[0]

    def records(self, rows: Iterable[Sequence[Any]]) -> list[RecordedEvent]:
        """Return rows of events as RecordedEvents.

        Args:
            rows: each of them stream_id, version, position, id or its bytes, type, data as JSON text, metadata as JSON
                text or None, recorded_at.

        Raises:
            UnknownEventType: no class is registered under the name of an event's type.
            InvalidEvent: an event's data does not fit the class.
        """
        recorded = []
        readers = self._readers
        for stream_id, version, position, event_id, name, data, metadata, recorded_at in rows:
            try:
                event = readers[name](data)
            except Exception as error:  # msgspec's, or whatever an upcaster raises
                which = f"event {version} of stream {stream_id!r}"
                if name not in readers:
                    raise self._unknown(f"{which} has the type {name!r}, which is not registered") from None
                raise InvalidEvent(f"{which} does not fit {name}: {type(error).__name__}: {error}") from error
            about = msgspec.json.decode(metadata) if metadata else {}
            recorded.append(RecordedEvent(stream_id, version, position, event_id, name, event, about, recorded_at))
        return recorded

    def _unknown(self, problem: str) -> UnknownEventType:
        registered = ", ".join(self._decoders) or "none"
        return UnknownEventType(f"{problem} (registered: {registered}): add the class to EventTypes(...)")

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


def _encode(value: object, what: str, read: Callable[[bytes], Any]) -> bytes:
    """Return a value as the JSON of an event or of metadata, or raise InvalidEvent where it would not come back."""
    try:
        return to_jsonb(value, read, what)
    except ValueError as error:
        raise InvalidEvent(f"{what} would not be read back as it was given: {error}") from error
