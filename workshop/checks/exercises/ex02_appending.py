"""The exercises of notebook 02: from one careful INSERT to a function that appends a batch, and reading it back."""

import json
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from eventstore import WrongExpectedVersion

from ..arranged import FIRST_MOMENT, append, id_of, many, moment, put
from ..exercise import Exercise
from ..looks import looks
from ..sandbox import Sandbox, own_sandbox, tell
from ..scene import Advice, Call, Cases, Scene, Somebody, SqlCall
from ..stage import Stage

WRONG_EXPECTED_VERSION = "ES001"
TABLES = ("10_streams.sql", "20_events.sql", "30_facts_stay.sql")
# The reference's append_to_stream, and what later notebooks have it look at.
APPENDING = (
    "24_archived_at.sql",
    "25_archived_events.sql",
    "28_last_position.sql",
    "35_announce_append.sql",
    "40_append_to_stream.sql",
    "80_subscriptions.sql",
    "82_notify_subscribers.sql",
)


def stream_version(sandbox: Sandbox, stream_id: str = "account-1") -> int | None:
    """Return the version in the stream's row, None where it has none."""
    return sandbox.value("SELECT version FROM streams WHERE id = %s", (stream_id,))


# 02.1 and 02.2: append_event


def append_event(stream_id: str, type: str, expected: int | str | None = "left out") -> str:
    """Return the SQL that appends one event."""
    last = "" if expected == "left out" else f", expected_version => {'NULL' if expected is None else expected}"
    return f"SELECT append_event('{stream_id}', '{type}', '{{\"amount\": \"100.00\"}}'{last})"


def _appended(sandbox: Sandbox, type: str) -> Any:
    """Append an event to account-1; return what is returned."""
    try:
        return sandbox.value(append_event("account-1", type))
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        if (
            "version" not in f"{error.diag.column_name} {error.diag.message_detail}"
            or error.diag.column_name == "metadata"
        ):
            raise
        raise AssertionError(
            f"{type} was appended to account-1, and PostgreSQL said: {error.diag.message_primary}. "
            f"{error.diag.message_detail} "
            + (
                "`new_version` is NULL: a new stream has no row yet that an UPDATE could move on, so INSERT it. "
                if isinstance(error, psycopg.errors.NotNullViolation)
                else ""
            )
            + "The event belongs at `new_version`: the version that its stream's row has after the "
            "first statement, which hands it over by `RETURNING s.version INTO new_version`. The row that is there moves on by "
            "`s.version + 1`; `excluded` is the row that was offered, and its version is always 1."
        ) from None


def the_first_event_is_version_1(sandbox: Sandbox) -> None:
    """The first event of a stream is version 1"""
    returned = _appended(sandbox, "AccountOpened")
    assert sandbox.stream() == [(1, "AccountOpened")], (
        f"After one append, account-1 should hold AccountOpened as version 1. It holds {sandbox.stream() or 'nothing'}."
    )
    assert returned == 1, f"The function should return the event's version, 1. It returned {returned!r}."
    data = sandbox.value("SELECT data ->> 'amount' FROM events")
    assert data == "100.00", (
        f"The event should carry the data it came with; its amount is 100.00, and {data!r} is stored."
    )


def versions_have_no_gap(sandbox: Sandbox) -> None:
    """The next ones follow without a gap"""
    returned = [_appended(sandbox, type) for type in ("AccountOpened", "DepositRecorded", "X")]
    versions = [version for version, _ in sandbox.stream()]
    assert versions == [1, 2, 3], f"Three appends should give the versions 1, 2, 3. They gave {versions}."
    assert returned == [1, 2, 3], f"The three calls should return 1, 2, 3. They returned {returned}."


def streams_do_not_mix(sandbox: Sandbox) -> None:
    """Each stream counts for itself"""
    sandbox.execute(append_event("account-1", "AccountOpened"))
    sandbox.execute(append_event("account-2", "AccountOpened"))
    sandbox.execute(append_event("account-1", "DepositRecorded"))
    for stream_id, versions in (("account-1", [1, 2]), ("account-2", [1])):
        found = [version for version, _ in sandbox.stream(stream_id)]
        assert found == versions, (
            f"{stream_id} should hold the versions {versions}, it holds {found}. "
            "Does an UPDATE or a SELECT lack its `WHERE ... stream_id`?"
        )


def the_stream_row_keeps_up(sandbox: Sandbox) -> None:
    """The stream's row keeps up with its events"""
    for _ in range(3):
        sandbox.execute(append_event("account-1", "DepositRecorded"))
    assert stream_version(sandbox) == 3, (
        f"account-1 holds three events, and its row in streams says version {stream_version(sandbox)}. "
        "The row is what writers queue at and what they compare with: it must move with each append."
    )


@own_sandbox
def a_second_writer_waits_its_turn(sandbox: Sandbox) -> None:
    """A second writer waits its turn"""
    sandbox.execute(append_event("account-1", "AccountOpened"))
    outcome = sandbox.while_open(
        append_event("account-1", "DepositRecorded"), append_event("account-1", "CashWithdrawn")
    )
    assert not isinstance(outcome, psycopg.errors.UniqueViolation), (
        "Two writers appended at once. The second one failed with a duplicate key: it had worked out its version before "
        "the first one committed. Take the version from the locked row: INSERT ... ON CONFLICT (id) DO UPDATE "
        "... RETURNING."
    )
    assert not isinstance(outcome, psycopg.Error), f"Of two writers at once, the second one failed: {outcome}"
    versions = [version for version, _ in sandbox.stream()]
    assert versions == [1, 2, 3], f"Two writers at once left the versions {versions}; they should be [1, 2, 3]."


@own_sandbox
def a_new_stream_has_room_for_two(sandbox: Sandbox) -> None:
    """Two writers can begin the same stream"""
    outcome = sandbox.while_open(
        append_event("account-1", "AccountOpened"), append_event("account-1", "DepositRecorded")
    )
    assert not isinstance(outcome, psycopg.Error), (
        f"Two writers made the first append to account-1 at once, and the second one failed: "
        f"{outcome.diag.message_primary}. "
        "Neither saw a row, so both inserted one. ON CONFLICT (id) DO UPDATE covers both cases in one statement."
    )
    versions = [version for version, _ in sandbox.stream()]
    assert versions == [1, 2], f"Two first appends at once left the versions {versions}; they should be [1, 2]."


@own_sandbox
def other_streams_pass_by(sandbox: Sandbox) -> None:
    """A writer to another stream does not wait"""
    one, other = sandbox.database.connect(), sandbox.database.connect(lock_timeout="100ms")
    with one.transaction():
        one.execute(append_event("account-1", "AccountOpened"))
        try:
            other.execute(append_event("account-2", "AccountOpened"))
        except psycopg.errors.LockNotAvailable:
            raise AssertionError(
                "While one writer appended to account-1, another one had to wait with account-2. Only writers to one "
                "stream should queue: lock the row of the stream, not the table, and no lock for all."
            ) from None


@own_sandbox
def time_goes_forward(sandbox: Sandbox) -> None:
    """Time goes forward with the versions"""
    late = sandbox.database.connect()
    with late.transaction():
        late.execute("SELECT now()")  # this transaction began before the other one, and appends after it
        sandbox.execute(append_event("account-1", "AccountOpened"))
        late.execute(append_event("account-1", "DepositRecorded"))
    first, second = sandbox.values("SELECT recorded_at FROM events ORDER BY version")
    assert second >= first, (
        "Version 2 is recorded as older than version 1. Its transaction began earlier and appended later, and now() is "
        "the start of the transaction: use clock_timestamp()."
    )
    # The second writer's statement begins, and waits for the row; then the first one appends once more.
    append = append_event("account-2", "DepositRecorded")
    sandbox.while_open(append, append, then=append)
    moments = sandbox.values("SELECT recorded_at FROM events WHERE stream_id = 'account-2' ORDER BY version")
    assert moments == sorted(moments), (
        "A writer waited for its turn, and its event is recorded as older than the one it waited for. Its clock was "
        "read too early: call clock_timestamp() in the INSERT, after the row is locked. statement_timestamp() is the "
        "start of the statement, before the wait."
    )


