"""Classic mistakes of notebook 01."""

import pytest

from workshop.checks.exercises.ex01_tables import (
    a_change_of_nothing_is_refused_too,
    a_stream_has_a_version,
    a_stream_has_its_columns,
    an_event_has_its_columns,
    an_event_is_accepted,
    an_event_is_stored_once,
    an_id_has_an_end,
    an_id_is_not_empty,
    appending_still_works,
    delete_is_refused,
    every_stream_counts_for_itself,
    metadata_is_an_object,
    nothing_is_missing,
    one_event_per_version,
    one_row_per_stream,
    positions_count_up_by_themselves,
    the_error_says_why,
    truncate_is_refused,
    unique_rules_include_the_stream,
    update_is_refused,
    versions_start_at_one,
)

from ..postgres import Server
from .mistakes import IT_RUNS, Mistake, must_be_told

THE_TRIGGER = """
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"""
RAISE = """RAISE EXCEPTION 'Events are facts: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'ES002', HINT = 'Append an event that corrects the earlier one.';"""

THE_EVENTS_TABLE = (
    Mistake("01.1", "the table's name in the singular", {"TABLE events": "TABLE event"},
            an_event_has_its_columns, "There is no table called events"),
    Mistake("01.1", "a column is left out", {"    type        text        NOT NULL,\n": ""},
            an_event_has_its_columns, "has no column type"),
    Mistake("01.1", "a column too many", {"UNIQUE (stream_id, id)": "UNIQUE (stream_id, id),\n    user_name text"},
            an_event_has_its_columns, "not asked for: user_name"),
    Mistake("01.1", "integer versions", {"version     bigint": "version     integer"},
            an_event_has_its_columns, "about two billion"),
    Mistake("01.1", "json instead of jsonb", {"data        jsonb": "data        json"},
            an_event_has_its_columns, "The column data is json; it should be jsonb"),
    Mistake("01.1", "timestamp without time zone", {"timestamptz": "timestamp"},
            an_event_has_its_columns, "Without a time zone the same text means another moment"),
    Mistake("01.1", "no primary key", {"    PRIMARY KEY (stream_id, version),\n": ""},
            one_event_per_version, "Make (stream_id, version) the primary key"),
    Mistake("01.1", "the version is the key of all streams", {"PRIMARY KEY (stream_id, version)": "PRIMARY KEY (version)"},
            every_stream_counts_for_itself, "the pair (stream_id, version), not version alone"),
    Mistake("01.1", "the event is not unique", {"(stream_id, version),\n    UNIQUE (stream_id, id)": "(stream_id, version)"},
            an_event_is_stored_once, "add UNIQUE (stream_id, id)"),
    Mistake("01.1", "the id and the version are unique together", {"UNIQUE (stream_id, id)": "UNIQUE (stream_id, id, version)"},
            an_event_is_stored_once, "as version 1 and as version 2"),
    Mistake("01.1", "the id is unique without its stream", {"UNIQUE (stream_id, id)": "UNIQUE (id)"},
            unique_rules_include_the_stream, "does not name stream_id"),
    Mistake("01.1", "the position is unique", {"AS IDENTITY": "AS IDENTITY UNIQUE"},
            unique_rules_include_the_stream, "(\"position\")"),
    Mistake("01.1", "no rule for the version", {" CHECK (version >= 1)": ""},
            versions_start_at_one, "stored as version 0"),
    Mistake("01.1", "versions from 0", {"version >= 1": "version >= 0"},
            versions_start_at_one, "add CHECK (version >= 1)"),
    Mistake("01.1", "versions from 2", {"version >= 1": "version > 1"},
            an_event_is_accepted, "version 1 is a version"),
    Mistake("01.1", "nobody counts the position", {" GENERATED ALWAYS AS IDENTITY": ""},
            an_event_is_accepted, "the database counts that"),
    Mistake("01.1", "BEGIN without COMMIT", {"CREATE TABLE": "BEGIN;\nCREATE TABLE"},
            an_event_has_its_columns, "leaves a transaction open"),
    Mistake("01.1", "the writer may choose the position", {"ALWAYS": "BY DEFAULT"},
            positions_count_up_by_themselves, "GENERATED ALWAYS, not BY DEFAULT"),
    Mistake("01.1", "bigserial", {"bigint      NOT NULL GENERATED ALWAYS AS IDENTITY": "bigserial"},
            positions_count_up_by_themselves, "position that its writer chose"),
    Mistake("01.1", "NOT NULL forgotten", {"recorded_at timestamptz NOT NULL": "recorded_at timestamptz"},
            nothing_is_missing, "Add NOT NULL to recorded_at"),
    Mistake("01.1", "NOT NULL forgotten beside a CHECK", {"metadata    jsonb       NOT NULL": "metadata    jsonb"},
            nothing_is_missing, "Add NOT NULL to metadata"),
    Mistake("01.1", "any JSON is metadata", {" CHECK (jsonb_typeof(metadata) = 'object')": ""},
            metadata_is_an_object, "jsonb_typeof(metadata) = 'object'"),
    Mistake("01.1", "an array is metadata too", {"= 'object'": "IN ('object', 'array')"},
            metadata_is_an_object, "The metadata [] was stored"),
    Mistake("01.1", "a comma too many", {"UNIQUE (stream_id, id)": "UNIQUE (stream_id, id),"},
            IT_RUNS, 'syntax error at or near ")"'),
)  # fmt: skip

