"""Classic mistakes of notebook 10."""

import pytest

from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercises import ex10_mature_solutions as ex

from ..postgres import Server
from .mistakes import AS_OURS, Mistake, defined_in, failures

# In 10.1
STATUS = """    if account.status != "open":
        raise CommandRefused(f"the account is {account.status}, not open")
"""
POSITIVE = """    if amount <= 0:
        raise CommandRefused(f"an amount is more than 0, not {amount}")
"""
ENOUGH = """    if amount > account.balance:
        raise CommandRefused(f"there are {account.balance} in the account, not {amount}")
"""
RECORD = "    account.cash_withdrawn(amount, cashier_id)"
# In 10.2
TRY = "    try:\n"
CAUGHT = "    except UnknownEventType:\n        pass\n"
VERDICT = 'assert stored == ["AccountOpened"], f"an append was refused, and half of it was stored: {stored}"'
TESTS_VERSIONS = """
from workshop.bank import AccountOpened
from eventstore import WrongExpectedVersion

def test_a_promise(store):
    store.append("account-1", [AccountOpened("account-1", "PLN")])
    try:
        store.append("account-1", [AccountOpened("account-1", "PLN")], expected_version=0)
    except WrongExpectedVersion:
        pass
    assert len(store.read_stream("account-1")) == 1, "a late writer was let in"
"""
TESTS_ONE_EVENT = """
from dataclasses import dataclass
from workshop.bank import AccountOpened
from eventstore import UnknownEventType

@dataclass(frozen=True)
class NobodyKnowsThis:
    account_id: str

def test_a_promise(store):
    try:
        store.append("account-1", [NobodyKnowsThis("account-1")])
    except UnknownEventType:
        pass
    assert not store.read_stream("account-1"), "an append was refused and stored"
"""
RETURNS = VERDICT.replace("assert stored ==", "return stored ==").partition(", f")[0]

WITHDRAW_CASH = (
    Mistake("10.1", "records, then looks", {RECORD: "", STATUS: RECORD + "\n" + STATUS},
            ex.all_of_it_can_be_withdrawn, "First the rules, then the event"),
    Mistake("10.1", "rounds to cents", {RECORD: "    account.cash_withdrawn(round(amount, 2), cashier_id)"},
            AS_OURS, "nothing rounded"),
    Mistake("10.1", "closed is all that is not open", {'account.status != "open"': 'account.status == "closed"'},
            AS_OURS, "whatever else it is"),
    Mistake("10.1", "records nothing", {RECORD: ""},
            ex.it_records_a_withdrawal, "there are none"),
    Mistake("10.1", "records a deposit", {RECORD: "    account.record_deposit(amount, cashier_id)"},
            ex.it_records_a_withdrawal, "DepositRecorded"),
    Mistake("10.1", "returns events, as decide does", {RECORD: "    return [CashWithdrawn(account.id, amount, cashier_id)]",
            "import CommandRefused": "import CashWithdrawn, CommandRefused"},
            ex.it_records_a_withdrawal, "account.cash_withdrawn(...) records it"),
    Mistake("10.1", "a negative amount", {RECORD: "    account.cash_withdrawn(-amount, cashier_id)"},
            ex.it_records_a_withdrawal, "amount=Decimal('-30.00')"),
    Mistake("10.1", "arguments turned round", {RECORD: "    account.cash_withdrawn(cashier_id, amount)"},
            ex.it_records_a_withdrawal, "takes the amount first"),
    Mistake("10.1", "takes it off as well", {RECORD: RECORD + "\n    account.balance -= amount"},
            ex.the_balance_follows_from_the_event, "takes the amount off already"),
    Mistake("10.1", "keeps the last of it", {"amount > account.balance": "amount >= account.balance"},
            ex.all_of_it_can_be_withdrawn, "Refuse only more than there is"),
    Mistake("10.1", "overdraws", {ENOUGH: ""},
            ex.more_is_refused, "it was not refused"),
    Mistake("10.1", "refuses too late", {ENOUGH: "", RECORD: RECORD + '\n    if account.balance < 0:\n        raise CommandRefused("too much")'},
            ex.more_is_refused, "First the rules, then the event"),
    Mistake("10.1", "an error of its own", {ENOUGH: ENOUGH.replace("CommandRefused", "ValueError")},
            ex.more_is_refused, "raised ValueError"),
    Mistake("10.1", "returns in silence", {ENOUGH: "    if amount > account.balance:\n        return\n"},
            ex.more_is_refused, "it was not refused"),
    Mistake("10.1", "less than nothing", {POSITIVE: ""},
            ex.nothing_and_less_is_refused, "A withdrawal of 0"),
    Mistake("10.1", "nothing", {"amount <= 0": "amount < 0"},
            ex.nothing_and_less_is_refused, "A withdrawal of 0"),
    Mistake("10.1", "pays from a closed account", {STATUS: ""},
            ex.a_closed_account_pays_nothing, "The account is closed"),
    Mistake("10.1", "float money", {RECORD: "    account.cash_withdrawn(type(amount)(float(amount)), cashier_id)"},
            ex.money_stays_exact, "Did a float come in between?"),
)  # fmt: skip

