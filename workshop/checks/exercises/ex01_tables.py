"""The exercises of notebook 01: the two tables, and what their constraints buy."""

from collections.abc import Callable
from typing import Any

import psycopg

from ..arranged import put
from ..exercise import Exercise
from ..looks import looks
from ..sandbox import Sandbox, is_servers_fault, own_sandbox
from ..scene import Advice, Call, Cases, SqlCall
from ..stage import Stage

EVENT = {
    "stream_id": "account-1",
    "version": 1,
    "id": "00000000-0000-0000-0000-000000000001",
    "type": "DepositRecorded",
    "data": '{"amount": "100.00"}',
    "metadata": "{}",
    "recorded_at": "2026-03-01 10:00:00+00",
}
OTHER_ID = "00000000-0000-0000-0000-000000000002"


def insert_event(**changes: Any) -> tuple[str, dict[str, Any]]:
    """Return an INSERT of one event, as the SQL and its parameters; EVENT with changes."""
    event = {**EVENT, **changes}
    columns = ", ".join(event)
    return f"INSERT INTO events ({columns}) VALUES ({', '.join(f'%({name})s' for name in event)})", event


# What is told of the column on which somebody was refused.
_OF_COLUMN = {
    "position": "Its writer gives every column but position, for the database counts that: "
    "position bigint NOT NULL GENERATED ALWAYS AS IDENTITY.",
    "version": "1 is a version, and so is every number after it, which the writer gives: CHECK (version >= 1).",
    "metadata": "The metadata was an object. jsonb_typeof says so in lower case: = 'object'.",
    "id": "No rule but the one about its length says what an id looks like.",
}


def refusal(sandbox: Sandbox, error: psycopg.Error) -> str:
    """Return why a row was refused: PostgreSQL's words, the rule itself, and what is told of the column it is about."""
    diag = error.diag
    said = f"{diag.message_primary}. {diag.message_detail or ''}".strip()
    rule, columns = sandbox.execute(
        "SELECT min(pg_get_constraintdef(c.oid)), array_agg(a.attname::text) FROM pg_constraint c"
        " JOIN pg_attribute a ON attrelid = conrelid AND attnum = ANY (conkey)"
        " WHERE conname = %s AND conrelid = to_regclass(%s)",
        (diag.constraint_name, diag.table_name),
    ).fetchone() or ("", [])
    if rule:
        said += f" The rule is {rule}."
    column = diag.column_name or next(
        (name for name in _OF_COLUMN if columns == [name] or f'column "{name}"' in said), ""
    )
    return f"{said} {_OF_COLUMN.get(column, '')}".strip()


def must_refuse(sandbox: Sandbox, message: str, **changes: Any) -> psycopg.Error:
    error = sandbox.refused(*insert_event(**changes))
    assert error is not None, message
    return error


def check_columns(sandbox: Sandbox, table: str, expected: dict[str, str]) -> None:
    """Raise AssertionError unless the table has just these columns, with these types."""
    kind = "".join(
        sandbox.values(
            "SELECT relkind::text || relpersistence::text FROM pg_class WHERE oid = to_regclass(%s)", (table,)
        )
    )
    assert kind in ("", "rp"), f"{table} is {_NO_TABLE.get(kind, 'no plain table')}: CREATE TABLE {table} (...)."
    found: dict[str, str] = dict(
        sandbox.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        ).fetchall()
    )
    assert found, f"There is no table called {table} after your SQL ran. Does it say CREATE TABLE {table} (...)?"
    for name, kind in expected.items():
        assert name in found, f"The table {table} has no column {name}. It has: {', '.join(found)}."
        assert found[name] == kind, (
            f"The column {name} is {found[name]}; it should be {_SHORT.get(kind, kind)}.{_WHY_TYPE.get(name, '')}"
        )
    extra = [name for name in found if name not in expected]
    assert not extra, f"The table {table} has a column that was not asked for: {', '.join(extra)}."