THE_STREAMS_TABLE = (
    Mistake("01.2", "the table's name in the singular", {"TABLE streams": "TABLE stream"},
            a_stream_has_its_columns, "There is no table called streams"),
    Mistake("01.2", "integer versions", {"bigint": "integer"},
            a_stream_has_its_columns, "about two billion"),
    Mistake("01.2", "varchar with a length", {"text   PRIMARY KEY": "varchar(255) PRIMARY KEY"},
            a_stream_has_its_columns, "it should be text"),
    Mistake("01.2", "no primary key", {"PRIMARY KEY ": "NOT NULL "},
            one_row_per_stream, "Make id the primary key"),
    Mistake("01.2", "the version belongs to the key",
            {"PRIMARY KEY ": "NOT NULL ", "(version >= 1)": "(version >= 1),\n    PRIMARY KEY (id, version)"},
            one_row_per_stream, "account-1 has two rows now"),
    Mistake("01.2", "versions are unique", {"bigint NOT NULL": "bigint NOT NULL UNIQUE"},
            one_row_per_stream, "The key is id, and id alone"),
    Mistake("01.2", "NOT NULL forgotten", {"bigint NOT NULL": "bigint"},
            a_stream_has_a_version, "Add NOT NULL to version"),
    Mistake("01.2", "a stream without events", {"version >= 1": "version >= 0"},
            a_stream_has_a_version, "stored at version 0"),
    Mistake("01.2", "versions from 2", {"version >= 1": "version > 1"},
            one_row_per_stream, "A stream at version 1 was refused"),
    Mistake("01.2", "UNIQUE for PRIMARY KEY", {"PRIMARY KEY": "UNIQUE"},
            an_id_is_not_empty, "A stream without an id (NULL) was stored"),
    Mistake("01.2", "an id may be empty", {"BETWEEN 1 AND 255": "<= 255"},
            an_id_is_not_empty, "'' is a text"),
    Mistake("01.2", "NOT NULL taken for not empty", {"CHECK (char_length(id) BETWEEN 1 AND 255)": "NOT NULL"},
            an_id_is_not_empty, "NOT NULL does not refuse it"),
    Mistake("01.2", "an id has no end", {"BETWEEN 1 AND 255": ">= 1"},
            an_id_has_an_end, "A stream id of 256 characters was stored"),
    Mistake("01.2", "exclusive range ends", {"char_length(id) BETWEEN 1 AND 255": "char_length(id) > 0 AND char_length(id) < 255"},
            an_id_has_an_end, "255 is still allowed"),
    Mistake("01.2", "bytes instead of characters", {"char_length": "octet_length"},
            an_id_has_an_end, "char_length counts characters, not bytes"),
)  # fmt: skip

