"""The exercises of notebook 09: a stream moves into the archive, and the books of a year are closed."""

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import psycopg

from eventstore import EventStore, WrongExpectedVersion

from ...bank import CommandRefused
from ...bank.books import BalanceBroughtForward, BooksClosed, event_types
from ...bank.examples import closed, deposited, opened, withdrawn
from ...bank.read_models import AccountBalances
from ..arranged import append, moment, put
from ..exercise import Exercise
from ..given import whole_schema
from ..looks import looks
from ..sandbox import Sandbox, expect, interrupted, own_sandbox
from ..scene import Advice, Call, Cases, Scene, Somebody, SqlCall
from .ex02_appending import APPEND_TO_STREAM, BATCHES, IDS, OF_NEW_STREAMS
from .ex06_projections import REBUILD, RIGHT, Spy, a_bank_with_history, balances, show_all
from .ex08_subscriptions import WITHOUT_APPEND

WRONG_EXPECTED_VERSION = "ES001"
FACTS_STAY = "ES002"
STREAM_ARCHIVED = "ES003"
NULL_NOT_ALLOWED = "22004"

# 09.1 archive_stream


def two_accounts(sandbox: Sandbox) -> None:
    """Store four events of two accounts, mixed: account-1 has three of them, at the positions 1, 3 and 4."""
    for statement in (
        append("account-1", "AccountOpened"),
        append("account-2", "AccountOpened"),
        append("account-1", "DepositRecorded", "AccountClosed"),
    ):
        sandbox.execute(statement)


def archive(stream_id: str = "account-1", expected: int | None = None) -> str:
    """Return the SQL that calls the answer."""
    last = "" if expected is None else f", expected_version => {expected}"
    return f"SELECT archive_stream('{stream_id}'{last})"


def archived(sandbox: Sandbox, stream_id: str = "account-1", expected: int | None = None) -> Any:
    """Call the answer; return what it returns."""
    try:
        return sandbox.value(archive(stream_id, expected))
    except psycopg.Error as error:
        assert error.sqlstate != WRONG_EXPECTED_VERSION or expected is not None, (
            f"Without an expected version any will do, and {stream_id} was refused: {error.diag.message_primary}. "
            "`stream.version <> expected_version` is not true where expected_version is NULL; IS DISTINCT FROM takes NULL "
            "for a version."
        )
        if error.sqlstate != FACTS_STAY:
            raise
        raise AssertionError(
            f"PostgreSQL says: {error.diag.message_primary}. The door lets events out of `events` only when the archive "
            "holds each of them, unchanged, position and all: first INSERT INTO archived_events SELECT *, then DELETE, "
            "and both for the same events. It also refuses a DELETE that meets no event at all."
        ) from None


def versions(sandbox: Sandbox, table: str, stream_id: str = "account-1") -> list[int]:
    return sandbox.values(f"SELECT version FROM {table} WHERE stream_id = %s ORDER BY version", (stream_id,))


def events_are_moved_as_they_were(sandbox: Sandbox) -> None:
    """Its events are in the archive, as they were, and nowhere else"""
    two_accounts(sandbox)
    of_account_1 = "SELECT * FROM {} WHERE stream_id = 'account-1' ORDER BY version"
    before = sandbox.execute(of_account_1.format("events")).fetchall()
    archived(sandbox)
    after = sandbox.execute(of_account_1.format("archived_events")).fetchall()
    assert after == before, (
        f"account-1 had the versions 1, 2, 3, and archived_events holds the versions {versions(sandbox, 'archived_events')}"
        f"{', but not with the same values' if len(after) == len(before) else ''}. "
        "INSERT INTO archived_events SELECT * FROM events e WHERE ... takes each event as it is."
    )
    left = versions(sandbox, "events")
    assert not left, (
        f"account-1 is in the archive, and events still holds its versions {left}. The log shows them twice now: what "
        "was copied has to go, DELETE FROM events e WHERE ..."
    )


def it_returns_how_many(sandbox: Sandbox) -> None:
    """It returns how many events were moved"""
    two_accounts(sandbox)
    sandbox.execute("INSERT INTO snapshots VALUES ('account-1', 'BankAccount', 'v1', 2, now(), '{}')")
    returned = archived(sandbox)
    left = versions(sandbox, "events", "account-2")
    assert left == [1], (
        f"account-1 was archived, and of account-2 the versions {left} are left in events: all streams were moved. Each "
        "statement needs its WHERE e.stream_id = archive_stream.stream_id."
    )
    assert returned == 3, (
        f"account-1 had 3 events, and the function returned {returned!r}. GET DIAGNOSTICS moved = ROW_COUNT counts the "
        "rows of the statement right before it."
    )


def another_stream_is_untouched(sandbox: Sandbox) -> None:
    """Another stream is untouched"""
    two_accounts(sandbox)
    archived(sandbox)
    found = versions(sandbox, "events", "account-2"), versions(sandbox, "archived_events", "account-2")
    assert found == ([1], []), (
        f"account-1 was archived. Of account-2, events holds the versions {found[0]}, and archived_events {found[1]}; it "
        "should be as before, [1] and []. Does a statement lack its WHERE?"
    )
    assert sandbox.value("SELECT archived_at FROM streams WHERE id = 'account-2'") is None, (
        "account-1 was archived, and the row of account-2 says archived_at, too: the UPDATE needs its WHERE."
    )


