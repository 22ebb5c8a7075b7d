"""The exercises of notebook 08: reading the log without skipping, a checkpoint, and a bell."""

import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from eventstore import EventStore, Log, LogPosition, RecordedEvent

from ...bank import CashierEmployed, DepositRecorded, event_types
from ...bank.examples import deposited, employed, opened
from ...server.database import Database
from ..answers import reference_function
from ..arranged import append, many, moment, put
from ..exercise import Exercise
from ..given import whole_schema
from ..hunts import Hunt, Slip, checks_of
from ..looks import looks
from ..sandbox import Broken, Sandbox, expect, interrupted, own_sandbox
from ..scene import Advice, Call, Cases, Scene, Somebody, SqlCall
from ..watched import Watched
from .ex02_appending import BATCHES

# A position that this log would have announced: the lock stands for an append under way.
ANNOUNCE = "SELECT pg_advisory_xact_lock_shared(('events'::regclass::oid::bigint << 48) | %s)"
DRAWN = "SELECT last_value - (NOT is_called)::int FROM events_position_seq"


def store(sandbox: Sandbox, *streams: str) -> None:
    """Store an event at the end of each of these streams, in this order, as if others had committed them.

    Nothing is announced, so they are settled at once, in the transaction of the check, too.
    """
    for stream_id in streams:
        last = sandbox.value("SELECT coalesce(max(version), 0) FROM events WHERE stream_id = %s", (stream_id,))
        event = employed() if stream_id.startswith("cashier") else deposited(1)
        sandbox.put(stream_id, event, first=last + 1)


def from_one(sandbox: Sandbox) -> None:
    """Let positions begin with 1 again: drawing one is not undone with a transaction, this is."""
    sandbox.execute("ALTER TABLE events ALTER COLUMN position RESTART")


# 08.1 read_log


def read_log(sandbox: Sandbox, after: int, max_count: int | None = 100) -> list[int]:
    """Return the positions that read_log returns."""
    return sandbox.values("SELECT position FROM read_log(%s, %s)", (after, max_count))


def all_streams_are_read(sandbox: Sandbox) -> None:
    """It reads the events of all streams"""
    from_one(sandbox)
    store(sandbox, "account-1", "account-2", "cashier-1")
    found = sandbox.values("SELECT stream_id FROM read_log(0, 100)")
    assert sorted(found) == ["account-1", "account-2", "cashier-1"], (
        "Three streams have an event each, and read_log(0, 100) should return all three. "
        f"It returned events of {', '.join(sorted(found)) or 'no stream'}."
    )


def in_the_order_of_positions(sandbox: Sandbox) -> None:
    """They come in the order of their positions"""
    for position, stream_id in ((3, "account-1"), (1, "account-2"), (4, "account-0"), (2, "account-3")):
        sandbox.put(stream_id, "X", position=lambda _, position=position: position)
    found = read_log(sandbox, 0)
    assert found == [1, 2, 3, 4], (
        f"The positions should come as [1, 2, 3, 4]. They came as {found}. Without ORDER BY position, rows come as they "
        "happen to lie in the table; and moments are no order, for two events can share one, and clocks are set back."
    )


def it_goes_on_after_the_checkpoint(sandbox: Sandbox) -> None:
    """It goes on after the checkpoint"""
    from_one(sandbox)
    store(sandbox, "account-2", "account-2", "account-1", "account-1", "account-2")
    found = read_log(sandbox, 2)
    assert 2 not in found, (
        "The checkpoint is the last position that was handled. read_log(2, 100) returned the event at 2 again: "
        "position > after."
    )
    assert found != [5], (
        "read_log(2, 100) left out the positions 3 and 4: they are the versions 1 and 2 of their stream. The checkpoint is "
        "a position, not a version."
    )
    assert found == [3, 4, 5], (
        f"After checkpoint 2 there are the positions 3, 4 and 5. read_log(2, 100) returned {found}."
    )
    assert read_log(sandbox, 5) == [], f"After checkpoint 5 there is nothing yet. It returned {read_log(sandbox, 5)}."


def no_more_than_asked_for(sandbox: Sandbox) -> None:
    """It returns no more than max_count"""
    from_one(sandbox)
    store(sandbox, *["account-1"] * 5)
    found = read_log(sandbox, 1, 2)
    assert found == [2, 3], (
        f"read_log(1, 2) should return the next two events, at 2 and 3. It returned {found}. LIMIT max_count, behind the "
        "ORDER BY: the first ones in order, and not any two."
    )


def a_hole_is_stepped_over(sandbox: Sandbox) -> None:
    """A hole in the positions does not matter"""
    from_one(sandbox)
    store(sandbox, "account-1")
    sandbox.execute("SELECT nextval('events_position_seq') FROM generate_series(1, 10)")
    store(sandbox, "account-1", "account-1")
    found = read_log(sandbox, 1, 2)
    assert found == [12, 13], (
        "An append that was rolled back has left a hole: the positions are 1, 12 and 13. read_log(1, 2) should return the "
        f"next two, 12 and 13. It returned {found or 'nothing'}. Count the events, not the positions: LIMIT."
    )


