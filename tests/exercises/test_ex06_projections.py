"""Classic mistakes of notebook 06."""

import pytest

from eventstore import rebuild
from workshop.bank.read_models import AccountBalances, CashierDashboard
from workshop.checks.checking import run_checks
from workshop.checks.course import EXERCISES
from workshop.checks.exercises import ex06_projections as ex

from ..postgres import Server
from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake, defined_in, failures

# In 06.1 and 06.2
UPDATE_BALANCE = "SET balance = b.balance + excluded.balance"
BALANCES_IN_PYTHON = """
def project_balances(connection, events):
    for recorded in events:
        account_id = recorded.event.account_id
        row = connection.execute("SELECT balance FROM account_balances WHERE account_id = %s", (account_id,)).fetchone()
        amount = getattr(recorded.event, "amount", 0)
        connection.execute("INSERT INTO account_balances VALUES (%s, %s, %s)", (account_id, amount, recorded.version))
"""
READ_THEN_WRITE = """
from workshop.bank import CashierEmployed

def project_dashboard(connection, events):
    for recorded in events:
        event = recorded.event
        row = connection.execute(
            "SELECT name, deposits, total FROM cashier_dashboard WHERE cashier_id = %s", (event.cashier_id,)
        ).fetchone()
        name, deposits, total = row or (None, 0, 0)
        if isinstance(event, CashierEmployed):
            name = event.name
        else:
            deposits, total = deposits + 1, total + event.amount
        connection.execute(
            "INSERT INTO cashier_dashboard VALUES (%s, %s, %s, %s) ON CONFLICT (cashier_id)"
            " DO UPDATE SET name = excluded.name, deposits = excluded.deposits, total = excluded.total",
            (event.cashier_id, name, deposits, total),
        )
"""
INSERT_OR_UPDATE = """
from workshop.bank import CashierEmployed

def project_dashboard(connection, events):
    for recorded in events:
        event = recorded.event
        if isinstance(event, CashierEmployed):
            connection.execute(
                "INSERT INTO cashier_dashboard VALUES (%s, %s, 0, 0)"
                " ON CONFLICT (cashier_id) DO UPDATE SET name = excluded.name",
                (event.cashier_id, event.name),
            )
        else:
            connection.execute(
                "UPDATE cashier_dashboard SET deposits = deposits + 1, total = total + %s WHERE cashier_id = %s",
                (event.amount, event.cashier_id),
            )
"""
# In 06.3
TRANSACTION = "    with store.connection.transaction():\n"
PROJECT = "                if wanted:\n                    projection.project(store.connection, wanted)"
# In 06.4
LOCK = """        store.connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))\n"""
DELETE = """        store.connection.execute(sql.SQL("DELETE FROM {}").format(table))\n"""
CURSOR = """with store.connection.cursor("rebuild") as log:"""
READ_FIRST = """
from psycopg import sql

def rebuild_read_model(store, projection):
    table = sql.Identifier(projection.table)
    with store.connection.transaction():
        rows = store.connection.execute(
            "SELECT stream_id, version, position, id, type, data::text, metadata::text, recorded_at"
            " FROM events WHERE type = ANY (%s) ORDER BY position",
            (store.types.names(projection.handles),),
        ).fetchall()
        store.connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))
        store.connection.execute(sql.SQL("DELETE FROM {}").format(table))
        for first in range(0, len(rows), 500):
            projection.project(store.connection, [store.types.record(row) for row in rows[first : first + 500]])
"""

