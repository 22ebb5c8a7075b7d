"""Classic mistakes of notebook 04, and how tests read that are given, when, then."""

from decimal import Decimal

import pytest

from eventstore import Decider
from workshop.bank import AccountOpened, CloseAccount, DepositRecorded, OpenAccount, RecordDeposit, account_decider
from workshop.bank.given_when_then import Given
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercises import ex04_business_logic as ex

from ..postgres import Server
from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake, defined_in, failures

# In 04.1
NOT_OPEN = """    if account.status != "open":
        raise CommandRefused(f"the account is {account.status}, not open")
"""
POSITIVE = "RecordDeposit() | WithdrawCash() if command.amount <= 0"
# In 04.2
BEFORE_ALL = (
    "    while True:\n        state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)\n"
)
LOAD = "state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)"
APPEND = "version = store.append(stream_id, events, expected_version=version).version"
EXPECTS = "expected_version=version"
CATCH = "except WrongExpectedVersion:"
LAST = """            if attempts == 0:
                raise
"""
EVOLVE = """            for event in events:
                state = decider.evolve(state, event)
"""
# In 04.3
A_PART = "given(opened, paid_in).when(withdraw(30)).then(withdrawn(30))"
ALL = "given(opened, paid_in).when(withdraw(100)).then(withdrawn(100))"
TOO_MUCH = "given(opened, paid_in).when(withdraw(101)).then_refused()"
NOT_LEFT = "given(opened, paid_in, withdrawn(30)).when(withdraw(71)).then_refused()"
WHEN_CLOSED = "given(opened, paid_in, closed).when(withdraw(1)).then_refused()"
NEVER_OPENED = "given().when(withdraw(1)).then_refused()"
ZERO = "given(opened, paid_in).when(withdraw(0)).then_refused()"
NEGATIVE = "given(opened, paid_in).when(withdraw(-1)).then_refused()"
ALL_SCENARIOS = (A_PART, ALL, TOO_MUCH, NOT_LEFT, WHEN_CLOSED, NEVER_OPENED, ZERO, NEGATIVE)

