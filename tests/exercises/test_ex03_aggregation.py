"""Classic mistakes of notebook 03."""

from workshop.checks.exercises import ex03_aggregation as ex

from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake

# In 03.1
DEPOSIT = "            return replace(account, balance=account.balance + amount)"
WITHDRAWAL = "            return replace(account, balance=account.balance - amount)"
# In 03.2
FOLD = """    for recorded in store.read_stream(stream_id):
        state = evolve(state, recorded.event)
        version = recorded.version
"""
# In 03.3
GUARD = """    if "amount_cents" not in data:
        return data
"""
AMOUNT = """f"{Decimal(data['amount_cents']) / 100:.2f}\""""

EVOLVE = (
    Mistake("03.1", "no return", {DEPOSIT: DEPOSIT.replace("return ", "")},
            ex.deposits_add_up, "Each case needs a `return`"),
    Mistake("03.1", "changes the account itself", {DEPOSIT: "            account.balance += amount\n            return account"},
            ex.deposits_add_up, "tried to change the account itself: FrozenInstanceError: cannot assign to field 'balance'"),
    Mistake("03.1", "an account that is not open", {', Decimal(0), "open")': ")"},
            ex.an_account_is_opened, "should give BankAccount(account_id='account-1', currency='PLN', balance=Decimal('0'), status='open')"),
    Mistake("03.1", "a dictionary for an account", {'return BankAccount(account_id, currency, Decimal(0), "open")': 'return {"account_id": account_id}'},
            ex.an_account_is_opened, "It should return a BankAccount"),
    Mistake("03.1", "a given class is renamed", {"AccountClosed": "AccountWasClosed"},
            ex.an_account_is_opened, "The cell defines no AccountClosed"),
    Mistake("03.1", "takes the first field for the amount", {"DepositRecorded(amount=amount)": "DepositRecorded(amount)"},
            ex.deposits_add_up, "pick it by its name, `amount=amount`"),
    Mistake("03.1", "a field that is not there", {"balance=account.balance + amount": "balanse=account.balance + amount"},
            ex.deposits_add_up, "unexpected keyword argument 'balanse'\nline "),
    Mistake("03.1", "replaces the balance instead of adding", {"account.balance + amount": "amount"},
            ex.deposits_add_up, "the last one alone"),
    Mistake("03.1", "takes an equal event for a repetition", {
        "def evolve": "seen = set()\n\n\ndef evolve",
        DEPOSIT: "            if event in seen:\n                return account\n            seen.add(event)\n" + DEPOSIT,
    },
            ex.deposits_add_up, "Two equal events are two facts"),
    Mistake("03.1", "loses the other fields", {DEPOSIT: "            return BankAccount(balance=account.balance + amount)"},
            ex.deposits_add_up, "A deposit changes the balance and nothing else"),
    Mistake("03.1", "starts from a float", {"Decimal(0), ": "0.0, "},
            ex.an_account_is_opened, "of the type float. Money is a Decimal"),
    Mistake("03.1", "starts from a whole number", {"Decimal(0), ": "0, "},
            ex.an_account_is_opened, "of the type int. Money is a Decimal"),
    Mistake("03.1", "the event first", {"def evolve(account, event)": "def evolve(event, account)"},
            ex.an_account_is_opened, "the account comes first, then the event"),
    Mistake("03.1", "adds the withdrawal", {"account.balance - amount": "account.balance + amount"},
            ex.withdrawals_are_taken_off, "the withdrawal was added"),
    Mistake("03.1", "passes the withdrawal over", {"        case CashWithdrawn(amount=amount):\n" + WITHDRAWAL + "\n": ""},
            ex.withdrawals_are_taken_off, "is there a case for CashWithdrawn?"),
    Mistake("03.1", "the closing is forgotten", {'        case AccountClosed():\n            return replace(account, status="closed")\n': ""},
            ex.closing_changes_the_status, "Yours is 'open'"),
    Mistake("03.1", "a closed account holds nothing", {'status="closed"': 'status="closed", balance=Decimal(0)'},
            ex.closing_changes_the_status, "AccountClosed moves no money"),
    Mistake("03.1", "no case for the rest", {"        case _:\n            return account": ""},
            ex.other_events_change_nothing, "and returned None"),
    Mistake("03.1", "an unknown event is an error", {"        case _:\n            return account": '        case _:\n            raise ValueError("unknown event")'},
            ex.other_events_change_nothing, "Streams outlive programs"),
    Mistake("03.1", "the rest closes the account", {"case AccountClosed():": "case _:", "        case _:\n            return account": ""},
            ex.other_events_change_nothing, "should change nothing. It gave"),
    Mistake("03.1", "an account that is not frozen", {
        "@dataclass(frozen=True)\nclass BankAccount": "@dataclass\nclass BankAccount",
        DEPOSIT: "            account.balance += amount\n            return account",
    },
            ex.the_old_account_stays, "Whoever still holds that account sees it change"),
    Mistake("03.1", "gets round frozen", {'return replace(account, status="closed")': 'account.__dict__["status"] = "closed"\n            return account'},
            ex.the_old_account_stays, "your function changed the account that it was given"),
    Mistake("03.1", "refuses an overdraft", {WITHDRAWAL: '            if amount > account.balance:\n                raise ValueError("not enough")\n' + WITHDRAWAL},
            ex.it_does_not_judge, "Rules belong to the decision"),
    Mistake("03.1", "passes an overdraft over", {"case CashWithdrawn(amount=amount):": "case CashWithdrawn(amount=amount) if amount <= account.balance:"},
            ex.it_does_not_judge, "more was withdrawn than there was: the balance is -30.00. Yours is 100.00"),
    Mistake("03.1", "deposits to open accounts only", {"case DepositRecorded(amount=amount):": 'case DepositRecorded(amount=amount) if account.status == "open":'},
            ex.it_does_not_judge, "a deposit was recorded after the account was closed"),
    Mistake("03.1", "a global balance", {
        "def evolve(account, event):": "balance = Decimal(0)\n\n\ndef evolve(account, event):\n    global balance",
        "            return BankAccount(account_id": "            balance = Decimal(0)\n            return BankAccount(account_id",
        DEPOSIT: "            balance += amount\n            return replace(account, balance=balance)",
        WITHDRAWAL: "            balance -= amount\n            return replace(account, balance=balance)",
    },
            ex.it_depends_on_its_arguments_alone, "Does your function keep something between two calls?"),
    Mistake("03.1", "float money", {"account.balance + amount": "Decimal(float(account.balance) + float(amount))"},
            ex.money_stays_exact, "pass through a float"),
    Mistake("03.1", "rounds to halves", {"account.balance + amount": "round((account.balance + amount) * 2) / Decimal(2)"},
            ex.money_stays_exact, "Yours: Decimal('0')"),
    Mistake("03.1", "a name that matches everything", {"case AccountClosed():": "case AccountClosed:", "        case _:\n            return account": "    return account"},
            ex.other_events_change_nothing, "`case AccountClosed:` without brackets does"),
    Mistake("03.1", "an account is opened once", {"case AccountOpened(account_id, currency):": 'case AccountOpened(account_id, currency) if account.status == "unknown":'},
            AS_OURS, "evolve does not judge"),
    Mistake("03.1", "an opened account keeps its balance", {'BankAccount(account_id, currency, Decimal(0), "open")': 'replace(account, account_id=account_id, currency=currency, status="open")'},
            AS_OURS, "It should have returned BankAccount(account_id='account-1', currency='PLN', balance=Decimal('0'), status='open')"),
)  # fmt: skip

