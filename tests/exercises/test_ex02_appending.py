"""Classic mistakes of notebook 02."""

from workshop.checks.exercises import ex02_appending as ex

from .mistakes import AS_OURS, BROKEN, IT_RUNS, MEANWHILE, Mistake

# In 02.1 and 02.2
LOCK_ONE = """INSERT INTO streams AS s (id, version) VALUES (append_event.stream_id, 1)
    ON CONFLICT (id) DO UPDATE SET version = s.version + 1
    RETURNING s.version INTO new_version;"""
MAX_PLUS_ONE = """SELECT coalesce(max(e.version), 0) + 1 INTO new_version
    FROM events e WHERE e.stream_id = append_event.stream_id;"""
MOVE_THE_ROW = """
    INSERT INTO streams (id, version) VALUES (append_event.stream_id, new_version)
    ON CONFLICT (id) DO UPDATE SET version = excluded.version;"""
# In 02.2
EXPECT_ONE = """IF actual <> expected_version THEN
        RAISE EXCEPTION 'Wrong expected version: % (stream: %, stream version: %)',
                expected_version, append_event.stream_id, actual
            USING ERRCODE = 'ES001', DETAIL = actual;
    END IF;"""
# In 02.3 and 02.4
LOCK = """INSERT INTO streams AS s (id, version) VALUES (append_to_stream.stream_id, added)
    ON CONFLICT (id) DO UPDATE SET version = s.version + added
    RETURNING s.version - added INTO actual;"""
LOOK_FIRST = (
    """SELECT coalesce((SELECT s.version FROM streams s WHERE s.id = append_to_stream.stream_id), 0) INTO actual;"""
)
# A row that is not there yet cannot be locked.
LOCKS_FIRST = {
    LOCK: LOOK_FIRST.replace("), 0)", " FOR UPDATE), 0)")
    + LOCK.replace("\n    RETURNING s.version - added INTO actual", "")
}
# In 02.4
COUNT_KNOWN = """SELECT count(*),
               count(*) FILTER (
                   WHERE e.version - n = expected_version
               ),
               max(e.version), max(e.position)
        INTO known, in_place, version, "position"
        FROM jsonb_array_elements(new_events) WITH ORDINALITY AS given (event, n)
        JOIN events e
          ON e.stream_id = append_to_stream.stream_id AND e.id = (event ->> 'id')::uuid;"""
GIVE_BACK = "UPDATE streams SET version = actual WHERE id = append_to_stream.stream_id;"
REFUSE_KNOWN = """ELSIF known > 0 THEN
            RAISE unique_violation
                USING MESSAGE = format('%s of %s events are here already', known, added);
        """
# In 02.6
EXCEPT = """    except psycopg.Error as error:
        if error.sqlstate != "ES001":
            raise
        actual = int(error.diag.message_detail)
        raise WrongExpectedVersion(stream_id, expected_version, actual) from None
"""