DECIDE = (
    Mistake("04.1", "says that it is allowed", {"return [AccountOpened(command.account_id, command.currency)]": "return True"},
            ex.opening_makes_an_account, "decide returned True: "),
    Mistake("04.1", "returns the event alone",
            {"[AccountOpened(command.account_id, command.currency)]": "AccountOpened(command.account_id, command.currency)"},
            ex.opening_makes_an_account, "decide returned an event instead of a list"),
    Mistake("04.1", "evolves instead of deciding", """
from workshop.bank import AccountOpened, OpenAccount, evolve

def decide(command, account):
    if isinstance(command, OpenAccount):
        return evolve(account, AccountOpened(command.account_id, command.currency))
""",
            ex.opening_makes_an_account, "that makes of the account is the business of evolve"),
    Mistake("04.1", "the account first", {"def decide(command, account)": "def decide(account, command)"},
            ex.opening_makes_an_account, "`def decide(command, account)`"),
    Mistake("04.1", "forgets return", {"return [AccountOpened": "[AccountOpened"},
            ex.opening_makes_an_account, "not open"),
    Mistake("04.1", "the status comes first", {
        "    if isinstance(command, OpenAccount):": NOT_OPEN + "    if isinstance(command, OpenAccount):"},
            ex.opening_makes_an_account, "was refused: the account is unknown, not open"),
    Mistake("04.1", "takes the id from the command", {"DepositRecorded(account.account_id": "DepositRecorded(command.account_id"},
            ex.money_is_moved, "has no attribute 'account_id'"),
    Mistake("04.1", "float money", {"DepositRecorded(account.account_id, command.amount": "DepositRecorded(account.account_id, float(command.amount)"},
            ex.money_is_moved, "amount=20.1,"),
    Mistake("04.1", "has no case for a withdrawal", {"        case WithdrawCash():\n": "        case _ if False:\n"},
            ex.money_is_moved, "is there no case for this command?"),
    Mistake("04.1", "records the balance instead of the amount", {
        "CashWithdrawn(account.account_id, command.amount": "CashWithdrawn(account.account_id, account.balance - command.amount"},
            ex.money_is_moved, "It led to [CashWithdrawn(account_id='account-7', amount=Decimal('70')"),
    Mistake("04.1", "records a withdrawal as a negative deposit", {
        "[CashWithdrawn(account.account_id, command.amount": "[DepositRecorded(account.account_id, -command.amount"},
            ex.money_is_moved, "It led to [DepositRecorded"),
    Mistake("04.1", "nothing is ever closed", {"account.balance != 0": "account.balance >= 0"},
            ex.an_empty_account_is_closed, "It was refused: there are still 0"),
    Mistake("04.1", "withdraws the rest on closing", {
        "return [AccountClosed(account.account_id)]":
        'return [CashWithdrawn(account.account_id, account.balance, ""), AccountClosed(account.account_id)]'},
            ex.an_empty_account_is_closed, "should lead to [AccountClosed(account_id='account-7')]. It led to"),
    Mistake("04.1", "opens twice", {'account.status != "unknown"': "False"},
            ex.an_account_is_opened_once, "An account is opened once."),
    Mistake("04.1", "opens again what was closed", {'account.status != "unknown"': 'account.status == "open"'},
            ex.an_account_is_opened_once, "A closed one is not opened again either"),
    Mistake("04.1", "refuses in silence", {'raise CommandRefused(f"the account is {account.status} already")': "return []"},
            ex.an_account_is_opened_once, "as if all were well"),
    Mistake("04.1", "refuses with None", {'raise CommandRefused(f"the account is {account.status} already")': "return None"},
            ex.an_account_is_opened_once, "decide returned None"),
    Mistake("04.1", "refuses with an error of Python's", {"raise CommandRefused(": "raise ValueError("},
            ex.an_account_is_opened_once, "answered with ValueError"),
    Mistake("04.1", "returns the refusal", {"raise CommandRefused(": "return CommandRefused("},
            ex.an_account_is_opened_once, "instead of raising it"),
    Mistake("04.1", "yields instead of returning", {"        return [AccountOpened": "        yield [AccountOpened"},
            ex.opening_makes_an_account, "with `return` and not `yield`"),
    Mistake("04.1", "closes what is overdrawn", {"account.balance != 0": "account.balance > 0"},
            AS_OURS, "a balance that is not 0, be it negative"),
    Mistake("04.1", "takes the currency from the account", {"command.currency)": "account.currency or command.currency)"},
            AS_OURS, "It should have returned [AccountOpened("),
    Mistake("04.1", "does not look whether it is open", {NOT_OPEN: ""},
            ex.nothing_else_works_unless_it_is_open, "for an account that was never opened"),
    Mistake("04.1", "forgets that it was closed", {'account.status != "open"': 'account.status == "unknown"'},
            ex.nothing_else_works_unless_it_is_open, "for an account that is closed and holds 0"),
    Mistake("04.1", "accepts any amount", {POSITIVE: "_ if False"},
            ex.an_amount_is_more_than_zero, "RecordDeposit(amount=Decimal('0')"),
    Mistake("04.1", "accepts 0", {POSITIVE: POSITIVE.replace("<=", "<")},
            ex.an_amount_is_more_than_zero, "An amount is more than 0"),
    Mistake("04.1", "looks at deposits only", {POSITIVE: POSITIVE.replace(" | WithdrawCash()", "")},
            ex.an_amount_is_more_than_zero, "a withdrawal of -5 would be a deposit"),
    Mistake("04.1", "lets overdraw", {"command.amount > account.balance": "False"},
            ex.no_more_than_there_is, "No more is withdrawn than there is."),
    Mistake("04.1", "lets an empty account overdraw", {"command.amount > account.balance": "0 < account.balance < command.amount"},
            ex.no_more_than_there_is, "WithdrawCash(amount=Decimal('0.01')"),
    Mistake("04.1", "gives out what is there", {
        'raise CommandRefused(f"there are {account.balance} in the account, not {command.amount}")':
        "return [CashWithdrawn(account.account_id, account.balance, command.cashier_id)]"},
            ex.no_more_than_there_is, "holds 100 led to [CashWithdrawn"),
    Mistake("04.1", "counts whole coins", {"command.amount > account.balance": "int(command.amount) > account.balance"},
            ex.no_more_than_there_is, "100.01"),
    Mistake("04.1", "keeps the last coin", {"command.amount > account.balance": "command.amount >= account.balance"},
            ex.but_all_of_it, "It was refused: there are 100 in the account, not 100"),
    Mistake("04.1", "closes what is not empty", {"account.balance != 0": "False"},
            ex.only_an_empty_account_is_closed, "There is money in it"),
    Mistake("04.1", "closes what is nearly empty", {"account.balance != 0": "int(account.balance) != 0"},
            ex.only_an_empty_account_is_closed, "holds 0.01 led to"),
)  # fmt: skip

