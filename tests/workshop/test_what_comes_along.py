"""What a server, a database, a role, the environment or an interrupt brings along: pinned, or said in a sentence."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import nbformat
import psycopg
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from psycopg import sql
from psycopg.conninfo import make_conninfo

from workshop import check, classroom, start, table
from workshop.checks.course import EXERCISES
from workshop.errors import WorkshopError
from workshop.files import CHECKOUT
from workshop.interrupts import Interrupted
from workshop.server import database

from ..postgres import Server
from .answers import checked, right_answer

ODD = {
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Tokyo",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "check_function_bodies": "off",
    "client_min_messages": "debug1",
    "row_security": "off",
    "plan_cache_mode": "force_generic_plan",
    "constraint_exclusion": "on",
    "idle_session_timeout": "2s",
    "transaction_timeout": "3s",
    "statement_timeout": "2s",
    "lock_timeout": "20ms",
    "idle_in_transaction_session_timeout": "1s",
    "search_path": "pg_catalog",
}


@pytest.fixture
def odd_role(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes a role with settings of its own, and sends the learner there."""
    name, database = f"odd_{uuid4().hex[:8]}", f"odd_{uuid4().hex[:8]}"
    role, place = sql.Identifier(name), sql.Identifier(database)

    def make(encoding: str = "UTF8", **settings: str) -> None:
        with postgres.connect() as owner:
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
            how = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'"
            owner.execute(sql.SQL(how).format(place, role, sql.Literal(encoding)))
            for setting, value in settings.items():
                if setting != "transaction_timeout" or owner.info.server_version >= 170000:
                    change = sql.SQL("ALTER ROLE {} SET {} = {}")
                    owner.execute(change.format(role, sql.SQL(setting), sql.Literal(value)))
        monkeypatch.setenv("DATABASE_URL", make_conninfo(postgres.url, user=name, password="x", dbname=database))

    yield make
    if classroom._started:
        classroom._started.close()
        classroom._started = None
    with postgres.connect() as owner:
        owner.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(place))
        owner.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))


def refused(notebook: str) -> str:
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    problem, remedy = str(caught.value).splitlines()
    assert "DATABASE_URL" in remedy and len(problem) < 160
    return problem


def test_whatever_a_role_brings_along_right_answers_are_right(odd_role: Callable[..., None], notebook: str) -> None:
    assert set(database._PINNED) | set(database._LIMITS) | set(database._TO_UNDO) | {"search_path"} == set(ODD)
    odd_role(**ODD)
    db = start(notebook)
    shown = {name: db.execute(f"SHOW {name}").fetchone()[0] for name in database._PINNED}
    assert shown == database._PINNED
    url = os.environ["DATABASE_URL"]
    assert [number for number in EXERCISES if not checked(number, right_answer(number), url).passed] == []
    assert table("SELECT 'Zażółć' AS word").iloc[0, 0] == "Zażółć"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused(odd_role: Callable[..., None], notebook: str, encoding: str) -> None:
    odd_role(encoding)
    assert f"encoded in {encoding}, and the kit needs UTF8" in refused(notebook)


def test_a_role_that_may_not_write_is_refused(odd_role: Callable[..., None], notebook: str) -> None:
    odd_role(default_transaction_read_only="on")
    assert refused(notebook) == "The server lets this role read, and not write."


def test_a_role_for_which_no_trigger_fires_is_refused(odd_role: Callable[..., None], notebook: str) -> None:
    odd_role(session_replication_role="replica")
    assert "No trigger fires here" in refused(notebook)


def test_what_the_environment_brings_along(notebook: str, monkeypatch: pytest.MonkeyPatch, postgres: Server) -> None:
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("DATABASE_URL", f"  {postgres.url} ")
    (now,) = start(notebook).execute("SELECT timestamptz '2026-01-02 03:04+00'").fetchone()
    assert now.isoformat() == "2026-01-02T03:04:00+00:00"


