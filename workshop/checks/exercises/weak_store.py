"""An event store with a fault: exercise 10.2 asks which guarantee it breaks. Try to find out without reading on."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventstore import ANY, Appended, EventStore


class WeakStore(EventStore):
    """Keeps each guarantee of the first tier but one."""

    def append(
        self,
        stream_id: str,
        events: Sequence[object],
        *,
        expected_version: Any = ANY,
        metadata: dict[str, Any] | None = None,
        event_ids: Sequence[UUID] | None = None,
    ) -> Appended:
        if not events or (event_ids is not None and len(event_ids) != len(events)):
            return super().append(
                stream_id, events, expected_version=expected_version, metadata=metadata, event_ids=event_ids
            )
        for number, event in enumerate(events):
            appended = super().append(
                stream_id,
                [event],
                expected_version=expected_version,
                metadata=metadata,
                event_ids=event_ids and [event_ids[number]],
            )
            if expected_version is not ANY:
                expected_version = appended.version
        return appended
