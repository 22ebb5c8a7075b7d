"""What PostgreSQL's message leaves open for somebody who meets it for the first time: a sentence, and the place."""

import re
from typing import Any

import psycopg

_OF_KIND = {
    psycopg.errors.QueryCanceled: "It ran into the time limit: does it wait for something, or loop?",
    psycopg.errors.LockNotAvailable: "Another connection holds a lock. Was a transaction left open (BEGIN)?",
    psycopg.errors.NotNullViolation: "NULL came where a value has to be: a None, an empty variable, or, in unnest, an array "
    "that is shorter than the others.",
    psycopg.errors.InFailedSqlTransaction: 'A transaction is open, and has failed. db.execute("ROLLBACK") ends it.',
}

_JSON = (
    "`->` takes a part of a JSON object as JSON, `->>` takes it as a text: event -> 'data', event ->> 'type'. Of a text, and "
    "not of JSON, ::uuid makes a uuid: (event ->> 'id')::uuid."
)
_OF_A_NAME = (
    "Is there a word too few or too many? Or the name of a table or a channel, in a variable? That is an identifier: "
    'sql.SQL("... {}").format(sql.Identifier(name)) writes it as SQL needs it. A value stands as %s.'
)
# By what PostgreSQL says. {0} is the first group.
_OF_MESSAGE = {
    r'syntax error at or near "[<>]=?"': "A comparison has two sides, and comparisons are not chained: x BETWEEN 1 AND "
    "255, or x >= 1 AND x <= 255.",
    "syntax error": "Up to the mark it could be read. What is wrong stands there or just before it: a comma, a bracket, a "
    "semicolon or a word too few or too many. A list is joined by commas, conditions by AND or OR, the events of a trigger by "
    "OR.",
    r'missing "(.+)" at end of SQL expression': "Up to the mark it was read as one expression. What ends that is missing there "
    "or before it: {0}.",
    "unexpected end of function definition": "The function ends, and a statement in it does not. Its semicolon is missing, "
    "there or before it, or an END IF;",
    "zero-length delimited identifier": "An empty text is two single quotes, ''. In double quotes stand names.",
    r"too (?:few|many) parameters specified for RAISE": "RAISE takes one argument for each % in its text, with commas before "
    "them. (For the sign itself write %%.)",
    'exception condition "[fFrR]"': "SQL has no f-strings: behind the text come arguments, which RAISE puts in place of the %.",
    "unrecognized exception condition": "An error has a code of five digits or capitals, such as 'ES001', or a name that "
    "PostgreSQL knows, such as unique_violation.",
    "end of trigger procedure without RETURN": "Nothing stopped the statement, and the function came to its end. A NOTICE, or a "
    "WARNING, is only told: RAISE EXCEPTION is an error.",
    "end of function without RETURN": "Each way through the function ends with a RETURN, or with an error.",
    "query has no destination for result data": "Inside a function, what SELECT or RETURNING hands back needs a place: INTO, "
    "and a variable.",
    "constraint matching the ON CONFLICT": "ON CONFLICT (...) names a key of the table into which is inserted. That of streams "
    "is id, that of events (stream_id, version).",
    "is of type (?:jsonb|text) but expression is of type (?:jsonb|text)": _JSON,
    "cannot cast type jsonb to": _JSON,
    "of type jsonb? but expression is of type bytea": "It was given bytes: `.decode()` makes a text of them.",
    "operator does not exist: .*jsonb": _JSON,
    "operator does not exist: (?:uuid .* text|text .* uuid)$": "One side is a uuid, the other a text. ::uuid makes a uuid of "
    "it: (event ->> 'id')::uuid.",
    r"operator does not exist: \S+ (?:={2,3}|!==) ": "SQL compares with =, <>, <, <=, > and >=.",
    "could not determine data type of parameter": "A None, or an empty list, has no type of its own, so it has to be said: "
    "%s::bigint, %s::timestamptz, %s::numeric[].",
    "cannot adapt type 'dict'": "A list of dictionaries is no JSON yet: Jsonb(...) makes a parameter of it.",
}


def advice_on(error: psycopg.Error, text: str) -> list[str]:
    """Return what there is to say about an error, in a sentence; nothing where PostgreSQL says it all.

    Args:
        text: the learner's SQL, "" where there is none.
    """
    diag = error.diag
    said = diag.message_primary or str(error)
    if isinstance(error, psycopg.errors.AmbiguousColumn):
        return [_ambiguous(diag, text)]
    name = re.search(r'column "(.+)" does not exist|exception condition "(.+)"', said)
    if name and (quoted := name[1] or name[2]) and f'"{quoted}' in text:
        return [f"In SQL a text stands in single quotes, '{quoted}'. What stands in double quotes is a name."]
    function = re.match(r"function (\w+)\(\) does not exist", said)
    if function and re.search(rf"CREATE[\w\s]+FUNCTION\s+{function[1]}\b", text, re.IGNORECASE):
        return ["Statements run from the top down: make the function first, then what calls it."]
    if "syntax error" in said and (advice := _of_syntax(text)):
        return [advice]
    found = [advice for kind, advice in _OF_KIND.items() if isinstance(error, kind)]
    matching = ((re.search(pattern, said), advice) for pattern, advice in _OF_MESSAGE.items())
    found += [advice.format(*match.groups()) for match, advice in matching if match]
    return found[:1]


