"""What long operations tell of how far they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], object]
"""Called with how much is done and how much there is; what it raises ends the operation."""


def refuse_uncallable(progress: object, attempted: str) -> None:
    """Raise `TypeError` for a `progress` that is neither None nor callable."""
    if progress is not None and not callable(progress):
        raise TypeError(f"{attempted}: progress must be callable, not {progress!r}")


@contextmanager
def unchanged(progress: Progress | None) -> Iterator[Progress | None]:
    """Within, `progress` to call where SQLite's errors are turned into others.

    An error of SQLite that it raises itself comes out of the block as it was.
    """
    if progress is None:
        yield None
        return
    raised: list[Exception] = []

    def call(done: int, total: int) -> None:
        try:
            progress(done, total)
        except Exception as error:
            raised.append(error)
            raise

    try:
        yield call
    except Exception as error:
        if not raised or error.__cause__ is not raised[-1]:
            raise
    else:
        return
    raise raised[-1]
