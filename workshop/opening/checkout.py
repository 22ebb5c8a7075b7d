"""What a learner changed in the checkout itself, where git would stop at it: taken into the learner's folder."""

import subprocess
from pathlib import Path

from ..errors import WorkshopError
from ..files import CHECKOUT, DELIVERED, free_name
from . import merging
from .folder import text_of, write


def give_back(folder: Path) -> list[str]:
    """Put each changed notebook under notebooks/ and solutions/ into the learner's folder, and git's own in its place.

    One that was merely run has nothing of the learner's, and is not kept.

    Returns:
        A line for each notebook that was put there.

    Raises:
        WorkshopError: git does not answer, as where the kit came as a ZIP.
    """
    lines = []
    changed = _git("diff", "--name-only", "-z", "HEAD", "--", "notebooks", "solutions", "instructors/dashboard.ipynb")
    for name in changed.split("\0")[:-1]:
        mine, base = text_of(CHECKOUT / name), _git("show", f"HEAD:{name}")
        if mine is not None and not _is_merely_run(mine, base):
            target, as_delivered = folder / name, folder / DELIVERED / name
            there = text_of(target)
            if there is None or there == text_of(as_delivered):  # nothing was done there yet
                write(as_delivered, base)
            else:
                target = free_name(target.with_name(f"{target.stem}_from_git{target.suffix}"))
            write(target, mine)
            lines.append(f"Your changes in {name} are in {target}.")
        _git("checkout", "--quiet", "HEAD", "--", name)
    return lines


def _is_merely_run(mine: str, base: str) -> bool:
    try:
        return merging.is_same_text(merging.read(mine), merging.read(base))
    except ValueError:
        return False


def _git(*command: str) -> str:
    try:
        done = subprocess.run(["git", "-C", CHECKOUT, *command], capture_output=True, text=True, encoding="utf-8")
    except OSError as error:
        raise WorkshopError(f"git cannot be run: {error.strerror}.", _WITHOUT_GIT) from None
    if done.returncode:
        raise WorkshopError(f"git says: {(done.stderr.strip().splitlines() or ['nothing'])[-1]}.", _WITHOUT_GIT)
    return done.stdout


_WITHOUT_GIT = "Without git, unpack the new edition beside this one, and move the folder my_course into it."