CONVICT = (
    Mistake("10.2", "lets the refusal through", {TRY: "    if True:\n", CAUGHT: ""},
            ex.a_good_store_passes, "catch the error that says so"),
    Mistake("10.2", "catches another error", {"except UnknownEventType": "except WrongExpectedVersion"},
            ex.a_good_store_passes, "ends with UnknownEventType"),
    Mistake("10.2", "expects half of it", {'["AccountOpened"],': '["AccountOpened", "DepositRecorded"],'},
            ex.a_good_store_passes, "blames every store"),
    Mistake("10.2", "ids as text", {'[AccountOpened("account-1", "PLN")])': '[AccountOpened("account-1", "PLN")], event_ids=["1111"])'},
            ex.a_good_store_passes, "event_ids=[uuid4(), uuid4()]"),
    Mistake("10.2", "an argument that append does not have", {'[AccountOpened("account-1", "PLN")])': '[AccountOpened("account-1", "PLN")], ids=[])'},
            ex.a_good_store_passes, "That is no refusal"),
    Mistake("10.2", "takes for refused what is allowed", {VERDICT: 'assert not stored, "it was refused"'},
            ex.a_good_store_passes, "Or was nothing refused at all?"),
    Mistake("10.2", "expects nothing at all", {'["AccountOpened"],': "[],"},
            ex.a_good_store_passes, "half of it was stored"),
    Mistake("10.2", "tests G4", TESTS_VERSIONS,
            ex.the_weak_store_fails, "this promise it keeps"),
    Mistake("10.2", "a batch of one", TESTS_ONE_EVENT,
            ex.the_weak_store_fails, "look at what was stored"),
    Mistake("10.2", "the bad event first", {'[deposit, NobodyKnowsThis("account-1")]': '[NobodyKnowsThis("account-1"), deposit]'},
            ex.the_weak_store_fails, "did not get to the point"),
    Mistake("10.2", "returns the verdict", {VERDICT: RETURNS},
            ex.a_good_store_passes, "Your test returned True, and nobody looks at that"),
    Mistake("10.2", "raises another error", {VERDICT: 'if stored != ["AccountOpened"]:\n        raise ValueError(stored)'},
            ex.the_weak_store_fails, "comes to no verdict. It ends with "),
    Mistake("10.2", "returns a verdict", {VERDICT: 'return stored == ["AccountOpened"]'},
            ex.a_good_store_passes, "Your test returned True, and nobody looks at that"),
    Mistake("10.2", "says nothing", {VERDICT: 'assert stored == ["AccountOpened"]'},
            ex.it_says_what_is_wrong, "says nothing"),
    Mistake("10.2", "tests two promises", {VERDICT: VERDICT + """
    try:
        store.append("account-1", [deposit], expected_version=0)
    except WrongExpectedVersion:
        pass
    assert len(store.read_stream("account-1")) == 1, "a late writer was let in"
"""}, ex.it_blames_nobody_else, "fail for that one alone"),
    Mistake("10.2", "tests late writers as well", {VERDICT: VERDICT + """
    try:
        store.append("account-1", [deposit], expected_version=0)
    except WrongExpectedVersion:
        assert len(store.read_stream("account-1")) == 1, "a late writer was refused and stored"
"""}, ex.it_blames_nobody_else, "which stores what came too late instead"),
    Mistake("10.2", "tests the versions as well", {VERDICT: VERDICT + """
    assert store.read_stream("account-1")[0].version == 1, "versions are 1, 2, 3"
"""}, ex.it_blames_nobody_else, "the version 0 instead"),
    Mistake("10.2", "the event of the hint, without its field", {'NobodyKnowsThis("account-1")': "NobodyKnowsThis()"},
            ex.a_good_store_passes, "That event has a field, account_id"),
    Mistake("10.2", "asks for the class", """
from workshop.checks.exercises.weak_store import WeakStore

def test_a_promise(store):
    assert not isinstance(store, WeakStore), "this store is not atomic"
""",
            ex.the_same_fault_is_found_elsewhere, "Ask no store for its class"),
)  # fmt: skip
MISTAKES = WITHDRAW_CASH + CONVICT

