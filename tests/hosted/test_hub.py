"""Three learners on a hub of one machine: each has a database, a folder and a system user, and nobody else's."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ..postgres import EmbeddedServer
from .hub import CHECKOUT, Hub, Learner, missing

pwd = pytest.importorskip("pwd", reason="a hub makes system users, as Linux has them")
pytestmark = pytest.mark.long

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

# Names that no other run of these tests uses: they become system users.
MARK = f"t{uuid4().hex[:6]}"
NAMES = ("ada", "bob", "cleo")
SET_UP = 'from workshop import start, check; db = start("01_tables")'
SOLVE = 'from workshop.checks.answers import reference_answer; check("01.1", reference_answer("01.1"))'


@pytest.fixture(scope="module")
def address() -> str:
    """An address of this machine that nobody listens at: whatever port is wanted there is free."""
    return "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))


@pytest.fixture(scope="module")
def admin_url(address: str) -> Iterator[str]:
    """An instructor's role on a server that listens to all users of this machine, and asks them for passwords."""
    server = EmbeddedServer(listen_addresses=address)
    with server.connect() as owner:
        file = Path(owner.execute("SHOW hba_file").fetchone()[0])
        file.write_text(f"host all all 127.0.0.0/8 scram-sha-256\n{file.read_text()}")
        owner.execute("SELECT pg_reload_conf()")
        owner.execute("CREATE ROLE instructor LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        owner.execute("CREATE ROLE oslo_taken NOLOGIN")
    yield f"postgresql://instructor:secret@{address}:5432/postgres"
    server.remove()


@pytest.fixture(scope="module")
def hub(admin_url: str, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub") / "state", admin_url, "oslo", address)
    yield hub
    hub.stop()
    for user in pwd.getpwall():
        if user.pw_name.startswith(f"learner-{MARK}"):
            subprocess.run(["userdel", "--remove", user.pw_name], check=True, capture_output=True)


@pytest.fixture(scope="module")
def learners(hub: Hub) -> list[Learner]:
    """Three who have logged in, and whose JupyterLab runs."""
    passwords = hub.passwords(*(f"{MARK} {name}" for name in NAMES))
    assert len(set(passwords.values())) == 3
    learners = [Learner(hub, login) for login in passwords]
    for learner in learners:
        page = learner.log_in(passwords[learner.login])
        assert page.status_code == 200 and str(page.url) == f"{hub.url}/hub/home", page.text
        page = learner.start()
        assert str(page.url).startswith(f"{learner.base}/lab"), hub.log.read_text()
    return learners


def test_each_works_in_a_database_of_their_own(learners: list[Learner]) -> None:
    for learner in learners:
        started, solved, where = learner.run(
            SET_UP, SOLVE, "print(*db.execute('SELECT current_user, current_database()').fetchone())"
        )
        assert "schema 01_tables, empty" in started
        assert "01.1" in solved and "solved" in solved, solved
        assert where.split() == [f"oslo_{learner.login}"] * 2


def test_a_neighbour_is_refused(learners: list[Learner], hub: Hub) -> None:
    ada, bob, _ = learners
    database, role, home, process, secret, mine = ada.run(
        f"import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'], dbname='oslo_{bob.login}')",
        f"psycopg.connect(os.environ['DATABASE_URL'], user='oslo_{bob.login}', dbname='oslo_{bob.login}')",
        f"import os; os.listdir('/home/learner-{bob.login}')",
        f"open('/proc/{hub.process.pid}/environ').read()",
        f"open('{hub.environment['WORKSHOP_HUB_STATE']}/secret').read()",
        "print(os.getuid(), sorted(name for name in os.environ if 'ADMIN' in name or 'SECRET' in name))",
    )
    assert "permission denied for database" in database
    assert "password authentication failed" in role
    assert home.startswith("PermissionError")
    assert process.startswith("PermissionError")
    assert secret.startswith("PermissionError")
    assert mine.split() == [str(pwd.getpwnam(f"learner-{ada.login}").pw_uid), "[]"]
    assert ada.browser.get(f"{bob.base}/api/contents").status_code == 403


def test_answers_are_kept_in_the_learners_own_folder(learners: list[Learner]) -> None:
    for learner in learners:
        home = Path(pwd.getpwnam(f"learner-{learner.login}").pw_dir)
        kept = list((home / "event-store" / "my_eventstore").rglob("*.sql"))
        assert len(kept) == 1 and "exercise 01.1" in kept[0].read_text()
        assert not home.stat().st_mode & 0o077
        assert kept[0].stat().st_uid == home.stat().st_uid != 0


def test_memory_is_limited(learners: list[Learner]) -> None:
    (said,) = learners[0].run("len(bytearray(3 * 2**30))")
    assert said.startswith("MemoryError")


def test_work_outlives_the_server(learners: list[Learner]) -> None:
    """Stopped, as the culler does it, and started again: notebooks, database and password are as before."""
    learner = learners[2]
    folder = Path(pwd.getpwnam(f"learner-{learner.login}").pw_dir) / "event-store" / "notebooks"
    changed, gone = folder / "01_tables.ipynb", folder / "02_appending.ipynb"
    learner.run(
        "from pathlib import Path; Path('01_tables.ipynb').write_text('mine'); Path('02_appending.ipynb').unlink()",
        f"{SET_UP}; db.execute('CREATE TABLE mine AS SELECT 42 AS n')",
    )
    assert changed.read_text() == "mine" and not gone.exists()
    learner.stop_server()
    assert str(learner.start().url).startswith(f"{learner.base}/lab")
    assert changed.read_text() == "mine"
    assert gone.read_text() == (CHECKOUT / "notebooks" / gone.name).read_text()
    look = "import os, psycopg; connection = psycopg.connect(os.environ['DATABASE_URL'])"
    (found,) = learner.run(f"""{look}; print(*connection.execute('SELECT n FROM "01_tables".mine'))""")
    assert found == "(42,)\n"


def test_a_password_opens_one_account(hub: Hub, learners: list[Learner]) -> None:
    """However the name is written; and no other account, though it be the system's."""
    passwords = hub.passwords(f"{MARK} ada", "root")
    again = Learner(hub, learners[0].login)
    assert str(again.log_in(passwords[again.login], name=f" {MARK.upper()} Ada ").url) == f"{hub.url}/hub/home"
    for name, password in (("root", passwords[again.login]), (learners[1].login, passwords[again.login]), ("", "x")):
        assert "Invalid username or password" in Learner(hub, name).log_in(password, name=name or "#").text


def test_who_gets_no_database_is_told_so(hub: Hub) -> None:
    """A role that is not of the room has the learner's name: the page says so, the log says what to do."""
    ((login, password),) = hub.passwords("taken").items()
    learner = Learner(hub, login)
    learner.log_in(password)
    page = learner.start()
    assert page.status_code == 409
    assert "Your database is not ready. Show this to your instructor: On the server already" in page.text
    assert "No database for taken. On the server already, and not of the room oslo: the r" in hub.log.read_text()
    assert "learner-taken" not in [user.pw_name for user in pwd.getpwall()]


def test_the_hubs_secrets_are_roots_alone(hub: Hub) -> None:
    state = Path(hub.environment["WORKSHOP_HUB_STATE"])
    assert state.stat().st_mode & 0o777 == 0o700 and state.stat().st_uid == os.getuid()
    assert (state / "secret").stat().st_mode & 0o777 == 0o600


def test_a_browser_comes_to_the_first_notebook(hub: Hub, learners: list[Learner], tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test installs it")
    from ..browser.lab import chromium_path, launch

    if not chromium_path():
        pytest.skip("no Chromium on this machine: install chromium, or set CHROMIUM to the path of one")
    ((login, password),) = hub.passwords(f"{MARK} {NAMES[1]}").items()
    with api.sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(hub.url)
        page.screenshot(path=tmp_path / "login.png")
        api.expect(page.get_by_text("the name and the password that your instructor gave you")).to_be_visible()
        page.fill("#username_input", f"{MARK} {NAMES[1].title()}")
        page.fill("#password_input", password)
        page.click("#login_submit")
        page.wait_for_url(f"{hub.url}/user/{login}/lab/tree/notebooks/00_welcome.ipynb", timeout=60_000)
        api.expect(page.get_by_role("heading", name="Build your own event store")).to_be_visible()
        api.expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
        page.screenshot(path=tmp_path / "lab.png")
