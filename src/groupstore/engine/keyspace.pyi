from datetime import timedelta
from types import TracebackType
from typing import Self

from groupstore.config import Keep, Quota
from groupstore.engine.engine import Block, Engine
from groupstore.engine.quota import Limits
from groupstore.engine.writing import Writing

_Value = str | bytes
_TTL = float | timedelta | Keep | None
_Parts = tuple[Engine, str, Limits | None, Block | None]

class Keyspace(Writing):
    def __new__(
        cls, engine: Engine, prefix: str, limits: Limits | None, block: Block | None
    ) -> Self: ...
    def add(self, group: str, key: str, value: _Value, *, ttl: _TTL = None) -> bool: ...
    def compare_and_set(
        self,
        group: str,
        key: str,
        expected: _Value | None,
        value: _Value | None,
        *,
        ttl: _TTL = None,
    ) -> bool: ...
    def increment(self, group: str, key: str, amount: int = 1, *, initial: int = 0) -> int: ...

class TransactionKeyspace(Keyspace):
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...
    def rollback(self) -> None: ...

def store_parts(engine: Engine) -> _Parts: ...
def scope_parts(store: Writing, namespace: str, quota: Quota | None) -> _Parts: ...
def transaction_parts(keyspace: Writing) -> _Parts: ...
