"""The names of a room and of its learners: as people write them, and as PostgreSQL keeps them."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..errors import WorkshopError

LONGEST = 40  # a role is at most 62 bytes, with the longest name of a room and "_" before it: PostgreSQL cuts at 63

_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ`´"))
# Letters that are no letter with an accent.
_OTHERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "đ": "d", "þ": "th", "ł": "l", "ħ": "h", "ı": "i"})


def check_room(name: str) -> str:
    """Return the name of a room.

    Raises:
        WorkshopError: it is none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,20}", name):
        raise WorkshopError(
            f"{name!r} is no name of a room.",
            "Take a small letter and up to 20 more small letters, digits or underscores, such as oslo.",
        )
    if re.match(r"(room|pg)(_|$)", name):
        raise WorkshopError(
            f"A room cannot be called {name}: names that begin so have a meaning of their own.",
            "Take another one, such as oslo.",
        )
    return name


def plain(name: str) -> str:
    """Return a person's name as PostgreSQL keeps it: "Zoë O'Brien-Łask" becomes zoe_obrien_lask.

    Small letters without accents and apostrophes, digits; what stands between words becomes one underscore.

    Raises:
        WorkshopError: nothing that can be kept is left, or it is too long.
    """
    text = unicodedata.normalize("NFKD", name.translate(_APOSTROPHES).casefold())
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).translate(_OTHERS)
    text = re.sub(r"[\s._‐‒–—-]+", "_", text).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise WorkshopError(
            f"{name!r} cannot be used as a name.",
            "Write the name alone, in Latin letters: a letter first, then letters, digits, spaces, hyphens, dots.",
        )
    if len(text) > LONGEST:
        raise WorkshopError(
            f"The name {name!r} is too long: {len(text)} characters, and {LONGEST} is the most.",
            "Write a shorter one, such as the first name.",
        )
    return text


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Return people's names by what PostgreSQL keeps of them, in their order.

    Raises:
        WorkshopError: there is none, one cannot be used, or two would be kept alike.
    """
    kept: dict[str, str] = {}
    for name in names:
        name = " ".join(name.split())
        if (role := plain(name)) in kept:
            raise WorkshopError(
                f"Two learners would both be called {role}: {kept[role]!r} and {name!r}.",
                "Tell them apart, with a second name or a number.",
            )
        kept[role] = name
    if not kept:
        raise WorkshopError("There are no names.", "Name at least one learner.")
    return kept


def names_in(path: Path) -> list[str]:
    """Return the names in a file: one a line; empty lines, and those that begin with #, do not count.

    Raises:
        WorkshopError: there is no such file, it is no text, or there are no names in it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise WorkshopError(
            f"The names in {path} cannot be read: {error.strerror}.", "Name a file with one name a line."
        ) from None
    except UnicodeDecodeError:
        raise WorkshopError(
            f"{path} is no text in UTF-8.", "Save it as plain text, encoding UTF-8, one name a line."
        ) from None
    names = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    if not names:
        raise WorkshopError(f"There are no names in {path}.", "Write one name a line.")
    return names