def a_right_expectation_appends(sandbox: Sandbox) -> None:
    """The expected version lets the event in"""
    for expected, type in ((0, "AccountOpened"), (1, "DepositRecorded"), (2, "CashWithdrawn")):
        error = sandbox.refused(append_event("account-1", type, expected))
        if error and error.sqlstate != WRONG_EXPECTED_VERSION:
            raise error  # it is about something else
        assert error is None, (
            f"account-1 was at version {expected}, version {expected} was expected, and the append was refused: "
            f"{error.diag.message_primary}. "
            "Compare with the version before this append: that is one less than the version the event gets."
        )
    assert len(sandbox.stream()) == 3, f"Three appends left {len(sandbox.stream())} events."


def a_wrong_expectation_raises(sandbox: Sandbox) -> None:
    """Another version raises"""
    sandbox.execute(append_event("account-1", "AccountOpened", 0))
    sandbox.execute(append_event("account-1", "DepositRecorded", 1))
    for expected in (1, 0, 3):
        error = sandbox.refused(append_event("account-1", "CashWithdrawn", expected))
        assert error is not None, (
            f"account-1 was at version 2, its writer expected {expected}, and the call reported success. "
            "A lost race must not pass in silence, not even as a `false` that the caller may overlook: "
            "RAISE EXCEPTION."
        )
        assert error.sqlstate == WRONG_EXPECTED_VERSION, (
            f"The call raised {error.sqlstate} ({error.diag.message_primary}); it should raise with "
            "USING ERRCODE = 'ES001', so that a program can tell a lost race from every other error."
        )


def a_refused_append_leaves_nothing(sandbox: Sandbox) -> None:
    """A refused append leaves nothing behind"""
    sandbox.execute(append_event("account-1", "AccountOpened", 0))
    sandbox.refused(append_event("account-1", "DepositRecorded", 7))
    error = sandbox.refused(append_event("account-2", "AccountOpened", 3))
    assert error is not None, (
        "account-2 was not there, its writer expected version 3, and the call reported success. A stream that is not "
        "there is at version 0: compare for a new stream too."
    )
    assert stream_version(sandbox) == 1, f"The refused append moved account-1 to version {stream_version(sandbox)}."
    assert stream_version(sandbox, "account-2") is None, (
        "A refused first append left a row for account-2 in streams, a stream without events. "
        "An exception undoes all that its statement did: do not catch it, and do not RETURN instead."
    )
    assert sandbox.value("SELECT count(*) FROM events") == 1, "A refused append left an event behind."


def no_expectation_is_fine(sandbox: Sandbox) -> None:
    """No expectation, no check"""
    error = sandbox.refused(append_event("account-1", "AccountOpened")) or sandbox.refused(
        append_event("account-1", "DepositRecorded", None)
    )
    assert not isinstance(error, psycopg.errors.UndefinedFunction), (
        "append_event was called without an expected version, and no function takes that: `expected_version bigint DEFAULT "
        "NULL` makes the parameter one that may be left out."
    )
    assert error is None, (
        f"With expected_version NULL, or left out, the append must go through; it was refused: "
        f"{error.diag.message_primary}. "
        "In SQL `actual <> NULL` is neither true nor false; `IS DISTINCT FROM` treats NULL as a value, which is not "
        "what you want here."
    )
    assert len(sandbox.stream()) == 2, f"Two appends left {len(sandbox.stream())} events."


@own_sandbox
def one_of_two_wins(sandbox: Sandbox) -> None:
    """Of two writers with one expectation, one wins"""
    sandbox.execute(append_event("account-1", "AccountOpened", 0))
    first, second = append_event("account-1", "CashWithdrawn", 1), append_event("account-1", "CashWithdrawn", 1)
    outcome = sandbox.while_open(first, second)
    assert isinstance(outcome, psycopg.Error) and len(sandbox.stream()) == 2, (
        "Two writers expected version 1, and both got in. The second one compared while the first was still open, saw "
        "version 1, and then waited for the lock. First lock, then look: compare what the locked row says."
    )
    assert outcome.sqlstate == WRONG_EXPECTED_VERSION, (
        f"The second of two writers was refused, but with {outcome.sqlstate}: {outcome.diag.message_primary}. "
        "It should learn that the version was not the expected one (ES001). First lock, then look."
    )


def the_error_carries_its_values(sandbox: Sandbox) -> None:
    """The error says what was expected and what was found"""
    for _ in range(4):
        sandbox.execute(append_event("account-1", "DepositRecorded"))
    error = sandbox.refused(append_event("account-1", "CashWithdrawn", 2))
    assert error is not None, "account-1 was at version 4, its writer expected 2, and the call reported success."
    message = error.diag.message_primary or ""
    right = "Wrong expected version: 2 (stream: account-1, stream version: 4)"
    for what, value in (("the expected version", "2"), ("the stream", "account-1"), ("the stream's version", "4")):
        assert value in message.replace("account-1", "" if value != "account-1" else "account-1"), (
            f"The message reads {message!r}; {what}, {value}, is not in it. Whoever reads it in a log wants all three."
        )
    assert sorted(re.findall(r"[\w-]+", message)) != sorted(re.findall(r"[\w-]+", right)) or message == right, (
        f"The message reads {message!r}, and its values are the wrong way round. It should read {right!r}: RAISE takes its "
        "arguments in the order of the % signs."
    )
    assert message == right, (
        f"The message reads {message!r}. It should read {right!r}: the text is the same in every program."
    )
    assert error.diag.message_detail == "4", (
        f"DETAIL should be the stream's version, 4, and nothing else, for a program to read. "
        f"It is {error.diag.message_detail!r}: USING ERRCODE = 'ES001', DETAIL = actual."
    )


# 02.3 and 02.4: append_to_stream


def event(type: str, id: str | None = None, **data: Any) -> dict[str, Any]:
    return {"type": type, "data": data} | ({"id": id} if id else {})


def append_batch(
    sandbox: Sandbox, events: list[dict], expected: int | None = None, stream_id: str = "account-1", **metadata: Any
) -> tuple[int, int]:
    """Append a batch in the sandbox; return the version and position that the function returned."""
    rows = sandbox.execute(
        "SELECT version, position FROM append_to_stream(%s, %s, %s, %s)",
        (stream_id, expected, Jsonb(events), Jsonb(metadata)),
    ).fetchall()
    assert len(rows) == 1, f"append_to_stream should return one row, about the last event; it returned {len(rows)}."
    return rows[0]


THREE = [event("AccountOpened", n=1), event("DepositRecorded", n=2), event("CashWithdrawn", n=3)]


def a_batch_keeps_its_order(sandbox: Sandbox) -> None:
    """A batch is stored in its order"""
    append_batch(sandbox, THREE)
    expected = [(1, "AccountOpened"), (2, "DepositRecorded"), (3, "CashWithdrawn")]
    streams = sandbox.values("SELECT DISTINCT stream_id FROM events")
    assert streams == ["account-1"], (
        f"A batch of three was appended to account-1. In events are the streams {', '.join(map(repr, streams)) or 'none'}. The "
        "parameter is append_to_stream.stream_id, without quotes."
    )
    assert sandbox.stream()[0][1] != '"AccountOpened"', (
        "The types are stored with quotation marks around them: `->` gives JSON, and `->>` gives text, event ->> 'type'."
    )
    assert sandbox.stream() == expected, f"A batch of three should be stored as {expected}. It is {sandbox.stream()}."
    data = sandbox.values("SELECT data ->> 'n' FROM events ORDER BY version")
    assert data == ["1", "2", "3"], (
        f"Each event should carry its own data; in the order of the versions they are {data}."
    )


