"""What can go wrong, one class each. Every message says what was wrong; the attributes carry the values."""


class EventStoreError(Exception):
    """The base of all errors that this package raises itself."""


class InvalidArgument(EventStoreError, ValueError):
    """A stream id, version, range or other argument cannot be what it is. Nothing was stored."""


class InvalidEvent(InvalidArgument):
    """An event, or its metadata, would not be read back as it was given. Nothing was stored."""


class UnknownEventType(EventStoreError, LookupError):
    """An event's class is not registered (on append), or its stored name is not (on reading)."""


class DuplicateEvent(EventStoreError):
    """An event with one of these ids is already in the stream, and this is no plain retry. Nothing was stored.

    Attributes:
        stream_id: the stream.
    """

    def __init__(self, stream_id: str):
        super().__init__(stream_id)  # the arguments, not the message: so it survives the way from another process
        self.stream_id = stream_id

    def __str__(self) -> str:
        return (
            f"stream {self.stream_id!r} already holds an event with one of these ids, or an id was given twice; "
            "only a repetition of the whole append, with its explicit expected_version, counts as a retry"
        )


class WrongExpectedVersion(EventStoreError):
    """The stream is not at the version the writer expected: somebody else appended first. Nothing was stored.

    Attributes:
        stream_id: the stream.
        expected: the version that was expected, as it was given.
        actual: the version that the stream was at; 0 where there was no such stream.
    """

    def __init__(self, stream_id: str, expected: object, actual: int):
        super().__init__(stream_id, expected, actual)
        self.stream_id = stream_id
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"Wrong expected version: {self.expected} (stream: {self.stream_id}, stream version: {self.actual})"
