"""What earlier processes left: found, examined, and given back, removed or quarantined."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from groupstore import file_lock
from groupstore.errors import CorruptStoreError, StoreError
from groupstore.file_system import storage_error
from groupstore.folder import sync_folder
from groupstore.workspace import buffer_file, recording
from groupstore.workspace.naming import file_of, name_of
from groupstore.workspace.workspace import LOCK_FILE, Workspace

if TYPE_CHECKING:
    from groupstore.store import Store

_logger = logging.getLogger("groupstore")


def recover(store: Store, folder: str) -> list[Workspace]:
    """The workspaces that dead processes left in `folder`, in the order of their names."""
    recovered: list[Workspace] = []
    committed: list[str] = []
    lock_file = os.path.join(folder, LOCK_FILE)  # noqa: PTH118
    try:
        for name in _leftovers(folder):
            if file_of(folder, name) == store._engine.path:
                continue
            lock = file_lock.acquire(lock_file, name)
            if lock is None:
                continue
            workspace = _take(store, name, file_of(folder, name), lock)
            if workspace is None:
                continue
            recovered.append(workspace)
            if recording.is_recorded(store, workspace._identity):
                committed += _remove(recovered.pop())
        if committed:
            _forget(store, folder, committed)
        # Closed by another thread meanwhile, the store may not know all of them to close.
        store._engine.check_open("recover_workspaces")
    except BaseException:
        for workspace in recovered:
            workspace.close()
        raise
    return recovered


def _leftovers(folder: str) -> list[str]:
    """The names that files in the folder stand for; what can be no workspace's is not looked at."""
    try:
        file_names = os.listdir(folder)  # noqa: PTH208
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error(error, "recover_workspaces", folder) from error
    names = (name_of(file_name) for file_name in file_names)
    return sorted(name for name in names if name is not None)


def _take(store: Store, name: str, path: str, lock: file_lock.FileLock) -> Workspace | None:
    """The workspace in a file that nobody else has; None where it is gone, bad, or in use."""
    if not buffer_file.is_regular(path):
        lock.release()
        return None
    try:
        workspace = Workspace(store, name, path, lock)
    except BaseException:
        lock.release()
        raise
    try:
        if not buffer_file.is_openable(path):
            raise CorruptStoreError(f"recover_workspaces: {path}: no file to be opened")
        workspace._examine()
    except CorruptStoreError as error:
        _quarantine(path, error)
        workspace.close()
        return None
    except StoreError as error:
        # Another program has it open, or the system fails: it may be sound.
        _logger.warning("a workspace was left where it is: %s", error)
        workspace.close()
        return None
    except BaseException:
        workspace.close()
        raise
    return workspace


def _remove(workspace: Workspace) -> list[str]:
    """Remove a committed workspace's file; its identity, where it is gone."""
    try:
        workspace.discard()
    except StoreError as error:
        _logger.warning("a committed workspace could not be removed: %s", error)
        workspace.close()
        return []
    return [workspace._identity]


def _quarantine(path: str, reason: CorruptStoreError) -> None:
    try:
        target = buffer_file.quarantine(path)
    except OSError as error:
        _logger.error("an unreadable workspace could not be moved (%s): %s", reason, error)
    else:
        _logger.error("an unreadable workspace was moved to %s: %s", target, reason)


def _forget(store: Store, folder: str, identities: list[str]) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise storage_error(error, "recover_workspaces", folder) from error
    recording.forget(store, identities)