APPEND_ONE_EVENT = (
    Mistake("02.1", "versions from 0", {"VALUES (append_event.stream_id, 1)": "VALUES (append_event.stream_id, 0)"},
            ex.the_first_event_is_version_1, "new row for relation"),
    Mistake("02.1", "returns the version before", {"RETURN new_version;": "RETURN new_version - 1;"},
            ex.the_first_event_is_version_1, "should return the event's version, 1. It returned 0"),
    Mistake("02.1", "forgets INTO", {" INTO new_version": ""},
            ex.the_first_event_is_version_1, "query has no destination for result data"),
    Mistake("02.1", "metadata is NULL", {"'{}'": "NULL"},
            ex.the_first_event_is_version_1, 'null value in column "metadata"'),
    Mistake("02.1", "a stream that is there already", {"ON CONFLICT (id) DO UPDATE SET version = s.version + 1": ""},
            ex.versions_have_no_gap, "streams_pkey"),
    Mistake("02.1", "ON CONFLICT DO NOTHING", {"DO UPDATE SET version = s.version + 1": "DO NOTHING"},
            ex.versions_have_no_gap, "RETURNING s.version INTO new_version"),
    Mistake("02.1", "counts from what was to be inserted", {"s.version + 1": "excluded.version + 1"},
            ex.versions_have_no_gap, "`excluded` is the row that was offered"),
    Mistake("02.1", "always version 1", {"stream_id, new_version, gen": "stream_id, 1, gen"},
            ex.versions_have_no_gap, "The event belongs at `new_version`"),
    Mistake("02.1", "a timestamp without a zone", {"clock_timestamp()": "clock_timestamp() AT TIME ZONE 'UTC'"},
            AS_OURS, "with no conversion to another zone"),
    Mistake("02.1", "data is made up", {"append_event.data,": "coalesce(append_event.data, '{}'),"},
            AS_OURS, "no type or data is made up"),
    Mistake("02.1", "returns the version of the last event in the log",
            {"RETURN new_version": "RETURN (SELECT e.version FROM events e ORDER BY e.position DESC LIMIT 1)"},
            MEANWHILE, "somebody else appended an event to account-2"),
    Mistake("02.1", "what fails is passed by", {"END\n$$": "EXCEPTION WHEN disk_full THEN\n    RETURN new_version;\nEND\n$$"},
            BROKEN, "Nothing that goes wrong is caught here"),
    Mistake("02.1", "moves by 2", {"s.version + 1": "s.version + 2"},
            ex.versions_have_no_gap, "They gave [1, 3, 5]"),
    Mistake("02.1", "counts all streams together",
            {LOCK_ONE: "SELECT count(*) + 1 INTO new_version FROM events;" + MOVE_THE_ROW},
            ex.streams_do_not_mix, "lack its `WHERE ... stream_id`"),
    Mistake("02.1", "the row is forgotten", {LOCK_ONE: MAX_PLUS_ONE},
            ex.the_stream_row_keeps_up, "its row in streams says version None"),
    Mistake("02.1", "the row is made and never moved", {LOCK_ONE: MAX_PLUS_ONE + """
    INSERT INTO streams (id, version) VALUES (append_event.stream_id, 1) ON CONFLICT DO NOTHING;"""},
            ex.the_stream_row_keeps_up, "says version 1"),
    Mistake("02.1", "max(version) + 1 without the lock", {LOCK_ONE: MAX_PLUS_ONE + MOVE_THE_ROW},
            ex.a_second_writer_waits_its_turn, "worked out its version before the first one committed"),
    Mistake("02.1", "reads the row without locking it", {LOCK_ONE: """
    SELECT coalesce((SELECT s.version FROM streams s WHERE s.id = append_event.stream_id), 0) + 1 INTO new_version;
    """ + MOVE_THE_ROW},
            ex.a_second_writer_waits_its_turn, "Take the version from the locked row"),
    Mistake("02.1", "the row is there, and not held", {
        LOCK_ONE: "INSERT INTO streams VALUES (append_event.stream_id, 1) ON CONFLICT (id) DO NOTHING;\n    " + MAX_PLUS_ONE,
        "    RETURN new": "    UPDATE streams SET version = new_version WHERE id = append_event.stream_id;\n    RETURN new",
    },
            MEANWHILE, "First lock, then look"),
    Mistake("02.1", "moves a row that is not there yet", {LOCK_ONE: """
    UPDATE streams SET version = streams.version + 1 WHERE id = append_event.stream_id
    RETURNING streams.version INTO new_version;"""},
            ex.the_first_event_is_version_1, "a new stream has no row yet"),
    Mistake("02.1", "locks the row, which a new stream has not", {LOCK_ONE: """
    UPDATE streams SET version = streams.version + 1 WHERE id = append_event.stream_id
    RETURNING streams.version INTO new_version;
    IF NOT FOUND THEN
        INSERT INTO streams (id, version) VALUES (append_event.stream_id, 1);
        new_version := 1;
    END IF;"""},
            ex.a_new_stream_has_room_for_two, "Neither saw a row, so both inserted one"),
    Mistake("02.1", "now() instead of clock_timestamp()", {"clock_timestamp()": "now()"},
            ex.time_goes_forward, "use clock_timestamp()"),
    Mistake("02.1", "CURRENT_TIMESTAMP", {"clock_timestamp()": "CURRENT_TIMESTAMP"},
            ex.time_goes_forward, "recorded as older than version 1"),
    Mistake("02.1", "the clock of the statement", {"clock_timestamp()": "statement_timestamp()"},
            ex.time_goes_forward, "the start of the statement, before the wait"),
    Mistake("02.1", "the clock is read before the lock is taken", {
        "new_version bigint;": "new_version bigint;\n    stamp timestamptz := clock_timestamp();",
        "clock_timestamp());": "stamp);",
    },
            ex.time_goes_forward, "Its clock was read too early"),
    Mistake("02.1", "locks the table", {LOCK_ONE: "LOCK TABLE streams IN EXCLUSIVE MODE;\n    " + MAX_PLUS_ONE + MOVE_THE_ROW},
            ex.other_streams_pass_by, "lock the row of the stream, not the table"),
    Mistake("02.1", "one lock for all", {LOCK_ONE: "PERFORM pg_advisory_xact_lock(1);\n    " + MAX_PLUS_ONE + MOVE_THE_ROW},
            ex.other_streams_pass_by, "no lock for all"),
    Mistake("02.1", "the data is forgotten", {"append_event.data,": "'{}',"},
            ex.the_first_event_is_version_1, "its amount is 100.00"),
    Mistake("02.1", "ambiguous names", {LOCK_ONE: "UPDATE streams SET version = version + 1 WHERE stream_id = stream_id;"},
            ex.the_first_event_is_version_1, "The event belongs at `new_version`"),
    Mistake("02.1", "a name without its function", {"append_event.data,": "event.data,"},
            ex.the_first_event_is_version_1, 'missing FROM-clause entry for table "event"'),
    Mistake("02.1", "a semicolon is missing", {"INTO new_version;": "INTO new_version"},
            IT_RUNS, "syntax error"),
)  # fmt: skip

