"""What is given: the SQL of the reference that stands before an answer."""

from importlib.resources import files


def whole_schema() -> tuple[str, ...]:
    """Return the names of all files of eventstore/schema, for exercises on a finished store, on one machine."""
    names = {file.name for file in files("eventstore").joinpath("schema").iterdir()}
    return tuple(sorted(names - {"95_citus.sql"}))


def core_schema() -> tuple[str, ...]:
    """Return the same without what only readers of the log and the archive need: that is made in half the time."""
    later = ("21", "32", "70", "72", "81", "83", "90", "91")
    return tuple(name for name in whole_schema() if not name.startswith(later))


def reference_sql(name: str) -> str:
    """Return the text of one file of eventstore/schema."""
    return files("eventstore").joinpath("schema", name).read_text()