# Position, version, moment and stream are four orders, positions have holes, and some are beyond what an integer holds.
_POSITIONS = (11, 3, 99, 2, 10, 1, 100, 9, 30, 5 * 10**9, 2**31, 5)
_LOG = "".join(
    put(
        f"account-{position % 4}",
        "X",
        first=13 - number,
        at=lambda version: moment(version // 3),
        position=lambda _, position=position: position,  # type: ignore[misc]
    )
    for number, position in enumerate(_POSITIONS)
)
READS = (
    Cases(
        call=SqlCall("SELECT position FROM read_log({})"),
        story=f"The log holds the positions {', '.join(map(str, sorted(_POSITIONS)))}",
        before=_LOG,
        given=tuple(
            (f"{after}, {max_count}",)
            for after in (0, 1, 2, 3, 4, 8, 9, 10, 11, 29, 99, 100, 2**31 - 1, 2**31, 4 * 10**9, 5 * 10**9, 6 * 10**9)
            for max_count in (1, 2, 3, 12, 10**10)
        )
        + (("0, 0",), ("-1, 2",)),
        advice=Advice(
            "The next max_count events behind the checkpoint, by the number in position: whatever holes there are, "
            "WHERE position > after ORDER BY position LIMIT max_count. An OFFSET counts rows, and a text is no number."
        ),
    ),
    Cases(
        call=SqlCall("SELECT * FROM read_log({})"),
        story="The log holds the positions 1, 2, 3, 5 and more",
        before=_LOG,
        given=(("1, 2",), ("100, 9",)),
        advice=Advice("Each row is the event as it is stored, all of its columns."),
    ),
    Cases(
        call=SqlCall("SELECT count(*), max(position) FROM read_log({})"),
        story="The log holds 1100 events",
        before=many("account-1", 1100),
        given=(("0, 2000",), ("10, 1050",)),
        advice=Advice("max_count is the only LIMIT."),
    ),
)


# 08.2 settled_position


@contextmanager
def open_append(sandbox: Sandbox, *appends: str) -> Iterator[psycopg.Connection]:
    """Append on a connection of its own, and roll back at the end. SQL that appends is what it takes.

    Nothing is stored, so nobody needs a new schema afterwards; but positions are drawn, and stay drawn.
    """
    with sandbox.database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("".join(appends))
        yield connection


def look(sandbox: Sandbox) -> LogPosition:
    """Return what settled_position returns."""
    sandbox.execute("SET LOCAL lock_timeout = '100ms'; SET LOCAL statement_timeout = '500ms'")
    try:
        rows = sandbox.execute("SELECT settled, drawn FROM settled_position()").fetchall()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        raise AssertionError(
            "An append was under way, and settled_position waited for it. It should take no lock, and wait for nobody: look "
            "at the locks that others hold, in pg_locks."
        ) from None
    assert len(rows) == 1, f"settled_position should return one row. It returned {len(rows)}."
    return LogPosition(*rows[0])


def an_empty_log(sandbox: Sandbox) -> None:
    """In an empty log both positions are 0"""
    found = look(sandbox)
    assert found.drawn is not None, (
        "Nobody has drawn a position yet: drawn should be 0. It is None. Either nothing was put into it, or "
        "max(position), which is NULL while the table is empty, and after a rollback less than what was drawn. Ask the "
        "sequence, events_position_seq."
    )
    assert found.drawn == 0, (
        f"Nobody has drawn a position yet: drawn should be 0. It is {found.drawn}. A new sequence says last_value 1 and "
        "is_called false: last_value - (NOT is_called)::int."
    )
    assert found.settled == 0, (
        f"The log is empty, and settled should be 0. It is {found.settled}. Where no append is open, min(...) is NULL; "
        "least(...) passes a NULL by."
    )


def from_the_first(sandbox: Sandbox) -> None:
    """Let positions begin with 1 again, at once and for every connection."""
    sandbox.execute("SELECT setval('events_position_seq', 1, false)")


def nothing_open(sandbox: Sandbox) -> None:
    """With no append under way, all is settled"""
    from_the_first(sandbox)
    store(sandbox, "account-1", "account-2", "account-1")
    found = look(sandbox)
    assert found == (3, 3), (
        "The log holds the positions 1, 2 and 3, and no append is under way: settled and drawn should both be 3. "
        f"settled is {found.settled}, drawn is {found.drawn}."
    )
    assert sandbox.value(DRAWN) == 3, (
        f"3 positions were drawn, and now they are {sandbox.value(DRAWN)}: looking has drawn one. nextval draws; last_value tells."
    )


def an_open_append_holds_back(sandbox: Sandbox) -> None:
    """An append under way holds the reader back"""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    with open_append(sandbox, append("account-2", "X", "X")):
        store(sandbox, "account-1")  # and one that is done already
        sandbox.execute("SELECT nextval('events_position_seq')")  # and one that came to nothing
        found = look(sandbox)
    story = (
        "Position 1 is committed, an open append has drawn 2 and 3, 4 is committed, and the append that drew 5 was rolled "
        "back."
    )
    assert found != (5, 1), f"{story} settled should be 1 and drawn 5. They are the wrong way round."
    assert found.drawn == 5, (
        f"{story} drawn should be 5, and it is {found.drawn}. The sequence knows; the table shows only what is committed."
    )
    assert found.settled == 1, f"{story} The open one announced 1, so settled should be 1. It is {found.settled}."


def the_lowest_counts(sandbox: Sandbox) -> None:
    """Of several appends under way, the lowest counts"""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    with (
        open_append(sandbox, append("account-2", "X")) as first,
        open_append(sandbox, append("account-3", "X")),
        open_append(sandbox, append("account-4", "X")),
    ):
        first.execute(append("account-5", "X"))  # one that announced early appends once more
        found = look(sandbox)
    assert found.settled == 1, (
        "Three appends are under way. They announced 1, 2 and 3, so settled should be 1, the lowest. "
        f"It is {found.settled}."
    )


def a_hole_stalls_nobody(sandbox: Sandbox) -> None:
    """An append that was rolled back stalls nobody"""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    with open_append(sandbox, append("account-2", "X")):
        pass
    store(sandbox, "account-1")
    found = look(sandbox)
    assert found == (3, 3), (
        "The positions 1 and 3 are committed. The append that drew 2 was rolled back, and nothing will ever be there: "
        f"settled and drawn should both be 3. settled is {found.settled}, drawn is {found.drawn}. Ask who is open and what "
        "was drawn, not which events are there."
    )


def others_do_not_count(sandbox: Sandbox) -> None:
    """Locks that are no announcement in this log do not count"""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    log = "'events'::regclass::oid::bigint"
    strangers = {
        "Somebody is appending to another log in this database. Its announcements carry another log's number: "
        "classid::bigint >> 16": f"SELECT pg_advisory_xact_lock_shared((({log} + 1) << 48) | 0)",
        "Another program holds an advisory lock of two numbers. PostgreSQL marks those with objsubid 2, and ours with 1": (
            f"SELECT pg_advisory_xact_lock_shared((({log} & 65535) << 16)::bit(32)::int, 0)"
        ),
        "Somebody is appending in another database of this server, to a log of the same number. pg_locks shows all "
        "databases": (
            f"SET LOCAL search_path = {sandbox.database.schema}, pg_catalog; CREATE VIEW pg_locks AS"
            " SELECT locktype, 1::oid AS database, relation, page, tuple, virtualxid, transactionid, classid, objid,"
            " objsubid, virtualtransaction, pid, mode, granted, fastpath, waitstart FROM pg_catalog.pg_locks;"
            f" SELECT pg_advisory_xact_lock_shared(({log} << 48) | 0)"
        ),
    }
    for story, lock in strangers.items():
        with sandbox.database.connection.transaction(force_rollback=True):
            sandbox.execute(lock)
            found = look(sandbox)
        assert found.settled == 1, (
            f"{story}. Here no append is under way, so settled should be 1. It is {found.settled}. "
            "The WHERE in the text above picks the right ones."
        )


def the_sequence_first(sandbox: Sandbox) -> None:
    """An append that begins between the two looks is not passed by"""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    # A pg_locks of this sandbox: right after somebody has looked at it, an append begins. Nobody needs luck for that.
    sandbox.execute(f"""
        SET LOCAL search_path = {sandbox.database.schema}, pg_catalog;
        CREATE FUNCTION look_and_then() RETURNS SETOF pg_catalog.pg_locks LANGUAGE plpgsql AS $$
        DECLARE
            context text;
        BEGIN
            GET DIAGNOSTICS context = PG_CONTEXT;
            PERFORM set_config('sandbox.context', context, true);
            RETURN QUERY SELECT * FROM pg_catalog.pg_locks;
            PERFORM append_to_stream('account-2', NULL, '[{{"type": "X", "data": {{}}}}]');
        END
        $$;
        CREATE VIEW pg_locks AS SELECT * FROM look_and_then();
    """)
    found = look(sandbox)
    assert found.settled == 1, (
        "Position 1 is committed. Right after your function had looked at pg_locks, an append began: it drew 2, and is "
        f"still open. settled should be 1, and it is {found.settled}: your function looked at the sequence after that, and "
        "its reader would pass 2 by for ever. First see which positions there are, then which of them are open, as two "
        "statements: within one, PostgreSQL chooses the order."
    )
    context = re.sub(
        r"--[^\n]*|/\*.*?\*/", "", sandbox.value("SELECT current_setting('sandbox.context')"), flags=re.DOTALL
    )
    assert not re.search(r"events_position_seq|pg_sequence", context), (
        "One statement of yours looks at the sequence and at pg_locks. Here it happened to look at the sequence first. Within one "
        "statement PostgreSQL chooses the order, and by the other one a reader passes an append by for ever. Make two of it: first "
        "SELECT ... INTO drawn, then SELECT ... INTO settled."
    )


def _settled(_: object, stage: Any, drawn: int, announced: tuple[int, ...]) -> Any:
    """Call the answer where so many positions were drawn, and appends are under way that have announced these."""
    is_called = str(drawn > 0).lower()
    stage.connection.unwatched(
        f"SELECT setval('events_position_seq', {max(drawn, 1)}, {is_called});"
        + "".join(f"{ANNOUNCE % position};" for position in announced)
    )
    return stage.connection.execute("SELECT settled, drawn FROM settled_position()").fetchall()


SETTLED = (
    Cases(
        call=Call(
            "SELECT settled, drawn FROM settled_position(): so many were drawn, and appends under way announced: {}",
            _settled,
        ),
        given=(
            *((drawn, ()) for drawn in (0, 1, 2, 2**31, 2**32 + 7, 2**47)),
            *((drawn, (drawn - 1, drawn - 1)) for drawn in (1, 9, 2**31, 2**32, 2**32 + 1, 2**40)),
            *((2**40, (position, 2**33)) for position in (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33 + 1)),
            (12, (9, 10, 11, 2, 3)),
            (5, (5,)),
            (2**47, (2**46 + 1,)),
        ),
        advice=Advice(
            "A position is one number of 48 bits: the lower half of classid is its upper part, above 2^32, and objid the rest. "
            "settled is the lowest of those that were announced. In a REPEATABLE READ transaction it refuses, as the given lines do."
        ),
    ),
)


# 08.3 handle_next


class Handled:
    """A handler that takes notes, in Python and in a table."""

    def __init__(self, sandbox: Sandbox):
        self.calls: list[list[int]] = []  # the positions of the events, call by call
        sandbox.execute("CREATE TABLE IF NOT EXISTS noted (position bigint)")

    def __call__(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        positions = [recorded.position for recorded in events]
        self.calls.append(positions)
        connection.execute("INSERT INTO noted SELECT unnest(%s::bigint[])", (positions,))


def a_reader(sandbox: Sandbox, *streams: str, checkpoint: int = 0) -> Handled:
    """Store events of these streams, and a checkpoint under the name `report`; return a handler."""
    sandbox.execute("INSERT INTO subscriptions VALUES ('neighbour', 0), ('report', %s)", (checkpoint,))
    from_one(sandbox)
    store(sandbox, *streams)
    return Handled(sandbox)


def handle_next(sandbox: Sandbox, handler: Any, size: int = 100, log: Log | None = None, **wanted: Any) -> Any:
    log = log or sandbox.store(kind=Log)
    return sandbox.answer(log, "report", handler, size, **wanted)


def checkpoint(sandbox: Sandbox, name: str = "report") -> int:
    return sandbox.value("SELECT checkpoint FROM subscriptions WHERE name = %s", (name,))


ACCOUNTS = ["account-1", "account-2", "account-1"]


def the_next_events_are_handled(sandbox: Sandbox) -> None:
    """The handler gets the next events"""
    handler = a_reader(sandbox, *ACCOUNTS, checkpoint=1)
    handle_next(sandbox, handler)
    assert handler.calls == [[2, 3]], (
        "The checkpoint was 1 and the log holds the positions 1, 2 and 3. The handler should be called once, with the "
        f"events at 2 and 3. It was called with {handler.calls or 'nothing'}."
    )


def the_checkpoint_moves(sandbox: Sandbox) -> None:
    """The checkpoint moves behind them"""
    handler = a_reader(sandbox, *ACCOUNTS)
    returned = handle_next(sandbox, handler)
    assert checkpoint(sandbox) == 3, (
        f"The events up to position 3 were handled, and the table says checkpoint {checkpoint(sandbox)}: "
        "UPDATE subscriptions."
    )
    assert checkpoint(sandbox, "neighbour") == 0, (
        "Another reader, `neighbour`, has a checkpoint in the table too, and it was moved: WHERE name = ..."
    )
    assert returned == 3, f"handle_next should return the new checkpoint, 3. It returned {returned!r}."
    store(sandbox, "account-1")
    handle_next(sandbox, handler)
    assert handler.calls == [[1, 2, 3], [4]], (
        f"One more event came, at 4. The second call should hand on that one alone; the calls were {handler.calls}."
    )


def no_more_than_size(sandbox: Sandbox) -> None:
    """No more than size at a time, and none is lost"""
    handler = a_reader(sandbox, "account-1", "account-1")
    sandbox.execute("SELECT nextval('events_position_seq')")  # an append that came to nothing
    store(sandbox, *["account-1"] * 3)
    returned = [handle_next(sandbox, handler, 2) for _ in range(3)]
    assert handler.calls == [[1, 2], [4, 5], [6]], (
        "The log holds events at 1, 2, 4, 5 and 6, and a hole at 3. handle_next was called three times with size 2. The handler "
        f"should see [1, 2], [4, 5] and [6]. It saw {handler.calls}. Where the batch is full there may be more: the checkpoint is "
        "then the position of its last event, and not a number of events."
    )
    assert returned == [2, 5, 6], f"The checkpoints after these calls are 2, 5 and 6. Yours were {returned}."


def nothing_new(sandbox: Sandbox) -> None:
    """Where nothing is new, the handler is left in peace"""
    handler = a_reader(sandbox, *ACCOUNTS, checkpoint=3)
    returned = handle_next(sandbox, handler)
    assert handler.calls == [], (
        f"There was no event after the checkpoint, and the handler was called with {handler.calls}."
    )
    assert returned == checkpoint(sandbox) == 3, (
        f"Nothing was new, and the checkpoint stays 3. You returned {returned!r}, and the table says {checkpoint(sandbox)}."
    )


def others_are_passed_by(sandbox: Sandbox) -> None:
    """What it does not want is passed by for good"""
    handler = a_reader(sandbox, "cashier-1", "account-1", "account-1")
    returned = handle_next(sandbox, handler, event_types=(CashierEmployed,))
    assert handler.calls == [[1]], (
        "The reader wants CashierEmployed alone, which is at position 1. Its handler was called with "
        f"{handler.calls or 'nothing'}. Pass **wanted on to read_all."
    )
    assert returned == checkpoint(sandbox) == 3, (
        "The reader wants CashierEmployed alone, and there was no more of it: everything up to 3 is done with. "
        f"The checkpoint should be 3. The table says {checkpoint(sandbox)}, and you returned {returned!r}. With any other, this "
        "reader would read through all that it does not want again and again, every time it looks."
    )
    store(sandbox, "account-1", "account-2")
    returned = handle_next(sandbox, handler, event_types=(CashierEmployed,))
    assert checkpoint(sandbox) == 5, (
        "Then two deposits came, at 4 and 5. Nothing was wanted, and the checkpoint in the table is still "
        f"{checkpoint(sandbox)}. Move it to the settled position even when the handler had nothing to do."
    )
    assert returned == 5, (
        "Then two deposits came, at 4 and 5. The checkpoint in the table is 5, as it should be, but you returned "
        f"{returned!r}. Return what is stored."
    )


def an_append_under_way_is_waited_for(sandbox: Sandbox) -> None:
    """It stops where an append is under way"""
    handler = a_reader(sandbox, *ACCOUNTS)
    with sandbox.database.connection.transaction(force_rollback=True):
        sandbox.execute(ANNOUNCE, (1,))
        returned = handle_next(sandbox, handler)
        found = checkpoint(sandbox)
    assert handler.calls == [[1]] and returned == found == 1, (
        "An append was under way that had announced position 1, so the log is settled up to 1. The handler should get the "
        f"event at 1, and the checkpoint should be 1. The handler got {handler.calls or 'nothing'}, and the checkpoint "
        f"is {found}. `drawn` is what was drawn, `settled` is what can be read."
    )


def the_checkpoint_never_goes_back(sandbox: Sandbox) -> None:
    """The checkpoint never goes back"""
    handler = a_reader(sandbox, *ACCOUNTS, checkpoint=3)
    sandbox.execute(ANNOUNCE, (1,))
    returned = handle_next(sandbox, handler)
    story = (
        "The checkpoint was 3. Then somebody announced position 1, late: they had looked long before they announced. So "
        "settled was 1 for a moment."
    )
    assert checkpoint(sandbox) == 3, (
        f"{story} Your checkpoint went to {checkpoint(sandbox)}. The events at 2 and 3 would be handled twice. Never move it "
        "back: max(checkpoint, settled)."
    )
    assert returned == 3, (
        f"{story} The checkpoint stayed at 3, as it should, but you returned {returned!r}. Return what is stored."
    )


def an_append_meanwhile_is_not_skipped(sandbox: Sandbox) -> None:
    """An append that comes meanwhile is not skipped"""
    handler = a_reader(sandbox, *ACCOUNTS)
    busy = interrupted(
        sandbox.store(kind=Log),
        settled_position=lambda: store(sandbox, "account-7"),
        read_all=lambda: store(sandbox, "account-8"),
    )
    handle_next(sandbox, handler, log=busy)
    handle_next(sandbox, handler)
    handled = [position for call in handler.calls for position in call]
    assert handled == list(range(1, sandbox.value(DRAWN) + 1)), (
        "An event was appended right after each of your looks at the log. Then handle_next was called again, with nobody "
        f"else there. Each position from 1 to {sandbox.value(DRAWN)} should have been handled once. They were {handled}. Ask "
        "for the settled position first, and read up to that one, `up_to=`; what comes later is for the next call."
    )


def a_handler_that_raises_changes_nothing(sandbox: Sandbox) -> None:
    """A handler that raises leaves everything as it was"""
    handler = a_reader(sandbox, *ACCOUNTS)

    def failing(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        handler(connection, events)
        raise Broken("the printer is out of paper")

    with expect(
        Broken,
        "The handler raised an error, and handle_next returned as if nothing had happened. Whoever runs it must know: "
        "let the error go to the caller.",
    ):
        handle_next(sandbox, failing)
    assert checkpoint(sandbox) == 0, (
        f"The handler raised an error, and the checkpoint is {checkpoint(sandbox)}: these events will never be handled. "
        "The checkpoint moves after the handler, in the same transaction."
    )
    written = sandbox.values("SELECT position FROM noted")
    assert written == [], (
        f"The handler wrote about the events {written} and then raised an error. What it wrote is still there, and the "
        "checkpoint is 0: it will be written twice. Call the handler inside the transaction."
    )


@own_sandbox
def both_or_none(sandbox: Sandbox) -> None:
    """What the handler wrote and the checkpoint commit together"""
    handler = a_reader(sandbox, *ACCOUNTS)
    sandbox.execute("""
        CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'the power went out'; END $$;
        CREATE TRIGGER crash BEFORE UPDATE ON subscriptions FOR EACH ROW EXECUTE FUNCTION crash();
    """)
    try:
        with expect(
            psycopg.errors.RaiseException,
            "Moving the checkpoint failed in the database, and handle_next returned as if nothing had happened.",
        ):
            handle_next(sandbox, handler)
    finally:
        sandbox.execute("DROP FUNCTION crash CASCADE")
    written = sandbox.values("SELECT position FROM noted")
    assert written == [], (
        "The power went out when the checkpoint was about to move. It is where it was, 0, and what the handler wrote about "
        f"the events {written} is there: after the restart they are written a second time. One transaction, around both."
    )


@own_sandbox
def two_workers_take_turns(sandbox: Sandbox) -> None:
    """Two workers under one name take turns"""
    handler = a_reader(sandbox, *ACCOUNTS)
    second = sandbox.store(kind=Log, connection=sandbox.database.connect(lock_timeout="1ms"))
    waits = False

    def first(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        nonlocal waits
        handler(connection, events)
        try:
            handle_next(sandbox, handler, 2, second)
        except psycopg.errors.LockNotAvailable:
            waits = True
        except TypeError as error:
            raise AssertionError(
                f"Two workers read under one name. While the first was at it, the second found no row ({error}): SKIP LOCKED passes "
                "by what is locked. It should wait for its turn: SELECT ... FOR UPDATE."
            ) from None

    handle_next(sandbox, first, 2)
    if waits:  # its turn comes when the first one has committed
        handle_next(sandbox, handler, 2, second)
    assert handler.calls == [[1, 2], [3]], (
        "Two workers read under one name. While the first was handling [1, 2], the second one came. It should wait, and "
        f"then go on with [3]. The calls were {handler.calls}. The look at the checkpoint must be a lock as well: "
        "SELECT ... FOR UPDATE."
    )


def _hand_on(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
    connection.execute("INSERT INTO handled VALUES (%s)", ([recorded.position for recorded in events],))


def _handle_next(handle_next: Callable, stage: Any, name: str, size: int, wanted: dict[str, Any]) -> Any:
    def handler(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        _hand_on(connection, events)

    return handle_next(stage.store(kind=Log), name, stage.place(handler), size, **wanted)


def _as_another_worker(connection: psycopg.Connection) -> None:
    reference_function("08.3")(Log(connection, event_types()), "report", _hand_on, 2)


# Events in several categories, and of several types, with holes between them, and after the last one.
_READERS = (
    "INSERT INTO subscriptions SELECT 'at ' || n, n FROM unnest('{0,2,3,8,10,2147483648}'::bigint[]) n;"
    " INSERT INTO subscriptions VALUES ('at%', 0);"
    + "".join(
        put(stream_id, event, first=version, position=lambda _, position=position: position)  # type: ignore[misc]
        for position, stream_id, version, event in (
            (1, "account-1", 1, deposited(1)),
            (2, "cashier-1", 1, employed()),
            (3, "account-2", 1, opened("account-2")),
            (7, "account-1", 2, deposited(2)),
            (9, "cashier-2", 1, employed("cashier-2")),
            (10, "account-2", 2, deposited(3)),
            (2**31, "till-1", 1, deposited(4)),
        )
    )
    + "SELECT setval('events_position_seq', 2147483652);"
)
_AN_EVENT = f"{ANNOUNCE % f'({DRAWN})'};" + put("account-7", deposited(1))
HANDLES = Call("handle_next(log, {})", _handle_next)
OF_HANDLING = Advice(
    "It returns the checkpoint that is stored. **wanted is passed on as it is, category and event_types. Who comes second waits until the first has committed, and goes on where that one "
    "ended: SELECT ... FOR UPDATE, without NOWAIT or SKIP LOCKED. Errors go to the caller.",
    "The handler gets the next events up to the settled position, at most `size`, in one call, of the category and the types that "
    "are wanted. The checkpoint moves to the last one where the batch was full, and else to the settled position.",
    "One transaction around all of it, with log.connection.transaction(), and the checkpoint of no other reader is touched.",
)
HANDLED = (
    Cases(
        call=HANDLES,
        story="The log holds events at 1, 2, 3, 7, 9, 10 and 2147483648, and is settled up to 2147483652. Each name says its checkpoint",
        before=_READERS,
        given=(
            *((f"at {at}", size, {}) for at, size in ((0, 1), (0, 100), (2, 5), (3, 2), (8, 1), (10, 100), (2**31, 1))),
            ("at%", 2, {}),
            *(
                (f"at {at}", size, wanted)
                for at, size in ((0, 1), (2, 2), (0, 100))
                for wanted in (
                    {"category": "account"},
                    {"category": "cashier"},
                    {"event_types": (DepositRecorded,)},
                    {"category": "account", "event_types": (DepositRecorded, CashierEmployed)},
                    {"category": "acc"},
                )
            ),
        ),
        advice=OF_HANDLING,
    ),
    Scene(
        call=HANDLES,
        story="The log holds events at 1, 2 and 3, and the checkpoint of report is 0",
        before="INSERT INTO subscriptions VALUES ('neighbour', 0), ('report', 0);"
        + put("account-1", *[deposited(1)] * 3),
        given=("report", 2, {}),
        somebody=(
            Somebody("appended an event", _AN_EVENT),
            Somebody("handled the next two under this name", _as_another_worker),
        ),
        stranger=Somebody(
            "moves the checkpoint of neighbour", "UPDATE subscriptions SET checkpoint = 1 WHERE name = 'neighbour'"
        ),
        advice=OF_HANDLING,
    ),
)


def _noted(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE handled (positions bigint[])")


# 08.4 follow

CHANNEL = "Till-7"
PATIENCE = 3  # looks at stopped() in which nothing happens, after which it says True


class Over(BaseException):
    """Ends a `follow` that does not end by itself."""


class Bell(Watched):
    """A connection that tells when somebody waits for a notification, and on which nobody waits long."""

    def notifies(self, *, timeout: float | None = None, stop_after: int | None = None) -> Any:
        self.watch.reach("waits")  # type: ignore[union-attr]
        short = None if timeout is None or timeout > 0.5 else min(timeout, 0.001)
        return super().notifies(timeout=short, stop_after=stop_after)


class Wire:
    """The connection of a `follow`, and that of who rings."""

    def __init__(self, sandbox: Sandbox):
        self._database = sandbox.database
        self._ringer = self._database.connect()
        self.connection = self._new()

    def _new(self) -> Bell:
        return Bell.of(self._database.connect())  # type: ignore[return-value]

    def ring(self) -> None:
        self._ringer.execute(f'NOTIFY "{CHANNEL}"')

    def clear(self, anew: bool) -> None:
        """Let nobody listen, and nothing be heard any more."""
        self.connection.watch = None
        if anew or not self.connection.autocommit or self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.connection.close()
            self.connection = self._new()
        else:
            self.connection.execute("UNLISTEN *")
            list(psycopg.Connection.notifies(self.connection, timeout=0))


class Follower:
    """Runs the learner's `follow`, notes its steps, rings, and says when it is to end.

    Args:
        more: how often step() says that there may be more: at first, and after each bell.
        bells: how often somebody rings while it sleeps.
        at: the number of a place, from 1, at which somebody rings once.

    Attributes:
        places: what it did, one after the other: a statement, "step", "stepped" at its end, "stopped", "waits", and
            "silence" in the middle of a wait.
        steps: how often step() was called, before stopped() said True.
        rung: how many steps there were when somebody last rang; None where nobody did.
        was_heard: whether it was listening then.
        is_late: whether it had to be ended.
    """

    def __init__(self, sandbox: Sandbox, *, more: int = 0, bells: int = 0, at: int = 0):
        sandbox.stage = sandbox.stage or Wire(sandbox)
        self._wire: Wire = sandbox.stage
        self._follow, self._more, self._bells, self._at = sandbox.answer, more, bells, at
        self._left = more
        self._calm = self._silence = 0
        self._heard = 0.0
        self.places: list[str] = []
        self.steps = 0
        self.rung: int | None = None
        self.was_heard = False
        self.is_told = self.is_late = False

    def run(self) -> "Follower":
        """Run it to its end.

        Raises:
            AssertionError: it ended, and nobody had told it to.
        """
        self._wire.connection.watch = self
        try:
            self._follow(self._wire.connection, CHANNEL, self._step, self._stopped)
        except Over:
            self.is_late = True
        finally:
            self._wire.clear(anew=self.is_late)
        assert self.is_told or self.is_late, (
            f"follow returned after {self.steps} calls of step(), and stopped() had not said True: whatever comes now, nobody "
            "follows any more. Silence is no end, and neither is a bell: look and wait again, until stopped() is true."
        )
        return self

    def before(self, statement: str) -> None:
        self.reach(statement)

    def silence(self) -> None:
        now = time.monotonic()
        if now - self._heard > 0.001:  # at the end of a wait it is told again and again
            self._silence, self._heard = self._silence + 1, now
        if self._silence > 10 * PATIENCE:  # it waits, or asks nobody between its waits
            raise Over
        if self.places[-1] == "waits":
            self.reach("silence")

    def reach(self, place: str) -> None:
        self.places.append(place)
        if len(self.places) == self._at:
            self._ring()

    def _ring(self) -> None:
        self._wire.ring()
        self.rung, self._left, self._calm = self.steps, self._more, 0
        listens = [place for place in self.places[:-1] if re.match("(UN)?LISTEN", place, re.IGNORECASE)]
        self.was_heard = bool(listens) and listens[-1].upper().startswith("L") and f'"{CHANNEL}"' in listens[-1]
        if self.was_heard:  # then it arrives before anything else happens
            select.select([self._wire.connection.fileno()], [], [], 0.5)

    def _step(self) -> bool:
        if self.is_told and len(self.places) > 100:
            raise Over
        self.steps += not self.is_told
        self._calm = self._silence = 0
        self.reach("step")
        is_more, self._left = self._left > 0, self._left - 1
        self.reach("stepped")
        return is_more

    def _stopped(self) -> bool:
        self.reach("stopped")
        self._silence = 0
        self._calm += 1
        if self._calm == 2 and self._bells:
            self._bells -= 1
            self._ring()
        self.is_told |= self._calm > PATIENCE or self.steps > 20
        if self._calm > 10 * PATIENCE:
            raise Over
        return self.is_told


def it_looks_at_once(sandbox: Sandbox) -> None:
    """It looks at once"""
    follower = Follower(sandbox).run()
    assert follower.steps and "waits" not in follower.places[: follower.places.index("step")], (
        "Events may have come before anybody listened, and nobody rings for them again. So call step() right at the "
        "beginning. Yours waited for a notification first."
    )


def until_there_is_no_more(sandbox: Sandbox) -> None:
    """It goes on until there is no more"""
    steps = Follower(sandbox, more=3).run().steps
    assert steps >= 4, (
        "step() said three times that there may be more, and then that there is not. It should be called four times, one "
        f"after the other. Yours was called {steps} times: while step(): pass."
    )


def it_ends_when_told(sandbox: Sandbox) -> None:
    """It ends when it is told to, in the middle of a wait"""
    follower = Follower(sandbox).run()
    assert not follower.is_late, (
        f"Nobody rang, and follow has not ended. It called step() {follower.steps} times and stopped() "
        f"{follower.places.count('stopped')} times. Wait a moment at a time, notifies(timeout=0.05, stop_after=1), and ask "
        "stopped() in between."
    )


def _why_not(follower: Follower, otherwise: str = "nobody was listening yet. First LISTEN, then look.") -> str:
    if follower.was_heard:
        return "it was listening, and what was rung was thrown away unheard. After each notification, look."
    return otherwise


def a_notification_wakes_it(sandbox: Sandbox) -> None:
    """A notification wakes it, for as long as there is more"""
    follower = Follower(sandbox, bells=1).run()
    how = "LISTEN on the channel, and wait with connection.notifies(timeout=0.05, stop_after=1)."
    assert follower.steps >= 2, (
        "step() said that there was no more. Then somebody rang, and step() was not called again: "
        f"{_why_not(follower, how)}"
    )
    steps = Follower(sandbox, bells=1, more=2).run().steps
    assert steps >= 6, (
        "One notification can stand for many events. After it, step() said twice that there may be more, and it should "
        f"have been called again each time: six times in all. It was called {steps} times."
    )
    steps = Follower(sandbox, bells=3).run().steps
    assert steps >= 4, (
        "Somebody rang, three times in all, each time when it had been still for a while. step() should be called again after "
        f"each of them: four times in all. It was called {steps} times."
    )


def listen_before_the_first_look(sandbox: Sandbox) -> None:
    """What comes during the first look is heard"""
    places = Follower(sandbox).run().places
    follower = Follower(sandbox, at=places.index("stepped") + 1).run()
    assert follower.steps >= 2, (
        "While step() was called for the first time, an event came in, too late for that look, and somebody rang. step() "
        f"was not called again: {_why_not(follower)}"
    )


def while_idle_it_does_nothing(sandbox: Sandbox) -> None:
    """While nobody rings, it does nothing"""
    steps = Follower(sandbox).run().steps
    assert steps == 1, (
        f"Nobody rang, and step() was called {steps} times. That is polling: every look is a question to the "
        "database, from every reader, day and night. When the wait ends without a notification, ask stopped() and wait on."
    )


# 08.6 the hunt


class HandlerFailed(Exception):
    """What a reader's handler raises where it is told to."""


class Reader:
    """A reader of the log by the answer to 08.3: it wants deposits, three at a time, and notes which it has handled.

    Attributes:
        store: to append with.
    """

    def __init__(self, database: Database, handle_next: Callable):
        self._database, self._handle_next = database, handle_next
        self.store = EventStore(database.connection, event_types())
        database.execute("DROP TABLE IF EXISTS handled; CREATE TABLE handled (position bigint)")
        database.execute("DELETE FROM subscriptions; INSERT INTO subscriptions (name) VALUES ('suspect')")

    @cached_property
    def other_store(self) -> EventStore:
        """The same on a connection of its own, to leave an append open."""
        return EventStore(self._database.connect(), event_types())

    def step(self, fails: bool = False) -> int:
        """Handle what comes next, and return the checkpoint. If it fails, its handler writes, and raises."""

        def handler(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
            for each in events:
                connection.execute("INSERT INTO handled VALUES (%s)", (each.position,))
            if fails:
                raise HandlerFailed

        return self._handle_next(self.store, "suspect", handler, 3, event_types=[DepositRecorded])

    def handled(self) -> list[int]:
        """Return the positions that were handled, in order; one that was handled twice stands there twice."""
        return [row[0] for row in self.store.execute("SELECT position FROM handled ORDER BY position")]


_REACHED = "events[-1].position if len(events) == size else max(checkpoint, settled)"
HUNT = Hunt(
    kind="reader",
    promises=5,
    made_of=("08.3",),
    build=Reader,
    slips=(
        Slip(3, "it reads what was drawn, settled or not.", "08.3", {"settled_position().settled": "settled_position().drawn"}),
        Slip(3, "it moves its checkpoint to what was drawn, settled or not.", "08.3", {"max(checkpoint, settled)": "max(checkpoint, log.settled_position().drawn)"}),
        Slip(1, "it handles the last event once more.", "08.3", {_REACHED: _REACHED.replace("max(", "events[-1].position - 1 if events else max(")}),
        Slip(2, "a full batch is the end to it: it passes by what comes after that.", "08.3", {_REACHED: "max(checkpoint, settled)"}),
        Slip(4, "what its handler wrote stays, though it failed.", "08.3", {"    with log.connection.transaction():\n": "    if True:\n"}),
        Slip(4, "it swallows the error, and moves on.", "08.3", {
            "            handler(log.connection, events)\n":
            "            import contextlib\n            with contextlib.suppress(Exception), log.connection.transaction():\n                handler(log.connection, events)\n"}),
        Slip(5, "where nothing was wanted, its checkpoint stays.", "08.3", {"max(checkpoint, settled)": "(events[-1].position if events else checkpoint)"}),
    ),
)  # fmt: skip


_WHEN = {
    "step": "when step() was called",
    "stepped": "at the end of a step(), too late for that look",
    "stopped": "while stopped() was asked",
    "waits": "just before it waited",
    "silence": "in the middle of a wait",
}


def a_bell_is_heard_at_any_moment(sandbox: Sandbox) -> None:
    """Whenever somebody rings, it looks again"""
    places = Follower(sandbox, more=1).run().places
    until = places.index("waits", places.index("silence")) + 1 if "silence" in places else len(places)
    for at in range(1, until + 1):
        follower = Follower(sandbox, more=1, at=at).run()
        assert follower.rung is None or follower.steps > follower.rung, (
            f"Somebody rang {_WHEN.get(places[at - 1], f'just before `{places[at - 1]}`')}, and step() was not called again: "
            f"{_why_not(follower)}"
        )


def an_error_gets_through(sandbox: Sandbox) -> None:
    """An error goes to the caller"""
    follower = Follower(sandbox)

    def failing() -> bool:
        raise Broken("the printer is out of paper")

    follower._step = failing  # type: ignore[method-assign]
    with expect(Broken, "step() raised an error, and follow kept it to itself: nobody knows that nothing is handled."):
        follower.run()
    deaf = Follower(sandbox)

    def listening_fails(statement: str) -> None:
        if statement.upper().startswith("LISTEN"):
            raise Broken("the connection is lost")
        deaf.reach(statement)

    deaf.before = listening_fails  # type: ignore[method-assign]
    with expect(Broken, "LISTEN raised an error, and follow kept it to itself: it waits, and hears no bell."):
        deaf.run()


# 08.5 append_to_stream, which announces and rings

# What it calls, and what its readers need.
WITHOUT_APPEND = tuple(
    name
    for name in whole_schema()
    if name < "40" and name != "32_no_fact_is_lost.sql" or name[:2] in ("70", "80", "82")
)
ANNOUNCED = """
    SELECT (classid::bigint & 65535) << 32 | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = 'events'::regclass::oid::bigint & 65535
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def announced(sandbox: Sandbox) -> list[int]:
    """Return what was announced while an append of two events was under way, which had drawn the positions 2 and 3."""
    from_the_first(sandbox)
    store(sandbox, "account-1")
    with open_append(sandbox, append("account-2", "X", "X")):
        return sandbox.values(ANNOUNCED)


def it_announces_its_positions(sandbox: Sandbox) -> None:
    """An append under way has announced its positions"""
    assert announced(sandbox), (
        "An append to account-2 was under way: it had drawn positions, and announced nothing. A reader of the log takes all for "
        "settled, and passes it by for ever: PERFORM announce_append();"
    )


def it_announces_before_it_draws(sandbox: Sandbox) -> None:
    """It has announced them before it drew them"""
    found = min(announced(sandbox))
    assert found == 1, (
        "Position 1 was there, and an append had drawn 2 and 3: it should have announced 1, the last one drawn before. It "
        f"announced {found}, after it had drawn. A reader goes on to what was announced, and passes the append by: "
        "PERFORM announce_append(); has to stand before the INSERT into events."
    )


@contextmanager
def asleep(sandbox: Sandbox, is_asleep: bool) -> Iterator[list[Any]]:
    """Let a reader listen, and be asleep or not; return the notifications that come."""
    sandbox.execute("INSERT INTO subscriptions (name, asleep) VALUES ('dashboard', %s)", (is_asleep,))
    heard: list[Any] = []
    reader = sandbox.database.connect()
    reader.execute(f"LISTEN {sandbox.value('SELECT events_channel()')}".encode())
    reader.add_notify_handler(heard.append)
    yield heard
    reader.execute("SELECT")  # what was rung before is heard with its answer


@own_sandbox
def a_reader_that_sleeps_is_woken(sandbox: Sandbox) -> None:
    """A reader that is asleep is woken"""
    with asleep(sandbox, True) as heard:
        sandbox.execute(append("account-1", "X"))
    assert heard, (
        "A reader had said that it is asleep, an append was committed, and nobody rang. It sleeps on: "
        "PERFORM notify_subscribers();"
    )


@own_sandbox
def one_that_falls_asleep_meanwhile_is_woken(sandbox: Sandbox) -> None:
    """One that falls asleep when the events were just written is woken"""
    sandbox.execute("""
        CREATE FUNCTION falls_asleep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN UPDATE subscriptions SET asleep = true; RETURN NULL; END $$;
        CREATE TRIGGER falls_asleep AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION falls_asleep();
    """)
    try:
        with asleep(sandbox, False) as heard:
            sandbox.execute(append("account-1", "X"))
    finally:
        sandbox.execute("DROP FUNCTION falls_asleep CASCADE")
    assert heard, (
        "Right after the events were written, a reader fell asleep, and nobody rang: your append had looked who is asleep "
        "before it wrote. PERFORM notify_subscribers(); has to stand behind the RETURN QUERY that inserts the events."
    )


@own_sandbox
def while_nobody_sleeps_it_rings_for_nobody(sandbox: Sandbox) -> None:
    """While nobody sleeps, it rings for nobody"""
    with asleep(sandbox, False) as heard:
        sandbox.execute(append("account-1", "X"))
    assert not heard, (
        "No reader was asleep, and the append rang all the same. A bell has transactions commit one after the other, so "
        "leave it to notify_subscribers(), which looks whether anybody sleeps."
    )


EXERCISES = (
    Exercise(
        id="08.1",
        title="Read the log",
        minutes=4,
        difficulty="easy",
        keeps="steps/read_log.sql",
        given=whole_schema(),
        checks=(
            all_streams_are_read,
            it_goes_on_after_the_checkpoint,
            in_the_order_of_positions,
            no_more_than_asked_for,
            a_hole_is_stepped_over,
            *looks(*READS),
        ),
        hints=(
            "It is one SELECT on `events`. Three things make it a page of the log: where it begins, in which order, and "
            "how much of it.",
            "Where it begins is `WHERE position > after`, without the checkpoint itself. The order is that of `position`.",
            "```sql\nSELECT *\nFROM events\nWHERE position > after\nORDER BY position\nLIMIT max_count\n```",
        ),
    ),
    Exercise(
        id="08.2",
        title="How far the log is settled",
        minutes=12,
        difficulty="hard",
        keeps="schema/70_settled_position.sql",
        given=tuple(name for name in whole_schema() if name < "50" or name[:2] in ("80", "82")),
        checks=(
            an_empty_log,
            nothing_open,
            an_open_append_holds_back,
            the_lowest_counts,
            a_hole_stalls_nobody,
            others_do_not_count,
            the_sequence_first,
            *looks(*SETTLED),
        ),
        hints=(
            "Two looks, two statements. Ask of each order: what if an append begins right after the first look, and draws "
            "a position before the second one?",
            "The sequence comes first: what is drawn after that is none of our business. Put it into `drawn`: "
            "`SELECT last_value - (NOT is_called)::int INTO drawn FROM events_position_seq;`",
            "The second look is the query on `pg_locks` from above, with `min(...)` around the announced position. No row "
            "means that no append is open: `min` is NULL then, and `least(drawn, NULL)` is `drawn`.",
            "```sql\n"
            "SELECT last_value - (NOT is_called)::int INTO drawn FROM events_position_seq;\n\n"
            "SELECT least(drawn, min((classid::bigint & 65535) << 32 | objid::bigint)) INTO settled\n"
            "FROM pg_locks\n"
            "WHERE ... ;  -- as above\n```",
        ),
    ),
    Exercise(
        id="08.3",
        title="Handle, and move the checkpoint",
        minutes=12,
        difficulty="medium",
        keeps="reader.py",
        given=tuple(name for name in whole_schema() if name < "30" or name[:2] in ("70", "72", "80")),
        checks=(
            the_next_events_are_handled,
            the_checkpoint_moves,
            no_more_than_size,
            nothing_new,
            others_are_passed_by,
            an_append_under_way_is_waited_for,
            the_checkpoint_never_goes_back,
            an_append_meanwhile_is_not_skipped,
            a_handler_that_raises_changes_nothing,
            both_or_none,
            two_workers_take_turns,
            *looks(*HANDLED, setup=_noted),
        ),
        hints=(
            "All of it goes into `with log.connection.transaction():`, in the order of the list above. An error that leaves "
            "the block undoes everything in it, so there is nothing to catch.",
            'The checkpoint: `(checkpoint,) = log.connection.execute("SELECT checkpoint FROM subscriptions WHERE name = %s '
            'FOR UPDATE", (name,)).fetchone()`. Then `settled = log.settled_position().settled`, and then read up to it.',
            "Where to? A full batch ends at its last event, and there may be more. One that is not full has come to the "
            "settled position, and whatever is missing was not wanted.",
            "```python\n"
            "events = log.read_all(after=checkpoint, limit=size, up_to=settled, **wanted)\n"
            "if events:\n"
            "    handler(log.connection, events)\n"
            "reached = events[-1].position if len(events) == size else max(checkpoint, settled)\n```\n\n"
            "and an UPDATE of `subscriptions` with `reached`, which is also what to return.",
        ),
    ),
    Exercise(
        id="08.4",
        title="Sleep until the bell rings",
        minutes=12,
        difficulty="medium",
        keeps="follow.py",
        checks=(
            it_looks_at_once,
            until_there_is_no_more,
            it_ends_when_told,
            a_notification_wakes_it,
            listen_before_the_first_look,
            while_idle_it_does_nothing,
            a_bell_is_heard_at_any_moment,
            an_error_gets_through,
        ),
        hints=(
            "One statement comes before everything else: `LISTEN`. Then a loop until `stopped()`, with two things in it: "
            "look until there is no more, and wait until somebody rings.",
            "The wait is a loop of its own. `notifies(timeout=0.05, stop_after=1)` yields one notification, or ends with "
            "none after 0.05 seconds. None: ask `stopped()`, and wait on. One: leave the loop, and look.",
            "`any(connection.notifies(timeout=0.05, stop_after=1))` is True if somebody rang.",
            "```python\n"
            "while not stopped():\n"
            "    while step():\n"
            "        pass\n"
            "    while not stopped():\n"
            "        if any(connection.notifies(timeout=0.05, stop_after=1)):\n"
            "            break\n```",
        ),
    ),
    Exercise(
        id="08.5",
        title="Your own append announces and rings",
        minutes=4,
        difficulty="easy",
        keeps="schema/40_append_to_stream.sql",
        given=WITHOUT_APPEND,
        checks=(
            it_announces_its_positions,
            it_announces_before_it_draws,
            a_reader_that_sleeps_is_woken,
            one_that_falls_asleep_meanwhile_is_woken,
            while_nobody_sleeps_it_rings_for_nobody,
            *looks(*BATCHES[:2], BATCHES[-1]),
        ),
        hints=(
            "Two lines, and nothing else changes. Which statement of your function draws positions? One line belongs before "
            "it, the other one behind it.",
            "The `INSERT INTO events` draws, and it stands in a RETURN QUERY, which ends nothing: what is behind it is run. "
            "`PERFORM` calls a function and drops its result.",
            "```sql\n"
            "PERFORM announce_append();\n\n"
            "RETURN QUERY\n"
            "WITH appended AS (\n"
            "    INSERT INTO events ...  -- as it was\n"
            ")\n"
            "SELECT ... FROM appended a;\n\n"
            "PERFORM notify_subscribers();\n```",
        ),
    ),
    Exercise(
        id="08.6",
        title="Hunt: a reader with one fault",
        minutes=6,
        difficulty="medium",
        keeps="test_suspicious_reader.py",
        given=whole_schema(),
        checks=checks_of(HUNT),
        hunt=HUNT,
        hints=(
            'Take the promises one by one. For each, append what should show it, on a fresh `reader = suspect("08.6")`, '
            "call `reader.step()`, and look at what it returns and at `reader.handled()`.",
            "Promise 1 shows when it is asked once too often. Promise 2 needs more than three deposits, promise 5 an event "
            "that is no deposit. What a step returns is the checkpoint.",
            "For promise 3, leave an append open: `with reader.other_store.connection.transaction():`, and inside it "
            "`reader.other_store.append(...)`, `reader.store.append(...)` and `reader.step()`. Then step once more. For "
            "promise 4, `reader.step(fails=True)` in a `try`; `pytest.raises` is not needed.",
            "For promise 5, say:\n\n```python\n"
            'reader.store.append("account-1", [AccountOpened("account-1", "PLN")])\n'
            'assert reader.step() == 1, "it comes back to an event that it does not want"\n'
            "return 5\n```\n\nYours may break another one.",
        ),
    ),
)