EXPECT_A_VERSION = (
    Mistake("02.2", "off-by-one version", {"IF actual <>": "IF new_version <>"},
            ex.a_right_expectation_appends, "one less than the version the event gets"),
    Mistake("02.2", "the comparison is turned round", {"actual <> expected": "actual = expected"},
            ex.a_right_expectation_appends, "version 0 was expected, and the append was refused"),
    Mistake("02.2", "commit inside append", {"    RETURN new_version;": "    COMMIT;\n    RETURN new_version;"},
            ex.a_right_expectation_appends, "invalid transaction termination"),
    Mistake("02.2", "an operator of another language", {"actual <> expected": "actual !== expected"},
            ex.a_right_expectation_appends, "operator does not exist"),
    Mistake("02.2", "no default", {" DEFAULT NULL": ""},
            ex.no_expectation_is_fine, "makes the parameter one that may be left out"),
    Mistake("02.2", "a comma too few", {"'ES001', DETAIL": "'ES001' DETAIL"},
            IT_RUNS, "a comma, a bracket"),
    Mistake("02.2", "the message the wrong way round", {"expected_version, append_event.stream_id, actual": "actual, append_event.stream_id, expected_version"},
            ex.the_error_carries_its_values, "its values are the wrong way round"),
    Mistake("02.2", "stream and version have changed places", {"append_event.stream_id, actual\n": "actual, append_event.stream_id\n"},
            ex.the_error_carries_its_values, "its values are the wrong way round"),
    Mistake("02.2", "the message in other words", {"Wrong expected version: % (stream: %, stream version: %)": "% expected, but stream % is at %"},
            ex.the_error_carries_its_values, "It should read 'Wrong expected version: 2"),
    Mistake("02.2", "negative taken for no expectation", {"IF actual <>": "IF expected_version >= 0 AND actual <>"},
            AS_OURS, "It should have raised ES001 with DETAIL 2. It returned [3]"),
    Mistake("02.2", "returns the version of the last event in the log",
            {"RETURN new_version": "RETURN (SELECT e.version FROM events e ORDER BY e.position DESC LIMIT 1)"},
            MEANWHILE, "somebody else appended an event to account-2"),
    Mistake("02.2", "what fails is passed by", {"END\n$$": "EXCEPTION WHEN disk_full THEN\n    RETURN new_version;\nEND\n$$"},
            BROKEN, "Nothing that goes wrong is caught here"),
    Mistake("02.2", "IS DISTINCT FROM with NULL", {"actual <> expected": "actual IS DISTINCT FROM expected"},
            ex.no_expectation_is_fine, "`IS DISTINCT FROM` treats NULL as a value"),
    Mistake("02.2", "NULL taken for 0", {"actual <> expected_version": "actual <> coalesce(expected_version, 0)"},
            ex.no_expectation_is_fine, "With expected_version NULL, or left out"),
    Mistake("02.2", "nothing is compared", {EXPECT_ONE: ""},
            ex.a_wrong_expectation_raises, "its writer expected 1, and the call reported success"),
    Mistake("02.2", "lost race reported as `false`", {EXPECT_ONE: "IF actual <> expected_version THEN RETURN 0; END IF;"},
            ex.a_wrong_expectation_raises, "not even as a `false`"),
    Mistake("02.2", "a warning instead of an error", {"RAISE EXCEPTION": "RAISE WARNING"},
            ex.a_wrong_expectation_raises, "A lost race must not pass in silence"),
    Mistake("02.2", "EXCEPTION block that returns false", {"    RETURN new_version;": """    RETURN new_version;
EXCEPTION WHEN OTHERS THEN
    RETURN 0;"""},
            ex.a_wrong_expectation_raises, "the call reported success"),
    Mistake("02.2", "only a stream behind is refused", {"actual <> expected": "actual < expected"},
            ex.a_wrong_expectation_raises, "its writer expected 1"),
    Mistake("02.2", "only a stream ahead is refused", {"actual <> expected": "actual > expected"},
            ex.a_wrong_expectation_raises, "its writer expected 3"),
    Mistake("02.2", "0 taken for no expectation", {"IF actual <>": "IF expected_version > 0 AND actual <>"},
            ex.a_wrong_expectation_raises, "its writer expected 0"),
    Mistake("02.2", "no error code", {"ERRCODE = 'ES001', ": ""},
            ex.a_wrong_expectation_raises, "USING ERRCODE = 'ES001'"),
    Mistake("02.2", "an EXCEPTION block that raises anew", {"    RETURN new_version;": """    RETURN new_version;
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION 'append failed: %', SQLERRM;"""},
            ex.a_wrong_expectation_raises, "The call raised P0001"),
    Mistake("02.2", "a new stream is not compared", {"IF actual <>": "IF actual > 0 AND actual <>"},
            ex.a_refused_append_leaves_nothing, "compare for a new stream too"),
    Mistake("02.2", "check before the lock is taken", {
        EXPECT_ONE: "",
        "BEGIN\n": "BEGIN\n    SELECT coalesce((SELECT s.version FROM streams s WHERE s.id = append_event.stream_id), 0) "
                   "INTO actual;\n    " + EXPECT_ONE,
        "    actual := new_version - 1;\n": "",
    },
            ex.one_of_two_wins, "First lock, then look"),
    Mistake("02.2", "max(version) + 1 without the lock", {LOCK_ONE: MAX_PLUS_ONE + MOVE_THE_ROW},
            ex.one_of_two_wins, "refused, but with 23505"),
    Mistake("02.2", "a message without its values", {"""'Wrong expected version: % (stream: %, stream version: %)',
                expected_version, append_event.stream_id, actual""": "'Wrong expected version'"},
            ex.the_error_carries_its_values, "the expected version, 2, is not in it"),
    Mistake("02.2", "the message says the version after", {"stream_id, actual": "stream_id, new_version"},
            ex.the_error_carries_its_values, "the stream's version, 4, is not in it"),
    Mistake("02.2", "no DETAIL", {", DETAIL = actual": ""},
            ex.the_error_carries_its_values, "DETAIL should be the stream's version, 4"),
    Mistake("02.2", "DETAIL in prose", {"DETAIL = actual": "DETAIL = format('the stream is at %s', actual)"},
            ex.the_error_carries_its_values, "and nothing else, for a program to read"),
)  # fmt: skip

