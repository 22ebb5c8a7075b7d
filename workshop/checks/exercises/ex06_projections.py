"""The exercises of notebook 06: two read models, the append's own transaction around them, and a rebuild."""

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from eventstore import (
    NO_STREAM,
    STREAM_EXISTS,
    EventStore,
    EventTypes,
    InvalidEvent,
    Projection,
    RecordedEvent,
    WrongExpectedVersion,
)

from ...bank import AccountClosed, AccountOpened, CashierEmployed, CashWithdrawn, DepositRecorded, event_types, examples
from ...bank.examples import closed, deposited, employed, opened, withdrawn
from ...bank.read_models import AccountBalances, CashierDashboard
from ...server.database import Database
from ..arranged import append, many, moment, put
from ..exercise import Exercise
from ..given import core_schema
from ..hunts import Hunt, Slip, checks_of
from ..looks import looks
from ..sandbox import Broken, Sandbox, expect, own_sandbox
from ..scene import Advice, Call, Cases, Did, Scene, Somebody
from ..words import words


class Log:
    """Records events as the store would, without storing them: each stream's versions count up.

    Args:
        versions: of streams that hold events already, by the account.
    """

    def __init__(self, **versions: int) -> None:
        self._versions = Counter({account.replace("_", "-"): version for account, version in versions.items()})

    def __call__(self, *events: Any) -> list[RecordedEvent]:
        return [self._record(event) for event in events]

    def _record(self, event: Any) -> RecordedEvent:
        stream_id = event.cashier_id if isinstance(event, CashierEmployed) else event.account_id
        self._versions[stream_id] += 1
        position = self._versions.total()
        moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
        type = event.__class__.__name__
        return RecordedEvent(
            stream_id, self._versions[stream_id], position, UUID(int=position), type, event, {}, moment
        )


# 06.1 each account's balance


def balances(sandbox: Sandbox) -> dict[str, tuple[Decimal, int]]:
    """Return what account_balances holds: for each account its balance and its version."""
    rows = sandbox.execute("SELECT account_id, balance, version FROM account_balances ORDER BY account_id")
    return {account: (balance, version) for account, balance, version in rows}


def balances_after(sandbox: Sandbox, *calls: Sequence[Any]) -> dict[str, tuple[Decimal, int]]:
    """Return what account_balances holds when the answer was called with each of these lists of events."""
    AccountBalances().create(sandbox.database.connection)
    log = Log()
    for events in calls:
        sandbox.answer(sandbox.database.connection, log(*events))
    return balances(sandbox)


def balance_after(sandbox: Sandbox, *calls: Sequence[Any]) -> tuple[Decimal, int] | tuple[None, None]:
    return balances_after(sandbox, *calls).get("account-1", (None, None))


def an_opened_account_has_a_row(sandbox: Sandbox) -> None:
    """An account that was opened has a row"""
    found = balances_after(sandbox, [opened()])
    assert "account-1" in found, (
        f"After AccountOpened, account_balances should hold a row for account-1. It holds {list(found) or 'no row'}. "
        "What happened is recorded.event: match that one, and its account has a row, whether money was moved or not."
    )
    assert found["account-1"] == (0, 1), (
        f"A new account holds 0, at version 1. Its row says {found['account-1'][0]}, at version {found['account-1'][1]}."
    )


def money_goes_in_and_out(sandbox: Sandbox) -> None:
    """Deposits are added, withdrawals taken off"""
    balance, _ = balance_after(sandbox, [opened(), deposited(100), deposited(50), withdrawn(30)])
    assert balance == 120, (
        "One call with AccountOpened, deposits of 100 and 50 and a withdrawal of 30 should leave 120. "
        f"The row says {balance}."
    )


def the_next_call_goes_on(sandbox: Sandbox) -> None:
    """The next call goes on from what is there"""
    balance, _ = balance_after(sandbox, [opened(), deposited(100)], [deposited(20)], [withdrawn(5)])
    assert balance == 115, (
        "Three calls brought 100, then 20 more, then took 5: that makes 115. "
        f"The row says {balance}. "
        + (
            "Does something survive from the call before, such as a dictionary outside the function? What a call gathers "
            "begins with nothing."
            if balance and balance > 115
            else "Where the row is there already, add to what it holds: "
            "`DO UPDATE SET balance = b.balance + excluded.balance`."
        )
    )


def accounts_do_not_mix(sandbox: Sandbox) -> None:
    """One call can be about several accounts"""
    one, two = "account-1", "account-2"
    found = balances_after(
        sandbox,
        [opened(one), opened(two), deposited(100, one), deposited(7, two), withdrawn(1, one)],
        [deposited(3, two)],
    )
    amounts = {account: balance for account, (balance, _) in found.items()}
    assert amounts == {one: 99, two: 10}, (
        "The events of two accounts came mixed, as they do in a rebuild. account-1 should hold 99 and account-2 10. "
        f"The rows say {', '.join(f'{account}: {amount}' for account, amount in amounts.items())}."
    )


def the_version_is_the_last_ones(sandbox: Sandbox) -> None:
    """The version is that of the account's last event"""
    one, two = "account-1", "account-2"
    found = balances_after(
        sandbox, [opened(one), opened(two), deposited(5, one)], [withdrawn(5, one), AccountClosed(one)]
    )
    versions = {account: version for account, (_, version) in found.items()}
    assert one in versions, (
        "account-1 was closed, and its row is gone. An account that was opened has a row, whatever comes."
    )
    assert versions == {one: 4, two: 1}, (
        "account-1 has four events, the last one AccountClosed, and account-2 has one. Their rows say "
        f"{', '.join(f'{account}: {version}' for account, version in versions.items())}. "
        "Each event brings its place in its own stream, recorded.version, and one that moves no money has it too."
    )


def money_stays_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    balance, _ = balance_after(sandbox, [opened(), *[deposited("0.10")] * 3], [deposited("12345678901234567.89")])
    assert balance == Decimal("12345678901234568.19"), (
        f"Three times 0.10 and 12345678901234567.89 are 12345678901234568.19. The row says {balance}. "
        "Did a float come in between? Keep the Decimal; the database's twin of it is numeric."
    )


