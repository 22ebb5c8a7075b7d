"""What a hub does for the kit's learners, on one machine and on Kubernetes alike: a password and a database for each.

A hub's configuration calls serve_room(c). In a shell, `python deploy/hosted.py --names names.txt --csv logins.csv`
writes what learners log in with. Both calculate from one secret what they need, so no password is stored anywhere, and
the same name gets the same password again: in the hub and in PostgreSQL.
"""

import argparse
import asyncio
import base64
import csv
import hmac
import os
import re
import secrets
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from hashauthenticator import HashAuthenticator, generate_password_digest
from tornado.web import HTTPError

from workshop.errors import WorkshopError
from workshop.files import new_file, private_file
from workshop.room import Room
from workshop.room.names import names_in, plain, plain_names
from workshop.room.server import ADMIN_URL

SECRET = "WORKSHOP_HUB_SECRET"
CONNECTIONS = "WORKSHOP_CONNECTIONS"
STATE = Path(os.environ.get("WORKSHOP_HUB_STATE", "/var/lib/event-store-hub"))
PASSWORD_LENGTH = 12  # of the digits 0-9 and a-f
LONGEST_NAME = 24  # learner-NAME has to be a name of a system user, too


class LearnersAuthenticator(HashAuthenticator):
    """Lets in whoever types a name and the password that goes with it; Ada, ADA and ada are one name."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        try:
            return await super().authenticate(handler, data | {"username": plain(data["username"])})
        except WorkshopError:  # no name at all
            return None


def serve_room(c: Any) -> None:
    """Have a hub let in the learners of a room, each with a database of their own.

    The room is the one that WORKSHOP_ROOM names (`hub`, unless told otherwise), on the server of WORKSHOP_ADMIN_URL.
    Learners who are not in it yet are added when their JupyterLab starts. WORKSHOP_CONNECTIONS says how many
    connections each may have at once, where that is not to be what is usual in a room.

    Args:
        c: the hub's configuration.

    Raises:
        SystemExit: no server or no secret is to be had, or a setting is wrong; the message says why, and what to do.
    """
    try:
        secret = hub_secret()
        room = _room()
        for note in room.advice():
            print(f"Note: {note}", file=sys.stderr)
    except WorkshopError as error:
        sys.exit(str(error))

    async def give_database(spawner: Any) -> None:
        try:
            url = await asyncio.to_thread(_admit, room, secret, spawner.user.name)
        except WorkshopError as error:
            problem = str(error).splitlines()[0]
            raise refusal(
                f"Your database is not ready. Show this to your instructor: {problem}",
                f"No database for {spawner.user.name}. {' '.join(str(error).splitlines())}",
            ) from None
        spawner.environment = {**spawner.environment, "DATABASE_URL": url}

    c.Spawner.pre_spawn_hook = give_database
    c.JupyterHub.authenticator_class = LearnersAuthenticator
    c.LearnersAuthenticator.secret_key = _login_key(secret)
    c.LearnersAuthenticator.password_length = PASSWORD_LENGTH
    c.LearnersAuthenticator.allow_all = True  # of those who know a password
    c.LearnersAuthenticator.username_pattern = rf"[a-z][a-z0-9_]{{0,{LONGEST_NAME - 1}}}"
    c.LearnersAuthenticator.admin_users = set(filter(None, os.environ.get("WORKSHOP_INSTRUCTORS", "").split(",")))
    c.JupyterHub.template_vars = {
        "announcement_login": "Log in with the name and the password that your instructor gave you."
    }


def refusal(shown: str, logged: str) -> HTTPError:
    """Return an error that a hub neither counts as its own nor hides from the learner.

    Args:
        shown: what the learner reads.
        logged: what the hub's log says.
    """
    error = HTTPError(409, logged)
    error.jupyterhub_message = shown
    return error


def hub_secret() -> bytes:
    """Return what all passwords are calculated from: WORKSHOP_HUB_SECRET, or what a file of the hub holds.

    The file is made at the first call, readable for its owner alone. Without it nobody can calculate a password.

    Raises:
        WorkshopError: the secret is too short, or the file cannot be had.
    """
    if given := os.environ.get(SECRET):
        return _long_enough(given.encode(), SECRET)
    path = STATE / "secret"
    try:
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError), private_file(path) as file:
            file.write(secrets.token_hex(32))
        return _long_enough(path.read_bytes(), str(path))
    except OSError as error:
        raise WorkshopError(
            f"The hub's secret cannot be kept in {path}: {error.strerror}.",
            f"Run this as root, or name a folder of your own in WORKSHOP_HUB_STATE, or set {SECRET}.",
        ) from None


def login_password(secret: bytes, name: str) -> str:
    """Return what a learner types to log in to the hub."""
    return generate_password_digest(plain(name), _login_key(secret), PASSWORD_LENGTH)


def _room() -> Room:
    url = os.environ.get(ADMIN_URL)
    if not url:
        raise WorkshopError(
            "No PostgreSQL server is named.",
            f"Put the URL of a role with CREATEROLE and CREATEDB into {ADMIN_URL}, as learners' programs can reach it.",
        )
    connections = os.environ.get(CONNECTIONS)
    if connections and not re.fullmatch("[1-9][0-9]{0,4}", connections):
        raise WorkshopError(
            f"{CONNECTIONS} is {connections!r}, and that is no number of connections.",
            "Take a number such as 50, or leave it out.",
        )
    return Room(
        os.environ.get("WORKSHOP_ROOM", "hub"),
        url,
        connections=int(connections) if connections else None,
        tell=lambda text: print(f"Note: {text}", file=sys.stderr),
    )


def _admit(room: Room, secret: bytes, login: str) -> str:
    """Return the URL of a learner's database, which is made if need be."""
    role = f"{room.name}_{login}"
    try:  # the room may know the learner by the full name
        name = next((learner.name for learner in room.learners() if learner.role == role), login)
    except WorkshopError:  # there is no room yet: admit() makes it
        name = login
    return room.admit(name, _derived(secret, f"database {role}"))