APPEND_A_BATCH = (
    Mistake("02.3", "off-by-one version", {"actual + n,": "actual + n - 1,"},
            ex.a_batch_keeps_its_order, 'violates check constraint "events_version_check"'),
    Mistake("02.3", "the same version for all", {"actual + n,": "actual + 1,"},
            ex.a_batch_keeps_its_order, "(stream_id, version)=(account-1, 1) already exists"),
    Mistake("02.3", "numbered by type", {"actual + n,": "actual + row_number() OVER (ORDER BY event ->> 'type' DESC),"},
            ex.a_batch_keeps_its_order, "should be stored as"),
    Mistake("02.3", "the data is the whole event", {"event -> 'data'": "event"},
            ex.a_batch_keeps_its_order, "Each event should carry its own data"),
    Mistake("02.3", "the data as text", {"event -> 'data'": "event ->> 'data'"},
            ex.a_batch_keeps_its_order, 'column "data" is of type jsonb but expression is of type text'),
    Mistake("02.3", "the parameter's name in quotes", {"SELECT append_to_stream.stream_id, actual": "SELECT 'stream_id', actual"},
            ex.a_batch_keeps_its_order, "In events are the streams 'stream_id'"),
    Mistake("02.3", "the data by way of a text", {"event -> 'data'": "(event ->> 'data')::jsonb"},
            AS_OURS, "Any JSON is data"),
    Mistake("02.3", "the type as JSON", {"event ->> 'type'": "event -> 'type'"},
            ex.a_batch_keeps_its_order, "`->` gives JSON, and `->>` gives text"),
    Mistake("02.3", "an event without id gets none", {"coalesce((event ->> 'id')::uuid, gen_random_uuid())": "(event ->> 'id')::uuid"},
            ex.a_batch_keeps_its_order, 'null value in column "id"'),
    Mistake("02.3", "ambiguous version", {"RETURNING events.version, events.position": "RETURNING version, position"},
            ex.a_batch_keeps_its_order, "ambiguous"),
    Mistake("02.3", "stream moved by 1 instead of n", {
        "append_to_stream.stream_id, added)\n": "append_to_stream.stream_id, 1)\n",
        "s.version + added": "s.version + 1", "s.version - added": "s.version - 1",
    },
            ex.a_batch_moves_the_stream_by_its_size, "It moves by the number of events, not by one"),
    Mistake("02.3", "versions from 1 in each batch", {"actual + n,": "n,"},
            ex.a_batch_moves_the_stream_by_its_size, "already exists"),
    Mistake("02.3", "returns the first of the batch", {"max(a.version), max(a.position)": "min(a.version), min(a.position)"},
            ex.it_returns_where_the_batch_ended, "The function returned (2, "),
    Mistake("02.3", "returns the size of the batch", {"max(a.version), max": "count(*), max"},
            ex.it_returns_where_the_batch_ended, "version and position (4, "),
    Mistake("02.3", "the last one first", {"ORDER BY n\n": "ORDER BY n DESC\n"},
            ex.it_returns_where_the_batch_ended, "and the log is read by them: ORDER BY n"),
    Mistake("02.3", "a stream that exists is forgotten", {" OR (expected_version = -1 AND actual = 0)": ""},
            ex.a_batch_keeps_its_expectation, "-1 means a stream that exists"),
    Mistake("02.3", "ON CONFLICT DO NOTHING", {"ORDER BY n\n": "ORDER BY n\n        ON CONFLICT DO NOTHING\n"},
            ex.an_id_is_kept, "no ON CONFLICT DO NOTHING"),
    Mistake("02.3", "returns each event", {"max(a.version), max(a.position)": "a.version, a.position"},
            ex.a_batch_keeps_its_order, "it returned 3"),
    Mistake("02.3", "events without a type are passed over", {"ORDER BY n\n": "WHERE event ->> 'type' IS NOT NULL ORDER BY n\n"},
            ex.a_batch_is_all_or_nothing, "The third event of a batch had no type, and the call reported success"),
    Mistake("02.3", "a type is made up", {"event ->> 'type'": "coalesce(event ->> 'type', 'unknown')"},
            ex.a_batch_is_all_or_nothing, "had no type"),
    Mistake("02.3", "check before the lock is taken", {LOCK: LOOK_FIRST, "    -- 3. Write.": "    " + LOCK},
            ex.a_batch_keeps_its_expectation, "First lock, then look"),
    Mistake("02.3", "locks a row that is not there", LOCKS_FIRST,
            MEANWHILE, "FOR UPDATE locks nothing then"),
    Mistake("02.3", "actual is the version after", {"s.version - added INTO": "s.version INTO", "actual + n,": "actual - added + n,"},
            ex.a_batch_keeps_its_expectation, "the row's new version, less the number of events"),
    Mistake("02.3", "nothing is compared", {"IF (expected_version <> -1 AND": "IF (expected_version < -1 AND"},
            ex.a_batch_keeps_its_expectation, "was not refused with ES001"),
    Mistake("02.3", "the metadata is left empty", {"append_to_stream.metadata, stamp": "'{}', stamp"},
            ex.metadata_goes_with_each_event, "belongs to all three events"),
    Mistake("02.3", "metadata of the event", {"append_to_stream.metadata, stamp": "coalesce(event -> 'metadata', '{}'), stamp"},
            ex.metadata_goes_with_each_event, "They have [None, None, None]"),
    Mistake("02.3", "now() instead of the stamp", {"metadata, stamp": "metadata, now()"},
            ex.a_batch_happens_at_one_moment, "read under the lock, not now()"),
    Mistake("02.3", "a moment for each event", {"metadata, stamp": "metadata, clock_timestamp()"},
            ex.a_batch_happens_at_one_moment, "have three moments"),
    Mistake("02.3", "always a new id", {"coalesce((event ->> 'id')::uuid, gen_random_uuid())": "gen_random_uuid()"},
            ex.an_id_is_kept, "brought the id 11111111"),
    Mistake("02.3", "versions begin at 1 again", {"actual + n,": "n,"},
            ex.a_batch_moves_the_stream_by_its_size, "`actual + n`, behind what the stream holds already"),
    Mistake("02.3", "what is missing is made up", {"event -> 'data', append": "coalesce(event -> 'data', '{}'), append"},
            AS_OURS, "no type or data is made up"),
    Mistake("02.3", "the end of the log for that of the batch", {
        "    RETURN QUERY\n    WITH appended AS (\n": "",
        "        RETURNING events.version, events.position\n    )\n    SELECT max(a.version), max(a.position), false FROM appended a;":
            "    ;\n    RETURN QUERY SELECT actual + added, (SELECT max(e.position) FROM events e), false;"},
            MEANWHILE, "somebody else appended an event to account-2"),
    Mistake("02.3", "what fails is passed by", {"END\n$$": "EXCEPTION WHEN disk_full THEN\n    NULL;\nEND\n$$"},
            BROKEN, "Nothing that goes wrong is caught here"),
    Mistake("02.3", "the id under another name", {"(event ->> 'id')": "(event ->> 'event_id')"},
            ex.an_id_is_kept, "it was stored as"),
)  # fmt: skip

