"""The text of an answer: whatever the learner's cells say that it needs, and nothing that only their notebook has.

Cells are run in any order, and one answer may stand in several: a helper above, imports in the first cell. So its text
is put together from the statements that made its names what they are now.
"""

import ast
import builtins
import dis
import inspect
import linecache
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import IOBase
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import psycopg
from IPython import get_ipython

from eventstore import Log

from ..files import CHECKOUT
from ..server.database import Database
from .answers import name_of_answer
from .exercise import Exercise
from .guard import plain

_RUNS_A_CELL = ("time", "capture", "timeit", "prun")  # magics whose cell is Python
_OF_THIS_KERNEL = (Database, psycopg.Connection, psycopg.Cursor, Log, IOBase)

_LOST = "the text of `{name}` is in no cell that could be found: define it in one, and check it there"


class NoSource(Exception):
    """The text of an answer cannot be known as a whole. The message is a sentence for the learner."""


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell.

    Attributes:
        place: the number of its cell, and its place in it: the order in which it ran.
        text: as it is written.
        node: what it is to Python.
        binds: the names that it gives a value.
        uses: the names that it needs, also inside the functions that it defines.
    """

    place: tuple[int, int]
    text: str
    node: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


def source_of(answer: Any, exercise: Exercise) -> str:
    """Return the text of an answer, which defines it under the name that the exercise gives it.

    Raises:
        NoSource: it is not known, or needs something that no other program has.
    """
    if isinstance(answer, str):
        return answer
    if not callable(answer):
        raise NoSource("it is no function")
    name = name_of_answer(exercise.id)
    cells, namespace = _cells(), get_ipython().user_ns if get_ipython() else {}
    if not any(cells) or _is_own_file(answer):  # who runs cells without a history, has the one cell
        cells, namespace = [_text_of(answer)], getattr(plain(answer), "__globals__", {})
    root, bind = _root(answer, name, namespace, cells, exercise)
    statements = list(_statements(cells))
    needed = _needed(root, statements, namespace)
    cell = max((each.place[0] for each in needed if each.binds & root), default=-1)
    for each in statements:  # what else its cell defines goes with it, if it can
        if each.place[0] == cell and isinstance(each.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            with suppress(NoSource):
                needed += _needed(set(each.binds), statements, namespace)
    needed = sorted(dict.fromkeys(needed), key=lambda each: each.place)
    if not bind and not any(name in statement.binds for statement in needed):
        raise NoSource(_LOST.format(name=name))
    imports = [text for statement in needed if (text := _import(statement, needed, root))]
    others = [statement.text for statement in needed if not isinstance(statement.node, (ast.Import, ast.ImportFrom))]
    return "\n\n\n".join(part for part in ("\n".join(dict.fromkeys(imports)), *others, bind) if part)


def load(text: str, name: str, where: str) -> Any:
    """Return what a text defines under a name, loaded by itself, in an empty namespace.

    Args:
        where: what the text is called, in a traceback.

    Raises:
        Exception: whatever comes of running it; AttributeError where it does not define the name.
    """
    module = ModuleType(where)
    sys.modules[where] = module  # dataclasses look there
    linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    exec(compile(text, where, "exec"), module.__dict__)
    return getattr(module, name)


def is_same_code(one: Any, other: Any) -> bool:
    """Whether two plain functions were made of the same lines: what is checked of the one holds for the other."""
    if not (inspect.isfunction(one) and inspect.isfunction(other)) or one.__closure__ or other.__closure__:
        return False
    defaults = (one.__defaults__, one.__kwdefaults__) == (other.__defaults__, other.__kwdefaults__)
    return defaults and not hasattr(one, "__wrapped__") and _alike(one.__code__, other.__code__)


def _alike(one: Any, other: Any) -> bool:
    if not (isinstance(one, CodeType) and isinstance(other, CodeType)):
        return type(one) is type(other) and one == other
    return (one.co_code, one.co_names, one.co_varnames, len(one.co_consts)) == (
        other.co_code,
        other.co_names,
        other.co_varnames,
        len(other.co_consts),
    ) and all(map(_alike, one.co_consts, other.co_consts))


def _cells() -> list[str]:
    """Return what this kernel ran of its cells, in their order, as Python; the last is the one that runs now."""
    shell = get_ipython()
    if shell is None:
        return []
    history = shell.history_manager
    return [
        _before(_python(cell, shell), _failed_at(number, history.exceptions.get(number)))
        for number, cell in enumerate(history.input_hist_parsed)
    ]


def _failed_at(number: int, error: dict[str, Any] | None) -> int:
    """Return the line of a cell at which an error ended it, 0 where none did or that is not known."""
    told = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error["traceback"])) if error else ""
    found = re.search(rf"^Cell In\[{number}\], line (\d+)", told, re.MULTILINE)
    return int(found[1]) if found else 0


def _before(cell: str, line: int) -> str:
    """Return the statements of a cell above the one in a line: neither that one nor those below it came to an end."""
    with suppress(SyntaxError):
        failed = next((each for each in ast.parse(cell).body if line <= (each.end_lineno or 0)), None)
        if line and failed:
            return "\n".join(cell.splitlines()[: _first_line(failed) - 1])
    return cell


def _python(cell: str, shell: Any) -> str:
    """Return the Python of a cell, also of one that begins with %%time."""
    try:
        (statement,) = ast.parse(cell).body
        call = statement.value  # type: ignore[attr-defined]
        magic, _, body = (argument.value for argument in call.args)
        if call.func.attr == "run_cell_magic" and magic in _RUNS_A_CELL:
            return shell.input_transformer_manager.transform_cell(body)
    except (ValueError, AttributeError, SyntaxError):
        pass
    return cell


def _is_own_file(answer: Any) -> bool:
    """Whether a function stands in a file of the learner's, such as a module beside the notebook."""
    path = Path(getattr(getattr(plain(answer), "__code__", None), "co_filename", ""))
    ours = (str(CHECKOUT / "workshop"), str(CHECKOUT / "eventstore"))
    return path.is_file() and not str(path).startswith((*sysconfig.get_paths().values(), *ours))


