"""The learner's folder: laid out at the first start, and brought to a new edition at every later one.

What the kit brings lies there as copies, which are the learner's to change. Beside them, in `.delivered/`, is each as
it was laid out: so it is known what is the learner's, and nothing of it is lost when a new edition comes.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import WorkshopError
from ..files import CHECKOUT, DELIVERED, IS_INSTALLED, free_name, write_whole
from . import merging

_NOTEBOOKS = ("notebooks", "solutions", "instructors")
_BEFORE = "before_update"  # what a learner had changed, as it was
# What the first edition kept in the checkout itself.
_MOVED_HERE = ("my_eventstore", "room.json", ".postgresql")


def lay_out(folder: Path) -> list[str]:
    """Bring a learner's folder to this edition of the kit: make what is missing, renew what is old.

    A notebook that was changed gets the new text, and keeps the learner's cells; as it was before, it is put into
    before_update/. One that cannot be read, or is from elsewhere, stays under a name that says so, beside the new one.

    Returns:
        A line for each file that was changed by the learner and by the new edition.

    Raises:
        WorkshopError: the folder cannot be written; what was there is there still.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not IS_INSTALLED and folder.parent == CHECKOUT:
            for name in _MOVED_HERE:
                if (CHECKOUT / name).exists() and not (folder / name).exists():
                    os.replace(CHECKOUT / name, folder / name)
        for name in ("eventstore", "workshop", "docs", "README.md"):  # the first edition linked them
            if (folder / name).is_symlink():
                (folder / name).unlink()
        lines = []
        delivered = dict(_delivered())
        for name, source in delivered.items():
            lines += _deliver(folder, name, source.read_text(encoding="utf-8"))
        _remove_what_is_no_more(folder, set(delivered))
        return lines
    except OSError as error:
        raise WorkshopError(
            f"The folder {folder} cannot be laid out: {error.strerror or error}.",
            "Make it writable, or name another one: event-store-workshop --folder FOLDER.",
        ) from None


def _delivered() -> Iterator[tuple[str, Path]]:
    """Yield what a learner's folder gets: its name there, and the file in the kit."""
    yield "notebooks/AGENTS.md", CHECKOUT / "notebooks/AGENTS.md"  # for the assistant that a learner may have
    code = Path(__file__).parents[2]
    linked = set()
    for place in _NOTEBOOKS:
        for notebook in sorted((CHECKOUT / place).glob("*.ipynb")):
            yield f"{place}/{notebook.name}", notebook
            linked |= set(re.findall(r"\]\(\.\./(workshop/[^)#]+)", notebook.read_text(encoding="utf-8")))
    for kind in ("*.py", "schema/*.sql"):
        linked |= {path.relative_to(code).as_posix() for path in (code / "eventstore").glob(kind)}
    for name in sorted(linked):
        # To be read. What is imported is the installed code, never these: without __init__.py they are no package.
        if not name.endswith("__init__.py") and (code / name).is_file():
            yield name, code / name


def _deliver(folder: Path, name: str, new: str) -> list[str]:
    """Bring one file to the new edition; return a line where there was something of the learner's in it."""
    target, as_delivered = folder / name, folder / DELIVERED / name
    base = text_of(as_delivered)
    if target.exists() and base == new:
        return []  # of this edition already, and the learner's to change
    said, text = "", new
    if target.exists() and (mine := text_of(target)) not in (base, new):
        if (merged := _merged(mine, base, new)) is None:
            aside = free_name(target.with_name(f"{target.stem}_yours{target.suffix}"))
            os.replace(target, aside)
            said = f"{name} is new. Yours, of an edition that is not known, or broken, is {aside.name} beside it."
        else:
            text = merging.written(merged.notebook)
            if merged.kept:
                before = free_name(folder / _BEFORE / name)
                write(before, mine or "")
                where = before.relative_to(folder).as_posix()
                said = f"{name} has the new text, and {merged.kept} of your cells. As it was: {where}."
    write(target, text)
    write(as_delivered, new)  # last: until then the next start does it again
    return [said] if said else []


def _merged(mine: str | None, base: str | None, new: str) -> merging.Merged | None:
    """Return the new edition with what is the learner's, or None where that cannot be told."""
    try:
        ours, theirs = merging.read(mine or ""), merging.read(new)
        if base is not None:
            return merging.merge(ours, merging.read(base), theirs)
        # Laid out by the first edition, which kept no copy: that it was merely run can be seen.
        return merging.merge(ours, theirs, theirs) if merging.is_same_text(ours, theirs) else None
    except ValueError:
        return None


def _remove_what_is_no_more(folder: Path, delivered: set[str]) -> None:
    """Remove what earlier editions brought and this one does not, unless the learner changed it."""
    for path in [path for path in (folder / DELIVERED).rglob("*") if path.is_file()]:
        name = path.relative_to(folder / DELIVERED).as_posix()
        if name not in delivered:
            if text_of(folder / name) == text_of(path):
                (folder / name).unlink()
            path.unlink()


def text_of(path: Path) -> str | None:
    """Return the text of a file, without the mark that some editors begin it with; None where there is none."""
    with suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8-sig")
    return None


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