BALANCE_OF_EVERY_ACCOUNT = (
    Mistake("06.1", "only accounts with money", {"sorted(versions)": "sorted(changes)"},
            ex.an_opened_account_has_a_row, "It holds no row"),
    Mistake("06.1", "commits", {"    accounts = sorted": "    connection.commit()\n    accounts = sorted"},
            ex.an_opened_account_has_a_row, "Leave commit and rollback to the caller"),
    Mistake("06.1", "versions from 0", {"= recorded.version": "= recorded.version - 1"},
            ex.an_opened_account_has_a_row, "at version 0"),
    Mistake("06.1", "withdrawals are added", {"changes[account_id] -=": "changes[account_id] +="},
            ex.money_goes_in_and_out, "The row says 180"),
    Mistake("06.1", "the last amount alone", {"changes[account_id] += amount": "changes[account_id] = amount"},
            ex.money_goes_in_and_out, "The row says 20"),
    Mistake("06.1", "an INSERT for each event", BALANCES_IN_PYTHON,
            ex.money_goes_in_and_out, "duplicate key"),
    Mistake("06.1", "replaces the balance", {UPDATE_BALANCE: "SET balance = excluded.balance"},
            ex.the_next_call_goes_on, "add to what it holds"),
    Mistake("06.1", "ON CONFLICT DO NOTHING",
            {"DO UPDATE\"\n        \" SET balance = b.balance + excluded.balance, version = excluded.version\"": "DO NOTHING\""},
            ex.the_next_call_goes_on, "The row says 100"),
    Mistake("06.1", "ambiguous balance", {UPDATE_BALANCE: "SET balance = balance + excluded.balance"},
            ex.an_opened_account_has_a_row, "ambiguous"),
    Mistake("06.1", "all events are of one account",
            {"[changes[account] for account in accounts]": "[sum(changes.values()) for account in accounts]"},
            ex.accounts_do_not_mix, "should hold 99 and account-2 10"),
    Mistake("06.1", "the version of the whole batch",
            {"[versions[account] for account in accounts]": "[recorded.version for account in accounts]"},
            ex.the_version_is_the_last_ones, "its place in its own stream"),
    Mistake("06.1", "the version of the first event of a call",
            {"        versions[recorded.event.account_id] = recorded.version":
             "        versions.setdefault(recorded.event.account_id, recorded.version)"},
            ex.the_version_is_the_last_ones, "has four events"),
    Mistake("06.1", "the position instead of the version", {"= recorded.version": "= recorded.position"},
            ex.the_version_is_the_last_ones, "recorded.version"),
    Mistake("06.1", "float money", {"defaultdict(Decimal)": "defaultdict(float)", "+= amount": "+= float(amount)",
                                   "-= amount": "-= float(amount)"},
            ex.money_stays_exact, "Did a float come in between?"),
    Mistake("06.1", "arrays of different lengths", {"[changes[account] for account in accounts]": "list(changes.values())"},
            ex.an_opened_account_has_a_row, "in unnest, an array that is shorter than the others"),
    Mistake("06.1", "matches the recorded event", {"match recorded.event:": "match recorded:", "versions[recorded.event.account_id] = recorded.version": "versions.update({it: recorded.version for it in changes})"},
            ex.an_opened_account_has_a_row, "What happened is recorded.event"),
    Mistake("06.1", "sums live on outside the function", {"def project_balances": "changes, versions = defaultdict(Decimal), {}\n\n\ndef project_balances", "    changes = defaultdict(Decimal)\n    versions = {}\n": ""},
            ex.the_next_call_goes_on, "survive from the call before"),
    Mistake("06.1", "a closed account has no row", {"    accounts = sorted": "    from workshop.bank import AccountClosed\n    for it in events:\n        if isinstance(it.event, AccountClosed):\n            connection.execute('DELETE FROM account_balances WHERE account_id = %s', (versions.popitem()[0],))\n    accounts = sorted"},
            ex.the_version_is_the_last_ones, "its row is gone"),
    Mistake("06.1", "rounds to cents", {"SELECT * FROM unnest": "SELECT a, round(c, 2), v FROM unnest", "::bigint[])": "::bigint[]) AS u (a, c, v)"},
            AS_OURS, "0.005 is half a cent"),
    Mistake("06.1", "a table lock", {"    connection.execute(": "    connection.execute('LOCK TABLE account_balances IN SHARE ROW EXCLUSIVE MODE')\n    connection.execute("},
            AS_OURS, "has to wait for it"),
    Mistake("06.1", "goes on without a row", {"    connection.execute(": "    import contextlib\n    with contextlib.suppress(Exception):\n      connection.execute("},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

CASHIERS_DASHBOARD = (
    Mistake("06.2", "counts what was deposited", {"deposits[cashier_id] += 1": "deposits[cashier_id] += int(amount)"},
            ex.deposits_count_for_their_cashier, "deposits 0, total 0.30"),
    Mistake("06.2", "the account for the cashier", {"case DepositRecorded(_, amount, cashier_id)": "case DepositRecorded(cashier_id, amount, _)"},
            ex.deposits_count_for_their_cashier, "2 deposits, 0.30 in all"),
    Mistake("06.2", "float money", {"totals[cashier_id] += amount": "totals[cashier_id] += Decimal(float(amount))"},
            ex.deposits_count_for_their_cashier, "0.30 in all"),
    Mistake("06.2", "one sum for all", {"[totals[cashier] for cashier in cashiers]": "[sum(totals.values()) for cashier in cashiers]"},
            ex.cashiers_do_not_mix, "cashier-2: 1 deposits, 16"),
    Mistake("06.2", "only cashiers with deposits", {"names.keys() | totals.keys()": "totals.keys()"},
            ex.a_cashier_without_deposits_is_shown, "is not there"),
    Mistake("06.2", "a count of NULL", {"[deposits[cashier] for": "[deposits.get(cashier) for"},
            ex.a_cashier_without_deposits_is_shown, "null value in column"),
    Mistake("06.2", "replaces what is there", {"d.deposits + excluded.deposits, total = d.total + excluded.total": "excluded.deposits, total = excluded.total"},
            ex.the_dashboard_goes_on, "3 deposits, 16 in all"),
    Mistake("06.2", "waits for the name", INSERT_OR_UPDATE,
            ex.cashiers_do_not_mix, "An UPDATE alone changes nothing"),
    Mistake("06.2", "a deposit wipes the name", {"coalesce(excluded.name, d.name)": "excluded.name"},
            ex.whatever_order, "CashierEmployed came before the deposit"),
    Mistake("06.2", "the first name stays, and none is one", {"SET name = coalesce(excluded.name, d.name),": "SET name = d.name,"},
            ex.whatever_order, "CashierEmployed came after the deposit"),
    Mistake("06.2", "the first name stays", {"coalesce(excluded.name, d.name)": "coalesce(d.name, excluded.name)"},
            ex.a_later_name_counts, "and then as Anna Maria"),
    Mistake("06.2", "of a call, the first name", {"names[cashier_id] = name": "names.setdefault(cashier_id, name)"},
            ex.a_later_name_counts, "in the same call, as Anna Maria"),
    Mistake("06.2", "floats on the way", {"::numeric[]": "::float8[]"},
            ex.totals_stay_exact, "of an array `numeric[]`"),
    Mistake("06.2", "rounds to cents", {"total = d.total + excluded.total": "total = d.total + round(excluded.total, 2)"},
            ex.totals_stay_exact, "was something rounded?"),
    Mistake("06.2", "those with a name alone", {"sorted(names.keys() | totals.keys())": "sorted(names)"},
            ex.cashiers_do_not_mix, "without a name, too?"),
    Mistake("06.2", "a made-up name", {"names.get(cashier) for": "names.get(cashier, 'unknown') for"},
            ex.whatever_order, "name 'unknown'"),
    Mistake("06.2", "reads first and writes later", READ_THEN_WRITE,
            ex.two_at_once_lose_nothing, "let one statement read and write"),
    Mistake("06.2", "in the order of the events", {"sorted(names.keys() | totals.keys())": "list(dict.fromkeys([*names, *totals]))"},
            MEANWHILE, "They wait for each other: a deadlock"),
    Mistake("06.2", "a deposit wipes the name, in one call", {"coalesce(excluded.name, d.name)": "excluded.name", "deposits[cashier_id] += 1": "names.setdefault(cashier_id, None); deposits[cashier_id] += 1; names.pop(cashier_id)"},
            ex.deposits_count_for_their_cashier, "an event without a name must not take it away"),
    Mistake("06.2", "an array without a type", {"%s::numeric[]": "%s"},
            AS_OURS, "an empty array has to say its type"),
    Mistake("06.2", "a deposit of nothing is none", {"deposits[cashier_id] += 1": "deposits[cashier_id] += amount > 0"},
            AS_OURS, "\nThen cashier_dashboard should hold (cashier_id cashier-1, name Anna, deposits 3). It holds (cashier_id cashier-1, name Anna, deposits 2).\nEach event counts once"),
    Mistake("06.2", "locks a row that is not there yet", READ_THEN_WRITE.replace("cashier_id = %s\"", "cashier_id = %s FOR UPDATE\"").replace("in events:", "in sorted(events, key=lambda recorded: recorded.event.cashier_id):"),
            MEANWHILE, "somebody else took a deposit of 5 as cashier-2"),
    Mistake("06.2", "two rounds, each in order", {
        "    cashiers = sorted(names.keys() | totals.keys())": """    for cashier in sorted(names):
        connection.execute(
            "INSERT INTO cashier_dashboard VALUES (%s, %s, 0, 0) ON CONFLICT (cashier_id) DO UPDATE SET name = excluded.name",
            (cashier, names[cashier]),
        )
    cashiers = sorted(totals)"""},
            MEANWHILE, "They wait for each other: a deadlock"),
    Mistake("06.2", "goes on without a row", {"    connection.execute(": "    import contextlib\n    with contextlib.suppress(Exception):\n      connection.execute("},
            BROKEN, "It should have let that error through"),
    Mistake("06.2", "in the order of the ids, backwards", {"sorted(names.keys() | totals.keys())": "sorted(names.keys() | totals.keys(), reverse=True)"},
            MEANWHILE, "in the order of the ids"),
)  # fmt: skip

ONE_TRANSACTION_FOR_BOTH = (
    Mistake("06.3", "nothing is projected", {PROJECT: "                pass"},
            ex.both_are_there_at_once, "It finds no row"),
    Mistake("06.3", "returns nothing", {"    return appended": ""},
            ex.both_are_there_at_once, "It returned None"),
    Mistake("06.3", "events that are not recorded", {"store.read_stream(stream_id, from_version=appended.version - len(events) + 1)": "events"},
            ex.both_are_there_at_once, "An event is recorded by the append"),
    Mistake("06.3", "an error of its own", {"        appended = store": "        before = store.stream_info(stream_id).version\n        appended = store"},
            ex.both_are_there_at_once, "has no attribute 'version'\nline 3 of the cell: before = store.stream_info(stream_id).version"),
    Mistake("06.3", "leaves its transaction open", {TRANSACTION: "    store.connection.autocommit = False\n    if True:\n"},
            ex.both_are_there_at_once, "finds these events in account-1: none"),
    Mistake("06.3", "commits for its caller", {TRANSACTION: "    if True:\n", "    return appended": "    store.connection.commit()\n    return appended"},
            ex.it_takes_part_in_the_callers_transaction, "Do not commit"),
    Mistake("06.3", "closes the connection", {"with store.connection.transaction():": "with store.connection:"},
            ex.it_takes_part_in_the_callers_transaction, "`with connection:` closes it at its end"),
    Mistake("06.3", "projects the whole stream", {", from_version=appended.version - len(events) + 1": ""},
            ex.only_new_events_are_projected, "all of them and no others"),
    Mistake("06.3", "off by one, one too many", {"len(events) + 1": "len(events)"},
            ex.both_are_there_at_once, "from_version"),
    Mistake("06.3", "projects the last event alone", {" - len(events) + 1": ""},
            ex.only_new_events_are_projected, "they begin at"),
    Mistake("06.3", "shows all events to all", {"projection.wanted(recorded)": "recorded"},
            ex.a_projection_sees_what_it_handles, "picks what it handles"),
    Mistake("06.3", "wanted by the name of a class",
            {"projection.wanted(recorded)": "[r for r in recorded if r.type in [kind.__name__ for kind in projection.handles]]"},
            AS_OURS, "`projection.wanted` of what this append has stored"),
    Mistake("06.3", "stops at the first projection", {PROJECT: PROJECT + "\n                    break"},
            ex.a_projection_sees_what_it_handles, "One of them saw nothing"),
    Mistake("06.3", "calls a projection for nothing", {"if wanted:": "if True:"},
            ex.a_projection_sees_what_it_handles, "Spare it the call"),
    Mistake("06.3", "a read model updated outside the transaction", {TRANSACTION: "    if True:\n"},
            ex.a_projection_that_raises_leaves_no_event, "into one transaction"),
    Mistake("06.3", "each projection in a transaction of its own",
            {TRANSACTION: "    if True:\n", PROJECT: "                with store.connection.transaction():\n                    if wanted: projection.project(store.connection, wanted)"},
            ex.a_projection_that_raises_leaves_no_event, "into one transaction"),
    Mistake("06.3", "swallows the error of a projection",
            {PROJECT: "                try:\n                    if wanted: projection.project(store.connection, wanted)\n                except Exception:\n                    pass"},
            ex.a_projection_that_raises_leaves_no_event, "did not pass it on"),
    Mistake("06.3", "the expected version is not passed on", {"events, **how)\n        if": "events)\n        if"},
            ex.a_lost_race_changes_no_row, "Is `**how` passed on"),
    Mistake("06.3", "a lost race goes unnoticed", {TRANSACTION: "    try:\n      with store.connection.transaction():\n", "    return appended": "    except Exception as error:\n        if 'version' not in str(error): raise\n        return None\n    return appended"},
            ex.a_lost_race_changes_no_row, "WrongExpectedVersion should come through"),
    Mistake("06.3", "a retry is projected again", {"if not appended.repeated:": "if True:"},
            ex.a_repeated_append_is_projected_once, "appended.repeated"),
    Mistake("06.3", "the metadata is lost on the way", {"events, **how)\n        if": "events, **{name: how[name] for name in how if name != 'metadata'})\n        if"},
            AS_OURS, "Then events should hold"),
    Mistake("06.3", "what came since it looked", {"        appended = store.append(": "        before = len(store.read_stream(stream_id))\n        appended = store.append(", "appended.version - len(events) + 1": "before + 1"},
            MEANWHILE, "only appended.version says where these are"),
    Mistake("06.3", "locks a row that is not there", {"        appended = store.append(": "        store.connection.execute('SELECT FROM streams WHERE id = %s FOR UPDATE', (stream_id,))\n        before = len(store.read_stream(stream_id))\n        appended = store.append(", "appended.version - len(events) + 1": "before + 1"},
            MEANWHILE, "somebody else deposited 5 in account-3"),
    Mistake("06.3", "an error at the commit is passed by", {TRANSACTION: "    import contextlib\n    with contextlib.suppress(ConnectionError), store.connection.transaction():\n"},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

REBUILD = (
    Mistake("06.4", "the table is not emptied", {DELETE: ""},
            ex.wrong_rows_become_right, "Empty the table first"),
    Mistake("06.4", "nothing is projected", {"projection.project(store.connection, [store.types.record(row) for row in rows])": "pass"},
            ex.wrong_rows_become_right, "It holds no row"),
    Mistake("06.4", "rows instead of events", {"[store.types.record(row) for row in rows]": "rows"},
            ex.wrong_rows_become_right, "has no attribute 'event'"),
    Mistake("06.4", "JSON that is not text", {"data::text, metadata::text": "data, metadata"},
            ex.wrong_rows_become_right, "data::text"),
    Mistake("06.4", "metadata that is not text", {"metadata::text": "metadata"},
            ex.it_replays_in_log_order, "data::text, metadata::text."),
    Mistake("06.4", "all types of events", {"store.types.names(projection.handles)": "store.types.names([object])"},
            ex.it_replays_in_log_order, "names(projection.handles)"),
    Mistake("06.4", "stream by stream", {"ORDER BY position": "ORDER BY stream_id, version"},
            ex.it_replays_in_log_order, "saw [100, 2, 7, 1]"),
    Mistake("06.4", "the newest first", {"ORDER BY position": "ORDER BY position DESC"},
            ex.wrong_rows_become_right, "at version 1"),
    Mistake("06.4", "one batch alone", {"while rows := log.fetchmany(500):": "if rows := log.fetchmany(500):"},
            ex.it_works_in_batches, "The projection saw 500"),
    Mistake("06.4", "all of it at once", {"while rows := log.fetchmany(500):": "if rows := log.fetchall():"},
            ex.it_works_in_batches, "1000 events in one call"),
    Mistake("06.4", "no transaction", {"with store.connection.transaction():": "if True:", LOCK: ""},
            ex.a_rebuild_that_fails_changes_nothing, "Do all of it in one transaction"),
    Mistake("06.4", "swallows the error", {"    with store.connection.transaction():": "    import contextlib\n    with contextlib.suppress(Exception), store.connection.transaction():"},
            ex.a_rebuild_that_fails_changes_nothing, "did not pass it on"),
    Mistake("06.4", "TRUNCATE", {"DELETE FROM": "TRUNCATE"},
            AS_OURS, "TRUNCATE"),
    Mistake("06.4", "LOCK TABLE without a mode", {" IN SHARE ROW EXCLUSIVE MODE": ""},
            AS_OURS, "shut readers out"),
    Mistake("06.4", "a lock that others can hold, too", {"SHARE ROW EXCLUSIVE": "SHARE"},
            MEANWHILE, "They wait for each other: a deadlock.\nAll of it in one transaction, and the lock first, IN SHARE ROW"),
    Mistake("06.4", "where no event is, it does nothing", {DELETE: "        if not store.execute('SELECT 1 FROM events').fetchone(): return\n" + DELETE},
            AS_OURS, "All old rows go, DELETE FROM, whether an event comes after that or not"),
    Mistake("06.4", "what fails is passed by", {"    with store.connection.transaction():": "    import contextlib\n    with contextlib.suppress(LookupError), store.connection.transaction():"},
            BROKEN, "It should have let that error through"),
    Mistake("06.4", "the look before the lock", {LOCK + DELETE: DELETE + LOCK},
            MEANWHILE, "First the lock"),
    Mistake("06.4", "no lock", {LOCK: ""},
            MEANWHILE, "First the lock"),
    Mistake("06.4", "a lock that keeps nobody out", {"SHARE ROW EXCLUSIVE": "ROW EXCLUSIVE"},
            MEANWHILE, "IN SHARE ROW EXCLUSIVE MODE"),
    Mistake("06.4", "reads the log before the lock", READ_FIRST,
            MEANWHILE, "Then empty the table, then read the log"),
    Mistake("06.4", "in the order of the clock", {"ORDER BY position": "ORDER BY recorded_at, position"},
            AS_OURS, "It should have had the projection see ['account-2, version 1'"),
    Mistake("06.4", "as they lie in the table", {" ORDER BY position": ""},
            AS_OURS, "in the order of the log"),
    Mistake("06.4", "the names of the classes", {"store.types.names(projection.handles)": "[it.__name__ for it in projection.handles]"},
            AS_OURS, "under all names that they are stored under"),
    Mistake("06.4", "only batches that are full", {"while rows := log.fetchmany(500):": "while len(rows := log.fetchmany(500)) == 500:"},
            ex.wrong_rows_become_right, "the last batch counts, too"),
    Mistake("06.4", "locks the log, too", {LOCK: LOCK + LOCK.replace("{} IN", "events IN").replace(".format(table)", "")},
            AS_OURS, "has to wait for it"),
)  # fmt: skip

# In 06.5
VERDICT = """assert row == ("Anna", 1, 10), f"Anna was employed, and took 10. Her row says {row}"\n"""
HUNT = (
    Mistake("06.5", "does not say what it should be", {VERDICT: 'assert row == ("Anna", 1, 20), "wrong"\n'},
            "One without a fault passes", "keeps every promise"),
    Mistake("06.5", "names no promise", {"    return 2": ""},
            "One without a fault passes", "from 1 to 4"),
    Mistake("06.5", "returns the verdict", {VERDICT: "pass\n", "return 2": 'return row == ("Anna", 1, 10)'},
            "One without a fault passes", "returned True. Nobody looks at that"),
    Mistake("06.5", "the number is the verdict", {VERDICT: "pass\n", "return 2": 'return 2 if row == ("Anna", 1, 10) else None'},
            "Yours is convicted", "your test returned None, else 2"),
    Mistake("06.5", "crashes", {VERDICT: 'assert row[0].upper() == "ANNA"\n'},
            "Yours is convicted", "AttributeError: 'NoneType' object has no attribute 'upper'\nline "),
    Mistake("06.5", "without a word", {VERDICT: 'assert store.row("cashier-1")[1] == 2\n'},
            "One without a fault passes", ' of the cell: assert store.row("cashier-1")[1] == 2'),
    Mistake("06.5", "looks at the total alone, once", {VERDICT: 'assert row[2] == 10, row\n'},
            "Yours is convicted", "your calls do not come to the point"),
    Mistake("06.5", "names another promise", {"return 2": "return 3"},
            "The promise that it breaks is named", "you name promise 3"),
    Mistake("06.5", "tests two promises", {VERDICT: VERDICT + """    store.append("account-2", [deposit(1, "ben")])\n    assert store.row("ben"), "no row for Ben"\n"""},
            "Those with other faults pass", "leave out what rests on others"),
)  # fmt: skip
MISTAKES = BALANCE_OF_EVERY_ACCOUNT + CASHIERS_DASHBOARD + ONE_TRANSACTION_FOR_BOTH + REBUILD + HUNT


@pytest.mark.parametrize(("exercise_id", "projection"), [("06.1", AccountBalances()), ("06.2", CashierDashboard())])
def test_the_classrooms_read_models_pass(exercise_id: str, projection, postgres: Server) -> None:
    def project(connection, events):
        projection.project(connection, events)

    report = run_checks(EXERCISES[exercise_id], project, postgres.url)
    assert report.passed, failures(report)


def test_the_packages_rebuild_passes_but_for_the_size_of_its_batches(postgres: Server, monkeypatch) -> None:
    monkeypatch.setattr("eventstore.projections._BATCH", 500)
    report = run_checks(EXERCISES["06.4"], rebuild, postgres.url)
    assert report.passed, failures(report)


def test_an_event_at_a_time_is_an_answer_too(postgres: Server) -> None:
    answer = defined_in("""
from workshop.bank import CashierEmployed


def project_dashboard(connection, events):
    for recorded in sorted(events, key=lambda recorded: recorded.event.cashier_id):
        event = recorded.event
        name, count, amount = (event.name, 0, 0) if isinstance(event, CashierEmployed) else (None, 1, event.amount)
        connection.execute(
            "INSERT INTO cashier_dashboard AS d VALUES (%s, %s, %s, %s) ON CONFLICT (cashier_id) DO UPDATE"
            " SET name = coalesce(excluded.name, d.name), deposits = d.deposits + excluded.deposits,"
            " total = d.total + excluded.total",
            (event.cashier_id, name, count, amount),
        )
""")
    report = run_checks(EXERCISES["06.2"], answer, postgres.url)
    assert report.passed, failures(report)
