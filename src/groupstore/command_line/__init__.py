"""The `groupstore` command; docs/command-line.md describes it."""

import sys


def main() -> None:
    """Run the command by `sys.argv`, and end the process with its exit code."""
    try:
        # They come with groupstore[cli].
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ImportError as error:
        sys.exit(f"groupstore: {error.name} is missing: pip install 'groupstore[cli]'")
    from groupstore.command_line.app import run  # noqa: PLC0415

    sys.exit(run())