def a_batch_moves_the_stream_by_its_size(sandbox: Sandbox) -> None:
    """A second batch follows the first"""
    append_batch(sandbox, THREE)
    assert stream_version(sandbox) == 3, (
        f"After a batch of three, the stream's row says version {stream_version(sandbox)}. "
        "It moves by the number of events, not by one."
    )
    again = (
        "account-1 holds the versions 1, 2 and 3, and a second batch of three was refused: {error}. The place of an event is "
        "`actual + n`, behind what the stream holds already."
    )
    with tell({psycopg.errors.UniqueViolation: again}):
        append_batch(sandbox, THREE)
    versions = [version for version, _ in sandbox.stream()]
    assert versions == [1, 2, 3, 4, 5, 6], (
        f"Two batches of three should give the versions 1 to 6. They gave {versions}."
    )


def a_batch_is_all_or_nothing(sandbox: Sandbox) -> None:
    """A batch is stored whole or not at all"""
    append_batch(sandbox, [event("AccountOpened")])
    broken = [event("DepositRecorded"), event("DepositRecorded"), {"data": {}}]  # the third has no type
    error = sandbox.refused(append("account-1", *broken))
    assert error is not None, "The third event of a batch had no type, and the call reported success."
    assert sandbox.stream() == [(1, "AccountOpened")] and stream_version(sandbox) == 1, (
        f"The third event of a batch could not be stored. The stream should be as before; it holds {sandbox.stream()} and "
        f"its row says version {stream_version(sandbox)}. Let the error through: it undoes all that the function did."
    )


def it_returns_where_the_batch_ended(sandbox: Sandbox) -> None:
    """It returns the version and position of the last event"""
    append_batch(sandbox, [event("AccountOpened")])
    append_batch(sandbox, [event("AccountOpened")], stream_id="account-2")
    returned = append_batch(sandbox, THREE)
    last = sandbox.execute(
        "SELECT version, position FROM events WHERE stream_id = 'account-1' AND version = 4"
    ).fetchone()
    positions = sandbox.values("SELECT position FROM events WHERE stream_id = 'account-1' ORDER BY version")
    assert positions == sorted(positions), (
        f"In the order of their versions, the events have the positions {positions}. Positions are drawn in the order in which "
        "the rows are inserted, and the log is read by them: ORDER BY n."
    )
    assert returned == last, (
        f"After a batch of three, the last event has version and position {last}. The function returned {returned}."
    )


def metadata_goes_with_each_event(sandbox: Sandbox) -> None:
    """Metadata is stored with each event"""
    append_batch(sandbox, THREE, user="alice")
    users = sandbox.values("SELECT metadata ->> 'user' FROM events ORDER BY version")
    assert users == ["alice"] * 3, f'The metadata {{"user": "alice"}} belongs to all three events. They have {users}.'


@own_sandbox
def a_batch_happens_at_one_moment(sandbox: Sandbox) -> None:
    """A batch is recorded at one moment, and none before it"""
    late = sandbox.database.connect()
    with late.transaction():
        late.execute("SELECT now()")
        sandbox.execute(append("account-1", *THREE))
        late.execute(append("account-1", *THREE))
    moments = sandbox.values("SELECT recorded_at FROM events ORDER BY version")
    assert moments == sorted(moments), (
        "An event is recorded as older than the one before it. The moment is `stamp`, read under the lock, not now()."
    )
    assert len(set(moments[:3])) == 1, (
        "The three events of one batch have three moments. A reader who asks for the state at a moment could see half a "
        "batch: store `stamp` with each of them."
    )


def an_id_is_kept(sandbox: Sandbox) -> None:
    """An event that brings an id keeps it, another one gets one"""
    given = "11111111-1111-1111-1111-111111111111"
    append_batch(sandbox, [event("AccountOpened", given), event("DepositRecorded")])
    ids = sandbox.values("SELECT id FROM events ORDER BY version")
    assert ids[0] == UUID(given), f"The first event brought the id {given}; it was stored as {ids[0]}."
    error = sandbox.refused(append("account-1", event("AccountOpened", given)))
    assert error is not None, (
        f"The id {given} came a second time, and the call reported success. The event is not stored, and the stream's "
        f"row says version {stream_version(sandbox)} all the same: a gap. Let the error through, no ON CONFLICT DO NOTHING."
    )


@own_sandbox
def a_batch_keeps_its_expectation(sandbox: Sandbox) -> None:
    """The expected version is still checked, after the lock"""
    error = sandbox.refused(append("account-1", *THREE, expected=0)) or sandbox.refused(
        append("account-1", *THREE, expected=3)
    )
    assert error is None, (
        f"The stream was at the expected version, and the batch was refused: {error.diag.message_primary}. "
        "`actual` is the version before the batch: the row's new version, less the number of events."
    )
    error = sandbox.refused(append("account-2", "AccountOpened", expected=-1))
    assert error is not None and error.sqlstate == WRONG_EXPECTED_VERSION, (
        "An expected version of -1 means a stream that exists. account-2 does not, and the append was not refused with "
        "ES001."
    )
    error = sandbox.refused(append("account-1", *THREE, expected=3))
    assert error is not None and error.sqlstate == WRONG_EXPECTED_VERSION, (
        "account-1 was at version 6, the writer expected 3, and the append was not refused with ES001. "
        "`actual` is the version before the batch: the row's new version, less the number of events."
    )
    outcome = sandbox.while_open(append("account-1", *THREE, expected=6), append("account-1", *THREE, expected=6))
    assert isinstance(outcome, psycopg.Error), (
        "Two writers expected version 6, and both got in. First lock, then look: compare what the locked row says."
    )


# 02.4 The answer that never came

IDS = [f"{digit * 8}-0000-0000-0000-000000000000" for digit in "123"]
TWO = [event("DepositRecorded", IDS[0]), event("CashWithdrawn", IDS[1])]


def _attempt(sandbox: Sandbox, *args: Any, **kwargs: Any) -> Any:
    try:
        with sandbox.database.connection.transaction():
            return append_batch(sandbox, *args, **kwargs)
    except psycopg.Error as error:
        refusals = (psycopg.errors.UniqueViolation, psycopg.errors.RaiseException)
        if error.sqlstate != WRONG_EXPECTED_VERSION and not isinstance(error, refusals):
            raise  # no refusal, but a mistake in the SQL
        return error


def a_retry_gets_the_first_answer(sandbox: Sandbox) -> None:
    """A retry gets the first answer again"""
    append_batch(sandbox, THREE, stream_id="account-2")  # so that a version is no position
    append_batch(sandbox, [event("AccountOpened")], expected=0)
    first = append_batch(sandbox, TWO, expected=1)
    again = _attempt(sandbox, TWO, expected=1)
    if isinstance(again, psycopg.Error):
        if isinstance(again, psycopg.errors.UniqueViolation):
            why = (
                "Both ids are in the stream, each where this append would put it, so `in_place` should be 2, as `added` is: the "
                "place is e.version - n = expected_version, and INTO has a variable for each value."
            )
        elif not re.search(r"\bRETURN\s*;", str(sandbox.answer), re.IGNORECASE):
            why = "RETURN NEXT adds that row and goes on; RETURN ends the function."
        else:
            why = "Both ids are in the stream: `known` and `in_place` should be 2, and then RETURN comes before the RAISE."
        raise AssertionError(
            "An append was repeated with the same ids and the same expected version, and was refused: "
            f"{again.diag.message_primary}. Its first try had succeeded: answer as you did then. {why}"
        )
    assert again != first[::-1], (
        f"The first try returned the version and position {first}, the retry {again}: they are swapped. INTO fills its targets "
        "in the order in which SELECT names the columns."
    )
    assert again == first, f"The first try returned {first}, the retry {again}. It should be the same answer."
    capitals = [event("AccountClosed", "ABCDEFAB-0000-0000-0000-000000000000")]
    append_batch(sandbox, [event("AccountOpened")], stream_id="account-3")
    first, again = (_attempt(sandbox, capitals, expected=1, stream_id="account-3") for _ in "12")
    assert again == first, (
        "An event came under an id in capitals, and once more, and the second time it got an answer of its own. An id is a "
        "uuid, for which capitals make no difference: compare it as one, (event ->> 'id')::uuid, and not as a text."
    )