AGGREGATE = (
    Mistake("03.2", "hands the recorded event on", {"recorded.event": "recorded"},
            ex.the_events_are_folded, "does evolve get the event itself"),
    Mistake("03.2", "an attribute that is not there", {"= recorded.version": "= recorded.number"},
            ex.the_events_are_folded, "has no attribute 'number'\nline "),
    Mistake("03.2", "the outcome is not kept", {"state = evolve(": "evolve("},
            ex.the_events_are_folded, "Is the outcome of each step kept"),
    Mistake("03.2", "each step begins anew", {"state = evolve(state,": "state = evolve(initial,"},
            ex.the_events_are_folded, "should leave an open account with 70.00"),
    Mistake("03.2", "event first, state second", {"evolve(state, recorded.event)": "evolve(recorded.event, state)"},
            ex.the_events_are_folded, "evolve takes the state first"),
    Mistake("03.2", "returns the state alone", {"return state, version": "return state"},
            ex.the_events_are_folded, "`return state, version`"),
    Mistake("03.2", "returns inside the loop", {"    return state, version": "        return state, version"},
            ex.the_events_are_folded, "should leave an open account with 70.00. You have BankAccount"),
    Mistake("03.2", "the newest first", {"store.read_stream(stream_id)": "reversed(store.read_stream(stream_id))"},
            ex.the_events_are_folded, "should leave an open account with 70.00"),
    Mistake("03.2", "the first event twice", {
        "    state = initial\n": "",
        "    for recorded in store.read_stream(stream_id):": "    stream = store.read_stream(stream_id)\n"
                                                            "    state = evolve(initial, stream[0].event)\n"
                                                            "    for recorded in stream:",
    },
            ex.each_event_once_in_order, "It met ['AccountOpened', 'AccountOpened',"),
    Mistake("03.2", "sorted by type", {"store.read_stream(stream_id)": "sorted(store.read_stream(stream_id), key=lambda recorded: recorded.type)"},
            ex.each_event_once_in_order, "It met ['AccountOpened', 'CashWithdrawn', 'DepositRecorded']"),
    Mistake("03.2", "an initial state of its own", {"state = initial": "state = type(initial)()"},
            ex.it_begins_from_the_initial_state, "Fold into `initial`, whatever it is"),
    Mistake("03.2", "no version before the loop", {"    version = 0\n": ""},
            ex.no_events_version_0, "UnboundLocalError"),
    Mistake("03.2", "the last of a list that may be empty", {"return state, version": "return state, store.read_stream(stream_id)[-1].version"},
            ex.no_events_version_0, "account-404 holds no events, and your function raised IndexError"),
    Mistake("03.2", "the first event taken for the state", {
        "    state = initial\n": "    from functools import reduce\n    state = reduce(evolve, [r.event for r in store.read_stream(stream_id)])\n"},
            ex.the_events_are_folded, "reduce and accumulate begin with the first event"),
    Mistake("03.2", "a bank of its own", {"    state = initial\n": "    from workshop.bank import BankAccount, evolve\n    state = BankAccount()\n"},
            ex.each_event_once_in_order, "Fold with the `initial` and the `evolve` that you are given"),
    Mistake("03.2", "an initial state that is false", {"state = initial\n": "state = initial or ()\n"},
            AS_OURS, "aggregate_stream(store, 'long-1', 0, counted)"),
    Mistake("03.2", "the version asked for as long as nobody is there", {"    return state, version": "    return state, max(version, len(store.read_stream(stream_id)))"},
            MEANWHILE, "somebody else deposited 100 in account-1"),
    Mistake("03.2", "what evolve raises is passed by", {
        "        state = evolve(state, recorded.event)\n":
            "        try:\n            state = evolve(state, recorded.event)\n        except ConnectionError:\n            continue\n"},
            BROKEN, "It should have let that error through"),
    Mistake("03.2", "None for no version", {"version = 0": "version = None"},
            ex.no_events_version_0, "You returned None"),
    Mistake("03.2", "the version before the first is -1", {"version = 0": "version = -1"},
            ex.no_events_version_0, "what its first writer expects. You returned -1"),
    Mistake("03.2", "no events, no state", {"    return state, version": "    return (state, version) if version else (None, 0)"},
            ex.no_events_version_0, "It gave None"),
    Mistake("03.2", "the place in the log", {"recorded.version": "recorded.position"},
            ex.the_version_is_the_streams, "the place of the last event in the whole log"),
    Mistake("03.2", "counts from 0", {"for recorded in store": "for version, recorded in enumerate(store", "(stream_id):": "(stream_id)):", "        version = recorded.version\n": ""},
            ex.the_version_is_the_streams, "You returned 2"),
    Mistake("03.2", "the version that comes next", {"recorded.version": "recorded.version + 1"},
            ex.the_version_is_the_streams, "You returned 4"),
    Mistake("03.2", "asks for the version afterwards", {"    return state, version": "    info = store.stream_info(stream_id)\n    return state, info.version if info else 0"},
            ex.the_version_is_no_count, "nor is the answer to a second question"),
    Mistake("03.2", "asks for the version of what is not there", {"return state, version": "return state, store.stream_info(stream_id).version"},
            ex.no_events_version_0, "Did you ask `stream_info`?"),
    Mistake("03.2", "reads by numbers", {"read_stream(stream_id)": "read_stream(stream_id, 1, 1000)"},
            ex.the_events_are_folded, "The stream is read whole"),
    Mistake("03.2", "asks for the version before", {
        "    version = 0\n": "    info = store.stream_info(stream_id)\n    version = info.version if info else 0\n",
        "        version = recorded.version\n": "",
    },
            ex.the_version_is_no_count, "nor is the answer to a second question"),
    Mistake("03.2", "reads twice", {"    return state, version": "    again = store.read_stream(stream_id)\n    return state, again[-1].version if again else 0"},
            MEANWHILE, "comes from the same read_stream"),
    Mistake("03.2", "counts the events", {"version = recorded.version": "version += 1"},
            ex.the_version_is_no_count, "You returned 2; the last event's own version is 6"),
    Mistake("03.2", "the length of the list", {FOLD: """    events = [recorded.event for recorded in store.read_stream(stream_id)]
    for event in events:
        state = evolve(state, event)
    version = len(events)
"""},
            ex.the_version_is_no_count, "A count is not the version"),
)  # fmt: skip

