"""Where the URL of a server came from, and so what can be done about one that does not work."""

import json
import os
import re
from dataclasses import dataclass

from ..errors import WorkshopError
from ..files import learners_folder, write_whole

ROOM_FILE = learners_folder() / "room.json"  # not in git: it holds a password


@dataclass(frozen=True)
class Source:
    """Where a URL came from.

    Attributes:
        name: what holds the URL, as a message calls it.
        said: how the line that start() prints puts it.
        mend: what to do about a URL that is none.
        knock: what to do where no server answers, or it lets nobody in.
        change: how to get to another server.
    """

    name: str
    said: str
    mend: str
    knock: str
    change: str


_ESCAPES = "in a password, write % as %25, / as %2F, @ as %40"

ENVIRONMENT = Source(
    "DATABASE_URL",
    "from DATABASE_URL",
    f"Mend it ({_ESCAPES}), or unset it to use the embedded server.",
    "Start it (with Docker: docker compose up -d), mend DATABASE_URL, or unset it to use the embedded server.",
    "Unset DATABASE_URL to use the embedded server, or point it at another one.",
)
JOINED = Source(
    "The URL in room.json",
    "joined",
    "Paste your instructor's line with join(...) again, or call leave() to use the embedded server.",
    "Ask your instructor whether it is up and your line still holds, or call leave() to use the embedded server.",
    "Tell your instructor, or call leave() to use the embedded server.",
)
PASTED = Source(
    "What stands in join(...)",
    "joined",
    "Paste your instructor's line as it is, from the first character to the last.",
    "Nothing was changed. Compare the line with your instructor's, and ask whether the server is up.",
    "Nothing was changed. Tell your instructor.",
)
EMBEDDED = Source(
    "The URL of the embedded server",
    "embedded",
    "Run this cell again.",
    "Run this cell again; it starts the embedded server if it is down.",
    "Remove the folder .postgresql, and run this cell again.",
)


def being_graded() -> bool:
    """Whether this kernel grades somebody's submission, at the command of nbgrader, and not a learner at work."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"


def current() -> Source:
    """Return where server_url() takes its URL from."""
    if os.environ.get("DATABASE_URL", "").strip():
        return ENVIRONMENT
    return JOINED if ROOM_FILE.exists() and not being_graded() else EMBEDDED


def in_libpqs_words(url: str) -> str:
    """Return a URL as libpq knows it; SQLAlchemy's users write postgresql+psycopg://."""
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", url.strip())


def joined_url() -> str:
    """Return the URL that join() kept.

    Raises:
        WorkshopError: the file cannot be read.
    """
    try:
        return in_libpqs_words(json.loads(ROOM_FILE.read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise WorkshopError(
            f"The file that says which room you joined is broken: {ROOM_FILE}.",
            "Paste your instructor's line with join(...) again, or call leave() to use the embedded server.",
        ) from None


def keep_url(url: str) -> None:
    """Keep a URL for joined_url(): whole or not at all, and for nobody else to read.

    Raises:
        WorkshopError: the file cannot be written.
    """
    try:
        ROOM_FILE.parent.mkdir(parents=True, exist_ok=True)
        write_whole(ROOM_FILE, json.dumps({"url": url}))
    except OSError as error:
        raise WorkshopError(
            f"The room could not be kept in {ROOM_FILE}: {error.strerror}.", "Make that folder writable, and try again."
        ) from None


def forget_url() -> bool:
    """Forget what keep_url() kept; return whether there was anything."""
    try:
        ROOM_FILE.unlink()
    except FileNotFoundError:
        return False
    return True
