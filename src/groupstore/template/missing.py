"""Values that are not there: printed as `<no value>`, or under `strict` not to be used at all."""

from collections.abc import Iterator
from typing import Any, NoReturn

from jinja2.runtime import Undefined

NO_VALUE = "<no value>"


class Missing(Undefined):
    """A missing variable, or an attribute or element of anything that has none of that name."""

    __slots__ = ()

    def __str__(self) -> str:
        return NO_VALUE

    __repr__ = __str__


class StrictMissing(Missing):
    """The same under `strict`: every use of it raises."""

    __slots__ = ()

    def _fail(self, *_: Any) -> NoReturn:
        raise self._undefined_exception(self._undefined_message)

    def __str__(self) -> str:
        self._fail()

    def __bool__(self) -> bool:
        self._fail()

    def __len__(self) -> int:
        self._fail()

    def __iter__(self) -> Iterator[Any]:
        self._fail()

    def __eq__(self, other: object) -> bool:
        self._fail()

    __repr__ = __str__
    __ne__ = __eq__
    __hash__ = Undefined.__hash__


class Undecodable(StrictMissing):
    """The value of a key that is there, but is no text."""

    __slots__ = ()