HANDLE = (
    Mistake("04.2", "appends nothing", {APPEND: "version = version + len(events)"},
            ex.it_appends_what_was_decided, "What was stored: nothing"),
    Mistake("04.2", "does not load", {LOAD: "state, version = decider.initial, 0"},
            ex.it_appends_what_was_decided, "the account is unknown, not open"),
    Mistake("04.2", "takes the state for the command", {"decider.decide(command, state)": "decider.decide(state, command)"},
            ex.it_appends_what_was_decided, "It takes the command first"),
    Mistake("04.2", "expects the version that there will be", {EXPECTS: "expected_version=version + len(events)"},
            ex.it_appends_what_was_decided, "Nobody else was there, and the append was refused"),
    Mistake("04.2", "expects that there is no stream", {EXPECTS: "expected_version=0"},
            ex.it_appends_what_was_decided, "as it is"),
    Mistake("04.2", "says ANY", {EXPECTS: "expected_version=ANY", "import Wrong": "import ANY, Wrong"},
            ex.it_expects_the_version_it_read, "the append expected ANY"),
    Mistake("04.2", "forgets the expected version", {f", {EXPECTS}": ""},
            ex.it_expects_the_version_it_read, "must not be stored on whatever is there by now"),
    Mistake("04.2", "expects that the stream exists", {EXPECTS: "expected_version=STREAM_EXISTS", "import Wrong": "import STREAM_EXISTS, Wrong"},
            ex.it_expects_the_version_it_read, "STREAM_EXISTS"),
    Mistake("04.2", "returns the state that was loaded", {EVOLVE: ""},
            ex.it_returns_state_and_version, "the state that was loaded"),
    Mistake("04.2", "forgets that evolve returns the state", {"state = decider.evolve(state, event)": "decider.evolve(state, event)"},
            ex.it_returns_state_and_version, "Show it each new event"),
    Mistake("04.2", "returns the version that was loaded", {"version = store.append": "store.append"},
            ex.it_returns_state_and_version, "the version should be 3. It was 2"),
    Mistake("04.2", "returns where the append ended", {".version\n": "\n"},
            ex.it_returns_state_and_version, "It was Appended(version=3"),
    Mistake("04.2", "returns the state alone", {"return state, version": "return state"},
            ex.it_returns_state_and_version, "It returned BankAccount("),
    Mistake("04.2", "0 taken for no expectation", {EXPECTS: "expected_version=version or ANY", "import Wrong": "import ANY, Wrong"},
            ex.every_kind_of_stream_will_do, "0 is a version like any other"),
    Mistake("04.2", "knows one way to evolve", {"state = decider.evolve(": "state = evolve(", "from eventstore import": "from workshop.bank import evolve\nfrom eventstore import"},
            ex.every_kind_of_stream_will_do, "Take decide, evolve and initial from the decider"),
    Mistake("04.2", "knows one first state", {"decider.initial": "BankAccount()", "from eventstore import": "from workshop.bank import BankAccount\nfrom eventstore import"},
            ex.every_kind_of_stream_will_do, "unsupported operand"),
    Mistake("04.2", "knows one bank", {"decider.decide(": "decide(", "from eventstore import": "from workshop.bank import decide\nfrom eventstore import"},
            ex.it_appends_what_was_decided, "never asked decider.decide"),
    Mistake("04.2", "refusals are swallowed", {
        "        events = decider.decide(command, state)\n": "        try:\n            events = decider.decide(command, state)\n"
                                                       "        except Exception:\n            events = []\n"},
            ex.a_refusal_gets_through, "takes that for a yes"),
    Mistake("04.2", "a refusal is tried again", """
from eventstore import aggregate_stream

def handle(store, decider, stream_id, command, attempts=5):
    for attempt in range(1, attempts + 1):
        try:
            state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
            events = decider.decide(command, state)
            if events:
                version = store.append(stream_id, events, expected_version=version).version
            for event in events:
                state = decider.evolve(state, event)
            return state, version
        except Exception:
            if attempt == attempts:
                raise
""",
            ex.a_refusal_gets_through, "only a WrongExpectedVersion is worth another attempt"),
    Mistake("04.2", "a refusal is tried for ever", """
from eventstore import aggregate_stream

def handle(store, decider, stream_id, command, attempts=5):
    while True:
        try:
            state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
            events = decider.decide(command, state)
            version = store.append(stream_id, events, expected_version=version).version
            for event in events:
                state = decider.evolve(state, event)
            return state, version
        except Exception:
            continue
""",
            ex.a_refusal_gets_through, "there was no end of it"),
    Mistake("04.2", "appends nothing at all", {"            if events:\n    ": ""},
            ex.no_events_no_append, "nothing came of it: do not append"),
    Mistake("04.2", "no events, no answer", {"            if events:\n": "            if not events:\n                return\n            if events:\n"},
            ex.no_events_no_append, "handle returned None"),
    Mistake("04.2", "no events, so it must be a refusal", {
        "            if events:\n": "            if not events:\n                raise ValueError('nothing to do')\n            if events:\n"},
            ex.no_events_no_append, "nothing to do"),
    Mistake("04.2", "appends event by event", {
        "            if events:\n": "            for event in events:\n",
        APPEND: "version = store.append(stream_id, [event], expected_version=version).version"},
            ex.a_commands_events_go_together, "append was called twice"),
    Mistake("04.2", "appends the first event only", {"(stream_id, events,": "(stream_id, events[:1],"},
            ex.a_commands_events_go_together, "It returned (BankAccount("),
    Mistake("04.2", "gives up at the first conflict", {"if attempts == 0": "if True"},
            ex.a_conflict_is_decided_again, "There is money enough. decide was asked once"),
    Mistake("04.2", "a conflict is none of its business", {CATCH: "except ZeroDivisionError:"},
            ex.a_conflict_is_decided_again, "load the stream again, and decide again"),
    Mistake("04.2", "appends the old decision again", """
from eventstore import WrongExpectedVersion, aggregate_stream

def handle(store, decider, stream_id, command, attempts=5):
    state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
    events = decider.decide(command, state)
    while events:
        attempts -= 1
        try:
            version = store.append(stream_id, events, expected_version=version).version
            break
        except WrongExpectedVersion as error:
            if attempts == 0:
                raise
            version = error.actual
    for event in events:
        state = decider.evolve(state, event)
    return state, version
""",
            ex.a_conflict_is_decided_again, "must not be appended again"),
    Mistake("04.2", "asks for the version once more", {EXPECTS: "expected_version=aggregate_stream(store, stream_id, 0, lambda count, _: count)[1]"},
            ex.a_conflict_is_decided_again, "the answer to a second question"),
    Mistake("04.2", "an error of its own at the end", {"                raise\n": '                raise RuntimeError("too many conflicts")\n'},
            ex.attempts_are_bounded, "handle raised RuntimeError: too many conflicts. After the third conflict"),
    Mistake("04.2", "a conflict that is made up at the end", {"                raise\n": "                raise WrongExpectedVersion(stream_id, 0, 0)\n"},
            ex.attempts_are_bounded, "an error of its own"),
    Mistake("04.2", "an error of evolve is passed by", {
        "                state = decider.evolve(state, event)\n":
            "                try:\n                    state = decider.evolve(state, event)\n                except ConnectionError:\n                    pass\n"},
            AS_OURS, "where evolve fails at each withdrawal.\nIt should have raised an error (ConnectionError: the bank is out of order)"),
    Mistake("04.2", "reads the end of the stream for its answer", {EVOLVE: "            state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)\n"},
            ex.it_returns_state_and_version, "You read the stream again after the append"),
    Mistake("04.2", "reads state and version one after the other", {
        "state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)":
            "state = aggregate_stream(store, stream_id, decider.initial, decider.evolve)[0]; version = aggregate_stream(store, stream_id, 0, lambda count, _: count)[1]"},
            MEANWHILE, "somebody else deposited 5 in account-7"),
    Mistake("04.2", "tries again where the connection failed", {CATCH: "except (WrongExpectedVersion, ConnectionError):"},
            BROKEN, "every error but a WrongExpectedVersion gets through at once"),
    Mistake("04.2", "loads again, and appends the old decision", """
from eventstore import WrongExpectedVersion, aggregate_stream

def handle(store, decider, stream_id, command, attempts=5):
    state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
    events = decider.decide(command, state)
    for attempt in range(attempts):
        try:
            if events:
                version = store.append(stream_id, events, expected_version=version).version
            for event in events:
                state = decider.evolve(state, event)
            return state, version
        except WrongExpectedVersion:
            state, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
    raise
""",
            ex.a_conflict_is_decided_again, "decide was asked once. What it had decided rests on a state that is gone"),
    Mistake("04.2", "decides again on the old state", {
        BEFORE_ALL: f"    {LOAD}\n    while True:\n",
        CATCH: "except WrongExpectedVersion as error:", LAST: LAST + "            version = error.actual\n"},
            ex.a_conflict_is_decided_again, "instead of 105: load the stream anew"),
    Mistake("04.2", "returns what the first attempt saw", {
        "    while True": "    first = None\n    while True",
        EVOLVE: "            state = first\n" + EVOLVE, "        attempts -= 1": "        first = first or state\n        attempts -= 1"},
            ex.a_conflict_is_decided_again, "that is version 4. handle returned (BankAccount("),
    Mistake("04.2", "the last word is the conflict", {
        "        events = decider.decide(command, state)\n": """        try:
            events = decider.decide(command, state)
        except Exception:
            if conflict:
                raise conflict
            raise
""",
        "    while True": "    conflict = None\n    while True",
        CATCH: "except WrongExpectedVersion as error:\n            conflict = error"},
            ex.the_money_may_be_gone, "the bank's own reason. From handle came 'WrongExpectedVersion'"),
    Mistake("04.2", "a refusal after a conflict is no news", {
        "        events = decider.decide(command, state)\n": """        try:
            events = decider.decide(command, state)
        except Exception:
            if conflict:
                return state, version
            raise
""",
        "    while True": "    conflict = False\n    while True",
        CATCH: "except WrongExpectedVersion:\n            conflict = True"},
            ex.the_money_may_be_gone, "Asked again, decide refuses"),
    Mistake("04.2", "never gives up", {LAST: "            continue\n"},
            ex.attempts_are_bounded, "decide was asked 13 times"),
    Mistake("04.2", "gives up with None", {"                raise\n": "                return None\n"},
            ex.attempts_are_bounded, "handle returned None"),
    Mistake("04.2", "one attempt too many", {"attempts == 0": "attempts < 0"},
            ex.attempts_are_bounded, "It was asked 4 times"),
    Mistake("04.2", "one attempt too few", {"attempts == 0": "attempts == 1"},
            ex.attempts_are_bounded, "It was asked twice"),
    Mistake("04.2", "has its own number of attempts", {"        attempts -= 1\n": "", "    while True": "    attempts = 5\n    while True",
                                                     CATCH: CATCH + "\n            attempts -= 1"},
            ex.attempts_are_bounded, "It was asked 5 times"),
    Mistake("04.2", "tries again whatever the store says", {CATCH: "except Exception:"},
            ex.other_errors_get_through, "will not know it the next time: decide was asked 5 times"),
    Mistake("04.2", "tries every error of the package again", {CATCH: "except EventStoreError:", "WrongExpectedVersion, aggregate": "EventStoreError, aggregate"},
            ex.other_errors_get_through, "Catch WrongExpectedVersion alone"),
    Mistake("04.2", "an error of the store is swallowed", {"        else:\n": "        except Exception:\n            return state, version\n        else:\n"},
            ex.other_errors_get_through, "the caller believes"),
)  # fmt: skip

