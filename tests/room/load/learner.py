"""A learner at work, who notes down what the screen said."""

import random
import re
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workshop.checks.exercise import Exercise
from workshop.files import CHECKOUT
from workshop.room import Seat

from .kernel import Kernel, KernelDied, Output
from .script import Step, script

_COPIED = ("eventstore", "workshop", "solutions")  # what a learner's kernel needs of the kit
_VERDICT = re.compile(
    r'(Sent|Kept, to be sent) to the room .*: exercise ([\d.]+), attempt (\d+), (?:passed|failed on "(.*)")\.'
)

# In JupyterLab each notebook has a kernel. Here one process plays them one after the other, for the memory's sake, and
# what it has open for one notebook stays open when it goes on to the next, as kernels do that nobody shuts down.
_ANOTHER_KERNEL = """
import workshop.attempts.recording, workshop.classroom
earlier_kernels = [*globals().get("earlier_kernels", ()), db]
workshop.classroom._started = None
workshop.attempts.recording._log.cache_clear()
workshop.attempts.recording._outbox.cache_clear()
"""
_START = 'from workshop import check, start\ndb = start("{}")'
# What an experiment with several writers leaves open until its notebook is begun again,
_WRITERS = "writers = [db.connect() for _ in range(5)]\nfor writer in writers: writer.execute('SELECT 1')"
# and a transaction that somebody forgot to end, with its locks.
_ABANDONED = """
abandoned = db.connect(autocommit=False)
abandoned.execute("CREATE TABLE IF NOT EXISTS scratch (n int)")
abandoned.execute("LOCK TABLE scratch IN ACCESS EXCLUSIVE MODE")
"""


@dataclass(frozen=True)
class Attempt:
    """An outcome as it is stored, or as the learner saw it; `failed_check` is None where it passed."""

    exercise_id: str
    number: int
    failed_check: str | None


@dataclass
class Notes:
    """What a learner saw.

    Attributes:
        seen: the attempts that the screen called sent, or kept to be sent, in order.
        unclear: exercise and outcome of attempts whose verdict never came: the kernel was killed, the server was down.
        seconds: what each try took that brought a verdict.
        waited: from the first try of each answer to its verdict: tries without one, and new kernels, are in it.
        kept: attempts that were not sent at once.
        killed, repeated: kernels that were killed, checks that were repeated as no verdict came.
        wrong: outcomes that should have been others.
    """

    seen: list[Attempt] = field(default_factory=list)
    unclear: list[tuple[str, str | None]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    kept: int = 0
    killed: int = 0
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)


class Learner:
    """One learner, with a copy of the kit and a kernel.

    Args:
        folder: where the copy goes.
        exercises: what they solve.
        killed_at: the exercise in whose first check the kernel is killed, None for none.
        abandons: whether transactions are left open.
    """

    def __init__(
        self,
        seat: Seat,
        folder: Path,
        seed: str,
        exercises: Sequence[Exercise],
        *,
        killed_at: str | None = None,
        abandons: bool = False,
    ):
        self.seat = seat
        self.notes = Notes()
        self.cpu = 0.0  # of all kernels while at work
        self.checkout = folder / seat.role
        self.script = script(f"{seed} {seat.role}", exercises)
        self._chance = random.Random(f"{seed} {seat.role} kills")
        self._killed_at, self._abandons = killed_at, abandons
        for part in _COPIED:
            shutil.copytree(CHECKOUT / part, self.checkout / part)
        (self.checkout / "notebooks").mkdir()
        self.kernel: Kernel | None = None
        self._notebook = ""

    @property
    def url(self) -> str:
        assert self.seat.url
        return self.seat.url

    def arrive(self) -> None:
        """Start a kernel, paste the instructor's line, and begin the first notebook."""
        self.kernel = Kernel(self.checkout)
        joined = self.kernel.run(self.seat.line)
        assert "You joined the room" in joined.text, joined
        self._begin(self.script[0].notebook)

    def work(self, pace: float) -> None:
        """Solve the exercises.

        Args:
            pace: how many times faster than a real learner; infinite for one who does not think.
        """
        assert self.kernel
        before = self.kernel.cpu()
        for step in self.script:
            time.sleep(step.thinks / pace)
            if step.notebook != self._notebook:
                self.kernel.run(_ANOTHER_KERNEL)
                self._begin(step.notebook)
            tried = time.perf_counter()
            if step.exercise.id == self._killed_at:
                self._killed_at = None
                self.cpu += self._is_killed(step) - before
                before = self.kernel.cpu()
            self._check(step)
            self.notes.waited.append(time.perf_counter() - tried)
        self.cpu += self.kernel.cpu() - before

    def leave(self) -> None:
        """End the kernel."""
        if self.kernel:
            self.kernel.close()
            self.kernel = None

    def _begin(self, notebook: str) -> None:
        """Run the first cell of a notebook, again while the server is away, and leave something open in it."""
        assert self.kernel
        self._notebook = notebook
        deadline = time.monotonic() + 60
        while (output := self.kernel.run(_START.format(notebook))).error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.seat.role} cannot begin {notebook}: {output.error}")
            time.sleep(0.5)
        self.kernel.run(_WRITERS)
        if self._abandons:
            self.kernel.run(_ABANDONED)

    def _check(self, step: Step) -> None:
        """Check an answer, until there is a verdict."""
        assert self.kernel
        while True:
            output = self.kernel.run(step.cell)
            if self._note(step, output):
                return
            self.notes.unclear.append((step.exercise.id, step.failed_check))
            self.notes.repeated += 1
            if self.notes.repeated > 20:
                raise AssertionError(f"{self.seat.role} gets no verdict on {step.exercise.id}: {output}")
            time.sleep(0.5)
            self._begin(step.notebook)

    def _note(self, step: Step, output: Output) -> bool:
        verdict = _VERDICT.search(output.text)
        if output.error or not verdict:
            return False
        how, exercise_id, number, failed_check = verdict.groups()
        attempt = Attempt(exercise_id, int(number), failed_check)
        if (exercise_id, failed_check) != (step.exercise.id, step.failed_check):
            self.notes.wrong.append(f"{attempt}, not {step.failed_check}: {output.text}")
        self.notes.seen.append(attempt)
        self.notes.seconds.append(output.seconds)
        self.notes.kept += how != "Sent"
        return True

    def _is_killed(self, step: Step) -> float:
        """Have the kernel killed in the middle of a check, start another one; return what the dead one had used."""
        assert self.kernel
        dying, used = self.kernel, 0.0

        def kill() -> None:
            nonlocal used
            used = dying.cpu()
            dying.kill()

        timer = threading.Timer(self._chance.uniform(0.01, 0.08), kill)
        timer.start()
        try:
            output = dying.run(step.cell)
        except KernelDied:
            self.notes.unclear.append((step.exercise.id, step.failed_check))
        else:  # it was quicker than the kill
            self._note(step, output) or self.notes.unclear.append((step.exercise.id, step.failed_check))
        timer.join()
        self.notes.killed += 1
        dying.close()
        self.kernel = Kernel(self.checkout)
        self._begin(step.notebook)
        return used
