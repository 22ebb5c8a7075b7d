"""Classic mistakes of notebook 08."""

from workshop.checks.answers import reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercises import ex08_subscriptions as ex

from ..postgres import Server
from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake, defined_in, failures
from .test_ex02_appending import LOCKS_FIRST as LOCKS_A_ROW_FIRST

# In 08.2
THE_SEQUENCE = "    SELECT last_value - (NOT is_called)::int INTO drawn FROM events_position_seq;\n"
LEAST = "least(drawn, min((classid::bigint & 65535) << 32 | objid::bigint))"
DATABASE = "\n      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
THIS_LOG = "\n      AND classid::bigint >> 16 = 'events'::regclass::oid::bigint & 65535"
WHERE = "\n    WHERE locktype = 'advisory' AND objsubid = 1" + DATABASE + THIS_LOG + ";\n"
FRAME = """
CREATE OR REPLACE FUNCTION settled_position(OUT settled bigint, OUT drawn bigint)
LANGUAGE plpgsql AS $$
BEGIN
%s
END
$$;
"""
NOBODY_IS_ASKED = FRAME % (THE_SEQUENCE + "    settled := drawn;")
STOPS_AT_A_HOLE = (
    FRAME
    % f"""{THE_SEQUENCE}
    SELECT coalesce(min(p) - 1, drawn) INTO settled
    FROM generate_series(1, drawn) p
    WHERE NOT EXISTS (SELECT FROM events e WHERE e.position = p);
"""
)
LOCKS_FIRST = (
    FRAME
    % f"""
    SELECT min((classid::bigint & 65535) << 32 | objid::bigint) INTO settled
    FROM pg_locks{WHERE}
{THE_SEQUENCE}
    settled := least(settled, drawn);
"""
)
IN_ONE_STATEMENT = f"""    SELECT s.last_value - (NOT s.is_called)::int,
           least((SELECT min((classid::bigint & 65535) << 32 | objid::bigint) FROM pg_locks{WHERE.rpartition(";")[0]}),
                 s.last_value - (NOT s.is_called)::int)
    INTO drawn, settled FROM events_position_seq s;
"""
# In 08.3
TRANSACTION = "    with log.connection.transaction():\n"
HANDLE = "        if events:\n            handler(log.connection, events)\n"
REACHED = "events[-1].position if len(events) == size else max(checkpoint, settled)"
SETTLED = "        settled = log.settled_position().settled\n"
MOVE = '        log.connection.execute("UPDATE subscriptions SET checkpoint = %s WHERE name = %s", (reached, name))\n'
READ = "        events = log.read_all(after=checkpoint, limit=size, up_to=settled, **wanted)\n"

HANDLE_NEXT = """
def handle_next(log, name, handler, size, **wanted):
    with log.connection.transaction():
        (checkpoint,) = log.connection.execute(
            "SELECT checkpoint FROM subscriptions WHERE name = %s", (name,)
        ).fetchone()
        settled = log.settled_position().settled
        events = log.read_all(after=checkpoint, limit=size, up_to=settled, **wanted)
        reached = events[-1].position if len(events) == size else max(checkpoint, settled)
        {first}
    {second}
    return reached
"""
UPDATE = """log.connection.execute("UPDATE subscriptions SET checkpoint = %s WHERE name = %s", (reached, name))"""
CALL = "if events: handler(log.connection, events)"
# In 08.4
LISTEN = """    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))\n"""
LOOK = "        while step():\n            pass\n"
WAIT = """        while not stopped():
            if any(connection.notifies(timeout=0.05, stop_after=1)):
                break"""