def _text_of(answer: Any) -> str:
    """Return the text of the file, or of the one cell, that a function stands in; "" where it is not known."""
    name = getattr(getattr(plain(answer), "__code__", None), "co_filename", "")
    linecache.checkcache(name)  # what is kept is what is there now, and it is checked once more
    return "".join(linecache.getlines(name))


def _root(
    answer: Any, name: str, namespace: dict[str, Any], cells: list[str], exercise: Exercise
) -> tuple[set[str], str]:
    """Return the names that the answer is made of, and what gives it the exercise's own name, if it has another."""
    names = [each for each, value in namespace.items() if value is answer and not each.startswith("_")]
    if name in names:
        return {name}, ""
    if names:
        return {names[-1]}, f"{name} = {names[-1]}"
    for cell in reversed(cells):
        if expression := _checked_in(cell, exercise.id):
            return _used_by(compile(expression, "<answer>", "eval")), f"{name} = {expression}"
    function = plain(answer)
    if inspect.isfunction(function) and function.__name__.isidentifier():
        return {function.__name__}, "" if function.__name__ == name else f"{name} = {function.__name__}"
    raise NoSource(f"it has no name: call it `{name}` in a cell, and check that")


def _checked_in(cell: str, exercise_id: str) -> str:
    """Return the expression that a cell passes to check() for an exercise, "" where it does not."""
    try:
        nodes = list(ast.walk(ast.parse(cell)))
    except SyntaxError:
        return ""
    for node in nodes:
        if isinstance(node, ast.Call) and len(node.args) == 2 and ast.unparse(node.args[0]) == repr(exercise_id):
            return ast.unparse(node.args[1])
    return ""


