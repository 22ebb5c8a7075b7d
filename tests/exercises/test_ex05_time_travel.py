"""Classic mistakes of notebook 05."""

from workshop.checks.exercises import ex05_time_travel as ex

from .mistakes import AS_OURS, BROKEN, MEANWHILE, Mistake

READ = "store.read_stream(stream_id, to_version=to_version, until=until)"
ROWS = "[(r.version, r.recorded_at, r.type, state.balance) for r, state in zip(recorded, states)]"

THE_STATE_AT = (
    Mistake("05.1", "forgets the version", {"    return state, version": "    return state"},
            ex.without_limits_it_is_the_state_now, "should return the state and the version"),
    Mistake("05.1", "folds every event twice",
            {"        version = recorded.version": "        state = evolve(state, recorded.event)\n"
                                                    "        version = recorded.version"},
            ex.without_limits_it_is_the_state_now, "is every event folded, once?"),
    Mistake("05.1", "counts from the version before", {"version = recorded.version": "version += 0"},
            ex.without_limits_it_is_the_state_now, "The last event has version 4"),
    Mistake("05.1", "the whole stream, whatever is asked", {READ: "store.read_stream(stream_id)"},
            ex.at_a_version, "At version 1 the balance was 0.00"),
    Mistake("05.1", "off-by-one version", {"to_version=to_version": "to_version=to_version and to_version - 1"},
            ex.at_a_version, "`to_version` is the last version to take in"),
    Mistake("05.1", "the version that was asked for, not the one that was read",
            {"    return state, version": "    return state, version if to_version is None else to_version"},
            ex.both_limits_hold, "the narrower of the two limits counts"),
    Mistake("05.1", "the moment is passed over", {", until=until)": ")"},
            ex.at_a_moment, "At the very moment of version 1"),
    Mistake("05.1", "an exclusive moment",
            {READ: "[r for r in store.read_stream(stream_id, to_version=to_version)\n"
                   "                     if until is None or r.recorded_at < until]"},
            ex.at_a_moment, "`until` includes its end"),
    Mistake("05.1", "until now, as of the definition", {"until=None": "until=__import__('datetime').datetime.now(__import__('datetime').UTC)"},
            ex.without_limits_it_is_the_state_now, "its default is None"),
    Mistake("05.1", "dates for moments",
            {READ: "[r for r in store.read_stream(stream_id, to_version=to_version)\n"
                   "                     if until is None or r.recorded_at.date() <= until.date()]"},
            ex.at_every_hour_of_every_zone, "A moment has a time of day, too"),
    Mistake("05.1", "moments without their zone",
            {READ: "[r for r in store.read_stream(stream_id, to_version=to_version)\n"
                   "                     if until is None or r.recorded_at.replace(tzinfo=None) <= until.replace(tzinfo=None)]"},
            ex.at_every_hour_of_every_zone, "without its tzinfo"),
    Mistake("05.1", "guesses a zone", {"until=until)": "until=until and until.astimezone())"},
            ex.no_zone_no_moment, "Your function guessed a zone"),
    Mistake("05.1", "no version taken for no limit, by counting",
            {READ: "store.read_stream(stream_id, until=until)[:to_version]"},
            AS_OURS, "are the last version, and the last moment, to take in"),
    Mistake("05.1", "reads twice", {"    return state, version": f"    again = {READ}\n    return state, again[-1].version if again else 0"},
            MEANWHILE, "somebody else deposited 100 in account-1"),
    Mistake("05.1", "what evolve raises is passed by", {
        "        state = evolve(state, recorded.event)\n":
            "        try:\n            state = evolve(state, recorded.event)\n        except ConnectionError:\n            continue\n"},
            BROKEN, "It should have let that error through"),
    Mistake("05.1", "a snapshot of now, whatever the moment",
            {READ: "store.read_stream(stream_id, to_version=None if until else to_version)"},
            ex.at_a_moment, "At the very moment of version 1"),
    Mistake("05.1", "no beginning before the loop",
            {"    state, version = initial, 0": "    state = initial"},
            ex.before_the_beginning, "Begin with `state, version = initial, 0`"),
    Mistake("05.1", "the last of a list that may be empty",
            {"    return state, version": f"    return state, list({READ})[-1].version"},
            ex.before_the_beginning, "raised IndexError"),
    Mistake("05.1", "None where there is nothing",
            {"    return state, version": "    return (state, version) if version else (None, 0)"},
            ex.before_the_beginning, "Before the first event the state is `initial`"),
    Mistake("05.1", "one limit or the other",
            {READ: "(store.read_stream(stream_id, until=until) if until\n"
                   "                     else store.read_stream(stream_id, to_version=to_version))"},
            ex.both_limits_hold, "the narrower of the two limits counts"),
)  # fmt: skip

