"""Commands: decided on the state there is, stored on no other, and decided again where somebody else was faster."""

import ast
import copy
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import (
    Decider,
    DuplicateEvent,
    InvalidArgument,
    UnknownEventType,
    WrongExpectedVersion,
    aggregate_stream,
    handle,
)
from tests.bank import AccountOpened, CashWithdrawn, DepositRecorded, deposits
from tests.concurrency import at_once
from workshop import bank
from workshop.bank import (
    AccountClosed,
    BankAccount,
    CloseAccount,
    CommandRefused,
    OpenAccount,
    RecordDeposit,
    WithdrawCash,
    account_decider,
)

WRITERS = 8
OPENED = AccountOpened("1", "PLN")


def deposit(amount):
    return RecordDeposit(Decimal(amount), "cashier-1")


def withdraw(amount):
    return WithdrawCash(Decimal(amount), "cashier-1")


def events(store, stream_id="account-1"):
    return [recorded.event for recorded in store.read_stream(stream_id)]


def balance(store, stream_id="account-1"):
    return aggregate_stream(store, stream_id, BankAccount(), bank.evolve)[0].balance


class Interrupted:
    """The bank's decider, where `other` appends events while it decides, once for each batch; it notes what it saw."""

    def __init__(self, other, *batches, decide=bank.decide):
        self._other = other
        self._batches = list(batches)
        self._decide = decide
        self.seen = []
        self.decider = Decider(BankAccount(), self.decide, bank.evolve)

    def decide(self, command, account):
        self.seen.append(account.balance)
        if self._batches:
            self._other.append("account-1", self._batches.pop(0))
        return self._decide(command, account)


@pytest.fixture
def other(store, new_store):
    """A store on a connection of its own; account-1 holds 100."""
    store.append("account-1", [OPENED, *deposits(100)])
    return new_store()


# One writer


def test_a_command_becomes_events_and_a_state(store):
    opened = handle(store, account_decider, "account-1", OpenAccount("1", "PLN"))
    assert opened == (BankAccount("1", "PLN", Decimal(0), "open"), 1)
    assert handle(store, account_decider, "account-1", deposit(100)) == (
        BankAccount("1", "PLN", Decimal(100), "open"),
        2,
    )
    state, version = handle(store, account_decider, "account-1", withdraw("99.5"))
    assert (state, version) == (BankAccount("1", "PLN", Decimal("0.5"), "open"), 3)
    assert (state, version) == aggregate_stream(store, "account-1", BankAccount(), bank.evolve)
    assert events(store) == [OPENED, *deposits(100), CashWithdrawn("1", Decimal("99.5"), "cashier-1")]


def test_a_refusal_gets_through_and_stores_nothing(store, other):
    busy = Interrupted(other)
    with pytest.raises(CommandRefused, match="there are 100 in the account"):
        handle(store, busy.decider, "account-1", withdraw(101))
    assert busy.seen == [100]
    assert len(events(store)) == 2
    with pytest.raises(CommandRefused):
        handle(store, account_decider, "account-2", deposit(1))
    assert store.stream_info("account-2") is None


def test_no_events_are_no_append(store, other):
    idle = Decider(BankAccount(), lambda command, account: [], bank.evolve)
    assert handle(store, idle, "account-1", "whatever") == (BankAccount("1", "PLN", Decimal(100), "open"), 2)
    assert handle(store, idle, "account-2", "whatever") == (BankAccount(), 0)
    assert store.stream_info("account-2") is None


def test_all_events_of_a_command_are_one_append(store, other):
    def pay_and_close(command, account):  # a generator will do
        yield CashWithdrawn("1", account.balance, "cashier-1")
        yield AccountClosed("1")

    decider = Decider(BankAccount(), pay_and_close, bank.evolve)
    state, version = handle(store, decider, "account-1", "pay out and close")
    assert (state, version) == (BankAccount("1", "PLN", Decimal(0), "closed"), 4)
    first, second = store.read_stream("account-1", from_version=3)
    assert first.recorded_at == second.recorded_at
    assert [first.event, second.event] == [CashWithdrawn("1", Decimal(100), "cashier-1"), AccountClosed("1")]


