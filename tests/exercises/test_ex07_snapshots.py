"""Classic mistakes of notebook 07."""

from workshop.checks.exercises import ex07_snapshots as ex

from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake

# In 07.1
DECODE = "msgspec.json.decode(row[1], type=type(initial))"
TO_VERSION = "          AND (%(to_version)s::bigint IS NULL OR version <= %(to_version)s)\n"
UNTIL = "          AND (%(until)s::timestamptz IS NULL OR recorded_at <= %(until)s)\n"
TAIL = "from_version=version + 1, to_version=to_version, until=until)"
# In 07.2
IF = "if len(tail) >= every and to_version is None and until is None:"
VALUES = """                version,
                tail[-1].recorded_at,
                msgspec.json.encode(state).decode(),"""
RETURN = "    return state, version"
# In 07.3
SHAPE = "return hashlib.sha256(description.encode()).hexdigest()[:16]"
SCHEMA = "json.dumps([revision, msgspec.json.schema(state_type)], sort_keys=True)"

A_SNAPSHOT_AND_ITS_TAIL = (
    Mistake("07.1", "a snapshot is taken for granted", {"    if row:\n        version": "    if True:\n        version"},
            ex.without_a_snapshot_all_is_folded, "'NoneType' object is not subscriptable"),
    Mistake("07.1", "an attribute that is not there", {"= recorded.version": "= recorded.number"},
            ex.without_a_snapshot_all_is_folded, "has no attribute 'number'\nline "),
    Mistake("07.1", "returns the state alone", {"    return state, version": "    return state"},
            ex.without_a_snapshot_all_is_folded, "should return two things"),
    Mistake("07.1", "the version is not kept up", {"        version = recorded.version\n": ""},
            ex.without_a_snapshot_all_is_folded, "its version should be 4. Yours: 0"),
    Mistake("07.1", "no type where it may be NULL", {"%(to_version)s::bigint IS": "%(to_version)s IS"},
            ex.without_a_snapshot_all_is_folded, "has no type of its own, so it has to be said: %s::bigint"),
    Mistake("07.1", "the tail begins with the snapshot's event", {"version + 1": "version"},
            ex.without_a_snapshot_all_is_folded, "would be folded twice"),
    Mistake("07.1", "the version of the stream", {"    return state, version": "    return state, store.stream_info(stream_id).version"},
            ex.without_a_snapshot_all_is_folded, "a second question may find more than you folded"),
    Mistake("07.1", "an attribute of its own", {"state = evolve(state, recorded.event)": "state = evolve(state, recorded.data)"},
            ex.without_a_snapshot_all_is_folded, "has no attribute 'data'\nline 19 of the cell: state = evolve(state, recorded.data)"),
    Mistake("07.1", "a version that is a text", {"version + 1": "str(version) + 1"},
            ex.without_a_snapshot_all_is_folded, "can only concatenate str"),
    Mistake("07.1", "a pattern for an id", {"stream_id = %(stream_id)s": "stream_id LIKE %(stream_id)s"},
            AS_OURS, "aggregate_from_snapshot(store, 'account_1'"),
    Mistake("07.1", "a pattern for a class", {"state_type = %(state_type)s": "state_type LIKE %(state_type)s"},
            AS_OURS, "aggregate_from_snapshot(store, 'account_1', Stat_ment(0)"),
    Mistake("07.1", "the version is counted", {"version = recorded.version": "version += 1"},
            AS_OURS, "account_1 begins at version 9"),
    Mistake("07.1", "a moment without its zone", {"recorded_at <= %(until)s": "recorded_at <= %(until)s::timestamp"},
            AS_OURS, "New York sets its clocks back"),
    Mistake("07.1", "0 is no end", {'"to_version": to_version': '"to_version": to_version or None', "to_version=to_version": "to_version=to_version or None"},
            AS_OURS, "{'to_version': 0}"),
    Mistake("07.1", "the snapshot's last event is folded again", {"version + 1": "max(version, 1)"},
            ex.the_tail_is_folded_into_the_snapshot, "You have a balance of 40"),
    Mistake("07.1", "the tail is folded into the first state", {f"version, state = row[0], {DECODE}": "version = row[0]"},
            ex.the_tail_is_folded_into_the_snapshot, "the tail alone"),
    Mistake("07.1", "the first event of the tail is left out", {"version + 1": "version + 2 if version else 1"},
            ex.the_tail_is_folded_into_the_snapshot, "or with a hole before it"),
    Mistake("07.1", "the whole stream on top of the snapshot", {"from_version=version + 1, ": ""},
            ex.only_the_tail_is_read, "read the events before it all the same"),
    Mistake("07.1", "the state is left as a dict", {DECODE: "msgspec.json.decode(row[1])"},
            ex.the_tail_is_folded_into_the_snapshot, "A dict was folded"),
    Mistake("07.1", "all is read, and the old passed over", {
        "from_version=version + 1, to": "to",
        "        state = evolve(state, recorded.event)\n":
            "        if recorded.version <= version:\n            continue\n        state = evolve(state, recorded.event)\n",
    },
            ex.only_the_tail_is_read, "Reading is what costs the time"),
    Mistake("07.1", "the version of the last event, where there is none", {
        "        version = recorded.version\n": "",
        "    return state, version": "    return state, recorded.version if 'recorded' in locals() else 0",
    },
            ex.a_snapshot_can_be_the_end, "its version should be 4. Yours: 0"),
    Mistake("07.1", "the oldest snapshot", {"ORDER BY version DESC": "ORDER BY version"},
            ex.the_newest_is_taken, "ORDER BY version DESC LIMIT 1"),
    Mistake("07.1", "versions compared as texts", {"ORDER BY version DESC": "ORDER BY version::text DESC"},
            ex.the_newest_is_taken, "a version is a number"),
    Mistake("07.1", "not from the first state that was given", {"    state, version = initial, 0": "    state, version = type(initial)(), 0"},
            AS_OURS, "Statement(lines=15)"),
    Mistake("07.1", "any snapshot", {"        ORDER BY version DESC LIMIT 1\n": "        LIMIT 1\n"},
            ex.the_newest_is_taken, "an older one than it had to"),
    Mistake("07.1", "snapshots of all streams", {"stream_id = %(stream_id)s AND ": ""},
            ex.other_snapshots_are_passed_over, "You asked for account-1 and got account-2"),
    Mistake("07.1", "snapshots of all states", {" AND state_type = %(state_type)s": ""},
            ex.other_snapshots_are_passed_over, "took it for a BankAccount"),
    Mistake("07.1", "a snapshot newer than the version asked for", {TO_VERSION: ""},
            ex.the_past_is_not_read_from_the_future, "You took the one at 5"),
    Mistake("07.1", "the newest, whatever is asked, and no tail", {TO_VERSION: "", TAIL: "from_version=version + 1, until=until)"},
            ex.the_past_is_not_read_from_the_future, "Your function returned version 6"),
    Mistake("07.1", "the tail has no end", {TAIL: "from_version=version + 1, until=until)"},
            ex.the_past_is_not_read_from_the_future, "the tail ends there, too"),
    Mistake("07.1", "a snapshot newer than the moment asked for", {UNTIL: ""},
            ex.a_moment_is_not_read_from_the_future, "money in it that was paid in later"),
    Mistake("07.1", "the tail does not end at the moment", {TAIL: "from_version=version + 1, to_version=to_version)"},
            ex.a_moment_is_not_read_from_the_future, "returned version 6"),
    Mistake("07.1", "exclusive version", {"version <= %(to": "version < %(to"},
            ex.its_own_version_and_moment_fit, "by to_version"),
    Mistake("07.1", "exclusive moment", {"recorded_at <= %(until)s": "recorded_at < %(until)s"},
            ex.its_own_version_and_moment_fit, "by until"),
    Mistake("07.1", "JSON that is not text", {"state::text": "state"},
            ex.the_tail_is_folded_into_the_snapshot, "SELECT version, state::text"),
    Mistake("07.1", "the fields as they are in JSON", {"state::text": "state", DECODE: "type(initial)(**row[1])"},
            ex.the_tail_is_folded_into_the_snapshot, "In JSON money is a text, and it stayed one"),
    Mistake("07.1", "OR without brackets", {TO_VERSION + UNTIL: "          AND %(to_version)s::bigint IS NULL OR version <= %(to_version)s AND %(until)s::timestamptz IS NULL OR recorded_at <= %(until)s\n"},
            ex.a_moment_is_not_read_from_the_future, "put brackets around"),
    Mistake("07.1", "the newest, or none", {TO_VERSION + UNTIL: "", "version, state::text": "version, state::text, recorded_at",
            "    if row:": "    if row and (to_version is None or row[0] <= to_version) and (until is None or row[2] <= until):"},
            ex.an_older_one_fits, "The newest does not fit, the older one does"),
    Mistake("07.1", "one class for all", {'type(initial).__name__, "to_version"': '"BankAccount", "to_version"'},
            AS_OURS, "of this class, type(initial)"),
    Mistake("07.1", "what cannot be read is passed by", {
        "    for recorded in store.read": "    import contextlib\n    with contextlib.suppress(ConnectionError):\n      for recorded in store.read",
        "        state = evolve": "          state = evolve", "        version = recorded": "          version = recorded"},
            BROKEN, "It should have let that error through"),
    Mistake("07.1", "the version from a second question", {"    return state, version": "    info = store.stream_info(stream_id)\n    return state, info.version if info and to_version is None and until is None else version"},
            MEANWHILE, "the fold of one reading"),
)  # fmt: skip

