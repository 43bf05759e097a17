"""The built-in ``system`` package: what every environment has before anybody applied anything.

Its documents lie in ``system/`` beside this module and are read by path.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ratoon.platform.metadata.documents import Document, read_package

SYSTEM = "system"
_FOLDER = Path(__file__).with_name("system")


@lru_cache(maxsize=1)
def system_documents() -> tuple[Document, ...]:
    """The documents of the system package."""
    return tuple(read_package(_FOLDER))


def with_system(documents: Sequence[Document]) -> list[Document]:
    """The documents, with the built-in system package in front unless they bring one."""
    if any(d.package == SYSTEM for d in documents):
        return list(documents)
    return [*system_documents(), *documents]