def a_retry_says_so(sandbox: Sandbox) -> None:
    """A retry says that it is one"""
    for expected in (False, True):
        repeated = sandbox.value("SELECT repeated FROM append_to_stream('account-1', 0, %s)", (Jsonb(TWO),))
        assert repeated is expected, (
            f"On the {'second' if expected else 'first'} try, `repeated` should be {str(expected).lower()}. "
            f"It is {repeated!r}: set `repeated := true;` before RETURN NEXT, and nowhere else."
        )


def a_retry_stores_nothing(sandbox: Sandbox) -> None:
    """A retry stores nothing and moves nothing"""
    append_batch(sandbox, [event("AccountOpened")], stream_id="account-2")
    append_batch(sandbox, [event("AccountOpened")], expected=0)
    append_batch(sandbox, TWO, expected=1)
    _attempt(sandbox, TWO, expected=1)
    assert len(sandbox.stream()) == 3, (
        f"After one event, two events, and the two again, there are {len(sandbox.stream())}."
    )
    assert stream_version(sandbox) == 3, (
        f"The retry stored nothing, and yet the stream's row moved from version 3 to {stream_version(sandbox)}. "
        "Step 1 took the versions already: give them back with UPDATE streams SET version = actual."
    )
    assert stream_version(sandbox, "account-2") == 1, (
        f"A retry in account-1 moved account-2 from version 1 to {stream_version(sandbox, 'account-2')}. "
        "Your UPDATE changes each row of streams: WHERE id = append_to_stream.stream_id."
    )
    error = sandbox.refused(append("account-1", "AccountClosed", expected=3))
    assert error is None, f"After a retry, the next append was refused: {error}"


def a_late_retry_is_still_known(sandbox: Sandbox) -> None:
    """A retry is known when others have appended since"""
    first = append_batch(sandbox, TWO, expected=0)
    append_batch(sandbox, THREE)
    again = _attempt(sandbox, TWO, expected=0)
    assert again == first, (
        f"Others appended between the first try and the retry. The first answer was {first}; the retry got {again}. "
        "Look for the events at expected_version + 1, + 2, ..., not at the end of the stream."
    )
    assert stream_version(sandbox) == 5, (
        f"The stream holds five events, and after the retry its row says version {stream_version(sandbox)}. "
        "Give back what step 1 took, and no more: SET version = actual."
    )


def another_event_is_no_retry(sandbox: Sandbox) -> None:
    """Other events under the same expectation are no retry"""
    append_batch(sandbox, TWO, expected=0)
    for events, what in (
        ([event("DepositRecorded", IDS[2])], "An event with an id of its own"),
        ([event("DepositRecorded"), event("CashWithdrawn")], "Two events without ids"),
    ):
        outcome = _attempt(sandbox, events, expected=0)
        assert isinstance(outcome, psycopg.Error), (
            f"{what}, appended at the version that two others already took, was answered with {outcome}, as if it were "
            "a retry. It is a lost race: compare the ids."
        )
        assert outcome.sqlstate == WRONG_EXPECTED_VERSION, (
            f"{what} at a version already taken is a lost race (ES001); the error was {outcome.sqlstate}: {outcome}"
        )
    append_batch(sandbox, [event("AccountOpened")], stream_id="account-2")
    outcome = _attempt(sandbox, TWO, expected=0, stream_id="account-2")
    assert isinstance(outcome, psycopg.Error) and outcome.sqlstate == WRONG_EXPECTED_VERSION, (
        "These ids are in account-1. An append of them to account-2, which does not hold them, lost its race, and the "
        f"outcome was {outcome}. Join with the events of this stream alone: e.stream_id = append_to_stream.stream_id."
    )


def a_partly_known_batch_is_refused(sandbox: Sandbox) -> None:
    """A batch that is known in part is refused"""
    append_batch(sandbox, TWO, expected=0)
    for events in ([*TWO, event("AccountClosed", IDS[2])], [TWO[1], TWO[0]]):
        outcome = _attempt(sandbox, events, expected=0)
        types = ", ".join(item["type"] for item in events)
        assert isinstance(outcome, psycopg.Error), (
            f"DepositRecorded and CashWithdrawn were stored; then {types} came under their ids, and were taken for the "
            f"same append: the answer was {outcome}. All of them must be there, each in its own place."
        )
        assert isinstance(outcome, psycopg.errors.UniqueViolation), (
            f"A batch whose ids are partly known is no lost race, and trying again will not help: "
            f"RAISE unique_violation. The error was {outcome.sqlstate}: {outcome.diag.message_primary}"
        )
        assert outcome.diag.message_primary not in ("", "unique_violation"), (
            "A batch whose ids are partly known was refused, and the error says no more than `unique_violation`. Whoever gets "
            "it wants to know what came twice: USING MESSAGE = '...'."
        )


# 02.5 read_stream


def _fill_three_streams(sandbox: Sandbox) -> None:
    for version in (5, 4, 3, 2, 1):  # the last is stored first, so that the order of the table is not that of a stream
        for stream_id in ("account-1", "account-2", "account-10"):
            sandbox.put(stream_id, f"E{version}", first=version)


def _versions(sandbox: Sandbox, arguments: str) -> list[int]:
    return sandbox.values(f"SELECT version FROM read_stream({arguments})")


def a_stream_is_read_whole(sandbox: Sandbox) -> None:
    """A stream is read whole, and alone"""
    _fill_three_streams(sandbox)
    streams = set(sandbox.values("SELECT stream_id FROM read_stream('account-1')"))
    assert streams, (
        "read_stream('account-1') returned nothing, and account-1 has five events. Left out, to_version, since and until "
        "are NULL, and a comparison with NULL is never true: (to_version IS NULL OR e.version <= to_version)."
    )
    assert streams == {"account-1"}, (
        f"read_stream('account-1') returned events of {', '.join(sorted(streams))}. "
        "Is there a condition on the stream? Inside the function `stream_id = stream_id` compares the column with itself: "
        "write read_stream.stream_id for the parameter, and compare the whole id."
    )
    assert len(_versions(sandbox, "'account-1'")) == 5, "account-1 has five events, and they were not all returned."


def a_stream_is_read_in_order(sandbox: Sandbox) -> None:
    """Its events come in the order of their versions"""
    # The last one is stored first, all have one moment, and no index is there to bring them in order by accident.
    for version in (5, 4, 3, 2, 1):
        sandbox.put("account-1", "X", first=version, at=lambda _: FIRST_MOMENT)
    sandbox.execute("SET LOCAL enable_indexscan = off")
    found = _versions(sandbox, "'account-1'")
    assert found == [1, 2, 3, 4, 5], (
        f"The versions came as {found}. Without ORDER BY a table has no order; the position is the order of the log, "
        "and the moment can be the same for several events: ORDER BY version."
    )


def both_ends_are_included(sandbox: Sandbox) -> None:
    """A range includes both its ends"""
    _fill_three_streams(sandbox)
    for arguments, expected in (
        ("'account-1', 3", [3, 4, 5]),
        ("'account-1', 1, 3", [1, 2, 3]),
        ("'account-1', 2, 4", [2, 3, 4]),
        ("'account-1', to_version => 2", [1, 2]),
    ):
        found = _versions(sandbox, arguments)
        assert found == expected, (
            f"read_stream({arguments}) should return the versions {expected}. It returned {found}."
        )


def moments_work_alike(sandbox: Sandbox) -> None:
    """Moments are a range too"""
    _fill_three_streams(sandbox)
    for arguments, expected in (
        ("'account-1', until => '2025-03-03 12:00:00+00'", [1, 2, 3]),
        ("'account-1', since => '2025-03-03 12:00:00+00'", [3, 4, 5]),
        ("'account-1', since => '2025-03-02 00:00:00+00', until => '2025-03-04 00:00:00+00'", [2, 3]),
    ):
        found = _versions(sandbox, arguments)
        assert found == expected, (
            f"read_stream({arguments}) should return the versions {expected}. It returned {found}."
        )