THE_ANSWER_THAT_NEVER_CAME = (
    Mistake("02.4", "every append at a wrong version is refused", {"IF in_place = added THEN": "IF false THEN"},
            ex.a_retry_gets_the_first_answer, "answer as you did then"),
    Mistake("02.4", "RETURN is forgotten", {"RETURN NEXT;\n            RETURN;": "RETURN NEXT;"},
            ex.a_retry_gets_the_first_answer, "RETURN ends the function"),
    Mistake("02.4", "INTO the wrong way round", {'version, "position"\n': '"position", version\n'},
            ex.a_retry_gets_the_first_answer, "they are swapped"),
    Mistake("02.4", "ids as texts", {"e.id = (event ->> 'id')::uuid": "e.id::text = event ->> 'id'"},
            ex.a_retry_gets_the_first_answer, "for which capitals make no difference"),
    Mistake("02.4", "an error of no kind", {"RAISE unique_violation\n                USING MESSAGE = ": "RAISE EXCEPTION USING MESSAGE = "},
            ex.a_partly_known_batch_is_refused, "RAISE unique_violation. The error was P0001"),
    Mistake("02.4", "streams that are spelled alike", {"e.stream_id = append_to_stream.stream_id AND e.id": "e.stream_id LIKE append_to_stream.stream_id AND e.id"},
            AS_OURS, "append_to_stream('account_1', 1"),
    Mistake("02.4", "looks for the retry before it locks", {COUNT_KNOWN: "", LOCK: COUNT_KNOWN + "\n    " + LOCK},
            MEANWHILE, "somebody else tried just that before"),
    Mistake("02.4", "locks a row that is not there", LOCKS_FIRST,
            MEANWHILE, "FOR UPDATE locks nothing then"),
    Mistake("02.4", "what fails is passed by", {"END\n$$": "EXCEPTION WHEN disk_full THEN\n    RETURN NEXT;\nEND\n$$"},
            BROKEN, "Nothing that goes wrong is caught here"),
    Mistake("02.4", "RETURN NEXT is forgotten", {"RETURN NEXT;\n            RETURN;": "RETURN;"},
            ex.a_retry_gets_the_first_answer, "should return one row, about the last event; it returned 0"),
    Mistake("02.4", "answers with the first event", {"max(e.version), max(e.position)": "min(e.version), min(e.position)"},
            ex.a_retry_gets_the_first_answer, "It should be the same answer"),
    Mistake("02.4", "off-by-one version", {"e.version - n =": "e.version - n + 1 ="},
            ex.a_retry_gets_the_first_answer, "e.version - n = expected_version"),
    Mistake("02.4", "INTO the same variables again", {'INTO known, in_place, version, "position"': "INTO known, in_place, known, in_place"},
            ex.a_retry_gets_the_first_answer, "INTO has a variable for each value"),
    Mistake("02.4", "nothing is counted", {COUNT_KNOWN: ""},
            ex.a_retry_gets_the_first_answer, "`known` and `in_place` should be 2"),
    Mistake("02.4", "an error without a word", {"RAISE unique_violation\n                USING MESSAGE = format('%s of %s events are here already', known, added);": "RAISE unique_violation;"},
            ex.a_partly_known_batch_is_refused, "says no more than `unique_violation`"),
    Mistake("02.4", "retry that forgets to give the version back", {GIVE_BACK: ""},
            ex.a_retry_stores_nothing, "give them back with UPDATE streams SET version = actual"),
    Mistake("02.4", "gives too much back", {GIVE_BACK: GIVE_BACK.replace("actual ", "actual - added ")},
            ex.a_retry_stores_nothing, "from version 3 to 1"),
    Mistake("02.4", "gives back the versions of all streams", {GIVE_BACK: "UPDATE streams SET version = actual;"},
            ex.a_retry_stores_nothing, "changes each row of streams"),
    Mistake("02.4", "gives back the expected version", {GIVE_BACK: GIVE_BACK.replace("actual ", "expected_version + added ")},
            ex.a_late_retry_is_still_known, "Give back what step 1 took, and no more"),
    Mistake("02.4", "joins with all streams", {"e.stream_id = append_to_stream.stream_id AND e.id": "e.id"},
            ex.another_event_is_no_retry, "the events of this stream alone"),
    Mistake("02.4", "does not say that it is a retry", {"            repeated := true;\n": ""},
            ex.a_retry_says_so, "On the second try, `repeated` should be true. It is None"),
    Mistake("02.4", "says that all are retries", {"max(a.position), false": "max(a.position), true"},
            ex.a_retry_says_so, "On the first try, `repeated` should be false"),
    Mistake("02.4", "retry that looks at the end of the stream", {"e.version - n = expected_version": "e.version - n = actual - added"},
            ex.a_late_retry_is_still_known, "not at the end of the stream"),
    Mistake("02.4", "answers with the end of the stream", {"RETURN NEXT;\n": "version := actual; RETURN NEXT;\n"},
            ex.a_late_retry_is_still_known, "Others appended between"),
    Mistake("02.4", "compares places, not ids", {"e.id = (event ->> 'id')::uuid": "e.version = expected_version + n"},
            ex.another_event_is_no_retry, "It is a lost race: compare the ids"),
    Mistake("02.4", "every wrong version is a known event", {"known > 0": "known >= 0"},
            ex.another_event_is_no_retry, "is a lost race (ES001); the error was 23505"),
    Mistake("02.4", "nothing in place taken for a retry", {"IF in_place = added": "IF in_place = known"},
            ex.another_event_is_no_retry, "as if it were a retry"),
    Mistake("02.4", "retry accepted on partly known ids", {"IF in_place = added": "IF in_place = known AND known > 0"},
            ex.a_partly_known_batch_is_refused, "were taken for the same append"),
    Mistake("02.4", "one known event makes a retry", {"IF in_place = added": "IF in_place > 0"},
            ex.a_partly_known_batch_is_refused, "All of them must be there"),
    Mistake("02.4", "known anywhere makes a retry", {"IF in_place = added": "IF known = added"},
            ex.a_partly_known_batch_is_refused, "each in its own place"),
    Mistake("02.4", "partly known taken for a lost race", {REFUSE_KNOWN: ""},
            ex.a_partly_known_batch_is_refused, "trying again will not help"),
)  # fmt: skip

