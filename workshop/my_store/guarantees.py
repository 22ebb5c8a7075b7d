"""What an event store promises, in a learner's words, and where to look when a promise is not kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guarantee:
    """One guarantee.

    Attributes:
        key: "G1" and so on.
        promise: what it promises.
        tests: the file under tests/conformance that proves it.
        exercises: the exercises that build it.
        notebook: the notebook that explains it.
    """

    key: str
    promise: str
    tests: str
    exercises: tuple[str, ...]
    notebook: str


GUARANTEES = (
    Guarantee("G1", "Order: versions 1, 2, 3, ... without a gap, and a stream is read in that order",
              "test_g1_order.py", ("01.1", "02.3", "02.5", "02.6"), "02"),
    Guarantee("G2", "Read your writes: an append is there at once, for others once it commits",
              "test_g2_read_your_writes.py", ("02.3", "02.5", "02.6"), "02"),
    Guarantee("G3", "Atomic: all events of an append or none, and it takes part in its caller's transaction",
              "test_g3_atomic.py", ("02.3", "02.6"), "02"),
    Guarantee("G4", "Optimistic concurrency: of the writers that expect one version exactly one wins",
              "test_g4_optimistic_concurrency.py", ("02.3", "02.4", "02.6", "04.2"), "02"),
    Guarantee("G5", "Idempotent retry: an append that is sent again stores nothing twice",
              "test_g5_idempotent_retry.py", ("01.1", "02.4"), "02"),
    Guarantee("G6", "Time is a prefix: the past is the beginning of a stream, and stays it",
              "test_g6_time_is_a_prefix.py", ("02.3", "02.5", "05.1", "07.3"), "05"),
    Guarantee("G7", "Facts stay: the database refuses to change or remove an event",
              "test_g7_facts_stay.py", ("01.3",), "01"),
    Guarantee("G8", "Nothing skipped: whoever reads the log from a checkpoint sees every event once",
              "test_g8_nothing_skipped.py", ("08.2", "08.5"), "08"),
    Guarantee("G9", "Strong read models: they change with their events, in one transaction",
              "test_g9_strong_read_models.py", ("06.3", "06.4"), "06"),
    Guarantee("G10", "Exactly-once effect: a read model that follows the log counts each event once",
              "test_g10_exactly_once_effect.py", ("08.2", "08.3", "08.5"), "08"),
    Guarantee("G11", "Push: a subscriber hears of a new event without asking for it",
              "test_g11_push.py", ("08.3", "08.4", "08.5"), "08"),
    Guarantee("G12", "Bad input gets a clear error, and nothing is stored",
              "test_g12_bad_input.py", ("01.1", "01.2", "02.6"), "02"),
    Guarantee("Archiving", "Archiving: a stream that has ended leaves the hot table, and nothing is lost",
              "test_archiving.py", ("09.1", "09.3", "09.4"), "09"),
)  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """One of the nine requirements of notebook 00.

    Attributes:
        name: what an event store can do.
        guarantees: the guarantees that prove it, each as a whole,
        tests: or tests of G1, where one guarantee is more than one requirement.
    """

    name: str
    guarantees: tuple[str, ...]
    tests: tuple[str, ...] = ()


REQUIREMENTS = (
    Requirement("append events at the end of a stream", ("G12",), (
        "test_versions_count_from_one_over_single_events_and_batches",
        "test_each_stream_has_versions_of_its_own",
    )),
    Requirement("read all events of a stream", (), (
        "test_each_stream_has_versions_of_its_own",
        "test_a_range_of_versions_includes_both_of_its_ends",
        "test_a_stream_that_does_not_exist_is_empty",
    )),
    Requirement("guarantee their order", ("G1", "G6")),
    Requirement("read its own writes", ("G2",)),
    Requirement("write atomically, with optimistic concurrency", ("G3", "G4", "G5")),
    Requirement("push new events", ("G11",)),
    Requirement("order all events globally", ("G8",)),
    Requirement("build projections", ("G9", "G10")),
    Requirement("archive streams", ("G7", "Archiving")),
)  # fmt: skip


@dataclass(frozen=True)
class Addition:
    """What a later notebook adds to an answer that is a part of the store already.

    Attributes:
        exercise: the exercise that adds it.
        guarantees: what is missed without it.
        without: what goes wrong without it.
    """

    exercise: str
    guarantees: tuple[str, ...]
    without: str


ADDITIONS = (
    Addition(
        "08.5",
        ("G8", "G10", "G11"),
        "Your append_to_stream does not announce its positions, so a reader of the log passes by an append that is "
        "still open; and it wakes nobody, while subscribers sleep until they are notified.",
    ),
    Addition(
        "09.3",
        ("G5", "Archiving"),
        "Your append_to_stream takes another event under an id that is known for a retry; or it does not look whether "
        "the stream is archived, and begins a second history of it.",
    ),
    Addition(
        "09.4",
        ("Archiving",),
        "Your rebuild_read_model reads the table events, and archived events are no longer there.",
    ),
)
