"""The workspaces that this process has open, and what a fork makes of them."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from groupstore import file_system, forking

if TYPE_CHECKING:
    from groupstore.store import Store
    from groupstore.workspace.workspace import Workspace

# A dict, which threads may change while another one copies it.
_live: dict[int, weakref.ref[Workspace]] = {}
_taken: list[Workspace] = []


def add(workspace: Workspace) -> None:
    """Have `workspace` take part in forks, before it uses SQLite for the first time."""
    with forking.opening:
        _live[id(workspace)] = weakref.ref(workspace)


def drop(workspace: Workspace) -> None:
    """Forget a workspace that will not use SQLite any more."""
    _live.pop(id(workspace), None)


def all_open() -> list[Workspace]:
    """Every open workspace of this process."""
    found = (reference() for reference in list(_live.values()))
    return [workspace for workspace in found if workspace is not None]


def close_all(store: Store) -> None:
    """Close the workspaces of `store`, and keep their files."""
    for workspace in all_open():
        if workspace._store is store:
            workspace.close()


def _before() -> None:
    _taken[:] = all_open()
    for workspace in _taken:
        workspace._turn.acquire()


def _in_parent() -> None:
    for workspace in _taken:
        workspace._turn.release()
    _taken.clear()


def _in_child() -> None:
    for workspace in _taken:
        workspace._leave_to_parent()
        workspace._turn.release()
    _taken.clear()
    _live.clear()


forking.take_part(forking.Hook(_before, _in_parent, _in_child))


def _is_in_use(path: str, status: os.stat_result | None) -> bool:
    return any(file_system.is_of(workspace.path, path, status) for workspace in all_open())


file_system.in_use.append(_is_in_use)
