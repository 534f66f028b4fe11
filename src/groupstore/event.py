"""The kinds of mutation that a store reports."""

import enum


class EventType(enum.StrEnum):
    """What was done; `str()` gives the lower-case name."""

    SET = "set"
    DELETE = "delete"
    DELETE_GROUP = "delete_group"