READ_A_STREAM = (
    Mistake("02.5", "ambiguous `stream_id = stream_id`", {"e.stream_id = read_stream.stream_id": "stream_id = stream_id"},
            ex.a_stream_is_read_whole, "compares the column with itself"),
    Mistake("02.5", "no condition on the stream", {"      AND e.stream_id = read_stream.stream_id\n": ""},
            ex.a_stream_is_read_whole, "Is there a condition on the stream?"),
    Mistake("02.5", "NULL is no range end", {"(to_version IS NULL OR e.version <= to_version)": "e.version <= to_version"},
            ex.a_stream_is_read_whole, "a comparison with NULL is never true"),
    Mistake("02.5", "missing ORDER BY", {"    ORDER BY e.version\n": ""},
            ex.a_stream_is_read_in_order, "Without ORDER BY a table has no order"),
    Mistake("02.5", "in the order of the moments", {"ORDER BY e.version": "ORDER BY e.recorded_at"},
            ex.a_stream_is_read_in_order, "the moment can be the same for several events"),
    Mistake("02.5", "streams that begin alike", {"e.stream_id = read": "e.stream_id ^@ read"},
            ex.a_stream_is_read_whole, "account-10"),
    Mistake("02.5", "in the order of the log", {"ORDER BY e.version": "ORDER BY e.position"},
            ex.a_stream_is_read_in_order, "ORDER BY version"),
    Mistake("02.5", "the newest first", {"ORDER BY e.version": "ORDER BY e.version DESC"},
            ex.a_stream_is_read_in_order, "The versions came as [5, 4, 3, 2, 1]"),
    Mistake("02.5", "exclusive begin", {"version >= from_version": "version > from_version"},
            ex.a_stream_is_read_whole, "they were not all returned"),
    Mistake("02.5", "exclusive end", {"version <= to_version": "version < to_version"},
            ex.both_ends_are_included, "should return the versions [1, 2, 3]. It returned [1, 2]"),
    Mistake("02.5", "the brackets are missing", {"(to_version IS NULL OR e.version <= to_version)": "to_version IS NULL OR e.version <= to_version"},
            ex.both_ends_are_included, "It returned [1, 1, 1, 2, 2, 2, 3, 3, 3]"),
    Mistake("02.5", "no range of versions", {"      AND e.version >= from_version\n": ""},
            ex.both_ends_are_included, "read_stream('account-1', 3) should return the versions [3, 4, 5]"),
    Mistake("02.5", "a number of events instead of an end", {"e.version <= to_version": "e.version < from_version + to_version"},
            ex.both_ends_are_included, "read_stream('account-1', 2, 4)"),
    Mistake("02.5", "exclusive moment", {"recorded_at <= until": "recorded_at < until"},
            ex.moments_work_alike, "until => '2025-03-03 12:00:00+00') should return the versions [1, 2, 3]"),
    Mistake("02.5", "since and until changed places", {"e.recorded_at >= since": "e.recorded_at <= since", "e.recorded_at <= until": "e.recorded_at >= until"},
            ex.moments_work_alike, "It returned [3, 4, 5]"),
    Mistake("02.5", "moments are forgotten", {"      AND (until IS NULL OR e.recorded_at <= until)\n": ""},
            ex.moments_work_alike, "should return the versions [1, 2, 3]"),
    Mistake("02.5", "raises where there is no stream", """
CREATE OR REPLACE FUNCTION read_stream(
    stream_id text, from_version bigint DEFAULT 1, to_version bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL
) RETURNS SETOF events
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT e.* FROM events e
    WHERE e.stream_id = read_stream.stream_id
      AND e.version >= from_version
      AND (to_version IS NULL OR e.version <= to_version)
      AND (since IS NULL OR e.recorded_at >= since)
      AND (until IS NULL OR e.recorded_at <= until)
    ORDER BY e.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no stream %', read_stream.stream_id;
    END IF;
END
$$;
""",
            AS_OURS, "There is no stream"),
    Mistake("02.5", "a pattern for an id", {"e.stream_id = read": "e.stream_id LIKE read"},
            AS_OURS, "one condition for the whole id"),
    Mistake("02.5", "no end is now", {"(until IS NULL OR e.recorded_at <= until)": "e.recorded_at <= coalesce(until, now())"},
            AS_OURS, "not the same as now()"),
    Mistake("02.5", "a text for a number", {"ORDER BY e.version": "ORDER BY e.version::text"},
            AS_OURS, "ORDER BY the number in version"),
    Mistake("02.5", "a thousand are enough", {"ORDER BY e.version": "ORDER BY e.version LIMIT 1000"},
            AS_OURS, "A long stream is read whole"),
)  # fmt: skip