READ_THE_LOG = (
    Mistake("08.1", "one stream alone", {"WHERE position": "WHERE stream_id = 'account-1' AND position"},
            ex.all_streams_are_read, "events of account-1"),
    Mistake("08.1", "one type alone", {"WHERE position": "WHERE type = 'DepositRecorded' AND position"},
            ex.all_streams_are_read, "events of account-1, account-2"),
    Mistake("08.1", "the checkpoint once more", {"position > after": "position >= after"},
            ex.it_goes_on_after_the_checkpoint, "position > after"),
    Mistake("08.1", "from the beginning", {"WHERE position > after": "WHERE position > 0"},
            ex.it_goes_on_after_the_checkpoint, "the event at 2 again"),
    Mistake("08.1", "a version for a position", {"WHERE position > after": "WHERE version > after"},
            ex.it_goes_on_after_the_checkpoint, "a position, not a version"),
    Mistake("08.1", "no order", {"    ORDER BY position\n": ""},
            ex.in_the_order_of_positions, "They came as [3, 1, 4, 2]"),
    Mistake("08.1", "the order of moments", {"ORDER BY position": "ORDER BY recorded_at"},
            ex.in_the_order_of_positions, "moments are no order"),
    Mistake("08.1", "stream by stream", {"ORDER BY position": "ORDER BY stream_id, version"},
            ex.in_the_order_of_positions, "They came as [4, 3, 1, 2]"),
    Mistake("08.1", "the newest first", {"ORDER BY position": "ORDER BY position DESC"},
            ex.it_goes_on_after_the_checkpoint, "returned [5, 4, 3]"),
    Mistake("08.1", "no end", {"LIMIT max_count": ""},
            ex.no_more_than_asked_for, "It returned [2, 3, 4, 5]"),
    Mistake("08.1", "the limit before the order",
            {"FROM events\n    WHERE position > after\n    ORDER BY position\n    LIMIT max_count":
             "FROM (SELECT * FROM events ORDER BY position LIMIT max_count) e WHERE position > after ORDER BY position"},
            ex.no_more_than_asked_for, "the first ones in order"),
    Mistake("08.1", "passes so many rows by", {"    WHERE position > after\n": "", "LIMIT max_count": "OFFSET after LIMIT max_count"},
            AS_OURS, "An OFFSET counts rows"),
    Mistake("08.1", "a text for a number", {"ORDER BY position": "ORDER BY position::text"},
            AS_OURS, "a text is no number"),
    Mistake("08.1", "counts positions", {"LIMIT max_count": "", "WHERE position > after": "WHERE position > after AND position <= after + max_count"},
            ex.a_hole_is_stepped_over, "It returned nothing"),
)  # fmt: skip

HOW_FAR_THE_LOG_IS_SETTLED = (
    Mistake("08.2", "is_called is forgotten", {"last_value - (NOT is_called)::int": "last_value"},
            ex.an_empty_log, "drawn should be 0. It is 1"),
    Mistake("08.2", "NULL where nothing is open", {LEAST: "min((classid::bigint & 65535) << 32 | objid::bigint)"},
            ex.an_empty_log, "It is None"),
    Mistake("08.2", "drawn is never set", {THE_SEQUENCE: ""},
            ex.an_empty_log, "drawn should be 0. It is None"),
    Mistake("08.2", "the last event of none", {THE_SEQUENCE: "    SELECT max(position) INTO drawn FROM events;\n"},
            ex.an_empty_log, "max(position), which is NULL while the table is empty"),
    Mistake("08.2", "0 where nothing is open", {LEAST: "coalesce(min((classid::bigint & 65535) << 32 | objid::bigint), 0)"},
            ex.nothing_open, "settled is 0"),
    Mistake("08.2", "the last event instead of the sequence",
            {THE_SEQUENCE: "    SELECT coalesce(max(position), 0) INTO drawn FROM events;\n"},
            ex.an_open_append_holds_back, "The sequence knows"),
    Mistake("08.2", "as far as there are events", {LEAST: "(SELECT coalesce(max(position), 0) FROM events)", WHERE: ";\n", "INTO settled\n    FROM pg_locks": "INTO settled"},
            ex.an_open_append_holds_back, "settled should be 1. It is 4"),
    Mistake("08.2", "nobody is asked", NOBODY_IS_ASKED,
            ex.an_open_append_holds_back, "settled should be 1. It is 5"),
    Mistake("08.2", "what was announced is drawn already", {"min((classid::bigint & 65535) << 32 | objid::bigint)": "min((classid::bigint & 65535) << 32 | objid::bigint) - 1"},
            ex.an_open_append_holds_back, "settled should be 1"),
    Mistake("08.2", "the lower half alone, with the log in it", {"(classid::bigint & 65535) << 32 | objid::bigint": "classid::bigint << 32 | objid::bigint"},
            ex.an_open_append_holds_back, "settled should be"),
    Mistake("08.2", "waits until nobody is open", {THE_SEQUENCE: "    LOCK TABLE events IN SHARE MODE;\n" + THE_SEQUENCE},
            ex.an_open_append_holds_back, "wait for nobody"),
    Mistake("08.2", "the highest announcement", {"min((classid": "max((classid"},
            ex.the_lowest_counts, "the lowest"),
    Mistake("08.2", "any announcement", {LEAST: "coalesce((classid::bigint & 65535) << 32 | objid::bigint, drawn)", WHERE: WHERE[:-2] + " ORDER BY 1 DESC LIMIT 1;\n    settled := coalesce(settled, drawn);\n"},
            ex.the_lowest_counts, "the lowest"),
    Mistake("08.2", "stops at a hole", STOPS_AT_A_HOLE,
            ex.a_hole_stalls_nobody, "nothing will ever be there"),
    Mistake("08.2", "the announcements of all logs", {THIS_LOG: ""},
            ex.others_do_not_count, "another log in this database"),
    Mistake("08.2", "locks of two numbers", {" AND objsubid = 1": ""},
            ex.others_do_not_count, "objsubid 2"),
    Mistake("08.2", "all databases", {DATABASE: ""},
            ex.others_do_not_count, "pg_locks shows all databases"),
    Mistake("08.2", "draws a position", {THE_SEQUENCE: "    drawn := nextval('events_position_seq') - 1;\n"},
            ex.nothing_open, "looking has drawn one"),
    Mistake("08.2", "the wrong way round", {"INTO drawn": "INTO settled", "least(drawn,": "least(settled,", "INTO settled\n": "INTO drawn\n"},
            ex.an_open_append_holds_back, "the wrong way round"),
    Mistake("08.2", "the lower part alone", {"(classid::bigint & 65535) << 32 | objid::bigint": "objid::bigint"},
            AS_OURS, "A position is one number of 48 bits"),
    Mistake("08.2", "looks wherever it is called", {"    IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN": "    IF false THEN"},
            AS_OURS, "In a REPEATABLE READ transaction it refuses"),
    Mistake("08.2", "the locks first", LOCKS_FIRST,
            ex.the_sequence_first, "First see which positions there are"),
    Mistake("08.2", "one statement, which happens to look at the sequence first", FRAME % IN_ONE_STATEMENT,
            ex.the_sequence_first, "Make two of it"),
)  # fmt: skip

