"""The logger of what goes wrong in the background, where nobody can be told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


def logger() -> logging.Logger:
    """`logging.getLogger("groupstore")`."""
    # Not on the way of every start: it takes as long to import as apsw.
    import logging  # noqa: PLC0415

    return logging.getLogger("groupstore")