def test_metadata_goes_with_each_event(store):
    handle(store, account_decider, "account-1", OpenAccount("1", "PLN"), metadata={"by": "anna"})
    assert [recorded.metadata for recorded in store.read_stream("account-1")] == [{"by": "anna"}]


def test_a_command_that_is_handled_again_is_known_by_its_ids(store, other):
    ids = [uuid4()]
    busy = Interrupted(other, deposits(5))
    handle(store, busy.decider, "account-1", withdraw(30), event_ids=ids)  # decided twice
    with pytest.raises(DuplicateEvent):
        handle(store, account_decider, "account-1", withdraw(30), event_ids=ids)
    assert [recorded.id for recorded in store.read_stream("account-1")][3:] == ids


@pytest.mark.parametrize("attempts", [0, -1])
def test_to_handle_takes_an_attempt(store, attempts):
    with pytest.raises(InvalidArgument, match="1 or more"):
        handle(store, account_decider, "account-1", OpenAccount("1", "PLN"), attempts=attempts)
    assert events(store) == []


# Somebody else is faster


def test_after_a_conflict_it_decides_again_on_the_new_state(store, other):
    busy = Interrupted(other, deposits(5), deposits(6))
    state, version = handle(store, busy.decider, "account-1", withdraw(30))
    assert busy.seen == [100, 105, 111]
    assert (state.balance, version) == (81, 5)
    assert events(store)[2:] == [*deposits(5, 6), CashWithdrawn("1", Decimal(30), "cashier-1")]


def test_the_second_decision_may_be_a_refusal(store, other):
    busy = Interrupted(other, [CashWithdrawn("1", Decimal(100), "cashier-2")])
    with pytest.raises(CommandRefused, match="there are 0 in the account"):
        handle(store, busy.decider, "account-1", withdraw(100))
    assert busy.seen == [100, 0]
    assert balance(store) == 0


def test_the_second_decision_may_be_that_nothing_happens(store, other):
    def at_least(command, account):
        return deposits(command - account.balance) if account.balance < command else []

    busy = Interrupted(other, deposits(50), decide=at_least)
    state, version = handle(store, busy.decider, "account-1", 120)
    assert (state.balance, version) == (150, 3)
    assert events(store)[2:] == deposits(50)


def test_of_two_who_begin_a_stream_one_is_refused(store, new_store):
    busy = Interrupted(new_store(), [AccountOpened("1", "EUR")])
    with pytest.raises(CommandRefused, match="open already"):
        handle(store, busy.decider, "account-1", OpenAccount("1", "PLN"))
    assert events(store) == [AccountOpened("1", "EUR")]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_are_bounded(store, other, attempts):
    busy = Interrupted(other, *[deposits(1)] * 10)
    with pytest.raises(WrongExpectedVersion) as conflict:
        handle(store, busy.decider, "account-1", withdraw(30), attempts=attempts)
    assert len(busy.seen) == attempts
    assert (conflict.value.stream_id, conflict.value.expected) == ("account-1", 1 + attempts)
    assert conflict.value.actual == 2 + attempts
    assert balance(store) == 100 + attempts  # the others' deposits, and no withdrawal


def test_there_are_five_attempts_unless_told_otherwise_and_the_last_one_counts(store, other):
    busy = Interrupted(other, *[deposits(1)] * 4)
    assert handle(store, busy.decider, "account-1", withdraw(30))[0].balance == 74
    assert len(busy.seen) == 5
    with pytest.raises(WrongExpectedVersion):
        handle(store, Interrupted(other, *[deposits(1)] * 5).decider, "account-1", withdraw(30))


class Unheard:
    """No event that anybody registered."""


