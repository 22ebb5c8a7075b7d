"""`%%sql`: cells that hold SQL and nothing else, an answer (`%%sql 02.1`) or a statement of the learner's own.

JupyterLab colours them where the extension of requirements.txt is installed; they work without it.
"""

from collections.abc import Callable

import psycopg
from IPython import get_ipython
from IPython.display import display
from psycopg.pq import TransactionStatus

from .checks.checking import explain_sql_error
from .display import Rows, count
from .errors import WorkshopError
from .server.database import Database


def register(database: Callable[[], Database], check: Callable[[str, str], None]) -> None:
    """Make `%%sql` known to this kernel. Without one, in a plain Python, there is nothing to do.

    Args:
        database: returns where statements run; raises WorkshopError while there is none.
        check: what takes the number of an exercise and its answer.
    """

    def sql_cell(line: str, cell: str) -> None:
        """Check an answer in SQL (`%%sql 02.1`), or run SQL and show its rows (`%%sql`)."""
        text = "\n" + cell  # in the place of the first line: errors count the lines of the cell
        if exercise_id := line.strip():
            check(exercise_id, text)
        else:
            run(database(), text)

    if shell := get_ipython():
        shell.register_magic_function(sql_cell, "cell", "sql")


def run(database: Database, text: str) -> None:
    """Run SQL, one statement or several. Show the rows of those that have some; what ends without says what it did.

    Raises:
        WorkshopError: PostgreSQL refuses it, with its message and the line.
    """
    try:
        cursor = database.execute(text)
        done: list[str] = []
        while True:
            if cursor.description is not None:
                display(rows_of(cursor))
                done.clear()  # the rows show it
            elif cursor.statusmessage:
                done.append(_what_it_did(cursor))
            if not cursor.nextset():
                break
    except psycopg.Error as error:
        open_still = database.connection.info.transaction_status == TransactionStatus.INERROR
        raise WorkshopError(
            explain_sql_error(error, text, ran=True),
            "The transaction that is open has failed: ROLLBACK ends it." if open_still else "Nothing was changed.",
        ) from None
    if done:
        print(f"Done: {', '.join(done)}.")


def rows_of(cursor: psycopg.Cursor) -> Rows:
    """Return the rows of a statement as a data frame."""
    # As objects: pandas would show a NULL among texts as NaN, "not a number".
    return Rows(cursor.fetchall(), columns=[column.name for column in cursor.description or ()], dtype=object)


def _what_it_did(cursor: psycopg.Cursor) -> str:
    """Return what a statement without rows did: "CREATE TABLE", "INSERT of 2 rows"."""
    said = str(cursor.statusmessage)
    return f"{said.split()[0]} of {count(cursor.rowcount, 'row')}" if said[-1].isdigit() else said
