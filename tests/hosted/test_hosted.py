"""What a hub calculates, and what it says where it cannot begin; the hub itself is in test_hub.py."""

import os
import stat
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from workshop.errors import WorkshopError

from ..postgres import Server


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, with a folder of its own for what it keeps."""
    pytest.importorskip("hashauthenticator", reason="no JupyterHub is installed: make .venv/hub")
    from deploy import hosted

    monkeypatch.setattr(hosted, "STATE", tmp_path / "state")
    for name in (hosted.SECRET, hosted.ADMIN_URL, hosted.CONNECTIONS, "WORKSHOP_ROOM"):
        monkeypatch.delenv(name, raising=False)
    return hosted


def test_the_secret_is_made_once_and_its_owners_alone(hosted: ModuleType) -> None:
    secret = hosted.hub_secret()
    assert len(secret) == 64 and hosted.hub_secret() == secret
    assert (hosted.STATE / "secret").stat().st_mode & 0o077 == 0
    assert hosted.STATE.stat().st_mode & 0o077 == 0


def test_a_secret_that_can_be_guessed_is_refused(hosted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hosted.SECRET, "secret")
    with pytest.raises(WorkshopError, match="WORKSHOP_HUB_SECRET is too short.\n.*openssl rand"):
        hosted.hub_secret()


def test_passwords_differ_by_name_and_by_secret(hosted: ModuleType) -> None:
    one, other = b"1" * 32, b"2" * 32
    assert hosted.login_password(one, "Ada Lovelace") == hosted.login_password(one, "ada_lovelace")
    assert hosted.login_password(one, "ada") != hosted.login_password(one, "bob")
    assert hosted.login_password(one, "ada") != hosted.login_password(other, "ada")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "No PostgreSQL server is named."),
        ("postgresql://nobody:secret@127.0.0.1:1/postgres", "No PostgreSQL let us in at 127.0.0.1:1/postgres"),
    ],
)
def test_a_hub_that_cannot_begin_says_why(
    hosted: ModuleType, monkeypatch: pytest.MonkeyPatch, url: str | None, said: str
) -> None:
    if url:
        monkeypatch.setenv(hosted.ADMIN_URL, url)
    with pytest.raises(SystemExit) as ended:
        hosted.serve_room(SimpleNamespace())
    assert str(ended.value).startswith(said) and "secret" not in str(ended.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("Ada\nada\n", "Two learners would both be called ada"),
        ("Wolfeschlegelsteinhausenbergerdorff\n", "is too long: 35 characters, and 24 is the most here"),
        ("# nobody\n", "There are no names in"),
    ],
)
def test_names_that_cannot_log_in_are_refused(hosted: ModuleType, tmp_path: Path, names: str, said: str) -> None:
    (tmp_path / "names.txt").write_text(names)
    with pytest.raises(SystemExit, match=said):
        hosted.main(["--names", str(tmp_path / "names.txt")])


def test_the_list_of_logins(hosted: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """From a file, or of one who comes late; on the screen, or in a file that nobody else can read."""
    names, logins = tmp_path / "names.txt", tmp_path / "logins.csv"
    names.write_text("Zoë O'Brien\n")
    password = hosted.login_password(hosted.hub_secret(), "zoe_obrien")
    expected = ["name,login,password", f"Zoë O'Brien,zoe_obrien,{password}"]
    before = os.umask(0o022)
    try:
        hosted.main(["--names", str(names), "--csv", str(logins)])
    finally:
        os.umask(before)
    assert logins.read_text(encoding="utf-8").splitlines() == expected and capsys.readouterr().out == ""
    assert stat.S_IMODE(logins.stat().st_mode) == 0o600
    hosted.main(["Zoë O'Brien"])
    assert capsys.readouterr().out.splitlines() == expected
    with pytest.raises(SystemExit, match="is there already"):
        hosted.main(["--csv", str(logins), "Ada"])
    assert logins.read_text(encoding="utf-8").splitlines() == expected
    with pytest.raises(SystemExit, match="There are no names"):
        hosted.main([])


def test_a_server_that_is_too_small_for_these_learners_is_told(
    hosted: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, postgres: Server
) -> None:
    names = [f"learner {number}" for number in range(30)]
    monkeypatch.setenv(hosted.ADMIN_URL, postgres.url)
    hosted.main(names)
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 31
    assert "30 learners with up to 50 each can ask for 1510" in said.err and "max_connections = 1530" in said.err
    monkeypatch.setenv(hosted.CONNECTIONS, "3")
    hosted.main(names)
    assert "max_connections" not in capsys.readouterr().err


@pytest.mark.parametrize("given", ["0", "many", "-1"])
def test_a_number_of_connections_that_is_none_is_refused(
    hosted: ModuleType, monkeypatch: pytest.MonkeyPatch, postgres: Server, given: str
) -> None:
    monkeypatch.setenv(hosted.ADMIN_URL, postgres.url)
    monkeypatch.setenv(hosted.CONNECTIONS, given)
    with pytest.raises(SystemExit, match="WORKSHOP_CONNECTIONS is '.*', and that is no number"):
        hosted.serve_room(SimpleNamespace())