@pytest.mark.parametrize("outcome", [[Unheard()], [*deposits(1), Unheard()], None], ids=["unheard", "half", "None"])
def test_every_other_error_gets_through_at_once(store, other, outcome):
    busy = Interrupted(other, decide=lambda command, account: outcome)
    with pytest.raises((UnknownEventType, TypeError)):
        handle(store, busy.decider, "account-1", withdraw(30))
    assert busy.seen == [100]
    assert len(events(store)) == 2


# Many writers, each with a connection of their own


def test_all_deposits_of_eight_writers_arrive(store, other, new_store):
    commands = 5
    stores = [new_store() for _ in range(WRITERS)]

    def work(writer, own):
        # Each conflict means that somebody else got in: there is an end to them.
        return [
            handle(own, account_decider, "account-1", deposit(10**writer), attempts=WRITERS * commands)[1]
            for _ in range(commands)
        ]

    outcomes = at_once([lambda writer=writer, own=own: work(writer, own) for writer, own in enumerate(stores)])
    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    versions = sorted(version for outcome in outcomes for version in outcome)
    assert versions == list(range(3, 3 + WRITERS * commands))
    assert balance(store) == 100 + commands * 11111111  # each digit is a writer


def test_of_eight_who_want_all_of_it_one_gets_it(store, new_store):
    stores = [new_store() for _ in range(WRITERS)]
    for number in range(5):
        stream_id = f"account-{number}"
        store.append(stream_id, [OPENED, *deposits(100)])
        outcomes = at_once(
            [lambda own=own: handle(own, account_decider, stream_id, withdraw(100)) for own in stores]  # noqa: B023
        )
        assert sum(isinstance(outcome, CommandRefused) for outcome in outcomes) == WRITERS - 1, outcomes
        assert balance(store, stream_id) == 0
        assert len(events(store, stream_id)) == 3


def test_contended_withdrawals_never_overdraw(store, other, new_store):
    stores = [new_store() for _ in range(WRITERS)]

    def work(own):
        paid = 0
        for _ in range(3):
            try:
                handle(own, account_decider, "account-1", withdraw(7), attempts=50)
            except CommandRefused:
                continue
            paid += 1
        return paid

    paid = sum(at_once([lambda own=own: work(own) for own in stores]))
    assert paid == 14  # of 24 who asked: 14 times 7 are 98
    balances, account = [], BankAccount()
    for event in events(store):
        account = bank.evolve(account, event)
        balances.append(account.balance)
    assert min(balances) == 0 and account.balance == 2


# In a transaction of the caller's


def test_in_a_transaction_a_conflict_is_decided_again_and_the_transaction_goes_on(store, other):
    busy = Interrupted(other, deposits(5), deposits(6))
    with store.connection.transaction():
        store.append("account-2", [OPENED, *deposits(1)])
        state, version = handle(store, busy.decider, "account-1", withdraw(30))
        assert (state.balance, version) == (81, 5)
        assert handle(store, account_decider, "account-2", withdraw(1))[1] == 3
        assert len(events(other)) == 4, "nothing is seen of it before it commits"
    assert busy.seen == [100, 105, 111]
    assert balance(other) == 81
    assert balance(other, "account-2") == 0


def test_in_a_transaction_a_refusal_leaves_the_rest_of_it(store, other):
    busy = Interrupted(other, [CashWithdrawn("1", Decimal(100), "cashier-2")])
    with store.connection.transaction():
        store.append("account-2", [OPENED])
        with pytest.raises(CommandRefused):
            handle(store, busy.decider, "account-1", withdraw(100))
        handle(store, account_decider, "account-2", deposit(1))
    assert balance(other) == 0
    assert balance(other, "account-2") == 1


def test_in_a_transaction_the_last_conflict_leaves_the_rest_of_it(store, other):
    busy = Interrupted(other, deposits(5), deposits(6))
    with store.connection.transaction():
        store.append("account-2", [OPENED])
        with pytest.raises(WrongExpectedVersion):
            handle(store, busy.decider, "account-1", withdraw(30), attempts=2)
    assert events(other, "account-2") == [OPENED]
    assert balance(other) == 111


