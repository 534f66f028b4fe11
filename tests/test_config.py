"""The options of a store and of a quota: what is accepted, and what is refused by name."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import groupstore
from groupstore import KEEP, ConfigError, Quota, StoreConfig

NAN, INFINITE = float("nan"), float("inf")


class Named:
    """An `os.PathLike` of whatever it was given."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __fspath__(self) -> Any:
        return self.name


def test_defaults() -> None:
    """Without arguments the fields have the values that are documented."""
    assert dataclasses.asdict(StoreConfig()) == {
        "path": ":memory:",
        "purge_interval": 60.0,
        "durability": "full",
        "busy_timeout": 5.0,
        "cache_size": 64 * 1024 * 1024,
        "exclusive": False,
        "read_only": False,
        "journal_bucket": "store",
        "state_directory": None,
        "archive_directory": None,
        "archive_after": None,
    }


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("path", Path("folder", "app.db"), str(Path("folder", "app.db"))),
        ("path", Named("app.db"), "app.db"),
        ("path", "file:x.db?mode=ro", "file:x.db?mode=ro"),
        ("purge_interval", timedelta(milliseconds=1500), 1.5),
        ("purge_interval", 3, 3.0),
        ("purge_interval", 0, 0.0),
        ("purge_interval", None, None),
        ("busy_timeout", timedelta(seconds=2), 2.0),
        ("busy_timeout", 0, 0.0),
        ("durability", "normal", "normal"),
        ("cache_size", 0, 0),
        ("journal_bucket", "événements", "événements"),
        ("state_directory", Path("state"), "state"),
        ("archive_directory", "archive", "archive"),
    ],
)
def test_accepted(field: str, given: Any, kept: Any) -> None:
    """What means the same is kept in one form: paths as `str`, durations as `float` seconds."""
    value = getattr(StoreConfig(**{field: given}), field)
    assert (value, type(value)) == (kept, type(kept))


PATHS = [
    *(None, 5, b"app.db", "", "a\0b", "\ud800.db"),
    *(Named(b"app.db"), Named(5), Named(""), Named("a\0b")),
]
DURATIONS = [
    *(-1, -0.001, NAN, INFINITE, -INFINITE, 10**400, 1e300, "5", True, Decimal(5)),
    *(timedelta(-1), timedelta.max, [5]),
]
WHOLE_NUMBERS = [-1, 1.0, "1", True, None, NAN, 10**30]
REFUSED = [
    *(("path", value) for value in PATHS),
    *(("state_directory", value) for value in PATHS if value is not None),
    *(("archive_directory", value) for value in PATHS if value is not None),
    *(("purge_interval", value) for value in DURATIONS),
    *(("busy_timeout", value) for value in [*DURATIONS, None]),
    *(("cache_size", value) for value in WHOLE_NUMBERS),
    *(("durability", value) for value in ("FULL", "", None, 1, ["full"])),
    *(("exclusive", value) for value in (0, 1, None, "yes")),
    *(("read_only", value) for value in (0, 1, None, "yes")),
    *(("journal_bucket", value) for value in ("", None, b"store", "\ud800")),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_refused(field: str, value: Any) -> None:
    """A wrong value, or one of a wrong type, is a `ConfigError` that names field and value."""
    with pytest.raises(ConfigError) as raised:
        StoreConfig(**{field: value})
    assert isinstance(raised.value, ValueError)
    assert str(raised.value).startswith(f"{field}={value!r}: ")


@pytest.mark.parametrize("other", [{}, {"path": "app.db", "exclusive": True}])
def test_read_only_does_not_go_with(other: dict[str, Any]) -> None:
    """Neither a store in memory nor an exclusive one can be read-only."""
    with pytest.raises(ConfigError, match="read_only=True"):
        StoreConfig(read_only=True, **other)


def test_store_takes_the_same_options(path: Path) -> None:
    """`Store` checks its arguments as `StoreConfig` does, shows them, and knows no others."""
    with pytest.raises(ConfigError, match=r"cache_size=-1: "):
        groupstore.Store(path, cache_size=-1)
    with pytest.raises(TypeError, match="colour"):
        groupstore.Store(path, colour="blue")
    with groupstore.Store(path, busy_timeout=1) as store:
        assert store.config == StoreConfig(path=path, busy_timeout=1)
    assert store.config.path == os.fspath(path)


@pytest.mark.parametrize("config", [StoreConfig(path="app.db"), Quota(max_keys=3)])
def test_values(config: Any) -> None:
    """Configurations are immutable, hashable, equal by value, and survive copies and pickling."""
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert other == config
        assert hash(other) == hash(config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.max_keys = 5


def test_fields_have_to_be_named() -> None:
    """A configuration takes no positional argument."""
    with pytest.raises(TypeError):
        StoreConfig("app.db")  # type: ignore[misc]


@pytest.mark.parametrize("field", ["max_keys", "max_groups"])
@pytest.mark.parametrize("value", WHOLE_NUMBERS)
def test_quota_refused(field: str, value: Any) -> None:
    """A limit is a whole number from 0 on."""
    with pytest.raises(ConfigError) as raised:
        Quota(**{field: value})
    assert str(raised.value).startswith(f"{field}={value!r}: ")


def test_quota_is_unlimited_by_default() -> None:
    """0 stands for no limit."""
    assert Quota() == Quota(max_keys=0, max_groups=0)


def test_keep() -> None:
    """`KEEP` names itself, and every copy of it is the same object."""
    assert repr(KEEP) == "groupstore.KEEP"
    assert copy.copy(KEEP) is copy.deepcopy(KEEP) is pickle.loads(pickle.dumps(KEEP)) is KEEP