def the_stream_refuses_appends(sandbox: Sandbox) -> None:
    """The stream says that it is archived, and refuses appends"""
    two_accounts(sandbox)
    archived(sandbox)
    info = sandbox.execute("SELECT version, archived_at FROM streams WHERE id = 'account-1'").fetchone()
    assert info is not None, (
        "The row of account-1 is gone from streams. It has to stay: it says that the stream is archived, and without it "
        "the next append begins a second account-1, at version 1."
    )
    assert info[1] is not None, (
        "account-1 is in the archive, and its row in streams says archived_at NULL, as if it were live. The next append "
        "would store version 4 in events, away from the rest: UPDATE streams s SET archived_at = clock_timestamp()."
    )
    assert info[0] == 3, f"Archiving adds no event: account-1 stays at version 3. Its row says {info[0]}."
    error = sandbox.refused(append("account-1", "DepositRecorded"))
    assert error is not None and error.sqlstate == STREAM_ARCHIVED, "An append to the archived account-1 went through."


def twice_moves_nothing_more(sandbox: Sandbox) -> None:
    """Archived twice, it moves nothing more"""
    two_accounts(sandbox)
    archived(sandbox)
    since = sandbox.value("SELECT archived_at FROM streams WHERE id = 'account-1'")
    try:
        returned = archived(sandbox)
    except AssertionError:
        raise AssertionError(
            "account-1 was archived a second time, and the function ran into the door: there was nothing left to delete. "
            "Whoever asks twice has got what they want: do the moving only where stream.archived_at IS NULL, and "
            "return 0 otherwise."
        ) from None
    assert returned == 0, f"account-1 was archived already. The second call moves 0 events; it returned {returned!r}."
    assert sandbox.value("SELECT archived_at FROM streams WHERE id = 'account-1'") == since, (
        "The second call changed archived_at. The stream has been in the archive since the first one."
    )


def an_expected_version_is_compared(sandbox: Sandbox) -> None:
    """An expected version is compared"""
    two_accounts(sandbox)
    for wrong in (2, 4, -1):
        error = sandbox.refused(archive(expected=wrong))
        assert error is not None, f"account-1 was at version 3, version {wrong} was expected, and it was archived. " + (
            "Whoever decided that the stream has ended did not see all of it."
            if wrong > 0
            else "What -1 says to an append, that the stream is there, holds for every archiving: here it is a wrong version."
        )
        assert error.sqlstate == WRONG_EXPECTED_VERSION, (
            f"account-1 was at version 3 and {wrong} was expected: the function raised {error.sqlstate} "
            f"({error.diag.message_primary}); it should raise USING ERRCODE = 'ES001', as an append does."
        )
        assert error.diag.message_detail == "3", (
            f"DETAIL should be the stream's version, 3, for a program to read. It is {error.diag.message_detail!r}."
        )
    error = sandbox.refused(archive(expected=3))
    assert error is None, (
        f"account-1 was at version 3, 3 was expected, and it was refused: {error.diag.message_primary}."
    )
    error = sandbox.refused(archive(expected=2))
    assert error is not None and error.sqlstate == WRONG_EXPECTED_VERSION, (
        "account-1 is in the archive by now, at version 3. Version 2 was expected, and the function "
        f"{f'raised {error.sqlstate}' if error else 'returned as if that were right'}. Compare first, then look whether the "
        "stream is in the archive."
    )


def a_stream_that_is_not_there_is_refused(sandbox: Sandbox) -> None:
    """A stream that is not there is refused"""
    for expected in (None, 1):
        error = sandbox.refused(archive("account-7", expected))
        assert error is not None, (
            "There is no account-7, and archiving it reported success. A misspelt name must not pass in silence: after "
            "SELECT ... INTO, stream.id IS NULL says that there was no row."
        )
        assert error.sqlstate != NULL_NOT_ALLOWED, (
            f"There is no account-7. PostgreSQL says: {error.diag.message_primary}. DETAIL is NULL, because there is no row: "
            "coalesce(stream.version, 0)."
        )
        assert error.sqlstate == WRONG_EXPECTED_VERSION, (
            f"There is no account-7: the function raised {error.sqlstate} ({error.diag.message_primary}); it should "
            "raise USING ERRCODE = 'ES001'. After SELECT ... INTO, stream.id IS NULL says that there was no row."
        )
        assert error.diag.message_detail == "0", (
            f"A stream that is not there is at version 0. DETAIL should say so, it is {error.diag.message_detail!r}: "
            "coalesce(stream.version, 0)."
        )


def its_snapshots_are_gone(sandbox: Sandbox) -> None:
    """Its snapshots are gone, and no others"""
    two_accounts(sandbox)
    sandbox.execute(
        "INSERT INTO snapshots SELECT id, 'BankAccount', 'v1', 1, now(), '{}'::json FROM streams"
        " UNION ALL SELECT 'account-1', 'BankAccount', 'v1', 3, now(), '{}'"
    )
    archived(sandbox)
    left = sandbox.values("SELECT stream_id FROM snapshots")
    assert "account-1" not in left, (
        "account-1 is archived, and its snapshots take up room where nobody will read them: DELETE FROM snapshots s "
        "WHERE s.stream_id = ..."
    )
    assert left == ["account-2"], "account-1 was archived, and the snapshot of account-2 is gone, too."


