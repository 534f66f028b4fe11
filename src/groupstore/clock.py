"""The time that entries expire by, for what reads them past the engine."""

import time


def now_ms() -> int:
    """Unix time in whole milliseconds, rounded down as the engine does."""
    return time.time_ns() // 1_000_000
