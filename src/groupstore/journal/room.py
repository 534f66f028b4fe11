"""Room for recursion, which json needs, whoever calls from however deep a stack."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def with_room(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `call` gives; where the stack is too deep for it, by a thread that has its own."""
    try:
        return call(*args, **kwargs)
    except RecursionError:
        pass
    results: list[R] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call(*args, **kwargs))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