@own_sandbox
def an_append_under_way_is_waited_for(sandbox: Sandbox) -> None:
    """An append that is under way is waited for"""
    two_accounts(sandbox)
    deposit = append("account-1", "DepositRecorded")
    outcome = sandbox.while_open(deposit, archive(), then=deposit)
    found = versions(sandbox, "archived_events"), versions(sandbox, "events")
    assert found == ([1, 2, 3, 4, 5], []), (
        "The versions 4 and 5 were being appended when account-1 was archived. Now archived_events holds the versions "
        f"{found[0]}, and events {found[1]}{_said(outcome)}. The stream is split: first lock, then look. The first "
        "statement takes the stream's row, SELECT ... FOR UPDATE, and waits there for the append; what comes after it "
        "sees them both."
    )
    assert outcome == [(5,)], f"Five events were moved, and the function returned {outcome[0][0]!r}."
    assert sandbox.value(
        "SELECT archived_at >= (SELECT max(recorded_at) FROM archived_events) FROM streams WHERE id = 'account-1'"
    ), (
        "account-1 was archived when an append had committed that it waited for. Its row in streams says an archived_at before "
        "that append. now() is the start of the transaction, statement_timestamp() that of the statement, before the wait: "
        "clock_timestamp()."
    )


@own_sandbox
def a_version_overtaken_is_noticed(sandbox: Sandbox) -> None:
    """A version that is overtaken meanwhile is noticed"""
    two_accounts(sandbox)
    outcome = sandbox.while_open(append("account-1", "DepositRecorded"), archive(expected=3))
    assert isinstance(outcome, psycopg.Error) and not versions(sandbox, "archived_events"), (
        "Somebody saw account-1 at version 3 and had it archived, while version 4 was being appended: it was archived, "
        "with an event that they never saw. The comparison came before the wait: SELECT ... FOR UPDATE waits first, and "
        "then reads."
    )
    assert outcome.sqlstate == WRONG_EXPECTED_VERSION, (
        f"Version 3 was expected, and version 4 was being appended. The function raised {outcome.sqlstate}: "
        f"{outcome.diag.message_primary}; it should be ES001."
    )


def _said(outcome: Any) -> str:
    return f" (the function raised: {outcome.diag.message_primary})" if isinstance(outcome, psycopg.Error) else ""


ARCHIVE = SqlCall("SELECT archive_stream({})")
_TWO_STREAMS = (
    put(
        "account-1", "AccountOpened", "DepositRecorded", "AccountClosed", position=lambda version: 7 * version, row=True
    )
    + put("account-2", *["X"] * 12, position=lambda version: 100 - version, row=True)
    + put("account_1", "X", position=lambda _: 50, row=True)
    + "INSERT INTO snapshots SELECT id, 'BankAccount', 'v1', 1, '2025-03-01', '{}'::json FROM streams;"
    " INSERT INTO snapshots SELECT id, 'Statement', 'v2', 3, '2025-03-03', '{}'::json FROM streams;"
)
OF_ARCHIVE = Advice(
    "The lock comes first, then the comparison with the version in the row, then the move; what is returned is how many events "
    "left the table events.",
    "Every statement needs its WHERE, and they are about the same events: those that were there when the row was locked. "
    "archived_at is the moment of the move, clock_timestamp(): now() is the start of the transaction, before the wait.",
    "Only who writes to this one stream waits, and for one at a time: FOR UPDATE locks its row. A lock of the table stops all "
    "others, and one that is shared, FOR SHARE, two can have who then wait for each other.",
)
ARCHIVES = (
    Cases(
        call=ARCHIVE,
        story="account-1 is at version 3, account-2 at version 12, account_1 at version 1",
        before=_TWO_STREAMS,
        given=tuple(
            (arguments,)
            for arguments in (
                *(f"'{id}'" for id in ("account-1", "account-2", "Account-1", "account_1", "account-%", "")),
                *(f"'account-1', {version}" for version in (3, 2, 4, 0, -1, 2**31, "NULL")),
                *(f"'account-2', {version}" for version in (12, 9, 1)),
                *(f"'account-3', {version}" for version in (0, 1, -1, "NULL")),
                "stream_id => 'account-1', expected_version => 3",
            )
        ),
        advice=OF_ARCHIVE,
    ),
    Cases(
        call=ARCHIVE,
        story="account-1 is in the archive, at version 3",
        before=_TWO_STREAMS + "SELECT archive_stream('account-1');"
        " UPDATE streams SET archived_at = '2025-04-01' WHERE id = 'account-1';",
        given=tuple((f"'account-1'{expected}",) for expected in ("", ", 3", ", 2", ", 0", ", NULL")),
        advice=OF_ARCHIVE,
    ),
    Scene(
        call=ARCHIVE,
        story="account-1 is at version 3",
        before=_TWO_STREAMS,
        given=("'account-1'",),
        somebody=(
            Somebody("appended an event to account-1", append("account-1", "DepositRecorded")),
            Somebody("archived account-1", "SELECT archive_stream('account-1')"),
            Somebody(
                "appended to account-1, and once more while it waited",
                append("account-1", "DepositRecorded"),
                then=append("account-1", "DepositRecorded"),
            ),
            Somebody(
                "held the row of account-1 together with others",
                "SELECT FROM streams WHERE id = 'account-1' FOR SHARE",
                then="UPDATE streams SET version = version WHERE id = 'account-1'",
            ),
        ),
        stranger=Somebody("appends to account-2", append("account-2", "X")),
        advice=OF_ARCHIVE,
    ),
    Scene(
        call=ARCHIVE,
        story="account-1 is at version 3",
        before=_TWO_STREAMS,
        given=("'account-1', 3",),
        somebody=(Somebody("appended an event to account-1", append("account-1", "DepositRecorded")),),
        breaks=False,
        advice=OF_ARCHIVE,
    ),
)