def _of_syntax(text: str) -> str:
    """Return what is wrong where PostgreSQL says no more than "syntax error", "" where the text does not show it."""
    if not text:  # it stood in Python
        return _OF_A_NAME
    code = re.sub(r"--[^\n]*", "", text)
    if re.search(r":=\s*SELECT\b", code, re.IGNORECASE):
        return "Behind := a query stands in brackets. Or the query says where to: SELECT ... INTO variable FROM ..."
    closed = len(re.findall(r"\bEND\s+IF\b", code, re.IGNORECASE))
    opened = len(re.findall(r"\bIF\b(?!\s+(NOT\s+)?EXISTS\s+[\"\w])", code, re.IGNORECASE)) - closed
    return f"{opened} IF are opened, and {closed} closed: each IF ... THEN needs its END IF;" if opened > closed else ""


def _ambiguous(diag: Any, text: str) -> str:
    """Return whose name it could be: a variable's, or that of several rows. PostgreSQL's DETAIL tells."""
    if "PL/pgSQL variable" not in (diag.message_detail or ""):
        return (
            "Several rows have a column of that name: with ON CONFLICT the row that is there and the row that was offered, "
            "`excluded`. Say whose you mean: give the table a short name (AS s), and s.version is the row's that is there."
        )
    name = re.search('"(.+)"', diag.message_primary)
    function = re.search(r"PL/pgSQL function (\w+)\(", diag.context or "")
    parameters = re.search(rf"FUNCTION\s+{function[1]}\b(.*?)\bRETURNS\b", text, re.I | re.S) if function else None
    of_parameter = (
        f" If you mean the parameter, write {function[1]}.{name[1]}."
        if name and function and parameters and re.search(rf"\b{name[1]}\b", parameters[1])
        else ""
    )
    return (
        "Inside a function that name is a variable too. If you mean the column, put the name, or short name, of its table "
        f"in front of it.{of_parameter}"
    )


def place_in(text: str, diag: Any, ran: bool) -> list[str]:
    """Return the line of the learner's text that an error points at, and a mark under the place where it is known.

    Args:
        ran: whether the statement that failed is that text itself, and not one that calls what it made.
    """
    lines = text.splitlines()
    if ran and diag.statement_position and not diag.internal_query:
        before = text[: int(diag.statement_position) - 1]
        if before == text or re.search('missing ".+" at end|unexpected end', diag.message_primary):
            # It ended too soon: point behind its last word.
            before = re.sub(r"\s+END\s*$", "", before.rstrip(), flags=re.IGNORECASE)
        number, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        return _marked(lines, number, column)
    # Inside a PL/pgSQL function, lines are counted from the one that opens its body.
    inside = re.search(r'PL/pgSQL function "?(\w+)"?(?:\(.*?\))? (?:near )?line (\d+)', diag.context or "")
    opening = inside and re.search(rf"FUNCTION\s+{inside[1]}\b.*?\$\w*\$", text, re.IGNORECASE | re.DOTALL)
    if not inside or not opening:
        return []
    number = text[: opening.end()].count("\n") + int(inside[2]) - 1
    if number >= len(lines):
        return []
    if diag.internal_query:  # what of that line's statement was run: INTO stands in it as blanks
        asked, at = diag.internal_query, int(diag.internal_position or 1) - 1
        rest = re.split(r"\n|\s{3,}", asked[at:])[0].rstrip()
        below = number + asked[:at].count("\n")
        for each in (below, below + 1):  # RETURN QUERY may stand on a line of its own
            if diag.internal_position and each < len(lines) and rest in lines[each]:
                return _marked(lines, each, lines[each].index(rest))
    if lines[number].strip().upper() == "RETURN QUERY":  # what it returns is the learner's: quote that
        number = next((n for n in range(number, len(lines)) if "INSERT INTO" in lines[n].upper()), number)
    return [f"line {number + 1}: {lines[number]}"]


def _marked(lines: list[str], number: int, column: int) -> list[str]:
    return [f"line {number + 1}: {lines[number]}", " " * (len(f"line {number + 1}: ") + column) + "^"]
