from typing import final

@final
class KeyRange: ...