_NO_TABLE = {
    "rt": "a temporary table, which no other connection sees, and which is gone with this one",
    "ru": "UNLOGGED: after a crash PostgreSQL empties such a table, and the history is lost",
    "vp": "a view, which stores nothing",
}
_SHORT = {"timestamp with time zone": "timestamptz (timestamp with time zone)"}
_WHY_TYPE = {
    "version": " An integer ends at about two billion; a bigint does not end in your lifetime.",
    "position": " It counts all events of all streams: an integer would run out at about two billion.",
    "data": " jsonb is checked when it is stored, and can be searched.",
    "metadata": " jsonb is checked when it is stored, and can be searched.",
    "recorded_at": " Without a time zone the same text means another moment on another server.",
}


def check_key(sandbox: Sandbox, table: str, *columns: str) -> None:
    """Raise AssertionError unless these columns, in any order, are the table's primary key."""
    found = sandbox.values(
        "SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
        " WHERE indisprimary AND indrelid = to_regclass(%s)",
        (table,),
    )
    assert sorted(found) == sorted(columns), (
        f"The primary key of {table} is {', '.join(found) or 'missing'}; it should be {', '.join(columns)}. A UNIQUE rule "
        f"refuses the same, but the key says by what a row is known: PRIMARY KEY ({', '.join(columns)})."
    )


# 01.1 The events table


def an_event_has_its_columns(sandbox: Sandbox) -> None:
    """The table has the eight columns, with their types"""
    check_columns(
        sandbox,
        "events",
        {
            "stream_id": "text",
            "version": "bigint",
            "position": "bigint",
            "id": "uuid",
            "type": "text",
            "data": "jsonb",
            "metadata": "jsonb",
            "recorded_at": "timestamp with time zone",
        },
    )


def an_event_is_accepted(sandbox: Sandbox) -> None:
    """An ordinary event is accepted, and brings no position"""
    error = sandbox.refused(*insert_event())
    assert error is None, f"The first event of account-1, version 1, was refused: {refusal(sandbox, error)}"


def a_stream_grows(sandbox: Sandbox) -> None:
    """A stream grows"""
    for version in (1, 2, 3):
        error = sandbox.refused(*insert_event(version=version, id=OTHER_ID[:-1] + str(version)))
        assert error is None, (
            f"account-1 should grow to version {version}, of the same type and at the same moment as the one before, and was "
            f"refused: {refusal(sandbox, error)} Types repeat, a batch has one moment, and a stream holds many events: no "
            "two share their (stream_id, version), nor their (stream_id, id), and nothing else is unique."
        )


def one_event_per_version(sandbox: Sandbox) -> None:
    """A stream has one event for each version"""
    sandbox.execute(*insert_event())
    must_refuse(
        sandbox,
        "Two events were stored as version 1 of account-1. Which came first? Nobody can say any more. "
        "Make (stream_id, version) the primary key.",
        id=OTHER_ID,
    )


def every_stream_counts_for_itself(sandbox: Sandbox) -> None:
    """Each stream counts its versions for itself"""
    sandbox.execute(*insert_event())
    error = sandbox.refused(*insert_event(stream_id="account-2", id=OTHER_ID))
    assert error is None, (
        "account-1 has a version 1, and so account-2 was refused its own version 1. "
        "A version is a place in one stream: the key is the pair (stream_id, version), not version alone."
    )
    check_key(sandbox, "events", "stream_id", "version")


def an_event_is_stored_once(sandbox: Sandbox) -> None:
    """An event is stored once in its stream"""
    sandbox.execute(*insert_event())
    for what, changes in (
        ("", {}),
        (" of another type", {"type": "CashWithdrawn", "data": "{}", "metadata": '{"n": 1}'}),
    ):
        must_refuse(
            sandbox,
            f"The same event, by its id, was stored twice in account-1, as version 1 and{what} as version 2. "
            "A client that sends an event again must not double it: add UNIQUE (stream_id, id).",
            **{"version": 2, **changes},
        )


def unique_rules_include_the_stream(sandbox: Sandbox) -> None:
    """Each unique rule includes the stream"""
    alone = sandbox.values(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'events'::regclass AND indisunique"
        " AND NOT (SELECT attnum FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname = 'stream_id')"
        " = ANY (indkey)"
    )
    assert not alone, (
        f"One unique rule does not name stream_id: {alone[0].partition(' USING ')[2]}. "
        "It would forbid splitting this table by stream one day: PostgreSQL wants the split column in each unique rule. "
        "Write (stream_id, version) and (stream_id, id). The position needs no unique rule: the database counts it."
    )