def _statements(cells: Iterable[str]) -> Iterator[Statement]:
    """Yield the statements at the top of cells; one that never ran, being no Python, holds none."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for number, cell in enumerate(cells):
        try:
            body = ast.parse(cell).body
            compile(cell, "<cell>", "exec", flags, dont_inherit=True)  # a `return` outside of a function can be parsed
        except (SyntaxError, ValueError):
            continue
        lines = cell.splitlines()
        for place, node in enumerate(body):
            code = compile(ast.Module([node], []), "<statement>", "exec", flags, dont_inherit=True)
            binds = {
                each.argval for each in dis.get_instructions(code) if each.opname in ("STORE_NAME", "STORE_GLOBAL")
            }
            text = "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
            yield Statement((number, place), text, node, frozenset(binds), frozenset(_used_by(code)))


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])


def _used_by(code: CodeType) -> set[str]:
    """Return the names that code looks up outside of itself, and those inside it."""
    used = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    return used.union(*(_used_by(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _needed(root: set[str], statements: list[Statement], namespace: dict[str, Any]) -> list[Statement]:
    """Return the statements that names need, in the order in which they ran."""
    made_by: dict[str, list[Statement]] = {}
    for statement in statements:
        for name in statement.binds:
            made_by.setdefault(name, []).append(statement)
    stars = [each for each in statements if isinstance(each.node, ast.ImportFrom) and each.node.names[0].name == "*"]
    needed: dict[tuple[int, int], Statement] = {}
    seen: set[str] = set()
    waiting = set(root)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        is_gone = bool(namespace) and name not in namespace and name not in root  # such as a `list` that was deleted
        if name not in made_by or is_gone:
            if hasattr(builtins, name):
                continue
            if name in root and not stars:
                raise NoSource(_LOST.format(name=name))
            if name in namespace:
                needed.update({each.place: each for each in stars} or {(-1, len(needed)): _brought_by(name, namespace)})
            continue
        if isinstance(namespace.get(name), _OF_THIS_KERNEL):
            raise NoSource(
                f"it uses `{name}`, which only this notebook has: let it come as an argument, as the exercise has it"
            )
        made = _made(name, made_by[name])
        is_imported = isinstance(made[0].node, (ast.Import, ast.ImportFrom))  # as is `dataclass`: it adds nothing
        adding = (
            each for each in statements if not is_imported and each.place > made[-1].place and _adds_to(each, name)
        )
        for statement in (*made, *adding):
            if statement.place not in needed:
                needed[statement.place] = statement
                waiting |= statement.uses - seen
    return [needed[place] for place in sorted(needed)]


def _made(name: str, binding: list[Statement]) -> list[Statement]:
    """Return the statements that made a name what it is, the last first: up to one that owes nothing to those before.

    `append = hide(append)`, `NUMBER += 1` and an `if` around another definition take up what was there.
    """
    made = []
    for statement in reversed(binding):
        made.append(statement)
        match statement.node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.ImportFrom():
                break
            case ast.Import(names=modules) if not any("." in each.name for each in modules):
                break
            case ast.Assign() | ast.AnnAssign() if name not in statement.uses:
                break
    return made


def _adds_to(statement: Statement, name: str) -> bool:
    """Whether a statement changes what has this name: NAMES["x"] = 1, NAMES.update(...), @dispatch.register."""
    node = statement.node
    touched: list[ast.expr] = list(getattr(node, "decorator_list", []))
    if isinstance(node, ast.Assign):
        targets = [part for each in node.targets for part in getattr(each, "elts", [each])]
        touched = [target for target in targets if not isinstance(target, ast.Name)]
    elif isinstance(node, ast.AugAssign):
        touched = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        touched = [node.value.func] if isinstance(node.value.func, ast.Attribute) else []
    return any(isinstance(whole, ast.Name) and whole.id == name for whole in map(_begins_with, touched))


def _begins_with(part: ast.expr) -> ast.expr:
    """Return what an expression begins with: `given` in given(opened).when(command).then, whatever it passes on."""
    while isinstance(part, (ast.Attribute, ast.Call, ast.Subscript)):
        part = part.func if isinstance(part, ast.Call) else part.value
    return part


def _brought_by(name: str, namespace: dict[str, Any]) -> Statement:
    """Return the import that brings a name which no cell made.

    Raises:
        NoSource: it came from nowhere that another program could import it from.
    """
    value = namespace[name]
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if isinstance(value, ModuleType):
        text = f"import {value.__name__} as {name}"
    elif module and getattr(module, getattr(value, "__name__", ""), None) is value and module.__name__ != "__main__":
        text = f"from {module.__name__} import {getattr(value, '__name__', name)} as {name}"
    else:
        raise NoSource(f"it uses `{name}`, which stands in no cell that could be found: put it into this one")
    return next(_statements([text]))


def _import(statement: Statement, needed: list[Statement], root: set[str]) -> str:
    """Return an import with the names that are used alone, "" for any other statement."""
    node = statement.node
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return ""
    used = root.union(*(each.uses for each in needed))
    if getattr(node, "module", "") == "__future__" or node.names[0].name == "*":
        return ast.unparse(node)
    names = [each for each in node.names if (each.asname or each.name.partition(".")[0]) in used]
    return ast.unparse(
        ast.ImportFrom(node.module, names, node.level) if isinstance(node, ast.ImportFrom) else ast.Import(names)
    )
