"""Python's collector of cyclic garbage rests while a registry is built.

Compiling makes hundreds of thousands of objects that all stay: the collector walks over every one of them again and
again and finds nothing, which takes a third of the time. It goes on as soon as the block ends.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_rests() -> Iterator[None]:
    """No collection during the block, unless another block, inside or in another thread, ends meanwhile."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
