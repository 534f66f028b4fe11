"""One state of the database for several statements."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """A read transaction from its first read on, unless the connection is in a transaction."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        # BEGIN alone takes none yet.
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
