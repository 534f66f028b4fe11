"""The `groupstore` command; docs/command-line.md describes it."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command by `sys.argv`, and end the process with its exit code."""
    # Before the other imports, which take longer than an impatient user. An end by exception
    # removes what is temporary.
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    try:
        # They come with groupstore[cli].
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ImportError as error:
        sys.exit(f"groupstore: {error.name} is missing: pip install 'groupstore[cli]'")
    from groupstore.command_line.app import run  # noqa: PLC0415

    sys.exit(run())


def _end(number: int, _: FrameType | None) -> None:
    # As a shell has it for a process that the signal has ended.
    sys.exit(128 + number)
