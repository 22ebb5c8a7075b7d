"""What callers may pass: expected versions, names, ranges. What is none of these is refused, with the reason."""

from datetime import UTC, datetime, timedelta
from enum import Enum

from .errors import InvalidArgument

NO_STREAM = 0  # the version of a stream without events


class AnyVersion(Enum):
    """What a writer can expect besides a number; the value is what append_to_stream takes for it."""

    ANY = None  # whatever the version is
    STREAM_EXISTS = -1  # any, so long as there is one

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


ANY = AnyVersion.ANY
STREAM_EXISTS = AnyVersion.STREAM_EXISTS

_LONGEST_NAME = 255  # characters, as in schema/10_streams.sql
_HIGHEST_VERSION = 2**63 - 1  # a bigint
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_stream_id(stream_id: str) -> None:
    """Raise InvalidArgument unless this is text of 1 to 255 characters that PostgreSQL can store."""
    check_name("a stream id", stream_id, such_as="account-1")


def check_name(what: str, name: str, *, such_as: str) -> None:
    """Raise InvalidArgument unless this is text of 1 to 255 characters that PostgreSQL can store."""
    if not isinstance(name, str):
        raise InvalidArgument(f"{what} must be text such as {such_as!r}, not {name!r}")
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise InvalidArgument(f"{what} has 1 to {_LONGEST_NAME} characters, this one has {len(name)}")
    if "\0" in name:
        raise InvalidArgument(f"{what} cannot hold a NUL character, which PostgreSQL cannot store: {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} must be encodable as UTF-8, which {name!r} is not: {error.reason}") from error


def check_version(name: str, version: int, *, lowest: int) -> int:
    """Return the version, or raise InvalidArgument unless it is a whole number of at least `lowest`."""
    if not isinstance(version, int) or isinstance(version, bool):
        raise InvalidArgument(f"{name} must be a whole number, not {version!r}")
    if not lowest <= version <= _HIGHEST_VERSION:
        raise InvalidArgument(f"{name} must be {lowest} or more and fit a bigint, not {version}")
    return version


def expected_value(expected_version: int | AnyVersion, *, lowest: int = NO_STREAM) -> int | None:
    """Return an expected version as the functions in schema/ take it: a number, or None for ANY.

    Raises:
        InvalidArgument: it is not one.
    """
    if isinstance(expected_version, AnyVersion):
        return expected_version.value
    return check_version("expected_version", expected_version, lowest=lowest)


def since_epoch(moment: datetime) -> timedelta:
    """Return a moment as what can be compared: `<` and `==` of two local times go by what the clock showed, which is
    earlier after it was set back, and the same for two moments an hour apart."""
    return moment - _EPOCH


def check_range(from_version: int, to_version: int | None, since: datetime | None, until: datetime | None) -> None:
    """Raise InvalidArgument unless both ranges have proper ends, in their order."""
    check_version("from_version", from_version, lowest=1)
    # to_version may be one below: reading on from the version one has, up to that very version, finds nothing.
    if to_version is not None and check_version("to_version", to_version, lowest=0) < from_version - 1:
        raise InvalidArgument(f"from_version {from_version} is after to_version {to_version}: turn the range round")
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise InvalidArgument(f"{name} must be a datetime with a time zone, not {moment!r}")
    if since and until and since_epoch(since) > since_epoch(until):
        raise InvalidArgument(f"since {since} is after until {until}: turn the range round")
