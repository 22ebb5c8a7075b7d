"""What came of an exercise's checks, and how it is shown."""

from dataclasses import dataclass
from typing import Literal

from ..display import Box, Shown, count
from .exercise import Exercise

# What is looked at before an exercise's own checks.
CAN_BE_CHECKED = "The answer can be checked"
SQL_RUNS = "Your SQL runs"

Outcome = Literal["passed", "failed", "not reached"]


@dataclass(frozen=True)
class Result:
    """What came of one check; the message is for the learner, and empty unless it failed."""

    label: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What came of an exercise's checks: none where the answer was not started."""

    exercise: Exercise
    results: tuple[Result, ...]

    @property
    def started(self) -> bool:
        return bool(self.results)

    @property
    def passed(self) -> bool:
        return self.started and all(result.outcome == "passed" for result in self.results)

    @property
    def failed_check(self) -> str | None:
        """The name of the check that failed, None where none did."""
        return next((result.label for result in self.results if result.outcome == "failed"), None)

    def shown(self, note: str = "", sent: str = "") -> Shown:
        """Show it, a line a check, and where to go next.

        Args:
            note: where a passed answer is kept.
            sent: what was sent to the room.
        """
        name = f"{self.exercise.id} {self.exercise.title}"
        hint = f'`hint("{self.exercise.id}")`'
        if not self.started:
            box = Box(f"{name}: not started", "not started")
            box.prose(
                "Write your answer in the place of `...`, so that no `...` is left, and run the cell again. "
                f"A nudge: {hint}"
            )
            return box.shown()
        passed = sum(result.outcome == "passed" for result in self.results)
        if self.passed:
            box = Box(f"{name}: solved, {count(passed, 'check')} passed", "passed")
        else:
            checks = count(sum(result.label not in (CAN_BE_CHECKED, SQL_RUNS) for result in self.results), "check")
            box = Box(f"{name}: not yet, {passed} of {checks} passed", "failed")
        for result in self.results:
            box.result(result.outcome, result.label, result.message)
        box.prose(note if self.passed else f"Stuck? {hint} gives a nudge, and one more each time.")
        box.prose(sent)
        return box.shown()