def _login_key(secret: bytes) -> str:
    return _derived(secret, "login")


def _derived(secret: bytes, purpose: str) -> str:
    digest = hmac.digest(secret, purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _long_enough(secret: bytes, where: str) -> bytes:
    if len(secret) < 32:
        raise WorkshopError(f"The secret in {where} is too short.", "Take what this prints: openssl rand -hex 32")
    return secret


def main(arguments: list[str] | None = None) -> None:
    """Write name, login and password for each name, as CSV; say what to know of the server, where one is named."""
    parser = argparse.ArgumentParser(
        prog="python deploy/hosted.py",
        description="Write a name, a login and a password for each learner, as CSV. The same name gets the same again.",
    )
    parser.add_argument("learners", nargs="*", metavar="NAME", help="the names of learners")
    parser.add_argument("--names", type=Path, metavar="FILE", help="a file with names, one a line")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write into a new file that only its owner can read")
    given = parser.parse_intermixed_args(arguments)
    try:
        learners = plain_names([*given.learners, *(names_in(given.names) if given.names else [])])
        for login, name in learners.items():
            if len(login) > LONGEST_NAME:
                raise WorkshopError(
                    f"The name {name!r} is too long: {len(login)} characters, and {LONGEST_NAME} is the most here.",
                    "Write a shorter one, such as the first name.",
                )
        secret = hub_secret()
        notes = _room().advice(learners.values()) if os.environ.get(ADMIN_URL) else []
        with new_file(given.csv) if given.csv else nullcontext(sys.stdout) as file:
            writer = csv.writer(file)
            writer.writerow(("name", "login", "password"))
            writer.writerows((name, login, login_password(secret, login)) for login, name in learners.items())
    except WorkshopError as error:
        sys.exit(str(error))
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)


if __name__ == "__main__":
    main()
