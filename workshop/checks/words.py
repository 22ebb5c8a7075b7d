"""Values, rows and errors in words: equal ones read alike, different ones do not, and a learner can read them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import isfunction, isgenerator
from typing import Any
from uuid import UUID

import psycopg

from eventstore import EventStoreError

from ..bank import CommandRefused

_LONGEST = 600  # characters of one value in a message
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def words(value: Any) -> str:
    """Return a value in words: 0.00 is 0, a moment is in UTC, a list is no tuple, an object is its class and fields."""
    match value:
        case None | bool() | str() | int() | bytes():
            return repr(value)
        case float():
            return repr(float(value))
        case Decimal():
            return f"Decimal('{_number(value)}')"
        case datetime():
            return _moment(value)
        case date() | UUID():
            return str(value)
        case BaseException():
            return f"the error {error_in_words(value)}"
        case type():
            return value.__name__
        case Mapping():
            return f"{{{', '.join(sorted(f'{words(key)}: {words(item)}' for key, item in value.items()))}}}"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(words, value)))}}}" if value else "set()"
        case list():
            return f"[{', '.join(map(words, value))}]"
    if is_dataclass(value):
        inside = ", ".join(f"{each.name}={words(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, tuple):  # a NamedTuple is as good as the tuple that it is
        return f"({', '.join(map(words, value))}{',' if len(value) == 1 else ''})"
    if isgenerator(value):
        return "a generator"
    if isfunction(value):
        return value.__name__
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame, row by row
        rows = [tuple(row) for row in value.itertuples(index=False)]
        return f"a data frame of {words(list(value.columns))} with {words(rows)}"
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a number of numpy's
        return words(value.item())
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _number(number: Decimal) -> str:
    if not number.is_finite():
        return str(number)
    text = format(number.normalize(), "f")
    return "0" if text == "-0" else text


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        return f"{moment.isoformat(' ')} without a zone"
    return moment.astimezone(UTC).isoformat(" ").replace("+00:00", " UTC")


def error_in_words(error: BaseException) -> str:
    """Return an error in words: one that was promised by its class, or code, and what it carries."""
    if isinstance(error, EventStoreError):
        carried = getattr(error, "expected", None) is not None or hasattr(error, "actual")
        return f"{type(error).__name__}{words(error.args)}" if carried else type(error).__name__
    if isinstance(error, CommandRefused):
        return "CommandRefused"
    sqlstate = getattr(error, "sqlstate", None) or ""
    if sqlstate.startswith("ES"):
        detail = error.diag.message_detail  # type: ignore[attr-defined]
        return f"{sqlstate}{f' with DETAIL {detail}' if detail is not None else ''}"
    if sqlstate == psycopg.errors.UniqueViolation.sqlstate:
        return "unique_violation"
    return "an error"


def masked(text: str) -> str:
    """Return a text without the ids and moments in it, by which rows can be brought in an order."""
    return _MOMENT.sub("", _UUID.sub("", text))


class Naming:
    """What differs from one call to the next, made alike: the ids and the moments that nobody gave.

    A new id is known by being equal to another one or not; a moment that is newer than the play, by its order: in the
    rows of a stream by that in its stream, for of two streams either may come first.

    Args:
        given: whatever was given: ids that occur in it are no new ones.
        since: when the play began, by the server's clock.
    """

    def __init__(self, given: str, since: datetime):
        self._known = set(_UUID.findall(given.lower()))
        self._since = _moment(since)

    def apply(self, texts: Sequence[str]) -> list[str]:
        """Return texts with new ids and new moments numbered, the same numbers for all of them."""
        ids: dict[str, str] = {}
        moments: dict[str, set[str]] = defaultdict(set)
        streams = [match[1] if (match := _STREAM.match(text)) else "" for text in texts]
        for stream, text in zip(streams, texts, strict=True):
            for name in {stream, ""}:
                moments[name].update(found for found in _MOMENT.findall(text) if found >= self._since)
        numbers = {
            (name, moment): f"moment {number} of now"
            for name, found in moments.items()
            for number, moment in enumerate(sorted(found), 1)
        }

        def id_of(match: re.Match) -> str:
            if match[0] in self._known:
                return match[0]
            return ids.setdefault(match[0], f"new id {len(ids) + 1}")

        named = [_UUID.sub(id_of, text) for text in texts]
        return [
            _MOMENT.sub(lambda match, stream=stream: numbers.get((stream, match[0]), match[0]), text)  # type: ignore[misc]
            for stream, text in zip(streams, named, strict=True)
        ]


_STREAM = re.compile(r"(?:stream_)?id ([^,]*),")  # what a row of a stream begins with
_MOMENT = re.compile(r"\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? UTC")


def rows_in_words(rows: Iterable[Mapping[str, Any]], moments: Iterable[str]) -> list[str]:
    """Return the rows of a table in words, column by column.

    Args:
        rows: as to_json gives them.
        moments: the columns that hold a moment.
    """
    moments = set(moments)
    return [
        ", ".join(
            f"{name} {_moment(datetime.fromisoformat(value)) if name in moments and value else _plain(value)}"
            for name, value in row.items()
        )
        for row in rows
    ]


def _plain(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case Decimal():
            return _number(value)
        case dict() | list():
            return json.dumps(value, sort_keys=True, default=str)
    return str(value)


def brief(value: Any) -> str:
    """Return a value in fewer words, for a message: without the names of fields."""
    return re.sub(r"(?<=[(, ])\w+=", "", words(value))


def short(text: str) -> str:
    """Return a text, without its middle where it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def listed(texts: Sequence[str], last: str = "and") -> str:
    """Return texts as a sentence lists them: a, b and c."""
    return f" {last} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]])) if texts else "nothing"


def apart(wanted: str, found: str) -> tuple[str, str]:
    """Return two texts, shortened where they are long and alike: what differs is seen."""
    if max(len(wanted), len(found)) <= _LONGEST:
        return wanted, found
    start = next((at for at, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), 0)
    start = max(0, start - 80)
    return tuple(f"{'... ' if start else ''}{short(text[start:])}" for text in (wanted, found))  # type: ignore[return-value]