GIVEN_WHEN_THEN = (
    Mistake("04.3", "nothing but words", {line: "pass" for line in ALL_SCENARIOS},
            ex.there_are_scenarios, "Your function began no scenario"),
    Mistake("04.3", "asserts without given", '''
from decimal import Decimal
from workshop.bank import BankAccount, CashWithdrawn, WithdrawCash, decide

def withdrawal_tests(given):
    account = BankAccount("account-1", "PLN", Decimal(100), "open")
    assert decide(WithdrawCash(Decimal(30), "c"), account) == [CashWithdrawn("account-1", Decimal(30), "c")]
''',
            ex.there_are_scenarios, "One begins with `given(...)`"),
    Mistake("04.3", "a scenario without an end", {".when(withdraw(0)).then_refused()": ".when(withdraw(0))"},
            ex.there_are_scenarios, "Scenario 7 has no end"),
    Mistake("04.3", "forgets to call then_refused", {"withdraw(101)).then_refused()": "withdraw(101)).then_refused"},
            ex.there_are_scenarios, "Scenario 3 has no end, so it tests nothing"),
    Mistake("04.3", "expects a refusal of all there is", {ALL: "given(opened, paid_in).when(withdraw(100)).then_refused()"},
            ex.a_right_bank_passes, "Scenario 2 fails, though this bank keeps all the rules"),
    Mistake("04.3", "expects that nothing happens instead of a refusal", {TOO_MUCH: TOO_MUCH.replace("then_refused", "then")},
            ex.a_right_bank_passes, "then this was expected: nothing\nbut it was refused: there are 100"),
    Mistake("04.3", "forgets that the account was opened", {A_PART: A_PART.replace("opened, ", "")},
            ex.a_right_bank_passes, "but it was refused: the account is unknown, not open"),
    Mistake("04.3", "expects the command", {"then(withdrawn(30))": "then(withdraw(30))"},
            ex.a_right_bank_passes, "then this was expected: WithdrawCash("),
    Mistake("04.3", "an assert of its own, without a word", {ALL: "assert paid_in.amount == 99"},
            ex.a_right_bank_passes, "of the cell: assert paid_in.amount == 99"),
    Mistake("04.3", "gives a list", {ALL: ALL.replace("opened, paid_in", "[opened, paid_in]")},
            ex.a_right_bank_passes, "given [AccountOpened("),
    Mistake("04.3", "catches its own failures", {
        f"    {A_PART}\n": "    try:\n" + "".join(f"        {line}\n" for line in ALL_SCENARIOS)
                        + "    except AssertionError as failure:\n        print(failure)\n    return\n"},
            ex.a_failure_gets_out, "Does it catch AssertionError?"),
    Mistake("04.3", "catches everything", {
        f"    {A_PART}\n": f"    try:\n        {A_PART}\n        {ALL}\n        {TOO_MUCH}\n    except Exception:\n        return\n"},
            ex.a_failure_gets_out, "your function ended as if all were well"),
    Mistake("04.3", "refusals only", {A_PART: "", ALL: ""},
            ex.a_wrong_payment_is_told, "Missing is a withdrawal that is paid"),
    Mistake("04.3", "pays everything or nothing", {A_PART: ""},
            ex.a_wrong_payment_is_told, "it pays out all there is. Missing is a withdrawal that is paid, of a part of what there is"),
    Mistake("04.3", "stays away from the edge", {ALL: ""},
            ex.all_of_it_may_go, "got through all of your 7 scenarios. Its fault: it refuses to pay out exactly all"),
    Mistake("04.3", "nobody wants too much", {TOO_MUCH: "", NOT_LEFT: ""},
            ex.an_overdraft_is_told, "it pays out more than there is"),
    Mistake("04.3", "nothing was ever withdrawn before", {NOT_LEFT: ""},
            ex.an_overdraft_is_told, "it forgets what was withdrawn before"),
    Mistake("04.3", "forgets closed accounts", {WHEN_CLOSED: ""},
            ex.an_account_must_be_open, "it pays out of an account that is closed"),
    Mistake("04.3", "forgets that there may be no account", {NEVER_OPENED: ""},
            ex.an_account_must_be_open, "no account was ever opened"),
    Mistake("04.3", "a closed account is empty", {WHEN_CLOSED: WHEN_CLOSED.replace("closed)", "withdrawn(100), closed)", 1)},
            ex.an_account_must_be_open, "where there is no money, or nothing is wanted, another rule refuses already"),
    Mistake("04.3", "nothing is wanted of strangers", {NEVER_OPENED: NEVER_OPENED.replace("1", "0")},
            ex.an_account_must_be_open, "a withdrawal of some money given nothing at all"),
    Mistake("04.3", "believes in amounts", {ZERO: "", NEGATIVE: ""},
            ex.an_amount_must_be_positive, "A withdrawal of -50 makes the balance grow"),
    Mistake("04.3", "0 alone", {NEGATIVE: ""},
            ex.an_amount_must_be_positive, "accepts a negative amount"),
    Mistake("04.3", "below 0 alone", {ZERO: ""},
            ex.an_amount_must_be_positive, "accepts a withdrawal of 0"),
)  # fmt: skip