KEEP_ONE_NOW_AND_THEN = (
    Mistake("07.2", "off by one", {"len(tail) >= every": "len(tail) > every"},
            ex.a_snapshot_is_kept, "There are 0"),
    Mistake("07.2", "the first state is kept", {"msgspec.json.encode(state)": "msgspec.json.encode(initial)"},
            ex.a_snapshot_is_kept, "It holds BankAccount(account_id='', currency=''"),
    Mistake("07.2", "the version that was asked for", {VALUES: VALUES.replace("version", "to_version or 0")},
            ex.a_snapshot_is_kept, "It has ('account-1', 'BankAccount', 'v1', 0)"),
    Mistake("07.2", "repr is no JSON", {"msgspec.json.encode(state).decode()": "repr(state)"},
            ex.a_snapshot_is_kept, "invalid input syntax for type json"),
    Mistake("07.2", "bytes", {".decode()": ""},
            ex.a_snapshot_is_kept, "`.decode()` makes a text of them.\nline"),
    Mistake("07.2", "at round versions, and the tail may be empty", {"len(tail) >= every": "version % every == 0"},
            ex.the_next_one_comes_after_as_many_more, "Readers do not come at round numbers"),
    Mistake("07.2", "at round versions of the past, too", {"len(tail) >= every and to_version is None and until is None": "version % every == 0"},
            ex.a_short_tail_keeps_nothing, "Readers do not come at round numbers"),
    Mistake("07.2", "float money", {
        "msgspec.json.encode(state).decode()":
            "msgspec.json.encode({**msgspec.to_builtins(state), 'balance': float(state.balance) + 0.001}).decode()"},
            ex.a_snapshot_is_kept, "should hold BankAccount"),
    Mistake("07.2", "the class's full name", {"                type(initial).__name__,": "                str(type(initial)),"},
            ex.a_snapshot_is_kept, "<class 'workshop.bank.account.BankAccount'>"),
    Mistake("07.2", "a state that cannot be read back", {"msgspec.json.encode(state)": "msgspec.json.encode([repr(state)])"},
            ex.a_snapshot_is_kept, "cannot be read back as a BankAccount"),
    Mistake("07.2", "the time of writing", {"'v1', %s, %s, %s)": "'v1', %s, coalesce(now(), %s), %s)"},
            ex.it_carries_the_moment_of_its_event, "not the time of writing"),
    Mistake("07.2", "the moment of the first event of the tail", {"tail[-1].recorded_at": "tail[0].recorded_at"},
            ex.it_carries_the_moment_of_its_event, "The last event in the snapshot was recorded at"),
    Mistake("07.2", "one on each read", {"if len(tail) >= every and": "if tail and"},
            ex.a_short_tail_keeps_nothing, "A write on each read"),
    Mistake("07.2", "the length of the stream counts", {"len(tail) >= every": "tail and version >= every"},
            ex.the_next_one_comes_after_as_many_more, "What counts is the length of the tail"),
    Mistake("07.2", "at round versions only", {"len(tail) >= every": "tail and version % every == 0"},
            ex.a_stream_that_was_never_read_gets_one, "Readers do not come at round numbers"),
    Mistake("07.2", "exactly so many", {"len(tail) >= every": "len(tail) == every"},
            ex.a_stream_that_was_never_read_gets_one, "at least so many"),
    Mistake("07.2", "on a look at a version, too", {"to_version is None and ": ""},
            ex.the_past_keeps_nothing, "(to_version) kept a snapshot"),
    Mistake("07.2", "on a look at a moment, too", {" and until is None": ""},
            ex.the_past_keeps_nothing, "(until) kept a snapshot"),
    Mistake("07.2", "commit inside", {RETURN: "    store.connection.commit()\n" + RETURN},
            ex.a_snapshot_is_kept, "Leave commit and rollback to the caller"),
    Mistake("07.2", "the bare INSERT", {"            ON CONFLICT DO NOTHING\n": ""},
            ex.two_readers_keep_the_same, "failed with a duplicate key, at a mere read"),
    Mistake("07.2", "looks first", {
        "            ON CONFLICT DO NOTHING\n": "",
        IF: IF.replace(":", " and not there:"),
        "    tail = store": "    there = store.execute('SELECT version FROM snapshots WHERE version > %s', (version,)).fetchone()\n"
                         "    tail = store",
    },
            ex.two_readers_keep_the_same, "ON CONFLICT DO NOTHING"),
    Mistake("07.2", "one class for all", {"                type(initial).__name__,": "                'BankAccount',"},
            AS_OURS, "state_type Statement"),
    Mistake("07.2", "the version from a second question", {
        "                version,\n                tail": "                store.read_stream(stream_id)[-1].version,\n                tail"},
            MEANWHILE, "somebody else appended a deposit to account-1"),
    Mistake("07.2", "catches the duplicate key", {
        "            ON CONFLICT DO NOTHING\n": "",
        "        store.execute(\n            \"\"\"\n            INSERT": "      import contextlib, psycopg\n      with contextlib.suppress(psycopg.errors.UniqueViolation):\n        store.execute(\n            \"\"\"\n            INSERT"},
            MEANWHILE, "one failed statement makes all of it fail"),
    Mistake("07.2", "a snapshot is only a help", {
        "        store.execute(\n            \"\"\"\n            INSERT": "      import contextlib\n      with contextlib.suppress(Exception):\n        store.execute(\n            \"\"\"\n            INSERT"},
            BROKEN, "It should have let that error through"),
)  # fmt: skip

