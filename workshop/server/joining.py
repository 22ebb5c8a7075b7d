"""What a learner in a room calls: join and leave."""

import os
import re

from . import url_source
from .database import address, open_connection, refuse_unfit_server
from .rooms import room_of


def join(url: str) -> None:
    """Use a server from now on, in all notebooks of this folder: the line with it comes from the instructor.

    The URL, which holds your password, is kept in the file room.json, for you alone.

    Args:
        url: postgresql://USER:PASSWORD@HOST:5432/DATABASE, or the whole line as a text.

    Raises:
        WorkshopError: it is no such URL, no server answers there, or it does not let you in. Nothing is changed then.
    """
    if url_source.being_graded():
        print("This is a submission that is being graded: it joins no room.")
        return
    url = url if isinstance(url, str) else ""
    if whole_line := re.search(r"""join\(\s*(["'])(.+?)\1""", url):
        url = whole_line[2]
    url = url_source.in_libpqs_words(url)
    if not url.startswith(("postgresql://", "postgres://")):
        url = "none"  # what libpq would fill in from its defaults is not what the instructor meant
    with open_connection(url, url_source.PASTED) as connection:
        refuse_unfit_server(connection, url_source.PASTED)
        role, room = connection.info.user, room_of(connection)
    url_source.keep_url(url)
    where = f"the room {room}" if room else "a server"
    print(f"You joined {where} as {role}, at {address(url)}. All notebooks of this folder use it from now on.")
    if os.environ.get("DATABASE_URL"):
        print("But DATABASE_URL is set here, and comes first: unset it, and restart the kernel.")
    else:
        print("Run the first code cell of your notebook again. Then you can delete this line: it holds your password.")


def leave() -> None:
    """Forget the room that join() joined; notebooks use the embedded server again."""
    if url_source.being_graded():
        return
    was_there = url_source.forget_url()
    print("You left the room." if was_there else "You had joined no room.")
    if os.environ.get("DATABASE_URL"):
        print("Notebooks use the server that DATABASE_URL names.")
    elif was_there:
        print("Notebooks use the embedded server from now on. Run the first code cell of your notebook again.")
