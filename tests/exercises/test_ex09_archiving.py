"""Classic mistakes of notebook 09."""

import pytest

from workshop.bank import books
from workshop.checks.answers import reference_answer
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercises import ex09_archiving as ex

from ..postgres import Server
from .mistakes import AS_OURS, BROKEN, IT_RUNS, MEANWHILE, Mistake, defined_in, failures

# In 09.1
LOCK = " FOR UPDATE"
MARK = "        UPDATE streams s SET archived_at = clock_timestamp() WHERE s.id = archive_stream.stream_id;\n"
COPY = "        INSERT INTO archived_events SELECT * FROM events e WHERE e.stream_id = archive_stream.stream_id;\n"
DELETE = "        DELETE FROM events e WHERE e.stream_id = archive_stream.stream_id;\n"
COUNT = "        GET DIAGNOSTICS moved = ROW_COUNT;\n"
SNAPSHOTS = "        DELETE FROM snapshots s WHERE s.stream_id = archive_stream.stream_id;\n"
REFUSE = "stream.id IS NULL OR stream.version <> expected_version"
# In 09.2
TRANSACTION = "with store.connection.transaction():"
CLOSE = "        store.append(old_book, [closing], expected_version=version)\n"
OPEN = "        store.append(new_book, [opening], expected_version=NO_STREAM)\n"
ARCHIVE = "        archive_stream(store, old_book)"
IS_OPEN = """        if account.status != "open":
            raise CommandRefused(f"{account_id} is {account.status} in its book of {year}, not open")
"""
SWALLOWS = """
from eventstore import NO_STREAM, WrongExpectedVersion, aggregate_stream, archive_stream
from workshop.bank import BankAccount, CommandRefused
from workshop.bank.books import BalanceBroughtForward, BooksClosed, evolve_book

def close_books(store, account_id, year):
    old_book, new_book = f"{account_id}:{year}", f"{account_id}:{year + 1}"
    with store.connection.transaction():
        account, version = aggregate_stream(store, old_book, BankAccount(), evolve_book)
        if account.status != "open":
            raise CommandRefused("not open")
        store.append(old_book, [BooksClosed(account_id, account.balance, new_book)], expected_version=version)
        try:
            opening = BalanceBroughtForward(account_id, account.currency, account.balance)
            store.append(new_book, [opening], expected_version=NO_STREAM)
        except WrongExpectedVersion:
            pass
        archive_stream(store, old_book)
"""
SUMS_AMOUNTS = "sum((getattr(r.event, 'amount', 0) for r in store.read_stream(old_book)), start=account.balance * 0)"