# 09.2 close_books

OLD_BOOK, NEW_BOOK = "account-1:2025", "account-1:2026"


def book_of_2025(sandbox: Sandbox, *amounts: str) -> EventStore:
    """Return a store in which account-1 has a book of 2025, with deposits, or withdrawals where there is a minus.

    It is in EUR, and the accounts of the notebook are in PLN: a currency that is written into the answer shows.
    """
    store = sandbox.store(types=event_types())
    movements = [withdrawn(amount[1:]) if amount.startswith("-") else deposited(amount) for amount in amounts]
    store.append(OLD_BOOK, [opened("account-1", "EUR"), *movements])
    return store


def book(store: EventStore, stream_id: str) -> list[Any]:
    return [recorded.event for recorded in store.read_stream(stream_id, archived=True)]


def first_of(store: EventStore, stream_id: str) -> BalanceBroughtForward:
    """Return the first event of a book, which has to be what was brought forward."""
    events = book(store, stream_id)
    assert events and isinstance(events[0], BalanceBroughtForward), (
        f"The book {stream_id} should begin with BalanceBroughtForward. It "
        f"{f'begins with {events[0]!r}' if events else 'has no events'}."
    )
    return events[0]


def the_new_book_begins_with_the_balance(sandbox: Sandbox) -> None:
    """The new book begins with the balance"""
    store = book_of_2025(sandbox, "100.00", "50.00", "-20.00")
    sandbox.answer(store, "account-1", 2025)
    found = first_of(store, NEW_BOOK)
    assert found.currency == "EUR", f"account-1 is in EUR; its new book begins in {found.currency}: account.currency."
    assert found == BalanceBroughtForward("account-1", "EUR", Decimal(130)), (
        "account-1 holds 130.00 EUR at the end of 2025. Its book of 2026 should begin with BalanceBroughtForward of "
        f"just that; it begins with {found!r}."
    )
    assert len(book(store, NEW_BOOK)) == 1, f"The new book should hold one event. It holds {book(store, NEW_BOOK)}."


def the_old_book_ends_with_the_sum(sandbox: Sandbox) -> None:
    """The old book ends with what it came to"""
    store = book_of_2025(sandbox, "100.00", "50.00", "-20.00")
    sandbox.answer(store, "account-1", 2025)
    events = book(store, OLD_BOOK)
    expected = BooksClosed("account-1", Decimal(130), NEW_BOOK)
    assert events[-1] == expected, f"The book of 2025 should end with {expected!r}. It ends with {events[-1]!r}."
    assert len(events) == 5, f"The book of 2025 had 4 events, and BooksClosed is the fifth. It holds {len(events)}."


def the_old_book_is_in_the_archive(sandbox: Sandbox) -> None:
    """The old book is in the archive, and the new one is not"""
    store = book_of_2025(sandbox, "100.00")
    sandbox.answer(store, "account-1", 2025)
    archived = {
        stream_id: (info := store.stream_info(stream_id)) and info.archived_at for stream_id in (OLD_BOOK, NEW_BOOK)
    }
    assert archived[OLD_BOOK], (
        f"The books are closed, and {OLD_BOOK} is still in the hot table: archive_stream(store, ...) is the last step."
    )
    assert not archived[NEW_BOOK], (
        f"{NEW_BOOK} is in the archive, and nobody can pay in any more. Archive the old book."
    )


def the_next_year_goes_on(sandbox: Sandbox) -> None:
    """A year later, the balance goes on from there"""
    store = book_of_2025(sandbox, "100.00")
    sandbox.answer(store, "account-1", 2025)
    store.append(NEW_BOOK, [deposited(7)])
    sandbox.answer(store, "account-1", 2026)
    found = first_of(store, "account-1:2027")
    assert found == BalanceBroughtForward("account-1", "EUR", Decimal(107)), (
        "100.00 were brought forward into 2026, and 7.00 came in. The book of 2027 should begin with 107 EUR; it begins "
        f"with {found!r}. A book is folded with evolve_book: evolve does not know what was brought forward."
    )


def money_stays_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    store = book_of_2025(sandbox, "0.10", "0.20", "12345678901234567.89")
    sandbox.answer(store, "account-1", 2025)
    found = first_of(store, NEW_BOOK).balance
    assert found == Decimal("12345678901234568.19"), (
        f"0.10 and 0.20 and 12345678901234567.89 are 12345678901234568.19. {found} was brought forward. "
        "Did a float come in between? The balance that evolve_book worked out is exact."
    )


def there_has_to_be_an_open_book(sandbox: Sandbox) -> None:
    """Where there is no open book, there is nothing to close"""
    store = book_of_2025(sandbox, "5.00", "-5.00")
    _must_refuse(sandbox, store, "account-2", "There is no account-2")
    store.append(OLD_BOOK, [closed()])
    _must_refuse(sandbox, store, "account-1", "The account was closed in 2025")