FACTS_STAY = (
    Mistake("01.3", "the trigger is for INSERT too", {"BEFORE UPDATE": "BEFORE INSERT OR UPDATE"},
            appending_still_works, "Appending must stay possible"),
    Mistake("01.3", "a rule on INSERT", "CREATE RULE facts_stay AS ON INSERT TO events DO INSTEAD NOTHING;",
            appending_still_works, "is not there"),
    Mistake("01.3", "a function without its trigger", {"CREATE TRIGGER facts_stay" + THE_TRIGGER: ""},
            update_is_refused, "UPDATE was accepted"),
    Mistake("01.3", "the trigger is on streams", {"ON events": "ON streams"},
            update_is_refused, "UPDATE was accepted"),
    Mistake("01.3", "a notice instead of an error", {RAISE: "RAISE NOTICE 'No: % on %', TG_OP, TG_TABLE_NAME; RETURN NULL;"},
            update_is_refused, "UPDATE was accepted"),
    Mistake("01.3", "RETURN NULL for each row", {RAISE: "RETURN NULL;", " OR TRUNCATE": "", "STATEMENT": "ROW"},
            update_is_refused, "changed nothing, but it reported success"),
    Mistake("01.3", "rules DO INSTEAD NOTHING", """
CREATE RULE no_update AS ON UPDATE TO events DO INSTEAD NOTHING;
CREATE RULE no_delete AS ON DELETE TO events DO INSTEAD NOTHING;
""",
            update_is_refused, "do not skip the change in silence (RETURN NULL, DO INSTEAD NOTHING)"),
    Mistake("01.3", "privileges, and the owner keeps hers", "REVOKE UPDATE, DELETE, TRUNCATE ON events FROM PUBLIC;",
            update_is_refused, "BEFORE UPDATE OR DELETE OR TRUNCATE ON events"),
    Mistake("01.3", "DELETE is forgotten", {" OR DELETE": ""},
            delete_is_refused, "DELETE was accepted"),
    Mistake("01.3", "TRUNCATE is forgotten", {" OR TRUNCATE": ""},
            truncate_is_refused, "It empties the table without looking at a row"),
    Mistake("01.3", "for each row, so without TRUNCATE", {" OR TRUNCATE": "", "STATEMENT": "ROW"},
            truncate_is_refused, "a trigger FOR EACH ROW never sees it"),
    Mistake("01.3", "a row-level trigger", {"STATEMENT": "ROW"},
            IT_RUNS, "TRUNCATE FOR EACH ROW triggers are not supported"),
    Mistake("01.3", "two triggers, one of them row-level", {THE_TRIGGER: """
    BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate
    BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"""},
            a_change_of_nothing_is_refused_too, "a trigger FOR EACH STATEMENT fires once"),
    Mistake("01.3", "an error that says nothing", {RAISE: "RAISE EXCEPTION 'not allowed';"},
            the_error_says_why, "'not allowed'. It should name what was tried"),
    Mistake("01.3", "one error for all operations", {RAISE: "RAISE EXCEPTION 'DELETE on events is refused';"},
            the_error_says_why, "The error for UPDATE reads: 'DELETE on events"),
    Mistake("01.3", "an error without the table", {RAISE: "RAISE EXCEPTION '% is refused', TG_OP;"},
            the_error_says_why, "TG_OP and TG_TABLE_NAME hold just that"),
)  # fmt: skip

MISTAKES = (*THE_EVENTS_TABLE, *THE_STREAMS_TABLE, *FACTS_STAY)


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_classic_mistake_is_told(mistake: Mistake, postgres: Server) -> None:
    must_be_told(mistake, postgres.url)