# 02.6 append, from Python


def _new(*types: str) -> list[dict]:
    return [event(type) for type in types]


@own_sandbox
def python_appends(sandbox: Sandbox) -> None:
    """It appends, and returns the new version"""
    connection = sandbox.database.connect()
    returned = sandbox.answer(connection, "account-1", _new("AccountOpened", "DepositRecorded"), 0)
    assert not connection.closed, (
        "append closed the connection, and it is the caller's. In psycopg 3 `with connection:` closes it at its end."
    )
    # Seen from another connection, as every other program would.
    assert sandbox.stream() == [(1, "AccountOpened"), (2, "DepositRecorded")], (
        f"After append(connection, 'account-1', [AccountOpened, DepositRecorded], 0) the stream holds "
        f"{sandbox.stream() or 'nothing'}."
    )
    assert returned == 2, f"append should return the version of the last event, 2. It returned {returned!r}."
    returned = sandbox.answer(connection, "account-1", _new("CashWithdrawn"), None)
    assert returned == 3, (
        f"A third event was appended, without an expected version, and append returned {returned!r}. "
        "The version, 3, is in the row that append_to_stream returns."
    )
    name = "account-o'brien"
    try:
        sandbox.answer(connection, name, _new("AccountOpened"), None)
    except psycopg.errors.SyntaxError as error:
        raise AssertionError(
            f"The stream {name} broke your SQL: {error.diag.message_primary}. Whoever may choose a stream's id could run "
            "SQL of their own: put %s in the statement, and pass the values beside it."
        ) from None
    assert len(sandbox.stream(name)) == 1, f"One event was appended to {name}, and it is not there."


@own_sandbox
def python_raises_on_a_lost_race(sandbox: Sandbox) -> None:
    """A lost race raises WrongExpectedVersion"""
    sandbox.answer(sandbox.database.connection, "account-1", _new("AccountOpened"), 0)
    try:
        returned = sandbox.answer(sandbox.database.connection, "account-1", _new("AccountOpened"), 0)
    except WrongExpectedVersion:
        return
    except psycopg.Error as error:
        raise AssertionError(
            f"A lost race left append as {type(error).__name__}: {error.diag.message_primary or error}. A caller should not need "
            "to know PostgreSQL's error codes: catch psycopg.Error, look at error.sqlstate, and raise "
            "WrongExpectedVersion."
        ) from None
    raise AssertionError(
        f"account-1 was at version 1, 0 was expected, and append returned {returned!r}. "
        "The caller believes that the events are stored: raise WrongExpectedVersion."
    )


@own_sandbox
def python_lets_the_database_compare(sandbox: Sandbox) -> None:
    """A race that Python cannot see is lost too"""
    sandbox.answer(sandbox.database.connection, "account-1", _new("AccountOpened"), 0)
    outcome = sandbox.while_open(
        append("account-1", "CashWithdrawn", expected=1),
        lambda connection: sandbox.answer(connection, "account-1", _new("CashWithdrawn"), 1),
    )
    assert isinstance(outcome, WrongExpectedVersion), (
        "Two writers expected version 1 at once, and the second one got in. Compared in Python, the version is old before "
        "the append begins: pass expected_version on to append_to_stream, which compares under its lock."
    )


@own_sandbox
def python_error_carries_its_values(sandbox: Sandbox) -> None:
    """The error carries stream, expected and actual version"""
    sandbox.answer(sandbox.database.connection, "account-1", _new("AccountOpened", "X", "DepositRecorded"), None)
    try:
        sandbox.answer(sandbox.database.connection, "account-1", _new("CashWithdrawn"), 1)
    except WrongExpectedVersion as error:
        found = (error.stream_id, error.expected, error.actual)
    else:
        raise AssertionError("account-1 was at version 3, 1 was expected, and append raised nothing.")
    assert isinstance(found[2], int), (
        f"error.actual is the text {found[2]!r}, and callers will compare it with numbers: "
        "int(error.diag.message_detail)."
    )
    assert found == ("account-1", 1, 3), (
        f"The error should say stream 'account-1', expected 1, actual 3. It says {found}. "
        "The actual version is in error.diag.message_detail."
    )


@own_sandbox
def python_lets_other_errors_through(sandbox: Sandbox) -> None:
    """Every other error is left as it is"""
    try:
        returned = sandbox.answer(sandbox.database.connection, "account-1", [{"data": {}}], None)
    except WrongExpectedVersion:
        raise AssertionError(
            "An event without a type was refused by the database, and append said WrongExpectedVersion. "
            "Whoever gets that will read again and retry, for ever: look at error.sqlstate first, and `raise` the rest."
        ) from None
    except psycopg.errors.NotNullViolation:
        return
    except Exception as error:
        raise AssertionError(
            f"An event without a type was refused by the database (NotNullViolation), and append raised {type(error).__name__} "
            "instead. A caller wants to see what the database said: let every other error through as it is, a bare `raise`."
        ) from error
    raise AssertionError(f"An event without a type was refused by the database, and append returned {returned!r}.")


@own_sandbox
def python_leaves_the_transaction_to_its_caller(sandbox: Sandbox) -> None:
    """The caller's transaction stays the caller's"""
    connection = sandbox.database.connect(autocommit=False)
    sandbox.answer(connection, "account-1", _new("AccountOpened"), None)
    connection.rollback()
    assert sandbox.stream() == [], (
        "The caller appended inside a transaction, rolled it back, and the event is there all the same. "
        "append must not commit: on an autocommit connection its one statement is a transaction already. `with "
        "connection.transaction():` commits too, where it is the outermost."
    )
    connection = sandbox.database.connect(autocommit=False)
    sandbox.answer(connection, "account-1", _new("AccountOpened"), None)
    connection.commit()
    assert len(sandbox.stream()) == 1, "The caller committed, and the event is not there. Does append roll back?"
    connection = sandbox.database.connect()
    try:
        with connection.transaction():
            sandbox.answer(connection, "account-2", _new("AccountOpened"), None)
            try:
                with connection.transaction():
                    sandbox.answer(connection, "account-1", _new("AccountOpened"), 0)
            except WrongExpectedVersion:
                pass
    except psycopg.ProgrammingError as error:
        raise AssertionError(
            f"In a caller's transaction a lost race ended with: {error}. Is there a commit or rollback in append? The "
            "caller may have done more in this transaction: only they know whether to go on."
        ) from None


# What `looks` plays: 02.3


def _appends(*batches: tuple[Any, ...]) -> tuple[tuple[str], ...]:
    """Return arguments of append_to_stream: of each batch the stream, the expected version, the events, the metadata."""
    return tuple(
        (
            ", ".join(
                [
                    f"'{stream_id}'",
                    "NULL" if expected is None else str(expected),
                    events if isinstance(events, str) else f"'{json.dumps(events)}'",
                    *(f"'{json.dumps(it)}'" for it in metadata),
                ]
            ),
        )
        for stream_id, expected, events, *metadata in batches
    )


_TWELVE = [event(f"E{number}", n=number) for number in range(1, 13)]
_METADATA: tuple[Any, ...] = ({"user": "alice"}, [], None, {"n": [1.50]})
_IDS = ("Account-1", "account_1%", " account-1 ", "o'brien", "")
_ODD: tuple[Any, ...] = (
    [{"type": "X"}],
    [{"type": "X", "data": [1, "2"]}],
    [{"type": "X", "data": "a text"}],
    [{"type": None, "data": {}}],
    [{"type": 7, "data": {}}],
    [{"type": "", "data": {"amount": "0.10", "of": {"deep": [1.50, None, True]}, "note": None}}],
    [{"type": "X", "data": {}, "id": "no id"}],
    [{"type": "X", "data": {}, "id": None}],
    [{"type": "X", "data": {}, "metadata": {"user": "eve"}, "version": 9, "recorded_at": "2000-01-01"}],
    [event("X", "11111111-1111-1111-1111-111111111111"), event("Y", "11111111-1111-1111-1111-111111111111")],
    [event("X", "11111111-1111-1111-1111-111111111111"), event("Y", "22222222-2222-2222-2222-222222222222")],
    [event("X", str(UUID("c4d6fa155f52c86a1a18ce01210818d9")))],
    ["a text"],
    [],
)