APPEND_FROM_PYTHON = (
    Mistake("02.6", "returns the row", {"return row[0]": "return row"},
            ex.python_appends, "It returned (2,)"),
    Mistake("02.6", "forgets to return", {"    return row[0]": ""},
            ex.python_appends, "It returned None"),
    Mistake("02.6", "returns the size of the batch", {"return row[0]": "return len(events)"},
            ex.python_appends, "append returned 1"),
    Mistake("02.6", "begins a transaction and leaves it open", {"    try:\n": "    connection.execute('BEGIN')\n    try:\n"},
            ex.python_appends, "the stream holds nothing"),
    Mistake("02.6", "puts values into the statement", {
        '"SELECT version FROM append_to_stream(%s, %s, %s)",\n            (stream_id, ':
            "f\"SELECT version FROM append_to_stream('{stream_id}', %s, %s)\", (",
    },
            ex.python_appends, "pass the values beside it"),
    Mistake("02.6", "compares in Python", {"    try:\n": """    now = connection.execute("SELECT max(version) FROM streams WHERE id = %s", (stream_id,)).fetchone()[0] or 0
    if expected_version is not None and now != expected_version:
        raise WrongExpectedVersion(stream_id, expected_version, now)
    expected_version = None
    try:
"""},
            ex.python_lets_the_database_compare, "which compares under its lock"),
    Mistake("02.6", "the actual version is guessed", {"int(error.diag.message_detail)": "expected_version + len(events)"},
            ex.python_error_carries_its_values, "It says ('account-1', 1, 2)"),
    Mistake("02.6", "rolls back on a lost race", {"        if error.sqlstate": "        connection.rollback()\n        if error.sqlstate"},
            ex.python_leaves_the_transaction_to_its_caller, "only they know whether to go on"),
    Mistake("02.6", "a list is no JSON", {"Jsonb(events)": "events"},
            ex.python_appends, "Jsonb(...) makes a parameter of it"),
    Mistake("02.6", "closes what is not its own", {"    try:\n        row = ": "    try:\n      with connection:\n        row = "},
            ex.python_appends, "it is the caller's"),
    Mistake("02.6", "the expected version is not passed on", {"(stream_id, expected_version, Jsonb": "(stream_id, None, Jsonb"},
            ex.python_raises_on_a_lost_race, "append returned 2"),
    Mistake("02.6", "0 taken for no expectation", {"(stream_id, expected_version, Jsonb": "(stream_id, expected_version or None, Jsonb"},
            ex.python_raises_on_a_lost_race, "The caller believes that the events are stored"),
    Mistake("02.6", "PostgreSQL's error is let through", {EXCEPT: "    finally:\n        pass\n"},
            ex.python_raises_on_a_lost_race, "A caller should not need to know PostgreSQL's error codes"),
    Mistake("02.6", "error swallowed in Python", {EXCEPT: "    except psycopg.Error:\n        return None\n"},
            ex.python_raises_on_a_lost_race, "append returned None"),
    Mistake("02.6", "catches what it is not", {"except psycopg.Error as": "except psycopg.errors.UniqueViolation as"},
            ex.python_raises_on_a_lost_race, "look at error.sqlstate"),
    Mistake("02.6", "the actual version as text", {"int(error.diag.message_detail)": "error.diag.message_detail"},
            ex.python_error_carries_its_values, "error.actual is the text '3'"),
    Mistake("02.6", "expected and actual changed places", {"expected_version, actual)": "actual, expected_version)"},
            ex.python_error_carries_its_values, "It says ('account-1', 3, 1)"),
    Mistake("02.6", "catching every error", {EXCEPT: "    except psycopg.Error:\n        raise WrongExpectedVersion(stream_id, expected_version, 3) from None\n"},
            ex.python_lets_other_errors_through, "look at error.sqlstate first"),
    Mistake("02.6", "other errors wrapped", {"            raise\n": "            raise RuntimeError('append failed') from error\n"},
            ex.python_lets_other_errors_through, "let every other error through as it is"),
    Mistake("02.6", "other errors swallowed", {"            raise\n": "            return None\n"},
            ex.python_lets_other_errors_through, "append returned None"),
    Mistake("02.6", "commit inside append", {"    return row[0]": "    connection.commit()\n    return row[0]"},
            ex.python_leaves_the_transaction_to_its_caller, "append must not commit"),
    Mistake("02.6", "the highest version of all streams", {"return row[0]": """return connection.execute("SELECT max(version) FROM events").fetchone()[0]"""},
            AS_OURS, "It should have returned 2. It returned 12"),
    Mistake("02.6", "asks for the version afterwards", {"return row[0]": """return connection.execute("SELECT version FROM streams WHERE id = %s", (stream_id,)).fetchone()[0]"""},
            MEANWHILE, "It returned 4"),
    Mistake("02.6", "one call for each event", {
        "        row = connection": "        for event in events:\n            row = connection",
        'append_to_stream(%s, %s, %s)",\n            (stream_id, expected_version, Jsonb(events)),\n        ).fetchone()':
            'append_to_stream(%s, %s, %s)",\n                (stream_id, expected_version, Jsonb([event])),\n            ).fetchone()\n            expected_version = row[0]',
    },
            AS_OURS, "One call of append_to_stream stores the whole batch, at one moment"),
    Mistake("02.6", "every error is taken for PostgreSQL's", {"except psycopg.Error as": "except Exception as"},
            BROKEN, "raised another error, AttributeError"),
    Mistake("02.6", "rolls back at the end", {"    return row[0]": "    connection.rollback()\n    return row[0]"},
            ex.python_leaves_the_transaction_to_its_caller, "Does append roll back?"),
)  # fmt: skip

MISTAKES = (
    *APPEND_ONE_EVENT,
    *EXPECT_A_VERSION,
    *APPEND_A_BATCH,
    *THE_ANSWER_THAT_NEVER_CAME,
    *READ_A_STREAM,
    *APPEND_FROM_PYTHON,
)
