"""The stores that are compared, each in a module of its own, which is imported only where the store is used."""

from importlib import import_module

from tests.benchmark.stores.client import Client

# The short name of each, and where its class is. The order is that of the columns.
STORES = {
    "limit": "limit:Limit",
    "kit": "kit:Kit",
    "mine": "mine:Mine",
    "distributed": "distributed:Distributed",
    "eventsourcing": "eventsourcing:Eventsourcing",
    "message_db": "message_db:MessageDb",
    "emmett": "emmett:Emmett",
    "umadb": "umadb:UmaDb",
}


def client_class(store: str) -> type[Client]:
    """Return the class of a store, by its short name.

    Raises:
        ImportError: a package that it needs is not installed.
    """
    module, _, name = STORES[store].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), name)