def test_spaces_are_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "  ")
    assert database.url_source.current() is database.url_source.EMBEDDED


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ada:secret@h/d?schema=public", "has the parameter schema, which"),
        ("postgresql://ada:secret@h/d?pgbouncer=true", "has the parameter pgbouncer, which"),
        ("postgresql://ada@h/d?sec@ret=1", "is no PostgreSQL URL"),
    ],
)
def test_a_parameter_that_is_none_is_named(notebook: str, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(WorkshopError) as caught:
        start(notebook)
    assert said in str(caught.value)
    assert "sec" not in str(caught.value).replace("hex", "") and "ret" not in str(caught.value)


def test_a_second_kernel_in_one_notebook_is_told(
    notebook: str, postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    start(notebook)
    start(notebook)
    assert "Another kernel" not in capsys.readouterr().out, "once more in the same kernel is no second one"
    with postgres.connect(application_name=notebook):
        start(notebook)
    assert "Another kernel has this notebook open" in capsys.readouterr().out


def test_a_lost_connection_has_a_remedy(db: classroom.Classroom, postgres: Server) -> None:
    with postgres.connect() as owner:
        owner.execute("SELECT pg_terminate_backend(%s)", (db.connection.info.backend_pid,))
    with pytest.raises(WorkshopError, match="connection to PostgreSQL is lost.*\n.*first code cell"):
        for _ in range(2):  # the end may be noticed at the second statement only
            table("SELECT 1 AS n")


def test_the_name_of_a_table_may_have_spaces_around_and_has_to_be_a_text(db: classroom.Classroom) -> None:
    db.execute("CREATE TABLE mine AS SELECT 1 AS n")
    assert len(table(" mine ")) == 1
    with pytest.raises(WorkshopError, match="as a text, not None"):
        table(None)


def interrupt_after(seconds: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored
    threading.Timer(seconds, lambda: os.kill(os.getpid(), 2)).start()


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent the POSIX way")
@pytest.mark.parametrize("kind", ["SQL", "Python"])
def test_a_race_can_be_interrupted(db: classroom.Classroom, kind: str) -> None:
    def slow(connection: psycopg.Connection, number: int) -> None:
        while kind == "Python":
            time.sleep(0.01)
        connection.execute("SELECT pg_sleep(20)")

    before = threading.active_count()
    begin = time.monotonic()
    interrupt_after(0.3)
    with pytest.raises(KeyboardInterrupt):
        db.race(3, slow)
    assert time.monotonic() - begin < 10
    while threading.active_count() > before and time.monotonic() - begin < 15:
        time.sleep(0.01)
    assert threading.active_count() <= before, [thread.name for thread in threading.enumerate()]


@pytest.mark.skipif(os.name == "nt", reason="interrupts are sent the POSIX way")
def test_a_check_that_is_interrupted_says_so_in_a_line(said: Callable[[], str]) -> None:
    def balance(history: object) -> None:
        while True:
            pass

    interrupt_after(0.3)
    with pytest.raises(Interrupted) as caught:
        check("00.1", balance)
    assert caught.value._render_traceback_() == [str(caught.value)] and "no attempt" in str(caught.value)
    assert said() == ""


def test_a_full_disk_is_no_attempt(postgres: Server) -> None:
    full = "BEGIN\n    RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device';\n"
    with pytest.raises(WorkshopError, match="that was no attempt. PostgreSQL says: could not extend file"):
        checked("02.1", right_answer("02.1").replace("BEGIN\n", full, 1), postgres.url)


def test_where_python_leaves_out_asserts_nothing_passes(postgres: Server) -> None:
    code = f"from tests.workshop.answers import checked; checked('01.2', 'CREATE TABLE streams ()', {postgres.url!r})"
    command = [sys.executable, "-O", "-c", code]
    said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True).stderr
    assert "Python was started with -O" in said and "Start JupyterLab without that" in said


def test_an_answer_that_exits_is_a_wrong_answer(said: Callable[[], str]) -> None:
    def balance(history: object) -> None:
        raise SystemExit("bye")

    check("00.1", balance)
    assert "Your function ended the program (exit)" in said()


IN_A_KERNEL = """
import os
os.environ["MPLBACKEND"] = "Agg"
{first}
from workshop import start
db = start("{notebook}")
import matplotlib.pyplot as plt
plt.plot([1])
"""


@pytest.mark.parametrize("first", ["", "import matplotlib.pyplot"], ids=["set", "set, and matplotlib loaded"])
def test_figures_are_in_the_notebook_whatever_the_environment_says(notebook: str, first: str) -> None:
    cell = nbformat.v4.new_code_cell(IN_A_KERNEL.format(notebook=notebook, first=first))
    ran = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=60).execute()
    assert "image/png" in ran.cells[0].outputs[-1].data


def test_the_conformance_tests_say_how_far_they_are_and_can_be_interrupted() -> None:
    kernel, seen, begin = KernelManager(kernel_name="python3"), [], time.monotonic()
    kernel.start_kernel()
    client = kernel.client()
    client.start_channels()

    def look(message: dict) -> None:
        seen.append((message["msg_type"], str(message["content"])))
        if "have run" in seen[-1][1] and not any(kind == "error" for kind, _ in seen):
            kernel.interrupt_kernel()

    try:
        client.wait_for_ready()
        code = "from workshop.my_store.conformance import conformance; conformance('eventstore')"
        client.execute_interactive(code, output_hook=look, timeout=60)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel()
    assert time.monotonic() - begin < 60
    assert [kind for kind, _ in seen].count("display_data") == 1, "one line, in one place"
    (error,) = [said for kind, said in seen if kind == "error"]
    assert "Interrupted: the conformance tests were stopped." in error
