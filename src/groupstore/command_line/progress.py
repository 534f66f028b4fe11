"""Bars that show how far long work is, on standard error, where somebody sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from groupstore.progress import Progress as Report


@contextmanager
def bar(title: str) -> Iterator[Report | None]:
    """What to give as `progress`; None where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