HANDLE_AND_MOVE_THE_CHECKPOINT = (
    Mistake("08.3", "from the beginning", {"after=checkpoint": "after=0"},
            ex.the_next_events_are_handled, "[[1, 2, 3]]"),
    Mistake("08.3", "one past the checkpoint", {"after=checkpoint": "after=checkpoint + 1"},
            ex.the_next_events_are_handled, "[[3]]"),
    Mistake("08.3", "an event at a time", {"handler(log.connection, events)": "[handler(log.connection, [event]) for event in events]"},
            ex.the_next_events_are_handled, "called once"),
    Mistake("08.3", "the handler is forgotten", {HANDLE: ""},
            ex.the_next_events_are_handled, "called with nothing"),
    Mistake("08.3", "the checkpoint stays", {"SET checkpoint = %s WHERE name = %s": "SET checkpoint = checkpoint + 0 * %s WHERE name = %s"},
            ex.the_checkpoint_moves, "the table says checkpoint 0"),
    Mistake("08.3", "moves everybody's checkpoint", {"SET checkpoint = %s WHERE name = %s": "SET checkpoint = %s WHERE name <> %s OR true"},
            ex.the_checkpoint_moves, "`neighbour`"),
    Mistake("08.3", "returns nothing", {"    return reached": ""},
            ex.the_checkpoint_moves, "It returned None"),
    Mistake("08.3", "moves to the settled position, whatever was read", {REACHED: "max(checkpoint, settled)"},
            ex.no_more_than_size, "Where the batch is full there may be more"),
    Mistake("08.3", "reads all", {"limit=size, ": ""},
            ex.no_more_than_size, "[[1, 2, 4, 5, 6]]"),
    Mistake("08.3", "counts events", {REACHED: "checkpoint + size"},
            ex.the_checkpoint_moves, "the table says checkpoint 100"),
    Mistake("08.3", "calls the handler for nothing", {"if events:": "if True:"},
            ex.nothing_new, "was called with [[]]"),
    Mistake("08.3", "the last event of none", {REACHED: "events[-1].position"},
            ex.nothing_new, "IndexError"),
    Mistake("08.3", "wants everything", {", **wanted)\n        if": ")\n        if"},
            ex.others_are_passed_by, "Pass **wanted on"),
    Mistake("08.3", "stays where its last event was", {REACHED: "events[-1].position if events else checkpoint"},
            ex.others_are_passed_by, "again and again"),
    Mistake("08.3", "moves only after the handler", {MOVE: "        if events:\n    " + MOVE},
            ex.others_are_passed_by, "the checkpoint in the table is still 3"),
    Mistake("08.3", "returns early where nothing was wanted", {HANDLE: "        if not events:\n            return checkpoint\n" + HANDLE},
            ex.others_are_passed_by, "even when the handler had nothing to do"),
    Mistake("08.3", "returns the old checkpoint where nothing was wanted", {"    return reached": "    return reached if events else checkpoint"},
            ex.others_are_passed_by, "is 5, as it should be, but you returned 3"),
    Mistake("08.3", "reads what was drawn", {"settled_position().settled": "settled_position().drawn"},
            ex.an_append_under_way_is_waited_for, "`settled` is what can be read"),
    Mistake("08.3", "the checkpoint goes back", {"max(checkpoint, settled)": "settled"},
            ex.the_checkpoint_never_goes_back, "Never move it back"),
    Mistake("08.3", "returns what it did not store", {"max(checkpoint, settled)": "settled", "SET checkpoint = %s": "SET checkpoint = greatest(checkpoint, %s)"},
            ex.the_checkpoint_never_goes_back, "stayed at 3, as it should, but you returned 1"),
    Mistake("08.3", "asks how far after it has read",
            {SETTLED: "", READ: READ.replace(", up_to=settled", "") + SETTLED},
            ex.an_append_meanwhile_is_not_skipped, "Ask for the settled position first"),
    Mistake("08.3", "swallows the error", {HANDLE: "        try:\n            if events: handler(log.connection, events)\n        except Exception:\n            pass\n"},
            ex.a_handler_that_raises_changes_nothing, "let the error go"),
    Mistake("08.3", "wraps the error", {HANDLE: "        try:\n            if events: handler(log.connection, events)\n        except Exception as error:\n            raise RuntimeError('failed') from error\n"},
            ex.a_handler_that_raises_changes_nothing, "the caller got another one, RuntimeError: failed"),
    Mistake("08.3", "the checkpoint first, in a transaction of its own", HANDLE_NEXT.format(first=UPDATE, second=CALL),
            ex.a_handler_that_raises_changes_nothing, "will never be handled"),
    Mistake("08.3", "no transaction", {TRANSACTION: "    if True:\n"},
            ex.a_handler_that_raises_changes_nothing, "written twice"),
    Mistake("08.3", "the handler and the checkpoint in two transactions", HANDLE_NEXT.format(first=CALL, second=UPDATE),
            ex.both_or_none, "One transaction, around both"),
    Mistake("08.3", "the checkpoint is read and not locked", {" FOR UPDATE": ""},
            ex.two_workers_take_turns, "FOR UPDATE"),
    Mistake("08.3", "a lock that others can have, too", {" FOR UPDATE": " FOR KEY SHARE"},
            ex.two_workers_take_turns, "FOR UPDATE"),
    Mistake("08.3", "passes by what is locked", {" FOR UPDATE": " FOR UPDATE SKIP LOCKED"},
            ex.two_workers_take_turns, "SKIP LOCKED passes by"),
    Mistake("08.3", "what fails is passed by", {"    with log.connection.transaction():": "    import contextlib\n    reached = 0\n    with contextlib.suppress(LookupError), log.connection.transaction():"},
            BROKEN, "It should have let that error through"),
    Mistake("08.3", "does not wait", {" FOR UPDATE": " FOR UPDATE NOWAIT"},
            MEANWHILE, "without NOWAIT"),
    Mistake("08.3", "counts the events", {REACHED: "checkpoint + len(events) if len(events) == size else max(checkpoint, settled)"},
            ex.no_more_than_size, "and not a number of events"),
    Mistake("08.3", "one category for all", {", **wanted)\n        if": ", event_types=wanted.get('event_types'))\n        if"},
            AS_OURS, "**wanted is passed on as it is"),
    Mistake("08.3", "all readers of such a name", {"WHERE name = %s\", (reached": "WHERE name LIKE %s\", (reached"},
            AS_OURS, "subscriptions should hold"),
    Mistake("08.3", "a batch is full when it is not empty", {"len(events) == size": "events"},
            ex.others_are_passed_by, "checkpoint should be 3"),
)  # fmt: skip

