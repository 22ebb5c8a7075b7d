"""What the store hands back."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as the store holds it.

    Thousands of these are made in one read, so it is a msgspec.Struct, which is made much faster than a dataclass and
    does not keep the garbage collector busy.

    Attributes:
        stream_id: the stream it belongs to.
        version: its place in the stream, from 1.
        position: its place in the whole log.
        id: its identity, by which a repeated append is recognised.
        type: the name of its event type.
        event: the event itself, an instance of the class registered under that name.
        metadata: what was stored beside it, a JSON object.
        recorded_at: when it was stored, by the clock of the database.
    """

    stream_id: str
    version: int
    position: int
    id: UUID
    type: str
    event: Any
    metadata: dict[str, Any]
    recorded_at: datetime


@dataclass(frozen=True)
class Appended:
    """Where an append ended.

    Attributes:
        version: the version of its last event.
        position: the position of its last event.
        repeated: whether it only repeated an earlier append, and stored nothing.
    """

    version: int
    position: int
    repeated: bool = field(default=False, compare=False)  # the answer is the same


@dataclass(frozen=True)
class StreamInfo:
    """What is known of a stream without reading its events.

    Attributes:
        stream_id: its id, `category-id` by custom.
        version: the version of its last event, which is also how many events it has.
        created_at: when its first event was recorded.
        updated_at: when its last event was recorded.
        archived_at: when it was moved into the archive; None if it is live.
    """

    stream_id: str
    version: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None


class LogPosition(NamedTuple):
    """How far the log can be read.

    Attributes:
        settled: up to here, every event was committed or rolled back.
        drawn: the last position that anybody has drawn. It is higher than `settled` while an append is under way.
    """

    settled: int
    drawn: int
