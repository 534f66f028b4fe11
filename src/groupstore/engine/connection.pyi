from typing import final

import apsw as _apsw

@final
class Connection:
    @property
    def apsw(self) -> _apsw.Connection: ...

class Patience:
    def nap(self) -> bool: ...
