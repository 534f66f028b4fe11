"""Which names a workspace can have: those that are file names everywhere they may be used."""

from __future__ import annotations

import os
import re
import sys

SUFFIX = ".db"

# SQLite adds up to "-journal" to a file's name, and quarantine a number before that.
_LONGEST_ADDITION = len(SUFFIX + ".9999999" + "-journal")
_LONGEST_FILE_NAME = 255

_NOT_ON_WINDOWS = re.compile(
    r'[<>:"|?*\x01-\x1f]'
    r"|\A(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\.|\Z)",
    re.IGNORECASE,
)


def check_name(name: str, attempted: str) -> None:
    """Raise `TypeError` or `ValueError` where `name` cannot be a workspace's."""
    if not isinstance(name, str):
        raise TypeError(f"{attempted}: name must be str, not {type(name).__name__}")
    reason = _why_not(name)
    if reason is not None:
        raise ValueError(f"{attempted}: name {reason}: {name[:300]!r}")


def _why_not(name: str) -> str | None:
    if not name or name == ".":
        return "must name a file"
    forbidden = ["/", "..", "\0"] + ["\\"] * (sys.platform == "win32")
    for part in forbidden:
        if part in name:
            return f"must not contain {part!r}"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "must be encodable in UTF-8"
    if length > _LONGEST_FILE_NAME - _LONGEST_ADDITION:
        return f"must have at most {_LONGEST_FILE_NAME - _LONGEST_ADDITION} bytes in UTF-8"
    if sys.platform == "win32" and _NOT_ON_WINDOWS.search(name):
        return "must be possible on Windows"
    return None


def name_of(file_name: str) -> str | None:
    """The name of the workspace whose file this would be, or None."""
    name = file_name.removesuffix(SUFFIX)
    return name if name != file_name and _why_not(name) is None else None


def file_of(folder: str, name: str) -> str:
    """The path of the workspace's file."""
    return os.path.join(folder, name + SUFFIX)  # noqa: PTH118