def _run_append(_: object, stage: Stage, arguments: str) -> Any:
    """Append; return the rows, with the event at each position: its number depends on what others have drawn."""
    rows = stage.connection.execute(f"SELECT * FROM append_to_stream({arguments})".encode()).fetchall()
    of_event = "SELECT stream_id, version FROM events WHERE position = %s"
    return [(version, stage.connection.execute(of_event, (at,)).fetchone(), *more) for version, at, *more in rows]


APPEND_TO_STREAM = SqlCall("append_to_stream({})", _run_append)
_STREAMS = (
    put("account-1", "AccountOpened", "DepositRecorded", row=True)
    + put("account-2", "X", first=9, row=True)
    + put("future-1", "X", at=lambda _: "2999-01-01 00:00:00+00", row=True)
)
OF_BATCHES = Advice(
    "It returns one row: the version and the position of the batch's last event, and repeated, which is false. Any JSON is data, "
    "event -> 'data'. And what is missing is refused: no type or data is made up.",
    "Each element of new_events becomes one row: its place is actual + n, its type a text, event ->> 'type', its data JSON, "
    "event -> 'data', as it is; then the metadata, and the one stamp.",
    "Nothing that goes wrong is caught here: an error undoes all that the function did.",
)
OF_NEW_STREAMS = Advice(
    "Look at the stream's row when it is yours: the INSERT that makes it or waits for it hands on what is in it, by RETURNING. A "
    "SELECT before it finds no row where there is none yet, and FOR UPDATE locks nothing then."
)
BATCHES = (
    Cases(
        call=APPEND_TO_STREAM,
        story="account-1 is at version 2, account-2 at version 9, future-1 at version 1, recorded in the year 2999",
        before=_STREAMS,
        given=_appends(
            *(("account-1", expected, THREE) for expected in (None, 2, 1, 0, 3, -1, -2, 2**31, 5 * 10**9)),
            *(("account-3", expected, THREE) for expected in (None, 0, 1, -1)),
            *(("account-2", 9, _TWELVE[:length]) for length in (1, 2, 3, 12)),
            ("future-1", 1, THREE),
            *((id, None, THREE) for id in ("a", "x" * 255, "x" * 256, "Account-1", "account_1%", " account-1 ", "")),
            *(("account-1", 2, THREE, metadata) for metadata in _METADATA),
            *(("account-1", 2, odd, {"user": "alice"}) for odd in _ODD),
            ("account-1", 2, "'{}'"),
            ("account-1", 2, f"'{json.dumps(THREE)}', NULL"),
        ),
        advice=OF_BATCHES,
    ),
    *(
        Scene(
            call=APPEND_TO_STREAM,
            story="account-1 is at version 2, and there is no account-3",
            before=_STREAMS,
            given=given,
            somebody=(Somebody(f"appended an event to {other}", append(other, "CashWithdrawn")),),
            stranger=Somebody("appends to account-2", append("account-2", "X")),
            breaks=other == "account-1",
            advice=OF_NEW_STREAMS if other == "account-3" else OF_BATCHES,
        )
        for other, given in zip(
            ("account-1", "account-2", "account-3"),
            _appends(("account-1", 2, THREE), ("account-1", None, THREE), ("account-3", None, THREE)),
            strict=True,
        )
    ),
)

# What `looks` plays: 02.1 and 02.2


def _one(stream_id: str, type: str = "'X'", data: str = '{"n": 1}', *expected: Any) -> tuple[str]:
    """Return arguments of append_event."""
    text = "'" + stream_id.replace("'", "''") + "'"
    return (", ".join([text, type, "NULL" if data == "NULL" else f"'{data}'", *map(str, expected)]),)


APPEND_EVENT = SqlCall("SELECT append_event({})")
_THREE_STREAMS = (
    put("account-1", "AccountOpened", "DepositRecorded", row=True)
    + put("account-2", "X", first=9, row=True)
    + put("large-1", "X", first=2**31, at=lambda _: FIRST_MOMENT, row=True)
)
_APPENDED_TO = "account-1 is at version 2, account-2 at version 9, large-1 at version 2147483648"
OF_APPEND_EVENT = Advice(
    "It returns the version at which the event is stored, and what is missing is refused: no type or data is made up.",
    "The event is stored as it came, with the version that its stream's locked row has after the first statement; its metadata is "
    "'{}', its moment clock_timestamp(), read after the lock, with no conversion to another zone.",
    "Nothing that goes wrong is caught here: an error undoes all that the function did. And only writers to one stream wait "
    "for each other.",
)


OF_WRITERS = replace(
    OF_APPEND_EVENT,
    outcome="First lock, then look: the version is that of the stream's row, from the one statement that makes the row or moves it "
    "on, and holds it. INSERT ... ON CONFLICT (id) DO UPDATE ... RETURNING. What was looked up before or beside it is old.",
)


def _append_event(*given: tuple[str], writers: dict[str, tuple[str]]) -> tuple[Scene, ...]:
    """Return the scenes of append_event: one with many calls, and some in which somebody appends to the same stream."""
    return (
        Cases(call=APPEND_EVENT, story=_APPENDED_TO, before=_THREE_STREAMS, given=given, advice=OF_APPEND_EVENT),
        *(
            Scene(
                call=APPEND_EVENT,
                story="account-1 is at version 2, and there is no account-3",
                before=_THREE_STREAMS,
                given=arguments,
                somebody=tuple(
                    Somebody(
                        f"appended an event to {other}", f"SELECT append_event('{other}', 'CashWithdrawn', '{{}}')"
                    )
                    for other in ((id, "account-2") if id == "account-1" else (id,))
                ),
                stranger=Somebody("appends to account-2", "SELECT append_event('account-2', 'X', '{}')"),
                breaks=id == "account-1",
                advice=OF_WRITERS,
            )
            for id, arguments in writers.items()
        ),
    )


_EVENTS = (
    *(_one(id) for id in ("account-1", "account-2", "large-1", "account-3", "a", *_IDS)),
    *(_one("ä" * length) for length in (255, 256)),
    *(_one("account-1", type) for type in ("''", "'deposit recorded'", "NULL")),
    *(
        _one("account-1", "'X'", data)
        for data in ("{}", "[1.50]", '"a text"', "null", '{"of": {"deep": null}}', "NULL")
    ),
)
ONE_BY_ONE = _append_event(*_EVENTS, writers={id: _one(id) for id in ("account-1", "account-3")})
EXPECTING = _append_event(
    *_EVENTS,
    *(_one("account-1", "'X'", "{}", expected) for expected in ("NULL", 2, 1, 0, 3, -1, 2**31, 5 * 10**9)),
    *(_one("account-2", "'X'", "{}", expected) for expected in (9, 8, 10, 90)),
    *(_one("large-1", "'X'", "{}", expected) for expected in (2**31, 2**31 - 1)),
    *(_one("account-3", "'X'", "{}", expected) for expected in ("NULL", 0, 1, -1)),
    writers={id: _one(id, "'X'", "{}", expected) for id, expected in (("account-1", 2), ("account-3", 0))},
)

# What `looks` plays: 02.4


def _known(*versions: int, stream_id: str = "account-1", upper: bool = False, **changes: Any) -> list[dict]:
    """Return events as they are stored at these versions, 0 being a new one; the last of them with changes."""
    found = [
        event(f"E{version}", id_of(stream_id, version), n=version) if version else event("E0", IDS[2])
        for version in versions
    ]
    if upper:
        found = [{**each, "id": each["id"].upper()} for each in found]
    found[-1].update(changes)
    return found