def _must_refuse(sandbox: Sandbox, store: EventStore, account_id: str, why: str) -> None:
    before = sandbox.value("SELECT count(*) FROM log")
    try:
        sandbox.answer(store, account_id, 2025)
    except CommandRefused:
        stored = sandbox.value("SELECT count(*) FROM log") - before
        assert stored == 0, f"{why}. CommandRefused was raised, and yet {stored} events were stored."
        return
    raise AssertionError(
        f"{why}, and its books were closed all the same. An account that is not open has no book to go on with: raise "
        "CommandRefused. Mind that a stream which is not there is at version 0, so expecting the version that was read "
        "lets the append begin one."
    )


def _must_be_as_before(store: EventStore, what: str) -> None:
    found = [type(event).__name__ for event in book(store, OLD_BOOK)]
    info = store.stream_info(OLD_BOOK)
    assert found == ["AccountOpened", "DepositRecorded"] and info and not info.archived_at, (
        f"{what}. Everything should be as it was, and the book of 2025 "
        f"{'is in the archive' if info and info.archived_at else f'holds {found}'}. One transaction around all of it: "
        "with store.connection.transaction():"
    )


def a_book_that_was_begun_is_not_touched(sandbox: Sandbox) -> None:
    """Where the new book was begun already, everything stays as it was"""
    store = book_of_2025(sandbox, "100.00")
    store.append(NEW_BOOK, [deposited(1)])
    with expect(
        WrongExpectedVersion,
        "The book of 2026 held a deposit already, and close_books reported success. A balance can be brought forward "
        "at the beginning of a book only: append it with expected_version=NO_STREAM, and let WrongExpectedVersion "
        "through.",
    ):
        sandbox.answer(store, "account-1", 2025)
    _must_be_as_before(store, "The book of 2026 was there already, so close_books failed half way")
    assert len(book(store, NEW_BOOK)) == 1, f"The book of 2026 held one event. It holds {book(store, NEW_BOOK)}."


class LosesARace(EventStore):
    """A store in which somebody else was faster, at the first append to the old book."""

    def append(self, stream_id: str, events: Iterable[object], **how: Any) -> Any:
        if stream_id == OLD_BOOK and not hasattr(self, "lost"):
            self.lost = WrongExpectedVersion(OLD_BOOK, 2, 3)
            raise self.lost
        return super().append(stream_id, events, **how)


def a_lost_race_is_the_callers(sandbox: Sandbox) -> None:
    """Whether to try again is the caller's decision"""
    store = book_of_2025(sandbox, "100.00")
    with expect(
        WrongExpectedVersion,
        "Somebody else was faster, and the append to the old book raised WrongExpectedVersion. close_books reported success "
        "all the same: it tried again by itself, or took no notice. Let errors through: whoever called decides whether to "
        "try again.",
    ):
        sandbox.answer(sandbox.store(types=event_types(), kind=LosesARace), "account-1", 2025)
    _must_be_as_before(store, "Somebody else was faster, and the append to the old book failed")


@own_sandbox
def a_deposit_in_between_is_not_lost(sandbox: Sandbox) -> None:
    """A deposit that comes in between is not lost"""
    book_of_2025(sandbox, "100.00")
    anna = sandbox.store(types=event_types(), connection=sandbox.database.connect())
    late = iter([deposited(5, cashier="anna")])
    store = interrupted(
        sandbox.store(types=event_types()), read_stream=lambda: [anna.append(OLD_BOOK, [event]) for event in late]
    )
    try:
        sandbox.answer(store, "account-1", 2025)
    except WrongExpectedVersion:
        assert anna.stream_info(OLD_BOOK).archived_at is None, (
            "A deposit came in between, WrongExpectedVersion was raised, and the book is in the archive all the same."
        )
        return
    forward = sum(event.balance for event in book(anna, NEW_BOOK) if isinstance(event, BalanceBroughtForward))
    assert forward == 105, (
        "account-1 held 100.00. close_books read its book, then Anna recorded a deposit of 5.00, and then the books were "
        f"closed: {forward} was brought forward, and 5.00 are lost. The closing event rests on the version that was "
        "read with the balance: expect just that one."
    )


def _close_books(close_books: Callable, stage: Any, *of_which: Any) -> None:
    close_books(stage.store(types=event_types()), *of_which)  # whatever it returns: nothing is asked for


CLOSE_BOOKS = Call("close_books(store, {})", _close_books)
OF_BOOKS = Advice(
    "An account that is open in the old book has its books closed, whatever it holds, and any other is refused. The closing event "
    "rests on the version that was read with the balance, the new book must not be there yet: expected_version=version, and "
    "NO_STREAM. Errors go to the caller.",
    "BooksClosed ends the old book, BalanceBroughtForward begins the new one, with the balance and the currency that evolve_book "
    "worked out, and the old book is archived. Who looks whether a book is there has not kept others from beginning it: NO_STREAM.",
    "One transaction around all of it: with store.connection.transaction(): it takes part in the caller's, where there is one, and "
    "a COMMIT of your own would end that.",
)


def _book(stream_id: str, *events: Any) -> str:
    return put(stream_id, *events, row=True)