RIGHT, YOURS, NAMED, OTHERS = (
    "One without a fault passes",
    "Yours is convicted",
    "The rule that it breaks is named",
    "Those with other faults pass",
)
TOLD = 'given(opened, closed).when(OpenAccount("account-1", "PLN")).then_refused()'
HUNT = (
    Mistake("04.4", "convicts everybody", {TOLD: 'given(opened).when(CloseAccount()).then_refused()'},
            RIGHT, "What should have happened there?"),
    Mistake("04.4", "forgets the end", {TOLD: TOLD.removesuffix(".then_refused()")},
            ex.there_are_scenarios, "Scenario 1 has no end"),
    Mistake("04.4", "returns a verdict", {"    return 1": "    return True"},
            "One without a fault passes", "returned True. Nobody looks at that"),
    Mistake("04.4", "names no rule", {"    return 1": ""},
            RIGHT, "returning None"),
    Mistake("04.4", "stays away from the edge", {TOLD: 'given(opened).when(RecordDeposit(Decimal(5), "anna")).then(DepositRecorded("account-1", Decimal(5), "anna"))'},
            YOURS, "gets through"),
    Mistake("04.4", "names another rule", {"return 1": "return 5"},
            NAMED, "Your scenarios convict it, and you name rule 5"),
    Mistake("04.4", "tries all rules", {TOLD: TOLD + '\n    given(opened, paid_in("0.01")).when(CloseAccount()).then_refused()'},
            OTHERS, "breaks 5: it closes an account that is nearly empty"),
)  # fmt: skip
MISTAKES = (*DECIDE, *HANDLE, *GIVEN_WHEN_THEN, *HUNT)