def versions_start_at_one(sandbox: Sandbox) -> None:
    """Versions start at 1"""
    for version in (0, -1):
        must_refuse(
            sandbox,
            f"An event was stored as version {version}. The first event of a stream is version 1: "
            "add CHECK (version >= 1).",
            version=version,
        )
    sandbox.execute(*insert_event())


def nothing_is_missing(sandbox: Sandbox) -> None:
    """No part of an event may be missing"""
    for column in EVENT:
        must_refuse(
            sandbox, f"An event without its {column} (NULL) was stored. Add NOT NULL to {column}.", **{column: None}
        )


def positions_count_up_by_themselves(sandbox: Sandbox) -> None:
    """Positions count up by themselves"""
    sandbox.execute(*insert_event())
    sandbox.execute(*insert_event(stream_id="account-2"))
    first, second = sandbox.values("SELECT position FROM events ORDER BY stream_id")
    assert second == first + 1, (
        f"Two events should have positions in a row; they have {first} and {second}. GENERATED ALWAYS AS IDENTITY counts up "
        "by 1, with nothing behind it."
    )
    is_serial = sandbox.value(
        "SELECT attidentity = '' FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname = 'position'"
    )
    must_refuse(
        sandbox,
        "An event was stored with a position that its writer chose. A writer could put itself anywhere in the log: "
        + (
            "bigserial lets them. GENERATED ALWAYS AS IDENTITY does not."
            if is_serial
            else "GENERATED ALWAYS, not BY DEFAULT."
        ),
        stream_id="account-3",
        position=1,
    )
    counts = sandbox.execute(
        "SELECT seqstart, seqmin, seqmax, seqcache, seqcycle FROM pg_sequence"
        " WHERE seqrelid = pg_get_serial_sequence('events', 'position')::regclass"
    ).fetchone()
    assert counts == (1, 1, 2**63 - 1, 1, False), (
        "Positions should count from 1, without an end, one after the other for all connections: readers of the log begin behind "
        "position 0. GENERATED ALWAYS AS IDENTITY does, with nothing behind it in brackets."
    )


def metadata_is_an_object(sandbox: Sandbox) -> None:
    """Metadata is a JSON object"""
    for value in ("[]", '"a text"', "null"):
        must_refuse(
            sandbox,
            f"The metadata {value} was stored. It is JSON, but no object, and metadata ->> 'key' would find nothing: "
            "add CHECK (jsonb_typeof(metadata) = 'object').",
            metadata=value,
        )


# 01.2 The streams table


def a_stream_has_its_columns(sandbox: Sandbox) -> None:
    """The table has its two columns, with their types"""
    check_columns(sandbox, "streams", {"id": "text", "version": "bigint"})


def one_row_per_stream(sandbox: Sandbox) -> None:
    """A stream has one row"""
    first = sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-1', 1)")
    assert first is None, (
        f"A stream at version 1 was refused: {refusal(sandbox, first)} A stream begins with its first event."
    )
    again = sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-1', 2)")
    assert again, (
        "account-1 has two rows now, at version 1 and at version 2. Which one is right? Make id the primary key."
    )
    other = sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-2', 1)")
    assert other is None, (
        "account-2 was refused its row, because another stream is at version 1 too. The key is id, and id alone."
    )


def a_stream_moves_on(sandbox: Sandbox) -> None:
    """A stream moves on"""
    sandbox.execute("INSERT INTO streams (id, version) VALUES ('account-1', 1)")
    for version in (2, 3, 5_000_000_000):
        error = sandbox.refused("UPDATE streams SET version = %s WHERE id = 'account-1'", (version,))
        assert error is None, (
            f"account-1 should move on to version {version}, as it does with each append, and was refused: "
            f"{refusal(sandbox, error)}"
        )


