"""Changes of Python, one thing at a time: what a slip of the hand makes, and what people make who nearly got it."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from . import sql

Change = tuple[int, int, str]  # from here to there, put that

_OPERATORS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"), ast.LtE: ("<", "=="), ast.Gt: (">=", "<"), ast.GtE: (">", "=="),
    ast.Eq: ("!=", "<=", ">=", "is"), ast.NotEq: ("==", "<", ">"), ast.Is: ("is not",), ast.IsNot: ("is",),
    ast.In: ("not in",), ast.NotIn: ("in",),
    ast.Add: ("-",), ast.Sub: ("+",), ast.Mult: ("+",), ast.Div: ("*",), ast.BitOr: ("&",), ast.Mod: ("+",),
    ast.And: ("or",), ast.Or: ("and",),
}  # fmt: skip
# Names that look alike, or are taken for one another.
_ALIKE = {
    "version": ("position",), "position": ("version",), "settled": ("drawn",), "drawn": ("settled",),
    "min": ("max",), "max": ("min",), "sorted": ("list",), "all": ("any",), "any": ("all",),
    "Decimal": ("float", "int"),
    "actual": ("expected",), "expected": ("actual",), "to_version": ("from_version",), "from_version": ("to_version",),
    "until": ("since",), "amount": ("balance",), "balance": ("amount",), "fetchone": ("fetchall",),
    "old_book": ("new_book",), "new_book": ("old_book",), "currency": ("account_id",), "cashier_id": ("account_id",),
    "stream_id": ("id",), "AccountOpened": ("AccountClosed",), "CashWithdrawn": ("DepositRecorded",),
    "DepositRecorded": ("CashWithdrawn",), "WrongExpectedVersion": ("Exception",), "recorded_at": ("position",),
    "decide": ("evolve",), "append": ("insert",), "setdefault": ("get",), "NO_STREAM": ("ANY", "STREAM_EXISTS"),
}  # fmt: skip
_IS_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|LOCK TABLE|LISTEN|VALUES|FROM|WHERE|ORDER BY)\b")
_MAY_FAIL = re.compile(r"\b(store|connection|log|evolve|decide|handler|project|step|execute)\b\S*\(")
_MANY = {"events", "new_events", "rows", "wanted", "batch"}  # what is handed on as a whole


class Source:
    """A text of Python, and where in it each part stands."""

    def __init__(self, text: str):
        self.text = text
        self.tree = ast.parse(text)
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def span(self, node: Any) -> tuple[int, int]:
        line = self.text[self._starts[node.lineno - 1] : self._starts[node.lineno]].encode()
        last = self.text[self._starts[node.end_lineno - 1] : self._starts[node.end_lineno]].encode()
        return (
            self._starts[node.lineno - 1] + len(line[: node.col_offset].decode()),
            self._starts[node.end_lineno - 1] + len(last[: node.end_col_offset].decode()),
        )

    def of(self, node: Any) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def put(self, node: Any, text: str) -> Change:
        return (*self.span(node), text)

    def between(self, first: Any, second: Any) -> tuple[int, int]:
        return self.span(first)[1], self.span(second)[0]

    def block(self, body: list[ast.stmt], indent: int) -> str:
        """Return statements, at another indentation."""
        start, end = self._starts[body[0].lineno - 1], self.span(body[-1])[1]
        lines = self.text[start:end].splitlines()
        less = body[0].col_offset - indent
        return "\n".join(line[less:] if line[:less].isspace() else line for line in lines).lstrip()


def changes(text: str) -> Iterator[Change]:
    """Return changes of a text of Python, each of which makes a mutant."""
    source = Source(text)
    for node in ast.walk(source.tree):
        handler = globals().get(f"_{type(node).__name__.lower()}")
        if handler:
            yield from handler(source, node)
        if isinstance(node, ast.stmt):
            yield from _statement(source, node)
    yield from _people(source)


def _compare(source: Source, node: ast.Compare) -> Iterator[Change]:
    for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
        start, end = source.between(left, right)
        for other in _OPERATORS.get(type(operator), ()):
            value = right.value if isinstance(right, ast.Constant) else None
            if other == "is" and value is not None or other in ("<", "<=", ">", ">=") and isinstance(value, str):
                continue  # Python itself warns of the one, and nobody compares names by the other
            yield start, end, f" {other} "


def _binop(source: Source, node: ast.BinOp) -> Iterator[Change]:
    start, end = source.between(node.left, node.right)
    if ")" not in source.text[start:end] and "(" not in source.text[start:end]:
        for other in _OPERATORS.get(type(node.op), ()):
            yield start, end, f" {other} "
    yield source.put(node, source.of(node.left))


def _augassign(source: Source, node: ast.AugAssign) -> Iterator[Change]:
    start, end = source.between(node.target, node.value)
    yield start, end, " = "
    for other in _OPERATORS.get(type(node.op), ()):
        yield start, end, f" {other}= "


def _boolop(source: Source, node: ast.BoolOp) -> Iterator[Change]:
    word, (other,) = type(node.op).__name__.lower(), _OPERATORS[type(node.op)]
    for one, two in pairwise(node.values):
        start, end = source.between(one, two)
        yield start, end, source.text[start:end].replace(word, other)
        yield source.span(one)[0], source.span(two)[0], ""
    yield source.span(node.values[-2])[1], source.span(node.values[-1])[1], ""


def _unaryop(source: Source, node: ast.UnaryOp) -> Iterator[Change]:
    yield source.put(node, source.of(node.operand))


def _constant(source: Source, node: ast.Constant) -> Iterator[Change]:
    value, above = node.value, source.parents.get(node)
    if isinstance(value, bool):
        yield source.put(node, str(not value))
    elif isinstance(value, int):
        for other in {value + 1, value - 1, value * 10} - {value}:
            yield source.put(node, f"({other})" if other < 0 else str(other))
    elif isinstance(value, str) and not isinstance(above, (ast.JoinedStr, ast.FormattedValue)):
        if _is_docstring(source, node):
            return
        if _IS_SQL.search(value):
            start, end = source.span(node)
            for first, last, other in sql.changes(source.text[start:end]):
                yield start + first, start + last, other
        elif not _is_message(source, node):
            yield source.put(node, repr(value + "x"))
            if value:
                yield source.put(node, "''")


def _is_docstring(source: Source, node: ast.Constant) -> bool:
    return isinstance(source.parents.get(node), ast.Expr)


def _is_message(source: Source, node: ast.AST) -> bool:
    """Whether a text is only what an error says: nobody is held to its words."""
    while (above := source.parents.get(node)) is not None:
        if isinstance(above, ast.Raise) or isinstance(above, ast.Assert) and node is above.msg:
            return True
        node = above
    return False


def _name(source: Source, node: ast.Name) -> Iterator[Change]:
    if isinstance(node.ctx, ast.Load):
        for other in _ALIKE.get(node.id, ()):
            yield source.put(node, other)
        if node.id in _parameters(source, node) and not _is_called(source, node):
            yield source.put(node, "None")


def _parameters(source: Source, node: ast.AST) -> set[str]:
    while node := source.parents.get(node):  # type: ignore[assignment]
        if isinstance(node, ast.FunctionDef):
            return {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    return set()


def _is_called(source: Source, node: ast.AST) -> bool:
    above = source.parents.get(node)
    return isinstance(above, ast.Call) and above.func is node or isinstance(above, (ast.Attribute, ast.FormattedValue))


def _attribute(source: Source, node: ast.Attribute) -> Iterator[Change]:
    start, end = source.span(node.value)[1], source.span(node)[1]
    for other in _ALIKE.get(node.attr, ()):
        yield start, end, f".{other}"


def _call(source: Source, node: ast.Call) -> Iterator[Change]:
    if _is_message(source, node):
        return
    end = source.span(node)[1] - 1
    arguments = [*node.args, *node.keywords]
    for number, argument in enumerate(arguments):
        is_last = number == len(arguments) - 1
        if isinstance(argument, ast.keyword) or is_last:
            start = source.span(arguments[number - 1])[1] if number else source.span(node.func)[1] + 1
            yield start, source.span(argument)[1] if not (number == 0 and is_last) else end, ""
        if isinstance(argument, ast.keyword) and argument.arg and not isinstance(argument.value, ast.Constant):
            yield source.put(argument.value, "None")
    for one, two in pairwise(node.args if source.of(node.func) not in ("max", "min") else []):
        start, end = source.span(one)[0], source.span(two)[1]
        middle = source.text[slice(*source.between(one, two))]
        yield start, end, source.of(two) + middle + source.of(one)
    if len(arguments) == 1 and isinstance(arguments[0], ast.expr) and isinstance(node.func, ast.Name):
        yield source.put(node, source.of(arguments[0]))  # sorted(x) -> x
    yield from _one_by_one(source, node)


def _one_by_one(source: Source, node: ast.Call) -> Iterator[Change]:
    """A loop of single calls instead of one call with all of it."""
    for name in [each for each in node.args if isinstance(each, ast.Name) and each.id in _MANY]:
        start, end = (at - source.span(node)[0] for at in source.span(name))
        call = source.of(node)
        yield source.put(node, f"[{call[:start]}[each]{call[end:]} for each in {name.id}][-1]")


def _subscript(source: Source, node: ast.Subscript) -> Iterator[Change]:
    if isinstance(node.slice, ast.UnaryOp):  # the last one
        yield source.put(node.slice, "0")


def _ifexp(source: Source, node: ast.IfExp) -> Iterator[Change]:
    yield source.put(node, source.of(node.body))
    yield source.put(node, source.of(node.orelse))
    yield source.put(node.test, f"not ({source.of(node.test)})")


def _tuple(source: Source, node: ast.Tuple) -> Iterator[Change]:
    if isinstance(node.ctx, ast.Load) and not isinstance(source.parents.get(node), ast.Subscript):
        for one, two in pairwise(node.elts):
            middle = source.text[slice(*source.between(one, two))]
            yield source.span(one)[0], source.span(two)[1], source.of(two) + middle + source.of(one)


def _dict(source: Source, node: ast.Dict) -> Iterator[Change]:
    for key, value in zip(node.keys, node.values, strict=True):
        if key is not None:
            end = source.span(value)[1]
            yield source.span(key)[0], end + len(re.match(r",?\s*", source.text[end:])[0]), ""  # type: ignore[index]


def _comprehension(source: Source, node: ast.comprehension) -> Iterator[Change]:
    for test in node.ifs:
        yield source.put(test, "True")
        yield source.put(test, f"not ({source.of(test)})")


def _for(source: Source, node: ast.For) -> Iterator[Change]:
    for part in ("[::-1]", "[1:]", "[:-1]"):
        yield source.put(node.iter, f"list({source.of(node.iter)}){part}")
    start = source.span(node.body[-1])[1]
    yield start, start, f"\n{' ' * node.body[-1].col_offset}break"


def _match_case(source: Source, node: ast.match_case) -> Iterator[Change]:
    if node.guard:
        yield source.span(node.pattern)[1], source.span(node.guard)[1], ""
        yield source.put(node.guard, f"not ({source.of(node.guard)})")
    match = source.parents[node]
    assert isinstance(match, ast.Match)
    if len(match.cases) > 1:
        start = source.text.rindex("case", 0, source.span(node.pattern)[0])
        yield start, source.span(node.body[-1])[1], ""


def _matchclass(source: Source, node: ast.MatchClass) -> Iterator[Change]:
    for one, two in pairwise(node.patterns):
        yield source.span(one)[0], source.span(two)[1], f"{source.of(two)}, {source.of(one)}"
    for other in _ALIKE.get(source.of(node.cls), ()):
        yield source.put(node.cls, other)


def _matchor(source: Source, node: ast.MatchOr) -> Iterator[Change]:
    for pattern in node.patterns:
        yield source.put(node, source.of(pattern))


def _excepthandler(source: Source, node: ast.ExceptHandler) -> Iterator[Change]:
    if node.type is not None and source.of(node.type) != "Exception":
        yield source.put(node.type, "Exception")
    yield source.span(node.body[0])[0], source.span(node.body[-1])[1], "pass"
    yield source.span(node.body[0])[0], source.span(node.body[-1])[1], "raise"


def _classdef(source: Source, node: ast.ClassDef) -> Iterator[Change]:
    for decorator in node.decorator_list:
        start, end = source.span(decorator)
        yield start - 1, end, ""
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    for one, two in pairwise(fields):
        middle = source.text[slice(*source.between(one, two))]
        yield source.span(one)[0], source.span(two)[1], source.of(two) + middle + source.of(one)


def _statement(source: Source, node: ast.stmt) -> Iterator[Change]:
    """A line that is left out, a condition that always holds or never, a block without what is around it."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef():
            return
        case ast.Pass():
            return
        case ast.If() | ast.While():
            yield source.put(node.test, "True")
            yield source.put(node.test, "False")
            yield source.put(node.test, f"not ({source.of(node.test)})")
            if isinstance(node, ast.While):
                start = source.span(node.body[-1])[1]
                yield start, start, f"\n{' ' * node.body[-1].col_offset}break"
            if node.orelse and not (len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)):
                yield source.span(node.orelse[0])[0], source.span(node.orelse[-1])[1], "pass"
        case ast.With():
            if any("transaction" in source.of(item.context_expr) for item in node.items):
                yield source.put(node, source.block(node.body, node.col_offset))
                yield source.put(node.items[0].context_expr, "__import__('contextlib').nullcontext()")
        case ast.Try():
            yield source.put(node, source.block(node.body, node.col_offset))
            if node.orelse:
                yield source.span(node.orelse[0])[0], source.span(node.orelse[-1])[1], "pass"
        case ast.Return():
            yield source.put(node, "return")
            return
        case ast.Match() | ast.For():
            return
        case _:
            yield source.put(node, "pass")
    if isinstance(node, (ast.Expr, ast.Assign)) and _MAY_FAIL.search(source.of(node.value)):
        margin = " " * node.col_offset
        inner = source.of(node).replace("\n", "\n    ")
        yield source.put(node, f"try:\n{margin}    {inner}\n{margin}except Exception:\n{margin}    pass")


