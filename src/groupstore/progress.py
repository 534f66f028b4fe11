"""What long operations tell of how far they are."""

from collections.abc import Callable

Progress = Callable[[int, int], object]
"""Called with how much is done and how much there is; what it raises ends the operation."""


def refuse_uncallable(progress: object, attempted: str) -> None:
    """Raise `TypeError` for a `progress` that is neither None nor callable."""
    if progress is not None and not callable(progress):
        raise TypeError(f"{attempted}: progress must be callable, not {progress!r}")