def test_the_new_events_may_be_folded_before_the_append(postgres: Server) -> None:
    answer = defined_in("""
from functools import reduce
from eventstore import WrongExpectedVersion, aggregate_stream


def handle(store, decider, stream_id, command, attempts=5):
    for attempt in range(1, attempts + 1):
        before, version = aggregate_stream(store, stream_id, decider.initial, decider.evolve)
        events = decider.decide(command, before)
        after = reduce(decider.evolve, events, before)
        if not events:
            return after, version
        try:
            return after, store.append(stream_id, events, expected_version=version).version
        except WrongExpectedVersion:
            if attempt == attempts:
                raise
""")
    report = run_checks(EXERCISES["04.2"], answer, postgres.url)
    assert report.passed, failures(report)


# The helper that the learner's scenarios are written with

OPENED = AccountOpened("account-1", "PLN")
PAID_IN = DepositRecorded("account-1", Decimal(5), "cashier-1")
PAY_IN = RecordDeposit(Decimal(5), "cashier-1")


def test_scenarios_that_hold_say_nothing() -> None:
    given = Given(account_decider)
    given(OPENED).when(PAY_IN).then(PAID_IN)
    given(OPENED, PAID_IN).when(CloseAccount()).then_refused()
    given().when(PAY_IN).then_refused()
    assert [scenario.outcome for scenario in given.scenarios] == ["passed"] * 3