def in_a_transaction(task: Callable[[psycopg.Connection], Any]) -> Callable[[psycopg.Connection], None]:
    def run(connection: psycopg.Connection) -> None:
        with connection.transaction():
            task(connection)

    return run


def _projects(name: str) -> Call:
    """Return the call of a projection: in a transaction, as an append makes it; what it returns is no matter."""
    return Call(
        f"{name}(connection, {{}})",
        lambda project, stage, events: in_a_transaction(lambda it: project(it, events))(stage.connection),
    )


def _add(account: str, amount: str, version: int) -> str:
    """Return the SQL of somebody else's append: what it does to the row of an account."""
    return (
        f"INSERT INTO account_balances AS b VALUES ('{account}', {amount}, {version}) ON CONFLICT (account_id)"
        " DO UPDATE SET balance = b.balance + excluded.balance, version = excluded.version;"
    )


OF_BALANCES = Advice(
    "It needs no more than the connection and the events.",
    "Money stays exact, to the last digit, and nothing is rounded: 0.005 is half a cent. Each event counts once, for its own "
    "account, and the row has the version of the last one: rows of other accounts stay as they are.",
    "It takes part in the caller's transaction, changes the rows of these accounts alone, and every error is the caller's to see.",
)
_ACCOUNTS = _add("account-1", "100.10", 9) + _add("account-3", "-5", 2)
_MOVEMENTS: tuple[list[Any], ...] = (
    *([move(amount)] for amount in examples.AMOUNTS for move in (deposited, withdrawn)),
    *([opened(id), deposited(1, id, "cashier-2")] for id in examples.IDS if id != "account-1"),
    [closed()],
    [opened("account-2"), closed("account-2")],
    [deposited(5), deposited(5), withdrawn(5), withdrawn(5), deposited(5)],
    [deposited(1) for _ in range(12)],
    [withdrawn("0.01", "account-3"), deposited("0.02"), withdrawn("0.03", "account-3"), closed()],
    [event for number in range(12, 1, -1) for event in (opened(f"a-{number}"), deposited(number, f"a-{number}"))],
)
BALANCES = (
    Cases(
        call=_projects("project_balances"),
        story="account-1 holds 100.10, at version 9, and account-3 holds -5, at version 2",
        before=_ACCOUNTS,
        given=(
            *((Log(account_1=9, account_3=2)(*events),) for events in _MOVEMENTS),
            (Log(account_1=2**31)(deposited(1)),),
        ),
        advice=OF_BALANCES,
    ),
    Scene(
        call=_projects("project_balances"),
        story="account-1 holds 100.10, at version 9, and account-3 holds -5, at version 2",
        before=_ACCOUNTS,
        given=(Log(account_1=9)(deposited(10), opened("account-2"), deposited(20, "account-2"), withdrawn(5)),),
        stranger=Somebody("takes 7 into account-3", _add("account-3", "7", 3)),
        advice=OF_BALANCES,
    ),
)


# 06.2 the cashiers' dashboard

Row = tuple[str | None, int, Decimal]


def dashboard(sandbox: Sandbox) -> dict[str, Row]:
    """Return what cashier_dashboard holds: for each cashier their name, how many deposits, and how much."""
    rows = sandbox.execute("SELECT cashier_id, name, deposits, total FROM cashier_dashboard ORDER BY cashier_id")
    return {cashier: (name, deposits, total) for cashier, name, deposits, total in rows}


def dashboard_after(sandbox: Sandbox, *calls: Sequence[Any]) -> dict[str, Row]:
    """Return what cashier_dashboard holds when the answer was called with each of these lists of events."""
    CashierDashboard().create(sandbox.database.connection)
    log = Log()
    for events in calls:
        with sandbox.database.connection.transaction():  # the append's
            sandbox.answer(sandbox.database.connection, log(*events))
    return dashboard(sandbox)


def show(row: Row | None) -> str:
    return "is not there" if row is None else f"says name {row[0]!r}, deposits {row[1]}, total {row[2]}"


def deposits_count_for_their_cashier(sandbox: Sandbox) -> None:
    """A deposit counts for its cashier, whatever the account"""
    anna = employed()
    found = dashboard_after(sandbox, [anna, deposited("0.10", "account-1"), deposited("0.20", "account-2")])
    row = found.get("cashier-1")
    assert row is None or row[0] == "Anna", (
        "CashierEmployed said that cashier-1 is Anna, then came two deposits. The name in the row should be 'Anna', and it is "
        f"{row and row[0]!r}: an event without a name must not take it away, `SET name = coalesce(excluded.name, d.name)`."
    )
    assert row == ("Anna", 2, Decimal("0.30")), (
        "Anna took 0.10 into account-1 and 0.20 into account-2: 2 deposits, 0.30 in all. "
        f"The row of cashier-1 {show(row)}."
    )


def cashiers_do_not_mix(sandbox: Sandbox) -> None:
    """Each cashier has a row of their own"""
    found = dashboard_after(
        sandbox,
        [deposited(10, cashier="cashier-1"), deposited(5, cashier="cashier-2"), deposited(1, cashier="cashier-1")],
    )
    amounts = {cashier: (deposits, total) for cashier, (_, deposits, total) in found.items()}
    assert amounts, (
        "One call brought deposits by two cashiers, and there is no row of theirs. Are their ids among those that you write, "
        "without a name, too? An UPDATE alone changes nothing where no row is there yet: INSERT ... ON CONFLICT (cashier_id) DO UPDATE."
    )
    assert amounts == {"cashier-1": (2, 11), "cashier-2": (1, 5)}, (
        "One call brought deposits of 10 and 1 by cashier-1 and of 5 by cashier-2: the rows should say 2 deposits, 11, and "
        "1 deposits, 5. They say "
        f"{', '.join(f'{cashier}: {count} deposits, {total}' for cashier, (count, total) in amounts.items())}."
    )


def a_cashier_without_deposits_is_shown(sandbox: Sandbox) -> None:
    """A cashier without deposits is shown with 0"""
    found = dashboard_after(sandbox, [employed()]).get("cashier-1")
    assert found == ("Anna", 0, 0), (
        f"Anna was employed and took no deposit yet: 0 deposits, 0 in all. The row of cashier-1 {show(found)}."
    )