def test_what_is_handled_in_a_transaction_is_rolled_back_with_it(store, other):
    busy = Interrupted(other, deposits(5))
    with store.connection.transaction():
        handle(store, busy.decider, "account-1", withdraw(30))
        assert balance(store) == 75
        raise psycopg.Rollback
    assert busy.seen == [100, 105]
    assert balance(store) == 105
    assert handle(store, account_decider, "account-1", withdraw(105))[0].balance == 0


def test_without_autocommit_the_transaction_is_the_callers(new_store, other):
    manual = new_store(autocommit=False)
    busy = Interrupted(other, deposits(5))
    assert handle(manual, busy.decider, "account-1", withdraw(30))[0].balance == 75
    assert balance(other) == 105
    manual.connection.rollback()
    assert balance(other) == 105
    handle(manual, account_decider, "account-1", withdraw(30))
    manual.connection.commit()
    assert balance(other) == 75


# The domain


def test_the_domain_knows_no_database():
    tree = ast.parse(Path(bank.account.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    allowed = {"eventstore.Decider", "eventstore.EventTypes", "decimal.Decimal"}
    assert imported - allowed == {name for name in imported if name.startswith("dataclasses.")}
    assert "eventstore.Decider" in imported


amounts = st.decimals(min_value=-10, max_value=100, places=2)
commands = st.one_of(
    st.builds(OpenAccount, st.just("1"), st.just("PLN")),
    st.builds(RecordDeposit, amounts, st.just("cashier-1")),
    st.builds(WithdrawCash, amounts, st.just("cashier-1")),
    st.builds(CloseAccount),
)
beginnings = st.sampled_from([[], [OpenAccount("1", "PLN")], [OpenAccount("1", "PLN"), deposit(50)]])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(beginnings, st.lists(commands, max_size=12))
def test_no_sequence_of_commands_breaks_a_rule_of_the_bank(beginning, sequence):
    account, happened = BankAccount(), []
    for command in beginning + sequence:
        before = account
        try:
            new = bank.decide(command, account)
        except CommandRefused:
            continue
        for event in new:
            account = bank.evolve(account, event)
            assert getattr(event, "amount", 1) > 0
        happened += new
        assert account.balance >= 0
        assert isinstance(command, OpenAccount) == (before.status == "unknown")
        assert before.status != "closed"
        assert account.status == "open" or account.balance == 0
    paid_in = sum(event.amount for event in happened if isinstance(event, DepositRecorded))
    paid_out = sum(event.amount for event in happened if isinstance(event, CashWithdrawn))
    assert account.balance == paid_in - paid_out


states = st.builds(
    BankAccount, st.just("1"), st.just("PLN"), amounts.filter(lambda amount: amount >= 0),
    st.sampled_from(["unknown", "open", "closed"]),
)  # fmt: skip


def decision(command, account):
    try:
        return bank.decide(command, account)
    except CommandRefused as refusal:
        return str(refusal)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(commands, states)
def test_decide_and_evolve_are_pure(command, account):
    given_command, given_account = copy.deepcopy((command, account))
    decided = decision(command, account)
    assert (command, account) == (given_command, given_account)
    assert decided == decision(given_command, given_account), "asked twice, it decides in two ways"
    for event in decided if isinstance(decided, list) else []:
        given_event = copy.deepcopy(event)
        evolved = bank.evolve(account, event)
        assert (event, account) == (given_event, given_account)
        assert evolved == bank.evolve(given_account, given_event)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(states, amounts.filter(lambda amount: amount > 0))
def test_all_of_it_may_be_withdrawn_and_no_more(account, more):
    account = BankAccount("1", "PLN", account.balance, "open")
    if account.balance > 0:
        assert decision(withdraw(account.balance), account) == [CashWithdrawn("1", account.balance, "cashier-1")]
    assert isinstance(decision(withdraw(account.balance + more), account), str)