SLEEP_UNTIL_THE_BELL_RINGS = (
    Mistake("08.4", "waits first", {LOOK: "", WAIT: WAIT + "\n" + LOOK},
            ex.it_looks_at_once, "right at the beginning"),
    Mistake("08.4", "the name is not quoted", {LISTEN: '    connection.execute(f"LISTEN {channel}")\n'},
            ex.it_looks_at_once, "sql.Identifier(name)"),
    Mistake("08.4", "never ends", {"while not stopped()": "while True"},
            ex.it_ends_when_told, "follow has not ended"),
    Mistake("08.4", "one step a ring", {LOOK: "        step()\n"},
            ex.until_there_is_no_more, "while step(): pass"),
    Mistake("08.4", "all of it at first, then one step a ring", {"    while not stopped():\n        while step():\n            pass\n": "    while step():\n        pass\n    while not stopped():\n", WAIT: WAIT + "\n        step()"},
            ex.a_notification_wakes_it, "can stand for many events"),
    Mistake("08.4", "does not listen", {LISTEN: ""},
            ex.a_notification_wakes_it, "LISTEN on the channel"),
    Mistake("08.4", "listens elsewhere", {"sql.Identifier(channel)": "sql.Identifier('events')"},
            ex.a_notification_wakes_it, "LISTEN on the channel"),
    Mistake("08.4", "looks only once", {"                break": "                pass"},
            ex.a_notification_wakes_it, "was not called again"),
    Mistake("08.4", "looks, then listens", {LISTEN: "", LOOK: LOOK + LISTEN.replace("    conn", "        conn")},
            ex.listen_before_the_first_look, "First LISTEN, then look"),
    Mistake("08.4", "throws away what was rung during the look", {LOOK: LOOK + "        list(connection.notifies(timeout=0))\n"},
            ex.listen_before_the_first_look, "thrown away unheard"),
    Mistake("08.4", "ends after a silence", {WAIT: "        if not any(connection.notifies(timeout=0.05, stop_after=1)):\n            break\n"},
            ex.it_looks_at_once, "Silence is no end"),
    Mistake("08.4", "ends after the first bell", {WAIT: WAIT + "\n        while step():\n            pass\n        break"},
            ex.a_notification_wakes_it, "neither is a bell"),
    Mistake("08.4", "keeps an error to itself", {LOOK: "        try:\n            while step():\n                pass\n        except Exception:\n            pass\n"},
            ex.an_error_gets_through, "kept it to itself"),
    Mistake("08.4", "does without LISTEN", {LISTEN: "    import contextlib\n    with contextlib.suppress(Exception):\n    " + LISTEN},
            ex.an_error_gets_through, "hears no bell"),
    Mistake("08.4", "listens anew after each wait", {WAIT: WAIT + '\n            connection.execute("UNLISTEN *")\n' + LISTEN.replace("    conn", "            conn")},
            ex.a_bell_is_heard_at_any_moment, "was not called again"),
    Mistake("08.4", "waits for ever", {"timeout=0.05, ": ""},
            ex.it_ends_when_told, "follow has not ended"),
    Mistake("08.4", "polls", {WAIT: "        import time\n        time.sleep(0.05)\n"},
            ex.while_idle_it_does_nothing, "That is polling"),
    Mistake("08.4", "looks after every wait", {WAIT: "        any(connection.notifies(timeout=0.05, stop_after=1))\n"},
            ex.while_idle_it_does_nothing, "without a notification"),
    Mistake("08.4", "looks after every wait, and asks twice", {WAIT: "        if stopped():\n            break\n        any(connection.notifies(timeout=0.05, stop_after=1))\n"},
            ex.while_idle_it_does_nothing, "without a notification"),
    Mistake("08.4", "a not is forgotten", {WAIT: "        while not stopped() and any(connection.notifies(timeout=0.05, stop_after=1)):\n            pass\n"},
            ex.while_idle_it_does_nothing, "without a notification"),
)  # fmt: skip

