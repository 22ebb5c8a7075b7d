"""A Citus cluster: how tests and benchmarks spread a store's tables over its workers."""

import re
from pathlib import Path

from eventstore import EventStore

DOCS = Path(__file__).parents[1] / "docs" / "more-than-one-machine.md"


def distribute(store: EventStore) -> bool:
    """Do what the docs say, unless it was done; return whether it was done now."""
    if store.execute("SELECT FROM pg_dist_partition WHERE logicalrelid = 'events'::regclass").rowcount:
        return False
    (statements,) = re.findall(r"```sql\s+(SELECT create_distributed_table.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    store.execute(statements)
    return True