@pytest.mark.parametrize("expected", [(), (OPENED,), (PAID_IN, PAID_IN)], ids=len)
def test_other_events_than_expected_fail(expected: tuple) -> None:
    given = Given(account_decider)
    with pytest.raises(AssertionError):
        given(OPENED).when(PAY_IN).then(*expected)
    assert given.scenarios[0].outcome == "failed"


def test_a_failure_tells_the_whole_story() -> None:
    with pytest.raises(AssertionError) as failure:
        Given(account_decider)(OPENED, PAID_IN).when(CloseAccount()).then(OPENED)
    assert str(failure.value).splitlines() == [
        f"given {OPENED}, {PAID_IN}",
        "when CloseAccount()",
        f"then this was expected: {OPENED}",
        "but it was refused: there are still 5 in the account",
    ]
    with pytest.raises(AssertionError) as failure:
        Given(account_decider)().when(OpenAccount("account-1", "PLN")).then_refused()
    assert str(failure.value).splitlines()[2:] == ["then this was expected: a refusal", f"but it was {OPENED}"]


def test_a_mistake_in_the_decider_is_no_refusal() -> None:
    def broken(command: object, account: object) -> list:
        raise KeyError("balance")

    given = Given(Decider(None, broken, account_decider.evolve))
    with pytest.raises(KeyError):
        given().when(CloseAccount()).then_refused()
