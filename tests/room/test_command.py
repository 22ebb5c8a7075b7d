"""The command: what an instructor types, and reads."""

import csv
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from workshop.files import CHECKOUT
from workshop.room import Room
from workshop.room.__main__ import main

Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(creator_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command; return what it printed, and what it ended with."""
    monkeypatch.setenv("WORKSHOP_ADMIN_URL", creator_url)

    def command(*arguments: object) -> tuple[str, str]:
        ended = ""
        try:
            main([str(each) for each in arguments])
        except SystemExit as error:
            ended = str(error.code)
        said = capsys.readouterr()
        assert "secret" not in said.out + said.err + ended  # the admin's password
        return said.out, ended

    return command


def lines(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if "join(" in line]


def url_in(line: str) -> str:
    """Return the URL in a line to paste, which has to be Python that calls join with it and nothing else."""
    joined: list[str] = []
    exec(line.replace("from workshop import join", "pass"), {"join": joined.append})
    assert line == f"from workshop import join; join('{joined[0]}')"
    return joined[0]


def works(line: str) -> bool:
    try:
        with psycopg.connect(url_in(line)) as connection:
            connection.execute("CREATE SCHEMA mine")
            connection.rollback()
    except psycopg.OperationalError:
        return False
    return True


def test_a_day_in_a_room(
    new_room: Callable[..., Room], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = new_room().name
    names = tmp_path / "names.txt"
    names.write_text("Ada Lovelace\nZoë\n", encoding="utf-8")

    printed, ended = command("make", room, "--names", names, "--connections", 20)
    assert ended == "" and len(lines(printed)) == 2 and all(map(works, lines(printed)))
    assert "Ada Lovelace\n  from workshop" in printed and "Learners: 2." in printed
    assert "keeps no password that could be shown again" in printed
    first = lines(printed)[0]

    printed, _ = command("make", room, "Zoë", "Ada Lovelace", "Ben")
    assert len(lines(printed)) == 1 and printed.count("as before") == 2 and works(first)

    printed, _ = command("add", room, "Cyd")
    assert len(lines(printed)) == 1 and works(lines(printed)[0])
    assert "is in the room" in command("add", room, "Cyd")[1]

    printed, _ = command("reset", room, "ada lovelace", "--empty")
    assert works(lines(printed)[0]) and not works(first)

    printed, _ = command("list", room)
    rows = [row.split() for row in printed.splitlines()]
    assert len(rows) == 5 and rows[1][:3] == ["Ada", "Lovelace", f"{room}_ada_lovelace"] and rows[1][3] == "0"

    for answer in ("", "no\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert "Nothing was dropped" in command("take-down", room)[1]
    assert len(command("list", room)[0].splitlines()) == 5
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{room}\n"))
    assert "is gone. Learners: 4" in command("take-down", room)[0]
    assert "There is no room" in command("take-down", room, "--yes")[1]


def test_a_file_instead_of_the_screen(new_room: Callable[..., Room], command: Command, tmp_path: Path) -> None:
    room, file = new_room().name, tmp_path / "room.csv"
    assert "There is no room" in command("add", room, "Ada", "--csv", file)[1]
    assert not file.exists()
    printed, ended = command("make", room, "Ada", "Zoë", "--csv", file)
    assert ended == "" and "join(" not in printed and "Lines to paste: 2," in printed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["name"] for row in rows] == ["Ada", "Zoë"] and all(works(row["line"]) for row in rows)
    # So a line can be copied from any editor.
    assert file.read_text(encoding="utf-8").splitlines() == ["name,line", *map(",".join, map(dict.values, rows))]
    before = file.read_bytes()
    printed, _ = command("make", room, "Ada", "Zoë", "--csv", tmp_path / "again.csv")
    assert "As before, with the passwords they have: Ada, Zoë." in printed and "Lines to paste" not in printed
    assert not (tmp_path / "again.csv").exists()
    assert "is there already" in command("reset", room, "Ada", "--csv", file)[1]
    assert file.read_bytes() == before and works(rows[0]["line"])
    assert "cannot be written" in command("reset", room, "Ada", "--csv", tmp_path / "nowhere" / "room.csv")[1]
    assert works(rows[0]["line"])


def test_what_learners_machines_call_the_server(new_room: Callable[..., Room], command: Command) -> None:
    room = new_room().name
    printed, _ = command("make", room, "Ada")
    here = conninfo_to_dict(url_in(lines(printed)[0]))["host"]
    assert ("work on this machine alone" in printed) == (here.startswith("/") or here in ("localhost", "127.0.0.1"))
    printed, _ = command("add", room, "Ben", "--host", "db.example.com", "--port", 6432)
    assert conninfo_to_dict(url_in(lines(printed)[0]))["host"] == "db.example.com"
    assert "work on this machine alone" not in printed


@pytest.mark.skipif(os.name == "nt", reason="pipes and limits as Linux and macOS have them")
@pytest.mark.parametrize("where", ["a pipe that was closed", "a disk that is full"])
def test_lines_that_cannot_be_written_end_it_with_what_to_do(
    where: str, new_room: Callable[..., Room], creator_url: str, tmp_path: Path
) -> None:
    import resource

    room = new_room()
    learners = ["Ada", "Ben", "Cyd"]
    command = [sys.executable, "-m", "workshop.room", "make", room.name, *learners]
    limit = None
    if where == "a disk that is full":
        command += ["--csv", str(tmp_path / "room.csv")]
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100, 100))
    environment = os.environ | {"WORKSHOP_ADMIN_URL": creator_url, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=limit,
    ) as process:  # fmt: skip
        assert process.stdout and process.stderr
        if not limit:
            assert process.stdout.readline() == "Ada\n"
            process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1 and len(said.splitlines()) == 2, said
    assert "could not be written" in said and "reset those who are listed as before" in said
    ready = [learner.name for learner in room.learners()]
    assert 1 <= len(ready) < len(learners)
    again = list(room.make(learners))
    assert [seat.name for seat in again if not seat.url] == ready
    assert all(works(room.reset(name).line) for name in ready)


def test_names_may_come_before_and_after_options(new_room: Callable[..., Room], command: Command) -> None:
    room = new_room()
    printed, ended = command("make", room.name, "Ada", "--host", "db.example.com", "Ben", "--port", 6432, "Cyd Doe")
    assert ended == "" and len(lines(printed)) == 3
    assert [learner.name for learner in room.learners()] == ["Ada", "Ben", "Cyd Doe"]
    for arguments in (("make", room.name, "--hots", "h", "Dan"), ("list", room.name, "Dan")):
        with pytest.raises(SystemExit):
            main([*arguments])
    assert len(room.learners()) == 3


def test_what_is_missing_is_told(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "No learners are named" in command("make", "oslo")[1]
    assert "cannot be read" in command("make", "oslo", "--names", tmp_path / "none.txt")[1]
    assert "no name of a room" in command("list", "Oslo")[1]
    assert "lets nobody in" in command("make", "oslo", "Ada", "--connections", 0)[1]
    assert "no PostgreSQL URL" in command("list", "oslo", "--server", "mysql://boss:hunter2@h/d")[1]
    monkeypatch.delenv("WORKSHOP_ADMIN_URL")
    assert "No server is named" in command("list", "oslo")[1]
