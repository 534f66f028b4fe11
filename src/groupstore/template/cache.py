"""A bounded cache of compiled templates."""

import os
import threading
from collections import OrderedDict

from groupstore.template.compiling import Compiled, compile_template

_TEMPLATES = 256
_BYTES = 16 << 20


class Cache:
    """The templates used last, of which neither number nor size can take much memory.

    Safe for many threads. Two that want the same new template may both compile it.
    """

    def __init__(self, templates: int = _TEMPLATES, size: int = _BYTES) -> None:
        self._templates = templates
        self._room = size
        # One template does not drive out all others.
        self._largest = size // 2
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def survive_forks(self) -> None:
        """Let no fork happen while a thread has the lock, which would be lost to the child."""
        if hasattr(os, "register_at_fork"):
            release = self._lock.release
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=release, after_in_child=release
            )

    def get(self, template: str) -> Compiled:
        """The template, compiled; raises what compiling raises."""
        with self._lock:
            compiled = self._compiled.get(template)
            if compiled is not None:
                self._compiled.move_to_end(template)
                return compiled
        compiled = compile_template(template)
        if compiled.size > self._largest:
            return compiled
        with self._lock:
            if template not in self._compiled:
                self._compiled[template] = compiled
                self._room -= compiled.size
            while self._room < 0 or len(self._compiled) > self._templates:
                _, oldest = self._compiled.popitem(last=False)
                self._room += oldest.size
        return compiled
