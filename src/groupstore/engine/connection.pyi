from typing import final

import apsw as _apsw
from typing_extensions import disjoint_base

@final
class Connection:
    @property
    def apsw(self) -> _apsw.Connection: ...

FOREIGN_TRIGGERS: str

@disjoint_base
class Patience:
    def nap(self) -> bool: ...