def the_dashboard_goes_on(sandbox: Sandbox) -> None:
    """The next call goes on from what is there"""
    found = dashboard_after(sandbox, [deposited(10)], [deposited(5), deposited(1)]).get("cashier-1")
    assert found is not None and found[1:] == (3, 16), (
        "A call brought a deposit of 10, the next one 5 and 1: that makes 3 deposits, 16 in all. "
        f"The row of cashier-1 {show(found)}."
    )


def whatever_order(sandbox: Sandbox) -> None:
    """The streams can come in any order"""
    anna, money = employed(), deposited(10)
    for when, calls in (
        ("after the deposit", ([money], [anna])),
        ("before the deposit", ([anna], [money])),
        ("after the deposit, in the same call", ([money, anna],)),
    ):
        with sandbox.database.connection.transaction(force_rollback=True):
            found = dashboard_after(sandbox, *calls).get("cashier-1")
        assert found == ("Anna", 1, 10), (
            f"CashierEmployed came {when}, and the row of cashier-1 {show(found)}. It should say the same whichever "
            "came first: name 'Anna', deposits 1, total 10. `coalesce(excluded.name, d.name)` takes the new name where "
            "there is one, and keeps the old one where there is none."
        )


def a_later_name_counts(sandbox: Sandbox) -> None:
    """A later name replaces the earlier one"""
    anna, maria = employed(), employed(name="Anna Maria")
    for calls in ([anna], [maria]), ([anna, maria],):
        with sandbox.database.connection.transaction(force_rollback=True):
            found = dashboard_after(sandbox, *calls)["cashier-1"]
        assert found[0] == "Anna Maria", (
            f"cashier-1 was employed as Anna, and then{'' if len(calls) > 1 else ', in the same call,'} as Anna Maria. The "
            f"row {show(found)}. The later name counts: `coalesce(excluded.name, d.name)` has it come first."
        )


def totals_stay_exact(sandbox: Sandbox) -> None:
    """Money stays exact"""
    found = dashboard_after(sandbox, [deposited("12345678901234567.89")], [deposited("0.005")])["cashier-1"]
    assert found[2] == Decimal("12345678901234567.895"), (
        f"12345678901234567.89 and 0.005 are 12345678901234567.895. The row {show(found)}. Did a float come in between, or was "
        "something rounded? Keep the Decimal; the database's twin of it is numeric, of an array `numeric[]`."
    )


@own_sandbox
def two_at_once_lose_nothing(sandbox: Sandbox) -> None:
    """Two appends at once lose nothing"""
    dashboard_after(sandbox, [deposited(1)])
    sandbox.while_open(
        lambda one: sandbox.answer(one, Log()(deposited(10, "account-1"))),
        in_a_transaction(lambda other: sandbox.answer(other, Log()(deposited(5, "account-2")))),
    )
    found = dashboard(sandbox)["cashier-1"]
    assert found[1:] == (3, 16), (
        "cashier-1 had 1 deposit of 1. Then two appends, to two accounts, brought 10 and 5 at the same time, and the "
        f"row {show(found)}; it should say 3 deposits and 16. Was it read first, and written later? Two accounts are "
        "two streams, so the lock of a stream does not help: let one statement read and write, "
        "`SET total = d.total + excluded.total`."
    )


def _upsert(cashier: str, name: str | None, deposits: int, total: str) -> str:
    """Return the SQL of somebody else's append: what it does to the row of a cashier, in one statement."""
    named = "NULL" if name is None else f"'{name}'"
    return (
        f"INSERT INTO cashier_dashboard AS d VALUES ('{cashier}', {named}, {deposits}, {total}) ON CONFLICT (cashier_id)"
        " DO UPDATE SET name = coalesce(excluded.name, d.name), deposits = d.deposits + excluded.deposits,"
        " total = d.total + excluded.total;"
    )


def _hold(cashier: str) -> Somebody:
    """Return somebody who has the row of a cashier, and then needs the rows behind it, as everybody does in that order."""
    rows = "SELECT FROM cashier_dashboard WHERE cashier_id {} ORDER BY cashier_id FOR UPDATE"
    return Somebody(
        f"held the row of {cashier}, and then needed those behind it",
        rows.format(f"= '{cashier}'"),
        rows.format(f"> '{cashier}'"),
    )