BY_DECIDE = """
from workshop.bank import BankAccount, WithdrawCash, decide

def withdraw_cash(account, amount, cashier_id):
    state = BankAccount(account.account_id, account.currency, account.balance, account.status)
    for event in decide(WithdrawCash(amount, cashier_id), state):
        account.cash_withdrawn(event.amount, event.cashier_id)
"""
BY_NAN = """
from decimal import Decimal
from eventstore import InvalidEvent
from workshop.bank import DepositRecorded

def test_a_promise(store):
    amounts = Decimal(1), Decimal("NaN")
    try:
        store.append("account-1", [DepositRecorded("account-1", amount, "anna") for amount in amounts], expected_version=0)
    except InvalidEvent:
        pass
    assert not store.read_stream("account-1"), "half of an append was stored"
"""
BY_A_KNOWN_ID = """
from uuid import UUID
from eventstore import DuplicateEvent
from workshop.bank import AccountClosed, AccountOpened

def test_a_promise(store):
    one, two = UUID(int=1), UUID(int=2)
    store.append("account-1", [AccountOpened("account-1", "PLN")], event_ids=[one])
    try:
        store.append("account-1", [AccountClosed("account-1")] * 2, event_ids=[two, one])
    except DuplicateEvent:
        pass
    assert store.stream_info("account-1").version == 1, "half of an append was stored"
"""


BY_THE_WHOLE_LOG = """
from eventstore import UnknownEventType
from workshop.bank import AccountOpened

class NobodyKnowsThis:
    pass

def test_a_promise(store):
    try:
        store.append("account-1", [AccountOpened("account-1", "PLN"), NobodyKnowsThis()])
    except UnknownEventType:
        pass
    assert store.read_all() == [], "a refused batch left events in the log"
"""


@pytest.mark.parametrize(
    ("exercise_id", "source"),
    [("10.1", BY_DECIDE), ("10.2", BY_NAN), ("10.2", BY_A_KNOWN_ID), ("10.2", BY_THE_WHOLE_LOG)],
    ids=["the bank's own decide", "not a number", "a known id", "the whole log"],
)
def test_there_is_another_way(exercise_id: str, source: str, postgres: Server) -> None:
    report = run_checks(EXERCISES[exercise_id], defined_in(source), postgres.url)
    assert report.passed, failures(report)
