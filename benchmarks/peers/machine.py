"""On what a run was made: figures without it say nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def describe(folder: Path) -> dict[str, str]:
    """The machine, its system, and the file system that `folder` is on."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}",
        "system": f"{_system()}, {platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "Python": f"{platform.python_version()} ({platform.python_compiler()})",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or "unknown processor"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)


def _file_system(folder: Path) -> str:
    if platform.system() != "Linux":
        return "unknown"
    _, named = subprocess.check_output(["df", "--output=fstype", folder], text=True).split()
    return named