BOOKS = (
    Cases(
        call=CLOSE_BOOKS,
        story="account-2 is overdrawn, account-3 holds nothing, account-4 was closed, of account-5 the book of 2026 was begun",
        before=_book("account-1:2025", opened("account-1", "EUR"), *[deposited("0.10")] * 8, withdrawn("0.005"))
        + _book("account-1:2026", BalanceBroughtForward("account-1", "EUR", Decimal("0.795")))
        + _book("account-2:2025", opened("account-2", "USD"), withdrawn(30, "account-2"))
        + _book("account-3:2025", opened("account-3"))
        + _book("account-4:2025", opened("account-4"), closed("account-4"))
        + _book("account-5:2025", opened("account-5"), deposited(5, "account-5"))
        + _book("account-5:2026", deposited(1, "account-5"))
        + _book("o'brien:2:9", BalanceBroughtForward("o'brien:2", "EUR", Decimal(-7)), deposited(100, "o'brien:2"))
        + _book("a:2025", BalanceBroughtForward("a", "", Decimal("12345678901234567.89")), withdrawn("0.01", "a")),
        given=(
            *((f"account-{number}", 2025) for number in (2, 3, 4, 5, 6)),
            ("account-1", 2026),
            ("account-5", 2026),
            ("account-1", 2024),
            ("o'brien:2", 9),
            ("a", 2025),
        ),
        advice=OF_BOOKS,
    ),
    Scene(
        call=CLOSE_BOOKS,
        story="The book of 2025 holds 100",
        before=_book(OLD_BOOK, opened("account-1", "EUR"), deposited(100)),
        given=("account-1", 2025),
        somebody=(
            Somebody("appended a deposit of 5 to the book of 2025", append(OLD_BOOK, deposited(5))),
            Somebody("began the book of 2026 with a deposit", append(NEW_BOOK, deposited(1))),
        ),
        stranger=Somebody("appends to the book of account-2", append("account-2:2025", opened("account-2"))),
        advice=OF_BOOKS,
    ),
)


# 09.3 append_to_stream, which refuses an archived stream

TO_ARCHIVE = "UPDATE streams SET archived_at = '2025-04-01' WHERE id = 'account-1';"


def in_the_archive(sandbox: Sandbox) -> None:
    """Store an event of each of two accounts, and put that of account-1 into the archive."""
    sandbox.execute(put("account-1", "AccountClosed", row=True) + put("account-2", "AccountOpened", row=True))
    sandbox.execute(TO_ARCHIVE)


def an_archived_stream_is_refused(sandbox: Sandbox) -> None:
    """An archived stream is refused"""
    in_the_archive(sandbox)
    for expected in (None, 1, 0, -1):
        error = sandbox.refused(append("account-1", "DepositRecorded", expected=expected))
        version = "any version" if expected is None else f"version {expected}"
        assert error is not None, (
            f"account-1 is in the archive. An append that expected {version} went through, and its event is in the table "
            "events, away from the rest: look at archived_at, and RAISE EXCEPTION."
        )
        assert error.sqlstate == STREAM_ARCHIVED, (
            f"account-1 is in the archive. An append that expected {version} was refused with {error.sqlstate} "
            f"({error.diag.message_primary}). Whatever version is expected, it should be ES003, so that a program knows why: "
            "look at archived_at before you compare versions."
        )


def the_refusal_names_the_stream(sandbox: Sandbox) -> None:
    """The refusal names the stream"""
    in_the_archive(sandbox)
    error = sandbox.refused(append("account-1", "DepositRecorded"))
    message = error.diag.message_primary if error else "nothing"
    assert "account-1" in (message or ""), (
        f"account-1 is in the archive. The message says {message!r}: which stream is it?"
    )


def a_live_stream_goes_on(sandbox: Sandbox) -> None:
    """A live stream goes on"""
    in_the_archive(sandbox)
    for stream_id, expected in (("account-2", 1), ("account-2", None), ("account-3", 0)):
        error = sandbox.refused(append(stream_id, "DepositRecorded", expected=expected))
        assert error is None, (
            f"account-1 is in the archive, {stream_id} is not. An append to {stream_id} was refused: "
            f"{error.diag.message_primary}. archived_at is NULL for a live stream: IF archived IS NOT NULL."
        )


def another_event_under_its_id_is_refused(sandbox: Sandbox) -> None:
    """Another event under an id that is known is refused"""
    first: dict[str, Any] = {"type": "DepositRecorded", "data": {"amount": 100}}
    sandbox.execute(append("account-1", first, expected=0, ids=(IDS[0],)))
    for changed in ({**first, "data": {"amount": 999}}, {**first, "type": "CashWithdrawn"}):
        came = "{type} of {data[amount]} came under its id".format(**changed)
        error = sandbox.refused(append("account-1", changed, expected=0, ids=(IDS[0],)))
        assert error is not None, (
            f"A deposit of 100 was stored. Then {came}, and was taken for the same append: it is lost, and nobody is told. "
            "Compare type and data, too."
        )
        assert isinstance(error, psycopg.errors.UniqueViolation), (
            f"A deposit of 100 was stored. Then {came}. That is no lost race, and trying again will not help: RAISE "
            f"unique_violation, as in 02.4. The error was {error.sqlstate}: {error.diag.message_primary}"
        )