# In 08.5
ANNOUNCE = "    PERFORM announce_append();  -- before positions are drawn\n\n"
RETURNS = "    SELECT max(a.version), max(a.position), false FROM appended a;\n"
BELL = "    PERFORM notify_subscribers();  -- when they are written\n"
YOUR_OWN_APPEND = (
    Mistake("08.5", "the answer to 02.4", reference_answer("02.4"),
            ex.it_announces_its_positions, "announced nothing"),
    Mistake("08.5", "announces what it has drawn", {ANNOUNCE: "", RETURNS: RETURNS + ANNOUNCE},
            ex.it_announces_before_it_draws, "It announced 3, after it had drawn"),
    Mistake("08.5", "does not ring", {BELL: ""},
            ex.a_reader_that_sleeps_is_woken, "nobody rang"),
    Mistake("08.5", "rings before it writes", {BELL: "", ANNOUNCE: BELL + ANNOUNCE},
            ex.one_that_falls_asleep_meanwhile_is_woken, "had looked who is asleep before it wrote"),
    Mistake("08.5", "rings for nobody", {"PERFORM notify_subscribers()": "PERFORM pg_notify(events_channel(), '')"},
            ex.while_nobody_sleeps_it_rings_for_nobody, "which looks whether anybody sleeps"),
    Mistake("08.5", "RETURN ends the function", {BELL: "    RETURN;\n" + BELL},
            ex.a_reader_that_sleeps_is_woken, "nobody rang"),
    Mistake("08.5", "the metadata is lost on the way", {"append_to_stream.metadata, stamp": "'{}', stamp"},
            "As in 02.3: Metadata is stored with each event", "belongs to all three events"),
    Mistake("08.5", "a retry is no retry any more", {"IF in_place = added": "IF in_place < 0"},
            "As in 02.4: A retry gets the first answer again", "answer as you did then"),
    Mistake("08.5", "no data, no matter", {"event -> 'data', append": "coalesce(event -> 'data', '{}'), append"},
            AS_OURS, "no type or data is made up"),
    Mistake("08.5", "the lock is another one", {"ON CONFLICT (id) DO UPDATE SET version = s.version + added\n    RETURNING s.version - added INTO actual;":
            "ON CONFLICT (id) DO NOTHING;\n    actual := (SELECT coalesce(max(e.version), 0) FROM events e WHERE e.stream_id = append_to_stream.stream_id);\n"
            "    UPDATE streams s SET version = actual + added WHERE s.id = append_to_stream.stream_id;"},
            MEANWHILE, "somebody else appended an event to account-1"),
    Mistake("08.5", "locks a row that is not there", LOCKS_A_ROW_FIRST,
            MEANWHILE, "FOR UPDATE locks nothing then"),
    Mistake("08.5", "what fails is passed by", {BELL + "END": BELL + "EXCEPTION WHEN disk_full THEN\n    RETURN;\nEND"},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

# In 08.6
VERDICT = (
    'assert reader.handled() == [1, 2], f"an append was open meanwhile; handled are {reader.handled()}, not [1, 2]"'
)
HUNT = (
    Mistake("08.6", "expects what is skipped", {VERDICT: VERDICT.replace("== [1, 2]", "== [2]")},
            "One without a fault passes", "What should have happened there?"),
    Mistake("08.6", "returns a verdict", {"    return 3": "    return True"},
            "One without a fault passes", "returned True. Nobody looks at that"),
    Mistake("08.6", "names no promise", {"    return 3": ""},
            "One without a fault passes", "from 1 to 5"),
    Mistake("08.6", "looks for too much alone", {VERDICT: "assert {*reader.handled()} <= {1, 2}"},
            "Yours is convicted", "gets through"),
    Mistake("08.6", "names another promise", {"return 3": "return 1"},
            "The promise that it breaks is named", "you name promise 1"),
    Mistake("08.6", "steps once more", {VERDICT: "reader.step()\n    " + VERDICT},
            "Those with other faults pass", "breaks 1: it handles the last event once more. It says: an append was open"),
)  # fmt: skip
MISTAKES = (
    READ_THE_LOG
    + HOW_FAR_THE_LOG_IS_SETTLED
    + HANDLE_AND_MOVE_THE_CHECKPOINT
    + SLEEP_UNTIL_THE_BELL_RINGS
    + YOUR_OWN_APPEND
    + HUNT
)


def test_a_step_may_come_while_notifications_are_taken(postgres: Server) -> None:
    answer = defined_in("""
from psycopg import sql

def follow(connection, channel, step, stopped):
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    while step():
        pass
    while not stopped():
        for _ in connection.notifies(timeout=0.05, stop_after=1):
            while step():
                pass
""")
    report = run_checks(EXERCISES["08.4"], answer, postgres.url)
    assert report.passed, failures(report)


def test_notifications_can_be_taken_as_they_come(postgres: Server) -> None:
    answer = defined_in("""
from psycopg import sql

def follow(connection, channel, step, stopped):
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    rung = True
    while not stopped():
        while rung and step():
            pass
        rung = bool(list(connection.notifies(timeout=0.05)))
""")
    report = run_checks(EXERCISES["08.4"], answer, postgres.url)
    assert report.passed, failures(report)
