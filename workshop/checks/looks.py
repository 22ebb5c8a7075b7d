"""Ways of looking at an answer that no exercise repeats: beside the reference, with others coming in between, breaking.

An exercise gives scenes, and `looks` makes checks of them. Right is what can be seen of the reference in the same
scene, wherever the same somebody comes in between. So nobody has to list mistakes, and none is forgotten.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NoReturn

from .exercise import Check
from .interlopers import MOST_PLACES, Act, Breaks, Comes, Kind, Looks
from .sandbox import Sandbox
from .scene import Cases, Scene, Somebody
from .stage import FAILED, IDLE, Mode, Rows, Seen, Setup, Side, Stage
from .words import apart, listed, short

_HOW: dict[Mode, str] = {
    "alone": "",
    "inside": " All of it was in a transaction of the caller's.",
    "manual": " The connection was not in autocommit mode.",
}
_AND_THEN: dict[Act, str] = {
    "commits": "and committed",
    "holds": "and committed a moment later",
    "gives up": "and rolled back a moment later",
}
_WHAT_BROKE: dict[Kind, str] = {
    "error": "an error was raised",
    "server": "the server refused, its disk being full",
    "lost": "the connection was lost",
}


def looks(*scenes: Scene, setup: Setup | None = None) -> tuple[Check, ...]:
    """Return the checks that look at an answer in these scenes.

    Args:
        setup: makes what they need beside the exercise's `given`, such as the table of a read model.
    """
    cases = [scene for scene in scenes if isinstance(scene, Cases)]
    scenes = tuple(scene for scene in scenes if not isinstance(scene, Cases))
    # What a caller's transaction makes of a call is seen in the first scene of it.
    firsts = [scene for number, scene in enumerate(scenes) if scene.call not in [it.call for it in scenes[:number]]]
    in_database = bool(scenes) or any(each.in_database for each in cases)

    def stage(sandbox: Sandbox) -> Stage:
        if sandbox.stage is None:
            gates = sandbox.exercise.is_sql and any(scene.somebody for scene in scenes)
            sandbox.stage = Stage(sandbox, setup=setup, in_database=in_database, gates=gates)
        return sandbox.stage

    def as_ours(sandbox: Sandbox) -> None:
        """In every other case, too, it does what is asked"""
        for each in cases:
            _same(stage(sandbox), each)
        for scene in scenes:
            _undisturbed(stage(sandbox), scene, _HOW if scene in firsts else ("alone",))

    def meanwhile(sandbox: Sandbox) -> None:
        """Somebody may come in between, at any point"""
        for scene in scenes:
            for somebody in scene.somebody:
                is_first = scene in firsts and somebody is scene.somebody[0]
                _meanwhile(stage(sandbox), scene, somebody, inside=is_first and not somebody.then)

    def broken(sandbox: Sandbox) -> None:
        """Wherever it breaks, nothing is half done"""
        for scene in scenes:
            if scene.breaks:
                _broken(stage(sandbox), scene)

    checks: list[Check] = [as_ours]
    if any(scene.somebody for scene in scenes):
        checks.append(meanwhile)
    if any(scene.breaks for scene in scenes):
        checks.append(broken)
    for check in checks:
        check.on_stage = True  # type: ignore[attr-defined]
    return tuple(checks)


# Beside the reference


def _same(stage: Stage, cases: Cases) -> None:
    """Raise AssertionError unless the answer does what the reference does, in each case."""
    few = [*cases.given[:: max(1, len(cases.given) // 4)]]
    for chosen, elsewhere in ((list(cases.given), False), (few, True)):
        if elsewhere and not cases.in_database:
            return
        right = stage.each("reference", cases, chosen, elsewhere)
        found = stage.each("answer", cases, chosen, elsewhere)
        assert len(right) == len(chosen), "the reference ends its caller's transaction"
        for given, seen, wanted in zip(chosen, found, right, strict=False):
            if (seen.rows is None) != (wanted.rows is None):  # one of them has touched a table
                before = stage.before(cases).rows
                seen, wanted = (replace(it, rows=it.rows or before) for it in (seen, wanted))
            where = " (in a session of another time zone, REPEATABLE READ)" if elsewhere else ""
            _must_be(seen, [wanted], replace(cases, given=given), where)


def _undisturbed(stage: Stage, scene: Scene, modes: Iterable[Mode]) -> None:
    """Raise AssertionError unless an answer that nobody disturbs does what the reference does, and nobody sees half."""
    for mode in modes:
        seen, half = _looked_at(stage, "answer", scene, mode)
        right, also_half = _looked_at(stage, "reference", scene, mode)
        alike = [right]
        if mode == "manual":  # who commits could as well leave that to the caller, or have nothing to commit
            alike += [replace(right, left=left) for left in ((), (IDLE,))]
        _must_be(seen, alike, scene, _HOW[mode])
        if half and not also_half:
            _tell(scene, half, scene.advice.left)


def _looked_at(stage: Stage, side: Side, scene: Scene, mode: Mode) -> tuple[Seen, str]:
    """Play a scene while others look at each place, and say where they saw neither what was before nor all of it."""
    if mode != "alone":
        return stage.undisturbed(side, scene, mode), ""
    who = Looks(scene.stranger)
    seen, after = stage.play(side, scene, mode, who), stage.look()
    for number, rows in who.looks:
        if rows not in (who.looks[0][1], after):
            table = next(name for name in rows if rows[name] != who.looks[0][1][name])
            there = _rows([_known_by(row) for row in rows[table] if row not in who.looks[0][1][table]])
            place = _place(seen.places, number)
            return seen, f" {place}, others saw a part of it: {table} held {there}, and more was to come."
    return seen, ""


# Somebody comes in between


def _meanwhile(stage: Stage, scene: Scene, somebody: Somebody, inside: bool) -> None:
    """Raise AssertionError unless it comes out as with the reference, wherever somebody comes in between."""
    acts: dict[Mode, list[Act]] = {"alone": ["holds"] if somebody.then else list(_AND_THEN)}
    if inside:
        acts["inside"] = ["commits"]
    for mode in acts:

        def right(act: Act, places: Iterable[int], mode: Mode = mode) -> Iterator[Seen]:
            """Play the reference with them, no further than somebody asks."""
            for at in places:
                yield stage.play("reference", scene, mode, Comes(somebody, act, at))

        # First or last, nothing can go wrong: most answers need no more.
        ends = _Lazy(right(acts[mode][0], (0,) if somebody.then else (0, -1)))
        between = () if somebody.then else _chosen(stage.undisturbed("reference", scene, mode).places)
        known = {act: _Lazy(right(act, between)) for act in acts[mode]}
        places = () if somebody.then else stage.undisturbed("answer", scene, mode).places
        # A function in the database cannot know of the caller's transaction; what began before it, it can.
        for at in (0, *(() if stage.gates and mode == "inside" else _chosen(places))):
            for act in acts[mode]:
                who = Comes(somebody, act, at)
                seen = stage.play("answer", scene, mode, who)
                if seen not in ends and seen not in known[act]:
                    when = f"{_place(seen.places, at) if at else 'Just before the call'}, somebody else {somebody.did}"
                    what = f" {when}, {_AND_THEN[act]}.{_HOW[mode]}"
                    _must_be(seen, [*ends, *known[act]], scene, what)
                if seen.waited or not at or (act == "holds" and not who.held_up) or places[at - 1].startswith("after "):
                    break


class _Lazy:
    """An iterator that is run no further than somebody asks, and can be asked again."""

    def __init__(self, source: Iterator[Seen]):
        self._source, self._known = source, []  # type: ignore[var-annotated]

    def __contains__(self, seen: Seen) -> bool:
        return any(seen == known for known in self)

    def __iter__(self) -> Iterator[Seen]:
        yield from self._known
        for seen in self._source:
            self._known.append(seen)
            yield seen


# Something breaks


def _broken(stage: Stage, scene: Scene) -> None:
    """Raise AssertionError unless an error at any place gets through, and leaves nothing half done."""
    before = stage.before(scene).rows
    for mode in _HOW:
        whole = stage.undisturbed("answer", scene, mode)

        def right(kind: Kind, mode: Mode = mode) -> Iterator[Seen]:
            """Play the reference with it: what comes late is what the rule below does not know."""
            for it in reversed(_chosen(stage.undisturbed("reference", scene, mode).places)):
                who = Breaks(kind, it)
                seen = who.heard(stage.play("reference", scene, mode, who))
                if who.was_met:
                    yield seen

        known = {kind: _Lazy(right(kind)) for kind in _WHAT_BROKE}
        for kind, at in _breaks(stage, whole, mode):
            who = Breaks(kind, at)
            seen = who.heard(stage.play("answer", scene, mode, who))
            if not who.was_met or seen.outcome == who.THROUGH and _is_clean(seen, mode, before, whole.rows):
                continue
            if seen not in known[kind]:
                blamed = replace(scene, advice=replace(scene.advice, outcome=scene.advice.left))
                _must_be(
                    seen, [*known[kind]][::-1], blamed, f" {_place(seen.places, at)}, {_WHAT_BROKE[kind]}.{_HOW[mode]}"
                )


def _breaks(stage: Stage, whole: Seen, mode: Mode) -> Iterator[tuple[Kind, int]]:
    places = _chosen(whole.places)
    if mode == "manual":  # differs from the others in who begins and ends: the last place tells
        places = places[-1:]
    for at in places:
        yield "server", at
        if not stage.gates:  # else nothing but the server stands between two of its writes
            yield "error", at
    if mode == "alone" and places and not stage.gates:
        yield "lost", places[-1]


def _is_clean(seen: Seen, mode: Mode, before: Rows, whole: Rows) -> bool:
    """Whether an error has left nothing half done: all is as before, or all is done, or the transaction has failed."""
    if mode == "alone":
        return not seen.left and seen.rows in (before, whole)
    return seen.left == (FAILED,) or (seen.left in ((), (IDLE,)) and seen.rows in (before, whole))


# What is told


def _chosen(places: tuple[str, ...]) -> list[int]:
    """Return the numbers of places, from 1: of one that comes several times in a row, the first and the last."""
    numbers: list[int] = []
    number = 0
    for _, run in groupby(places):
        length = len(list(run))
        numbers += sorted({number + 1, number + length})
        number += length
    return numbers[:MOST_PLACES]


def _place(places: tuple[str, ...], number: int) -> str:
    """Say where somebody came in between: before a statement, at a call, or at a write inside a database function."""
    place = places[number - 1]
    again = places[: number - 1].count(place)
    which = {0: "", 1: "the second "}.get(again, f"the {again + 1}th ")
    if place.startswith(("before ", "after ")):
        return f"Just {place.replace(' ', ' its ', 1)}" + (f", {which}time".replace("  ", " ") if again else "")
    if place.isidentifier() and not place.isupper():
        return f"When {place} was called" + (f" for {which}time" if again else "")
    return f"Just before {which}`{place[:60]}{' ...' if len(place) > 60 else ''}`"


def _must_be(seen: Seen, right: list[Seen], scene: Scene, what: str = "") -> None:
    """Raise AssertionError, with the first difference in words, unless what was seen is among what is right."""
    if seen in right:
        return
    advice = scene.advice
    alike = [wanted for wanted in right if wanted.outcome == seen.outcome]
    as_stored = [wanted for wanted in right if wanted.rows == seen.rows and wanted.left == seen.left]
    if not alike or as_stored:  # what came of it is right for whoever came first, or last: the outcome belongs to that
        outcomes = list(dict.fromkeys(map(_outcome, as_stored or right)))
        wanted, got = apart(listed(outcomes[:3], "or"), _outcome(seen))
        _tell(scene, f"{what} It should have {wanted}. It {got}.", advice.outcome)
    did = "" if seen.outcome == "returned None" else f" It {short(seen.outcome)}."
    found = seen.rows or {}
    nearest = min(alike, key=lambda it: sum((it.rows or {}).get(name) != rows for name, rows in found.items()))
    if left := [it for it in seen.left if it not in nearest.left]:
        also = listed(left)
        told = f"{what}{did if seen.error else ''} {also[0].upper()}{also[1:]}."
        _tell(scene, told + (f" Right: {listed(nearest.left)}." if nearest.left else ""), advice.left)
    for table, right_rows in (nearest.rows or {}).items():
        rows = found.get(table, [])
        missing: Sequence[str] = [row for row in right_rows if row not in rows]
        extra: Sequence[str] = [row for row in rows if row not in right_rows]
        if len(missing) == len(extra) and missing:
            missing, extra = zip(*map(_what_differs, missing, extra), strict=True)
        if missing or extra:
            holds = f"{table} should hold {_rows(missing)}" if missing else f"{table} should hold no more"
            _tell(scene, f"{what}{did} Then {holds}. It holds {_rows(extra)}.", advice.rows)
    _tell(scene, f"{what}{did} Right: {listed(nearest.left)}.", advice.left)


def _outcome(seen: Seen) -> str:
    """Return the outcome, with the words of an error that nobody promised: they say what was wrong."""
    if seen.outcome != "raised an error":
        return seen.outcome
    said = getattr(getattr(seen.error, "diag", None), "message_primary", None) or seen.error
    return f"{seen.outcome} ({type(seen.error).__name__}: {said})"


def _what_differs(wanted: str, found: str) -> tuple[str, str]:
    """Return two rows, each with the columns that it is known by, the first two, and those that differ."""
    pairs = list(zip(wanted.split(", "), found.split(", "), strict=False))
    kept = [pair for number, pair in enumerate(pairs) if number < 2 or pair[0] != pair[1]]
    return ", ".join(pair[0] for pair in kept), ", ".join(pair[1] for pair in kept)


def _known_by(row: str) -> str:
    """Return the columns that a row is known by: the first two, and its type where it is an event."""
    pairs = row.split(", ")
    return ", ".join(pairs[:2] + [pair for pair in pairs[2:] if pair.startswith("type ")][:1])


def _rows(rows: Sequence[str]) -> str:
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return "; ".join(f"({row})" for row in rows[:3]) + more or "none of that"


def _tell(scene: Scene, what: str, advice: str) -> NoReturn:
    raise AssertionError("\n".join(filter(None, [scene.in_words(), what.strip(), advice])))
