from typing import final

from groupstore.config import Quota

@final
class Limits:
    @property
    def namespace(self) -> str: ...
    @property
    def quota(self) -> Quota: ...
