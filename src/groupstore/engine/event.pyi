from datetime import datetime
from typing import final

from groupstore.event import EventType

__pyx_capi__: dict[str, object]

@final
class Event:
    def __init__(
        self,
        type: EventType | str,
        group: str,
        key: str | None,
        value: str | bytes | None,
        timestamp: datetime,
        reason: str,
    ) -> None: ...
    @property
    def type(self) -> EventType: ...
    @property
    def group(self) -> str: ...
    @property
    def key(self) -> str | None: ...
    @property
    def value(self) -> str | bytes | None: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def reason(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