@own_sandbox
def an_archive_under_way_is_waited_for(sandbox: Sandbox) -> None:
    """An archive that is under way is waited for"""
    sandbox.execute(put("account-1", "AccountClosed", row=True))
    outcome = sandbox.while_open(TO_ARCHIVE, append("account-1", "DepositRecorded"))
    assert isinstance(outcome, psycopg.Error) and outcome.sqlstate == STREAM_ARCHIVED, (
        "account-1 was being moved into the archive when an append came. It waited for the stream's row, and then "
        f"{f'was refused: {outcome.diag.message_primary}' if isinstance(outcome, psycopg.Error) else 'went through'}. First "
        "lock, then look: the statement that locks the row returns archived_at, too. A SELECT before it sees what was."
    )


OF_RETRIES = Advice(
    "It is a retry where id, type and data are those of the event that is there, as JSON compares them, whatever metadata come "
    "with it; else it is unique_violation."
)
REFUSES = (
    *BATCHES[:2],
    Cases(
        call=APPEND_TO_STREAM,
        story="account-1 is in the archive, account-2 is not",
        before=put("account-1", "AccountClosed", row=True) + put("account-2", "AccountOpened", row=True) + TO_ARCHIVE,
        given=tuple(
            (f"""'{stream_id}', {expected}, '[{{"type": "X", "data": {{}}}}]'""",)
            for stream_id in ("account-1", "account-2", "account-3")
            for expected in (0, 1, 2, -1, "NULL")
        ),
        advice=Advice(
            "Whoever appends to a stream that has an archived_at gets ES003, whatever they expect; nobody else does."
        ),
    ),
    Cases(
        call=APPEND_TO_STREAM,
        story="account-1 holds a deposit of 100, whose id comes back",
        before=append("account-1", {"type": "DepositRecorded", "data": {"amount": 100, "by": "anna"}}, ids=(IDS[0],)),
        given=tuple(
            (f"""'account-1', 0, '[{json.dumps({"type": type, "data": data, "id": IDS[0]})}]'""",)
            for type in ("DepositRecorded", "depositrecorded", "")
            for data in (
                {"amount": 100, "by": "anna"},
                {"by": "anna", "amount": 100},
                {"amount": 100.0, "by": "anna"},
                {"amount": "100", "by": "anna"},
                {"amount": 100},
                {"amount": 100, "by": "anna", "at": None},
                {},
                None,
            )
        ),
        advice=OF_RETRIES,
    ),
    Cases(
        call=APPEND_TO_STREAM,
        story="account-1 holds an event whose metadata are {}, and it comes back",
        before=append("account-1", {"type": "X", "data": {}}, ids=(IDS[0],)),
        given=tuple(
            (f"""'account-1', 0, '[{{"type": "X", "data": {{}}, "id": "{IDS[0]}"}}]', '{metadata}'""",)
            for metadata in ("{}", '{"user": "alice"}')
        ),
        advice=OF_RETRIES,
    ),
    Scene(
        call=APPEND_TO_STREAM,
        story="There is no account-3",
        given=("""'account-3', NULL, '[{"type": "X", "data": {}}]'""",),
        somebody=(
            Somebody("made account-3", append("account-3", "AccountOpened")),
            Somebody(
                "made account-3 and archived it",
                append("account-3", "AccountOpened") + TO_ARCHIVE.replace("account-1", "account-3"),
            ),
        ),
        breaks=False,
        advice=OF_NEW_STREAMS,
    ),
)


# 09.4 rebuild, from the whole log


def archived_events_count(sandbox: Sandbox) -> None:
    """Events in the archive count"""
    store = a_bank_with_history(sandbox)
    sandbox.execute("SELECT archive_stream('account-1')")
    sandbox.answer(store, AccountBalances())
    found = balances(sandbox)
    assert "account-1" in found, (
        "account-1 is in the archive, and after the rebuild account_balances has no row of it. Nobody notices on that day, and "
        "the numbers are wrong for good. Archived events are still facts: read the log, FROM log."
    )
    assert found == RIGHT, (
        f"From the whole log, account_balances should hold {show_all(RIGHT)}. It holds {show_all(found)}."
    )


def archived_events_have_their_place(sandbox: Sandbox) -> None:
    """They come in the order of the log, among the others"""
    store, spy = sandbox.store(), Spy()
    spy.create(sandbox.database.connection)
    # Positions, versions and moments are three orders.
    for position, stream_id, version, day in ((1, "account-1", 3, 9), (2, "account-2", 2, 8), (3, "account-1", 4, 10)):
        sandbox.execute(
            put(
                stream_id,
                deposited(position, stream_id),
                first=version,
                position=lambda _, position=position: position,  # type: ignore[misc]
                at=lambda _, day=day: moment(day),  # type: ignore[misc]
            )
        )
    sandbox.put("till-7", "TillEmptied")  # of a type that the projection does not know
    sandbox.execute("INSERT INTO streams VALUES ('account-1', 4), ('account-2', 2)")
    sandbox.execute("SELECT archive_stream('account-2')")
    sandbox.answer(store, spy)
    amounts = [int(recorded.event.amount) for recorded in spy.seen]
    assert amounts == [1, 2, 3], (
        "The log holds deposits of 1, 2 and 3, at these positions; the 2 is in the archive. The projection saw "
        f"{amounts}. `log` is both tables, in no order: ORDER BY position."
    )


