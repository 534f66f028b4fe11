"""Values that are not there: printed as `<no value>`, or under `strict` not to be used at all."""

from jinja2.runtime import StrictUndefined, Undefined

NO_VALUE = "<no value>"


class Missing(Undefined):
    """A missing variable, or an attribute or element of anything that has none of that name."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or f"{self._undefined_name!r} is missing"

    def __str__(self) -> str:
        return NO_VALUE

    __repr__ = __str__


class StrictMissing(StrictUndefined, Missing):
    """The same under `strict`: every use of it raises."""

    __slots__ = ()
    __repr__ = StrictUndefined.__str__


class Undecodable(StrictMissing):
    """The value of a key that is there, but is no text."""

    __slots__ = ()