PROJECT = _projects("project_dashboard")
OF_DASHBOARD = Advice(
    "It needs no more than the connection and the events. There can be none, and an empty array has to say its type: "
    "%s::numeric[].",
    "A row that is read first, or is not there yet, can change before it is "
    "written, and what others wrote is lost: let one statement read it, whether there is one or not, and write it, "
    "INSERT ... ON CONFLICT (cashier_id) DO UPDATE SET total = d.total + excluded.total.",
    "Gather first, then write each row once, in the order of the ids: sorted(...), of names and deposits together.",
)
_ROWS = _upsert("cashier-1", "Anna", 2, "0.30") + _upsert("cashier-3", None, 1, "7")
_SIX = [f"cashier-{number}" for number in (4, 2, 6, 1, 5, 3)]
_EVENTS: tuple[list[Any], ...] = (
    *([deposited(amount)] for amount in examples.AMOUNTS),
    *([deposited(1, id, id), employed(id, "Zoë")] for id in examples.IDS),
    [employed("cashier-1", "Anna Maria")],
    [employed("cashier-3", "Ben")],
    [employed("cashier-1", "Anna"), employed("cashier-1", "Anna Maria"), deposited(1)],
    [deposited(5), deposited(5), deposited(5, "account-2"), deposited(5, "account-2")],
    [
        deposited("0.01", cashier="cashier-3"),
        employed("cashier-3", "Ben"),
        deposited("0.02", cashier="cashier-3"),
    ],
    [event for cashier in _SIX for event in (deposited(1, cashier=cashier), employed(cashier, cashier.title()))],
    [deposited(number, f"account-{number}", f"cashier-{number}") for number in range(12)],
    [],
)
_ALONE = (
    "Each event counts once, for its own cashier, and brings what it says: the rows of other cashiers stay as they are."
)
DASHBOARDS = (
    Cases(
        call=PROJECT,
        story="The dashboard has a row of cashier-1, Anna, with 2 deposits, 0.30, and one of cashier-3, without a name",
        before=_ROWS,
        given=tuple((Log()(*events),) for events in _EVENTS),
        advice=replace(OF_DASHBOARD, rows=_ALONE),
    ),
    Scene(
        call=PROJECT,
        story="The dashboard has a row of cashier-1, Anna, with 2 deposits, 0.30, and none of cashier-2",
        before=_ROWS,
        given=(Log()(deposited(10, cashier="cashier-2"), deposited(20), employed("cashier-2", "Ben")),),
        somebody=(
            Somebody("took a deposit of 5 as cashier-1", _upsert("cashier-1", None, 1, "5")),
            Somebody("took a deposit of 5 as cashier-2", _upsert("cashier-2", None, 1, "5")),
            Somebody("gave cashier-2 the name Bob", _upsert("cashier-2", "Bob", 0, "0")),
        ),
        advice=OF_DASHBOARD,
    ),
    Scene(
        call=PROJECT,
        story="Six cashiers have a row each",
        before="".join(_upsert(cashier, None, 1, "1") for cashier in _SIX),
        given=(
            Log()(
                *(deposited(1, cashier=cashier) for cashier in _SIX),
                *(employed(cashier, cashier.title()) for cashier in _SIX[::2]),
            ),
        ),
        somebody=tuple(map(_hold, sorted(_SIX))),
        breaks=False,
        advice=OF_DASHBOARD,
    ),
)


# 06.3 the append and its projections as one


