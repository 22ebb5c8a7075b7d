"""Where a benchmark of the kit alone works: a schema of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from workshop.server.database import Database, server_url


@contextmanager
def scratch_database() -> Iterator[Database]:
    """Make an empty schema on the server that the command line names, or on the kit's own; drop it at the end."""
    url = sys.argv[1] if len(sys.argv) > 1 else server_url()
    database = Database(url, f"benchmark_{uuid4().hex[:8]}")
    try:
        database.reset()
        yield database
    finally:
        database.drop()
