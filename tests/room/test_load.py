"""A room at work keeps what it has to, with killed kernels, open transactions and a crash of the server."""

import pytest

from .load.__main__ import PACE, percentile_95, seconds_alone, seconds_at_once, seconds_to_a_verdict
from .load.proof import nothing_is_lost, nothing_is_seen_by_another, the_dashboard_agrees
from .load.script import FAST_TRACK
from .load.session import Session, session

EVERY_OTHER = FAST_TRACK[::2]  # from 01, 02, 03 and 06; `python -m tests.room.load` measures all of it


def keeps_what_it_has_to(done: Session) -> None:
    nothing_is_lost(done)
    nothing_is_seen_by_another(done)
    the_dashboard_agrees(done)
    killed = sum(learner.notes.killed for learner in done.learners)
    assert killed >= len(done.learners) // 5 and done.away  # it was no quiet hour
    # Those who were disturbed are in the second figure: there is one for each answer, a new kernel's start in it.
    assert len(seconds_to_a_verdict(done)) == sum(len(learner.script) for learner in done.learners)
    for learner in done.learners:
        assert max(learner.notes.waited) > max(learner.notes.seconds) + (0.5 if learner.notes.killed else 0.0)


def test_a_room_of_three_keeps_what_it_has_to() -> None:
    with session(3, pace=1000, exercises=EVERY_OTHER, alone=False) as done:
        keeps_what_it_has_to(done)


@pytest.mark.long
@pytest.mark.alone
def test_thirty_learners_lose_nothing_and_wait_no_longer_than_three_times_as_long_as_one() -> None:
    with session(30, PACE, exercises=EVERY_OTHER) as done:
        keeps_what_it_has_to(done)
        assert percentile_95(seconds_at_once(done)) < 3 * percentile_95(seconds_alone(done))