_FIRST_TRY = Somebody("tried just that before, and got through late", append("account-3", *_known(0), expected=0))
_REPEATED = "".join(
    put(
        stream_id,
        *({"type": f"E{version}", "data": {"n": version}} for version in range(first, first + length)),
        first=first,
        row=True,
        position=lambda version, start=start: start + 2 * version,  # type: ignore[misc]
    )
    for stream_id, first, length, start in (("account-1", 1, 5, 100), ("account-2", 9, 4, 10))
)
OF_RETRIES = Advice(
    "It is a retry if each of the events is stored in this very stream, at expected_version + n: then it gets the "
    "answer of the first try, repeated. If some of the ids are known, it is unique_violation. Else it is a lost race, ES001.",
    "A retry leaves everything as it was: it stores nothing, and gives back the versions that step 1 took.",
    "Nothing that goes wrong is caught here: an error undoes all that the function did.",
)
RETRIES = (
    Cases(
        call=APPEND_TO_STREAM,
        story="account-1 holds the versions 1 to 5, account-2 9 to 12",
        before=_REPEATED,
        given=_appends(
            *(("account-1", expected, _known(2, 3)) for expected in (1, 0, 2, 3, 5, None, -1)),
            *(
                ("account-1", versions[0] - 1, _known(*versions))
                for versions in ((1,), (3,), (5,), (1, 2, 3, 4, 5), (4, 5))
            ),
            *(
                ("account-1", 1, _known(*versions))
                for versions in ((3, 2), (2, 4), (2, 0), (0, 3), (0, 2), (3,), (2, 3, 0))
            ),
            ("account-1", 4, _known(5, 0)),
            ("account-1", 1, _known(2, 3, upper=True)),
            ("account-1", 1, _known(2, 3), {"user": "alice"}),
            ("account-1", 1, _known(2, 3, id=None)),
            ("account-1", 1, [event("E2"), event("E3")]),
            ("account-1", 1, _known(0)),
            ("account-1", 5, _known(0)),
            ("account-2", 8, _known(9, 10, 11, 12, stream_id="account-2")),
            ("account-2", 9, _known(9, 10, stream_id="account-2")),
            *(("account-2", expected, _known(2, 3)) for expected in (1, 12, None)),
            *(("account-3", expected, _known(1, 2)) for expected in (0, 1, -1)),
            *((stream_id, 1, _known(2, 3)) for stream_id in ("account_1", "Account-1", "account")),
        ),
        advice=OF_RETRIES,
    ),
    *(
        Scene(
            call=APPEND_TO_STREAM,
            story="account-1 holds the versions 1 to 5, and there is no account-3",
            before=_REPEATED,
            given=arguments,
            somebody=(somebody,),
            stranger=Somebody("appends to account-2", append("account-2", "X")),
            advice=advice,
        )
        for somebody, arguments, advice in zip(
            (Somebody("appended an event to account-1", append("account-1", "CashWithdrawn")), _FIRST_TRY),
            _appends(("account-1", 1, _known(2, 3)), ("account-3", 0, _known(0))),
            (OF_RETRIES, OF_NEW_STREAMS),
            strict=True,
        )
    ),
)

# What `looks` plays: 02.5

# Positions, moments and the order in the table are another order than the versions; two events share a moment, one is ahead
# of the clock, one beyond what an integer holds. Ids differ by a letter, or are patterns.
_VERSIONS = (11, 3, 12, 1, 9, 2, 10, 4, 8, 5)
_SAME_MOMENT = {4: 3, 10: 9}
_FILLED = "".join(
    put(
        stream_id,
        f"E{version}",
        first=version,
        at=lambda version: moment(_SAME_MOMENT.get(version, version)),
        position=lambda version: 1000 - 7 * version,
    )
    for version in _VERSIONS
    for stream_id in ("account-1", "Account-1", "account-10", "account_1", "account%", "b")
) + (
    put("account-1", "Far", first=2**31, at=lambda _: "2999-01-01 00:00:00+00")
    + put("account-1", "Farther", first=2**32 + 1, at=lambda _: "2999-01-01 00:00:00+00")
    + "SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;"
)
_VERSION_RANGES = (
    "1",
    "3",
    "9",
    "10",
    "13",
    "0",
    "4, 9",
    "9, 10",
    "5, 5",
    "6, 7",
    "10, 3",
    "1, 0",
    f"1, {2**31}",
    f"{2**32}",
)
_MOMENTS = (
    "2025-03-03 12:00:00+00",
    "2025-03-03 17:45:00+05:45",
    "2025-03-09 12:00:00.000001+00",
    "2025-03-09 11:59:59.999999+00",
)
READ_STREAM = Advice(
    "The WHERE has one condition for the whole id, and one for each end: where that is left out there is no limit, which is "
    "not the same as now(), for an event can be ahead of the clock. And ORDER BY the number in version."
)
READS = (
    Cases(
        call=SqlCall("SELECT version FROM read_stream({})"),
        story="account-1 holds the versions 1 to 12 but 6 and 7, and two far beyond",
        before=_FILLED,
        given=(
            *(
                (f"'{id}'",)
                for id in ("account-1", "Account-1", "account_1", "account%", "account-1 ", "b", "%", "a", "")
            ),
            *((f"'account-1', {versions}",) for versions in _VERSION_RANGES),
            *((f"'account-1', {end} => '{at}'",) for end in ("since", "until") for at in _MOMENTS),
            *((f"'account-1', since => '{_MOMENTS[0]}', until => '{at}'",) for at in (*_MOMENTS[1:], "2025-03-01")),
            (f"'account-1', 4, 11, until => '{_MOMENTS[2]}'",),
            (f"'account-1', 9, since => '{_MOMENTS[0]}', until => '{_MOMENTS[2]}'",),
            (f"'account-1', 1, 9, '{_MOMENTS[3]}', '{_MOMENTS[2]}'",),
            ("'account-1', from_version => 3, to_version => NULL, since => NULL, until => NULL",),
            ("'account-1', until => now()",),
            ("'account-1', until => 'infinity', since => '-infinity'",),
        ),
        advice=READ_STREAM,
    ),
    Cases(
        call=SqlCall("SELECT * FROM read_stream({})"),
        story="account-1 holds the versions 1 to 12 but 6 and 7",
        before=_FILLED,
        given=(("'account-1', 3, 5",), ("'b', 11",)),
        advice=Advice("Each row is the event as it is stored, all of its columns."),
    ),
    Cases(
        call=SqlCall("SELECT count(*) FROM read_stream({})"),
        story="The stream `long` holds 1100 events",
        before=many("long", 1100),
        given=(("'long'",), ("'long', 51",)),
        advice=Advice("A long stream is read whole, too: no LIMIT."),
    ),
)

# What `looks` plays: 02.6

APPEND = Call("append(connection, {})", lambda append, stage, *given: append(stage.connection, *given))
ONE_EVENT = put("account-1", "AccountOpened", row=True)
BATCH = [event("DepositRecorded", amount="5.00"), event("CashWithdrawn", amount="5.00")]
OF_APPEND = Advice(
    "The version to return, and the error to raise, are in what append_to_stream answers to this very call.",
    "One call of append_to_stream stores the whole batch, at one moment, or nothing of it.",
    "append sends one statement, and every error but ES001 gets through as it is. Whether and when it is committed is the "
    "caller's business.",
)
APPENDS = (
    Cases(
        call=APPEND,
        story="account-1 holds one event, account-2 twelve",
        before=ONE_EVENT + put("account-2", *["X"] * 12, row=True),
        given=(
            ("account-1", [event("DepositRecorded")]),
            ("account-1", BATCH, 1),
            ("account-1", BATCH, 0),
            ("account-1", BATCH, None),
            ("account-1", BATCH, -1),
            ("account-2", BATCH, 12),
            ("account-2", BATCH, 9),
            ("account-3", BATCH, 0),
            ("account-3", BATCH, -1),
            ("account-3", [event("X", metadata=None)] * 11, None),
            ("account-1", [], None),
            ("account-1", [event("X"), {"data": {}}], None),
            ("account-1", [event("X"), {"type": "Y"}], None),
            *((id, [event("X")], None) for id in _IDS),
            ("x" * 255, [event("X")], 0),
            ("x" * 256, [event("X")], 0),
        ),
        advice=OF_APPEND,
    ),
    Scene(
        call=APPEND,
        story="account-1 holds one event",
        before=ONE_EVENT,
        given=("account-1", BATCH, None),
        somebody=(Somebody("appended an event to account-1", append("account-1", "CashWithdrawn")),),
        stranger=Somebody("appends to account-2", append("account-2", "AccountOpened")),
        advice=OF_APPEND,
    ),
    Scene(
        call=APPEND,
        story="account-1 holds one event",
        before=ONE_EVENT,
        given=("account-1", BATCH, 1),
        somebody=(Somebody("appended an event to account-1", append("account-1", "CashWithdrawn")),),
        advice=OF_APPEND,
    ),
)