THE_SHAPE_OF_A_STATE = (
    Mistake("07.3", "forgets to return", {SHAPE: "hashlib.sha256(description.encode())"},
            ex.a_shape_is_a_text, "It returned None"),
    Mistake("07.3", "bytes", {".hexdigest()": ".digest()"},
            ex.a_shape_is_a_text, "should return a text. It returned b"),
    Mistake("07.3", "hash() itself", {SHAPE: "return hash(description)"},
            ex.a_shape_is_a_text, "should return a text"),
    Mistake("07.3", "a new number each time", {SHAPE: "import uuid; return str(uuid.uuid4())"},
            ex.a_shape_is_a_text, "gave two shapes"),
    Mistake("07.3", "the name of the class", {"msgspec.json.schema(state_type)": "state_type.__name__"},
            ex.other_fields_are_another_shape, "renamed to `available`"),
    Mistake("07.3", "the revision alone", {SCHEMA: "str(revision)"},
            ex.other_fields_are_another_shape, "dropped without a word"),
    Mistake("07.3", "only the first field", {
        "msgspec.json.schema(state_type)": "list(state_type.__dataclass_fields__)[:2]"},
            ex.other_fields_are_another_shape, "A field `limit` was added"),
    Mistake("07.3", "the types without the names", {
        "msgspec.json.schema(state_type)": "sorted({f.type.__name__ for f in state_type.__dataclass_fields__.values()} | {'Owner'}"
                                           " | set(list(state_type.__dataclass_fields__)[:2])) + list(state_type.__dataclass_fields__)[3:]"},
            ex.other_fields_are_another_shape, "The field `owner` was removed"),
    Mistake("07.3", "the names alone", {"msgspec.json.schema(state_type)": "list(state_type.__dataclass_fields__)"},
            ex.another_type_is_another_shape, "not their names alone"),
    Mistake("07.3", "one level deep", {
        "msgspec.json.schema(state_type)":
            "[(f.name, f.type.__name__) for f in state_type.__dataclass_fields__.values()]"},
            ex.a_nested_change_is_another_shape, "looks one level deep"),
    Mistake("07.3", "the annotations", {"msgspec.json.schema(state_type)": "str(state_type.__annotations__)"},
            ex.a_nested_change_is_another_shape, "got one more field"),
    Mistake("07.3", "the revision is forgotten", {"[revision, msgspec": "[msgspec"},
            ex.a_revision_is_another_shape, "There are 1."),
    Mistake("07.3", "the first digit of the revision", {"[revision, msgspec": "[str(revision)[0], msgspec"},
            ex.a_revision_is_another_shape, "There are 2."),
    Mistake("07.3", "hash() in words", {SHAPE: "return str(hash(description))"},
            ex.a_program_that_starts_again_has_the_same, "differs from process to process"),
    Mistake("07.3", "the class's id", {"[revision, msgspec": "[revision, id(state_type), msgspec"},
            ex.a_program_that_starts_again_has_the_same, "each restart would void all snapshots"),
    Mistake("07.3", "two digits of a fingerprint", {"[:16]": "[:4]"},
            ex.a_revision_is_another_shape, "so few characters"),
    Mistake("07.3", "a set", {SCHEMA: "str([revision, msgspec.json.schema(state_type), {it for it in state_type.__dataclass_fields__}])"},
            ex.the_order_of_a_set_is_none, "a set of texts comes in another order"),
    Mistake("07.3", "dataclasses alone, not what holds them", {
        "    description =": "    from dataclasses import fields, is_dataclass\n\n    def names(kind):\n        return [(it.name, names(it.type)) for it in fields(kind)] if is_dataclass(kind) else str(kind)\n\n    description =",
        SCHEMA: "json.dumps([revision, names(state_type)])"},
            AS_OURS, "a list of Owner, which has one field more"),
)  # fmt: skip

MISTAKES = (*A_SNAPSHOT_AND_ITS_TAIL, *KEEP_ONE_NOW_AND_THEN, *THE_SHAPE_OF_A_STATE)
