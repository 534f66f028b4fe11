"""New workspaces."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from groupstore import file_lock
from groupstore.errors import ReadOnlyError, WorkspaceExistsError
from groupstore.file_system import storage_error
from groupstore.folder import make_folder
from groupstore.workspace.naming import check_name, file_of
from groupstore.workspace.workspace import LOCK_FILE, Workspace

if TYPE_CHECKING:
    from groupstore.store import Store


def refuse_read_only(store: Store, attempted: str) -> None:
    """Raise `ReadOnlyError` where nothing could be committed."""
    if store._engine.read_only:
        raise ReadOnlyError(f"{attempted}: {store._engine.path} was opened read-only")


def make(store: Store, folder: str, name: str) -> Workspace:
    """A new workspace in `folder`, made if missing.

    Raises `WorkspaceExistsError`, and `StorageError` where a file or folder cannot be made.
    """
    check_name(name, "workspace")
    path = file_of(folder, name)
    try:
        make_folder(folder)
    except OSError as error:
        raise storage_error(error, "workspace", folder) from error
    lock = file_lock.acquire(os.path.join(folder, LOCK_FILE), name)  # noqa: PTH118
    if lock is None:
        raise WorkspaceExistsError(f"workspace: {path} is in use")
    if os.path.lexists(path):
        lock.release()
        raise WorkspaceExistsError(f"workspace: {path} is there already")
    try:
        workspace = Workspace(store, name, path, lock)
    except BaseException:
        lock.release()
        raise
    try:
        workspace._make(str(uuid.uuid4()))
        # Closed by another thread meanwhile, the store may not know this one to close.
        store._engine.check_open("workspace")
    except BaseException:
        workspace.discard()
        raise
    return workspace