EXERCISES = (
    Exercise(
        id="09.1",
        title="Archive a stream",
        minutes=12,
        difficulty="medium",
        keeps="schema/90_archive_stream.sql",
        given=tuple(name for name in whole_schema() if name != "90_archive_stream.sql"),
        checks=(
            events_are_moved_as_they_were,
            it_returns_how_many,
            another_stream_is_untouched,
            the_stream_refuses_appends,
            twice_moves_nothing_more,
            an_expected_version_is_compared,
            a_stream_that_is_not_there_is_refused,
            its_snapshots_are_gone,
            an_append_under_way_is_waited_for,
            a_version_overtaken_is_noticed,
            *looks(*ARCHIVES),
        ),
        hints=(
            "Take it in the order of the list: lock, compare, and then four short statements for a stream that is still "
            "live. `empty_shelf` above has the same frame.",
            "`SELECT * INTO stream FROM streams s WHERE s.id = archive_stream.stream_id FOR UPDATE;` takes the lock and "
            "the row. `IF stream.id IS NULL OR stream.version <> expected_version THEN` covers both reasons to refuse: "
            "with NULL for expected_version, the comparison is not true.",
            "The move is two statements, in this order:\n\n```sql\n"
            "INSERT INTO archived_events SELECT * FROM events e WHERE e.stream_id = archive_stream.stream_id;\n"
            "DELETE FROM events e WHERE e.stream_id = archive_stream.stream_id;\n```\n\n"
            "`GET DIAGNOSTICS moved = ROW_COUNT;` right after the DELETE counts them.",
            "What stands around the move:\n\n```sql\n"
            "IF stream.archived_at IS NULL THEN\n"
            "    UPDATE streams s SET archived_at = clock_timestamp() WHERE s.id = archive_stream.stream_id;\n"
            "    -- the move, and the count\n"
            "    DELETE FROM snapshots s WHERE s.stream_id = archive_stream.stream_id;\n"
            "END IF;\n```",
        ),
    ),
    Exercise(
        id="09.3",
        title="Your own append refuses",
        minutes=3,
        difficulty="easy",
        keeps="schema/40_append_to_stream.sql",
        given=WITHOUT_APPEND,
        checks=(
            an_archived_stream_is_refused,
            the_refusal_names_the_stream,
            a_live_stream_goes_on,
            another_event_under_its_id_is_refused,
            an_archive_under_way_is_waited_for,
            *looks(*REFUSES),
        ),
        hints=(
            "First lock, then look. The first statement has the stream's row in hand: let it return `archived_at`, too.",
            "`RETURNING s.version - added, s.archived_at INTO actual, archived;` with `archived timestamptz;` among the "
            "variables. Then look at it, before versions are compared.",
            "```sql\n"
            "IF archived IS NOT NULL THEN\n"
            "    RAISE EXCEPTION 'Stream % was archived at %', append_to_stream.stream_id, archived\n"
            "        USING ERRCODE = 'ES003';\n"
            "END IF;\n```\n\n"
            "And beside `e.version - n = expected_version`: `AND (e.type, e.data) = (event ->> 'type', event -> 'data')`.",
        ),
    ),
    Exercise(
        id="09.4",
        title="Your own rebuild reads the log",
        minutes=2,
        difficulty="easy",
        keeps="projections.py",
        given=whole_schema(),
        checks=(
            archived_events_count,
            archived_events_have_their_place,
            *looks(*REBUILD, setup=AccountBalances().create),
        ),
        hints=(
            "Your rebuild reads a table. Which of the two tables holds what a read model is made of?",
            "Both. One word changes: a view, `log`, puts them together.",
            "`FROM log` in the place of `FROM events`. It is in no order by itself, so the ORDER BY stays.",
        ),
    ),
    Exercise(
        id="09.2",
        title="Close the books",
        minutes=10,
        difficulty="hard",
        keeps="close_books.py",
        given=whole_schema(),
        checks=(
            the_new_book_begins_with_the_balance,
            the_old_book_ends_with_the_sum,
            the_old_book_is_in_the_archive,
            the_next_year_goes_on,
            money_stays_exact,
            there_has_to_be_an_open_book,
            a_book_that_was_begun_is_not_touched,
            a_deposit_in_between_is_not_lost,
            a_lost_race_is_the_callers,
            *looks(*BOOKS),
        ),
        hints=(
            "Five steps: fold the old book, look whether it is open, append its last event, append the first one of the "
            "new book, archive the old one. Each is one call. Put `with store.connection.transaction():` around them.",
            "`account, version = aggregate_stream(store, old_book, BankAccount(), evolve_book)` gives you all that both "
            "events need. `account.status` is `'open'` in a book that can be closed, and `'unknown'` where there is none.",
            "Which versions? The closing event rests on what was read: `expected_version=version`. The new book must not "
            "be there yet: `expected_version=NO_STREAM`. Both raise WrongExpectedVersion, and an error that leaves the "
            "`with` block rolls everything back.",
            "```python\n"
            "store.append(old_book, [BooksClosed(account_id, account.balance, new_book)], expected_version=version)\n"
            "store.append(\n"
            "    new_book,\n"
            "    [BalanceBroughtForward(account_id, account.currency, account.balance)],\n"
            "    expected_version=NO_STREAM,\n"
            ")\n"
            "archive_stream(store, old_book)\n```",
        ),
    ),
)