EXERCISES = (
    Exercise(
        id="02.1",
        title="Append one event",
        minutes=9,
        difficulty="medium",
        keeps="steps/append_event.sql",
        given=TABLES,
        fast_track=True,
        checks=(
            the_first_event_is_version_1,
            versions_have_no_gap,
            streams_do_not_mix,
            the_stream_row_keeps_up,
            a_second_writer_waits_its_turn,
            a_new_stream_has_room_for_two,
            other_streams_pass_by,
            time_goes_forward,
            *looks(*ONE_BY_ONE),
        ),
        hints=(
            "Two statements. The first one takes the stream's row and tells you the version; the second one stores the "
            "event at that version.",
            "`INSERT INTO streams AS s (id, version) VALUES (..., 1) ON CONFLICT (id) DO UPDATE SET version = ...` covers "
            "a new stream and an existing one. `RETURNING s.version INTO new_version` hands you what it wrote.",
            "The first statement:\n\n```sql\n"
            "INSERT INTO streams AS s (id, version) VALUES (append_event.stream_id, 1)\n"
            "ON CONFLICT (id) DO UPDATE SET version = s.version + 1\n"
            "RETURNING s.version INTO new_version;\n```\n\n"
            "The second one is an ordinary INSERT with `new_version`, `gen_random_uuid()` and `clock_timestamp()`.",
        ),
    ),
    Exercise(
        id="02.2",
        title="Expect a version",
        minutes=8,
        difficulty="medium",
        keeps="steps/append_event.sql",
        given=TABLES,
        fast_track=True,
        checks=(
            a_right_expectation_appends,
            no_expectation_is_fine,
            a_wrong_expectation_raises,
            a_refused_append_leaves_nothing,
            one_of_two_wins,
            the_error_carries_its_values,
            *looks(*EXPECTING),
        ),
        hints=(
            "The row is locked and `actual` is known. What is missing is one comparison, and what to do if it fails.",
            "`IF actual <> expected_version THEN ... END IF;` With NULL the comparison is not true, so nothing happens: "
            "just what is wanted.",
            "```sql\n"
            "IF actual <> expected_version THEN\n"
            "    RAISE EXCEPTION 'Wrong expected version: % (stream: %, stream version: %)',\n"
            "            expected_version, append_event.stream_id, actual\n"
            "        USING ERRCODE = 'ES001', DETAIL = actual;\n"
            "END IF;\n```",
        ),
    ),
    Exercise(
        id="02.5",
        title="Read a stream",
        minutes=3,
        difficulty="easy",
        keeps="schema/50_read_stream.sql",
        given=TABLES,
        fast_track=True,
        checks=(
            a_stream_is_read_whole,
            a_stream_is_read_in_order,
            both_ends_are_included,
            moments_work_alike,
            *looks(*READS),
        ),
        hints=(
            "One SELECT from events. Start with the stream and the order, run the check, then add one range after the "
            "other.",
            "A parameter that may be NULL: `(to_version IS NULL OR e.version <= to_version)`.",
            "```sql\n"
            "WHERE e.stream_id = read_stream.stream_id\n"
            "  AND e.version >= from_version\n"
            "  AND (to_version IS NULL OR e.version <= to_version)\n"
            "```\n\nand the same twice more, with `e.recorded_at`, `since` and `until`.",
        ),
    ),
    Exercise(
        id="02.3",
        title="Append a batch",
        minutes=15,
        difficulty="hard",
        keeps="schema/40_append_to_stream.sql",
        given=TABLES,
        checks=(
            a_batch_keeps_its_order,
            a_batch_moves_the_stream_by_its_size,
            it_returns_where_the_batch_ended,
            a_batch_is_all_or_nothing,
            a_batch_keeps_its_expectation,
            metadata_goes_with_each_event,
            a_batch_happens_at_one_moment,
            an_id_is_kept,
            *looks(*BATCHES),
        ),
        hints=(
            "Lock and look are given. What is left is one INSERT whose SELECT makes a row of each element of the array.",
            "`jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)` gives you each event with its number, "
            "from 1. Its version is `actual + n`, its type is `event ->> 'type'`, its data is `event -> 'data'`.",
            "The SELECT list, in the order of the columns:\n\n```sql\n"
            "SELECT append_to_stream.stream_id, actual + n,\n"
            "       coalesce((event ->> 'id')::uuid, gen_random_uuid()), event ->> 'type', event -> 'data',\n"
            "       append_to_stream.metadata, stamp\n"
            "FROM jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)\n"
            "ORDER BY n\n"
            "RETURNING events.version, events.position\n```",
        ),
    ),
    Exercise(
        id="02.4",
        title="The answer that never came",
        minutes=20,
        difficulty="hard",
        keeps="schema/40_append_to_stream.sql",
        given=TABLES,
        checks=(
            a_retry_gets_the_first_answer,
            a_retry_stores_nothing,
            a_retry_says_so,
            a_late_retry_is_still_known,
            another_event_is_no_retry,
            a_partly_known_batch_is_refused,
            *looks(*RETRIES),
        ),
        hints=(
            "All of it goes before the RAISE: only an append at the wrong version can be a retry. Count two things: how "
            "many of these ids the stream holds, and how many of them just where this append would put them.",
            "Join the elements of `new_events` with the events of this stream by id. `count(*)` is how many are known; "
            "`count(*) FILTER (WHERE e.version - n = expected_version)` is how many are in place.",
            "```sql\n"
            "SELECT count(*),\n"
            "       count(*) FILTER (WHERE e.version - n = expected_version),\n"
            "       max(e.version), max(e.position)\n"
            'INTO known, in_place, version, "position"\n'
            "FROM jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)\n"
            "JOIN events e ON e.stream_id = append_to_stream.stream_id AND e.id = (event ->> 'id')::uuid;\n```\n\n"
            "If `in_place = added` it is a retry: give the versions back, `repeated := true; RETURN NEXT; RETURN;`. "
            "Otherwise, if `known > 0`, `RAISE unique_violation`.",
        ),
    ),
    Exercise(
        id="02.6",
        title="Append, from Python",
        minutes=10,
        difficulty="medium",
        keeps="store.py",
        given=(*TABLES, *APPENDING),
        checks=(
            python_appends,
            python_raises_on_a_lost_race,
            python_lets_the_database_compare,
            python_error_carries_its_values,
            python_lets_other_errors_through,
            python_leaves_the_transaction_to_its_caller,
            *looks(*APPENDS),
        ),
        hints=(
            "Run the statement and return the version from its row. Then put `try` around it.",
            "`except psycopg.Error as error:` and then ask `error.sqlstate`. "
            "If it is not `'ES001'`, a bare `raise` lets the error through as it is.",
            "```python\n"
            "except psycopg.Error as error:\n"
            "    if error.sqlstate != 'ES001':\n"
            "        raise\n"
            "    raise WrongExpectedVersion(stream_id, expected_version, int(error.diag.message_detail)) from None\n```",
        ),
    ),
)