UPCAST = (
    Mistake("03.3", "forgets the new events", {GUARD: ""},
            ex.a_new_deposit_passes, "has no field 'amount_cents'"),
    Mistake("03.3", "the new events are returned to nobody", {"        return data\n": "        return\n"},
            ex.a_new_deposit_passes, "Is a `return` missing?"),
    Mistake("03.3", "a percent sign", {AMOUNT: """"%.2f" % (Decimal(data['amount_cents']) / 100)"""},
            ex.every_cent_counts, "`%.2f` and `round` make a float"),
    Mistake("03.3", "takes every event for a new one", {'"amount_cents" not in data': '"amount" not in data'},
            ex.an_old_deposit_has_the_shape_of_today, "Yours has account_id, amount_cents, cashier"),
    Mistake("03.3", "rounds a new amount", {"        return data\n": '        return {**data, "amount": f"{float(data[\'amount\']):.1f}"}\n'},
            ex.a_new_deposit_passes, "should come out as it went in"),
    Mistake("03.3", "returns nothing", {"    return {\n": "    data = {\n"},
            ex.an_old_deposit_has_the_shape_of_today, "Is a `return` missing?"),
    Mistake("03.3", "returns JSON text", {"    return {\n": "    return str({\n", "    }": "    })"},
            ex.an_old_deposit_has_the_shape_of_today, "It should return a dictionary"),
    Mistake("03.3", "keeps the old fields", {'"account_id": data["account_id"],': "**data,"},
            ex.an_old_deposit_has_the_shape_of_today, "Yours has account_id, amount_cents, cashier, amount, cashier_id"),
    Mistake("03.3", "the cashier is not renamed", {'"cashier_id": data': '"cashier": data'},
            ex.an_old_deposit_has_the_shape_of_today, "Yours has account_id, amount, cashier."),
    Mistake("03.3", "looks for the cashier under the new name", {'data["cashier"]': 'data["cashier_id"]'},
            ex.an_old_deposit_has_the_shape_of_today, "has no field 'cashier_id'"),
    Mistake("03.3", "mixes up the fields", {'data["cashier"]': 'data["account_id"]'},
            ex.an_old_deposit_has_the_shape_of_today, "It became {'account_id': '1'"),
    Mistake("03.3", "a float", {AMOUNT: 'data["amount_cents"] / 100'},
            ex.the_amount_is_text, "The amount is 100.5, of the type float"),
    Mistake("03.3", "a Decimal, which is no JSON", {AMOUNT: 'Decimal(data["amount_cents"]) / 100'},
            ex.the_amount_is_text, "of the type Decimal"),
    Mistake("03.3", "the last 0 is lost", {AMOUNT: 'str(Decimal(data["amount_cents"]) / 100)'},
            ex.the_amount_is_text, "Yours: '100.5'"),
    Mistake("03.3", "cents taken for the amount", {" / 100": ""},
            ex.the_amount_is_text, "Yours: '10050.00'"),
    Mistake("03.3", "divides as float", {"Decimal(data['amount_cents']) / 100": "data['amount_cents'] / 100"},
            ex.every_cent_counts, "9007199254740993 cents are '90071992547409.93'. Yours: '90071992547409.94'"),
    Mistake("03.3", "cents without their leading 0", {"Decimal(data['amount_cents']) / 100:.2f": "data['amount_cents'] // 100}.{data['amount_cents'] % 100"},
            ex.every_cent_counts, "10000 cents are '100.00'. Yours: '100.0'"),
    Mistake("03.3", "puts the point into the text", {AMOUNT: 'f"{str(data[\'amount_cents\'])[:-2]}.{str(data[\'amount_cents\'])[-2:]}"'},
            ex.every_cent_counts, "1 cents are '0.01'. Yours: '.1'"),
    Mistake("03.3", "0 taken for no amount", {'"amount_cents" not in data': 'not data.get("amount_cents")'},
            ex.every_cent_counts, "0 is a number like any other, and counts as false"),
    Mistake("03.3", "a new one is built of three fields", {"        return data\n": '        return {name: data[name] for name in ("account_id", "amount", "cashier_id")}\n'},
            AS_OURS, "each field, each amount"),
    Mistake("03.3", "changes what it was given", """
from decimal import Decimal

def upcast(data):
    if "amount_cents" in data:
        data["amount"] = f"{Decimal(data.pop('amount_cents')) / 100:.2f}"
        data["cashier_id"] = data.pop("cashier")
    return data
""",
            ex.what_it_was_given_stays, "Build a new one"),
)  # fmt: skip

MISTAKES = (*EVOLVE, *AGGREGATE, *UPCAST)