ARCHIVE_STREAM = (
    Mistake("09.1", "copies and does not delete", {DELETE: ""},
            ex.events_are_moved_as_they_were, "The log shows them twice now"),
    Mistake("09.1", "deletes and does not copy", {COPY: ""},
            ex.events_are_moved_as_they_were, "only when the archive holds each of them"),
    Mistake("09.1", "deletes first", {COPY + DELETE: DELETE + COPY},
            ex.events_are_moved_as_they_were, "first INSERT INTO archived_events"),
    Mistake("09.1", "positions of the archive's own", {"SELECT * FROM events e":
            "SELECT e.stream_id, e.version, e.version, e.id, e.type, e.data, e.metadata, e.recorded_at FROM events e"},
            ex.events_are_moved_as_they_were, "unchanged, position and all"),
    Mistake("09.1", "whose stream_id?", {"e.stream_id = archive_stream.stream_id": "e.stream_id = stream_id"},
            ex.events_are_moved_as_they_were, "Inside a function that name is a variable too"),
    Mistake("09.1", "a version has to be given", {"stream.version <> expected_version": "stream.version IS DISTINCT FROM expected_version"},
            ex.events_are_moved_as_they_were, "Wrong expected version: <NULL>"),
    Mistake("09.1", "does not count", {COUNT: ""},
            ex.it_returns_how_many, "the function returned 0"),
    Mistake("09.1", "counts the snapshots", {COUNT + SNAPSHOTS: SNAPSHOTS + COUNT},
            ex.it_returns_how_many, "the statement right before it"),
    Mistake("09.1", "moves every stream", {" WHERE e.stream_id = archive_stream.stream_id": ""},
            ex.it_returns_how_many, "all streams were moved"),
    Mistake("09.1", "copies every stream", {COPY: "        INSERT INTO archived_events SELECT * FROM events;\n"},
            ex.another_stream_is_untouched, "archived_events [1]"),
    Mistake("09.1", "marks every stream", {MARK: "        UPDATE streams SET archived_at = clock_timestamp();\n"},
            ex.another_stream_is_untouched, "the UPDATE needs its WHERE"),
    Mistake("09.1", "does not say so", {MARK: ""},
            ex.the_stream_refuses_appends, "as if it were live"),
    Mistake("09.1", "deletes the stream's row", {MARK: "        DELETE FROM streams s WHERE s.id = archive_stream.stream_id;\n"},
            ex.the_stream_refuses_appends, "begins a second account-1"),
    Mistake("09.1", "does not look whether it is archived", {"IF stream.archived_at IS NULL THEN": "IF true THEN"},
            ex.twice_moves_nothing_more, "do the moving only where"),
    Mistake("09.1", "returns the version", {"RETURN moved": "RETURN stream.version"},
            ex.twice_moves_nothing_more, "it returned 3"),
    Mistake("09.1", "marks it anew", {MARK: "", "    IF stream.archived_at": MARK + "    IF stream.archived_at"},
            ex.twice_moves_nothing_more, "changed archived_at"),
    Mistake("09.1", "compares nothing", {REFUSE: "stream.id IS NULL"},
            ex.an_expected_version_is_compared, "did not see all of it"),
    Mistake("09.1", "only newer versions are wrong", {"stream.version <> expected_version": "stream.version < expected_version"},
            ex.an_expected_version_is_compared, "version 2 was expected"),
    Mistake("09.1", "-1, as to an append", {"stream.version <> expected_version": "(expected_version <> -1 AND stream.version <> expected_version)"},
            ex.an_expected_version_is_compared, "What -1 says to an append"),
    Mistake("09.1", "an IF without its end", {"coalesce(stream.version, 0);\n    END IF;": "coalesce(stream.version, 0);\n"},
            IT_RUNS, "2 IF are opened, and 1 closed"),
    Mistake("09.1", "a query behind :=", {"SELECT * INTO stream FROM": "stream := SELECT * FROM"},
            IT_RUNS, "SELECT ... INTO variable"),
    Mistake("09.1", "no code", {"ERRCODE = 'ES001', ": ""},
            ex.an_expected_version_is_compared, "as an append does"),
    Mistake("09.1", "a detail in words", {"DETAIL = coalesce(stream.version, 0)": "DETAIL = 'It is at ' || coalesce(stream.version, 0)"},
            ex.an_expected_version_is_compared, "for a program to read"),
    Mistake("09.1", "in the archive, whatever was expected", {f"    IF {REFUSE}": f"    IF stream.archived_at IS NOT NULL THEN\n        RETURN 0;\n    END IF;\n    IF {REFUSE}"},
            ex.an_expected_version_is_compared, "Compare first"),
    Mistake("09.1", "no stream, no matter", {REFUSE: "stream.version <> expected_version"},
            ex.a_stream_that_is_not_there_is_refused, "raised ES002"),
    Mistake("09.1", "no stream, 0 events", {REFUSE: "stream.version <> expected_version", "IF stream.archived_at IS NULL": "IF stream.id IS NOT NULL AND stream.archived_at IS NULL"},
            ex.a_stream_that_is_not_there_is_refused, "A misspelt name must not pass in silence"),
    Mistake("09.1", "no stream, no version", {"DETAIL = coalesce(stream.version, 0)": "DETAIL = coalesce(stream.version, -1)"},
            ex.a_stream_that_is_not_there_is_refused, "is at version 0"),
    Mistake("09.1", "no stream, no detail", {"DETAIL = coalesce(stream.version, 0)": "DETAIL = stream.version"},
            ex.a_stream_that_is_not_there_is_refused, "DETAIL is NULL, because there is no row"),
    Mistake("09.1", "keeps the snapshots", {SNAPSHOTS: ""},
            ex.its_snapshots_are_gone, "nobody will read them"),
    Mistake("09.1", "clears all snapshots", {SNAPSHOTS: "        DELETE FROM snapshots;\n"},
            ex.its_snapshots_are_gone, "the snapshot of account-2"),
    Mistake("09.1", "moves, then locks", {LOCK: "", MARK: "", SNAPSHOTS: SNAPSHOTS + MARK},
            ex.an_append_under_way_is_waited_for, "The stream is split"),
    Mistake("09.1", "looks, then locks", {LOCK: ""},
            ex.a_version_overtaken_is_noticed, "The comparison came before the wait"),
    Mistake("09.1", "does not wait", {LOCK: " FOR UPDATE NOWAIT"},
            ex.an_append_under_way_is_waited_for, "could not obtain lock"),
    Mistake("09.1", "no archive without a version", {"stream.version <> expected_version": "stream.version IS DISTINCT FROM expected_version"},
            ex.events_are_moved_as_they_were, "IS DISTINCT FROM takes NULL for a version"),
    Mistake("09.1", "a limit", {COPY: COPY.replace(";", " LIMIT 10;"), DELETE: DELETE.replace(";", " AND e.version <= 10;")},
            AS_OURS, "It should have returned [12]. It returned [10]"),
    Mistake("09.1", "the start of the transaction", {"archived_at = clock_timestamp()": "archived_at = now()"},
            ex.an_append_under_way_is_waited_for, "before the wait: clock_timestamp()"),
    Mistake("09.1", "a lock that others share", {LOCK: " FOR SHARE"},
            MEANWHILE, "one that is shared, FOR SHARE"),
    Mistake("09.1", "the start of the statement", {"archived_at = clock_timestamp()": "archived_at = statement_timestamp()"},
            ex.an_append_under_way_is_waited_for, "before the wait: clock_timestamp()"),
    Mistake("09.1", "the snapshots of names that look alike", {"DELETE FROM snapshots s WHERE s.stream_id = ": "DELETE FROM snapshots s WHERE s.stream_id LIKE "},
            AS_OURS, "Every statement needs its WHERE"),
    Mistake("09.1", "what fails is passed by", {"    RETURN moved;\nEND": "    RETURN moved;\nEXCEPTION WHEN disk_full THEN\n    RETURN 0;\nEND"},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

TRIES_AGAIN = """
from eventstore import NO_STREAM, WrongExpectedVersion, aggregate_stream, archive_stream
from workshop.bank import BankAccount, CommandRefused
from workshop.bank.books import BalanceBroughtForward, BooksClosed, evolve_book

def close_books(store, account_id, year):
    old_book, new_book = f"{account_id}:{year}", f"{account_id}:{year + 1}"
    for attempt in (1, 2):
        try:
            with store.connection.transaction():
                account, version = aggregate_stream(store, old_book, BankAccount(), evolve_book)
                if account.status != "open":
                    raise CommandRefused("not open")
                opening = BalanceBroughtForward(account_id, account.currency, account.balance)
                store.append(new_book, [opening], expected_version=NO_STREAM)
                store.append(old_book, [BooksClosed(account_id, account.balance, new_book)], expected_version=version)
                archive_stream(store, old_book, expected_version=version + 1)
                return
        except WrongExpectedVersion:
            if attempt == 2:
                raise
"""
BY_HAND = {
    TRANSACTION: 'store.connection.execute("BEGIN")\n    if True:',
    "archive_stream(store, old_book)": 'archive_stream(store, old_book)\n    store.connection.execute("COMMIT")',
}

CLOSE_BOOKS = (
    Mistake("09.2", "archives first", {ARCHIVE: "", CLOSE: f"{ARCHIVE}\n{CLOSE}"},
            ex.the_new_book_begins_with_the_balance, "StreamArchived"),
    Mistake("09.2", "begins with nothing", {"account.currency, account.balance": "account.currency, account.balance * 0"},
            ex.the_new_book_begins_with_the_balance, "account-1 holds 130.00 EUR"),
    Mistake("09.2", "every account is in PLN", {"account.currency, account.balance": "'PLN', account.balance"},
            ex.the_new_book_begins_with_the_balance, "is in EUR; its new book begins in PLN"),
    Mistake("09.2", "the year is lost in the name", {"{year + 1}": "{year}"},
            ex.the_new_book_begins_with_the_balance, "Your function raised"),
    Mistake("09.2", "forgets the new book", {OPEN: ""},
            ex.the_new_book_begins_with_the_balance, "has no events"),
    Mistake("09.2", "does not close the old one", {CLOSE: ""},
            ex.the_old_book_ends_with_the_sum, "It ends with CashWithdrawn"),
    Mistake("09.2", "names the old book as the next", {"account.balance, new_book)": "account.balance, old_book)"},
            ex.the_old_book_ends_with_the_sum, "next_stream='account-1:2026'"),
    Mistake("09.2", "does not archive", {ARCHIVE: ""},
            ex.the_old_book_is_in_the_archive, "still in the hot table"),
    Mistake("09.2", "archives both", {ARCHIVE: f"{ARCHIVE}\n{ARCHIVE.replace('old', 'new')}"},
            ex.the_old_book_is_in_the_archive, "nobody can pay in any more"),
    Mistake("09.2", "sums up one year only", {"account.currency, account.balance": f"account.currency, {SUMS_AMOUNTS}",
            "account_id, account.balance, new": "account_id, account.balance, new"},
            ex.the_new_book_begins_with_the_balance, "account-1 holds 130.00 EUR"),
    Mistake("09.2", "evolve of notebook 04", {"from workshop.bank import BankAccount, CommandRefused": "from workshop.bank import BankAccount, CommandRefused, evolve",
            "BankAccount(), evolve_book": "BankAccount(), evolve"},
            ex.the_next_year_goes_on, "CommandRefused"),
    Mistake("09.2", "float money", {"account.currency, account.balance": "account.currency, type(account.balance)(float(account.balance))"},
            ex.money_stays_exact, "Did a float come in between?"),
    Mistake("09.2", "closes what is not there", {IS_OPEN: ""},
            ex.there_has_to_be_an_open_book, "lets the append begin one"),
    Mistake("09.2", "refuses an empty account only", {'account.status != "open"': "version == 0"},
            ex.there_has_to_be_an_open_book, "The account was closed in 2025"),
    Mistake("09.2", "refuses too late", {TRANSACTION: "if True:", IS_OPEN: "", CLOSE: CLOSE + IS_OPEN},
            ex.there_has_to_be_an_open_book, "1 events were stored"),
    Mistake("09.2", "whatever the new book holds", {", expected_version=NO_STREAM": ""},
            ex.a_book_that_was_begun_is_not_touched, "at the beginning of a book only"),
    Mistake("09.2", "keeps quiet", SWALLOWS,
            ex.a_book_that_was_begun_is_not_touched, "let WrongExpectedVersion"),
    Mistake("09.2", "no transaction", {TRANSACTION: "if True:"},
            ex.a_book_that_was_begun_is_not_touched, "One transaction around all of it"),
    Mistake("09.2", "no transaction, the new book first", {TRANSACTION: "if True:", OPEN: "", CLOSE: OPEN + CLOSE},
            AS_OURS, "One transaction around all of it"),
    Mistake("09.2", "BEGIN and COMMIT by hand", BY_HAND,
            ex.the_new_book_begins_with_the_balance, "inside a transaction of its caller's, and ended that"),
    Mistake("09.2", "expects any version", {", expected_version=version": ""},
            ex.a_deposit_in_between_is_not_lost, "5.00 are lost"),
    Mistake("09.2", "goes on without a connection", {CLOSE: "        with __import__('contextlib').suppress(ConnectionError):\n    " + CLOSE},
            BROKEN, "It should have let that error through"),
    Mistake("09.2", "asks for the version again", {"expected_version=version": "expected_version=store.stream_info(old_book).version"},
            ex.a_deposit_in_between_is_not_lost, "the version that was read with the balance"),
    Mistake("09.2", "tries again by itself", TRIES_AGAIN,
            ex.a_lost_race_is_the_callers, "whoever called decides whether to try again"),
    Mistake("09.2", "who is overdrawn has no books", {'account.status != "open"': 'account.status != "open" or account.balance < 0'},
            AS_OURS, "account-2 is overdrawn"),
    Mistake("09.2", "looks whether the new book is there", {OPEN: "        if store.stream_info(new_book):\n            store.append(new_book, [opening], expected_version=NO_STREAM)\n        store.append(new_book, [opening])\n"},
            MEANWHILE, "NO_STREAM"),
    Mistake("09.2", "the archive after the transaction", {ARCHIVE: ARCHIVE[4:]},
            AS_OURS, "events held (stream_id account-1:2025, version 3, type BooksClosed); ("),
)  # fmt: skip

LOCK_OF_APPEND = "    RETURNING s.version - added, s.archived_at INTO actual, archived;\n"
LOOK = """
    IF archived IS NOT NULL THEN
        RAISE EXCEPTION 'Stream % was archived at %', append_to_stream.stream_id, archived
            USING ERRCODE = 'ES003', HINT = 'restore_stream brings it back.';
    END IF;
"""
WRITE = "    -- 3. Write.\n"
BELL = "    PERFORM notify_subscribers();  -- when they are written\n"
TO_ARRAY = "SELECT s.archived_at INTO archived FROM streams s WHERE s.id = append_to_stream.stream_id;\n"
UNCHANGED = "\n                     AND (e.type, e.data) = (event ->> 'type', event -> 'data')\n"
YOUR_OWN_APPEND = (
    Mistake("09.3", "the answer to 08.5", reference_answer("08.5"),
            ex.an_archived_stream_is_refused, "away from the rest"),
    Mistake("09.3", "compares versions first", {LOOK: "", WRITE: LOOK + WRITE},
            ex.an_archived_stream_is_refused, "look at archived_at before you compare versions"),
    Mistake("09.3", "an error without its code", {"USING ERRCODE = 'ES003', HINT": "USING HINT"},
            ex.an_archived_stream_is_refused, "P0001"),
    Mistake("09.3", "which stream?", {"'Stream % was archived at %', append_to_stream.stream_id, archived": "'This stream was archived at %', archived"},
            ex.the_refusal_names_the_stream, "which stream is it?"),
    Mistake("09.3", "the live ones are refused", {"IF archived IS NOT NULL": "IF archived IS DISTINCT FROM '2025-01-01'"},
            ex.a_live_stream_goes_on, "archived_at is NULL for a live stream"),
    Mistake("09.3", "looks, then locks", {LOCK_OF_APPEND: "    RETURNING s.version - added INTO actual;\n",
            "    -- 1. Lock.": "    " + TO_ARRAY + "    -- 1. Lock."},
            ex.an_archive_under_way_is_waited_for, "A SELECT before it sees what was"),
    Mistake("09.3", "the id alone makes the event", {UNCHANGED: "\n"},
            ex.another_event_under_its_id_is_refused, "DepositRecorded of 999 came under its id"),
    Mistake("09.3", "the type is not compared", {"(e.type, e.data) = (event ->> 'type', event -> 'data')": "e.data = event -> 'data'"},
            ex.another_event_under_its_id_is_refused, "CashWithdrawn of 100 came under its id"),
    Mistake("09.3", "the data is compared as text", {"(e.type, e.data) = (event ->> 'type', event -> 'data')": "(e.type, e.data::text) = (event ->> 'type', event ->> 'data')"},
            AS_OURS, "append_to_stream('account-1', 0"),
    Mistake("09.3", "text is compared with JSON", {"event ->> 'type', event -> 'data')\n": "event ->> 'type', event ->> 'data')\n"},
            ex.another_event_under_its_id_is_refused, "`->>` takes it as a text"),
    Mistake("09.3", "the metadata are compared", {"(e.type, e.data) = (event ->> 'type', event -> 'data')":
            "(e.type, e.data, e.metadata) = (event ->> 'type', event -> 'data', append_to_stream.metadata)"},
            AS_OURS, "whatever metadata come with it"),
    Mistake("09.3", "locks a row that is not there", {LOCK_OF_APPEND: "    RETURNING s.version - added INTO actual;\n", LOOK: "",
            "    -- 1. Lock.": "    " + TO_ARRAY.replace(";", " FOR UPDATE;") + LOOK + "    -- 1. Lock."},
            MEANWHILE, "somebody else made account-3 and archived it"),
    Mistake("09.3", "no bell any more", {BELL: ""},
            "As in 08.5: A reader that is asleep is woken", "nobody rang"),
    Mistake("09.3", "another category", {"IF archived IS NOT NULL": "IF archived IS NOT NULL AND append_to_stream.stream_id = 'account-1' OR append_to_stream.stream_id = 'a'"},
            AS_OURS, "append_to_stream('a'"),
    Mistake("09.3", "the lock is another one", {"ON CONFLICT (id) DO UPDATE SET version = s.version + added\n" + LOCK_OF_APPEND:
            "ON CONFLICT (id) DO NOTHING;\n    actual := (SELECT coalesce(max(e.version), 0) FROM events e WHERE e.stream_id = append_to_stream.stream_id);\n"
            "    UPDATE streams s SET version = actual + added WHERE s.id = append_to_stream.stream_id RETURNING s.archived_at INTO archived;\n"},
            MEANWHILE, "somebody else appended an event to account-1"),
    Mistake("09.3", "what fails is passed by", {BELL + "END": BELL + "EXCEPTION WHEN disk_full THEN\n    RETURN;\nEND"},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

YOUR_OWN_REBUILD = (
    Mistake("09.4", "the answer to 06.4", reference_answer("06.4"),
            ex.archived_events_count, "Archived events are still facts"),
    Mistake("09.4", "one after the other", {"FROM log": "FROM archived_events", "ORDER BY position": "UNION ALL SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at FROM events WHERE type = ANY (%s)",
            "(store.types.names(projection.handles),)": "[store.types.names(projection.handles)] * 2"},
            ex.archived_events_have_their_place, "ORDER BY position"),
    Mistake("09.4", "does not empty the table", {'        store.connection.execute(sql.SQL("DELETE FROM {}").format(table))\n': ""},
            ex.archived_events_count, "It holds"),
    Mistake("09.4", "the names of the classes", {"store.types.names(projection.handles)": "[it.__name__ for it in projection.handles]"},
            AS_OURS, "under all names that they are stored under"),
    Mistake("09.4", "takes no lock", {'        store.connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))\n': ""},
            MEANWHILE, "First the lock"),
    Mistake("09.4", "nothing is read, and nobody is told", {"            log.execute(": "            import contextlib\n            with contextlib.suppress(Exception):\n              log.execute("},
            BROKEN, "It should have let that error through"),
)  # fmt: skip
MISTAKES = ARCHIVE_STREAM + CLOSE_BOOKS + YOUR_OWN_APPEND + YOUR_OWN_REBUILD

MOVES_IN_ONE_STATEMENT = {
    COPY + DELETE: """
        WITH moving AS (DELETE FROM events e WHERE e.stream_id = archive_stream.stream_id RETURNING *)
        INSERT INTO archived_events SELECT * FROM moving;
"""
}
LOCKS_BY_CHANGING = """
CREATE FUNCTION archive_stream(stream_id text, expected_version bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    stream streams;
    moved  bigint := 0;
BEGIN
    UPDATE streams s SET version = s.version WHERE s.id = archive_stream.stream_id RETURNING * INTO stream;
    IF NOT FOUND OR stream.version <> expected_version THEN
        RAISE 'Wrong expected version' USING ERRCODE = 'ES001', DETAIL = coalesce(stream.version, 0);
    END IF;
    IF stream.archived_at IS NOT NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO archived_events SELECT e.* FROM events e WHERE e.stream_id = archive_stream.stream_id;
    GET DIAGNOSTICS moved = ROW_COUNT;
    DELETE FROM events e WHERE e.stream_id = archive_stream.stream_id;
    DELETE FROM snapshots s WHERE s.stream_id = archive_stream.stream_id;
    UPDATE streams s SET archived_at = clock_timestamp() WHERE s.id = archive_stream.stream_id;
    RETURN moved;
END
$$;
"""
IN_ANOTHER_ORDER = {
    CLOSE: "",
    OPEN: OPEN + CLOSE,
    "archive_stream(store, old_book)": "archive_stream(store, old_book, expected_version=version + 1)",
}


@pytest.mark.parametrize(
    "changes", [MOVES_IN_ONE_STATEMENT, LOCKS_BY_CHANGING], ids=["one statement", "lock by change"]
)
def test_there_is_another_way_to_archive_a_stream(changes: str | dict[str, str], postgres: Server) -> None:
    another = Mistake("09.1", "none", changes, "", "").text
    report = run_checks(EXERCISES["09.1"], another, postgres.url)
    assert report.passed, failures(report)


def test_the_books_can_be_closed_in_another_order(postgres: Server) -> None:
    another = Mistake("09.2", "none", IN_ANOTHER_ORDER, "", "").text
    report = run_checks(EXERCISES["09.2"], defined_in(another), postgres.url)
    assert report.passed, failures(report)


def test_the_finished_bank_closes_its_books_as_the_exercise_asks(postgres: Server) -> None:
    report = run_checks(EXERCISES["09.2"], books.close_books, postgres.url)
    assert report.passed, failures(report)
