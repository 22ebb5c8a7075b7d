"""The command of an instructor with a room of learners: python -m workshop.room --help."""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

from ..errors import WorkshopError
from ..files import new_file
from . import server
from .names import names_in
from .room import Room, Seat

_EPILOG = f"""\
The server is named by {server.ADMIN_URL}, or by --server, which other users of this machine can see while the command
runs. Its role has to be a superuser, or to have CREATEROLE and CREATEDB. All learners can read the names of all, and
which notebook each has open.

  python -m workshop.room make oslo --names names.txt --host 192.168.1.20 --csv oslo.csv
  python -m workshop.room add oslo "Ada Lovelace"
  python -m workshop.room reset oslo "Ada Lovelace"            a new password; what hangs is ended
  python -m workshop.room reset oslo "Ada Lovelace" --empty    the same, and an empty database
  python -m workshop.room list oslo
  python -m workshop.room take-down oslo
"""


def main(arguments: list[str] | None = None) -> None:
    given = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        given.run(given)
    except WorkshopError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again: it goes on where this one stopped.")
    except OSError as error:  # the disk is full, or nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the end
        sys.exit(
            f"Stopped, for a line could not be written: {error.strerror}.\n"
            "Run the same command again, with a new file after --csv if there was one; then reset those who are listed "
            "as before and have no line."
        )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m workshop.room",
        description="Make a room for learners on a PostgreSQL server, and look after it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], None], says: str, *, hands_out: bool = False
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        added.add_argument("room", metavar="ROOM", help="the name of the room, such as oslo")
        added.add_argument("--server", metavar="URL", help=f"the server, instead of {server.ADMIN_URL}")
        if hands_out:
            added.add_argument("--host", help="what learners' machines call the server, if not as in its URL")
            added.add_argument("--port", type=int, help="its port there")
            added.add_argument("--csv", type=Path, metavar="FILE", help="write what learners paste into a new file")
        added.set_defaults(run=run)
        return added

    make = command("make", _make, "Make a room, or complete one; learners who are there keep their password.",
                   hands_out=True)  # fmt: skip
    make.add_argument("learners", nargs="*", metavar="NAME", help="the names of learners")
    make.add_argument("--names", type=Path, metavar="FILE", help="a file with names, one a line")
    make.add_argument(
        "--connections", type=int, metavar="N",
        help=f"how many connections a learner may have at once ({server.CONNECTIONS}, or what the room had before)",
    )  # fmt: skip
    add = command("add", _add, "Add one learner to a room.", hands_out=True)
    add.add_argument("learner", metavar="NAME")
    reset = command("reset", _reset, "Give a learner a new password, and end what hangs.", hands_out=True)
    reset.add_argument("learner", metavar="NAME")
    reset.add_argument("--empty", action="store_true", help="drop what the learner has stored in the database, too")
    command("list", _list, "Show who is in a room, with how many connections and how much data.")
    take_down = command("take-down", _take_down, "Drop a room, with all that is in it.")
    take_down.add_argument("--yes", action="store_true", help="do not ask")
    if arguments and arguments[0] in commands.choices:
        return commands.choices[arguments[0]].parse_intermixed_args(arguments[1:])  # names may stand anywhere
    return parser.parse_args(arguments)


def _room(given: argparse.Namespace) -> Room:
    url = given.server or os.environ.get(server.ADMIN_URL)
    if not url:
        raise WorkshopError("No server is named.", f"Put its URL into {server.ADMIN_URL}, or after --server.")
    how = {name: getattr(given, name, None) for name in ("host", "port", "connections")}
    if how["connections"] is not None and how["connections"] < 1:
        raise WorkshopError(
            f"--connections {how['connections']} lets nobody in.", f"Take a number such as {server.CONNECTIONS}."
        )
    return Room(given.room, url, **how, tell=lambda text: print(f"Note: {text}", file=sys.stderr))


def _make(given: argparse.Namespace) -> None:
    names = [*given.learners, *(names_in(given.names) if given.names else [])]
    if not names:
        raise WorkshopError("No learners are named.", "Name them, or a file of names: --names FILE.")
    room = _room(given)
    notes = room.advice(names)
    seats = _hand_out(given, lambda: room.make(names))
    print(f"\nThe room {room.name} is ready. Learners: {seats}.")
    for note in notes:
        print(f"\nNote: {note}")


def _add(given: argparse.Namespace) -> None:
    room = _room(given)
    _hand_out(given, lambda: [room.add(given.learner)])


def _reset(given: argparse.Namespace) -> None:
    room = _room(given)
    _hand_out(given, lambda: [room.reset(given.learner, empty=given.empty)])


def _list(given: argparse.Namespace) -> None:
    room = _room(given)
    learners = room.learners()
    rows = [("name", "role and database", "connections", "size", "")]
    for each in learners:
        state = "" if each.ready else "half made: run make or reset"
        rows.append((each.name, each.role, str(each.connections), f"{each.size / 1e6:.0f} MB", state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, role, connections, size, state in rows:
        line = f"{name:{widths[0]}}  {role:{widths[1]}}  {connections:>{widths[2]}}  {size:>{widths[3]}}  {state}"
        print(line.rstrip())


def _take_down(given: argparse.Namespace) -> None:
    room = _room(given)
    learners = room.learners()
    if not given.yes:
        print(f"This drops the room {room.name} and all that its learners have stored. Learners: {len(learners)}.")
        try:
            answer = input(f"Type {room.name} to go on: ")
        except EOFError:
            answer = ""
        if answer.strip() != room.name:
            raise WorkshopError("Nothing was dropped.", "Where nobody can be asked, add --yes.")
    room.take_down()
    print(f"The room {room.name} is gone. Learners: {len(learners)}.")


def _hand_out(given: argparse.Namespace, make: Callable[[], Iterable[Seat]]) -> int:
    """Make seats, and return how many; show what learners paste, or write it into a new file, as soon as it is made."""
    kept: list[str] = []
    lines: list[Seat] = []
    with new_file(given.csv) if given.csv else nullcontext(sys.stdout) as file:
        try:
            for seat in make():
                if not given.csv:
                    print(f"{seat.name}\n  {seat.line or 'as before; reset gives a new password'}", flush=True)
                elif seat.url:
                    csv.writer(file).writerows([*([] if lines else [("name", "line")]), (seat.name, seat.line)])
                    file.flush()
                if seat.url:
                    lines.append(seat)
                else:
                    kept.append(seat.name)
        finally:
            if given.csv and not lines:
                given.csv.unlink()
    if given.csv and kept:
        print(f"As before, with the passwords they have: {', '.join(kept)}.")
    if lines:
        if given.csv:
            print(f"Lines to paste: {len(lines)}, in {given.csv}. It holds passwords.")
        print("The server keeps no password that could be shown again; where one is lost, reset gives a new one.")
        if server.is_this_machine(lines[0].url or ""):
            print("These lines work on this machine alone: with --host, name the server as other machines know it.")
    return len(lines) + len(kept)


if __name__ == "__main__":
    main()