def _people(source: Source) -> Iterator[Change]:
    """What people make: they ask again, count instead of reading a number, do one thing before the other."""
    for function in (each for each in ast.walk(source.tree) if isinstance(each, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                yield from _asks_again(source, function, node)
            match node:
                case ast.Assign(value=ast.Attribute(attr="version" | "position")):
                    yield source.put(node, f"{source.of(node.targets[0])} += 1")
                case ast.Attribute(value=ast.Subscript(), attr="version" | "position"):
                    yield source.put(node, f"len({source.of(node.value.value)})")
            body = getattr(node, "body", None)
            if isinstance(body, list):
                for one, two in pairwise(each for each in body if isinstance(each, (ast.Expr, ast.Assign, ast.If))):
                    middle = source.text[slice(*source.between(one, two))]
                    if middle.isspace():
                        yield source.span(one)[0], source.span(two)[1], source.of(two) + middle + source.of(one)


def _asks_again(source: Source, function: ast.FunctionDef, node: ast.Assign) -> Iterator[Change]:
    """The second reading instead of the first: where a name is used, what it was made of is asked once more."""
    target = node.targets[0]
    names = {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}
    order = [each.id for each in target.elts if isinstance(each, ast.Name)] if isinstance(target, ast.Tuple) else []
    call = source.of(node.value)
    if not re.search(r"\b(store|log|connection|aggregate_stream)\b", call):
        return
    for use in (each for each in ast.walk(function) if isinstance(each, ast.Name) and each.id in names):
        if isinstance(use.ctx, ast.Load) and source.span(use)[0] > source.span(node)[1]:
            yield source.put(use, f"{call}[{order.index(use.id)}]" if use.id in order else call)