def a_stream_has_a_version(sandbox: Sandbox) -> None:
    """A stream has a version, from 1"""
    assert sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-1', NULL)"), (
        "A stream without a version (NULL) was stored. Add NOT NULL to version."
    )
    for version in (0, -1):
        assert sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-1', %s)", (version,)), (
            f"A stream was stored at version {version}. A stream begins with its first event, at version 1: "
            "add CHECK (version >= 1)."
        )


def an_id_is_not_empty(sandbox: Sandbox) -> None:
    """An id is not empty"""
    assert sandbox.refused("INSERT INTO streams (id, version) VALUES (NULL, 1)"), (
        "A stream without an id (NULL) was stored. UNIQUE alone does not refuse it: make id the primary key."
    )
    assert sandbox.refused("INSERT INTO streams (id, version) VALUES ('', 1)"), (
        "A stream with an empty id was stored. NOT NULL does not refuse it, for '' is a text: "
        "add CHECK (char_length(id) BETWEEN 1 AND 255)."
    )


def an_id_has_an_end(sandbox: Sandbox) -> None:
    """An id has at most 255 characters"""
    assert sandbox.refused("INSERT INTO streams (id, version) VALUES (repeat('x', 256), 1)"), (
        "A stream id of 256 characters was stored. An index entry has an end: at a few thousand characters PostgreSQL "
        "refuses, with an error that nobody understands. Say it earlier: CHECK (char_length(id) BETWEEN 1 AND 255)."
    )
    error = sandbox.refused("INSERT INTO streams (id, version) VALUES (repeat('ä', 255), 1)")
    if error is not None:
        says = f"An id of 255 characters was refused, and 255 is still allowed: {refusal(sandbox, error)}"
        assert sandbox.refused("INSERT INTO streams (id, version) VALUES ('account-ä', 1)"), (
            f"{says} BETWEEN includes both its ends, and char_length counts characters, not bytes."
        )
        raise AssertionError(says)
    check_key(sandbox, "streams", "id")


# 01.3 Facts stay


def store_one(sandbox: Sandbox) -> None:
    error = sandbox.refused(*insert_event())
    assert error is None, (
        f"A new event was refused: {error.diag.message_primary}. "
        "Appending must stay possible: the trigger is for UPDATE, DELETE and TRUNCATE, not for INSERT."
    )
    assert sandbox.value("SELECT count(*) FROM events") == 1, (
        "A new event was accepted, and is not there. Is there a rule or trigger on INSERT?"
    )


def appending_still_works(sandbox: Sandbox) -> None:
    """New events are still accepted"""
    store_one(sandbox)


def _raised(sandbox: Sandbox, statement: str) -> psycopg.Error | None:
    """Return the error that the answer raised on a statement; what PostgreSQL found wrong with the answer gets through."""
    error = sandbox.refused(statement)
    raised = ("exec_stmt_raise", "exec_stmt_assert")
    if error and (error.diag.context or "").startswith("PL/pgSQL") and error.diag.source_function not in raised:
        raise error
    return error