THE_HISTORY = (
    Mistake("05.2", "keeps the state before the first event",
            {"zip(recorded, states)": "zip([*recorded, recorded[-1]], [BankAccount(), *states])"},
            ex.one_row_for_each_event, "one value more than there are events"),
    Mistake("05.2", "an attribute that is not there", {"r.type": "r.kind"},
            ex.one_row_for_each_event, "has no attribute 'kind'\nline "),
    Mistake("05.2", "a row for the last event alone", {ROWS: ROWS + "[-1:]"},
            ex.one_row_for_each_event, "your data frame has 1 rows"),
    Mistake("05.2", "a list instead of a data frame",
            {"    return pd.DataFrame(": f"    return {ROWS}\n    return pd.DataFrame("},
            ex.one_row_for_each_event, "should return a data frame"),
    Mistake("05.2", "the balance before each event", {"_, *states": "*states, _"},
            ex.each_balance_is_the_one_after_its_event, "each one is the balance before its event"),
    Mistake("05.2", "the last balance in each row", {"state.balance": "states[-1].balance"},
            ex.each_balance_is_the_one_after_its_event, "the end of the history, not its course"),
    Mistake("05.2", "the amount instead of the balance",
            {"state.balance": "getattr(r.event, 'amount', None)"},
            ex.each_balance_is_the_one_after_its_event, "the amounts of the events"),
    Mistake("05.2", "a fold without a first state", {"accumulate((r.event for r in recorded), evolve, initial=BankAccount())": "[0, *accumulate((r.event for r in recorded), evolve)]"},
            ex.one_row_for_each_event, "accumulate takes the first event for it"),
    Mistake("05.2", "the rows that move money alone", {"zip(recorded, states)": "zip(recorded, states) if hasattr(r.event, 'amount')"},
            ex.one_row_for_each_event, "no filter"),
    Mistake("05.2", "moments without their zone", {"r.recorded_at": "r.recorded_at.replace(tzinfo=None)"},
            ex.versions_types_and_moments_are_the_events_own, "have lost their time zone"),
    Mistake("05.2", "counts the versions", {"(r.version,": "(recorded.index(r) + 1,"},
            AS_OURS, "no count"),
    Mistake("05.2", "reads twice", {"zip(recorded, states)": "zip(store.read_stream(stream_id), (state for state in (*states, BankAccount())))"},
            MEANWHILE, "from one read_stream"),
    Mistake("05.2", "no history where it cannot be read", {"    recorded = store.read_stream(stream_id)\n":
            "    try:\n        recorded = store.read_stream(stream_id)\n    except Exception:\n        recorded = []\n"},
            BROKEN, "It should have let that error through"),
    Mistake("05.2", "float money", {"state.balance": "float(state.balance)"},
            ex.money_stays_decimal, "are of type float"),
    Mistake("05.2", "money as text", {"state.balance": "str(state.balance)"},
            ex.money_stays_decimal, "are of type str"),
    Mistake("05.2", "positions for versions", {"(r.version,": "(r.position + 10,"},
            ex.versions_types_and_moments_are_the_events_own, "and should be 1 to 4"),
    Mistake("05.2", "the path of the class for the type",
            {"r.type": "f'{type(r.event).__module__}.{type(r.event).__name__}'"},
            ex.versions_types_and_moments_are_the_events_own, "is `recorded.type`"),
    Mistake("05.2", "the moment of reading", {"r.recorded_at": "pd.Timestamp.now(tz='UTC')"},
            ex.versions_types_and_moments_are_the_events_own, "`recorded.recorded_at`"),
    Mistake("05.2", "no columns where there are no rows",
            {"    return pd.DataFrame(": "    if not recorded:\n        return pd.DataFrame()\n"
                                       "    return pd.DataFrame("},
            ex.an_empty_stream_has_an_empty_history, "The columns should be"),
    Mistake("05.2", "the first event of an empty stream",
            {"    _, *states": "    first = recorded[0]\n    _, *states"},
            ex.an_empty_stream_has_an_empty_history, "raised IndexError"),
)  # fmt: skip

MISTAKES = (*THE_STATE_AT, *THE_HISTORY)
