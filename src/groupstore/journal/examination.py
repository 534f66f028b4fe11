"""What is wrong with a store's archives, for `Store.check`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from groupstore.errors import CorruptStoreError
from groupstore.journal import recorded

if TYPE_CHECKING:
    from groupstore.engine.engine import Engine


def missing_archives(engine: Engine) -> list[str]:
    """The archives that are not where they were made, or not of the size that they had."""
    try:
        with engine.read("check") as connection:
            made = recorded.finished(connection) if recorded.has_table(connection) else []
    except CorruptStoreError as error:
        return [str(error)]
    problems = []
    for archive in made:
        try:
            size = os.stat(archive.path).st_size
        except OSError as error:
            problems.append(f"the archive {archive.path} cannot be found: {error.strerror}")
            continue
        if size != archive.size:
            problems.append(
                f"the archive {archive.path} has {size} bytes, and had {archive.size} when it was"
                " made"
            )
    return problems