class Spy(Projection):
    """A projection that notes what it was shown, and does what a check wants to happen meanwhile."""

    table = "spied"
    handles = (DepositRecorded,)

    def __init__(self, meanwhile: Callable[[], object] = lambda: None):
        self.calls: list[list[RecordedEvent]] = []
        self._meanwhile = meanwhile

    def create(self, connection: psycopg.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS spied ()")

    def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        self.calls.append(list(events))
        self._meanwhile()

    @property
    def seen(self) -> list[RecordedEvent]:
        return [recorded for call in self.calls for recorded in call]


def fail() -> None:
    raise Broken("a bug in the projection")


def bank(sandbox: Sandbox, connection: psycopg.Connection | None = None) -> EventStore:
    """Return a store without projections, with the table of account_balances beside it."""
    AccountBalances().create(sandbox.database.connection)
    return sandbox.store(connection=connection)


def stored(sandbox: Sandbox) -> list[str]:
    """Return the types of the events of account-1."""
    return [type for _, type in sandbox.stream()]


@own_sandbox
def both_are_there_at_once(sandbox: Sandbox) -> None:
    """When it returns, another connection sees the events and the row"""
    store = bank(sandbox, sandbox.database.connect())
    try:
        returned = sandbox.answer(store, [AccountBalances()], "account-1", [opened(), deposited(100)])
    except AttributeError as error:
        if not {"wanted", "project"} & {frame.name for frame in traceback.extract_tb(error.__traceback__)}:
            raise
        raise AssertionError(
            f"A projection takes recorded events, and was shown one that is not (AttributeError: {error}). An event is recorded "
            "by the append: append first, then read back what it has stored with read_stream."
        ) from None
    assert stored(sandbox) == ["AccountOpened", "DepositRecorded"], (
        "After append_and_project(store, projections, 'account-1', [AccountOpened, DepositRecorded]) another connection "
        f"finds these events in account-1: {stored(sandbox) or 'none'}."
    )
    assert balances(sandbox) == {"account-1": (100, 2)}, (
        "Another connection should find account-1 with 100, at version 2, in account_balances. "
        f"It finds {balances(sandbox) or 'no row'}."
    )
    assert getattr(returned, "version", None) == 2, (
        f"It should return what store.append returned, which says version 2. It returned {returned!r}."
    )


@own_sandbox
def it_takes_part_in_the_callers_transaction(sandbox: Sandbox) -> None:
    """In the caller's transaction, it commits or rolls back with it"""
    connection = sandbox.database.connect(autocommit=False)
    store = bank(sandbox, connection)
    store.execute("SELECT 'the transaction of the caller has begun'")
    sandbox.answer(store, [AccountBalances()], "account-1", [opened(), deposited(100)])
    connection.rollback()
    assert not stored(sandbox) and not balances(sandbox), (
        "The caller had begun a transaction, called append_and_project in it, and rolled back. What is there all the "
        f"same: the events {stored(sandbox)}, the rows {balances(sandbox)}. Do not commit: "
        "`with store.connection.transaction():` is a transaction where there is none, and else a part of the caller's."
    )


def only_new_events_are_projected(sandbox: Sandbox) -> None:
    """Each event is projected once"""
    store = bank(sandbox)
    for events in ([opened(), deposited(100)], [deposited(20), withdrawn(5)], [deposited(1)]):
        sandbox.answer(store, [AccountBalances()], "account-1", events)
    assert balances(sandbox) == {"account-1": (116, 5)}, (
        "Three appends brought 100, then 20 and a withdrawal of 5, then 1. The row should say 116, at version 5. "
        f"It says {balances(sandbox).get('account-1')}. Show the projections the events of this append, all of them and no "
        "others: they begin at `appended.version - len(events) + 1`."
    )


def a_projection_sees_what_it_handles(sandbox: Sandbox) -> None:
    """Each projection sees the events that it handles, and no others"""
    store, first, second = bank(sandbox), Spy(), Spy()
    sandbox.answer(store, [first, second], "account-1", [opened(), deposited(100), withdrawn(5), deposited(1)])
    for spy in (first, second):
        types = [recorded.type for recorded in spy.seen]
        assert types == ["DepositRecorded"] * 2, (
            "Two projections that handle DepositRecorded should both see the two deposits of the append, as recorded "
            f"events. One of them saw {types or 'nothing'}. `projection.wanted(recorded)` picks what it handles."
        )
    sandbox.answer(store, [first], "account-1", [withdrawn(1)])
    assert [] not in first.calls, (
        "An append without any event that the projection handles called its project() with an empty list. "
        "Spare it the call."
    )


def a_projection_that_raises_leaves_no_event(sandbox: Sandbox) -> None:
    """A projection that raises leaves no event and no row"""
    store = bank(sandbox)
    sandbox.answer(store, [AccountBalances()], "account-1", [opened()])
    with expect(
        Broken,
        "A projection raised an error, and append_and_project did not pass it on. Whoever called it believes that "
        "all is well: let the error through.",
    ):
        sandbox.answer(store, [AccountBalances(), Spy(fail)], "account-1", [deposited(100)])
    assert stored(sandbox) == ["AccountOpened"], (
        "A projection raised an error, and its event is stored all the same, while the read model knows nothing of it: "
        "they will never agree again. Put the append and the projections into one transaction."
    )
    assert balances(sandbox) == {"account-1": (0, 1)}, (
        "Of two projections the second one raised. The event is undone, and the row that the first one wrote is not."
    )


def a_lost_race_changes_no_row(sandbox: Sandbox) -> None:
    """A lost race leaves the read model as it was"""
    store = bank(sandbox)
    sandbox.answer(store, [AccountBalances()], "account-1", [opened(), deposited(100)], expected_version=0)
    try:
        returned = sandbox.answer(store, [AccountBalances()], "account-1", [deposited(7)], expected_version=1)
    except WrongExpectedVersion:
        returned = None
    else:
        raise AssertionError(
            "account-1 was at version 2 and version 1 was expected: WrongExpectedVersion should come through. "
            f"append_and_project returned {returned!r}. Is `**how` passed on to store.append?"
        )
    assert balances(sandbox) == {"account-1": (100, 2)}, (
        f"An append lost the race and stored nothing, and the row says {balances(sandbox).get('account-1')} instead of "
        "(100, 2). Project what was stored, after it was stored."
    )


def a_repeated_append_is_projected_once(sandbox: Sandbox) -> None:
    """An append that is repeated is projected once"""
    store = bank(sandbox)
    how = {"expected_version": 0, "event_ids": [UUID(int=1), UUID(int=2)]}
    for _ in range(2):
        sandbox.answer(store, [AccountBalances()], "account-1", [opened(), deposited(100)], **how)
    assert len(stored(sandbox)) == 2, "The append was sent twice with the same event_ids. Is `**how` passed on?"
    assert balances(sandbox) == {"account-1": (100, 2)}, (
        "An append was sent twice, because its first answer was lost. The store kept the events once, and the row says "
        f"{balances(sandbox).get('account-1')} instead of (100, 2). `appended.repeated` says that nothing new was stored."
    )


# A class was renamed. Its events are stored under the old name still.
_TYPES = EventTypes(AccountOpened, DepositRecorded, CashWithdrawn, CashierEmployed, AccountEnded=AccountClosed)


def _append_and_project(answer: Callable, stage: Any, stream_id: str, events: list[Any], how: dict[str, Any]) -> Any:
    """Call the answer with a read model, and with a spy, whose calls are places; return the version it returned, and what the spy saw."""
    balances, spy = AccountBalances(), Spy()
    for projection in (balances, spy):
        projection.project = stage.place(projection.project)  # type: ignore[method-assign]
    returned = answer(stage.store(types=_TYPES), [balances, spy], stream_id, events, **how)
    # Its position depends on who else has drawn one.
    version = f"version {returned.version}" if hasattr(returned, "version") else words(returned)
    seen = [f"{it.stream_id}, version {it.version}: {it.type}" for it in spy.seen]
    return Did(f"returned {version}, and had the second projection see {words(seen)}")


APPEND = Call(
    "append_and_project(store, [AccountBalances(), one that handles DepositRecorded], {})", _append_and_project
)
OF_BOTH = Advice(
    "It returns what append returned, and a projection sees what it handles of the events that this append has stored: others append, "
    "too, and only appended.version says where these are. Append first: then they are recorded, and nobody comes in between any "
    "more. Every error goes to the caller.",
    "Each new event counts once in the read model, and no other one does: `projection.wanted` of what this append has stored, read "
    "back from_version=appended.version - len(events) + 1.",
    "One transaction for both, `with store.connection.transaction():`, which is a part of the caller's where there is one.",
)
_IDS = tuple(str(UUID(int=number)) for number in (7, 8, 9))
_HISTORY = append("account-1", opened(), *[deposited(1)] * 8) + _add("account-1", "8", 9)
_REPEATED = [deposited(5), withdrawn(3), deposited(4)]
BOTH = (
    Cases(
        call=APPEND,
        story="account-1 is at version 12, and holds 14. Its last three events have ids that are known. AccountClosed is stored as "
        "AccountEnded",
        before=_HISTORY + append("account-1", *_REPEATED, ids=_IDS) + _add("account-1", "6", 12),
        given=(
            *(("account-1", [deposited(1)] * size, {}) for size in (1, 2, 9)),
            ("account-1", [withdrawn(1)], {}),
            ("account-1", [withdrawn(1), deposited(2), closed()], {"expected_version": 12}),
            ("account-1", [deposited(2)], {"expected_version": STREAM_EXISTS, "metadata": {"by": "anna"}}),
            ("account-1", [deposited(2)], {"expected_version": 9}),
            ("account-1", [deposited(2)], {"expected_version": NO_STREAM}),
            ("account-1", _REPEATED, {"expected_version": 9, "event_ids": [*map(UUID, _IDS)]}),
            ("account-1", [deposited(1), deposited(1)], {"event_ids": [UUID(int=1), UUID(int=2)]}),
            ("a", [opened("a"), deposited("0.005", "a")], {"expected_version": NO_STREAM}),
            ("account-1", [deposited(1), "no event"], {}),
        ),
        advice=OF_BOTH,
    ),
    Scene(
        call=APPEND,
        story="account-1 is at version 9, and holds 8",
        before=_HISTORY,
        given=("account-1", [deposited(10), withdrawn(1)], {}),
        somebody=(
            Somebody(
                "appended a deposit of 5 to account-1", append("account-1", deposited(5)) + _add("account-1", "5", 10)
            ),
        ),
        stranger=Somebody("appends to account-2", append("account-2", opened("account-2")) + _add("account-2", "0", 1)),
        advice=OF_BOTH,
    ),
    Scene(
        call=APPEND,
        story="There is no account-3",
        given=("account-3", [deposited(10, "account-3")], {}),
        somebody=(
            Somebody(
                "deposited 5 in account-3",
                append("account-3", deposited(5, "account-3")),
                then=_add("account-3", "5", 1),
            ),
        ),
        breaks=False,
        advice=OF_BOTH,
    ),
)


# 06.4 rebuild


def a_bank_with_history(sandbox: Sandbox, connection: psycopg.Connection | None = None) -> EventStore:
    """Return a store with two accounts, whose read model is right."""
    AccountBalances().create(sandbox.database.connection)
    store = sandbox.store(AccountBalances(), connection=connection)
    store.append("account-1", [opened("account-1"), deposited(100, "account-1")])
    store.append("account-2", [opened("account-2"), deposited(7, "account-2")])
    store.append("account-1", [withdrawn(30, "account-1")])
    return store


RIGHT = {"account-1": (70, 3), "account-2": (7, 2)}


def rebuilt(sandbox: Sandbox, store: EventStore, projection: Projection) -> None:
    """Have the answer rebuild."""
    try:
        sandbox.answer(store, projection)
    except (TypeError, InvalidEvent) as error:
        if "bytes-like" not in str(error):
            raise
        raise AssertionError(
            f"psycopg makes a dictionary of JSON, and types.record(row) wants the text ({error}): data::text, metadata::text."
        ) from None


def wrong_rows_become_right(sandbox: Sandbox) -> None:
    """Wrong rows become right"""
    store = a_bank_with_history(sandbox)
    sandbox.execute("UPDATE account_balances SET balance = 999 WHERE account_id = 'account-1'")
    sandbox.execute("DELETE FROM account_balances WHERE account_id = 'account-2'")
    sandbox.execute("INSERT INTO account_balances VALUES ('account-3', 5, 1)")
    rebuilt(sandbox, store, AccountBalances())
    found = balances(sandbox)
    assert "account-3" not in found, (
        "The read model had a row for account-3, which has no event, and it is still there. Empty the table first."
    )
    assert found == RIGHT, (
        f"From the log, account_balances should hold {show_all(RIGHT)}. It holds {show_all(found)}. "
        + (
            "The log is shorter than a batch here, and the last batch counts, too, with fewer than 500."
            if not found
            else ""
        )
    )
    sandbox.answer(store, AccountBalances())
    assert balances(sandbox) == RIGHT, "A second rebuild changed what the first one had made right."


def show_all(rows: Mapping[str, tuple[Decimal | int, int]]) -> str:
    return "; ".join(f"{account}: {amount} at version {version}" for account, (amount, version) in rows.items()) or (
        "no row"
    )


def it_replays_in_log_order(sandbox: Sandbox) -> None:
    """It replays the events that the projection handles, in the order of the log"""
    store, spy = a_bank_with_history(sandbox), Spy()
    spy.create(sandbox.database.connection)
    store.append("account-2", [deposited(1, "account-2")])
    store.append("account-1", [deposited(2, "account-1")], metadata={"user": "anna"})
    rebuilt(sandbox, store, spy)
    strangers = {recorded.type for recorded in spy.seen} - {"DepositRecorded"}
    assert not strangers, (
        f"The projection handles DepositRecorded, and it was shown {', '.join(sorted(strangers))} as well. "
        "Read `WHERE type = ANY (...)`, with `store.types.names(projection.handles)`."
    )
    amounts = [int(recorded.event.amount) for recorded in spy.seen]
    assert amounts == [100, 7, 1, 2], (
        "The log holds deposits of 100, 7, 1 and 2, in this order, in two streams. "
        f"The projection saw {amounts}. The order of the log is that of `position`."
    )
    last = store.read_stream("account-1")[-1]
    assert spy.seen[-1] == last, (
        f"The last event is {last!r}. The projection saw {spy.seen[-1]!r}: `store.types.record(row)` takes the columns "
        "stream_id, version, position, id, type, data::text, metadata::text, recorded_at, in this order."
    )


def it_works_in_batches(sandbox: Sandbox) -> None:
    """It hands on at most 500 events at a time"""
    store, spy = bank(sandbox), Spy()
    spy.create(sandbox.database.connection)
    sandbox.execute(many("account-1", 1000, deposited(1)))
    sandbox.answer(store, spy)
    versions = [recorded.version for recorded in spy.seen]
    assert versions == list(range(1, 1001)), (
        f"The log holds 1000 deposits, versions 1 to 1000. The projection saw {len(versions)}, "
        f"{len(set(versions))} of them different. Does a batch begin where the one before ended?"
    )
    largest = max(map(len, spy.calls))
    assert largest <= 500, (
        f"The projection got {largest} events in one call. A log can be larger than memory: at most 500 at a time."
    )


def a_rebuild_that_fails_changes_nothing(sandbox: Sandbox) -> None:
    """A projection that raises leaves the old rows"""
    store = a_bank_with_history(sandbox)

    class Failing(AccountBalances):
        def project(self, connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
            fail()

    with expect(Broken, "A projection raised an error during the rebuild, and rebuild did not pass it on."):
        sandbox.answer(store, Failing())
    assert balances(sandbox) == RIGHT, (
        "A projection raised an error in the middle of a rebuild. The read model should be as it was before: "
        f"{show_all(RIGHT)}. It holds {show_all(balances(sandbox))}. Do all of it in one transaction."
    )


def _rebuild(answer: Callable, stage: Any, names: dict[str, Any]) -> Any:
    """Call the answer with a read model whose calls are places, and classes that are stored under other names, too."""
    types = EventTypes(AccountOpened, DepositRecorded, CashWithdrawn, AccountClosed, CashierEmployed, **names)
    balances = AccountBalances()
    seen: list[str] = []
    project = stage.place(balances.project)

    def noting(connection: psycopg.Connection, events: Sequence[RecordedEvent]) -> None:
        seen.extend(f"{it.stream_id}, version {it.version}" for it in events)
        project(connection, events)

    balances.project = noting  # type: ignore[method-assign]
    answer(stage.store(types=types), balances)
    return Did(f"had the projection see {words(seen)}")


REBUILDS = Call("rebuild_read_model(store, AccountBalances())", _rebuild)
OF_REBUILD = Advice(
    "The projection sees the events that it handles, under all names that they are stored under, store.types.names(projection.handles), "
    "in the order of the log, which is that of position, and no moment is.",
    "First the lock, LOCK TABLE ... IN SHARE ROW EXCLUSIVE MODE: what holds it up has then committed, and what comes later waits "
    "until all is done. Then empty the table, then read the log.",
    "All of it in one transaction, and the lock first, IN SHARE ROW EXCLUSIVE MODE, which keeps out writers of this one table: in a weaker mode, "
    "others can hold it, too, and TRUNCATE, DROP, and LOCK TABLE without a mode, shut readers out.",
)
_UNDISTURBED = replace(
    OF_REBUILD, rows="All old rows go, DELETE FROM, whether an event comes after that or not; then each counts once."
)
_ALL_WRONG = _add("account-1", "999", 1) + _add("account-9", "5", 1)
_A_NEW_ACCOUNT = append("account-3", opened("account-3"), deposited(50, "account-3"))
REBUILD = (
    Cases(
        call=REBUILDS,
        story="The log holds events of account-1 and account-2, mixed, and of a cashier; they lie in the table in another order, and have moments in a third",
        before=_ALL_WRONG
        + "".join(
            put(
                account,
                event,
                first=version,
                at=lambda _, number=number: moment(20 - number),  # type: ignore[misc]
                position=lambda _, position=position: position,  # type: ignore[misc]
            )
            for number, (position, account, version, event) in enumerate(
                (
                    (100, "account-1", 3, {"type": "MoneyPaidIn", "data": msgspec.to_builtins(deposited(7))}),
                    (3, "account-2", 1, opened("account-2")),
                    (2**31 + 1, "account-2", 3, closed("account-2")),
                    (4, "cashier-1", 1, employed()),
                    (10, "account-2", 2, deposited("0.005", "account-2")),
                    (9, "account-1", 1, opened()),
                    (2**31, "account-1", 4, withdrawn(30)),
                    (11, "account-1", 2, deposited(100)),
                )
            )
        ),
        given=(({"MoneyPaidIn": DepositRecorded},),),
        advice=_UNDISTURBED,
    ),
    Cases(call=REBUILDS, story="The log is empty", before=_ALL_WRONG, given=(({},),), advice=_UNDISTURBED),
    Scene(
        call=REBUILDS,
        story="The log holds two events of account-1 and two of account-2, and the read model is wrong",
        before=append("account-1", opened(), deposited(100))
        + append("account-2", opened("account-2"), deposited(7, "account-2"))
        + _ALL_WRONG,
        given=({},),
        somebody=(
            Somebody("opened account-3 with 50", _A_NEW_ACCOUNT + _add("account-3", "50", 2)),
            Somebody(
                "had opened account-3 with 50, and then wrote its row", _A_NEW_ACCOUNT, _add("account-3", "50", 2)
            ),
            Somebody(
                "held the table together with others, and then emptied it",
                "LOCK TABLE account_balances IN SHARE MODE",
                then="DELETE FROM account_balances",
            ),
        ),
        stranger=Somebody("appends what this read model does not handle", append("cashier-1", employed())),
        advice=OF_REBUILD,
    ),
)

# 06.5 the hunt


class SuspiciousStore(EventStore):
    """A store that keeps the cashiers' dashboard by the answers to 06.2 and 06.3."""

    def __init__(self, database: Database, project: Callable, append_and_project: Callable):
        super().__init__(database.connection, event_types())
        self._dashboard, self._append = CashierDashboard(), append_and_project
        self._dashboard.project = project  # type: ignore[method-assign]
        database.execute("DROP TABLE IF EXISTS cashier_dashboard")
        self._dashboard.create(database.connection)

    def append(self, stream_id: str, events: Any, **how: Any) -> Any:
        plain = EventStore(self.connection, self.types)
        return self._append(plain, [self._dashboard], stream_id, list(events), **how)

    def row(self, cashier_id: str) -> tuple | None:
        """Return a cashier's name, deposits and total, None where there is no row."""
        query = "SELECT name, deposits, total FROM cashier_dashboard WHERE cashier_id = %s"
        return self.execute(query, (cashier_id,)).fetchone()


HUNT = Hunt(
    kind="store",
    promises=4,
    made_of=("06.2", "06.3"),
    build=SuspiciousStore,
    slips=(
        Slip(2, "a deposit wipes out the name.", "06.2", {"coalesce(excluded.name, d.name)": "excluded.name"}),
        Slip(2, "it replaces what was there.", "06.2", {"d.deposits + excluded.deposits, total = d.total + excluded.total": "excluded.deposits, total = excluded.total"}),
        Slip(2, "each append counts its whole stream again.", "06.3", {", from_version=appended.version - len(events) + 1": ""}),
        Slip(1, "of several deposits in one append, it counts the last alone.", "06.3", {" - len(events) + 1": ""}),
        Slip(1, "of a cashier's deposits in one append, it adds up the last alone.", "06.2", {"totals[cashier_id] += amount": "totals[cashier_id] = amount"}),
        Slip(1, "it gives each cashier the sum of all.", "06.2", {"[totals[cashier] for": "[sum(totals.values()) for"}),
        Slip(3, "it passes by the deposits of those who have no row yet.", "06.2", {
            "names.keys() | totals.keys()": "names.keys() | totals.keys() & {row[0] for row in connection.execute('SELECT cashier_id FROM cashier_dashboard')}"}),
        Slip(4, "it counts an append again that is repeated.", "06.3", {"if not appended.repeated:": "if True:"}),
    ),
)  # fmt: skip


EXERCISES = (
    Exercise(
        id="06.1",
        title="The balance of every account",
        minutes=10,
        difficulty="medium",
        keeps="account_balances.py",
        fast_track=True,
        checks=(
            an_opened_account_has_a_row,
            money_goes_in_and_out,
            the_next_call_goes_on,
            accounts_do_not_mix,
            the_version_is_the_last_ones,
            money_stays_exact,
            *looks(*BALANCES, setup=AccountBalances().create),
        ),
        hints=(
            "The same two halves as in `AccountsPerCurrency`: a loop that gathers, and one statement that writes. Gather "
            "two things for each account: by how much its balance changes, and the version of its last event.",
            "`changes = defaultdict(Decimal)` and `versions = {}`. In the loop, `match recorded.event:` tells deposits "
            "from withdrawals, and `versions[recorded.event.account_id] = recorded.version` is for all of them: the last "
            "one stays.",
            "The statement takes three arrays of the same length:\n\n```sql\n"
            "INSERT INTO account_balances AS b (account_id, balance, version)\n"
            "SELECT * FROM unnest(%s::text[], %s::numeric[], %s::bigint[])\n"
            "ON CONFLICT (account_id) DO UPDATE\n"
            "SET balance = b.balance + excluded.balance, version = excluded.version\n```\n\n"
            "With `accounts = sorted(versions)` they are `accounts`, `[changes[account] for account in accounts]` and "
            "`[versions[account] for account in accounts]`.",
        ),
    ),
    Exercise(
        id="06.2",
        title="The cashiers' dashboard",
        minutes=10,
        difficulty="medium",
        keeps="cashier_dashboard.py",
        checks=(
            deposits_count_for_their_cashier,
            cashiers_do_not_mix,
            a_cashier_without_deposits_is_shown,
            the_dashboard_goes_on,
            whatever_order,
            a_later_name_counts,
            totals_stay_exact,
            two_at_once_lose_nothing,
            *looks(*DASHBOARDS, setup=CashierDashboard().create),
        ),
        hints=(
            "Gather three things for each cashier: a name, if there is one, a count and a sum. A cashier belongs into the "
            "table if any of the three knows them.",
            "`names = {}`, `deposits = Counter()`, `totals = defaultdict(Decimal)`. Then "
            "`cashiers = sorted(names.keys() | totals.keys())`, and `names.get(cashier)` is None for who has no name yet.",
            "```sql\n"
            "INSERT INTO cashier_dashboard AS d (cashier_id, name, deposits, total)\n"
            "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::numeric[])\n"
            "ON CONFLICT (cashier_id) DO UPDATE\n"
            "SET name = coalesce(excluded.name, d.name),\n"
            "    deposits = d.deposits + excluded.deposits,\n"
            "    total = d.total + excluded.total\n```",
        ),
    ),
    Exercise(
        id="06.3",
        title="One transaction for both",
        minutes=8,
        difficulty="hard",
        keeps="append_and_project.py",
        given=core_schema(),
        checks=(
            both_are_there_at_once,
            it_takes_part_in_the_callers_transaction,
            only_new_events_are_projected,
            a_projection_sees_what_it_handles,
            a_projection_that_raises_leaves_no_event,
            a_lost_race_changes_no_row,
            a_repeated_append_is_projected_once,
            *looks(*BOTH, setup=AccountBalances().create),
        ),
        hints=(
            "All of it goes into `with store.connection.transaction():`. An error that leaves the block undoes what was "
            "done in it, so there is nothing to catch.",
            "Append, and keep what `store.append(stream_id, events, **how)` returns. If it is not `.repeated`, read back "
            "what is new with `store.read_stream(stream_id, from_version=...)`.",
            "```python\n"
            "recorded = store.read_stream(stream_id, from_version=appended.version - len(events) + 1)\n"
            "for projection in projections:\n"
            "    wanted = projection.wanted(recorded)\n"
            "    if wanted:\n"
            "        projection.project(store.connection, wanted)\n```",
        ),
    ),
    Exercise(
        id="06.4",
        title="Rebuild",
        minutes=8,
        difficulty="hard",
        keeps="projections.py",
        given=core_schema(),
        checks=(
            wrong_rows_become_right,
            it_replays_in_log_order,
            it_works_in_batches,
            a_rebuild_that_fails_changes_nothing,
            *looks(*REBUILD, setup=AccountBalances().create),
        ),
        hints=(
            "Four steps in one transaction: lock the table, empty it, open a cursor on the log, and project batch after "
            "batch. Their order is what the last checks are about.",
            '`sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(projection.table))` is the '
            "first statement, and `DELETE FROM {}` the second one.",
            "```python\n"
            'with store.connection.cursor("rebuild") as log:\n'
            "    log.execute(\n"
            '        "SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at"\n'
            '        " FROM events WHERE type = ANY (%s) ORDER BY position",\n'
            "        (store.types.names(projection.handles),),\n"
            "    )\n"
            "    while rows := log.fetchmany(500):\n"
            "        projection.project(store.connection, [store.types.record(row) for row in rows])\n```",
        ),
    ),
    Exercise(
        id="06.5",
        title="Hunt: a dashboard with one fault",
        minutes=6,
        difficulty="medium",
        keeps="test_suspicious_dashboard.py",
        given=core_schema(),
        checks=checks_of(HUNT),
        hunt=HUNT,
        hints=(
            'Take the promises one by one. For each, append what should show it, on a fresh `store = suspect("06.5")`, and '
            "look at `store.row(...)`: what would a right one say?",
            "Promise 1 shows in an append of several deposits, of one cashier and of two. Promise 2 shows in the second "
            "append: to the same stream, and to another one; look at the name, too.",
            "Promise 3: a deposit of somebody who is employed later. Promise 4: the same append twice, with "
            "`expected_version=0, event_ids=[uuid4()]`, the ids the same in both.",
            "For promise 3, say:\n\n```python\n"
            'store.append("account-1", [deposit(10, "cashier-1")])\n'
            'assert store.row("cashier-1") == (None, 1, 10), f"a deposit before the name: {store.row(\'cashier-1\')}"\n'
            "return 3\n```\n\nYours may break another one.",
        ),
    ),
)