def _check_refused(sandbox: Sandbox, statement: str, what: str, remedy: str) -> None:
    store_one(sandbox)
    error = _raised(sandbox, statement)
    kept = sandbox.values("SELECT data ->> 'amount' FROM events")
    assert error or kept != ["100.00"], (
        f"{what} changed nothing, but it reported success. Whoever asked believes that it worked: "
        "raise an error (RAISE EXCEPTION), do not skip the change in silence (RETURN NULL, DO INSTEAD NOTHING)."
    )
    fires = sandbox.value(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'events'::regclass AND NOT tgisinternal AND tgtype & %s > 0",
        ({"DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}[what],),
    )
    if fires:
        remedy = (
            "A trigger is there for it, and its function does not raise: RAISE EXCEPTION, not a NOTICE or a WARNING, and no "
            "EXCEPTION block that swallows it."
        )
    assert error, f"{what} was accepted, and now the history says something else. {remedy}"


def update_is_refused(sandbox: Sandbox) -> None:
    """UPDATE is refused"""
    _check_refused(
        sandbox,
        """UPDATE events SET data = '{"amount": "1.00"}'""",
        "UPDATE",
        "The trigger must fire BEFORE UPDATE OR DELETE OR TRUNCATE ON events.",
    )


def delete_is_refused(sandbox: Sandbox) -> None:
    """DELETE is refused"""
    _check_refused(
        sandbox,
        "DELETE FROM events",
        "DELETE",
        "Name it in the trigger: BEFORE UPDATE OR DELETE OR TRUNCATE ON events.",
    )


def truncate_is_refused(sandbox: Sandbox) -> None:
    """TRUNCATE is refused"""
    for_rows = sandbox.value(
        "SELECT true FROM pg_trigger WHERE tgrelid = 'events'::regclass AND tgtype & 1 > 0 LIMIT 1"
    )
    _check_refused(
        sandbox,
        "TRUNCATE events",
        "TRUNCATE",
        (
            "It empties the table without looking at a row, so a trigger FOR EACH ROW never sees it: "
            if for_rows
            else "It is not among the events of your trigger: "
        )
        + "BEFORE UPDATE OR DELETE OR TRUNCATE ON events FOR EACH STATEMENT.",
    )


def a_change_of_nothing_is_refused_too(sandbox: Sandbox) -> None:
    """It is refused even where no row matches"""
    assert sandbox.refused("DELETE FROM events WHERE stream_id = 'nobody'"), (
        "A DELETE that happened to match no row was accepted. Its author learns that deleting events is fine, until it "
        "is not: a trigger FOR EACH STATEMENT fires once, whatever matches."
    )


def the_error_says_why(sandbox: Sandbox) -> None:
    """The error says why"""
    store_one(sandbox)
    for tried, statement in (
        ("DELETE", "DELETE FROM events"),
        ("UPDATE", "UPDATE events SET type = 'X'"),
        ("TRUNCATE", "TRUNCATE events"),
    ):
        error = _raised(sandbox, statement)
        message = error.diag.message_primary or "" if error else ""
        assert "events" in message.lower() and tried.lower() in message.lower(), (
            f"The error for {tried} reads: {message!r}. It should name what was tried and on which table. "
            "TG_OP and TG_TABLE_NAME hold just that: RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, "
            "TG_TABLE_NAME;"
        )


@own_sandbox
def who_is_refused_waits_for_nobody(sandbox: Sandbox) -> None:
    """Who is refused waits for nobody"""
    sandbox.execute("INSERT INTO streams (id, version) VALUES ('account-1', 1)")
    one, other = sandbox.database.connect(), sandbox.database.connect(lock_timeout="100ms")
    with one.transaction():
        one.execute("UPDATE streams SET version = 2")  # as an append does
        try:
            other.execute("DELETE FROM events")
        except psycopg.errors.LockNotAvailable:
            raise AssertionError(
                "While somebody appended to account-1, a DELETE on events had to wait before it was refused: the function touches "
                "streams, too. It does nothing but raise."
            ) from None
        except psycopg.Error:
            pass


def they_have_their_names(sandbox: Sandbox) -> None:
    """The trigger and its function have the names that are asked for"""
    found = sandbox.execute(
        "SELECT tgname, proname FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid"
        " WHERE tgrelid = 'events'::regclass AND NOT tgisinternal"
    ).fetchall()
    assert ("facts_stay", "refuse_change") in found, (
        "A trigger facts_stay should call a function refuse_change(): notebook 09 has words with both, by their names. You have "
        + ", ".join(f"{trigger}, which calls {function}()" for trigger, function in found)
        + "."
    )


# What `looks` plays


class Refused(Exception):
    """PostgreSQL refused a statement. By which code is left open."""


def _tried(run: Callable[[psycopg.Connection, Any], psycopg.Cursor]) -> Callable:
    def call(_: object, stage: Stage, *given: Any) -> str | None:
        try:
            for each in given:
                said = run(stage.connection, each).statusmessage
        except psycopg.Error as error:
            if is_servers_fault(error):
                raise
            raise Refused(error.diag.message_primary) from None
        return said

    return call


STATEMENT = SqlCall("{}", _tried(lambda connection, statement: connection.execute(statement)))
_TEXTS = ("a", "Account-1", "account_1%", "o'brien", " ", "no dash", "ä" * 255)
_LARGE = (2**31, 2**53 + 1, 2**63 - 1)
EVENTS = Cases(
    call=Call(
        "An INSERT of the first event of account-1, with {} in its place",
        _tried(lambda connection, changes: connection.execute(*insert_event(**changes))),
    ),
    story="account-1 holds the versions 1 and 2",
    before=put("account-1", "DepositRecorded", "DepositRecorded", at=lambda _: EVENT["recorded_at"]),
    given=(
        *(({"version": version},) for version in (1, 2, 3, 10, *_LARGE, 0, -1, -(2**63))),
        *(({"stream_id": stream_id},) for stream_id in (*_TEXTS, "", "x" * 256)),
        *(({"version": 3, "type": type},) for type in ("AccountOpened", "CashierEmployed", "x", "", "ä" * 300)),
        *(({"version": 3, "data": data},) for data in ("{}", "[1]", '"a text"', '{"of": {"deep": [1.50, null]}}')),
        *(
            ({"version": 3, "metadata": it},)
            for it in ('{"user": "alice"}', "[]", "[{}]", "1", "true", "null", '"object"')
        ),
        *(
            ({"version": 3, "recorded_at": f"{at}+00"},)
            for at in ("2999-12-31 23:59", "1970-01-01", "2026-03-01 09:59")
        ),
        *(({"version": 3, column: None},) for column in EVENT if column != "version"),
        ({"version": 3, "position": 7},),
        ({"version": 3}, {"version": 4, "type": "CashWithdrawn", "data": "{}", "recorded_at": "2026-03-02 10:00+00"}),
        ({"version": 3}, {"version": 4, "id": OTHER_ID}, {"version": 5, "id": OTHER_ID[:-1] + "3"}),
        ({"stream_id": "account-2"}, {"stream_id": "account-3"}, {"stream_id": "Account-2"}),
        ({"version": 3}, {"version": 3, "id": OTHER_ID, "type": "CashWithdrawn", "recorded_at": "2026-03-02 10:00+00"}),
    ),
    advice=Advice("The table has the rules that are asked for, and no others."),
)
STREAMS = Cases(
    call=STATEMENT,
    story="account-1 is at version 1, account-2 at version 5",
    before="INSERT INTO streams (id, version) VALUES ('account-1', 1), ('account-2', 5);",
    given=tuple(
        (statement,)
        for statement in (
            *(
                f"INSERT INTO streams (id, version) VALUES ({id}, {version})"
                for id, version in (
                    *(("'account-3'", version) for version in (1, 5, *_LARGE, 0, -1, -(2**63), "NULL")),
                    *(("'" + text.replace("'", "''") + "'", 1) for text in (*_TEXTS, "", "x" * 256)),
                    ("NULL", 1),
                    ("'account-1'", 2),
                )
            ),
            *(
                f"UPDATE streams SET version = {version} WHERE id = 'account-1'"
                for version in (2, 5, *_LARGE, 0, "NULL")
            ),
            "UPDATE streams SET id = 'account-2' WHERE id = 'account-1'",
            "INSERT INTO streams (id, version) VALUES ('account-1', 1) ON CONFLICT (id) DO UPDATE SET version = 2",
            "DELETE FROM streams WHERE id = 'account-1'",
        )
    ),
    advice=Advice(
        "The table has the rules that are asked for, and no others: CHECK (version >= 1), and an id of 1 to 255."
    ),
)
_NEW = "INSERT INTO events (stream_id, version, id, type, data, metadata, recorded_at)"
_ROW = "('account-1', {}, gen_random_uuid(), 'X', '{{}}', '{{}}', '2026-03-01 10:00+00')"
_AS_STREAMS = "USING streams s ON s.id = e.stream_id WHEN MATCHED THEN"
CHANGES = Cases(
    call=STATEMENT,
    story="account-1 holds the versions 1 and 2",
    before=put("account-1", "AccountOpened", "DepositRecorded", row=True),
    given=tuple(
        (statement,)
        for statement in (
            *(f"UPDATE events SET {column} = {column}" for column in EVENT),
            "UPDATE events SET position = DEFAULT",
            "UPDATE events SET recorded_at = '1970-01-01+00' WHERE version = 2",
            "UPDATE events SET metadata = '{}' WHERE false",
            "UPDATE events e SET type = 'X' FROM streams s WHERE s.id = e.stream_id",
            "DELETE FROM events",
            "DELETE FROM events WHERE version = 2",
            "WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone",
            "TRUNCATE events",
            "TRUNCATE streams, events RESTART IDENTITY CASCADE",
            f"MERGE INTO events e {_AS_STREAMS} UPDATE SET type = 'X'",
            f"MERGE INTO events e {_AS_STREAMS} DELETE",
            f"{_NEW} VALUES {_ROW.format(2)} ON CONFLICT (stream_id, version) DO UPDATE SET data = excluded.data",
            f"{_NEW} VALUES {_ROW.format(3)} ON CONFLICT (stream_id, version) DO NOTHING",
            f"{_NEW} VALUES {_ROW.format(3)}, {_ROW.format(4)}",
            "UPDATE streams SET version = 3",
            "DELETE FROM streams",
            "TRUNCATE streams",
        )
    ),
    advice=Advice(
        "Every UPDATE, DELETE and TRUNCATE of events is refused, whichever column it sets and however it is written: no list "
        "of columns (UPDATE OF), no condition. New events, and the other table, are let alone."
    ),
)


EXERCISES = (
    Exercise(
        id="01.1",
        title="The events table",
        minutes=7,
        difficulty="easy",
        keeps="schema/20_events.sql",
        fast_track=True,
        checks=(
            an_event_has_its_columns,
            an_event_is_accepted,
            a_stream_grows,
            one_event_per_version,
            every_stream_counts_for_itself,
            an_event_is_stored_once,
            unique_rules_include_the_stream,
            versions_start_at_one,
            positions_count_up_by_themselves,
            nothing_is_missing,
            metadata_is_an_object,
            *looks(EVENTS),
        ),
        hints=(
            "Write one line for each row of the table above: name, type, NOT NULL. The rules about two columns at once "
            "come last, on lines of their own.",
            "A counter that the database keeps: `GENERATED ALWAYS AS IDENTITY`. "
            "A rule about a value: `CHECK (version >= 1)`. What kind of JSON it is: `jsonb_typeof(metadata)`.",
            "The last two lines are\n\n```sql\nPRIMARY KEY (stream_id, version),\nUNIQUE (stream_id, id)\n```",
        ),
    ),
    Exercise(
        id="01.2",
        title="The streams table",
        minutes=4,
        difficulty="easy",
        keeps="schema/10_streams.sql",
        fast_track=True,
        checks=(
            a_stream_has_its_columns,
            one_row_per_stream,
            a_stream_moves_on,
            a_stream_has_a_version,
            an_id_is_not_empty,
            an_id_has_an_end,
            *looks(STREAMS),
        ),
        hints=(
            "Two columns. The id is the key and has a length, the version is there and has a least value.",
            "`char_length(id)` counts the characters of a text, and `x BETWEEN a AND b` includes both ends.",
            "Between the brackets:\n\n```sql\n"
            "id      text   PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),\n"
            "version bigint NOT NULL    CHECK (version >= 1)\n```",
        ),
    ),
    Exercise(
        id="01.3",
        title="Facts stay",
        minutes=8,
        difficulty="medium",
        keeps="schema/30_facts_stay.sql",
        given=("10_streams.sql", "20_events.sql"),
        checks=(
            appending_still_works,
            update_is_refused,
            delete_is_refused,
            truncate_is_refused,
            a_change_of_nothing_is_refused_too,
            the_error_says_why,
            who_is_refused_waits_for_nobody,
            they_have_their_names,
            *looks(CHANGES),
        ),
        hints=(
            "Two statements: a function that does nothing but raise, and a trigger that calls it.",
            "The trigger fires BEFORE three kinds of statement, joined by OR, and FOR EACH STATEMENT.",
            "The second statement is\n\n```sql\n"
            "CREATE TRIGGER facts_stay\n    BEFORE UPDATE OR DELETE OR TRUNCATE ON events\n"
            "    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();\n```",
        ),
    ),
)
