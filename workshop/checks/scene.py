"""A scene: what an exercise says about a call of its answer. How it is played is no business of the exercise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eventstore import RecordedEvent

from .sandbox import Task
from .words import brief


class Did(str):
    """What an answer did, in words that follow "it should have", where that is not what it returned."""


@dataclass(frozen=True)
class Call:
    """How an answer is called.

    Attributes:
        says: the call as a message shows it; {} stands for the arguments.
        run: called with the answer, the stage, and a copy of the arguments; returns what the answer returns, or did.
        own_classes: whether the arguments are made of the classes that the answer's own cell defines.
    """

    says: str
    run: Callable[..., Any]
    own_classes: bool = False

    def in_words(self, given: tuple) -> str:
        return self.says.replace("{}", ", ".join(brief(_events(value)) for value in given))


class SqlCall(Call):
    """A call of what SQL has made. Its arguments are SQL, in one text, which stands for {} in the query.

    Args:
        query: such as "SELECT version FROM read_stream({})"; of one column, the values are returned.
        run: what is done instead, where one query is not enough.
    """

    def __init__(self, query: str, run: Callable[..., Any] | None = None):
        super().__init__(query, run or self._query)

    def in_words(self, given: tuple) -> str:
        return self.says.replace("{}", given[0])

    def _query(self, _: object, stage: Any, arguments: str) -> list:
        cursor = stage.connection.execute(self.says.replace("{}", arguments).encode())
        rows = cursor.fetchall()
        return [row[0] for row in rows] if len(cursor.description) == 1 else rows


def _events(value: Any) -> Any:
    """Return the events alone, where a value is a list of recorded ones: the rest says nothing in a message."""
    if isinstance(value, list) and value and all(isinstance(each, RecordedEvent) for each in value):
        return [each.event for each in value]
    return value


@dataclass(frozen=True)
class Somebody:
    """Somebody else, who does something of their own while the answer is called.

    Attributes:
        did: what they did, as a message says it: "deposited 5 in account-1".
        act: their SQL, or a function of a connection: one transaction, through the proper door.
        then: what they need next, while the answer waits for them. They came first, then, and hold what they have.
    """

    did: str
    act: Task
    then: Task = ""


@dataclass(frozen=True)
class Advice:
    """A sentence for whoever went wrong: where the outcome is, the rows are, or something else is left behind."""

    outcome: str = ""
    rows: str = ""
    left: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A situation, and a call in it.

    Attributes:
        call: how the answer is called.
        given: with which arguments; each play gets a copy of its own.
        before: SQL for what there was before. Its ids are fixed, and its moments long ago.
        story: the same in words: "account-1 holds two events".
        advice: for whoever goes wrong.
        somebody: who may come in between, at any place: each of them in turn.
        stranger: who has nothing to do with the call, and need not wait for it.
        breaks: whether an error is raised at any place.
    """

    call: Call
    given: tuple = ()
    before: str = ""
    story: str = ""
    advice: Advice = Advice()
    somebody: tuple[Somebody, ...] = ()
    stranger: Somebody | None = None
    breaks: bool = True

    def in_words(self) -> str:
        """Return the situation and the call in words."""
        return f"{self.story + '. ' if self.story else ''}{self.call.in_words(self.given)}."


@dataclass(frozen=True, kw_only=True)
class Cases(Scene):
    """A situation, and many calls in it, one after the other; each is undone before the next.

    Attributes:
        given: the arguments of each call.
        in_database: whether the answer meets a database at all.
    """

    given: tuple[tuple, ...]
    in_database: bool = True
