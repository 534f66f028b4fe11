"""The face of a transaction."""

from groupstore.engine.keyspace import TransactionKeyspace
from groupstore.iteration import Face


class Transaction(TransactionKeyspace, Face):
    """All methods of the store, or of the scope, that it was made from, as one transaction.

    Use it as a context manager: a clean exit commits, an exception rolls back and goes on
    unchanged. It belongs to its thread, and to its task in an event loop; inside another
    transaction of the same thread it is a savepoint.
    """

    __slots__ = ("_source",)

    _source: Face
    """Kept, so that a store is not collected while a transaction of it is at hand."""

    def __repr__(self) -> str:
        return f"<Transaction of {self._engine.path}>"
